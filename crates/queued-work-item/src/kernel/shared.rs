//! A counted reference whose creation can fail.
//!
//! `alloc::sync::Arc` aborts when there is no memory, and its fallible constructor is not stable. A driver has to
//! answer `STATUS_INSUFFICIENT_RESOURCES` instead.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use super::atomic::{AtomicUsize, Ordering};
use super::memory::Block;

/// Shared ownership of a value in nonpaged pool: `Arc` without weak references, made fallibly.
///
/// The value is dropped by whoever drops the last reference, at that caller's IRQL.
///
/// # IRQL
/// `<= DISPATCH_LEVEL`, as far as the value's own drop allows it.
pub struct Shared<T> {
    inner: NonNull<Inner<T>>,
    owns: PhantomData<Inner<T>>,
}

struct Inner<T> {
    count: AtomicUsize,
    /// What the pool gave, which holds this very structure.
    base: NonNull<u8>,
    value: T,
}

// SAFETY: references give shared access to the value, and the last one drops it, on whatever thread that is.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above; a shared reference can be cloned into an owned one.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The first reference to `value`.
    ///
    /// # Errors
    /// The value itself, when there is no memory.
    pub fn try_new(value: T) -> Result<Self, T> {
        let Some(block) = Block::zeroed(Layout::new::<Inner<T>>()) else {
            return Err(value);
        };
        let inner = block.start().cast::<Inner<T>>();
        let base = block.into_base();
        // SAFETY: the block has the size and alignment of an `Inner<T>`, and is this function's alone.
        unsafe {
            inner.write(Inner {
                count: AtomicUsize::new(1),
                base,
                value,
            });
        };
        Ok(Self {
            inner,
            owns: PhantomData,
        })
    }

    /// Do both refer to the same value?
    pub fn ptr_eq(one: &Self, other: &Self) -> bool {
        one.inner == other.inner
    }

    /// Gives up ownership for a pointer, which stands for it until [`from_raw`](Self::from_raw).
    pub(crate) fn into_raw(self) -> NonNull<()> {
        let inner = self.inner;
        core::mem::forget(self);
        inner.cast()
    }

    /// The reference that the pointer stands for.
    ///
    /// # Safety
    /// From [`into_raw`](Self::into_raw) of this type, and taken back once; or not dropped.
    pub(crate) unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self {
            inner: raw.cast(),
            owns: PhantomData,
        }
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: written in `try_new`, and alive as long as there is a reference, such as this one.
        unsafe { self.inner.as_ref() }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        // Relaxed: whoever clones has a reference already. 2^63 references do not fit an address space.
        self.inner().count.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: self.inner,
            owns: PhantomData,
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Release: what was done through this reference happens before the value is dropped.
        if self.inner().count.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Acquire, by a load: ThreadSanitizer does not understand fences.
        self.inner().count.load(Ordering::Acquire);
        let base = self.inner().base;
        // SAFETY: this was the last reference; the value is not used after it.
        unsafe { self.inner.drop_in_place() };
        // SAFETY: `base` came from `Block::into_base`, and what lay in it is dropped.
        unsafe { Block::free_base(base) };
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
