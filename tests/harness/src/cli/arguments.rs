//! What can be asked.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use queued_work_item_ioctl::limits;

use crate::scenarios::number;

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
  11  a file that was asked for cannot be written

Results go to standard output, progress and errors to standard error. Where standard output is no terminal, tables are
Markdown; where standard error is none, there is no progress bar. The environment variable NO_COLOR turns colours off.";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    about = "Installs the QueuedWorkItem driver, drives it through its IOCTLs, and judges what it does"
)]
#[command(name = "qwi-harness", version, after_help = EXIT_CODES, arg_required_else_help = true)]
#[command(propagate_version = true, max_term_width = 110)]
pub struct Arguments {
    /// How long to wait for any one answer, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(super) timeout: Duration,

    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,

    /// Say more: what a test is doing when it fails, every status of a fuzz
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,

    /// The instance to speak to
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 0, value_parser = instance)]
    pub(super) instance: u32,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
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
        /// Buffers at most: more than `--buffers` come from a lookaside list
        #[arg(long, default_value_t = 0)]
        max_buffers: u32,
        /// Bytes of each buffer's context
        #[arg(long, default_value_t = 0)]
        context: u32,
        /// Count the clean-up of contexts before their buffers are used again
        #[arg(long)]
        reuse_cleanup: bool,
        /// Take the buffers from paged pool
        #[arg(long, conflicts_with = "threaded")]
        paged: bool,
        /// With a thread of its own, which `start` makes
        #[arg(long)]
        threaded: bool,
        /// The thread's priority [default: what system threads have]
        #[arg(long, requires = "threaded", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::PRIORITY)))]
        priority: Option<u32>,
        /// The thread begins nothing while an item is pended
        #[arg(long, requires = "threaded")]
        wait_for_pended: bool,
    },
    /// Make the thread of an instance that has one of its own
    Start,
    /// Drop what has not begun, and end the thread
    Stop,
    /// Complete a pended item
    Complete {
        /// The item's name
        #[arg(value_parser = number)]
        tag: u64,
        /// The NTSTATUS that it is completed with
        #[arg(long, value_parser = status, default_value = "0")]
        status: u32,
        /// In a DPC
        #[arg(long)]
        dpc: bool,
    },
    /// Enqueue an item
    Enqueue(Item),
    /// Enqueue an item and wait for its status
    Wait {
        #[command(flatten)]
        item: Item,
        /// Wait no longer than so many milliseconds; the item runs all the same
        #[arg(long = "for", value_name = "MILLISECONDS")]
        bound: Option<u32>,
    },
    /// Drop what has not begun; the instance stays open
    Cancel,
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
    Stats {
        /// Show them again every so many seconds, with what has changed, until Ctrl-C
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
        watch: Option<Duration>,
        /// Show them so many times
        #[arg(long, value_name = "TIMES", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show the execution log
    Log {
        /// The first run to show
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Go on with what runs from now on, until Ctrl-C
        #[arg(long)]
        follow: bool,
        /// Stop after so many runs
        #[arg(long, value_name = "RUNS")]
        limit: Option<u64>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
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
    Test(Test),
    /// Load the driver, from threads here or inside it, and judge every item
    Stress(Stress),
    /// Measure the queue inside the driver, beside the same work done by hand
    Bench {
        /// Samples of each series
        #[arg(long, default_value_t = limits::BENCHMARK_SAMPLES,
            value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCHMARK_SAMPLES)))]
        samples: u32,
        /// Write the figures and every sample as JSON (`-`: standard output)
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Write a page with the comparison and the distribution, which needs no other file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Send random and mutated requests; afterwards the driver must be usable and lack nothing
    Fuzz {
        /// Requests at most
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
        count: u64,
        /// Seconds at most
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        duration: Option<Duration>,
        #[command(flatten)]
        seed: Seed,
    },
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Only those whose name contains this; a whole name runs that one, however long it takes
    pub(super) filter: Option<String>,
    /// The name must be exactly that
    #[arg(long, requires = "filter")]
    pub(super) exact: bool,
    /// Also those that take minutes
    #[arg(long)]
    pub(super) long: bool,
    /// List them instead
    #[arg(long)]
    pub(super) list: bool,
    /// Write the verdicts as JSON (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the verdicts as `JUnit` XML (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(super) inf: Inf,
    #[command(flatten)]
    pub(super) seed: Seed,
}

#[derive(Debug, Args)]
pub(super) struct Stress {
    /// How items are enqueued
    #[arg(long, value_enum, default_value_t = Mode::Enqueue)]
    pub(super) mode: Mode,
    /// Load a queue with a thread of its own; inside the driver
    #[arg(long)]
    pub(super) threaded: bool,
    /// Producers
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::STRESS_PRODUCERS)))]
    pub(super) threads: u32,
    /// Items of each, at most [default: 10000; with --duration, as many as there can be]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::STRESS_ITEMS)))]
    pub(super) items: Option<u32>,
    /// Seconds at most
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) duration: Option<Duration>,
    /// The longest payload, in bytes; inside the driver all are so long
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=i64::from(limits::STRESS_PAYLOAD)))]
    pub(super) payload: u32,
    /// Buffers of the instance
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(super) buffers: u32,
    /// Write what came of it as JSON (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    #[command(flatten)]
    pub(super) seed: Seed,
}

/// Where a load comes from, and how it is enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Threads of this process, one by one
    Enqueue,
    /// Threads of this process, each item waited for
    Wait,
    /// Threads of this process, 64 items a request
    Batch,
    /// Threads of the driver, at `PASSIVE_LEVEL`
    Passive,
    /// Threads of the driver, at `DISPATCH_LEVEL` under a spin lock
    Dispatch,
    /// DPCs of the driver
    Dpc,
}

#[derive(Debug, Args)]
pub(super) struct Inf {
    /// The driver's INF [default: the one beside this exe]
    #[arg(long, value_name = "PATH", env = "QWI_INF")]
    pub(super) inf: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Seed {
    /// What the payloads are made from
    #[arg(long, value_name = "NUMBER", env = "QWI_SEED", value_parser = number, default_value = "0x51574931")]
    pub(super) seed: u64,
}

#[derive(Debug, Args)]
pub(super) struct Item {
    /// The payload, as text
    #[arg(default_value = "")]
    pub(super) payload: String,
    /// The payload is hexadecimal digits
    #[arg(long)]
    pub(super) hex: bool,
    /// The item's name in the log
    #[arg(long, value_parser = number, default_value = "0")]
    pub(super) tag: u64,
    /// The NTSTATUS that the callback sets, such as 0xC0000001
    #[arg(long, value_parser = status)]
    pub(super) status: Option<u32>,
    /// How long the callback works on it, in microseconds
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    pub(super) spend: u32,
    /// How often the callback enqueues the item again
    #[arg(long, default_value_t = 0)]
    pub(super) again: u32,
    /// Before all that has not begun; of an instance with a thread of its own
    #[arg(long)]
    pub(super) head: bool,
    /// Pend it, until `complete`; of an instance with a thread of its own
    #[arg(long)]
    pub(super) pend: bool,
    /// Do it so many times, counting the tag up
    #[arg(long, default_value_t = 1)]
    pub(super) count: u64,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|limit| !limit.is_zero() && limit.as_secs() <= 24 * 3600)
        .ok_or_else(|| "more than 0 and at most a day".to_owned())
}

fn instance(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|instance| *instance < limits::INSTANCES)
        .ok_or_else(|| format!("there are instances 0 to {}", limits::INSTANCES - 1))
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
