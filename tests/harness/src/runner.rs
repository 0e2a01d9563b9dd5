//! Runs scenarios and keeps what became of each.

use std::{
    process,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use crate::{
    device::Transport,
    scenarios::{self, Context, Failure, Need, Options, Scenario, Step},
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
    /// What it does and what must come of it.
    pub title: &'static str,
    /// Its verdict.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Which scenarios are meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Only those whose name contains this.
    pub filter: Option<&'a str>,
    /// The name is exactly that.
    pub exact: bool,
    /// Also those that take minutes, which otherwise only an exact name selects.
    pub long: bool,
}

/// The scenarios that are meant, in their order.
pub fn select(selection: Selection<'_>) -> impl Iterator<Item = &'static Scenario> {
    let Selection { filter, exact, long } = selection;
    scenarios::ALL.iter().filter(move |scenario| match filter {
        Some(name) if exact || scenario.id == name => scenario.id == name,
        filter => {
            filter.is_none_or(|part| scenario.id.contains(part)) && (long || !scenario.needs(Need::Time))
        }
    })
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
        title: scenario.title,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selection: Selection<'_>) -> Vec<&'static str> {
        select(selection).map(|scenario| scenario.id).collect()
    }

    fn part(filter: &str) -> Selection<'_> {
        Selection {
            filter: Some(filter),
            ..Selection::default()
        }
    }

    #[test]
    fn scenarios_are_selected_by_a_part_of_their_name_or_by_all_of_it() {
        assert!(names(part("w24")).len() > 5);
        // Nothing stands between a name and its scenario, even where it is a part of another name, or takes minutes.
        for filter in ["w24_fuzz", "w24_fuzz_long", "w09_one_buffer_a_thousand_waits"] {
            assert!(names(part(filter)).contains(&filter), "{filter}");
        }
        let exact = Selection {
            exact: true,
            ..part("w24_fuzz")
        };
        assert_eq!(names(exact), ["w24_fuzz"]);
        assert!(
            names(Selection {
                filter: Some("w24"),
                exact: true,
                long: true
            })
            .is_empty()
        );
    }

    #[test]
    fn what_takes_minutes_runs_only_when_asked_for() {
        let usual = names(Selection::default());
        let all = names(Selection {
            long: true,
            ..Selection::default()
        });
        assert!(!usual.contains(&"w24_fuzz_long"));
        assert_eq!(all.len(), scenarios::ALL.len());
    }
}
