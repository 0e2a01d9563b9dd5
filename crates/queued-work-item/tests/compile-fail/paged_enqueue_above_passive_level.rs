//! Buffers that may be paged out are filled where a page fault can be served: not in a DPC, not under a spin lock.

use queued_work_item::kernel::SpinLock;
use queued_work_item::{Dispatch, PagedQueuedWorkItem, Passive};

fn in_a_dpc(queue: &PagedQueuedWorkItem<u32>, dispatch: &Dispatch) {
    let _ = queue.enqueue(dispatch, 1);
}

fn without_a_token(queue: &PagedQueuedWorkItem<u32>) {
    let _ = queue.enqueue(1);
}

fn under_a_lock(lock: &SpinLock<u32>, queue: &PagedQueuedWorkItem<u32>, passive: &mut Passive) {
    let guard = lock.lock_from_passive(passive);
    let _ = queue.enqueue(passive, 1);
    drop(guard);
}

fn main() {}
