//! What may wait for a task, on a thread that it may block.

use queued_work_item::Passive;
use queued_work_item::kernel::Shared;
use queued_work_item_ioctl::{STATUS_INVALID_PARAMETER, TaskDroppedReply, TaskExecuteReply};
use zerocopy::IntoBytes;

use super::record::result_code;
use super::{Task, dropped_reply, status_of};
use crate::decode::task::{Plan, TaskEvent};
use crate::{Exerciser, Platform};

/// One of them. Whatever it waits for ends with the device: gates open, and nobody spends time.
pub(crate) enum Errand {
    Configure(Plan),
    Close(Shared<Task>),
    Now(Shared<Task>),
    Event(Shared<Task>, TaskEvent),
    Cancel(Shared<Task>),
    SetTimesRun(Shared<Task>, u32),
}

/// What it has to tell.
pub(crate) enum Told {
    Nothing,
    Executed(TaskExecuteReply),
    Dropped(TaskDroppedReply),
}

impl Told {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Executed(reply) => reply.as_bytes(),
            Self::Dropped(reply) => reply.as_bytes(),
        }
    }
}

impl Errand {
    /// Does it. No reference to the task is left when it is told of.
    pub(crate) fn run<P: Platform>(
        self,
        exerciser: &Exerciser<P>,
        slot: usize,
        passive: &mut Passive,
    ) -> Result<Told, u32> {
        // Slots do not go away.
        let slot = exerciser.inner.tasks.get(slot).ok_or(STATUS_INVALID_PARAMETER)?;
        match self {
            Self::Configure(plan) => {
                let parent = exerciser.platform().parent();
                slot.configure(parent, &exerciser.inner.surroundings, &plan, passive)?;
                Ok(Told::Nothing)
            }
            Self::Close(task) => slot.close(task, passive).map(Told::Dropped),
            Self::Now(task) => {
                let result = task.task.execute_now(passive).map_err(status_of)?;
                Ok(Told::Executed(TaskExecuteReply {
                    outcome: result_code(result),
                    reserved: 0,
                }))
            }
            Self::Event(task, event) => task
                .tell(event, passive)
                .map(|()| Told::Nothing)
                .map_err(status_of),
            Self::Cancel(task) => {
                let dropped = task.task.cancel(passive).map_err(status_of)?;
                Ok(Told::Dropped(dropped_reply(dropped)))
            }
            Self::SetTimesRun(task, times) => {
                task.task.set_times_run(passive, times).map_err(status_of)?;
                Ok(Told::Nothing)
            }
        }
    }
}
