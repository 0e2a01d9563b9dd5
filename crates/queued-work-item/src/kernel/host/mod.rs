//! The backend for any machine with threads: a small simulated kernel to test one's own callbacks on.
//!
//! Work items run on real threads, truly in parallel. Each thread has an IRQL, which spin locks raise; a call above its
//! IRQL panics with its name. A [`Machine`] counts allocations, fails the i-th of them, and delays, holds or doubles
//! the starts of work items and the expiries of timers. Its time can be held, and moved on by hand.

mod clock;
mod irql;
mod machine;
mod memory;
pub(crate) mod parameters;
mod sync;
mod thread;
mod timer;
mod work;
mod workers;

pub(crate) use core::sync::atomic;

pub use self::irql::{RaisedIrql, current_irql, raise_irql};
pub use self::machine::{Entered, Expiry, Machine, Start};
pub use self::work::{HostObject, Parent};

pub(crate) use self::irql::{check_irql, check_irql_is};
pub(crate) use self::memory::{allocate, free};
pub(crate) use self::sync::{OldIrql, RawEvent, RawSpinLock};
pub(crate) use self::thread::Thread;
pub(crate) use self::timer::Timer;
pub(crate) use self::work::WorkItem;

extern crate std;

/// A number that no other live thread has.
pub fn current_thread_id() -> u64 {
    std::thread_local! {
        static HERE: u8 = const { 0 };
    }
    // The address of a thread-local: unique among live threads, and nothing to hand out or give back.
    HERE.with(|here| core::ptr::from_ref(here).addr() as u64)
}

/// A monotonic count, and how many of it make a second. Any IRQL.
pub fn performance_counter() -> (u64, u64) {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let elapsed = START.get_or_init(std::time::Instant::now).elapsed();
    (
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
        1_000_000_000,
    )
}

/// Nobody takes a description here.
pub(crate) struct RawDescriptor;

impl RawDescriptor {
    pub(crate) const fn new(_: *mut u8, _: u32) -> Self {
        Self
    }
}
