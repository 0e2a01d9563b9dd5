//! `qwi-harness`: installs the driver, drives it by hand, and judges it.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    #[cfg(windows)]
    if let Some(code) = queued_work_item_harness::windows::process::role() {
        return code;
    }
    let arguments = cli::Arguments::parse();
    match cli::run(&arguments) {
        Ok(code) => code,
        Err(error) => cli::print::failure(&error),
    }
}
