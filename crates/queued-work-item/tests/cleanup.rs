//! The reuse-cleanup callback: once for each time that a buffer goes home, with what its last user left.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Gate, Log, passive};
use queued_work_item::kernel::host::{HostObject, Machine, raise_irql};
use queued_work_item::kernel::{Irql, Parent, current_irql};
use queued_work_item::{
    BufferPool, BufferQueue, Close, Config, CreateError, NoCompletion, NtStatus, Outcome, PossibleDeadlock,
    QueuedWorkItem,
};

type Bytes = QueuedWorkItem<[u8], Box<dyn FnOnce(Outcome) + Send>, u32>;

/// A queue whose cleanup logs payload and context; the callback writes `0xEE` into the first byte and 7 into the context.
fn logging(count: u32, parent: Parent, gate: &Gate) -> (Bytes, Log<(Vec<u8>, u32)>) {
    let (log, passed) = (Log::default(), gate.clone());
    let seen = log.clone();
    let config = Config::new(count).buffer_size(16).lookaside(count + 2);
    let queue = Bytes::create_with_cleanup(
        &mut passive(),
        parent,
        &config,
        move |item, _| {
            passed.pass();
            assert_eq!(*item.context(), 0, "a fresh context");
            item.payload_mut()[0] = 0xEE;
            *item.context_mut() = 7;
        },
        move |payload, context| {
            assert_eq!(current_irql(), Irql::PASSIVE);
            seen.push((payload.to_vec(), *context));
            // Does not show in the next use of the buffer, also when no callback ran.
            *context = 99;
        },
    )
    .expect("create");
    (queue, log)
}

#[test]
fn fault_10_cleanup_is_handed_payload_and_context_once_for_each_item() {
    let machine = Machine::new();
    let _in = machine.enter();
    let gate = Gate::closed();
    let (queue, log) = logging(2, Parent::default(), &gate);
    // Four buffers, two of them from the lookaside list.
    for tag in 1..=4_u8 {
        queue.enqueue(&[tag; 16][..usize::from(tag)]).expect("a buffer");
    }
    assert!(queue.enqueue(&[5]).is_err(), "full");
    assert!(queue.enqueue(&[6; 17]).is_err(), "too long");
    gate.wait_arrived(1);
    assert!(
        log.entries().is_empty(),
        "nothing has gone home, and a refusal uses no buffer"
    );
    // Cancelled: the payload as it was enqueued, and an untouched context.
    assert_eq!(queue.cancel(&mut passive()), 3);
    let cancelled: Vec<_> = (2..=4_u8).map(|tag| (vec![tag; usize::from(tag)], 0)).collect();
    assert_eq!(log.entries(), cancelled);
    gate.open();
    queue.flush(&mut passive()).expect("not inside");
    assert_eq!(log.entries()[3..], [(vec![0xEE], 7)]);
    // Every buffer has been through it, and the callback finds a fresh context in each.
    for _ in 0..8 {
        queue.enqueue_and_wait(&mut passive(), &[1]).expect("a buffer");
    }
    queue.close(&mut passive(), Close::Drain).expect("not inside");
    assert_eq!(log.len(), 12);
    drop(queue);
    assert_eq!(log.len(), 12);
    machine.assert_no_leaks();
}

#[test]
fn cleanup_comes_before_anyone_is_told_and_is_inside_the_queue() {
    let queue = Arc::new(std::sync::OnceLock::<QueuedWorkItem<Box<u32>>>::new());
    // Weak: a callback that owned its queue would keep it, and itself, for ever.
    let (inside, cleaned) = (Arc::downgrade(&queue), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&cleaned);
    let created = QueuedWorkItem::<Box<u32>, NoCompletion>::create_with_cleanup(
        &mut passive(),
        Parent::default(),
        &Config::new(1),
        |_, _| (),
        move |payload, ()| {
            let queue = inside.upgrade().expect("the test keeps it");
            let queue = queue.get().expect("set");
            assert_eq!(queue.flush(&mut passive()), Err(PossibleDeadlock));
            count.fetch_add(**payload, Ordering::SeqCst);
        },
    )
    .expect("create");
    let Ok(()) = queue.set(created) else {
        panic!("set once")
    };
    let queue = queue.get().expect("set");
    for run in 1..=100 {
        let waited = queue.enqueue_and_wait(&mut passive(), Box::new(1));
        assert_eq!(waited, Ok(NtStatus::SUCCESS));
        assert_eq!(cleaned.load(Ordering::SeqCst), run);
    }
}

#[test]
fn cleanup_runs_when_the_queue_is_dropped_or_its_parent_goes() {
    let machine = Machine::new();
    let _in = machine.enter();
    for delete in [false, true] {
        let (device, gate) = (HostObject::new(), Gate::closed());
        let (queue, log) = logging(4, Parent::from(&device), &gate);
        queue.stop();
        for tag in 0..4 {
            queue.enqueue(&[tag]).expect("a buffer");
        }
        if delete {
            device.delete();
            assert_eq!(log.len(), 4);
        }
        drop(queue);
        assert_eq!(log.len(), 4);
        machine.assert_no_leaks();
    }
}

#[test]
fn w18_an_allocation_fails_at_every_place_with_a_cleanup() {
    let machine = Machine::new();
    let _in = machine.enter();
    let kept = Arc::new(());
    let mut nth = 1;
    loop {
        machine.fail_allocation(nth);
        let (one, other) = (Arc::clone(&kept), Arc::clone(&kept));
        let created = Bytes::create_with_cleanup(
            &mut passive(),
            Parent::default(),
            &Config::new(2).buffer_size(4),
            move |_, _| drop(Arc::clone(&one)),
            move |_, _| drop(Arc::clone(&other)),
        );
        machine.fail_allocation(0);
        let done = created.is_ok();
        if let Err(error) = &created {
            assert_eq!(error.status(), NtStatus::INSUFFICIENT_RESOURCES);
        }
        drop(created);
        machine.assert_no_leaks();
        assert_eq!(Arc::strong_count(&kept), 1, "both callbacks are dropped");
        if done {
            break;
        }
        nth += 1;
    }
    assert!(
        nth > 3,
        "the callback's and the cleanup's memory, the buffers, the work item"
    );
}

#[test]
fn buffers_are_cleaned_once_each_time_they_go_home() {
    let machine = Machine::new();
    let _in = machine.enter();
    let log = Log::default();
    let seen = log.clone();
    let config = Config::new(2).buffer_size(2).lookaside(3);
    let queue = BufferQueue::<u32>::create_with_cleanup(&mut passive(), &config, move |payload, context| {
        assert_eq!(payload.len(), 2, "all of its bytes");
        seen.push((payload[0], *context));
    })
    .expect("create");
    let put = |tag: u8| {
        let mut buffer = queue.fetch().expect("a buffer");
        assert_eq!((buffer.payload(), *buffer.context()), (&[0, 0][..], 0));
        buffer.payload_mut()[0] = tag;
        *buffer.context_mut() = u32::from(tag);
        queue.enqueue(buffer).expect("its own");
    };
    (1..=3).for_each(put);
    assert!(log.entries().is_empty(), "queued, and not home");
    {
        let _dispatch = raise_irql(Irql::DISPATCH);
        drop(queue.dequeue());
        assert_eq!(log.entries(), [(1, 1)]);
        let second = queue.dequeue().expect("queued");
        queue.reuse(second).expect("its own");
        assert_eq!(log.entries()[1..], [(2, 2)]);
        assert_eq!(queue.clear(), 1);
        assert_eq!(log.entries()[2..], [(3, 3)]);
        drop(queue.fetch());
        assert_eq!(log.entries()[3..], [(0, 0)], "fetched and not used");
    }
    (4..=6).for_each(put);
    drop(queue);
    assert_eq!(log.entries()[4..], [(4, 4), (5, 5), (6, 6)], "with the queue");
    machine.assert_no_leaks();
}

#[test]
fn a_pool_cleans_too_and_says_when_it_cannot_be() {
    let machine = Machine::new();
    let _in = machine.enter();
    let count = Arc::new(AtomicU32::new(0));
    let config = Config::new(1).buffer_size(1);
    let create = || {
        let count = Arc::clone(&count);
        <BufferPool>::create_with_cleanup(&mut passive(), &config, move |_, ()| {
            count.fetch_add(1, Ordering::SeqCst);
        })
    };
    machine.fail_allocation(1);
    assert_eq!(create().err(), Some(CreateError::OutOfMemory));
    machine.fail_allocation(2);
    assert_eq!(create().err(), Some(CreateError::OutOfMemory));
    machine.fail_allocation(0);
    assert_eq!(Arc::strong_count(&count), 1);
    let pool = create().expect("create");
    for run in 1..=3 {
        pool.reuse(pool.fetch().expect("a buffer")).expect("its own");
        assert_eq!(count.load(Ordering::SeqCst), run);
    }
    drop(pool);
    assert_eq!(Arc::strong_count(&count), 1);
    machine.assert_no_leaks();
}
