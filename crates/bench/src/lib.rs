//! What a `QueuedWorkItem` costs, beside what one would use otherwise.
//!
//! The queues that are compared stand behind one verb, [`Post`]. All of them get the same item, run the same handler
//! and are held up by the same gate, so that what differs in a figure is the queue. `benches/ratios.rs` makes one table
//! of them, `benches/speed.rs` distributions by criterion, and `benches/probe.rs` is for an instruction counter. `cargo
//! xtask bench` runs the first two, `cargo xtask test budget` the last.

use queued_work_item::{Passive, QueuedWorkItem, ThreadedBufferQueue};

mod contenders;
mod floor;
mod stage;

pub use self::contenders::{Bytes, Crossbeam, Mpsc, MutexQueue, SpinQueue, queue, threaded};
pub use self::floor::Floor;
pub use self::stage::{Rig, Stage};

/// A queue that takes an item to be handled later.
pub trait Post<T>: Sync {
    /// Never blocks for want of room. `false`: full.
    fn post(&self, item: T) -> bool;

    /// Handles what is queued, where there is no worker to do it.
    fn settle(&self) {}

    /// Whether somebody handles what is posted.
    fn has_worker(&self) -> bool {
        true
    }
}

impl<T: Send + 'static> Post<T> for QueuedWorkItem<T> {
    fn post(&self, item: T) -> bool {
        self.enqueue(item).is_ok()
    }
}

impl<T: Send + 'static> Post<T> for ThreadedBufferQueue<T> {
    fn post(&self, item: T) -> bool {
        self.enqueue(item).is_ok()
    }
}

/// A token for a thread of a bench.
pub fn passive() -> Passive {
    // SAFETY: the threads of a bench never raise their IRQL.
    unsafe { Passive::assume() }
}
