//! Pools whose contexts differ are different types. (Of two pools of one type, the other refuses at run time: see
//! `a_buffer_of_another_pool_is_refused`.)

use queued_work_item::BufferPool;

fn mix(one: &BufferPool<u32>, other: &BufferPool<u64>) {
    let buffer = one.fetch().unwrap();
    let _ = other.reuse(buffer);
}

fn main() {}
