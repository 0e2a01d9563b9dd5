//! The drainer: one worker at a time, items in order, buffers home before anyone is told.

use core::ptr::NonNull;

use super::{Broken, Core};
use crate::kernel::current_thread_id;
use crate::payload::Payload;
use crate::pending::Word;
use crate::ready::Next;
use crate::slots::Slot;
use crate::waiter::Waiter;
use crate::{Completion, Context, Item, NtStatus, Outcome, Passive};

/// Items that one start runs before it gives its system thread back to others.
const SHARE: u32 = 256;

/// What the drainer does next.
enum Step {
    Run(Slot),
    /// The share is used up, and the state is SCHEDULED again.
    Yield,
    /// The queue is stopped. The state stays RUNNING, and whoever starts the queue has the activation's share.
    Parked,
    /// The state is IDLE: another drainer may be at work already.
    Idle,
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    /// Runs items until there are none, or the share is used up.
    ///
    /// # Safety
    /// This thread has claimed the drain, and with it owns the activation's share, which it gives up here.
    pub(super) unsafe fn drain(this: NonNull<Self>, passive: &mut Passive) {
        loop {
            // SAFETY: the activation is an owner.
            let core = unsafe { this.as_ref() };
            let mut left = SHARE;
            let mut ended = None;
            let step = loop {
                match core.step(ended.take(), left) {
                    Step::Run(slot) => {
                        left -= 1;
                        // SAFETY: the step made this drainer the slot's owner.
                        ended = Some(unsafe { Self::run_item(this, slot, passive) });
                    }
                    step => break step,
                }
            };
            if matches!(step, Step::Parked) {
                // Another thread may be ending the queue already; the start that this is keeps the memory.
                return;
            }
            if matches!(step, Step::Yield) {
                let scheduled = core.work_item.schedule();
                // A start that cannot be scheduled (the parent is being deleted) is made up for here, unless a late one
                // has taken the drain over.
                if !scheduled && core.pending.0.claim() {
                    core.remove_spare_owner();
                    continue;
                }
            }
            // SAFETY: this drainer's share: the activation's, or the one that it took for the yield. It is given up
            // once, and `core` is not used after it.
            unsafe { Self::release_owner(this, true) };
            return;
        }
    }

    /// Settles the last item and begins the next.
    fn step(&self, ended: Option<Word>, left: u32) -> Step {
        let unlocked = self
            .is(Broken::LooksForStopEarly)
            .then(|| self.ready.lock().is_stopped());
        let mut ready = self.ready.lock();
        ready.begin_drain(current_thread_id());
        if let Some(word) = ended {
            ready.end_current(word);
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
                return Step::Parked;
            }
            if left == 0 && !ready.is_empty() {
                ready.end_drain();
                // The next drainer takes the activation over, and may end it before this one has come back from
                // scheduling: for that time this one needs a share of its own.
                self.add_owner();
                // Under the lock: the next drainer's first act is to take it.
                self.pending.0.yield_drain();
                return Step::Yield;
            }
            match ready.next(&self.slots) {
                Next::Item(slot) => return Step::Run(slot),
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
                        return Step::Idle;
                    }
                }
            }
        }
    }

    /// Runs one item to its end. The pending word as it was when the callback returned.
    ///
    /// # Safety
    /// The caller is the drainer and owns the slot.
    unsafe fn run_item(this: NonNull<Self>, slot: Slot, passive: &mut Passive) -> Word {
        // SAFETY: the drainer's activation is an owner.
        let core = unsafe { this.as_ref() };
        // SAFETY: the slot is the caller's.
        let length = unsafe { core.length_of(slot) };
        let place = core.slots.payload(slot).as_ptr();
        let status = {
            // SAFETY: the slot holds a payload, pushed by its producer, and is the caller's alone.
            let payload = unsafe { T::view(place, length) };
            // SAFETY: the head is valid and the caller's alone.
            let context = unsafe { &mut (*core.slots.head(slot).as_ptr()).context };
            let mut item = Item {
                payload,
                context,
                status: NtStatus::SUCCESS,
            };
            // SAFETY: the caller is the drainer.
            unsafe { (core.invoke)(this, &mut item, passive) };
            item.status
        };
        let word = core.pending.0.load();
        // SAFETY: the slot is the caller's, and is given up.
        unsafe { core.end_item(slot, Outcome::Ran(status)) };
        word
    }

    /// Ends an item that ran or was dropped: the client's cleanup run, payload and context cleared, the buffer
    /// home, then whoever waits told.
    ///
    /// # Safety
    /// The caller owns the slot and gives it up.
    pub(super) unsafe fn end_item(&self, slot: Slot, outcome: Outcome) {
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
    }
}
