//! The runtime's own locks and events.
//!
//! They are ntdll's slim locks and address waits, not the driver-visible spin locks: the holder sleeps its waiters, so
//! a pre-empted holder costs nobody a spinning time slice, and they do not touch the thread's IRQL. No lock is held
//! while client code runs.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::ffi;

/// A mutual exclusion lock around a value. Not recursive.
pub(crate) struct Lock<T> {
    raw: UnsafeCell<ffi::SrwLock>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: an unlocked SRW lock is a plain word.
unsafe impl<T: Send> Send for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            raw: UnsafeCell::new(ptr::null_mut()),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for the lock and holds it until the guard is dropped.
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        // SAFETY: the lock lives as long as `self` and is initialised (a null word is an unlocked SRW lock).
        unsafe { ffi::RtlAcquireSRWLockExclusive(self.raw.get()) };
        Guard { lock: self }
    }
}

/// Holds a [`Lock`].
#[must_use]
pub(crate) struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard acquired it.
        unsafe { ffi::RtlReleaseSRWLockExclusive(self.lock.raw.get()) };
    }
}

/// A notification event: once set it stays set until it is reset.
pub(crate) struct Event(AtomicU32);

impl Event {
    pub(crate) const fn new(set: bool) -> Self {
        Self(AtomicU32::new(set as u32))
    }

    pub(crate) fn set(&self) {
        self.0.store(1, Ordering::Release);
        // SAFETY: the address is only a key here.
        unsafe { ffi::RtlWakeAddressAll(self.0.as_ptr().cast()) };
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Waits without limit.
    pub(crate) fn wait(&self) {
        while !self.is_set() {
            wait_while(&self.0, 0, None);
        }
    }
}

/// Sleeps while the word has this value; may wake for nothing. `timeout` is relative, in 100 ns units.
/// Answers whether the time was not yet up.
pub(crate) fn wait_while(word: &AtomicU32, value: u32, timeout: Option<i64>) -> bool {
    let relative = timeout.map(|time| -time);
    let pointer = relative.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both addresses are readable for four bytes, the time-out is null or a readable LARGE_INTEGER.
    let status = unsafe {
        ffi::RtlWaitOnAddress(
            word.as_ptr().cast(),
            ptr::from_ref(&value).cast(),
            4,
            pointer.cast(),
        )
    };
    status != super::status::TIMEOUT
}

/// Wakes all sleepers of [`wait_while`] on this word.
pub(crate) fn wake_all(word: &AtomicU32) {
    // SAFETY: the address is only a key here.
    unsafe { ffi::RtlWakeAddressAll(word.as_ptr().cast()) };
}

/// Rundown protection: entries are counted, and closing waits until all have left.
///
/// The remove lock of a device and of a driver: PnP under Wine comes on another thread than the rest of the IRPs.
pub(crate) struct Rundown {
    /// Entries in steps of two; bit 0 says that it is closed.
    state: AtomicU64,
    empty: Event,
}

impl Rundown {
    pub(crate) const fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            empty: Event::new(false),
        }
    }

    /// Enters, unless it is closed.
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state & 1 != 0 {
                return None;
            }
            match self
                .state
                .compare_exchange_weak(state, state + 2, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(Entered(self)),
                Err(now) => state = now,
            }
        }
    }

    /// Refuses new entries and waits until the present ones have left.
    pub(crate) fn close_and_wait(&self) {
        if self.state.fetch_or(1, Ordering::AcqRel) & !1 == 0 {
            return;
        }
        self.empty.wait();
    }

    fn leave(&self) {
        if self.state.fetch_sub(2, Ordering::AcqRel) == 3 {
            self.empty.set();
        }
    }
}

/// One entry into a [`Rundown`].
#[must_use]
pub(crate) struct Entered<'a>(&'a Rundown);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
