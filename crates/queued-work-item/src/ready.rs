//! What the drainer has taken from the pending word, in order, and who waits for how far it gets.
//!
//! A push is last in, first out; a run is first in, first out. What is taken is turned round here, under a lock that
//! cancel shares, so that "has not begun" is one question with one answer: whatever is in the pending word, in this
//! list, or in the drainer's [`Claim`] and comes back by revoking it. The lock is held for moments: a long chain is
//! turned round some links at a time.

use crate::claim::{CLAIM, Claim, Progress};
use crate::free::NIL;
use crate::kernel::StackEvent;
use crate::kernel::atomic::Ordering::Relaxed;
use crate::pending::Word;
use crate::slots::{Slot, Slots};

/// Links turned round under one hold of the lock.
const CHUNK: u32 = 64;

/// Half the range of the count: two readings of the pending word that are compared are nearer to each other than this.
const OLDER: u64 = 1 << 35;

/// A thread that waits for the queue itself, on its own stack.
pub(crate) struct QueueWaiter<'a> {
    event: &'a StackEvent,
    until: Until,
    next: *const QueueWaiter<'static>,
}

/// What it waits for.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// The items up to this one have ended, and their waiters and completions have been told.
    Ended(u64),
    /// Every buffer is home, and nobody runs a callback or a completion.
    Quiet,
    /// No item runs, if only for the moment.
    Paused,
}

/// May items begin?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    /// They may.
    On,
    /// They may not. A drainer that comes parks.
    Stopped,
    /// They may not, and a drainer has parked: its activation is for whoever ends the stop.
    Parked,
    /// They may, and it stays so: the queue is closing.
    OnForGood,
}

/// Somebody who is telling cancelled items' waiters, on its own stack.
pub(crate) struct Canceller {
    thread: u64,
    /// The oldest item among them.
    oldest: u64,
    next: *const Canceller,
}

/// # Invariants
/// - `pushes >= begun`: the difference is what lies in the pending word, in the claim, and in the two lists here, the
///   claim's items being the oldest.
/// - While the drainer has a claim, its items in their order are followed by `reversed`, and `unreversed` is empty.
/// - Whatever is in `unreversed` is older than whatever is in `reversed`: newest first there, oldest first here.
/// - Frames in `waiters` and `cancellers` are alive: they take themselves off, or are taken off before they are woken.
pub(crate) struct Ready {
    /// What was put at the head, the latest first: before all else. Never claimed with others.
    heads: u32,
    unreversed: u32,
    reversed: u32,
    /// Successful pushes, as far as the pending word was read.
    pushes: u64,
    /// Items that have begun, or been dropped; those of the drainer's claim as far as it was looked at.
    begun: u64,
    /// How many of the claim's further items are in that count.
    folded: u64,
    pub(crate) cancelled: u64,
    /// The draining thread.
    drainer: Option<u64>,
    /// The number of the item that the drainer is at, from its begin until its waiter or completion has been told.
    current: Option<u64>,
    cancellers: *const Canceller,
    waiters: *const QueueWaiter<'static>,
    /// Buffers at home since closing began: those that were then, once they have been counted, and those that came.
    home: u32,
    /// How many there are, once those that were at home when closing began have been counted.
    total: Option<u32>,
    pub(crate) high_water: u64,
    power: Power,
}

// SAFETY: the pointers are to frames of waiting threads, which are shared by this list's lock.
unsafe impl Send for Ready {}

/// What has been dropped: to be told outside the lock, oldest first.
pub(crate) struct Dropped {
    /// In their order, and before all else.
    pub(crate) heads: u32,
    /// Newest first, and older than all of `reversed`.
    pub(crate) unreversed: u32,
    pub(crate) reversed: u32,
    /// How many, with those in the pending word.
    pub(crate) count: u64,
}

/// One look for items.
pub(crate) enum Next {
    /// So many have been claimed, and the first of them has begun.
    Items(u32),
    /// The list is being turned round: look again, without the lock in between.
    Busy,
    /// Nothing here: look into the pending word.
    Empty,
}

impl Ready {
    pub(crate) const fn new() -> Self {
        Self {
            heads: NIL,
            unreversed: NIL,
            reversed: NIL,
            pushes: 0,
            begun: 0,
            folded: 0,
            cancelled: 0,
            drainer: None,
            current: None,
            cancellers: core::ptr::null(),
            waiters: core::ptr::null(),
            home: 0,
            total: None,
            high_water: 0,
            power: Power::On,
        }
    }

    /// Notes how many pushes the pending word counts.
    pub(crate) fn note(&mut self, word: Word) -> u64 {
        self.pushes = word.pushes(self.pushes);
        self.pushes
    }

    /// Successful pushes, as last noted.
    pub(crate) const fn pushes(&self) -> u64 {
        self.pushes
    }

    /// Items accepted and not begun.
    pub(crate) const fn unbegun(&self) -> u64 {
        self.pushes - self.begun
    }

    /// Items accepted and not ended, the running one included.
    pub(crate) fn length(&self) -> u64 {
        self.unbegun() + u64::from(self.current.is_some())
    }

    /// Items whose callback has returned.
    pub(crate) fn executed(&self) -> u64 {
        self.begun - self.cancelled - u64::from(self.current.is_some())
    }

    /// Takes over as the drainer.
    pub(crate) fn begin_drain(&mut self, thread: u64) {
        self.drainer = Some(thread);
    }

    /// Stops being the drainer.
    pub(crate) fn end_drain(&mut self) {
        self.drainer = None;
    }

    /// The item that the drainer was at has ended. `word` is the pending word as it was when its callback returned, if
    /// the drainer knew by then that it would come here.
    pub(crate) fn end_current(&mut self, word: Option<Word>) {
        // The depth only grows while an item runs, so that its end is when to look. A cancel in between looked itself.
        if let Some(word) = word {
            self.note_depth(word);
        }
        self.current = None;
        self.wake_satisfied();
    }

    /// Keeps the greatest depth, as of `word`, which may have been read before the last noted one.
    fn note_depth(&mut self, word: Word) {
        // Read against a count that is surely older than both.
        let pushes = word.pushes(self.pushes.saturating_sub(OLDER));
        let depth = (pushes + u64::from(self.current.is_some())).saturating_sub(self.begun);
        self.high_water = self.high_water.max(depth);
    }

    /// The chain that was taken from the pending word, newest first. The lists here are empty.
    pub(crate) fn refill(&mut self, word: Word) {
        debug_assert!(
            self.unreversed == NIL && self.reversed == NIL,
            "older items first"
        );
        self.note(word);
        self.unreversed = word.newest();
    }

    /// Brings the counts up to what the claim has got to, which may be further a moment later.
    pub(crate) fn catch_up(&mut self, claim: &Claim) {
        self.fold(claim.progress());
    }

    fn fold(&mut self, progress: Progress) {
        let begun = u64::from(progress.begun);
        let more = begun - self.folded;
        self.folded = begun;
        self.begun += more;
        // The claim's items begin one after the other.
        if let Some(current) = &mut self.current {
            *current += more;
        }
    }

    /// Puts back what the drainer has claimed and not begun. From here on, as long as the lock is held, nothing begins,
    /// and the counts are exact.
    pub(crate) fn revoke(&mut self, claim: &Claim) {
        let progress = claim.revoke();
        self.fold(progress);
        self.folded = 0;
        if progress.begun < progress.granted
            && let Some(slot) = claim.slot(progress.begun + 1)
        {
            // Its link, and those of the others, are as they were when they were claimed: they lead back here.
            self.reversed = slot.index();
        }
    }

    /// The drainer has come to the end of its claim, or was told that it is revoked.
    pub(crate) fn settle(&mut self, claim: &Claim) -> Progress {
        let progress = claim.settle();
        debug_assert!(
            progress.begun == progress.granted,
            "all that was granted has begun"
        );
        self.fold(progress);
        self.folded = 0;
        progress
    }

    /// How many items may be claimed at once, so that the drainer comes back in time for whom it has to wake.
    pub(crate) fn stride(&self) -> u32 {
        let mut stride = CLAIM;
        let mut at = self.waiters;
        // SAFETY: frames on the list are alive.
        while let Some(waiter) = unsafe { at.as_ref() } {
            if let Until::Ended(item) = waiter.until
                && let Some(left) = item.checked_sub(self.begun)
                && left > 0
            {
                stride = u32::try_from(left).map_or(stride, |left| stride.min(left));
            }
            at = waiter.next;
        }
        stride
    }

    /// Begins the oldest item, and claims some that follow it: `most` in all at the most.
    pub(crate) fn next<K, C>(&mut self, slots: &Slots<K, C>, claim: &Claim, most: u32) -> Next {
        if let Some(slot) = Slot::from_index(self.heads) {
            self.heads = slots.control(slot).link.load(Relaxed);
            claim.note(0, slot);
            self.begun += 1;
            self.current = Some(self.begun);
            claim.grant(1);
            return Next::Items(1);
        }
        let mut budget = CHUNK;
        while let Some(slot) = Slot::from_index(self.unreversed) {
            if budget == 0 {
                return Next::Busy;
            }
            budget -= 1;
            let link = &slots.control(slot).link;
            // Relaxed: the slot is the queue's, under this lock.
            self.unreversed = link.load(Relaxed);
            link.store(self.reversed, Relaxed);
            self.reversed = slot.index();
        }
        let mut count = 0;
        while count < most.min(CLAIM)
            && let Some(slot) = Slot::from_index(self.reversed)
        {
            claim.note(count, slot);
            self.reversed = slots.control(slot).link.load(Relaxed);
            count += 1;
        }
        if count == 0 {
            return Next::Empty;
        }
        self.begun += 1;
        self.current = Some(self.begun);
        claim.grant(count);
        Next::Items(count)
    }

    /// Puts a slot before all that has not begun. The push was counted in `word`, and the drainer's claim is revoked.
    pub(crate) fn push_head<K, C>(&mut self, slot: Slot, slots: &Slots<K, C>, word: Word) {
        self.note(word);
        // Relaxed: under this lock.
        slots.control(slot).link.store(self.heads, Relaxed);
        self.heads = slot.index();
        // Who counts items waits for one more: this one comes before the last of them.
        let mut at = self.waiters.cast_mut();
        while !at.is_null() {
            // SAFETY: frames on the list are alive, and their threads wait.
            let until = unsafe { &raw mut (*at).until };
            // SAFETY: as above; the list is under its lock.
            if let Until::Ended(item) = unsafe { &mut *until }
                && *item > self.begun
            {
                *item += 1;
            }
            // SAFETY: as above.
            at = unsafe { (*at).next }.cast_mut();
        }
    }

    /// Somebody is about to tell of an item that the queue has let go of, outside the lock: to be taken off by
    /// [`end_cancel`](Self::end_cancel).
    ///
    /// # Safety
    /// As for [`cancel`](Self::cancel).
    pub(crate) unsafe fn begin_telling(&mut self, canceller: *mut Canceller) {
        // No flush waits for it.
        // SAFETY: by the caller's promise.
        unsafe { self.list(canceller, u64::MAX) };
    }

    /// Puts a canceller on the list.
    ///
    /// # Safety
    /// As for [`cancel`](Self::cancel).
    unsafe fn list(&mut self, canceller: *mut Canceller, oldest: u64) {
        // SAFETY: a frame that is alive, by the caller's promise; the reference ends here.
        let frame = unsafe { &mut *canceller };
        frame.oldest = oldest;
        frame.next = self.cancellers;
        self.cancellers = canceller;
    }

    /// Is anything here that has not begun?
    pub(crate) const fn is_empty(&self) -> bool {
        self.heads == NIL && self.unreversed == NIL && self.reversed == NIL
    }

    /// Notes the depth as of now.
    pub(crate) fn note_length(&mut self, word: Word) {
        self.note(word);
        self.high_water = self.high_water.max(self.length());
    }

    /// Drops what has not begun, `word` having just been taken from the pending word, and the claim revoked. `None` when
    /// there is nothing. `canceller` is put on the list, to be taken off by [`end_cancel`](Self::end_cancel).
    ///
    /// # Safety
    /// `canceller` lives until it has been taken off, and is used through this pointer, or one made from it, alone.
    pub(crate) unsafe fn cancel(&mut self, word: Word, canceller: *mut Canceller) -> Option<Dropped> {
        self.note_length(word);
        let count = self.unbegun();
        if count == 0 {
            return None;
        }
        // SAFETY: by the caller's promise.
        unsafe { self.list(canceller, self.begun + 1) };
        self.begun = self.pushes;
        self.cancelled += count;
        let dropped = Dropped {
            heads: core::mem::replace(&mut self.heads, NIL),
            unreversed: core::mem::replace(&mut self.unreversed, NIL),
            reversed: core::mem::replace(&mut self.reversed, NIL),
            count,
        };
        Some(dropped)
    }

    /// Everything that `canceller` dropped has been told.
    pub(crate) fn end_cancel(&mut self, canceller: *const Canceller) {
        let mut at = &raw mut self.cancellers;
        loop {
            // SAFETY: `at` is this list's head or the `next` of a frame on it, all alive.
            let here = unsafe { *at };
            if here.is_null() {
                break;
            }
            // SAFETY: a frame on the list is alive.
            let next = unsafe { &raw const (*here).next };
            if here == canceller {
                // SAFETY: as above.
                let next = unsafe { *next };
                // SAFETY: as above.
                unsafe { *at = next };
                break;
            }
            at = next.cast_mut();
        }
        self.wake_satisfied();
    }

    /// Lets no item begin, unless that has been ruled out.
    pub(crate) fn stop(&mut self) {
        if self.power == Power::On {
            self.power = Power::Stopped;
        }
    }

    /// Lets items begin again. `true`: a drainer had parked.
    pub(crate) fn start(&mut self) -> bool {
        let parked = self.power == Power::Parked;
        if self.power != Power::OnForGood {
            self.power = Power::On;
        }
        parked
    }

    /// As [`start`](Self::start), and no stop has an effect from now on.
    pub(crate) fn start_for_good(&mut self) -> bool {
        let parked = self.power == Power::Parked;
        self.power = Power::OnForGood;
        parked
    }

    pub(crate) const fn is_stopped(&self) -> bool {
        matches!(self.power, Power::Stopped | Power::Parked)
    }

    /// The drainer, having seen that the queue is stopped, leaves.
    pub(crate) fn park(&mut self) {
        self.power = Power::Parked;
    }

    /// Does `thread` run inside the queue: a callback, or a completion?
    pub(crate) fn is_inside(&self, thread: u64) -> bool {
        if self.drainer == Some(thread) {
            return true;
        }
        self.any_canceller(|canceller| canceller.thread == thread)
    }

    /// Buffers that came home after closing began.
    pub(crate) fn came_home(&mut self, count: u32) {
        self.home += count;
        self.wake_satisfied();
    }

    /// Adds those that were home when closing began, of `total` in all.
    pub(crate) fn counted_home(&mut self, count: u32, total: u32) {
        self.total = Some(total);
        self.came_home(count);
    }

    /// Puts a waiter on the list, or returns `false`: what it waits for is so already.
    ///
    /// # Safety
    /// `waiter` lives until its event has been set.
    pub(crate) unsafe fn wait(&mut self, waiter: &mut QueueWaiter<'_>) -> bool {
        if self.satisfied(waiter.until) {
            return false;
        }
        waiter.next = self.waiters;
        self.waiters = core::ptr::from_mut(waiter).cast();
        true
    }

    fn satisfied(&self, until: Until) -> bool {
        match until {
            Until::Ended(item) => {
                self.begun >= item
                    && self.current.is_none_or(|current| current > item)
                    && !self.any_canceller(|canceller| canceller.oldest <= item)
            }
            Until::Paused => self.current.is_none(),
            Until::Quiet => {
                self.total == Some(self.home) && self.current.is_none() && self.cancellers.is_null()
            }
        }
    }

    fn any_canceller(&self, test: impl Fn(&Canceller) -> bool) -> bool {
        let mut at = self.cancellers;
        // SAFETY: frames on the list are alive.
        while let Some(canceller) = unsafe { at.as_ref() } {
            if test(canceller) {
                return true;
            }
            at = canceller.next;
        }
        false
    }

    fn wake_satisfied(&mut self) {
        let mut at = &raw mut self.waiters;
        loop {
            // SAFETY: `at` is this list's head or the `next` of a frame on it, all alive.
            let here = unsafe { *at };
            // SAFETY: frames on the list are alive.
            let Some(waiter) = (unsafe { here.as_ref() }) else {
                return;
            };
            if self.satisfied(waiter.until) {
                // SAFETY: as for reading it.
                unsafe { *at = waiter.next };
                // The frame may be gone after this.
                waiter.event.set();
            } else {
                // SAFETY: as above.
                at = unsafe { &raw const (*here).next }.cast_mut();
            }
        }
    }
}

impl Canceller {
    pub(crate) const fn new(thread: u64) -> Self {
        Self {
            thread,
            oldest: 0,
            next: core::ptr::null(),
        }
    }
}

impl<'a> QueueWaiter<'a> {
    pub(crate) const fn new(event: &'a StackEvent, until: Until) -> Self {
        Self {
            event,
            until,
            next: core::ptr::null(),
        }
    }
}
