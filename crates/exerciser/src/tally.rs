//! What a load counts: its producers, its callback and its completions, and whoever asks how far it has come.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use queued_work_item::kernel::{Event, EventKind, Shared, current_irql, performance_counter};
use queued_work_item::{Completion, CreateError, EnqueueError, EnqueueErrorKind, Outcome};
use queued_work_item_ioctl::{StressReply, limits};

use crate::record::read;

pub(crate) struct Tally {
    accepted: AtomicU64,
    pub(crate) executed: AtomicU64,
    completed: AtomicU64,
    cancelled: AtomicU64,
    refused_full: AtomicU64,
    refused_other: AtomicU64,
    pub(crate) order_errors: AtomicU64,
    finish_errors: AtomicU64,
    /// By producer, the number of the item that is to finish next.
    finished: [AtomicU32; limits::STRESS_PRODUCERS as usize],
    pub(crate) payload_errors: AtomicU64,
    pub(crate) overlaps: AtomicU64,
    pub(crate) above_passive: AtomicU64,
    enqueue_irql: AtomicU32,
    high_water: AtomicU32,
    pub(crate) running: AtomicBool,
    /// When it began, in ticks; 0 before.
    begin: AtomicU64,
    /// When it ended; 0 before.
    end: AtomicU64,
    /// A producer wants to know when a buffer has come home; an event set for each item would cost more than the items.
    wanted: AtomicBool,
    /// Set by the next completion then.
    pub(crate) room: Event,
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Tally {
    pub(crate) fn new() -> Result<Self, CreateError> {
        Ok(Self {
            accepted: AtomicU64::new(0),
            executed: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            refused_full: AtomicU64::new(0),
            refused_other: AtomicU64::new(0),
            order_errors: AtomicU64::new(0),
            finish_errors: AtomicU64::new(0),
            finished: [const { AtomicU32::new(0) }; limits::STRESS_PRODUCERS as usize],
            payload_errors: AtomicU64::new(0),
            overlaps: AtomicU64::new(0),
            above_passive: AtomicU64::new(0),
            enqueue_irql: AtomicU32::new(0),
            high_water: AtomicU32::new(0),
            running: AtomicBool::new(false),
            begin: AtomicU64::new(0),
            end: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            room: Event::new(EventKind::Notification)?,
        })
    }

    pub(crate) fn begin(&self) {
        self.begin.store(performance_counter().0, Release);
    }

    pub(crate) fn end(&self, high_water: u32) {
        self.high_water.store(high_water, Release);
        self.end.store(performance_counter().0, Release);
    }

    /// Counts an enqueue, whichever way it goes. The acceptance is counted first: nobody is to see more ends than
    /// beginnings.
    pub(crate) fn enqueue<K>(
        &self,
        enqueue: impl FnOnce() -> Result<(), EnqueueError<K>>,
    ) -> Result<(), EnqueueErrorKind> {
        self.enqueue_irql.fetch_max(u32::from(current_irql().0), Relaxed);
        add(&self.accepted);
        enqueue().map_err(|error| {
            self.accepted.fetch_sub(1, Relaxed);
            let kind = error.kind();
            add(if kind == EnqueueErrorKind::Full {
                &self.refused_full
            } else {
                &self.refused_other
            });
            kind
        })
    }

    /// Asks for [`Tally::room`] to be set when a buffer comes home. Try once more between this and the wait: an item that
    /// ends after the asking sets the event, and as long as the queue is full, there is one.
    pub(crate) fn ask_for_room(&self) {
        self.room.clear();
        self.wanted.store(true, Release);
    }

    /// How far it has come.
    pub(crate) fn reply(&self) -> StressReply {
        // Ends are read before beginnings.
        let (completed, cancelled) = (read(&self.completed), read(&self.cancelled));
        let executed = read(&self.executed);
        let (now, frequency) = performance_counter();
        let begin = read(&self.begin);
        let until = match read(&self.end) {
            0 if begin == 0 => 0,
            0 => now,
            end => end,
        };
        let ticks = u128::from(until.saturating_sub(begin));
        let elapsed = (ticks * 1_000_000_000).checked_div(u128::from(frequency));
        StressReply {
            accepted: read(&self.accepted),
            executed,
            completed,
            cancelled,
            refused_full: read(&self.refused_full),
            refused_other: read(&self.refused_other),
            order_errors: read(&self.order_errors),
            finish_errors: read(&self.finish_errors),
            payload_errors: read(&self.payload_errors),
            overlaps: read(&self.overlaps),
            above_passive: read(&self.above_passive),
            elapsed_ns: elapsed.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(u64::MAX),
            enqueue_irql: self.enqueue_irql.load(Acquire),
            high_water: self.high_water.load(Acquire),
        }
    }
}

/// The completion of a load's items.
pub(crate) struct Ended {
    tally: Shared<Tally>,
    /// Whose item it is, and which, where items finish in order.
    item: Option<(u32, u32)>,
}

impl Ended {
    pub(crate) fn new(tally: &Shared<Tally>, item: Option<(u32, u32)>) -> Self {
        Self {
            tally: tally.clone(),
            item,
        }
    }
}

impl Completion for Ended {
    fn complete(self, outcome: Outcome) {
        let Self { tally, item } = self;
        match outcome {
            Outcome::Ran(_) => {
                if let Some((producer, sequence)) = item
                    && let Some(next) = tally.finished.get(producer as usize)
                    // Items that ran finish one at a time: two at once would be such an error, and show as one.
                    && next.swap(sequence.wrapping_add(1), AcqRel) != sequence
                {
                    add(&tally.finish_errors);
                }
                add(&tally.completed);
            }
            Outcome::Cancelled => add(&tally.cancelled),
        }
        if tally.wanted.swap(false, AcqRel) {
            tally.room.set();
        }
    }
}
