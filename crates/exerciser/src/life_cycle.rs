//! What happens to the device and to its handles, whatever the verbs do.

use queued_work_item::{Close, Passive};

use crate::slot::Slot;
use crate::{Exerciser, Handle, Platform};

impl<P: Platform> Exerciser<P> {
    /// The last reference to a handle is gone, or its cleanup has come: its gate opens, and what waits in its name is
    /// answered with `STATUS_CANCELLED`. Once is enough, twice does no harm.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    pub fn handle_closed(&self, handle: Handle) {
        self.inner.record.handle_closed(handle);
        for slot in &self.inner.slots {
            if let Some(record) = slot.record() {
                record.handle_closed(handle);
            }
            // After that, so that what waited at the gate is told that its handle is closed, not that its item ran.
            slot.gate.handle_closed(handle);
        }
    }

    /// The device leaves D0: no item begins in any instance until [`Exerciser::d0_entry`]. Requests are taken as ever.
    /// It does not wait for a callback that runs, since a gate may hold it for as long as it likes, and since this
    /// device has no hardware that a callback could miss. A close that drains ends its instance's pause.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, where power callbacks run.
    pub fn d0_exit(&self) {
        self.set_power(false);
    }

    /// The device is in D0 again: instances go on where they paused.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    pub fn d0_entry(&self) {
        self.set_power(true);
    }

    fn set_power(&self, powered: bool) {
        *self.inner.powered.lock() = powered;
        for slot in &self.inner.slots {
            self.apply_power(slot);
        }
    }

    /// Brings an instance in line with the device's power, as it is now: whoever is last to do so, of a configure and
    /// the power callbacks, has seen what is so at last.
    pub(crate) fn apply_power(&self, slot: &Slot<P::Ticket>) {
        // Dropped after the lock: it may be the last reference, and a queue ends at PASSIVE_LEVEL.
        let Ok(instance) = slot.instance() else { return };
        let powered = self.inner.powered.lock();
        if *powered {
            instance.queue.start();
        } else {
            instance.queue.stop();
        }
        drop(powered);
    }

    /// The device goes away: refuses every request from here on, opens the gates, cancels what has not begun, and
    /// returns when no callback, no job and no handler runs. A second call finds nothing to do.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token. It waits for the callback that runs, whose time a gate or
    /// [`spend_us`](queued_work_item_ioctl::Enqueue::spend_us) cannot prolong any more.
    pub fn remove(&self, passive: &mut Passive) {
        self.inner.life.remove();
        for slot in &self.inner.slots {
            slot.gate.remove();
        }
        self.close_all(passive);
        self.inner.life.wait_until_empty(passive);
        // A configure that was inside may have left an instance.
        self.close_all(passive);
    }

    fn close_all(&self, passive: &mut Passive) {
        for slot in &self.inner.slots {
            if let Ok(instance) = slot.begin_closing() {
                // The error is a call from the queue's own callback, which the system's removal is not.
                let _refused = slot.close(instance, Close::Cancel, passive);
            }
        }
    }
}
