//! WDFWORKITEM: a callback at PASSIVE_LEVEL on a worker thread.
//!
//! Enqueueing while it is queued coalesces; enqueueing while its callback runs queues it again, and that run may start
//! beside the first. Flushing waits until it neither runs nor is queued.

use alloc::sync::Arc;

use wdk_sys::{
    NTSTATUS, PFN_WDF_WORKITEM, PWDF_OBJECT_ATTRIBUTES, PWDF_WORKITEM_CONFIG, WDFOBJECT, WDFWORKITEM,
};

use crate::call::{self, Call, callback, wdf};
use crate::device::Device;
use crate::io::presentation::{self, PresentationLock};
use crate::nt::status;
use crate::object::attributes::Attributes;
use crate::object::{self, AnyRef, Create, Kind, Ref, Type, tree};
use crate::runner::{Runner, Runs};
use crate::table::entries;

/// The body of a WDFWORKITEM.
pub(crate) struct WorkItem {
    runner: Runner,
    callback: PFN_WDF_WORKITEM,
    serialization: Serialization,
    parent: usize,
}

impl Kind for WorkItem {
    const TYPE: Type = Type::WorkItem;
    const PASSIVE_DISPOSE: bool = true;

    fn dispose(this: &Ref<Self>) {
        this.runner.drain();
    }
}

impl Runs for WorkItem {
    fn runner(&self) -> &Runner {
        &self.runner
    }

    fn run(this: &Ref<Self>) {
        if let Some(callback) = this.callback {
            this.serialization
                .enter(|| callback!("EvtWorkItem", callback(this.header().handle())));
        }
    }
}

/// The parent of a work item, timer or DPC, which must be a device or something below one; and the lock that its
/// callback takes, if `AutomaticSerialization` is set and the parent's callbacks are serialised.
///
/// # Errors
/// STATUS_WDF_PARENT_NOT_SPECIFIED, STATUS_INVALID_DEVICE_REQUEST; STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL if the lock is
/// for the other IRQL than the callback's.
pub(crate) fn parent_with_device(
    call: &Call,
    attributes: &Attributes,
    automatic_serialization: bool,
    passive: bool,
) -> Result<(AnyRef, Serialization), NTSTATUS> {
    let parent = call.parent(attributes).ok_or(status::WDF_PARENT_NOT_SPECIFIED)?;
    if tree::ancestor::<Device>(&parent).is_none() {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    let lock = if automatic_serialization {
        presentation::of_parent(&parent)
    } else {
        None
    };
    match lock {
        Some((_, lock_is_passive)) if lock_is_passive != passive => {
            Err(status::WDF_INCOMPATIBLE_EXECUTION_LEVEL)
        }
        lock => Ok((parent, Serialization(lock.map(|(lock, _)| lock)))),
    }
}

/// The presentation lock around a callback, or none.
pub(crate) struct Serialization(Option<Arc<PresentationLock>>);

impl Serialization {
    /// Runs the callback under the lock.
    pub(crate) fn enter<R>(&self, callback: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(lock) => lock.enter(callback),
            None => callback(),
        }
    }
}

wdf! {
    /// WdfWorkItemCreate. IRQL: <= DISPATCH_LEVEL.
    fn WdfWorkItemCreate(
        call,
        config: PWDF_WORKITEM_CONFIG,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        item: *mut WDFWORKITEM,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let config = call.config(config.cast_const())?;
            let attributes = call.attributes(attributes)?.without_constraints()?;
            if config.EvtWorkItemFunc.is_none() {
                return Err(status::INVALID_PARAMETER);
            }
            let (parent, serialization) =
                parent_with_device(call, &attributes, config.AutomaticSerialization != 0, true)?;
            let how = Create { globals: call.globals, attributes, parent: Some(&parent) };
            let created = object::create_with(how, |handle| {
                Ok(WorkItem {
                    runner: Runner::new::<WorkItem>(handle)?,
                    callback: config.EvtWorkItemFunc,
                    serialization,
                    parent: parent.raw_handle(),
                })
            })?;
            call::write(item, created.header().handle());
            Ok(())
        })
    }

    /// WdfWorkItemEnqueue. IRQL: <= DISPATCH_LEVEL.
    fn WdfWorkItemEnqueue(call, item: WDFWORKITEM) {
        call.at_most_dispatch();
        call.get::<WorkItem>(item).runner.enqueue();
    }

    /// WdfWorkItemGetParentObject. IRQL: <= DISPATCH_LEVEL.
    fn WdfWorkItemGetParentObject(call, item: WDFWORKITEM) -> WDFOBJECT {
        core::ptr::without_provenance_mut(call.get::<WorkItem>(item).parent)
    }

    /// WdfWorkItemFlush. IRQL: PASSIVE_LEVEL. Must not be called from the work item's own callback.
    fn WdfWorkItemFlush(call, item: WDFWORKITEM) {
        call.passive();
        let item = call.get::<WorkItem>(item);
        if item.runner.is_running_here() {
            call.violation(format_args!("called from the work item's own callback: it would wait for itself"));
        }
        item.runner.wait_idle();
    }
}

entries! {
    WdfWorkItemCreateTableIndex: PFN_WDFWORKITEMCREATE = WdfWorkItemCreate;
    WdfWorkItemEnqueueTableIndex: PFN_WDFWORKITEMENQUEUE = WdfWorkItemEnqueue;
    WdfWorkItemGetParentObjectTableIndex: PFN_WDFWORKITEMGETPARENTOBJECT = WdfWorkItemGetParentObject;
    WdfWorkItemFlushTableIndex: PFN_WDFWORKITEMFLUSH = WdfWorkItemFlush;
}
