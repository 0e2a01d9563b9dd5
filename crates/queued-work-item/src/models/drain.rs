//! What the drainer has claimed, against a cancel, a stop, a flush and a producer in need of a buffer: the core itself,
//! right and wrong.

extern crate std;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::explore;
use super::stop::Handle;
use crate::NoCompletion;
use crate::engine::{Broken, Core};
use crate::ready::Until;

/// Two items that one claim takes, if nothing comes in between.
fn two<const VARIANT: u8>(callback: impl FnMut(u32) + Send + 'static) -> Arc<Handle<VARIANT>> {
    let queue = Handle::<VARIANT>::with(2, callback);
    queue.core().stop();
    queue.enqueue();
    queue.enqueue();
    queue
}

fn cancel_against_a_claim<const VARIANT: u8>() {
    explore(2, || {
        let queue = two::<VARIANT>(|_| ());
        queue.core().start();
        let dropped = queue.core().cancel_all();
        queue.core().flush().expect("not inside");
        assert_eq!(u64::from(queue.runs()) + dropped, 2, "each item ends once");
        drop(queue);
    });
}

#[test]
fn w12_cancel_reaches_what_is_claimed() {
    cancel_against_a_claim::<0>();
}

#[test]
#[should_panic(expected = "each item ends once")]
fn w12_a_cancel_that_forgets_the_claim_is_caught() {
    cancel_against_a_claim::<{ Broken::CancelForgetsClaim as u8 }>();
}

fn stop_against_a_claim<const VARIANT: u8>() {
    explore(2, || {
        let queue = two::<VARIANT>(|_| ());
        queue.core().start();
        queue.core().stop();
        let left = queue.core().look().unbegun();
        loom::thread::yield_now();
        assert_eq!(
            queue.core().look().unbegun(),
            left,
            "an item began after the stop"
        );
        queue.core().start();
        queue.core().flush().expect("not inside");
        assert_eq!(queue.runs(), 2);
        drop(queue);
    });
}

#[test]
fn w22_a_stop_reaches_what_is_claimed() {
    stop_against_a_claim::<0>();
}

#[test]
#[should_panic(expected = "an item began after the stop")]
fn w22_a_stop_that_forgets_the_claim_is_caught() {
    stop_against_a_claim::<{ Broken::StopForgetsClaim as u8 }>();
}

/// The second item's callback lasts until a flush of the first has returned.
fn flush_against_a_claim<const VARIANT: u8>() {
    explore(2, || {
        let gate = Arc::new((loom::sync::Mutex::new(false), loom::sync::Condvar::new()));
        let passed = Arc::clone(&gate);
        let mut number = 0;
        let queue = two::<VARIANT>(move |_| {
            number += 1;
            if number == 2 {
                let mut open = passed.0.lock().expect("a model does not poison");
                while !*open {
                    open = passed.1.wait(open).expect("a model does not poison");
                }
            }
        });
        // A start waits for the lock under which this is set, and so for the flush to be on the list.
        let flushes = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let (other, seen) = (Arc::clone(&queue), Arc::clone(&flushes));
        let starter = loom::thread::spawn(move || {
            while !seen.load(Ordering::Acquire) {
                loom::thread::yield_now();
            }
            other.core().start();
        });
        let flushed = queue.core().wait_until(|_| {
            flushes.store(true, Ordering::Release);
            Until::Ended(1)
        });
        flushed.expect("not inside");
        *gate.0.lock().expect("a model does not poison") = true;
        gate.1.notify_all();
        starter.join().expect("starter");
        queue.core().flush().expect("not inside");
        drop(queue);
    });
}

#[test]
fn w11_a_flush_is_not_held_up_by_what_follows_it() {
    flush_against_a_claim::<0>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn w11_a_claim_past_a_flush_is_caught() {
    flush_against_a_claim::<{ Broken::ClaimsPastFlush as u8 }>();
}

/// The callback of the second item enqueues a third: the first one's buffer is free.
fn enqueue_against_a_claim<const VARIANT: u8>() {
    explore(2, || {
        // Where the core lies. The model need not watch it: the queue's own words order it.
        let place = Arc::new(AtomicPtr::<Core<u32, NoCompletion, (), VARIANT>>::default());
        let (known, enqueued) = (Arc::clone(&place), AtomicBool::new(false));
        let mut number = 0;
        let queue = two::<VARIANT>(move |_| {
            number += 1;
            if number == 2 {
                // SAFETY: the activation that runs this keeps the core.
                let core = unsafe { &*known.load(Ordering::SeqCst) };
                let submitted = core.submit_value(0, None, core::ptr::null_mut());
                assert!(submitted.is_ok(), "refused, with a buffer finished");
                enqueued.store(true, Ordering::SeqCst);
            }
        });
        place.store(queue.core.as_ptr(), Ordering::SeqCst);
        queue.core().start();
        queue.core().flush().expect("not inside");
        queue.core().flush().expect("not inside");
        assert_eq!(queue.runs(), 3);
        drop(queue);
    });
}

#[test]
fn w05_a_finished_buffer_can_be_used() {
    enqueue_against_a_claim::<0>();
}

#[test]
#[should_panic(expected = "refused, with a buffer finished")]
fn w05_a_refusal_without_a_look_is_caught() {
    enqueue_against_a_claim::<{ Broken::FullUnasked as u8 }>();
}
