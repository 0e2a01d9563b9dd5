//! `WdfObject*`: what a driver may do with any object.

use core::ffi::c_void;

use wdk_sys::{
    LONG, NTSTATUS, PCHAR, PCWDF_OBJECT_CONTEXT_TYPE_INFO, PVOID, PWDF_OBJECT_ATTRIBUTES, WDFOBJECT,
};

use super::{Kind, Type};
use crate::call::{self, wdf};
use crate::nt::status;
use crate::table::entries;

/// The body of an object without behaviour: `WdfObjectCreate`.
struct General;

impl Kind for General {
    const TYPE: Type = Type::Object;
}

wdf! {
    /// WdfObjectGetTypedContextWorker. IRQL: <= DISPATCH_LEVEL. Null if the object has no context of this type.
    fn WdfObjectGetTypedContextWorker(call, object: WDFOBJECT, info: PCWDF_OBJECT_CONTEXT_TYPE_INFO) -> PVOID {
        call.any(object).contexts().find(info)
    }

    /// WdfObjectAllocateContext. IRQL: <= DISPATCH_LEVEL.
    fn WdfObjectAllocateContext(
        call,
        object: WDFOBJECT,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        context: *mut *mut c_void,
    ) -> NTSTATUS {
        call.at_most_dispatch();
        let object = call.any(object);
        let attach = || {
            let attributes = call.attributes(attributes)?;
            if attributes.parent != 0 {
                return Err(status::WDF_PARENT_ASSIGNMENT_NOT_ALLOWED);
            }
            if attributes.context_type.is_null() {
                return Err(status::OBJECT_NAME_INVALID);
            }
            if object.is_deleted() {
                return Err(status::DELETE_PENDING);
            }
            call.may_allocate()?;
            object.contexts().attach(object.raw_handle(), &attributes)
        };
        match attach() {
            Ok((data, new)) => {
                call::write(context, data);
                if new { status::SUCCESS } else { status::OBJECT_NAME_EXISTS }
            }
            Err(status) => status,
        }
    }

    /// WdfObjectContextGetObject. IRQL: <= DISPATCH_LEVEL.
    fn WdfObjectContextGetObject(call, context: PVOID) -> WDFOBJECT {
        super::context::owner(context).unwrap_or_else(|| call.violation(format_args!("{context:p} is no context")))
    }

    /// WdfObjectReferenceActual. IRQL: <= DISPATCH_LEVEL.
    fn WdfObjectReferenceActual(call, object: WDFOBJECT, _tag: PVOID, _line: LONG, _file: PCHAR) {
        call.any(object).client_reference();
    }

    /// WdfObjectDereferenceActual. IRQL: <= DISPATCH_LEVEL. The last one destroys a deleted object.
    fn WdfObjectDereferenceActual(call, object: WDFOBJECT, _tag: PVOID, _line: LONG, _file: PCHAR) {
        let object = call.any(object);
        if !object.client_dereference() {
            call.violation(format_args!("{} was not referenced", object.kind().name()));
        }
    }

    /// WdfObjectCreate. IRQL: <= DISPATCH_LEVEL.
    fn WdfObjectCreate(call, attributes: PWDF_OBJECT_ATTRIBUTES, object: *mut WDFOBJECT) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let attributes = call.attributes(attributes)?;
            let parent = call.parent_or_driver(&attributes);
            let created = call.create(attributes, &parent, General)?;
            call::write(object, created.header().handle());
            Ok(())
        })
    }

    /// WdfObjectDelete. IRQL: <= DISPATCH_LEVEL; deferred to a worker thread where the disposal may wait.
    fn WdfObjectDelete(call, object: WDFOBJECT) {
        call.at_most_dispatch();
        let object = call.any(object);
        match object.kind() {
            Type::Driver | Type::Queue | Type::FileObject | Type::ResourceList => {
                call.violation(format_args!("a driver must not delete a {}", object.kind().name()))
            }
            Type::Device => {
                let device = object.clone().downcast::<crate::device::Device>();
                if device.is_some_and(|device| !device.is_control()) {
                    call.violation(format_args!("a driver must not delete a PnP device"));
                }
            }
            _ => {}
        }
        super::delete(object);
    }
}

entries! {
    WdfObjectGetTypedContextWorkerTableIndex:
        PFN_WDFOBJECTGETTYPEDCONTEXTWORKER = WdfObjectGetTypedContextWorker;
    WdfObjectAllocateContextTableIndex: PFN_WDFOBJECTALLOCATECONTEXT = WdfObjectAllocateContext;
    WdfObjectContextGetObjectTableIndex: PFN_WDFOBJECTCONTEXTGETOBJECT = WdfObjectContextGetObject;
    WdfObjectReferenceActualTableIndex: PFN_WDFOBJECTREFERENCEACTUAL = WdfObjectReferenceActual;
    WdfObjectDereferenceActualTableIndex: PFN_WDFOBJECTDEREFERENCEACTUAL = WdfObjectDereferenceActual;
    WdfObjectCreateTableIndex: PFN_WDFOBJECTCREATE = WdfObjectCreate;
    WdfObjectDeleteTableIndex: PFN_WDFOBJECTDELETE = WdfObjectDelete;
}
