//! What only an instance with a thread of its own answers.

use queued_work_item_ioctl::{self as ioctl, Complete, StopReply};
use zerocopy::IntoBytes;

use super::{Client, Pending};
use crate::{Error, NtStatus};

impl Client {
    /// `START`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn start(&self) -> Result<(), Error> {
        self.run(ioctl::START, self.header().as_bytes())
    }

    /// `STOP`: how many items it dropped.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn stop(&self) -> Result<u64, Error> {
        Ok(self.begin_stop()?.wait(self.timeout)?.cancelled)
    }

    /// `STOP`, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_stop(&self) -> Result<Pending<StopReply>, Error> {
        self.begin(ioctl::STOP, self.header().as_bytes())
    }

    /// `COMPLETE`, of the pended item with this tag: at [`Complete::PASSIVE`] or its like.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn complete_pended(&self, tag: u64, status: NtStatus, at: u32) -> Result<(), Error> {
        let input = Complete {
            header: self.header(),
            tag,
            status: status.0,
            at,
        };
        self.run(ioctl::COMPLETE, input.as_bytes())
    }
}
