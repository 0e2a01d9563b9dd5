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

/// The code with which wdk-panic stops: then the parameters are the source file's name, its length, line and column.
const RUST_PANIC: ULONG = u32::from_be_bytes(*b"RPNC");

pub(super) extern "C" fn KeBugCheckEx(
    code: ULONG,
    first: usize,
    second: usize,
    third: usize,
    fourth: usize,
) -> ! {
    if code == RUST_PANIC {
        let file = crate::call::bytes(core::ptr::with_exposed_provenance(first), second.min(200));
        let file = core::str::from_utf8(file).unwrap_or("?");
        halt(
            anonymous(),
            Code::BugCheck,
            format_args!("panicked at {file}:{third}:{fourth}"),
        );
    }
    halt(
        anonymous(),
        Code::BugCheck,
        format_args!("KeBugCheckEx(0x{code:x}, 0x{first:x}, 0x{second:x}, 0x{third:x}, 0x{fourth:x})"),
    )
}
