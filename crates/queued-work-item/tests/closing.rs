//! Cancel, close, drop, and a parent that goes first.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Gate, Log, passive, until};
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::{HostObject, Machine};
use queued_work_item::{
    Close, Closed, Config, CreateError, EnqueueErrorKind, NtStatus, Outcome, QueuedWorkItem, WaitError,
};

type Queue = QueuedWorkItem<u32, Box<dyn FnOnce(Outcome) + Send>>;

fn gated(count: u32, parent: Parent) -> (Queue, Gate, Log<u32>) {
    let (gate, log) = (Gate::closed(), Log::default());
    let (passed, seen) = (gate.clone(), log.clone());
    let queue = Queue::create(&mut passive(), parent, &Config::new(count), move |item, _| {
        passed.pass();
        seen.push(*item.payload());
    })
    .expect("create");
    (queue, gate, log)
}

#[test]
fn w12_cancel_drops_what_has_not_begun_and_tells_everyone() {
    const K: u32 = 5;
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let (queue, gate, log) = gated(K + 2, Parent::default());
    queue.enqueue(0).expect("enqueue");
    gate.wait_arrived(1);
    let told = Log::default();
    for tag in 1..=K {
        let seen = told.clone();
        queue
            .enqueue_with(tag, Box::new(move |outcome| seen.push((tag, outcome))))
            .expect("enqueue");
    }
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.enqueue_and_wait(&mut common::passive(), K + 1));
        until(|| queue.len() == K + 2);
        assert_eq!(queue.cancel(passive), u64::from(K) + 1);
        assert_eq!(waiter.join().expect("waiter"), Err(WaitError::Cancelled));
    });
    assert_eq!(
        told.entries(),
        (1..=K).map(|tag| (tag, Outcome::Cancelled)).collect::<Vec<_>>(),
        "oldest first"
    );
    assert_eq!(queue.len(), 1);
    for tag in 0..=K {
        queue
            .enqueue(100 + tag)
            .expect("all buffers but the running one are free");
    }
    assert_eq!(queue.enqueue(0).expect_err("full").kind(), EnqueueErrorKind::Full);
    assert_eq!(queue.cancel(passive), u64::from(K) + 1);
    gate.open();
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), [0]);
    let counters = queue.counters();
    assert_eq!(
        (counters.enqueued, counters.executed, counters.cancelled),
        (13, 1, 12)
    );
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w12_cancel_from_the_callback() {
    let passive = &mut passive();
    let own = Arc::new(std::sync::OnceLock::<Queue>::new());
    let (inside, dropped) = (Arc::downgrade(&own), Log::default());
    let seen = dropped.clone();
    let gate = Gate::closed();
    let passed = gate.clone();
    let queue = Queue::create(passive, Parent::default(), &Config::new(4), move |_, passive| {
        passed.pass();
        let queue = inside.upgrade().expect("the test keeps it");
        seen.push(queue.get().expect("set").cancel(passive));
    })
    .expect("create");
    let Ok(()) = own.set(queue) else {
        panic!("set once")
    };
    let queue = own.get().expect("set");
    for tag in 0..4 {
        queue.enqueue(tag).expect("enqueue");
    }
    gate.open();
    queue.close(passive, Close::Drain).expect("close");
    assert_eq!(dropped.entries(), [3]);
}

#[test]
fn w13_close_tells_every_waiter_and_nothing_runs_afterwards() {
    const WAITERS: u32 = 8;
    let machine = Machine::new();
    let _in = machine.enter();
    let (queue, gate, log) = gated(WAITERS + 1, Parent::default());
    queue.enqueue(1000).expect("enqueue");
    gate.wait_arrived(1);
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..WAITERS)
            .map(|tag| {
                let queue = &queue;
                scope.spawn(move || queue.enqueue_and_wait(&mut passive(), tag))
            })
            .collect();
        until(|| queue.len() == WAITERS + 1);
        let closer = scope.spawn(|| queue.close(&mut passive(), Close::Cancel));
        for waiter in waiters {
            assert_eq!(waiter.join().expect("waiter"), Err(WaitError::Cancelled));
        }
        assert!(!closer.is_finished(), "the callback still runs");
        assert_eq!(
            queue.enqueue(0).expect_err("closing").status(),
            NtStatus::DELETE_PENDING
        );
        gate.open();
        assert_eq!(
            closer.join().expect("closer"),
            Ok(Closed {
                cancelled: u64::from(WAITERS)
            })
        );
        assert_eq!(log.entries(), [1000], "the running one has finished by now");
    });
    assert_eq!(
        queue.close(&mut passive(), Close::Drain),
        Ok(Closed { cancelled: 0 }),
        "a second close"
    );
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w13_a_second_close_waits_and_cancel_escalates_a_drain() {
    let (queue, gate, log) = gated(8, Parent::default());
    for tag in 0..8 {
        queue.enqueue(tag).expect("enqueue");
    }
    gate.wait_arrived(1);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| queue.close(&mut passive(), Close::Drain));
        until(|| queue.is_closing());
        let cancel = scope.spawn(|| queue.close(&mut passive(), Close::Cancel));
        until(|| queue.len() == 1);
        assert!(
            !drain.is_finished() && !cancel.is_finished(),
            "the callback still runs"
        );
        gate.open();
        assert_eq!(drain.join().expect("drain"), Ok(Closed { cancelled: 0 }));
        assert_eq!(cancel.join().expect("cancel"), Ok(Closed { cancelled: 7 }));
    });
    assert_eq!(log.entries(), [0]);
}

#[test]
fn w13_a_parent_that_is_deleted_first_cancels() {
    let machine = Machine::new();
    let _in = machine.enter();
    let device = HostObject::new();
    let (queue, gate, log) = gated(4, Parent::from(&device));
    let told = Log::default();
    for tag in 0..4 {
        let seen = told.clone();
        queue
            .enqueue_with(tag, Box::new(move |outcome| seen.push(outcome)))
            .expect("enqueue");
    }
    gate.wait_arrived(1);
    device.delete();
    assert_eq!(told.entries(), [Outcome::Cancelled; 3]);
    assert_eq!(
        queue.enqueue(9).expect_err("gone").kind(),
        EnqueueErrorKind::Closing
    );
    gate.open();
    queue.close(&mut passive(), Close::Drain).expect("close");
    assert_eq!(log.entries(), [0]);
    drop(queue);
    machine.assert_no_leaks();
    let refused = Queue::create(&mut passive(), Parent::from(&device), &Config::new(1), |_, _| ());
    assert_eq!(
        refused.err(),
        Some(CreateError::Framework(NtStatus::DELETE_PENDING))
    );
    machine.assert_no_leaks();
}

#[test]
fn w13_enqueues_race_a_parent_that_is_deleted() {
    for _ in 0..200 {
        let machine = Machine::new();
        let _in = machine.enter();
        let device = HostObject::new();
        let (queue, gate, log) = gated(4, Parent::from(&device));
        gate.open();
        let (told, accepted) = (Log::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let _in = machine.enter();
                    loop {
                        let seen = told.clone();
                        match queue.enqueue_with(0, Box::new(move |outcome| seen.push(outcome))) {
                            Ok(()) => _ = accepted.fetch_add(1, Ordering::Relaxed),
                            Err(error) if error.kind() == EnqueueErrorKind::Closing => break,
                            Err(_) => {}
                        }
                    }
                });
            }
            device.delete();
        });
        queue.close(&mut passive(), Close::Drain).expect("close");
        let ran = told
            .entries()
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Ran(_)))
            .count();
        assert_eq!(told.len() as u64, accepted.into_inner());
        assert_eq!(ran, log.len());
        drop(queue);
        machine.assert_no_leaks();
    }
}

#[test]
fn w14_producers_race_close_and_every_accepted_item_is_accounted_for() {
    for round in 0..1000 {
        let how = if round % 2 == 0 {
            Close::Drain
        } else {
            Close::Cancel
        };
        let (queue, gate, log) = gated(3, Parent::default());
        gate.open();
        let (told, accepted, closed) = (Log::default(), AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let was_closed = closed.load(Ordering::SeqCst);
                        let seen = told.clone();
                        match queue.enqueue_with(0, Box::new(move |outcome| seen.push(outcome))) {
                            Ok(()) => {
                                assert!(!was_closed, "success after close returned");
                                accepted.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) if error.kind() == EnqueueErrorKind::Closing => break,
                            Err(_) => {}
                        }
                    }
                });
            }
            queue.close(&mut passive(), how).expect("close");
            closed.store(true, Ordering::SeqCst);
            let counters = queue.counters();
            assert_eq!(
                counters.enqueued,
                counters.executed + counters.cancelled,
                "all has ended when close returns"
            );
        });
        let told = told.entries();
        let ran = told
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Ran(_)))
            .count();
        assert_eq!(told.len() as u64, accepted.into_inner());
        assert_eq!(ran, log.len());
        assert!(how == Close::Cancel || ran == told.len());
    }
}

#[test]
fn w15_close_and_create_again() {
    let machine = Machine::new();
    let _in = machine.enter();
    for _ in 0..10 {
        let (queue, gate, log) = gated(2, Parent::default());
        gate.open();
        assert_eq!(queue.enqueue_and_wait(&mut passive(), 5), Ok(NtStatus::SUCCESS));
        queue.close(&mut passive(), Close::Drain).expect("close");
        assert_eq!(
            queue.enqueue(6).expect_err("closed").kind(),
            EnqueueErrorKind::Closing
        );
        assert_eq!(log.entries(), [5]);
        drop(queue);
        machine.assert_no_leaks();
    }
}

#[test]
fn drop_without_close_cancels_and_does_not_wait_for_the_running_callback() {
    let machine = Machine::new();
    let _in = machine.enter();
    let (queue, gate, log) = gated(4, Parent::default());
    let told = Log::default();
    for tag in 0..4 {
        let seen = told.clone();
        queue
            .enqueue_with(tag, Box::new(move |outcome| seen.push((tag, outcome))))
            .expect("enqueue");
    }
    gate.wait_arrived(1);
    drop(queue);
    assert_eq!(told.len(), 3);
    assert!(log.entries().is_empty());
    gate.open();
    machine.assert_no_leaks();
    assert_eq!(told.entries()[3], (0, Outcome::Ran(NtStatus::SUCCESS)));
}
