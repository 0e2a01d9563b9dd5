//! The statuses that the runtime returns, by their Windows names without the prefix.

use wdk_sys::NTSTATUS;

macro_rules! statuses {
    ($($name:ident = $value:literal;)*) => {
        $(
            #[doc = concat!("`STATUS_", stringify!($name), "`")]
            #[allow(clippy::cast_possible_wrap, reason = "an NTSTATUS is written as the unsigned number of ntstatus.h")]
            pub(crate) const $name: NTSTATUS = $value as NTSTATUS;
        )*
    };
}

statuses! {
    SUCCESS = 0x0000_0000_u32;
    TIMEOUT = 0x0000_0102_u32;
    PENDING = 0x0000_0103_u32;
    OBJECT_NAME_EXISTS = 0x4000_0000_u32;
    BUFFER_OVERFLOW = 0x8000_0005_u32;
    NO_MORE_ENTRIES = 0x8000_001A_u32;
    ACCESS_DENIED = 0xC000_0022_u32;
    UNSUCCESSFUL = 0xC000_0001_u32;
    INFO_LENGTH_MISMATCH = 0xC000_0004_u32;
    ACCESS_VIOLATION = 0xC000_0005_u32;
    INVALID_PARAMETER = 0xC000_000D_u32;
    INVALID_DEVICE_REQUEST = 0xC000_0010_u32;
    BUFFER_TOO_SMALL = 0xC000_0023_u32;
    OBJECT_TYPE_MISMATCH = 0xC000_0024_u32;
    OBJECT_NAME_INVALID = 0xC000_0033_u32;
    OBJECT_NAME_NOT_FOUND = 0xC000_0034_u32;
    REVISION_MISMATCH = 0xC000_0059_u32;
    DELETE_PENDING = 0xC000_0056_u32;
    INVALID_IMAGE_FORMAT = 0xC000_007B_u32;
    INTEGER_OVERFLOW = 0xC000_0095_u32;
    INSUFFICIENT_RESOURCES = 0xC000_009A_u32;
    NOT_SUPPORTED = 0xC000_00BB_u32;
    INVALID_PARAMETER_4 = 0xC000_00F2_u32;
    WDF_PAUSED = 0xC020_0203_u32;
    WDF_BUSY = 0xC020_0204_u32;
    CANCELLED = 0xC000_0120_u32;
    INVALID_DEVICE_STATE = 0xC000_0184_u32;
    DRIVER_INTERNAL_ERROR = 0xC000_0183_u32;
    NOT_FOUND = 0xC000_0225_u32;
    INVALID_BUFFER_SIZE = 0xC000_0206_u32;
    NO_SUCH_DEVICE = 0xC000_000E_u32;
    WDF_INCOMPATIBLE_EXECUTION_LEVEL = 0xC020_020C_u32;
    WDF_PARENT_ASSIGNMENT_NOT_ALLOWED = 0xC020_020F_u32;
    WDF_PARENT_NOT_SPECIFIED = 0xC020_0212_u32;
}
