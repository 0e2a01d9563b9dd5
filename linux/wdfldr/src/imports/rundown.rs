//! Rundown protection, which Wine exports and raises from.
//!
//! The word of an EX_RUNDOWN_REF holds twice the number of references, and bit 0 once rundown has begun.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use wdk_sys::{BOOLEAN, ULONG};

use crate::irql;
use crate::nt::sync::{wait_while, wake_all};
use crate::stop::{Code, anonymous, halt};

const CLOSED: usize = 1;

fn word<'a>(rundown: *const AtomicUsize) -> &'a AtomicUsize {
    // SAFETY: an EX_RUNDOWN_REF of the driver's, one aligned word; null is recognised.
    match unsafe { rundown.as_ref() } {
        Some(word) => word,
        None => halt(anonymous(), Code::Contract, format_args!("a null EX_RUNDOWN_REF")),
    }
}

/// The low half of the word, which is what an address wait compares.
fn low_half(word: &AtomicUsize) -> &AtomicU32 {
    // SAFETY: the low half of an aligned little-endian word is an aligned u32; both are atomics over the same bytes.
    unsafe { &*core::ptr::from_ref(word).cast::<AtomicU32>() }
}

pub(super) extern "C" fn ExInitializeRundownProtection(rundown: *const AtomicUsize) {
    word(rundown).store(0, Ordering::Release);
}

pub(super) extern "C" fn ExAcquireRundownProtection(rundown: *const AtomicUsize) -> BOOLEAN {
    ExAcquireRundownProtectionEx(rundown, 1)
}

pub(super) extern "C" fn ExAcquireRundownProtectionEx(rundown: *const AtomicUsize, count: ULONG) -> BOOLEAN {
    word(rundown)
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, |now| {
            (now & CLOSED == 0).then(|| now + 2 * count as usize)
        })
        .is_ok()
        .into()
}

pub(super) extern "C" fn ExReleaseRundownProtection(rundown: *const AtomicUsize) {
    ExReleaseRundownProtectionEx(rundown, 1);
}

pub(super) extern "C" fn ExReleaseRundownProtectionEx(rundown: *const AtomicUsize, count: ULONG) {
    let word = word(rundown);
    let key = low_half(word);
    let given = 2 * count as usize;
    let before = word.fetch_sub(given, Ordering::AcqRel);
    if before < given {
        halt(
            anonymous(),
            Code::Contract,
            format_args!("ExReleaseRundownProtection without an acquisition"),
        );
    }
    if before - given == CLOSED {
        wake_all(key);
    }
}

pub(super) extern "C" fn ExWaitForRundownProtectionRelease(rundown: *const AtomicUsize) {
    irql::require_at_most("ExWaitForRundownProtectionRelease", irql::APC);
    let word = word(rundown);
    word.fetch_or(CLOSED, Ordering::AcqRel);
    loop {
        let now = word.load(Ordering::Acquire);
        if now == CLOSED {
            return;
        }
        #[allow(clippy::cast_possible_truncation, reason = "the low half is what is compared")]
        wait_while(low_half(word), now as u32, None);
    }
}

pub(super) extern "C" fn ExRundownCompleted(rundown: *const AtomicUsize) {
    word(rundown).store(CLOSED, Ordering::Release);
}
