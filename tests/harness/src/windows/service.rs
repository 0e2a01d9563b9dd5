//! The driver's service: its state, and its end.

use core::ptr;
use std::{
    thread,
    time::{Duration, Instant},
};

use windows_sys::Win32::{
    Foundation::{
        ERROR_INVALID_SERVICE_CONTROL, ERROR_SERVICE_CANNOT_ACCEPT_CTRL, ERROR_SERVICE_DOES_NOT_EXIST,
        ERROR_SERVICE_NOT_ACTIVE,
    },
    Storage::FileSystem::DELETE,
    System::Services::{
        CloseServiceHandle, ControlService, DeleteService, OpenSCManagerW, OpenServiceW, QueryServiceStatus,
        SC_HANDLE, SC_MANAGER_CONNECT, SERVICE_CONTROL_STOP, SERVICE_PAUSED, SERVICE_QUERY_STATUS,
        SERVICE_RUNNING, SERVICE_STATUS, SERVICE_STOP, SERVICE_STOPPED,
    },
};

use super::{check, explain, failed, last_error, wide};
use crate::{Error, Identity, status::Win32Error};

/// How often the service control manager is asked: it sends driver services' stops no notification.
const POLL: Duration = Duration::from_millis(20);

/// A handle of the service control manager's.
struct Handle(SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: open, and nobody else's.
        let _ = unsafe { CloseServiceHandle(self.0) };
    }
}

/// What the service control manager says of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no such service.
    Absent,
    /// Installed, not loaded.
    Stopped,
    /// Loaded.
    Running,
    /// On its way.
    Changing,
}

/// The state of the driver's service.
///
/// # Errors
/// What the service control manager said.
pub fn state(driver: &Identity) -> Result<State, Error> {
    match open(driver, SERVICE_QUERY_STATUS)? {
        Some(service) => query(&service),
        None => Ok(State::Absent),
    }
}

/// Stops the driver's service. Nothing happens where it is stopped, or not there.
///
/// # Errors
/// What the service control manager said; [`Error::Unverified`] if it still runs after `timeout`.
pub fn stop(driver: &Identity, timeout: Duration) -> Result<(), Error> {
    let Some(service) = open(driver, SERVICE_QUERY_STATUS | SERVICE_STOP)? else {
        return Ok(());
    };
    stop_opened(driver, &service, timeout)
}

/// Stops the driver's service and deletes it. Nothing happens where it is not there.
///
/// # Errors
/// As [`stop`]; [`Error::Unverified`] if it is still there after `timeout`.
pub fn delete(driver: &Identity, timeout: Duration) -> Result<bool, Error> {
    let Some(service) = open(driver, SERVICE_QUERY_STATUS | SERVICE_STOP | DELETE)? else {
        return Ok(false);
    };
    stop_opened(driver, &service, timeout)?;
    // SAFETY: the handle is open for deletion.
    check("DeleteService", unsafe { DeleteService(service.0) })?;
    // It goes with the last handle, which need not be ours.
    drop(service);
    until(timeout, || Ok(state(driver)? == State::Absent)).and_then(|gone| {
        if gone {
            Ok(true)
        } else {
            Err(Error::Unverified(format!(
                "the service {} is still there: something has it open",
                driver.service
            )))
        }
    })
}

fn stop_opened(driver: &Identity, service: &Handle, timeout: Duration) -> Result<(), Error> {
    if query(service)? == State::Stopped {
        return Ok(());
    }
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open for stopping, and `status` is its place.
    if unsafe { ControlService(service.0, SERVICE_CONTROL_STOP, &raw mut status) } == 0 {
        match last_error().0 {
            // A PnP driver leaves with its last device, by itself: that is waited for below.
            ERROR_SERVICE_NOT_ACTIVE | ERROR_INVALID_SERVICE_CONTROL | ERROR_SERVICE_CANNOT_ACCEPT_CTRL => {}
            error => return Err(explain("ControlService(STOP)", Win32Error(error))),
        }
    }
    if until(timeout, || Ok(query(service)? == State::Stopped))? {
        Ok(())
    } else {
        Err(Error::Unverified(format!(
            "the service {} did not stop within {} s",
            driver.service,
            timeout.as_secs()
        )))
    }
}

fn until(timeout: Duration, mut done: impl FnMut() -> Result<bool, Error>) -> Result<bool, Error> {
    let began = Instant::now();
    loop {
        if done()? {
            return Ok(true);
        }
        if began.elapsed() > timeout {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
}

fn open(driver: &Identity, access: u32) -> Result<Option<Handle>, Error> {
    // SAFETY: this machine, the active database.
    let manager = unsafe { OpenSCManagerW(ptr::null(), ptr::null(), SC_MANAGER_CONNECT) };
    if manager.is_null() {
        return Err(failed("OpenSCManager"));
    }
    let manager = Handle(manager);
    let name = wide(driver.service);
    // SAFETY: the manager is open, and the name ends with a NUL.
    let service = unsafe { OpenServiceW(manager.0, name.as_ptr(), access) };
    if !service.is_null() {
        return Ok(Some(Handle(service)));
    }
    match last_error() {
        Win32Error(ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
        error => Err(explain("OpenService", error)),
    }
}

fn query(service: &Handle) -> Result<State, Error> {
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open for queries, and `status` is its place.
    check("QueryServiceStatus", unsafe {
        QueryServiceStatus(service.0, &raw mut status)
    })?;
    Ok(match status.dwCurrentState {
        SERVICE_STOPPED => State::Stopped,
        SERVICE_RUNNING | SERVICE_PAUSED => State::Running,
        _ => State::Changing,
    })
}
