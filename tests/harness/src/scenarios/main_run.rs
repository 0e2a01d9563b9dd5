//! The main scenario: what the driver is for, at once.
//!
//! Several threads, each with a handle of its own, enqueue distinct payloads; by turns a block of items is enqueued and
//! left, and a block is waited for. So the queue has depth while waiters' items run behind others', and the buffers are
//! few enough to be used many times over. A full queue is part of it: the thread flushes and enqueues again.
//!
//! A thread sends its next item only when the last request is complete. That alone fixes the order: requests that are
//! pending at once may reach a parallel WDF queue's handler in any order.

use std::{
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{Enqueue, StatisticsReply};

use super::{
    Context, Failure,
    context::{invariants, judged},
};
use crate::{
    Client, Error, NtStatus,
    client::CloseMode,
    ledger::{Expected, Ledger, Mismatch},
    payload::{self, ItemId},
};

/// Items that a thread enqueues before it waits for as many, one by one.
const BLOCK: u32 = 10;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Threads that enqueue.
    pub threads: u32,
    /// Items of each.
    pub items: u32,
    /// Buffers of the instance.
    pub buffers: u32,
    /// The longest payload, in bytes.
    pub longest: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            threads: 4,
            items: 2_500,
            buffers: 64,
            longest: 512,
        }
    }
}

/// What one thread did.
#[derive(Clone, Debug, Default)]
pub struct Producer {
    /// Items that the driver accepted, and what must be seen of them.
    pub accepted: Vec<Expected>,
    /// Of these, waited for.
    pub waited: u32,
    /// Refusals because every buffer was taken; each was tried again.
    pub full: u64,
    /// The shortest, and the longest wait.
    pub waits: Option<(Duration, Duration)>,
    /// Waiters that were told something else than their item's status.
    pub wrong_replies: Vec<Mismatch>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// By thread.
    pub producers: Vec<Producer>,
    /// From the first enqueue until everything had run.
    pub elapsed: Duration,
    /// The driver's counters at the end.
    pub counters: StatisticsReply,
    /// What is wrong, item by item.
    pub mismatches: Vec<Mismatch>,
}

impl Summary {
    /// Items accepted.
    #[must_use]
    pub fn items(&self) -> usize {
        self.producers
            .iter()
            .map(|producer| producer.accepted.len())
            .sum()
    }

    /// What the driver counted against what was sent, beyond single items.
    ///
    /// # Errors
    /// [`Failure::Wrong`], with the count that is off.
    pub fn counters_agree(&self) -> Result<(), Failure> {
        let items = self.items() as u64;
        let full: u64 = self.producers.iter().map(|producer| producer.full).sum();
        invariants(&self.counters)?;
        super::check_eq!(
            self.counters.accepted,
            items,
            "items that the driver counts as accepted"
        );
        super::check_eq!(
            self.counters.executed,
            items,
            "items that the driver counts as executed"
        );
        super::check_eq!(
            self.counters.cancelled,
            0,
            "items that the driver counts as cancelled"
        );
        super::check_eq!(
            self.counters.refused_full,
            full,
            "refusals that the driver counts as full"
        );
        Ok(())
    }
}

/// The scenario at its default size.
pub(super) fn main_scenario(context: &Context<'_>) -> Result<(), Failure> {
    let summary = run(context, Plan::default())?;
    context.step("judge the log and the waiters' replies");
    judged(&summary.mismatches)?;
    context.step("judge the counters");
    summary.counters_agree()
}

/// The scenario at any size. What is wrong with the items stands in the summary.
///
/// # Errors
/// What kept it from running to its end.
pub fn run(context: &Context<'_>, plan: Plan) -> Result<Summary, Failure> {
    let client = context.configured(plan.buffers, plan.longest)?;
    context.step(format!(
        "{} threads enqueue {} items each",
        plan.threads, plan.items
    ));
    let began = Instant::now();
    let producers = thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.threads)
            .map(|producer| scope.spawn(move || produce(context, plan, producer)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Failure::Wrong("a producer panicked".into())))
            })
            .collect::<Result<Vec<_>, _>>()
    })?;
    context.step("flush");
    client.flush()?;
    let elapsed = began.elapsed();

    context.step("read the execution log and the counters");
    let log = client.read_whole_log(0)?;
    let counters = client.statistics()?;
    context.step("close");
    client.close(CloseMode::Drain)?;

    let mut ledger = Ledger::new();
    for expected in producers.iter().flat_map(|producer| &producer.accepted) {
        ledger.accept(*expected);
    }
    let mut mismatches = ledger.judge(&log);
    mismatches.extend(
        producers
            .iter()
            .flat_map(|producer| producer.wrong_replies.iter().cloned()),
    );
    Ok(Summary {
        producers,
        elapsed,
        counters,
        mismatches,
    })
}

fn produce(context: &Context<'_>, plan: Plan, producer: u32) -> Result<Producer, Failure> {
    let client = context.open()?;
    let mut done = Producer::default();
    for index in 0..plan.items {
        let item = ItemId { producer, index };
        let payload = payload::distinct(context.options().seed, item, plan.longest as usize);
        let status = status_of(item);
        let mut request = Enqueue::new(0, item.tag());
        if let Some(status) = status {
            request = request.with_status(status.0);
        }
        let expected = Expected::new(item, &payload, status.unwrap_or(NtStatus::SUCCESS));
        let waits = index / BLOCK % 2 == 1;
        if waits {
            let (reply, took) = retry_when_full(&client, &mut done.full, || {
                let began = Instant::now();
                let reply = client.enqueue_and_wait(&request, &payload)?;
                Ok((reply, began.elapsed()))
            })
            .map_err(|error| at(item, error))?;
            done.waited += 1;
            let (shortest, longest) = done.waits.unwrap_or((took, took));
            done.waits = Some((shortest.min(took), longest.max(took)));
            done.wrong_replies.extend(Ledger::judge_reply(&expected, &reply));
        } else {
            retry_when_full(&client, &mut done.full, || client.enqueue(&request, &payload))
                .map_err(|error| at(item, error))?;
        }
        done.accepted.push(expected);
    }
    Ok(done)
}

/// Every eighth item sets none; the others set a status that no other item sets, of every severity in turn.
fn status_of(item: ItemId) -> Option<NtStatus> {
    const CUSTOMER: u32 = 1 << 29;
    (item.index % 8 != 7).then(|| {
        let severity = item.index % 4;
        NtStatus(severity << 30 | CUSTOMER | (item.producer & 0xFF) << 16 | item.index & 0xFFFF)
    })
}

/// Does it again after a flush for as long as every buffer is taken, within the client's time limit.
fn retry_when_full<T>(
    client: &Client,
    full: &mut u64,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(error)
                if error.refusal() == Some(NtStatus::INSUFFICIENT_RESOURCES)
                    && began.elapsed() < client.timeout() =>
            {
                *full += 1;
                client.flush()?;
            }
            other => return other,
        }
    }
}

fn at(item: ItemId, error: Error) -> Failure {
    Failure::Wrong(format!("{item}: {}", Failure::Error(error)))
}
