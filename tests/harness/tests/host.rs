//! Every scenario over the code that the driver runs, in memory, one test each; and over ways to it that are faulty or
//! lie, where it must fail.
//!
//! The first finds faults of the scenarios and of the request-handling code without a kernel. The others show that a
//! verdict is one: the main scenario names the item that a fault befell, and every scenario sees through a lie.

#[path = "host/faulty.rs"]
mod faulty;
#[path = "host/liar.rs"]
mod liar;
#[path = "host/memory.rs"]
mod memory;

use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use queued_work_item_harness::{
    runner::{self, Outcome},
    scenarios::{ALL, Options, Scenario},
};

use self::{
    faulty::{FAULTS, Fault, Faulty},
    liar::{Liar, Lie},
    memory::Memory,
};

fn main() {
    let scenarios = ALL
        .iter()
        .map(|scenario| Trial::test(scenario.id, move || passes(scenario)));
    let faults = FAULTS.iter().map(|fault| {
        Trial::test(
            format!("main_scenario_names_the_item::{}", fault.name),
            move || is_caught(fault),
        )
    });
    let lies = ALL.iter().flat_map(|scenario| {
        Lie::caught_by(scenario.id).into_iter().map(move |lie| {
            Trial::test(format!("{}::fails_when::{lie:?}", scenario.id), move || {
                sees_through(scenario, lie)
            })
        })
    });
    libtest_mimic::run(
        &Arguments::from_args(),
        scenarios.chain(faults).chain(lies).collect(),
    )
    .exit();
}

fn passes(scenario: &Scenario) -> Result<(), Failed> {
    let seed = Options::seed_from_environment()?;
    let options = Options {
        seed,
        ..Options::default()
    };
    match runner::run(&Memory::new(), options, scenario).outcome {
        Outcome::Passed => Ok(()),
        Outcome::Skipped(why) => Err(format!("nothing is skipped on the host: {why}").into()),
        Outcome::Failed { step, why } => Err(format!("QWI_SEED={seed:#x}, at: {step}\n{why}").into()),
    }
}

fn is_caught(fault: &'static Fault) -> Result<(), Failed> {
    let main = ALL
        .iter()
        .find(|scenario| scenario.id == "main_scenario")
        .ok_or("no main scenario")?;
    let options = Options {
        // One of the faults is an answer that never comes.
        timeout: Duration::from_secs(5),
        ..Options::default()
    };
    match runner::run(&Faulty::new(Memory::new(), fault), options, main).outcome {
        Outcome::Failed { why, .. } if fault.verdict.iter().all(|words| why.contains(words)) => Ok(()),
        Outcome::Failed { why, .. } => Err(format!("the verdict lacks {:?}: {why}", fault.verdict).into()),
        other => Err(format!("{}: the scenario ended with {other:?}", fault.name).into()),
    }
}

fn sees_through(scenario: &Scenario, lie: Lie) -> Result<(), Failed> {
    let options = Options {
        timeout: Duration::from_secs(5),
        ..Options::default()
    };
    let liar = Liar {
        inner: Memory::new(),
        lie,
    };
    match runner::run(&liar, options, scenario).outcome {
        Outcome::Failed { .. } => Ok(()),
        other => Err(format!("the scenario ended with {other:?}").into()),
    }
}
