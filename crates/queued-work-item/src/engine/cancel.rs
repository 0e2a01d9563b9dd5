//! Dropping what has not begun, and the waits for the queue itself: flush and close.

use super::{Broken, Core};
use crate::kernel::{Irql, check_irql, current_thread_id, with_stack_event};
use crate::payload::Payload;
use crate::ready::{Canceller, QueueWaiter, Until};
use crate::slots::Slot;
use crate::{Completion, Context, Outcome, PossibleDeadlock};

/// Takes a canceller off the list when its work is done, also when a completion panics on a host.
pub(super) struct CancelGuard<'a, T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> {
    pub(super) core: &'a Core<T, K, C, VARIANT>,
    /// No reference: the list writes through its pointer to the same frame meanwhile.
    pub(super) canceller: *const Canceller,
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Drop
    for CancelGuard<'_, T, K, C, VARIANT>
{
    fn drop(&mut self) {
        self.core.ready.lock().end_cancel(self.canceller);
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    /// Drops whatever has not begun, tells whoever waits for it, and returns how many that were.
    pub(crate) fn cancel_all(&self) -> u64 {
        let mut canceller = Canceller::new(current_thread_id());
        // One pointer for the list and the guard: a reference in between would end the list's.
        let canceller = &raw mut canceller;
        let (dropped, pending) = {
            let unlocked = self
                .is(Broken::CancelTakesUnlocked)
                .then(|| self.pending.0.take());
            let mut ready = self.ready.lock();
            // Under the lock, which the drainer holds when it takes: what is not here is in the list.
            let word = unlocked.unwrap_or_else(|| self.pending.0.take());
            if !self.is(Broken::CancelForgetsClaim) {
                ready.revoke(&self.claim.0);
            }
            // SAFETY: the guard below takes the canceller off before this frame ends.
            match unsafe { ready.cancel(word, canceller) } {
                None => return 0,
                Some(dropped) => (dropped, word.newest()),
            }
        };
        let guard = CancelGuard {
            core: self,
            canceller,
        };
        // Oldest first. The chains are this function's alone now, however long.
        self.drop_chain(dropped.heads);
        self.drop_chain(self.turned_round(dropped.unreversed));
        self.drop_chain(dropped.reversed);
        self.drop_chain(self.turned_round(pending));
        drop(guard);
        dropped.count
    }

    /// Reverses a chain that the caller owns.
    fn turned_round(&self, mut chain: u32) -> u32 {
        use crate::kernel::atomic::Ordering::Relaxed;
        let mut turned = crate::free::NIL;
        while let Some(slot) = Slot::from_index(chain) {
            let link = &self.slots.control(slot).link;
            // Relaxed: the chain has one owner.
            chain = link.load(Relaxed);
            link.store(turned, Relaxed);
            turned = slot.index();
        }
        turned
    }

    fn drop_chain(&self, mut chain: u32) {
        while let Some(slot) = Slot::from_index(chain) {
            chain = self
                .slots
                .control(slot)
                .link
                .load(crate::kernel::atomic::Ordering::Relaxed);
            // SAFETY: taken off the lists under the lock, so this thread's; its successor has been read.
            unsafe { self.end_item(slot, Outcome::Cancelled, false) };
        }
    }

    /// Waits until whatever was accepted before has ended.
    pub(crate) fn flush(&self) -> Result<(), PossibleDeadlock> {
        check_irql(Irql::PASSIVE, "QueuedWorkItem::flush");
        // Read under the lock, where every reading that is noted is newer than the last.
        let unlocked = self.is(Broken::FlushReadsUnlocked).then(|| self.pending.0.load());
        self.wait_until(|ready| {
            let word = unlocked.unwrap_or_else(|| self.pending.0.load());
            Until::Ended(ready.note(word))
        })
    }

    /// Lets no enqueue succeed any more, optionally drops what has not begun, and waits until all is quiet. How many
    /// were dropped here.
    pub(crate) fn close(&self, cancel: bool) -> Result<u64, PossibleDeadlock> {
        check_irql(Irql::PASSIVE, "QueuedWorkItem::close");
        if self.is_inside() {
            return Err(PossibleDeadlock);
        }
        self.pending.0.close();
        let cancelled = if cancel {
            let cancelled = self.cancel_all();
            self.end_stop();
            cancelled
        } else {
            // Or the wait below could only end with a start that nobody may be left to make.
            self.start_for_good();
            0
        };
        // The first closer counts; who comes second waits for that count as for everything else.
        if let Some(home) = self.slots.close() {
            self.ready.lock().counted_home(home, self.slots.max());
        }
        self.wait_until(|_| Until::Quiet)?;
        Ok(cancelled)
    }

    pub(crate) fn wait_until(
        &self,
        until: impl FnOnce(&mut crate::ready::Ready) -> Until,
    ) -> Result<(), PossibleDeadlock> {
        with_stack_event(|event| {
            let mut ready = self.ready.lock();
            if ready.is_inside(current_thread_id()) {
                return Err(PossibleDeadlock);
            }
            // What may have ended meanwhile needs nobody to wake for it. What is claimed is not past an item that can be
            // waited for from now on, so that the drainer comes back in time.
            ready.catch_up(&self.claim.0);
            let mut waiter = QueueWaiter::new(event, until(&mut ready));
            // SAFETY: the frame is left after the event was set.
            let waits = unsafe { ready.wait(&mut waiter) };
            drop(ready);
            if waits {
                event.wait(None);
            }
            Ok(())
        })
    }
}
