//! Random programs of a task's verbs, run against the task and against a model that is simple enough to be right.
//!
//! `QWI_SEED` and `QWI_CASES` choose the programs, as for the queue. Time is held, and moved on a unit at a time; the
//! program and the worker take turns, so that one program has one outcome.

mod common;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Log, passive};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use queued_work_item::ScheduledTask;
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::Machine;
use queued_work_item::scheduled_task::{
    Cause, Dropped, Mode, PowerState, Scheduled, TaskConfig, TaskError, TaskResult, TaskState, When,
};

const UNIT: Duration = Duration::from_secs(1);
const D3: PowerState = PowerState(4);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    PrepareHardware,
    ReleaseHardware,
    D0Entry,
    D0Exit,
    ExecuteNow,
    ExecuteNowDeferred,
    ExecuteNowDeferredEx,
    Cancel,
    Restart,
    SetTimesRun(u32),
    /// Time passes.
    Pass(u32),
    /// What the callback returns from now on.
    Return(TaskResult),
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    when: When,
    mode: Mode,
    delay: u32,
    on_success: u32,
    on_failure: u32,
}

type Program = (Plan, Vec<Verb>);

/// What a verb returned.
#[derive(Debug, PartialEq)]
enum Outcome {
    Nothing,
    Told(Result<(), TaskError>),
    Ran(Result<TaskResult, TaskError>),
    Accepted(Result<Scheduled, TaskError>),
    Dropped(Dropped),
    Restarted(bool),
}

/// Where a model is wrong, to show that the search would find it.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nowhere,
    /// As in DMF, the release of the hardware ends the retries.
    ReleaseEndsRetries,
    /// A restart does not schedule what the cancel has cut short.
    RestartForgets,
    /// A failure is as good as a success.
    FailureCompletes,
    /// A deferred run whose result is ignored is not.
    ResultsCount,
}

struct Model {
    plan: Plan,
    wrong: Wrong,
    result: TaskResult,
    now: u32,
    times_run: u32,
    /// When the task is to run by itself.
    scheduled: Option<(u32, Cause)>,
    cancelled: bool,
    demanded: u32,
    away: bool,
    released: bool,
    /// Each run's cause; those of one settling in any order.
    runs: Vec<Cause>,
}

impl Model {
    fn new(plan: Plan, wrong: Wrong) -> Self {
        Self {
            plan,
            wrong,
            result: TaskResult::Success,
            now: 0,
            times_run: 0,
            scheduled: None,
            cancelled: false,
            demanded: 0,
            away: false,
            released: false,
            runs: Vec::new(),
        }
    }

    /// The task itself runs.
    fn run(&mut self, cause: Cause, retries: bool) {
        self.runs.push(cause);
        self.scheduled = None;
        match self.result {
            TaskResult::Success => self.times_run += 1,
            TaskResult::SuccessButTryAgain => {
                self.scheduled = Some((self.now + self.plan.on_success, Cause::Retry));
            }
            TaskResult::FailButTryAgain if retries => {
                self.scheduled = Some((self.now + self.plan.on_failure, Cause::Retry));
            }
            _ if self.wrong == Wrong::FailureCompletes => self.times_run += 1,
            _ => {}
        }
    }

    /// What the worker does before it rests.
    fn settle(&mut self) {
        if self.cancelled || self.away || self.released {
            return;
        }
        self.runs.extend((0..self.demanded).map(|_| Cause::NowDeferred));
        if self.wrong == Wrong::ResultsCount && self.demanded > 0 && self.result == TaskResult::Success {
            self.times_run += 1;
        }
        self.demanded = 0;
        if let Some((at, cause)) = self.scheduled
            && at <= self.now
        {
            self.run(cause, true);
        }
    }

    fn moment(&mut self, when: When, cause: Cause) -> Result<(), TaskError> {
        if self.plan.when != when || self.times_run > 0 {
            return Ok(());
        }
        match self.plan.mode {
            // A cancelled task is owed its moment, to be run as a deferred one.
            _ if self.cancelled => {
                self.scheduled = self.scheduled.or(Some((self.now, cause)));
            }
            Mode::Deferred => {
                self.scheduled = self.scheduled.or(Some((self.now + self.plan.delay, cause)));
            }
            Mode::Immediate => {
                self.run(cause, false);
                if !self.result.is_success() {
                    return Err(TaskError::Failed);
                }
            }
        }
        Ok(())
    }

    fn may_run(&self) -> Result<(), TaskError> {
        if self.cancelled {
            Err(TaskError::Cancelled)
        } else {
            Ok(())
        }
    }

    fn apply(&mut self, verb: Verb) -> Outcome {
        match verb {
            Verb::PrepareHardware => {
                let told = self.moment(When::PrepareHardware, Cause::PrepareHardware);
                self.released &= told.is_err();
                Outcome::Told(told)
            }
            Verb::D0Entry => {
                let told = self.moment(When::D0Entry, Cause::D0Entry(D3));
                self.away &= told.is_err();
                Outcome::Told(told)
            }
            Verb::ReleaseHardware => {
                if self.wrong == Wrong::ReleaseEndsRetries {
                    self.scheduled = None;
                }
                self.released = true;
                Outcome::Told(Ok(()))
            }
            Verb::D0Exit => {
                self.away = true;
                Outcome::Told(Ok(()))
            }
            Verb::ExecuteNow => Outcome::Ran(self.may_run().map(|()| {
                self.runs.push(Cause::Now);
                self.result
            })),
            Verb::ExecuteNowDeferred => Outcome::Told(self.may_run().map(|()| self.demanded += 1)),
            Verb::ExecuteNowDeferredEx => Outcome::Accepted(self.may_run().and_then(|()| {
                let accepted = match self.scheduled {
                    None if self.times_run > 0 => return Err(TaskError::Done),
                    None => Scheduled::New,
                    Some((at, _)) if at > self.now => Scheduled::BroughtForward,
                    Some(_) => return Ok(Scheduled::Joined),
                };
                self.scheduled = Some((self.now, Cause::NowDeferred));
                Ok(accepted)
            })),
            Verb::Cancel => {
                self.cancelled = true;
                Outcome::Dropped(Dropped {
                    runs: core::mem::take(&mut self.demanded),
                    task: self.scheduled.is_some(),
                })
            }
            Verb::Restart => {
                let restarted = core::mem::take(&mut self.cancelled);
                if restarted {
                    let again = self.scheduled.filter(|_| self.wrong != Wrong::RestartForgets);
                    self.scheduled = again.map(|(_, cause)| (self.now + self.plan.delay, cause));
                }
                Outcome::Restarted(restarted)
            }
            Verb::SetTimesRun(times) => {
                self.times_run = times;
                if times > 0 {
                    self.scheduled = None;
                }
                Outcome::Told(Ok(()))
            }
            Verb::Return(result) => {
                self.result = result;
                Outcome::Nothing
            }
            Verb::Pass(_) => unreachable!("a unit at a time"),
        }
    }

    fn state(&self) -> TaskState {
        match self.scheduled {
            _ if self.cancelled => TaskState::Cancelled,
            Some((at, _)) if at > self.now => TaskState::Waiting,
            Some(_) => TaskState::Due,
            None if self.times_run > 0 => TaskState::Done,
            None => TaskState::Idle,
        }
    }
}

fn apply(task: &ScheduledTask, result: &Mutex<TaskResult>, verb: Verb) -> Outcome {
    let passive = &mut passive();
    match verb {
        Verb::PrepareHardware => Outcome::Told(task.prepare_hardware(passive)),
        Verb::ReleaseHardware => Outcome::Told(task.release_hardware(passive)),
        Verb::D0Entry => Outcome::Told(task.d0_entry(passive, D3)),
        Verb::D0Exit => Outcome::Told(task.d0_exit(passive)),
        Verb::ExecuteNow => Outcome::Ran(task.execute_now(passive)),
        Verb::ExecuteNowDeferred => Outcome::Told(task.execute_now_deferred()),
        Verb::ExecuteNowDeferredEx => Outcome::Accepted(task.execute_now_deferred_ex()),
        Verb::Cancel => Outcome::Dropped(task.cancel(passive).expect("not inside")),
        Verb::Restart => Outcome::Restarted(task.restart()),
        Verb::SetTimesRun(times) => Outcome::Told(task.set_times_run(passive, times)),
        Verb::Return(new) => {
            *result.lock().unwrap_or_else(PoisonError::into_inner) = new;
            Outcome::Nothing
        }
        Verb::Pass(_) => unreachable!("a unit at a time"),
    }
}

fn sorted(mut causes: Vec<Cause>) -> Vec<String> {
    causes.sort_by_key(|cause| format!("{cause:?}"));
    causes.iter().map(|cause| format!("{cause:?}")).collect()
}

/// Runs a program on both, and tells where they differ.
fn run((plan, verbs): &Program, wrong: Wrong) -> Result<(), String> {
    // A model that is wrong is found out by a run that never comes: that need not take long.
    let patience = if wrong == Wrong::Nowhere {
        common::PATIENCE
    } else {
        Duration::from_millis(50)
    };
    let machine = Machine::new();
    let _in = machine.enter();
    machine.hold_time();
    let log = Log::default();
    let result = Arc::new(Mutex::new(TaskResult::Success));
    let (seen, returns) = (log.clone(), Arc::clone(&result));
    let config = TaskConfig::new(plan.when, plan.mode)
        .initial_delay(UNIT * plan.delay)
        .retry_on_success(UNIT * plan.on_success)
        .retry_on_failure(UNIT * plan.on_failure);
    let task = ScheduledTask::create(&mut passive(), Parent::default(), &config, move |cause, _| {
        seen.push(cause);
        *returns.lock().unwrap_or_else(PoisonError::into_inner)
    });
    let task = task.expect("create");
    let mut model = Model::new(*plan, wrong);
    let step = |what: &str, model: &mut Model| {
        model.settle();
        let begun = Instant::now();
        while (log.len(), task.state()) != (model.runs.len(), model.state()) && begun.elapsed() < patience {
            std::thread::yield_now();
        }
        let is = (sorted(log.entries()), task.state(), task.times_run());
        let should = (sorted(model.runs.clone()), model.state(), model.times_run);
        if is == should {
            Ok(())
        } else {
            Err(format!("after {what}: the task is {is:?}, the model {should:?}"))
        }
    };
    for &verb in verbs {
        if let Verb::Pass(units) = verb {
            for _ in 0..units {
                model.now += 1;
                machine.advance(UNIT);
                step("time", &mut model)?;
            }
            continue;
        }
        let (is, should) = (apply(&task, &result, verb), model.apply(verb));
        if is != should {
            return Err(format!("{verb:?} returned {is:?}, and should {should:?}"));
        }
        step(&format!("{verb:?}"), &mut model)?;
    }
    drop(task);
    machine.assert_no_leaks();
    Ok(())
}

fn results() -> impl Strategy<Value = TaskResult> {
    prop_oneof![
        Just(TaskResult::Success),
        Just(TaskResult::SuccessButTryAgain),
        Just(TaskResult::Fail),
        Just(TaskResult::FailButTryAgain),
    ]
}

fn programs() -> impl Strategy<Value = Program> {
    let when = prop_oneof![
        Just(When::OnDemand),
        Just(When::PrepareHardware),
        Just(When::D0Entry)
    ];
    let mode = prop_oneof![Just(Mode::Immediate), Just(Mode::Deferred)];
    let plan =
        (when, mode, 0..3_u32, 1..4_u32, 1..4_u32).prop_map(|(when, mode, delay, on_success, on_failure)| {
            Plan {
                when,
                mode,
                delay,
                on_success,
                on_failure,
            }
        });
    let verb = prop_oneof![
        3 => Just(Verb::PrepareHardware),
        1 => Just(Verb::ReleaseHardware),
        3 => Just(Verb::D0Entry),
        1 => Just(Verb::D0Exit),
        1 => Just(Verb::ExecuteNow),
        2 => Just(Verb::ExecuteNowDeferred),
        2 => Just(Verb::ExecuteNowDeferredEx),
        1 => Just(Verb::Cancel),
        2 => Just(Verb::Restart),
        1 => (0..2_u32).prop_map(Verb::SetTimesRun),
        3 => (1..4_u32).prop_map(Verb::Pass),
        3 => results().prop_map(Verb::Return),
    ];
    (plan, proptest::collection::vec(verb, 1..24))
}

fn search(seed: u64, cases: u32, wrong: Wrong) -> Result<(), (String, Program)> {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, rng).run(&programs(), |program| {
        run(&program, wrong).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, program)) => Err((why.message().to_owned(), program)),
        Err(TestError::Abort(why)) => panic!("no programs: {why}"),
    }
}

#[test]
fn x06_x07_x09_random_programs_do_what_the_model_does() {
    let seed = common::seed();
    let cases = std::env::var("QWI_CASES").map_or(1_000, |cases| cases.parse().expect("a number"));
    if let Err((why, program)) = search(seed, cases, Wrong::Nowhere) {
        panic!("QWI_SEED={seed}: {why}\nsmallest failing program: {program:#?}");
    }
}

/// A search that cannot find a fault shows nothing.
#[test]
fn each_wrong_model_is_caught() {
    for wrong in [
        Wrong::ReleaseEndsRetries,
        Wrong::RestartForgets,
        Wrong::FailureCompletes,
        Wrong::ResultsCount,
    ] {
        let found = search(common::seed(), 2_000, wrong);
        assert!(found.is_err(), "a wrong model was not caught");
    }
}
