//! Whether the device is still there, and who is inside.
//!
//! Removal must know when the last handler and the last job are through, and nobody may come in behind its back. One
//! lock decides both; it is held for a few instructions.

use queued_work_item::kernel::{Event, EventKind, Shared, SpinLock};
use queued_work_item::{CreateError, Passive};
use queued_work_item_ioctl::{STATUS_DELETE_PENDING, STATUS_INSUFFICIENT_RESOURCES, limits};

pub(crate) struct Life {
    state: SpinLock<State>,
    /// Set while nobody is inside.
    empty: Event,
}

#[derive(Default)]
struct State {
    removed: bool,
    inside: u32,
    blocking: u32,
}

impl Life {
    pub(crate) fn new() -> Result<Self, CreateError> {
        let empty = Event::new(EventKind::Notification)?;
        empty.set();
        Ok(Self {
            state: SpinLock::new(State::default()),
            empty,
        })
    }

    /// Comes in. `STATUS_DELETE_PENDING`: the device is going away. `STATUS_INSUFFICIENT_RESOURCES`: so many block that
    /// one more may not.
    pub(crate) fn enter(life: &Shared<Self>, stay: Stay) -> Result<Permit, u32> {
        let mut state = life.state.lock();
        if state.removed {
            return Err(STATUS_DELETE_PENDING);
        }
        if stay == Stay::Blocking {
            if state.blocking >= limits::BLOCKING_REQUESTS {
                return Err(STATUS_INSUFFICIENT_RESOURCES);
            }
            state.blocking += 1;
        }
        if state.inside == 0 {
            life.empty.clear();
        }
        // Bounded by the threads that are in a handler and the blocking requests.
        state.inside += 1;
        drop(state);
        Ok(Permit {
            life: life.clone(),
            stay,
        })
    }

    /// Lets nobody in any more.
    pub(crate) fn remove(&self) {
        self.state.lock().removed = true;
    }

    /// Is the device going away?
    pub(crate) fn is_removed(&self) -> bool {
        self.state.lock().removed
    }

    /// Waits until nobody is inside, which ends once [`Life::remove`] was called.
    pub(crate) fn wait_until_empty(&self, passive: &mut Passive) {
        self.empty.wait(passive);
    }
}

/// How long somebody stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// As long as a handler runs.
    Short,
    /// As long as a verb blocks; counted, since it holds a thread.
    Blocking,
}

/// Somebody inside.
pub(crate) struct Permit {
    life: Shared<Life>,
    stay: Stay,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.life.state.lock();
        if self.stay == Stay::Blocking {
            state.blocking -= 1;
        }
        state.inside -= 1;
        if state.inside == 0 {
            self.life.empty.set();
        }
    }
}
