//! The drainer's claim against who revokes it and who takes finished buffers from it, all but the drainer under a lock.

extern crate std;

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;

use super::explore;
use crate::claim::{Broken, Claim, Finished};
use crate::slots::Slot;

const ITEMS: u32 = 2;

/// A queue reduced to one claim of two items.
struct Mini<const VARIANT: u8> {
    claim: Claim<VARIANT>,
    lock: Mutex<()>,
    /// The owner's: an item with two owners at a time fails the model.
    items: [UnsafeCell<u32>; ITEMS as usize],
}

impl<const VARIANT: u8> Mini<VARIANT> {
    /// With two items claimed, the first of which has begun.
    fn new() -> Arc<Self> {
        let claim = Claim::new();
        for item in 0..ITEMS {
            claim.note(item, Slot::from_index(item).expect("a slot"));
        }
        claim.grant(ITEMS);
        Arc::new(Self {
            claim,
            lock: Mutex::new(()),
            items: core::array::from_fn(|_| UnsafeCell::new(0)),
        })
    }

    fn own(&self, item: u32) {
        self.items[item as usize].with_mut(|owned| {
            // SAFETY: the caller's; the cell checks it.
            unsafe { *owned += 1 };
        });
    }

    fn runs(&self, item: u32) -> u32 {
        self.items[item as usize].with(|owned| {
            // SAFETY: the item has ended; the cell checks it.
            unsafe { *owned }
        })
    }

    /// The drainer, to the end of its claim: how many items it ran, and which buffers it brought home.
    fn drain(&self) -> (u32, Finished) {
        self.own(0);
        let mut runs = 1;
        let mut own = Finished::NONE;
        if self.claim.begin(Finished::at(0)) {
            self.own(1);
            runs = 2;
            own = Finished::at(1);
        }
        let _locked = self.lock.lock().expect("a model does not poison");
        (runs, self.claim.settle().finished.with(own))
    }
}

/// What has not begun is the revoker's, what has is the drainer's, and the revoker knows which is which.
fn revoke<const VARIANT: u8>() {
    explore(3, || {
        let mini = Mini::<VARIANT>::new();
        let other = Arc::clone(&mini);
        let drainer = loom::thread::spawn(move || other.drain());
        let begun = {
            let _locked = mini.lock.lock().expect("a model does not poison");
            let progress = mini.claim.revoke();
            for item in progress.begun + 1..=progress.granted {
                mini.own(item);
            }
            if progress.begun == 1 {
                assert_eq!(mini.runs(0), 1, "the first has ended when the second begins");
            }
            progress.begun
        };
        let (runs, _) = drainer.join().expect("drainer");
        if begun == 1 {
            assert_eq!(runs, 2, "what was seen to begin has begun");
        }
        assert_eq!((mini.runs(0), mini.runs(1)), (1, 1), "each item has one owner");
    });
}

#[test]
fn w12_a_claim_against_its_revocation() {
    revoke::<0>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn w12_a_drainer_that_begins_unasked_is_caught() {
    revoke::<{ Broken::BeginsUnasked as u8 }>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn w12_a_revocation_by_a_store_is_caught() {
    revoke::<{ Broken::RevokesByStore as u8 }>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn w12_a_revocation_that_does_not_acquire_is_caught() {
    revoke::<{ Broken::RevokesRelaxed as u8 }>();
}

/// A finished buffer goes home once: with the drainer, or with the producer that needs it.
#[test]
fn w05_a_finished_buffer_has_one_owner() {
    explore(3, || {
        let mini = Mini::<0>::new();
        let other = Arc::clone(&mini);
        let drainer = loom::thread::spawn(move || other.drain());
        let taken = {
            let _locked = mini.lock.lock().expect("a model does not poison");
            let finished = mini.claim.progress().finished;
            mini.claim.take_finished(finished);
            let mut left = finished;
            while let Some(item) = left.take_one() {
                mini.own(item);
            }
            finished
        };
        let (runs, mut home) = drainer.join().expect("drainer");
        assert_eq!(runs, ITEMS);
        assert_eq!(
            home.with(taken),
            Finished::at(0).with(Finished::at(1)),
            "both are home"
        );
        while let Some(item) = home.take_one() {
            mini.own(item);
        }
        assert_eq!((mini.runs(0), mini.runs(1)), (2, 2), "a buffer with two owners");
    });
}
