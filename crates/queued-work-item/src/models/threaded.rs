//! A queue with a thread of its own: the thread against pushes, stop, close and pended items.

extern crate std;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::explore;
use crate::engine::Broken;
use crate::threaded::{Disposition, Handle, Pended, ThreadedConfig, Work, Worker};
use crate::{Close, Completion, Config, NtStatus, Outcome, Passive};

fn passive() -> Passive {
    // SAFETY: the models do not look at IRQL.
    unsafe { Passive::assume() }
}

/// Counts outcomes; not the model's business, so `std`'s.
#[derive(Clone, Default)]
struct Tally(Arc<(AtomicU32, AtomicU32)>);

impl Tally {
    fn ran(&self) -> u32 {
        self.0.0.load(Ordering::SeqCst)
    }

    fn cancelled(&self) -> u32 {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Completion for Tally {
    fn complete(self, outcome: Outcome) {
        match outcome {
            Outcome::Ran(_) => &self.0.0,
            Outcome::Cancelled => &self.0.1,
        }
        .fetch_add(1, Ordering::SeqCst);
    }
}

/// Fails the model when two items are worked on at once, or when one does not see what the last one left. Items that are not 0
/// are pended.
struct Checked {
    running: loom::cell::UnsafeCell<u32>,
    kept: Arc<loom::sync::Mutex<Option<Pended<u32>>>>,
}

impl Worker<u32> for Checked {
    fn work<'a>(&mut self, work: Work<'a, u32>, _: &mut Passive) -> Disposition<'a> {
        self.running.with_mut(|running| {
            // SAFETY: the worker's own; the cell checks it.
            unsafe { *running += 1 };
        });
        if *work.payload() == 0 {
            return work.complete(NtStatus::SUCCESS);
        }
        let (pended, disposition) = work.pend();
        *self.kept.lock().expect("no panics") = Some(pended);
        disposition
    }
}

struct Queue<const VARIANT: u8> {
    handle: Handle<u32, Tally, (), VARIANT>,
    kept: Arc<loom::sync::Mutex<Option<Pended<u32>>>>,
}

impl<const VARIANT: u8> Queue<VARIANT> {
    fn new(buffers: u32, waits: bool) -> Arc<Self> {
        let kept = Arc::new(loom::sync::Mutex::new(None));
        let worker = Checked {
            running: loom::cell::UnsafeCell::new(0),
            kept: Arc::clone(&kept),
        };
        let mut config = ThreadedConfig::new(Config::new(buffers));
        config.waits_for_pended = waits;
        let handle = Handle::new(&mut passive(), &config, None, worker);
        Arc::new(Self {
            handle: handle.expect("create"),
            kept,
        })
    }

    fn put(&self, payload: u32, tally: &Tally) {
        let completion = Some(tally.clone());
        let put = self
            .handle
            .core()
            .submit_value(payload, completion, core::ptr::null_mut());
        assert!(put.is_ok(), "a buffer is free");
    }

    fn put_at_head(&self, payload: u32, tally: &Tally) {
        let completion = Some(tally.clone());
        let put = self
            .handle
            .core()
            .submit_value_at::<true>(payload, completion, core::ptr::null_mut());
        assert!(put.is_ok(), "a buffer is free");
    }

    /// The pended item, once there is one.
    fn kept(&self) -> Pended<u32> {
        loop {
            if let Some(pended) = self.kept.lock().expect("no panics").take() {
                return pended;
            }
            loom::thread::yield_now();
        }
    }

    fn start(&self) {
        self.handle.start(&mut passive()).expect("a thread");
    }

    fn stop(&self) -> u32 {
        let dropped = self.handle.stop(&mut passive()).expect("not inside");
        u32::try_from(dropped).expect("few")
    }

    fn close(&self, how: Close) {
        self.handle.close(&mut passive(), how).expect("not inside");
    }
}

fn pushes_against_the_thread<const VARIANT: u8>() {
    explore(2, || {
        let queue = Queue::<VARIANT>::new(2, false);
        let tally = Tally::default();
        queue.start();
        queue.put(0, &tally);
        queue.put_at_head(0, &tally);
        queue.close(Close::Drain);
        assert_eq!((tally.ran(), tally.cancelled()), (2, 0));
        drop(queue);
    });
}

#[test]
fn x01_no_push_is_left_by_the_thread() {
    pushes_against_the_thread::<0>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn x01_a_thread_that_clears_what_it_waits_for_is_caught() {
    pushes_against_the_thread::<{ Broken::RunsOnlyWhenIdle as u8 }>();
}

#[test]
fn x03_stop_and_start_against_a_push() {
    explore(2, || {
        let queue = Queue::<0>::new(2, false);
        let tally = Tally::default();
        queue.start();
        let (other, seen) = (Arc::clone(&queue), tally.clone());
        let producer = loom::thread::spawn(move || other.put(0, &seen));
        let dropped = queue.stop();
        let at_stop = tally.ran();
        producer.join().expect("producer");
        assert_eq!(tally.ran(), at_stop, "worked on without a thread");
        queue.start();
        queue.close(Close::Drain);
        assert_eq!(
            tally.ran() + tally.cancelled(),
            1,
            "accepted, and worked on or dropped"
        );
        assert_eq!(tally.cancelled(), dropped);
        drop(queue);
    });
}

#[test]
fn x04_close_without_a_thread_drops_and_ends() {
    explore(2, || {
        let queue = Queue::<0>::new(2, false);
        let tally = Tally::default();
        let (other, seen) = (Arc::clone(&queue), tally.clone());
        let producer = loom::thread::spawn(move || {
            let completion = Some(seen);
            let put = other
                .handle
                .core()
                .submit_value(0, completion, core::ptr::null_mut());
            u32::from(put.is_ok())
        });
        queue.close(Close::Drain);
        let told = tally.cancelled();
        assert_eq!(producer.join().expect("producer"), told);
        assert_eq!(tally.ran(), 0);
        drop(queue);
    });
}

#[test]
fn x05_a_pended_item_is_completed_beside_its_worker() {
    for waits in [false, true] {
        explore(2, move || {
            let queue = Queue::<0>::new(2, waits);
            let tally = Tally::default();
            queue.start();
            queue.put(1, &tally);
            queue.put(0, &tally);
            let pended = queue.kept();
            pended.complete(NtStatus::SUCCESS);
            queue.close(Close::Drain);
            assert_eq!((tally.ran(), tally.cancelled()), (2, 0));
            drop(queue);
        });
    }
}

/// One buffer. Its item is pended and completed, and the next in it is waited for, while a flush looks for waiters of
/// pended items. The holder stops within its completion, the flush between its two halves, and the waiter's frame is made
/// meanwhile: with fewer switches the broken variant is not found.
fn flush_against_a_completion<const VARIANT: u8>() {
    explore(3, || {
        let queue = Queue::<VARIANT>::new(1, false);
        let tally = Tally::default();
        queue.start();
        queue.put(1, &tally);
        let pended = queue.kept();
        let holder = loom::thread::spawn(move || pended.complete(NtStatus::SUCCESS));
        let other = Arc::clone(&queue);
        let waiter = loom::thread::spawn(move || {
            let core = other.handle.core();
            let waited = core.wait_for(None, |waiter| core.submit_value(0, None, waiter));
            matches!(waited, Ok(Some(Outcome::Cancelled)))
        });
        let dropped = queue.handle.core().drop_all();
        holder.join().expect("holder");
        let told = waiter.join().expect("waiter");
        // The next item is never pended: its waiter is told so by who drops it.
        assert_eq!(u64::from(told), dropped, "told to be dropped, and not dropped");
        queue.close(Close::Drain);
        drop(queue);
    });
}

#[test]
fn x04_flush_against_the_completion_of_a_pended_item() {
    flush_against_a_completion::<0>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn x04_a_mark_that_outlasts_its_item_is_caught() {
    flush_against_a_completion::<{ Broken::UnmarksLate as u8 }>();
}

#[test]
fn x02_a_pended_item_outlives_its_queue() {
    explore(2, || {
        let queue = Queue::<0>::new(1, false);
        let tally = Tally::default();
        queue.start();
        queue.put(1, &tally);
        let kept = Arc::clone(&queue.kept);
        drop(queue);
        // Dropped before it began, or pended: then it is its holder's alone.
        let pended = kept.lock().expect("no panics").take();
        assert_eq!(tally.cancelled(), u32::from(pended.is_none()));
        drop(pended);
        assert_eq!(tally.ran() + tally.cancelled(), 1);
    });
}
