//! What a task is created with, what it is told, and what it tells.

use core::fmt;
use core::time::Duration;

use crate::NtStatus;

/// When a task runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Never: only when a method asks for it. DMF's `ScheduledTask_ExecuteWhen_Other`.
    OnDemand,
    /// When the driver calls [`prepare_hardware`](super::ScheduledTask::prepare_hardware).
    PrepareHardware,
    /// When the driver calls [`d0_entry`](super::ScheduledTask::d0_entry).
    D0Entry,
}

/// Where the run of a moment takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the thread that tells of the moment, before the method returns; a failure is the method's error.
    Immediate,
    /// On a system worker thread, after [`initial_delay`](TaskConfig::initial_delay).
    Deferred,
}

/// How long "the work is done" is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence<'a> {
    /// As long as the task lives.
    NotPersistentAcrossReboots,
    /// In a `REG_DWORD` of this name in the driver's `Parameters` key, which outlives the driver. Two tasks with two
    /// names do not know of each other; two devices of one driver that each have such a task need two names.
    ///
    /// A name is 1 to [`MAX_NAME`](super::MAX_NAME) UTF-16 units long.
    PersistentAcrossReboots(&'a str),
}

/// What a task is created with: DMF's `DMF_CONFIG_ScheduledTask`.
///
/// ```
/// use core::time::Duration;
/// use queued_work_item::scheduled_task::{Mode, Persistence, TaskConfig, When};
/// let config = TaskConfig::new(When::D0Entry, Mode::Deferred)
///     .persistence(Persistence::PersistentAcrossReboots("CalibrationTimesRun"))
///     .retry_on_failure(Duration::from_secs(5));
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskConfig<'a> {
    /// When it runs by itself. DMF's `ExecuteWhen`.
    pub when: When,
    /// Where. DMF's `ExecutionMode`.
    pub mode: Mode,
    /// How long its success is remembered. DMF's `PersistenceType`.
    pub persistence: Persistence<'a>,
    /// From a deferred moment, or a restart, to the run. DMF's `TimeMsBeforeInitialCall`.
    pub initial_delay: Duration,
    /// From a run that ended with `SuccessButTryAgain` to the next. DMF's `TimerPeriodMsOnSuccess`.
    pub retry_on_success: Duration,
    /// From a run that ended with `FailButTryAgain` to the next. DMF's `TimerPeriodMsOnFail`.
    pub retry_on_failure: Duration,
}

impl TaskConfig<'_> {
    /// Not persistent, no initial delay, a second between a run and its retry.
    #[must_use]
    pub const fn new(when: When, mode: Mode) -> Self {
        Self {
            when,
            mode,
            persistence: Persistence::NotPersistentAcrossReboots,
            initial_delay: Duration::ZERO,
            retry_on_success: Duration::from_secs(1),
            retry_on_failure: Duration::from_secs(1),
        }
    }
}

impl<'a> TaskConfig<'a> {
    /// How long its success is remembered.
    #[must_use]
    pub const fn persistence(mut self, persistence: Persistence<'a>) -> Self {
        self.persistence = persistence;
        self
    }

    /// From a deferred moment, or a restart, to the run.
    #[must_use]
    pub const fn initial_delay(mut self, delay: Duration) -> Self {
        self.initial_delay = delay;
        self
    }

    /// From a run that ended with `SuccessButTryAgain` to the next.
    #[must_use]
    pub const fn retry_on_success(mut self, period: Duration) -> Self {
        self.retry_on_success = period;
        self
    }

    /// From a run that ended with `FailButTryAgain` to the next.
    #[must_use]
    pub const fn retry_on_failure(mut self, period: Duration) -> Self {
        self.retry_on_failure = period;
        self
    }
}

/// What a callback returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskResult {
    /// The work is done: the task does not run by itself any more, for as long as that is remembered.
    Success,
    /// It went well, and is to run again after [`retry_on_success`](TaskConfig::retry_on_success).
    SuccessButTryAgain,
    /// It failed. The next moment runs it again.
    Fail,
    /// It failed, and is to run again after [`retry_on_failure`](TaskConfig::retry_on_failure). From an immediate
    /// moment it is a `Fail`: the driver reports the failure, and the device does not start.
    FailButTryAgain,
}

impl TaskResult {
    /// Is it a success, with or without another try?
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success | Self::SuccessButTryAgain)
    }
}

/// A `WDF_POWER_DEVICE_STATE`, as `EvtDeviceD0Entry` is given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerState(pub i32);

/// Why a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// [`execute_now`](super::ScheduledTask::execute_now).
    Now,
    /// [`execute_now_deferred`](super::ScheduledTask::execute_now_deferred), or its
    /// [`_ex`](super::ScheduledTask::execute_now_deferred_ex).
    NowDeferred,
    /// The hardware has been prepared.
    PrepareHardware,
    /// The device has entered D0, from this state.
    D0Entry(PowerState),
    /// The last run wanted another.
    Retry,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Nothing is scheduled: it awaits its moment.
    Idle,
    /// It will run when a time has passed: the initial delay, or a retry's.
    Waiting,
    /// It will run as soon as a worker thread comes, and the device is back in D0.
    Due,
    /// It runs.
    Running,
    /// It has succeeded, and does not run by itself any more.
    Done,
    /// It has been cancelled, and awaits a restart.
    Cancelled,
    /// It is closed, for good.
    Closed,
}

/// What became of the wish that the task should run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    /// It was idle, and is due now.
    New,
    /// It was waiting for a time, and is due now instead.
    BroughtForward,
    /// It was due or running already: this adds no run.
    Joined,
}

/// What a cancel or close has dropped: nothing that was accepted is lost without being told here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "what was accepted and will not run is told only here"]
pub struct Dropped {
    /// Runs that [`execute_now_deferred`](super::ScheduledTask::execute_now_deferred) had accepted.
    pub runs: u32,
    /// The task itself was scheduled, or the run that this call has waited for wanted a retry. A
    /// [`restart`](super::ScheduledTask::restart) schedules it again.
    pub task: bool,
}

/// What happened to a task so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskCounters {
    /// How often the callback was called, for whatever reason.
    pub runs: u64,
    /// How often the task was scheduled again because its result asked for it.
    pub retries: u64,
    /// Accepted runs that were dropped by a cancel or close.
    pub dropped: u64,
    /// How often a success could not be written to the registry: it counts as long as the task lives, and is
    /// forgotten then.
    pub store_failures: u64,
}

/// What a method of a task could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskError {
    /// The run of an immediate moment failed: `STATUS_UNSUCCESSFUL`, for the driver to return.
    Failed,
    /// The caller is the task's own callback, which the method would wait for: `STATUS_POSSIBLE_DEADLOCK`. Nothing was
    /// changed.
    PossibleDeadlock,
    /// The task is cancelled: `STATUS_CANCELLED`.
    Cancelled,
    /// The task has succeeded and does not run again: `STATUS_INVALID_DEVICE_STATE`.
    Done,
    /// More runs are asked for than can be counted: `STATUS_INSUFFICIENT_RESOURCES`.
    Full,
    /// The task is closed, or its parent is being deleted: `STATUS_DELETE_PENDING`.
    Closing,
    /// The registry refused, with this status.
    Registry(NtStatus),
}

impl TaskError {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Failed => NtStatus::UNSUCCESSFUL,
            Self::PossibleDeadlock => NtStatus::POSSIBLE_DEADLOCK,
            Self::Cancelled => NtStatus::CANCELLED,
            Self::Done => NtStatus::INVALID_DEVICE_STATE,
            Self::Full => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Closing => NtStatus::DELETE_PENDING,
            Self::Registry(status) => status,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed => f.write_str("the task failed"),
            Self::PossibleDeadlock => f.write_str("the caller is the task that it would wait for"),
            Self::Cancelled => f.write_str("the task is cancelled"),
            Self::Done => f.write_str("the task is done"),
            Self::Full => f.write_str("too many runs are asked for"),
            Self::Closing => f.write_str("the task is closing"),
            Self::Registry(status) => write!(f, "the registry refused: {status}"),
        }
    }
}

impl core::error::Error for TaskError {}

/// The configured times, in units of 100 ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) initial_delay: u64,
    pub(crate) retry_on_success: u64,
    pub(crate) retry_on_failure: u64,
}

impl Timing {
    pub(crate) fn new(config: &TaskConfig<'_>) -> Self {
        Self {
            initial_delay: units(config.initial_delay),
            retry_on_success: units(config.retry_on_success),
            retry_on_failure: units(config.retry_on_failure),
        }
    }
}

/// Rounded up: a task is late rather than early.
fn units(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(100)).unwrap_or(u64::MAX)
}
