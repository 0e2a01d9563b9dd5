//! One enqueue at a time, for an instruction counter: what `cargo xtask test budget` runs under callgrind.
//!
//! `probe DEPTH` fills a queue whose worker is busy to that depth, then enqueues [`COUNT`] payloads of 64 bytes, each by
//! one call of `probed_enqueue`, and exits without running them. With `probe DEPTH heavier`, `probed_enqueue` executes
//! one locked instruction of its own as well: the counter's own test.

mod contenders;

use std::env;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use contenders::{Rig, queue};
use queued_work_item::QueuedWorkItem;

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

fn main() {
    // Cargo's own arguments begin with a dash.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let depth: u32 = words.first().map_or(Ok(1), |word| word.parse()).expect("a depth");
    let heavier = words.get(1).is_some_and(|word| word == "heavier");
    let rig = Rig::new(|stage| queue::<Payload>(depth + COUNT, move |_| stage.ran()));
    rig.hold([0; 64]);
    // The plug is one of them.
    for _ in 1..depth {
        assert!(rig.queue.enqueue([0; 64]).is_ok());
    }
    for number in 0..COUNT {
        let payload = [u8::try_from(number % 251).expect("small"); 64];
        assert!(probed_enqueue(&rig.queue, &payload, heavier));
    }
    println!("{COUNT}");
    // The worker is held, and running a million items would only take time.
    process::exit(0);
}
