//! The client's say when a buffer goes home: DMF's `EvtBufferQueueReuseCleanup`.
//!
//! A payload or a context may stand for something that the client must let go of, a reference or a mapping. Who knows
//! when the buffer's use is over is the queue, also when the use was cut short by a cancel. The callback is kept behind
//! function pointers, so that the types of queues and buffers do not speak of it, and costs an allocation only where
//! there is one.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::CreateError;
use crate::kernel::Block;

/// A reuse-cleanup callback, in pool memory of its own.
///
/// # Invariants
/// `callback` holds a value of the type that `call` and `end` were made for, in the block that `_memory` keeps.
pub(crate) struct Cleanup<T: ?Sized, C> {
    callback: NonNull<u8>,
    call: unsafe fn(NonNull<u8>, &mut T, &mut C),
    end: unsafe fn(NonNull<u8>),
    _memory: Block,
}

// SAFETY: it holds a callback that is `Send` and `Sync`, by the bound of `new`.
unsafe impl<T: ?Sized, C> Send for Cleanup<T, C> {}
// SAFETY: as above.
unsafe impl<T: ?Sized, C> Sync for Cleanup<T, C> {}

impl<T: ?Sized, C> Cleanup<T, C> {
    pub(crate) fn new<F>(callback: F) -> Result<Self, CreateError>
    where
        F: Fn(&mut T, &mut C) + Send + Sync + 'static,
    {
        let memory = Block::zeroed(Layout::new::<F>()).ok_or(CreateError::OutOfMemory)?;
        let place = memory.start();
        // SAFETY: the block has an `F`'s size and alignment.
        unsafe { place.cast::<F>().write(callback) };
        Ok(Self {
            callback: place,
            call: call::<T, C, F>,
            end: end::<F>,
            _memory: memory,
        })
    }

    /// Calls it. Two threads may, each with its own buffer.
    pub(crate) fn run(&self, payload: &mut T, context: &mut C) {
        // SAFETY: by the invariant.
        unsafe { (self.call)(self.callback, payload, context) };
    }
}

impl<T: ?Sized, C> Drop for Cleanup<T, C> {
    fn drop(&mut self) {
        // SAFETY: by the invariant; dropped once, here.
        unsafe { (self.end)(self.callback) };
    }
}

/// # Safety
/// `callback` holds an `F`.
unsafe fn call<T: ?Sized, C, F: Fn(&mut T, &mut C)>(callback: NonNull<u8>, payload: &mut T, context: &mut C) {
    // SAFETY: by the caller's promise.
    let callback = unsafe { callback.cast::<F>().as_ref() };
    callback(payload, context);
}

/// # Safety
/// `callback` holds an `F`, which is not used any more.
unsafe fn end<F>(callback: NonNull<u8>) {
    // SAFETY: by the caller's promise.
    unsafe { callback.cast::<F>().drop_in_place() };
}
