//! What the framework objects of this library have in common: attributes, a typed context, references.

use core::mem::size_of;
use core::ptr;

use wdk_sys::{
    ULONG, WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDFOBJECT, call_unsafe_wdf_function_binding,
};

use super::Parent;

/// The framework's `Size` fields.
#[expect(
    clippy::cast_possible_truncation,
    reason = "framework structures are some hundred bytes at most"
)]
pub(super) const fn size_field<T>() -> ULONG {
    size_of::<T>() as ULONG
}

#[repr(transparent)]
pub(super) struct ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO);

// SAFETY: it is only read.
unsafe impl Sync for ContextType {}

impl ContextType {
    pub(super) const fn new<T>(name: &'static core::ffi::CStr, itself: &'static Self) -> Self {
        Self(WDF_OBJECT_CONTEXT_TYPE_INFO {
            Size: size_field::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
            ContextName: name.as_ptr().cast_mut(),
            ContextSize: size_of::<T>(),
            UniqueType: ptr::from_ref(itself).cast(),
            EvtDriverGetUniqueContextType: None,
        })
    }

    /// The same, to look at.
    ///
    /// # Safety
    /// As for [`of`](Self::of); and while the result is used, the object lives and nobody changes its context but
    /// through shared references.
    pub(super) unsafe fn context<'a, T>(&'static self, object: WDFOBJECT) -> &'a T {
        // SAFETY: by the caller's promise.
        let context = unsafe { self.of::<T>(object) };
        // SAFETY: by the caller's promise.
        unsafe { &*context }
    }

    /// The context of this type in `object`.
    ///
    /// # Safety
    /// The object is alive and was created with such a context.
    pub(super) unsafe fn of<T>(&'static self, object: WDFOBJECT) -> *mut T {
        // SAFETY: a live object, by the caller's promise.
        unsafe {
            call_unsafe_wdf_function_binding!(WdfObjectGetTypedContextWorker, object, &raw const self.0)
        }
        .cast()
    }
}

/// A cleanup or destroy callback.
pub(super) type Event = unsafe extern "C" fn(WDFOBJECT);

/// The attributes of an object under `parent`.
pub(super) fn attributes(
    parent: &Parent,
    context: &'static ContextType,
    cleanup: Option<Event>,
    destroy: Option<Event>,
) -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size_field::<WDF_OBJECT_ATTRIBUTES>(),
        EvtCleanupCallback: cleanup,
        EvtDestroyCallback: destroy,
        ExecutionLevel: wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: wdk_sys::_WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        ParentObject: parent.0,
        ContextTypeInfo: &raw const context.0,
        ..WDF_OBJECT_ATTRIBUTES::default()
    }
}

/// Takes a reference.
///
/// # Safety
/// The object is alive.
pub(super) unsafe fn reference(object: WDFOBJECT) {
    // SAFETY: the caller's object is alive.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectReferenceActual,
            object,
            ptr::null_mut(),
            0,
            ptr::null_mut()
        );
    }
}

/// Gives a reference back.
///
/// # Safety
/// The caller has one, and does not afterwards.
pub(super) unsafe fn dereference(object: WDFOBJECT) {
    // SAFETY: the caller gives up a reference of its own.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectDereferenceActual,
            object,
            ptr::null_mut(),
            0,
            ptr::null_mut()
        );
    }
}
