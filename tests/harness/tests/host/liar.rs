//! A way to the driver that lies about what it answers.
//!
//! Every scenario must fail against one of the lies, or it asserts nothing.

use std::time::Duration;

use queued_work_item_harness::{
    Error, NtStatus,
    device::{Access, Completion, Device, Process, Request, Transport},
};
use queued_work_item_ioctl::{
    CLOSE, CONTRACT_VERSION, FLUSH, LogEntry, LogReply, READ_LOG, TASK_READ_LOG, TaskLogEntry, VERSION,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::faulty::Answer;

/// What it lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Every refusal is a success.
    NothingIsRefused,
    /// The log's last entry is not there.
    LogIsShort,
    /// The driver speaks another contract.
    OtherContract,
    /// What waits, is done: it is answered at once, and never asked of the driver.
    NothingWaits,
}

impl Lie {
    /// The lies that make the scenario fail.
    pub(crate) fn caught_by(id: &str) -> Vec<Self> {
        // All begin with a handle.
        let mut lies = vec![Self::OtherContract];
        // These read no log, or expect one to be empty, or look only for how it ends.
        let without_log = [
            "w24_handle_without_write_access",
            "w02_",
            "x01_a_million",
            "statistics_are_exact",
            "instances_share_one_bound",
        ];
        if !without_log.iter().any(|prefix| id.starts_with(prefix)) {
            lies.push(Self::LogIsShort);
        }
        let refusals = [
            "w02_cancelled",
            "w05",
            "w06",
            "w12",
            "w13_cancelling",
            "w13_surprise",
            "w23_bounded_wait_under",
            "w24",
            "instances_",
            "statistics_are_exact",
            "x02",
            "x05",
            "x06_each",
            "x07",
        ];
        let accepted_throughout = ["w24_two_", "w24_gate"];
        if refusals.iter().any(|prefix| id.starts_with(prefix))
            && !accepted_throughout.iter().any(|prefix| id.starts_with(prefix))
        {
            lies.push(Self::NothingIsRefused);
        }
        let waits = [
            "w11",
            "w13_cancelling",
            "w13_draining",
            "w15",
            "w24_cancelled_flush",
        ];
        if waits.iter().any(|prefix| id.starts_with(prefix)) {
            lies.push(Self::NothingWaits);
        }
        lies
    }
}

/// A transport that lies.
pub(crate) struct Liar<T> {
    pub(crate) inner: T,
    pub(crate) lie: Lie,
}

impl<T: Transport> Transport for Liar<T> {
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error> {
        Ok(Box::new(LiarsDevice {
            inner: self.inner.open(access)?,
            lie: self.lie,
        }))
    }

    fn surprise_remove(&self) -> Result<(), Error> {
        self.inner.surprise_remove()
    }

    fn restore(&self) -> Result<(), Error> {
        self.inner.restore()
    }

    fn unload(&self) -> Result<(), Error> {
        self.inner.unload()
    }

    fn second(&self) -> Result<Box<dyn Transport + '_>, Error> {
        self.inner.second()
    }

    fn process(&self) -> Result<Box<dyn Process + '_>, Error> {
        self.inner.process()
    }
}

struct LiarsDevice {
    inner: Box<dyn Device>,
    lie: Lie,
}

impl Device for LiarsDevice {
    fn submit(&self, code: u32, input: &[u8], output: usize) -> Result<Box<dyn Request>, Error> {
        if self.lie == Lie::NothingWaits && [FLUSH, CLOSE].contains(&code) {
            return Ok(Answer::boxed(Completion {
                status: NtStatus::SUCCESS,
                output: vec![0; output],
            }));
        }
        Ok(Box::new(LiarsRequest {
            inner: self.inner.submit(code, input, output)?,
            lie: self.lie,
            code,
            output,
        }))
    }
}

struct LiarsRequest {
    inner: Box<dyn Request>,
    lie: Lie,
    code: u32,
    output: usize,
}

impl LiarsRequest {
    fn tell(&self, mut completion: Completion) -> Completion {
        match self.lie {
            Lie::NothingIsRefused if completion.status.is_error() => Completion {
                status: NtStatus::SUCCESS,
                output: vec![0; self.output],
            },
            Lie::LogIsShort if [READ_LOG, TASK_READ_LOG].contains(&self.code) => {
                let entry = if self.code == READ_LOG {
                    size_of::<LogEntry>()
                } else {
                    size_of::<TaskLogEntry>()
                };
                if let Ok((mut reply, _)) = LogReply::read_from_prefix(&completion.output)
                    && reply.count > 0
                {
                    reply.count -= 1;
                    let shorter = completion.output.len() - entry;
                    completion.output.truncate(shorter);
                    completion.output[..size_of::<LogReply>()].copy_from_slice(reply.as_bytes());
                }
                completion
            }
            Lie::OtherContract if self.code == VERSION => {
                completion.output[..4].copy_from_slice(&(CONTRACT_VERSION + 1).to_le_bytes());
                completion
            }
            _ => completion,
        }
    }
}

impl Request for LiarsRequest {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, Error> {
        let completion = self.inner.wait(timeout)?;
        Ok(completion.map(|completion| self.tell(completion)))
    }

    fn cancel(&self) -> Result<(), Error> {
        self.inner.cancel()
    }
}
