//! The task's states among threads: one lock for the states, one turn for the callback, a timer and a worker.
//!
//! - The *lock* is a spin lock around the [`Machine`]. Whatever an event asks of the timer and the worker is done before
//!   it is let go of, so that timer and state never contradict each other; only an expiry that was on its way already
//!   can come unasked, and it finds another state, or a time that has not come.
//! - The *turn* is an event that lets one thread through: whoever runs the callback, a worker or the caller of an
//!   immediate verb, holds it from before the run is begun until its result has been settled. To wait for the callback
//!   is to take the turn and to give it back.
//! - The *worker* is a [`QueuedWorkItem`] whose items are only starts: it brings its own lifetime, and what happens when
//!   its parent goes first. Of the two buffers one is for the start that runs and one for the start that is on its way;
//!   the machine never asks for a third.
//!
//! The timer's share of the core keeps no callback alive: the last share of that is dropped by the handle or the worker,
//! at `PASSIVE_LEVEL`.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::callback::Callback;
use super::config::Timing;
use super::machine::{Broken, Effect, Machine, Work};
use super::name::Name;
use super::{
    Cause, Dropped, Mode, Persistence, Scheduled, TaskConfig, TaskCounters, TaskError, TaskResult, TaskState,
};
use crate::kernel::{
    Event, EventKind, Irql, Parent, Shared, SpinLock, Target, Timer, check_irql, current_thread_id,
};
use crate::{Close, Config, CreateError, Passive, QueuedWorkItem};

type Worker = Shared<QueuedWorkItem<()>>;

/// The start that runs, and the next.
const STARTS: u32 = 2;

struct Inner {
    machine: Machine,
    /// Gone with the handle.
    worker: Option<Worker>,
}

/// What the handle, the worker and the timer share.
pub(crate) struct Core<const VARIANT: u8> {
    inner: SpinLock<Inner>,
    turn: Event,
    timer: Timer,
    timing: Timing,
    name: Option<Name>,
}

/// Whoever has it may run the callback.
struct Turn<'a>(&'a Event);

impl<'a> Turn<'a> {
    fn take(event: &'a Event, passive: &mut Passive) -> Self {
        event.wait(passive);
        Self(event)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl<const VARIANT: u8> Core<VARIANT> {
    /// Changes the state, and does what that asks for.
    fn change<R>(&self, change: impl FnOnce(&mut Machine) -> (R, Effect)) -> R {
        let mut inner = self.inner.lock();
        let (result, effect) = change(&mut inner.machine);
        self.perform(&mut inner, effect);
        result
    }

    fn perform(&self, inner: &mut Inner, effect: Effect) {
        if effect.stop_timer {
            self.timer.stop();
        }
        if let Some(units) = effect.set_timer {
            // Where it cannot be set the parent is being deleted, and tears the task down.
            self.timer.set(units);
        }
        if effect.kick {
            let sent = inner.worker.as_ref().map(|worker| worker.enqueue(()));
            if !matches!(sent, Some(Ok(()))) {
                // The parent is being deleted, and the worker with it.
                debug_assert!(
                    inner.worker.as_ref().is_none_or(|worker| worker.is_closing()),
                    "there are two buffers, and never three starts"
                );
                let (_, effect) = inner.machine.close();
                if effect.stop_timer {
                    self.timer.stop();
                }
            }
        }
    }

    fn ask<R>(&self, question: impl FnOnce(&Machine) -> R) -> R {
        question(&self.inner.lock().machine)
    }

    /// Waits for the turn, unless this thread has it.
    fn turn(&self, passive: &mut Passive) -> Result<Turn<'_>, TaskError> {
        if self.ask(|machine| machine.is_inside(current_thread_id())) {
            return Err(TaskError::PossibleDeadlock);
        }
        Ok(Turn::take(&self.turn, passive))
    }

    /// What a start of the worker does.
    fn work(&self, callback: &Callback, passive: &mut Passive) {
        let turn = Turn::take(&self.turn, passive);
        let late = VARIANT == Broken::ArrivesLate as u8;
        let work = self.change(|machine| {
            if !late {
                machine.arrive();
            }
            (machine.begin_deferred(current_thread_id()), Effect::default())
        });
        if late {
            self.change(|machine| (machine.arrive(), Effect::default()));
        }
        match work {
            None => {}
            Some(Work::Task(cause)) => {
                self.run_task(&turn, callback, cause, true, passive);
            }
            Some(Work::Demanded) => {
                // SAFETY: this thread has the turn.
                let _ignored = unsafe { callback.call(Cause::NowDeferred, passive) };
                self.change(|machine| ((), machine.end_run()));
            }
        }
        drop(turn);
    }

    /// Runs the task, which has been begun, and settles its result.
    fn run_task(
        &self,
        _turn: &Turn<'_>,
        callback: &Callback,
        cause: Cause,
        retries: bool,
        passive: &mut Passive,
    ) -> TaskResult {
        // SAFETY: this thread has the turn, which an event hands on from the thread that had it last.
        let result = unsafe { callback.call(cause, passive) };
        let mut stored = Ok(());
        if let (TaskResult::Success, Some(name)) = (result, &self.name) {
            let times = self.ask(Machine::times_run).saturating_add(1);
            stored = name.store(passive, times);
        }
        let now = self.timer.now();
        self.change(|machine| {
            if stored.is_err() {
                machine.store_failed();
            }
            ((), machine.end_task(result, retries, now, &self.timing))
        });
        result
    }

    /// The timer has expired: at `DISPATCH_LEVEL`.
    fn expired(&self) {
        if VARIANT == Broken::ExpiresUnlocked as u8 {
            if self.ask(Machine::is_waiting) {
                self.change(|machine| ((), machine.expire_blindly()));
            }
            return;
        }
        let now = self.timer.now();
        self.change(|machine| ((), machine.expire(now)));
    }
}

/// A task's handle: a [`ScheduledTask`](super::ScheduledTask) with a variant for the models.
pub(crate) struct Handle<const VARIANT: u8 = 0> {
    core: Shared<Core<VARIANT>>,
    callback: Shared<Callback>,
    worker: Worker,
    when: super::When,
    mode: Mode,
}

impl<const VARIANT: u8> Handle<VARIANT> {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        clippy::clone_on_copy,
        reason = "a parent is a mere pointer on one backend only"
    )]
    pub(crate) fn new(
        passive: &mut Passive,
        parent: &Parent,
        config: &TaskConfig<'_>,
        callback: impl FnMut(Cause, &mut Passive) -> TaskResult + Send + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::create");
        let name = match config.persistence {
            Persistence::NotPersistentAcrossReboots => None,
            Persistence::PersistentAcrossReboots(name) => Some(Name::new(name)?),
        };
        let times_run = match &name {
            None => 0,
            Some(name) => name.load(passive).map_err(CreateError::Framework)?,
        };
        let callback = Shared::try_new(Callback::new(callback)?).map_err(|_| CreateError::OutOfMemory)?;
        let turn = Event::new(EventKind::Synchronization)?;
        turn.set();
        let core = Core {
            inner: SpinLock::new(Inner {
                machine: Machine::new(times_run),
                worker: None,
            }),
            turn,
            timer: Timer::unbound(),
            timing: Timing::new(config),
            name,
        };
        let core = Shared::try_new(core).map_err(|_| CreateError::OutOfMemory)?;
        let worker = {
            let (core, callback) = (core.clone(), callback.clone());
            QueuedWorkItem::create(
                passive,
                parent.clone(),
                &Config::new(STARTS),
                move |_, passive| {
                    core.work(&callback, passive);
                },
            )?
        };
        let worker = Shared::try_new(worker).map_err(|_| CreateError::OutOfMemory)?;
        let target = Target {
            core: core.clone().into_raw(),
            run: expired::<VARIANT>,
            torn_down: torn_down::<VARIANT>,
            released: released::<VARIANT>,
        };
        // SAFETY: the functions are this core's, of which the timer gets a share; it lies in that core.
        let bound = unsafe { core.timer.bind(parent, target) };
        if let Err(status) = bound {
            // SAFETY: the timer was not bound, so that its share is this function's to give back.
            drop(unsafe { Shared::<Core<VARIANT>>::from_raw(target.core) });
            return Err(CreateError::Framework(status));
        }
        core.inner.lock().worker = Some(worker.clone());
        Ok(Self {
            core,
            callback,
            worker,
            when: config.when,
            mode: config.mode,
        })
    }

    /// Tells of a moment. The task's, if it is `when`'s.
    fn moment(&self, passive: &mut Passive, when: super::When, cause: Cause) -> Result<(), TaskError> {
        if self.when != when {
            return Ok(());
        }
        let core = &*self.core;
        if self.mode == Mode::Deferred {
            let now = core.timer.now();
            return core.change(
                |machine| match machine.moment(cause, now, core.timing.initial_delay) {
                    Ok(effect) => (Ok(()), effect),
                    Err(error) => (Err(error), Effect::default()),
                },
            );
        }
        let turn = core.turn(passive)?;
        let begun = core.change(|machine| match machine.begin_moment(cause, current_thread_id()) {
            Ok(Some(effect)) => (Ok(true), effect),
            Ok(None) => (Ok(false), Effect::default()),
            Err(error) => (Err(error), Effect::default()),
        })?;
        if begun
            && !core
                .run_task(&turn, &self.callback, cause, false, passive)
                .is_success()
        {
            return Err(TaskError::Failed);
        }
        Ok(())
    }

    pub(crate) fn prepare_hardware(&self, passive: &mut Passive) -> Result<(), TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::prepare_hardware");
        self.moment(passive, super::When::PrepareHardware, Cause::PrepareHardware)?;
        self.core.change(|machine| ((), machine.set_released(false)));
        Ok(())
    }

    pub(crate) fn d0_entry(&self, passive: &mut Passive, from: super::PowerState) -> Result<(), TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::d0_entry");
        self.moment(passive, super::When::D0Entry, Cause::D0Entry(from))?;
        self.core.change(|machine| ((), machine.set_out_of_d0(false)));
        Ok(())
    }

    /// Holds deferred runs back, and waits for the one that goes on.
    fn hold(
        &self,
        passive: &mut Passive,
        hold: impl FnOnce(&mut Machine) -> Effect,
    ) -> Result<(), TaskError> {
        if self.core.ask(|machine| machine.is_inside(current_thread_id())) {
            return Err(TaskError::PossibleDeadlock);
        }
        self.core.change(|machine| ((), hold(machine)));
        drop(self.core.turn(passive)?);
        Ok(())
    }

    pub(crate) fn release_hardware(&self, passive: &mut Passive) -> Result<(), TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::release_hardware");
        self.hold(passive, |machine| machine.set_released(true))
    }

    pub(crate) fn d0_exit(&self, passive: &mut Passive) -> Result<(), TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::d0_exit");
        self.hold(passive, |machine| machine.set_out_of_d0(true))
    }

    pub(crate) fn execute_now(&self, passive: &mut Passive) -> Result<TaskResult, TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::execute_now");
        let turn = self.core.turn(passive)?;
        self.core
            .change(|machine| (machine.begin_now(current_thread_id()), Effect::default()))?;
        // SAFETY: this thread has the turn, which an event hands on from the thread that had it last.
        let result = unsafe { self.callback.call(Cause::Now, passive) };
        self.core.change(|machine| ((), machine.end_run()));
        drop(turn);
        Ok(result)
    }

    pub(crate) fn execute_now_deferred(&self) -> Result<(), TaskError> {
        check_irql(Irql::DISPATCH, "ScheduledTask::execute_now_deferred");
        self.accept(|machine| Ok(((), machine.demand_run()?)))
    }

    pub(crate) fn execute_now_deferred_ex(&self) -> Result<Scheduled, TaskError> {
        check_irql(Irql::DISPATCH, "ScheduledTask::execute_now_deferred_ex");
        self.accept(Machine::demand_task)
    }

    /// Accepts a demand, or refuses it: also when the worker has gone meanwhile.
    fn accept<R>(
        &self,
        demand: impl FnOnce(&mut Machine) -> Result<(R, Effect), TaskError>,
    ) -> Result<R, TaskError> {
        let mut inner = self.core.inner.lock();
        let (accepted, effect) = demand(&mut inner.machine)?;
        self.core.perform(&mut inner, effect);
        if inner.machine.state() == TaskState::Closed {
            return Err(TaskError::Closing);
        }
        Ok(accepted)
    }

    pub(crate) fn cancel(&self, passive: &mut Passive) -> Result<Dropped, TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::cancel");
        self.end(passive, Machine::cancel)
    }

    /// Lets nothing begin, and waits for the run that goes on.
    fn end(
        &self,
        passive: &mut Passive,
        end: impl FnOnce(&mut Machine) -> (u32, Effect),
    ) -> Result<Dropped, TaskError> {
        if self.core.ask(|machine| machine.is_inside(current_thread_id())) {
            return Err(TaskError::PossibleDeadlock);
        }
        let runs = self.core.change(end);
        if VARIANT != Broken::CancelLeaves as u8 {
            drop(Turn::take(&self.core.turn, passive));
        }
        let task = self.core.ask(Machine::is_cut_short);
        Ok(Dropped { runs, task })
    }

    pub(crate) fn restart(&self) -> bool {
        check_irql(Irql::DISPATCH, "ScheduledTask::restart");
        let now = self.core.timer.now();
        let delay = self.core.timing.initial_delay;
        self.core.change(|machine| match machine.restart(now, delay) {
            Some(effect) => (true, effect),
            None => (false, Effect::default()),
        })
    }

    pub(crate) fn close(&self, passive: &mut Passive) -> Result<Dropped, TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::close");
        let dropped = self.end(passive, Machine::close)?;
        // Starts for nothing, at most. It is not called from one: that would have been inside.
        match self.worker.close(passive, Close::Cancel) {
            Ok(_) => Ok(dropped),
            Err(_) => Err(TaskError::PossibleDeadlock),
        }
    }

    pub(crate) fn set_times_run(&self, passive: &mut Passive, times: u32) -> Result<(), TaskError> {
        check_irql(Irql::PASSIVE, "ScheduledTask::set_times_run");
        let turn = self.core.turn(passive)?;
        if let Some(name) = &self.core.name {
            name.store(passive, times).map_err(TaskError::Registry)?;
        }
        self.core.change(|machine| ((), machine.set_times_run(times)));
        drop(turn);
        Ok(())
    }

    pub(crate) fn times_run(&self) -> u32 {
        self.core.ask(Machine::times_run)
    }

    pub(crate) fn state(&self) -> TaskState {
        self.core.ask(Machine::state)
    }

    pub(crate) fn counters(&self) -> TaskCounters {
        self.core.ask(Machine::counters)
    }
}

impl<const VARIANT: u8> Drop for Handle<VARIANT> {
    fn drop(&mut self) {
        let worker = {
            let mut inner = self.core.inner.lock();
            let (_, effect) = inner.machine.close();
            self.core.perform(&mut inner, effect);
            inner.worker.take()
        };
        // Outside the lock: the last share cancels starts, and may free.
        drop(worker);
        self.core.timer.dispose();
    }
}

/// # Safety
/// `core` is the timer's share.
unsafe fn expired<const VARIANT: u8>(core: NonNull<()>) {
    // SAFETY: the share keeps the core until `released`, and is not dropped here.
    let core = ManuallyDrop::new(unsafe { Shared::<Core<VARIANT>>::from_raw(core) });
    core.expired();
}

/// # Safety
/// `core` is the timer's share.
unsafe fn torn_down<const VARIANT: u8>(core: NonNull<()>) {
    // SAFETY: as in `expired`.
    let core = ManuallyDrop::new(unsafe { Shared::<Core<VARIANT>>::from_raw(core) });
    // Whoever accepted something is gone with the parent, and the worker with it: there is nobody to tell.
    let _runs = core.change(Machine::close);
}

/// # Safety
/// `core` is the timer's share, given back once.
unsafe fn released<const VARIANT: u8>(core: NonNull<()>) {
    // SAFETY: from `into_raw` in `Handle::new`.
    drop(unsafe { Shared::<Core<VARIANT>>::from_raw(core) });
}
