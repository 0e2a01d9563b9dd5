//! What a bench does with a queue: hold its worker up, let it go, count what it has handled.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use crate::Post;
use crate::contenders::lock;

/// What the handlers share with the bench: a gate that holds the worker up, and a count.
#[derive(Default)]
pub struct Stage {
    executed: AtomicU64,
    shut: Mutex<bool>,
    /// The next handler has to look at `shut`; the others pay for a load only.
    stops: AtomicBool,
    arrived: AtomicBool,
    changed: Condvar,
}

impl Stage {
    /// What every handler does.
    pub fn ran(&self) {
        if self.stops.load(Ordering::Acquire) {
            self.arrived.store(true, Ordering::Release);
            let shut = lock(&self.shut);
            drop(
                self.changed
                    .wait_while(shut, |shut| *shut)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
        // One handler runs at a time, so no locked instruction is needed to count.
        let executed = self.executed.load(Ordering::Relaxed) + 1;
        self.executed.store(executed, Ordering::Release);
    }

    /// How many handlers have run.
    pub fn executed(&self) -> u64 {
        self.executed.load(Ordering::Acquire)
    }
}

/// A queue with its stage.
pub struct Rig<P> {
    /// The queue.
    pub queue: P,
    /// What its handlers share with the bench.
    pub stage: Arc<Stage>,
}

impl<P> Rig<P> {
    /// The queue that `make` makes for a stage.
    pub fn new(make: impl FnOnce(Arc<Stage>) -> P) -> Self {
        let stage = Arc::new(Stage::default());
        let queue = make(Arc::clone(&stage));
        Self { queue, stage }
    }

    /// Has the worker busy with `plug` until [`release`](Self::release): posting does not schedule it.
    ///
    /// # Panics
    /// When the queue is full.
    pub fn hold<T>(&self, plug: T)
    where
        P: Post<T>,
    {
        if !self.queue.has_worker() {
            return;
        }
        *lock(&self.stage.shut) = true;
        self.stage.arrived.store(false, Ordering::Release);
        self.stage.stops.store(true, Ordering::Release);
        assert!(self.queue.post(plug));
        while !self.stage.arrived.load(Ordering::Acquire) {
            thread::yield_now();
        }
        self.stage.stops.store(false, Ordering::Release);
    }

    /// Lets the worker go, and returns when `count` items in all have been handled.
    pub fn release<T>(&self, count: u64)
    where
        P: Post<T>,
    {
        *lock(&self.stage.shut) = false;
        self.stage.changed.notify_all();
        self.queue.settle();
        while self.stage.executed() < count {
            thread::yield_now();
        }
    }
}
