//! Empty buffers on one side, buffers with work on the other: DMF's `BufferQueue`.
//!
//! The empty side is the lock-free stack that the work item queue has too. The full side offers what a lock-free list
//! cannot (both ends, a count, a walk), and is a list under a spin lock, held for moments.

use core::fmt;

use crate::buffer::{Stock, view};
use crate::cleanup::Cleanup;
use crate::free::NIL;
use crate::kernel::atomic::Ordering::Relaxed;
use crate::kernel::{Irql, SpinLock, check_irql};
use crate::slots::Slot;
use crate::{Buffer, Config, Context, CreateError, NoBuffer, Passive};

/// What a visitor of [`BufferQueue::enumerate`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The next one.
    Continue,
    /// No further one.
    Stop,
    /// No further one, and this one taken out.
    RemoveAndStop,
}

/// A queue of buffers.
///
/// # IRQL
/// All but [`create`](Self::create) at `<= DISPATCH_LEVEL`; nothing blocks.
pub struct BufferQueue<C: Context = ()> {
    stock: Stock<C>,
    full: SpinLock<List>,
}

/// # Invariants
/// Slots on the list are the list's, linked from `head` to `tail`, `count` of them.
struct List {
    head: u32,
    tail: u32,
    count: u32,
}

const EMPTY: List = List {
    head: NIL,
    tail: NIL,
    count: 0,
};

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
            stock: Stock::new(config, None)?,
            full: SpinLock::new(EMPTY),
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
            stock: Stock::new(config, Some(Cleanup::new(cleanup)?))?,
            full: SpinLock::new(EMPTY),
        })
    }

    /// Takes an empty buffer.
    ///
    /// # Errors
    /// [`NoBuffer`].
    pub fn fetch(&self) -> Result<Buffer<'_, C>, NoBuffer> {
        check_irql(Irql::DISPATCH, "BufferQueue::fetch");
        self.stock.fetch()
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
        if buffer.is_of(&self.stock) {
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
        let slot = self.own(buffer)?.into_slot();
        let link = &self.stock.slots.control(slot).link;
        // Relaxed, here and below: links of the list change under its lock.
        link.store(NIL, Relaxed);
        let mut list = self.full.lock();
        match Slot::from_index(list.tail) {
            None => list.head = slot.index(),
            Some(tail) => self.stock.slots.control(tail).link.store(slot.index(), Relaxed),
        }
        list.tail = slot.index();
        list.count += 1;
        Ok(())
    }

    /// Puts a buffer at the head: it is the next to be dequeued.
    ///
    /// # Errors
    /// The buffer, when it is another queue's.
    pub fn enqueue_at_head<'a>(&self, buffer: Buffer<'a, C>) -> Result<(), Buffer<'a, C>> {
        let slot = self.own(buffer)?.into_slot();
        let mut list = self.full.lock();
        self.stock.slots.control(slot).link.store(list.head, Relaxed);
        if list.tail == NIL {
            list.tail = slot.index();
        }
        list.head = slot.index();
        list.count += 1;
        Ok(())
    }

    /// Takes the buffer at the head.
    pub fn dequeue(&self) -> Option<Buffer<'_, C>> {
        check_irql(Irql::DISPATCH, "BufferQueue::dequeue");
        let mut list = self.full.lock();
        let slot = Slot::from_index(list.head)?;
        self.unlink(&mut list, None, slot);
        Some(Buffer {
            stock: &self.stock,
            slot,
        })
    }

    /// Takes `slot`, which follows `before`, off the list.
    fn unlink(&self, list: &mut List, before: Option<Slot>, slot: Slot) {
        let next = self.stock.slots.control(slot).link.load(Relaxed);
        match before {
            None => list.head = next,
            Some(before) => self.stock.slots.control(before).link.store(next, Relaxed),
        }
        if list.tail == slot.index() {
            list.tail = before.map_or(NIL, Slot::index);
        }
        list.count -= 1;
    }

    /// Visits the queued buffers from the head on, and returns the one that a visitor had taken out.
    ///
    /// The visitor runs under the queue's lock, at `DISPATCH_LEVEL`: it must be short, and call nothing of this queue.
    pub fn enumerate(&self, mut visit: impl FnMut(&mut [u8], &mut C) -> Visit) -> Option<Buffer<'_, C>> {
        check_irql(Irql::DISPATCH, "BufferQueue::enumerate");
        let mut list = self.full.lock();
        let mut before = None;
        let mut at = Slot::from_index(list.head);
        while let Some(slot) = at {
            // SAFETY: a slot on the list is the list's, which is locked.
            let (bytes, context) = unsafe { view(&self.stock, slot) };
            match visit(bytes, context) {
                Visit::Continue => {}
                Visit::Stop => return None,
                Visit::RemoveAndStop => {
                    self.unlink(&mut list, before, slot);
                    return Some(Buffer {
                        stock: &self.stock,
                        slot,
                    });
                }
            }
            before = at;
            at = Slot::from_index(self.stock.slots.control(slot).link.load(Relaxed));
        }
        None
    }

    /// Moves every queued buffer back to the empty side, and returns how many those were. What was in them is gone:
    /// DMF's `Flush`, which discards, unlike the flush of a work item queue.
    pub fn clear(&self) -> u32 {
        check_irql(Irql::DISPATCH, "BufferQueue::clear");
        let taken = core::mem::replace(&mut *self.full.lock(), EMPTY);
        let mut at = Slot::from_index(taken.head);
        while let Some(slot) = at {
            // Before the slot goes home, where the link is another list's.
            at = Slot::from_index(self.stock.slots.control(slot).link.load(Relaxed));
            drop(Buffer {
                stock: &self.stock,
                slot,
            });
        }
        taken.count
    }

    /// Queued buffers.
    pub fn count(&self) -> u32 {
        self.full.lock().count
    }

    /// Buffers that there can be at once, on both sides and in clients' hands. IRQL: any.
    pub fn capacity(&self) -> u32 {
        self.stock.slots.max()
    }
}

impl<C: Context> Drop for BufferQueue<C> {
    /// What is still queued goes home as by [`clear`](BufferQueue::clear).
    fn drop(&mut self) {
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
