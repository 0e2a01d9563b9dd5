//! The client's callback behind function pointers, so that a task is one type whatever it runs.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Cause, TaskResult};
use crate::kernel::Block;
use crate::{CreateError, Passive};

/// A callback, in pool memory of its own.
///
/// # Invariants
/// `place` holds a value of the type that `call` and `end` were made for, in the block that `_memory` keeps.
pub(crate) struct Callback {
    place: NonNull<u8>,
    call: unsafe fn(NonNull<u8>, Cause, &mut Passive) -> TaskResult,
    end: unsafe fn(NonNull<u8>),
    _memory: Block,
}

// SAFETY: it holds a callback that is `Send`, by the bound of `new`.
unsafe impl Send for Callback {}
// SAFETY: a shared callback can be called only by who promises to be alone: `call` is unsafe.
unsafe impl Sync for Callback {}

impl Callback {
    pub(crate) fn new<F>(callback: F) -> Result<Self, CreateError>
    where
        F: FnMut(Cause, &mut Passive) -> TaskResult + Send + 'static,
    {
        let memory = Block::zeroed(Layout::new::<F>()).ok_or(CreateError::OutOfMemory)?;
        let place = memory.start();
        // SAFETY: the block has an `F`'s size and alignment.
        unsafe { place.cast::<F>().write(callback) };
        Ok(Self {
            place,
            call: call::<F>,
            end: end::<F>,
            _memory: memory,
        })
    }

    /// Calls it.
    ///
    /// # Safety
    /// No other call is going on, and the last one happened before this.
    pub(crate) unsafe fn call(&self, cause: Cause, passive: &mut Passive) -> TaskResult {
        // SAFETY: by the invariant, and the caller's promise.
        unsafe { (self.call)(self.place, cause, passive) }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: by the invariant; dropped once, here.
        unsafe { (self.end)(self.place) };
    }
}

/// # Safety
/// `callback` holds an `F` for the caller alone.
unsafe fn call<F>(callback: NonNull<u8>, cause: Cause, passive: &mut Passive) -> TaskResult
where
    F: FnMut(Cause, &mut Passive) -> TaskResult,
{
    // SAFETY: by the caller's promise.
    let callback = unsafe { callback.cast::<F>().as_mut() };
    callback(cause, passive)
}

/// # Safety
/// `callback` holds an `F`, which is not used any more.
unsafe fn end<F>(callback: NonNull<u8>) {
    // SAFETY: by the caller's promise.
    unsafe { callback.cast::<F>().drop_in_place() };
}
