//! Installing the driver from its INF, and removing it without a trace.

use core::ptr;
use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    INSTALLFLAG_FORCE, SUOI_FORCEDELETE, SetupUninstallOEMInfW, UpdateDriverForPlugAndPlayDevicesW,
};

use super::{
    check, devices, elevation, interface,
    service::{self, State},
    wide,
};
use crate::{Error, Identity};

/// How long a removed interface may take to go, and a new one to come: enumeration has no completion to wait for.
const POLL: Duration = Duration::from_millis(20);

/// The INF that an installation uses: the named one, or the one beside this exe.
///
/// # Errors
/// [`Error::NoInf`]
pub fn inf(driver: &Identity, named: Option<&Path>) -> Result<PathBuf, Error> {
    let path = match named {
        Some(path) => path.to_path_buf(),
        None => std::env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(|folder| folder.join(driver.inf)))
            .unwrap_or_else(|| driver.inf.into()),
    };
    // Windows takes none but a full path.
    match std::path::absolute(&path) {
        Ok(full) if full.is_file() => Ok(full),
        _ => Err(Error::NoInf(path)),
    }
}

/// Installs the driver from `inf`: one device node, whatever was there before, and its interface open to callers.
///
/// A device that is there already is replaced, so that the driver which runs afterwards is the one of this INF.
///
/// # Errors
/// [`Error::AccessDenied`] without elevation; what the system said; [`Error::Unverified`] where the system reports
/// success and no device offers the interface. A node that was created is removed again, except in the last case, which
/// leaves it for the system's tools to explain.
pub fn install(
    driver: &Identity,
    inf: &Path,
    timeout: Duration,
    say: &mut dyn FnMut(String),
) -> Result<(), Error> {
    elevation::required_for("installing a driver")?;
    let replaced = devices::remove_all(driver)?;
    if !replaced.is_empty() {
        for node in &replaced {
            say(format!("removed {}, to be replaced", node.instance_id));
        }
        no_interface(driver, timeout)?;
        service::stop(driver, timeout)?;
    }
    devices::create(driver, inf)?;
    let restart = match update(driver, inf) {
        Ok(restart) => restart,
        Err(error) => {
            // The first error is the one to tell.
            let _ = devices::remove_all(driver);
            return Err(error);
        }
    };
    for node in devices::list(driver)? {
        say(match node.published_inf {
            Some(published) => format!("created {} from {published}", node.instance_id),
            None => format!("created {}", node.instance_id),
        });
    }
    if restart {
        return Err(Error::RestartNeeded("install the driver"));
    }
    if until(timeout, || Ok(!interface::paths(driver)?.is_empty()))? {
        Ok(())
    } else {
        let state = service::state(driver)?;
        Err(Error::Unverified(format!(
            "{} was installed, and no device offers the driver's interface within {} s (service {}: {state:?}): \
             the driver did not load or its device did not start",
            inf.display(),
            timeout.as_secs(),
            driver.service,
        )))
    }
}

/// What [`uninstall`] found.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    /// Device nodes.
    pub nodes: Vec<devices::Node>,
    /// The service.
    pub service: bool,
}

/// Removes every device node, the service and the published INF. Fine where nothing is there.
///
/// # Errors
/// [`Error::AccessDenied`] without elevation; what the system said; [`Error::RestartNeeded`] where a handle that is open
/// vetoed it; [`Error::Unverified`] if something is still there afterwards.
pub fn uninstall(driver: &Identity, timeout: Duration) -> Result<Removed, Error> {
    elevation::required_for("removing a driver")?;
    let nodes = devices::remove_all(driver)?;
    no_interface(driver, timeout)?;
    let service = service::delete(driver, timeout)?;
    for inf in nodes.iter().filter_map(|node| node.published_inf.as_deref()) {
        // Only copies that Windows made of a third party's INF; the original stays where it is.
        if inf.to_ascii_lowercase().starts_with("oem") {
            let name = wide(inf);
            // SAFETY: the name ends with a NUL.
            let gone = unsafe { SetupUninstallOEMInfW(name.as_ptr(), SUOI_FORCEDELETE, ptr::null()) };
            check("SetupUninstallOEMInf", gone)?;
        }
    }
    if let Some(left) = devices::list(driver)?.first() {
        return Err(Error::Unverified(format!(
            "the device {} is still there",
            left.instance_id
        )));
    }
    match service::state(driver)? {
        State::Absent => Ok(Removed { nodes, service }),
        state => Err(Error::Unverified(format!(
            "the service {} is still there: {state:?}",
            driver.service
        ))),
    }
}

fn update(driver: &Identity, inf: &Path) -> Result<bool, Error> {
    let id = wide(driver.hardware_id);
    let path = wide(&inf.to_string_lossy());
    let mut restart = 0;
    // SAFETY: both strings end with a NUL, and `restart` is its place.
    let updated = unsafe {
        UpdateDriverForPlugAndPlayDevicesW(
            ptr::null_mut(),
            id.as_ptr(),
            path.as_ptr(),
            INSTALLFLAG_FORCE,
            &raw mut restart,
        )
    };
    check("UpdateDriverForPlugAndPlayDevices", updated)?;
    Ok(restart != 0)
}

fn no_interface(driver: &Identity, timeout: Duration) -> Result<(), Error> {
    if until(timeout, || Ok(interface::paths(driver)?.is_empty()))? {
        Ok(())
    } else {
        Err(Error::Unverified(
            "the device was removed, and its interface is still there".into(),
        ))
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
