//! Whether this process may do what administrators do.

use core::ptr;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::{
    Security::{GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation},
    System::Threading::{GetCurrentProcess, OpenProcessToken},
};

use super::size_of_u32;
use crate::Error;

/// The process's token is elevated. Where that cannot be told, it is taken for elevated: the call that needs it says
/// otherwise.
pub fn is_elevated() -> bool {
    // SAFETY: a pseudo handle, which is always there.
    let process = unsafe { GetCurrentProcess() };
    let mut token = ptr::null_mut();
    // SAFETY: `token` is a place for a handle.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
        return true;
    }
    // SAFETY: the call succeeded, and the handle is nobody else's.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let mut elevation = TOKEN_ELEVATION::default();
    let mut length = 0;
    // SAFETY: the token is open, and the buffer is the structure of this information class, with its size.
    let known = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenElevation,
            (&raw mut elevation).cast(),
            size_of_u32::<TOKEN_ELEVATION>(),
            &raw mut length,
        )
    };
    known == 0 || elevation.TokenIsElevated != 0
}

/// Refuses what only an elevated process can do, before half of it is done.
///
/// # Errors
/// [`Error::AccessDenied`]
pub fn required_for(what: &str) -> Result<(), Error> {
    if is_elevated() {
        Ok(())
    } else {
        Err(Error::AccessDenied {
            what: format!("{what} needs an elevated process"),
        })
    }
}
