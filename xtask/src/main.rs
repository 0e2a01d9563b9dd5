//! The Linux front door: every chore of a developer without Windows is one `cargo xtask` command.
//!
//! Windows developers use `cargo make` with Microsoft's kits; nothing here is involved in that build.

#[cfg(test)]
mod acceptance;
mod bench;
mod budget;
mod build;
mod count;
mod emulate;
mod fuzz;
mod identity;
mod imports;
mod inf;
mod kits;
mod lint;
mod package;
mod packages;
#[cfg(test)]
mod pages;
mod patch;
mod paths;
mod pe;
mod process;
mod progress;
mod sanitize;
mod setup;
mod shadow;
mod stamp;
mod test;
mod toolchain;
mod wine;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::{paths::Paths, progress::Progress};

/// Build, run and test the Windows driver on Linux.
///
/// The driver is a KMDF `.sys` made with Microsoft's `windows-drivers-rs` crates. Here it is compiled against a
/// stand-in for the Windows Driver Kit and loaded by Wine, whose NT kernel is enough for a driver without hardware;
/// `wdfldr.sys` from `linux/wdfldr` is the KMDF that it binds to. The bytes of the `.sys` do not depend on this:
/// the same file is meant for Windows.
///
/// All state lives in one folder, `target/linux`, or the one that the environment variable `QWI_LINUX_DIR` names.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct GlobalArgs {
    /// Show the output of every tool that runs, and more detail of every check
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Install what this machine lacks (Debian packages or Rust targets) and build the stand-in for the WDK
    Setup,
    /// Build the driver, the KMDF runtime for Wine, the harness and the INF into one folder
    Build(build::Options),
    /// Make the package for a Windows test machine: the driver, its INF and catalog, signed, and the harness
    Package(package::Options),
    /// Set up, build, install the driver from its INF in Wine, run the main scenario, and remove the driver
    Run(wine::RunOptions),
    /// Run every test: formatting, lints, host tests, documentation, the Windows build, and the driver in Wine
    Test(test::Options),
    /// Measure the queue on the host backend, next to its alternatives: one table, then criterion's distributions
    Bench(bench::Options),
    /// Run the library's host tests under sanitizers, valgrind or Miri
    Sanitize(sanitize::Options),
    /// Fuzz the code that answers requests, on the host, from the committed corpus
    Fuzz(fuzz::Options),
    /// Run the harness in Wine; the driver is installed for it and removed afterwards
    Harness(wine::HarnessOptions),
    /// Open a shell with Wine running, for debugging
    Shell(wine::ShellOptions),
    /// Print the kernel log (`DbgPrint`) of the last session of Wine
    Log(wine::LogOptions),
    /// Delete the Wine prefix; the next command makes it anew
    CleanPrefix,
    /// Delete everything that the other commands made
    Clean,
}

/// What every command is handed.
#[derive(Debug)]
struct Context {
    paths: Paths,
    progress: Progress,
    verbose: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let context = Context {
        paths: Paths::find()?,
        progress: Progress::new(cli.global.verbose),
        verbose: cli.global.verbose,
    };
    match &cli.command {
        Command::Setup => setup::run(&context),
        Command::Build(options) => build::run(&context, options),
        Command::Package(options) => package::run(&context, options),
        Command::Run(options) => wine::run(&context, options),
        Command::Test(options) => {
            let passed = test::run(&context, options)?;
            return Ok(if passed {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Command::Bench(options) => bench::run(&context, options),
        Command::Sanitize(options) => sanitize::run(&context, options),
        Command::Fuzz(options) => fuzz::run(&context, options),
        Command::Harness(options) => return wine::harness(&context, options),
        Command::Shell(options) => return wine::shell(&context, options),
        Command::Log(options) => wine::log(&context, options),
        Command::CleanPrefix => wine::clean_prefix(&context),
        Command::Clean => clean(&context),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn clean(context: &Context) -> Result<()> {
    // A Windows that still runs would write its registry back into the folder.
    if context.paths.prefix().exists() {
        wine::clean_prefix(context)?;
    }
    let step = context.progress.step("clean");
    context.paths.delete_all()?;
    step.done(&format!(
        "removed {}",
        context.paths.shown(context.paths.linux_dir())
    ));
    Ok(())
}
