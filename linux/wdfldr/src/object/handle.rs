//! Handles and reference counts.
//!
//! A handle is not a pointer: it names a slot and the generation in which the slot's object lives. The slot, which is
//! never freed, holds the reference count next to the generation, so that one compare-and-swap both validates a handle
//! and takes a reference. A deleted object's handle is therefore recognised for what it is, also while another thread
//! frees the object, and never dereferenced.
//!
//! ```text
//! handle: 63..48 'WD' | 47..24 generation | 23..3 slot index | 2..0 zero
//! state:  63..32 generation | 31..0 references
//! ```

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::Header;
use crate::nt::ffi;
use crate::nt::sync::Lock;

const TAG: u64 = 0x5744;
const GENERATION_BITS: u32 = 24;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const INDEX_MASK: u64 = (1 << 21) - 1;
const SEGMENT: usize = 4096;
const SEGMENTS: usize = 512;

/// Where an object's references are counted, and where its handle leads.
pub(crate) struct Slot {
    state: AtomicU64,
    object: AtomicPtr<Header>,
}

/// What is wrong with a handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Null, or a value that this runtime never gave out.
    NeverOne,
    /// It was one, of an object that is gone.
    Deleted,
}

struct Table {
    segments: [AtomicPtr<Slot>; SEGMENTS],
    free: Lock<Free>,
}

struct Free {
    /// Freed slots, reused oldest first so that a stale handle stays recognisable for long.
    indices: VecDeque<u32>,
    /// Slots from here on were never used.
    unused: u32,
}

static TABLE: Table = Table {
    segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
    free: Lock::new(Free {
        indices: VecDeque::new(),
        unused: 0,
    }),
};

/// How many freed slots are kept back before one is reused.
const KEPT_BACK: usize = 256;

/// The references in a slot's state.
const fn references(state: u64) -> u64 {
    state & 0xffff_ffff
}

fn slot(index: u32) -> Option<&'static Slot> {
    let index = index as usize;
    let segment = TABLE.segments.get(index / SEGMENT)?.load(Ordering::Acquire);
    if segment.is_null() {
        return None;
    }
    // SAFETY: a segment has SEGMENT slots and is never freed.
    Some(unsafe { &*segment.wrapping_add(index % SEGMENT) })
}

/// Takes a slot, with one reference, and gives the handle it will have. `None` if two million objects live.
pub(super) fn reserve() -> Option<(usize, &'static Slot)> {
    let mut free = TABLE.free.lock();
    let index = if free.indices.len() > KEPT_BACK {
        free.indices.pop_front()?
    } else {
        let index = free.unused;
        if index as usize >= SEGMENT * SEGMENTS {
            free.indices.pop_front()?
        } else {
            if (index as usize).is_multiple_of(SEGMENT) {
                let segment: Box<[Slot]> = (0..SEGMENT)
                    .map(|_| Slot {
                        state: AtomicU64::new(0),
                        object: AtomicPtr::new(ptr::null_mut()),
                    })
                    .collect();
                let segment = Box::leak(segment).as_mut_ptr();
                TABLE.segments[index as usize / SEGMENT].store(segment, Ordering::Release);
            }
            free.unused += 1;
            index
        }
    };
    drop(free);
    let slot = slot(index)?;
    let generation = ((slot.state.load(Ordering::Relaxed) >> 32) + 1) & GENERATION_MASK;
    slot.state.store(generation << 32 | 1, Ordering::Relaxed);
    let handle = TAG << 48 | generation << 24 | u64::from(index) << 3;
    usize::try_from(handle).ok().map(|handle| (handle, slot))
}

/// Takes a reference through a handle.
pub(super) fn acquire(handle: usize) -> Result<NonNull<Header>, Bad> {
    let bits = handle as u64;
    if bits >> 48 != TAG || !bits.is_multiple_of(8) {
        return Err(Bad::NeverOne);
    }
    #[allow(clippy::cast_possible_truncation, reason = "21 bits")]
    let slot = slot((bits >> 3 & INDEX_MASK) as u32).ok_or(Bad::NeverOne)?;
    let generation = bits >> 24 & GENERATION_MASK;
    let mut state = slot.state.load(Ordering::Relaxed);
    loop {
        if state >> 32 != generation || references(state) == 0 {
            return Err(Bad::Deleted);
        }
        match slot
            .state
            .compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed)
        {
            Ok(_) => break,
            Err(now) => state = now,
        }
    }
    NonNull::new(slot.object.load(Ordering::Acquire)).ok_or(Bad::Deleted)
}

impl Slot {
    /// Makes the handle lead to its object.
    pub(super) fn publish(&self, object: NonNull<Header>) {
        self.object.store(object.as_ptr(), Ordering::Release);
    }

    /// One reference more, for who has one.
    pub(super) fn reference(&self) {
        self.state.fetch_add(1, Ordering::Relaxed);
    }

    /// One reference less; true for the last one. The object then belongs to the caller, and its handle stays valid
    /// with one reference until [`Slot::retire`], because EvtDestroyCallback may use it.
    pub(super) fn release(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let last = references(state) == 1;
            if last {
                core::sync::atomic::fence(Ordering::Acquire);
                return true;
            }
            match self
                .state
                .compare_exchange_weak(state, state - 1, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return false,
                Err(now) => state = now,
            }
        }
    }

    /// Makes the handle invalid and gives the slot back. Waits for threads that are just using the handle: they are
    /// late, but what they look at must not vanish. False if they do not leave: the object was referenced for good.
    pub(super) fn retire(&self, handle: usize) -> bool {
        let generation = self.state.load(Ordering::Relaxed) >> 32 << 32;
        let mut patience = 100_000;
        while self
            .state
            .compare_exchange_weak(generation | 1, generation, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            patience -= 1;
            if patience == 0 {
                return false;
            }
            ffi::yield_now();
        }
        self.object.store(ptr::null_mut(), Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation, reason = "21 bits")]
        let index = (handle as u64 >> 3 & INDEX_MASK) as u32;
        TABLE.free.lock().indices.push_back(index);
        true
    }
}
