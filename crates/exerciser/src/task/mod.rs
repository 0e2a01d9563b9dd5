//! Tasks, by their ids: `ScheduledTask` as user mode configures it.
//!
//! A task is not there, being created, or there. All that may wait (for a run that goes on, for the registry) is an
//! [`Errand`] on a thread of its own, creation included: a task that is made while the device is out of D0 has to be told
//! before anyone can ask for a run, and no power transition may come in between.

mod errand;
mod record;
mod verbs;

use queued_work_item::kernel::{Event, EventKind, Parent, Shared, SpinLock};
use queued_work_item::scheduled_task::{Cause, Persistence, TaskConfig, TaskError, TaskResult};
use queued_work_item::{CreateError, Passive, ScheduledTask};
use queued_work_item_ioctl::{
    STATUS_DEVICE_ALREADY_ATTACHED, STATUS_DEVICE_NOT_READY, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
    TaskDroppedReply, TaskStatisticsReply,
};

pub(crate) use self::errand::Errand;
use self::record::TaskRecord;
use crate::decode::task::{Inside, Plan, TaskEvent};
use crate::gate::Gate;

/// A task, and its record.
pub(crate) struct Task {
    task: ScheduledTask,
    record: Shared<TaskRecord>,
}

/// The place of a task.
pub(crate) struct TaskSlot {
    pub(crate) gate: Shared<Gate>,
    /// Shared with the callback, which may call its own task. That they refer to each other ends when the task is closed,
    /// as it always is.
    state: Shared<SpinLock<State>>,
}

struct State {
    phase: Phase,
    /// Of the last configuration, whether the task is there or not.
    record: Option<Shared<TaskRecord>>,
}

enum Phase {
    Absent,
    /// An errand is creating it.
    Creating,
    There(Shared<Task>),
}

/// What tasks know of their device; changed, and told, by one thread at a time.
pub(crate) struct Surroundings {
    turn: Event,
    state: SpinLock<Held>,
}

#[derive(Clone, Copy)]
struct Held {
    out_of_d0: bool,
    released: bool,
}

impl Surroundings {
    /// A device in D0.
    pub(crate) fn new() -> Result<Self, CreateError> {
        let turn = Event::new(EventKind::Synchronization)?;
        turn.set();
        Ok(Self {
            turn,
            state: SpinLock::new(Held {
                out_of_d0: false,
                released: false,
            }),
        })
    }

    /// Whoever has the turn may change what is so, and make tasks that agree with it.
    fn take(&self, passive: &mut Passive) -> Turn<'_> {
        self.turn.wait(passive);
        Turn(self)
    }

    /// Tells every task of what happens to the device.
    ///
    /// It waits for the callbacks that run. None takes long: out of D0 gates are lifted, and nobody spends time.
    pub(crate) fn happen(&self, event: TaskEvent, slots: &[TaskSlot], passive: &mut Passive) {
        let turn = self.take(passive);
        {
            let mut state = turn.0.state.lock();
            match event {
                TaskEvent::PrepareHardware => state.released = false,
                TaskEvent::ReleaseHardware => state.released = true,
                TaskEvent::D0Entry(_) => state.out_of_d0 = false,
                TaskEvent::D0Exit => state.out_of_d0 = true,
            }
        }
        if event == TaskEvent::D0Exit {
            for slot in slots {
                slot.gate.lift();
            }
        }
        for slot in slots {
            if let Ok(task) = slot.task() {
                // A run that fails is in the log: it is no reason for this device not to start.
                let _told = task.tell(event, passive);
            }
        }
        // Last, since the moment of an immediate task has run in here.
        if matches!(event, TaskEvent::D0Entry(_)) {
            for slot in slots {
                slot.gate.lower();
            }
        }
        drop(turn);
    }
}

/// See [`Surroundings::take`].
struct Turn<'a>(&'a Surroundings);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.turn.set();
    }
}

impl Task {
    /// Tells it of a moment.
    fn tell(&self, event: TaskEvent, passive: &mut Passive) -> Result<(), TaskError> {
        match event {
            TaskEvent::PrepareHardware => self.task.prepare_hardware(passive),
            TaskEvent::ReleaseHardware => self.task.release_hardware(passive),
            TaskEvent::D0Entry(from) => self.task.d0_entry(passive, from),
            TaskEvent::D0Exit => self.task.d0_exit(passive),
        }
    }

    /// What its own callback calls, and is told.
    fn inside(&self, what: Inside, passive: &mut Passive) -> Result<(), TaskError> {
        match what {
            Inside::Nothing => Ok(()),
            Inside::Cancel => self.task.cancel(passive).map(drop),
            Inside::Close => self.task.close(passive).map(drop),
            Inside::ExecuteNow => self.task.execute_now(passive).map(drop),
            Inside::ExecuteNowDeferredEx => self.task.execute_now_deferred_ex().map(drop),
        }
    }
}

impl TaskSlot {
    /// No task. `None`: no memory.
    pub(crate) fn new() -> Option<Self> {
        let gate = Shared::try_new(Gate::new().ok()?).ok()?;
        let state = SpinLock::new(State {
            phase: Phase::Absent,
            record: None,
        });
        let state = Shared::try_new(state).ok()?;
        Some(Self { gate, state })
    }

    /// The task.
    pub(crate) fn task(&self) -> Result<Shared<Task>, u32> {
        there(&self.state).ok_or(STATUS_DEVICE_NOT_READY)
    }

    /// Creates the task, as its device is.
    pub(crate) fn configure(
        &self,
        parent: Parent,
        surroundings: &Surroundings,
        plan: &Plan,
        passive: &mut Passive,
    ) -> Result<(), u32> {
        {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Absent) {
                return Err(STATUS_DEVICE_ALREADY_ATTACHED);
            }
            state.phase = Phase::Creating;
        }
        // Until the task is there for everyone: the device does not change meanwhile.
        let turn = surroundings.take(passive);
        let created = self.create(parent, plan, passive).and_then(|task| {
            let held = *turn.0.state.lock();
            let told = if held.out_of_d0 {
                task.tell(TaskEvent::D0Exit, passive)
            } else {
                Ok(())
            };
            let told = told.and_then(|()| {
                if held.released {
                    task.tell(TaskEvent::ReleaseHardware, passive)
                } else {
                    Ok(())
                }
            });
            told.map_err(status_of)?;
            Shared::try_new(task).map_err(|_| STATUS_INSUFFICIENT_RESOURCES)
        });
        // What is replaced is dropped outside the lock.
        let (phase, record, outcome) = match created {
            Ok(task) => {
                let record = task.record.clone();
                (Phase::There(task), Some(record), Ok(()))
            }
            Err(status) => (Phase::Absent, None, Err(status)),
        };
        let old = {
            let mut state = self.state.lock();
            state.phase = phase;
            record.and_then(|record| state.record.replace(record))
        };
        drop(old);
        drop(turn);
        outcome
    }

    fn create(&self, parent: Parent, plan: &Plan, passive: &mut Passive) -> Result<Task, u32> {
        let no_memory = STATUS_INSUFFICIENT_RESOURCES;
        let record = Shared::try_new(TaskRecord::new().ok_or(no_memory)?).map_err(|_| no_memory)?;
        let mut name = Name::new();
        let persistence = match plan.name {
            None => Persistence::NotPersistentAcrossReboots,
            Some(number) => Persistence::PersistentAcrossReboots(name.write(number)),
        };
        let config = TaskConfig::new(plan.when, plan.mode)
            .persistence(persistence)
            .initial_delay(plan.initial_delay)
            .retry_on_success(plan.retry_on_success)
            .retry_on_failure(plan.retry_on_failure);
        let (its_record, gate, state) = (record.clone(), self.gate.clone(), self.state.clone());
        let script = plan.script;
        let callback = move |cause: Cause, passive: &mut Passive| -> TaskResult {
            let inside = |what, passive: &mut Passive| match there(&state) {
                // Not the last reference: whoever closes the task keeps his until no callback runs.
                Some(task) => task
                    .inside(what, passive)
                    .map_or_else(status_of, |()| STATUS_SUCCESS),
                None => STATUS_DEVICE_NOT_READY,
            };
            its_record.run(&script, &gate, inside, cause, passive)
        };
        let task = ScheduledTask::create(passive, parent, &config, callback)
            .map_err(|error| error.status().0.cast_unsigned())?;
        Ok(Task { task, record })
    }

    /// Closes a task that [`TaskSlot::task`] gave, and gives it up. What was dropped.
    pub(crate) fn close(&self, task: Shared<Task>, passive: &mut Passive) -> Result<TaskDroppedReply, u32> {
        let dropped = task.task.close(passive).map_err(status_of)?;
        task.record.keep(&task.task);
        let old = {
            let mut state = self.state.lock();
            match &state.phase {
                // Another closer may have been quicker, and the id may have been configured anew.
                Phase::There(there) if Shared::ptr_eq(there, &task) => {
                    Some(core::mem::replace(&mut state.phase, Phase::Absent))
                }
                _ => None,
            }
        };
        // The last reference frees the task, before anyone is told that it is closed.
        drop(old);
        drop(task);
        Ok(dropped_reply(dropped))
    }

    fn statistics(&self) -> TaskStatisticsReply {
        let (task, record) = {
            let state = self.state.lock();
            let task = match &state.phase {
                Phase::There(task) => Some(task.clone()),
                Phase::Absent | Phase::Creating => None,
            };
            (task, state.record.clone())
        };
        let gated = u32::from(self.gate.is_closed());
        let reply = match (task, record) {
            (Some(task), _) => task.record.statistics(&task.task),
            (None, Some(record)) => record.kept(),
            (None, None) => TaskStatisticsReply::default(),
        };
        TaskStatisticsReply { gated, ..reply }
    }

    fn record(&self) -> Option<Shared<TaskRecord>> {
        self.state.lock().record.clone()
    }
}

fn there(state: &SpinLock<State>) -> Option<Shared<Task>> {
    match &state.lock().phase {
        Phase::There(task) => Some(task.clone()),
        Phase::Absent | Phase::Creating => None,
    }
}

fn status_of(error: TaskError) -> u32 {
    error.status().0.cast_unsigned()
}

fn dropped_reply(dropped: queued_work_item::scheduled_task::Dropped) -> TaskDroppedReply {
    TaskDroppedReply {
        runs: dropped.runs,
        task: u32::from(dropped.task),
    }
}

/// The name of a value in the registry: one of a few, so that user mode can neither write another value nor many.
struct Name([u8; Self::PREFIX.len() + 2]);

impl Name {
    const PREFIX: &'static [u8] = b"ScheduledTaskTimesRun";

    const fn new() -> Self {
        Self([0; Self::PREFIX.len() + 2])
    }

    /// The name of the value of this number, of two digits.
    fn write(&mut self, number: u32) -> &str {
        let digits = [number / 10 % 10, number % 10].map(|digit| b'0' + digit.to_le_bytes()[0]);
        let bytes = Self::PREFIX.iter().chain(&digits);
        for (place, byte) in self.0.iter_mut().zip(bytes) {
            *place = *byte;
        }
        // ASCII all of it; and the library refuses an empty name.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_are_few() {
        assert_eq!(Name::new().write(1), "ScheduledTaskTimesRun01");
        assert_eq!(Name::new().write(16), "ScheduledTaskTimesRun16");
    }
}
