//! The floor: what any queue of preallocated buffers has to do, and nothing else. A free buffer is popped, the payload
//! copied, the buffer pushed; two compare-and-swaps. No worker, no closing, no waiters, no counters.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::Post;

const NIL: u32 = u32::MAX;

struct Node<T> {
    link: AtomicU32,
    item: UnsafeCell<MaybeUninit<T>>,
}

/// Two stacks of indices over one slab.
pub struct Floor<T, H> {
    nodes: Box<[Node<T>]>,
    /// Index and, against ABA, a tag.
    free: Line,
    pending: Line,
    handler: H,
}

#[repr(align(64))]
struct Line(AtomicU64);

// SAFETY: an item is touched by whoever popped its node, and is `Send`.
unsafe impl<T: Send, H: Sync> Sync for Floor<T, H> {}

#[allow(clippy::cast_possible_truncation, reason = "the low half is the index")]
const fn index(word: u64) -> u32 {
    word as u32
}

impl<T: Copy, H: Fn(&T)> Floor<T, H> {
    /// A floor whose `settle` handles items by `handler`.
    pub fn new(capacity: u32, handler: H) -> Self {
        let node = |index| Node {
            link: AtomicU32::new(if index + 1 == capacity { NIL } else { index + 1 }),
            item: UnsafeCell::new(MaybeUninit::uninit()),
        };
        Self {
            nodes: (0..capacity).map(node).collect(),
            free: Line(AtomicU64::new(0)),
            pending: Line(AtomicU64::new(u64::from(NIL))),
            handler,
        }
    }

    fn push(&self, top: &AtomicU64, slot: u32) {
        let mut word = top.load(Ordering::Relaxed);
        loop {
            self.nodes[slot as usize]
                .link
                .store(index(word), Ordering::Relaxed);
            let new = word & !u64::from(u32::MAX) | u64::from(slot);
            match top.compare_exchange_weak(word, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    fn pop(&self, top: &AtomicU64) -> Option<u32> {
        let mut word = top.load(Ordering::Acquire);
        loop {
            let slot = index(word);
            if slot == NIL {
                return None;
            }
            let next = self.nodes[slot as usize].link.load(Ordering::Relaxed);
            let new = (word & !u64::from(u32::MAX) | u64::from(next)).wrapping_add(1 << 32);
            match top.compare_exchange_weak(word, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(slot),
                Err(now) => word = now,
            }
        }
    }
}

impl<T: Copy + Send, H: Fn(&T) + Sync> Post<T> for Floor<T, H> {
    fn post(&self, item: T) -> bool {
        let Some(slot) = self.pop(&self.free.0) else {
            return false;
        };
        // SAFETY: popped, so this thread's alone.
        unsafe { (*self.nodes[slot as usize].item.get()).write(item) };
        self.push(&self.pending.0, slot);
        true
    }

    fn settle(&self) {
        while let Some(slot) = self.pop(&self.pending.0) {
            // SAFETY: popped, so this thread's alone.
            let item = unsafe { *self.nodes[slot as usize].item.get() };
            // SAFETY: written before it was pushed.
            (self.handler)(unsafe { item.assume_init_ref() });
            self.push(&self.free.0, slot);
        }
    }

    fn has_worker(&self) -> bool {
        false
    }
}
