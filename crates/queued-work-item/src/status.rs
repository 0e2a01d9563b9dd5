//! `NTSTATUS` as a type of its own, so that a status cannot be mistaken for a count and prints as people search for it.

use core::fmt;

/// An NTSTATUS value.
///
/// All 32 bits are kept as given: informational and warning statuses pass through a work item unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct NtStatus(pub i32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl NtStatus {
            $($(#[$doc])* pub const $name: Self = Self(u32::cast_signed($value));)*

            /// The name that ntstatus.h gives this value, of those that this library knows.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(concat!("STATUS_", stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// The default of every callback that sets none.
    SUCCESS = 0x0000_0000;
    /// A bounded wait ran out. A success code by `NT_SUCCESS`, as in the kernel.
    TIMEOUT = 0x0000_0102;
    /// Not completed yet.
    PENDING = 0x0000_0103;
    /// Something failed and no better status is known.
    UNSUCCESSFUL = 0xC000_0001;
    /// The caller's parameters make no sense.
    INVALID_PARAMETER = 0xC000_000D;
    /// The request is not one that the receiver knows.
    INVALID_DEVICE_REQUEST = 0xC000_0010;
    /// A buffer is too small for what is to go into it.
    BUFFER_TOO_SMALL = 0xC000_0023;
    /// The object is being deleted: a closing queue refuses with it.
    DELETE_PENDING = 0xC000_0056;
    /// No free buffer, or no memory.
    INSUFFICIENT_RESOURCES = 0xC000_009A;
    /// Dropped by a cancel or a close before it began.
    CANCELLED = 0xC000_0120;
    /// The payload is longer than the queue's buffers.
    INVALID_BUFFER_SIZE = 0xC000_0206;
    /// The state of the device does not allow it.
    INVALID_DEVICE_STATE = 0xC000_0184;
    /// A wait that could only end after itself.
    POSSIBLE_DEADLOCK = 0xC000_0194;
}

impl NtStatus {
    /// `NT_SUCCESS`: true for success and informational codes, false for warnings and errors.
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }
}

impl Default for NtStatus {
    fn default() -> Self {
        Self::SUCCESS
    }
}

impl From<i32> for NtStatus {
    fn from(value: i32) -> Self {
        Self(value)
    }
}

impl From<NtStatus> for i32 {
    fn from(value: NtStatus) -> Self {
        value.0
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{:#010X} ({name})", self.0),
            None => write!(f, "{:#010X}", self.0),
        }
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
