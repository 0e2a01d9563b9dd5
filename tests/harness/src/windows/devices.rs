//! Device nodes: those that carry the driver's hardware id, one more, one less.

use core::ptr;
use std::path::Path;

use windows_sys::Win32::{
    Devices::DeviceAndDriverInstallation::{
        DI_ENUMSINGLEINF, DI_NEEDREBOOT, DI_NEEDRESTART, DICD_GENERATE_ID, DICS_FLAG_GLOBAL,
        DIF_INSTALLDEVICE, DIF_INSTALLDEVICEFILES, DIF_INSTALLINTERFACES, DIF_REGISTER_COINSTALLERS,
        DIF_REGISTERDEVICE, DIF_REMOVE, DIF_SELECTBESTCOMPATDRV, DIGCF_ALLCLASSES, DIREG_DRV, HDEVINFO,
        SP_DEVINFO_DATA, SP_DEVINSTALL_PARAMS_W, SPDIT_COMPATDRIVER, SPDRP_HARDWAREID,
        SetupDiBuildDriverInfoList, SetupDiCallClassInstaller, SetupDiCreateDeviceInfoList,
        SetupDiCreateDeviceInfoW, SetupDiDestroyDeviceInfoList, SetupDiEnumDeviceInfo, SetupDiGetClassDevsW,
        SetupDiGetDeviceInstallParamsW, SetupDiGetDeviceInstanceIdW, SetupDiGetDeviceRegistryPropertyW,
        SetupDiGetINFClassW, SetupDiOpenDevRegKey, SetupDiSetDeviceInstallParamsW,
        SetupDiSetDeviceRegistryPropertyW,
    },
    Foundation::{ERROR_NO_MORE_ITEMS, ERROR_SUCCESS, INVALID_HANDLE_VALUE},
    System::Registry::{HKEY, KEY_QUERY_VALUE, RegCloseKey, RegQueryValueExW},
};
use windows_sys::core::GUID;

use super::{check, count, explain, failed, last_error, narrow, size_of_u32, wide};
use crate::{Error, Identity, status::Win32Error};

/// A set of device nodes.
pub(super) struct DeviceSet(HDEVINFO);

impl DeviceSet {
    /// Takes over what a call returned.
    pub(super) fn checked(call: &'static str, set: HDEVINFO) -> Result<Self, Error> {
        if set == INVALID_HANDLE_VALUE as HDEVINFO {
            Err(failed(call))
        } else {
            Ok(Self(set))
        }
    }

    pub(super) const fn handle(&self) -> HDEVINFO {
        self.0
    }

    /// Every root-enumerated device, of any class, started or not.
    fn root_enumerated() -> Result<Self, Error> {
        let enumerator = wide("Root");
        // SAFETY: the string is alive and ends with a NUL.
        let set = unsafe {
            SetupDiGetClassDevsW(
                ptr::null(),
                enumerator.as_ptr(),
                ptr::null_mut(),
                DIGCF_ALLCLASSES,
            )
        };
        Self::checked("SetupDiGetClassDevs", set)
    }

    /// The nodes of the set that carry the driver's hardware id.
    fn ours(&self, driver: &Identity) -> Result<Vec<SP_DEVINFO_DATA>, Error> {
        let mut ours = Vec::new();
        for index in 0.. {
            let mut node = empty_node();
            // SAFETY: the set is open, and the structure says its size.
            if unsafe { SetupDiEnumDeviceInfo(self.0, index, &raw mut node) } == 0 {
                match last_error() {
                    Win32Error(ERROR_NO_MORE_ITEMS) => break,
                    error => return Err(explain("SetupDiEnumDeviceInfo", error)),
                }
            }
            if self
                .hardware_ids(&node)
                .iter()
                .any(|id| id.eq_ignore_ascii_case(driver.hardware_id))
            {
                ours.push(node);
            }
        }
        Ok(ours)
    }

    /// A node's hardware ids; none where it has none.
    fn hardware_ids(&self, node: &SP_DEVINFO_DATA) -> Vec<String> {
        let mut buffer = [0_u16; 1024];
        let mut kind = 0;
        // SAFETY: the node is of this set; the buffer is as long as the call is told, in bytes.
        let read = unsafe {
            SetupDiGetDeviceRegistryPropertyW(
                self.0,
                node,
                SPDRP_HARDWAREID,
                &raw mut kind,
                buffer.as_mut_ptr().cast(),
                count(&buffer) * 2,
                ptr::null_mut(),
            )
        };
        if read == 0 {
            return Vec::new();
        }
        buffer
            .split(|unit| *unit == 0)
            .take_while(|id| !id.is_empty())
            .map(String::from_utf16_lossy)
            .collect()
    }

    fn instance_id(&self, node: &SP_DEVINFO_DATA) -> Result<String, Error> {
        let mut buffer = [0_u16; 256];
        // SAFETY: the node is of this set; the buffer is as long as the call is told.
        let read = unsafe {
            SetupDiGetDeviceInstanceIdW(self.0, node, buffer.as_mut_ptr(), count(&buffer), ptr::null_mut())
        };
        check("SetupDiGetDeviceInstanceId", read)?;
        Ok(narrow(&buffer))
    }

    /// The name under which Windows keeps the INF that the node was installed from.
    fn published_inf(&self, node: &SP_DEVINFO_DATA) -> Option<String> {
        // SAFETY: the node is of this set.
        let key =
            unsafe { SetupDiOpenDevRegKey(self.0, node, DICS_FLAG_GLOBAL, 0, DIREG_DRV, KEY_QUERY_VALUE) };
        if key == INVALID_HANDLE_VALUE || key.is_null() {
            return None;
        }
        let value = string_value(key, "InfPath");
        // SAFETY: opened above, and not used any more.
        let _ = unsafe { RegCloseKey(key) };
        value
    }

    fn call_installer(&self, function: u32, node: &SP_DEVINFO_DATA, call: &'static str) -> Result<(), Error> {
        // SAFETY: the node is of this set.
        check(call, unsafe { SetupDiCallClassInstaller(function, self.0, node) })
    }

    /// Installs the driver of the INF on a node, step by step as the system's own installer does it for every node.
    fn install(&self, node: &mut SP_DEVINFO_DATA, inf: &Path) -> Result<(), Error> {
        let mut parameters = self.parameters(node)?;
        let path = wide(&inf.to_string_lossy());
        let place = parameters
            .DriverPath
            .get_mut(..path.len())
            .ok_or_else(|| Error::NoInf(inf.to_path_buf()))?;
        place.copy_from_slice(&path);
        parameters.Flags |= DI_ENUMSINGLEINF;
        // SAFETY: the node is of this set, and the structure says its size.
        let told = unsafe { SetupDiSetDeviceInstallParamsW(self.0, node, &raw const parameters) };
        check("SetupDiSetDeviceInstallParams", told)?;
        // SAFETY: the node is of this set.
        let built = unsafe { SetupDiBuildDriverInfoList(self.0, node, SPDIT_COMPATDRIVER) };
        check("SetupDiBuildDriverInfoList", built)?;
        for (function, call) in [
            (
                DIF_SELECTBESTCOMPATDRV,
                "SetupDiCallClassInstaller(DIF_SELECTBESTCOMPATDRV)",
            ),
            (
                DIF_INSTALLDEVICEFILES,
                "SetupDiCallClassInstaller(DIF_INSTALLDEVICEFILES)",
            ),
            (
                DIF_REGISTER_COINSTALLERS,
                "SetupDiCallClassInstaller(DIF_REGISTER_COINSTALLERS)",
            ),
            (
                DIF_INSTALLINTERFACES,
                "SetupDiCallClassInstaller(DIF_INSTALLINTERFACES)",
            ),
            (DIF_INSTALLDEVICE, "SetupDiCallClassInstaller(DIF_INSTALLDEVICE)"),
        ] {
            self.call_installer(function, node, call)?;
        }
        Ok(())
    }

    fn parameters(&self, node: &SP_DEVINFO_DATA) -> Result<SP_DEVINSTALL_PARAMS_W, Error> {
        let mut parameters = SP_DEVINSTALL_PARAMS_W {
            cbSize: size_of_u32::<SP_DEVINSTALL_PARAMS_W>(),
            ..Default::default()
        };
        // SAFETY: the node is of this set, and the structure says its size.
        let read = unsafe { SetupDiGetDeviceInstallParamsW(self.0, node, &raw mut parameters) };
        check("SetupDiGetDeviceInstallParams", read)?;
        Ok(parameters)
    }

    /// Whether the last installer function on the node took effect only after a restart.
    fn wants_restart(&self, node: &SP_DEVINFO_DATA) -> bool {
        self.parameters(node)
            .is_ok_and(|parameters| parameters.Flags & (DI_NEEDREBOOT | DI_NEEDRESTART) != 0)
    }
}

impl Drop for DeviceSet {
    fn drop(&mut self) {
        // SAFETY: the set is open and nobody else's.
        let _ = unsafe { SetupDiDestroyDeviceInfoList(self.0) };
    }
}

/// A device node of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its instance id, such as `ROOT\SYSTEM\0001`.
    pub instance_id: String,
    /// The published name of the INF that it was installed from, such as `oem3.inf`.
    pub published_inf: Option<String>,
}

/// The device nodes with the driver's hardware id, started or not.
///
/// # Errors
/// What `SetupAPI` said.
pub fn list(driver: &Identity) -> Result<Vec<Node>, Error> {
    let set = DeviceSet::root_enumerated()?;
    set.ours(driver)?
        .iter()
        .map(|node| {
            Ok(Node {
                instance_id: set.instance_id(node)?,
                published_inf: set.published_inf(node),
            })
        })
        .collect()
}

/// Removes every device node with the driver's hardware id, and says which they were.
///
/// # Errors
/// What `SetupAPI` said; [`Error::RestartNeeded`] where a handle that is open vetoed it.
pub fn remove_all(driver: &Identity) -> Result<Vec<Node>, Error> {
    let removed = list(driver)?;
    let set = DeviceSet::root_enumerated()?;
    let mut restart = false;
    for node in set.ours(driver)? {
        set.call_installer(DIF_REMOVE, &node, "SetupDiCallClassInstaller(DIF_REMOVE)")?;
        restart |= set.wants_restart(&node);
    }
    if restart {
        return Err(Error::RestartNeeded("remove the device"));
    }
    Ok(removed)
}

/// Creates a root-enumerated device node with the driver's hardware id, of the INF's class.
///
/// # Errors
/// What `SetupAPI` said. Nothing was registered then.
pub fn create(driver: &Identity, inf: &Path) -> Result<(), Error> {
    register(driver, inf).map(drop)
}

/// Creates a device node as [`create`] does, and installs the driver on it alone: whatever other devices the driver has
/// are left as they are. Its instance id.
///
/// # Errors
/// What `SetupAPI` said. No node is left then.
pub fn add(driver: &Identity, inf: &Path) -> Result<String, Error> {
    let (set, mut node) = register(driver, inf)?;
    let installed = set.install(&mut node, inf).and_then(|()| set.instance_id(&node));
    if installed.is_err() {
        // The first error is the one to tell.
        let _ = set.call_installer(DIF_REMOVE, &node, "SetupDiCallClassInstaller(DIF_REMOVE)");
    }
    installed
}

/// Removes the driver's device node of that instance id. Nothing happens where there is none.
///
/// # Errors
/// What `SetupAPI` said; [`Error::RestartNeeded`] where a handle that is open vetoed it.
pub fn remove(driver: &Identity, instance_id: &str) -> Result<(), Error> {
    let set = DeviceSet::root_enumerated()?;
    for node in set.ours(driver)? {
        if set.instance_id(&node)? == instance_id {
            set.call_installer(DIF_REMOVE, &node, "SetupDiCallClassInstaller(DIF_REMOVE)")?;
            if set.wants_restart(&node) {
                return Err(Error::RestartNeeded("remove the device"));
            }
        }
    }
    Ok(())
}

/// Registers a device node, which has no driver yet.
fn register(driver: &Identity, inf: &Path) -> Result<(DeviceSet, SP_DEVINFO_DATA), Error> {
    let inf = wide(&inf.to_string_lossy());
    let mut class = GUID::default();
    let mut class_name = [0_u16; 64];
    // SAFETY: the path ends with a NUL, and the buffer is as long as the call is told.
    let read = unsafe {
        SetupDiGetINFClassW(
            inf.as_ptr(),
            &raw mut class,
            class_name.as_mut_ptr(),
            count(&class_name),
            ptr::null_mut(),
        )
    };
    check("SetupDiGetINFClass", read)?;
    // SAFETY: the GUID is alive.
    let set = DeviceSet::checked("SetupDiCreateDeviceInfoList", unsafe {
        SetupDiCreateDeviceInfoList(&raw const class, ptr::null_mut())
    })?;
    let mut node = empty_node();
    // SAFETY: the set is open, the class's name ends with a NUL, and the structure says its size.
    let created = unsafe {
        SetupDiCreateDeviceInfoW(
            set.0,
            class_name.as_ptr(),
            &raw const class,
            ptr::null(),
            ptr::null_mut(),
            DICD_GENERATE_ID,
            &raw mut node,
        )
    };
    check("SetupDiCreateDeviceInfo", created)?;
    // A REG_MULTI_SZ: each string ends with a NUL, the list with another.
    let ids: Vec<u16> = driver.hardware_id.encode_utf16().chain([0, 0]).collect();
    // SAFETY: the node is of this set, and the buffer is as long as the call is told, in bytes.
    let set_ids = unsafe {
        SetupDiSetDeviceRegistryPropertyW(
            set.0,
            &raw mut node,
            SPDRP_HARDWAREID,
            ids.as_ptr().cast(),
            count(&ids) * 2,
        )
    };
    check("SetupDiSetDeviceRegistryProperty(SPDRP_HARDWAREID)", set_ids)?;
    set.call_installer(
        DIF_REGISTERDEVICE,
        &node,
        "SetupDiCallClassInstaller(DIF_REGISTERDEVICE)",
    )?;
    Ok((set, node))
}

fn empty_node() -> SP_DEVINFO_DATA {
    SP_DEVINFO_DATA {
        cbSize: size_of_u32::<SP_DEVINFO_DATA>(),
        ..Default::default()
    }
}

fn string_value(key: HKEY, name: &str) -> Option<String> {
    let name = wide(name);
    let mut buffer = [0_u16; 260];
    let mut bytes = count(&buffer) * 2;
    // SAFETY: the key is open, the name ends with a NUL, and the buffer is as long as the call is told, in bytes.
    let read = unsafe {
        RegQueryValueExW(
            key,
            name.as_ptr(),
            ptr::null(),
            ptr::null_mut(),
            buffer.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    (read == ERROR_SUCCESS)
        .then(|| narrow(&buffer))
        .filter(|text| !text.is_empty())
}
