//! Who waits for an item: a pointer in the item's slot to a frame on the waiter's stack, and who may follow it.
//!
//! A bounded wait can run out at the moment that the drainer is about to wake it. Whoever takes the pointer out of the
//! slot decides: the drainer, who then will set the event, or the waiter, who then may leave. The state lies in the
//! slot, not in the frame, since looking into the frame is what must not happen once it is gone.
//!
//! The pointer is its own generation: a frame that waits has one address that no other waiter has, so a waiter that
//! comes late and finds the slot in use by another item finds another pointer, or none.

use core::ptr::NonNull;

use crate::NtStatus;
use crate::kernel::StackEvent;
use crate::kernel::atomic::{AtomicPtr, Ordering};
use crate::kernel::cell::UnsafeCell;

/// What became of an item that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its callback ran and left this status.
    Ran(NtStatus),
    /// It was dropped by a cancel, a close or the queue's end before it began.
    Cancelled,
}

impl Outcome {
    /// The NTSTATUS that stands for it: the callback's own, or `STATUS_CANCELLED`.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Ran(status) => status,
            Self::Cancelled => NtStatus::CANCELLED,
        }
    }
}

/// One waiting thread, on its own stack.
pub(crate) struct Waiter<'a> {
    event: &'a StackEvent,
    outcome: UnsafeCell<Outcome>,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new(event: &'a StackEvent) -> Self {
        Self {
            event,
            outcome: UnsafeCell::new(Outcome::Cancelled),
        }
    }

    /// Writes the outcome and wakes the thread. The frame may be gone when this returns.
    ///
    /// # Safety
    /// `this` was taken out of a [`WaiterSlot`] by [`WaiterSlot::claim`]: its thread waits until it is woken.
    pub(crate) unsafe fn wake(this: NonNull<Waiter<'static>>, outcome: Outcome) {
        // SAFETY: the thread waits for the event that is set below, so the frame is alive until then.
        let waiter = unsafe { this.as_ref() };
        waiter.outcome.with_mut(|slot| {
            // SAFETY: the claim is exclusive, and the waiter reads only after the event is set.
            unsafe { *slot = outcome };
        });
        waiter.event.set();
    }

    /// The outcome, after the event was set.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.with(|slot| {
            // SAFETY: the caller has seen the event set, which comes after the one write.
            unsafe { *slot }
        })
    }

    /// The address that stands for this waiter in a slot. Its lifetime is what the protocol keeps, not the compiler.
    pub(crate) fn as_pointer(&self) -> *mut Waiter<'static> {
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

/// A variant that is wrong on purpose, for the models to catch: a waiter that ran out of time leaves without asking. The
/// product is 0.
pub(crate) const LEAVES_UNASKED: u8 = 1;

/// The place in a slot for the one who waits for its item.
///
/// # Invariants
/// Null, or the address of a frame whose thread will not leave before it has taken this pointer out by
/// [`abandon`](Self::abandon) or been woken by who took it out by [`claim`](Self::claim).
pub(crate) struct WaiterSlot<const VARIANT: u8 = 0>(AtomicPtr<Waiter<'static>>);

impl<const VARIANT: u8> WaiterSlot<VARIANT> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Puts a waiter in, before its item is pushed.
    pub(crate) fn arm(&self, waiter: *mut Waiter<'static>) {
        // Relaxed: the push that follows publishes it.
        self.0.store(waiter, Ordering::Relaxed);
    }

    /// Takes the waiter out, for its item has ended. The caller must wake whom it gets.
    pub(crate) fn claim(&self) -> Option<NonNull<Waiter<'static>>> {
        // Relaxed: the take from the pending word acquired the slot's contents; since then the pointer can only have
        // been taken out. Most items have no waiter, and pay no locked instruction here.
        if self.0.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Relaxed: the waiter's frame was written before the push, as above. Exclusive by being one exchange.
        NonNull::new(self.0.swap(core::ptr::null_mut(), Ordering::Relaxed))
    }

    /// Takes the waiter back out, for its time has run out. `false`: it has been claimed, and will be woken.
    pub(crate) fn abandon(&self, waiter: *mut Waiter<'static>) -> bool {
        if VARIANT == LEAVES_UNASKED {
            return true;
        }
        // Relaxed: success means that nobody else has followed or will follow the pointer, so there is nothing to
        // order; failure is followed by a wait, which orders.
        self.0
            .compare_exchange(
                waiter,
                core::ptr::null_mut(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }
}
