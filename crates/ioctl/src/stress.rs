//! Load that is made inside the driver, where enqueueing at `DISPATCH_LEVEL` is real and producers are parallel.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Header;

/// The input of [`STRESS`](crate::STRESS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stress {
    /// Version, and an instance, which is not touched.
    pub header: Header,
    /// Threads or DPCs that enqueue, 1 to [`limits::STRESS_PRODUCERS`](crate::limits::STRESS_PRODUCERS).
    pub producers: u32,
    /// Items of each, 1 to [`limits::STRESS_ITEMS`](crate::limits::STRESS_ITEMS).
    pub items: u32,
    /// Bytes of each payload, 8 to [`limits::STRESS_PAYLOAD`](crate::limits::STRESS_PAYLOAD).
    pub payload: u32,
    /// Buffers of the queue, 1 to [`limits::BUFFER_COUNT`](crate::limits::BUFFER_COUNT). A thread that finds none waits
    /// for one at `PASSIVE_LEVEL`; a DPC returns, and comes again when there is one.
    pub buffer_count: u32,
    /// [`Stress::PASSIVE`], [`Stress::SPIN_LOCK`] or [`Stress::DPC`].
    pub mode: u32,
    /// What is loaded: [`Configure::QUEUED_WORK_ITEM`](crate::Configure::QUEUED_WORK_ITEM) or
    /// [`Configure::THREADED`](crate::Configure::THREADED).
    pub kind: u32,
}

impl Stress {
    /// Threads enqueue at `PASSIVE_LEVEL`.
    pub const PASSIVE: u32 = 0;
    /// Each enqueues at `DISPATCH_LEVEL`, holding a spin lock of its own.
    pub const SPIN_LOCK: u32 = 1;
    /// Producers are DPCs, each on a processor of its own as far as there are so many. They enqueue at `DISPATCH_LEVEL`,
    /// some dozens of items at a time.
    pub const DPC: u32 = 2;
}

/// The output of [`STRESS`](crate::STRESS) and [`STRESS_PROGRESS`](crate::STRESS_PROGRESS). Of a load that went well `accepted`, `executed` and `completed` are
/// `producers * items`, and all that is called an error, or has to be, is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StressReply {
    /// Items accepted.
    pub accepted: u64,
    /// Callbacks run.
    pub executed: u64,
    /// Completions called for items that ran.
    pub completed: u64,
    /// Completions called for items that were dropped: none, but when the load is ended early.
    pub cancelled: u64,
    /// Enqueues refused because every buffer was taken; each was tried again.
    pub refused_full: u64,
    /// Enqueues refused for another reason: must be 0.
    pub refused_other: u64,
    /// Items that did not follow their producer's item before: one lost, doubled or overtaken. Must be 0.
    pub order_errors: u64,
    /// Items that did not finish after their producer's item before, of a queue with a thread of its own, which promises
    /// that they do: must be 0.
    pub finish_errors: u64,
    /// Items with another payload, or length of it, than was enqueued: must be 0.
    pub payload_errors: u64,
    /// Callbacks that found another one running: must be 0.
    pub overlaps: u64,
    /// Callbacks that ran above `PASSIVE_LEVEL`: must be 0.
    pub above_passive: u64,
    /// Nanoseconds from before the first enqueue until the queue was closed, or until now.
    pub elapsed_ns: u64,
    /// The highest IRQL that an item was enqueued at.
    pub enqueue_irql: u32,
    /// The most items that were queued or running at once.
    pub high_water: u32,
}

const _: () = {
    assert!(size_of::<Stress>() == 32);
    assert!(size_of::<StressReply>() == 104);
};
