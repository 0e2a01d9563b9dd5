//! Buffers that wait: the full side of a queue, or a sink. A list through the slots' links, with deadlines if it is
//! that of a queue with a timer.

use super::Visit;
use super::deadlines::Deadlines;
use crate::buffer::{Stock, view};
use crate::free::NIL;
use crate::kernel::atomic::AtomicU32;
use crate::kernel::atomic::Ordering::Relaxed;
use crate::slots::{Slot, Slots};
use crate::{Buffer, Context, NoCompletion};

/// # Invariants
/// - Slots on the list are the list's, linked from `head` to `tail`, `count` of them.
/// - With deadlines, each slot but the head knows the one before it, and only slots on the list are due.
pub(crate) struct List {
    head: u32,
    tail: u32,
    count: u32,
    pub(super) deadlines: Option<Deadlines>,
}

/// What came of a walk.
pub(crate) struct Walked {
    /// Taken out.
    pub(crate) removed: Option<Slot>,
    /// Deadlines were reset, as of this time.
    pub(crate) reset: Option<u64>,
}

/// What was on a list.
pub(crate) struct Taken {
    pub(crate) head: u32,
    pub(crate) count: u32,
}

// Relaxed, wherever a link is read or written: links of the list change under its lock.
fn link<C>(slots: &Slots<NoCompletion, C>, slot: Slot) -> &AtomicU32 {
    &slots.control(slot).link
}

impl List {
    pub(crate) const fn new(deadlines: Option<Deadlines>) -> Self {
        Self {
            head: NIL,
            tail: NIL,
            count: 0,
            deadlines,
        }
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    pub(crate) const fn head(&self) -> Option<Slot> {
        Slot::from_index(self.head)
    }

    pub(crate) fn next<C>(slots: &Slots<NoCompletion, C>, slot: Slot) -> Option<Slot> {
        Slot::from_index(link(slots, slot).load(Relaxed))
    }

    pub(crate) fn push_tail<C>(&mut self, slots: &Slots<NoCompletion, C>, slot: Slot) {
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

    pub(crate) fn push_head<C>(&mut self, slots: &Slots<NoCompletion, C>, slot: Slot) {
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
    pub(crate) fn unlink<C>(&mut self, slots: &Slots<NoCompletion, C>, before: Option<Slot>, slot: Slot) {
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
    pub(crate) fn take_all(&mut self) -> Taken {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.clear();
        }
        self.tail = NIL;
        Taken {
            head: core::mem::replace(&mut self.head, NIL),
            count: core::mem::take(&mut self.count),
        }
    }

    /// Visits the slots of `stock` on the list, from the head on. `now` is the time by which deadlines go.
    pub(crate) fn walk<C: Context>(
        &mut self,
        stock: &Stock<C>,
        now: impl Fn() -> u64,
        mut visit: impl FnMut(&mut [u8], &mut C) -> Visit,
    ) -> Walked {
        let mut reset = None;
        let mut before = None;
        let mut at = self.head();
        while let Some(slot) = at {
            // SAFETY: a slot on the list is the list's, which is the caller's.
            let (bytes, context) = unsafe { view(stock, slot) };
            let verdict = visit(bytes, context);
            match verdict {
                Visit::Continue | Visit::Stop => {}
                Visit::RemoveAndStop => {
                    self.unlink(&stock.slots, before, slot);
                    let removed = Some(slot);
                    return Walked { removed, reset };
                }
                Visit::StopTimerAndContinue | Visit::StopTimerAndStop => {
                    if let Some(deadlines) = &mut self.deadlines {
                        deadlines.remove(slot);
                    }
                }
                Visit::ResetTimerAndContinue | Visit::ResetTimerAndStop => {
                    if let Some(deadlines) = &mut self.deadlines {
                        let now = now();
                        deadlines.reset(slot, now);
                        reset = Some(now);
                    }
                }
            }
            if !verdict.goes_on() {
                break;
            }
            before = at;
            at = Self::next(&stock.slots, slot);
        }
        let removed = None;
        Walked { removed, reset }
    }

    /// Gives all of a list back that nobody else can reach any more. How many those were.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "who gives back what was taken has it no more"
    )]
    pub(crate) fn give_back<C: Context>(stock: &Stock<C>, taken: Taken) -> u32 {
        let Taken { head, count } = taken;
        let mut at = Slot::from_index(head);
        while let Some(slot) = at {
            // Before the slot goes home, where the link is another list's.
            at = Self::next(&stock.slots, slot);
            drop(Buffer { stock, slot });
        }
        count
    }
}
