//! Spin locks and events from `std`.

extern crate std;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::irql;
use crate::kernel::{EventKind, Irql};

/// The IRQL that an acquire found.
pub(crate) type OldIrql = Irql;

/// A test-and-set lock. It yields, since the holder may have been pre-empted here, as it could not be in a kernel.
pub(crate) struct RawSpinLock {
    held: AtomicBool,
}

impl RawSpinLock {
    pub(crate) const fn new() -> Self {
        Self {
            held: AtomicBool::new(false),
        }
    }

    pub(crate) fn acquire(&self) -> OldIrql {
        irql::check_irql(Irql::DISPATCH, "KeAcquireSpinLock");
        let old = irql::set(Irql::DISPATCH);
        self.spin();
        old
    }

    /// As `acquire`, for a caller that is at `DISPATCH_LEVEL` already.
    pub(crate) fn acquire_at_dispatch(&self) -> OldIrql {
        irql::check_irql_is(Irql::DISPATCH, "KeAcquireSpinLockAtDpcLevel");
        self.spin();
        Irql::DISPATCH
    }

    fn spin(&self) {
        let mut spins = 0_u32;
        // Acquire: what the last holder wrote is seen by this one.
        while self.held.swap(true, Ordering::Acquire) {
            while self.held.load(Ordering::Relaxed) {
                spins += 1;
                if spins.is_multiple_of(64) {
                    std::thread::yield_now();
                } else {
                    core::hint::spin_loop();
                }
            }
        }
    }

    /// # Safety
    /// The calling thread holds the lock, and `old` is what its `acquire` returned.
    pub(crate) unsafe fn release(&self, old: &mut OldIrql) {
        // Release: what this holder wrote is seen by the next.
        self.held.store(false, Ordering::Release);
        irql::set(*old);
    }

    /// # Safety
    /// The calling thread holds the lock, by `acquire_at_dispatch`, which returned the other argument.
    pub(crate) unsafe fn release_at_dispatch(&self, _: &mut OldIrql) {
        irql::check_irql_is(Irql::DISPATCH, "KeReleaseSpinLockFromDpcLevel");
        // Release: as above.
        self.held.store(false, Ordering::Release);
    }
}

#[derive(Default)]
struct Signal {
    set: Mutex<Option<bool>>,
    changed: Condvar,
}

/// An event. Its state is counted, not owned: a setter may still be inside `set` when the waiter, already let go,
/// leaves the frame that held the event, which a `KEVENT` permits and a condition variable does not.
///
/// In a cell for the same reason: a reference to anything else would have to stay valid until `set` returns.
pub(crate) struct RawEvent(UnsafeCell<State>);

#[derive(Default)]
struct State {
    signal: Arc<Signal>,
    synchronization: bool,
}

// SAFETY: the state is written by `init` only, before the event is shared.
unsafe impl Sync for RawEvent {}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Option<bool>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RawEvent {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::default())
    }

    /// # Safety
    /// Nobody else uses the event yet, and it is not moved after this.
    pub(crate) unsafe fn init(&self, kind: EventKind) {
        // SAFETY: by the caller's promise.
        let state = unsafe { &mut *self.0.get() };
        state.synchronization = kind == EventKind::Synchronization;
        *state.signal.lock() = Some(false);
    }

    fn state(&self) -> &State {
        // SAFETY: written by `init` only, which nothing follows or overlaps.
        unsafe { &*self.0.get() }
    }

    pub(crate) fn set(&self) {
        // The state is not looked at once the waiter may see that it is set.
        let signal = Arc::clone(&self.state().signal);
        let mut set = signal.lock();
        assert!(set.is_some(), "KeSetEvent on an event that was not initialised");
        *set = Some(true);
        signal.changed.notify_all();
    }

    pub(crate) fn clear(&self) {
        *self.state().signal.lock() = Some(false);
    }

    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let state = self.state();
        let mut set = state.signal.lock();
        loop {
            if *set == Some(true) {
                if state.synchronization {
                    *set = Some(false);
                }
                return true;
            }
            set = match deadline {
                None => state
                    .signal
                    .changed
                    .wait(set)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    state
                        .signal
                        .changed
                        .wait_timeout(set, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}
