//! The whole queue, as users have it, on the model checker's threads.

extern crate std;

use core::time::Duration;
use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::explore;
use crate::kernel::{Parent, set_starts};
use crate::{
    Close, Completion, Config, EnqueueErrorKind, Outcome, Passive, QueuedWorkItem, WaitError, WaitOutcome,
};

/// Counts outcomes. Its own counts are not the model's business, so they are `std`'s.
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

type Queue = QueuedWorkItem<u32, Tally>;

fn passive() -> Passive {
    // SAFETY: the models do not look at IRQL.
    unsafe { Passive::assume() }
}

/// A queue whose callback must run its items in order, each once; `Arc` without the model's bookkeeping.
fn queue(buffers: u32) -> Arc<Queue> {
    let running = loom::cell::UnsafeCell::new(0_u32);
    let created = Queue::create(
        &mut passive(),
        Parent::default(),
        &Config::new(buffers),
        move |_, _| {
            // The cell fails the model if two callbacks overlap, or if one does not see what the last one left.
            running.with_mut(|running| {
                // SAFETY: the callback's own; the cell checks it.
                unsafe { *running += 1 };
            });
        },
    );
    Arc::new(created.expect("create"))
}

#[test]
fn w20_duplicate_starts_run_nothing_twice() {
    explore(2, || {
        set_starts(2);
        let queue = queue(1);
        let tally = Tally::default();
        queue.enqueue_with(0, tally.clone()).expect("enqueue");
        queue.close(&mut passive(), Close::Drain).expect("close");
        assert_eq!((tally.ran(), tally.cancelled()), (1, 0));
        drop(queue);
    });
}

#[test]
fn w04_no_wake_up_is_lost_at_the_edge() {
    explore(2, || {
        set_starts(1);
        let queue = queue(2);
        let tally = Tally::default();
        let (other, seen) = (Arc::clone(&queue), tally.clone());
        let producer = loom::thread::spawn(move || other.enqueue_with(1, seen).expect("enqueue"));
        queue.enqueue_with(0, tally.clone()).expect("enqueue");
        producer.join().expect("producer");
        queue.flush(&mut passive()).expect("flush");
        assert_eq!((tally.ran(), tally.cancelled()), (2, 0));
        drop(queue);
    });
}

fn close_against_enqueue(how: Close) {
    explore(2, move || {
        set_starts(1);
        let queue = queue(1);
        let tally = Tally::default();
        let (other, seen) = (Arc::clone(&queue), tally.clone());
        let producer = loom::thread::spawn(move || match other.enqueue_with(0, seen) {
            Ok(()) => 1,
            Err(error) => {
                assert_eq!(error.kind(), EnqueueErrorKind::Closing);
                0
            }
        });
        queue.close(&mut passive(), how).expect("close");
        let at_close = tally.ran() + tally.cancelled();
        assert!(queue.enqueue(1).is_err(), "success after close");
        let accepted = producer.join().expect("producer");
        assert_eq!(
            at_close, accepted,
            "what was accepted had ended when close returned"
        );
        assert_eq!(tally.ran() + tally.cancelled(), accepted);
        drop(queue);
    });
}

#[test]
fn w14_close_and_drain_against_enqueue() {
    close_against_enqueue(Close::Drain);
}

#[test]
fn w14_close_and_cancel_against_enqueue() {
    close_against_enqueue(Close::Cancel);
}

#[test]
fn w12_cancel_against_the_drainer() {
    explore(2, || {
        set_starts(1);
        let queue = queue(2);
        let tally = Tally::default();
        queue.enqueue_with(0, tally.clone()).expect("enqueue");
        queue.enqueue_with(1, tally.clone()).expect("enqueue");
        let dropped = queue.cancel(&mut passive());
        assert_eq!(u64::from(tally.cancelled()), dropped);
        queue.flush(&mut passive()).expect("flush");
        assert_eq!(tally.ran() + tally.cancelled(), 2);
        // Both buffers are home.
        queue.enqueue_with(2, tally.clone()).expect("enqueue");
        queue.enqueue_with(3, tally.clone()).expect("enqueue");
        drop(queue);
    });
}

#[test]
fn w13_drop_against_the_drainer() {
    explore(2, || {
        set_starts(2);
        let queue = queue(1);
        let tally = Tally::default();
        let ended = Box::new(tally.clone());
        queue.enqueue_with(0, *ended).expect("enqueue");
        drop(queue);
        // Run, cancelled, or running now: never both. What the drainer still does, it does on memory that it keeps.
        assert!(tally.ran() + tally.cancelled() <= 1);
    });
}

#[test]
fn w11_flush_against_enqueue() {
    explore(2, || {
        set_starts(1);
        let queue = queue(2);
        let tally = Tally::default();
        let other = Arc::clone(&queue);
        queue.enqueue_with(0, tally.clone()).expect("enqueue");
        let producer = loom::thread::spawn(move || other.enqueue(1).expect("enqueue"));
        queue.flush(&mut passive()).expect("flush");
        assert_eq!(tally.ran(), 1, "what was enqueued before the flush has ended");
        producer.join().expect("producer");
        drop(queue);
    });
}

#[test]
fn w23_a_wait_against_its_end_and_its_time() {
    explore(2, || {
        set_starts(1);
        let queue = queue(1);
        match queue.enqueue_and_wait_timeout(&mut passive(), 0, Duration::ZERO) {
            Ok(WaitOutcome::Ran(_)) => assert!(
                queue.enqueue(1).is_ok(),
                "the buffer is home before the waiter wakes"
            ),
            Ok(WaitOutcome::TimedOut) => {}
            Err(error) => panic!("{error:?}"),
        }
        drop(queue);
    });
}

#[test]
fn w13_a_wait_against_a_cancelling_close() {
    explore(2, || {
        set_starts(1);
        let queue = queue(1);
        let other = Arc::clone(&queue);
        let waiter = loom::thread::spawn(move || other.enqueue_and_wait(&mut passive(), 0));
        queue.close(&mut passive(), Close::Cancel).expect("close");
        match waiter.join().expect("waiter") {
            Ok(_) | Err(WaitError::Cancelled) => {}
            Err(error) => assert_eq!(error.status(), crate::NtStatus::DELETE_PENDING),
        }
        drop(queue);
    });
}
