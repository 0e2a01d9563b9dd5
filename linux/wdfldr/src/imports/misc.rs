//! Threads, clocks, and the end.

use core::ffi::c_void;

use wdk_sys::ULONG;

use crate::nt::{teb, time};
use crate::stop::{Code, anonymous, halt};

/// Wine's answers with the client's thread inside a dispatch routine.
pub(super) extern "C" fn PsGetCurrentThreadId() -> *mut c_void {
    core::ptr::without_provenance_mut(teb::thread_id())
}

pub(super) extern "C" fn KeQuerySystemTimePrecise(now: *mut i64) {
    crate::call::write(now, time::system());
}

pub(super) extern "C" fn KeQueryInterruptTimePrecise(counter: *mut u64) -> u64 {
    let now = time::now().cast_unsigned();
    crate::call::write(counter, now);
    now
}

pub(super) extern "C" fn KeQueryUnbiasedInterruptTime() -> u64 {
    time::now().cast_unsigned()
}

/// Nothing calls a driver here on behalf of user mode but through an IRP, which has its own `RequestorMode`.
pub(super) extern "C" fn ExGetPreviousMode() -> i8 {
    0
}

pub(super) extern "C" fn KeBugCheck(code: ULONG) -> ! {
    KeBugCheckEx(code, 0, 0, 0, 0)
}

pub(super) extern "C" fn KeBugCheckEx(code: ULONG, first: usize, second: usize, third: usize, fourth: usize) -> ! {
    halt(
        anonymous(),
        Code::BugCheck,
        format_args!("KeBugCheckEx(0x{code:x}, 0x{first:x}, 0x{second:x}, 0x{third:x}, 0x{fourth:x})"),
    )
}
