//! What the tests share: a token, a gate, and a queue that logs.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::missing_panics_doc, reason = "tests panic to fail")]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queued_work_item::Passive;

/// Longer than anything takes; only a hang lasts it out.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn passive() -> Passive {
    // SAFETY: test threads run at PASSIVE_LEVEL but where a test raises the IRQL, and there it says so.
    unsafe { Passive::assume() }
}

/// Blocks callbacks until it is opened, and shows how many have come to it.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    open: bool,
    arrived: usize,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pass(&self) {
        let mut state = self.lock();
        state.arrived += 1;
        self.0.1.notify_all();
        let (state, timeout) = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| !state.open)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!timeout.timed_out(), "nobody opened the gate");
    }

    pub(crate) fn open(&self) {
        self.lock().open = true;
        self.0.1.notify_all();
    }

    pub(crate) fn shut(&self) {
        self.lock().open = false;
    }

    /// Returns when `count` callbacks have come to the gate.
    pub(crate) fn wait_arrived(&self, count: usize) {
        let (state, timeout) = self
            .0
            .1
            .wait_timeout_while(self.lock(), PATIENCE, |state| state.arrived < count)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!timeout.timed_out(), "the callback did not come to the gate");
    }
}

/// A list that callbacks write and tests read.
#[derive(Debug)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn push(&self, entry: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    pub(crate) fn entries(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Spins until `what` is so: for what no event tells, with a hang's patience.
#[track_caller]
pub(crate) fn until(mut what: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !what() {
        assert!(begun.elapsed() < PATIENCE, "it never came to be");
        std::thread::yield_now();
    }
}

/// Tries until there is one: for what only other threads can give.
#[track_caller]
pub(crate) fn retry<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came to be");
        std::thread::yield_now();
    }
}

/// The seed of a random test: `QWI_SEED`, or another each time. Printed, so that a failure shows it.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("QWI_SEED").map_or_else(
        |_| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()) | 1)
        },
        |seed| seed.parse().expect("QWI_SEED is a number"),
    );
    println!("QWI_SEED={seed}");
    seed
}
