//! What happens to the device and to its handles, whatever the verbs do.

use queued_work_item::scheduled_task::PowerState;
use queued_work_item::{Close, Passive};

use crate::decode::task::TaskEvent;
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
        for task in &self.inner.tasks {
            task.gate.handle_closed(handle);
        }
    }

    /// The hardware is prepared, of which there is none: tasks are told.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token.
    pub fn prepare_hardware(&self, passive: &mut Passive) {
        self.tell_tasks(TaskEvent::PrepareHardware, passive);
    }

    /// The hardware is to be released: tasks are told.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token.
    pub fn release_hardware(&self, passive: &mut Passive) {
        self.tell_tasks(TaskEvent::ReleaseHardware, passive);
    }

    /// The device leaves D0: no item begins in any instance, and no deferred run of a task, until
    /// [`Exerciser::d0_entry`]. Requests are taken as ever. It does not wait for an instance's callback that runs, since
    /// a gate may hold it for as long as it likes, and since this device has no hardware that a callback could miss. It
    /// waits for those of tasks, as `ScheduledTask` has it; their gates are lifted until the device is back. A close that
    /// drains ends its instance's pause.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token.
    pub fn d0_exit(&self, passive: &mut Passive) {
        self.set_power(false);
        self.tell_tasks(TaskEvent::D0Exit, passive);
    }

    /// The device is in D0 again, coming from the state `from`, a `WDF_POWER_DEVICE_STATE`: instances go on where they
    /// paused, and the moment of some tasks has come.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token.
    pub fn d0_entry(&self, from: i32, passive: &mut Passive) {
        self.set_power(true);
        self.tell_tasks(TaskEvent::D0Entry(PowerState(from)), passive);
    }

    fn tell_tasks(&self, event: TaskEvent, passive: &mut Passive) {
        self.inner.surroundings.happen(event, &self.inner.tasks, passive);
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
        for task in &self.inner.tasks {
            task.gate.remove();
        }
        self.close_all(passive);
        self.inner.life.wait_until_empty(passive);
        // A configure that was inside may have left an instance, or a task.
        self.close_all(passive);
    }

    fn close_all(&self, passive: &mut Passive) {
        for slot in &self.inner.slots {
            if let Ok(instance) = slot.begin_closing() {
                // The error is a call from the queue's own callback, which the system's removal is not.
                let _refused = slot.close(instance, Close::Cancel, passive);
            }
        }
        for slot in &self.inner.tasks {
            if let Ok(task) = slot.task() {
                // Likewise; and whoever asked for what is dropped is gone.
                let _dropped = slot.close(task, passive);
            }
        }
    }
}
