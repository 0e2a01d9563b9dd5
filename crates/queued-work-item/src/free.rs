//! The stack of free buffers: lock-free, by index and tag.
//!
//! A pop reads the successor of the top before it takes the top. If in between others take the top, take its successor
//! and bring the top back, the index alone would look unchanged, and the pop would hand out a buffer in use. The tag
//! changes with every pop and shows it. Reading the successor of a buffer that somebody just took is harmless because
//! slots lie in a slab and are never freed while the stack exists; buffers that are (lookaside growth) never enter it.

use crate::backoff::Backoff;
use crate::kernel::atomic::{AtomicU32, AtomicU64, Ordering};

/// No slot.
pub(crate) const NIL: u32 = (1 << INDEX_BITS) - 1;

const INDEX_BITS: u32 = 25;
const INDEX_MASK: u64 = NIL as u64;
const CLOSED: u64 = 1 << INDEX_BITS;
/// 38 bits: a thread must sleep through exactly 2^38 pops, most of an hour of nothing else, to be deceived.
const TAG_ONE: u64 = 1 << (INDEX_BITS + 1);

/// A variant that is wrong on purpose, for the models to catch: no tag, the classic ABA. The product is 0.
pub(crate) const UNTAGGED: u8 = 1;

/// Why nothing was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PopError {
    Empty,
    Closed,
}

/// Why one attempt popped nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    Error(PopError),
    /// An exchange was lost: what is there, [`pop`](FreeStack::pop) tells.
    Lost,
}

/// The top of a stack of slot indices; the links lie in the slots.
///
/// # Invariants
/// Every index on the stack is on it once, and its slot belongs to nobody.
///
/// On a line of its own: producers and the drainer hammer on it, and what lies beside it others read.
#[repr(align(64))]
pub(crate) struct FreeStack<const VARIANT: u8 = 0> {
    /// Index of the top (25 bits, [`NIL`] when empty), closed (1 bit), tag (38 bits).
    top: AtomicU64,
}

const fn index(word: u64) -> u32 {
    // The mask leaves 25 bits.
    #[allow(clippy::cast_possible_truncation, reason = "masked to 25 bits")]
    {
        (word & INDEX_MASK) as u32
    }
}

impl<const VARIANT: u8> FreeStack<VARIANT> {
    /// A stack whose top is `first`, linked already.
    pub(crate) fn new(first: u32) -> Self {
        Self {
            top: AtomicU64::new(u64::from(first)),
        }
    }

    /// Takes the top; its slot is the caller's.
    pub(crate) fn pop<'a>(&self, link: impl Fn(u32) -> &'a AtomicU32) -> Result<u32, PopError> {
        let mut backoff = Backoff::default();
        loop {
            match self.try_pop(|slot| slot, |slot| link(*slot)) {
                Ok((slot, _)) => return Ok(slot),
                Err(Missed::Error(error)) => return Err(error),
                Err(Missed::Lost) => backoff.lost(),
            }
        }
    }

    /// One attempt to take the top, and to say where it lies: what `place` makes of it, in which `link` finds the link.
    #[inline]
    pub(crate) fn try_pop<'a, P>(
        &self,
        place: impl Fn(u32) -> P,
        link: impl Fn(&P) -> &'a AtomicU32,
    ) -> Result<(u32, P), Missed> {
        // Acquire: the slot's link and contents, as whoever pushed it left them. Later pushes and pops continue that
        // push's release sequence, so that reading any of them is enough.
        let word = self.top.load(Ordering::Acquire);
        if word & CLOSED != 0 {
            return Err(Missed::Error(PopError::Closed));
        }
        let top = index(word);
        if top == NIL {
            return Err(Missed::Error(PopError::Empty));
        }
        // Relaxed: current if the exchange succeeds (the tag says that nobody popped, and only the owner of a popped
        // slot writes its link), of no account if it fails.
        let place = place(top);
        let next = link(&place).load(Ordering::Relaxed);
        let mut new = (word & !INDEX_MASK) | u64::from(next);
        if VARIANT != UNTAGGED {
            new = new.wrapping_add(TAG_ONE);
        }
        // Acquire: what comes after may not be done before the slot is this thread's.
        match self
            .top
            .compare_exchange_weak(word, new, Ordering::Acquire, Ordering::Relaxed)
        {
            Ok(_) => Ok((top, place)),
            Err(_) => Err(Missed::Lost),
        }
    }

    /// Puts a slot back. `true` when the stack has been closed: whoever closed it counts on being told.
    pub(crate) fn push(&self, slot: u32, link: &AtomicU32) -> bool {
        self.push_chain(slot, link)
    }

    /// Puts a chain of slots back, from `first` to the one whose link is `last`, as [`push`](Self::push) does one.
    pub(crate) fn push_chain(&self, first: u32, last: &AtomicU32) -> bool {
        let mut word = self.top.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange.
            last.store(index(word), Ordering::Relaxed);
            let new = (word & !INDEX_MASK) | u64::from(first);
            // Release: what this owner wrote to the slots, for the next ones.
            match self
                .top
                .compare_exchange_weak(word, new, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return word & CLOSED != 0,
                Err(now) => word = now,
            }
        }
    }

    /// Closes the stack: pops fail from now on, and pushes tell. Returns how many slots were on it at that moment, or
    /// `None` when it had been closed before.
    pub(crate) fn close<'a>(&self, link: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        // Acquire: the links below the top. From here on slots are only added, above this top, so that the walk sees
        // exactly what was there, and every later push sees the bit: each slot is counted once.
        let word = self.top.fetch_or(CLOSED, Ordering::Acquire);
        if word & CLOSED != 0 {
            return None;
        }
        let mut slot = index(word);
        let mut count = 0;
        while slot != NIL {
            count += 1;
            slot = link(slot).load(Ordering::Relaxed);
        }
        Some(count)
    }
}
