//! Which of the queued buffers expires next.
//!
//! A timer for each buffer would be a framework object for each; this is one timer for the queue and a heap of deadlines
//! under the queue's lock. Whatever is done to it takes logarithmic time, however many are queued, since it is done at
//! `DISPATCH_LEVEL`: so that a buffer which leaves from the middle is found at once, each slot knows its place.

use crate::CreateError;
use crate::free::NIL;
use crate::kernel::Array;
use crate::slots::Slot;

/// Buffers that were not queued with a timer.
const NONE: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Entry {
    due: u64,
    /// From enqueue to expiry, or [`NONE`].
    period: u64,
    /// Where the slot is in the heap, if it is there: only then does the heap have the slot at that place.
    place: u32,
    /// The slot queued before this one.
    before: u32,
}

/// Deadlines of slots, and who is queued before whom: what a list of buffers with timers needs beside its links.
///
/// # Invariants
/// The first `length` places of `heap` hold different slots, none due before the one at half its place, and
/// `entries` knows where.
pub(crate) struct Deadlines {
    entries: Array<Entry>,
    heap: Array<u32>,
    length: usize,
}

impl Deadlines {
    /// None, with room for `slots`.
    pub(super) fn new(slots: u32) -> Result<Self, CreateError> {
        let empty = Entry {
            due: 0,
            period: NONE,
            place: 0,
            before: NIL,
        };
        Ok(Self {
            entries: Array::new(slots as usize, empty)?,
            heap: Array::new(slots as usize, NIL)?,
            length: 0,
        })
    }

    fn entry(&mut self, slot: Slot) -> &mut Entry {
        &mut self.entries[slot.index() as usize]
    }

    fn due_at(&self, place: usize) -> u64 {
        self.entries[self.heap[place] as usize].due
    }

    fn put(&mut self, place: usize, slot: u32) {
        self.heap[place] = slot;
        // As many places as slots, whose number is less than 2^24.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a place is less than the number of slots"
        )]
        {
            self.entries[slot as usize].place = place as u32;
        }
    }

    fn rise(&mut self, mut place: usize) {
        let slot = self.heap[place];
        while place > 0 && self.due_at((place - 1) / 2) > self.entries[slot as usize].due {
            self.put(place, self.heap[(place - 1) / 2]);
            place = (place - 1) / 2;
        }
        self.put(place, slot);
    }

    fn sink(&mut self, mut place: usize) {
        let slot = self.heap[place];
        loop {
            let left = 2 * place + 1;
            if left >= self.length {
                break;
            }
            let right = left + 1;
            let least = if right < self.length && self.due_at(right) < self.due_at(left) {
                right
            } else {
                left
            };
            if self.due_at(least) >= self.entries[slot as usize].due {
                break;
            }
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, slot);
    }

    fn place_of(&self, slot: Slot) -> Option<usize> {
        let place = self.entries[slot.index() as usize].place as usize;
        (place < self.length && self.heap[place] == slot.index()).then_some(place)
    }

    /// The slot, which is not here, is due at `now + period`.
    pub(super) fn insert(&mut self, slot: Slot, now: u64, period: u64) {
        let period = period.min(NONE - 1);
        let entry = self.entry(slot);
        entry.period = period;
        entry.due = now.saturating_add(period);
        let place = self.length;
        self.length += 1;
        self.put(place, slot.index());
        self.rise(place);
    }

    /// The slot is not due any more, if it was.
    pub(super) fn remove(&mut self, slot: Slot) {
        let Some(place) = self.place_of(slot) else { return };
        self.length -= 1;
        if place == self.length {
            return;
        }
        let moved = self.heap[self.length];
        self.put(place, moved);
        self.sink(place);
        // Where it is now; it did not sink if it has to rise.
        let place = self.entries[moved as usize].place as usize;
        self.rise(place);
    }

    /// The slot is due as if it had been queued now, if it was queued with a timer.
    pub(super) fn reset(&mut self, slot: Slot, now: u64) {
        let period = self.entry(slot).period;
        if period != NONE {
            self.remove(slot);
            self.insert(slot, now, period);
        }
    }

    /// The slot has no timer, to be stopped or reset.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.remove(slot);
        self.entry(slot).period = NONE;
    }

    /// Who is due first, and when.
    pub(super) fn first(&self) -> Option<(Slot, u64)> {
        if self.length == 0 {
            return None;
        }
        Slot::from_index(self.heap[0]).map(|slot| (slot, self.due_at(0)))
    }

    /// None is due any more.
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn before(&self, slot: Slot) -> Option<Slot> {
        Slot::from_index(self.entries[slot.index() as usize].before)
    }

    pub(super) fn set_before(&mut self, slot: Slot, before: u32) {
        self.entry(slot).before = before;
    }
}

#[cfg(all(test, not(loom), not(feature = "wdf")))]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn as_an_ordered_map_would() {
        const SLOTS: u32 = 37;
        for seed in 1..50_u64 {
            let mut random = seed;
            let mut next = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let mut deadlines = Deadlines::new(SLOTS).expect("memory");
            // Due times by slot; `None` once stopped, absent when it never had a timer.
            let mut model: BTreeMap<u32, (u64, Option<u64>)> = BTreeMap::new();
            for now in 0..2_000 {
                let index = u32::try_from(next(u64::from(SLOTS))).expect("small");
                let slot = Slot::from_index(index).expect("a slot");
                match next(6) {
                    0..=2 if !model.contains_key(&index) => {
                        let period = next(300);
                        deadlines.insert(slot, now, period);
                        model.insert(index, (period, Some(now + period)));
                    }
                    0 => {
                        deadlines.remove(slot);
                        if let Some((_, due)) = model.get_mut(&index) {
                            *due = None;
                        }
                    }
                    1 => {
                        deadlines.forget(slot);
                        model.remove(&index);
                    }
                    2 | 3 => {
                        deadlines.reset(slot, now);
                        if let Some((period, due)) = model.get_mut(&index) {
                            *due = Some(now + *period);
                        }
                    }
                    4 if now % 500 == 0 => {
                        deadlines.clear();
                        for (_, due) in model.values_mut() {
                            *due = None;
                        }
                    }
                    _ => {
                        let dues: Vec<_> = model
                            .iter()
                            .filter_map(|(slot, (_, due))| due.map(|due| (due, *slot)))
                            .collect();
                        let first = dues.iter().map(|(due, _)| *due).min();
                        let found = deadlines.first();
                        assert_eq!(found.map(|(_, due)| due), first, "seed {seed}, at {now}");
                        if let Some((slot, due)) = found {
                            assert!(dues.contains(&(due, slot.index())), "seed {seed}, at {now}");
                            deadlines.forget(slot);
                            model.remove(&slot.index());
                        }
                    }
                }
            }
        }
    }
}
