//! The lock's guard has borrowed the token that the wait needs.

use queued_work_item::kernel::SpinLock;
use queued_work_item::{Passive, QueuedWorkItem};

fn flush_under(lock: &SpinLock<u32>, queue: &QueuedWorkItem<u32>, passive: &mut Passive) {
    let guard = lock.lock_from_passive(passive);
    let _ = queue.flush(passive);
    drop(guard);
}

fn main() {}
