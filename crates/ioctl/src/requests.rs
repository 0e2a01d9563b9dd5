//! What goes in and what comes back.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::CONTRACT_VERSION;

/// What every input but that of [`VERSION`](crate::VERSION) begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`CONTRACT_VERSION`] of the side that sends it.
    pub version: u32,
    /// The instance it speaks to, from 0; under the codes of tasks, the task.
    pub instance: u32,
}

impl Header {
    /// A header of this version.
    pub const fn new(instance: u32) -> Self {
        Self {
            version: CONTRACT_VERSION,
            instance,
        }
    }
}

/// The output of [`VERSION`](crate::VERSION). Its first field keeps its place in every version of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VersionReply {
    /// [`CONTRACT_VERSION`] of the driver.
    pub contract: u32,
    /// The driver's own version.
    pub major: u16,
    /// Minor part of it.
    pub minor: u16,
    /// Patch part of it.
    pub patch: u16,
    /// Zero.
    pub reserved: u16,
    /// [`limits::INSTANCES`](crate::limits::INSTANCES)
    pub instances: u32,
    /// [`limits::BUFFER_COUNT`](crate::limits::BUFFER_COUNT)
    pub buffer_count: u32,
    /// [`limits::BUFFER_SIZE`](crate::limits::BUFFER_SIZE)
    pub buffer_size: u32,
    /// [`limits::INSTANCE_BYTES`](crate::limits::INSTANCE_BYTES)
    pub instance_bytes: u64,
    /// [`limits::LOG_ENTRIES`](crate::limits::LOG_ENTRIES)
    pub log_entries: u32,
    /// [`limits::SPEND_US`](crate::limits::SPEND_US)
    pub spend_us: u32,
    /// [`limits::TOTAL_BYTES`](crate::limits::TOTAL_BYTES)
    pub total_bytes: u64,
    /// [`limits::CONTEXT_SIZE`](crate::limits::CONTEXT_SIZE)
    pub context_size: u32,
    /// [`limits::TIMEOUT_MS`](crate::limits::TIMEOUT_MS)
    pub timeout_ms: u32,
    /// [`limits::AGAIN`](crate::limits::AGAIN)
    pub again: u32,
    /// [`limits::BATCH_ITEMS`](crate::limits::BATCH_ITEMS)
    pub batch_items: u32,
    /// [`limits::STRESS_PRODUCERS`](crate::limits::STRESS_PRODUCERS)
    pub stress_producers: u32,
    /// [`limits::STRESS_ITEMS`](crate::limits::STRESS_ITEMS)
    pub stress_items: u32,
    /// [`limits::STRESS_PAYLOAD`](crate::limits::STRESS_PAYLOAD)
    pub stress_payload: u32,
    /// [`limits::BENCHMARK_SAMPLES`](crate::limits::BENCHMARK_SAMPLES)
    pub benchmark_samples: u32,
    /// [`limits::BLOCKING_REQUESTS`](crate::limits::BLOCKING_REQUESTS)
    pub blocking_requests: u32,
    /// [`limits::TASKS`](crate::limits::TASKS)
    pub tasks: u32,
    /// [`limits::TASK_NAMES`](crate::limits::TASK_NAMES)
    pub task_names: u32,
    /// [`limits::TASK_DELAY_MS`](crate::limits::TASK_DELAY_MS)
    pub task_delay_ms: u32,
    /// [`limits::TASK_RESULTS`](crate::limits::TASK_RESULTS)
    pub task_results: u32,
    /// [`limits::TASK_LOG_ENTRIES`](crate::limits::TASK_LOG_ENTRIES)
    pub task_log_entries: u32,
    /// [`limits::PRIORITY`](crate::limits::PRIORITY)
    pub priority: u32,
    /// [`limits::PENDED`](crate::limits::PENDED)
    pub pended: u32,
}

/// The input of [`CONFIGURE`](crate::CONFIGURE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Configure {
    /// Version and instance.
    pub header: Header,
    /// Preallocated buffers, 1 to [`limits::BUFFER_COUNT`](crate::limits::BUFFER_COUNT). The running item holds one.
    pub buffer_count: u32,
    /// The longest payload in bytes, 0 to [`limits::BUFFER_SIZE`](crate::limits::BUFFER_SIZE).
    pub buffer_size: u32,
    /// How many buffers there may be at once, with those that a lookaside list adds: 0 for none of these, or from
    /// `buffer_count` to [`limits::BUFFER_COUNT`](crate::limits::BUFFER_COUNT).
    pub max_buffers: u32,
    /// Bytes of its buffer's context that the callback expects to be zero, and then writes: 0 to
    /// [`limits::CONTEXT_SIZE`](crate::limits::CONTEXT_SIZE). A byte that an earlier run left is counted in
    /// [`StatisticsReply::stale_contexts`].
    pub context_size: u32,
    /// [`Configure::REUSE_CLEANUP`] and [`Configure::WAIT_FOR_PENDED`], or 0.
    pub flags: u32,
    /// Where the buffers lie: [`Configure::NONPAGED`] or [`Configure::PAGED`].
    pub pool: u32,
    /// What the instance is: [`Configure::QUEUED_WORK_ITEM`] or [`Configure::THREADED`].
    pub kind: u32,
    /// Of a [`Configure::THREADED`] one, its thread's priority, 1 to [`limits::PRIORITY`](crate::limits::PRIORITY), or 0
    /// for what system threads have; else zero.
    pub priority: u32,
}

impl Configure {
    /// The instance has a reuse-cleanup callback: it is called once for each item, run or dropped, when its buffer goes
    /// home, and that is counted in [`StatisticsReply::cleanups`].
    pub const REUSE_CLEANUP: u32 = 1;
    /// `NonPagedPoolNx`: items can be enqueued at `<= DISPATCH_LEVEL`.
    pub const NONPAGED: u32 = 0;
    /// `PagedPool`: items can be enqueued at `PASSIVE_LEVEL`, as those of IOCTLs are. Not with [`Configure::THREADED`].
    pub const PAGED: u32 = 1;
    /// `QueuedWorkItem`: items begin in order, on a system worker thread.
    pub const QUEUED_WORK_ITEM: u32 = 0;
    /// `ThreadedBufferQueue`: items begin and finish in order, on a thread of the instance's own, which
    /// [`START`](crate::START) makes; but for those that are pended.
    pub const THREADED: u32 = 1;
    /// Of a [`Configure::THREADED`] instance: the thread begins nothing while an item is pended.
    pub const WAIT_FOR_PENDED: u32 = 2;

    /// So many buffers of that size, and nothing else.
    pub const fn new(instance: u32, buffer_count: u32, buffer_size: u32) -> Self {
        Self {
            header: Header::new(instance),
            buffer_count,
            buffer_size,
            max_buffers: 0,
            context_size: 0,
            flags: 0,
            pool: Self::NONPAGED,
            kind: Self::QUEUED_WORK_ITEM,
            priority: 0,
        }
    }

    /// The same, with a thread of its own.
    #[must_use]
    pub const fn threaded(mut self) -> Self {
        self.kind = Self::THREADED;
        self
    }
}

/// The input of [`ENQUEUE`](crate::ENQUEUE) and [`ENQUEUE_AND_WAIT`](crate::ENQUEUE_AND_WAIT); the payload follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Enqueue {
    /// Version and instance.
    pub header: Header,
    /// The caller's name for the item; the log gives it back.
    pub tag: u64,
    /// What the callback sets, where [`Enqueue::SET_STATUS`] is given.
    pub status: u32,
    /// How long the callback works on the item, up to [`limits::SPEND_US`](crate::limits::SPEND_US).
    pub spend_us: u32,
    /// [`Enqueue::SET_STATUS`] and its like, or 0.
    pub flags: u32,
    /// How often the callback enqueues the item again, up to [`limits::AGAIN`](crate::limits::AGAIN): each run but the
    /// last enqueues the next, which the counters and the log show as an item of its own. An enqueue that is refused
    /// ends the row, and is counted as every refusal.
    pub again: u32,
    /// Milliseconds to wait, where [`Enqueue::TIMEOUT`] is given, up to
    /// [`limits::TIMEOUT_MS`](crate::limits::TIMEOUT_MS); otherwise zero.
    pub timeout_ms: u32,
    /// Zero.
    pub reserved: u32,
}

impl Enqueue {
    /// The callback sets [`Enqueue::status`]. Without it, it sets none, and the waiter sees `STATUS_SUCCESS`.
    pub const SET_STATUS: u32 = 1;
    /// The wait ends after [`Enqueue::timeout_ms`], and the item runs all the same. Only with
    /// [`ENQUEUE_AND_WAIT`](crate::ENQUEUE_AND_WAIT).
    pub const TIMEOUT: u32 = 2;
    /// The item is enqueued before all that has not begun. Only to a [`Configure::THREADED`] instance.
    pub const AT_HEAD: u32 = 4;
    /// The worker pends the item, once it has worked on it: [`COMPLETE`](crate::COMPLETE) ends it, or a
    /// [`Close::CANCEL`], with `STATUS_CANCELLED`. Only to a [`Configure::THREADED`] instance. Its callback sets no status:
    /// [`Enqueue::SET_STATUS`] counts for nothing.
    pub const PEND: u32 = 8;

    /// An item for which the callback sets no status and spends no time.
    pub const fn new(instance: u32, tag: u64) -> Self {
        Self {
            header: Header::new(instance),
            tag,
            status: 0,
            spend_us: 0,
            flags: 0,
            again: 0,
            timeout_ms: 0,
            reserved: 0,
        }
    }

    /// The same, and the callback sets `status`.
    #[must_use]
    pub const fn with_status(mut self, status: u32) -> Self {
        self.status = status;
        self.flags |= Self::SET_STATUS;
        self
    }

    /// The same, with these flags too.
    #[must_use]
    pub const fn with_flags(mut self, flags: u32) -> Self {
        self.flags |= flags;
        self
    }

    /// The same, and the wait ends after `timeout_ms` milliseconds.
    #[must_use]
    pub const fn with_timeout(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = timeout_ms;
        self.flags |= Self::TIMEOUT;
        self
    }
}

/// The output of [`ENQUEUE_AND_WAIT`](crate::ENQUEUE_AND_WAIT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WaitReply {
    /// The caller's name for the item.
    pub tag: u64,
    /// The NTSTATUS of that very run; `STATUS_CANCELLED` or `STATUS_TIMEOUT` where [`WaitReply::outcome`] says so.
    pub status: u32,
    /// [`WaitReply::RAN`], [`WaitReply::CANCELLED`] or [`WaitReply::TIMED_OUT`].
    pub outcome: u32,
}

impl WaitReply {
    /// The item ran.
    pub const RAN: u32 = 0;
    /// The item was dropped by a cancel or a cancelling close, before it began.
    pub const CANCELLED: u32 = 1;
    /// The time ran out first; the item still runs, once.
    pub const TIMED_OUT: u32 = 2;
}

/// The input of [`CLOSE`](crate::CLOSE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Close {
    /// Version and instance.
    pub header: Header,
    /// [`Close::DRAIN`] or [`Close::CANCEL`].
    pub mode: u32,
    /// Zero.
    pub reserved: u32,
}

impl Close {
    /// Run what is queued first.
    pub const DRAIN: u32 = 0;
    /// Drop what has not begun.
    pub const CANCEL: u32 = 1;
}

/// The output of [`CLOSE`](crate::CLOSE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CloseReply {
    /// Items that this close dropped.
    pub cancelled: u64,
}

/// The output of [`CANCEL`](crate::CANCEL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CancelReply {
    /// Items that this request dropped.
    pub cancelled: u64,
}

/// What the input of [`ENQUEUE_BATCH`](crate::ENQUEUE_BATCH) begins with; `count` times a [`BatchItem`] follows with what
/// it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Batch {
    /// Version and instance. The instance of each item is the item's own affair.
    pub header: Header,
    /// Items that follow, up to [`limits::BATCH_ITEMS`](crate::limits::BATCH_ITEMS).
    pub count: u32,
    /// Zero.
    pub reserved: u32,
}

/// One item of a batch: so many bytes follow, what an [`ENQUEUE`](crate::ENQUEUE) would have for its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BatchItem {
    /// Bytes of the [`Enqueue`] and its payload.
    pub length: u32,
}

/// What the output of [`ENQUEUE_BATCH`](crate::ENQUEUE_BATCH) begins with; a status of 32 bits for each item follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BatchReply {
    /// Items whose status is `STATUS_SUCCESS`.
    pub accepted: u32,
    /// Statuses that follow: one for each item, in their order.
    pub count: u32,
}

/// The output of [`STATISTICS`](crate::STATISTICS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StatisticsReply {
    /// Items accepted.
    pub accepted: u64,
    /// Callbacks finished; of a pended item, when its worker has kept it.
    pub executed: u64,
    /// Items dropped before they began.
    pub cancelled: u64,
    /// Enqueues refused because every buffer was taken.
    pub refused_full: u64,
    /// Enqueues refused because the payload was too long.
    pub refused_length: u64,
    /// Enqueues refused because the instance was closing.
    pub refused_closing: u64,
    /// Callbacks that found another one running: must stay 0.
    pub overlaps: u64,
    /// Callbacks that ran above `PASSIVE_LEVEL`: must stay 0.
    pub above_passive: u64,
    /// Callbacks that found their buffer's context not zero: must stay 0. See [`Configure::context_size`].
    pub stale_contexts: u64,
    /// Calls of the reuse-cleanup callback. See [`Configure::REUSE_CLEANUP`].
    pub cleanups: u64,
    /// Waiting requests that were answered at `DISPATCH_LEVEL`, where their pended items were completed.
    pub told_at_dispatch: u64,
    /// Items queued and not begun.
    pub queued: u32,
    /// The most that were queued or running at once.
    pub high_water: u32,
    /// Buffers that the instance can have at once; 0 if it is not configured.
    pub capacity: u32,
    /// 1 if the gate is closed.
    pub gated: u32,
    /// Items that are pended.
    pub pended: u32,
    /// 1 if the instance has a thread of its own that is started.
    pub started: u32,
}

// The layout is the contract: a change here is a new CONTRACT_VERSION.
const _: () = {
    assert!(size_of::<Header>() == 8);
    assert!(size_of::<VersionReply>() == 112);
    assert!(size_of::<Configure>() == 40);
    assert!(size_of::<Enqueue>() == 40);
    assert!(size_of::<WaitReply>() == 16);
    assert!(size_of::<Close>() == 16);
    assert!(size_of::<CloseReply>() == 8);
    assert!(size_of::<CancelReply>() == 8);
    assert!(size_of::<Batch>() == 16);
    assert!(size_of::<BatchItem>() == 4);
    assert!(size_of::<BatchReply>() == 8);
    // A driver may write its answer over the input as it goes.
    assert!(size_of::<BatchReply>() <= size_of::<Batch>());
    assert!(size_of::<StatisticsReply>() == 112);
};
