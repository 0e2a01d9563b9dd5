//! W26: producers at `DISPATCH_LEVEL` on every processor, beside a thread that waits in a loop.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::passive;
use queued_work_item::kernel::host::{Machine, raise_irql};
use queued_work_item::kernel::{Irql, Parent};
use queued_work_item::{Close, Config, EnqueueErrorKind, NtStatus, QueuedWorkItem};

/// Producers stop after so many accepted items each, or at a time.
#[derive(Clone, Copy)]
enum Until {
    Items(u64),
    Time(Instant),
}

impl Until {
    fn reached(self, items: u64) -> bool {
        match self {
            Self::Items(enough) => items >= enough,
            Self::Time(end) => Instant::now() >= end,
        }
    }
}

fn soak(until: Until) {
    let machine = Machine::new();
    let _in = machine.enter();
    let producers = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let mut next = vec![0_u64; producers + 1];
    let config = Config::new(32).lookaside(64);
    let queue =
        <QueuedWorkItem<(usize, u64)>>::create(&mut passive(), Parent::default(), &config, move |item, _| {
            let (producer, number) = *item.payload();
            assert_eq!(next[producer], number, "producer {producer} is out of order");
            next[producer] += 1;
            counted.fetch_add(1, Ordering::Relaxed);
            // The waiter's own.
            item.set_status(NtStatus((number & 0xFFFF) as i32));
        })
        .expect("create");
    let (accepted, refused, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let waits = std::thread::scope(|scope| {
        let producing: Vec<_> = (0..producers)
            .map(|producer| {
                let (queue, machine, accepted, refused) = (&queue, &machine, &accepted, &refused);
                scope.spawn(move || {
                    let _in = machine.enter();
                    let _raised = raise_irql(Irql::DISPATCH);
                    let (mut items, mut full) = (0, 0);
                    while !until.reached(items) {
                        match queue.enqueue((producer, items)) {
                            Ok(()) => items += 1,
                            Err(error) => {
                                assert_eq!(error.kind(), EnqueueErrorKind::Full);
                                full += 1;
                                std::thread::yield_now();
                            }
                        }
                    }
                    accepted.fetch_add(items, Ordering::Relaxed);
                    refused.fetch_add(full, Ordering::Relaxed);
                })
            })
            .collect();
        let waiter = scope.spawn(|| {
            let _in = machine.enter();
            let passive = &mut passive();
            let (mut waits, mut full) = (0_u64, 0);
            while !over.load(Ordering::Relaxed) || waits == 0 {
                match queue.enqueue_and_wait(passive, (producers, waits)) {
                    Ok(status) => {
                        assert_eq!(status, NtStatus((waits & 0xFFFF) as i32), "another's status");
                        waits += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.status(), NtStatus::INSUFFICIENT_RESOURCES);
                        full += 1;
                        std::thread::yield_now();
                    }
                }
            }
            refused.fetch_add(full, Ordering::Relaxed);
            waits
        });
        for producer in producing {
            producer.join().expect("producer");
        }
        over.store(true, Ordering::Relaxed);
        waiter.join().expect("waiter")
    });
    queue.close(&mut passive(), Close::Drain).expect("close");
    let total = accepted.into_inner() + waits;
    let counters = queue.counters();
    println!(
        "{total} items, {waits} of them waited for, {} refused",
        counters.refused_full
    );
    assert_eq!(runs.load(Ordering::Relaxed), total);
    assert_eq!(
        (counters.enqueued, counters.executed, counters.cancelled),
        (total, total, 0)
    );
    assert_eq!(counters.refused_full, refused.into_inner());
    assert!(queue.is_empty() && queue.high_water_mark() > 0);
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w26_producers_at_dispatch_level_and_a_waiter_agree_to_the_item() {
    soak(Until::Items(20_000));
}

/// A minute of it, or `QWI_SOAK_SECONDS`: `cargo test -p queued-work-item --test soak -- --ignored`.
#[test]
#[ignore = "takes a minute"]
fn w26_soak() {
    let seconds = std::env::var("QWI_SOAK_SECONDS").map_or(60, |seconds| seconds.parse().expect("seconds"));
    soak(Until::Time(Instant::now() + Duration::from_secs(seconds)));
}
