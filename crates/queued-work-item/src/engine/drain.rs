//! The drainer: one worker at a time, items in order, buffers home before anyone is told.
//!
//! | step | how | locked instructions |
//! |---|---|---|
//! | claim up to 16 items | under the ready list's lock; the first has begun | the lock's, and at times a take |
//! | begin a further one | an addition to the [claim's](crate::claim) word, unless it has been revoked | 1 |
//! | bring buffers home | one push for the claim; an item that somebody waits for brings its own, before it tells | the push's |
//!
//! [`run_share`](Core::run_share) is all of that, and knows nothing of work items: it is called by whoever is the
//! drainer, and says how it came to its end. [`drain`](Core::drain) is what a start of the work item makes of it.

use core::ptr::NonNull;

use super::{Broken, Core};
use crate::claim::Finished;
use crate::kernel::current_thread_id;
use crate::payload::Payload;
use crate::pending::Word;
use crate::ready::{Next, Ready};
use crate::slots::Slot;
use crate::waiter::Waiter;
use crate::{Completion, Context, Item, NtStatus, Outcome, Passive};

/// Items that one start runs before it gives its system thread back to others.
const SHARE: u32 = 256;

/// How a drainer's share of the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// It is used up, and the state is SCHEDULED again: the next drainer's start is to be brought about. One owner has been
    /// added, for the time until then.
    Yielded,
    /// The queue is stopped. The state stays RUNNING, and whoever starts the queue has the activation's share of the
    /// ownership.
    Parked,
    /// The state is IDLE: another drainer may be at work already.
    Idle,
}

/// What the drainer does next.
enum Step {
    /// Items claimed, from position 0 on.
    Run(u32),
    End(Share),
}

/// The last item of a claim that the drainer ran.
struct Ended {
    /// The pending word when its callback returned, if it was known to be the last by then.
    word: Option<Word>,
    /// Its buffer, if it has not gone home and is not marked in the claim.
    finished: Finished,
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    /// Runs items until there are none, or the share is used up.
    ///
    /// # Safety
    /// This thread has claimed the drain, and with it owns the activation's share, which it gives up here.
    pub(super) unsafe fn drain(this: NonNull<Self>, passive: &mut Passive) {
        loop {
            // SAFETY: this thread is the drainer, by the caller's promise or the claim below.
            let share = unsafe { Self::run_share(this, passive) };
            if share == Share::Parked {
                // Another thread may be ending the queue already; the start that this is keeps the memory.
                return;
            }
            if share == Share::Yielded {
                // SAFETY: the share that was taken for the yield.
                let core = unsafe { this.as_ref() };
                let scheduled = core.starter.schedule();
                // A start that cannot be scheduled (the parent is being deleted) is made up for here, unless a late one
                // has taken the drain over.
                if !scheduled && core.pending.0.claim() {
                    core.remove_spare_owner();
                    continue;
                }
            }
            // SAFETY: this drainer's share: the activation's, or the one that it took for the yield. It is given up
            // once.
            unsafe { Self::release_owner(this, true) };
            return;
        }
    }

    /// Runs items as the drainer, and stops being it.
    ///
    /// # Safety
    /// This thread is the drainer: its exchange made the pending word RUNNING. It has the activation's share of the
    /// ownership, and keeps it unless the queue is parked.
    // By its name the budget's check finds what it has to count; see xtask/src/budget.rs.
    #[inline(never)]
    pub(super) unsafe fn run_share(this: NonNull<Self>, passive: &mut Passive) -> Share {
        // SAFETY: the activation is an owner.
        let core = unsafe { this.as_ref() };
        let claim = &core.claim.0;
        let mut left = SHARE;
        let mut ended = None;
        loop {
            let count = match core.step(ended.take(), left) {
                Step::Run(count) => count,
                Step::End(share) => return share,
            };
            let mut position = 0;
            while let Some(slot) = claim.slot(position) {
                // SAFETY: the item has begun, so that the drainer owns its slot.
                let status = unsafe { Self::call(this, slot, passive) };
                left -= 1;
                let is_last = position + 1 == count;
                // Before the buffer goes home, or the depth could exceed the number of buffers.
                let word = is_last.then(|| core.pending.0.load());
                let waits = status.is_some_and(|status| {
                    // SAFETY: as above; the slot is given up, or finished and left to the claim.
                    unsafe { core.end_item(slot, Outcome::Ran(status), true) }
                });
                let finished = if waits {
                    Finished::at(position)
                } else {
                    Finished::NONE
                };
                if is_last {
                    ended = Some(Ended { word, finished });
                    break;
                }
                if !claim.begin(finished) {
                    // Revoked. The buffer is marked all the same.
                    ended = Some(Ended {
                        word,
                        finished: Finished::NONE,
                    });
                    break;
                }
                position += 1;
            }
        }
    }

    /// Settles the last claim and makes the next.
    fn step(&self, ended: Option<Ended>, left: u32) -> Step {
        let unlocked = self
            .is(Broken::LooksForStopEarly)
            .then(|| self.ready.lock().is_stopped());
        let mut ready = self.ready.lock();
        ready.begin_drain(current_thread_id());
        if let Some(ended) = ended {
            let progress = ready.settle(&self.claim.0);
            // SAFETY: the drainer's: settled, or never marked.
            unsafe { self.bring_home(&mut ready, progress.finished.with(ended.finished)) };
            ready.end_current(ended.word);
        }
        loop {
            // Under the lock that stop takes: when it has returned, nothing begins.
            if ready.is_stopped() && unlocked.unwrap_or(true) {
                ready.end_drain();
                if self.is(Broken::ParksUnlocked) {
                    drop(ready);
                    ready = self.ready.lock();
                }
                ready.park();
                return Step::End(Share::Parked);
            }
            if left == 0 && !ready.is_empty() {
                ready.end_drain();
                // The next drainer takes the activation over, and may end it before this one has come back from
                // scheduling: for that time this one needs a share of its own.
                self.add_owner();
                // Under the lock: the next drainer's first act is to take it.
                self.pending.0.yield_drain();
                return Step::End(Share::Yielded);
            }
            let most = if self.is(Broken::ClaimsPastFlush) {
                left
            } else {
                left.min(ready.stride())
            };
            match ready.next(&self.slots, &self.claim.0, most) {
                Next::Items(count) => return Step::Run(count),
                Next::Busy => {
                    drop(ready);
                    ready = self.ready.lock();
                }
                Next::Empty => {
                    let word = self.pending.0.take();
                    if Slot::from_index(word.newest()).is_some() {
                        ready.refill(word);
                    } else if self.pending.0.go_idle(word) {
                        ready.end_drain();
                        return Step::End(Share::Idle);
                    }
                }
            }
        }
    }

    /// Brings finished buffers of the claim home. Under the ready list's lock, so that a producer that looks for one there
    /// finds it finished or finds it home.
    ///
    /// # Safety
    /// They are the caller's, who has taken them out of the claim.
    pub(super) unsafe fn bring_home(&self, ready: &mut Ready, mut finished: Finished) {
        if finished.is_none() {
            return;
        }
        let slots = core::iter::from_fn(|| {
            let position = finished.take_one()?;
            self.claim.0.slot(position)
        });
        // SAFETY: the caller's, finished, and of the slab.
        let late = unsafe { self.slots.release_all(slots) };
        if late > 0 {
            ready.came_home(late);
        }
    }

    /// Runs the callback on one item. The status that it left; `None`: the item is pended, and its slot is whoever's the
    /// callback has handed it to.
    ///
    /// # Safety
    /// The caller is the drainer and owns the slot.
    unsafe fn call(this: NonNull<Self>, slot: Slot, passive: &mut Passive) -> Option<NtStatus> {
        // SAFETY: the drainer's activation is an owner.
        let core = unsafe { this.as_ref() };
        // SAFETY: the slot is the caller's.
        let length = unsafe { core.length_of(slot) };
        let place = core.slots.payload(slot).as_ptr();
        // SAFETY: the slot holds a payload, pushed by its producer, and is the caller's alone.
        let payload = unsafe { T::view(place, length) };
        // SAFETY: the head is valid and the caller's alone.
        let context = unsafe { &mut (*core.slots.head(slot).as_ptr()).context };
        let mut item = Item {
            payload,
            context,
            status: NtStatus::SUCCESS,
            pageable: core.slots.is_pageable(),
        };
        // SAFETY: the caller is the drainer, and the item is its slot's.
        let has_ended = unsafe { (core.invoke)(this, slot, &mut item, passive) };
        has_ended.then_some(item.status)
    }

    /// Ends an item that ran or was dropped: the client's cleanup run, payload and context cleared, the buffer
    /// home, then whoever waits told. With `may_keep`, `true` says that nobody waits, and that the buffer has been left to
    /// the caller: finished, a slot of the slab, and not home.
    ///
    /// # Safety
    /// The caller owns the slot and gives it up, but for that case.
    pub(super) unsafe fn end_item(&self, slot: Slot, outcome: Outcome, may_keep: bool) -> bool {
        // SAFETY: the slot is the caller's.
        let length = unsafe { self.length_of(slot) };
        // Before the buffer goes home: the next owner will put its own here.
        let waiter = self.slots.control(slot).waiter.claim();
        // SAFETY: the slot is the caller's.
        let completion = unsafe { self.take_completion(slot) };
        let place = self.slots.payload(slot).as_ptr();
        if let Some(cleanup) = self.cleanup.as_ref() {
            // SAFETY: the slot holds a payload, and is the caller's.
            let payload = unsafe { T::view(place, length) };
            // SAFETY: the head is valid and the caller's alone.
            let context = unsafe { &mut (*self.slots.head(slot).as_ptr()).context };
            cleanup.run(payload, context);
        }
        // SAFETY: the slot holds a payload, which ends here.
        unsafe { T::clear(place, length) };
        if matches!(outcome, Outcome::Ran(_)) || self.cleanup.is_some() {
            // SAFETY: the slot is the caller's, and the callback's reference is gone.
            unsafe { self.slots.reset_context(slot) };
        }
        if may_keep && waiter.is_none() && completion.is_none() && self.slots.is_of_slab(slot) {
            return true;
        }
        // SAFETY: the slot is given up.
        let late = unsafe { self.slots.release(slot) };
        if late {
            self.ready.lock().came_home(1);
        }
        if let Some(waiter) = waiter {
            // SAFETY: claimed above.
            unsafe { Waiter::wake(waiter, outcome) };
        }
        if let Some(completion) = completion {
            completion.complete(outcome);
        }
        false
    }
}
