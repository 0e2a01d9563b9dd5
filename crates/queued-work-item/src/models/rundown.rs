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

/// What is prepared while it is run down is there for whoever gets in after the restart.
fn restart_hands_on<const VARIANT: u8>() {
    explore(3, || {
        let protected = Protected::<VARIANT>::new();
        protected.rundown.run_down();
        protected.tear_down(2);
        let user = Arc::clone(&protected);
        let user = loom::thread::spawn(move || user.use_it());
        protected.tear_down(1);
        assert!(protected.rundown.restart(), "run down, and nobody is in");
        user.join().expect("user");
        assert!(protected.use_it(), "restarted");
    });
}

#[test]
fn who_acquires_after_a_restart_sees_what_was_prepared() {
    restart_hands_on::<0>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_restart_that_does_not_release_is_caught() {
    restart_hands_on::<{ Broken::RestartsRelaxed as u8 }>();
}

/// A restart that comes while somebody is in and somebody waits is refused.
fn restart_too_early<const VARIANT: u8>() {
    explore(3, || {
        let protected = Protected::<VARIANT>::new();
        assert!(protected.rundown.acquire(), "nobody runs down yet");
        let waiter = Arc::clone(&protected);
        let waiter = loom::thread::spawn(move || waiter.rundown.run_down());
        // Lets the waiter come first: a load alone is no reason for the model checker to try that.
        loom::thread::yield_now();
        assert!(!protected.rundown.restart(), "a guard is held");
        protected.rundown.release();
        waiter.join().expect("waiter");
        assert!(protected.rundown.restart(), "run down");
    });
}

#[test]
fn a_restart_waits_for_the_last_guard() {
    restart_too_early::<0>();
}

#[test]
#[should_panic(expected = "a guard is held")]
fn a_restart_that_comes_early_is_caught() {
    restart_too_early::<{ Broken::RestartsEarly as u8 }>();
}
