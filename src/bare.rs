//! The bare work item that the benchmark compares the queue with.

use core::ptr;

use queued_work_item::Passive;
use queued_work_item_exerciser::{Drain, WorkItem};
use wdk_sys::{
    NT_SUCCESS, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFOBJECT, WDFWORKITEM, call_unsafe_wdf_function_binding,
};

use crate::context::{Cell, Context, ContextType, size_field};

struct DrainContext {
    drain: Cell<Drain>,
}

static DRAIN_CONTEXT: ContextType = ContextType::new::<DrainContext>(c"DrainContext", &DRAIN_CONTEXT);

// SAFETY: an all-zero cell is an empty one; the type is used for nothing else.
unsafe impl Context for DrainContext {
    const TYPE: &'static ContextType = &DRAIN_CONTEXT;
}

/// A WDFWORKITEM that runs a [`Drain`].
pub(crate) struct BareWorkItem {
    item: WDFWORKITEM,
}

// SAFETY: framework handles may be used on any thread.
unsafe impl Send for BareWorkItem {}
// SAFETY: as above.
unsafe impl Sync for BareWorkItem {}

impl BareWorkItem {
    /// Creates it. `None`: no memory.
    ///
    /// # Safety
    /// The device outlives the value.
    pub(crate) unsafe fn new(device: WDFDEVICE, drain: Drain) -> Option<Self> {
        let mut config = WDF_WORKITEM_CONFIG {
            Size: size_field::<WDF_WORKITEM_CONFIG>(),
            EvtWorkItemFunc: Some(evt_work_item),
            AutomaticSerialization: 0,
        };
        let mut attributes = DrainContext::attributes();
        attributes.ParentObject = device.cast();
        attributes.EvtDestroyCallback = Some(evt_destroy);
        let mut item: WDFWORKITEM = ptr::null_mut();
        // SAFETY: the device is alive; the framework copies the configuration and the attributes.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfWorkItemCreate,
                &raw mut config,
                &raw mut attributes,
                &raw mut item
            )
        };
        if !NT_SUCCESS(status) {
            return None;
        }
        // SAFETY: just created with this context.
        let context = unsafe { DrainContext::of(item.cast()) };
        // A new context is empty, so that there is always room.
        drop(context.drain.put(drain));
        Some(Self { item })
    }
}

impl WorkItem for BareWorkItem {
    fn enqueue(&self) {
        // SAFETY: a live work item.
        unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, self.item) };
    }
}

impl Drop for BareWorkItem {
    fn drop(&mut self) {
        // SAFETY: a live work item, at PASSIVE_LEVEL and not in its callback, by the trait's contract.
        unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemFlush, self.item) };
        // SAFETY: a live work item, and the only handle to it.
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.item.cast()) };
    }
}

/// `EvtWorkItem`
extern "C" fn evt_work_item(item: WDFWORKITEM) {
    // SAFETY: the framework gives a live work item, created with this context.
    let context = unsafe { DrainContext::of(item.cast()) };
    // SAFETY: it is taken only when the work item is destroyed.
    if let Some(drain) = unsafe { context.drain.get() } {
        // SAFETY: work items run at PASSIVE_LEVEL, without a presentation lock.
        let mut passive = unsafe { Passive::assume() };
        drain.run(&mut passive);
    }
}

/// `EvtDestroyCallback`
extern "C" fn evt_destroy(item: WDFOBJECT) {
    // SAFETY: the context is there until this call returns.
    let context = unsafe { DrainContext::of(item) };
    drop(context.drain.take());
}
