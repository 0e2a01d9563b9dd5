//! `cargo xtask bench`: what the queue costs on this machine.

use std::{env, process::Command};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::Context;

/// Options of `bench`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Fewer rounds: less than a minute, and figures to be taken with a grain of salt
    #[arg(long)]
    quick: bool,
    /// Only the table of ratios, without criterion's distributions
    #[arg(long)]
    ratios_only: bool,
}

/// Runs the benches on the host backend. Their tables go to standard output as they are made.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let benches: &[&str] = if options.ratios_only {
        &["ratios"]
    } else {
        &["ratios", "speed"]
    };
    for bench in benches {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args([
                "bench",
                "--locked",
                "--package",
                "queued-work-item-bench",
                "--bench",
                bench,
            ])
            .current_dir(context.paths.root());
        if options.quick {
            command.args(["--", "--quick"]);
        }
        let status = command.status().context("cannot run cargo")?;
        ensure!(status.success(), "the bench `{bench}` failed ({status})");
    }
    Ok(())
}
