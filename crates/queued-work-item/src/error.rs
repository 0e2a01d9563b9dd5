//! What can go wrong, typed. NTSTATUS appears only through each type's `status`, for the edge where a driver answers
//! Windows.

use core::fmt;

use crate::NtStatus;

/// Why an enqueue was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnqueueErrorKind {
    /// No buffer is free, and none may be added: `STATUS_INSUFFICIENT_RESOURCES`.
    Full,
    /// The payload is longer than the queue's buffers: `STATUS_INVALID_BUFFER_SIZE`.
    TooLong,
    /// The queue is closing or closed: `STATUS_DELETE_PENDING`.
    Closing,
}

impl EnqueueErrorKind {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Full => NtStatus::INSUFFICIENT_RESOURCES,
            Self::TooLong => NtStatus::INVALID_BUFFER_SIZE,
            Self::Closing => NtStatus::DELETE_PENDING,
        }
    }
}

impl fmt::Display for EnqueueErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no buffer is free",
            Self::TooLong => "the payload is longer than the queue's buffers",
            Self::Closing => "the queue is closing",
        })
    }
}

/// A refused enqueue, with what the caller had moved in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EnqueueError<P> {
    kind: EnqueueErrorKind,
    returned: P,
}

impl<P> EnqueueError<P> {
    pub(crate) const fn new(kind: EnqueueErrorKind, returned: P) -> Self {
        Self { kind, returned }
    }

    /// Why.
    pub const fn kind(&self) -> EnqueueErrorKind {
        self.kind
    }

    /// The NTSTATUS that stands for it.
    pub const fn status(&self) -> NtStatus {
        self.kind.status()
    }

    /// What was moved into the call and is the caller's again: the payload, the completion, or both.
    pub fn into_inner(self) -> P {
        self.returned
    }

    pub(crate) fn map<Q>(self, f: impl FnOnce(P) -> Q) -> EnqueueError<Q> {
        EnqueueError {
            kind: self.kind,
            returned: f(self.returned),
        }
    }
}

// By hand: a payload needs not be `Debug` for its refusal to be unwrapped.
impl<P> fmt::Debug for EnqueueError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueError")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<P> fmt::Display for EnqueueError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)
    }
}

impl<P> core::error::Error for EnqueueError<P> {}

/// Why a wait for an item has no status to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WaitError<P> {
    /// It was never accepted.
    Refused(EnqueueError<P>),
    /// The caller is what the item would have to wait for, a callback or completion of this very queue:
    /// `STATUS_POSSIBLE_DEADLOCK`. Nothing was enqueued.
    PossibleDeadlock(P),
    /// It was accepted and dropped by a cancel or close before it began: `STATUS_CANCELLED`.
    Cancelled,
}

impl<P> WaitError<P> {
    /// The NTSTATUS that stands for it.
    pub const fn status(&self) -> NtStatus {
        match self {
            Self::Refused(error) => error.status(),
            Self::PossibleDeadlock(_) => NtStatus::POSSIBLE_DEADLOCK,
            Self::Cancelled => NtStatus::CANCELLED,
        }
    }

    /// The payload, where it was not accepted.
    pub fn into_inner(self) -> Option<P> {
        match self {
            Self::Refused(error) => Some(error.into_inner()),
            Self::PossibleDeadlock(payload) => Some(payload),
            Self::Cancelled => None,
        }
    }
}

impl<P> fmt::Debug for WaitError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => f.debug_tuple("Refused").field(&error.kind()).finish(),
            Self::PossibleDeadlock(_) => f.write_str("PossibleDeadlock"),
            Self::Cancelled => f.write_str("Cancelled"),
        }
    }
}

impl<P> fmt::Display for WaitError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => fmt::Display::fmt(error, f),
            Self::PossibleDeadlock(_) => fmt::Display::fmt(&PossibleDeadlock, f),
            Self::Cancelled => f.write_str("the item was cancelled before it began"),
        }
    }
}

impl<P> core::error::Error for WaitError<P> {}

/// A flush or close called from a callback or completion of the same queue, which it would wait for:
/// `STATUS_POSSIBLE_DEADLOCK`. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossibleDeadlock;

impl PossibleDeadlock {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        NtStatus::POSSIBLE_DEADLOCK
    }
}

impl fmt::Display for PossibleDeadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller runs inside the queue that it would wait for")
    }
}

impl core::error::Error for PossibleDeadlock {}

/// Why a queue or pool was not created. Nothing of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// The configuration cannot be met: no buffers, too many, or sizes that overflow. `STATUS_INVALID_PARAMETER`.
    InvalidConfig,
    /// Not enough nonpaged pool: `STATUS_INSUFFICIENT_RESOURCES`.
    OutOfMemory,
    /// The framework refused the work item, with this status.
    Framework(NtStatus),
}

impl CreateError {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::InvalidConfig => NtStatus::INVALID_PARAMETER,
            Self::OutOfMemory => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Framework(status) => status,
        }
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidConfig => f.write_str("the configuration cannot be met"),
            Self::OutOfMemory => f.write_str("not enough nonpaged pool"),
            Self::Framework(status) => write!(f, "the framework refused the work item: {status}"),
        }
    }
}

impl core::error::Error for CreateError {}
