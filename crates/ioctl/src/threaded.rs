//! What only an instance with a thread of its own can do: see [`Configure::THREADED`](crate::Configure::THREADED).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Header;

/// The input of [`COMPLETE`](crate::COMPLETE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Complete {
    /// Version and instance.
    pub header: Header,
    /// [`Enqueue::tag`](crate::Enqueue::tag) of the pended item; of several with this tag, the one that was pended first.
    pub tag: u64,
    /// What it is completed with.
    pub status: u32,
    /// Where: [`Complete::PASSIVE`] and its like.
    pub at: u32,
}

impl Complete {
    /// At `PASSIVE_LEVEL`.
    pub const PASSIVE: u32 = 0;
    /// At `DISPATCH_LEVEL`, under a spin lock.
    pub const SPIN_LOCK: u32 = 1;
    /// In a DPC, at `DISPATCH_LEVEL`.
    pub const DPC: u32 = 2;
}

/// The output of [`STOP`](crate::STOP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StopReply {
    /// Items that this stop dropped.
    pub cancelled: u64,
}

const _: () = {
    assert!(size_of::<Complete>() == 24);
    assert!(size_of::<StopReply>() == 8);
};
