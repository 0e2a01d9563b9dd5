//! The installed driver as a transport of the scenarios.

use core::ptr;
use std::{
    ffi::c_void,
    os::windows::io::{FromRawHandle, OwnedHandle},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
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
    devices, elevation, explain, install, interface, last_error, process,
    request::{Sent, SharedHandle},
    service, wide,
};
use crate::{
    Error, Identity,
    device::{Access, Device, Process, Request, Transport},
    status::Win32Error,
};

/// How often a new interface is looked for: enumeration has no completion to wait for.
const POLL: Duration = Duration::from_millis(20);

/// A driver that is installed on this machine.
pub struct Installed {
    driver: &'static Identity,
    inf: Option<PathBuf>,
    timeout: Duration,
    /// Interfaces of devices that were added beside the first.
    added: Mutex<Vec<String>>,
}

impl Installed {
    /// `inf` is what brings the device back after a surprise removal; without one, none is made.
    #[must_use]
    pub const fn new(driver: &'static Identity, inf: Option<PathBuf>, timeout: Duration) -> Self {
        Self {
            driver,
            inf,
            timeout,
            added: Mutex::new(Vec::new()),
        }
    }

    /// The interfaces that are there.
    fn paths(&self) -> Result<Vec<String>, Error> {
        interface::paths(self.driver)
    }
}

impl Transport for Installed {
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error> {
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self
            .paths()?
            .into_iter()
            .find(|path| !added.contains(path))
            .ok_or(Error::NotInstalled)?;
        drop(added);
        open(&path, access)
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

    fn unload(&self) -> Result<(), Error> {
        service::stop(self.driver, self.timeout)
    }

    fn second(&self) -> Result<Box<dyn Transport + '_>, Error> {
        elevation::required_for("adding a device")?;
        if self.inf.is_none() {
            return Err(Error::NotSupported(
                "without the driver's INF no device can be added: `--inf PATH`, or QWI_INF".into(),
            ));
        }
        let inf = install::inf(self.driver, self.inf.as_deref())?;
        let before = self.paths()?;
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let instance_id = devices::add(self.driver, &inf)?;
        let began = Instant::now();
        loop {
            let new = self.paths()?.into_iter().find(|path| !before.contains(path));
            if let Some(path) = new {
                added.push(path.clone());
                return Ok(Box::new(Second {
                    first: self,
                    path,
                    instance_id,
                }));
            }
            if began.elapsed() > self.timeout {
                // The missing interface is the error to tell.
                let _ = devices::remove(self.driver, &instance_id);
                return Err(Error::Unverified(format!(
                    "{instance_id} was added, and offers no interface within {} s",
                    self.timeout.as_secs()
                )));
            }
            thread::sleep(POLL);
        }
    }

    fn process(&self) -> Result<Box<dyn Process + '_>, Error> {
        process::start().map(|process| Box::new(process) as _)
    }
}

/// A device that was added, and goes with this.
struct Second<'a> {
    first: &'a Installed,
    path: String,
    instance_id: String,
}

impl Second<'_> {
    fn alone<T>(what: &str) -> Result<T, Error> {
        Err(Error::NotSupported(format!("an added device cannot be {what}")))
    }
}

impl Transport for Second<'_> {
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error> {
        open(&self.path, access)
    }

    fn surprise_remove(&self) -> Result<(), Error> {
        Self::alone("taken away")
    }

    fn restore(&self) -> Result<(), Error> {
        Self::alone("brought back")
    }

    fn unload(&self) -> Result<(), Error> {
        Self::alone("unloaded: its driver has another one")
    }

    fn second(&self) -> Result<Box<dyn Transport + '_>, Error> {
        Self::alone("joined by another")
    }

    fn process(&self) -> Result<Box<dyn Process + '_>, Error> {
        Self::alone("loaded by another process")
    }
}

impl Drop for Second<'_> {
    fn drop(&mut self) {
        if let Err(error) = devices::remove(self.first.driver, &self.instance_id) {
            anstream::eprintln!("{} is left: {error}", self.instance_id);
        }
        self.first
            .added
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|path| *path != self.path);
    }
}

/// Opens a device interface.
fn open(path: &str, access: Access) -> Result<Box<dyn Device>, Error> {
    let path = wide(path);
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
