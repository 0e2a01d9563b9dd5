//! Queues whose buffers may be paged out: what others do, at `PASSIVE_LEVEL` only, and nothing looks into a buffer above.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Gate, Log, passive, retry};
use queued_work_item::buffer_queue::PagedBufferQueue;
use queued_work_item::kernel::host::{Machine, raise_irql};
use queued_work_item::kernel::{Irql, Parent};
use queued_work_item::{
    Close, Config, CreateError, EnqueueErrorKind, NtStatus, Outcome, PagedQueuedWorkItem, WaitOutcome,
};

type Bytes = PagedQueuedWorkItem<[u8], fn(Outcome), u64>;

/// What a panic said.
fn panics(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it must panic");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn payloads_lie_in_paged_pool_and_nothing_else_does() {
    for (count, lookaside) in [(16, None), (0, Some(16)), (8, Some(16))] {
        let machine = Machine::new();
        let _in = machine.enter();
        let mut config = Config::new(count).buffer_size(4_000);
        config.lookaside = lookaside;
        let log = Log::default();
        let (gate, seen) = (Gate::closed(), log.clone());
        let opened = gate.clone();
        let queue = Bytes::create(&mut passive(), Parent::default(), &config, move |item, _| {
            opened.pass();
            assert_eq!(
                item.payload().as_ptr().addr() % queued_work_item::PAYLOAD_ALIGNMENT,
                0
            );
            assert_eq!(*item.context(), 0, "each run's own");
            *item.context_mut() = 7;
            seen.push(item.payload().to_vec());
        })
        .expect("create");
        let (bytes, paged) = (machine.outstanding().1, machine.outstanding_paged());
        assert!(
            bytes - paged < 4_000,
            "{} of {bytes} bytes are resident",
            bytes - paged
        );
        assert!(paged >= 4_000 * i64::from(count));
        let mut expected = Vec::new();
        for round in 0..16_u8 {
            // Longer and shorter: none sees another's bytes.
            let payload = vec![round; if round % 2 == 0 { 4_000 } else { 1 }];
            queue.enqueue(&passive(), &payload).expect("a buffer");
            expected.push(payload);
        }
        assert!(machine.outstanding_paged() >= 4_000 * 16);
        let full = queue.enqueue(&passive(), b"one more").expect_err("full");
        assert_eq!(full.kind(), EnqueueErrorKind::Full);
        gate.open();
        queue.flush(&mut passive()).expect("not inside");
        assert_eq!(log.entries(), expected);
        assert_eq!(queue.high_water_mark(), 16);
        queue.close(&mut passive(), Close::Drain).expect("not inside");
        assert_eq!(machine.outstanding_paged(), paged, "what it grew by is freed");
        drop(queue);
        machine.assert_no_leaks();
        assert_eq!(machine.outstanding_paged(), 0);
    }
}

#[test]
fn every_verb() {
    let cleaned = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&cleaned);
    let queue = PagedQueuedWorkItem::<String, fn(Outcome)>::create_with_cleanup(
        &mut passive(),
        Parent::default(),
        &Config::new(4),
        |item, _| item.set_status(NtStatus(i32::try_from(item.payload().len()).expect("short"))),
        move |_, ()| {
            counted.fetch_add(1, Ordering::SeqCst);
        },
    )
    .expect("create");
    let p = &mut passive();
    let status = queue.enqueue_and_wait(p, "seven..".into()).expect("runs");
    assert_eq!(status, NtStatus(7));
    let bounded = queue.enqueue_and_wait_timeout(p, String::new(), common::PATIENCE);
    assert_eq!(bounded.expect("runs"), WaitOutcome::Ran(NtStatus::SUCCESS));
    queue.stop_and_wait(p).expect("not inside");
    assert!(queue.is_stopped() && queue.is_empty());
    queue.enqueue(p, "one".into()).expect("a buffer");
    queue.enqueue_with(p, "two".into(), |_| {}).expect("a buffer");
    let late = queue.enqueue_and_wait_timeout(p, "three".into(), Duration::ZERO);
    assert_eq!(late.expect("accepted"), WaitOutcome::TimedOut);
    assert_eq!((queue.len(), queue.capacity()), (3, 4));
    assert_eq!(queue.cancel(p), 3);
    queue.enqueue(p, "four".into()).expect("a buffer");
    queue.start();
    queue.flush(p).expect("not inside");
    queue.stop();
    queue.close(p, Close::Cancel).expect("not inside");
    assert!(queue.is_closing());
    let refused = queue.enqueue(p, "handed back".into()).expect_err("closed");
    assert_eq!(refused.into_inner(), "handed back");
    let counters = queue.counters();
    assert_eq!((counters.executed, counters.cancelled), (3, 3));
    assert_eq!(cleaned.load(Ordering::SeqCst), 6);
}

/// Producers, cancels, stops and bounded waits together: the engine looks into a buffer in many places, and debug builds
/// check the IRQL at each.
#[test]
fn nothing_looks_into_a_buffer_above_apc_level() {
    const EACH: u32 = 2_000;
    let machine = Machine::new();
    let _in = machine.enter();
    let queue = PagedQueuedWorkItem::<Box<u32>, fn(Outcome)>::create(
        &mut passive(),
        Parent::default(),
        &Config::new(4).lookaside(8),
        |item, _| **item.payload_mut() += 1,
    )
    .expect("create");
    std::thread::scope(|scope| {
        for producer in 0..3 {
            let (queue, machine) = (&queue, &machine);
            scope.spawn(move || {
                let _in = machine.enter();
                let p = &mut passive();
                for nth in 0..EACH {
                    let mut payload = Some(Box::new(nth));
                    retry(|| match queue.enqueue(p, payload.take()?) {
                        Ok(()) => Some(()),
                        Err(error) => {
                            payload = Some(error.into_inner());
                            None
                        }
                    });
                    if (nth + producer) % 97 == 0 {
                        queue.cancel(p);
                        queue.stop();
                        queue.start();
                    }
                    if (nth + producer) % 31 == 0 {
                        let _ = queue.enqueue_and_wait_timeout(p, Box::new(nth), Duration::ZERO);
                    }
                }
            });
        }
    });
    queue.close(&mut passive(), Close::Drain).expect("not inside");
    let counters = queue.counters();
    assert_eq!(counters.executed + counters.cancelled, counters.enqueued);
    assert!(counters.enqueued >= u64::from(3 * EACH));
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w18_every_allocation_of_create_may_fail() {
    let machine = Machine::new();
    let _in = machine.enter();
    let create = || {
        Bytes::create(
            &mut passive(),
            Parent::default(),
            &Config::new(2).buffer_size(64),
            |_, _| {},
        )
    };
    machine.fail_allocation(0);
    drop(create().expect("create"));
    let allocations = machine.allocations();
    assert!(
        allocations >= 4,
        "resident, paged, the queue, the work item: {allocations}"
    );
    for nth in 1..=allocations {
        machine.fail_allocation(nth);
        let error = create().expect_err("no memory");
        assert_eq!(error.status(), NtStatus::INSUFFICIENT_RESOURCES, "at {nth}");
        assert_ne!(error, CreateError::InvalidConfig);
        machine.assert_no_leaks();
    }
}

#[test]
fn w19_at_dispatch_level_it_is_refused_by_name() {
    let queue = Bytes::create(
        &mut passive(),
        Parent::default(),
        &Config::new(2).buffer_size(4),
        |item, _| {
            item.payload();
            let _raised = raise_irql(Irql::DISPATCH);
            for said in [
                panics(|| assert_eq!(item.payload(), b"abcd")),
                panics(|| item.payload_mut().fill(0)),
                panics(|| assert_eq!(*item.context(), 0)),
                panics(|| *item.context_mut() = 1),
                panics(|| drop(item.parts_mut().0.to_vec())),
            ] {
                assert_eq!(
                    said,
                    "a pageable item called at DISPATCH_LEVEL, allowed at <= APC_LEVEL"
                );
            }
            item.set_status(NtStatus::TIMEOUT);
        },
    )
    .expect("create");
    let p = &mut passive();
    assert_eq!(
        queue.enqueue_and_wait(p, b"abcd").expect("runs"),
        NtStatus::TIMEOUT
    );
    // Its end is noted a moment after its waiter wakes.
    queue.flush(p).expect("not inside");
    let raised = raise_irql(Irql::DISPATCH);
    let said = panics(|| queue.enqueue(p, b"abcd").expect("never"));
    assert!(
        said.starts_with("PagedQueuedWorkItem::enqueue called at DISPATCH_LEVEL"),
        "{said}"
    );
    let said = panics(|| queue.enqueue_with(p, b"abcd", |_| {}).expect("never"));
    assert!(
        said.starts_with("PagedQueuedWorkItem::enqueue_with called at"),
        "{said}"
    );
    // What touches no buffer may be called there.
    queue.stop();
    queue.start();
    assert_eq!((queue.len(), queue.counters().enqueued), (0, 1));
    drop(raised);
}

#[test]
fn buffers_in_paged_pool_go_round() {
    let machine = Machine::new();
    let _in = machine.enter();
    let cleaned = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&cleaned);
    let config = Config::new(2).buffer_size(4_096).lookaside(3);
    let queue = PagedBufferQueue::<u32>::create_with_cleanup(&mut passive(), &config, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
    })
    .expect("create");
    let other = PagedBufferQueue::<u32>::create(&mut passive(), &Config::new(1)).expect("create");
    let p = &passive();
    assert!(machine.outstanding_paged() >= 2 * 4_096);
    assert!(machine.outstanding().1 - machine.outstanding_paged() < 2_048);
    for round in 1..=3 {
        let mut first = queue.fetch(p).expect("a buffer");
        assert_eq!((first.payload(p), *first.context(p)), (&[0; 4_096][..], 0));
        *first.context_mut(p) = round;
        first.payload_mut(p)[4_095] = 1;
        assert_eq!(first.memory_descriptor(p).bytes()[4_095], 1);
        assert_eq!(first.memory_descriptor(p).len(), 4_096);
        let first = other.enqueue(p, first).expect_err("another queue's");
        queue.enqueue(p, first).expect("its own");
        let mut second = queue.fetch(p).expect("a buffer");
        second.parts_mut(p).1.clone_from(&(10 * round));
        queue.enqueue_at_head(p, second).expect("its own");
        queue.reuse(p, queue.fetch(p).expect("grown")).expect("its own");
        assert_eq!((queue.count(), queue.capacity()), (2, 3));
        let next = queue.dequeue(p).expect("two are queued");
        assert_eq!(*next.context(p), 10 * round);
        drop(next);
        assert_eq!(queue.clear(p), 1);
    }
    assert_eq!(cleaned.load(Ordering::SeqCst), 9);
    drop((queue, other));
    machine.assert_no_leaks();
}

#[test]
fn w19_a_paged_buffer_at_dispatch_level_is_refused_by_name() {
    let config = Config::new(2).buffer_size(16);
    let queue = PagedBufferQueue::<u32>::create(&mut passive(), &config).expect("create");
    let p = &passive();
    let mut buffer = queue.fetch(p).expect("a buffer");
    let raised = raise_irql(Irql::DISPATCH);
    for (call, said) in [
        ("PagedBufferQueue::fetch", panics(|| drop(queue.fetch(p)))),
        ("PagedBufferQueue::dequeue", panics(|| drop(queue.dequeue(p)))),
        (
            "PagedBufferQueue::clear",
            panics(|| assert_eq!(queue.clear(p), 0)),
        ),
        (
            "PagedBuffer::payload",
            panics(|| drop(buffer.payload(p).to_vec())),
        ),
        (
            "PagedBuffer::payload_mut",
            panics(|| buffer.payload_mut(p).fill(1)),
        ),
        (
            "PagedBuffer::context",
            panics(|| assert_eq!(*buffer.context(p), 0)),
        ),
        ("PagedBuffer::context_mut", panics(|| *buffer.context_mut(p) = 1)),
    ] {
        assert_eq!(
            said,
            format!("{call} called at DISPATCH_LEVEL, allowed at <= PASSIVE_LEVEL")
        );
    }
    assert_eq!((queue.count(), queue.capacity()), (0, 2));
    drop(raised);
    assert_eq!(buffer.payload(p), [0; 16]);
}
