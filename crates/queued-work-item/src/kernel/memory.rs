//! Pool memory of any alignment.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::backend;
use crate::CreateError;

/// Which pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Always resident, not executable: `NonPagedPoolNx`.
    NonPaged,
    /// May be paged out, and so touched at `<= APC_LEVEL` only: `PagedPool`.
    Paged,
}

/// What the pool guarantees (`MEMORY_ALLOCATION_ALIGNMENT` on 64-bit Windows).
const POOL_ALIGNMENT: usize = 16;

/// A zeroed piece of pool, given back when dropped.
///
/// # Invariants
/// `start` is aligned as asked for and `size` bytes from it belong to this block; `base` is what the pool returned.
pub(crate) struct Block {
    base: NonNull<u8>,
    start: NonNull<u8>,
}

// SAFETY: a block is memory that it owns; it does not depend on the thread.
unsafe impl Send for Block {}
// SAFETY: a shared block only tells its address.
unsafe impl Sync for Block {}

impl Block {
    /// `layout.size()` zeroed bytes of nonpaged pool. IRQL `<= DISPATCH_LEVEL`. `None` when the pool has none.
    pub(crate) fn zeroed(layout: Layout) -> Option<Self> {
        Self::zeroed_in(Pool::NonPaged, layout)
    }

    /// As [`zeroed`](Self::zeroed), of either pool. Paged pool is for `<= APC_LEVEL`: to allocate, to look at, to free.
    pub(crate) fn zeroed_in(pool: Pool, layout: Layout) -> Option<Self> {
        let slack = layout.align().saturating_sub(POOL_ALIGNMENT);
        let size = layout.size().max(1).checked_add(slack)?;
        let base = backend::allocate(pool, size)?;
        // SAFETY: the pool returned `size` writable bytes.
        unsafe { base.write_bytes(0, size) };
        // SAFETY: allocated for this layout, just above.
        let start = unsafe { Self::start_of(base, layout) };
        Some(Self { base, start })
    }

    /// Where the bytes of a block begin, given what [`Block::into_base`] returned.
    ///
    /// # Safety
    /// The block was allocated for `layout`.
    pub(crate) unsafe fn start_of(base: NonNull<u8>, layout: Layout) -> NonNull<u8> {
        let offset = base.align_offset(layout.align());
        debug_assert!(
            offset <= layout.align().saturating_sub(POOL_ALIGNMENT),
            "the pool is aligned to 16"
        );
        // SAFETY: the pool aligns to 16, so that the offset is at most the slack that `zeroed` asked for.
        unsafe { base.add(offset) }
    }

    /// The first byte.
    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Gives up ownership, so that the block can lie inside what it holds.
    pub(crate) fn into_base(self) -> NonNull<u8> {
        let base = self.base;
        core::mem::forget(self);
        base
    }

    /// Gives the memory of a block back.
    ///
    /// # Safety
    /// `base` is from [`Block::into_base`], is freed once, and its memory is not used any more.
    pub(crate) unsafe fn free_base(base: NonNull<u8>) {
        // SAFETY: `base` came from the pool, by the caller's promise.
        unsafe { backend::free(base) };
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `base` came from the pool, is freed only here, and what it held is gone with its owner.
        unsafe { backend::free(self.base) };
    }
}

/// A fixed number of plain values in nonpaged pool: a boxed slice, made fallibly.
///
/// # Invariants
/// The block holds `length` initialised values.
pub(crate) struct Array<T: Copy> {
    memory: Block,
    length: usize,
    values: PhantomData<T>,
}

impl<T: Copy> Array<T> {
    /// `length` times `value`. IRQL `<= DISPATCH_LEVEL`.
    pub(crate) fn new(length: usize, value: T) -> Result<Self, CreateError> {
        let layout = Layout::array::<T>(length).map_err(|_| CreateError::InvalidConfig)?;
        let memory = Block::zeroed(layout).ok_or(CreateError::OutOfMemory)?;
        let start = memory.start().cast::<T>();
        for index in 0..length {
            // SAFETY: the block has room for `length` values.
            let place = unsafe { start.add(index) };
            // SAFETY: as above, aligned, and nobody else's.
            unsafe { place.write(value) };
        }
        Ok(Self {
            memory,
            length,
            values: PhantomData,
        })
    }
}

impl<T: Copy> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let start = self.memory.start().cast::<T>().as_ptr();
        // SAFETY: by the invariant; shared like `self`.
        unsafe { core::slice::from_raw_parts(start, self.length) }
    }
}

impl<T: Copy> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let start = self.memory.start().cast::<T>().as_ptr();
        // SAFETY: by the invariant; borrowed exclusively like `self`.
        unsafe { core::slice::from_raw_parts_mut(start, self.length) }
    }
}
