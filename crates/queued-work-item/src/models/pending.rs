//! Push, drain and schedule on the pending word.

extern crate std;

use std::sync::{Arc, Mutex};
use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;
use loom::thread::JoinHandle;

use super::explore;
use crate::free::NIL;
use crate::pending::{Broken, Closing, Pending, Pushed};

const ITEMS: usize = 2;

/// A queue reduced to its pending word.
struct Mini<const VARIANT: u8> {
    pending: Pending<VARIANT>,
    links: [AtomicU32; ITEMS],
    /// Written by the producer, read by the drainer.
    payloads: [UnsafeCell<u32>; ITEMS],
    /// The drainer's own: who touches it beside or unordered with another fails the model.
    runs: UnsafeCell<[u32; ITEMS]>,
    starts: Mutex<Vec<JoinHandle<()>>>,
}

impl<const VARIANT: u8> Mini<VARIANT> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            pending: Pending::new(),
            links: core::array::from_fn(|_| AtomicU32::new(NIL)),
            payloads: core::array::from_fn(|_| UnsafeCell::new(0)),
            runs: UnsafeCell::new([0; ITEMS]),
            starts: Mutex::new(Vec::new()),
        })
    }

    /// Schedules a start.
    fn schedule(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let handle = loom::thread::spawn(move || this.start());
        self.starts.lock().expect("one thread at a time").push(handle);
    }

    fn push(self: &Arc<Self>, item: usize) -> Result<(), Closing> {
        self.payloads[item].with_mut(|payload| {
            // SAFETY: the item is this producer's until it is pushed; the cell checks it.
            unsafe { *payload = 100 + u32::try_from(item).expect("few") };
        });
        let slot = u32::try_from(item).expect("few");
        if self.pending.join(slot, &self.links[item]) {
            return Ok(());
        }
        if self.pending.push(slot, &self.links[item], || ())? == Pushed::MustSchedule {
            self.schedule();
        }
        Ok(())
    }

    fn start(&self) {
        if !self.pending.claim() {
            return;
        }
        loop {
            let word = self.pending.take();
            let mut slot = word.newest();
            if slot == NIL && self.pending.go_idle(word) {
                return;
            }
            while slot != NIL {
                let item = slot as usize;
                self.payloads[item].with(|payload| {
                    // SAFETY: pushed, so the drainer's; the cell checks it.
                    assert_eq!(unsafe { *payload }, 100 + slot);
                });
                self.runs.with_mut(|runs| {
                    // SAFETY: the drainer's; the cell checks it.
                    unsafe { (*runs)[item] += 1 };
                });
                slot = self.links[item].load(loom::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    /// Waits for all starts, and returns how often each item ran.
    fn finish(&self) -> [u32; ITEMS] {
        loop {
            let start = self.starts.lock().expect("one thread at a time").pop();
            let Some(start) = start else { break };
            start.join().expect("a start");
        }
        self.runs.with(|runs| {
            // SAFETY: all starts have been joined.
            unsafe { *runs }
        })
    }
}

/// Two producers, and a start that nobody asked for.
fn two_producers<const VARIANT: u8>() {
    explore(3, || {
        let mini = Mini::<VARIANT>::new();
        mini.schedule();
        let other = Arc::clone(&mini);
        let producer = loom::thread::spawn(move || other.push(1).expect("open"));
        mini.push(0).expect("open");
        producer.join().expect("producer");
        assert_eq!(mini.finish(), [1; ITEMS], "each item once");
    });
}

#[test]
fn w20_items_run_once_with_spurious_starts() {
    two_producers::<0>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn emptiness_as_the_signal_is_caught() {
    two_producers::<{ Broken::EmptySchedules as u8 }>();
}

#[test]
#[should_panic(expected = "each item once")]
fn going_idle_blindly_is_caught() {
    two_producers::<{ Broken::IdlesBlindly as u8 }>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn going_idle_without_release_is_caught() {
    two_producers::<{ Broken::IdlesRelaxed as u8 }>();
}

/// A push before and one after the closing bit, while a drainer takes.
fn close<const VARIANT: u8>() {
    explore(3, || {
        let mini = Mini::<VARIANT>::new();
        let other = Arc::clone(&mini);
        let producer = loom::thread::spawn(move || other.push(0).is_ok());
        mini.pending.close();
        assert_eq!(mini.push(1), Err(Closing), "success after close");
        let accepted = producer.join().expect("producer");
        assert_eq!(mini.finish(), [u32::from(accepted), 0]);
        assert!(mini.pending.load().is_closing(), "closing was taken back");
    });
}

#[test]
fn w14_no_push_succeeds_after_close() {
    close::<0>();
}

#[test]
#[should_panic(expected = "closing was taken back")]
fn a_take_that_erases_closing_is_caught() {
    close::<{ Broken::TakeErasesClosing as u8 }>();
}
