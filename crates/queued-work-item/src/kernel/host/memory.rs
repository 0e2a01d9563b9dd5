//! Pool: the host's allocator with a header that knows which [`Machine`](super::Machine) pays, fresh memory filled with
//! rubbish and freed memory poisoned, so that reading either shows.

extern crate std;

use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::Arc;

use super::machine::{Inner, current};
use crate::kernel::{Irql, Pool};

const HEADER: usize = 32;
const ALIGNMENT: usize = 16;
const FRESH: u8 = 0xA5;
const FREED: u8 = 0xDD;

struct Header {
    size: usize,
    pool: Pool,
    machine: Arc<Inner>,
}

const _: () = assert!(size_of::<Header>() <= HEADER && align_of::<Header>() <= ALIGNMENT);

/// Where a pool may be used.
const fn highest(pool: Pool) -> Irql {
    match pool {
        Pool::NonPaged => Irql::DISPATCH,
        Pool::Paged => Irql::APC,
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, ALIGNMENT).ok()
}

/// `size` bytes of anything, aligned to 16; `None` when the machine is to fail this one.
pub(crate) fn allocate(pool: Pool, size: usize) -> Option<NonNull<u8>> {
    super::check_irql(highest(pool), "ExAllocatePoolWithTag");
    let machine = current();
    if !machine.admit_allocation() {
        return None;
    }
    let layout = layout(size)?;
    // SAFETY: the layout is not empty: it has a header.
    let base = NonNull::new(unsafe { std::alloc::alloc(layout) })?;
    machine.allocated(pool, size);
    // SAFETY: the block begins with room for a header, aligned for it.
    unsafe { base.cast::<Header>().write(Header { size, pool, machine }) };
    // SAFETY: the block has `HEADER + size` bytes.
    let start = unsafe { base.add(HEADER) };
    // SAFETY: `size` bytes follow the header.
    unsafe { start.write_bytes(FRESH, size) };
    Some(start)
}

/// # Safety
/// `start` is from [`allocate`], is freed once and not used any more.
pub(crate) unsafe fn free(start: NonNull<u8>) {
    // SAFETY: `allocate` put a header there.
    let base = unsafe { start.sub(HEADER) };
    // SAFETY: the header was written by `allocate` and is read out once.
    let header = unsafe { base.cast::<Header>().read() };
    super::check_irql(highest(header.pool), "ExFreePool");
    // SAFETY: `size` bytes follow the header, and the caller gave them up.
    unsafe { start.write_bytes(FREED, header.size) };
    header.machine.freed(header.pool, header.size);
    let Some(layout) = layout(header.size) else {
        unreachable!("it was allocated with this layout")
    };
    // SAFETY: from `std::alloc::alloc` with this layout.
    unsafe { std::alloc::dealloc(base.as_ptr(), layout) };
}
