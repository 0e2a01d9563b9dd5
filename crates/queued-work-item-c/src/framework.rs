//! The client's function table and globals, by which everything here calls KMDF.
//!
//! A KMDF client has both as variables of its image, which the framework's loader fills in before `DriverEntry`: the
//! globals by one name, the table by a name that carries the KMDF version it was built for. The Rust library
//! refers to those of KMDF 1.15, as `wdk-sys` declares them. A static library that left these references to the linker
//! would serve drivers of that version alone, so they are bound here, to variables of this library's own, which the build
//! renames: the client's are never touched, and their addresses come with each create. A table begins with the functions
//! of every older version, in the same places.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use queued_work_item::NtStatus;
use wdk_sys::{_WDFFUNCENUM, PWDF_DRIVER_GLOBALS, WDF_DRIVER_GLOBALS, WDFFUNC};

/// What `wdk-sys` calls the framework's functions through. The build hides it from the client's of the same name.
#[unsafe(no_mangle)]
static WdfFunctions_01015: AtomicPtr<WDFFUNC> = AtomicPtr::new(ptr::null_mut());

/// What `wdk-sys` hands the framework's functions. Hidden as well.
#[unsafe(no_mangle)]
static WdfDriverGlobals: AtomicPtr<WDF_DRIVER_GLOBALS> = AtomicPtr::new(ptr::null_mut());

/// The version and the number of functions that the Rust library was built for.
const KMDF: (u32, u32) = (1, 15);
const FUNCTIONS: u32 = _WDFFUNCENUM::WdfFunctionTableNumEntries as u32;

/// What a client says of its framework.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framework {
    pub(crate) version: (u32, u32),
    pub(crate) function_count: u32,
    pub(crate) functions: *const WDFFUNC,
    pub(crate) globals: PWDF_DRIVER_GLOBALS,
}

impl Framework {
    /// Makes this the framework that is called. The first one stays: an image is bound to one.
    ///
    /// # Safety
    /// The table has as many functions as it says, and both are the framework's and last as long as the image.
    pub(crate) unsafe fn bind(self) -> Result<(), NtStatus> {
        if self.functions.is_null() || self.globals.is_null() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let is_current = self.version.0 == KMDF.0 && self.version.1 >= KMDF.1;
        if !is_current || self.function_count < FUNCTIONS {
            return Err(NtStatus(wdk_sys::STATUS_REVISION_MISMATCH));
        }
        settle(&WdfFunctions_01015, self.functions.cast_mut())?;
        settle(&WdfDriverGlobals, self.globals)
    }
}

/// Sets a pointer that is not set yet. The readers in `wdk-sys` are not atomic: they come later, by way of a queue that
/// whoever created it after this shares with them, and nothing is written again.
fn settle<T>(place: &AtomicPtr<T>, pointer: *mut T) -> Result<(), NtStatus> {
    match place.compare_exchange(ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(()),
        Err(settled) if settled == pointer => Ok(()),
        Err(_) => Err(NtStatus::INVALID_PARAMETER),
    }
}
