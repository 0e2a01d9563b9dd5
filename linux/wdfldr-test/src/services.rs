//! The service without a device, under which the driver goes through its create sequence.

use std::{
    ptr,
    time::{Duration, Instant},
};

use windows_sys::Win32::{
    Foundation::{ERROR_SERVICE_EXISTS, GetLastError},
    System::Services::{
        CloseServiceHandle, ControlService, CreateServiceW, DeleteService, OpenSCManagerW, OpenServiceW,
        QueryServiceStatus, SC_HANDLE, SC_MANAGER_ALL_ACCESS, SERVICE_ALL_ACCESS, SERVICE_CONTROL_STOP,
        SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL, SERVICE_KERNEL_DRIVER, SERVICE_STATUS, SERVICE_STOPPED,
        StartServiceW,
    },
};

use crate::client::{PATIENCE, Verdict, check};
use crate::registry::wide;

/// A service that is deleted in the end.
pub(crate) struct Service {
    manager: SC_HANDLE,
    service: SC_HANDLE,
}

impl Service {
    /// Makes a driver's service.
    pub(crate) fn create(name: &str, image: &str) -> Verdict<Self> {
        // SAFETY: this machine, the active database.
        let manager = unsafe { OpenSCManagerW(ptr::null(), ptr::null(), SC_MANAGER_ALL_ACCESS) };
        check!(!manager.is_null(), "OpenSCManager: Win32 error {}", last_error());
        let (name, image) = (wide(name), wide(image));
        // SAFETY: the manager is open, and the strings end with a NUL.
        let mut service = unsafe {
            CreateServiceW(
                manager,
                name.as_ptr(),
                name.as_ptr(),
                SERVICE_ALL_ACCESS,
                SERVICE_KERNEL_DRIVER,
                SERVICE_DEMAND_START,
                SERVICE_ERROR_NORMAL,
                image.as_ptr(),
                ptr::null(),
                ptr::null_mut(),
                ptr::null(),
                ptr::null(),
                ptr::null(),
            )
        };
        if service.is_null() && last_error() == ERROR_SERVICE_EXISTS {
            // SAFETY: as above.
            service = unsafe { OpenServiceW(manager, name.as_ptr(), SERVICE_ALL_ACCESS) };
        }
        check!(!service.is_null(), "CreateService: Win32 error {}", last_error());
        Ok(Self { manager, service })
    }

    /// Loads the driver. An error is what the service control manager says of a `DriverEntry` that failed.
    pub(crate) fn start(&self) -> Result<(), u32> {
        // SAFETY: the service is open, and a driver takes no arguments.
        if unsafe { StartServiceW(self.service, 0, ptr::null()) } == 0 {
            return Err(last_error());
        }
        Ok(())
    }

    /// Unloads the driver.
    pub(crate) fn stop(&self) -> Verdict {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: the service is open, and `status` is its place.
        let asked = unsafe { ControlService(self.service, SERVICE_CONTROL_STOP, &raw mut status) };
        check!(asked != 0, "ControlService(STOP): Win32 error {}", last_error());
        let begun = Instant::now();
        while self.state()? != SERVICE_STOPPED {
            check!(begun.elapsed() < PATIENCE, "the service does not stop");
            // The service control manager sends no notification of a driver's stop.
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn state(&self) -> Verdict<u32> {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: the service is open, and `status` is its place.
        let read = unsafe { QueryServiceStatus(self.service, &raw mut status) };
        check!(read != 0, "QueryServiceStatus: Win32 error {}", last_error());
        Ok(status.dwCurrentState)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // SAFETY: open, and nobody else's.
        let _ = unsafe { DeleteService(self.service) };
        for handle in [self.service, self.manager] {
            // SAFETY: as above.
            let _ = unsafe { CloseServiceHandle(handle) };
        }
    }
}

fn last_error() -> u32 {
    // SAFETY: it reads a value of the calling thread.
    unsafe { GetLastError() }
}
