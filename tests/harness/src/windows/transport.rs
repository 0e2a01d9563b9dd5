//! The installed driver as a transport of the scenarios.

use core::ptr;
use std::{
    ffi::c_void,
    os::windows::io::{FromRawHandle, OwnedHandle},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use windows_sys::{
    Win32::{
        Foundation::{GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE},
        Storage::FileSystem::{
            CreateFileW, FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING,
        },
        System::LibraryLoader::{GetModuleHandleW, GetProcAddress},
    },
    s,
};

use super::{
    devices, explain, install, interface, last_error,
    request::{Sent, SharedHandle},
    wide,
};
use crate::{
    Error, Identity,
    device::{Access, Device, Request, Transport},
    status::Win32Error,
};

/// A driver that is installed on this machine.
pub struct Installed {
    driver: &'static Identity,
    inf: Option<PathBuf>,
    timeout: Duration,
}

impl Installed {
    /// `inf` is what brings the device back after a surprise removal; without one, none is made.
    #[must_use]
    pub const fn new(driver: &'static Identity, inf: Option<PathBuf>, timeout: Duration) -> Self {
        Self { driver, inf, timeout }
    }
}

impl Transport for Installed {
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error> {
        let path = interface::paths(self.driver)?
            .into_iter()
            .next()
            .ok_or(Error::NotInstalled)?;
        let path = wide(&path);
        let access = match access {
            Access::Read => GENERIC_READ,
            Access::ReadWrite => GENERIC_READ | GENERIC_WRITE,
        };
        // SAFETY: the path ends with a NUL.
        let handle: *mut c_void = unsafe {
            CreateFileW(
                path.as_ptr(),
                access,
                FILE_SHARE_READ | FILE_SHARE_WRITE,
                ptr::null(),
                OPEN_EXISTING,
                FILE_FLAG_OVERLAPPED,
                ptr::null_mut(),
            )
        };
        if handle == INVALID_HANDLE_VALUE {
            return Err(match last_error() {
                Win32Error::FILE_NOT_FOUND => Error::NotInstalled,
                error => explain("open the device", error),
            });
        }
        // SAFETY: the call succeeded, and the handle is nobody else's.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(Box::new(Opened(Arc::new(RwLock::new(Some(handle))))))
    }

    fn surprise_remove(&self) -> Result<(), Error> {
        // Windows asks first, and an open handle vetoes; the device would go at the next restart.
        if !is_wine() {
            return Err(Error::NotSupported(
                "Windows vetoes the removal of a software device while a handle is open".into(),
            ));
        }
        if self.inf.is_none() {
            return Err(Error::NotSupported(
                "without the driver's INF the device could not be brought back: `--inf PATH`, or QWI_INF"
                    .into(),
            ));
        }
        devices::remove_all(self.driver).map(drop)
    }

    fn restore(&self) -> Result<(), Error> {
        let inf = install::inf(self.driver, self.inf.as_deref())?;
        install::install(self.driver, &inf, self.timeout, &mut |_| {})
    }
}

/// An open handle.
struct Opened(SharedHandle);

impl Device for Opened {
    fn submit(&self, code: u32, input: &[u8], output: usize) -> Result<Box<dyn Request>, Error> {
        Ok(Box::new(Sent::send(&self.0, code, input, output)?))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Requests may outlive it; the handle must not.
        drop(self.0.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Wine removes a device without asking, as a surprise removal does.
fn is_wine() -> bool {
    let ntdll = wide("ntdll.dll");
    // SAFETY: the name ends with a NUL; ntdll is in every process.
    let module = unsafe { GetModuleHandleW(ntdll.as_ptr()) };
    // SAFETY: the name ends with a NUL; a module that is not there has no such export either.
    unsafe { GetProcAddress(module, s!("wine_get_version")) }.is_some()
}
