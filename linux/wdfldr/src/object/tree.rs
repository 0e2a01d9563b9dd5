//! Parents, children, and the order of deletion.
//!
//! KMDF's order, which drivers rely on: an object's children are disposed of before it (depth first, oldest first),
//! its EvtCleanupCallback comes after theirs; only then are references released, again children first, and each object
//! is destroyed when its last reference goes: at once, or later by whoever still holds one. A parent does not wait for
//! a referenced child. No lock is held across callbacks.

use alloc::collections::BTreeMap;
use core::mem;
use core::ops::Bound;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use wdk_sys::NTSTATUS;

use super::{AnyRef, Header, State, Type};
use crate::irql;
use crate::nt::{status, workers};
use crate::stop::stop;

/// An object's place among the others.
#[derive(Default)]
pub(super) struct Tree {
    /// The parent's handle (it may be gone) and our number among its children.
    parent: Option<(usize, u64)>,
    /// Each child's creation reference, in the order of birth.
    children: BTreeMap<u64, AnyRef>,
    next_child: u64,
}

/// Gives a new object to its parent.
///
/// # Errors
/// STATUS_DELETE_PENDING if the parent's deletion has begun.
pub(super) fn adopt(parent: &AnyRef, child: AnyRef) -> Result<(), NTSTATUS> {
    let mut tree = parent.tree.lock();
    if parent.state() > State::Live {
        return Err(status::DELETE_PENDING);
    }
    let number = tree.next_child;
    tree.next_child += 1;
    child.tree.lock().parent = Some((parent.handle, number));
    tree.children.insert(number, child);
    Ok(())
}

/// The parent, if there is one and it still exists.
pub(crate) fn parent(object: &Header) -> Option<AnyRef> {
    let (handle, _) = object.tree.lock().parent?;
    AnyRef::from_handle(handle).ok()
}

/// The nearest object of this type: the object itself or an ancestor.
pub(crate) fn ancestor<T: super::Kind>(object: &AnyRef) -> Option<super::Ref<T>> {
    let mut at = object.clone();
    loop {
        let up = parent(&at);
        if let Some(found) = at.downcast() {
            return Some(found);
        }
        at = up?;
    }
}

/// Takes a child out of its parent's hands. `None`: the parent is being deleted and will see to the child itself, or
/// the child has no parent.
fn emancipate(object: &AnyRef) -> Option<AnyRef> {
    let (parent, number) = object.tree.lock().parent?;
    let parent = AnyRef::from_handle(parent).ok()?;
    let mut tree = parent.tree.lock();
    if parent.state() > State::Live {
        return None;
    }
    let creation = tree.children.remove(&number);
    drop(tree);
    object.tree.lock().parent = None;
    creation
}

/// See [`super::delete`].
pub(super) fn delete(object: AnyRef) {
    if object.deleted.swap(1, Ordering::AcqRel) != 0 {
        if object.state() == State::Live || tree_is_root(&object) {
            stop!(
                object.globals,
                Contract,
                "{} {:#x} is deleted twice",
                object.kind.name(),
                object.handle
            );
        }
        return;
    }
    if irql::current() > irql::PASSIVE && must_be_passive(&object) {
        let globals = object.globals;
        if workers::run(move || delete_now(&object)).is_err() {
            stop!(globals, Internal, "no worker thread for a deferred delete");
        }
        return;
    }
    delete_now(&object);
}

fn tree_is_root(object: &AnyRef) -> bool {
    object.tree.lock().parent.is_none()
}

/// Whether the disposal of this object or of one below it may wait.
fn must_be_passive(object: &AnyRef) -> bool {
    object.vtable.passive_dispose || snapshot(object).iter().any(must_be_passive)
}

fn snapshot(object: &Header) -> alloc::vec::Vec<AnyRef> {
    object.tree.lock().children.values().cloned().collect()
}

fn delete_now(object: &AnyRef) {
    let creation = if object.kind == Type::Driver {
        object.globals.take_root()
    } else {
        emancipate(object)
    };
    if creation.is_none() {
        return;
    }
    dispose(object);
    release_children(object);
    drop(creation);
}

/// The first pass.
fn dispose(object: &AnyRef) {
    {
        // Under the lock, so that `adopt` and `emancipate` see either the old state or none of the walk.
        let _tree = object.tree.lock();
        if !object.advance(State::Live, State::Disposing)
            && !object.advance(State::Building, State::Disposing)
        {
            return;
        }
    }
    object.deleted.store(1, Ordering::Release);
    (object.vtable.before_children)(object);
    let mut after = Bound::Unbounded;
    loop {
        let next = {
            let tree = object.tree.lock();
            tree.children
                .range((after, Bound::Unbounded))
                .next()
                .map(|(number, child)| (*number, child.clone()))
        };
        let Some((number, child)) = next else { break };
        dispose(&child);
        after = Bound::Excluded(number);
    }
    (object.vtable.dispose)(object);
    object.contexts.cleanup(object);
    object.advance(State::Disposing, State::Disposed);
}

/// The second pass: gives up the children's creation references, depth first.
fn release_children(object: &Header) {
    let children = mem::take(&mut object.tree.lock().children);
    for child in children.into_values() {
        child.tree.lock().parent = None;
        release_children(&child);
        drop(child);
    }
}

/// What the last reference does: EvtDestroyCallback, then the memory. An object that was never shown to the driver goes
/// without callbacks.
pub(super) fn destroy(object: NonNull<Header>) {
    // SAFETY: the last reference was just given up to us, so nobody frees it but this function.
    let header = unsafe { object.as_ref() };
    let globals = header.globals;
    if header.state() != State::Building {
        // The handle stays good for the callbacks; the count of one stands for us.
        let this = mem::ManuallyDrop::new(AnyRef(object));
        header.contexts.cleanup(&this);
        header.contexts.destroy(&this);
    }
    release_children(header);
    let (kind, handle) = (header.kind, header.handle);
    if !header.slot.retire(handle) {
        stop!(
            globals,
            Contract,
            "{} {handle:#x} was referenced while it was destroyed",
            kind.name()
        );
    }
    let free = header.vtable.free;
    // SAFETY: the handle is retired and the count is zero: nobody else can reach the object.
    unsafe { free(object) };
    globals.object_destroyed(kind);
}
