//! A wait that runs out against an item that ends.

extern crate std;

use std::boxed::Box;
use std::sync::Arc;

use loom::cell::UnsafeCell;

use super::explore;
use crate::NtStatus;
use crate::kernel::{EventKind, StackEvent};
use crate::waiter::{LEAVES_UNASKED, Outcome, Waiter, WaiterSlot};

struct Shared<const VARIANT: u8> {
    slot: WaiterSlot<VARIANT>,
    /// Stands for the waiter's frame: written by the one who wakes, and by the waiter when it leaves and its stack
    /// is used for something else.
    frame: UnsafeCell<u32>,
}

fn race<const VARIANT: u8>() {
    explore(3, || {
        // Kept for the whole model, so that a broken variant fails by its order and not by a crash.
        let event: &'static StackEvent = Box::leak(Box::new(StackEvent::new()));
        // SAFETY: not in use yet, and not moved.
        unsafe { event.init(EventKind::Notification) };
        let waiter: &'static Waiter<'static> = Box::leak(Box::new(Waiter::new(event)));
        let shared = Arc::new(Shared::<VARIANT> {
            slot: WaiterSlot::new(),
            frame: UnsafeCell::new(0),
        });
        shared.slot.arm(waiter.as_pointer());

        let other = Arc::clone(&shared);
        let drainer = loom::thread::spawn(move || {
            if let Some(waiter) = other.slot.claim() {
                other.frame.with_mut(|frame| {
                    // SAFETY: the waiter waits for this thread; the cell checks it.
                    unsafe { *frame = 1 };
                });
                // SAFETY: claimed.
                unsafe { Waiter::wake(waiter, Outcome::Ran(NtStatus(7))) };
                true
            } else {
                false
            }
        });
        let mut outcome = None;
        if event.wait(Some(core::time::Duration::ZERO)) {
            outcome = Some(waiter.outcome());
        } else if !shared.slot.abandon(waiter.as_pointer()) {
            event.wait(None);
            outcome = Some(waiter.outcome());
        }
        shared.frame.with_mut(|frame| {
            // SAFETY: the frame is the waiter's again; the cell checks it.
            unsafe { *frame = 2 };
        });
        let woken = drainer.join().expect("drainer");
        assert_eq!(outcome, woken.then_some(Outcome::Ran(NtStatus(7))));
    });
}

#[test]
fn w23_nobody_touches_a_frame_that_was_left() {
    race::<0>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_waiter_that_leaves_unasked_is_caught() {
    race::<LEAVES_UNASKED>();
}
