//! Distributions, by criterion: what an operation costs, and how much that varies from run to run.
//!
//! Comparisons are better read from `ratios`, where the queues take turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use queued_work_item_bench::{
    Bytes, Crossbeam, Floor, Mpsc, MutexQueue, Post, Rig, SpinQueue, passive, queue,
};

/// Posts in one timed stretch, so that reading the clock and holding the worker count for little, and no less than it takes
/// to fill the queue to its depth.
const fn stretch(depth: u64) -> u64 {
    if depth < 1_000 { 1_000 } else { depth }
}

/// Times `count` posts to a held worker with `depth` items queued.
fn timed<const N: usize, P: Post<[u8; N]>>(rig: &Rig<P>, depth: u64, count: u64) -> Duration {
    let mut elapsed = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let batch = left.min(stretch(depth));
        left -= batch;
        let before = rig.stage.executed();
        let payload = black_box([7_u8; N]);
        rig.hold(payload);
        for _ in 1..depth {
            assert!(rig.queue.post(payload));
        }
        let begun = Instant::now();
        for _ in 0..batch {
            assert!(rig.queue.post(black_box(payload)));
        }
        elapsed += begun.elapsed();
        rig.release(before + u64::from(rig.queue.has_worker()) + depth - 1 + batch);
    }
    elapsed
}

fn capacity(depth: u64) -> u32 {
    // One more than is ever queued: a handler that has counted has not given its buffer back yet.
    u32::try_from(depth + stretch(depth) + 1).expect("a capacity")
}

fn alone(group: &mut BenchmarkGroup<'_, WallTime>) {
    let many = capacity(1);
    let rig = Rig::new(|stage| queue::<[u8; 64]>(many, move |_| stage.ran()));
    group.bench_function("queue", |b| b.iter_custom(|count| timed(&rig, 1, count)));
    let rig = Rig::new(|stage| Floor::<[u8; 64], _>::new(many, move |_| stage.ran()));
    group.bench_function("floor", |b| b.iter_custom(|count| timed(&rig, 1, count)));
    let rig = Rig::new(|stage| MutexQueue::<[u8; 64]>::new(many as usize, move |_| stage.ran()));
    group.bench_function("mutex", |b| b.iter_custom(|count| timed(&rig, 1, count)));
    let rig = Rig::new(|stage| SpinQueue::<[u8; 64]>::new(many as usize, move |_| stage.ran()));
    group.bench_function("spin lock", |b| b.iter_custom(|count| timed(&rig, 1, count)));
    let rig = Rig::new(|stage| Mpsc::<[u8; 64]>::new(move |_| stage.ran()));
    group.bench_function("mpsc", |b| b.iter_custom(|count| timed(&rig, 1, count)));
    let rig = Rig::new(|stage| Crossbeam::<[u8; 64]>::new(many as usize, move |_| stage.ran()));
    group.bench_function("crossbeam", |b| b.iter_custom(|count| timed(&rig, 1, count)));
}

fn of_size<const N: usize>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let rig = Rig::new(|stage| Bytes::new(capacity(1), N, move |_| stage.ran()));
    group.throughput(Throughput::Bytes(N as u64));
    group.bench_function(BenchmarkId::from_parameter(N), |b| {
        b.iter_custom(|count| timed::<N, _>(&rig, 1, count));
    });
}

fn enqueue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enqueue");
    alone(&mut group);
    group.finish();

    let mut group = criterion.benchmark_group("enqueue at depth");
    for depth in [1, 1_000, 1_000_000] {
        let rig = Rig::new(|stage| queue::<[u8; 64]>(capacity(depth), move |_| stage.ran()));
        group.bench_function(BenchmarkId::from_parameter(depth), |b| {
            b.iter_custom(|count| timed(&rig, depth, count));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("enqueue of bytes");
    of_size::<0>(&mut group);
    of_size::<16>(&mut group);
    of_size::<64>(&mut group);
    of_size::<256>(&mut group);
    of_size::<1024>(&mut group);
    of_size::<4096>(&mut group);
    group.finish();
}

fn execution(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("execution");
    let rig = Rig::new(|stage| queue::<[u8; 64]>(10_001, move |_| stage.ran()));
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("burst of 10000", |b| {
        b.iter(|| {
            let goal = rig.stage.executed() + 10_000;
            for _ in 0..10_000 {
                assert!(rig.queue.post(black_box([7; 64])));
            }
            rig.release(goal);
        });
    });
    let waited = queue::<[u8; 64]>(1, |_| ());
    let passive = &mut passive();
    group.throughput(Throughput::Elements(1));
    group.bench_function("enqueue and wait", |b| {
        b.iter(|| {
            waited
                .enqueue_and_wait(passive, black_box([7; 64]))
                .expect("it runs")
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = enqueue, execution
}
criterion_main!(benches);
