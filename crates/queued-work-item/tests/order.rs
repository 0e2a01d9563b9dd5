//! Exactly once, in order, never two at a time.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{Gate, Log, passive};
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::Machine;
use queued_work_item::{Close, Config, EnqueueErrorKind, QueuedWorkItem};

#[test]
fn w01_ten_thousand_payloads_run_once_in_order() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let log = Log::default();
    let seen = log.clone();
    let config = Config::new(64).buffer_size(8);
    let queue = <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, move |item, _| {
        seen.push(u64::from_le_bytes(item.payload().try_into().expect("8 bytes")));
    })
    .expect("create");
    for tag in 0..10_000_u64 {
        while let Err(error) = queue.enqueue(&tag.to_le_bytes()) {
            assert_eq!(error.kind(), EnqueueErrorKind::Full);
            std::thread::yield_now();
        }
    }
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), (0..10_000).collect::<Vec<_>>());
    assert_eq!(queue.counters().executed, 10_000);
    assert!(queue.is_empty());
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w02_eight_producers_keep_their_order_and_no_two_runs_overlap() {
    const PRODUCERS: u32 = 8;
    const EACH: u32 = 5_000;
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let running = AtomicBool::new(false);
    let mut next = [0_u32; PRODUCERS as usize];
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let queue = <QueuedWorkItem<(u32, u32)>>::create(
        passive,
        Parent::default(),
        &Config::new(100),
        move |item, _| {
            assert!(!running.swap(true, Ordering::Relaxed), "two callbacks at once");
            let (producer, number) = *item.payload();
            let expected = &mut next[producer as usize];
            assert_eq!(number, *expected, "producer {producer} is out of order");
            *expected += 1;
            counted.fetch_add(1, Ordering::Relaxed);
            running.store(false, Ordering::Relaxed);
        },
    )
    .expect("create");
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let queue = &queue;
            scope.spawn(move || {
                for number in 0..EACH {
                    while queue.enqueue((producer, number)).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    queue.close(passive, Close::Drain).expect("close");
    assert_eq!(runs.load(Ordering::Relaxed), PRODUCERS * EACH);
    assert!(
        queue.high_water_mark() > 0,
        "8 producers and nothing was ever queued"
    );
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w05_a_full_queue_refuses_and_goes_on() {
    const N: u32 = 8;
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let (gate, log) = (Gate::closed(), Log::default());
    let (passed, seen) = (gate.clone(), log.clone());
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(N), move |item, _| {
        passed.pass();
        seen.push(*item.payload());
    })
    .expect("create");
    for tag in 0..N {
        queue.enqueue(tag).expect("there are N buffers");
    }
    gate.wait_arrived(1);
    let error = queue.enqueue(N).expect_err("the running item counts");
    assert_eq!((error.kind(), error.into_inner()), (EnqueueErrorKind::Full, N));
    assert_eq!(
        (queue.len(), queue.capacity(), queue.counters().refused_full),
        (N, N, 1)
    );
    gate.open();
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), (0..N).collect::<Vec<_>>());
    assert_eq!(queue.high_water_mark(), N);
    queue.enqueue(N).expect("it goes on");
    queue.flush(passive).expect("flush");
    assert_eq!(log.len(), N as usize + 1);
    drop(queue);
    machine.assert_no_leaks();
}
