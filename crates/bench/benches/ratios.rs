//! One table: what each operation costs, next to what one would use otherwise and to the floor.
//!
//! The queues take turns round by round, so that a busy machine slows all of them; a figure is the least of many short
//! rounds. Where producers meet, the least is the round in which they happened not to, so that medians are given as
//! well. `--quick` makes fewer rounds.

use std::env;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::Machine;
use queued_work_item::{Config, QueuedWorkItem};
use queued_work_item_bench::{
    Bytes, Crossbeam, Floor, Mpsc, MutexQueue, Post, Rig, SpinQueue, passive, queue, threaded,
};

const COLUMNS: [&str; 8] = [
    "queue",
    "queue, bytes",
    "threaded",
    "floor",
    "mutex+VecDeque",
    "spin+VecDeque",
    "mpsc",
    "crossbeam",
];

/// Items of each round in which producers meet: each of them runs for many of the scheduler's time slices.
const SHARED: u64 = 800_000;

/// Nanoseconds an operation of each contender.
type Row = [Option<f64>; COLUMNS.len()];

/// Of each contender, the figures of all rounds, sorted.
struct Samples([Vec<f64>; COLUMNS.len()]);

impl Samples {
    /// Takes turns for `rounds` rounds.
    fn take(rounds: u32, measurements: &mut Measurements<'_>) -> Self {
        let mut samples: [Vec<f64>; COLUMNS.len()] = Default::default();
        for _ in 0..rounds {
            for (list, measurement) in samples.iter_mut().zip(measurements.iter_mut()) {
                list.extend(measurement.as_mut().map(|measurement| measurement()));
            }
        }
        for list in &mut samples {
            list.sort_by(f64::total_cmp);
        }
        Self(samples)
    }

    fn least(&self) -> Row {
        self.0.each_ref().map(|list| list.first().copied())
    }

    fn median(&self) -> Row {
        self.0.each_ref().map(|list| list.get(list.len() / 2).copied())
    }
}

type Measurements<'a> = [Option<&'a mut dyn FnMut() -> f64>; COLUMNS.len()];

fn nanoseconds(elapsed: Duration, operations: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "counts and times are far below 2^52")]
    {
        elapsed.as_nanos() as f64 / operations as f64
    }
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
    let elapsed = together(producers, || {
        for _ in 0..batch {
            assert!(rig.queue.post(black_box(payload)));
        }
    });
    rig.release(before + plug + (depth - 1) + producers * batch);
    nanoseconds(elapsed, producers * batch)
}

/// From the first start of some threads that run at the same time to the end of the last.
fn together(count: u64, work: impl Fn() + Sync) -> Duration {
    if count == 1 {
        let begun = Instant::now();
        work();
        return begun.elapsed();
    }
    // They start from a spin, since a thread that is woken comes when the others are well under way.
    let ready = AtomicU64::new(0);
    let times: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    ready.fetch_add(1, Ordering::SeqCst);
                    while ready.load(Ordering::SeqCst) < count {
                        thread::yield_now();
                    }
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

/// Enqueues alone: the worker is held.
fn posts<const N: usize>(rounds: u32, depth: u64, producers: u64, batch: u64) -> Samples {
    let capacity = u32::try_from(depth + producers * batch + 1).expect("a capacity");
    let many = capacity as usize;
    let ours = Rig::new(|stage| queue::<[u8; N]>(capacity, move |_| stage.ran()));
    let bytes = Rig::new(|stage| Bytes::new(capacity, N, move |_| stage.ran()));
    let thread = Rig::new(|stage| threaded::<[u8; N]>(capacity, move |_| stage.ran()));
    let floor = Rig::new(|stage| Floor::<[u8; N], _>::new(capacity, move |_| stage.ran()));
    let mutex = Rig::new(|stage| MutexQueue::<[u8; N]>::new(many, move |_| stage.ran()));
    let spin = Rig::new(|stage| SpinQueue::<[u8; N]>::new(many, move |_| stage.ran()));
    let mpsc = Rig::new(|stage| Mpsc::<[u8; N]>::new(move |_| stage.ran()));
    let crossbeam = Rig::new(|stage| Crossbeam::<[u8; N]>::new(many, move |_| stage.ran()));
    Samples::take(
        rounds,
        &mut [
            Some(&mut || post::<N, _>(&ours, depth, producers, batch)),
            Some(&mut || post::<N, _>(&bytes, depth, producers, batch)),
            Some(&mut || post::<N, _>(&thread, depth, producers, batch)),
            Some(&mut || post::<N, _>(&floor, depth, producers, batch)),
            Some(&mut || post::<N, _>(&mutex, depth, producers, batch)),
            Some(&mut || post::<N, _>(&spin, depth, producers, batch)),
            Some(&mut || post::<N, _>(&mpsc, depth, producers, batch)),
            Some(&mut || post::<N, _>(&crossbeam, depth, producers, batch)),
        ],
    )
}

/// Posts `burst` payloads from each of `producers` threads to a worker that nothing holds, until the last has been handled.
fn execute<P: Post<[u8; 64]>>(rig: &Rig<P>, producers: u64, burst: u64) -> f64 {
    let goal = rig.stage.executed() + producers * burst;
    let payload = black_box([7_u8; 64]);
    let posting = together(producers, || {
        for _ in 0..burst {
            assert!(rig.queue.post(payload));
        }
    });
    let posted = Instant::now();
    while rig.stage.executed() < goal {
        thread::yield_now();
    }
    nanoseconds(posting + posted.elapsed(), producers * burst)
}

fn executions(rounds: u32, producers: u64, burst: u64) -> Samples {
    // One more than is ever queued: a handler that has counted has not given its buffer back yet.
    let capacity = u32::try_from(producers * burst + 1).expect("a capacity");
    let many = capacity as usize;
    let ours = Rig::new(|stage| queue::<[u8; 64]>(capacity, move |_| stage.ran()));
    let bytes = Rig::new(|stage| Bytes::new(capacity, 64, move |_| stage.ran()));
    let thread = Rig::new(|stage| threaded::<[u8; 64]>(capacity, move |_| stage.ran()));
    let mutex = Rig::new(|stage| MutexQueue::<[u8; 64]>::new(many, move |_| stage.ran()));
    let spin = Rig::new(|stage| SpinQueue::<[u8; 64]>::new(many, move |_| stage.ran()));
    let mpsc = Rig::new(|stage| Mpsc::<[u8; 64]>::new(move |_| stage.ran()));
    let crossbeam = Rig::new(|stage| Crossbeam::<[u8; 64]>::new(many, move |_| stage.ran()));
    Samples::take(
        rounds,
        &mut [
            Some(&mut || execute(&ours, producers, burst)),
            Some(&mut || execute(&bytes, producers, burst)),
            Some(&mut || execute(&thread, producers, burst)),
            None,
            Some(&mut || execute(&mutex, producers, burst)),
            Some(&mut || execute(&spin, producers, burst)),
            Some(&mut || execute(&mpsc, producers, burst)),
            Some(&mut || execute(&crossbeam, producers, burst)),
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

fn round_trips(rounds: u32, count: u64) -> Samples {
    let ours = queue::<[u8; 64]>(1, |_| ());
    let bytes = Bytes::new(1, 64, |_| ());
    let thread = threaded::<[u8; 64]>(1, |_| ());
    let mutex = MutexQueue::<Awaited>::new(1, |(_, signal)| signal.set());
    let spin = SpinQueue::<Awaited>::new(1, |(_, signal)| signal.set());
    let mpsc = Mpsc::<Awaited>::new(|(_, signal)| signal.set());
    let crossbeam = Crossbeam::<Awaited>::new(1, |(_, signal)| signal.set());
    let passive_ours = &mut passive();
    let passive_bytes = &mut passive();
    let passive_thread = &mut passive();
    Samples::take(
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
            Some(&mut || {
                let begun = Instant::now();
                for _ in 0..count {
                    thread.enqueue_and_wait(passive_thread, [7; 64]).expect("it runs");
                }
                nanoseconds(begun.elapsed(), count)
            }),
            None,
            Some(&mut || await_each(&mutex, count)),
            Some(&mut || await_each(&spin, count)),
            Some(&mut || await_each(&mpsc, count)),
            Some(&mut || await_each(&crossbeam, count)),
        ],
    )
}

fn print_row(name: &str, row: Row) {
    let cell = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.1}"));
    let cells: Vec<String> = row.iter().map(|figure| cell(*figure)).collect();
    let [ours, _, thread, floor, others @ ..] = row;
    let over_floor = match (ours, floor) {
        (Some(ours), Some(floor)) => format!("{:.2}", ours / floor),
        _ => "-".to_owned(),
    };
    let over_queue = match (thread, ours) {
        (Some(thread), Some(ours)) => format!("{:.2}", thread / ours),
        _ => "-".to_owned(),
    };
    let gain = |other: Option<f64>| match (ours, other) {
        (Some(ours), Some(other)) => format!("{:.2}", other / ours),
        _ => "-".to_owned(),
    };
    let gains: Vec<String> = others.into_iter().map(gain).collect();
    println!(
        "| {name} | {} | {over_floor} | {over_queue} | {} |",
        cells.join(" | "),
        gains.join(" | ")
    );
}

fn print_both(name: &str, samples: &Samples) {
    print_row(&format!("{name}, least"), samples.least());
    print_row(&format!("{name}, median"), samples.median());
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
    println!(
        "{} processors. Nanoseconds an operation: the least of all rounds, unless it says median. Then the queue's\n\
         cost over the floor's, and over the queue's that of the one with a thread and of each alternative.\n",
        thread::available_parallelism().map_or(0, usize::from)
    );
    println!(
        "| operation | {} | queue/floor | threaded/queue | mutex/queue | spin/queue | mpsc/queue | crossbeam/queue |",
        COLUMNS.join(" | ")
    );
    println!("|---|{}", "---:|".repeat(COLUMNS.len() + 6));
    for depth in [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        let full = u32::try_from((10_000_000 / depth).clamp(10, 200)).expect("few");
        print_row(
            &format!("enqueue 64 bytes at depth {depth}"),
            posts::<64>(rounds(full), depth, 1, 1_000).least(),
        );
    }
    print_row("enqueue 0 bytes", posts::<0>(rounds(200), 1, 1, 1_000).least());
    print_row("enqueue 16 bytes", posts::<16>(rounds(200), 1, 1, 1_000).least());
    print_row(
        "enqueue 256 bytes",
        posts::<256>(rounds(200), 1, 1, 1_000).least(),
    );
    print_row(
        "enqueue 1024 bytes",
        posts::<1024>(rounds(200), 1, 1, 1_000).least(),
    );
    print_row(
        "enqueue 4096 bytes",
        posts::<4096>(rounds(200), 1, 1, 1_000).least(),
    );
    for producers in [1, 2, 4, 8] {
        print_both(
            &format!("enqueue, {producers} producers"),
            &posts::<64>(rounds(30), 1, producers, SHARED / producers),
        );
    }
    print_row(
        "enqueue to execution, bursts of 10000",
        executions(rounds(200), 1, 10_000).least(),
    );
    for producers in [2, 4] {
        print_both(
            &format!("enqueue to execution, {producers} producers"),
            &executions(rounds(30), producers, SHARED / producers),
        );
    }
    print_row(
        "enqueue to execution, one",
        executions(rounds(2_000), 1, 1).least(),
    );
    print_row("enqueue and wait", round_trips(rounds(50), 200).least());
    memory();
}
