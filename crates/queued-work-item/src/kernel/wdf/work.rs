//! The WDFWORKITEM of a queue, and how it is got rid of.
//!
//! # Deletion
//! What KMDF does, and what that asks of us:
//! - Deleting a work item, or its parent, first waits for its callbacks and only then calls `EvtCleanupCallback`; an
//!   enqueue in between is ignored without a word. So `torn_down` follows the last start that there will be, and
//!   must end an activation whose start was ignored. After the cleanup callback, `handle` is empty, and since
//!   scheduling looks at it under the lock that the cleanup callback empties it under, no call reaches a dead object.
//! - A work item may be deleted from its own callback, where deletion does not wait. But KMDF knows "its own" by one
//!   field, the thread of the last callback to begin, which each callback clears when it ends. The tail of an earlier
//!   callback can clear it under a later one, which then would wait for itself. A queue's work item is enqueued again
//!   from its callback (to yield), and by producers while a callback returns: it must not be deleted by its worker. It
//!   is deleted by whoever drops the handle, when no activation outlasts that; otherwise by a second work item, the
//!   reaper, which is enqueued once in its life, so that it may delete itself.
//! - The handle is made invalid by the parent's deletion. The deleter takes a reference under the lock, while the
//!   object is known to be alive. Deleting an object that its parent is deleting is KMDF's to sort out, and it does.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

use wdk_sys::{NT_SUCCESS, WDF_WORKITEM_CONFIG, WDFOBJECT, WDFWORKITEM, call_unsafe_wdf_function_binding};

use super::Parent;
use super::object::{ContextType, Event, attributes, dereference, reference, size_field};
use crate::NtStatus;
use crate::kernel::{SpinLock, Target};

/// The queue's work item. All zero, as the framework makes it, until it is bound.
#[repr(C)]
struct MainContext {
    target: Option<Target>,
    item: *const WorkItem,
}

static MAIN: ContextType = ContextType::new::<MainContext>(c"QueuedWorkItem", &MAIN);

/// The reaper: whom to delete, with a reference to it.
#[repr(C)]
struct ReaperContext {
    condemned: AtomicPtr<core::ffi::c_void>,
}

static REAPER: ContextType = ContextType::new::<ReaperContext>(c"QueuedWorkItemReaper", &REAPER);

#[derive(Clone, Copy)]
struct Handles {
    main: WDFWORKITEM,
    reaper: WDFWORKITEM,
}

/// The work item, or the place for one.
pub(crate) struct WorkItem {
    /// Empty before the work item is bound, and from the moment that it is being deleted.
    handles: SpinLock<Option<Handles>>,
}

// SAFETY: framework handles may be used on any thread.
unsafe impl Send for WorkItem {}
// SAFETY: as above; the rest is a lock.
unsafe impl Sync for WorkItem {}

impl WorkItem {
    pub(crate) fn unbound() -> Self {
        Self {
            handles: SpinLock::new(None),
        }
    }

    /// Creates the work item under `parent`. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// `target`'s functions may be called with its core on any thread until `released` was, and this value, which lies
    /// in the core, lasts as long.
    pub(crate) unsafe fn bind(&self, parent: &Parent, target: Target) -> Result<(), NtStatus> {
        // SAFETY: `Parent` promises a live object; the callbacks are for such a work item.
        let reaper = unsafe { create(parent, &REAPER, evt_reap, None, Some(evt_reaper_destroy)) }?;
        // SAFETY: as above.
        let main = match unsafe { create(parent, &MAIN, evt_run, Some(evt_cleanup), Some(evt_destroy)) } {
            Ok(main) => main,
            Err(status) => {
                // SAFETY: alive, and never enqueued.
                unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, reaper.cast()) };
                return Err(status);
            }
        };
        // SAFETY: created with such a context, just above.
        let context = unsafe { MAIN.of::<MainContext>(main.cast()) };
        // SAFETY: nothing was enqueued and the parent is not being deleted, so nobody else looks at it.
        unsafe {
            context.write(MainContext {
                target: Some(target),
                item: self,
            });
        };
        *self.handles.lock() = Some(Handles { main, reaper });
        Ok(())
    }

    /// Schedules a start; `false` when the work item is being deleted with its parent. IRQL `<= DISPATCH_LEVEL`.
    ///
    /// `true` does not promise a start: KMDF ignores an enqueue once it has begun to delete. `torn_down` follows then.
    pub(crate) fn schedule(&self) -> bool {
        let handles = self.handles.lock();
        let Some(Handles { main, .. }) = *handles else {
            return false;
        };
        // SAFETY: the cleanup callback has not emptied the place yet, and cannot while the lock is held: it is alive.
        unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, main) };
        true
    }

    /// Deletes the work item. `on_worker`: from its own callback. `released` follows when the last start has returned.
    pub(crate) fn dispose(&self, on_worker: bool) {
        let handles = {
            let mut place = self.handles.lock();
            let Some(handles) = place.take() else { return };
            // SAFETY: alive, as in `schedule`.
            unsafe { reference(handles.main.cast()) };
            // SAFETY: the two have the same parent and go together; it is deleted by itself or with the parent.
            unsafe { reference(handles.reaper.cast()) };
            handles
        };
        let Handles { main, reaper } = handles;
        if on_worker {
            // SAFETY: referenced above, so its context is there.
            let context = unsafe { REAPER.context::<ReaperContext>(reaper.cast()) };
            // The reference to `main` goes with it.
            context.condemned.store(main.cast(), Ordering::Release);
            // SAFETY: referenced above. If it is being deleted already, this is ignored, and the parent deletes both.
            unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, reaper) };
        } else {
            // SAFETY: referenced above. It waits for the last instructions of a callback that has given up its share.
            unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, main.cast()) };
            // SAFETY: the reference from above.
            unsafe { dereference(main.cast()) };
            // SAFETY: referenced above; it was never enqueued.
            unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, reaper.cast()) };
        }
        // SAFETY: the reference from above.
        unsafe { dereference(reaper.cast()) };
    }
}

type Run = unsafe extern "C" fn(WDFWORKITEM);

unsafe fn create(
    parent: &Parent,
    context: &'static ContextType,
    run: Run,
    cleanup: Option<Event>,
    destroy: Option<Event>,
) -> Result<WDFWORKITEM, NtStatus> {
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(run),
        // TRUE would run callbacks under the parent's lock, and a wait for an item under that lock would not end.
        AutomaticSerialization: 0,
    };
    let mut attributes = attributes(parent, context, cleanup, destroy);
    let mut item: WDFWORKITEM = ptr::null_mut();
    // SAFETY: the parent is alive; the framework copies configuration and attributes.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfWorkItemCreate,
            &raw mut config,
            &raw mut attributes,
            &raw mut item
        )
    };
    if NT_SUCCESS(status) {
        Ok(item)
    } else {
        Err(NtStatus(status))
    }
}

unsafe extern "C" fn evt_run(item: WDFWORKITEM) {
    // SAFETY: such a work item has such a context, and runs only after it was bound.
    let context = unsafe { MAIN.context::<MainContext>(item.cast()) };
    if let Some(target) = context.target {
        // SAFETY: the core is kept until `evt_destroy`, which follows the last callback.
        unsafe { (target.run)(target.core) };
    }
}

unsafe extern "C" fn evt_cleanup(object: WDFOBJECT) {
    // SAFETY: as in `evt_run`; the context outlives this callback.
    let context = unsafe { MAIN.context::<MainContext>(object) };
    let Some(target) = context.target else { return };
    // SAFETY: the work item's place lies in the core, which is kept until `evt_destroy`.
    let item: &WorkItem = unsafe { &*context.item };
    let bound = item.handles.lock().take();
    // Empty already: the queue itself has begun the deletion.
    if bound.is_some() {
        // SAFETY: work items are cleaned up at PASSIVE_LEVEL, once; nothing can be scheduled any more.
        unsafe { (target.torn_down)(target.core) };
    }
}

unsafe extern "C" fn evt_destroy(object: WDFOBJECT) {
    // SAFETY: as in `evt_run`; the context's memory goes after this callback.
    let context = unsafe { MAIN.of::<MainContext>(object) };
    // SAFETY: no other callback is called beside or after this one.
    let context = unsafe { &mut *context };
    if let Some(target) = context.target.take() {
        // SAFETY: the last callback of all, once.
        unsafe { (target.released)(target.core) };
    }
}

unsafe extern "C" fn evt_reap(item: WDFWORKITEM) {
    // SAFETY: a reaper has such a context.
    let context = unsafe { REAPER.context::<ReaperContext>(item.cast()) };
    if let Some(condemned) = NonNull::new(context.condemned.swap(ptr::null_mut(), Ordering::Acquire)) {
        let main: WDFOBJECT = condemned.as_ptr().cast();
        // SAFETY: referenced by whoever condemned it. It waits for that one's callback to return.
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, main) };
        // SAFETY: the reference that came with it.
        unsafe { dereference(main) };
    }
    // SAFETY: its own callback, the only one it ever has: see the module's text.
    unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, item.cast()) };
}

unsafe extern "C" fn evt_reaper_destroy(object: WDFOBJECT) {
    // SAFETY: a reaper has such a context; its memory goes after this callback.
    let context = unsafe { REAPER.context::<ReaperContext>(object) };
    let condemned = context.condemned.swap(ptr::null_mut(), Ordering::Acquire);
    if !condemned.is_null() {
        // The parent was deleted before this could run, and deletes the condemned as well.
        // SAFETY: the reference that came with it.
        unsafe { dereference(condemned.cast()) };
    }
}
