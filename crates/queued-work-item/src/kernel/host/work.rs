//! Work items on threads, and the objects that they hang on.

extern crate std;

use core::fmt;
use std::boxed::Box;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::vec::Vec;

use super::machine::{Entered, Inner as MachineInner, Start, current};
use super::{check_irql, current_irql, workers};
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

fn submit(object: Arc<Object>) {
    workers::submit(Box::new(move || object.start()));
}

impl Child for Object {
    fn tear_down(&self) {
        *lock(&self.open) = false;
        let _entered = Entered::new(Arc::clone(&self.machine));
        // SAFETY: the caller keeps the core by this object; a parent tears its children down once, and nothing can be
        // scheduled from here on.
        unsafe { (self.target.torn_down)(self.target.core) };
    }
}

/// A start that waits for [`Machine::release`](super::Machine::release).
pub(super) struct HeldStart(Arc<Object>);

impl HeldStart {
    pub(super) fn start(self) {
        submit(self.0);
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
        let object = parent.adopt(|| Object {
            target,
            machine,
            open: Mutex::new(true),
        })?;
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
            Start::Normal => submit(Arc::clone(&object)),
            Start::Held => object.machine.hold(HeldStart(Arc::clone(&object))),
            Start::Duplicated(more) => (0..=more).for_each(|_| submit(Arc::clone(&object))),
            Start::Repeated => {
                object.machine.hold(HeldStart(Arc::clone(&object)));
                submit(Arc::clone(&object));
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

/// What hangs on an object.
pub(super) trait Child: Send + Sync {
    /// The object is being deleted, before the child was. The caller keeps the child alive meanwhile.
    fn tear_down(&self);
}

#[derive(Default)]
struct HostObjectInner {
    /// `None` once deleted.
    children: Mutex<Option<Vec<Weak<dyn Child>>>>,
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
            if let Some(child) = child.upgrade() {
                child.tear_down();
            }
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

impl Parent {
    /// Makes a child, unless the parent is being deleted.
    pub(super) fn adopt<T: Child + 'static>(&self, make: impl FnOnce() -> T) -> Result<Arc<T>, NtStatus> {
        let Some(parent) = &self.0 else {
            return Ok(Arc::new(make()));
        };
        let mut children = lock(&parent.children);
        let Some(children) = children.as_mut() else {
            return Err(NtStatus::DELETE_PENDING);
        };
        let child = Arc::new(make());
        children.retain(|child| child.strong_count() > 0);
        // In two steps, since the first infers the type that the second forgets.
        let weak = Arc::downgrade(&child);
        children.push(weak);
        Ok(child)
    }
}

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
