//! The verbs of tasks, as a decoded command asks for them.

use queued_work_item::kernel::SpinLock;
use queued_work_item::scheduled_task::Scheduled;
use queued_work_item_ioctl::{
    LogReply, STATUS_INVALID_PARAMETER, TaskExecuteReply, TaskLogEntry, TaskRestartReply,
};

use super::{Errand, TaskSlot, status_of};
use crate::decode::task::TaskCommand;
use crate::exerciser::Done;
use crate::job::Work;
use crate::verbs::{put, read_entries};
use crate::{Exerciser, Platform, Request};

impl<P: Platform> Exerciser<P> {
    /// Does what is asked of a task, or sees to it that it will be done.
    pub(crate) fn of_task(
        &self,
        slot: usize,
        command: TaskCommand,
        request: &mut P::Request,
    ) -> Result<Done<P>, u32> {
        let place = self.inner.tasks.get(slot).ok_or(STATUS_INVALID_PARAMETER)?;
        let errand = match command {
            TaskCommand::Configure(plan) => Errand::Configure(plan),
            TaskCommand::Close => Errand::Close(place.task()?),
            TaskCommand::Now => Errand::Now(place.task()?),
            TaskCommand::Event(event) => Errand::Event(place.task()?, event),
            TaskCommand::Cancel => Errand::Cancel(place.task()?),
            TaskCommand::SetTimesRun(times) => Errand::SetTimesRun(place.task()?, times),
            TaskCommand::Deferred { itself, at_dispatch } => {
                let reply = deferred(place, itself, at_dispatch)?;
                return Ok(Done::Now(put(request, &reply)?));
            }
            TaskCommand::Restart => {
                let reply = TaskRestartReply {
                    restarted: u32::from(place.task()?.task.restart()),
                    reserved: 0,
                };
                return Ok(Done::Now(put(request, &reply)?));
            }
            TaskCommand::Gate => {
                place.gate.close(request.handle());
                return Ok(Done::Now(0));
            }
            TaskCommand::Release => {
                place.gate.release();
                return Ok(Done::Now(0));
            }
            TaskCommand::Statistics => return Ok(Done::Now(put(request, &place.statistics())?)),
            TaskCommand::ReadLog { from } => {
                let Some(record) = place.record() else {
                    return Ok(Done::Now(put(request, &LogReply::default())?));
                };
                let read = |from, entries: &mut [TaskLogEntry]| record.read_log(from, entries);
                return Ok(Done::Now(read_entries(from, request, read)?));
            }
        };
        self.blocking(Work::Task { slot, errand }, request)
    }
}

fn deferred(slot: &TaskSlot, itself: bool, at_dispatch: bool) -> Result<TaskExecuteReply, u32> {
    let task = slot.task()?;
    let lock = SpinLock::new(());
    // Let go of before the task, whose last reference this may be.
    let guard = at_dispatch.then(|| lock.lock());
    let asked = if itself {
        task.task
            .execute_now_deferred_ex()
            .map(|scheduled| match scheduled {
                Scheduled::New => TaskExecuteReply::NEW,
                Scheduled::BroughtForward => TaskExecuteReply::BROUGHT_FORWARD,
                Scheduled::Joined => TaskExecuteReply::JOINED,
            })
    } else {
        task.task.execute_now_deferred().map(|()| 0)
    };
    drop(guard);
    asked
        .map_err(status_of)
        .map(|outcome| TaskExecuteReply { outcome, reserved: 0 })
}
