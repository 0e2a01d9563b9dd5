//! Rust values in the context memory of framework objects.
//!
//! The framework zeroes a context, and frees it after the object's last reference; it knows nothing of Rust's drops. A
//! [`Cell`] is a place that is empty when it is all zero, so that a context is valid from its first moment, filled once
//! and emptied once.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use wdk_sys::{
    PCWDF_OBJECT_CONTEXT_TYPE_INFO, ULONG, WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDFOBJECT,
    call_unsafe_wdf_function_binding,
};

/// The `Size` field of a framework structure, which the framework compares with its own idea.
#[expect(
    clippy::cast_possible_truncation,
    reason = "framework structures are some hundred bytes at most"
)]
pub(crate) const fn size_field<T>() -> ULONG {
    size_of::<T>() as ULONG
}

/// A context type: what the framework tells objects' contexts apart by.
#[repr(transparent)]
pub(crate) struct ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO);

// SAFETY: it is only read, by this driver and by the framework.
unsafe impl Sync for ContextType {}

impl ContextType {
    /// The type information for a context of type `T`; `itself` is the address of the static that it initialises.
    pub(crate) const fn new<T>(name: &'static core::ffi::CStr, itself: &'static Self) -> Self {
        // What the pool, and so the framework, guarantees on 64-bit Windows.
        const { assert!(align_of::<T>() <= 16) };
        Self(WDF_OBJECT_CONTEXT_TYPE_INFO {
            Size: size_field::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
            ContextName: name.as_ptr().cast_mut(),
            ContextSize: size_of::<T>(),
            UniqueType: ptr::from_ref(itself).cast(),
            EvtDriverGetUniqueContextType: None,
        })
    }

    const fn info(&'static self) -> PCWDF_OBJECT_CONTEXT_TYPE_INFO {
        &raw const self.0
    }
}

/// A type that lies in the context of a framework object.
///
/// # Safety
/// All zero bytes are a value of the type. `TYPE` was made by [`ContextType::new`] for this very type, and is used for
/// no other.
pub(crate) unsafe trait Context: Sized + Sync + 'static {
    /// The type's identity.
    const TYPE: &'static ContextType;

    /// Object attributes that ask for such a context; the rest is as `WDF_OBJECT_ATTRIBUTES_INIT` has it.
    fn attributes() -> WDF_OBJECT_ATTRIBUTES {
        WDF_OBJECT_ATTRIBUTES {
            ContextTypeInfo: Self::TYPE.info(),
            ..attributes()
        }
    }

    /// The context of an object.
    ///
    /// # Safety
    /// The object is alive, for as long as the result is used, and was created with [`Context::attributes`].
    unsafe fn of<'a>(object: WDFOBJECT) -> &'a Self {
        let info = Self::TYPE.info();
        // SAFETY: a live object, by the caller's promise.
        let context =
            unsafe { call_unsafe_wdf_function_binding!(WdfObjectGetTypedContextWorker, object, info) };
        // SAFETY: the object has a context of this type, zeroed when it was made, and it is only ever shared.
        unsafe { &*context.cast::<Self>() }
    }
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

/// A place for one value, empty when all zero.
pub(crate) struct Cell<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

const EMPTY: u8 = 0;
const FILLING: u8 = 1;
const FULL: u8 = 2;
const TAKEN: u8 = 3;

// SAFETY: shared access to the cell gives shared access to the value, and may move it to another thread.
unsafe impl<T: Send + Sync> Sync for Cell<T> {}

impl<T> Cell<T> {
    /// Fills an empty cell. The value comes back if it was not empty.
    pub(crate) fn put(&self, value: T) -> Result<(), T> {
        if self
            .state
            .compare_exchange(EMPTY, FILLING, Acquire, Relaxed)
            .is_err()
        {
            return Err(value);
        }
        // SAFETY: the state makes this the only access to the value.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(FULL, Release);
        Ok(())
    }

    /// The value, if there is one.
    ///
    /// # Safety
    /// Nobody takes it while the result is used.
    pub(crate) unsafe fn get(&self) -> Option<&T> {
        if self.state.load(Acquire) != FULL {
            return None;
        }
        // SAFETY: the cell is full, and stays so by the caller's promise.
        let value = unsafe { &*self.value.get() };
        // SAFETY: a full cell holds an initialised value.
        Some(unsafe { value.assume_init_ref() })
    }

    /// Takes the value, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        self.state.compare_exchange(FULL, TAKEN, AcqRel, Relaxed).ok()?;
        // SAFETY: the state makes this the only access to the value from now on.
        let value = unsafe { &*self.value.get() };
        // SAFETY: the cell was full, and the value is read this once.
        Some(unsafe { value.assume_init_read() })
    }
}
