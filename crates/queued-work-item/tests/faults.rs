//! Starts that come late, twice or for nothing, memory that runs out, and IRQL.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{Gate, Log, passive, until};
use queued_work_item::kernel::host::{Machine, Start, raise_irql};
use queued_work_item::kernel::{Irql, Parent, SpinLock, current_irql};
use queued_work_item::{Close, Config, CreateError, EnqueueErrorKind, QueuedWorkItem};

#[test]
fn w04_a_callback_that_enqueues_itself_does_not_recurse_and_loses_nothing() {
    const M: u32 = 2_000;
    let passive = &mut passive();
    let own = Arc::new(std::sync::OnceLock::<QueuedWorkItem<u32>>::new());
    let (inside, log) = (Arc::downgrade(&own), Log::default());
    let seen = log.clone();
    let depth = AtomicU32::new(0);
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(2), move |item, _| {
        assert_eq!(depth.fetch_add(1, Ordering::Relaxed), 0, "recursion");
        let left = *item.payload();
        seen.push(left);
        if left > 0 {
            inside
                .upgrade()
                .expect("the test keeps it")
                .get()
                .expect("set")
                .enqueue(left - 1)
                .expect("the other buffer");
        }
        depth.fetch_sub(1, Ordering::Relaxed);
    })
    .expect("create");
    let Ok(()) = own.set(queue) else {
        panic!("set once")
    };
    own.get().expect("set").enqueue(M).expect("enqueue");
    until(|| log.len() == M as usize + 1);
    assert_eq!(log.entries(), (0..=M).rev().collect::<Vec<_>>());
    own.get()
        .expect("set")
        .close(passive, Close::Drain)
        .expect("close");
}

/// A small program of verbs under a plan for the starts; what it must always come to.
fn run_under(machine: &Machine, releases: bool) {
    let _in = machine.enter();
    let passive = &mut passive();
    let log = Log::default();
    let seen = log.clone();
    let running = AtomicBool::new(false);
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(4), move |item, _| {
        assert_eq!(current_irql(), Irql::PASSIVE);
        assert!(!running.swap(true, Ordering::Relaxed), "two callbacks at once");
        seen.push(*item.payload());
        running.store(false, Ordering::Relaxed);
    })
    .expect("create");
    for round in 0..6_u32 {
        for tag in 0..3 {
            queue.enqueue(round * 3 + tag).expect("enqueue");
        }
        if releases {
            until(|| {
                machine.release();
                queue.is_empty()
            });
        }
        queue.flush(passive).expect("flush");
    }
    // An accepted wait that runs out, with its start still held: nothing may point into its frame afterwards.
    let _ = queue
        .enqueue_and_wait_timeout(passive, 18, std::time::Duration::from_millis(2))
        .expect("accepted");
    if releases {
        until(|| {
            machine.release();
            queue.is_empty()
        });
    }
    queue.close(passive, Close::Drain).expect("close");
    assert_eq!(log.entries(), (0..=18).collect::<Vec<_>>());
    let counters = queue.counters();
    assert_eq!((counters.enqueued, counters.executed), (19, 19));
    drop(queue);
    // Late starts find a queue that is closed and gone.
    machine.release();
    machine.assert_no_leaks();
}

#[test]
fn w17_each_start_held_doubled_or_repeated_in_turn() {
    for start in [
        Start::Held,
        Start::Duplicated(1),
        Start::Duplicated(3),
        Start::Repeated,
    ] {
        for victim in 0..8 {
            let machine = Machine::new();
            machine.plan_starts(move |nth| if nth == victim { start } else { Start::Normal });
            run_under(&machine, start == Start::Held);
        }
    }
}

#[test]
fn w17_random_plans() {
    let mut state = common::seed().max(1);
    for _ in 0..50 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let plan = state;
        let machine = Machine::new();
        machine.plan_starts(move |nth| match (plan >> (nth * 3 % 60)) & 7 {
            0 | 1 => Start::Held,
            2 => Start::Duplicated(1),
            3 => Start::Duplicated(2),
            4 => Start::Repeated,
            _ => Start::Normal,
        });
        run_under(&machine, true);
    }
}

#[test]
fn w18_each_allocation_of_create_fails_in_turn() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let create = |passive: &mut _| {
        let config = Config::new(4).buffer_size(32).lookaside(8);
        let captured = Arc::new(());
        <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, move |_, _| {
            let _ = &captured;
        })
    };
    machine.fail_allocation(0);
    drop(create(passive).expect("nothing fails"));
    let allocations = machine.allocations();
    assert!(allocations >= 3, "slots, core and work item");
    for nth in 1..=allocations {
        machine.fail_allocation(nth);
        let error = create(passive).expect_err("the allocation failed");
        assert_eq!(error.status(), CreateError::OutOfMemory.status());
        machine.assert_no_leaks();
    }
}

#[test]
fn w18_configurations_that_cannot_be() {
    let passive = &mut passive();
    let huge = usize::MAX / 2;
    for config in [
        Config::new(0),
        Config::new(u32::MAX),
        Config::new(4).lookaside(3),
        Config::new(1).buffer_size(huge),
        Config::new(2).buffer_size(huge),
        Config::new(1).buffer_size(usize::MAX),
    ] {
        let created = <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, |_, _| ());
        assert_eq!(created.err(), Some(CreateError::InvalidConfig), "{config:?}");
    }
    // All of it from the pool is a configuration.
    let queue = <QueuedWorkItem<[u8]>>::create(
        passive,
        Parent::default(),
        &Config::new(0).lookaside(2),
        |_, _| (),
    )
    .expect("create");
    queue.enqueue(&[]).expect("grows");
    queue.close(passive, Close::Drain).expect("close");
}

#[test]
fn w19_enqueue_works_at_dispatch_level_and_callbacks_run_at_passive_level() {
    let passive = &mut passive();
    let log = Log::default();
    let seen = log.clone();
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(4), move |_, _| {
        seen.push(current_irql());
    })
    .expect("create");
    {
        let _raised = raise_irql(Irql::DISPATCH);
        queue.enqueue(1).expect("enqueue");
        assert!(queue.len() <= 1);
        let _ = (queue.counters(), queue.high_water_mark(), queue.capacity());
    }
    let lock = SpinLock::new(());
    {
        let _held = lock.lock();
        queue.enqueue(2).expect("enqueue");
    }
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), [Irql::PASSIVE; 2]);
}

#[test]
fn w19_blocking_verbs_above_passive_level_are_refused_by_name() {
    let passive = &mut passive();
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(4), |_, _| ())
        .expect("create");
    let mut refused = |name: &str, verb: &mut dyn FnMut(&mut queued_work_item::Passive)| {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _raised = raise_irql(Irql::DISPATCH);
            verb(passive);
        }));
        let message = outcome.expect_err(name);
        let message = message.downcast_ref::<String>().expect("a message");
        assert!(
            message.contains(name) && message.contains("DISPATCH_LEVEL"),
            "{message}"
        );
    };
    refused("QueuedWorkItem::flush", &mut |passive| _ = queue.flush(passive));
    refused("QueuedWorkItem::close", &mut |passive| {
        _ = queue.close(passive, Close::Drain);
    });
    refused("QueuedWorkItem::cancel", &mut |passive| _ = queue.cancel(passive));
    refused("QueuedWorkItem::enqueue_and_wait", &mut |passive| {
        _ = queue.enqueue_and_wait(passive, 1);
    });
    refused("QueuedWorkItem::create", &mut |passive| {
        _ = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(1), |_, _| ());
    });
    refused("Passive::assume", &mut |_| {
        // SAFETY: it is not PASSIVE_LEVEL: that the check stops it is what is tested.
        let _ = unsafe { queued_work_item::Passive::assume() };
    });
    assert_eq!(current_irql(), Irql::PASSIVE);
    assert!(!queue.is_closing(), "a refused close changes nothing");
    assert_eq!(queue.counters().enqueued, 0);
}

#[test]
fn w20_starts_for_nothing_and_two_at_once_run_nothing_twice() {
    let machine = Machine::new();
    machine.plan_starts(|_| Start::Duplicated(4));
    let _in = machine.enter();
    let passive = &mut passive();
    let gate = Gate::closed();
    let (passed, log) = (gate.clone(), Log::default());
    let seen = log.clone();
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(4), move |item, _| {
        passed.pass();
        seen.push(*item.payload());
    })
    .expect("create");
    for round in 0..200 {
        queue.enqueue(round).expect("enqueue");
        gate.open();
        queue.flush(passive).expect("flush");
        gate.shut();
    }
    assert_eq!(log.entries(), (0..200).collect::<Vec<_>>());
    assert!(queue.is_empty());
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn the_drainer_yields_its_thread_and_comes_back() {
    const N: u32 = 3_000;
    let machine = Machine::new();
    machine.plan_starts(|_| Start::Normal);
    let _in = machine.enter();
    let passive = &mut passive();
    let gate = Gate::closed();
    let (passed, log) = (gate.clone(), Log::default());
    let seen = log.clone();
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(N), move |item, _| {
        passed.pass();
        seen.push(*item.payload());
    })
    .expect("create");
    for tag in 0..N {
        queue.enqueue(tag).expect("enqueue");
    }
    assert_eq!(queue.enqueue(N).expect_err("full").kind(), EnqueueErrorKind::Full);
    gate.open();
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), (0..N).collect::<Vec<_>>());
    assert!(machine.schedules() > 5, "one start for {N} items");
    assert_eq!(queue.high_water_mark(), N);
    drop(queue);
    machine.assert_no_leaks();
}
