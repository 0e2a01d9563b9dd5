//! A KMDF runtime for Wine: `wdfldr.sys`.
//!
//! A KMDF driver imports `WDFLDR.SYS`, whose `WdfVersionBind` gives it the framework as a table of functions. On Windows
//! that is Microsoft's; on Wine, which has none, it is this. The driver's bytes are the same and must not notice: the
//! ABI is the real one, the object model behaves as KMDF's documentation says, and what the driver may not do stops
//! it with a message that names the function. `README.md` has the map of the modules and the conventions.

#![no_std]
#![allow(non_snake_case, reason = "the framework's functions carry the names of wdf.h")]
#![allow(
    clippy::doc_markdown,
    reason = "the framework's names, IRQLs and statuses are words of the trade here"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "WDF functions take what their C signatures say"
)]
#![allow(
    clippy::unnecessary_wraps,
    reason = "a family's functions have one shape, whether or not one of them can fail today"
)]

extern crate alloc;

pub mod bind;
mod call;
mod collection;
mod device;
mod dpc;
mod driver;
mod globals;
mod imports;
mod io;
mod irql;
mod lock;
mod lookaside;
mod memory;
mod nt;
mod object;
mod pool;
mod registry;
mod runner;
mod stop;
mod string;
mod table;
mod timer;
mod workitem;

use wdk_sys::{NTSTATUS, PDRIVER_OBJECT, PUNICODE_STRING};

/// The image's entry; everything begins at [`bind::WdfVersionBind`].
///
/// Wine maps the runtime as an import of a driver and, since it imports ntdll.dll, takes it for a DLL: it calls this as
/// a DllMain, which has to answer TRUE. As an NTSTATUS that is success too.
#[unsafe(no_mangle)]
pub extern "system" fn DriverEntry(_driver: PDRIVER_OBJECT, _registry_path: PUNICODE_STRING) -> NTSTATUS {
    1
}
