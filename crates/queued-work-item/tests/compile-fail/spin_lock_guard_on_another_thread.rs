//! The IRQL that a guard restores is that of the processor which raised it.

use queued_work_item::kernel::SpinLock;

fn unlock_elsewhere(lock: &'static SpinLock<u32>) {
    let guard = lock.lock();
    std::thread::spawn(move || drop(guard));
}

fn main() {}
