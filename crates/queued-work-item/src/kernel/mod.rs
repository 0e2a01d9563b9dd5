//! The one seam between this library and the system under it.
//!
//! The library is written against what this module exports and nothing else, so that what is tested on a host is what
//! runs in the kernel. A backend supplies:
//!
//! | item | meaning |
//! |---|---|
//! | `current_irql`, `check_irql`, `check_irql_is` | the IRQL of this thread; a complaint, by the call's name, when it is too high, or another |
//! | `current_thread_id` | a number that no other live thread has |
//! | `performance_counter` | a monotonic count and its frequency |
//! | `allocate`, `free` | nonpaged, non-executable pool, or paged pool, 16-byte aligned, fallible |
//! | `RawSpinLock` | raises to `DISPATCH_LEVEL`, or finds itself there |
//! | `RawEvent` | set at `<= DISPATCH_LEVEL`, waited for at `PASSIVE_LEVEL` |
//! | `WorkItem`, `Parent` | a routine started later on a system thread at `PASSIVE_LEVEL`; the object it hangs on |
//! | `Timer` | a routine called once, at `DISPATCH_LEVEL`, when its time has come; and the clock that it goes by |
//! | `RawDescriptor` | a buffer's address and length, as the framework takes them |
//! | `Thread` | a thread of the driver's own, to be waited for |
//! | `parameters` | numbers that outlive the driver, by name, in its `Parameters` key; at `PASSIVE_LEVEL` |
//! | `atomic`, `cell` | `core`'s own, or the model checker's |
//!
//! Backends: `wdf` (the kernel, feature `wdf`: pass-through calls only), `host` (threads,
//! simulated IRQL, fault injection) and, for the models, loom.

#[cfg(not(loom))]
pub(crate) mod cell;
mod descriptor;
mod event;
mod lock;
mod memory;
mod shared;

#[cfg(loom)]
mod loom;
#[cfg(loom)]
use self::loom as backend;

#[cfg(all(feature = "wdf", not(loom)))]
mod wdf;
#[cfg(all(feature = "wdf", not(loom)))]
use self::wdf as backend;

#[cfg(not(any(feature = "wdf", loom)))]
pub mod host;
#[cfg(not(any(feature = "wdf", loom)))]
use self::host as backend;

use core::fmt;
use core::ptr::NonNull;

pub(crate) use self::backend::Thread;
#[cfg(loom)]
pub(crate) use self::backend::cell;
pub(crate) use self::backend::parameters;
#[cfg(all(loom, test))]
pub(crate) use self::backend::set_starts;
pub use self::backend::{Parent, current_irql, current_thread_id, performance_counter};
pub(crate) use self::backend::{Timer, WorkItem, atomic, check_irql, check_irql_is};
pub use self::descriptor::MemoryDescriptor;
pub use self::event::{Event, EventKind};
pub(crate) use self::event::{StackEvent, with_stack_event};
pub use self::lock::{SpinLock, SpinLockGuard};
pub(crate) use self::memory::{Array, Block, Pool};
pub use self::shared::Shared;

/// An interrupt request level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Irql(pub u8);

impl Irql {
    /// Threads run here and may wait.
    pub const PASSIVE: Self = Self(0);
    /// No waiting except for APCs; no page faults on paging I/O.
    pub const APC: Self = Self(1);
    /// DPCs and holders of spin locks run here: no waiting, no pageable memory.
    pub const DISPATCH: Self = Self(2);
}

impl fmt::Debug for Irql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PASSIVE => f.write_str("PASSIVE_LEVEL"),
            Self::APC => f.write_str("APC_LEVEL"),
            Self::DISPATCH => f.write_str("DISPATCH_LEVEL"),
            Self(level) => write!(f, "IRQL {level}"),
        }
    }
}

impl fmt::Display for Irql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The clock of [`Timer`]s counts 100 ns.
pub(crate) const UNITS_PER_SECOND: u64 = 10_000_000;

/// As [`UNITS_PER_SECOND`].
pub(crate) const UNITS_PER_MILLISECOND: u64 = UNITS_PER_SECOND / 1_000;

/// What a work item or a timer calls, by function pointers: the backends know nothing of the queue's types.
///
/// The work item, or timer, owns one reference to `core`, from a successful [`WorkItem::bind`] or [`Timer::bind`] to
/// `released`.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// What the functions below are given.
    pub(crate) core: NonNull<()>,
    /// A start, at `PASSIVE_LEVEL`; or an expiry, at `DISPATCH_LEVEL`. Either may come late, twice, at once and for
    /// nothing: an expiry that a [`Timer::stop`] was too late to stop may come when the timer has been set anew.
    pub(crate) run: unsafe fn(NonNull<()>),
    /// The parent is being deleted before the queue was: at `PASSIVE_LEVEL`, at most once, and nothing can be
    /// scheduled or set from before this call on.
    #[cfg_attr(loom, allow(dead_code, reason = "no parent is deleted in a model"))]
    pub(crate) torn_down: unsafe fn(NonNull<()>),
    /// No start or expiry will come any more; gives the reference to `core` back. Last, exactly once.
    pub(crate) released: unsafe fn(NonNull<()>),
}

// SAFETY: a `Target` is only function pointers and a pointer that it never follows itself; what `core` points to is
// required to be shareable between threads by `WorkItem::bind`.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}
