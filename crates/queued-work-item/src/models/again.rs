//! A callback that enqueues its own queue: the drainer is a producer as well.

extern crate std;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::explore;
use crate::kernel::{Parent, set_starts};
use crate::{Config, Passive, QueuedWorkItem};

type Queue = QueuedWorkItem<u32>;

/// Each run of `n` enqueues `n - 1`, beside a producer of its own: all run, and the last push is not lost at the edge to
/// IDLE although the drainer itself made it.
#[test]
fn w04_a_callback_that_enqueues_its_own_queue_is_run_again() {
    explore(2, || {
        set_starts(1);
        // SAFETY: the models do not look at IRQL.
        let passive = &mut unsafe { Passive::assume() };
        // Neither is the model's business: they order nothing that the protocol would have to.
        let (own, runs) = (
            Arc::new(OnceLock::<Weak<Queue>>::new()),
            Arc::new(AtomicU32::new(0)),
        );
        let (inside, count) = (Arc::clone(&own), Arc::clone(&runs));
        let running = loom::cell::UnsafeCell::new(0_u32);
        let queue = Queue::create(passive, Parent::default(), &Config::new(3), move |item, _| {
            // Fails the model if two callbacks overlap, or if one does not see what the last one left.
            running.with_mut(|running| {
                // SAFETY: the callback's own; the cell checks it.
                unsafe { *running += 1 };
            });
            count.fetch_add(1, Ordering::SeqCst);
            let left = *item.payload();
            if left > 0 {
                let queue = inside.get().and_then(Weak::upgrade).expect("the model keeps it");
                queue.enqueue(left - 1).expect("a buffer is free");
            }
        });
        let queue = Arc::new(queue.expect("create"));
        let Ok(()) = own.set(Arc::downgrade(&queue)) else {
            panic!("set once")
        };
        let other = Arc::clone(&queue);
        let producer = loom::thread::spawn(move || other.enqueue(0).expect("a buffer is free"));
        queue.enqueue(1).expect("a buffer is free");
        // Once for the item, and once for what it had enqueued before it ended.
        queue.flush(passive).expect("not inside");
        queue.flush(passive).expect("not inside");
        assert!(runs.load(Ordering::SeqCst) >= 2, "a wake-up was lost");
        producer.join().expect("producer");
        queue.flush(passive).expect("not inside");
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        drop(queue);
    });
}
