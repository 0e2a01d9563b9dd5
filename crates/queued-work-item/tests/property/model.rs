//! The queue as one would explain it: a `VecDeque`, and what has become of what was in it.

use std::collections::VecDeque;

use queued_work_item::{Counters, EnqueueErrorKind, NtStatus, Outcome};

use crate::program::{BUFFER_SIZE, Plan, Program};

/// What the callback leaves in its payload.
pub(crate) const SCRIBBLE: u8 = 0xEE;

/// Where a model is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nowhere,
    NewestFirst,
    BufferTooMany,
    CancelCountsRunning,
    FlushCloses,
    AnyLength,
    StopIsForgotten,
    CancelSkipsCleanup,
    ContextsStay,
    GrowthStays,
}

/// What the worker does, as far as it can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worker {
    Idle,
    /// Its start is held.
    Scheduled,
    Active,
    /// Everything has ended; it is idle, or about to be.
    Winding,
    /// It has found the queue stopped, or is about to: whoever starts the queue starts it.
    Parked,
}

#[derive(Clone, Debug)]
struct Entry {
    tag: u32,
    payload: Vec<u8>,
    with_completion: bool,
    /// Its buffer is of the pool, not of the slab.
    grown: bool,
    context: u32,
}

#[derive(Debug)]
pub(crate) struct Model {
    wrong: Wrong,
    plan: Plan,
    buffers: usize,
    capacity: usize,
    pending: VecDeque<Entry>,
    running: Option<Entry>,
    pub(crate) worker: Worker,
    pub(crate) gate_open: bool,
    pub(crate) closing: bool,
    pub(crate) stopped: bool,
    /// Payloads, in the order of their runs, and what the callback found in the context.
    pub(crate) runs: Vec<(Vec<u8>, u32)>,
    /// What the cleanup was handed: bytes and context.
    pub(crate) cleaned: Vec<(Vec<u8>, u32)>,
    /// What completions were told.
    pub(crate) told: Vec<(u32, Outcome)>,
    /// How each item ended.
    pub(crate) ended: Vec<(u32, Outcome)>,
    most_grown: usize,
    pub(crate) enqueued: u64,
    pub(crate) executed: u64,
    pub(crate) cancelled: u64,
    pub(crate) full: u64,
    pub(crate) too_long: u64,
    pub(crate) refused_closing: u64,
}

impl Model {
    pub(crate) fn new(program: &Program, wrong: Wrong) -> Self {
        let extra = u32::from(wrong == Wrong::BufferTooMany);
        Self {
            wrong,
            plan: program.plan,
            buffers: program.buffers as usize,
            capacity: (program.capacity() + extra) as usize,
            pending: VecDeque::new(),
            running: None,
            worker: Worker::Idle,
            gate_open: true,
            closing: false,
            stopped: false,
            runs: Vec::new(),
            cleaned: Vec::new(),
            told: Vec::new(),
            ended: Vec::new(),
            most_grown: 0,
            enqueued: 0,
            executed: 0,
            cancelled: 0,
            full: 0,
            too_long: 0,
            refused_closing: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len() + usize::from(self.running.is_some())
    }

    pub(crate) fn all_ended(&self) -> bool {
        self.len() == 0
    }

    /// Buffers of the pool that are in use.
    pub(crate) fn grown(&self) -> usize {
        if self.wrong == Wrong::GrowthStays {
            return self.most_grown;
        }
        self.in_use().filter(|entry| entry.grown).count()
    }

    fn in_use(&self) -> impl Iterator<Item = &Entry> {
        self.pending.iter().chain(&self.running)
    }

    /// The context that the callback leaves in its n-th run.
    pub(crate) fn context(run: usize) -> u32 {
        u32::try_from(run).expect("few") + 1
    }

    /// The status that the callback leaves in its n-th run.
    pub(crate) fn status(run: usize) -> NtStatus {
        NtStatus(i32::try_from(run).expect("few") + 1)
    }

    pub(crate) fn outcome(&self, tag: u32) -> Option<Outcome> {
        let entry = self.ended.iter().find(|(ended, _)| *ended == tag);
        entry.map(|(_, outcome)| *outcome)
    }

    pub(crate) fn running(&self) -> Option<u32> {
        self.running.as_ref().map(|entry| entry.tag)
    }

    /// Would be refused: why.
    fn refusal(&mut self, length: usize) -> Option<EnqueueErrorKind> {
        if length > BUFFER_SIZE && self.wrong != Wrong::AnyLength {
            self.too_long += 1;
            return Some(EnqueueErrorKind::TooLong);
        }
        if self.closing {
            self.refused_closing += 1;
            return Some(EnqueueErrorKind::Closing);
        }
        if self.len() == self.capacity {
            self.full += 1;
            return Some(EnqueueErrorKind::Full);
        }
        None
    }

    pub(crate) fn enqueue(
        &mut self,
        tag: u32,
        payload: Vec<u8>,
        with_completion: bool,
    ) -> Result<(), EnqueueErrorKind> {
        if let Some(kind) = self.refusal(payload.len()) {
            return Err(kind);
        }
        self.enqueued += 1;
        // The slab's are taken first.
        let grown = self.in_use().filter(|entry| !entry.grown).count() == self.buffers;
        let left = self.cleaned.last().map_or(0, |(_, context)| *context);
        self.pending.push_back(Entry {
            tag,
            payload,
            with_completion,
            grown,
            context: if self.wrong == Wrong::ContextsStay {
                left
            } else {
                0
            },
        });
        self.most_grown = self
            .most_grown
            .max(self.in_use().filter(|entry| entry.grown).count());
        Ok(())
    }

    /// After an accepted enqueue, which did or did not schedule a start.
    pub(crate) fn pushed(&mut self, scheduled: bool) {
        self.worker = match (self.worker, self.plan) {
            (Worker::Idle, Plan::Held) => Worker::Scheduled,
            (Worker::Winding, Plan::Held) if scheduled => Worker::Scheduled,
            (Worker::Idle | Worker::Winding, _) => Worker::Active,
            (worker @ (Worker::Scheduled | Worker::Active | Worker::Parked), _) => worker,
        };
    }

    pub(crate) fn stop(&mut self) {
        self.stopped |= !self.closing && self.wrong != Wrong::StopIsForgotten;
    }

    /// The stop ends, and did or did not schedule a start.
    pub(crate) fn start(&mut self, scheduled: bool) {
        self.stopped = false;
        if self.worker == Worker::Parked {
            self.worker = match self.plan {
                Plan::Held if scheduled => Worker::Scheduled,
                _ => Worker::Active,
            };
        }
    }

    /// No item is accepted any more, and no stop keeps one back.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.start(false);
    }

    pub(crate) fn release(&mut self) {
        if self.worker == Worker::Scheduled {
            self.worker = Worker::Active;
        }
    }

    /// Lets the worker go on as far as it can.
    pub(crate) fn go_on(&mut self) {
        while self.worker == Worker::Active {
            if self.running.is_none() {
                if self.stopped {
                    self.worker = Worker::Parked;
                    return;
                }
                let next = match self.wrong {
                    Wrong::NewestFirst => self.pending.pop_back(),
                    _ => self.pending.pop_front(),
                };
                let Some(mut next) = next else {
                    self.worker = Worker::Winding;
                    return;
                };
                self.runs.push((next.payload.clone(), next.context));
                next.payload.fill(SCRIBBLE);
                next.context = Self::context(self.runs.len() - 1);
                self.running = Some(next);
            }
            if !self.gate_open {
                return;
            }
            if let Some(entry) = self.running.take() {
                self.executed += 1;
                self.end(&entry, Outcome::Ran(Self::status(self.runs.len() - 1)));
            }
        }
    }

    fn end(&mut self, entry: &Entry, outcome: Outcome) {
        if outcome != Outcome::Cancelled || self.wrong != Wrong::CancelSkipsCleanup {
            self.cleaned.push((entry.payload.clone(), entry.context));
        }
        self.ended.push((entry.tag, outcome));
        if entry.with_completion {
            self.told.push((entry.tag, outcome));
        }
    }

    pub(crate) fn cancel(&mut self) -> u64 {
        let dropped = std::mem::take(&mut self.pending);
        let count = dropped.len() as u64;
        self.cancelled += count;
        for entry in &dropped {
            self.end(entry, Outcome::Cancelled);
        }
        count + u64::from(self.wrong == Wrong::CancelCountsRunning && self.running.is_some())
    }

    pub(crate) fn flush(&mut self) {
        self.closing |= self.wrong == Wrong::FlushCloses;
    }

    /// Has the queue refused what is not refused here?
    pub(crate) fn refused_more(&self, counters: &Counters) -> bool {
        counters.refused_full > self.full
            || counters.refused_too_long > self.too_long
            || counters.refused_closing > self.refused_closing
    }

    /// Whether the queue's counters are these, or on their way there, or can never be.
    pub(crate) fn compare(&self, counters: &Counters) -> std::cmp::Ordering {
        let real = [
            counters.enqueued,
            counters.executed,
            counters.cancelled,
            counters.refused_full,
            counters.refused_too_long,
            counters.refused_closing,
        ];
        let model = [
            self.enqueued,
            self.executed,
            self.cancelled,
            self.full,
            self.too_long,
            self.refused_closing,
        ];
        if real == model {
            std::cmp::Ordering::Equal
        } else if real.iter().zip(model).any(|(real, model)| *real > model) {
            std::cmp::Ordering::Greater
        } else {
            std::cmp::Ordering::Less
        }
    }
}
