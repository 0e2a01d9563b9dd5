//! Work items on threads, and the objects that they hang on.

extern crate std;

use core::fmt;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::vec::Vec;

use super::machine::{Entered, Inner as MachineInner, Start, current};
use super::{check_irql, current_irql};
use crate::NtStatus;
use crate::kernel::{Irql, Target};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The work item itself. It lives while anything may still start it, and then releases its core.
struct Object {
    target: Target,
    machine: Arc<MachineInner>,
    /// False once the parent is being deleted; held while scheduling, so that no start slips in afterwards.
    open: Mutex<bool>,
}

impl Object {
    fn start(&self) {
        let _entered = Entered::new(Arc::clone(&self.machine));
        // SAFETY: the core lives until `released`, which only this object's drop calls.
        unsafe { (self.target.run)(self.target.core) };
        assert!(
            current_irql() == Irql::PASSIVE,
            "a work item returned at {}",
            current_irql()
        );
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _entered = Entered::new(Arc::clone(&self.machine));
        // SAFETY: no start holds this object any more, and it is dropped once.
        unsafe { (self.target.released)(self.target.core) };
    }
}

/// A start that waits for [`Machine::release`](super::Machine::release).
pub(super) struct HeldStart(Arc<Object>);

impl HeldStart {
    pub(super) fn start(self) {
        Workers::submit(self.0);
    }
}

/// Threads that grow with the starts that wait, so that a callback which blocks holds nobody else up.
#[derive(Default)]
struct Workers {
    state: Mutex<WorkersState>,
    work: Condvar,
}

#[derive(Default)]
struct WorkersState {
    queue: VecDeque<Arc<Object>>,
    idle: usize,
}

static WORKERS: Workers = Workers {
    state: Mutex::new(WorkersState {
        queue: VecDeque::new(),
        idle: 0,
    }),
    work: Condvar::new(),
};

impl Workers {
    fn submit(object: Arc<Object>) {
        let mut state = lock(&WORKERS.state);
        state.queue.push_back(object);
        if state.idle < state.queue.len() {
            drop(state);
            std::thread::spawn(|| WORKERS.serve());
        } else {
            drop(state);
            WORKERS.work.notify_one();
        }
    }

    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(object) = state.queue.pop_front() {
                drop(state);
                let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| object.start()));
                if outcome.is_err() {
                    // Its queue would wait for ever for the item that was running. As in a kernel, the machine stops.
                    std::eprintln!("a callback panicked on its system thread: the simulated machine stops");
                    std::process::abort();
                }
                drop(object);
                state = lock(&self.state);
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

/// A work item, or the place for one.
#[derive(Default)]
pub(crate) struct WorkItem {
    object: Mutex<Option<Arc<Object>>>,
}

impl WorkItem {
    pub(crate) fn unbound() -> Self {
        Self::default()
    }

    /// Creates the work item under `parent`.
    ///
    /// # Safety
    /// `target`'s functions may be called with its core on any thread until `released` was.
    pub(crate) unsafe fn bind(&self, parent: &Parent, target: Target) -> Result<(), NtStatus> {
        check_irql(Irql::PASSIVE, "WdfWorkItemCreate");
        let machine = current();
        if !machine.admit_allocation() {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        let mut children = parent.0.as_ref().map(|parent| lock(&parent.children));
        // Two layers: is there a parent, and does it still take children?
        let children = match &mut children {
            None => None,
            Some(children) => match children.as_mut() {
                None => return Err(NtStatus::DELETE_PENDING),
                Some(children) => Some(children),
            },
        };
        let object = Arc::new(Object {
            target,
            machine,
            open: Mutex::new(true),
        });
        if let Some(children) = children {
            children.retain(|child| child.strong_count() > 0);
            children.push(Arc::downgrade(&object));
        }
        *lock(&self.object) = Some(object);
        Ok(())
    }

    /// Schedules a start; `false` when the work item is gone with its parent and nothing will start. IRQL
    /// `<= DISPATCH_LEVEL`.
    pub(crate) fn schedule(&self) -> bool {
        check_irql(Irql::DISPATCH, "WdfWorkItemEnqueue");
        let Some(object) = lock(&self.object).clone() else {
            return false;
        };
        let open = lock(&object.open);
        if !*open {
            return false;
        }
        match object.machine.next_start() {
            Start::Normal => Workers::submit(Arc::clone(&object)),
            Start::Held => object.machine.hold(HeldStart(Arc::clone(&object))),
            Start::Duplicated(more) => (0..=more).for_each(|_| Workers::submit(Arc::clone(&object))),
            Start::Repeated => {
                object.machine.hold(HeldStart(Arc::clone(&object)));
                Workers::submit(Arc::clone(&object));
            }
        }
        drop(open);
        true
    }

    /// Deletes the work item; `released` follows when the last start has returned. May be called from a start.
    pub(crate) fn dispose(&self, _: bool) {
        let object = lock(&self.object).take();
        drop(object);
    }
}

#[derive(Default)]
struct HostObjectInner {
    /// `None` once deleted.
    children: Mutex<Option<Vec<Weak<Object>>>>,
}

/// A simulated WDF object, to be a queue's parent.
#[derive(Clone)]
pub struct HostObject(Arc<HostObjectInner>);

impl HostObject {
    /// A new object.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(HostObjectInner {
            children: Mutex::new(Some(Vec::new())),
        }))
    }

    /// Deletes the object as WDF does: its children's cleanup first. Queues that were not closed by now are torn down.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    pub fn delete(&self) {
        check_irql(Irql::PASSIVE, "WdfObjectDelete");
        for child in lock(&self.0.children).take().into_iter().flatten() {
            // The upgrade keeps the core for the while.
            let Some(object) = child.upgrade() else { continue };
            *lock(&object.open) = false;
            let _entered = Entered::new(Arc::clone(&object.machine));
            // SAFETY: `object` keeps the core, a deleted parent has no children to tear down twice, and nothing can be
            // scheduled from here on.
            unsafe { (object.target.torn_down)(object.target.core) };
        }
    }
}

impl Default for HostObject {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HostObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostObject").finish_non_exhaustive()
    }
}

/// What a queue hangs on. On this backend the default is an object that is never deleted.
#[derive(Clone, Default)]
pub struct Parent(Option<Arc<HostObjectInner>>);

impl From<&HostObject> for Parent {
    fn from(object: &HostObject) -> Self {
        Self(Some(Arc::clone(&object.0)))
    }
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parent").finish_non_exhaustive()
    }
}
