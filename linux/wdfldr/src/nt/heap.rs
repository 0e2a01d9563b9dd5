//! The runtime's own memory: non-paged pool by `ExAllocatePoolWithTag`, which Wine has.
//!
//! This memory is the runtime's and is not counted against a driver; what a driver causes to be allocated is accounted
//! for in [`crate::pool`].

use core::alloc::{GlobalAlloc, Layout};

use super::ffi;

/// `WDFL` as it reads in memory.
const TAG: u32 = u32::from_le_bytes(*b"Wdfl");
/// `NonPagedPoolNx`.
const NON_PAGED_NX: i32 = 512;
/// What the pool guarantees on 64-bit.
const POOL_ALIGNMENT: usize = 16;

struct Pool;

// SAFETY: blocks come from the pool, are as large as asked for and aligned to 16; a larger alignment is refused.
unsafe impl GlobalAlloc for Pool {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > POOL_ALIGNMENT {
            return core::ptr::null_mut();
        }
        // SAFETY: any size and tag may be asked for.
        unsafe { ffi::ExAllocatePoolWithTag(NON_PAGED_NX, layout.size(), TAG) }.cast()
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _layout: Layout) {
        // SAFETY: the pointer came from `alloc`, which used the same tag.
        unsafe { ffi::ExFreePoolWithTag(pointer.cast(), TAG) }
    }
}

#[global_allocator]
static POOL: Pool = Pool;
