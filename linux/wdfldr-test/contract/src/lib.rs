//! What the test driver of the KMDF runtime and its runner agree on: names, control codes, the list of cases.
//!
//! The list is a macro, so that the driver cannot lack a case that the runner names, nor have one that nobody runs.

#![no_std]

/// The hardware id that the INF matches.
pub const HARDWARE_ID: &str = r"Root\WdfldrTest";
/// The driver's service.
pub const SERVICE: &str = "wdfldr_test_driver";
/// The service under which the same image is loaded without a device, for the scripted create sequence.
pub const SEQUENCE_SERVICE: &str = "wdfldr_test_sequence";
/// The INF's file name.
pub const INF: &str = "wdfldr_test_driver.inf";
/// The image's file name.
pub const IMAGE: &str = "wdfldr_test_driver.sys";
/// The device interface, as the fields of a `GUID`: {8E1B9E52-7B1C-4C53-9B39-52B7A1F3D0C4}.
pub const INTERFACE: (u32, u16, u16, [u8; 8]) = (
    0x8E1B_9E52,
    0x7B1C,
    0x4C53,
    [0x9B, 0x39, 0x52, 0xB7, 0xA1, 0xF3, 0xD0, 0xC4],
);
/// The control device's name in `\\.\`.
pub const CONTROL_LINK: &str = "WdfldrTestControl";

/// In the service's Parameters key: a `REG_DWORD` that makes `DriverEntry` go through the create sequence.
pub const SEQUENCE_VALUE: &str = "CreateSequence";
/// In the service's Parameters key: the callbacks that the framework made, as numbers of [`Event`], written at unload.
pub const EVENTS_VALUE: &str = "Events";

const fn code(function: u32, method: u32) -> u32 {
    // CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + function, method, FILE_ANY_ACCESS)
    (0x22 << 16) | ((0x800 + function) << 2) | method
}

/// Runs a case inside the driver. Input: its name. Output: [`PASSED`], or [`FAILED`] and the reason in UTF-8.
pub const RUN_CASE: u32 = code(0, 0);
/// The first byte of the output of [`RUN_CASE`].
pub const PASSED: u8 = 1;
/// The first byte of the output of [`RUN_CASE`].
pub const FAILED: u8 = 2;

/// The queues that requests can be sent to; the number is in [`hold`]'s code.
pub mod queue {
    /// Sequential.
    pub const SEQUENTIAL: u32 = 0;
    /// Parallel, without a limit.
    pub const PARALLEL: u32 = 1;
    /// Parallel, with at most two requests presented.
    pub const TWO: u32 = 2;
    /// Manual.
    pub const MANUAL: u32 = 3;
    /// Manual, with `EvtIoCanceledOnQueue`.
    pub const NOTIFIED: u32 = 4;
    /// Sequential, on which the runner tests refusals: once it is drained or purged it is started again.
    pub const REFUSING: u32 = 5;
    /// How many there are.
    pub const COUNT: u32 = 6;
}

/// Forwards the request to a queue, whose handler holds it until it is told to complete it. Input: a tag (u32).
/// Output: [`Reply`].
#[must_use]
pub const fn hold(queue: u32) -> u32 {
    code(0x10 + queue, 0)
}
/// The queue that a code of [`hold`] names.
#[must_use]
pub const fn held_queue(code: u32) -> Option<u32> {
    let mut queue = 0;
    while queue < queue::COUNT {
        if hold(queue) == code {
            return Some(queue);
        }
        queue += 1;
    }
    None
}

/// What the requests about a queue, and some others, take as input: a queue and an argument.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// A number of [`queue`].
    pub queue: u32,
    /// Depends on the code.
    pub argument: u32,
}

/// What a held request comes back with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request's own tag.
    pub tag: u32,
    /// Its place in the order in which the queue gave its requests to the driver, from 1.
    pub order: u32,
}

/// What [`QUEUE_STATE`] tells.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    /// `WDF_IO_QUEUE_STATE`, as `WdfIoQueueGetState` returns it.
    pub flags: u32,
    /// Requests in the queue.
    pub queued: u32,
    /// Requests that the driver has got from it and not completed.
    pub delivered: u32,
    /// How many requests the driver had at once, at most.
    pub peak: u32,
    /// Calls of `EvtIoCanceledOnQueue`.
    pub cancelled: u32,
}

/// Completes the oldest request that the queue's handler holds, with the argument as its status.
/// `STATUS_NO_MORE_ENTRIES` if it holds none.
pub const COMPLETE_OLDEST: u32 = code(0x20, 0);
/// `WdfIoQueueGetState`
pub const QUEUE_STATE: u32 = code(0x21, 0);
/// `WdfIoQueueRetrieveNextRequest`; completes what it gives with success, and this request with the call's status.
pub const RETRIEVE_NEXT: u32 = code(0x22, 0);
/// `WdfIoQueueStop`; completes when the framework says that it has stopped.
pub const QUEUE_STOP: u32 = code(0x23, 0);
/// `WdfIoQueueStart`
pub const QUEUE_START: u32 = code(0x24, 0);
/// `WdfIoQueueDrain`; completes when the framework says that it is drained.
pub const QUEUE_DRAIN: u32 = code(0x25, 0);
/// `WdfIoQueuePurge`; completes when the framework says that it is purged.
pub const QUEUE_PURGE: u32 = code(0x26, 0);

/// Makes all queues as they were: completes what they hold with `STATUS_CANCELLED`, starts them, forgets the counts.
pub const QUEUES_RESET: u32 = code(0x27, 0);

/// Pends the request, cancellable. Input: a tag.
pub const PEND: u32 = code(0x30, 0);
/// Takes the pended request back from cancellation and completes it. `STATUS_NOT_FOUND`: there is none.
/// The output is the status of `WdfRequestUnmarkCancelable` (u32).
pub const UNPEND: u32 = code(0x31, 0);
/// How often `EvtRequestCancel` was called: u32.
pub const CANCEL_COUNT: u32 = code(0x32, 0);
/// Pends the request, cancellable, and completes it from a work item at once: for the race with its cancellation.
pub const PEND_AND_COMPLETE: u32 = code(0x33, 0);
/// What came of all [`PEND_AND_COMPLETE`]: [`RaceCount`].
pub const RACE_COUNT: u32 = code(0x34, 0);

/// Who completed the requests of [`PEND_AND_COMPLETE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RaceCount {
    /// The work item: it took the request back.
    pub completed: u32,
    /// The cancel routine.
    pub cancelled: u32,
    /// Nobody pended it: it was cancelled before it was marked.
    pub refused: u32,
}

/// Needs 8 bytes of input and 8 of output by `WdfRequestRetrieve…Buffer`, and copies what there is.
pub const ECHO: u32 = code(0x40, 0);
/// The same with `METHOD_OUT_DIRECT`: the output is an MDL's.
pub const ECHO_OUT_DIRECT: u32 = code(0x40, 2);
/// Completes with success and the argument as the information.
pub const INFORMATION: u32 = code(0x41, 0);
/// Completes with the argument as the status.
pub const STATUS: u32 = code(0x42, 0);
/// The id of the handle that asks, from its file object's context: u32. They count up with each `EvtDeviceFileCreate`.
pub const FILE_ID: u32 = code(0x43, 0);
/// The callbacks made for the file object whose id is the argument: up to 8 numbers of [`Event`] (u32).
pub const FILE_EVENTS: u32 = code(0x44, 0);
/// Checks the request by `WdfRequestGetParameters`: completes with success if the code and lengths are right.
pub const PARAMETERS: u32 = code(0x45, 3);
/// A code that the driver does not have: the handler completes it with `STATUS_INVALID_DEVICE_REQUEST`.
pub const UNKNOWN: u32 = code(0x4F, 0);

/// Breaks a rule of the framework: the argument is one of [`violation`].
pub const VIOLATE: u32 = code(0x50, 0);
/// Leaks an object reference and a pool block, on purpose.
pub const LEAK: u32 = code(0x51, 0);
/// The tag of the block that [`LEAK`] leaks.
pub const LEAK_TAG: u32 = u32::from_le_bytes(*b"WTlk");
/// The length of that block.
pub const LEAK_BYTES: usize = 123;

/// A list of names with numbers.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$case_meta:meta])* $case:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$case_meta])* $case,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$case,)*];

            /// The name that people know it by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$case => $text,)* }
            }

            /// The one with this number.
            #[must_use]
            pub fn of(number: u32) -> Option<Self> {
                Self::ALL.get(number as usize).copied()
            }
        }
    };
}

numbered! {
    /// A rule that the driver can break on request. Each ends the driver.
    Violation {
        /// `KeWaitForSingleObject` with a time-out while a spin lock is held.
        WaitAtDispatch = "wait-at-dispatch",
        /// `WdfWorkItemFlush` while a spin lock is held.
        FlushAtDispatch = "flush-at-dispatch",
        /// `WdfWaitLockAcquire`, without a time-out, while a spin lock is held.
        WaitLockAtDispatch = "wait-lock-at-dispatch",
        /// A function that the runtime does not have.
        AbsentFunction = "absent-function",
        /// A handle that was deleted.
        DeletedHandle = "deleted-handle",
        /// A handle of another type.
        WrongHandle = "wrong-handle",
        /// A request completed twice.
        CompletedTwice = "completed-twice",
        /// A spin lock that is not held is released.
        LockNotHeld = "lock-not-held",
        /// A callback returns with a spin lock held.
        LockKept = "lock-kept",
    }
}

impl Violation {
    /// What our runtime must name in the message with which it stops the driver: the function that was called, or the
    /// callback that returned.
    #[must_use]
    pub const fn culprit(self) -> &'static str {
        match self {
            Self::WaitAtDispatch => "KeWaitForSingleObject",
            Self::FlushAtDispatch => "WdfWorkItemFlush",
            Self::WaitLockAtDispatch => "WdfWaitLockAcquire",
            Self::AbsentFunction => "WdfIoQueueAssignForwardProgressPolicy",
            Self::DeletedHandle => "WdfObjectReferenceActual",
            Self::WrongHandle => "WdfSpinLockAcquire",
            Self::CompletedTwice => "WdfRequestCompleteWithInformation",
            Self::LockNotHeld => "WdfSpinLockRelease",
            Self::LockKept => "EvtIoDeviceControl",
        }
    }
}

numbered! {
    /// A callback of the framework.
    Event {
        /// `DriverEntry`
        DriverEntry = "DriverEntry",
        /// `EvtDriverDeviceAdd`
        DeviceAdd = "DeviceAdd",
        /// `EvtDevicePrepareHardware`
        PrepareHardware = "PrepareHardware",
        /// `EvtDeviceD0Entry`
        D0Entry = "D0Entry",
        /// `EvtDeviceD0EntryPostInterruptsEnabled`
        PostInterruptsEnabled = "PostInterruptsEnabled",
        /// `EvtDeviceSelfManagedIoInit`
        SelfManagedIoInit = "SelfManagedIoInit",
        /// `EvtDeviceQueryRemove`
        QueryRemove = "QueryRemove",
        /// `EvtDeviceSurpriseRemoval`
        SurpriseRemoval = "SurpriseRemoval",
        /// `EvtDeviceSelfManagedIoSuspend`
        SelfManagedIoSuspend = "SelfManagedIoSuspend",
        /// `EvtDeviceD0ExitPreInterruptsDisabled`
        PreInterruptsDisabled = "PreInterruptsDisabled",
        /// `EvtDeviceD0Exit`
        D0Exit = "D0Exit",
        /// `EvtDeviceReleaseHardware`
        ReleaseHardware = "ReleaseHardware",
        /// `EvtDeviceSelfManagedIoFlush`
        SelfManagedIoFlush = "SelfManagedIoFlush",
        /// `EvtDeviceSelfManagedIoCleanup`
        SelfManagedIoCleanup = "SelfManagedIoCleanup",
        /// `EvtCleanupCallback` of an object that is a child of the device
        ChildCleanup = "ChildCleanup",
        /// `EvtCleanupCallback` of the device
        DeviceCleanup = "DeviceCleanup",
        /// `EvtDestroyCallback` of the device
        DeviceDestroy = "DeviceDestroy",
        /// `EvtDriverUnload`
        DriverUnload = "DriverUnload",
        /// `EvtDeviceFileCreate`
        FileCreate = "FileCreate",
        /// `EvtFileCleanup`
        FileCleanup = "FileCleanup",
        /// `EvtFileClose`
        FileClose = "FileClose",
        /// `EvtCleanupCallback` of a file object
        FileObjectCleanup = "FileObjectCleanup",
        /// `EvtDestroyCallback` of a file object
        FileObjectDestroy = "FileObjectDestroy",
    }
}

/// Calls a macro with the cases that run inside the driver, by module.
#[macro_export]
macro_rules! for_each_case {
    ($callback:ident) => {
        $callback! {
            object: [
                contexts_are_zeroed_and_typed,
                a_second_context_of_one_type_is_refused,
                a_context_knows_its_object,
                children_are_cleaned_up_before_their_parent,
                destruction_waits_for_references,
                a_parent_is_destroyed_while_its_child_is_referenced,
                attributes_of_another_size_are_refused,
                contexts_with_bad_sizes_are_refused,
                levels_and_scopes_are_only_for_what_has_callbacks,
                objects_with_callbacks_need_a_parent,
                a_deleted_child_leaves_its_parent,
            ],
            memory: [
                memory_is_made_with_its_buffer,
                memory_of_no_size_is_refused,
                preallocated_memory_is_the_drivers,
                copies_stay_within_the_buffer,
                lookaside_lists_give_memory,
                collections_keep_order_and_references,
            ],
            sync: [
                a_spin_lock_raises_and_lowers,
                a_spin_lock_excludes,
                a_wait_lock_is_waited_for,
                a_wait_lock_times_out,
            ],
            work: [
                a_work_item_runs_once_for_each_enqueue_that_finds_it_idle,
                a_work_item_runs_at_passive_level,
                a_work_item_enqueued_while_queued_runs_once,
                a_work_item_enqueued_in_its_callback_runs_again,
                flush_waits_for_the_run,
                flush_of_an_idle_work_item_returns,
                deletion_waits_for_the_run,
                a_work_item_knows_its_parent,
            ],
            timer: [
                a_timer_fires_once_at_dispatch_level,
                a_timer_is_not_early,
                a_periodic_timer_repeats_until_stopped,
                a_stopped_timer_does_not_fire,
                a_started_timer_can_be_started_anew,
                a_timer_restarts_itself_in_its_callback,
                a_passive_timer_fires_at_passive_level,
                a_passive_periodic_timer_is_refused,
                stop_waits_for_the_callback,
            ],
            dpc: [
                a_dpc_runs_at_dispatch_level,
                a_dpc_that_is_queued_is_queued_once,
                a_dpc_knows_its_parent,
            ],
            device: [
                a_control_device_is_made_and_deleted,
                a_symbolic_link_opens_the_control_device,
                the_interface_has_a_symbolic_link_name,
                the_device_knows_its_driver_and_queue,
                a_second_default_queue_is_refused,
                queue_configurations_are_checked,
                properties_of_the_device_are_read,
            ],
            registry: [
                numbers_are_written_and_read,
                strings_are_written_and_read,
                values_are_checked_for_type_and_length,
                values_and_keys_are_removed,
                the_registry_path_is_the_services,
            ],
        }
    };
}

macro_rules! names {
    ($($module:ident: [$($case:ident,)*],)*) => {
        /// The names of the cases that run inside the driver.
        pub const CASES: &[&str] = &[$($(concat!(stringify!($module), "::", stringify!($case)),)*)*];
    };
}
for_each_case!(names);
