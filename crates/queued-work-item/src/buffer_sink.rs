//! A list that receives buffers: DMF's `BufferPool` as a sink.
//!
//! A [`BufferQueue`](crate::BufferQueue) is a source and one sink. A driver that sorts its buffers into several lists (by
//! priority, say, or by what each waits for) takes one [`BufferPool`] and as many sinks as it likes: a buffer goes from
//! one to another without a copy, and home at last by being dropped.

use core::fmt;

use crate::buffer::Stock;
use crate::buffer_queue::Visit;
use crate::buffer_queue::list::List;
use crate::kernel::{Irql, SpinLock, check_irql};
use crate::{Buffer, BufferPool, Context};

/// A list of buffers of one pool, which creates none.
///
/// It needs no memory of its own: buffers are linked through what the pool has for each. What is in it when it goes
/// goes home.
///
/// ```
/// use queued_work_item::{BufferPool, BufferSink, Config, Passive};
/// // SAFETY: a host thread starts at PASSIVE_LEVEL.
/// let passive = &mut unsafe { Passive::assume() };
/// let pool = <BufferPool>::create(passive, &Config::new(8).buffer_size(64))?;
/// let (urgent, others) = (BufferSink::of(&pool), BufferSink::of(&pool));
/// others.put(pool.fetch().expect("eight are free")).expect("of this pool");
/// let next = urgent.get().or_else(|| others.get());
/// assert!(next.is_some());
/// # Ok::<_, queued_work_item::CreateError>(())
/// ```
///
/// # IRQL
/// `<= DISPATCH_LEVEL`; nothing blocks or allocates.
pub struct BufferSink<'a, C: Context = ()> {
    stock: &'a Stock<C>,
    list: SpinLock<List>,
}

impl<'a, C: Context> BufferSink<'a, C> {
    /// An empty sink for buffers of `pool`.
    pub fn of(pool: &'a BufferPool<C>) -> Self {
        Self {
            stock: pool.stock(),
            list: SpinLock::new(List::new(None)),
        }
    }

    fn own(&self, buffer: Buffer<'a, C>) -> Result<Buffer<'a, C>, Buffer<'a, C>> {
        check_irql(Irql::DISPATCH, "BufferSink");
        if buffer.is_of(self.stock) {
            Ok(buffer)
        } else {
            Err(buffer)
        }
    }

    /// Puts a buffer at the tail.
    ///
    /// # Errors
    /// The buffer, when it is another pool's.
    pub fn put(&self, buffer: Buffer<'a, C>) -> Result<(), Buffer<'a, C>> {
        let slot = self.own(buffer)?.into_slot();
        self.list.lock().push_tail(&self.stock.slots, slot);
        Ok(())
    }

    /// Puts a buffer at the head: it is the next to be got.
    ///
    /// # Errors
    /// The buffer, when it is another pool's.
    pub fn put_at_head(&self, buffer: Buffer<'a, C>) -> Result<(), Buffer<'a, C>> {
        let slot = self.own(buffer)?.into_slot();
        self.list.lock().push_head(&self.stock.slots, slot);
        Ok(())
    }

    /// Takes the buffer at the head.
    pub fn get(&self) -> Option<Buffer<'a, C>> {
        check_irql(Irql::DISPATCH, "BufferSink::get");
        let mut list = self.list.lock();
        let slot = list.head()?;
        list.unlink(&self.stock.slots, None, slot);
        drop(list);
        Some(Buffer {
            stock: self.stock,
            slot,
        })
    }

    /// As [`BufferQueue::enumerate`](crate::BufferQueue::enumerate); nothing in a sink has a timer.
    pub fn enumerate(&self, visit: impl FnMut(&mut [u8], &mut C) -> Visit) -> Option<Buffer<'a, C>> {
        check_irql(Irql::DISPATCH, "BufferSink::enumerate");
        let removed = self.list.lock().walk(self.stock, || 0, visit).removed;
        removed.map(|slot| Buffer {
            stock: self.stock,
            slot,
        })
    }

    /// Lets every buffer go home, and returns how many those were.
    pub fn clear(&self) -> u32 {
        check_irql(Irql::DISPATCH, "BufferSink::clear");
        let taken = self.list.lock().take_all();
        List::give_back(self.stock, taken)
    }

    /// Buffers in it.
    pub fn count(&self) -> u32 {
        self.list.lock().count()
    }
}

impl<C: Context> Drop for BufferSink<'_, C> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<C: Context> fmt::Debug for BufferSink<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferSink")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
