//! A load made inside the driver: parallel producers, at `PASSIVE_LEVEL` or at `DISPATCH_LEVEL`, and a callback that
//! checks what it is given.
//!
//! Through IOCTLs alone producers would come one after the other where a system dispatches requests serially, and never
//! above `PASSIVE_LEVEL`.

use alloc::vec::Vec;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use core::time::Duration;

use queued_work_item::kernel::{Event, EventKind, Irql, Shared, SpinLock, current_irql, performance_counter};
use queued_work_item::{
    Close, Completion, Config, EnqueueErrorKind, Item, Outcome, Passive, PossibleDeadlock, QueuedWorkItem,
};
use queued_work_item_ioctl::{STATUS_INSUFFICIENT_RESOURCES, StressReply, limits};

use crate::Platform;
use crate::record::read;

/// What to do, within its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) producers: u32,
    pub(crate) items: u32,
    pub(crate) payload: u32,
    pub(crate) buffer_count: u32,
    /// At `DISPATCH_LEVEL`, or at `PASSIVE_LEVEL`.
    pub(crate) under_lock: bool,
}

impl Plan {
    /// What it holds of the bound that all instances share.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.buffer_count) * u64::from(self.payload)
    }
}

/// Items between two looks whether to go on.
const STRIDE: u32 = 64;

/// How long a producer waits for a buffer before it looks whether to go on.
const PATIENCE: Duration = Duration::from_millis(20);

/// What producers, callback and completions count.
struct Tally {
    accepted: AtomicU64,
    executed: AtomicU64,
    completed: AtomicU64,
    cancelled: AtomicU64,
    refused_full: AtomicU64,
    refused_other: AtomicU64,
    order_errors: AtomicU64,
    payload_errors: AtomicU64,
    overlaps: AtomicU64,
    above_passive: AtomicU64,
    enqueue_irql: AtomicU32,
    running: AtomicBool,
    /// A producer wants to know when a buffer has come home; an event set for each item would cost more than the items.
    wanted: AtomicBool,
    /// Set by the next completion then.
    room: Event,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

struct Ended(Shared<Tally>);

impl Completion for Ended {
    fn complete(self, outcome: Outcome) {
        add(match outcome {
            Outcome::Ran(_) => &self.0.completed,
            Outcome::Cancelled => &self.0.cancelled,
        });
        if self.0.wanted.swap(false, AcqRel) {
            self.0.room.set();
        }
    }
}

type Queue = QueuedWorkItem<[u8], Ended>;

/// Writes the payload of a producer's item.
fn write(payload: &mut [u8], producer: u32, sequence: u32) {
    payload.fill(producer.wrapping_mul(31).wrapping_add(sequence).to_le_bytes()[0]);
    if let Some((head, _)) = payload.split_first_chunk_mut() {
        *head = producer.to_le_bytes();
    }
    if let Some(place) = payload.get_mut(4..8) {
        place.copy_from_slice(&sequence.to_le_bytes());
    }
}

/// Whose item it is, and which; `None` when it is not as [`write`] leaves it.
fn check(payload: &[u8]) -> Option<(u32, u32)> {
    let (producer, rest) = payload.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (producer, sequence) = (u32::from_le_bytes(*producer), u32::from_le_bytes(*sequence));
    let fill = producer.wrapping_mul(31).wrapping_add(sequence).to_le_bytes()[0];
    rest.iter()
        .all(|byte| *byte == fill)
        .then_some((producer, sequence))
}

/// What the callback expects of each producer: its next sequence number.
struct Checker {
    tally: Shared<Tally>,
    next: Vec<u32>,
    length: usize,
}

impl Checker {
    fn run(&mut self, payload: &[u8]) {
        if self.tally.running.swap(true, AcqRel) {
            add(&self.tally.overlaps);
        }
        if current_irql() > Irql::PASSIVE {
            add(&self.tally.above_passive);
        }
        match check(payload) {
            Some((producer, sequence)) if payload.len() == self.length => {
                match self.next.get_mut(producer as usize) {
                    Some(next) if *next == sequence => *next += 1,
                    Some(next) => {
                        add(&self.tally.order_errors);
                        *next = sequence.wrapping_add(1);
                    }
                    None => add(&self.tally.payload_errors),
                }
            }
            _ => add(&self.tally.payload_errors),
        }
        add(&self.tally.executed);
        self.tally.running.store(false, Release);
    }
}

/// One producer's share. `stop` says whether to end early.
fn produce(
    plan: &Plan,
    producer: u32,
    queue: &Queue,
    tally: &Shared<Tally>,
    stop: &(dyn Fn() -> bool + Sync),
    passive: &mut Passive,
) {
    let lock = SpinLock::new(());
    let mut place = [0; limits::STRESS_PAYLOAD as usize];
    let payload = place.get_mut(..plan.payload as usize).unwrap_or_default();
    for sequence in 0..plan.items {
        if sequence % STRIDE == 0 && stop() {
            return;
        }
        write(payload, producer, sequence);
        let mut cleared = false;
        loop {
            let ended = Ended(tally.clone());
            let enqueued = {
                let _guard = plan.under_lock.then(|| lock.lock_from_passive(passive));
                tally.enqueue_irql.fetch_max(u32::from(current_irql().0), Relaxed);
                queue.enqueue_with(payload, ended)
            };
            match enqueued.map_err(|error| error.kind()) {
                Ok(()) => break,
                Err(EnqueueErrorKind::Full) => add(&tally.refused_full),
                Err(_) => return add(&tally.refused_other),
            }
            if stop() {
                return;
            }
            // Tried once more between the asking and the wait: an item that ends after the asking sets the event, and
            // as long as the queue is full, there is one. The bound is for `stop`, which sets nothing, and for a
            // producer whose event another one clears.
            if cleared {
                let _room: bool = tally.room.wait_timeout(passive, PATIENCE);
            } else {
                tally.room.clear();
                tally.wanted.store(true, Release);
            }
            cleared = !cleared;
        }
        add(&tally.accepted);
    }
}

/// Does it, with threads of the platform. Blocks until the last callback has run.
pub(crate) fn run<P: Platform>(
    platform: &P,
    plan: &Plan,
    stop: &(dyn Fn() -> bool + Sync),
    passive: &mut Passive,
) -> Result<StressReply, u32> {
    let tally = Shared::try_new(Tally {
        accepted: AtomicU64::new(0),
        executed: AtomicU64::new(0),
        completed: AtomicU64::new(0),
        cancelled: AtomicU64::new(0),
        refused_full: AtomicU64::new(0),
        refused_other: AtomicU64::new(0),
        order_errors: AtomicU64::new(0),
        payload_errors: AtomicU64::new(0),
        overlaps: AtomicU64::new(0),
        above_passive: AtomicU64::new(0),
        enqueue_irql: AtomicU32::new(0),
        running: AtomicBool::new(false),
        wanted: AtomicBool::new(false),
        room: Event::new(EventKind::Notification).map_err(|error| error.status().0.cast_unsigned())?,
    })
    .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    let mut next = Vec::new();
    next.try_reserve_exact(plan.producers as usize)
        .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    next.resize(plan.producers as usize, 0);
    let mut checker = Checker {
        tally: tally.clone(),
        next,
        length: plan.payload as usize,
    };
    let config = Config::new(plan.buffer_count).buffer_size(plan.payload as usize);
    let queue = Queue::create(
        passive,
        platform.parent(),
        &config,
        move |item: &mut Item<'_, [u8]>, _: &mut Passive| checker.run(item.payload()),
    )
    .map_err(|error| error.status().0.cast_unsigned())?;
    let (start, frequency) = performance_counter();
    let produced = platform.parallel(
        plan.producers,
        &|producer, passive| produce(plan, producer, &queue, &tally, stop, passive),
        passive,
    );
    let how = if stop() { Close::Cancel } else { Close::Drain };
    queue
        .close(passive, how)
        .map_err(PossibleDeadlock::status)
        .map_err(|status| status.0.cast_unsigned())?;
    let ticks = u128::from(performance_counter().0.saturating_sub(start));
    produced?;
    let elapsed = (ticks * 1_000_000_000).checked_div(u128::from(frequency));
    Ok(StressReply {
        accepted: read(&tally.accepted),
        executed: read(&tally.executed),
        completed: read(&tally.completed),
        cancelled: read(&tally.cancelled),
        refused_full: read(&tally.refused_full),
        refused_other: read(&tally.refused_other),
        order_errors: read(&tally.order_errors),
        payload_errors: read(&tally.payload_errors),
        overlaps: read(&tally.overlaps),
        above_passive: read(&tally.above_passive),
        elapsed_ns: elapsed.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(u64::MAX),
        enqueue_irql: tally.enqueue_irql.load(Acquire),
        high_water: queue.high_water_mark(),
    })
}
