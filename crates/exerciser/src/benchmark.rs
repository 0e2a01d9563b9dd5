//! The benchmark: the queue, the same work done by hand, and what a spin lock costs, in turns.
//!
//! A sample of each series is taken before the second one of any, so that what else the machine does meanwhile meets all
//! of them alike; minima are what to compare.

use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Release};

use queued_work_item::kernel::{Shared, SpinLock, performance_counter};
use queued_work_item::{Close, Config, CreateError, Item, Passive, PossibleDeadlock, QueuedWorkItem};
use queued_work_item_ioctl::{
    Benchmark, BenchmarkReply, BenchmarkSeries as Series, STATUS_CANCELLED, STATUS_INSUFFICIENT_RESOURCES,
};
use zerocopy::IntoBytes;

use crate::bare::{Drain, Lists};
use crate::meter::{Meter, Times, now};
use crate::record::read;
use crate::{Platform, WorkItem};

const PAYLOAD: [u8; Benchmark::PAYLOAD as usize] = [0x5A; Benchmark::PAYLOAD as usize];

/// What the benchmark holds of the bound that all instances share: two subjects' buffers.
pub(crate) const BYTES: u64 = 2 * Benchmark::BUFFERS as u64 * Benchmark::PAYLOAD as u64;

/// What a sample is taken of.
trait Subject: Sync {
    /// Enqueues the payload; `false` when every buffer is taken.
    fn enqueue(&self) -> bool;
    /// Enqueues the payload and waits for its item; `false` when every buffer is taken.
    fn enqueue_and_wait(&self, meter: &Meter, passive: &mut Passive) -> bool;
    /// Waits until every buffer is home.
    fn settle(&self, passive: &mut Passive);
}

struct Queue(QueuedWorkItem<[u8]>);

impl Queue {
    fn new<P: Platform>(platform: &P, meter: Shared<Meter>, passive: &mut Passive) -> Result<Self, u32> {
        let config = Config::new(Benchmark::BUFFERS).buffer_size(PAYLOAD.len());
        let callback = move |item: &mut Item<'_, [u8]>, _: &mut Passive| meter.callback(item.payload());
        QueuedWorkItem::create(passive, platform.parent(), &config, callback)
            .map(Self)
            .map_err(status)
    }
}

impl Subject for Queue {
    fn enqueue(&self) -> bool {
        self.0.enqueue(&PAYLOAD).is_ok()
    }

    fn enqueue_and_wait(&self, _: &Meter, passive: &mut Passive) -> bool {
        self.0.enqueue_and_wait(passive, &PAYLOAD).is_ok()
    }

    fn settle(&self, passive: &mut Passive) {
        // The error is a call from the queue's own callback, which this is not.
        let _flushed = self.0.flush(passive);
    }
}

struct Bare<W> {
    // Declared first: dropping it waits until nothing runs.
    work_item: W,
    lists: Shared<Lists>,
}

impl<W: WorkItem> Bare<W> {
    fn new<P: Platform<WorkItem = W>>(platform: &P, meter: Shared<Meter>) -> Result<Self, u32> {
        let lists = Lists::new(Benchmark::BUFFERS, Benchmark::PAYLOAD, meter)
            .and_then(|lists| Shared::try_new(lists).ok())
            .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        let work_item = platform
            .work_item(Drain(lists.clone()))
            .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        Ok(Self { work_item, lists })
    }
}

impl<W: WorkItem> Subject for Bare<W> {
    fn enqueue(&self) -> bool {
        match self.lists.enqueue(&PAYLOAD) {
            Some(true) => {
                self.work_item.enqueue();
                true
            }
            Some(false) => true,
            None => false,
        }
    }

    fn enqueue_and_wait(&self, meter: &Meter, passive: &mut Passive) -> bool {
        meter.reset(0, 1);
        let enqueued = self.enqueue();
        if enqueued {
            meter.wait(passive);
        }
        enqueued
    }

    fn settle(&self, passive: &mut Passive) {
        self.lists.wait_until_idle(passive);
    }
}

/// All series, each a figure for each sample.
struct Sheet {
    series: Vec<Series>,
    /// The sample that is taken.
    sample: usize,
    /// The series that is next.
    next: usize,
    frequency: u64,
}

impl Sheet {
    fn new(frequency: u64) -> Option<Self> {
        let mut series = Vec::new();
        series.try_reserve_exact(BenchmarkReply::SERIES as usize).ok()?;
        Some(Self {
            series,
            sample: 0,
            next: 0,
            frequency,
        })
    }

    /// Enters a figure: so many ticks for `producers * items`. Series come in the same order for every sample.
    fn enter(&mut self, key: Key, ticks: u64) {
        if self.next == self.series.len() && self.sample == 0 {
            self.series.push(Series {
                what: key.what,
                subject: key.subject,
                producers: key.producers,
                items: key.items,
                ..Series::default()
            });
        }
        let divisor = u128::from(self.frequency) * u128::from(key.producers) * u128::from(key.items);
        let picoseconds = (u128::from(ticks) * 1_000_000_000_000)
            .checked_div(divisor)
            .and_then(|figure| u64::try_from(figure).ok())
            .unwrap_or(u64::MAX);
        if let Some(series) = self.series.get_mut(self.next)
            && let Some(place) = series.samples_ps.get_mut(self.sample)
        {
            *place = picoseconds;
        }
        self.next += 1;
    }

    fn turn(&mut self) {
        self.sample += 1;
        self.next = 0;
    }

    /// The reply, as bytes: it is too large for a kernel's stack.
    fn reply(mut self, refused: u64) -> Option<Vec<u8>> {
        let samples = self.sample;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size_of::<BenchmarkReply>()).ok()?;
        bytes.extend_from_slice(&self.frequency.to_le_bytes());
        bytes.extend_from_slice(&refused.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(samples).ok()?.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(self.series.len()).ok()?.to_le_bytes());
        for series in &mut self.series {
            let mut sorted = series.samples_ps;
            let sorted = sorted.get_mut(..samples)?;
            sorted.sort_unstable();
            series.minimum_ps = *sorted.first()?;
            // Of an even number the lower one: a time that was taken.
            series.median_ps = *sorted.get((samples - 1) / 2)?;
            bytes.extend_from_slice(series.as_bytes());
        }
        Some(bytes)
    }
}

/// Which series.
#[derive(Clone, Copy)]
struct Key {
    what: u32,
    subject: u32,
    producers: u32,
    items: u32,
}

/// Measures; the bytes of a [`BenchmarkReply`]. Blocks for some seconds; `stop` says whether to end early.
pub(crate) fn run<P: Platform>(
    platform: &P,
    samples: u32,
    stop: &(dyn Fn() -> bool + Sync),
    passive: &mut Passive,
) -> Result<Vec<u8>, u32> {
    let meter = Meter::new().map_err(status)?;
    let meter = Shared::try_new(meter).map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    let mut sheet = Sheet::new(performance_counter().1).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    let queue = Queue::new(platform, meter.clone(), passive)?;
    let bare = Bare::new(platform, meter.clone())?;
    let mut measured = Ok(());
    for _ in 0..samples {
        if stop() {
            measured = Err(STATUS_CANCELLED);
            break;
        }
        measured = sample(platform, Series::QUEUE, &queue, &meter, &mut sheet, passive)
            .and_then(|()| sample(platform, Series::BARE, &bare, &meter, &mut sheet, passive));
        if measured.is_err() {
            break;
        }
        pairs(&mut sheet);
        sheet.turn();
    }
    queue
        .0
        .close(passive, Close::Drain)
        .map_err(PossibleDeadlock::status)
        .map_err(|status| status.0.cast_unsigned())?;
    measured?;
    sheet
        .reply(read(&meter.refused))
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)
}

/// One sample of every series of a subject.
fn sample<P: Platform>(
    platform: &P,
    which: u32,
    subject: &impl Subject,
    meter: &Meter,
    sheet: &mut Sheet,
    passive: &mut Passive,
) -> Result<(), u32> {
    let key = |what, producers, items| Key {
        what,
        subject: which,
        producers,
        items,
    };
    for (producers, items) in Benchmark::LOADS {
        let Times { producing, whole } = load(platform, producers, items, subject, meter, passive)?;
        sheet.enter(key(Series::ENQUEUE, producers, items), producing);
        sheet.enter(key(Series::ITEM, producers, items), whole);
    }
    let begin = now();
    for _ in 0..Benchmark::WAITS {
        while !subject.enqueue_and_wait(meter, passive) {
            meter.refused.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        }
    }
    sheet.enter(
        key(Series::WAIT, 1, Benchmark::WAITS),
        now().saturating_sub(begin),
    );
    subject.settle(passive);
    Ok(())
}

fn load<P: Platform>(
    platform: &P,
    producers: u32,
    items: u32,
    subject: &impl Subject,
    meter: &Meter,
    passive: &mut Passive,
) -> Result<Times, u32> {
    meter.reset(producers, producers * items);
    platform.parallel(
        producers,
        &|_, _| meter.produce(items, || subject.enqueue()),
        passive,
    )?;
    meter.wait(passive);
    // The last callback has run, its buffer may be on its way.
    subject.settle(passive);
    Ok(meter.times())
}

/// One sample of what a lock costs that nobody else wants.
fn pairs(sheet: &mut Sheet) {
    let key = |what| Key {
        what,
        subject: 0,
        producers: 1,
        items: Benchmark::PAIRS,
    };
    let lock = SpinLock::new(());
    let begin = now();
    for _ in 0..Benchmark::PAIRS {
        drop(black_box(&lock).lock());
    }
    sheet.enter(key(Series::SPIN_LOCK), now().saturating_sub(begin));
    let word = AtomicU32::new(0);
    let begin = now();
    for _ in 0..Benchmark::PAIRS {
        while black_box(&word).swap(1, Acquire) != 0 {
            core::hint::spin_loop();
        }
        black_box(&word).store(0, Release);
    }
    sheet.enter(key(Series::EXCHANGE), now().saturating_sub(begin));
}

fn status(error: CreateError) -> u32 {
    error.status().0.cast_unsigned()
}
