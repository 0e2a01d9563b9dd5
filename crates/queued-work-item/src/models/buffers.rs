//! A buffer whose time has come, against whatever else takes it.

extern crate std;

use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::explore;
use crate::Dispatch;
use crate::buffer::Stock;
use crate::buffer_queue::{Broken, ModelExpired, ModelInner};
use crate::kernel::{Parent, Shared};
use crate::slots::Slot;
use crate::{Buffer, Config};

type Inner<const VARIANT: u8> = ModelInner<u32, VARIANT>;

/// What became of the one buffer. Its own counts are not the model's business, so they are `std`'s.
#[derive(Default)]
struct Count {
    put: AtomicU32,
    had: AtomicU32,
    cleared: AtomicU32,
}

impl Count {
    fn had(&self) -> u32 {
        self.had.load(Ordering::SeqCst)
    }
}

impl Drop for Count {
    /// When everybody has done with the queue.
    fn drop(&mut self) {
        let [put, had, cleared] =
            [&self.put, &self.had, &self.cleared].map(|count| count.load(Ordering::SeqCst));
        if !std::thread::panicking() {
            assert_eq!(had + cleared, put, "each time that it was queued, one had it");
        }
    }
}

type Tally = Arc<Count>;

/// A handle, with a handle's drop.
struct Queue<const VARIANT: u8 = 0>(Shared<Inner<VARIANT>>, Tally);

impl<const VARIANT: u8> Queue<VARIANT> {
    /// A queue of one buffer whose callback counts and gives the buffer back.
    fn new(tally: &Tally) -> Self {
        let stock = Stock::new(&Config::new(1).buffer_size(4), None).expect("memory");
        // SAFETY: `expired` expects a `Tally`, and a share of such an inner part.
        let callback = unsafe { ModelExpired::with(Arc::clone(tally), expired::<VARIANT>) };
        let inner = Inner::with_timer(stock, &Parent::default(), callback.expect("memory"));
        Self(inner.expect("memory"), Arc::clone(tally))
    }

    /// Fetches the one buffer, which must be home, and queues it with a timer.
    fn put(&self) {
        let slot = self.0.stock().fetch().expect("the buffer is home").into_slot();
        self.1.put.fetch_add(1, Ordering::SeqCst);
        self.0
            .enqueue_with_timer(slot, Duration::from_millis(1))
            .expect("a timer");
    }

    /// Takes the buffer and gives it back.
    fn take(&self) -> bool {
        let Some(slot) = self.0.dequeue() else {
            return false;
        };
        have(&self.0, slot, &self.1);
        true
    }

    fn clear(&self) -> u32 {
        let cleared = self.0.clear();
        self.1.cleared.fetch_add(cleared, Ordering::SeqCst);
        cleared
    }
}

impl<const VARIANT: u8> Drop for Queue<VARIANT> {
    fn drop(&mut self) {
        self.0.end_timer();
        self.clear();
    }
}

fn have<const VARIANT: u8>(inner: &Inner<VARIANT>, slot: Slot, tally: &Tally) {
    // The length's cell stands for the whole buffer: the model checker fails if two have it at once.
    inner.stock().slots.control(slot).length.with_mut(|length| {
        // SAFETY: the slot is the caller's; the cell checks it.
        unsafe { *length += 1 };
    });
    tally.had.fetch_add(1, Ordering::SeqCst);
    drop(Buffer {
        stock: inner.stock(),
        slot,
    });
}

/// # Safety
/// `callback` holds a `Tally`; `inner` is a share that the caller keeps; the slot is given up.
unsafe fn expired<const VARIANT: u8>(
    callback: NonNull<u8>,
    inner: NonNull<()>,
    slot: Slot,
    _: &mut Dispatch,
) {
    // SAFETY: by the caller's promise.
    let inner = ManuallyDrop::new(unsafe { Shared::<Inner<VARIANT>>::from_raw(inner) });
    // SAFETY: as above.
    let tally = unsafe { callback.cast::<Tally>().as_ref() };
    have(&inner, slot, tally);
}

fn expire_against_dequeue<const VARIANT: u8>() {
    explore(2, || {
        let tally = Tally::default();
        let queue = Queue::<VARIANT>::new(&tally);
        queue.put();
        if queue.take() {
            assert_eq!(tally.had(), 1, "the callback has had it too");
        } else {
            // It has expired, or been taken by the callback, which goes on by itself.
            assert!(queue.0.count() == 0);
        }
        drop(queue);
    });
}

/// The buffer is taken in time and queued anew: the echo of the first timer must not take it without its time.
fn expire_against_requeue<const VARIANT: u8>() {
    explore(2, || {
        let tally = Tally::default();
        let queue = Queue::<VARIANT>::new(&tally);
        queue.put();
        if queue.take() {
            let slot = queue.0.stock().fetch().expect("the buffer is home").into_slot();
            tally.put.fetch_add(1, Ordering::SeqCst);
            queue.0.enqueue(slot);
            assert!(queue.take(), "it has no timer now");
            assert_eq!(tally.had(), 2);
        }
        drop(queue);
    });
}

#[test]
fn a_buffer_expires_or_is_dequeued() {
    expire_against_dequeue::<0>();
}

#[test]
fn a_buffer_that_was_queued_anew_does_not_expire_by_its_old_timer() {
    expire_against_requeue::<0>();
}

#[test]
#[should_panic(expected = "")]
fn an_expiry_that_unlinks_later_is_caught() {
    expire_against_dequeue::<{ Broken::UnlinksLater as u8 }>();
}

#[test]
#[should_panic(expected = "")]
fn a_dequeue_that_leaves_the_deadline_is_caught() {
    expire_against_requeue::<{ Broken::KeepsDeadline as u8 }>();
}

#[test]
fn a_buffer_expires_or_is_cleared() {
    explore(2, || {
        let tally = Tally::default();
        let queue = Queue::<0>::new(&tally);
        queue.put();
        let cleared = queue.clear();
        let had = tally.had();
        assert!(cleared + had <= 1, "cleared and expired");
        drop(queue);
    });
}

/// The handle goes while the callback may be anywhere: the callback finds the queue, and memory is freed once, when
/// both are done, which the model checker's cells in it see.
#[test]
fn a_buffer_expires_or_goes_with_the_queue() {
    explore(3, || {
        let tally = Tally::default();
        let queue = Queue::<0>::new(&tally);
        queue.put();
        drop(queue);
    });
}

/// Two timers' worth of expiries for two consumers.
#[test]
fn two_takers_and_an_expiry() {
    explore(2, || {
        let tally = Tally::default();
        let queue = Arc::new(Queue::<0>::new(&tally));
        queue.put();
        let other = Arc::clone(&queue);
        let taker = loom::thread::spawn(move || other.take());
        let here = queue.take();
        let there = taker.join().expect("taker");
        assert!(!(here && there), "one buffer, two takers");
        if here || there {
            assert_eq!(tally.had(), 1);
        }
        drop(queue);
    });
}
