//! `qwi-harness`: installs the driver, drives it by hand, and judges it.

use std::process::ExitCode;

use clap::Parser;
use queued_work_item_harness::cli;

fn main() -> ExitCode {
    #[cfg(windows)]
    if let Some(code) = queued_work_item_harness::windows::process::role() {
        return code;
    }
    #[cfg(windows)]
    let system = queued_work_item_harness::windows::Here;
    #[cfg(not(windows))]
    let system = cli::Nowhere;
    cli::run(&cli::Arguments::parse(), &system)
}
