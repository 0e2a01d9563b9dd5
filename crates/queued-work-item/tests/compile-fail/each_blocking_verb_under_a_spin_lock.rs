//! Every verb that blocks asks for the token.

use core::time::Duration;

use queued_work_item::kernel::{Event, SpinLock};
use queued_work_item::{Close, Passive, QueuedWorkItem, Rundown};

fn under(
    lock: &SpinLock<u32>,
    queue: &QueuedWorkItem<u32>,
    event: &Event,
    rundown: &Rundown,
    passive: &mut Passive,
) {
    let guard = lock.lock_from_passive(passive);
    let _ = queue.enqueue_and_wait(passive, 1);
    let _ = queue.enqueue_and_wait_timeout(passive, 1, Duration::ZERO);
    queue.cancel(passive);
    let _ = queue.close(passive, Close::Drain);
    event.wait(passive);
    rundown.run_down(passive);
    drop(guard);
}

fn main() {}
