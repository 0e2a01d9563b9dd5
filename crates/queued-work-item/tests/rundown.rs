//! `Rundown` on threads: states, IRQL, a stress of whole rounds.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{Gate, passive, until};
use queued_work_item::kernel::Irql;
use queued_work_item::kernel::host::raise_irql;
use queued_work_item::{NotRunDown, NtStatus, Rundown, RunningDown};

#[test]
fn every_state_answers_as_the_table_says() {
    let rundown = Rundown::new();
    // Free, and in use.
    assert_eq!(rundown.restart(), Err(NotRunDown));
    let guards = [
        rundown.acquire().expect("free"),
        rundown.acquire().expect("in use"),
    ];
    assert_eq!(rundown.restart(), Err(NotRunDown));
    assert!(!rundown.is_running_down());
    drop(guards);
    // Run down.
    rundown.run_down(&mut passive());
    assert!(rundown.is_running_down());
    assert_eq!(rundown.acquire().map(drop), Err(RunningDown));
    rundown.run_down(&mut passive());
    // And free again.
    rundown.restart().expect("run down");
    drop(rundown.acquire().expect("free"));
    assert_eq!(RunningDown.status(), NtStatus::DELETE_PENDING);
    assert_eq!(NotRunDown.status(), NtStatus::INVALID_DEVICE_STATE);
}

#[test]
fn everyone_who_runs_down_waits_for_the_last_guard() {
    let rundown = Rundown::default();
    let (first, last) = (rundown.acquire().expect("free"), rundown.acquire().expect("free"));
    let released = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                rundown.run_down(&mut passive());
                assert!(
                    released.load(Ordering::Relaxed),
                    "the last guard was not dropped yet"
                );
            });
        }
        until(|| rundown.is_running_down());
        assert_eq!(rundown.acquire().map(drop), Err(RunningDown));
        drop(first);
        assert_eq!(rundown.restart(), Err(NotRunDown), "one guard is left");
        // Relaxed, here and above: what orders the two is the rundown.
        released.store(true, Ordering::Relaxed);
        // A guard may be dropped on another thread, and above PASSIVE_LEVEL.
        scope.spawn(move || {
            let _raised = raise_irql(Irql::DISPATCH);
            drop(last);
        });
    });
    rundown.restart().expect("run down");
}

#[test]
fn users_come_and_go_through_many_rounds_and_never_meet_a_tear_down() {
    const ROUNDS: u32 = 300;
    let rundown = Rundown::new();
    // What is protected: even is up, odd is torn down.
    let (generation, uses, over) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    // Who holds a guard. Relaxed: what orders this for who runs down is the rundown.
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let Ok(guard) = rundown.acquire() else {
                        std::thread::yield_now();
                        continue;
                    };
                    inside.fetch_add(1, Ordering::Relaxed);
                    let before = generation.load(Ordering::Relaxed);
                    assert!(before.is_multiple_of(2), "acquired what is torn down");
                    uses.fetch_add(1, Ordering::Relaxed);
                    std::thread::yield_now();
                    assert_eq!(
                        generation.load(Ordering::Relaxed),
                        before,
                        "torn down under a guard"
                    );
                    inside.fetch_sub(1, Ordering::Relaxed);
                    drop(guard);
                }
            });
        }
        for _ in 0..ROUNDS {
            let seen = uses.load(Ordering::Relaxed);
            until(|| uses.load(Ordering::Relaxed) != seen);
            std::thread::scope(|waiters| {
                for _ in 0..2 {
                    waiters.spawn(|| {
                        rundown.run_down(&mut passive());
                        assert_eq!(inside.load(Ordering::Relaxed), 0, "somebody still has a guard");
                    });
                }
                rundown.run_down(&mut passive());
            });
            generation.fetch_add(1, Ordering::Relaxed);
            generation.fetch_add(1, Ordering::Relaxed);
            rundown.restart().expect("run down");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(generation.into_inner(), 2 * ROUNDS);
}

/// The use that it is made for: the one who tears down frees the very memory that the rundown lies in.
#[test]
fn the_memory_may_go_once_run_down_has_returned() {
    for _ in 0..300 {
        let boxed = Box::into_raw(Box::new(Rundown::new()));
        // SAFETY: freed below, after the rundown; the guard's thread touches it no more by then.
        let rundown: &'static Rundown = unsafe { &*boxed };
        let guard = rundown.acquire().expect("free");
        let user = std::thread::spawn(move || drop(guard));
        rundown.run_down(&mut passive());
        // SAFETY: from `Box::into_raw`, freed once, and nobody touches it after `run_down`: what is tested, by the
        // sanitizers too.
        drop(unsafe { Box::from_raw(boxed) });
        user.join().expect("user");
    }
}

#[test]
fn each_call_above_its_irql_is_stopped_by_name() {
    let rundown = Rundown::new();
    let passive = &mut passive();
    let message = |outcome: std::thread::Result<()>| {
        let payload = outcome.expect_err("refused");
        payload.downcast_ref::<String>().expect("a message").clone()
    };
    let refused = message(catch_unwind(AssertUnwindSafe(|| {
        let _raised = raise_irql(Irql::DISPATCH);
        rundown.run_down(passive);
    })));
    assert!(
        refused.contains("Rundown::run_down called at DISPATCH_LEVEL"),
        "{refused}"
    );
    let refused = message(catch_unwind(AssertUnwindSafe(|| {
        let _raised = raise_irql(Irql(3));
        drop(rundown.acquire());
    })));
    assert!(refused.contains("Rundown::acquire called at IRQL 3"), "{refused}");
    assert!(!rundown.is_running_down(), "a refused call changes nothing");
}

/// A queue's items use what a rundown protects; a work item that is late finds it gone and does not wait.
#[test]
fn a_callback_uses_protected_hardware_until_it_is_run_down() {
    use queued_work_item::kernel::Parent;
    use queued_work_item::{Config, QueuedWorkItem};

    let rundown = Arc::new(Rundown::new());
    let (inside, gate) = (Arc::clone(&rundown), Gate::closed());
    let passed = gate.clone();
    let queue = <QueuedWorkItem<()>>::create(
        &mut passive(),
        Parent::default(),
        &Config::new(2),
        move |item, _| match inside.acquire() {
            Ok(_guard) => passed.pass(),
            Err(error) => item.set_status(error.status()),
        },
    )
    .expect("create");
    queue.enqueue(()).expect("enqueue");
    gate.wait_arrived(1);
    std::thread::scope(|scope| {
        let torn_down = scope.spawn(|| rundown.run_down(&mut passive()));
        until(|| rundown.is_running_down());
        assert!(!torn_down.is_finished(), "the callback holds a guard");
        gate.open();
        assert_eq!(
            queue.enqueue_and_wait(&mut passive(), ()),
            Ok(NtStatus::DELETE_PENDING)
        );
    });
}
