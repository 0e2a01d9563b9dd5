//! What is said, in colour where someone looks.

use std::process::ExitCode;

use crate::Error;
use anstyle::{AnsiColor, Style};

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const NOTE: Style = AnsiColor::Yellow.on_default();

/// Says why it failed and what to do about it, and gives the exit code.
pub(super) fn failure(error: &Error) -> ExitCode {
    anstream::eprintln!("{BAD}error{BAD:#}: {error}");
    if let Some(hint) = error.hint() {
        anstream::eprintln!(" {NOTE}hint{NOTE:#}: {hint}");
    }
    ExitCode::from(error.exit_code())
}
