//! A call of the driver into the framework, and back.
//!
//! The driver's pointers are trusted as a kernel trusts a driver: null is recognised where it matters, anything else is
//! the driver's contract. They are dereferenced in this file only (and in `io/` for buffers), by functions that copy;
//! what the rest of the runtime sees is values.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use wdk_sys::{NTSTATUS, PWDF_DRIVER_GLOBALS, WDF_OBJECT_ATTRIBUTES};

use crate::globals::Globals;
use crate::irql;
use crate::nt::print::log;
use crate::nt::{self, status};
use crate::object::attributes::{self, Attributes};
use crate::object::{self, AnyRef, Create, Kind, Ref};
use crate::stop::stop;

/// One call: which function, by which driver.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) globals: &'static Globals,
}

impl Call {
    /// Begins a call.
    pub(crate) fn enter(name: &'static str, globals: PWDF_DRIVER_GLOBALS) -> Self {
        match Globals::from_public(globals) {
            Some(globals) => Self { name, globals },
            None => crate::stop::halt(
                crate::stop::anonymous(),
                crate::stop::Code::Contract,
                format_args!("{name} called with driver globals that this loader did not give out"),
            ),
        }
    }

    /// The object behind a handle that must be of this type.
    pub(crate) fn get<T: Kind>(&self, handle: *mut impl Sized) -> Ref<T> {
        let any = self.any_named(handle, T::TYPE.name());
        let kind = any.kind();
        any.downcast().unwrap_or_else(|| {
            stop!(
                self.globals,
                Handle,
                "{}: handle {:#x} is a {}, a {} is expected",
                self.name,
                handle.addr(),
                kind.name(),
                T::TYPE.name()
            )
        })
    }

    /// The object behind a handle of any type.
    pub(crate) fn any(&self, handle: *mut impl Sized) -> AnyRef {
        self.any_named(handle, "WDFOBJECT")
    }

    fn any_named(&self, handle: *mut impl Sized, wanted: &str) -> AnyRef {
        AnyRef::from_handle(handle.addr())
            .unwrap_or_else(|bad| object::bad_handle(self.globals, self.name, handle.addr(), bad, wanted))
    }

    /// As [`Call::get`], where null is allowed.
    pub(crate) fn get_optional<T: Kind>(&self, handle: *mut impl Sized) -> Option<Ref<T>> {
        if handle.is_null() {
            None
        } else {
            Some(self.get(handle))
        }
    }

    /// The driver's WDFDRIVER; stops a driver that has not created it yet.
    pub(crate) fn driver(&self) -> AnyRef {
        match self.globals.root() {
            Some(driver) => driver,
            None => stop!(
                self.globals,
                Contract,
                "{} called before WdfDriverCreate",
                self.name
            ),
        }
    }

    /// Stops the driver unless the IRQL is PASSIVE_LEVEL.
    pub(crate) fn passive(&self) {
        irql::require_at_most(self.name, irql::PASSIVE);
    }

    /// Stops the driver unless the IRQL is at most DISPATCH_LEVEL.
    pub(crate) fn at_most_dispatch(&self) {
        irql::require_at_most(self.name, irql::DISPATCH);
    }

    /// Runs the body of a function that returns a status.
    #[allow(clippy::unused_self, reason = "reads as what it is: a part of this call")]
    pub(crate) fn run(&self, body: impl FnOnce() -> Result<(), NTSTATUS>) -> NTSTATUS {
        nt::to_status(body())
    }

    /// Copies a configuration structure whose first field is its `Size`.
    ///
    /// # Errors
    /// STATUS_INFO_LENGTH_MISMATCH if the size is not the structure's, as KMDF; STATUS_INVALID_PARAMETER for null.
    pub(crate) fn config<T: Copy>(&self, pointer: *const T) -> Result<T, NTSTATUS> {
        self.config_of(pointer, &[])
    }

    /// As [`Call::config`], for structures that grew: these smaller sizes are accepted too, and what they lack is zero.
    ///
    /// # Errors
    /// As [`Call::config`].
    pub(crate) fn config_of<T: Copy>(&self, pointer: *const T, older: &[usize]) -> Result<T, NTSTATUS> {
        let size: u32 = read(pointer.cast()).ok_or(status::INVALID_PARAMETER)?;
        let size = size as usize;
        if size != size_of::<T>() && !older.contains(&size) {
            log!(
                "{}: {}: Size is {size}, {} is expected",
                self.globals.name(),
                self.name,
                size_of::<T>()
            );
            return Err(status::INFO_LENGTH_MISMATCH);
        }
        let mut value = MaybeUninit::<T>::zeroed();
        copy(value.as_mut_ptr().cast(), pointer.cast(), size);
        // SAFETY: WDF's configuration structures are integers, pointers and optional functions: zero is valid, and
        // the rest is what the driver says.
        Ok(unsafe { value.assume_init() })
    }

    /// Checks the attributes.
    ///
    /// # Errors
    /// See [`attributes::check`].
    #[allow(clippy::unused_self, reason = "reads as what it is: a part of this call")]
    pub(crate) fn attributes(&self, pointer: *const WDF_OBJECT_ATTRIBUTES) -> Result<Attributes, NTSTATUS> {
        attributes::check(pointer)
    }

    /// The parent that the attributes name, or the WDFDRIVER.
    pub(crate) fn parent_or_driver(&self, attributes: &Attributes) -> AnyRef {
        self.parent(attributes).unwrap_or_else(|| self.driver())
    }

    /// The parent that the attributes name.
    pub(crate) fn parent(&self, attributes: &Attributes) -> Option<AnyRef> {
        let handle = core::ptr::without_provenance_mut::<c_void>(attributes.parent);
        if handle.is_null() {
            None
        } else {
            Some(self.any_named(handle, "parent object"))
        }
    }

    /// Creates an object under a parent.
    ///
    /// # Errors
    /// See [`object::create`].
    pub(crate) fn create<T: Kind>(
        &self,
        attributes: Attributes,
        parent: &AnyRef,
        body: T,
    ) -> Result<Ref<T>, NTSTATUS> {
        object::create(
            Create {
                globals: self.globals,
                attributes,
                parent: Some(parent),
            },
            body,
        )
    }

    /// Counts one allocation that the framework makes on the driver's behalf; an injected failure strikes here.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub(crate) fn may_allocate(&self) -> Result<(), NTSTATUS> {
        if self.globals.pool().may_allocate() {
            Ok(())
        } else {
            Err(status::INSUFFICIENT_RESOURCES)
        }
    }

    /// Stops the driver for a broken rule of this function.
    pub(crate) fn violation(&self, message: core::fmt::Arguments<'_>) -> ! {
        stop!(self.globals, Contract, "{}: {message}", self.name)
    }
}

/// Copies what a driver's pointer points to; `None` for null.
pub(crate) fn read<T: Copy>(pointer: *const T) -> Option<T> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null; the driver's contract is that it points to a `T`.
    Some(unsafe { pointer.read_unaligned() })
}

/// Writes through a driver's out pointer, unless it is null.
pub(crate) fn write<T>(pointer: *mut T, value: T) {
    if !pointer.is_null() {
        // SAFETY: not null; the driver's contract is that it points to room for a `T`.
        unsafe { pointer.write_unaligned(value) };
    }
}

/// The driver's bytes, for the duration of a call.
pub(crate) fn bytes<'a>(pointer: *const c_void, length: usize) -> &'a [u8] {
    if pointer.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: not null; the driver's contract is that `length` bytes can be read.
    unsafe { core::slice::from_raw_parts(pointer.cast(), length) }
}

/// Copies bytes from one place of the driver to another; they may overlap.
pub(crate) fn copy(to: *mut c_void, from: *const c_void, length: usize) {
    if length != 0 && !to.is_null() && !from.is_null() {
        // SAFETY: not null; the driver's contract, or the caller's check, is that both have `length` bytes.
        unsafe { core::ptr::copy(from.cast::<u8>(), to.cast::<u8>(), length) };
    }
}

/// Calls a callback of the driver and checks that it left the IRQL as it was.
macro_rules! callback {
    ($name:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        let before = $crate::nt::teb::word();
        // SAFETY: the driver supplied this function for this callback, of this type.
        let result = unsafe { $function($($argument),*) };
        $crate::irql::require_unchanged($name, before);
        result
    }};
}
pub(crate) use callback;

/// Declares functions of the framework's table by their own names:
///
/// ```ignore
/// wdf! {
///     /// WdfTimerGetParentObject. IRQL: any.
///     fn WdfTimerGetParentObject(call, timer: WDFTIMER) -> WDFOBJECT { … }
/// }
/// ```
///
/// The driver-globals parameter, which is every function's first, becomes `call`, a [`Call`].
macro_rules! wdf {
    ($($(#[$meta:meta])* fn $name:ident($call:ident $(, $argument:ident: $type:ty)* $(,)?) $(-> $result:ty)? $body:block)*) => {
        $(
            $(#[$meta])*
            pub(crate) extern "C" fn $name(
                globals: wdk_sys::PWDF_DRIVER_GLOBALS
                $(, $argument: $type)*
            ) $(-> $result)? {
                let $call = &$crate::call::Call::enter(stringify!($name), globals);
                $body
            }
        )*
    };
}
pub(crate) use wdf;
