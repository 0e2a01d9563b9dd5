//! Calling the framework.

use core::ffi::CStr;
use core::marker::PhantomData;
use core::ptr;

use wdk_sys::{
    NT_SUCCESS, NTSTATUS, PCWDF_OBJECT_CONTEXT_TYPE_INFO, PVOID, ULONG, UNICODE_STRING,
    WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDFOBJECT,
};

/// Calls a function of the framework.
///
/// The call is not marked unsafe at each of its hundreds of places, since there would be one thing to say of them all.
/// Where a test breaks a rule it says so.
macro_rules! wdf {
    ($function:ident $(, $argument:expr)* $(,)?) => {
        // SAFETY: handles come from the framework and are alive, unless the test is about those that are not, which the
        // framework must tell; pointers are to locals and statics that outlive the call, or the object that keeps them.
        unsafe { wdk_sys::call_unsafe_wdf_function_binding!($function $(, $argument)*) }
    };
}

/// The `Size` field of a framework structure.
#[expect(
    clippy::cast_possible_truncation,
    reason = "framework structures are some hundred bytes at most"
)]
pub(crate) const fn size_field<T>() -> ULONG {
    size_of::<T>() as ULONG
}

/// A status as a result.
pub(crate) const fn ok(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if NT_SUCCESS(status) { Ok(()) } else { Err(status) }
}

/// Object attributes as `WDF_OBJECT_ATTRIBUTES_INIT` makes them.
pub(crate) fn attributes() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size_field::<WDF_OBJECT_ATTRIBUTES>(),
        ExecutionLevel: wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: wdk_sys::_WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        ..WDF_OBJECT_ATTRIBUTES::default()
    }
}

/// Attributes with a parent.
pub(crate) fn child_of<T>(parent: *mut T) -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        ParentObject: parent.cast(),
        ..attributes()
    }
}

/// Deletes an object.
pub(crate) fn delete<T>(object: *mut T) {
    wdf!(WdfObjectDelete, object.cast());
}

/// Takes a reference to an object.
pub(crate) fn reference<T>(object: *mut T) {
    wdf!(
        WdfObjectReferenceActual,
        object.cast(),
        ptr::null_mut(),
        0,
        ptr::null_mut()
    );
}

/// Gives a reference back.
pub(crate) fn dereference<T>(object: *mut T) {
    wdf!(
        WdfObjectDereferenceActual,
        object.cast(),
        ptr::null_mut(),
        0,
        ptr::null_mut()
    );
}

/// Nonpaged pool; null if there is none.
pub(crate) fn allocate(bytes: usize, tag: u32) -> PVOID {
    // Two of the bindings' modules have it under its name.
    const POOL_FLAG_NON_PAGED: wdk_sys::POOL_FLAGS = 0x40;
    // SAFETY: a plain allocation; the IRQL is at most DISPATCH_LEVEL everywhere in this driver.
    unsafe { wdk_sys::ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes as wdk_sys::SIZE_T, tag) }
}

/// A general object.
pub(crate) fn object(mut attributes: WDF_OBJECT_ATTRIBUTES) -> Result<WDFOBJECT, NTSTATUS> {
    let mut object: WDFOBJECT = ptr::null_mut();
    ok(wdf!(WdfObjectCreate, &raw mut attributes, &raw mut object))?;
    Ok(object)
}

/// An object that is deleted at the end of a case, however the case ends.
pub(crate) struct Owned<T>(pub(crate) *mut T);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        delete(self.0);
    }
}

/// What may lie in a context.
///
/// # Safety
/// All zero bytes are a value of the type.
pub(crate) unsafe trait Zeroed: Sync + 'static {}

/// The type of an object's context.
#[repr(transparent)]
pub(crate) struct ContextType<T>(WDF_OBJECT_CONTEXT_TYPE_INFO, PhantomData<T>);

// SAFETY: it is only read, by this driver and by the framework.
unsafe impl<T> Sync for ContextType<T> {}

impl<T: Zeroed> ContextType<T> {
    /// The type information; `itself` is the static that it initialises, whose address tells types apart.
    pub(crate) const fn new(name: &'static CStr, itself: &'static Self) -> Self {
        const { assert!(align_of::<T>() <= 16) };
        Self(
            WDF_OBJECT_CONTEXT_TYPE_INFO {
                Size: size_field::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
                ContextName: name.as_ptr().cast_mut(),
                ContextSize: size_of::<T>(),
                UniqueType: ptr::from_ref(itself).cast(),
                EvtDriverGetUniqueContextType: None,
            },
            PhantomData,
        )
    }

    /// As the framework takes it.
    pub(crate) const fn info(&'static self) -> PCWDF_OBJECT_CONTEXT_TYPE_INFO {
        &raw const self.0
    }

    /// Attributes that ask for such a context.
    pub(crate) fn attributes(&'static self) -> WDF_OBJECT_ATTRIBUTES {
        WDF_OBJECT_ATTRIBUTES {
            ContextTypeInfo: self.info(),
            ..attributes()
        }
    }

    /// Where an object's context of this type is; null if it has none.
    pub(crate) fn find<O>(&'static self, object: *mut O) -> *mut T {
        let context: PVOID = wdf!(WdfObjectGetTypedContextWorker, object.cast(), self.info());
        context.cast()
    }

    /// An object's context of this type, which it must have.
    pub(crate) fn of<'a, O>(&'static self, object: *mut O) -> &'a T {
        let context = self.find(object);
        // SAFETY: the framework zeroes a context, which is a value of the type, and it is only ever shared. Every caller
        // asks an object that it created with this type, and is done with the context before it lets the object go.
        unsafe { context.as_ref() }.expect("the object was created with this context")
    }
}

/// A UTF-16 literal: an array without a NUL.
macro_rules! utf16 {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const UNITS: [u16; TEXT.len()] = $crate::wdf::utf16(TEXT);
        UNITS
    }};
}

/// ASCII as UTF-16.
pub(crate) const fn utf16<const N: usize>(text: &str) -> [u16; N] {
    let bytes = text.as_bytes();
    assert!(bytes.len() == N, "ASCII only");
    let mut units = [0; N];
    let mut at = 0;
    while at < N {
        units[at] = bytes[at] as u16;
        at += 1;
    }
    units
}

/// A counted string over `units`, which it must not outlive.
#[expect(clippy::cast_possible_truncation, reason = "the driver's own short literals")]
pub(crate) const fn unicode_string(units: &[u16]) -> UNICODE_STRING {
    let bytes = size_of_val(units) as u16;
    UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: units.as_ptr().cast_mut(),
    }
}

/// The text of a counted string.
pub(crate) fn text(string: &UNICODE_STRING) -> alloc::string::String {
    if string.Buffer.is_null() {
        return alloc::string::String::new();
    }
    // SAFETY: the framework, or the caller, says that so many bytes are there.
    let units = unsafe { core::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2) };
    alloc::string::String::from_utf16_lossy(units)
}

/// What wdfstatus.h adds to the statuses of the system.
pub(crate) mod status {
    use wdk_sys::NTSTATUS;

    pub(crate) const OBJECT_ATTRIBUTES_INVALID: NTSTATUS = 0xC020_0209_u32.cast_signed();
    pub(crate) const SYNCHRONIZATION_SCOPE_INVALID: NTSTATUS = 0xC020_0210_u32.cast_signed();
    pub(crate) const EXECUTION_LEVEL_INVALID: NTSTATUS = 0xC020_0211_u32.cast_signed();
    pub(crate) const PARENT_NOT_SPECIFIED: NTSTATUS = 0xC020_0212_u32.cast_signed();
}
