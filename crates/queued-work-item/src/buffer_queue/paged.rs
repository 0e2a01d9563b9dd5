//! A `BufferQueue` whose buffers may be paged out.
//!
//! As with [`PagedQueuedWorkItem`](crate::PagedQueuedWorkItem), payloads and contexts are in paged pool and what links
//! buffers is not, so that the queue itself is the same. What it does not have is what would look into a buffer at
//! `DISPATCH_LEVEL`: a walk under the spin lock, and timers, whose callback is a DPC's.

use core::fmt;

use super::BufferQueue;
use crate::kernel::{Irql, MemoryDescriptor, check_irql};
use crate::{Buffer, Config, Context, CreateError, NoBuffer, Passive};

/// A [`BufferQueue`] with its buffers in paged pool: DMF's `PoolType`, for an instance that is used at `PASSIVE_LEVEL`
/// only. Whatever may look into a buffer takes a [`Passive`] token.
///
/// ```
/// use queued_work_item::buffer_queue::PagedBufferQueue;
/// use queued_work_item::{Config, Passive};
/// // SAFETY: a host thread starts at PASSIVE_LEVEL.
/// let passive = &mut unsafe { Passive::assume() };
/// let queue = <PagedBufferQueue>::create(passive, &Config::new(4).buffer_size(4096))?;
/// let mut buffer = queue.fetch(passive).expect("four are free");
/// buffer.payload_mut(passive)[..5].copy_from_slice(b"hello");
/// queue.enqueue(passive, buffer).expect("its own");
/// assert_eq!(queue.count(), 1);
/// # Ok::<_, queued_work_item::CreateError>(())
/// ```
pub struct PagedBufferQueue<C: Context = ()> {
    queue: BufferQueue<C>,
}

/// A [`Buffer`] that may be paged out.
///
/// # IRQL
/// `PASSIVE_LEVEL`, by the token; and it is dropped there too, which gives it back: that is checked at run time, on the
/// host backend and in debug builds.
#[must_use = "a buffer that is dropped goes back to its queue"]
pub struct PagedBuffer<'a, C: Context = ()>(Buffer<'a, C>);

#[track_caller]
fn at_passive(_: &Passive, call: &str) {
    check_irql(Irql::PASSIVE, call);
}

impl<C: Context> PagedBuffer<'_, C> {
    /// The bytes, all of the configured size.
    pub fn payload<'p>(&'p self, passive: &'p Passive) -> &'p [u8] {
        at_passive(passive, "PagedBuffer::payload");
        self.0.payload()
    }

    /// The bytes, to write.
    pub fn payload_mut<'p>(&'p mut self, passive: &'p Passive) -> &'p mut [u8] {
        at_passive(passive, "PagedBuffer::payload_mut");
        self.0.payload_mut()
    }

    /// The context.
    pub fn context<'p>(&'p self, passive: &'p Passive) -> &'p C {
        at_passive(passive, "PagedBuffer::context");
        self.0.context()
    }

    /// The context, to write.
    pub fn context_mut<'p>(&'p mut self, passive: &'p Passive) -> &'p mut C {
        at_passive(passive, "PagedBuffer::context_mut");
        self.0.context_mut()
    }

    /// Both at once.
    pub fn parts_mut<'p>(&'p mut self, passive: &'p Passive) -> (&'p mut [u8], &'p mut C) {
        at_passive(passive, "PagedBuffer::parts_mut");
        self.0.parts_mut()
    }

    /// As [`Buffer::memory_descriptor`].
    pub fn memory_descriptor<'p>(&'p mut self, passive: &'p Passive) -> MemoryDescriptor<'p> {
        at_passive(passive, "PagedBuffer::memory_descriptor");
        self.0.memory_descriptor()
    }
}

impl<C: Context> PagedBufferQueue<C> {
    /// As [`BufferQueue::create`]. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind.
    pub fn create(passive: &mut Passive, config: &Config) -> Result<Self, CreateError> {
        Ok(Self {
            queue: BufferQueue::create(passive, &config.paged())?,
        })
    }

    /// As [`BufferQueue::create_with_cleanup`]. IRQL `PASSIVE_LEVEL`, here and for `cleanup`.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind.
    pub fn create_with_cleanup(
        passive: &mut Passive,
        config: &Config,
        cleanup: impl Fn(&mut [u8], &mut C) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        Ok(Self {
            queue: BufferQueue::create_with_cleanup(passive, &config.paged(), cleanup)?,
        })
    }

    /// Takes an empty buffer. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// [`NoBuffer`].
    pub fn fetch(&self, passive: &Passive) -> Result<PagedBuffer<'_, C>, NoBuffer> {
        at_passive(passive, "PagedBufferQueue::fetch");
        self.queue.fetch().map(PagedBuffer)
    }

    /// Gives a buffer back to the empty side, as dropping it does. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// The buffer, when it is another queue's.
    pub fn reuse<'a>(&self, passive: &Passive, buffer: PagedBuffer<'a, C>) -> Result<(), PagedBuffer<'a, C>> {
        at_passive(passive, "PagedBufferQueue::reuse");
        self.queue.reuse(buffer.0).map_err(PagedBuffer)
    }

    /// Puts a buffer at the tail. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// The buffer, when it is another queue's.
    pub fn enqueue<'a>(
        &self,
        passive: &Passive,
        buffer: PagedBuffer<'a, C>,
    ) -> Result<(), PagedBuffer<'a, C>> {
        at_passive(passive, "PagedBufferQueue::enqueue");
        self.queue.enqueue(buffer.0).map_err(PagedBuffer)
    }

    /// Puts a buffer at the head. IRQL `PASSIVE_LEVEL`, by its token.
    ///
    /// # Errors
    /// The buffer, when it is another queue's.
    pub fn enqueue_at_head<'a>(
        &self,
        passive: &Passive,
        buffer: PagedBuffer<'a, C>,
    ) -> Result<(), PagedBuffer<'a, C>> {
        at_passive(passive, "PagedBufferQueue::enqueue_at_head");
        self.queue.enqueue_at_head(buffer.0).map_err(PagedBuffer)
    }

    /// Takes the buffer at the head. IRQL `PASSIVE_LEVEL`, by its token.
    pub fn dequeue(&self, passive: &Passive) -> Option<PagedBuffer<'_, C>> {
        at_passive(passive, "PagedBufferQueue::dequeue");
        self.queue.dequeue().map(PagedBuffer)
    }

    /// As [`BufferQueue::clear`]. IRQL `PASSIVE_LEVEL`, by its token.
    pub fn clear(&self, passive: &Passive) -> u32 {
        at_passive(passive, "PagedBufferQueue::clear");
        self.queue.clear()
    }

    /// Queued buffers. IRQL `<= DISPATCH_LEVEL`.
    pub fn count(&self) -> u32 {
        self.queue.count()
    }

    /// Buffers that there can be at once. IRQL: any.
    pub fn capacity(&self) -> u32 {
        self.queue.capacity()
    }
}

impl<C: Context> fmt::Debug for PagedBuffer<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PagedBuffer").field(&self.0).finish()
    }
}

impl<C: Context> fmt::Debug for PagedBufferQueue<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PagedBufferQueue").field(&self.queue).finish()
    }
}
