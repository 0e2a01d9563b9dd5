//! `ScheduledTask`: each moment, each result, cancel and restart, persistence, power.

mod common;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{Gate, Log, passive, until};
use queued_work_item::kernel::host::{Entered, Expiry, HostObject, Machine, Start, raise_irql};
use queued_work_item::kernel::{Irql, Parent};
use queued_work_item::scheduled_task::{
    Cause, Dropped, MAX_NAME, Mode, Persistence, PowerState, Scheduled, TaskConfig, TaskError, TaskResult,
    TaskState, When,
};
use queued_work_item::{CreateError, NtStatus, ScheduledTask};

const D0: PowerState = PowerState(1);
const D3: PowerState = PowerState(4);
const PERIOD: Duration = Duration::from_secs(10);
const RESULTS: [TaskResult; 4] = [
    TaskResult::Success,
    TaskResult::SuccessButTryAgain,
    TaskResult::Fail,
    TaskResult::FailButTryAgain,
];

/// What the callback returns, from one run to the next.
#[derive(Clone)]
struct Script(Arc<Mutex<TaskResult>>);

impl Script {
    fn set(&self, result: TaskResult) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = result;
    }

    fn get(&self) -> TaskResult {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task on a machine of its own, whose time is held.
struct Rig {
    task: ScheduledTask,
    log: Log<Cause>,
    script: Script,
    machine: Machine,
    _in: Entered,
}

fn create(
    machine: &Machine,
    config: &TaskConfig<'_>,
    result: TaskResult,
) -> (ScheduledTask, Log<Cause>, Script) {
    machine.hold_time();
    let log = Log::default();
    let script = Script(Arc::new(Mutex::new(result)));
    let (seen, plan) = (log.clone(), script.clone());
    let task = ScheduledTask::create(&mut passive(), Parent::default(), config, move |cause, _| {
        seen.push(cause);
        plan.get()
    });
    (task.expect("create"), log, script)
}

impl Rig {
    fn new(config: TaskConfig<'_>, result: TaskResult) -> Self {
        let machine = Machine::new();
        let entered = machine.enter();
        let config = config.retry_on_success(PERIOD).retry_on_failure(2 * PERIOD);
        let (task, log, script) = create(&machine, &config, result);
        Self {
            task,
            log,
            script,
            machine,
            _in: entered,
        }
    }

    fn of(when: When, mode: Mode, result: TaskResult) -> Self {
        Self::new(TaskConfig::new(when, mode), result)
    }

    /// One pass of the device's moments: the error of the task's own.
    fn moments(&self) -> Result<(), TaskError> {
        let passive = &mut passive();
        self.task.prepare_hardware(passive)?;
        self.task.d0_entry(passive, D3)
    }

    /// And back.
    fn leave(&self) {
        let passive = &mut passive();
        self.task.d0_exit(passive).expect("not inside");
        self.task.release_hardware(passive).expect("not inside");
    }

    /// Nothing is on its way, if only for the moment.
    #[track_caller]
    fn settled(&self) {
        until(|| !matches!(self.task.state(), TaskState::Due | TaskState::Running));
    }

    /// Waits for so many runs in all.
    #[track_caller]
    fn ran(&self, runs: usize) {
        until(|| self.log.len() >= runs);
        self.settled();
        assert_eq!(self.log.len(), runs);
    }

    #[track_caller]
    fn end(self) {
        let Self {
            task, machine, log, ..
        } = self;
        let runs = task.counters().runs;
        assert_eq!(usize::try_from(runs), Ok(log.len()));
        drop(task);
        machine.assert_no_leaks();
    }
}

/// Runs after one moment, after ten periods more, after a second moment, and the state then.
fn deferred_rows() -> [(TaskResult, [usize; 3], TaskState); 4] {
    [
        (TaskResult::Success, [1, 1, 1], TaskState::Done),
        (TaskResult::SuccessButTryAgain, [1, 11, 11], TaskState::Waiting),
        (TaskResult::Fail, [1, 1, 2], TaskState::Idle),
        (TaskResult::FailButTryAgain, [1, 6, 6], TaskState::Waiting),
    ]
}

/// Held time, period by period, so that each retry is set before its time comes.
fn ten_periods(rig: &Rig) {
    for _ in 0..10 {
        let due = rig.task.counters().runs + u64::from(rig.task.state() == TaskState::Waiting);
        if rig.machine.advance(PERIOD) > 0 {
            until(|| rig.task.counters().runs == due);
        }
        rig.settled();
    }
}

#[test]
fn x06_each_result_at_each_deferred_moment() {
    for when in [When::PrepareHardware, When::D0Entry] {
        for (result, [first, retried, second], state) in deferred_rows() {
            let rig = Rig::of(when, Mode::Deferred, result);
            rig.moments().expect("deferred");
            rig.ran(first);
            ten_periods(&rig);
            assert_eq!(rig.log.len(), retried, "{when:?}, {result:?}");
            rig.leave();
            rig.moments().expect("deferred");
            rig.ran(second);
            assert_eq!(rig.task.state(), state, "{when:?}, {result:?}");
            assert_eq!(rig.task.times_run(), u32::from(result == TaskResult::Success));
            let moment = match when {
                When::PrepareHardware => Cause::PrepareHardware,
                _ => Cause::D0Entry(D3),
            };
            let again = if result == TaskResult::Fail {
                moment
            } else {
                Cause::Retry
            };
            let expected = core::iter::once(moment).chain(core::iter::repeat(again));
            assert!(expected.zip(rig.log.entries()).all(|(left, right)| left == right));
            rig.end();
        }
    }
}

#[test]
fn x06_each_result_at_each_immediate_moment() {
    for when in [When::PrepareHardware, When::D0Entry] {
        for result in RESULTS {
            let rig = Rig::of(when, Mode::Immediate, result);
            let told = rig.moments();
            assert_eq!(rig.log.len(), 1, "before the method returns");
            assert_eq!(
                told.is_ok(),
                result.is_success(),
                "{when:?}, {result:?}: {told:?}"
            );
            if let Err(error) = told {
                assert_eq!(error.status(), NtStatus::UNSUCCESSFUL);
            }
            ten_periods(&rig);
            let retried = if result == TaskResult::SuccessButTryAgain {
                11
            } else {
                1
            };
            assert_eq!(rig.log.len(), retried, "{when:?}, {result:?}");
            rig.leave();
            // The second moment takes the place of a retry that waits.
            assert_eq!(rig.moments().is_ok(), result.is_success());
            let second = retried + usize::from(result != TaskResult::Success);
            assert_eq!(rig.log.len(), second, "{when:?}, {result:?}");
            if result == TaskResult::SuccessButTryAgain {
                rig.machine.advance(PERIOD);
                rig.ran(second + 1);
            }
            rig.end();
        }
    }
}

#[test]
fn x06_each_result_on_demand() {
    for result in RESULTS {
        let rig = Rig::of(When::OnDemand, Mode::Deferred, result);
        rig.moments().expect("nobody's");
        assert_eq!(rig.log.len(), 0, "a task on demand has no moment");
        // Here and now: the caller's result, and nothing else.
        assert_eq!(rig.task.execute_now(&mut passive()), Ok(result));
        assert_eq!((rig.log.len(), rig.task.state()), (1, TaskState::Idle));
        // Soon, once for each call, from any IRQL.
        {
            let _dispatch = raise_irql(Irql::DISPATCH);
            for _ in 0..5 {
                rig.task.execute_now_deferred().expect("open");
            }
        }
        rig.ran(6);
        ten_periods(&rig);
        assert_eq!(
            (rig.log.len(), rig.task.state()),
            (6, TaskState::Idle),
            "{result:?}"
        );
        assert_eq!(
            rig.task.times_run(),
            0,
            "a result that is ignored completes nothing"
        );
        // The task itself.
        {
            let _dispatch = raise_irql(Irql::DISPATCH);
            assert_eq!(rig.task.execute_now_deferred_ex(), Ok(Scheduled::New));
        }
        rig.ran(7);
        let state = match result {
            TaskResult::Success => TaskState::Done,
            TaskResult::Fail => TaskState::Idle,
            _ => TaskState::Waiting,
        };
        assert_eq!(rig.task.state(), state);
        ten_periods(&rig);
        let retried = match result {
            TaskResult::Success | TaskResult::Fail => 7,
            TaskResult::SuccessButTryAgain => 17,
            TaskResult::FailButTryAgain => 12,
        };
        assert_eq!(rig.log.len(), retried, "{result:?}");
        let again = rig.task.execute_now_deferred_ex();
        let expected = match result {
            TaskResult::Success => Err(TaskError::Done),
            TaskResult::Fail => Ok(Scheduled::New),
            _ => Ok(Scheduled::BroughtForward),
        };
        assert_eq!(again, expected);
        rig.ran(retried + usize::from(again.is_ok()));
        rig.end();
    }
}

#[test]
fn x06_the_initial_delay_holds_the_first_run_back() {
    let config = TaskConfig::new(When::D0Entry, Mode::Deferred).initial_delay(PERIOD);
    let rig = Rig::new(config, TaskResult::Success);
    rig.moments().expect("deferred");
    assert_eq!(rig.task.state(), TaskState::Waiting);
    let early = Duration::from_nanos(100);
    assert_eq!(rig.machine.advance(PERIOD.saturating_sub(early)), 0);
    assert_eq!(rig.log.len(), 0, "100 ns too early");
    assert_eq!(rig.machine.advance(early), 1);
    rig.ran(1);
    assert_eq!(rig.log.entries(), [Cause::D0Entry(D3)]);
    rig.end();
}

#[test]
fn x07_cancel_before_the_first_run_and_restart() {
    let delays = [Duration::ZERO, PERIOD];
    for delay in delays {
        let config = TaskConfig::new(When::D0Entry, Mode::Deferred).initial_delay(delay);
        let rig = Rig::new(config, TaskResult::Success);
        let passive = &mut passive();
        // Starts are held, so that a due task stays due.
        rig.machine.plan_starts(|_| Start::Held);
        rig.moments().expect("deferred");
        let dropped = rig.task.cancel(passive).expect("not inside");
        assert_eq!(dropped, Dropped { runs: 0, task: true });
        assert_eq!(rig.task.state(), TaskState::Cancelled);
        rig.machine.plan_starts(|_| Start::Normal);
        rig.machine.release();
        assert_eq!(rig.machine.advance(10 * PERIOD), 0, "the timer is stopped");
        assert_eq!(rig.log.len(), 0, "zero runs");
        assert!(rig.task.restart());
        assert!(!rig.task.restart(), "once");
        rig.machine.advance(delay);
        rig.ran(1);
        assert_eq!(rig.log.entries(), [Cause::D0Entry(D3)], "the run that was owed");
        assert_eq!(rig.task.state(), TaskState::Done);
        rig.end();
    }
}

#[test]
fn x07_a_moment_that_comes_while_cancelled_is_kept_for_the_restart() {
    for mode in [Mode::Deferred, Mode::Immediate] {
        let rig = Rig::of(When::PrepareHardware, mode, TaskResult::Success);
        let passive = &mut passive();
        let dropped = rig.task.cancel(passive).expect("not inside");
        assert_eq!(dropped, Dropped::default(), "nothing was scheduled");
        rig.moments().expect("a cancelled task does not fail");
        assert_eq!(rig.log.len(), 0);
        let dropped = rig.task.cancel(passive).expect("not inside");
        assert!(dropped.task, "a second cancel tells what has come since");
        assert!(rig.task.restart());
        rig.ran(1);
        rig.end();
    }
    // And without a moment, a restart runs nothing.
    let rig = Rig::of(When::PrepareHardware, Mode::Deferred, TaskResult::Success);
    let _nothing = rig.task.cancel(&mut passive()).expect("not inside");
    assert!(rig.task.restart());
    assert_eq!(rig.task.state(), TaskState::Idle);
    rig.end();
}

#[test]
fn x07_a_cancel_tells_every_accepted_run_that_it_drops() {
    let rig = Rig::of(When::OnDemand, Mode::Deferred, TaskResult::Success);
    let passive = &mut passive();
    rig.machine.plan_starts(|_| Start::Held);
    for _ in 0..7 {
        rig.task.execute_now_deferred().expect("open");
    }
    let dropped = rig.task.cancel(passive).expect("not inside");
    assert_eq!(dropped, Dropped { runs: 7, task: false });
    assert_eq!(rig.task.execute_now_deferred(), Err(TaskError::Cancelled));
    assert_eq!(rig.task.execute_now_deferred_ex(), Err(TaskError::Cancelled));
    assert_eq!(rig.task.execute_now(passive), Err(TaskError::Cancelled));
    rig.machine.plan_starts(|_| Start::Normal);
    assert!(rig.task.restart());
    rig.machine.release();
    rig.task.execute_now_deferred().expect("restarted");
    rig.ran(1);
    assert_eq!(rig.task.counters().dropped, 7);
    rig.end();
}

#[test]
fn x07_a_cancel_waits_for_the_run_and_tells_its_retry() {
    let machine = Machine::new();
    let _in = machine.enter();
    machine.hold_time();
    let passive = &mut passive();
    let (gate, log) = (Gate::closed(), Log::default());
    let (pass, seen) = (gate.clone(), log.clone());
    let config = TaskConfig::new(When::D0Entry, Mode::Deferred);
    let task = ScheduledTask::create(passive, Parent::default(), &config, move |cause, _| {
        seen.push(cause);
        pass.pass();
        TaskResult::FailButTryAgain
    });
    let task = task.expect("create");
    task.d0_entry(passive, D3).expect("deferred");
    gate.wait_arrived(1);
    assert_eq!(task.state(), TaskState::Running);
    assert_eq!(task.execute_now_deferred_ex(), Ok(Scheduled::Joined));
    std::thread::scope(|scope| {
        let canceller = scope.spawn(|| task.cancel(&mut common::passive()));
        until(|| task.state() == TaskState::Cancelled);
        assert!(!canceller.is_finished(), "it waits for the run");
        gate.open();
        let dropped = canceller.join().expect("canceller").expect("not inside");
        assert_eq!(
            dropped,
            Dropped { runs: 0, task: true },
            "the retry that never comes"
        );
    });
    assert_eq!(machine.advance(10 * PERIOD), 0);
    assert_eq!(log.len(), 1);
    assert!(task.restart(), "and it goes on");
    until(|| log.len() == 2);
    let dropped = task.close(passive).expect("not inside");
    assert!(dropped.task);
    drop(task);
    machine.assert_no_leaks();
}

/// A load of the driver: a task of this name, whose first D0 entry has come and gone.
fn load(machine: &Machine, name: &str, result: TaskResult) -> usize {
    let config = TaskConfig::new(When::D0Entry, Mode::Immediate)
        .persistence(Persistence::PersistentAcrossReboots(name));
    let (task, log, _) = create(machine, &config, result);
    let told = task.d0_entry(&mut passive(), D3);
    assert_eq!(told.is_ok(), result.is_success());
    let runs = log.len();
    let _ = task.close(&mut passive()).expect("not inside");
    runs
}

#[test]
fn x08_a_persistent_task_runs_once_over_three_loads() {
    let machine = Machine::new();
    let _in = machine.enter();
    assert_eq!(
        load(&machine, "FirstTimesRun", TaskResult::Fail),
        1,
        "a failure is no run"
    );
    let runs: Vec<_> = (0..3)
        .map(|_| load(&machine, "FirstTimesRun", TaskResult::Success))
        .collect();
    assert_eq!(runs, [1, 0, 0]);
    // Another instance knows nothing of it.
    let runs: Vec<_> = (0..3)
        .map(|_| load(&machine, "SecondTimesRun", TaskResult::Success))
        .collect();
    assert_eq!(runs, [1, 0, 0]);
    let values = [("FirstTimesRun".to_owned(), 1), ("SecondTimesRun".to_owned(), 1)];
    assert_eq!(machine.parameters(), values);
    machine.assert_no_leaks();
}

#[test]
fn x08_two_persistent_tasks_at_once_are_independent() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let config = |name| {
        TaskConfig::new(When::PrepareHardware, Mode::Deferred)
            .persistence(Persistence::PersistentAcrossReboots(name))
    };
    let (first, first_log, _) = create(&machine, &config("A"), TaskResult::Success);
    let (second, second_log, _) = create(&machine, &config("B"), TaskResult::Fail);
    first.prepare_hardware(passive).expect("deferred");
    second.prepare_hardware(passive).expect("deferred");
    until(|| first.times_run() == 1 && second_log.len() == 1);
    until(|| second.state() == TaskState::Idle);
    assert_eq!((first.times_run(), second.times_run()), (1, 0));
    assert_eq!(machine.parameters(), [("A".to_owned(), 1)]);
    // Set from outside: one runs again, the other does not any more.
    first.set_times_run(passive, 0).expect("the registry");
    second.set_times_run(passive, 3).expect("the registry");
    first.prepare_hardware(passive).expect("deferred");
    second.prepare_hardware(passive).expect("deferred");
    until(|| first.times_run() == 1);
    assert_eq!((first_log.len(), second_log.len()), (2, 1));
    assert_eq!(machine.parameters(), [("A".to_owned(), 1), ("B".to_owned(), 3)]);
}

#[test]
fn x08_a_registry_that_fails_is_told() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let name = Persistence::PersistentAcrossReboots("TimesRun");
    let config = TaskConfig::new(When::OnDemand, Mode::Deferred).persistence(name);
    let (task, log, script) = create(&machine, &config, TaskResult::Success);
    machine.fail_parameters(Some(NtStatus::INSUFFICIENT_RESOURCES));
    task.execute_now_deferred_ex().expect("open");
    until(|| task.state() == TaskState::Done);
    assert_eq!(task.counters().store_failures, 1);
    assert_eq!(
        task.set_times_run(passive, 0),
        Err(TaskError::Registry(NtStatus::INSUFFICIENT_RESOURCES))
    );
    assert_eq!(
        (task.state(), log.len()),
        (TaskState::Done, 1),
        "nothing has changed"
    );
    drop((task, script));
    // Not knowing whether it has run, a task is not created.
    let refused = ScheduledTask::create(passive, Parent::default(), &config, |_, _| TaskResult::Success);
    assert_eq!(
        refused.err(),
        Some(CreateError::Framework(NtStatus::INSUFFICIENT_RESOURCES))
    );
    machine.fail_parameters(None);
    assert_eq!(machine.parameters(), [], "the write had failed");
    for name in ["", "a\0b", &"x".repeat(MAX_NAME + 1)] {
        let config = config.persistence(Persistence::PersistentAcrossReboots(name));
        let refused = ScheduledTask::create(passive, Parent::default(), &config, |_, _| TaskResult::Success);
        assert_eq!(refused.err(), Some(CreateError::InvalidConfig), "{name:?}");
    }
    machine.assert_no_leaks();
}

#[test]
fn x09_a_retry_survives_d0_exit_and_entry() {
    let rig = Rig::of(When::D0Entry, Mode::Deferred, TaskResult::FailButTryAgain);
    let passive = &mut passive();
    rig.moments().expect("deferred");
    rig.ran(1);
    // It expires while the device is away: the run waits for D0.
    rig.task.d0_exit(passive).expect("not inside");
    assert_eq!(rig.machine.advance(2 * PERIOD), 1);
    assert_eq!(
        (rig.task.state(), rig.log.len()),
        (TaskState::Due, 1),
        "nothing runs without power"
    );
    rig.task.d0_entry(passive, D3).expect("deferred");
    rig.ran(2);
    // It expires after the device is back: the timer goes on.
    rig.task.d0_exit(passive).expect("not inside");
    assert_eq!(rig.machine.advance(PERIOD), 0);
    rig.task.d0_entry(passive, D0).expect("deferred");
    assert_eq!((rig.task.state(), rig.log.len()), (TaskState::Waiting, 2));
    rig.script.set(TaskResult::Success);
    assert_eq!(rig.machine.advance(PERIOD), 1);
    rig.ran(3);
    let causes = [Cause::D0Entry(D3), Cause::Retry, Cause::Retry];
    assert_eq!(
        rig.log.entries(),
        causes,
        "one chain of retries, whatever came between"
    );
    rig.end();
}

#[test]
fn x09_what_is_asked_for_while_the_device_is_away_runs_when_it_is_back() {
    let rig = Rig::of(When::OnDemand, Mode::Deferred, TaskResult::Fail);
    let passive = &mut passive();
    rig.leave();
    for _ in 0..3 {
        rig.task.execute_now_deferred().expect("open");
    }
    assert_eq!(rig.task.execute_now_deferred_ex(), Ok(Scheduled::New));
    assert_eq!(rig.task.execute_now_deferred_ex(), Ok(Scheduled::Joined));
    assert_eq!(
        rig.task.execute_now(passive),
        Ok(TaskResult::Fail),
        "whatever the power"
    );
    rig.task.prepare_hardware(passive).expect("nobody's");
    assert_eq!(rig.log.len(), 1, "not in D0 yet");
    rig.task.d0_entry(passive, D3).expect("nobody's");
    rig.ran(5);
    rig.end();
}

#[test]
fn fault_13_the_retry_timer_survives_the_release_of_the_hardware() {
    let rig = Rig::of(
        When::PrepareHardware,
        Mode::Deferred,
        TaskResult::SuccessButTryAgain,
    );
    rig.moments().expect("deferred");
    rig.ran(1);
    for cycle in 1..=3 {
        rig.leave();
        rig.moments().expect("deferred");
        assert_eq!(rig.machine.advance(PERIOD), 1, "cycle {cycle}: the timer is set");
        rig.ran(1 + cycle);
        assert_eq!(
            rig.task.state(),
            TaskState::Waiting,
            "cycle {cycle}: and set again"
        );
    }
    rig.end();
}

#[test]
fn x10_an_expiry_that_comes_too_late_or_too_early_changes_nothing() {
    // Early: an echo of an earlier setting comes at once.
    let config = TaskConfig::new(When::D0Entry, Mode::Deferred).initial_delay(PERIOD);
    let rig = Rig::new(config, TaskResult::Success);
    rig.machine
        .plan_expiries(|nth| if nth == 0 { Expiry::Early } else { Expiry::Normal });
    rig.moments().expect("deferred");
    until(|| rig.machine.settings() == 2); // the echo has found its time not come
    assert_eq!((rig.task.state(), rig.log.len()), (TaskState::Waiting, 0));
    rig.machine.advance(PERIOD);
    rig.ran(1);
    rig.end();
    // Late: the DPC is queued when the cancel comes, and runs after it, and after the restart.
    let rig = Rig::new(config, TaskResult::Success);
    let passive = &mut passive();
    rig.machine
        .plan_expiries(|nth| if nth == 0 { Expiry::Held } else { Expiry::Normal });
    rig.moments().expect("deferred");
    rig.machine.advance(PERIOD);
    let dropped = rig.task.cancel(passive).expect("not inside");
    assert!(dropped.task);
    assert!(rig.task.restart());
    assert_eq!(rig.machine.release(), 1);
    until(|| rig.machine.settings() == 3); // the late one has found another time, and leaves it
    assert_eq!((rig.task.state(), rig.log.len()), (TaskState::Waiting, 0));
    rig.machine.advance(PERIOD);
    rig.ran(1);
    rig.end();
}

#[test]
fn the_callback_is_told_when_it_would_wait_for_itself() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let place: Arc<Mutex<Option<Arc<ScheduledTask>>>> = Arc::default();
    let errors = Log::default();
    let (task_of, told) = (Arc::clone(&place), errors.clone());
    let config = TaskConfig::new(When::D0Entry, Mode::Immediate);
    let task = ScheduledTask::create(passive, Parent::default(), &config, move |_, passive| {
        let task = task_of.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(task) = task else { return TaskResult::Fail };
        told.push(task.cancel(passive).map(drop));
        told.push(task.close(passive).map(drop));
        told.push(task.execute_now(passive).map(drop));
        told.push(task.d0_exit(passive));
        told.push(task.d0_entry(passive, D0));
        told.push(task.release_hardware(passive));
        told.push(task.set_times_run(passive, 5));
        TaskResult::Fail
    });
    let task = Arc::new(task.expect("create"));
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&task));
    // From the caller's thread, and from the worker's.
    assert_eq!(task.execute_now(passive), Ok(TaskResult::Fail));
    task.execute_now_deferred().expect("open");
    until(|| errors.len() == 14 && task.state() == TaskState::Idle);
    assert_eq!(TaskError::PossibleDeadlock.status(), NtStatus::POSSIBLE_DEADLOCK);
    for error in errors.entries() {
        assert_eq!(error, Err(TaskError::PossibleDeadlock));
    }
    *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
    assert_eq!(
        task.close(passive),
        Ok(Dropped::default()),
        "nothing was changed by any of it"
    );
}

#[test]
fn runs_never_overlap_whoever_asks_for_them() {
    const CALLS: u32 = 2_000;
    let rig_machine = Machine::new();
    let _in = rig_machine.enter();
    let passive = &mut passive();
    let running = std::sync::atomic::AtomicBool::new(false);
    let mut runs = 0_u32;
    let total = Log::default();
    let seen = total.clone();
    let config = TaskConfig::new(When::D0Entry, Mode::Immediate).retry_on_success(Duration::ZERO);
    let task = ScheduledTask::create(passive, Parent::default(), &config, move |_, _| {
        use std::sync::atomic::Ordering::Relaxed;
        assert!(!running.swap(true, Relaxed), "two runs at once");
        runs += 1;
        seen.push(runs);
        std::thread::yield_now();
        running.store(false, Relaxed);
        TaskResult::Fail
    });
    let task = task.expect("create");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..CALLS).for_each(|_| task.execute_now_deferred().expect("open")));
            scope.spawn(|| {
                for _ in 0..CALLS {
                    assert_eq!(task.execute_now(&mut common::passive()), Ok(TaskResult::Fail));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..CALLS {
                assert_eq!(task.d0_entry(&mut common::passive(), D3), Err(TaskError::Failed));
            }
        });
    });
    until(|| total.len() == 5 * CALLS as usize);
    let dropped = task.close(passive).expect("not inside");
    assert_eq!(dropped, Dropped::default());
    assert_eq!(total.entries(), (1..=5 * CALLS).collect::<Vec<_>>());
    drop(task);
    rig_machine.assert_no_leaks();
}

#[test]
fn x06_starts_that_come_late_twice_or_for_nothing_run_nothing_twice() {
    for nth in 0..4 {
        for start in [Start::Duplicated(2), Start::Repeated] {
            let rig = Rig::of(When::OnDemand, Mode::Deferred, TaskResult::Fail);
            let (planned, reached) = std::sync::mpsc::channel();
            rig.machine.plan_starts(move |start_number| {
                if start_number == nth {
                    planned.send(()).expect("the rig outlives its starts");
                    start
                } else {
                    Start::Normal
                }
            });
            // An order that finds the drainer still awake asks for no start, so it takes some to come to the planned one.
            let mut runs = 0;
            while reached.try_recv().is_err() {
                runs += 1;
                rig.task.execute_now_deferred().expect("open");
                rig.ran(runs);
                std::thread::yield_now();
            }
            rig.machine.release();
            rig.task.execute_now_deferred().expect("open");
            rig.ran(runs + 1);
            rig.end();
        }
    }
}

#[test]
fn w18_a_create_that_fails_leaves_nothing() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let name = Persistence::PersistentAcrossReboots("TimesRun");
    let config = TaskConfig::new(When::D0Entry, Mode::Deferred).persistence(name);
    let alive = Arc::new(());
    for nth in 1.. {
        machine.fail_allocation(nth);
        let kept = Arc::clone(&alive);
        let created = ScheduledTask::create(passive, Parent::default(), &config, move |_, _| {
            assert!(Arc::strong_count(&kept) > 1);
            TaskResult::Success
        });
        machine.fail_allocation(0);
        match created {
            Ok(task) => {
                assert!(nth > 5, "some allocations were made to fail");
                drop(task);
                break;
            }
            Err(error) => assert_eq!(error.status(), NtStatus::INSUFFICIENT_RESOURCES),
        }
        machine.assert_no_leaks();
        until(|| Arc::strong_count(&alive) == 1);
    }
    machine.assert_no_leaks();
    until(|| Arc::strong_count(&alive) == 1);
}

#[test]
fn a_task_closes_when_its_parent_is_deleted() {
    let machine = Machine::new();
    let _in = machine.enter();
    machine.hold_time();
    let passive = &mut passive();
    let parent = HostObject::new();
    let log = Log::default();
    let seen = log.clone();
    let config = TaskConfig::new(When::D0Entry, Mode::Deferred).initial_delay(PERIOD);
    let task = ScheduledTask::create(passive, Parent::from(&parent), &config, move |cause, _| {
        seen.push(cause);
        TaskResult::Success
    });
    let task = task.expect("create");
    task.d0_entry(passive, D3).expect("deferred");
    parent.delete();
    assert_eq!(machine.advance(10 * PERIOD), 0);
    assert_eq!(task.execute_now_deferred(), Err(TaskError::Closing));
    assert_eq!(task.d0_entry(passive, D3), Err(TaskError::Closing));
    assert_eq!(task.execute_now(passive), Err(TaskError::Closing));
    assert_eq!(task.state(), TaskState::Closed);
    let dropped = task.close(passive).expect("not inside");
    assert!(dropped.task, "the run that never came");
    assert_eq!(log.len(), 0);
    drop(task);
    machine.assert_no_leaks();
}

#[test]
fn a_dropped_task_lets_its_run_end_and_frees_everything() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let gate = Gate::closed();
    let pass = gate.clone();
    let config = TaskConfig::new(When::OnDemand, Mode::Deferred);
    let task = ScheduledTask::create(passive, Parent::default(), &config, move |_, _| {
        pass.pass();
        TaskResult::FailButTryAgain
    });
    let task = task.expect("create");
    task.execute_now_deferred_ex().expect("open");
    gate.wait_arrived(1);
    drop(task);
    gate.open();
    machine.assert_no_leaks();
}

#[test]
fn real_time_brings_retries_too() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let mut left = 5;
    let config = TaskConfig::new(When::D0Entry, Mode::Deferred)
        .initial_delay(Duration::from_millis(2))
        .retry_on_failure(Duration::from_millis(3));
    let begun = std::time::Instant::now();
    let task = ScheduledTask::create(passive, Parent::default(), &config, move |_, _| {
        left -= 1;
        if left == 0 {
            TaskResult::Success
        } else {
            TaskResult::FailButTryAgain
        }
    });
    let task = task.expect("create");
    task.d0_entry(passive, D3).expect("deferred");
    until(|| task.state() == TaskState::Done);
    assert_eq!(task.counters().runs, 5);
    assert!(begun.elapsed() >= Duration::from_millis(2 + 4 * 3), "never early");
    drop(task);
    machine.assert_no_leaks();
}
