//! Values of a service's Parameters key.

use std::ptr;

use windows_sys::Win32::{
    Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS},
    System::Registry::{
        HKEY, HKEY_LOCAL_MACHINE, KEY_ALL_ACCESS, REG_DWORD, RegCloseKey, RegCreateKeyExW, RegDeleteValueW,
        RegQueryValueExW, RegSetValueExW,
    },
};

use crate::client::Verdict;

/// An open key, made if it was not there.
struct Key(HKEY);

impl Key {
    fn open(service: &str, below: &str) -> Verdict<Self> {
        let path = wide(&format!(
            r"System\CurrentControlSet\Services\{service}\Parameters{below}"
        ));
        let mut key: HKEY = ptr::null_mut();
        // SAFETY: the path ends with a NUL, and the key has a place.
        let error = unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                path.as_ptr(),
                0,
                ptr::null(),
                0,
                KEY_ALL_ACCESS,
                ptr::null(),
                &raw mut key,
                ptr::null_mut(),
            )
        };
        result("RegCreateKeyEx", error)?;
        Ok(Self(key))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: open, and nobody else's.
        let _ = unsafe { RegCloseKey(self.0) };
    }
}

/// Sets a number; `below` is a subkey of Parameters with its backslash, or nothing.
pub(crate) fn set_number(service: &str, below: &str, name: &str, number: u32) -> Verdict {
    let key = Key::open(service, below)?;
    let name = wide(name);
    let bytes = number.to_le_bytes();
    // SAFETY: the key is open, the name ends with a NUL, and the bytes are four.
    let error = unsafe { RegSetValueExW(key.0, name.as_ptr(), 0, REG_DWORD, bytes.as_ptr(), 4) };
    result("RegSetValueEx", error)
}

/// Removes a value, if it is there.
pub(crate) fn remove(service: &str, below: &str, name: &str) -> Verdict {
    let key = Key::open(service, below)?;
    let name = wide(name);
    // SAFETY: the key is open, and the name ends with a NUL.
    match unsafe { RegDeleteValueW(key.0, name.as_ptr()) } {
        ERROR_FILE_NOT_FOUND => Ok(()),
        error => result("RegDeleteValue", error),
    }
}

/// A value's bytes; none if it is not there.
pub(crate) fn bytes(service: &str, name: &str) -> Verdict<Vec<u8>> {
    let key = Key::open(service, "")?;
    let name = wide(name);
    let mut buffer = vec![0_u8; 8192];
    let mut length = 8192;
    // SAFETY: the key is open, the name ends with a NUL, and the buffer is as long as the call is told.
    let error = unsafe {
        RegQueryValueExW(
            key.0,
            name.as_ptr(),
            ptr::null(),
            ptr::null_mut(),
            buffer.as_mut_ptr(),
            &raw mut length,
        )
    };
    if error == ERROR_FILE_NOT_FOUND {
        return Ok(Vec::new());
    }
    result("RegQueryValueEx", error)?;
    buffer.truncate(length as usize);
    Ok(buffer)
}

fn result(call: &str, error: u32) -> Verdict {
    if error == ERROR_SUCCESS {
        Ok(())
    } else {
        Err(format!("{call}: Win32 error {error}"))
    }
}

/// A string as Windows takes it.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}
