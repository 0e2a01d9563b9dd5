//! `qwi-harness`: installs the driver, drives it by hand, and judges it.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(&arguments) {
        Ok(code) => code,
        Err(error) => cli::print::failure(&error),
    }
}
