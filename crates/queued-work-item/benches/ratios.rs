//! One table: what each operation costs, next to what one would use otherwise and to the floor.
//!
//! Every figure is the least of many short rounds (with several producers, the median), and the queues take turns round by round, so that a busy machine
//! slows all of them. `--quick` makes fewer rounds.

mod contenders;

use std::env;
use std::hint::black_box;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use contenders::{Bytes, Crossbeam, Floor, Mpsc, MutexQueue, Post, Rig, passive, queue};
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::Machine;
use queued_work_item::{Config, QueuedWorkItem};

const COLUMNS: [&str; 6] = [
    "queue",
    "queue, bytes",
    "floor",
    "mutex+VecDeque",
    "mpsc",
    "crossbeam",
];

/// Nanoseconds an operation of each contender.
type Row = [Option<f64>; COLUMNS.len()];

fn nanoseconds(elapsed: Duration, operations: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "counts and times are far below 2^52")]
    {
        elapsed.as_nanos() as f64 / operations as f64
    }
}

/// The median of what `rounds` rounds of each measurement give: under contention the least of them is the round in which
/// the threads happened not to meet.
fn median(rounds: u32, measurements: &mut Measurements<'_>) -> Row {
    let mut figures: [Vec<f64>; COLUMNS.len()] = Default::default();
    for _ in 0..rounds {
        for (list, measurement) in figures.iter_mut().zip(measurements.iter_mut()) {
            list.extend(measurement.as_mut().map(|measurement| measurement()));
        }
    }
    figures.map(|mut list| {
        list.sort_by(f64::total_cmp);
        list.get(list.len() / 2).copied()
    })
}

type Measurements<'a> = [Option<&'a mut dyn FnMut() -> f64>; COLUMNS.len()];

/// The least of what `rounds` rounds of each measurement give.
fn least(rounds: u32, measurements: &mut Measurements<'_>) -> Row {
    let mut row: Row = [None; COLUMNS.len()];
    for _ in 0..rounds {
        for (place, measurement) in row.iter_mut().zip(measurements.iter_mut()) {
            let Some(measurement) = measurement else { continue };
            let now = measurement();
            *place = Some(place.map_or(now, |least| least.min(now)));
        }
    }
    row
}

/// Posts `batch` payloads from each of `producers` threads to a held worker with `depth` items queued.
fn post<const N: usize, P: Post<[u8; N]>>(rig: &Rig<P>, depth: u64, producers: u64, batch: u64) -> f64 {
    let before = rig.stage.executed();
    let payload = black_box([7_u8; N]);
    rig.hold(payload);
    let plug = u64::from(rig.queue.has_worker());
    for _ in 1..depth {
        assert!(rig.queue.post(payload));
    }
    let elapsed = if producers == 1 {
        let begun = Instant::now();
        for _ in 0..batch {
            assert!(rig.queue.post(black_box(payload)));
        }
        begun.elapsed()
    } else {
        together(producers, || {
            for _ in 0..batch {
                assert!(rig.queue.post(black_box(payload)));
            }
        })
    };
    rig.release(before + plug + (depth - 1) + producers * batch);
    nanoseconds(elapsed, producers * batch)
}

/// From the common start of some threads to the end of the last.
fn together(count: u64, work: impl Fn() + Sync) -> Duration {
    let barrier = Barrier::new(usize::try_from(count).expect("few"));
    let times: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let begun = Instant::now();
                    work();
                    (begun, Instant::now())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a producer"))
            .collect()
    });
    let begun = times.iter().map(|(begun, _)| *begun).min().expect("threads");
    let ended = times.iter().map(|(_, ended)| *ended).max().expect("threads");
    ended - begun
}

fn posts<const N: usize>(rounds: u32, depth: u64, producers: u64, batch: u64) -> Row {
    let capacity = u32::try_from(depth + producers * batch + 1).expect("a capacity");
    let many = capacity as usize;
    let ours = Rig::new(|stage| queue::<[u8; N]>(capacity, move |_| stage.ran()));
    let bytes = Rig::new(|stage| Bytes::new(capacity, N, move |_| stage.ran()));
    let floor = Rig::new(|stage| Floor::<[u8; N], _>::new(capacity, move |_| stage.ran()));
    let mutex = Rig::new(|stage| MutexQueue::<[u8; N]>::new(many, move |_| stage.ran()));
    let mpsc = Rig::new(|stage| Mpsc::<[u8; N]>::new(move |_| stage.ran()));
    let crossbeam = Rig::new(|stage| Crossbeam::<[u8; N]>::new(many, move |_| stage.ran()));
    let summary = if producers == 1 { least } else { median };
    summary(
        rounds,
        &mut [
            Some(&mut || post::<N, _>(&ours, depth, producers, batch)),
            Some(&mut || post::<N, _>(&bytes, depth, producers, batch)),
            Some(&mut || post::<N, _>(&floor, depth, producers, batch)),
            Some(&mut || post::<N, _>(&mutex, depth, producers, batch)),
            Some(&mut || post::<N, _>(&mpsc, depth, producers, batch)),
            Some(&mut || post::<N, _>(&crossbeam, depth, producers, batch)),
        ],
    )
}

/// Posts `burst` payloads to a worker that nothing holds, until the last has been handled.
fn execute<P: Post<[u8; 64]>>(rig: &Rig<P>, burst: u64) -> f64 {
    let goal = rig.stage.executed() + burst;
    let payload = black_box([7_u8; 64]);
    let begun = Instant::now();
    for _ in 0..burst {
        assert!(rig.queue.post(payload));
    }
    rig.queue.settle();
    while rig.stage.executed() < goal {
        thread::yield_now();
    }
    nanoseconds(begun.elapsed(), burst)
}

fn executions(rounds: u32, burst: u32) -> Row {
    let many = burst as usize;
    let ours = Rig::new(|stage| queue::<[u8; 64]>(burst, move |_| stage.ran()));
    let bytes = Rig::new(|stage| Bytes::new(burst, 64, move |_| stage.ran()));
    let mutex = Rig::new(|stage| MutexQueue::<[u8; 64]>::new(many, move |_| stage.ran()));
    let mpsc = Rig::new(|stage| Mpsc::<[u8; 64]>::new(move |_| stage.ran()));
    let crossbeam = Rig::new(|stage| Crossbeam::<[u8; 64]>::new(many, move |_| stage.ran()));
    let burst = u64::from(burst);
    least(
        rounds,
        &mut [
            Some(&mut || execute(&ours, burst)),
            Some(&mut || execute(&bytes, burst)),
            None,
            Some(&mut || execute(&mutex, burst)),
            Some(&mut || execute(&mpsc, burst)),
            Some(&mut || execute(&crossbeam, burst)),
        ],
    )
}

/// A waiter of the alternatives, as one would write it.
#[derive(Default)]
struct Signal(Mutex<bool>, Condvar);

impl Signal {
    fn set(&self) {
        *self.0.lock().expect("unpoisoned") = true;
        self.1.notify_one();
    }

    fn wait(&self) {
        let set = self.0.lock().expect("unpoisoned");
        *self.1.wait_while(set, |set| !*set).expect("unpoisoned") = false;
    }
}

type Awaited = ([u8; 64], Arc<Signal>);

fn await_each(queue: &impl Post<Awaited>, count: u64) -> f64 {
    let signal = Arc::new(Signal::default());
    let begun = Instant::now();
    for _ in 0..count {
        assert!(queue.post(([7; 64], Arc::clone(&signal))));
        signal.wait();
    }
    nanoseconds(begun.elapsed(), count)
}

fn round_trips(rounds: u32, count: u64) -> Row {
    let ours = queue::<[u8; 64]>(1, |_| ());
    let bytes = Bytes::new(1, 64, |_| ());
    let mutex = MutexQueue::<Awaited>::new(1, |(_, signal)| signal.set());
    let mpsc = Mpsc::<Awaited>::new(|(_, signal)| signal.set());
    let crossbeam = Crossbeam::<Awaited>::new(1, |(_, signal)| signal.set());
    let passive_ours = &mut passive();
    let passive_bytes = &mut passive();
    least(
        rounds,
        &mut [
            Some(&mut || {
                let begun = Instant::now();
                for _ in 0..count {
                    ours.enqueue_and_wait(passive_ours, [7; 64]).expect("it runs");
                }
                nanoseconds(begun.elapsed(), count)
            }),
            Some(&mut || {
                let begun = Instant::now();
                for _ in 0..count {
                    bytes
                        .0
                        .enqueue_and_wait(passive_bytes, &[7; 64])
                        .expect("it runs");
                }
                nanoseconds(begun.elapsed(), count)
            }),
            None,
            Some(&mut || await_each(&mutex, count)),
            Some(&mut || await_each(&mpsc, count)),
            Some(&mut || await_each(&crossbeam, count)),
        ],
    )
}

fn print_row(name: &str, row: Row) {
    let cell = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.1}"));
    let cells: Vec<String> = row.iter().map(|figure| cell(*figure)).collect();
    let [ours, _, floor, others @ ..] = row;
    let over_floor = match (ours, floor) {
        (Some(ours), Some(floor)) => format!("{:.2}", ours / floor),
        _ => "-".to_owned(),
    };
    let gain = |other: Option<f64>| match (ours, other) {
        (Some(ours), Some(other)) => format!("{:.1}", other / ours),
        _ => "-".to_owned(),
    };
    let gains: Vec<String> = others.into_iter().map(gain).collect();
    println!(
        "| {name} | {} | {over_floor} | {} |",
        cells.join(" | "),
        gains.join(" | ")
    );
}

fn memory() {
    const BUFFERS: u32 = 1_000;
    println!("\nBytes of pool per buffer, and beside the payload:\n");
    println!("| payload | per buffer | beside |\n|---:|---:|---:|");
    for size in [0, 16, 64, 256, 1024, 4096] {
        let pool = |buffers| {
            let machine = Machine::new();
            let _in = machine.enter();
            let config = Config::new(buffers).buffer_size(size);
            let queue: QueuedWorkItem<[u8]> =
                QueuedWorkItem::create(&mut passive(), Parent::default(), &config, |_, _| ())
                    .expect("create");
            let (_, bytes) = machine.outstanding();
            drop(queue);
            usize::try_from(bytes).expect("not negative")
        };
        let each = (pool(2 * BUFFERS) - pool(BUFFERS)) / BUFFERS as usize;
        println!("| {size} | {each} | {} |", each - size);
    }
}

fn main() {
    let quick = env::args().any(|arg| arg == "--quick");
    let rounds = |full: u32| if quick { full.div_ceil(10).max(3) } else { full };
    println!("Nanoseconds an operation: the least of all rounds, with several producers their median.");
    println!("Then the queue's cost over the floor's, and each alternative's over the queue's.\n");
    println!(
        "| operation | {} | queue/floor | mutex/queue | mpsc/queue | crossbeam/queue |",
        COLUMNS.join(" | ")
    );
    println!("|---|{}", "---:|".repeat(COLUMNS.len() + 4));
    for producers in [1, 2, 4, 8] {
        let row = posts::<64>(rounds(100), 1, producers, 40_000 / producers);
        print_row(&format!("enqueue 64 bytes, producers: {producers}"), row);
    }
    for depth in [10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        let full = u32::try_from((10_000_000 / depth).clamp(10, 100)).expect("few");
        print_row(
            &format!("enqueue at depth {depth}"),
            posts::<64>(rounds(full), depth, 1, 1_000),
        );
    }
    print_row("enqueue 0 bytes", posts::<0>(rounds(100), 1, 1, 1_000));
    print_row("enqueue 16 bytes", posts::<16>(rounds(100), 1, 1, 1_000));
    print_row("enqueue 256 bytes", posts::<256>(rounds(100), 1, 1, 1_000));
    print_row("enqueue 1024 bytes", posts::<1024>(rounds(100), 1, 1, 1_000));
    print_row("enqueue 4096 bytes", posts::<4096>(rounds(100), 1, 1, 1_000));
    print_row(
        "enqueue to execution, bursts of 10000",
        executions(rounds(50), 10_000),
    );
    print_row("enqueue to execution, one", executions(rounds(2_000), 1));
    print_row("enqueue and wait", round_trips(rounds(50), 200));
    memory();
}
