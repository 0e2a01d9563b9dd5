//! Stop and start: what a device's way out of D0 and back asks of a queue.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};

use common::{Gate, Log, passive, until};
use queued_work_item::kernel::host::{HostObject, Machine, Start, raise_irql};
use queued_work_item::kernel::{Irql, Parent};
use queued_work_item::{
    Close, Closed, Config, EnqueueErrorKind, NtStatus, Outcome, PossibleDeadlock, QueuedWorkItem, WaitError,
    WaitOutcome,
};

type Queue = QueuedWorkItem<u32, Box<dyn FnOnce(Outcome) + Send>>;

fn logging(count: u32, parent: Parent) -> (Queue, Log<u32>) {
    let log = Log::default();
    let seen = log.clone();
    let queue = Queue::create(&mut passive(), parent, &Config::new(count), move |item, _| {
        seen.push(*item.payload());
    })
    .expect("create");
    (queue, log)
}

#[test]
fn w22_a_power_cycle_keeps_order_and_count() {
    const ITEMS: u32 = 1_000;
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let (queue, log) = logging(ITEMS, Parent::default());
    std::thread::scope(|scope| {
        let cycler = scope.spawn(|| {
            for _ in 0..500 {
                queue.stop();
                queue.start();
            }
            queue.stop_and_wait(&mut common::passive()).expect("not inside");
            let at_stop = log.len();
            (0..100).for_each(|_| std::thread::yield_now());
            assert_eq!(log.len(), at_stop, "nothing begins while the queue is stopped");
            queue.start();
        });
        for tag in 0..ITEMS {
            common::retry(|| queue.enqueue(tag).ok());
        }
        cycler.join().expect("cycler");
    });
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), (0..ITEMS).collect::<Vec<_>>());
    assert_eq!(queue.counters().executed, u64::from(ITEMS));
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w22_a_stopped_queue_takes_items_up_to_its_buffers_and_begins_none() {
    let passive = &mut passive();
    let (queue, log) = logging(4, Parent::default());
    {
        // A power callback is at PASSIVE_LEVEL; a fault handler in a DPC may stop a queue too.
        let _dispatch = raise_irql(Irql::DISPATCH);
        queue.stop();
        queue.stop();
    }
    assert!(queue.is_stopped());
    for tag in 0..4 {
        queue.enqueue(tag).expect("a buffer is free");
    }
    assert_eq!(queue.enqueue(4).expect_err("full").kind(), EnqueueErrorKind::Full);
    // A bounded wait is told that it was in vain, once its item is among the queued.
    assert_eq!(queue.cancel(passive), 4);
    let waited = queue.enqueue_and_wait_timeout(passive, 5, std::time::Duration::ZERO);
    assert_eq!(waited, Ok(WaitOutcome::TimedOut));
    queue.enqueue(6).expect("a buffer is free");
    assert!(log.entries().is_empty());
    {
        let _dispatch = raise_irql(Irql::DISPATCH);
        queue.start();
        queue.start();
    }
    assert!(!queue.is_stopped());
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), [5, 6]);
}

#[test]
fn w22_stop_does_not_wait_for_the_callback_and_stop_and_wait_does() {
    let machine = Machine::new();
    let _in = machine.enter();
    let (gate, log) = (Gate::closed(), Log::default());
    let (passed, seen) = (gate.clone(), log.clone());
    let queue = Queue::create(
        &mut passive(),
        Parent::default(),
        &Config::new(4),
        move |item, _| {
            passed.pass();
            seen.push(*item.payload());
        },
    )
    .expect("create");
    queue.enqueue(0).expect("enqueue");
    queue.enqueue(1).expect("enqueue");
    gate.wait_arrived(1);
    queue.stop();
    std::thread::scope(|scope| {
        let stopper = scope.spawn(|| queue.stop_and_wait(&mut passive()));
        let flusher = scope.spawn(|| queue.flush(&mut passive()));
        (0..100).for_each(|_| std::thread::yield_now());
        assert!(!stopper.is_finished(), "the callback is at the gate");
        gate.open();
        assert_eq!(stopper.join().expect("stopper"), Ok(()));
        assert_eq!(
            log.entries(),
            [0],
            "the running one has finished, the next has not begun"
        );
        (0..100).for_each(|_| std::thread::yield_now());
        assert!(!flusher.is_finished(), "a flush waits for the start");
        queue.start();
        assert_eq!(flusher.join().expect("flusher"), Ok(()));
    });
    assert_eq!(log.entries(), [0, 1]);
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w22_stopped_from_its_callback() {
    let queue = std::sync::Arc::new(std::sync::OnceLock::<Queue>::new());
    let (inside, log) = (std::sync::Arc::downgrade(&queue), Log::default());
    let seen = log.clone();
    let created = Queue::create(
        &mut passive(),
        Parent::default(),
        &Config::new(4),
        move |item, passive| {
            let queue = inside.upgrade().expect("the test keeps it");
            let queue = queue.get().expect("set");
            if *item.payload() == 1 {
                assert_eq!(queue.stop_and_wait(passive), Err(PossibleDeadlock));
                assert!(!queue.is_stopped(), "a refused stop stops nothing");
                queue.stop();
            }
            seen.push(*item.payload());
        },
    )
    .expect("create");
    let Ok(()) = queue.set(created) else {
        panic!("set once")
    };
    let queue = queue.get().expect("set");
    queue.stop();
    for tag in 0..4 {
        queue.enqueue(tag).expect("enqueue");
    }
    queue.start();
    until(|| log.len() == 2);
    queue.stop_and_wait(&mut passive()).expect("not inside");
    assert_eq!(log.entries(), [0, 1]);
    queue.start();
    queue.close(&mut passive(), Close::Drain).expect("close");
    assert_eq!(log.entries(), [0, 1, 2, 3]);
}

/// A stopped queue with a parked drain and three items, the last of them waited for.
fn parked(machine: &Machine, parent: Parent, with: impl FnOnce(Queue, &Log<u32>, &Log<Outcome>)) {
    let (queue, log) = logging(4, parent);
    let told = Log::default();
    queue.stop();
    for tag in 0..3 {
        let seen = told.clone();
        queue
            .enqueue_with(tag, Box::new(move |outcome| seen.push(outcome)))
            .expect("enqueue");
    }
    assert_eq!(machine.schedules(), 1, "one start, which parks");
    with(queue, &log, &told);
    machine.assert_no_leaks();
}

#[test]
fn w22_every_end_of_a_stopped_queue() {
    // The start that parks comes at once, or only after the end.
    for plan in [Start::Normal, Start::Held, Start::Repeated] {
        let machine = Machine::new();
        let _in = machine.enter();
        machine.plan_starts(move |nth| if nth == 0 { plan } else { Start::Normal });
        let reset = || machine.plan_starts(move |nth| if nth == 0 { plan } else { Start::Normal });

        parked(&machine, Parent::default(), |queue, log, told| {
            let closed = queue.close(&mut passive(), Close::Cancel);
            assert_eq!(closed, Ok(Closed { cancelled: 3 }));
            assert_eq!(told.entries(), [Outcome::Cancelled; 3]);
            assert!(log.entries().is_empty(), "nothing begins");
            queue.stop();
            assert!(!queue.is_stopped(), "a closing queue takes no notice");
            drop(queue);
            machine.release();
        });
        reset();
        parked(&machine, Parent::default(), |queue, log, told| {
            drop(queue);
            assert_eq!(told.entries(), [Outcome::Cancelled; 3]);
            assert!(log.entries().is_empty(), "nothing begins");
            machine.release();
        });
        reset();
        let device = HostObject::new();
        parked(&machine, Parent::from(&device), |queue, log, told| {
            device.delete();
            assert_eq!(told.entries(), [Outcome::Cancelled; 3]);
            assert_eq!(
                queue.close(&mut passive(), Close::Drain),
                Ok(Closed { cancelled: 0 })
            );
            assert!(log.entries().is_empty(), "nothing begins");
            drop(queue);
            machine.release();
        });
        reset();
        parked(&machine, Parent::default(), |queue, log, told| {
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| queue.enqueue_and_wait(&mut passive(), 3));
                until(|| queue.len() == 4);
                let closer = scope.spawn(|| queue.close(&mut passive(), Close::Drain));
                until(|| queue.is_closing());
                machine.release();
                assert_eq!(closer.join().expect("closer"), Ok(Closed { cancelled: 0 }));
                assert_eq!(waiter.join().expect("waiter"), Ok(NtStatus::SUCCESS));
            });
            assert_eq!(log.entries(), [0, 1, 2, 3], "a drain runs what is queued");
            assert_eq!(told.entries(), [Outcome::Ran(NtStatus::SUCCESS); 3]);
        });
    }
}

#[test]
fn w22_cancel_on_a_stopped_queue_tells_waiters() {
    let (queue, log) = logging(4, Parent::default());
    queue.stop();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.enqueue_and_wait(&mut passive(), 0));
        until(|| queue.len() == 1);
        assert_eq!(queue.cancel(&mut passive()), 1);
        assert_eq!(waiter.join().expect("waiter"), Err(WaitError::Cancelled));
    });
    queue.flush(&mut passive()).expect("nothing is left to wait for");
    assert!(log.entries().is_empty());
}

#[test]
fn w22_stops_race_producers_cancel_and_close() {
    for round in 0..200 {
        let machine = Machine::new();
        let _in = machine.enter();
        let (queue, log) = logging(3, Parent::default());
        let (told, accepted) = (Log::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
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
            scope.spawn(|| {
                while !queue.is_closing() {
                    queue.stop();
                    std::thread::yield_now();
                    queue.start();
                    queue.stop();
                }
            });
            std::thread::yield_now();
            let how = if round % 2 == 0 {
                Close::Drain
            } else {
                queue.cancel(&mut passive());
                Close::Cancel
            };
            queue.close(&mut passive(), how).expect("close");
        });
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
