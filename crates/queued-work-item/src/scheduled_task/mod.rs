//! A task that runs at a moment of a device's life, once or until it has succeeded: DMF's `ScheduledTask`.
//!
//! Drivers have work that does not belong where it falls due: firmware to be loaded at the first D0 entry but not in
//! the callback that the power manager waits for, a calibration to be tried again until the hardware answers, a setting
//! to be written once in the life of an installation. A timer, a work item and some flags do it, and the flags are where
//! it goes wrong: what a cancel finds half way, what a power cycle leaves behind, what two threads do at once. Here the
//! flags are one state, and each row of the table below is a test.
//!
//! ```
//! use core::time::Duration;
//! use queued_work_item::kernel::Parent;
//! use queued_work_item::scheduled_task::{Mode, PowerState, TaskConfig, TaskResult, When};
//! use queued_work_item::{Passive, ScheduledTask};
//!
//! let passive = &mut unsafe { Passive::assume() };
//! let config = TaskConfig::new(When::D0Entry, Mode::Deferred).retry_on_failure(Duration::from_millis(5));
//! let mut answers = [false, true].into_iter();
//! let task = ScheduledTask::create(passive, Parent::default(), &config, move |_cause, _passive| {
//!     if answers.next() == Some(true) {
//!         TaskResult::Success
//!     } else {
//!         TaskResult::FailButTryAgain // in 5 ms
//!     }
//! })?;
//! // In EvtDeviceD0Entry; EvtDeviceD0Exit has its counterpart.
//! task.d0_entry(passive, PowerState(4))?;
//! # while task.times_run() == 0 { std::thread::yield_now() }
//! // In EvtDeviceSelfManagedIoCleanup.
//! let dropped = task.close(passive)?;
//! assert!(!dropped.task, "it had succeeded");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # States
//! | state | a moment of the task (deferred) | `execute_now_deferred_ex` | expiry | a worker comes | `cancel` | `restart` |
//! |---|---|---|---|---|---|---|
//! | [`Idle`](TaskState::Idle) | Waiting; Due without an initial delay | Due | - | - | Cancelled | - |
//! | [`Waiting`](TaskState::Waiting) | - | Due | Due | - | Cancelled, owed | - |
//! | [`Due`](TaskState::Due) | - | - | - | Running | Cancelled, owed | - |
//! | [`Running`](TaskState::Running) | - | - | - | - | Cancelled; owed if the result asks for another run | - |
//! | [`Done`](TaskState::Done) | - | refused | - | - | Cancelled | - |
//! | [`Cancelled`](TaskState::Cancelled) | owed | refused | - | - | - | Waiting or Due if owed, else Idle or Done |
//! | [`Closed`](TaskState::Closed) | refused | refused | - | - | - | - |
//!
//! "-" changes nothing. `Done` is `Idle` with [`times_run`](ScheduledTask::times_run) above 0. "Owed" is told by
//! [`Dropped::task`]. Every state but Closed goes to Closed by [`close`](ScheduledTask::close).
//!
//! | a run that ended with | leaves the state | and the times run |
//! |---|---|---|
//! | [`Success`](TaskResult::Success) | Done | + 1, in the registry if the task is persistent |
//! | [`SuccessButTryAgain`](TaskResult::SuccessButTryAgain) | Waiting, for `retry_on_success` | |
//! | [`Fail`](TaskResult::Fail) | Idle | |
//! | [`FailButTryAgain`](TaskResult::FailButTryAgain) | Waiting, for `retry_on_failure`; Idle after an immediate moment | |
//!
//! # How often it runs
//! | asked for by | with `Success` | `SuccessButTryAgain` | `Fail` | `FailButTryAgain` |
//! |---|---|---|---|---|
//! | moments, deferred | once | from the first moment on, periodically | once a moment | as often as it takes |
//! | moments, immediate | once | once a moment, and periodically; a moment takes a waiting retry's place | once a moment, which returns [`Failed`](TaskError::Failed) | the same |
//! | `execute_now_deferred_ex` | once; then it is refused | periodically | once a call | as often as it takes |
//! | `execute_now`, `execute_now_deferred` | once a call | once a call | once a call | once a call |
//!
//! The last row's results are the caller's business: they neither complete the task nor schedule a retry, as in DMF.
//! Two runs never overlap, whoever asked for them.
//!
//! # Power
//! A driver tells of each event that its task is to obey. After [`d0_exit`](ScheduledTask::d0_exit) no deferred run
//! begins, and none is going on when it returns; the timer goes on, and what expires meanwhile runs after the next
//! [`d0_entry`](ScheduledTask::d0_entry). [`release_hardware`](ScheduledTask::release_hardware) and
//! [`prepare_hardware`](ScheduledTask::prepare_hardware) are such a pair as well. So a retry survives any number of power
//! cycles. In DMF, the first release of the hardware ends all retries for good.
//!
//! # What it stands on
//! A [`QueuedWorkItem`](crate::QueuedWorkItem) brings it to `PASSIVE_LEVEL`, the other way round than in DMF, where
//! `QueuedWorkItem` has a `ScheduledTask` for a child and uses of it no more than "run soon, once for each call".

mod callback;
mod config;
mod core;
mod machine;
mod name;

use ::core::fmt;

pub use self::config::{
    Cause, Dropped, Mode, Persistence, PowerState, Scheduled, TaskConfig, TaskCounters, TaskError,
    TaskResult, TaskState, When,
};
#[cfg(all(loom, test))]
pub(crate) use self::core::Handle;
#[cfg(not(all(loom, test)))]
use self::core::Handle;
#[cfg(all(loom, test))]
pub(crate) use self::machine::Broken;
use crate::kernel::Parent;
use crate::{CreateError, Passive};

/// The longest name of a persistent task's registry value, in UTF-16 units.
pub const MAX_NAME: usize = 64;

/// A task: see the [module](self).
///
/// # Guarantees
/// - Two runs of the callback never overlap, and each sees what the last one left.
/// - After [`cancel`](Self::cancel) or [`close`](Self::close) has returned, the callback does not run, until a
///   [`restart`](Self::restart) after the former; and what was accepted and will not run has been told.
///
/// # Dropping
/// Dropping the task closes it but does not wait for a callback that runs: only `close` does. IRQL `PASSIVE_LEVEL`.
pub struct ScheduledTask(Handle);

impl ScheduledTask {
    /// Creates a task under `parent`. Nothing runs yet.
    ///
    /// `callback` is told why it runs, and returns how the task goes on. When `parent` is deleted, the task closes.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, here and for `callback`.
    ///
    /// # Errors
    /// [`CreateError::InvalidConfig`] for a persistent task's name that is empty, too long or has a zero in it;
    /// [`CreateError::Framework`] also when its value cannot be read: it might run a second time. Nothing is left
    /// behind.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a parent is a name made for this call"
    )]
    pub fn create(
        passive: &mut Passive,
        parent: Parent,
        config: &TaskConfig<'_>,
        callback: impl FnMut(Cause, &mut Passive) -> TaskResult + Send + 'static,
    ) -> Result<Self, CreateError> {
        Handle::new(passive, &parent, config, callback).map(Self)
    }

    /// The hardware has been prepared: for `EvtDevicePrepareHardware`. Runs or schedules a task whose moment this is,
    /// and lets begin what [`release_hardware`](Self::release_hardware) has held back.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`TaskError::Failed`] from an immediate task, for the driver to return: what was held back stays so.
    /// [`TaskError::Closing`]; [`TaskError::PossibleDeadlock`] from the callback.
    pub fn prepare_hardware(&self, passive: &mut Passive) -> Result<(), TaskError> {
        self.0.prepare_hardware(passive)
    }

    /// The hardware is to be released: for `EvtDeviceReleaseHardware`. When this returns, no deferred run goes on, and
    /// none begins until the hardware is prepared again. Nothing is forgotten.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`TaskError::PossibleDeadlock`] from the callback.
    pub fn release_hardware(&self, passive: &mut Passive) -> Result<(), TaskError> {
        self.0.release_hardware(passive)
    }

    /// The device has entered D0, coming from `from`: for `EvtDeviceD0Entry`. Runs or schedules a task whose moment this
    /// is, and lets begin what [`d0_exit`](Self::d0_exit) has held back.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As for [`prepare_hardware`](Self::prepare_hardware).
    pub fn d0_entry(&self, passive: &mut Passive, from: PowerState) -> Result<(), TaskError> {
        self.0.d0_entry(passive, from)
    }

    /// The device is to leave D0: for `EvtDeviceD0Exit`. When this returns, no deferred run goes on, and none begins
    /// until the device is back. Nothing is forgotten: timers go on, and what expires is run then.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`TaskError::PossibleDeadlock`] from the callback.
    pub fn d0_exit(&self, passive: &mut Passive) -> Result<(), TaskError> {
        self.0.d0_exit(passive)
    }

    /// Runs the callback here and now, whatever the device's power and however often it has succeeded, and returns its
    /// result, which is the caller's: the task's own schedule does not change. A run that goes on is waited for.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`TaskError::Cancelled`], [`TaskError::Closing`]; [`TaskError::PossibleDeadlock`] from the callback.
    pub fn execute_now(&self, passive: &mut Passive) -> Result<TaskResult, TaskError> {
        self.0.execute_now(passive)
    }

    /// Runs the callback soon, on a worker thread: exactly once for each call that succeeds, unless a cancel or close
    /// tells that it was dropped. The result is ignored, as in DMF.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`. It allocates nothing. It may be called from the callback.
    ///
    /// # Errors
    /// [`TaskError::Cancelled`], [`TaskError::Closing`]; [`TaskError::Full`] beyond 2^32 - 1 calls. Nothing has changed.
    pub fn execute_now_deferred(&self) -> Result<(), TaskError> {
        self.0.execute_now_deferred()
    }

    /// Schedules the task itself to run soon, on a worker thread, and tells what that changed: a task that waits is
    /// brought forward, one that is due or runs is joined. Its result counts: `Success` completes the task, and the
    /// others retry.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`. It may be called from the callback, which it joins.
    ///
    /// # Errors
    /// [`TaskError::Done`] when it has succeeded; [`TaskError::Cancelled`], [`TaskError::Closing`]. Nothing has changed.
    pub fn execute_now_deferred_ex(&self) -> Result<Scheduled, TaskError> {
        self.0.execute_now_deferred_ex()
    }

    /// Lets nothing run until a [`restart`](Self::restart), and tells what has been dropped. When this returns, no run
    /// goes on, and the result of the one that did is accounted for: a retry that it asked for is among what is told. A
    /// moment that comes while the task is cancelled is kept for the restart.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`. The time it takes is that of the callback that runs.
    ///
    /// # Errors
    /// [`TaskError::PossibleDeadlock`] from the callback, which it would wait for: return `Fail` or `Success` instead.
    pub fn cancel(&self, passive: &mut Passive) -> Result<Dropped, TaskError> {
        self.0.cancel(passive)
    }

    /// Ends a cancel; `false` when there is none. If the task was cut short, or its moment has come since, it is
    /// scheduled, to run after the initial delay; runs that were dropped are not.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    pub fn restart(&self) -> bool {
        self.0.restart()
    }

    /// As [`cancel`](Self::cancel), for good. A second close waits as the first does.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`TaskError::PossibleDeadlock`] from the callback.
    pub fn close(&self, passive: &mut Passive) -> Result<Dropped, TaskError> {
        self.0.close(passive)
    }

    /// Where the task is. IRQL `<= DISPATCH_LEVEL`.
    pub fn state(&self) -> TaskState {
        self.0.state()
    }

    /// How often the task has succeeded: for a persistent one, since its value was written first. IRQL
    /// `<= DISPATCH_LEVEL`.
    pub fn times_run(&self) -> u32 {
        self.0.times_run()
    }

    /// Sets [`times_run`](Self::times_run), for a persistent task in the registry too. With 0 the task is not done, and
    /// its next moment runs it; with more it is done, and what was scheduled is not any more. A run that goes on is
    /// waited for.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`TaskError::Registry`], and nothing has changed; [`TaskError::PossibleDeadlock`] from the callback.
    pub fn set_times_run(&self, passive: &mut Passive, times: u32) -> Result<(), TaskError> {
        self.0.set_times_run(passive, times)
    }

    /// What happened so far. Read under one lock: the figures fit each other. IRQL `<= DISPATCH_LEVEL`.
    pub fn counters(&self) -> TaskCounters {
        self.0.counters()
    }
}

impl fmt::Debug for ScheduledTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScheduledTask")
            .field("state", &self.state())
            .field("times_run", &self.times_run())
            .finish_non_exhaustive()
    }
}
