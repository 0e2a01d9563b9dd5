//! The clock of one sample: when the first enqueue began, and when the last callback ended.

use core::hint::black_box;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};

use queued_work_item::kernel::{Event, EventKind, performance_counter};
use queued_work_item::{CreateError, Passive};

/// Now, in ticks.
pub(crate) fn now() -> u64 {
    performance_counter().0
}

pub(crate) struct Meter {
    /// Callbacks that have not run. Only callbacks write it while a sample is taken, and they do not overlap.
    left: AtomicU32,
    /// Producers that have not arrived at the start.
    missing: AtomicU32,
    begin: AtomicU64,
    end: AtomicU64,
    /// The producers' own times, added up.
    producing: AtomicU64,
    /// Enqueues that found no buffer.
    pub(crate) refused: AtomicU64,
    done: Event,
}

/// What one sample took, in ticks.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// All producers' time together.
    pub(crate) producing: u64,
    /// From before the first enqueue to the end of the last callback.
    pub(crate) whole: u64,
}

impl Meter {
    pub(crate) fn new() -> Result<Self, CreateError> {
        Ok(Self {
            left: AtomicU32::new(0),
            missing: AtomicU32::new(0),
            begin: AtomicU64::new(0),
            end: AtomicU64::new(0),
            producing: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            done: Event::new(EventKind::Synchronization)?,
        })
    }

    /// Before a sample, when no callback runs.
    pub(crate) fn reset(&self, producers: u32, callbacks: u32) {
        self.begin.store(u64::MAX, Relaxed);
        self.end.store(0, Relaxed);
        self.producing.store(0, Relaxed);
        self.missing.store(producers, Release);
        self.left.store(callbacks, Release);
    }

    /// The callback of a sample's item.
    pub(crate) fn callback(&self, payload: &[u8]) {
        black_box(payload);
        // Not a read-modify-write: nobody else writes it meanwhile, and both subjects of the comparison pay for it.
        let left = self.left.load(Relaxed).wrapping_sub(1);
        self.left.store(left, Relaxed);
        if left == 0 {
            self.end.store(now(), Release);
            self.done.set();
        }
    }

    /// One producer's part of a sample: starts with the others, and counts its time.
    pub(crate) fn produce(&self, items: u32, mut enqueue: impl FnMut() -> bool) {
        // Threads are woken one after the other, far apart. A barrier that waits would do the same.
        self.missing.fetch_sub(1, AcqRel);
        while self.missing.load(Acquire) > 0 {
            core::hint::spin_loop();
        }
        let begin = now();
        for _ in 0..items {
            while !enqueue() {
                self.refused.fetch_add(1, Relaxed);
                core::hint::spin_loop();
            }
        }
        let end = now();
        self.begin.fetch_min(begin, AcqRel);
        self.producing.fetch_add(end.saturating_sub(begin), AcqRel);
    }

    /// Waits for the last callback of a sample.
    pub(crate) fn wait(&self, passive: &mut Passive) {
        self.done.wait(passive);
    }

    /// The sample, after [`Meter::wait`] and its producers' end.
    pub(crate) fn times(&self) -> Times {
        Times {
            producing: self.producing.load(Acquire),
            whole: self.end.load(Acquire).saturating_sub(self.begin.load(Acquire)),
        }
    }
}
