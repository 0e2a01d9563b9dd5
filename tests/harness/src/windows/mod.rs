//! The installed driver: how Windows finds it, opens it, carries control codes to it, installs and removes it.
//!
//! Everything here is documented user-mode API. Two choices are made for the verdicts' sake: control codes go through
//! `NtDeviceIoControlFile`, because `DeviceIoControl` translates a status that comes back at once into a Win32 error and
//! loses which one it was; and nothing is believed that can be checked (an installation by whether the interface opens,
//! a removal by whether it is gone).

pub mod devices;
pub mod elevation;
pub mod install;
pub mod interface;
pub mod process;
mod request;
pub mod service;
mod system;
pub mod text;
mod transport;

pub use system::Here;
pub use transport::Installed;

use windows_sys::core::BOOL;

use crate::{Error, status::Win32Error};

/// The calling thread's last Win32 error.
fn last_error() -> Win32Error {
    Win32Error(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(0)
            .cast_unsigned(),
    )
}

/// The failure of a call that reports through `GetLastError`.
fn failed(call: &'static str) -> Error {
    explain(call, last_error())
}

/// A failure that came with its error. "Access denied" has a remedy only where the process is not elevated.
fn explain(call: &'static str, error: Win32Error) -> Error {
    if error == Win32Error::ACCESS_DENIED && elevation::is_elevated() {
        Error::System { call, error }
    } else {
        Error::system(call, error)
    }
}

/// Turns a call's `BOOL` into its failure.
fn check(call: &'static str, result: BOOL) -> Result<(), Error> {
    if result == 0 { Err(failed(call)) } else { Ok(()) }
}

/// A string as Windows takes it.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A string that Windows gave, to its first NUL.
fn narrow(text: &[u16]) -> String {
    let end = text.iter().position(|unit| *unit == 0).unwrap_or(text.len());
    String::from_utf16_lossy(&text[..end])
}

/// The size of a structure, as its `cbSize` wants it.
fn size_of_u32<T>() -> u32 {
    const { assert!(size_of::<T>() <= u32::MAX as usize) };
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    {
        size_of::<T>() as u32
    }
}

/// How many elements a call may fill.
fn count<T>(buffer: &[T]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}
