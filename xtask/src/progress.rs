//! What the user sees while something takes long: a spinner on a terminal, plain lines elsewhere.

use std::{
    env,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How progress is shown in this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// One line that changes.
    Spinner,
    /// A line at the beginning and one at the end of each step: logs, CI, verbose runs.
    Lines,
}

impl Progress {
    /// Chooses by where standard error goes. `verbose` output would tear a spinner apart, so it gets lines.
    pub(crate) fn new(verbose: bool) -> Self {
        let plain = verbose
            || !std::io::stderr().is_terminal()
            || is_set("CI")
            || is_set("NO_COLOR")
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            style: if plain { Style::Lines } else { Style::Spinner },
        }
    }

    /// Whether tools may colour what they print.
    pub(crate) fn colour(self) -> bool {
        self.style == Style::Spinner
    }

    /// Begins a step. It ends with [`Step::done`], or as failed when it is dropped.
    pub(crate) fn step(self, name: &str) -> Step {
        let bar = match self.style {
            Style::Spinner => {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(name.to_owned());
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            Style::Lines => None,
        };
        Step {
            name: name.to_owned(),
            begun: Instant::now(),
            bar,
            ended: false,
        }
    }
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// One step under way.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    begun: Instant,
    bar: Option<ProgressBar>,
    ended: bool,
}

impl Step {
    /// Says what is happening right now. Only a terminal shows it.
    pub(crate) fn status(&self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
        }
    }

    /// Prints a line that stays, above the spinner.
    pub(crate) fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Ends the step and says what came of it.
    pub(crate) fn done(mut self, result: &str) {
        self.ended = true;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.begun.elapsed().as_secs_f32();
        eprintln!("{}: {result} ({seconds:.1} s)", self.name);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!(
            "{}: failed after {:.1} s",
            self.name,
            self.begun.elapsed().as_secs_f32()
        );
    }
}
