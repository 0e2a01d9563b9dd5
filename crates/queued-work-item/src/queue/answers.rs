//! What the verbs are told, and what they tell.

use crate::engine::Core;
use crate::kernel::atomic::{AtomicU64, Ordering};
use crate::payload::Payload;
use crate::{Completion, Context, NtStatus};

/// What a close does with what has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// It runs.
    Drain,
    /// It is dropped; whoever waits for it is told.
    Cancel,
}

/// What a close did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Items that this call dropped.
    pub cancelled: u64,
}

/// What came of a bounded wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The item ran and its callback left this status.
    Ran(NtStatus),
    /// The time ran out first. The item runs all the same, exactly once, unless it is cancelled.
    TimedOut,
}

impl WaitOutcome {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Ran(status) => status,
            Self::TimedOut => NtStatus::TIMEOUT,
        }
    }
}

/// What happened to a queue so far. Read under one lock: the figures fit each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Enqueues that succeeded.
    pub enqueued: u64,
    /// Items that have run, their waiters and completions told.
    pub executed: u64,
    /// Items that were dropped before they began.
    pub cancelled: u64,
    /// Enqueues refused because no buffer was free.
    pub refused_full: u64,
    /// Enqueues refused because the payload was too long.
    pub refused_too_long: u64,
    /// Enqueues refused because the queue was closing.
    pub refused_closing: u64,
}

impl Counters {
    pub(crate) fn of<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8>(
        core: &Core<T, K, C, VARIANT>,
    ) -> Self {
        let refused = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ready = core.look();
        Self {
            enqueued: ready.pushes(),
            executed: ready.executed(),
            cancelled: ready.cancelled,
            refused_full: refused(&core.refused.full),
            refused_too_long: refused(&core.refused.too_long),
            refused_closing: refused(&core.refused.closing),
        }
    }
}
