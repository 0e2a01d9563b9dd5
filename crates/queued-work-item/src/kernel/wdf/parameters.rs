//! `REG_DWORD`s in the driver's `Parameters` key.

use core::ptr;

use wdk_sys::{
    ACCESS_MASK, NT_SUCCESS, NTSTATUS, ULONG, UNICODE_STRING, USHORT, WDFKEY,
    call_unsafe_wdf_function_binding,
};

use crate::NtStatus;

/// `KEY_QUERY_VALUE`
const QUERY: ACCESS_MASK = 0x0001;
/// `KEY_SET_VALUE`
const SET: ACCESS_MASK = 0x0002;
/// `STATUS_OBJECT_NAME_NOT_FOUND`
const NOT_FOUND: NTSTATUS = 0xC000_0034_u32.cast_signed();

/// The open key; dropping it closes.
struct Key(WDFKEY);

impl Key {
    fn open(access: ACCESS_MASK) -> Result<Self, NtStatus> {
        // SAFETY: set when the framework bound this image, before any code of the driver ran, and not changed since.
        let globals = unsafe { wdk_sys::WdfDriverGlobals };
        // SAFETY: as above; the framework writes the driver's handle there when it creates the driver.
        let driver = unsafe { (*globals).Driver };
        let mut key: WDFKEY = ptr::null_mut();
        // SAFETY: this driver's handle; the caller is at PASSIVE_LEVEL.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDriverOpenParametersRegistryKey,
                driver,
                access,
                ptr::null_mut(),
                &raw mut key
            )
        };
        if NT_SUCCESS(status) {
            Ok(Self(key))
        } else {
            Err(NtStatus(status))
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and closed once.
        unsafe { call_unsafe_wdf_function_binding!(WdfRegistryClose, self.0) };
    }
}

/// A name is short: its owner keeps it in an array.
fn unicode(name: &[u16]) -> Result<UNICODE_STRING, NtStatus> {
    let bytes = USHORT::try_from(size_of_val(name)).map_err(|_| NtStatus::INVALID_PARAMETER)?;
    Ok(UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: name.as_ptr().cast_mut(),
    })
}

/// The value of this name; `None` where there is none. IRQL `PASSIVE_LEVEL`.
pub(crate) fn query(name: &[u16]) -> Result<Option<u32>, NtStatus> {
    let name = unicode(name)?;
    let key = match Key::open(QUERY) {
        Ok(key) => key,
        Err(NtStatus(NOT_FOUND)) => return Ok(None),
        Err(status) => return Err(status),
    };
    let mut value: ULONG = 0;
    // SAFETY: an open key; the name is valid for the call, and only read.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(WdfRegistryQueryULong, key.0, &raw const name, &raw mut value)
    };
    match status {
        NOT_FOUND => Ok(None),
        status if NT_SUCCESS(status) => Ok(Some(value)),
        status => Err(NtStatus(status)),
    }
}

/// Sets the value of this name. IRQL `PASSIVE_LEVEL`.
pub(crate) fn assign(name: &[u16], value: u32) -> Result<(), NtStatus> {
    let name = unicode(name)?;
    let key = Key::open(SET)?;
    // SAFETY: an open key; the name is valid for the call, and only read.
    let status =
        unsafe { call_unsafe_wdf_function_binding!(WdfRegistryAssignULong, key.0, &raw const name, value) };
    if NT_SUCCESS(status) {
        Ok(())
    } else {
        Err(NtStatus(status))
    }
}
