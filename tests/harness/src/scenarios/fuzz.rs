//! Requests that nobody would send, and what must be true afterwards.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use queued_work_item_ioctl::limits;

use super::{Context, Failure, check, context::invariants, whole::nothing_is_missing};
use crate::{
    Client, NtStatus,
    device::Request,
    fuzz::{Fuzzed, Generator, judge},
};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests at most.
    pub requests: u64,
    /// Time at most.
    pub duration: Option<Duration>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Requests sent.
    pub sent: u64,
    /// Handles that were closed, with what was pending on them.
    pub handles: u64,
    /// Requests that had to be cancelled.
    pub cancelled: u64,
    /// Answers by status.
    pub statuses: BTreeMap<NtStatus, u64>,
}

/// Requests that are left pending before the oldest is cancelled.
const PENDING: usize = 24;

/// Requests through one handle, on average.
const PER_HANDLE: u32 = 300;

/// Requests between two looks at the counters.
const STRIDE: u64 = 500;

pub(super) fn w24_fuzz(context: &Context<'_>) -> Result<(), Failure> {
    let plan = Plan {
        requests: 5_000,
        duration: None,
    };
    run(context, plan, &mut |_| {}).map(drop)
}

pub(super) fn w24_fuzz_long(context: &Context<'_>) -> Result<(), Failure> {
    let plan = Plan {
        requests: 100_000,
        duration: None,
    };
    run(context, plan, &mut |_| {}).map(drop)
}

/// Sends them, judges each answer, and at the end whether the driver is usable and lacks nothing.
///
/// # Errors
/// What is wrong; the step says how many requests of the seed it takes.
pub fn run(
    context: &Context<'_>,
    plan: Plan,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, Failure> {
    let seed = context.options().seed;
    drop(context.without_any_instance()?);
    drop(context.without_any_task()?);
    let mut generator = Generator::new(seed);
    let mut flight = Flight {
        context,
        pending: VecDeque::new(),
        summary: Summary::default(),
    };
    let mut handle = context.open()?;
    let began = Instant::now();
    while flight.summary.sent < plan.requests && plan.duration.is_none_or(|limit| began.elapsed() < limit) {
        let request = generator.request();
        context.step(format!("request {} of seed {seed:#x}", flight.summary.sent));
        flight.send(&handle, request)?;
        if generator.below(PER_HANDLE) == 0 {
            // Closed under what is pending.
            handle = context.open()?;
            flight.summary.handles += 1;
        }
        if flight.summary.sent.is_multiple_of(STRIDE) {
            for id in 0..limits::INSTANCES {
                invariants(&handle.at(id).statistics()?)?;
            }
            progress(&flight.summary);
        }
    }
    context.step(format!(
        "end what is pending after {} requests",
        flight.summary.sent
    ));
    while !flight.pending.is_empty() {
        flight.end_oldest()?;
    }
    drop(handle);
    for id in 0..limits::INSTANCES {
        let client = context.open()?.at(id);
        // Not always configured.
        let closed = client
            .release()
            .and_then(|()| client.close(crate::client::CloseMode::Cancel));
        if let Err(error) = closed
            && error.refusal() != Some(NtStatus::DEVICE_NOT_READY)
        {
            return Err(error.into());
        }
        let counters = client.statistics()?;
        invariants(&counters)?;
        check!(
            counters.accepted == counters.executed + counters.cancelled && counters.queued == 0,
            "items of instance {id} are missing: {counters:?}"
        );
    }
    drop(context.without_any_task()?);
    for id in 0..limits::TASKS {
        let seen = context.open()?.at(id).task_statistics()?;
        check!(
            seen.overlaps == 0 && seen.above_passive == 0 && seen.causes.iter().sum::<u64>() == seen.runs,
            "runs of task {id} are wrong: {seen:?}"
        );
    }
    progress(&flight.summary);
    nothing_is_missing(context)?;
    Ok(flight.summary)
}

/// What is pending.
struct Flight<'a, 'b> {
    context: &'a Context<'b>,
    pending: VecDeque<(Fuzzed, Box<dyn Request>)>,
    summary: Summary,
}

impl Flight<'_, '_> {
    fn send(&mut self, handle: &Client, request: Fuzzed) -> Result<(), Failure> {
        let sent = handle.submit(request.code, &request.input, request.output)?;
        self.summary.sent += 1;
        self.pending.push_back((request, sent));
        if self.pending.len() > PENDING {
            self.end_oldest()?;
        }
        Ok(())
    }

    /// Whatever a request waits for, its cancellation ends it.
    fn end_oldest(&mut self) -> Result<(), Failure> {
        let Some((request, mut sent)) = self.pending.pop_front() else {
            return Ok(());
        };
        let answer = if let Some(answer) = sent.wait(Duration::ZERO)? {
            answer
        } else {
            sent.cancel()?;
            self.summary.cancelled += 1;
            let timeout = self.context.options().timeout;
            sent.wait(timeout)?.ok_or_else(|| {
                Failure::Wrong(format!(
                    "not answered within {timeout:?} of its cancellation: {request:?}"
                ))
            })?
        };
        *self.summary.statuses.entry(answer.status).or_default() += 1;
        match judge(&request, &answer) {
            None => Ok(()),
            Some(wrong) => Err(Failure::Wrong(wrong)),
        }
    }
}
