//! What the driver measured of itself, made readable: a table, JSON, and a page.
//!
//! The driver gives picoseconds, sample by sample. Nanoseconds alone say little of a machine that nobody knows, so that
//! each figure is also given in spin lock pairs of the same request, and beside the same work done by hand.

pub mod page;

use queued_work_item_ioctl::{Benchmark, BenchmarkReply, BenchmarkSeries};
use serde::{Deserialize, Serialize};

use crate::Error;

/// One benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The harness's version.
    pub harness: String,
    /// Bytes of each payload.
    pub payload_bytes: u32,
    /// Buffers of each queue.
    pub buffers: u32,
    /// Samples of each series.
    pub samples: u32,
    /// Ticks a second of the clock.
    pub frequency: u64,
    /// The series, in the driver's order.
    pub series: Vec<Series>,
}

/// One figure, measured several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was measured.
    pub what: What,
    /// Of what.
    pub subject: Subject,
    /// Producers at once.
    pub producers: u32,
    /// What each of them does in one sample.
    pub items: u32,
    /// The least sample.
    pub minimum_ns: f64,
    /// The sample in the middle.
    pub median_ns: f64,
    /// The least sample in least spin lock pairs.
    pub minimum_pairs: f64,
    /// All samples, in the order in which they were taken.
    pub samples_ns: Vec<f64>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// One enqueue.
    Enqueue,
    /// One item, from the first enqueue to the end of the last callback.
    Item,
    /// One enqueue and wait.
    Wait,
    /// A `KSPIN_LOCK` acquired and released.
    SpinLock,
    /// The same as a bare loop.
    Exchange,
}

/// What did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// `QueuedWorkItem`.
    Queue,
    /// A bare WDFWORKITEM, a list and a spin lock.
    Bare,
    /// Neither.
    Machine,
}

impl What {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Item => "item to completion",
            Self::Wait => "enqueue and wait",
            Self::SpinLock => "KSPIN_LOCK pair",
            Self::Exchange => "exchange and store",
        }
    }
}

impl Subject {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "QueuedWorkItem",
            Self::Bare => "by hand",
            Self::Machine => "machine",
        }
    }
}

impl Results {
    /// Reads the driver's reply.
    ///
    /// # Errors
    /// [`Error::Unverified`], where it does not hold what the contract says.
    pub fn new(reply: &BenchmarkReply) -> Result<Self, Error> {
        let bad = |what: &str| Error::Unverified(format!("the driver's benchmark {what}"));
        if reply.refused != 0 {
            return Err(bad("found its queue full"));
        }
        if reply.count != BenchmarkReply::SERIES {
            return Err(bad("has another number of series than the contract"));
        }
        let pair = reply
            .series
            .iter()
            .find(|series| series.what == BenchmarkSeries::SPIN_LOCK)
            .map(|series| nanoseconds(series.minimum_ps))
            .filter(|pair| *pair > 0.0)
            .ok_or_else(|| bad("has no spin lock pair"))?;
        let series = reply
            .series
            .iter()
            .map(|series| {
                Series::new(series, reply.samples, pair).ok_or_else(|| bad("has a series of no contract"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            payload_bytes: Benchmark::PAYLOAD,
            buffers: Benchmark::BUFFERS,
            samples: reply.samples,
            frequency: reply.frequency,
            series,
        })
    }

    /// The series of that, if it was measured.
    #[must_use]
    pub fn find(&self, what: What, subject: Subject, producers: u32) -> Option<&Series> {
        self.series
            .iter()
            .find(|series| series.what == what && series.subject == subject && series.producers == producers)
    }

    /// The same measured by hand, for a series of the queue.
    #[must_use]
    pub fn by_hand(&self, series: &Series) -> Option<&Series> {
        (series.subject == Subject::Queue)
            .then(|| self.find(series.what, Subject::Bare, series.producers))
            .flatten()
    }
}

impl Series {
    fn new(series: &BenchmarkSeries, samples: u32, pair: f64) -> Option<Self> {
        let what = match series.what {
            BenchmarkSeries::ENQUEUE => What::Enqueue,
            BenchmarkSeries::ITEM => What::Item,
            BenchmarkSeries::WAIT => What::Wait,
            BenchmarkSeries::SPIN_LOCK => What::SpinLock,
            BenchmarkSeries::EXCHANGE => What::Exchange,
            _ => return None,
        };
        let subject = match (what, series.subject) {
            (What::SpinLock | What::Exchange, _) => Subject::Machine,
            (_, BenchmarkSeries::QUEUE) => Subject::Queue,
            (_, BenchmarkSeries::BARE) => Subject::Bare,
            _ => return None,
        };
        let samples_ns = series.samples_ps.get(..samples as usize)?;
        let minimum_ns = nanoseconds(series.minimum_ps);
        Some(Self {
            what,
            subject,
            producers: series.producers,
            items: series.items,
            minimum_ns,
            median_ns: nanoseconds(series.median_ps),
            minimum_pairs: minimum_ns / pair,
            samples_ns: samples_ns.iter().copied().map(nanoseconds).collect(),
        })
    }

    /// In words.
    #[must_use]
    pub fn name(&self) -> String {
        match self.what {
            What::SpinLock | What::Exchange => self.what.name().to_owned(),
            What::Wait => format!("{}, one at a time", self.what.name()),
            _ if self.producers == 1 => format!("{}, 1 producer", self.what.name()),
            _ => format!("{}, {} producers", self.what.name(), self.producers),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact to a picosecond for hours")]
fn nanoseconds(picoseconds: u64) -> f64 {
    picoseconds as f64 / 1_000.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A reply as the contract says, with figures that can be told apart.
    pub(crate) fn reply() -> BenchmarkReply {
        let mut series = Vec::new();
        let mut add = |what, subject, producers, items, ps| {
            let mut samples_ps = [0; 30];
            for (sample, place) in samples_ps.iter_mut().take(3).enumerate() {
                *place = ps + 500 * sample as u64;
            }
            series.push(BenchmarkSeries {
                what,
                subject,
                producers,
                items,
                minimum_ps: ps,
                median_ps: ps + 500,
                samples_ps,
            });
        };
        for (subject, dear) in [(BenchmarkSeries::QUEUE, 1), (BenchmarkSeries::BARE, 3)] {
            for (producers, items) in Benchmark::LOADS {
                let ps = dear * 50_000 * u64::from(producers);
                add(BenchmarkSeries::ENQUEUE, subject, producers, items, ps);
                add(BenchmarkSeries::ITEM, subject, producers, items, 2 * ps);
            }
            add(
                BenchmarkSeries::WAIT,
                subject,
                1,
                Benchmark::WAITS,
                dear * 9_000_000,
            );
        }
        add(BenchmarkSeries::SPIN_LOCK, 0, 1, Benchmark::PAIRS, 20_000);
        add(BenchmarkSeries::EXCHANGE, 0, 1, Benchmark::PAIRS, 5_000);
        BenchmarkReply {
            frequency: 10_000_000,
            refused: 0,
            samples: 3,
            count: BenchmarkReply::SERIES,
            series: series.try_into().expect("16 series"),
        }
    }

    #[test]
    fn figures_are_in_nanoseconds_and_in_pairs() {
        let results = Results::new(&reply()).expect("a good reply");
        let one = results.find(What::Enqueue, Subject::Queue, 1).expect("a series");
        assert_eq!((one.minimum_ns, one.median_ns), (50.0, 50.5));
        assert!((one.minimum_pairs - 2.5).abs() < 1e-9);
        assert_eq!(one.samples_ns, [50.0, 50.5, 51.0]);
        let hand = results.by_hand(one).expect("the same by hand");
        assert!((hand.minimum_ns - 150.0).abs() < 1e-9);
        assert_eq!(results.by_hand(hand), None);
    }

    #[test]
    fn results_are_read_back() {
        let results = Results::new(&reply()).expect("a good reply");
        let text = serde_json::to_string(&results).expect("JSON");
        assert_eq!(serde_json::from_str::<Results>(&text).expect("the same"), results);
    }

    #[test]
    fn replies_of_no_contract_are_refused() {
        for spoil in [
            (|reply| reply.refused = 1) as fn(&mut BenchmarkReply),
            |reply| reply.count = 1,
            |reply| reply.samples = 31,
            |reply| reply.series[0].what = 9,
            |reply| reply.series[0].subject = 9,
            |reply| reply.series[14].minimum_ps = 0,
        ] {
            let mut reply = reply();
            spoil(&mut reply);
            assert!(Results::new(&reply).is_err());
        }
    }
}
