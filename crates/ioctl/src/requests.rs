//! What goes in and what comes back.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::CONTRACT_VERSION;

/// What every input but that of [`VERSION`](crate::VERSION) begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`CONTRACT_VERSION`] of the side that sends it.
    pub version: u32,
    /// The instance it speaks to, from 0.
    pub instance: u32,
}

impl Header {
    /// A header of this version.
    pub const fn new(instance: u32) -> Self {
        Self {
            version: CONTRACT_VERSION,
            instance,
        }
    }
}

/// The output of [`VERSION`](crate::VERSION). Its first field keeps its place in every version of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VersionReply {
    /// [`CONTRACT_VERSION`] of the driver.
    pub contract: u32,
    /// The driver's own version.
    pub major: u16,
    /// Minor part of it.
    pub minor: u16,
    /// Patch part of it.
    pub patch: u16,
    /// Zero.
    pub reserved: u16,
    /// [`limits::INSTANCES`](crate::limits::INSTANCES)
    pub instances: u32,
    /// [`limits::BUFFER_COUNT`](crate::limits::BUFFER_COUNT)
    pub buffer_count: u32,
    /// [`limits::BUFFER_SIZE`](crate::limits::BUFFER_SIZE)
    pub buffer_size: u32,
    /// [`limits::INSTANCE_BYTES`](crate::limits::INSTANCE_BYTES)
    pub instance_bytes: u64,
    /// [`limits::LOG_ENTRIES`](crate::limits::LOG_ENTRIES)
    pub log_entries: u32,
    /// [`limits::SPEND_US`](crate::limits::SPEND_US)
    pub spend_us: u32,
}

/// The input of [`CONFIGURE`](crate::CONFIGURE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Configure {
    /// Version and instance.
    pub header: Header,
    /// Preallocated buffers, 1 to [`limits::BUFFER_COUNT`](crate::limits::BUFFER_COUNT). The running item holds one.
    pub buffer_count: u32,
    /// The longest payload in bytes, 0 to [`limits::BUFFER_SIZE`](crate::limits::BUFFER_SIZE).
    pub buffer_size: u32,
    /// Zero.
    pub reserved: [u32; 2],
}

/// The input of [`ENQUEUE`](crate::ENQUEUE) and [`ENQUEUE_AND_WAIT`](crate::ENQUEUE_AND_WAIT); the payload follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Enqueue {
    /// Version and instance.
    pub header: Header,
    /// The caller's name for the item; the log gives it back.
    pub tag: u64,
    /// What the callback sets, where [`Enqueue::SET_STATUS`] is given.
    pub status: u32,
    /// How long the callback works on the item, up to [`limits::SPEND_US`](crate::limits::SPEND_US).
    pub spend_us: u32,
    /// [`Enqueue::SET_STATUS`] or 0.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

impl Enqueue {
    /// The callback sets [`Enqueue::status`]. Without it, it sets none, and the waiter sees `STATUS_SUCCESS`.
    pub const SET_STATUS: u32 = 1;

    /// An item for which the callback sets no status and spends no time.
    pub const fn new(instance: u32, tag: u64) -> Self {
        Self {
            header: Header::new(instance),
            tag,
            status: 0,
            spend_us: 0,
            flags: 0,
            reserved: 0,
        }
    }

    /// The same, and the callback sets `status`.
    #[must_use]
    pub const fn with_status(mut self, status: u32) -> Self {
        self.status = status;
        self.flags |= Self::SET_STATUS;
        self
    }
}

/// The output of [`ENQUEUE_AND_WAIT`](crate::ENQUEUE_AND_WAIT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WaitReply {
    /// The caller's name for the item.
    pub tag: u64,
    /// The NTSTATUS of that very run; `STATUS_CANCELLED` where [`WaitReply::outcome`] says so.
    pub status: u32,
    /// [`WaitReply::RAN`] or [`WaitReply::CANCELLED`].
    pub outcome: u32,
}

impl WaitReply {
    /// The item ran.
    pub const RAN: u32 = 0;
    /// The item was dropped by a cancelling close, before it began.
    pub const CANCELLED: u32 = 1;
}

/// The input of [`CLOSE`](crate::CLOSE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Close {
    /// Version and instance.
    pub header: Header,
    /// [`Close::DRAIN`] or [`Close::CANCEL`].
    pub mode: u32,
    /// Zero.
    pub reserved: u32,
}

impl Close {
    /// Run what is queued first.
    pub const DRAIN: u32 = 0;
    /// Drop what has not begun.
    pub const CANCEL: u32 = 1;
}

/// The output of [`CLOSE`](crate::CLOSE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CloseReply {
    /// Items that this close dropped.
    pub cancelled: u64,
}

/// The output of [`STATISTICS`](crate::STATISTICS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StatisticsReply {
    /// Items accepted.
    pub accepted: u64,
    /// Callbacks finished.
    pub executed: u64,
    /// Items dropped before they began.
    pub cancelled: u64,
    /// Enqueues refused because every buffer was taken.
    pub refused_full: u64,
    /// Enqueues refused because the payload was too long.
    pub refused_length: u64,
    /// Enqueues refused because the instance was closing.
    pub refused_closing: u64,
    /// Callbacks that found another one running: must stay 0.
    pub overlaps: u64,
    /// Callbacks that ran above `PASSIVE_LEVEL`: must stay 0.
    pub above_passive: u64,
    /// Items queued and not begun.
    pub queued: u32,
    /// The most that were queued or running at once.
    pub high_water: u32,
    /// Buffers of the instance; 0 if it is not configured.
    pub capacity: u32,
    /// 1 if the gate is closed.
    pub gated: u32,
}

// The layout is the contract: a change here is a new CONTRACT_VERSION.
const _: () = {
    assert!(size_of::<Header>() == 8);
    assert!(size_of::<VersionReply>() == 40);
    assert!(size_of::<Configure>() == 24);
    assert!(size_of::<Enqueue>() == 32);
    assert!(size_of::<WaitReply>() == 16);
    assert!(size_of::<Close>() == 16);
    assert!(size_of::<CloseReply>() == 8);
    assert!(size_of::<StatisticsReply>() == 80);
};
