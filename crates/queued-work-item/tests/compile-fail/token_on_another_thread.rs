//! The token speaks of the thread that made it.

use queued_work_item::{Passive, QueuedWorkItem};

fn wait_elsewhere(queue: &'static QueuedWorkItem<u32>, mut passive: Passive) {
    std::thread::spawn(move || queue.flush(&mut passive));
}

fn main() {}
