//! What work items and DPCs share: a callback that is queued at most once, runs on a worker thread, and may be queued
//! again, and start again, while it runs.

use alloc::vec::Vec;
use core::ffi::c_void;

use wdk_sys::NTSTATUS;

use crate::irql;
use crate::nt::sync::{Event, Lock};
use crate::nt::teb;
use crate::nt::workers::{self, Work};
use crate::object::{AnyRef, Kind, Ref};

/// The queue-and-run state of one object.
pub(crate) struct Runner {
    state: Lock<State>,
    /// Set while it is neither queued nor running.
    idle: Event,
    work: Work,
}

#[derive(Default)]
struct State {
    queued: bool,
    /// The threads in the callback.
    running: Vec<usize>,
    /// Disposed of: nothing starts any more.
    dead: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        !self.queued && self.running.is_empty()
    }
}

/// An object that is run by a [`Runner`].
pub(crate) trait Runs: Kind {
    fn runner(&self) -> &Runner;
    /// Calls the driver. At PASSIVE_LEVEL; a DPC raises it itself.
    fn run(this: &Ref<Self>);
}

impl Runner {
    /// Makes a runner for the object of this handle, whose body it will be part of.
    pub(crate) fn new<T: Runs>(handle: usize) -> Result<Self, NTSTATUS> {
        // The context is the handle, not an address: a run that comes too late finds no object.
        let work = Work::new(start::<T>, core::ptr::without_provenance_mut(handle))?;
        Ok(Self {
            state: Lock::new(State::default()),
            idle: Event::new(true),
            work,
        })
    }

    /// Queues it; false if it was queued already (then that run serves both) or is being deleted.
    pub(crate) fn enqueue(&self) -> bool {
        {
            let mut state = self.state.lock();
            if state.queued || state.dead {
                return false;
            }
            state.queued = true;
            self.idle.reset();
        }
        self.work.post();
        true
    }

    /// Takes it out of the queue; false if it was not in it.
    pub(crate) fn cancel(&self) -> bool {
        let mut state = self.state.lock();
        let was = core::mem::take(&mut state.queued);
        if state.is_idle() {
            self.idle.set();
        }
        was
    }

    /// Whether the calling thread is in the callback.
    pub(crate) fn is_running_here(&self) -> bool {
        self.state.lock().running.contains(&teb::current())
    }

    /// Waits until it is neither queued nor running.
    pub(crate) fn wait_idle(&self) {
        self.idle.wait();
    }

    /// Lets a queued run happen, then lets nothing start. A deletion from the callback itself does not wait for itself.
    pub(crate) fn drain(&self) {
        if self.is_running_here() {
            self.state.lock().dead = true;
            self.cancel();
            return;
        }
        loop {
            self.wait_idle();
            let mut state = self.state.lock();
            if state.is_idle() {
                state.dead = true;
                return;
            }
        }
    }

    /// Drops a queued run, waits for a running one, and lets nothing start.
    pub(crate) fn kill(&self) {
        self.state.lock().dead = true;
        self.cancel();
        if !self.is_running_here() {
            self.wait_idle();
        }
    }

    fn begin(&self) -> bool {
        let mut state = self.state.lock();
        if !state.queued {
            return false; // cancelled
        }
        state.queued = false;
        state.running.push(teb::current());
        true
    }

    fn end(&self) {
        let mut state = self.state.lock();
        if let Some(at) = state.running.iter().position(|thread| *thread == teb::current()) {
            state.running.swap_remove(at);
        }
        if state.is_idle() {
            self.idle.set();
        }
    }
}

unsafe extern "C" fn start<T: Runs>(_instance: *mut c_void, context: *mut c_void, _work: *mut c_void) {
    workers::begin();
    run::<T>(context.addr());
    workers::end();
}

fn run<T: Runs>(handle: usize) {
    let Some(object) = AnyRef::from_handle(handle).ok().and_then(AnyRef::downcast::<T>) else {
        return;
    };
    if object.runner().begin() {
        debug_assert_eq!(irql::current(), irql::PASSIVE);
        T::run(&object);
        object.runner().end();
    }
}
