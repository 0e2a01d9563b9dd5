//! The benchmark's figures, their order and their limits. What they are on a host says nothing.

use queued_work_item_ioctl::{BenchmarkSeries as Series, *};
use zerocopy::IntoBytes;

use super::{both, device};
use crate::testing::{Client, Pended};

fn send(client: &Client<'_>, request: Benchmark) -> Pended {
    client.send(BENCHMARK, request.as_bytes(), size_of::<BenchmarkReply>())
}

#[test]
fn every_series_is_measured_in_its_place() {
    let device = device();
    let client = both(&device);
    let samples = 4;
    let request = Benchmark {
        samples,
        ..Benchmark::new()
    };
    let reply: BenchmarkReply = send(&client, request).wait().reply();
    assert_eq!(
        (reply.refused, reply.samples, reply.count),
        (0, samples, BenchmarkReply::SERIES)
    );
    assert!(reply.frequency > 0);
    let mut expected = std::vec::Vec::new();
    for subject in [Series::QUEUE, Series::BARE] {
        for (producers, items) in Benchmark::LOADS {
            expected.push((Series::ENQUEUE, subject, producers, items));
            expected.push((Series::ITEM, subject, producers, items));
        }
        expected.push((Series::WAIT, subject, 1, Benchmark::WAITS));
    }
    expected.push((Series::SPIN_LOCK, 0, 1, Benchmark::PAIRS));
    expected.push((Series::EXCHANGE, 0, 1, Benchmark::PAIRS));
    let measured: std::vec::Vec<_> = reply
        .series
        .iter()
        .map(|series| (series.what, series.subject, series.producers, series.items))
        .collect();
    assert_eq!(measured, expected);
    for series in &reply.series {
        let (taken, rest) = series.samples_ps.split_at(samples as usize);
        assert!(taken.iter().all(|sample| *sample > 0), "{series:?}");
        assert!(rest.iter().all(|sample| *sample == 0), "{series:?}");
        assert_eq!(Some(&series.minimum_ps), taken.iter().min());
        assert!(taken.contains(&series.median_ps));
        let below = taken.iter().filter(|sample| **sample < series.median_ps).count();
        let above = taken.iter().filter(|sample| **sample > series.median_ps).count();
        assert!(below <= 2 && above <= 2, "{series:?}");
    }
    // An item takes longer than its enqueue, and a wait longer than either.
    for load in reply.series.chunks_exact(2).take(Benchmark::LOADS.len()) {
        assert!(load[1].minimum_ps >= load[0].minimum_ps / u64::from(load[0].producers));
    }
    assert_eq!(client.statistics(), StatisticsReply::default());
}

#[test]
fn w24_a_benchmark_ends_when_nobody_waits_for_it() {
    let device = device();
    let client = both(&device);
    let one = Benchmark {
        samples: 1,
        ..Benchmark::new()
    };
    for bad in [
        Benchmark { samples: 0, ..one },
        Benchmark {
            samples: limits::BENCHMARK_SAMPLES + 1,
            ..one
        },
        Benchmark { reserved: 1, ..one },
    ] {
        assert_eq!(send(&client, bad).wait().status, STATUS_INVALID_PARAMETER);
    }
    let long = send(&client, Benchmark::new());
    // It takes turns with the other load.
    let stress = super::stress::load(1, 1, Stress::PASSIVE);
    let refused = client.call(STRESS, stress.as_bytes(), size_of::<StressReply>());
    assert_eq!(refused.status, STATUS_INSUFFICIENT_RESOURCES);
    long.cancel();
    assert_eq!(
        long.answered().map(|answered| answered.status),
        Some(STATUS_CANCELLED)
    );
    // Its turn ends soon after.
    while send(&client, one).wait().status == STATUS_INSUFFICIENT_RESOURCES {
        std::thread::yield_now();
    }
    let last = send(&client, Benchmark::new());
    device.remove();
    assert!(last.answered().is_some(), "removal waits for it");
}
