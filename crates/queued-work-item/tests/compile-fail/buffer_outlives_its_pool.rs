//! A buffer is its pool's memory.

use queued_work_item::BufferPool;

fn use_after_free(pool: BufferPool) -> u8 {
    let buffer = pool.fetch().unwrap();
    drop(pool);
    buffer.payload()[0]
}

fn main() {}
