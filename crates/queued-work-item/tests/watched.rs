//! Faults on purpose: what `AddressSanitizer`, `ThreadSanitizer` and valgrind must not let pass.
//!
//! A tool that reports nothing shows nothing until it has been seen to report. `cargo xtask sanitize` runs each of these
//! under the tools that are there to catch it, and fails when one comes through. They are ignored otherwise.

use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Reads a box that was freed.
#[test]
#[ignore = "a fault on purpose: for cargo xtask sanitize"]
fn use_after_free() {
    let freed = Box::into_raw(Box::new(1_u64));
    // SAFETY: from `Box::into_raw`, once.
    drop(unsafe { Box::from_raw(freed) });
    // SAFETY: there is none: that a tool stops it is what is tested.
    black_box(unsafe { black_box(freed).read_volatile() });
}

/// Writes into a frame that was left: what a waiter that leaves unasked would have done to it.
#[test]
#[ignore = "a fault on purpose: for cargo xtask sanitize"]
fn use_after_return() {
    #[inline(never)]
    fn frame() -> *mut u64 {
        let mut local = black_box(1_u64);
        black_box(&raw mut local)
    }
    // SAFETY: there is none: that a tool stops it is what is tested.
    unsafe { black_box(frame()).write_volatile(2) };
}

/// Loses a box.
#[test]
#[ignore = "a fault on purpose: for cargo xtask sanitize"]
fn leak() {
    // On a thread of its own: nothing of its stack is left to find the pointer in.
    let lost = std::thread::spawn(|| _ = black_box(Box::leak(black_box(Box::new([1_u64; 100])))));
    lost.join().expect("nothing fails in there");
}

/// Two threads write one word, unordered.
#[test]
#[ignore = "a fault on purpose: for cargo xtask sanitize"]
fn data_race() {
    let word = Box::into_raw(Box::new(0_u64));
    let (shared, begun) = (AtomicPtr::new(word), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for value in 1..=2 {
            let (shared, begun) = (&shared, &begun);
            scope.spawn(move || {
                // Both are there, and relaxed as this is, it orders nothing.
                begun.fetch_add(1, Ordering::Relaxed);
                while begun.load(Ordering::Relaxed) < 2 {
                    std::thread::yield_now();
                }
                for _ in 0..1_000 {
                    // SAFETY: there is none: that a tool sees the other thread's write is what is tested.
                    unsafe { shared.load(Ordering::Relaxed).write_volatile(value) };
                }
            });
        }
    });
    // SAFETY: from `Box::into_raw`, once, and both threads have ended.
    drop(unsafe { Box::from_raw(word) });
}
