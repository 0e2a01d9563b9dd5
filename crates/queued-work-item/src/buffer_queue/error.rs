//! What can go wrong when a buffer is queued with a timer.

use core::fmt;

use crate::{Buffer, Context, NtStatus};

/// Why a buffer was not queued with a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnqueueTimedErrorKind {
    /// The buffer is another queue's: `STATUS_INVALID_PARAMETER`.
    Foreign,
    /// The queue was created without a timer: `STATUS_INVALID_DEVICE_REQUEST`.
    NoTimer,
    /// The queue's parent is deleted, and its timer with it: `STATUS_DELETE_PENDING`.
    ParentDeleted,
}

impl EnqueueTimedErrorKind {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Foreign => NtStatus::INVALID_PARAMETER,
            Self::NoTimer => NtStatus::INVALID_DEVICE_REQUEST,
            Self::ParentDeleted => NtStatus::DELETE_PENDING,
        }
    }
}

impl fmt::Display for EnqueueTimedErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "the buffer is another queue's",
            Self::NoTimer => "the queue was created without a timer",
            Self::ParentDeleted => "the queue's parent is deleted",
        })
    }
}

/// A refused [`enqueue_with_timer`](crate::BufferQueue::enqueue_with_timer), with the buffer.
pub struct EnqueueTimedError<'a, C: Context> {
    kind: EnqueueTimedErrorKind,
    buffer: Buffer<'a, C>,
}

impl<'a, C: Context> EnqueueTimedError<'a, C> {
    pub(super) const fn new(kind: EnqueueTimedErrorKind, buffer: Buffer<'a, C>) -> Self {
        Self { kind, buffer }
    }

    /// Why.
    pub const fn kind(&self) -> EnqueueTimedErrorKind {
        self.kind
    }

    /// The NTSTATUS that stands for it.
    pub const fn status(&self) -> NtStatus {
        self.kind.status()
    }

    /// The buffer, the caller's again.
    pub fn into_buffer(self) -> Buffer<'a, C> {
        self.buffer
    }
}

// By hand: a context needs not be `Debug` for a refusal to be unwrapped.
impl<C: Context> fmt::Debug for EnqueueTimedError<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueTimedError")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<C: Context> fmt::Display for EnqueueTimedError<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)
    }
}

impl<C: Context> core::error::Error for EnqueueTimedError<'_, C> {}
