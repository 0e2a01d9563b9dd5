//! The states of a task and what moves it from one to the next, and nothing else: no lock, no timer, no callback.
//!
//! Each event is a function that changes the state and returns an [`Effect`], what the caller has to do with the timer
//! and the worker while it still holds the lock. That makes the whole table testable without a thread, and leaves one
//! question for the models: is every event that happens at once with another one or the other, as a whole?

use super::config::Timing;
use super::{Cause, Scheduled, TaskCounters, TaskError, TaskResult, TaskState};

/// Variants that are wrong on purpose, for the models to catch: `Core<{ Broken::… as u8 }>`. The product is 0.
#[derive(Clone, Copy)]
#[cfg_attr(not(all(loom, test)), allow(dead_code, reason = "only the models make these"))]
pub(crate) enum Broken {
    /// An expiry looks whether somebody waits for it, lets go of the lock, and then makes the task due.
    ExpiresUnlocked = 1,
    /// A cancel does not wait for the callback that runs, and so cannot tell whether that one wants a retry.
    CancelLeaves = 2,
    /// A worker that has found nothing to do says that it has come only after it has let go of the lock: what becomes
    /// due in between waits for a worker that has been already.
    ArrivesLate = 3,
}

/// Where the task's own schedule is. Runs on demand go beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The timer is set for this time, or has just expired.
    Waiting {
        due: u64,
        cause: Cause,
    },
    Due(Cause),
    Running,
    Cancelled {
        /// What a restart has to schedule again.
        owed: Option<Cause>,
    },
    Closed {
        /// A run or a retry was due that now never comes.
        owed: bool,
    },
}

/// Why no deferred run may begin, whatever the phase.
#[derive(Clone, Copy)]
struct Held {
    out_of_d0: bool,
    released: bool,
}

/// What the caller has to do before it lets go of the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the timer and the worker do not know by themselves"]
pub(crate) struct Effect {
    /// Stop the timer, if it is set.
    pub(crate) stop_timer: bool,
    /// Set the timer to expire after this many units.
    pub(crate) set_timer: Option<u64>,
    /// Send a worker.
    pub(crate) kick: bool,
}

/// What a worker that has its turn is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The task itself: its result decides how it goes on.
    Task(Cause),
    /// A run that was asked for: its result is nobody's.
    Demanded,
}

/// # Invariants
/// - `kicked` is true from the moment that a caller is told to send a worker until that worker arrives.
/// - Whenever work may begin and `kicked` is false, the turn is somebody's, who will look again.
/// - The timer is set while the phase is `Waiting`, and only then. An expiry in another phase, or before its time, is
///   one that came too late to be stopped.
pub(crate) struct Machine {
    phase: Phase,
    /// Runs accepted by `execute_now_deferred` and not begun.
    demanded: u32,
    /// Where both are due, they take turns.
    demanded_next: bool,
    times_run: u32,
    kicked: bool,
    held: Held,
    /// Whoever runs the callback.
    runner: Option<u64>,
    counters: TaskCounters,
}

impl Machine {
    pub(crate) const fn new(times_run: u32) -> Self {
        Self {
            phase: Phase::Idle,
            demanded: 0,
            demanded_next: false,
            times_run,
            kicked: false,
            held: Held {
                out_of_d0: false,
                released: false,
            },
            runner: None,
            counters: TaskCounters {
                runs: 0,
                retries: 0,
                dropped: 0,
                store_failures: 0,
            },
        }
    }

    pub(crate) const fn state(&self) -> TaskState {
        match self.phase {
            Phase::Idle if self.times_run > 0 => TaskState::Done,
            Phase::Idle => TaskState::Idle,
            Phase::Waiting { .. } => TaskState::Waiting,
            Phase::Due(_) => TaskState::Due,
            Phase::Running => TaskState::Running,
            Phase::Cancelled { .. } => TaskState::Cancelled,
            Phase::Closed { .. } => TaskState::Closed,
        }
    }

    pub(crate) const fn counters(&self) -> TaskCounters {
        self.counters
    }

    pub(crate) const fn times_run(&self) -> u32 {
        self.times_run
    }

    /// Does this thread run the callback?
    pub(crate) fn is_inside(&self, thread: u64) -> bool {
        self.runner == Some(thread)
    }

    /// A deferred moment of the task: it is to run, after `delay`, if it is neither done nor scheduled already.
    pub(crate) fn moment(&mut self, cause: Cause, now: u64, delay: u64) -> Result<Effect, TaskError> {
        match &mut self.phase {
            Phase::Closed { .. } => Err(TaskError::Closing),
            Phase::Idle if self.times_run == 0 => Ok(self.schedule(cause, now, delay)),
            Phase::Cancelled { owed } if self.times_run == 0 => {
                *owed = Some(owed.unwrap_or(cause));
                Ok(Effect::default())
            }
            _ => Ok(Effect::default()),
        }
    }

    /// The task is to run as soon as may be.
    pub(crate) fn demand_task(&mut self) -> Result<(Scheduled, Effect), TaskError> {
        self.may_run()?;
        match self.phase {
            Phase::Idle if self.times_run > 0 => Err(TaskError::Done),
            Phase::Idle => {
                self.phase = Phase::Due(Cause::NowDeferred);
                Ok((Scheduled::New, self.kick(Effect::default())))
            }
            Phase::Waiting { .. } => {
                self.phase = Phase::Due(Cause::NowDeferred);
                let stopped = Effect {
                    stop_timer: true,
                    ..Effect::default()
                };
                Ok((Scheduled::BroughtForward, self.kick(stopped)))
            }
            _ => Ok((Scheduled::Joined, Effect::default())),
        }
    }

    /// One more run, whatever the task's schedule.
    pub(crate) fn demand_run(&mut self) -> Result<Effect, TaskError> {
        self.may_run()?;
        self.demanded = self.demanded.checked_add(1).ok_or(TaskError::Full)?;
        Ok(self.kick(Effect::default()))
    }

    /// May a run that is asked for be accepted?
    pub(crate) const fn may_run(&self) -> Result<(), TaskError> {
        match self.phase {
            Phase::Closed { .. } => Err(TaskError::Closing),
            Phase::Cancelled { .. } => Err(TaskError::Cancelled),
            _ => Ok(()),
        }
    }

    /// The timer has expired.
    pub(crate) fn expire(&mut self, now: u64) -> Effect {
        match self.phase {
            Phase::Waiting { due, cause } if now >= due => {
                self.phase = Phase::Due(cause);
                self.kick(Effect::default())
            }
            // One that a stop was too late for, or one that was early by a tick of the clock that timers go by.
            Phase::Waiting { due, .. } => Effect {
                set_timer: Some(due - now),
                ..Effect::default()
            },
            _ => Effect::default(),
        }
    }

    /// What a broken variant does about an expiry: the task is due, whatever has happened since.
    #[cfg_attr(not(all(loom, test)), allow(dead_code, reason = "only the models do this"))]
    pub(crate) fn expire_blindly(&mut self) -> Effect {
        self.phase = Phase::Due(Cause::Retry);
        self.kick(Effect::default())
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// A worker that was sent has come.
    pub(crate) fn arrive(&mut self) {
        self.kicked = false;
    }

    /// Begins a run, for the worker that has its turn.
    pub(crate) fn begin_deferred(&mut self, thread: u64) -> Option<Work> {
        if self.is_held() {
            return None;
        }
        let work = match self.phase {
            Phase::Cancelled { .. } | Phase::Closed { .. } => return None,
            Phase::Due(cause) if self.demanded == 0 || !self.demanded_next => {
                self.phase = Phase::Running;
                self.demanded_next = true;
                Work::Task(cause)
            }
            _ if self.demanded > 0 => {
                self.demanded -= 1;
                self.demanded_next = false;
                Work::Demanded
            }
            _ => return None,
        };
        self.begin(thread);
        Some(work)
    }

    /// Begins the run of an immediate moment, for the caller that has its turn. A retry that waits is this one.
    pub(crate) fn begin_moment(&mut self, cause: Cause, thread: u64) -> Result<Option<Effect>, TaskError> {
        let effect = Effect {
            stop_timer: self.is_waiting(),
            ..Effect::default()
        };
        match &mut self.phase {
            Phase::Closed { .. } => Err(TaskError::Closing),
            Phase::Cancelled { owed } => {
                if self.times_run == 0 {
                    *owed = Some(owed.unwrap_or(cause));
                }
                Ok(None)
            }
            Phase::Idle if self.times_run > 0 => Ok(None),
            _ => {
                self.phase = Phase::Running;
                self.begin(thread);
                Ok(Some(effect))
            }
        }
    }

    /// Begins a run in the place of its caller, who has its turn.
    pub(crate) fn begin_now(&mut self, thread: u64) -> Result<(), TaskError> {
        self.may_run()?;
        self.begin(thread);
        Ok(())
    }

    fn begin(&mut self, thread: u64) {
        self.runner = Some(thread);
        self.counters.runs += 1;
    }

    /// A run that was asked for has ended.
    pub(crate) fn end_run(&mut self) -> Effect {
        self.runner = None;
        self.kick(Effect::default())
    }

    /// A run of the task has ended with `result`. `retries`: may it be tried again by the timer?
    pub(crate) fn end_task(
        &mut self,
        result: TaskResult,
        retries: bool,
        now: u64,
        timing: &Timing,
    ) -> Effect {
        self.runner = None;
        let again = match result {
            TaskResult::Success => {
                self.times_run = self.times_run.saturating_add(1);
                None
            }
            TaskResult::SuccessButTryAgain => Some(timing.retry_on_success),
            TaskResult::FailButTryAgain if retries => Some(timing.retry_on_failure),
            TaskResult::Fail | TaskResult::FailButTryAgain => None,
        };
        let effect = match (&mut self.phase, again) {
            (Phase::Closed { owed }, again) => {
                *owed = result != TaskResult::Success && (*owed || again.is_some());
                Effect::default()
            }
            (Phase::Cancelled { owed }, again) => {
                if result == TaskResult::Success {
                    *owed = None;
                } else if again.is_some() {
                    *owed = Some(owed.unwrap_or(Cause::Retry));
                }
                Effect::default()
            }
            (Phase::Running, Some(delay)) => {
                self.phase = Phase::Idle;
                self.counters.retries += 1;
                self.schedule(Cause::Retry, now, delay)
            }
            (Phase::Running, None) => {
                self.phase = Phase::Idle;
                Effect::default()
            }
            // A cancel and a restart came while it ran: what the restart has scheduled stands, unless the work is done.
            (Phase::Idle | Phase::Waiting { .. } | Phase::Due(_), again) => {
                self.settle_after_restart(result, again, now)
            }
        };
        self.kick(effect)
    }

    fn settle_after_restart(&mut self, result: TaskResult, again: Option<u64>, now: u64) -> Effect {
        if result == TaskResult::Success {
            return self.unschedule();
        }
        match (self.phase, again) {
            (Phase::Idle, Some(delay)) => {
                self.counters.retries += 1;
                self.schedule(Cause::Retry, now, delay)
            }
            _ => Effect::default(),
        }
    }

    /// From `Idle`, or to it when there is no time to wait.
    fn schedule(&mut self, cause: Cause, now: u64, delay: u64) -> Effect {
        if delay == 0 {
            self.phase = Phase::Due(cause);
            return self.kick(Effect::default());
        }
        self.phase = Phase::Waiting {
            due: now.saturating_add(delay),
            cause,
        };
        Effect {
            set_timer: Some(delay),
            ..Effect::default()
        }
    }

    /// Back to `Idle`, from whatever was scheduled.
    fn unschedule(&mut self) -> Effect {
        let stop_timer = self.is_waiting();
        self.phase = Phase::Idle;
        Effect {
            stop_timer,
            ..Effect::default()
        }
    }

    /// Lets nothing begin any more until a restart. How many runs that were asked for are dropped; whether the task is
    /// cut short shows [`is_cut_short`](Self::is_cut_short) once the run that goes on has ended.
    pub(crate) fn cancel(&mut self) -> (u32, Effect) {
        let owed = match self.phase {
            Phase::Closed { .. } => return (0, Effect::default()),
            Phase::Cancelled { owed } => owed,
            Phase::Waiting { cause, .. } | Phase::Due(cause) => Some(cause),
            Phase::Idle | Phase::Running => None,
        };
        let stop_timer = self.is_waiting();
        self.phase = Phase::Cancelled { owed };
        let effect = Effect {
            stop_timer,
            ..Effect::default()
        };
        (self.drop_runs(), effect)
    }

    /// Has a cancel or a close kept the task from a run or a retry that it was to have?
    pub(crate) const fn is_cut_short(&self) -> bool {
        matches!(
            self.phase,
            Phase::Cancelled { owed: Some(_) } | Phase::Closed { owed: true }
        )
    }

    fn drop_runs(&mut self) -> u32 {
        let runs = core::mem::take(&mut self.demanded);
        self.counters.dropped += u64::from(runs);
        runs
    }

    /// Ends a cancel: what it cut short is scheduled again.
    pub(crate) fn restart(&mut self, now: u64, delay: u64) -> Option<Effect> {
        let Phase::Cancelled { owed } = self.phase else {
            return None;
        };
        self.phase = Phase::Idle;
        Some(match owed {
            Some(cause) if self.times_run == 0 => self.schedule(cause, now, delay),
            _ => self.kick(Effect::default()),
        })
    }

    /// As [`cancel`](Self::cancel), for good.
    pub(crate) fn close(&mut self) -> (u32, Effect) {
        let owed = match self.phase {
            Phase::Closed { owed } => owed,
            Phase::Waiting { .. } | Phase::Due(_) => true,
            Phase::Cancelled { owed } => owed.is_some(),
            Phase::Idle | Phase::Running => false,
        };
        let stop_timer = self.is_waiting();
        self.phase = Phase::Closed { owed };
        let effect = Effect {
            stop_timer,
            ..Effect::default()
        };
        (self.drop_runs(), effect)
    }

    /// The count is set from outside. Work that is done is not scheduled any more.
    pub(crate) fn set_times_run(&mut self, times: u32) -> Effect {
        self.times_run = times;
        match &mut self.phase {
            _ if times == 0 => Effect::default(),
            Phase::Waiting { .. } | Phase::Due(_) => self.unschedule(),
            Phase::Cancelled { owed } => {
                *owed = None;
                Effect::default()
            }
            _ => Effect::default(),
        }
    }

    pub(crate) fn store_failed(&mut self) {
        self.counters.store_failures += 1;
    }

    /// The device leaves D0, or comes back.
    pub(crate) fn set_out_of_d0(&mut self, out: bool) -> Effect {
        self.held.out_of_d0 = out;
        self.kick(Effect::default())
    }

    /// The hardware has been released, or prepared.
    pub(crate) fn set_released(&mut self, released: bool) -> Effect {
        self.held.released = released;
        self.kick(Effect::default())
    }

    const fn is_held(&self) -> bool {
        self.held.out_of_d0 || self.held.released
    }

    /// Adds a worker to `effect`, if one is wanted and none is on its way.
    fn kick(&mut self, effect: Effect) -> Effect {
        let wanted = match self.phase {
            Phase::Cancelled { .. } | Phase::Closed { .. } => false,
            Phase::Due(_) => true,
            _ => self.demanded > 0,
        };
        if effect.kick || !wanted || self.kicked || self.is_held() {
            return effect;
        }
        self.kicked = true;
        Effect { kick: true, ..effect }
    }
}
