//! The callback of a queue that was created with a timer.

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::BufferQueue;
use super::inner::Inner;
use crate::kernel::{Block, Shared};
use crate::slots::Slot;
use crate::{Buffer, Context, CreateError, Dispatch};

/// A callback, in pool memory of its own, behind function pointers.
///
/// # Invariants
/// `callback` holds a value of the type that `call` and `end` were made for, in the block that `_memory` keeps.
pub(crate) struct Expired {
    callback: NonNull<u8>,
    call: Call,
    end: unsafe fn(NonNull<u8>),
    _memory: Block,
}

/// What is called: the callback's place, the queue's inner part as `Shared::into_raw` gave it, and the slot.
type Call = unsafe fn(NonNull<u8>, NonNull<()>, Slot, &mut Dispatch);

// SAFETY: it holds a callback that is `Send` and `Sync`, by the bounds of what makes one.
unsafe impl Send for Expired {}
// SAFETY: as above.
unsafe impl Sync for Expired {}

impl Expired {
    /// For a queue with contexts `C`.
    pub(super) fn new<C: Context, F>(callback: F) -> Result<Self, CreateError>
    where
        F: for<'a> Fn(&'a BufferQueue<C>, Buffer<'a, C>, &mut Dispatch) + Send + Sync + 'static,
    {
        // SAFETY: `call` takes an `F`.
        unsafe { Self::with(callback, call::<C, F>) }
    }

    /// A callback that `call` takes the slot to.
    ///
    /// # Safety
    /// `call` expects an `F` in the callback's place.
    pub(crate) unsafe fn with<F: Send + Sync + 'static>(
        callback: F,
        call: Call,
    ) -> Result<Self, CreateError> {
        let memory = Block::zeroed(Layout::new::<F>()).ok_or(CreateError::OutOfMemory)?;
        let place = memory.start();
        // SAFETY: the block has an `F`'s size and alignment.
        unsafe { place.cast::<F>().write(callback) };
        Ok(Self {
            callback: place,
            call,
            end: end::<F>,
            _memory: memory,
        })
    }

    /// Calls it with the slot.
    ///
    /// # Safety
    /// `inner` is a share, kept by the caller, of the inner part that this was made for; the caller gives the slot up.
    pub(super) unsafe fn call(&self, inner: NonNull<()>, slot: Slot, dispatch: &mut Dispatch) {
        // SAFETY: by the invariant, and the caller's promise.
        unsafe { (self.call)(self.callback, inner, slot, dispatch) };
    }
}

impl Drop for Expired {
    fn drop(&mut self) {
        // SAFETY: by the invariant; dropped once, here.
        unsafe { (self.end)(self.callback) };
    }
}

/// # Safety
/// `callback` holds an `F`; `inner` is a share of an `Inner<C>` that the caller keeps; the slot is given up.
unsafe fn call<C: Context, F>(callback: NonNull<u8>, inner: NonNull<()>, slot: Slot, dispatch: &mut Dispatch)
where
    F: for<'a> Fn(&'a BufferQueue<C>, Buffer<'a, C>, &mut Dispatch),
{
    // SAFETY: by the caller's promise; lent to a handle that is not dropped.
    let inner = unsafe { Shared::<Inner<C>>::from_raw(inner) };
    let queue = ManuallyDrop::new(BufferQueue { inner });
    // SAFETY: by the caller's promise.
    let callback = unsafe { callback.cast::<F>().as_ref() };
    callback(&queue, queue.inner.buffer(slot), dispatch);
}

/// # Safety
/// `callback` holds an `F`, which is not used any more.
unsafe fn end<F>(callback: NonNull<u8>) {
    // SAFETY: by the caller's promise.
    unsafe { callback.cast::<F>().drop_in_place() };
}
