//! Runs scenarios and keeps what became of each.

use std::{
    process,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use crate::{
    device::Transport,
    scenarios::{self, Context, Failure, Options, Scenario, Step},
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
    let _watchdog = Watchdog::start(scenario.id, context.said().clone(), options);
    let began = Instant::now();
    let outcome = match (scenario.run)(&context) {
        Ok(()) => Outcome::Passed,
        Err(Failure::Skipped(why)) => Outcome::Skipped(why),
        Err(failure) => Outcome::Failed {
            step: context.said().current(),
            why: failure.to_string(),
        },
    };
    Report {
        id: scenario.id,
        outcome,
        took: began.elapsed(),
    }
}

/// Ends the process when a scenario hangs where no wait of ours can be bounded: in opening or closing a handle, which the
/// system does not give back before the driver does.
#[derive(Debug)]
pub struct Watchdog {
    /// Dropping it calls the watchdog off.
    _off: Sender<()>,
}

impl Watchdog {
    /// Waits, whose limit is [`Options::timeout`] each, that a scenario may use up one after another.
    const WAITS: u32 = 10;

    /// The exit code: the driver did not answer in time.
    const EXIT_CODE: i32 = 6;

    /// Watches from now on until it is dropped.
    pub fn start(id: &'static str, step: Step, options: Options) -> Self {
        let limit = options.timeout * Self::WAITS;
        let (off, watched) = mpsc::channel();
        thread::spawn(move || {
            if watched.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                anstream::eprintln!(
                    "{id} has not ended within {} s; it is at: {}",
                    limit.as_secs(),
                    step.current()
                );
                process::exit(Self::EXIT_CODE);
            }
        });
        Self { _off: off }
    }
}
