//! The two kinds of drainer: who runs an activation that a push has begun.

use super::threaded::ThreadPart;
use crate::NtStatus;
use crate::kernel::{Parent, Target, WorkItem};

/// How a drainer is brought about.
pub(crate) enum Starter {
    /// On whatever system worker thread takes up a work item.
    WorkItem(WorkItem),
    /// On a thread of the queue's own, that waits for it.
    Thread(ThreadPart),
}

impl Starter {
    /// # Safety
    /// As for [`WorkItem::bind`].
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "a parent is a mere pointer on one backend only"
    )]
    pub(super) unsafe fn bind(&self, parent: &Parent, target: Target) -> Result<(), NtStatus> {
        match self {
            // SAFETY: by the caller's promise.
            Self::WorkItem(item) => unsafe { item.bind(parent, target) },
            Self::Thread(_) => Ok(()),
        }
    }

    /// Brings a start about; `false`: none will come, since the parent is being deleted. IRQL `<= DISPATCH_LEVEL`.
    pub(super) fn schedule(&self) -> bool {
        match self {
            Self::WorkItem(item) => item.schedule(),
            Self::Thread(thread) => {
                thread.wake();
                true
            }
        }
    }

    /// Ends it with the queue. The thread has ended before, or keeps itself until it does.
    pub(super) fn dispose(&self, on_worker: bool) {
        if let Self::WorkItem(item) = self {
            item.dispose(on_worker);
        }
    }
}
