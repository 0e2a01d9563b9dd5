//! What the queue costs, measured inside the driver.
//!
//! An IOCTL costs far more than an enqueue, so that the driver measures itself. Nanoseconds alone say little of a machine
//! that nobody knows: beside the queue stand a spin lock's pair, the same pair without the system's part in it, and the
//! work item, list and spin lock that a driver would have without the queue.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Header, limits};

/// The input of [`BENCHMARK`](crate::BENCHMARK).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Benchmark {
    /// Version, and an instance, which is not touched.
    pub header: Header,
    /// Samples of each series, 1 to [`limits::BENCHMARK_SAMPLES`].
    pub samples: u32,
    /// Zero.
    pub reserved: u32,
}

impl Benchmark {
    /// Bytes of each payload.
    pub const PAYLOAD: u32 = 64;
    /// Buffers of each queue, which is never full.
    pub const BUFFERS: u32 = 1_024;
    /// Producers, and items of each of them in one sample.
    pub const LOADS: [(u32, u32); 3] = [(1, 1_000), (2, 256), (4, 256)];
    /// Waits of one sample, one after the other.
    pub const WAITS: u32 = 100;
    /// Pairs of one sample.
    pub const PAIRS: u32 = 10_000;

    /// As many samples as there can be.
    pub const fn new() -> Self {
        Self {
            header: Header::new(0),
            samples: limits::BENCHMARK_SAMPLES,
            reserved: 0,
        }
    }
}

impl Default for Benchmark {
    fn default() -> Self {
        Self::new()
    }
}

/// The output of [`BENCHMARK`](crate::BENCHMARK).
///
/// The series are [`Benchmark::LOADS`] in their order, each with [`ENQUEUE`](BenchmarkSeries::ENQUEUE) and then
/// [`ITEM`](BenchmarkSeries::ITEM), then [`WAIT`](BenchmarkSeries::WAIT), all that of the queue and then of what is
/// [bare](BenchmarkSeries::BARE); last [`SPIN_LOCK`](BenchmarkSeries::SPIN_LOCK) and
/// [`EXCHANGE`](BenchmarkSeries::EXCHANGE). Sample by sample they are taken in turns, so that what changes on the machine
/// meanwhile meets all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BenchmarkReply {
    /// `KeQueryPerformanceCounter` ticks a second: no sample is finer than one of them by its number of items.
    pub frequency: u64,
    /// Enqueues that found no free buffer and were tried again: must be 0.
    pub refused: u64,
    /// Samples of each series.
    pub samples: u32,
    /// Series that follow: [`BenchmarkReply::SERIES`].
    pub count: u32,
    /// What was measured.
    pub series: [BenchmarkSeries; Self::SERIES as usize],
}

impl BenchmarkReply {
    /// Series of a reply.
    pub const SERIES: u32 = 16;
}

/// One figure, measured several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BenchmarkSeries {
    /// [`BenchmarkSeries::ENQUEUE`] and its like.
    pub what: u32,
    /// [`BenchmarkSeries::QUEUE`] or [`BenchmarkSeries::BARE`]; 0 for the pairs.
    pub subject: u32,
    /// Producers at once.
    pub producers: u32,
    /// What each of them does in one sample.
    pub items: u32,
    /// The least of the samples, in picoseconds for one item, wait or pair.
    pub minimum_ps: u64,
    /// Their median.
    pub median_ps: u64,
    /// All samples, in the order in which they were taken; zero after [`BenchmarkReply::samples`].
    pub samples_ps: [u64; limits::BENCHMARK_SAMPLES as usize],
}

impl BenchmarkSeries {
    /// One enqueue, on its producer's side; the mean of the producers.
    pub const ENQUEUE: u32 = 0;
    /// One item, from before the first enqueue to the end of the last callback.
    pub const ITEM: u32 = 1;
    /// One enqueue, with the wait for its item's end.
    pub const WAIT: u32 = 2;
    /// A `KSPIN_LOCK` acquired and released, by nobody else wanted.
    pub const SPIN_LOCK: u32 = 3;
    /// The same as a bare loop: an interlocked exchange and a store.
    pub const EXCHANGE: u32 = 4;

    /// `QueuedWorkItem`.
    pub const QUEUE: u32 = 0;
    /// A bare WDFWORKITEM, a list and a spin lock, in order and one at a time as the queue is.
    pub const BARE: u32 = 1;
}

const _: () = {
    assert!(size_of::<Benchmark>() == 16);
    assert!(size_of::<BenchmarkSeries>() == 272);
    assert!(size_of::<BenchmarkReply>() == 24 + 16 * 272);
    // For each subject a wait, and each load twice; and the pairs.
    assert!(BenchmarkReply::SERIES as usize == 2 * (2 * Benchmark::LOADS.len() + 1) + 2);
};
