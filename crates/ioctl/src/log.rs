//! The execution log: what the callback saw, run by run.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Header;

/// The input of [`READ_LOG`](crate::READ_LOG).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReadLog {
    /// Version and instance.
    pub header: Header,
    /// The first sequence number wanted, from 0; entries older than the ring holds are skipped and counted as lost.
    pub from: u64,
}

/// What the output of [`READ_LOG`](crate::READ_LOG) begins with; `count` entries follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LogReply {
    /// The sequence number to ask for next.
    pub next: u64,
    /// Entries between `from` and the first one given that had been overwritten.
    pub lost: u64,
    /// Entries that follow.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
}

/// One run of the callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LogEntry {
    /// Runs before this one, since the instance was configured.
    pub sequence: u64,
    /// [`Enqueue::tag`](crate::Enqueue::tag) of the item.
    pub tag: u64,
    /// [`digest`] of the payload as the callback saw it.
    pub digest: u64,
    /// The thread that ran it.
    pub thread: u64,
    /// Bytes of payload that the callback saw.
    pub length: u32,
    /// The status that the callback left.
    pub status: u32,
    /// The instance that ran it.
    pub instance: u32,
    /// The IRQL it ran at.
    pub irql: u32,
}

/// The 64-bit FNV-1a of a payload: small enough for a kernel, strong enough to catch a byte out of place.
#[must_use]
pub fn digest(payload: &[u8]) -> u64 {
    payload.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

const _: () = {
    assert!(size_of::<ReadLog>() == 16);
    assert!(size_of::<LogReply>() == 24);
    assert!(size_of::<LogEntry>() == 48);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_fnv1a() {
        // Reference values of the FNV authors.
        assert_eq!(digest(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(digest(b"a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(digest(b"foobar"), 0x8594_4171_F739_67E8);
    }
}
