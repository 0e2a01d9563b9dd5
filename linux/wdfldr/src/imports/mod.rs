//! Import patching: what Wine 8 lacks or fakes, supplied without changing a byte of the driver's file.
//!
//! At bind the client's import table is in its image at `DriverObject->DriverStart`. Each import whose name is in
//! [`list`] is pointed at our function of that name; all others stay Wine's. The list is published: another KMDF
//! runtime that takes this one's place has to supply the same.

mod alloc_pool;
mod dpc;
mod etw;
mod guard;
mod list;
mod locks;
mod misc;
mod rundown;
mod timer;
mod wait;
mod work;

use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::NTSTATUS;

use crate::globals::Globals;
use crate::nt::print::log;
use crate::nt::{check, ffi, status};

/// One patched import.
pub(crate) struct Import {
    pub(crate) name: &'static str,
    pub(crate) function: *const (),
    /// Where the original goes for those that only check and pass on.
    pub(crate) original: Option<&'static AtomicUsize>,
}

// SAFETY: code addresses and statics.
unsafe impl Sync for Import {}

/// `PAGE_READWRITE`.
const PAGE_READWRITE: u32 = 4;
/// The import directory's place among the data directories.
const IMPORT_DIRECTORY: usize = 1;

/// An image in memory, read by offset.
#[derive(Clone, Copy)]
struct Image {
    base: *const u8,
    size: usize,
}

impl Image {
    fn read<T: Copy>(self, offset: usize) -> Result<T, NTSTATUS> {
        if offset
            .checked_add(size_of::<T>())
            .is_none_or(|end| end > self.size)
        {
            return Err(status::INVALID_IMAGE_FORMAT);
        }
        crate::call::read(self.base.wrapping_add(offset).cast()).ok_or(status::INVALID_IMAGE_FORMAT)
    }

    fn name(self, offset: usize) -> Result<&'static str, NTSTATUS> {
        if offset >= self.size {
            return Err(status::INVALID_IMAGE_FORMAT);
        }
        let pointer: *const c_char = self.base.wrapping_add(offset).cast();
        // SAFETY: names in a loaded image's import directory are zero-terminated.
        let name = unsafe { CStr::from_ptr(pointer) };
        name.to_str().map_err(|_| status::INVALID_IMAGE_FORMAT)
    }
}

/// Patches the client's imports.
///
/// # Errors
/// STATUS_INVALID_IMAGE_FORMAT, or what changing the protection of the import table gives.
pub(crate) fn patch(globals: &'static Globals) -> Result<(), NTSTATUS> {
    let driver = globals.driver_object();
    // SAFETY: the loader is given the driver's own driver object.
    let driver = unsafe { &*driver };
    let image = Image {
        base: driver.DriverStart.cast_const().cast(),
        size: driver.DriverSize as usize,
    };
    let headers = image.read::<u32>(0x3c)? as usize;
    // PE signature and file header are 24 bytes, the directories of a PE32+ begin at 112 of the optional header.
    let directory = headers + 24 + 112 + IMPORT_DIRECTORY * 8;
    let mut descriptor = image.read::<u32>(directory)? as usize;
    if descriptor == 0 {
        return Ok(());
    }
    let mut patched = 0;
    loop {
        let names = image.read::<u32>(descriptor)? as usize;
        let library = image.read::<u32>(descriptor + 12)? as usize;
        let thunks = image.read::<u32>(descriptor + 16)? as usize;
        if thunks == 0 {
            break;
        }
        let library = image.name(library)?;
        if library.eq_ignore_ascii_case("ntoskrnl.exe") || library.eq_ignore_ascii_case("hal.dll") {
            patched += patch_library(image, if names == 0 { thunks } else { names }, thunks)?;
        }
        descriptor += 20;
    }
    log!("{}: {patched} imports patched", globals.name());
    Ok(())
}

fn patch_library(image: Image, names: usize, thunks: usize) -> Result<u32, NTSTATUS> {
    /// An import by ordinal has no name.
    const BY_ORDINAL: u64 = 1 << 63;
    let mut patched = 0;
    for index in 0.. {
        let name = image.read::<u64>(names + index * 8)?;
        if name == 0 {
            break;
        }
        if name & BY_ORDINAL != 0 {
            continue;
        }
        let name = image.name(usize::try_from(name).map_err(|_| status::INVALID_IMAGE_FORMAT)? + 2)?;
        if let Some(import) = list::find(name) {
            let place = thunks + index * 8;
            let original = image.read::<usize>(place)?;
            if let Some(keep) = import.original {
                keep.store(original, Ordering::Relaxed);
            }
            write_thunk(image.base.wrapping_add(place).cast_mut().cast(), import.function)?;
            patched += 1;
        }
    }
    Ok(patched)
}

/// Writes one slot of the import table, which the image may have read-only.
fn write_thunk(place: *mut *const (), function: *const ()) -> Result<(), NTSTATUS> {
    let mut base: *mut c_void = place.cast();
    let mut size = size_of::<usize>();
    let mut old = 0;
    // SAFETY: the slot is in a loaded image; the pointers are valid for the call.
    check(unsafe {
        ffi::ZwProtectVirtualMemory(
            ffi::CURRENT_PROCESS,
            &raw mut base,
            &raw mut size,
            PAGE_READWRITE,
            &raw mut old,
        )
    })?;
    // SAFETY: writable now, and the driver does not run yet.
    unsafe { place.write(function) };
    let mut now = 0;
    // SAFETY: as above.
    check(unsafe {
        ffi::ZwProtectVirtualMemory(
            ffi::CURRENT_PROCESS,
            &raw mut base,
            &raw mut size,
            old,
            &raw mut now,
        )
    })?;
    Ok(())
}

/// The bound driver whose code called: the return address tells.
fn caller(return_address: usize) -> Option<&'static Globals> {
    Globals::of_address(return_address)
}
