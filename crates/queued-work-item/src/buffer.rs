//! A buffer in a client's hands, and the pool that it is of.

use core::alloc::Layout;
use core::fmt;

use crate::cleanup::Cleanup;
use crate::kernel::{Irql, MemoryDescriptor, check_irql};
use crate::slots::{Slot, Slots};
use crate::{Config, Context, CreateError, NoCompletion, NtStatus};

/// No buffer is free, and none may be added: `STATUS_INSUFFICIENT_RESOURCES`, whichever verb says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBuffer;

impl NoBuffer {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        NtStatus::INSUFFICIENT_RESOURCES
    }
}

impl fmt::Display for NoBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no buffer is free")
    }
}

impl core::error::Error for NoBuffer {}

/// Buffers of one size.
pub(crate) struct Stock<C: Context> {
    pub(crate) slots: Slots<NoCompletion, C>,
    size: usize,
    cleanup: Option<Cleanup<[u8], C>>,
}

impl<C: Context> Stock<C> {
    pub(crate) fn new(config: &Config, cleanup: Option<Cleanup<[u8], C>>) -> Result<Self, CreateError> {
        let size = config.buffer_size;
        // Lengths are 32 bits, here and in the framework's descriptions of memory.
        if u32::try_from(size).is_err() {
            return Err(CreateError::InvalidConfig);
        }
        let layout = Layout::from_size_align(size, 1).map_err(|_| CreateError::InvalidConfig)?;
        Ok(Self {
            slots: Slots::new(config, layout)?,
            size,
            cleanup,
        })
    }

    pub(crate) fn fetch(&self) -> Result<Buffer<'_, C>, NoBuffer> {
        match self.slots.acquire() {
            Ok(slot) => Ok(Buffer { stock: self, slot }),
            // A stock is never closed.
            Err(_) => Err(NoBuffer),
        }
    }
}

/// A buffer that its holder owns: exclusive access to its bytes and its context.
///
/// Dropping it gives it back to the pool that it came from, after the pool's cleanup callback, if it has one, and
/// cleared: it cannot be lost, put back twice, or put into another pool. Bytes are zero and the context is its default
/// when it is fetched; the bytes begin at a multiple of [`PAYLOAD_ALIGNMENT`](crate::PAYLOAD_ALIGNMENT).
///
/// # IRQL
/// `<= DISPATCH_LEVEL`, as far as the context's own drop and default allow it.
#[must_use = "a buffer that is dropped goes back to its pool"]
pub struct Buffer<'a, C: Context = ()> {
    pub(crate) stock: &'a Stock<C>,
    pub(crate) slot: Slot,
}

// SAFETY: a buffer is exclusive access to bytes and a context, which is `Send`; the stock is shared as it always is.
unsafe impl<C: Context> Send for Buffer<'_, C> {}
// SAFETY: shared access to a buffer gives shared access to its context.
unsafe impl<C: Context + Sync> Sync for Buffer<'_, C> {}

impl<C: Context> Buffer<'_, C> {
    /// Forgets that the slot is owned here: its new owner is whatever list it goes to.
    pub(crate) fn into_slot(self) -> Slot {
        let slot = self.slot;
        core::mem::forget(self);
        slot
    }

    /// Is this buffer of that stock?
    pub(crate) fn is_of(&self, stock: &Stock<C>) -> bool {
        core::ptr::eq(self.stock, stock)
    }

    /// The bytes, all of the configured size.
    pub fn payload(&self) -> &[u8] {
        // SAFETY: the slot has `size` initialised bytes, which are this buffer's.
        unsafe { core::slice::from_raw_parts(self.stock.slots.payload(self.slot).as_ptr(), self.stock.size) }
    }

    /// The bytes, to write.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.parts_mut().0
    }

    /// The context.
    pub fn context(&self) -> &C {
        // SAFETY: the head is valid and this buffer's.
        unsafe { &(*self.stock.slots.head(self.slot).as_ptr()).context }
    }

    /// The context, to write.
    pub fn context_mut(&mut self) -> &mut C {
        self.parts_mut().1
    }

    /// Both at once.
    pub fn parts_mut(&mut self) -> (&mut [u8], &mut C) {
        // SAFETY: the slot is this buffer's, borrowed exclusively.
        unsafe { view(self.stock, self.slot) }
    }
}

impl<C: Context> Buffer<'_, C> {
    /// Describes the bytes, for a framework function that takes a `WDF_MEMORY_DESCRIPTOR`.
    pub fn memory_descriptor(&mut self) -> MemoryDescriptor<'_> {
        MemoryDescriptor::new(self.payload_mut())
    }
}

/// Bytes and context of a slot.
///
/// # Safety
/// The caller owns the slot, alone, as long as it uses the result.
#[allow(
    clippy::mut_from_ref,
    reason = "exclusive by owning the slot, as the caller promises"
)]
pub(crate) unsafe fn view<C: Context>(stock: &Stock<C>, slot: Slot) -> (&mut [u8], &mut C) {
    let start = stock.slots.payload(slot).as_ptr();
    // SAFETY: the slot has `size` initialised bytes, the caller's alone.
    let bytes = unsafe { core::slice::from_raw_parts_mut(start, stock.size) };
    // SAFETY: the head is valid and the caller's alone; it does not overlap the bytes.
    let context = unsafe { &mut (*stock.slots.head(slot).as_ptr()).context };
    (bytes, context)
}

impl<C: Context> Drop for Buffer<'_, C> {
    fn drop(&mut self) {
        let stock = self.stock;
        if stock.slots.is_pageable() {
            check_irql(Irql::APC, "the drop of a pageable buffer");
        }
        if let Some(cleanup) = &stock.cleanup {
            let (payload, context) = self.parts_mut();
            cleanup.run(payload, context);
        }
        self.payload_mut().fill(0);
        // SAFETY: the slot is this buffer's, and no reference into it is left.
        unsafe { self.stock.slots.reset_context(self.slot) };
        // SAFETY: given up. A stock is never closed, so that nobody counts.
        unsafe { self.stock.slots.release(self.slot) };
    }
}

impl<C: Context> fmt::Debug for Buffer<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("size", &self.stock.size)
            .finish_non_exhaustive()
    }
}
