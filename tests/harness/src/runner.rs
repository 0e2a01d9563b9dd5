//! Runs scenarios and keeps what became of each.

use std::time::{Duration, Instant};

use crate::{
    device::Transport,
    scenarios::{self, Context, Failure, Options, Scenario},
};

/// The verdict on one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Passed,
    /// It did not.
    Failed {
        /// What the scenario was doing.
        step: String,
        /// What was wrong.
        why: String,
    },
    /// It cannot be shown here, and why.
    Skipped(String),
}

/// One scenario's run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which.
    pub id: &'static str,
    /// Its verdict.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Scenarios whose name contains `filter`, in their order.
pub fn select(filter: Option<&str>) -> impl Iterator<Item = &'static Scenario> {
    scenarios::ALL
        .iter()
        .filter(move |scenario| filter.is_none_or(|filter| scenario.id.contains(filter)))
}

/// Runs one scenario.
pub fn run(transport: &dyn Transport, options: Options, scenario: &Scenario) -> Report {
    let context = Context::new(transport, options);
    let began = Instant::now();
    let outcome = match (scenario.run)(&context) {
        Ok(()) => Outcome::Passed,
        Err(Failure::Skipped(why)) => Outcome::Skipped(why),
        Err(failure) => Outcome::Failed {
            step: context.current_step(),
            why: failure.to_string(),
        },
    };
    Report {
        id: scenario.id,
        outcome,
        took: began.elapsed(),
    }
}
