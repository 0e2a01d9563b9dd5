//! A task's events at once: cancel against expiry, demands against the worker, the turn against all.

extern crate std;

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::explore;
use crate::Passive;
use crate::kernel::{Event, EventKind, Parent, set_starts};
use crate::scheduled_task::{Broken, Handle, Mode, TaskConfig, TaskError, TaskResult, TaskState, When};

/// A task whose runs are counted, and fail the model when they overlap.
struct Task<const VARIANT: u8> {
    handle: Handle<VARIANT>,
    runs: Arc<AtomicU32>,
    /// Set by each run.
    ran: Arc<Event>,
}

fn passive() -> Passive {
    // SAFETY: the models do not look at IRQL.
    unsafe { Passive::assume() }
}

impl<const VARIANT: u8> Task<VARIANT> {
    /// Whose results are `results`, and then `Success`.
    fn new(delay: Duration, results: &'static [TaskResult]) -> Arc<Self> {
        set_starts(1);
        let config = TaskConfig::new(When::PrepareHardware, Mode::Deferred)
            .initial_delay(delay)
            .retry_on_failure(Duration::from_secs(1));
        // Not the model's business: it orders nothing that the protocol would have to.
        let runs = Arc::new(AtomicU32::new(0));
        let ran = Arc::new(Event::new(EventKind::Synchronization).expect("memory"));
        let (count, signal) = (Arc::clone(&runs), Arc::clone(&ran));
        let running = loom::cell::UnsafeCell::new(results.iter());
        let handle = Handle::new(&mut passive(), &Parent::default(), &config, move |_, _| {
            // Fails the model if two runs overlap, or if one does not see what the last one left.
            let result = running.with_mut(|results| {
                // SAFETY: the callback's own; the cell checks it.
                unsafe { (*results).next() }
            });
            count.fetch_add(1, Ordering::SeqCst);
            signal.set();
            result.copied().unwrap_or(TaskResult::Success)
        });
        Arc::new(Self {
            handle: handle.expect("create"),
            runs,
            ran,
        })
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

fn cancel_against_expiry<const VARIANT: u8>() {
    explore(2, || {
        let task = Task::<VARIANT>::new(Duration::from_secs(1), &[]);
        task.handle.prepare_hardware(&mut passive()).expect("deferred");
        // The timer expires about now, in a thread of its own.
        let dropped = task.handle.cancel(&mut passive()).expect("not inside");
        let runs = task.runs();
        assert_eq!(
            runs + u32::from(dropped.task),
            1,
            "it ran, or the cancel has told that it will not"
        );
        loom::thread::yield_now();
        assert_eq!(task.runs(), runs, "a run began after the cancel");
        assert_eq!(task.handle.state(), TaskState::Cancelled);
        drop(task);
    });
}

#[test]
fn x10_cancel_against_expiry() {
    cancel_against_expiry::<0>();
}

#[test]
#[should_panic(expected = "assertion")]
fn x10_an_expiry_that_looks_and_then_acts_is_caught() {
    cancel_against_expiry::<{ Broken::ExpiresUnlocked as u8 }>();
}

fn cancel_against_a_retry<const VARIANT: u8>() {
    explore(2, || {
        let task = Task::<VARIANT>::new(Duration::ZERO, &[TaskResult::FailButTryAgain]);
        task.handle.prepare_hardware(&mut passive()).expect("deferred");
        let dropped = task.handle.cancel(&mut passive()).expect("not inside");
        let runs = task.runs();
        assert_eq!(
            dropped.task,
            runs < 2,
            "a run or a retry that does not come has been told"
        );
        loom::thread::yield_now();
        assert_eq!(task.runs(), runs, "a run began after the cancel");
        drop(task);
    });
}

#[test]
fn x10_cancel_against_a_run_that_wants_a_retry() {
    cancel_against_a_retry::<0>();
}

#[test]
#[should_panic(expected = "has been told")]
fn x10_a_cancel_that_does_not_wait_is_caught() {
    cancel_against_a_retry::<{ Broken::CancelLeaves as u8 }>();
}

#[test]
fn x06_demands_against_the_worker_and_a_close() {
    explore(2, || {
        let task = Task::<0>::new(Duration::ZERO, &[]);
        let other = Arc::clone(&task);
        let producer = loom::thread::spawn(move || other.handle.execute_now_deferred().expect("open"));
        task.handle.execute_now_deferred().expect("open");
        producer.join().expect("producer");
        let dropped = task.handle.close(&mut passive()).expect("not inside");
        assert_eq!(task.runs() + dropped.runs, 2, "each ran or was told");
        assert_eq!(task.handle.execute_now_deferred(), Err(TaskError::Closing));
        drop(task);
    });
}

fn a_demand_finds_a_worker<const VARIANT: u8>() {
    explore(2, || {
        let task = Task::<VARIANT>::new(Duration::ZERO, &[]);
        task.handle.execute_now_deferred().expect("open");
        // The worker that is on its way may find nothing, and leave while the next run is asked for.
        let dropped = task.handle.cancel(&mut passive()).expect("not inside");
        assert!(task.handle.restart(), "it was cancelled");
        task.handle.execute_now_deferred().expect("open");
        while task.runs() + dropped.runs < 2 {
            task.ran.wait(&mut passive());
        }
        drop(task);
    });
}

#[test]
fn x07_no_demand_is_left_without_a_worker() {
    a_demand_finds_a_worker::<0>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn x07_a_worker_that_says_too_late_that_it_has_come_is_caught() {
    a_demand_finds_a_worker::<{ Broken::ArrivesLate as u8 }>();
}

#[test]
fn x10_the_turn_is_one_threads() {
    explore(2, || {
        let task = Task::<0>::new(Duration::ZERO, &[]);
        task.handle.prepare_hardware(&mut passive()).expect("deferred");
        // In this thread, beside the worker.
        assert_eq!(task.handle.execute_now(&mut passive()), Ok(TaskResult::Success));
        let dropped = task.handle.close(&mut passive()).expect("not inside");
        assert_eq!(task.runs() + u32::from(dropped.task), 2);
        drop(task);
    });
}
