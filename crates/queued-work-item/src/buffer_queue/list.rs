//! The full side of a queue: a list through the slots' links, with deadlines if it was created with a timer.

use super::deadlines::Deadlines;
use crate::NoCompletion;
use crate::free::NIL;
use crate::kernel::atomic::AtomicU32;
use crate::kernel::atomic::Ordering::Relaxed;
use crate::slots::{Slot, Slots};

/// # Invariants
/// - Slots on the list are the list's, linked from `head` to `tail`, `count` of them.
/// - With deadlines, each slot but the head knows the one before it, and only slots on the list are due.
pub(super) struct List {
    head: u32,
    tail: u32,
    count: u32,
    pub(super) deadlines: Option<Deadlines>,
}

/// What was on a list.
pub(super) struct Taken {
    pub(super) head: u32,
    pub(super) count: u32,
}

// Relaxed, wherever a link is read or written: links of the list change under its lock.
fn link<C>(slots: &Slots<NoCompletion, C>, slot: Slot) -> &AtomicU32 {
    &slots.control(slot).link
}

impl List {
    pub(super) const fn new(deadlines: Option<Deadlines>) -> Self {
        Self {
            head: NIL,
            tail: NIL,
            count: 0,
            deadlines,
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) const fn head(&self) -> Option<Slot> {
        Slot::from_index(self.head)
    }

    pub(super) fn next<C>(slots: &Slots<NoCompletion, C>, slot: Slot) -> Option<Slot> {
        Slot::from_index(link(slots, slot).load(Relaxed))
    }

    pub(super) fn push_tail<C>(&mut self, slots: &Slots<NoCompletion, C>, slot: Slot) {
        link(slots, slot).store(NIL, Relaxed);
        match Slot::from_index(self.tail) {
            None => self.head = slot.index(),
            Some(tail) => link(slots, tail).store(slot.index(), Relaxed),
        }
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.forget(slot);
            deadlines.set_before(slot, self.tail);
        }
        self.tail = slot.index();
        self.count += 1;
    }

    pub(super) fn push_head<C>(&mut self, slots: &Slots<NoCompletion, C>, slot: Slot) {
        link(slots, slot).store(self.head, Relaxed);
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.forget(slot);
            deadlines.set_before(slot, NIL);
            if let Some(second) = Slot::from_index(self.head) {
                deadlines.set_before(second, slot.index());
            }
        }
        if self.tail == NIL {
            self.tail = slot.index();
        }
        self.head = slot.index();
        self.count += 1;
    }

    /// Takes `slot`, which follows `before`, off the list, and with it its deadline.
    pub(super) fn unlink<C>(&mut self, slots: &Slots<NoCompletion, C>, before: Option<Slot>, slot: Slot) {
        let next = link(slots, slot).load(Relaxed);
        match before {
            None => self.head = next,
            Some(before) => link(slots, before).store(next, Relaxed),
        }
        let before = before.map_or(NIL, Slot::index);
        if self.tail == slot.index() {
            self.tail = before;
        }
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.forget(slot);
            if let Some(next) = Slot::from_index(next) {
                deadlines.set_before(next, before);
            }
        }
        self.count -= 1;
    }

    /// Takes all of it, in no more time than one: the caller follows the links of what is its own then.
    pub(super) fn take_all(&mut self) -> Taken {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.clear();
        }
        self.tail = NIL;
        Taken {
            head: core::mem::replace(&mut self.head, NIL),
            count: core::mem::take(&mut self.count),
        }
    }
}
