//! What an instance remembers of itself: its counters, its log, and who waits on it.
//!
//! The record is shared by the handlers, the callback and the completions. It outlives the queue: what happened can be
//! read after the instance is closed, until it is configured anew.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use core::time::Duration;

use queued_work_item::kernel::{Irql, Shared, SpinLock, current_irql, current_thread_id};
use queued_work_item::{
    Completion, EnqueueError, EnqueueErrorKind, NtStatus, Outcome, Passive, WaitError, WaitOutcome,
};
use queued_work_item_ioctl::{self as ioctl, LogEntry, STATUS_CANCELLED, digest, limits};
use zerocopy::{FromBytes, IntoBytes};

use crate::gate::Gate;
use crate::pending::{self, Answer};
use crate::ring::{Cursor, Ring};
use crate::waits::{Found, Waits};
use crate::{Handle, Ticket};

/// More requests than buffers can wait for a moment: what is between its item's end and its answer, and what blocks.
const SPARE_WAITS: u32 = 2 * limits::BLOCKING_REQUESTS;

/// Entries looked at under one hold of the lock.
const CHUNK: usize = 256;

pub(crate) struct Record<T> {
    pub(crate) instance: u32,
    pub(crate) counters: Counters,
    log: SpinLock<Ring>,
    waits: SpinLock<Waits<T>>,
    /// A callback is running; a second one that finds it so is an overlap.
    running: AtomicBool,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    /// Callbacks that have started.
    pub(crate) begun: AtomicU64,
    pub(crate) executed: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused_full: AtomicU64,
    pub(crate) refused_length: AtomicU64,
    pub(crate) refused_closing: AtomicU64,
    pub(crate) overlaps: AtomicU64,
    pub(crate) above_passive: AtomicU64,
    pub(crate) stale_contexts: AtomicU64,
    pub(crate) cleanups: AtomicU64,
    /// Waiters told above `PASSIVE_LEVEL`.
    pub(crate) told_at_dispatch: AtomicU64,
    /// The queue's own figure, once it is closed.
    pub(crate) high_water: AtomicU32,
}

impl Counters {
    /// Counts an enqueue, whichever way it goes. The acceptance is counted first, since the item may have run before
    /// the call returns, and no reader is to see more runs than items.
    pub(crate) fn accept<K>(
        &self,
        enqueue: impl FnOnce() -> Result<(), EnqueueError<K>>,
    ) -> Result<(), EnqueueError<K>> {
        self.accepted.fetch_add(1, Relaxed);
        enqueue().inspect_err(|error| {
            self.accepted.fetch_sub(1, Relaxed);
            self.refused(error.kind());
        })
    }

    /// The same, of an enqueue that waits.
    pub(crate) fn accept_wait(
        &self,
        wait: impl FnOnce() -> Result<WaitOutcome, WaitError<()>>,
    ) -> Result<WaitOutcome, WaitError<()>> {
        self.accepted.fetch_add(1, Relaxed);
        wait().inspect_err(|error| {
            match error {
                WaitError::Refused(error) => self.refused(error.kind()),
                WaitError::PossibleDeadlock(()) => {}
                // It was accepted.
                WaitError::Cancelled => return,
            }
            self.accepted.fetch_sub(1, Relaxed);
        })
    }

    /// Counts a payload that no instance takes.
    pub(crate) fn refuse_length(&self) {
        self.refused(EnqueueErrorKind::TooLong);
    }

    fn refused(&self, why: EnqueueErrorKind) {
        let counter = match why {
            EnqueueErrorKind::Full => &self.refused_full,
            EnqueueErrorKind::TooLong => &self.refused_length,
            EnqueueErrorKind::Closing => &self.refused_closing,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// What has become of an item.
pub(crate) struct Ran {
    pub(crate) tag: u64,
    /// What its callback sets, if anything.
    pub(crate) status: Option<NtStatus>,
    /// It is to be pended, where that can be.
    pub(crate) pend: bool,
}

impl<T: Ticket> Record<T> {
    /// A record for a queue of `buffer_count` buffers. `None`: no memory.
    pub(crate) fn new(instance: u32, buffer_count: u32) -> Option<Self> {
        Some(Self {
            instance,
            counters: Counters::default(),
            log: SpinLock::new(Ring::new(usize::try_from(limits::LOG_ENTRIES).ok()?)?),
            waits: SpinLock::new(Waits::new(buffer_count.checked_add(SPARE_WAITS)?)?),
            running: AtomicBool::new(false),
        })
    }

    /// A record for what waits on no instance: without a log. `None`: no memory.
    pub(crate) fn of_none() -> Option<Self> {
        Some(Self {
            instance: u32::MAX,
            counters: Counters::default(),
            log: SpinLock::new(Ring::new(1)?),
            waits: SpinLock::new(Waits::new(SPARE_WAITS)?),
            running: AtomicBool::new(false),
        })
    }

    /// The callback of the queue: one item, as [`ENQUEUE`](ioctl::ENQUEUE) brought it. `again` enqueues it once more.
    pub(crate) fn execute(
        &self,
        gate: &Gate,
        bytes: &mut [u8],
        again: impl FnOnce(&[u8], &Passive),
        passive: &mut Passive,
    ) -> Ran {
        if self.running.swap(true, AcqRel) {
            self.counters.overlaps.fetch_add(1, Relaxed);
        }
        self.counters.begun.fetch_add(1, Relaxed);
        let irql = current_irql();
        if irql > Irql::PASSIVE {
            self.counters.above_passive.fetch_add(1, Relaxed);
        }
        gate.pass(passive);

        // The handler took nothing shorter than the header; a damaged item must show in the log, not in a crash.
        let (mut header, payload) = ioctl::Enqueue::read_from_prefix(bytes)
            .unwrap_or((ioctl::Enqueue::new(u32::MAX, u64::MAX), bytes));
        if header.spend_us > 0 {
            gate.spend(passive, Duration::from_micros(u64::from(header.spend_us)));
        }
        let status = (header.flags & ioctl::Enqueue::SET_STATUS != 0).then_some(header.status);
        // Its own statement: the payload may be paged, and is not looked at under the lock.
        let entry = LogEntry {
            sequence: 0,
            tag: header.tag,
            digest: digest(payload),
            thread: current_thread_id(),
            length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            status: status.unwrap_or(0),
            instance: self.instance,
            irql: u32::from(irql.0),
        };
        self.log.lock().push(entry);
        if header.again > 0 {
            header.again -= 1;
            // It was read from there, so that it fits.
            if header.write_to_prefix(bytes).is_ok() {
                again(bytes, passive);
            }
        }
        self.counters.executed.fetch_add(1, Relaxed);
        self.running.store(false, Release);
        Ran {
            tag: header.tag,
            status: status.map(|status| NtStatus(status.cast_signed())),
            pend: header.flags & ioctl::Enqueue::PEND != 0,
        }
    }

    /// Copies log entries from a sequence number on; see [`Ring::read`].
    pub(crate) fn read_log(&self, from: u64, out: &mut [LogEntry]) -> Cursor {
        self.log.lock().read(from, out)
    }

    /// Answers everything that waits in the name of a handle that is closed. Their items run all the same.
    pub(crate) fn handle_closed(&self, handle: Handle) {
        let mut start = 0;
        loop {
            // Its own statement: the lock is not held while a request is completed.
            let found = self.waits.lock().find(handle, start, CHUNK);
            match found {
                Found::Ticket { ticket, next } => {
                    pending::settle(&ticket, Answer::Status(STATUS_CANCELLED));
                    start = next;
                }
                Found::Nothing { next } => start = next,
                Found::End => return,
            }
        }
    }
}

/// A request that waits on an instance: what the queue's completion, or a job, holds of it.
///
/// # Guarantees
/// The ticket leaves the record's table once, when this is settled or dropped.
pub(crate) struct Waiter<T: Ticket> {
    record: Shared<Record<T>>,
    index: Option<u32>,
}

impl<T: Ticket> Waiter<T> {
    /// Enters a request into the table. The ticket is given back when the table is full.
    pub(crate) fn new(record: &Shared<Record<T>>, handle: Handle, ticket: T) -> Result<Self, T> {
        let index = record.waits.lock().insert(handle, ticket)?;
        Ok(Self {
            record: record.clone(),
            index: Some(index),
        })
    }

    /// Answers the request, unless it has been cancelled.
    pub(crate) fn settle(mut self, answer: Answer) {
        // The lock is given up before the request is completed.
        let ticket = self.take();
        if let Some(ticket) = ticket {
            pending::settle(&ticket, answer);
        }
    }

    /// The same, with success and this output; only once the request is [armed](pending::arm).
    pub(crate) fn settle_with(mut self, output: &[u8]) {
        let ticket = self.take();
        if let Some(ticket) = ticket {
            pending::settle_with(&ticket, output);
        }
    }

    fn take(&mut self) -> Option<T> {
        let index = self.index.take()?;
        self.record.waits.lock().remove(index)
    }
}

impl<T: Ticket> Drop for Waiter<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T: Ticket> Completion for Waiter<T> {
    fn complete(self, outcome: Outcome) {
        if current_irql() > Irql::PASSIVE {
            self.record.counters.told_at_dispatch.fetch_add(1, Relaxed);
        }
        self.settle(match outcome {
            Outcome::Ran(status) => Answer::Ran(status.0.cast_unsigned()),
            Outcome::Cancelled => Answer::Dropped,
        });
    }
}

/// Reads a counter that others may be changing.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Acquire)
}
