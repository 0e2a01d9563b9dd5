//! The verbs of tasks. [`Client::instance`] is the task here.

use queued_work_item_ioctl::{
    self as ioctl, LogReply, TaskConfigure, TaskDroppedReply, TaskEvent, TaskExecute, TaskExecuteReply,
    TaskLogEntry, TaskReadLog, TaskRestartReply, TaskSetTimesRun, TaskStatisticsReply, limits,
};
use zerocopy::{FromBytes, IntoBytes};

use super::{Client, Pending, name};
use crate::Error;

impl Client {
    /// `TASK_CONFIGURE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_configure(&self, task: &TaskConfigure) -> Result<(), Error> {
        self.run(ioctl::TASK_CONFIGURE, task.as_bytes())
    }

    /// `TASK_CLOSE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_close(&self) -> Result<TaskDroppedReply, Error> {
        self.begin(ioctl::TASK_CLOSE, self.header().as_bytes())?
            .wait(self.timeout)
    }

    /// `TASK_EXECUTE`, here and now: what the run returned.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_execute_now(&self) -> Result<u32, Error> {
        let reply = self.begin_task_execute_now()?.wait(self.timeout)?;
        Ok(reply.outcome)
    }

    /// `TASK_EXECUTE`, here and now, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_task_execute_now(&self) -> Result<Pending<TaskExecuteReply>, Error> {
        self.begin_task_execute(TaskExecute::NOW, 0)
    }

    /// `TASK_EXECUTE`, soon: once more, or the task `itself`; what the driver says became of it.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_execute_deferred(&self, itself: bool, at_dispatch: bool) -> Result<u32, Error> {
        let how = if itself {
            TaskExecute::DEFERRED_EX
        } else {
            TaskExecute::DEFERRED
        };
        let flags = if at_dispatch { TaskExecute::AT_DISPATCH } else { 0 };
        let reply = self.begin_task_execute(how, flags)?.wait(self.timeout)?;
        Ok(reply.outcome)
    }

    fn begin_task_execute(&self, how: u32, flags: u32) -> Result<Pending<TaskExecuteReply>, Error> {
        let header = self.header();
        self.begin(ioctl::TASK_EXECUTE, TaskExecute { header, how, flags }.as_bytes())
    }

    /// `TASK_EVENT`; `from` is the power state before an entry into D0, and else 0.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_event(&self, event: u32, from: u32) -> Result<(), Error> {
        let header = self.header();
        self.run(ioctl::TASK_EVENT, TaskEvent { header, event, from }.as_bytes())
    }

    /// `TASK_CANCEL`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_cancel(&self) -> Result<TaskDroppedReply, Error> {
        self.begin_task_cancel()?.wait(self.timeout)
    }

    /// `TASK_CANCEL`, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_task_cancel(&self) -> Result<Pending<TaskDroppedReply>, Error> {
        self.begin(ioctl::TASK_CANCEL, self.header().as_bytes())
    }

    /// `TASK_RESTART`: whether that ended a cancel.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_restart(&self) -> Result<bool, Error> {
        let reply: TaskRestartReply = self
            .begin(ioctl::TASK_RESTART, self.header().as_bytes())?
            .wait(self.timeout)?;
        Ok(reply.restarted != 0)
    }

    /// `TASK_SET_TIMES_RUN`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_set_times_run(&self, times: u32) -> Result<(), Error> {
        let input = TaskSetTimesRun {
            header: self.header(),
            times,
            reserved: 0,
        };
        self.run(ioctl::TASK_SET_TIMES_RUN, input.as_bytes())
    }

    /// `TASK_GATE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_gate(&self) -> Result<(), Error> {
        self.run(ioctl::TASK_GATE, self.header().as_bytes())
    }

    /// `TASK_RELEASE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_release(&self) -> Result<(), Error> {
        self.run(ioctl::TASK_RELEASE, self.header().as_bytes())
    }

    /// `TASK_STATISTICS`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_statistics(&self) -> Result<TaskStatisticsReply, Error> {
        self.begin(ioctl::TASK_STATISTICS, self.header().as_bytes())?
            .wait(self.timeout)
    }

    /// `TASK_READ_LOG`: all that the log keeps.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn task_log(&self) -> Result<Vec<TaskLogEntry>, Error> {
        let input = TaskReadLog {
            header: self.header(),
            from: 0,
        };
        let room = size_of::<LogReply>() + limits::TASK_LOG_ENTRIES as usize * size_of::<TaskLogEntry>();
        let output = self
            .complete(ioctl::TASK_READ_LOG, input.as_bytes(), room)?
            .output;
        let bad = |expected| Error::BadReply {
            verb: name(ioctl::TASK_READ_LOG),
            expected,
            got: output.len(),
        };
        let (reply, rest) = LogReply::read_from_prefix(&output).map_err(|_| bad(size_of::<LogReply>()))?;
        let length = (reply.count as usize).saturating_mul(size_of::<TaskLogEntry>());
        if rest.len() != length {
            return Err(bad(size_of::<LogReply>().saturating_add(length)));
        }
        Ok(rest
            .chunks_exact(size_of::<TaskLogEntry>())
            .filter_map(|bytes| TaskLogEntry::read_from_bytes(bytes).ok())
            .collect())
    }
}
