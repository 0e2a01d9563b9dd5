//! The gate: where the callback stops until it is let through.
//!
//! It belongs to the instance's id, not to its queue, so that it can be closed before the instance is configured and
//! outlives it. Whoever closed it last owns it: when that handle goes away the gate opens, so that nobody can leave the
//! driver stopped behind him. The gate of a task is lifted while its device is out of D0: power transitions wait for the
//! callback, and must not wait for a user.

use core::time::Duration;

use queued_work_item::kernel::{Event, EventKind, SpinLock};
use queued_work_item::{CreateError, Passive};

use crate::Handle;

pub(crate) struct Gate {
    state: SpinLock<State>,
    /// Set while the gate is open.
    open: Event,
    /// Set once the device is going away, and while the gate is lifted: nobody takes his time.
    hurry: Event,
}

struct State {
    owner: Option<Handle>,
    lifted: bool,
    removed: bool,
}

impl Gate {
    /// An open gate.
    pub(crate) fn new() -> Result<Self, CreateError> {
        let open = Event::new(EventKind::Notification)?;
        open.set();
        Ok(Self {
            state: SpinLock::new(State {
                owner: None,
                lifted: false,
                removed: false,
            }),
            open,
            hurry: Event::new(EventKind::Notification)?,
        })
    }

    /// Closes it in the name of `handle`. Nothing happens once the device is going away.
    pub(crate) fn close(&self, handle: Handle) {
        let mut state = self.state.lock();
        if !state.removed {
            state.owner = Some(handle);
            if !state.lifted {
                self.open.clear();
            }
        }
    }

    /// Opens it, whoever closed it.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.owner = None;
        self.open.set();
    }

    /// Opens it if `handle` owns it.
    pub(crate) fn handle_closed(&self, handle: Handle) {
        let mut state = self.state.lock();
        if state.owner == Some(handle) {
            state.owner = None;
            self.open.set();
        }
    }

    /// Lets everybody through, closed or not, and ends what the callback spends; until it is lowered.
    pub(crate) fn lift(&self) {
        let mut state = self.state.lock();
        state.lifted = true;
        self.open.set();
        self.hurry.set();
    }

    /// Ends that: who closed it meanwhile, or before, still has it closed.
    pub(crate) fn lower(&self) {
        let mut state = self.state.lock();
        state.lifted = false;
        if !state.removed {
            self.hurry.clear();
            if state.owner.is_some() {
                self.open.clear();
            }
        }
    }

    /// Opens it for good, and ends what the callback spends.
    pub(crate) fn remove(&self) {
        let mut state = self.state.lock();
        state.removed = true;
        state.owner = None;
        self.open.set();
        self.hurry.set();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().owner.is_some()
    }

    /// The callback's side: stops here while the gate is closed.
    pub(crate) fn pass(&self, passive: &mut Passive) {
        self.open.wait(passive);
    }

    /// The callback's work: lets time pass, but not when there is none.
    pub(crate) fn spend(&self, passive: &mut Passive, time: Duration) {
        let _cut_short: bool = self.hurry.wait_timeout(passive, time);
    }
}
