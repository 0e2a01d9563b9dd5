//! The queue of an instance, of whichever kind it is, and in whichever pool its buffers lie.
//!
//! Every enqueue here has the token, since requests and callbacks come at `PASSIVE_LEVEL`: what a paged queue asks for,
//! and others do not need.

use core::time::Duration;

use queued_work_item::kernel::{Parent, Shared};
use queued_work_item::threaded::{Disposition, StartError, ThreadedConfig, Work, Worker};
use queued_work_item::{
    Close, Closed, Config, Counters, CreateError, EnqueueError, Item, NtStatus, PagedQueuedWorkItem, Passive,
    PossibleDeadlock, QueuedWorkItem, ThreadedBufferQueue, WaitError, WaitOutcome,
};

use crate::Ticket;
use crate::decode::{Kind, Shape};
use crate::record::{Ran, Waiter};
use crate::scratch::Scratch;
use crate::shelf::{Held, Shelf};

pub(crate) enum Queue<T: Ticket> {
    Nonpaged(QueuedWorkItem<[u8], Waiter<T>, Scratch>),
    Paged(PagedQueuedWorkItem<[u8], Waiter<T>, Scratch>),
    Threaded(ThreadedBufferQueue<[u8], Waiter<T>, Scratch>, Shared<Shelf>),
}

/// Where an item goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tail,
    /// Only into a queue with a thread of its own.
    Head,
}

/// The same call of either queue.
macro_rules! either {
    ($queue:expr, $name:ident => $call:expr) => {
        match $queue {
            Queue::Nonpaged($name) => $call,
            Queue::Paged($name) => $call,
            Queue::Threaded($name, _) => $call,
        }
    };
}

/// What a thread does with an item, once `run` has.
struct OneByOne<F> {
    run: F,
    shelf: Shared<Shelf>,
}

impl<F> Worker<[u8], Scratch> for OneByOne<F>
where
    F: FnMut(&mut [u8], &mut Scratch, &mut Passive) -> Ran + Send + 'static,
{
    fn work<'a>(&mut self, mut work: Work<'a, [u8], Scratch>, passive: &mut Passive) -> Disposition<'a> {
        let (bytes, context) = work.parts_mut();
        let ran = (self.run)(bytes, context, passive);
        if !ran.pend {
            return work.complete(ran.status.unwrap_or(NtStatus::SUCCESS));
        }
        let (held, disposition) = work.pend();
        self.shelf.keep(ran.tag, held);
        disposition
    }
}

impl<T: Ticket> Queue<T> {
    pub(crate) fn create(
        passive: &mut Passive,
        parent: Parent,
        config: &Config,
        shape: &Shape,
        mut run: impl FnMut(&mut [u8], &mut Scratch, &mut Passive) -> Ran + Send + 'static,
        cleanup: impl Fn(&mut [u8], &mut Scratch) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        if let Kind::Threaded {
            priority,
            waits_for_pended,
        } = shape.kind
        {
            let mut config = ThreadedConfig::new(*config);
            if let Some(priority) = priority {
                config = config.priority(priority);
            }
            if waits_for_pended {
                config = config.wait_for_pended();
            }
            let shelf = Shelf::new(shape.max_buffers).ok_or(CreateError::OutOfMemory)?;
            let shelf = Shared::try_new(shelf).map_err(|_| CreateError::OutOfMemory)?;
            let worker = OneByOne {
                run,
                shelf: shelf.clone(),
            };
            let queue = if shape.reuse_cleanup {
                ThreadedBufferQueue::create_with_cleanup(passive, &config, worker, cleanup)?
            } else {
                ThreadedBufferQueue::create_with_worker(passive, &config, worker)?
            };
            return Ok(Self::Threaded(queue, shelf));
        }
        let callback = move |item: &mut Item<'_, [u8], Scratch>, passive: &mut Passive| {
            let (bytes, context) = item.parts_mut();
            // Nothing is pended here: whoever asked for it was refused.
            if let Some(status) = run(bytes, context, passive).status {
                item.set_status(status);
            }
        };
        let paged = shape.kind == Kind::Paged;
        Ok(match (paged, shape.reuse_cleanup) {
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

    pub(crate) const fn is_threaded(&self) -> bool {
        matches!(self, Self::Threaded(..))
    }

    /// Only a queue with a thread of its own has a head.
    pub(crate) fn enqueue(
        &self,
        passive: &Passive,
        bytes: &[u8],
        place: Place,
    ) -> Result<(), EnqueueError<()>> {
        match (self, place) {
            (Self::Nonpaged(queue), _) => queue.enqueue(bytes),
            (Self::Paged(queue), _) => queue.enqueue(passive, bytes),
            (Self::Threaded(queue, _), Place::Tail) => queue.enqueue(bytes),
            (Self::Threaded(queue, _), Place::Head) => queue.enqueue_at_head(bytes),
        }
    }

    pub(crate) fn enqueue_with(
        &self,
        passive: &Passive,
        bytes: &[u8],
        place: Place,
        waiter: Waiter<T>,
    ) -> Result<(), EnqueueError<Waiter<T>>> {
        match (self, place) {
            (Self::Nonpaged(queue), _) => queue.enqueue_with(bytes, waiter),
            (Self::Paged(queue), _) => queue.enqueue_with(passive, bytes, waiter),
            (Self::Threaded(queue, _), Place::Tail) => queue.enqueue_with(bytes, waiter),
            (Self::Threaded(queue, _), Place::Head) => queue.enqueue_at_head_with(bytes, waiter),
        }
    }

    pub(crate) fn enqueue_and_wait_timeout(
        &self,
        passive: &mut Passive,
        bytes: &[u8],
        place: Place,
        timeout: Duration,
    ) -> Result<WaitOutcome, WaitError<()>> {
        match (self, place) {
            (Self::Threaded(queue, _), Place::Head) => {
                queue.enqueue_at_head_and_wait_timeout(passive, bytes, timeout)
            }
            _ => either!(self, queue => queue.enqueue_and_wait_timeout(passive, bytes, timeout)),
        }
    }

    /// Waits for what has been enqueued. A queue with a thread of its own has no such verb, and is not asked.
    pub(crate) fn flush(&self, passive: &mut Passive) -> Result<(), PossibleDeadlock> {
        match self {
            Self::Nonpaged(queue) => queue.flush(passive),
            Self::Paged(queue) => queue.flush(passive),
            Self::Threaded(..) => Ok(()),
        }
    }

    /// Drops what has not begun.
    pub(crate) fn cancel(&self, passive: &mut Passive) -> u64 {
        match self {
            Self::Nonpaged(queue) => queue.cancel(passive),
            Self::Paged(queue) => queue.cancel(passive),
            Self::Threaded(queue, _) => queue.flush(passive),
        }
    }

    /// Makes its thread, if it is to have one.
    pub(crate) fn start_thread(&self, passive: &mut Passive) -> Result<(), StartError> {
        match self {
            Self::Threaded(queue, _) => queue.start(passive),
            _ => Ok(()),
        }
    }

    /// Ends its thread. How many items were dropped.
    pub(crate) fn stop_thread(&self, passive: &mut Passive) -> Result<u64, PossibleDeadlock> {
        match self {
            Self::Threaded(queue, _) => queue.stop(passive),
            _ => Ok(0),
        }
    }

    /// The pended item with this tag.
    pub(crate) fn take_pended(&self, tag: u64) -> Option<Held> {
        match self {
            Self::Threaded(_, shelf) => shelf.take(tag),
            _ => None,
        }
    }

    /// Completes what is pended, and pends nothing from now on: before a close that is not to wait for others.
    pub(crate) fn let_go(&self) {
        if let Self::Threaded(_, shelf) = self {
            shelf.clear();
        }
    }

    pub(crate) fn pended(&self) -> u32 {
        match self {
            Self::Threaded(queue, _) => queue.pended(),
            _ => 0,
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        match self {
            Self::Threaded(queue, _) => queue.is_started(),
            _ => false,
        }
    }

    pub(crate) fn close(&self, passive: &mut Passive, how: Close) -> Result<Closed, PossibleDeadlock> {
        either!(self, queue => queue.close(passive, how))
    }

    /// Out of D0 it begins nothing; but a thread of its own is its client's to stop.
    pub(crate) fn stop(&self) {
        match self {
            Self::Nonpaged(queue) => queue.stop(),
            Self::Paged(queue) => queue.stop(),
            Self::Threaded(..) => {}
        }
    }

    pub(crate) fn start(&self) {
        match self {
            Self::Nonpaged(queue) => queue.start(),
            Self::Paged(queue) => queue.start(),
            Self::Threaded(..) => {}
        }
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
