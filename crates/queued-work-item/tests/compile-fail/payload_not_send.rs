//! A payload goes from its producer's thread to a worker's.

use std::rc::Rc;

use queued_work_item::QueuedWorkItem;

fn enqueue(queue: &QueuedWorkItem<Rc<u32>>) {
    let _ = queue.enqueue(Rc::new(1));
}

fn main() {}
