//! Typed contexts: the driver's own data in an object, several per object, each found by its type's address.
//!
//! A context's address has nothing to do with the handle. The list only grows while the object lives, so a look-up,
//! which is what every callback of a driver begins with, takes no lock.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::boxed::Box;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use wdk_sys::{
    NTSTATUS, PFN_WDF_OBJECT_CONTEXT_CLEANUP, PFN_WDF_OBJECT_CONTEXT_DESTROY, WDF_OBJECT_CONTEXT_TYPE_INFO,
};

use super::AnyRef;
use super::attributes::Attributes;
use crate::call::callback;
use crate::nt::status;
use crate::nt::sync::Lock;

/// `MEMORY_ALLOCATION_ALIGNMENT`: what a context's address is a multiple of.
const ALIGNMENT: usize = 16;

/// What precedes a context's data, so that `WdfObjectContextGetObject` finds the way back.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Prefix {
    magic: usize,
    handle: usize,
}

const MAGIC: usize = usize::from_le_bytes(*b"WDFCNTXT");

/// The object whose context this is; `None` for another address.
pub(super) fn owner(data: *mut c_void) -> Option<wdk_sys::WDFOBJECT> {
    if data.is_null() || !data.addr().is_multiple_of(ALIGNMENT) {
        return None;
    }
    let prefix = crate::call::read(data.cast_const().cast::<Prefix>().wrapping_sub(1))?;
    (prefix.magic == MAGIC).then(|| ptr::without_provenance_mut(prefix.handle))
}

struct Context {
    next: AtomicPtr<Self>,
    /// Identity of the type: the address of its one type information. Null for callbacks without a context.
    of_type: *const WDF_OBJECT_CONTEXT_TYPE_INFO,
    cleanup: PFN_WDF_OBJECT_CONTEXT_CLEANUP,
    cleaned: AtomicBool,
    destroy: PFN_WDF_OBJECT_CONTEXT_DESTROY,
    /// Behind its [`Prefix`].
    data: *mut c_void,
    layout: Layout,
}

impl Drop for Context {
    fn drop(&mut self) {
        let start = self.data.cast::<Prefix>().wrapping_sub(1);
        // SAFETY: allocated with this layout in `Context::new`.
        unsafe { dealloc(start.cast(), self.layout) };
    }
}

impl Context {
    fn new(handle: usize, attributes: &Attributes) -> Result<Box<Self>, NTSTATUS> {
        let size = attributes
            .context_size
            .checked_add(size_of::<Prefix>())
            .ok_or(status::INTEGER_OVERFLOW)?;
        let layout = Layout::from_size_align(size, ALIGNMENT).map_err(|_| status::INTEGER_OVERFLOW)?;
        // SAFETY: the size is not zero.
        let start = unsafe { alloc_zeroed(layout) }.cast::<c_void>().cast::<Prefix>();
        if start.is_null() {
            return Err(status::INSUFFICIENT_RESOURCES);
        }
        // SAFETY: just allocated, large enough and aligned.
        unsafe { start.write(Prefix { magic: MAGIC, handle }) };
        let data = start.wrapping_add(1).cast::<c_void>();
        Ok(Box::new(Self {
            next: AtomicPtr::new(ptr::null_mut()),
            of_type: unique(attributes.context_type),
            cleanup: attributes.cleanup,
            cleaned: AtomicBool::new(false),
            destroy: attributes.destroy,
            data,
            layout,
        }))
    }
}

/// `WDF_GET_CONTEXT_TYPE_INFO`'s identity: the type's `UniqueType`, which is the address of the one definition when
/// several modules of a driver define the type.
fn unique(info: *const WDF_OBJECT_CONTEXT_TYPE_INFO) -> *const WDF_OBJECT_CONTEXT_TYPE_INFO {
    match crate::call::read(info) {
        Some(value) if !value.UniqueType.is_null() => value.UniqueType,
        _ => info,
    }
}

/// The contexts of one object.
pub(crate) struct Contexts {
    first: AtomicPtr<Context>,
    /// Taken to add one.
    adding: Lock<()>,
}

impl Contexts {
    pub(super) const fn new() -> Self {
        Self {
            first: AtomicPtr::new(ptr::null_mut()),
            adding: Lock::new(()),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Context> {
        let mut at = self.first.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: contexts are freed only with the object, which `self` borrows from.
            let context: &Context = unsafe { at.as_ref() }?;
            at = context.next.load(Ordering::Acquire);
            Some(context)
        })
    }

    /// `WdfObjectGetTypedContextWorker`: null if there is none of this type.
    pub(crate) fn find(&self, info: *const WDF_OBJECT_CONTEXT_TYPE_INFO) -> *mut c_void {
        let wanted = unique(info);
        self.iter()
            .find(|context| ptr::eq(context.of_type, wanted) && !wanted.is_null())
            .map_or(ptr::null_mut(), |context| context.data)
    }

    /// Attaches what the object was created with.
    pub(super) fn attach_first(&self, handle: usize, attributes: &Attributes) -> Result<(), NTSTATUS> {
        let context = Context::new(handle, attributes)?;
        self.append(context);
        Ok(())
    }

    /// `WdfObjectAllocateContext`: the context, and whether it is new (else the one that there was, with
    /// STATUS_OBJECT_NAME_EXISTS).
    pub(crate) fn attach(
        &self,
        handle: usize,
        attributes: &Attributes,
    ) -> Result<(*mut c_void, bool), NTSTATUS> {
        let context = Context::new(handle, attributes)?;
        let _adding = self.adding.lock();
        let present = self.find(attributes.context_type);
        if !present.is_null() {
            return Ok((present, false));
        }
        let data = context.data;
        self.append(context);
        Ok((data, true))
    }

    fn append(&self, context: Box<Context>) {
        let new = Box::into_raw(context);
        let last = self.iter().last().map_or(&self.first, |context| &context.next);
        last.store(new, Ordering::Release);
    }

    /// Runs each EvtCleanupCallback that has not run.
    pub(super) fn cleanup(&self, object: &AnyRef) {
        for context in self.iter() {
            if context.cleaned.swap(true, Ordering::AcqRel) {
                continue;
            }
            if let Some(cleanup) = context.cleanup {
                callback!("EvtCleanupCallback", cleanup(object.handle()));
            }
        }
    }

    /// Runs each EvtDestroyCallback; the object is freed afterwards.
    pub(super) fn destroy(&self, object: &AnyRef) {
        for context in self.iter() {
            if let Some(destroy) = context.destroy {
                callback!("EvtDestroyCallback", destroy(object.handle()));
            }
        }
    }
}

impl Drop for Contexts {
    fn drop(&mut self) {
        let mut at = *self.first.get_mut();
        while !at.is_null() {
            // SAFETY: made by `append`, and dropped here only.
            let context = unsafe { Box::from_raw(at) };
            at = context.next.load(Ordering::Relaxed);
        }
    }
}

// SAFETY: the type information is constant and the data is the driver's, which synchronises its own use.
unsafe impl Send for Contexts {}
// SAFETY: as above.
unsafe impl Sync for Contexts {}
