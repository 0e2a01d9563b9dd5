//! Stopping a driver that broke a rule.
//!
//! Windows would bugcheck. Under Wine a driver lives in a `winedevice.exe` process of its own: the line is printed, and
//! the process is ended with the status as its exit code, so that whoever waits for the device's I/O gets an error
//! instead of a hang, and a runner finds the reason in the kernel log by the words `wdfldr: STOP`.

use core::fmt;
use core::panic::PanicInfo;

use crate::globals::Globals;
use crate::irql;
use crate::nt::{ffi, print, status, teb};

/// What kind of rule was broken: the number after `STOP`, as a bugcheck has one.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Code {
    /// A handle is of another type, was deleted, or was never one.
    Handle = 1,
    /// A function that this runtime does not have.
    Absent = 2,
    /// Called at an IRQL that the function does not allow, or IRQL handled wrongly.
    Irql = 3,
    /// A lock acquired twice, released by another thread, or freed while held.
    Lock = 4,
    /// Pool freed twice or with another tag.
    Pool = 5,
    /// The driver broke another rule of the framework.
    Contract = 6,
    /// The runtime itself is at fault.
    Internal = 7,
    /// The driver itself called KeBugCheckEx.
    BugCheck = 8,
}

/// Prints why and ends the process; `driver` is its service's name.
pub(crate) fn halt(driver: &str, code: Code, message: fmt::Arguments<'_>) -> ! {
    print::line(format_args!(
        "wdfldr: STOP 0x{:02x}: {driver}: {message} (thread {:04x}, IRQL {})",
        code as u32,
        teb::thread_id(),
        irql::current()
    ));
    loop {
        // SAFETY: ends the running process, which is what a bugcheck comes to here.
        unsafe { ffi::NtTerminateProcess(ffi::CURRENT_PROCESS, status::DRIVER_INTERNAL_ERROR) };
    }
}

/// As [`halt`], for what is known to belong to a driver.
macro_rules! stop {
    ($globals:expr, $code:ident, $($argument:tt)*) => {
        $crate::stop::halt($globals.name(), $crate::stop::Code::$code, format_args!($($argument)*))
    };
}
pub(crate) use stop;

/// The driver's name in a message when the driver is not known: an import of a client that may be any.
pub(crate) fn anonymous() -> &'static str {
    Globals::only().map_or("a driver", Globals::name)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    halt(anonymous(), Code::Internal, format_args!("{info}"))
}
