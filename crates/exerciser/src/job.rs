//! What blocks, off the handler's thread.

use alloc::vec::Vec;
use core::time::Duration;

use queued_work_item::kernel::Shared;
use queued_work_item::{Close, Passive, WaitError, WaitOutcome};
use queued_work_item_ioctl::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use crate::life::Permit;
use crate::pending::Answer;
use crate::record::Waiter;
use crate::slot::Instance;
use crate::{Exerciser, Platform};

/// A flush, a close or a bounded wait that a request waits for: run it on a thread that it may block.
///
/// A job that is dropped unrun leaves its request to be cancelled.
pub struct Job<P: Platform> {
    /// Declared first: the request is answered, then the queue is given up, then the device may go.
    pub(crate) waiter: Waiter<P::Ticket>,
    pub(crate) work: Work,
    /// Of the instance.
    pub(crate) slot: usize,
    pub(crate) instance: Shared<Instance<P::Ticket>>,
    pub(crate) exerciser: Exerciser<P>,
    pub(crate) permit: Permit,
}

pub(crate) enum Work {
    Flush,
    Close(Close),
    /// Enqueue these bytes, and wait for so long: the library's own bounded wait, whose waiter lives on this stack.
    Wait {
        bytes: Vec<u8>,
        timeout: Duration,
    },
}

impl<P: Platform> Job<P> {
    /// Does it, and answers the request. Blocks for as long as callbacks take, gates included.
    ///
    /// Removal waits until the result is dropped: drop it last, after what belongs to the thread.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token; not in a callback of an instance.
    pub fn run(self, passive: &mut Passive) -> Finished<P> {
        let Self {
            waiter,
            work,
            slot,
            instance,
            exerciser,
            permit,
        } = self;
        let answer = match work {
            Work::Flush => match instance.queue.flush(passive) {
                Ok(()) => Answer::Status(STATUS_SUCCESS),
                Err(error) => Answer::Status(error.status().0.cast_unsigned()),
            },
            Work::Wait { bytes, timeout } => wait(&instance, &bytes, timeout, passive),
            Work::Close(how) => match exerciser
                .slot(slot)
                .map(|slot| slot.close(instance, how, passive))
            {
                Some(Ok(cancelled)) => Answer::Closed(cancelled),
                Some(Err(error)) => Answer::Status(error.0.cast_unsigned()),
                // Slots do not go away.
                None => Answer::Status(STATUS_INVALID_PARAMETER),
            },
        };
        waiter.settle(answer);
        Finished {
            _exerciser: exerciser,
            _permit: permit,
        }
    }
}

fn wait<T: crate::Ticket>(
    instance: &Instance<T>,
    bytes: &[u8],
    timeout: Duration,
    passive: &mut Passive,
) -> Answer {
    let queue = &instance.queue;
    let counters = &instance.record.counters;
    match counters.accept_wait(|| queue.enqueue_and_wait_timeout(passive, bytes, timeout)) {
        Ok(WaitOutcome::Ran(status)) => Answer::Ran(status.0.cast_unsigned()),
        Ok(WaitOutcome::TimedOut) => Answer::TimedOut,
        Err(WaitError::Cancelled) => Answer::Dropped,
        Err(error) => Answer::Status(error.status().0.cast_unsigned()),
    }
}

/// A job that is done. While it lives, the device is not gone.
#[must_use = "removal waits until it is dropped, which is for whoever owns the thread to choose"]
pub struct Finished<P: Platform> {
    /// Given up before the permit: the device may go with that.
    _exerciser: Exerciser<P>,
    _permit: Permit,
}
