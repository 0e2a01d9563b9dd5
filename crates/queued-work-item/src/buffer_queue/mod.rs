//! Empty buffers on one side, buffers with work on the other: DMF's `BufferQueue`.
//!
//! The empty side is the lock-free stack that the work item queue has too. The full side offers what a lock-free list
//! cannot (both ends, a count, a walk, buffers that leave by themselves when their time has come), and is a list under
//! a spin lock, held for moments.

mod deadlines;
mod error;
mod expiry;
mod inner;
pub(crate) mod list;
mod paged;

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use crate::buffer::Stock;
use crate::cleanup::Cleanup;
use crate::kernel::{Irql, MemoryDescriptor, Parent, Shared, check_irql};
use crate::{Buffer, Config, Context, CreateError, Dispatch, NoBuffer, Passive};

pub use self::error::{EnqueueTimedError, EnqueueTimedErrorKind};
use self::expiry::Expired;
use self::inner::{Inner, Untimed};
pub use self::paged::{PagedBuffer, PagedBufferQueue};

#[cfg(all(loom, test))]
pub(crate) use self::{expiry::Expired as ModelExpired, inner::Broken, inner::Inner as ModelInner};

/// What a visitor of [`BufferQueue::enumerate`] wants: DMF's `BufferQueue_EnumerationDispositionType`.
///
/// The timer is the one that the visited buffer was [queued with](BufferQueue::enqueue_with_timer); for a buffer
/// without, the parts that speak of it do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The next one.
    Continue,
    /// No further one.
    Stop,
    /// No further one, and this one taken out, its timer with it.
    RemoveAndStop,
    /// The next one. This one stays for good: its timer is stopped.
    StopTimerAndContinue,
    /// No further one. This one stays for good: its timer is stopped.
    StopTimerAndStop,
    /// The next one. This one's time begins anew, also if it was stopped.
    ResetTimerAndContinue,
    /// No further one. This one's time begins anew, also if it was stopped.
    ResetTimerAndStop,
}

impl Visit {
    const fn goes_on(self) -> bool {
        matches!(
            self,
            Self::Continue | Self::StopTimerAndContinue | Self::ResetTimerAndContinue
        )
    }
}

/// A queue of buffers.
///
/// # IRQL
/// All but what creates one at `<= DISPATCH_LEVEL`; nothing blocks. Drop one that was created with a timer at
/// `PASSIVE_LEVEL`, where that waits for an expiry's callback that runs; above it, the callback may outlast the queue.
pub struct BufferQueue<C: Context = ()> {
    inner: Shared<Inner<C>>,
}

impl<C: Context> BufferQueue<C> {
    /// A queue with its buffers, all empty.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind.
    pub fn create(_: &mut Passive, config: &Config) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "BufferQueue::create");
        Ok(Self {
            inner: Inner::new(Stock::new(config, None)?)?,
        })
    }

    /// As [`create`](Self::create), with a reuse-cleanup callback: DMF's `EvtBufferQueueReuseCleanup`.
    ///
    /// `cleanup` is called exactly once whenever a buffer goes home, used or not: by [`reuse`](Self::reuse), by being dropped, by
    /// [`clear`](Self::clear), and with the queue when it is still queued then. It is handed all of its
    /// bytes and its context, as its last holder left them; both are cleared right after it.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`; `cleanup` is called at the IRQL of whoever gives the buffer back, `<= DISPATCH_LEVEL`, and under
    /// no lock. Two threads may be in it at a time, each with its own buffer.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind.
    pub fn create_with_cleanup(
        _: &mut Passive,
        config: &Config,
        cleanup: impl Fn(&mut [u8], &mut C) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "BufferQueue::create_with_cleanup");
        Ok(Self {
            inner: Inner::new(Stock::new(config, Some(Cleanup::new(cleanup)?))?)?,
        })
    }

    /// As [`create`](Self::create), with room for timers: DMF's `CreateWithTimer`. Only such a queue takes
    /// [`enqueue_with_timer`](Self::enqueue_with_timer), and only it pays: one WDFTIMER, and 28 bytes a buffer.
    ///
    /// `expired` is handed each buffer whose time has come while it was queued, and owns it: it may drop it, which
    /// gives it back, or queue it again, at once or later. What tells one buffer from another is its payload and its
    /// context. (DMF takes a callback with each enqueue.)
    ///
    /// The timer hangs on `parent`, as a work item does: when that is deleted, nothing expires any more, what is queued
    /// stays, and [`enqueue_with_timer`](Self::enqueue_with_timer) says so.
    ///
    /// ```
    /// use std::time::Duration;
    /// use queued_work_item::kernel::{Parent, host::Machine};
    /// use queued_work_item::{BufferQueue, Config, Passive};
    /// // SAFETY: a host thread starts at PASSIVE_LEVEL.
    /// let passive = &mut unsafe { Passive::assume() };
    /// let machine = Machine::new();
    /// let _in = machine.enter();
    /// machine.hold_time(); // no test waits for time
    /// let config = Config::new(4).buffer_size(8);
    /// let queue = <BufferQueue>::create_with_timer(passive, Parent::default(), &config, |_queue, buffer, _dispatch| {
    ///     drop(buffer); // say, tell whoever waits for an answer that none came
    /// })?;
    /// queue.enqueue_with_timer(queue.fetch().expect("four are free"), Duration::from_millis(50)).expect("its own");
    /// machine.advance(Duration::from_millis(50));
    /// assert_eq!(queue.count(), 0);
    /// # Ok::<_, queued_work_item::CreateError>(())
    /// ```
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`; `expired` is called at `DISPATCH_LEVEL`, under no lock, and two processors may be in it at a
    /// time, each with a buffer of its own.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind, and the callback is dropped.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a parent is a name made for this call"
    )]
    pub fn create_with_timer(
        _: &mut Passive,
        parent: Parent,
        config: &Config,
        expired: impl for<'a> Fn(&'a Self, Buffer<'a, C>, &mut Dispatch) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "BufferQueue::create_with_timer");
        let expired = Expired::new(expired)?;
        Ok(Self {
            inner: Inner::with_timer(Stock::new(config, None)?, &parent, expired)?,
        })
    }

    /// As [`create_with_timer`](Self::create_with_timer) and [`create_with_cleanup`](Self::create_with_cleanup) at once.
    ///
    /// # IRQL
    /// As for those.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind, and both callbacks are dropped.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a parent is a name made for this call"
    )]
    pub fn create_with_timer_and_cleanup(
        _: &mut Passive,
        parent: Parent,
        config: &Config,
        expired: impl for<'a> Fn(&'a Self, Buffer<'a, C>, &mut Dispatch) + Send + Sync + 'static,
        cleanup: impl Fn(&mut [u8], &mut C) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "BufferQueue::create_with_timer_and_cleanup");
        let expired = Expired::new(expired)?;
        let stock = Stock::new(config, Some(Cleanup::new(cleanup)?))?;
        Ok(Self {
            inner: Inner::with_timer(stock, &parent, expired)?,
        })
    }

    /// Takes an empty buffer.
    ///
    /// # Errors
    /// [`NoBuffer`].
    pub fn fetch(&self) -> Result<Buffer<'_, C>, NoBuffer> {
        check_irql(Irql::DISPATCH, "BufferQueue::fetch");
        self.inner.stock.fetch()
    }

    /// Gives a buffer back to the empty side, as dropping it does.
    ///
    /// # Errors
    /// The buffer, when it is another queue's.
    pub fn reuse<'a>(&self, buffer: Buffer<'a, C>) -> Result<(), Buffer<'a, C>> {
        self.own(buffer).map(drop)
    }

    fn own<'a>(&self, buffer: Buffer<'a, C>) -> Result<Buffer<'a, C>, Buffer<'a, C>> {
        check_irql(Irql::DISPATCH, "BufferQueue");
        if buffer.is_of(&self.inner.stock) {
            Ok(buffer)
        } else {
            Err(buffer)
        }
    }

    /// Puts a buffer at the tail.
    ///
    /// # Errors
    /// The buffer, when it is another queue's.
    pub fn enqueue<'a>(&self, buffer: Buffer<'a, C>) -> Result<(), Buffer<'a, C>> {
        self.inner.enqueue(self.own(buffer)?.into_slot());
        Ok(())
    }

    /// Puts a buffer at the head: it is the next to be dequeued.
    ///
    /// # Errors
    /// The buffer, when it is another queue's.
    pub fn enqueue_at_head<'a>(&self, buffer: Buffer<'a, C>) -> Result<(), Buffer<'a, C>> {
        self.inner.enqueue_at_head(self.own(buffer)?.into_slot());
        Ok(())
    }

    /// Puts a buffer at the tail for `after` at the most: if it is still queued then, it is taken out, and the callback
    /// that the queue was created with owns it. Times are counted in milliseconds, rounded up; a timer expires a clock
    /// tick or more (up to 16 ms) late.
    ///
    /// Exactly one has the buffer: whoever dequeues or removes it, a clear, the queue's end, or the callback.
    ///
    /// # Errors
    /// [`EnqueueTimedError`], with the buffer, which is not queued.
    pub fn enqueue_with_timer<'a>(
        &'a self,
        buffer: Buffer<'a, C>,
        after: Duration,
    ) -> Result<(), EnqueueTimedError<'a, C>> {
        let slot = match self.own(buffer) {
            Ok(buffer) => buffer.into_slot(),
            Err(buffer) => {
                return Err(EnqueueTimedError::new(EnqueueTimedErrorKind::Foreign, buffer));
            }
        };
        self.inner.enqueue_with_timer(slot, after).map_err(|untimed| {
            let kind = match untimed {
                Untimed::NoTimer => EnqueueTimedErrorKind::NoTimer,
                Untimed::Gone => EnqueueTimedErrorKind::ParentDeleted,
            };
            EnqueueTimedError::new(kind, self.inner.buffer(slot))
        })
    }

    /// Takes the buffer at the head.
    pub fn dequeue(&self) -> Option<Buffer<'_, C>> {
        check_irql(Irql::DISPATCH, "BufferQueue::dequeue");
        self.inner.dequeue().map(|slot| self.inner.buffer(slot))
    }

    /// As [`dequeue`](Self::dequeue), with the bytes described as framework functions take them: DMF's
    /// `DequeueWithMemoryDescriptor`.
    pub fn dequeue_with_memory_descriptor(&self) -> Option<DescribedBuffer<'_, C>> {
        self.dequeue().map(DescribedBuffer)
    }

    /// Visits the queued buffers from the head on, and returns the one that a visitor had taken out.
    ///
    /// The visitor runs under the queue's lock, at `DISPATCH_LEVEL`: it must be short, and call nothing of this queue.
    pub fn enumerate(&self, visit: impl FnMut(&mut [u8], &mut C) -> Visit) -> Option<Buffer<'_, C>> {
        check_irql(Irql::DISPATCH, "BufferQueue::enumerate");
        self.inner.walk(visit).map(|slot| self.inner.buffer(slot))
    }

    /// Moves every queued buffer back to the empty side, and returns how many those were. What was in them is gone:
    /// DMF's `Flush`, which discards, unlike the flush of a work item queue.
    pub fn clear(&self) -> u32 {
        check_irql(Irql::DISPATCH, "BufferQueue::clear");
        self.inner.clear()
    }

    /// Queued buffers.
    pub fn count(&self) -> u32 {
        self.inner.full.lock().list.count()
    }

    /// Buffers that there can be at once, on both sides and in clients' hands. IRQL: any.
    pub fn capacity(&self) -> u32 {
        self.inner.stock.slots.max()
    }
}

/// A buffer with its bytes described, as [`dequeue_with_memory_descriptor`](BufferQueue::dequeue_with_memory_descriptor)
/// hands it out.
#[derive(Debug)]
pub struct DescribedBuffer<'a, C: Context = ()>(Buffer<'a, C>);

impl<'a, C: Context> DescribedBuffer<'a, C> {
    /// The description. While it is in use, the buffer's bytes cannot be looked at.
    pub fn descriptor(&mut self) -> MemoryDescriptor<'_> {
        self.0.memory_descriptor()
    }

    /// The buffer alone.
    pub fn into_buffer(self) -> Buffer<'a, C> {
        self.0
    }
}

impl<'a, C: Context> Deref for DescribedBuffer<'a, C> {
    type Target = Buffer<'a, C>;

    fn deref(&self) -> &Buffer<'a, C> {
        &self.0
    }
}

impl<C: Context> DerefMut for DescribedBuffer<'_, C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<C: Context> Drop for BufferQueue<C> {
    /// What is still queued goes home as by [`clear`](BufferQueue::clear).
    fn drop(&mut self) {
        // First, so that nothing expires, and nothing is queued by what has expired, after the clear.
        self.inner.end_timer();
        self.clear();
    }
}

impl<C: Context> fmt::Debug for BufferQueue<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferQueue")
            .field("count", &self.count())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
