//! The token speaks of the processor that is at `DISPATCH_LEVEL`, not of a thread somewhere else.

use queued_work_item::Dispatch;
use queued_work_item::kernel::SpinLock;

fn lock_elsewhere(lock: &'static SpinLock<u32>, dispatch: Dispatch) {
    std::thread::spawn(move || drop(lock.lock_at_dispatch(&dispatch)));
}

fn main() {}
