//! What is handed to a DPC is no evidence for what waits.

use queued_work_item::kernel::Parent;
use queued_work_item::{BufferQueue, Config, Passive, QueuedWorkItem};

fn create(passive: &mut Passive, log: &'static QueuedWorkItem<u32>) {
    let _ = <BufferQueue>::create_with_timer(passive, Parent::default(), &Config::new(1), |_, _, dispatch| {
        let _ = log.enqueue_and_wait(dispatch, 1);
    });
}

fn main() {}
