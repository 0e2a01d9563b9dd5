//! Waiting: Wine's, but not at DISPATCH_LEVEL.

use core::ffi::c_void;

use wdk_sys::{BOOLEAN, LARGE_INTEGER, NTSTATUS, PVOID, ULONG};

use crate::irql;
use crate::nt::ffi;

/// A wait that may block is allowed up to APC_LEVEL, one with a time-out of zero up to DISPATCH_LEVEL.
fn require_waitable(function: &str, timeout: *const LARGE_INTEGER) {
    let polls = crate::call::read(timeout.cast::<i64>()) == Some(0);
    irql::require_at_most(function, if polls { irql::DISPATCH } else { irql::APC });
}

pub(super) extern "C" fn KeWaitForSingleObject(
    object: *mut c_void,
    reason: i32,
    mode: i32,
    alertable: BOOLEAN,
    timeout: *const LARGE_INTEGER,
) -> NTSTATUS {
    require_waitable("KeWaitForSingleObject", timeout);
    // SAFETY: the driver's own arguments.
    unsafe { ffi::KeWaitForSingleObject(object, reason, mode, alertable, timeout) }
}

pub(super) extern "C" fn KeWaitForMultipleObjects(
    count: ULONG,
    objects: *mut PVOID,
    kind: i32,
    reason: i32,
    mode: i32,
    alertable: BOOLEAN,
    timeout: *const LARGE_INTEGER,
    blocks: PVOID,
) -> NTSTATUS {
    require_waitable("KeWaitForMultipleObjects", timeout);
    // SAFETY: the driver's own arguments.
    unsafe { ffi::KeWaitForMultipleObjects(count, objects, kind, reason, mode, alertable, timeout, blocks) }
}
