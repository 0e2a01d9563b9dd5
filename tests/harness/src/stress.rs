//! Load from threads of user mode, judged while it runs.
//!
//! The driver's log keeps only so many runs, so that a load of any length is judged as it goes: the calling thread reads
//! the log behind the producers, which wait when it falls behind. Nothing is kept of an item but its number, since its
//! payload can be made again from the seed.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{LogEntry, StatisticsReply, WaitReply, digest, limits};

use crate::{
    Client, Error, NtStatus,
    client::CloseMode,
    ledger::Mismatch,
    payload::{self, ItemId},
    scenarios::{Context, Failure, check_eq},
};

/// How a thread enqueues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One by one, without a wait.
    Enqueue,
    /// One by one, each waited for.
    Wait,
    /// [`BATCH`] at a time.
    Batch,
}

/// Items of a batch.
pub const BATCH: u32 = 64;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Threads that enqueue.
    pub threads: u32,
    /// Items of each, at most.
    pub items: u32,
    /// Time, at most.
    pub duration: Option<Duration>,
    /// The longest payload, in bytes.
    pub payload: u32,
    /// Buffers of the instance.
    pub buffers: u32,
    /// How they enqueue.
    pub mode: Mode,
}

/// What came of it, or has so far.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Items that the driver accepted.
    pub accepted: u64,
    /// Runs that were read in the log and judged.
    pub judged: u64,
    /// Refusals because every buffer was taken.
    pub full: u64,
    /// Since the first enqueue.
    pub elapsed: Duration,
    /// What is wrong, item by item; the first [`SHOWN`] of it.
    pub mismatches: Vec<Mismatch>,
    /// The driver's counters at the end.
    pub counters: StatisticsReply,
}

/// Mismatches that are kept.
pub const SHOWN: usize = 100;

/// Items that may be enqueued and not judged yet: what the log keeps, with room for a batch of every thread.
const AHEAD: u64 = limits::LOG_ENTRIES as u64 / 2;

/// What the threads share.
struct Shared {
    accepted: AtomicU64,
    full: AtomicU64,
    stop: AtomicBool,
    judged: Mutex<u64>,
    moved: Condvar,
}

impl Shared {
    /// Waits until the judge is near enough. `false`: it has given up.
    fn keep_pace(&self) -> bool {
        let judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let far = |judged: &mut u64| {
            !self.stop.load(Ordering::Acquire)
                && self.accepted.load(Ordering::Acquire).saturating_sub(*judged) > AHEAD
        };
        drop(
            self.moved
                .wait_while(judged, far)
                .unwrap_or_else(PoisonError::into_inner),
        );
        !self.stop.load(Ordering::Acquire)
    }

    fn judged(&self, count: u64) {
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = count;
        self.moved.notify_all();
    }

    fn give_up(&self) {
        self.stop.store(true, Ordering::Release);
        self.judged(u64::MAX);
    }
}

/// Runs it, judges every run, and closes the instance. What is wrong with items stands in the summary.
///
/// # Errors
/// What kept it from running to its end, and counters that are off.
pub fn run(
    context: &Context<'_>,
    plan: Plan,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, Failure> {
    let client = context.configured(plan.buffers, plan.payload)?;
    context.step(format!("{} threads enqueue, {:?}", plan.threads, plan.mode));
    let began = Instant::now();
    let shared = Shared {
        accepted: AtomicU64::new(0),
        full: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        judged: Mutex::new(0),
        moved: Condvar::new(),
    };
    let mut judge = Judge {
        seed: context.options().seed,
        longest: plan.payload as usize,
        // Of a batch each item is refused alone, and given up.
        gaps: plan.mode == Mode::Batch,
        next: vec![0; plan.threads as usize],
        cursor: 0,
        summary: Summary::default(),
    };
    thread::scope(|scope| {
        let producers: Vec<_> = (0..plan.threads)
            .map(|producer| {
                let shared = &shared;
                scope.spawn(move || produce(context, plan, producer, shared, began))
            })
            .collect();
        let mut all_sent = false;
        let judged = loop {
            let read = match judge.read(&client) {
                Ok(read) => read,
                Err(error) => break Err(Failure::Error(error)),
            };
            shared.judged(judge.summary.judged);
            let summary = &mut judge.summary;
            summary.accepted = shared.accepted.load(Ordering::Acquire);
            summary.full = shared.full.load(Ordering::Acquire);
            summary.elapsed = began.elapsed();
            progress(summary);
            if read > 0 {
                continue;
            }
            if all_sent {
                break Ok(());
            }
            if producers.iter().all(thread::ScopedJoinHandle::is_finished) {
                // What they enqueued last has run after this, and is read once more.
                all_sent = true;
                if let Err(error) = client.flush() {
                    break Err(Failure::Error(error));
                }
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        };
        if judged.is_err() {
            shared.give_up();
        }
        let produced = producers
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Failure::Wrong("a producer panicked".into())))
            })
            .collect::<Result<Vec<()>, Failure>>();
        judged.and(produced.map(drop))
    })?;

    context.step("read the counters, and close");
    let mut summary = judge.summary;
    summary.elapsed = began.elapsed();
    summary.counters = client.statistics()?;
    client.close(CloseMode::Drain)?;
    super::scenarios::invariants(&summary.counters)?;
    check_eq!(
        summary.judged,
        summary.accepted,
        "runs in the log, of the items accepted"
    );
    check_eq!(
        (summary.counters.accepted, summary.counters.executed),
        (summary.accepted, summary.accepted),
        "items that the driver counts as accepted and executed"
    );
    check_eq!(
        (summary.counters.cancelled, summary.counters.refused_full),
        (0, summary.full),
        "items that the driver counts as cancelled and refused"
    );
    Ok(summary)
}

/// Reads the log behind the producers.
struct Judge {
    seed: u64,
    longest: usize,
    gaps: bool,
    /// By producer.
    next: Vec<u32>,
    cursor: u64,
    summary: Summary,
}

impl Judge {
    /// Judges what is new; how many runs that was.
    fn read(&mut self, client: &Client) -> Result<usize, Error> {
        let page = client.read_log(self.cursor)?;
        self.cursor = page.next;
        if page.lost > 0 {
            self.wrong(Mismatch::Overwritten(page.lost));
        }
        for entry in &page.entries {
            self.judge(entry);
        }
        self.summary.judged += page.entries.len() as u64;
        Ok(page.entries.len())
    }

    fn judge(&mut self, entry: &LogEntry) {
        let item = ItemId::from_tag(entry.tag);
        let sequence = entry.sequence;
        let Some(next) = self.next.get_mut(item.producer as usize) else {
            return self.wrong(Mismatch::Unknown { item, sequence });
        };
        let due = *next;
        if item.index >= due {
            *next = item.index + 1;
        }
        if item.index < due {
            return self.wrong(Mismatch::Twice { item, sequence });
        }
        if item.index > due && !self.gaps {
            self.wrong(Mismatch::Lost(ItemId { index: due, ..item }));
        }
        let payload = payload::distinct(self.seed, item, self.longest);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if entry.length != length || entry.digest != digest(&payload) {
            self.wrong(Mismatch::Payload {
                item,
                length,
                seen: entry.length,
            });
        }
        if entry.status != status_of(item).0 {
            self.wrong(Mismatch::Status {
                item,
                expected: status_of(item),
                seen: NtStatus(entry.status),
            });
        }
        if entry.irql != 0 {
            self.wrong(Mismatch::Irql {
                item,
                irql: entry.irql,
            });
        }
    }

    fn wrong(&mut self, mismatch: Mismatch) {
        if self.summary.mismatches.len() < SHOWN {
            self.summary.mismatches.push(mismatch);
        }
    }
}

/// The status that an item's callback is told to set: every severity in turn.
fn status_of(item: ItemId) -> NtStatus {
    const CUSTOMER: u32 = 1 << 29;
    NtStatus((item.index % 4) << 30 | CUSTOMER | item.index & 0xFFFF)
}

fn produce(
    context: &Context<'_>,
    plan: Plan,
    producer: u32,
    shared: &Shared,
    began: Instant,
) -> Result<(), Failure> {
    let client = context.open()?;
    let step = if plan.mode == Mode::Batch { BATCH } else { 1 };
    let mut index = 0;
    while index < plan.items
        && plan.duration.is_none_or(|limit| began.elapsed() < limit)
        && shared.keep_pace()
    {
        let count = step.min(plan.items - index);
        let items: Vec<_> = (index..index + count)
            .map(|index| {
                let item = ItemId { producer, index };
                let payload = payload::distinct(context.options().seed, item, plan.payload as usize);
                (item, payload)
            })
            .collect();
        if let [(item, payload)] = items.as_slice() {
            one(&client, plan.mode, *item, payload, shared)?;
        } else {
            batch(&client, &items, shared)?;
        }
        index += count;
    }
    Ok(())
}

/// Enqueues one item, again after a flush for as long as every buffer is taken.
fn one(client: &Client, mode: Mode, item: ItemId, payload: &[u8], shared: &Shared) -> Result<(), Failure> {
    let status = status_of(item);
    let request = client.item(item.tag()).with_status(status.0);
    let began = Instant::now();
    loop {
        let sent = if mode == Mode::Wait {
            client.enqueue_and_wait(&request, payload).map(Some)
        } else {
            client.enqueue(&request, payload).map(|()| None)
        };
        match sent {
            Ok(reply) => {
                shared.accepted.fetch_add(1, Ordering::AcqRel);
                let due = WaitReply {
                    tag: item.tag(),
                    status: status.0,
                    outcome: WaitReply::RAN,
                };
                if let Some(reply) = reply {
                    check_eq!(reply, due, "the waiter of {item}");
                }
                return Ok(());
            }
            Err(error)
                if error.refusal() == Some(NtStatus::INSUFFICIENT_RESOURCES)
                    && began.elapsed() < client.timeout() =>
            {
                shared.full.fetch_add(1, Ordering::AcqRel);
                client.flush()?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn batch(client: &Client, items: &[(ItemId, Vec<u8>)], shared: &Shared) -> Result<(), Failure> {
    let requests: Vec<_> = items
        .iter()
        .map(|(item, payload)| {
            (
                client.item(item.tag()).with_status(status_of(*item).0),
                payload.as_slice(),
            )
        })
        .collect();
    let mut full = 0;
    for (status, (item, _)) in client.enqueue_batch(&requests)?.iter().zip(items) {
        match *status {
            NtStatus::SUCCESS => {
                shared.accepted.fetch_add(1, Ordering::AcqRel);
            }
            NtStatus::INSUFFICIENT_RESOURCES => full += 1,
            other => return Err(Failure::Wrong(format!("{item} of a batch: {other}"))),
        }
    }
    if full > 0 {
        shared.full.fetch_add(full, Ordering::AcqRel);
        client.flush()?;
    }
    Ok(())
}
