//! The device interface: the driver's address.

use core::ptr;

use windows_sys::{
    Win32::{
        Devices::DeviceAndDriverInstallation::{
            DIGCF_DEVICEINTERFACE, DIGCF_PRESENT, SP_DEVICE_INTERFACE_DATA,
            SP_DEVICE_INTERFACE_DETAIL_DATA_W, SPINT_ACTIVE, SetupDiEnumDeviceInterfaces,
            SetupDiGetClassDevsW, SetupDiGetDeviceInterfaceDetailW,
        },
        Foundation::ERROR_NO_MORE_ITEMS,
    },
    core::GUID,
};

use super::{devices::DeviceSet, explain, failed, last_error, narrow, size_of_u32};
use crate::{Error, Identity, status::Win32Error};

/// The paths under which started devices offer the driver's interface.
///
/// # Errors
/// What `SetupAPI` said.
pub fn paths(driver: &Identity) -> Result<Vec<String>, Error> {
    let guid = GUID {
        data1: driver.interface.data1,
        data2: driver.interface.data2,
        data3: driver.interface.data3,
        data4: driver.interface.data4,
    };
    // SAFETY: the GUID is alive, nothing else is passed.
    let set = DeviceSet::checked("SetupDiGetClassDevs", unsafe {
        SetupDiGetClassDevsW(
            &raw const guid,
            ptr::null(),
            ptr::null_mut(),
            DIGCF_DEVICEINTERFACE | DIGCF_PRESENT,
        )
    })?;
    let mut paths = Vec::new();
    for index in 0.. {
        let mut interface = SP_DEVICE_INTERFACE_DATA {
            cbSize: size_of_u32::<SP_DEVICE_INTERFACE_DATA>(),
            ..Default::default()
        };
        // SAFETY: the set is open, and the structure says its size.
        let found = unsafe {
            SetupDiEnumDeviceInterfaces(
                set.handle(),
                ptr::null(),
                &raw const guid,
                index,
                &raw mut interface,
            )
        };
        if found == 0 {
            match last_error() {
                Win32Error(ERROR_NO_MORE_ITEMS) => break,
                error => return Err(explain("SetupDiEnumDeviceInterfaces", error)),
            }
        }
        if interface.Flags & SPINT_ACTIVE != 0 {
            paths.push(path(&set, &interface)?);
        }
    }
    Ok(paths)
}

fn path(set: &DeviceSet, interface: &SP_DEVICE_INTERFACE_DATA) -> Result<String, Error> {
    const CALL: &str = "SetupDiGetDeviceInterfaceDetail";
    let mut needed = 0;
    // The first call fails and tells the length.
    // SAFETY: no buffer is passed.
    let _ = unsafe {
        SetupDiGetDeviceInterfaceDetailW(
            set.handle(),
            interface,
            ptr::null_mut(),
            0,
            &raw mut needed,
            ptr::null_mut(),
        )
    };
    let head = core::mem::offset_of!(SP_DEVICE_INTERFACE_DETAIL_DATA_W, DevicePath);
    if (needed as usize) <= head {
        return Err(failed(CALL));
    }
    // Of u32: the structure begins with one.
    let mut buffer = vec![0_u32; (needed as usize).div_ceil(size_of::<u32>())];
    buffer[0] = size_of_u32::<SP_DEVICE_INTERFACE_DETAIL_DATA_W>();
    // SAFETY: the buffer has at least the length that is passed, and the structure's alignment.
    let filled = unsafe {
        SetupDiGetDeviceInterfaceDetailW(
            set.handle(),
            interface,
            buffer.as_mut_ptr().cast(),
            needed,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    super::check(CALL, filled)?;
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let units: Vec<u16> = buffer[head / size_of::<u32>()..]
        .iter()
        .flat_map(|both| [*both as u16, (*both >> 16) as u16])
        .collect();
    Ok(narrow(&units))
}
