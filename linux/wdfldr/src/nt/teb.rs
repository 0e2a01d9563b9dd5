//! The thread environment block, which is what tells threads apart here.
//!
//! Under Wine `PsGetCurrentThreadId` answers with the client's thread inside a dispatch routine and `gs:[0x188]` is
//! zero; the TEB is always the thread that runs. One of its TLS slots holds the runtime's state of the thread.

use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::ffi;

/// Offset of `Self` in the TEB.
const SELF: usize = 0x30;
/// Offset of `ClientId.UniqueThread`.
const UNIQUE_THREAD: usize = 0x48;
/// Offset of `TlsSlots[64]`.
const TLS_SLOTS: usize = 0x1480;
/// How many slots are in the TEB itself.
const INLINE_SLOTS: u32 = 64;

/// Byte offset of our slot in the TEB, once [`initialize`] has run.
static SLOT: AtomicUsize = AtomicUsize::new(0);

/// Takes a TLS slot, the first time; without one there is no IRQL, so the loader refuses to bind.
pub(crate) fn initialize() -> bool {
    if SLOT.load(Ordering::Relaxed) != 0 {
        return true;
    }
    // SAFETY: no preconditions.
    let index = unsafe { ffi::TlsAlloc() };
    if index >= INLINE_SLOTS {
        return false;
    }
    SLOT.store(TLS_SLOTS + index as usize * 8, Ordering::Relaxed);
    true
}

/// The running thread's identity: its TEB's address, never zero.
pub(crate) fn current() -> usize {
    read(SELF)
}

/// The running thread's Win32 id, for messages.
pub(crate) fn thread_id() -> usize {
    read(UNIQUE_THREAD)
}

/// The runtime's word for this thread; a new thread has zero.
pub(crate) fn word() -> usize {
    match SLOT.load(Ordering::Relaxed) {
        0 => 0,
        slot => read(slot),
    }
}

/// Sets the runtime's word for this thread.
pub(crate) fn set_word(value: usize) {
    let offset = SLOT.load(Ordering::Relaxed);
    // SAFETY: the offset is of a TLS slot that belongs to us, in the running thread's own TEB.
    unsafe { asm!("mov gs:[{0}], {1}", in(reg) offset, in(reg) value, options(nostack, preserves_flags)) };
}

fn read(offset: usize) -> usize {
    let value;
    // SAFETY: reads a field of the running thread's TEB.
    unsafe {
        asm!("mov {0}, gs:[{1}]", out(reg) value, in(reg) offset, options(nostack, preserves_flags, readonly));
    }
    value
}
