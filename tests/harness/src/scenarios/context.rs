//! What every scenario has at hand: handles, a time limit, and a place to say what it is doing.

use core::fmt;
use std::{
    env,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{StatisticsReply, limits};

use super::check_eq;
use crate::{
    Client, Error, NtStatus,
    client::{CloseMode, DEFAULT_TIMEOUT},
    device::{Access, Transport},
    ledger::{Ledger, Mismatch},
};

/// How long to leave the driver alone between two looks at a state that announces itself by no completion.
const POLL: Duration = Duration::from_millis(1);

/// What the user may choose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The limit of every single wait.
    pub timeout: Duration,
    /// What the payloads are made from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            seed: 0x5157_4931,
        }
    }
}

impl Options {
    /// The seed that the variable `QWI_SEED` gives, decimal or hexadecimal after `0x`; the usual one without it.
    ///
    /// # Errors
    /// That it is no number: a run that was to be repeated must not become another one.
    pub fn seed_from_environment() -> Result<u64, String> {
        match env::var("QWI_SEED") {
            Ok(text) => number(&text).map_err(|error| format!("QWI_SEED={text}: {error}")),
            Err(env::VarError::NotPresent) => Ok(Self::default().seed),
            Err(error) => Err(format!("QWI_SEED: {error}")),
        }
    }
}

/// A number as people write it, decimal or hexadecimal after `0x`.
///
/// # Errors
/// That it is none.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
    .map_err(|error| error.to_string())
}

/// Why a scenario did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What should have worked did not.
    Error(Error),
    /// It worked, and what came of it is wrong.
    Wrong(String),
    /// It cannot be shown on this transport, and why; no verdict.
    Skipped(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => {
                write!(f, "{error}")?;
                error.hint().map_or(Ok(()), |hint| write!(f, " ({hint})"))
            }
            Self::Wrong(what) | Self::Skipped(what) => f.write_str(what),
        }
    }
}

/// One scenario's surroundings.
pub struct Context<'a> {
    transport: &'a dyn Transport,
    options: Options,
    step: Step,
}

/// What a scenario is doing, for whoever watches it.
#[derive(Clone, Debug)]
pub struct Step(Arc<Mutex<String>>);

impl Step {
    /// What was said last.
    #[must_use]
    pub fn current(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<'a> Context<'a> {
    /// Surroundings for one run of one scenario.
    pub fn new(transport: &'a dyn Transport, options: Options) -> Self {
        Self {
            transport,
            options,
            step: Step(Arc::new(Mutex::new("begin".into()))),
        }
    }

    /// The way to the driver.
    pub const fn transport(&self) -> &'a dyn Transport {
        self.transport
    }

    /// The user's choices.
    pub const fn options(&self) -> Options {
        self.options
    }

    /// Says what comes next; a failure is reported with it.
    pub fn step(&self, what: impl Into<String>) {
        *self.step.0.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    /// What was said last.
    pub const fn said(&self) -> &Step {
        &self.step
    }

    /// A new handle.
    pub(crate) fn open(&self) -> Result<Client, Error> {
        Client::open(self.transport, Access::ReadWrite, self.options.timeout)
    }

    /// A handle, and no instance: what an earlier scenario left is dropped.
    pub(super) fn without_instance(&self) -> Result<Client, Error> {
        self.step("close what was left open");
        let client = self.open()?;
        unless_absent(client.release())?;
        unless_absent(client.close(CloseMode::Cancel).map(drop))?;
        Ok(client)
    }

    /// A handle, and none of the contract's instances.
    pub(super) fn without_any_instance(&self) -> Result<Client, Error> {
        let client = self.without_instance()?;
        for id in 1..limits::INSTANCES {
            let other = client.at(id);
            unless_absent(other.release())?;
            unless_absent(other.close(CloseMode::Cancel).map(drop))?;
        }
        Ok(client)
    }

    /// A handle, and none of the contract's tasks.
    pub(super) fn without_any_task(&self) -> Result<Client, Error> {
        self.step("close the tasks that were left");
        let client = self.open()?;
        for id in 0..limits::TASKS {
            let other = client.at(id);
            other.task_release()?;
            unless_absent(other.task_close().map(drop))?;
        }
        Ok(client)
    }

    /// A handle, and a new instance.
    pub(crate) fn configured(&self, buffer_count: u32, buffer_size: u32) -> Result<Client, Error> {
        let client = self.without_instance()?;
        self.step(format!("configure {buffer_count} buffers of {buffer_size} bytes"));
        client.configure(buffer_count, buffer_size)?;
        Ok(client)
    }

    /// Looks at the counters until `ready`. The driver completes no request when an item is accepted or begun: the
    /// counters are the only place where that shows.
    pub(super) fn statistics_until(
        &self,
        client: &Client,
        what: &str,
        ready: impl Fn(&StatisticsReply) -> bool,
    ) -> Result<StatisticsReply, Failure> {
        self.step(format!("look at the counters until {what}"));
        let began = Instant::now();
        loop {
            let counters = client.statistics()?;
            if ready(&counters) {
                return Ok(counters);
            }
            if began.elapsed() > self.options.timeout {
                return Err(Failure::Wrong(format!(
                    "not within {:?}: {counters:?}",
                    self.options.timeout
                )));
            }
            thread::sleep(POLL);
        }
    }

    /// The end of most scenarios: everything runs, the log and the ledger agree, the counters hold what must always
    /// hold, and the instance closes.
    pub(super) fn settle(&self, client: &Client, ledger: &Ledger) -> Result<(), Failure> {
        self.step("flush");
        client.flush()?;
        self.step("read the execution log");
        let log = client.read_whole_log(0)?;
        judged(&ledger.judge(&log))?;
        self.step("read the counters");
        let counters = client.statistics()?;
        invariants(&counters)?;
        check_eq!(counters.queued, 0, "items queued after a flush");
        check_eq!(counters.executed, ledger.len() as u64, "items executed");
        check_eq!(counters.accepted, ledger.len() as u64, "items accepted");
        self.step("close");
        check_eq!(
            client.close(CloseMode::Drain)?.cancelled,
            0,
            "items dropped by a close of an empty queue"
        );
        Ok(())
    }
}

/// What the counters must say at any time.
pub(crate) fn invariants(counters: &StatisticsReply) -> Result<(), Failure> {
    check_eq!(counters.overlaps, 0, "callbacks that found another one running");
    check_eq!(counters.above_passive, 0, "callbacks above PASSIVE_LEVEL");
    check_eq!(
        counters.stale_contexts,
        0,
        "contexts that showed what an earlier run left"
    );
    Ok(())
}

/// Fails with the first mismatches, each of which names its item.
pub(super) fn judged(wrong: &[Mismatch]) -> Result<(), Failure> {
    const SHOWN: usize = 5;
    if wrong.is_empty() {
        return Ok(());
    }
    let mut parts: Vec<_> = wrong.iter().take(SHOWN).map(ToString::to_string).collect();
    if wrong.len() > SHOWN {
        parts.push(format!("and {} more", wrong.len() - SHOWN));
    }
    Err(Failure::Wrong(parts.join("; ")))
}

/// Fails unless the driver refused with exactly this status.
pub(super) fn refused<T: fmt::Debug>(
    got: Result<T, Error>,
    status: NtStatus,
    what: &str,
) -> Result<(), Failure> {
    match got {
        Err(Error::Refused { status: seen, .. }) if seen == status => Ok(()),
        Err(Error::Refused { status: seen, .. }) => Err(Failure::Wrong(format!(
            "{what}: refused with {seen}, expected {status}"
        ))),
        Err(error) => Err(error.into()),
        Ok(reply) => Err(Failure::Wrong(format!(
            "{what}: accepted ({reply:?}), expected {status}"
        ))),
    }
}

fn unless_absent(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.refusal() == Some(NtStatus::DEVICE_NOT_READY) => Ok(()),
        other => other,
    }
}
