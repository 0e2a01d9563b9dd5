//! Acquire, release, run down and restart.

extern crate std;

use std::sync::Arc;

use loom::cell::UnsafeCell;

use super::explore;
use crate::rundown::{Broken, Protocol};

/// Something that is torn down.
struct Protected<const VARIANT: u8> {
    rundown: Protocol<VARIANT>,
    /// Read by users, written by who tears down: one beside the other, or unordered with it, fails the model.
    thing: UnsafeCell<u32>,
}

impl<const VARIANT: u8> Protected<VARIANT> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            rundown: Protocol::new(),
            thing: UnsafeCell::new(1),
        })
    }

    /// Uses the thing if it may.
    fn use_it(&self) -> bool {
        if !self.rundown.acquire() {
            return false;
        }
        self.thing.with(|thing| {
            // SAFETY: protected; the cell checks it.
            assert_eq!(unsafe { *thing }, 1, "used after it was torn down");
        });
        self.rundown.release();
        true
    }

    /// Makes the thing what `value` says, alone.
    fn tear_down(&self, value: u32) {
        self.thing.with_mut(|thing| {
            // SAFETY: run down; the cell checks it.
            unsafe { *thing = value };
        });
    }
}

/// Two users against one who tears down.
fn users<const VARIANT: u8>() {
    explore(3, || {
        let protected = Protected::<VARIANT>::new();
        let users: [_; 2] = core::array::from_fn(|_| {
            let user = Arc::clone(&protected);
            loom::thread::spawn(move || user.use_it())
        });
        protected.rundown.run_down();
        protected.tear_down(2);
        assert!(!protected.use_it(), "acquired after it was run down");
        for user in users {
            user.join().expect("user");
        }
    });
}

#[test]
fn nobody_uses_what_is_run_down() {
    users::<0>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn an_acquire_that_looks_first_and_adds_later_is_caught() {
    users::<{ Broken::AcquiresBlindly as u8 }>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_release_that_does_not_release_is_caught() {
    users::<{ Broken::ReleasesRelaxed as u8 }>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_waiter_that_is_not_counted_is_caught() {
    users::<{ Broken::JoinsUncounted as u8 }>();
}

/// One user, two who run down.
fn two_run_down<const VARIANT: u8>() {
    explore(3, || {
        let protected = Protected::<VARIANT>::new();
        assert!(protected.rundown.acquire(), "nobody runs down yet");
        let waiters: [_; 2] = core::array::from_fn(|_| {
            let waiter = Arc::clone(&protected);
            loom::thread::spawn(move || {
                waiter.rundown.run_down();
                waiter.thing.with(|thing| {
                    // SAFETY: run down, and read only; the cell checks it.
                    assert_eq!(unsafe { *thing }, 7, "woken too early");
                });
            })
        });
        protected.tear_down(7);
        protected.rundown.release();
        for waiter in waiters {
            waiter.join().expect("waiter");
        }
        assert!(protected.rundown.restart(), "run down");
    });
}

#[test]
fn all_who_wait_are_woken_by_the_last() {
    two_run_down::<0>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_join_that_the_word_does_not_show_is_caught() {
    two_run_down::<{ Broken::JoinsUnseen as u8 }>();
}

#[test]
fn a_restart_hands_on_what_was_prepared_and_the_rounds_do_not_mix() {
    explore(2, || {
        let protected = Protected::<0>::new();
        assert!(protected.rundown.acquire(), "nobody runs down yet");
        let first = Arc::clone(&protected);
        let first = loom::thread::spawn(move || first.rundown.run_down());
        // Restarts as early as it may, while the first may still be on its way out of its wait.
        let second = Arc::clone(&protected);
        let second = loom::thread::spawn(move || {
            if !second.rundown.restart() {
                return;
            }
            second.tear_down(1);
            assert!(second.use_it(), "restarted, and nobody else runs down");
            second.rundown.run_down();
            second.tear_down(2);
        });
        protected.thing.with(|thing| {
            // SAFETY: protected; the cell checks it.
            assert_eq!(unsafe { *thing }, 1);
        });
        protected.rundown.release();
        first.join().expect("first");
        second.join().expect("second");
    });
}
