//! Stop, cancel and flush against the drainer, right and wrong: the core itself, since a broken variant is a parameter
//! of its type that the public queue does not have.

extern crate std;

use core::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::explore;
use crate::engine::{Broken, Core};
use crate::kernel::{Parent, set_starts};
use crate::{Config, Item, NoCompletion, Passive};

/// A queue's handle, as `QueuedWorkItem` is one, with a variant. It counts its runs.
pub(super) struct Handle<const VARIANT: u8> {
    pub(super) core: NonNull<Core<u32, NoCompletion, (), VARIANT>>,
    runs: Arc<AtomicU32>,
}

// SAFETY: as for `QueuedWorkItem`.
unsafe impl<const VARIANT: u8> Send for Handle<VARIANT> {}
// SAFETY: as for `QueuedWorkItem`.
unsafe impl<const VARIANT: u8> Sync for Handle<VARIANT> {}

impl<const VARIANT: u8> Handle<VARIANT> {
    pub(super) fn new(buffers: u32) -> Arc<Self> {
        Self::with(buffers, |_| ())
    }

    /// With what its callback does with each payload, besides counting.
    pub(super) fn with(buffers: u32, mut callback: impl FnMut(u32) + Send + 'static) -> Arc<Self> {
        set_starts(1);
        // SAFETY: the models do not look at IRQL.
        let passive = &mut unsafe { Passive::assume() };
        // Not the model's business: it orders nothing that the protocol would have to.
        let runs = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&runs);
        let running = loom::cell::UnsafeCell::new(0_u32);
        let core = Core::new(
            passive,
            &Parent::default(),
            &Config::new(buffers),
            None,
            move |item: &mut Item<'_, u32>, _: &mut Passive| {
                // Fails the model if two callbacks overlap, or if one does not see what the last one left.
                running.with_mut(|running| {
                    // SAFETY: the callback's own; the cell checks it.
                    unsafe { *running += 1 };
                });
                callback(*item.payload());
                count.fetch_add(1, Ordering::SeqCst);
            },
        );
        Arc::new(Self {
            core: core.expect("create"),
            runs,
        })
    }

    pub(super) fn core(&self) -> &Core<u32, NoCompletion, (), VARIANT> {
        // SAFETY: the handle is an owner.
        unsafe { self.core.as_ref() }
    }

    pub(super) fn enqueue(&self) {
        let submitted = self.core().submit_value(0, None, core::ptr::null_mut());
        assert!(submitted.is_ok(), "a buffer is free");
    }

    pub(super) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

impl<const VARIANT: u8> Drop for Handle<VARIANT> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The model has found its fault and is over: its locks do not work any more.
            return;
        }
        let core = self.core();
        core.pending.0.close();
        core.cancel_all();
        core.end_stop();
        // SAFETY: the handle's share, given up once.
        unsafe { Core::release_owner(self.core, false) };
    }
}

fn start_after_stop<const VARIANT: u8>() {
    explore(2, || {
        let queue = Handle::<VARIANT>::new(2);
        queue.core().stop();
        queue.enqueue();
        assert_eq!(queue.runs(), 0, "nothing begins while the queue is stopped");
        queue.core().start();
        queue.core().flush().expect("not inside");
        assert_eq!(queue.runs(), 1);
        drop(queue);
    });
}

#[test]
fn w22_a_start_finds_the_drainer_parked_or_not_yet() {
    start_after_stop::<0>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn w22_a_drainer_that_parks_unlocked_is_caught() {
    start_after_stop::<{ Broken::ParksUnlocked as u8 }>();
}

fn nothing_begins_after_stop<const VARIANT: u8>() {
    explore(2, || {
        let queue = Handle::<VARIANT>::new(2);
        queue.enqueue();
        queue.core().stop_and_wait().expect("not inside");
        // Whatever ran before the stop has ended, so the count is final while the queue is stopped.
        let runs = queue.runs();
        queue.enqueue();
        loom::thread::yield_now();
        assert_eq!(queue.runs(), runs, "an item began after the stop");
        queue.core().start();
        queue.core().flush().expect("not inside");
        assert_eq!(queue.runs(), 2);
        drop(queue);
    });
}

#[test]
fn w22_nothing_begins_after_a_stop() {
    nothing_begins_after_stop::<0>();
}

#[test]
#[should_panic(expected = "an item began after the stop")]
fn w22_a_stop_that_is_seen_unlocked_is_caught() {
    nothing_begins_after_stop::<{ Broken::LooksForStopEarly as u8 }>();
}

#[test]
fn w22_a_stopped_queue_is_closed_or_dropped() {
    for cancel in [None, Some(false), Some(true)] {
        explore(2, move || {
            let queue = Handle::<0>::new(1);
            queue.core().stop();
            queue.enqueue();
            if let Some(cancel) = cancel {
                let dropped = queue.core().close(cancel).expect("not inside");
                assert_eq!(dropped, u64::from(cancel));
                assert_eq!(
                    queue.runs(),
                    u32::from(!cancel),
                    "a drain runs it, a cancel does not"
                );
            }
            let runs = Arc::clone(&queue.runs);
            drop(queue);
            assert_eq!(runs.load(Ordering::SeqCst), u32::from(cancel == Some(false)));
        });
    }
}

fn cancel_against_a_push<const VARIANT: u8>() {
    explore(2, || {
        let queue = Handle::<VARIANT>::new(2);
        queue.enqueue();
        let other = Arc::clone(&queue);
        let producer = loom::thread::spawn(move || other.enqueue());
        let dropped = queue.core().cancel_all();
        assert!(dropped <= 2, "cancel counted what was never there");
        producer.join().expect("producer");
        queue.core().flush().expect("not inside");
        assert_eq!(u64::from(queue.runs()) + dropped, 2);
        drop(queue);
    });
}

#[test]
fn w12_cancel_against_a_push_and_the_drainer() {
    cancel_against_a_push::<0>();
}

#[test]
#[should_panic(expected = "cancel counted what was never there")]
fn w12_a_cancel_that_takes_unlocked_is_caught() {
    cancel_against_a_push::<{ Broken::CancelTakesUnlocked as u8 }>();
}

fn flush_against_a_push<const VARIANT: u8>() {
    explore(2, || {
        let queue = Handle::<VARIANT>::new(2);
        queue.enqueue();
        let other = Arc::clone(&queue);
        let producer = loom::thread::spawn(move || other.enqueue());
        queue.core().flush().expect("not inside");
        assert!(queue.runs() >= 1, "what was enqueued before has run");
        producer.join().expect("producer");
        drop(queue);
    });
}

#[test]
fn w11_flush_against_a_push_and_the_drainer() {
    flush_against_a_push::<0>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn w11_a_flush_that_reads_unlocked_is_caught() {
    flush_against_a_push::<{ Broken::FlushReadsUnlocked as u8 }>();
}
