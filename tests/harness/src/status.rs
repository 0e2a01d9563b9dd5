//! NTSTATUS values and Win32 errors, in words.
//!
//! The driver answers in NTSTATUS. Win32's `GetLastError` is a lossy image of it (`STATUS_DELETE_PENDING` becomes
//! `ERROR_ACCESS_DENIED`), so the harness keeps the original and shows both.

use core::fmt;

use queued_work_item_ioctl as ioctl;

/// An NTSTATUS as the kernel gave it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtStatus(pub u32);

impl NtStatus {
    /// `STATUS_SUCCESS`
    pub const SUCCESS: Self = Self(ioctl::STATUS_SUCCESS);
    /// `STATUS_CANCELLED`
    pub const CANCELLED: Self = Self(ioctl::STATUS_CANCELLED);
    /// `STATUS_DELETE_PENDING`
    pub const DELETE_PENDING: Self = Self(ioctl::STATUS_DELETE_PENDING);
    /// `STATUS_DEVICE_NOT_READY`
    pub const DEVICE_NOT_READY: Self = Self(ioctl::STATUS_DEVICE_NOT_READY);
    /// `STATUS_DEVICE_ALREADY_ATTACHED`
    pub const DEVICE_ALREADY_ATTACHED: Self = Self(ioctl::STATUS_DEVICE_ALREADY_ATTACHED);
    /// `STATUS_INSUFFICIENT_RESOURCES`
    pub const INSUFFICIENT_RESOURCES: Self = Self(ioctl::STATUS_INSUFFICIENT_RESOURCES);
    /// `STATUS_INVALID_BUFFER_SIZE`
    pub const INVALID_BUFFER_SIZE: Self = Self(ioctl::STATUS_INVALID_BUFFER_SIZE);
    /// `STATUS_BUFFER_TOO_SMALL`
    pub const BUFFER_TOO_SMALL: Self = Self(ioctl::STATUS_BUFFER_TOO_SMALL);
    /// `STATUS_INVALID_PARAMETER`
    pub const INVALID_PARAMETER: Self = Self(ioctl::STATUS_INVALID_PARAMETER);
    /// `STATUS_INVALID_DEVICE_REQUEST`
    pub const INVALID_DEVICE_REQUEST: Self = Self(ioctl::STATUS_INVALID_DEVICE_REQUEST);
    /// `STATUS_TIMEOUT`
    pub const TIMEOUT: Self = Self(ioctl::STATUS_TIMEOUT);
    /// `STATUS_QUOTA_EXCEEDED`
    pub const QUOTA_EXCEEDED: Self = Self(ioctl::STATUS_QUOTA_EXCEEDED);
    /// `STATUS_NOT_SUPPORTED`
    pub const NOT_SUPPORTED: Self = Self(ioctl::STATUS_NOT_SUPPORTED);
    /// `STATUS_NOT_FOUND`
    pub const NOT_FOUND: Self = Self(ioctl::STATUS_NOT_FOUND);
    /// `STATUS_UNSUCCESSFUL`
    pub const UNSUCCESSFUL: Self = Self(ioctl::STATUS_UNSUCCESSFUL);
    /// `STATUS_INVALID_DEVICE_STATE`
    pub const INVALID_DEVICE_STATE: Self = Self(ioctl::STATUS_INVALID_DEVICE_STATE);
    /// `STATUS_REVISION_MISMATCH`
    pub const REVISION_MISMATCH: Self = Self(ioctl::STATUS_REVISION_MISMATCH);
    /// `STATUS_ACCESS_DENIED`: the I/O manager's, for a handle without the access that the code asks for.
    pub const ACCESS_DENIED: Self = Self(0xC000_0022);

    /// `NT_ERROR`: the two severity bits are set. Such a completion carries no output.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >> 30 == 3
    }

    /// The name in the headers, where the harness knows it.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match ioctl::status_name(self.0) {
            Some(name) => Some(name),
            // What the I/O manager and the PnP manager say of themselves.
            None => match self.0 {
                0x0000_0103 => Some("STATUS_PENDING"),
                0xC000_0002 => Some("STATUS_NOT_IMPLEMENTED"),
                0xC000_0008 => Some("STATUS_INVALID_HANDLE"),
                0xC000_000E => Some("STATUS_NO_SUCH_DEVICE"),
                0xC000_0022 => Some("STATUS_ACCESS_DENIED"),
                0xC000_0128 => Some("STATUS_FILE_CLOSED"),
                0xC000_02B6 => Some("STATUS_DEVICE_REMOVED"),
                0xC000_009D => Some("STATUS_DEVICE_NOT_CONNECTED"),
                _ => None,
            },
        }
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({:#010X})", self.0),
            None => write!(f, "NTSTATUS {:#010X}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A Win32 error, as `GetLastError` gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Win32Error(pub u32);

impl Win32Error {
    /// `ERROR_FILE_NOT_FOUND`
    pub const FILE_NOT_FOUND: Self = Self(2);
    /// `ERROR_ACCESS_DENIED`
    pub const ACCESS_DENIED: Self = Self(5);

    /// What the installer and the service control manager say most, by the name in the headers.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "ERROR_INVALID_FUNCTION",
            2 => "ERROR_FILE_NOT_FOUND",
            3 => "ERROR_PATH_NOT_FOUND",
            5 => "ERROR_ACCESS_DENIED",
            6 => "ERROR_INVALID_HANDLE",
            8 => "ERROR_NOT_ENOUGH_MEMORY",
            13 => "ERROR_INVALID_DATA",
            31 => "ERROR_GEN_FAILURE",
            32 => "ERROR_SHARING_VIOLATION",
            50 => "ERROR_NOT_SUPPORTED",
            87 => "ERROR_INVALID_PARAMETER",
            259 => "ERROR_NO_MORE_ITEMS",
            433 => "ERROR_NO_SUCH_DEVICE",
            995 => "ERROR_OPERATION_ABORTED",
            1055 => "ERROR_SERVICE_DATABASE_LOCKED",
            1060 => "ERROR_SERVICE_DOES_NOT_EXIST",
            1062 => "ERROR_SERVICE_NOT_ACTIVE",
            1072 => "ERROR_SERVICE_MARKED_FOR_DELETE",
            1275 => "ERROR_DRIVER_BLOCKED",
            1359 => "ERROR_INTERNAL_ERROR",
            0xE000_0100 => "ERROR_WRONG_INF_STYLE",
            0xE000_020B => "ERROR_NO_SUCH_DEVINST",
            0xE000_0219 => "ERROR_NO_ASSOCIATED_SERVICE",
            0xE000_0228 => "ERROR_NO_CATALOG_FOR_OEM_INF",
            0xE000_022F => "ERROR_NO_AUTHENTICODE_CATALOG",
            0xE000_0242 => "ERROR_AUTHENTICODE_TRUST_NOT_ESTABLISHED",
            0xE000_0247 => "ERROR_DRIVER_STORE_ADD_FAILED",
            _ => return None,
        })
    }
}

impl fmt::Display for Win32Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0)?,
            None => write!(f, "Win32 error {} ({:#010X})", self.0, self.0)?,
        }
        match system_text(self.0) {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

/// The system's own sentence for a Win32 error, in the user's language.
#[cfg(windows)]
fn system_text(error: u32) -> Option<String> {
    crate::windows::text::message(error)
}

#[cfg(not(windows))]
const fn system_text(_error: u32) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_decides_what_is_an_error() {
        assert!(NtStatus(0xC000_0001).is_error());
        assert!(!NtStatus(0x8000_0005).is_error(), "a warning carries output");
        assert!(!NtStatus(0x4000_0000).is_error());
        assert!(!NtStatus::SUCCESS.is_error());
    }

    #[test]
    fn statuses_are_shown_by_name_and_number() {
        assert_eq!(NtStatus::CANCELLED.to_string(), "STATUS_CANCELLED (0xC0000120)");
        assert_eq!(NtStatus(0xE123_4567).to_string(), "NTSTATUS 0xE1234567");
    }
}
