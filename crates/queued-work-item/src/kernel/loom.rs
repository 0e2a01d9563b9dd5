//! The backend of the models: the model checker's atomics, cells, locks and threads.

extern crate std;

use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::time::Duration;
use std::alloc::Layout;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{EventKind, Irql, Pool, Target};
use crate::NtStatus;

pub(crate) mod parameters;
mod thread;
mod timer;

pub(crate) use self::thread::Thread;
pub(crate) use self::timer::Timer;
pub(crate) use loom::cell;
pub(crate) use loom::sync::atomic;

/// The models do not look at IRQL.
pub fn current_irql() -> Irql {
    Irql::PASSIVE
}

pub(crate) fn check_irql(_: Irql, _: &str) {}

pub(crate) fn check_irql_is(_: Irql, _: &str) {}

/// A number that no other thread of the model has.
pub fn current_thread_id() -> u64 {
    let mut hasher = DefaultHasher::new();
    loom::thread::current().id().hash(&mut hasher);
    hasher.finish()
}

/// Time stands still in a model.
pub fn performance_counter() -> (u64, u64) {
    (0, 1)
}

const HEADER: usize = 16;

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, 16).ok()
}

pub(crate) fn allocate(_: Pool, size: usize) -> Option<NonNull<u8>> {
    // SAFETY: the layout is not empty.
    let base = NonNull::new(unsafe { std::alloc::alloc(layout(size)?) })?;
    // SAFETY: the header has room for a size.
    unsafe { base.cast::<usize>().write(size) };
    // SAFETY: the header is followed by `size` bytes.
    Some(unsafe { base.add(HEADER) })
}

/// # Safety
/// From [`allocate`], freed once.
pub(crate) unsafe fn free(start: NonNull<u8>) {
    // SAFETY: `allocate` put a header there.
    let base = unsafe { start.sub(HEADER) };
    // SAFETY: and the size into it.
    let size = unsafe { base.cast::<usize>().read() };
    if let Some(layout) = layout(size) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(base.as_ptr(), layout) };
    }
}

/// What an acquire returns: the model checker's guard.
pub(crate) type OldIrql = ManuallyDrop<loom::sync::MutexGuard<'static, ()>>;

pub(crate) struct RawSpinLock(loom::sync::Mutex<()>);

impl RawSpinLock {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Mutex::new(()))
    }

    pub(crate) fn acquire(&self) -> OldIrql {
        let Ok(guard) = self.0.lock() else {
            unreachable!("a model does not poison")
        };
        // SAFETY: only the lifetime changes; the guard is given back to `release`, which borrows the lock.
        ManuallyDrop::new(unsafe {
            core::mem::transmute::<loom::sync::MutexGuard<'_, ()>, loom::sync::MutexGuard<'static, ()>>(guard)
        })
    }

    /// # Safety
    /// `old` is what this lock's `acquire` returned, and is given back once.
    #[allow(clippy::unused_self, reason = "the seam's signature")]
    pub(crate) unsafe fn release(&self, old: &mut OldIrql) {
        // SAFETY: dropped once, by the caller's promise, while the lock is alive.
        unsafe { ManuallyDrop::drop(old) };
    }

    pub(crate) fn acquire_at_dispatch(&self) -> OldIrql {
        self.acquire()
    }

    /// # Safety
    /// As for `release`.
    pub(crate) unsafe fn release_at_dispatch(&self, old: &mut OldIrql) {
        // SAFETY: by the caller's promise.
        unsafe { self.release(old) };
    }
}

/// An event. Counted as on the host: a setter may outlast the waiter's frame.
pub(crate) struct RawEvent {
    signal: Arc<(loom::sync::Mutex<bool>, loom::sync::Condvar)>,
    synchronization: core::cell::Cell<bool>,
}

// SAFETY: `synchronization` is written by `init` only, before the event is shared.
unsafe impl Sync for RawEvent {}

impl RawEvent {
    pub(crate) fn new() -> Self {
        Self {
            signal: Arc::new((loom::sync::Mutex::new(false), loom::sync::Condvar::new())),
            synchronization: core::cell::Cell::new(false),
        }
    }

    /// # Safety
    /// As on the other backends.
    pub(crate) unsafe fn init(&self, kind: EventKind) {
        self.synchronization.set(kind == EventKind::Synchronization);
    }

    fn lock(&self) -> loom::sync::MutexGuard<'_, bool> {
        let Ok(guard) = self.signal.0.lock() else {
            unreachable!("a model does not poison")
        };
        guard
    }

    pub(crate) fn set(&self) {
        let signal = Arc::clone(&self.signal);
        let Ok(mut set) = signal.0.lock() else {
            unreachable!("a model does not poison")
        };
        *set = true;
        signal.1.notify_all();
    }

    pub(crate) fn clear(&self) {
        *self.lock() = false;
    }

    /// A bounded wait looks once: every point in time at which it may run out is some interleaving.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut set = self.lock();
        while !*set {
            if timeout.is_some() {
                return false;
            }
            let Ok(again) = self.signal.1.wait(set) else {
                unreachable!("a model does not poison")
            };
            set = again;
        }
        if self.synchronization.get() {
            *set = false;
        }
        true
    }
}

/// Every parent is one that is never deleted.
#[derive(Clone, Debug, Default)]
pub struct Parent(());

struct Object(Target);

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: no start has this object any more; dropped once.
        unsafe { (self.0.released)(self.0.core) };
    }
}

std::thread_local! {
    /// How many threads each scheduling starts: 2 models a duplicate, which may come as late as it likes.
    static STARTS: core::cell::Cell<u32> = const { core::cell::Cell::new(1) };
}

/// Sets how many threads each scheduling starts in the models of this test thread.
#[cfg(test)]
pub(crate) fn set_starts(starts: u32) {
    STARTS.set(starts);
}

pub(crate) struct WorkItem(std::sync::Mutex<Option<Arc<Object>>>);

impl WorkItem {
    pub(crate) fn unbound() -> Self {
        Self(std::sync::Mutex::new(None))
    }

    /// # Safety
    /// As on the other backends.
    pub(crate) unsafe fn bind(&self, _: &Parent, target: Target) -> Result<(), NtStatus> {
        if let Ok(mut object) = self.0.lock() {
            *object = Some(Arc::new(Object(target)));
        }
        Ok(())
    }

    pub(crate) fn schedule(&self) -> bool {
        let Some(object) = self.0.lock().ok().and_then(|object| object.clone()) else {
            return false;
        };
        for _ in 0..STARTS.get() {
            let object = Arc::clone(&object);
            loom::thread::spawn(move || {
                // SAFETY: the object keeps the core until `released`.
                unsafe { (object.0.run)(object.0.core) };
            });
        }
        true
    }

    pub(crate) fn dispose(&self, _: bool) {
        drop(self.0.lock().ok().and_then(|mut object| object.take()));
    }
}

/// Nobody takes a description here.
pub(crate) struct RawDescriptor;

impl RawDescriptor {
    pub(crate) const fn new(_: *mut u8, _: u32) -> Self {
        Self
    }
}
