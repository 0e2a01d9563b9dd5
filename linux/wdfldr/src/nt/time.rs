//! Clocks, in 100 ns units.

use super::ffi;

/// A clock that never goes back; its zero means nothing.
pub(crate) fn now() -> i64 {
    let (mut counter, mut frequency) = (0, 0);
    // SAFETY: both pointers are valid for the call.
    unsafe { ffi::NtQueryPerformanceCounter(&raw mut counter, &raw mut frequency) };
    let (counter, frequency) = (i128::from(counter), i128::from(frequency.max(1)));
    i64::try_from(counter * 10_000_000 / frequency).unwrap_or(i64::MAX)
}

/// The system time: since 1601.
pub(crate) fn system() -> i64 {
    let mut time = 0;
    // SAFETY: the pointer is valid for the call.
    unsafe { ffi::NtQuerySystemTime(&raw mut time) };
    time
}

/// How long it is until a due time as NT gives it: relative if negative, else absolute. Never negative.
pub(crate) fn until(due: i64) -> i64 {
    if due <= 0 {
        due.saturating_neg()
    } else {
        (due - system()).max(0)
    }
}
