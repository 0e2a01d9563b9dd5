//! What a queue with a thread is created with, and what its start can answer.

use core::fmt;

use crate::{Config, CreateError, NtStatus};

/// What a [`ThreadedBufferQueue`](super::ThreadedBufferQueue) is created with: DMF's `DMF_CONFIG_ThreadedBufferQueue`.
///
/// ```
/// use queued_work_item::Config;
/// use queued_work_item::threaded::ThreadedConfig;
/// let config = ThreadedConfig::new(Config::new(32).buffer_size(256)).priority(12);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadedConfig {
    /// How many buffers, how large, and how far they may grow.
    pub buffers: Config,
    /// The thread's priority, 1 to 31, as `KeSetPriorityThread` takes it; `None` leaves what system threads have.
    pub priority: Option<i32>,
    /// Does the thread wait for a pended item before it begins the next? DMF's way: then items also finish in order.
    pub waits_for_pended: bool,
}

impl ThreadedConfig {
    /// The usual priority, and a thread that goes on while items are pended.
    #[must_use]
    pub const fn new(buffers: Config) -> Self {
        Self {
            buffers,
            priority: None,
            waits_for_pended: false,
        }
    }

    /// The thread's priority, 1 to 31: above 15 it is a real-time one.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The thread begins nothing while an item is pended.
    #[must_use]
    pub const fn wait_for_pended(mut self) -> Self {
        self.waits_for_pended = true;
        self
    }

    pub(super) const fn check(&self) -> Result<(), CreateError> {
        match self.priority {
            Some(priority) if priority < 1 || priority > 31 => Err(CreateError::InvalidConfig),
            _ => Ok(()),
        }
    }
}

/// Why a queue was not started. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The caller is the queue's own thread, or a completion of its: `STATUS_POSSIBLE_DEADLOCK`.
    PossibleDeadlock,
    /// The queue is closing or closed: `STATUS_DELETE_PENDING`.
    Closing,
    /// The system has made no thread, with this status.
    Thread(NtStatus),
}

impl StartError {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::PossibleDeadlock => NtStatus::POSSIBLE_DEADLOCK,
            Self::Closing => NtStatus::DELETE_PENDING,
            Self::Thread(status) => status,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PossibleDeadlock => f.write_str("the caller runs inside the queue that it would start"),
            Self::Closing => f.write_str("the queue is closing"),
            Self::Thread(status) => write!(f, "no thread was made: {status}"),
        }
    }
}

impl core::error::Error for StartError {}
