//! The loader's exports: binding a driver to the framework, and letting it go.
//!
//! A client's entry stub calls `WdfVersionBind` before DriverEntry and `WdfVersionUnbind` after its unload. The first
//! checks the version, hands out driver globals and the function table, and patches what Wine lacks in the client's
//! imports; the second is where leaks are counted.

use core::ffi::c_void;
use core::ptr;

use wdk_sys::{NTSTATUS, PDRIVER_OBJECT, PUNICODE_STRING, PWDF_DRIVER_GLOBALS};

use crate::call;
use crate::globals::Globals;
use crate::imports;
use crate::nt::print::log;
use crate::nt::string::Show;
use crate::nt::{ffi, status};
use crate::table;

/// `WDF_BIND_INFO`, as the client's entry stub fills it in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BindInfo {
    size: u32,
    component: *const u16,
    version: Version,
    function_count: u32,
    function_table: *mut *const c_void,
    module: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Version {
    major: u32,
    minor: u32,
    build: u32,
}

const _: () = assert!(size_of::<BindInfo>() == 48);

/// The version that this runtime is: 1.15.
const MAJOR: u32 = 1;
const MINOR: u32 = 15;

/// The number of functions in the table that a client of this minor version was built with, where it is known.
const fn functions_of(minor: u32) -> Option<usize> {
    match minor {
        9 => Some(396),
        15 => Some(table::COUNT),
        _ => None,
    }
}

fn component_name<'a>(pointer: *const u16) -> &'a [u16] {
    if pointer.is_null() {
        return &[];
    }
    let mut length = 0;
    // SAFETY: a zero-terminated string by contract of the entry stub; it is read up to its zero.
    while unsafe { pointer.wrapping_add(length).read() } != 0 {
        length += 1;
    }
    // SAFETY: just measured.
    unsafe { core::slice::from_raw_parts(pointer, length) }
}

fn refuse(reason: core::fmt::Arguments<'_>, status: NTSTATUS) -> NTSTATUS {
    log!("bind refused with 0x{:08x}: {reason}", status.cast_unsigned());
    status
}

/// Binds a client driver.
///
/// # Errors
/// STATUS_INFO_LENGTH_MISMATCH for a wrong structure size or function count, STATUS_REVISION_MISMATCH for a version
/// that 1.15 does not serve, STATUS_OBJECT_NAME_NOT_FOUND for another component than KmdfLibrary.
#[unsafe(no_mangle)]
pub extern "C" fn WdfVersionBind(
    driver_object: PDRIVER_OBJECT,
    registry_path: PUNICODE_STRING,
    info: *mut BindInfo,
    component_globals: *mut PWDF_DRIVER_GLOBALS,
) -> NTSTATUS {
    let (Some(bind), Some(path)) = (call::read(info), call::read(registry_path.cast_const())) else {
        return refuse(
            format_args!("no bind information or registry path"),
            status::INVALID_PARAMETER,
        );
    };
    if bind.size as usize != size_of::<BindInfo>() {
        return refuse(
            format_args!("WDF_BIND_INFO has {} bytes", bind.size),
            status::INFO_LENGTH_MISMATCH,
        );
    }
    let component = component_name(bind.component);
    if !component.iter().copied().eq("KmdfLibrary".encode_utf16()) {
        return refuse(
            format_args!("component {}", Show(component)),
            status::OBJECT_NAME_NOT_FOUND,
        );
    }
    let Version { major, minor, .. } = bind.version;
    if major != MAJOR || minor > MINOR {
        return refuse(
            format_args!("the client wants KMDF {major}.{minor}, this is {MAJOR}.{MINOR}"),
            status::REVISION_MISMATCH,
        );
    }
    let count = bind.function_count as usize;
    if count > table::COUNT || functions_of(minor).is_some_and(|known| known != count) {
        return refuse(
            format_args!("KMDF {major}.{minor} does not have {count} functions"),
            status::INFO_LENGTH_MISMATCH,
        );
    }
    if bind.function_table.is_null() || component_globals.is_null() {
        return refuse(
            format_args!("nowhere to put the function table"),
            status::INVALID_PARAMETER,
        );
    }

    if !crate::nt::teb::initialize() {
        return refuse(
            format_args!("no TLS slot for the IRQL of threads"),
            status::INSUFFICIENT_RESOURCES,
        );
    }
    pin();
    let globals = Globals::bind(driver_object, &path, minor);
    if let Err(status) = imports::patch(globals) {
        globals.unbind();
        return refuse(
            format_args!("the imports of {} cannot be patched", globals.name()),
            status,
        );
    }
    if count == table::COUNT {
        call::write(bind.function_table, table::address());
    } else {
        // An older client has the table's room itself, behind the same pointer.
        for (index, entry) in table::first(count).iter().enumerate() {
            let place = bind.function_table.wrapping_add(index);
            call::write(place, entry.0.cast::<c_void>());
        }
    }
    call::write(component_globals, globals.public());
    log!("bind {}: KMDF {major}.{minor}, {count} functions", globals.name());
    status::SUCCESS
}

/// Lets a client go, and reports what it left behind.
#[unsafe(no_mangle)]
pub extern "C" fn WdfVersionUnbind(
    _registry_path: PUNICODE_STRING,
    _info: *mut BindInfo,
    globals: PWDF_DRIVER_GLOBALS,
) -> NTSTATUS {
    let Some(globals) = Globals::from_public(globals) else {
        return refuse(
            format_args!("unbind with unknown driver globals"),
            status::INVALID_PARAMETER,
        );
    };
    let name = globals.name();
    // A driver whose DriverEntry failed after WdfDriverCreate has not been unloaded by its callback.
    if let Some(driver) = globals.root() {
        crate::object::delete(driver);
    }
    if !crate::nt::workers::quiesce() {
        log!("unload {name}: a DPC, timer callback, work item or deletion still runs");
    }
    let mut objects = 0;
    for (kind, count) in globals.live_objects().filter(|(_, count)| *count != 0) {
        log!("leak {name}: {count} {kind}");
        objects += count;
    }
    let pool = globals.pool();
    let leaks = pool.report(name);
    log!(
        "unload {name}: objects {objects} leaked, pool {} blocks {} bytes leaked",
        leaks.blocks,
        leaks.bytes
    );
    log!(
        "unload {name}: {} objects created, {} allocations asked for, {} failed on request, pool peak {} bytes",
        globals.objects_created_count(),
        pool.asked(),
        pool.failed(),
        pool.peak()
    );
    globals.unbind();
    status::SUCCESS
}

/// Class extensions are not served.
#[unsafe(no_mangle)]
pub extern "C" fn WdfVersionBindClass(
    _info: *mut BindInfo,
    _globals: PWDF_DRIVER_GLOBALS,
    _class: *mut c_void,
) -> NTSTATUS {
    refuse(
        format_args!("class extensions are not served"),
        status::NOT_SUPPORTED,
    )
}

/// Class extensions are not served, so there is none to let go.
#[unsafe(no_mangle)]
pub extern "C" fn WdfVersionUnbindClass(
    _info: *mut BindInfo,
    _globals: PWDF_DRIVER_GLOBALS,
    _class: *mut c_void,
) {
}

/// The loader's interface for debuggers and class extensions is not served.
#[unsafe(no_mangle)]
pub extern "C" fn WdfLdrQueryInterface(_interface: *mut c_void) -> NTSTATUS {
    status::NOT_SUPPORTED
}

/// Keeps this image mapped for good: threads of the pool return through it after a driver has been unloaded.
fn pin() {
    /// `LDR_ADDREF_DLL_PIN`.
    const PIN: u32 = 1;
    let mut base = ptr::null_mut();
    let here = table::address();
    // SAFETY: any address may be looked up, the out pointer is valid.
    unsafe { ffi::RtlPcToFileHeader(here, &raw mut base) };
    // SAFETY: the base of a loaded module; a null base is refused.
    let status = unsafe { ffi::LdrAddRefDll(PIN, base) };
    if !crate::nt::success(status) {
        log!(
            "pinning failed with 0x{:08x}: unloading while callbacks return may fault",
            status.cast_unsigned()
        );
    }
}
