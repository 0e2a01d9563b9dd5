//! Registry keys by handle, and the controls that a test runner sets there.

use alloc::vec;
use alloc::vec::Vec;
use core::ptr;

use wdk_sys::{HANDLE, NTSTATUS, OBJECT_ATTRIBUTES, UNICODE_STRING};

use super::string::Utf16;
use super::{check, ffi, print, status};

/// `KEY_READ`.
const KEY_READ: u32 = 0x0002_0019;
/// `OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE`.
const ATTRIBUTES: u32 = 0x0240;
/// `KeyValuePartialInformation`.
const PARTIAL: i32 = 2;
/// Title index, type and length precede the data.
const PARTIAL_HEADER: usize = 12;
/// `REG_DWORD`.
pub(crate) const REG_DWORD: u32 = 4;

/// An open key.
pub(crate) struct Key(HANDLE);

// SAFETY: a handle is a number that any thread of the process may use.
unsafe impl Send for Key {}
// SAFETY: as above.
unsafe impl Sync for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: closed once.
            unsafe { ffi::ZwClose(self.0) };
        }
    }
}

fn object_attributes(root: HANDLE, name: *const UNICODE_STRING) -> OBJECT_ATTRIBUTES {
    // SAFETY: all-zero is a valid OBJECT_ATTRIBUTES.
    let mut attributes: OBJECT_ATTRIBUTES = unsafe { core::mem::zeroed() };
    #[allow(clippy::cast_possible_truncation, reason = "48 bytes")]
    let size = size_of::<OBJECT_ATTRIBUTES>() as u32;
    attributes.Length = size;
    attributes.RootDirectory = root;
    attributes.ObjectName = name.cast_mut();
    attributes.Attributes = ATTRIBUTES;
    attributes
}

impl Key {
    /// Opens a key by its path, or by its name below `root`.
    pub(crate) fn open(root: Option<&Self>, name: UNICODE_STRING, access: u32) -> Result<Self, NTSTATUS> {
        let attributes = object_attributes(root.map_or(ptr::null_mut(), |key| key.0), &raw const name);
        let mut key = ptr::null_mut();
        // SAFETY: all pointers are valid for the call.
        check(unsafe { ffi::ZwOpenKey(&raw mut key, access, &raw const attributes) })?;
        Ok(Self(key))
    }

    /// Creates a key or opens it; the second value says which (`REG_CREATED_NEW_KEY` is 1).
    pub(crate) fn create(
        root: Option<&Self>,
        name: UNICODE_STRING,
        access: u32,
        options: u32,
    ) -> Result<(Self, u32), NTSTATUS> {
        let attributes = object_attributes(root.map_or(ptr::null_mut(), |key| key.0), &raw const name);
        let mut key = ptr::null_mut();
        let mut disposition = 0;
        // SAFETY: all pointers are valid for the call.
        check(unsafe {
            ffi::ZwCreateKey(
                &raw mut key,
                access,
                &raw const attributes,
                0,
                ptr::null(),
                options,
                &raw mut disposition,
            )
        })?;
        Ok((Self(key), disposition))
    }

    pub(crate) fn handle(&self) -> HANDLE {
        self.0
    }

    /// Deletes the key.
    pub(crate) fn delete(&self) -> NTSTATUS {
        // SAFETY: the handle is open.
        unsafe { ffi::ZwDeleteKey(self.0) }
    }

    /// A value's type and data.
    pub(crate) fn query(&self, name: UNICODE_STRING) -> Result<(u32, Vec<u8>), NTSTATUS> {
        let mut buffer = vec![0_u8; 256];
        loop {
            let length = u32::try_from(buffer.len()).map_err(|_| status::INTEGER_OVERFLOW)?;
            let mut needed = 0;
            // SAFETY: the buffer has `length` bytes, the other pointers are valid for the call.
            let result = unsafe {
                ffi::ZwQueryValueKey(
                    self.0,
                    &raw const name,
                    PARTIAL,
                    buffer.as_mut_ptr().cast(),
                    length,
                    &raw mut needed,
                )
            };
            if (result == status::BUFFER_OVERFLOW || result == status::BUFFER_TOO_SMALL) && needed > length {
                buffer.resize(needed as usize, 0);
                continue;
            }
            check(result)?;
            break;
        }
        let field = |at: usize| buffer[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
        let (kind, length) = (field(4), field(8) as usize);
        let end = (PARTIAL_HEADER + length).min(buffer.len());
        Ok((kind, buffer[PARTIAL_HEADER..end].to_vec()))
    }

    /// Sets a value.
    pub(crate) fn set(&self, name: UNICODE_STRING, kind: u32, data: &[u8]) -> NTSTATUS {
        let Ok(length) = u32::try_from(data.len()) else {
            return status::INVALID_PARAMETER;
        };
        // SAFETY: `data` has `length` bytes, the name is valid for the call.
        unsafe { ffi::ZwSetValueKey(self.0, &raw const name, 0, kind, data.as_ptr().cast(), length) }
    }

    /// Removes a value.
    pub(crate) fn remove(&self, name: UNICODE_STRING) -> NTSTATUS {
        // SAFETY: the name is valid for the call.
        unsafe { ffi::ZwDeleteValueKey(self.0, &raw const name) }
    }

    fn dword(&self, name: &str) -> Option<u32> {
        let name = Utf16::from_ascii(name);
        match self.query(name.as_unicode()) {
            Ok((REG_DWORD, data)) => Some(u32::from_le_bytes(data.try_into().ok()?)),
            _ => None,
        }
    }
}

/// What a runner asks for in the service's key `Parameters\Wdfldr`, read at bind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Controls {
    /// `FailAllocation` (REG_DWORD): the number of the first allocation that fails, from 1; 0 or absent for none.
    fail_from: u64,
    /// `FailAllocationCount` (REG_DWORD): how many fail in a row from there; 0 or absent means one.
    fail_count: u64,
}

impl Controls {
    /// Reads the controls of the service whose key this is.
    pub(crate) fn read(service: &Utf16) -> Self {
        let mut path = service.units().to_vec();
        path.extend("\\Parameters\\Wdfldr".encode_utf16());
        let path = Utf16::new(&path);
        let Ok(key) = Key::open(None, path.as_unicode(), KEY_READ) else {
            return Self::default();
        };
        let controls = Self {
            fail_from: key.dword("FailAllocation").unwrap_or(0).into(),
            fail_count: key.dword("FailAllocationCount").unwrap_or(0).max(1).into(),
        };
        if controls.fail_from != 0 {
            print::log!(
                "allocation {} fails on request, {} in a row",
                controls.fail_from,
                controls.fail_count
            );
        }
        controls
    }

    /// Whether the allocation of this number is to fail.
    pub(crate) fn fails(&self, number: u64) -> bool {
        self.fail_from != 0 && number >= self.fail_from && number - self.fail_from < self.fail_count
    }
}
