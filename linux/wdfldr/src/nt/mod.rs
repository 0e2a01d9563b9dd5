//! The one place that calls NT: small functions over Wine's `ntoskrnl.exe` and `ntdll.dll`.
//!
//! The runtime above is written against these; what they promise is in their own documentation. Under Wine kernel code
//! runs in a user-mode process, so locks and events can be ntdll's (a futex underneath), which costs a fraction of a
//! `KEVENT` and needs no IRQL.

pub(crate) mod ffi;
pub(crate) mod heap;
pub(crate) mod irp;
pub(crate) mod print;
pub(crate) mod registry;
pub(crate) mod status;
pub(crate) mod string;
pub(crate) mod sync;
pub(crate) mod teb;
pub(crate) mod time;
pub(crate) mod workers;

use wdk_sys::NTSTATUS;

/// `NT_SUCCESS`.
pub(crate) const fn success(status: NTSTATUS) -> bool {
    status >= 0
}

/// A status as a `Result`: success and informational codes are `Ok`.
pub(crate) const fn check(status: NTSTATUS) -> Result<NTSTATUS, NTSTATUS> {
    if success(status) { Ok(status) } else { Err(status) }
}

/// A `Result` as the status that a WDF function returns.
pub(crate) fn to_status(result: Result<(), NTSTATUS>) -> NTSTATUS {
    result.map_or_else(|status| status, |()| status::SUCCESS)
}
