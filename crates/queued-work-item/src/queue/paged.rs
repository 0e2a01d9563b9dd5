//! A queue whose payloads and contexts may be paged out.
//!
//! Nonpaged pool is dear, and a queue that is only fed by threads needs none for its payloads. Whether a page fault can be
//! served is a question of the caller's IRQL, so that such a queue is another type: its enqueue asks for the token.
//!
//! # What is paged
//! Payloads, contexts and completions, in the slab and in the blocks that the queue grows by. What stays resident is 16
//! bytes a buffer, and the queue itself: producers link and the drainer unlinks buffers by words that no page fault may
//! come between, some under a spin lock. The engine is the same, since it looks into a buffer only where it owns it, and
//! under no lock: the producer before its push, the worker and whoever cancels after the take, both at `PASSIVE_LEVEL`.

use core::fmt;
use core::time::Duration;

use super::{Close, Closed, Context, Counters, QueuedWorkItem, WaitOutcome};
use crate::kernel::{Irql, Parent, check_irql};
use crate::payload::Payload;
use crate::{
    Completion, Config, CreateError, EnqueueError, Item, NoCompletion, NtStatus, Passive, PossibleDeadlock,
    WaitError,
};

/// A [`QueuedWorkItem`] with its buffers in paged pool: DMF's `PoolType`, for an instance that is used at
/// `PASSIVE_LEVEL` only.
///
/// It does what a [`QueuedWorkItem`] does, verb by verb, and an enqueue takes a [`Passive`] token. A DPC has none, and who
/// has lent it to a [lock's guard](crate::kernel::SpinLock::lock_from_passive) cannot enqueue until that is gone:
///
/// ```compile_fail,E0502
/// use queued_work_item::{PagedQueuedWorkItem, Passive, kernel::SpinLock};
/// fn enqueue_under_lock(lock: &SpinLock<u32>, queue: &PagedQueuedWorkItem<u32>, passive: &mut Passive) {
///     let guard = lock.lock_from_passive(passive);
///     let _ = queue.enqueue(passive, 1);
///     drop(guard);
/// }
/// ```
///
/// A callback that raises its IRQL must not look at its item meanwhile; debug builds and the host backend check it.
///
/// ```
/// use queued_work_item::kernel::Parent;
/// use queued_work_item::{Close, Config, PagedQueuedWorkItem, Passive};
/// // SAFETY: a host thread starts at PASSIVE_LEVEL.
/// let passive = &mut unsafe { Passive::assume() };
/// let config = Config::new(8).buffer_size(4096);
/// let queue = <PagedQueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, |item, _| {
///     assert_eq!(item.payload(), b"a line of a log");
/// })?;
/// queue.enqueue(passive, b"a line of a log").expect("a buffer is free");
/// queue.close(passive, Close::Drain).expect("not called from the callback");
/// # Ok::<_, queued_work_item::CreateError>(())
/// ```
///
/// # Dropping
/// As [`QueuedWorkItem`], at `PASSIVE_LEVEL`: above it, the host backend stops the test.
pub struct PagedQueuedWorkItem<T: Payload + ?Sized, K: Completion = NoCompletion, C: Context = ()> {
    queue: QueuedWorkItem<T, K, C>,
}

#[track_caller]
fn at_passive(_: &Passive, call: &str) {
    check_irql(Irql::PASSIVE, call);
}

impl<T: Payload + ?Sized, K: Completion, C: Context> PagedQueuedWorkItem<T, K, C> {
    /// As [`QueuedWorkItem::create`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As there.
    pub fn create(
        passive: &mut Passive,
        parent: Parent,
        config: &Config,
        callback: impl FnMut(&mut Item<'_, T, C>, &mut Passive) + Send + 'static,
    ) -> Result<Self, CreateError> {
        Ok(Self {
            queue: QueuedWorkItem::create(passive, parent, &config.paged(), callback)?,
        })
    }

    /// As [`QueuedWorkItem::create_with_cleanup`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As there.
    pub fn create_with_cleanup(
        passive: &mut Passive,
        parent: Parent,
        config: &Config,
        callback: impl FnMut(&mut Item<'_, T, C>, &mut Passive) + Send + 'static,
        cleanup: impl Fn(&mut T, &mut C) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        Ok(Self {
            queue: QueuedWorkItem::create_with_cleanup(passive, parent, &config.paged(), callback, cleanup)?,
        })
    }

    /// As [`QueuedWorkItem::flush`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] from the queue's own callback or completions.
    pub fn flush(&self, passive: &mut Passive) -> Result<(), PossibleDeadlock> {
        self.queue.flush(passive)
    }

    /// As [`QueuedWorkItem::cancel`]. IRQL `PASSIVE_LEVEL`.
    pub fn cancel(&self, passive: &mut Passive) -> u64 {
        self.queue.cancel(passive)
    }

    /// As [`QueuedWorkItem::stop`]. IRQL `<= DISPATCH_LEVEL`: it touches no buffer.
    pub fn stop(&self) {
        self.queue.stop();
    }

    /// As [`QueuedWorkItem::stop_and_wait`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] from the queue's own callback or completions; the queue is not stopped then.
    pub fn stop_and_wait(&self, passive: &mut Passive) -> Result<(), PossibleDeadlock> {
        self.queue.stop_and_wait(passive)
    }

    /// As [`QueuedWorkItem::start`]. IRQL `<= DISPATCH_LEVEL`: it touches no buffer.
    pub fn start(&self) {
        self.queue.start();
    }

    /// As [`QueuedWorkItem::is_stopped`]. IRQL `<= DISPATCH_LEVEL`.
    pub fn is_stopped(&self) -> bool {
        self.queue.is_stopped()
    }

    /// As [`QueuedWorkItem::close`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] from the queue's own callback or completions.
    pub fn close(&self, passive: &mut Passive, how: Close) -> Result<Closed, PossibleDeadlock> {
        self.queue.close(passive, how)
    }

    /// As [`QueuedWorkItem::len`]. IRQL `<= DISPATCH_LEVEL`.
    pub fn len(&self) -> u32 {
        self.queue.len()
    }

    /// As [`QueuedWorkItem::is_empty`]. IRQL `<= DISPATCH_LEVEL`.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// As [`QueuedWorkItem::is_closing`]. IRQL: any.
    pub fn is_closing(&self) -> bool {
        self.queue.is_closing()
    }

    /// As [`QueuedWorkItem::capacity`]. IRQL: any.
    pub fn capacity(&self) -> u32 {
        self.queue.capacity()
    }

    /// As [`QueuedWorkItem::high_water_mark`]. IRQL `<= DISPATCH_LEVEL`.
    pub fn high_water_mark(&self) -> u32 {
        self.queue.high_water_mark()
    }

    /// As [`QueuedWorkItem::counters`]. IRQL `<= DISPATCH_LEVEL`.
    pub fn counters(&self) -> Counters {
        self.queue.counters()
    }
}

impl<K: Completion, C: Context> PagedQueuedWorkItem<[u8], K, C> {
    /// As [`QueuedWorkItem::enqueue`]. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue(&self, passive: &Passive, payload: &[u8]) -> Result<(), EnqueueError<()>> {
        at_passive(passive, "PagedQueuedWorkItem::enqueue");
        self.queue.enqueue(payload)
    }

    /// As [`QueuedWorkItem::enqueue_with`]. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue_with(
        &self,
        passive: &Passive,
        payload: &[u8],
        completion: K,
    ) -> Result<(), EnqueueError<K>> {
        at_passive(passive, "PagedQueuedWorkItem::enqueue_with");
        self.queue.enqueue_with(payload, completion)
    }

    /// As [`QueuedWorkItem::enqueue_and_wait`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue_and_wait(&self, passive: &mut Passive, payload: &[u8]) -> Result<NtStatus, WaitError<()>> {
        self.queue.enqueue_and_wait(passive, payload)
    }

    /// As [`QueuedWorkItem::enqueue_and_wait_timeout`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue_and_wait_timeout(
        &self,
        passive: &mut Passive,
        payload: &[u8],
        timeout: Duration,
    ) -> Result<WaitOutcome, WaitError<()>> {
        self.queue.enqueue_and_wait_timeout(passive, payload, timeout)
    }
}

impl<T: Send + 'static, K: Completion, C: Context> PagedQueuedWorkItem<T, K, C> {
    /// As [`QueuedWorkItem::enqueue`]. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue(&self, passive: &Passive, payload: T) -> Result<(), EnqueueError<T>> {
        at_passive(passive, "PagedQueuedWorkItem::enqueue");
        self.queue.enqueue(payload)
    }

    /// As [`QueuedWorkItem::enqueue_with`]. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue_with(
        &self,
        passive: &Passive,
        payload: T,
        completion: K,
    ) -> Result<(), EnqueueError<(T, K)>> {
        at_passive(passive, "PagedQueuedWorkItem::enqueue_with");
        self.queue.enqueue_with(payload, completion)
    }

    /// As [`QueuedWorkItem::enqueue_and_wait`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue_and_wait(&self, passive: &mut Passive, payload: T) -> Result<NtStatus, WaitError<T>> {
        self.queue.enqueue_and_wait(passive, payload)
    }

    /// As [`QueuedWorkItem::enqueue_and_wait_timeout`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As there.
    pub fn enqueue_and_wait_timeout(
        &self,
        passive: &mut Passive,
        payload: T,
        timeout: Duration,
    ) -> Result<WaitOutcome, WaitError<T>> {
        self.queue.enqueue_and_wait_timeout(passive, payload, timeout)
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context> Drop for PagedQueuedWorkItem<T, K, C> {
    fn drop(&mut self) {
        check_irql(Irql::PASSIVE, "the drop of a PagedQueuedWorkItem");
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context> fmt::Debug for PagedQueuedWorkItem<T, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PagedQueuedWorkItem").field(&self.queue).finish()
    }
}
