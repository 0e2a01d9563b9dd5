//! What can be asked.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes:
   0  done; every test passed
   1  a test failed, or the run found an item that is wrong
   2  the command line makes no sense
   3  the driver is not installed, or its device not started
   4  the driver refused; its NTSTATUS is printed
   5  access denied: the process is not elevated
   6  the driver did not answer in time
   7  driver and harness speak different versions of the contract
   8  Windows refused, or did not do what it reported
   9  not possible here
  10  done, but Windows wants a restart

The environment variable NO_COLOR turns colours off.";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    about = "Installs the QueuedWorkItem driver, drives it through its IOCTLs, and judges what it does"
)]
#[command(name = "qwi-harness", version, after_help = EXIT_CODES, arg_required_else_help = true)]
#[command(propagate_version = true, max_term_width = 110)]
pub(crate) struct Arguments {
    /// How long to wait for any one answer, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install the driver from its INF, replacing one that is there (elevated)
    Install(Inf),
    /// Remove device, service and published INF; fine if nothing is there (elevated)
    Uninstall,
    /// Say what is installed, whether it answers, and what its instance holds
    Status,

    /// Create the instance
    Configure {
        /// Preallocated buffers; the running item holds one
        #[arg(long, default_value_t = 64)]
        buffers: u32,
        /// The longest payload, in bytes
        #[arg(long, default_value_t = 512)]
        size: u32,
    },
    /// Enqueue an item
    Enqueue(Item),
    /// Enqueue an item and wait for its status
    Wait(Item),
    /// Wait until everything enqueued so far has run
    Flush,
    /// Close the instance: run what is queued, or drop it
    Close {
        /// Drop what has not begun
        #[arg(long)]
        cancel: bool,
    },
    /// Hold the callback before its next item, until Enter, `release`, or the time is up
    Gate {
        /// How long to hold it, in seconds; without it, until Enter
        #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
        hold: Option<Duration>,
    },
    /// Open the gate, whoever closed it
    Release,
    /// Show the instance's counters
    Stats,
    /// Show the execution log
    Log {
        /// The first run to show
        #[arg(long, default_value_t = 0)]
        from: u64,
    },

    /// Run the main scenario and judge every item
    Run {
        /// Threads that enqueue
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
        threads: u32,
        /// Items of each thread
        #[arg(long, default_value_t = 2_500, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        items: u32,
        /// Buffers of the instance
        #[arg(long, default_value_t = 64)]
        buffers: u32,
        /// The longest payload, in bytes
        #[arg(long, default_value_t = 512)]
        size: u32,
        #[command(flatten)]
        seed: Seed,
    },
    /// Run the acceptance scenarios and judge each
    Test {
        /// Only those whose name contains this
        filter: Option<String>,
        /// List them instead
        #[arg(long)]
        list: bool,
        #[command(flatten)]
        inf: Inf,
        #[command(flatten)]
        seed: Seed,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Inf {
    /// The driver's INF [default: the one beside this exe]
    #[arg(long, value_name = "PATH", env = "QWI_INF")]
    pub(crate) inf: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// What the payloads are made from
    #[arg(long, value_name = "NUMBER", value_parser = number, default_value = "0x51574931")]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Item {
    /// The payload, as text
    #[arg(default_value = "")]
    pub(crate) payload: String,
    /// The payload is hexadecimal digits
    #[arg(long)]
    pub(crate) hex: bool,
    /// The item's name in the log
    #[arg(long, value_parser = number, default_value = "0")]
    pub(crate) tag: u64,
    /// The NTSTATUS that the callback sets, such as 0xC0000001
    #[arg(long, value_parser = status)]
    pub(crate) status: Option<u32>,
    /// How long the callback works on it, in microseconds
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    pub(crate) spend: u32,
    /// Do it so many times, counting the tag up
    #[arg(long, default_value_t = 1)]
    pub(crate) count: u64,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|limit| !limit.is_zero() && limit.as_secs() <= 24 * 3600)
        .ok_or_else(|| "more than 0 and at most a day".to_owned())
}

fn number(text: &str) -> Result<u64, String> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
    .map_err(|error| error.to_string())
}

fn status(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?).map_err(|_| "an NTSTATUS has 32 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
