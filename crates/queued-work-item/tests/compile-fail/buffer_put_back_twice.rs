//! Whoever gives a buffer back has it no more.

use queued_work_item::BufferPool;

fn put_twice(pool: &BufferPool) {
    let buffer = pool.fetch().unwrap();
    let _ = pool.reuse(buffer);
    let _ = pool.reuse(buffer);
}

fn main() {}
