//! Tasks: what the driver does with `ScheduledTask`.
//!
//! A task's callback is a script: what it returns run by run, how long it takes, and what it tries upon its own task. So
//! every result can be had at every moment, and the log says when each run began and why.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Header, limits};

/// The input of [`TASK_CONFIGURE`](crate::TASK_CONFIGURE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskConfigure {
    /// Version and task.
    pub header: Header,
    /// When it runs by itself: [`TaskConfigure::ON_DEMAND`] and its like.
    pub when: u32,
    /// Where: [`TaskConfigure::IMMEDIATE`] or [`TaskConfigure::DEFERRED`].
    pub mode: u32,
    /// 0 for a task that is not persistent; or the value in the driver's `Parameters` key that remembers it, 1 to
    /// [`limits::TASK_NAMES`]: `ScheduledTaskTimesRun` and the number.
    pub name: u32,
    /// From a deferred moment, or a restart, to the run, up to [`limits::TASK_DELAY_MS`].
    pub initial_delay_ms: u32,
    /// From a run that ended with [`TaskConfigure::SUCCESS_BUT_TRY_AGAIN`] to the next, from 1 to the same.
    pub retry_on_success_ms: u32,
    /// From a run that ended with [`TaskConfigure::FAIL_BUT_TRY_AGAIN`] to the next, from 1 to the same.
    pub retry_on_failure_ms: u32,
    /// How long each run works, up to [`limits::SPEND_US`].
    pub spend_us: u32,
    /// What each run calls upon its own task: [`TaskConfigure::NOTHING`] and its like. The log has what it was told.
    pub inside: u32,
    /// How many of [`TaskConfigure::results`] count, 1 to [`limits::TASK_RESULTS`].
    pub result_count: u32,
    /// What the runs return, in their order; the last one that counts for all runs after it. Zero where they do not count.
    pub results: [u8; limits::TASK_RESULTS as usize],
    /// Zero.
    pub reserved: u32,
}

impl TaskConfigure {
    /// [`TaskConfigure::when`]: only when it is asked for.
    pub const ON_DEMAND: u32 = 0;
    /// When the hardware has been prepared.
    pub const PREPARE_HARDWARE: u32 = 1;
    /// When the device has entered D0.
    pub const D0_ENTRY: u32 = 2;

    /// [`TaskConfigure::mode`]: in the thread that tells of the moment.
    pub const IMMEDIATE: u32 = 0;
    /// On a worker thread.
    pub const DEFERRED: u32 = 1;

    /// A result: the work is done.
    pub const SUCCESS: u8 = 0;
    /// It went well, and is to run again.
    pub const SUCCESS_BUT_TRY_AGAIN: u8 = 1;
    /// It failed.
    pub const FAIL: u8 = 2;
    /// It failed, and is to run again.
    pub const FAIL_BUT_TRY_AGAIN: u8 = 3;

    /// [`TaskConfigure::inside`]: the callback calls nothing.
    pub const NOTHING: u32 = 0;
    /// It cancels its task, which it would wait for.
    pub const CANCEL: u32 = 1;
    /// It closes its task.
    pub const CLOSE: u32 = 2;
    /// It executes its task now.
    pub const EXECUTE_NOW: u32 = 3;
    /// It asks for its task to be executed soon, which joins the run that goes on.
    pub const EXECUTE_NOW_DEFERRED_EX: u32 = 4;

    /// A task that succeeds at once: not persistent, no delay, a second from a run to its retry.
    pub const fn new(task: u32, when: u32, mode: u32) -> Self {
        Self {
            header: Header::new(task),
            when,
            mode,
            name: 0,
            initial_delay_ms: 0,
            retry_on_success_ms: 1_000,
            retry_on_failure_ms: 1_000,
            spend_us: 0,
            inside: Self::NOTHING,
            result_count: 1,
            results: [Self::SUCCESS; limits::TASK_RESULTS as usize],
            reserved: 0,
        }
    }

    /// The same, whose runs return these; what there is no room for is left out.
    #[must_use]
    pub const fn with_results(mut self, results: &[u8]) -> Self {
        let mut count = 0;
        self.result_count = 0;
        while count < results.len() && count < self.results.len() {
            self.results[count] = results[count];
            count += 1;
            self.result_count += 1;
        }
        self
    }

    /// The same, with these times from a run to its retry.
    #[must_use]
    pub const fn with_retries(mut self, on_success_ms: u32, on_failure_ms: u32) -> Self {
        self.retry_on_success_ms = on_success_ms;
        self.retry_on_failure_ms = on_failure_ms;
        self
    }
}

/// The input of [`TASK_EXECUTE`](crate::TASK_EXECUTE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskExecute {
    /// Version and task.
    pub header: Header,
    /// [`TaskExecute::NOW`] and its like.
    pub how: u32,
    /// [`TaskExecute::AT_DISPATCH`] or 0.
    pub flags: u32,
}

impl TaskExecute {
    /// `execute_now`: on a thread that the request waits for.
    pub const NOW: u32 = 0;
    /// `execute_now_deferred`
    pub const DEFERRED: u32 = 1;
    /// `execute_now_deferred_ex`
    pub const DEFERRED_EX: u32 = 2;

    /// It is asked for at `DISPATCH_LEVEL`, under a spin lock. Not with [`TaskExecute::NOW`].
    pub const AT_DISPATCH: u32 = 1;
}

/// The output of [`TASK_EXECUTE`](crate::TASK_EXECUTE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskExecuteReply {
    /// Of [`TaskExecute::NOW`], what the run returned, [`TaskConfigure::SUCCESS`] and its like; of
    /// [`TaskExecute::DEFERRED_EX`], [`TaskExecuteReply::NEW`] and its like; else zero.
    pub outcome: u32,
    /// Zero.
    pub reserved: u32,
}

impl TaskExecuteReply {
    /// The task was idle, and is due now.
    pub const NEW: u32 = 0;
    /// It was waiting for a time, and is due now instead.
    pub const BROUGHT_FORWARD: u32 = 1;
    /// It was due or running already: no run more.
    pub const JOINED: u32 = 2;
}

/// The input of [`TASK_EVENT`](crate::TASK_EVENT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskEvent {
    /// Version and task.
    pub header: Header,
    /// [`TaskEvent::PREPARE_HARDWARE`] and its like.
    pub event: u32,
    /// Of [`TaskEvent::D0_ENTRY`], the power state before, up to [`limits::POWER_STATE`], as
    /// `WDF_POWER_DEVICE_STATE` counts; else zero.
    pub from: u32,
}

impl TaskEvent {
    /// The hardware has been prepared.
    pub const PREPARE_HARDWARE: u32 = 0;
    /// The hardware is to be released: no deferred run begins until it is prepared again.
    pub const RELEASE_HARDWARE: u32 = 1;
    /// The device has entered D0.
    pub const D0_ENTRY: u32 = 2;
    /// The device is to leave D0: no deferred run begins until it is back.
    pub const D0_EXIT: u32 = 3;
}

/// The output of [`TASK_CANCEL`](crate::TASK_CANCEL) and [`TASK_CLOSE`](crate::TASK_CLOSE): what was accepted and does not
/// run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskDroppedReply {
    /// Runs that [`TaskExecute::DEFERRED`] had asked for.
    pub runs: u32,
    /// 1 if the task itself was scheduled, or the run that was waited for wanted another.
    pub task: u32,
}

/// The output of [`TASK_RESTART`](crate::TASK_RESTART).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskRestartReply {
    /// 1 if that ended a cancel; 0 if there was none.
    pub restarted: u32,
    /// Zero.
    pub reserved: u32,
}

/// The input of [`TASK_SET_TIMES_RUN`](crate::TASK_SET_TIMES_RUN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskSetTimesRun {
    /// Version and task.
    pub header: Header,
    /// How often the task has succeeded, from now on; with 0 it is not done.
    pub times: u32,
    /// Zero.
    pub reserved: u32,
}

/// The output of [`TASK_STATISTICS`](crate::TASK_STATISTICS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskStatisticsReply {
    /// [`TaskStatisticsReply::NOT_CONFIGURED`] and its like.
    pub state: u32,
    /// How often the task has succeeded; of a persistent one, since its value was first written.
    pub times_run: u32,
    /// Calls of the callback.
    pub runs: u64,
    /// Times that the task was scheduled again because its result asked for it.
    pub retries: u64,
    /// Accepted runs that a cancel or a close has dropped.
    pub dropped: u64,
    /// Successes that could not be written to the registry.
    pub store_failures: u64,
    /// Callbacks that found another one running: must stay 0.
    pub overlaps: u64,
    /// Callbacks that ran above `PASSIVE_LEVEL`: must stay 0.
    pub above_passive: u64,
    /// The runs by why they took place: [`TaskLogEntry::NOW`] and its like.
    pub causes: [u64; 5],
    /// 1 if the gate is closed.
    pub gated: u32,
    /// Zero.
    pub reserved: u32,
}

impl TaskStatisticsReply {
    /// There is no such task; what is told is of the one that there was.
    pub const NOT_CONFIGURED: u32 = 0;
    /// It awaits its moment.
    pub const IDLE: u32 = 1;
    /// It will run when a time has passed.
    pub const WAITING: u32 = 2;
    /// It will run when a worker comes, and the device is there.
    pub const DUE: u32 = 3;
    /// It runs.
    pub const RUNNING: u32 = 4;
    /// It has succeeded.
    pub const DONE: u32 = 5;
    /// It is cancelled.
    pub const CANCELLED: u32 = 6;
    /// It is closing.
    pub const CLOSED: u32 = 7;
}

/// The input of [`TASK_READ_LOG`](crate::TASK_READ_LOG).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskReadLog {
    /// Version and task.
    pub header: Header,
    /// The first sequence number wanted, from 0; see [`ReadLog::from`](crate::ReadLog::from).
    pub from: u64,
}

/// One run of a task. The output of [`TASK_READ_LOG`](crate::TASK_READ_LOG) is a [`LogReply`](crate::LogReply) and `count`
/// of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskLogEntry {
    /// Runs before this one, since the task was configured.
    pub sequence: u64,
    /// Nanoseconds from the task's configuration until this run began.
    pub began_ns: u64,
    /// The same, until it ended.
    pub ended_ns: u64,
    /// The thread that ran it.
    pub thread: u64,
    /// Why: [`TaskLogEntry::NOW`] and its like.
    pub cause: u32,
    /// Of [`TaskLogEntry::D0_ENTRY`], the power state before; else zero.
    pub from: u32,
    /// What it returned.
    pub result: u32,
    /// The IRQL it ran at.
    pub irql: u32,
    /// What the callback was told by what it called: see [`TaskConfigure::inside`].
    pub inside_status: u32,
    /// Zero.
    pub reserved: u32,
}

impl TaskLogEntry {
    /// It was executed now.
    pub const NOW: u32 = 0;
    /// It was asked for, to be executed soon.
    pub const NOW_DEFERRED: u32 = 1;
    /// The hardware has been prepared.
    pub const PREPARE_HARDWARE: u32 = 2;
    /// The device has entered D0.
    pub const D0_ENTRY: u32 = 3;
    /// The run before wanted another.
    pub const RETRY: u32 = 4;
}

const _: () = {
    assert!(size_of::<TaskConfigure>() == 64);
    assert!(size_of::<TaskExecute>() == 16);
    assert!(size_of::<TaskExecuteReply>() == 8);
    assert!(size_of::<TaskEvent>() == 16);
    assert!(size_of::<TaskDroppedReply>() == 8);
    assert!(size_of::<TaskRestartReply>() == 8);
    assert!(size_of::<TaskSetTimesRun>() == 16);
    assert!(size_of::<TaskStatisticsReply>() == 104);
    assert!(size_of::<TaskReadLog>() == 16);
    assert!(size_of::<TaskLogEntry>() == 56);
};
