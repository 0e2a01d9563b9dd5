//! A load made inside the driver: parallel producers, at `PASSIVE_LEVEL` or at `DISPATCH_LEVEL`, and a callback that
//! checks what it is given.
//!
//! Through IOCTLs alone producers would come one after the other where a system dispatches requests serially, and never
//! above `PASSIVE_LEVEL`.

use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use core::time::Duration;

use queued_work_item::kernel::{Irql, Shared, SpinLock, current_irql};
use queued_work_item::threaded::{Disposition, ThreadedConfig, Work, Worker};
use queued_work_item::{
    Close, Closed, Config, CreateError, EnqueueError, EnqueueErrorKind, Item, NtStatus, Passive,
    PossibleDeadlock, QueuedWorkItem, ThreadedBufferQueue,
};
use queued_work_item_ioctl::{STATUS_INSUFFICIENT_RESOURCES, StressReply, limits};

use crate::tally::{Ended, Tally, add};
use crate::{Dpcs, Platform};

/// What to do, within its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) producers: u32,
    pub(crate) items: u32,
    pub(crate) payload: u32,
    pub(crate) buffer_count: u32,
    pub(crate) mode: Mode,
    /// The queue has a thread of its own.
    pub(crate) threaded: bool,
}

/// What the producers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Threads at `PASSIVE_LEVEL`.
    Passive,
    /// Threads that hold a spin lock.
    SpinLock,
    Dpc,
}

impl Plan {
    /// What it holds of the bound that all instances share.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.buffer_count) * u64::from(self.payload)
    }
}

/// Items between two looks whether to go on, and what a DPC enqueues before it returns.
const STRIDE: u32 = 64;

/// How long a producer waits for a buffer before it looks whether to go on.
const PATIENCE: Duration = Duration::from_millis(20);

/// What is loaded.
enum Queue {
    WorkItem(QueuedWorkItem<[u8], Ended>),
    Threaded(ThreadedBufferQueue<[u8], Ended>),
}

impl Queue {
    /// Creates it, and has it begin.
    fn new<P: Platform>(
        platform: &P,
        plan: &Plan,
        mut checker: Checker,
        passive: &mut Passive,
    ) -> Result<Self, u32> {
        let config = Config::new(plan.buffer_count).buffer_size(plan.payload as usize);
        let refused = |error: CreateError| error.status().0.cast_unsigned();
        if !plan.threaded {
            let callback = move |item: &mut Item<'_, [u8]>, _: &mut Passive| checker.run(item.payload());
            let queue = QueuedWorkItem::create(passive, platform.parent(), &config, callback);
            return queue.map(Self::WorkItem).map_err(refused);
        }
        let queue = ThreadedBufferQueue::create_with_worker(passive, &ThreadedConfig::new(config), checker)
            .map_err(refused)?;
        queue
            .start(passive)
            .map_err(|error| error.status().0.cast_unsigned())?;
        Ok(Self::Threaded(queue))
    }

    fn enqueue(&self, payload: &[u8], ended: Ended) -> Result<(), EnqueueError<Ended>> {
        match self {
            Self::WorkItem(queue) => queue.enqueue_with(payload, ended),
            Self::Threaded(queue) => queue.enqueue_with(payload, ended),
        }
    }

    fn close(&self, passive: &mut Passive, how: Close) -> Result<Closed, PossibleDeadlock> {
        match self {
            Self::WorkItem(queue) => queue.close(passive, how),
            Self::Threaded(queue) => queue.close(passive, how),
        }
    }

    fn high_water_mark(&self) -> u32 {
        match self {
            Self::WorkItem(queue) => queue.high_water_mark(),
            Self::Threaded(queue) => queue.high_water_mark(),
        }
    }
}

impl Worker<[u8]> for Checker {
    fn work<'a>(&mut self, work: Work<'a, [u8]>, _: &mut Passive) -> Disposition<'a> {
        self.run(work.payload());
        work.complete(NtStatus::SUCCESS)
    }
}

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

/// The load, as its producers share it.
struct Load<'a> {
    plan: &'a Plan,
    queue: &'a Queue,
    tally: &'a Shared<Tally>,
    /// Whether to end early.
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl Load<'_> {
    /// Enqueues one item.
    fn enqueue(&self, payload: &[u8], producer: u32, sequence: u32) -> Result<(), EnqueueErrorKind> {
        let ended = Ended::new(self.tally, self.plan.threaded.then_some((producer, sequence)));
        self.tally.enqueue(|| self.queue.enqueue(payload, ended))
    }

    /// The place for a payload, out of which it is copied.
    fn payload<'p>(&self, place: &'p mut [u8; limits::STRESS_PAYLOAD as usize]) -> &'p mut [u8] {
        place.get_mut(..self.plan.payload as usize).unwrap_or_default()
    }

    /// One thread's share.
    fn produce(&self, producer: u32, under_lock: bool, passive: &mut Passive) {
        let lock = SpinLock::new(());
        let mut place = [0; limits::STRESS_PAYLOAD as usize];
        let payload = self.payload(&mut place);
        for sequence in 0..self.plan.items {
            if sequence % STRIDE == 0 && (self.stop)() {
                return;
            }
            write(payload, producer, sequence);
            let mut asked = false;
            loop {
                let enqueued = {
                    let _guard = under_lock.then(|| lock.lock_from_passive(passive));
                    self.enqueue(payload, producer, sequence)
                };
                match enqueued {
                    Ok(()) => break,
                    Err(EnqueueErrorKind::Full) => {}
                    Err(_) => return,
                }
                if (self.stop)() {
                    return;
                }
                asked = self.wait_for_room(asked, passive);
            }
        }
    }

    /// For a producer that found no buffer: asks for one, or waits for it if it has asked. Whether it has asked.
    ///
    /// The wait is bounded for `stop`, which sets nothing, and for a producer whose event another one clears.
    fn wait_for_room(&self, asked: bool, passive: &mut Passive) -> bool {
        if asked {
            let _room: bool = self.tally.room.wait_timeout(passive, PATIENCE);
        } else {
            self.tally.ask_for_room();
        }
        !asked
    }

    /// All shares, by DPCs: each enqueues up to a stride of items and returns, round by round, so that none keeps its
    /// processor for longer than a DPC should.
    fn produce_in_dpcs<P: Platform>(&self, platform: &P, passive: &mut Passive) -> Result<(), u32> {
        let dpcs = platform
            .dpcs(self.plan.producers)
            .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        let mut next = Vec::new();
        next.try_reserve_exact(self.plan.producers as usize)
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
        next.extend((0..self.plan.producers).map(|_| AtomicU32::new(0)));
        let left = || {
            let done = next.iter().map(|next| u64::from(next.load(Relaxed))).sum::<u64>();
            u64::from(self.plan.producers) * u64::from(self.plan.items) - done
        };
        let (mut before, mut asked) = (left(), false);
        while before > 0 && !(self.stop)() {
            dpcs.round(&|producer| self.burst(producer, &next), passive);
            let now = left();
            if now == before {
                asked = self.wait_for_room(asked, passive);
            }
            before = now;
        }
        Ok(())
    }

    /// What one DPC enqueues.
    fn burst(&self, producer: u32, next: &[AtomicU32]) {
        let Some(next) = next.get(producer as usize) else {
            return;
        };
        let mut place = [0; limits::STRESS_PAYLOAD as usize];
        let payload = self.payload(&mut place);
        let begin = next.load(Relaxed);
        let end = begin.saturating_add(STRIDE).min(self.plan.items);
        for sequence in begin..end {
            write(payload, producer, sequence);
            if self.enqueue(payload, producer, sequence).is_err() {
                return;
            }
            // Rounds do not overlap: nobody else writes it.
            next.store(sequence + 1, Relaxed);
        }
    }
}

/// Does it, with threads or DPCs of the platform. Blocks until the last callback has run.
pub(crate) fn run<P: Platform>(
    platform: &P,
    plan: &Plan,
    tally: &Shared<Tally>,
    stop: &(dyn Fn() -> bool + Sync),
    passive: &mut Passive,
) -> Result<StressReply, u32> {
    let mut next = Vec::new();
    next.try_reserve_exact(plan.producers as usize)
        .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    next.resize(plan.producers as usize, 0);
    let checker = Checker {
        tally: tally.clone(),
        next,
        length: plan.payload as usize,
    };
    let queue = Queue::new(platform, plan, checker, passive)?;
    let load = Load {
        plan,
        queue: &queue,
        tally,
        stop,
    };
    tally.begin();
    let threads = |under_lock, passive: &mut Passive| {
        platform.parallel(
            plan.producers,
            &|producer, passive| load.produce(producer, under_lock, passive),
            passive,
        )
    };
    let produced = match plan.mode {
        Mode::Passive => threads(false, passive),
        Mode::SpinLock => threads(true, passive),
        Mode::Dpc => load.produce_in_dpcs(platform, passive),
    };
    let how = if stop() { Close::Cancel } else { Close::Drain };
    queue
        .close(passive, how)
        .map_err(PossibleDeadlock::status)
        .map_err(|status| status.0.cast_unsigned())?;
    tally.end(queue.high_water_mark());
    produced?;
    Ok(tally.reply())
}
