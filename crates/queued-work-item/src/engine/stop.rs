//! Pausing between items, and going on.
//!
//! A stop is a word under the ready list's lock, which the drainer takes before it claims items; what it has claimed is
//! revoked. So it costs producers nothing and the drainer no instruction that locks. A drainer that finds the queue stopped *parks*: it returns its
//! system thread, leaves the state RUNNING, so that pushes go on joining, and leaves its activation, with its share of
//! the ownership, to whoever starts the queue. That is the same hand-over as a yield, with a pause in it.

use super::{Broken, Core};
use crate::kernel::{Irql, check_irql};
use crate::payload::Payload;
use crate::ready::{Ready, Until};
use crate::{Completion, Context, PossibleDeadlock};

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    /// No item begins after this, until a start or a close.
    pub(crate) fn stop(&self) {
        check_irql(Irql::DISPATCH, "QueuedWorkItem::stop");
        self.stop_locked(&mut self.ready.lock());
    }

    fn stop_locked(&self, ready: &mut Ready) {
        if !self.is(Broken::StopForgetsClaim) {
            ready.revoke(&self.claim.0);
        }
        ready.stop();
    }

    /// As [`stop`](Self::stop), and waits for the item that runs.
    pub(crate) fn stop_and_wait(&self) -> Result<(), PossibleDeadlock> {
        check_irql(Irql::PASSIVE, "QueuedWorkItem::stop_and_wait");
        self.wait_until(|ready| {
            self.stop_locked(ready);
            Until::Paused
        })
    }

    /// Items begin again.
    pub(crate) fn start(&self) {
        check_irql(Irql::DISPATCH, "QueuedWorkItem::start");
        let parked = {
            let mut ready = self.ready.lock();
            let parked = ready.start();
            self.unpark(parked)
        };
        if parked {
            self.schedule();
        }
    }

    /// Items begin again, and no stop holds them up any more: for a close that drains.
    pub(super) fn start_for_good(&self) {
        if self.lift_stop() {
            self.schedule();
        }
    }

    /// Lets no stop take effect any more, for a queue that is closing and has nothing left to run. The caller is
    /// another owner than the activation.
    pub(crate) fn end_stop(&self) {
        if self.lift_stop() {
            self.abandon_activation();
        }
    }

    /// Lets no stop take effect any more. `true`: an activation was parked and awaits a start.
    pub(super) fn lift_stop(&self) -> bool {
        let mut ready = self.ready.lock();
        let parked = ready.start_for_good();
        self.unpark(parked)
    }

    /// Under the ready list's lock: the parked drainer's part of handing the drain over.
    fn unpark(&self, parked: bool) -> bool {
        if parked {
            self.pending.0.yield_drain();
        }
        parked
    }
}
