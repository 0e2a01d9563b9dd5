//! A spin lock that owns what it protects.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::backend::{OldIrql, RawSpinLock};
use crate::{Dispatch, Passive};

/// A value behind a spin lock.
///
/// # IRQL
/// Taking it raises to `DISPATCH_LEVEL`; dropping the guard restores. Callable at `<= DISPATCH_LEVEL`. It is not
/// recursive.
pub struct SpinLock<T> {
    raw: RawSpinLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and one guard exists at a time; it may be taken on any thread.
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: an unlocked lock is its value and a word.
unsafe impl<T: Send> Send for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// An unlocked lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            raw: RawSpinLock::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`. A caller at `PASSIVE_LEVEL` had better use [`SpinLock::lock_from_passive`], whose guard
    /// keeps it from waiting.
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        SpinLockGuard {
            lock: self,
            old: self.raw.acquire(),
            raised: true,
            here: PhantomData,
        }
    }

    /// Takes the lock for a caller that is at `DISPATCH_LEVEL` and can show it: no IRQL is raised, nor restored when the
    /// guard goes, which must be while the caller still is there. Several locks can be taken by one token.
    ///
    /// # IRQL
    /// `DISPATCH_LEVEL`, by its token.
    pub fn lock_at_dispatch<'a>(&'a self, dispatch: &'a Dispatch) -> SpinLockGuard<'a, T> {
        let _ = dispatch;
        SpinLockGuard {
            lock: self,
            old: self.raw.acquire_at_dispatch(),
            raised: false,
            here: PhantomData,
        }
    }

    /// Takes the lock and the token with it: while the guard lives, nothing that waits can be called.
    ///
    /// ```compile_fail,E0499
    /// use queued_work_item::{Passive, QueuedWorkItem, kernel::SpinLock};
    /// fn wait_under_lock(lock: &SpinLock<u32>, queue: &QueuedWorkItem<u32>, passive: &mut Passive) {
    ///     let guard = lock.lock_from_passive(passive);
    ///     queue.flush(passive);
    ///     drop(guard);
    /// }
    /// ```
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL` by its token.
    pub fn lock_from_passive<'a>(&'a self, passive: &'a mut Passive) -> SpinLockGuard<'a, T> {
        let _ = passive;
        self.lock()
    }

    /// The value, without locking: the exclusive borrow shows that nobody else has the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}

/// The lock, held: the way to its value. Not `Send`, since IRQL belongs to the processor that raised it.
#[must_use = "the lock is given up at once when its guard is not kept"]
pub struct SpinLockGuard<'a, T> {
    lock: &'a SpinLock<T>,
    old: OldIrql,
    raised: bool,
    here: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives shared access to the value, no more.
unsafe impl<T: Sync> Sync for SpinLockGuard<'_, T> {}

impl<T> Deref for SpinLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock, so nobody else has access.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for SpinLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the lock, so nobody else has access, and it is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for SpinLockGuard<'_, T> {
    fn drop(&mut self) {
        if self.raised {
            // SAFETY: `old` came from this lock's `acquire` on this thread (the guard is not `Send`), and is given back
            // once.
            unsafe { self.lock.raw.release(&mut self.old) };
        } else {
            // SAFETY: as above, and from `acquire_at_dispatch`.
            unsafe { self.lock.raw.release_at_dispatch(&mut self.old) };
        }
    }
}

impl<T> fmt::Debug for SpinLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLockGuard").finish_non_exhaustive()
    }
}
