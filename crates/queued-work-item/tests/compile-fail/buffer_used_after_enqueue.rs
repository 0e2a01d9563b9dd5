//! What is queued is the queue's.

use queued_work_item::BufferQueue;

fn write_later(queue: &BufferQueue) {
    let mut buffer = queue.fetch().unwrap();
    let _ = queue.enqueue(buffer);
    buffer.payload_mut()[0] = 1;
}

fn main() {}
