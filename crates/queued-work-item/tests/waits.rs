//! Waiting for an item, for the queue, and what must not wait.

mod common;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::{Gate, Log, PATIENCE, passive};
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::Machine;
use queued_work_item::{
    Close, Config, NtStatus, Outcome, PossibleDeadlock, QueuedWorkItem, WaitError, WaitOutcome,
};

#[test]
fn w09_one_buffer_and_a_thousand_waits_in_a_row() {
    let passive = &mut passive();
    let mut runs = 0;
    let queue = <QueuedWorkItem<i32>>::create(passive, Parent::default(), &Config::new(1), move |item, _| {
        runs += 1;
        assert_eq!(*item.payload(), runs);
        item.set_status(NtStatus(runs));
    })
    .expect("create");
    for run in 1..=1000 {
        assert_eq!(
            queue
                .enqueue_and_wait(passive, run)
                .expect("the buffer is home before the waiter"),
            NtStatus(run)
        );
    }
}

#[test]
fn w10_thirty_two_waiters_each_get_their_own_status() {
    let queue =
        <QueuedWorkItem<i32>>::create(&mut passive(), Parent::default(), &Config::new(32), |item, _| {
            let status = NtStatus(*item.payload());
            item.set_status(status);
        })
        .expect("create");
    std::thread::scope(|scope| {
        for thread in 0..32 {
            let queue = &queue;
            scope.spawn(move || {
                for round in 0..50 {
                    let tag = thread * 1000 + round;
                    assert_eq!(
                        queue.enqueue_and_wait(&mut passive(), tag).expect("32 buffers"),
                        NtStatus(tag)
                    );
                }
            });
        }
    });
}

#[test]
fn w11_flush_returns_after_what_was_before_it_and_does_not_wait_for_what_came_after() {
    const K: u32 = 10;
    let passive = &mut passive();
    let (first, second, log) = (Gate::closed(), Gate::closed(), Log::default());
    let (pass_first, pass_second, seen) = (first.clone(), second.clone(), log.clone());
    let config = Config::new(K + 2);
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &config, move |item, _| {
        if *item.payload() < K {
            &pass_first
        } else {
            &pass_second
        }
        .pass();
        seen.push(*item.payload());
    })
    .expect("create");
    for tag in 0..K {
        queue.enqueue(tag).expect("enqueue");
    }
    first.wait_arrived(1);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| {
            queue.flush(&mut common::passive()).expect("flush");
            log.len()
        });
        // The flush may begin before or after these; it must end although they do not.
        queue.enqueue(K).expect("enqueue");
        first.open();
        second.wait_arrived(1);
        second.open();
        assert!(flush.join().expect("flush") >= K as usize);
    });
    queue.enqueue(K + 1).expect("still usable");
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), (0..K + 2).collect::<Vec<_>>());
}

#[test]
fn w11_flush_returns_although_the_queue_never_empties() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let own = Arc::new(OnceLock::<QueuedWorkItem<u32>>::new());
    let inside = Arc::downgrade(&own);
    let runs = Log::default();
    let seen = runs.clone();
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(4), move |item, _| {
        seen.push(*item.payload());
        // Another before this one ends: there is always one. A closing queue refuses, which ends it.
        if let Some(queue) = inside.upgrade().as_ref().and_then(|own| own.get()) {
            let _ = queue.enqueue(item.payload() + 1);
        }
    })
    .expect("create");
    let Ok(()) = own.set(queue) else {
        panic!("set once")
    };
    let queue = own.get().expect("just set");
    queue.enqueue(0).expect("enqueue");
    for _ in 0..20 {
        let before = u64::try_from(runs.len()).expect("few");
        queue.flush(passive).expect("flush");
        // Not more: the last of them may not have enqueued its successor when the flush began.
        assert!(
            queue.counters().executed >= before,
            "what was accepted before has ended"
        );
        assert!(!queue.is_empty(), "it never empties");
    }
    queue.close(passive, Close::Cancel).expect("close");
    drop(own);
    machine.assert_no_leaks();
}

#[test]
fn w16_waits_from_inside_the_queue_are_refused() {
    type Queue = QueuedWorkItem<u32, Box<dyn FnOnce(Outcome) + Send>>;
    let passive = &mut passive();
    let (own, results) = (Arc::new(OnceLock::<Queue>::new()), Log::default());
    let (inside, seen) = (Arc::downgrade(&own), results.clone());
    let queue = Queue::create(passive, Parent::default(), &Config::new(4), move |_, passive| {
        let queue = inside.upgrade().expect("the test keeps it");
        let queue = queue.get().expect("set below");
        assert_eq!(
            queue.enqueue_and_wait(passive, 7),
            Err(WaitError::PossibleDeadlock(7))
        );
        let bounded = queue.enqueue_and_wait_timeout(passive, 8, Duration::ZERO);
        assert_eq!(bounded, Err(WaitError::PossibleDeadlock(8)));
        assert_eq!(queue.flush(passive), Err(PossibleDeadlock));
        assert_eq!(queue.close(passive, Close::Drain), Err(PossibleDeadlock));
        assert_eq!(queue.close(passive, Close::Cancel), Err(PossibleDeadlock));
        assert!(!queue.is_closing(), "a refused close changes nothing");
        seen.push(queue.cancel(passive));
    })
    .expect("create");
    let Ok(()) = own.set(queue) else {
        panic!("set once")
    };
    let queue = own.get().expect("just set");
    let (inside, told) = (Arc::clone(&own), Log::default());
    let seen = told.clone();
    let completion = Box::new(move |outcome| {
        let queue = inside.get().expect("set above");
        assert_eq!(queue.flush(&mut common::passive()), Err(PossibleDeadlock));
        seen.push(outcome);
    });
    queue.enqueue_with(1, completion).expect("enqueue");
    queue.flush(passive).expect("from outside it may");
    assert_eq!(
        (results.entries(), told.entries()),
        (vec![0], vec![Outcome::Ran(NtStatus::SUCCESS)])
    );
    queue.close(passive, Close::Drain).expect("close");
}

#[test]
fn w16_a_completion_on_the_cancelling_thread_is_inside_too() {
    type Queue = QueuedWorkItem<u32, Box<dyn FnOnce(Outcome) + Send>>;
    let passive = &mut passive();
    let gate = Gate::closed();
    let passed = gate.clone();
    let queue = Arc::new(
        Queue::create(passive, Parent::default(), &Config::new(4), move |_, _| {
            passed.pass();
        })
        .expect("create"),
    );
    queue.enqueue(0).expect("enqueue");
    gate.wait_arrived(1);
    let (inside, told) = (Arc::clone(&queue), Log::default());
    let seen = told.clone();
    let completion = Box::new(move |outcome| {
        let passive = &mut common::passive();
        assert_eq!(inside.close(passive, Close::Drain), Err(PossibleDeadlock));
        assert_eq!(
            inside.enqueue_and_wait(passive, 3),
            Err(WaitError::PossibleDeadlock(3))
        );
        seen.push(outcome);
    });
    queue.enqueue_with(1, completion).expect("enqueue");
    assert_eq!(queue.cancel(passive), 1);
    assert_eq!(told.entries(), [Outcome::Cancelled]);
    gate.open();
    queue.close(passive, Close::Drain).expect("close");
}

#[test]
fn w23_a_wait_that_runs_out_leaves_the_item_to_run_once() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let (gate, log) = (Gate::closed(), Log::default());
    let (passed, seen) = (gate.clone(), log.clone());
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(8), move |item, _| {
        passed.pass();
        seen.push(*item.payload());
        item.set_status(NtStatus::UNSUCCESSFUL);
    })
    .expect("create");
    for tag in 0..8 {
        let outcome = queue
            .enqueue_and_wait_timeout(passive, tag, Duration::from_millis(1))
            .expect("accepted");
        assert_eq!(
            (outcome, outcome.status()),
            (WaitOutcome::TimedOut, NtStatus::TIMEOUT)
        );
    }
    gate.open();
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), (0..8).collect::<Vec<_>>());
    let outcome = queue
        .enqueue_and_wait_timeout(passive, 8, PATIENCE)
        .expect("accepted");
    assert_eq!(outcome, WaitOutcome::Ran(NtStatus::UNSUCCESSFUL));
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn w23_time_outs_race_completions() {
    let queue =
        <QueuedWorkItem<i32>>::create(&mut passive(), Parent::default(), &Config::new(4), |item, _| {
            let status = NtStatus(*item.payload());
            item.set_status(status);
        })
        .expect("create");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let queue = &queue;
            scope.spawn(move || {
                let passive = &mut passive();
                for round in 0..500_i32 {
                    let tag = thread * 1000 + round;
                    let time = Duration::from_micros(u64::from(round.cast_unsigned() % 40));
                    match queue.enqueue_and_wait_timeout(passive, tag, time) {
                        Ok(WaitOutcome::Ran(status)) => assert_eq!(status, NtStatus(tag)),
                        Ok(WaitOutcome::TimedOut) | Err(WaitError::Refused(_)) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    queue.close(&mut passive(), Close::Drain).expect("close");
    let counters = queue.counters();
    assert_eq!(counters.enqueued, counters.executed);
}
