//! The object model: what every WDF object has, whatever its type.
//!
//! An object is a [`Header`] followed by a body of some [`Kind`]. [`Ref`] and [`AnyRef`] are counted references to it;
//! [`crate::call::Call::get`] turns a driver's handle into one. The creation reference is held by the parent (or, for a
//! WDFDRIVER, by the driver's globals), so an object lives until it is deleted, by itself or with its parent, *and*
//! all other references are gone.
//!
//! Deletion has two passes, as in KMDF (see [`tree`]): dispose (children first, then the kind's own
//! [`Kind::dispose`], then EvtCleanupCallback) and release (children first; the last reference runs EvtDestroyCallback
//! and frees).

pub(crate) mod api;
pub(crate) mod attributes;
pub(crate) mod context;
pub(crate) mod handle;
pub(crate) mod tree;

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use wdk_sys::NTSTATUS;

use crate::globals::Globals;
use crate::nt::status;
use crate::nt::sync::Lock;
use crate::stop::stop;
use attributes::Attributes;
use context::Contexts;
use handle::Slot;
use tree::Tree;

/// The types of objects, for handle checks and for leak accounting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Type {
    Driver,
    Device,
    Queue,
    Request,
    FileObject,
    WorkItem,
    Timer,
    Dpc,
    SpinLock,
    WaitLock,
    Memory,
    Lookaside,
    Key,
    String,
    Collection,
    Object,
    ResourceList,
    IoTarget,
}

impl Type {
    /// How many types there are.
    pub(crate) const COUNT: usize = Self::IoTarget as usize + 1;

    /// The handle type's name in wdf.h, by [`Type`]'s number.
    pub(crate) const NAMES: [&'static str; Self::COUNT] = [
        "WDFDRIVER",
        "WDFDEVICE",
        "WDFQUEUE",
        "WDFREQUEST",
        "WDFFILEOBJECT",
        "WDFWORKITEM",
        "WDFTIMER",
        "WDFDPC",
        "WDFSPINLOCK",
        "WDFWAITLOCK",
        "WDFMEMORY",
        "WDFLOOKASIDE",
        "WDFKEY",
        "WDFSTRING",
        "WDFCOLLECTION",
        "WDFOBJECT",
        "WDFCMRESLIST",
        "WDFIOTARGET",
    ];

    pub(crate) const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What an object's body supplies to the object model.
pub(crate) trait Kind: Send + Sync + Sized + 'static {
    /// The type of its handle.
    const TYPE: Type;
    /// Whether its disposal may wait, so that a delete at DISPATCH_LEVEL is deferred to a worker thread.
    const PASSIVE_DISPOSE: bool = false;

    /// The first thing of a deletion, before the children are disposed of.
    fn before_children(_this: &Ref<Self>) {}

    /// Stops what the object does on its own, before EvtCleanupCallback. Its children are disposed of already.
    fn dispose(_this: &Ref<Self>) {}
}

/// How far an object's deletion is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
enum State {
    /// Made, but not yet shown to the driver: a failed create undoes it without callbacks.
    Building,
    Live,
    Disposing,
    Disposed,
}

/// What precedes every object's body.
#[repr(C)]
pub(crate) struct Header {
    handle: usize,
    slot: &'static Slot,
    kind: Type,
    globals: &'static Globals,
    vtable: &'static Vtable,
    state: AtomicU8,
    /// WdfObjectDelete was called or the parent is deleted.
    deleted: AtomicU8,
    /// WdfObjectReference minus WdfObjectDereference.
    client_references: AtomicU32,
    tree: Lock<Tree>,
    contexts: Contexts,
}

struct Vtable {
    passive_dispose: bool,
    before_children: fn(&AnyRef),
    dispose: fn(&AnyRef),
    free: unsafe fn(NonNull<Header>),
}

#[repr(C)]
struct Object<T> {
    header: Header,
    body: T,
}

impl<T: Kind> Object<T> {
    const VTABLE: Vtable = Vtable {
        passive_dispose: T::PASSIVE_DISPOSE,
        before_children: |any| {
            if let Some(this) = any.clone().downcast::<T>() {
                T::before_children(&this);
            }
        },
        dispose: |any| {
            if let Some(this) = any.clone().downcast::<T>() {
                T::dispose(&this);
            }
        },
        free: |header| {
            // SAFETY: the vtable belongs to the object's own type, and the caller has the last reference.
            drop(unsafe { Box::from_raw(header.as_ptr().cast::<Self>()) });
        },
    };
}

/// A counted reference to an object of any type.
pub(crate) struct AnyRef(NonNull<Header>);

// SAFETY: headers are Sync, bodies are Send and Sync by `Kind`.
unsafe impl Send for AnyRef {}
// SAFETY: as above.
unsafe impl Sync for AnyRef {}

impl Deref for AnyRef {
    type Target = Header;
    fn deref(&self) -> &Header {
        // SAFETY: the reference keeps the object alive.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for AnyRef {
    fn clone(&self) -> Self {
        self.slot.reference();
        Self(self.0)
    }
}

impl Drop for AnyRef {
    fn drop(&mut self) {
        if self.slot.release() {
            tree::destroy(self.0);
        }
    }
}

impl AnyRef {
    /// Takes a reference through a handle.
    pub(crate) fn from_handle(handle: usize) -> Result<Self, handle::Bad> {
        handle::acquire(handle).map(Self)
    }

    /// The typed reference, if the type is this one.
    pub(crate) fn downcast<T: Kind>(self) -> Option<Ref<T>> {
        if self.kind == T::TYPE {
            Some(Ref {
                any: self,
                body: PhantomData,
            })
        } else {
            None
        }
    }
}

/// A counted reference to an object whose body is a `T`; dereferences to the body.
pub(crate) struct Ref<T: Kind> {
    any: AnyRef,
    body: PhantomData<T>,
}

impl<T: Kind> Deref for Ref<T> {
    type Target = T;
    fn deref(&self) -> &T {
        let object = self.any.0.cast::<Object<T>>();
        // SAFETY: the type was checked when the reference was made, and the reference keeps the object alive.
        unsafe { &object.as_ref().body }
    }
}

impl<T: Kind> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self {
            any: self.any.clone(),
            body: PhantomData,
        }
    }
}

impl<T: Kind> Ref<T> {
    pub(crate) fn header(&self) -> &Header {
        &self.any
    }

    pub(crate) fn any(&self) -> &AnyRef {
        &self.any
    }

    pub(crate) fn into_any(self) -> AnyRef {
        self.any
    }

    /// Leaks this reference; it is given back with [`Ref::from_context`]. For contexts of NT callbacks.
    pub(crate) fn into_context(self) -> *mut core::ffi::c_void {
        ManuallyDrop::new(self).any.0.as_ptr().cast()
    }

    /// # Safety
    /// The context came from [`Ref::into_context`] of a `Ref<T>` and is given back once.
    pub(crate) unsafe fn from_context(context: *mut core::ffi::c_void) -> Option<Self> {
        NonNull::new(context.cast()).map(|header| Self {
            any: AnyRef(header),
            body: PhantomData,
        })
    }
}

impl Header {
    pub(crate) fn kind(&self) -> Type {
        self.kind
    }

    pub(crate) fn globals(&self) -> &'static Globals {
        self.globals
    }

    /// The handle as a number.
    pub(crate) fn raw_handle(&self) -> usize {
        self.handle
    }

    /// The handle as the driver knows it: `WDFDEVICE`, `WDFOBJECT`, … are all opaque pointers.
    pub(crate) fn handle<H>(&self) -> *mut H {
        core::ptr::without_provenance_mut(self.handle)
    }

    pub(crate) fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// Whether deletion has begun.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire) != 0
    }

    /// Notes one `WdfObjectReference`.
    pub(crate) fn client_reference(&self) {
        self.slot.reference();
        self.client_references.fetch_add(1, Ordering::Relaxed);
    }

    /// Undoes one `WdfObjectReference`; false if there is none to undo.
    pub(crate) fn client_dereference(&self) -> bool {
        let undone = self
            .client_references
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1))
            .is_ok();
        if undone {
            drop(AnyRef(NonNull::from(self)));
        }
        undone
    }

    fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Building,
            1 => State::Live,
            2 => State::Disposing,
            _ => State::Disposed,
        }
    }

    fn advance(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// Where a new object is put in the tree, and with what attributes.
pub(crate) struct Create<'a> {
    pub(crate) globals: &'static Globals,
    /// The driver's attributes as [`attributes::check`] gave them.
    pub(crate) attributes: Attributes,
    /// The parent; `None` for a WDFDRIVER only.
    pub(crate) parent: Option<&'a AnyRef>,
}

/// Makes an object: allocates (countably: an injected failure strikes here), attaches the context and the parent.
///
/// # Errors
/// STATUS_INSUFFICIENT_RESOURCES; STATUS_DELETE_PENDING if the parent is being deleted.
pub(crate) fn create<T: Kind>(how: Create<'_>, body: T) -> Result<Ref<T>, NTSTATUS> {
    create_with(how, |_| Ok(body))
}

/// As [`create`], for a body that has to know its own handle or owner.
pub(crate) fn create_with<T: Kind>(
    how: Create<'_>,
    body: impl FnOnce(usize) -> Result<T, NTSTATUS>,
) -> Result<Ref<T>, NTSTATUS> {
    let globals = how.globals;
    if !globals.pool().may_allocate() {
        return Err(status::INSUFFICIENT_RESOURCES);
    }
    let (handle, slot) = handle::reserve().ok_or(status::INSUFFICIENT_RESOURCES)?;
    let body = match body(handle) {
        Ok(body) => body,
        Err(status) => {
            slot.retire(handle);
            return Err(status);
        }
    };
    let object = Box::new(Object {
        header: Header {
            handle,
            slot,
            kind: T::TYPE,
            globals,
            vtable: &Object::<T>::VTABLE,
            state: AtomicU8::new(State::Building as u8),
            deleted: AtomicU8::new(0),
            client_references: AtomicU32::new(0),
            tree: Lock::new(Tree::default()),
            contexts: Contexts::new(),
        },
        body,
    });
    let header = NonNull::from(Box::leak(object)).cast::<Header>();
    slot.publish(header);
    globals.object_created(T::TYPE);
    let creation = AnyRef(header);
    if how.attributes.has_context_or_callbacks() {
        // On failure dropping `creation` frees the object without callbacks: it is still Building.
        creation.contexts.attach_first(handle, &how.attributes)?;
    }
    let reference = creation.clone();
    match how.parent {
        Some(parent) => tree::adopt(parent, creation)?,
        None => globals.keep_root(creation),
    }
    // Fails only if the parent was deleted meanwhile, and this with it; the driver learns that soon enough.
    reference.advance(State::Building, State::Live);
    Ok(Ref {
        any: reference,
        body: PhantomData,
    })
}

/// Deletes an object, as `WdfObjectDelete` does. At DISPATCH_LEVEL it is deferred if the disposal may wait.
pub(crate) fn delete(object: AnyRef) {
    tree::delete(object);
}

/// Stops the driver because of a handle.
pub(crate) fn bad_handle(
    globals: &Globals,
    function: &str,
    handle: usize,
    bad: handle::Bad,
    wanted: &str,
) -> ! {
    match bad {
        handle::Bad::NeverOne => {
            stop!(
                globals,
                Handle,
                "{function}: {handle:#x} is no handle (a {wanted} is expected)"
            )
        }
        handle::Bad::Deleted => {
            stop!(
                globals,
                Handle,
                "{function}: handle {handle:#x} was deleted (a {wanted} is expected)"
            )
        }
    }
}
