//! The NTSTATUS values of the contract, as they cross it: unsigned 32 bits.

/// Defines the constants and their names from one list, so that neither can lack one.
macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $value;)*

        /// Every status of this contract, with its name.
        pub const STATUSES: &[(u32, &str)] = &[$(($name, stringify!($name))),*];

        /// The name of a status of this contract.
        #[must_use]
        pub const fn status_name(status: u32) -> Option<&'static str> {
            match status {
                $($name => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

statuses! {
    /// It worked.
    STATUS_SUCCESS = 0x0000_0000;
    /// The wait ended first; the item still runs.
    STATUS_TIMEOUT = 0x0000_0102;
    /// The run of an immediate moment failed.
    STATUS_UNSUCCESSFUL = 0xC000_0001;
    /// The code is unknown.
    STATUS_INVALID_DEVICE_REQUEST = 0xC000_0010;
    /// A value is out of its limits.
    STATUS_INVALID_PARAMETER = 0xC000_000D;
    /// The output is too short for the reply.
    STATUS_BUFFER_TOO_SMALL = 0xC000_0023;
    /// The instance exists already.
    STATUS_DEVICE_ALREADY_ATTACHED = 0xC000_0038;
    /// All instances together would hold too much memory.
    STATUS_QUOTA_EXCEEDED = 0xC000_0044;
    /// The versions of the contract differ.
    STATUS_REVISION_MISMATCH = 0xC000_0059;
    /// Closing: nothing more is taken.
    STATUS_DELETE_PENDING = 0xC000_0056;
    /// Every buffer is taken, or there is no memory.
    STATUS_INSUFFICIENT_RESOURCES = 0xC000_009A;
    /// The instance is not configured.
    STATUS_DEVICE_NOT_READY = 0xC000_00A3;
    /// The driver cannot do that: this version of it, or on this system.
    STATUS_NOT_SUPPORTED = 0xC000_00BB;
    /// Dropped before it began, or the request was cancelled.
    STATUS_CANCELLED = 0xC000_0120;
    /// The task has succeeded, and does not run again.
    STATUS_INVALID_DEVICE_STATE = 0xC000_0184;
    /// No pended item has that tag.
    STATUS_NOT_FOUND = 0xC000_0225;
    /// Waiting here would never end.
    STATUS_POSSIBLE_DEADLOCK = 0xC000_0194;
    /// The payload, or the input, has a length that cannot be.
    STATUS_INVALID_BUFFER_SIZE = 0xC000_0206;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        assert_eq!(status_name(0xC000_0120), Some("STATUS_CANCELLED"));
        assert_eq!(status_name(0xC000_0002), None);
    }
}
