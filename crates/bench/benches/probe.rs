//! One operation at a time, for an instruction counter: what `cargo xtask test budget` runs under callgrind.
//!
//! `probe enqueue DEPTH` fills a queue whose worker is stopped to that depth, then enqueues [`COUNT`] payloads of 64 bytes, each
//! by one call of `probed_enqueue`, and exits without running them. `probe threaded DEPTH` does that with a queue that has a
//! thread, which is awake, by `probed_threaded`. `probe drain DEPTH` fills a stopped queue, starts it,
//! and waits for its worker, which runs all of them in the library's `run_share`, with a callback that counts. Each prints
//! how many operations are to be seen. With one word more, `heavier`, each operation executes one locked instruction of its
//! own as well: the counter's own test.

use std::env;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use queued_work_item::{QueuedWorkItem, ThreadedBufferQueue};
use queued_work_item_bench::{Rig, queue, threaded};

/// Probed enqueues.
const COUNT: u32 = 1_000;

type Payload = [u8; 64];

static EXTRA: AtomicU64 = AtomicU64::new(0);

/// What is counted, with everything that it calls.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn probed_enqueue(queue: &QueuedWorkItem<Payload>, payload: &Payload, heavier: bool) -> bool {
    if heavier {
        EXTRA.fetch_add(1, Ordering::Relaxed);
    }
    queue.enqueue(*payload).is_ok()
}

/// As `probed_enqueue`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn probed_threaded(
    queue: &ThreadedBufferQueue<Payload>,
    payload: &Payload,
    heavier: bool,
) -> bool {
    if heavier {
        EXTRA.fetch_add(1, Ordering::Relaxed);
    }
    queue.enqueue(*payload).is_ok()
}

fn fill(queue: &QueuedWorkItem<Payload>, depth: u32) {
    for number in 0..depth {
        let payload = [u8::try_from(number % 251).expect("small"); 64];
        assert!(queue.enqueue(payload).is_ok(), "there is room");
    }
}

fn probe_enqueue(depth: u32, heavier: bool) -> u32 {
    let queue = queue::<Payload>(depth + COUNT, |_| ());
    queue.stop();
    fill(&queue, depth);
    for number in 0..COUNT {
        let payload = [u8::try_from(number % 251).expect("small"); 64];
        assert!(probed_enqueue(&queue, &payload, heavier), "there is room");
    }
    println!("{COUNT}");
    // Running a million items would only take time.
    process::exit(0);
}

fn probe_threaded(depth: u32, heavier: bool) -> u32 {
    let rig = Rig::new(|stage| threaded::<Payload>(depth + COUNT + 1, move |_| stage.ran()));
    rig.hold([0; 64]);
    for _ in 0..depth {
        assert!(rig.queue.enqueue([1; 64]).is_ok(), "there is room");
    }
    for _ in 0..COUNT {
        assert!(probed_threaded(&rig.queue, &[2; 64], heavier), "there is room");
    }
    println!("{COUNT}");
    process::exit(0);
}

fn probe_drain(depth: u32, heavier: bool) -> u32 {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let queue = queue::<Payload>(depth, move |_| {
        if heavier {
            EXTRA.fetch_add(1, Ordering::Relaxed);
        }
        // One callback runs at a time, so no locked instruction is needed to count.
        counted.store(counted.load(Ordering::Relaxed) + 1, Ordering::Release);
    });
    queue.stop();
    fill(&queue, depth);
    queue.start();
    while runs.load(Ordering::Acquire) < u64::from(depth) {
        thread::yield_now();
    }
    depth
}

fn main() {
    // Cargo's own arguments begin with a dash.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let depth: u32 = words.get(1).map_or(Ok(16), |word| word.parse()).expect("a depth");
    let heavier = words.get(2).is_some_and(|word| word == "heavier");
    let operations = match words.first().map_or("enqueue", String::as_str) {
        "enqueue" => probe_enqueue(depth, heavier),
        "threaded" => probe_threaded(depth, heavier),
        "drain" => probe_drain(depth, heavier),
        other => panic!("no probe is named {other}"),
    };
    println!("{operations}");
}
