//! The queue of an instance, in whichever pool its buffers lie.
//!
//! Every enqueue here has the token, since requests and callbacks come at `PASSIVE_LEVEL`: what a paged queue asks for,
//! and another does not need.

use core::time::Duration;

use queued_work_item::kernel::Parent;
use queued_work_item::{
    Close, Closed, Config, Counters, CreateError, EnqueueError, Item, PagedQueuedWorkItem, Passive,
    PossibleDeadlock, QueuedWorkItem, WaitError, WaitOutcome,
};

use crate::Ticket;
use crate::decode::Shape;
use crate::record::Waiter;
use crate::scratch::Scratch;

pub(crate) enum Queue<T: Ticket> {
    Nonpaged(QueuedWorkItem<[u8], Waiter<T>, Scratch>),
    Paged(PagedQueuedWorkItem<[u8], Waiter<T>, Scratch>),
}

/// The same call of either queue.
macro_rules! either {
    ($queue:expr, $name:ident => $call:expr) => {
        match $queue {
            Queue::Nonpaged($name) => $call,
            Queue::Paged($name) => $call,
        }
    };
}

impl<T: Ticket> Queue<T> {
    pub(crate) fn create(
        passive: &mut Passive,
        parent: Parent,
        config: &Config,
        shape: &Shape,
        callback: impl FnMut(&mut Item<'_, [u8], Scratch>, &mut Passive) + Send + 'static,
        cleanup: impl Fn(&mut [u8], &mut Scratch) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        Ok(match (shape.paged, shape.reuse_cleanup) {
            (false, false) => Self::Nonpaged(QueuedWorkItem::create(passive, parent, config, callback)?),
            (false, true) => Self::Nonpaged(QueuedWorkItem::create_with_cleanup(
                passive, parent, config, callback, cleanup,
            )?),
            (true, false) => Self::Paged(PagedQueuedWorkItem::create(passive, parent, config, callback)?),
            (true, true) => Self::Paged(PagedQueuedWorkItem::create_with_cleanup(
                passive, parent, config, callback, cleanup,
            )?),
        })
    }

    pub(crate) fn enqueue(&self, passive: &Passive, bytes: &[u8]) -> Result<(), EnqueueError<()>> {
        match self {
            Self::Nonpaged(queue) => queue.enqueue(bytes),
            Self::Paged(queue) => queue.enqueue(passive, bytes),
        }
    }

    pub(crate) fn enqueue_with(
        &self,
        passive: &Passive,
        bytes: &[u8],
        waiter: Waiter<T>,
    ) -> Result<(), EnqueueError<Waiter<T>>> {
        match self {
            Self::Nonpaged(queue) => queue.enqueue_with(bytes, waiter),
            Self::Paged(queue) => queue.enqueue_with(passive, bytes, waiter),
        }
    }

    pub(crate) fn enqueue_and_wait_timeout(
        &self,
        passive: &mut Passive,
        bytes: &[u8],
        timeout: Duration,
    ) -> Result<WaitOutcome, WaitError<()>> {
        either!(self, queue => queue.enqueue_and_wait_timeout(passive, bytes, timeout))
    }

    pub(crate) fn flush(&self, passive: &mut Passive) -> Result<(), PossibleDeadlock> {
        either!(self, queue => queue.flush(passive))
    }

    pub(crate) fn cancel(&self, passive: &mut Passive) -> u64 {
        either!(self, queue => queue.cancel(passive))
    }

    pub(crate) fn close(&self, passive: &mut Passive, how: Close) -> Result<Closed, PossibleDeadlock> {
        either!(self, queue => queue.close(passive, how))
    }

    pub(crate) fn stop(&self) {
        either!(self, queue => queue.stop());
    }

    pub(crate) fn start(&self) {
        either!(self, queue => queue.start());
    }

    pub(crate) fn capacity(&self) -> u32 {
        either!(self, queue => queue.capacity())
    }

    pub(crate) fn high_water_mark(&self) -> u32 {
        either!(self, queue => queue.high_water_mark())
    }

    pub(crate) fn counters(&self) -> Counters {
        either!(self, queue => queue.counters())
    }
}
