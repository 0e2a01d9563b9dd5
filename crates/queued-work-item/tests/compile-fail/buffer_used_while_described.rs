//! While a description of its bytes is in use, they are not the buffer's holder's.

use queued_work_item::BufferQueue;

fn look(queue: &BufferQueue) -> u8 {
    let mut buffer = queue.dequeue_with_memory_descriptor().unwrap();
    let descriptor = buffer.descriptor();
    let byte = buffer.payload()[0];
    drop(descriptor);
    byte
}

fn main() {}
