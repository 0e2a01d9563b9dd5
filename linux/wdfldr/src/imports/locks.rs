//! IRQL and spin locks with the IRQL that they have on Windows.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use wdk_sys::{BOOLEAN, KIRQL};

use crate::irql;
use crate::lock::{acquire_word, release_word};
use crate::nt::{ffi, teb};
use crate::stop::{Code, anonymous, halt};

fn word<'a>(function: &str, lock: *const AtomicUsize) -> &'a AtomicUsize {
    // SAFETY: a KSPIN_LOCK of the driver's, which is one aligned word; null is recognised.
    match unsafe { lock.as_ref() } {
        Some(word) => word,
        None => halt(
            anonymous(),
            Code::Lock,
            format_args!("{function} was given a null spin lock"),
        ),
    }
}

fn require_dispatch(function: &str) {
    if irql::current() < irql::DISPATCH {
        halt(
            anonymous(),
            Code::Irql,
            format_args!(
                "{function} called at IRQL {}, it needs DISPATCH_LEVEL",
                irql::current()
            ),
        );
    }
}

pub(super) extern "C" fn KeGetCurrentIrql() -> KIRQL {
    irql::current()
}

pub(super) extern "C" fn KfRaiseIrql(new: KIRQL) -> KIRQL {
    irql::raise("KeRaiseIrql", new)
}

pub(super) extern "C" fn KeRaiseIrqlToDpcLevel() -> KIRQL {
    irql::raise("KeRaiseIrqlToDpcLevel", irql::DISPATCH)
}

pub(super) extern "C" fn KeLowerIrql(new: KIRQL) {
    irql::lower("KeLowerIrql", new);
}

fn acquire_raising(function: &str, lock: *const AtomicUsize) -> KIRQL {
    irql::require_at_most(function, irql::DISPATCH);
    let old = irql::raise(function, irql::DISPATCH);
    acquire_word(function, word(function, lock));
    old
}

fn release_lowering(function: &str, lock: *const AtomicUsize, old: KIRQL) {
    release_word(function, word(function, lock));
    irql::lower(function, old);
}

pub(super) extern "C" fn KeAcquireSpinLockRaiseToDpc(lock: *const AtomicUsize) -> KIRQL {
    acquire_raising("KeAcquireSpinLock", lock)
}

pub(super) extern "C" fn KeReleaseSpinLock(lock: *const AtomicUsize, old: KIRQL) {
    release_lowering("KeReleaseSpinLock", lock, old);
}

pub(super) extern "C" fn KeAcquireSpinLockAtDpcLevel(lock: *const AtomicUsize) {
    require_dispatch("KeAcquireSpinLockAtDpcLevel");
    acquire_word(
        "KeAcquireSpinLockAtDpcLevel",
        word("KeAcquireSpinLockAtDpcLevel", lock),
    );
}

pub(super) extern "C" fn KeReleaseSpinLockFromDpcLevel(lock: *const AtomicUsize) {
    release_word(
        "KeReleaseSpinLockFromDpcLevel",
        word("KeReleaseSpinLockFromDpcLevel", lock),
    );
}

pub(super) extern "C" fn KeTryToAcquireSpinLockAtDpcLevel(lock: *const AtomicUsize) -> BOOLEAN {
    require_dispatch("KeTryToAcquireSpinLockAtDpcLevel");
    let lock = word("KeTryToAcquireSpinLockAtDpcLevel", lock);
    let taken = lock
        .compare_exchange(0, teb::current(), Ordering::Acquire, Ordering::Relaxed)
        .is_ok();
    if taken {
        irql::spin_lock_acquired();
    }
    taken.into()
}

pub(super) extern "C" fn KeTestSpinLock(lock: *const AtomicUsize) -> BOOLEAN {
    (word("KeTestSpinLock", lock).load(Ordering::Acquire) == 0).into()
}

/// `KLOCK_QUEUE_HANDLE`.
#[repr(C)]
pub(super) struct QueueHandle {
    next: usize,
    lock: *const AtomicUsize,
    old: KIRQL,
}

pub(super) extern "C" fn KeAcquireInStackQueuedSpinLock(lock: *const AtomicUsize, handle: *mut QueueHandle) {
    let old = acquire_raising("KeAcquireInStackQueuedSpinLock", lock);
    crate::call::write(handle, QueueHandle { next: 0, lock, old });
}

pub(super) extern "C" fn KeAcquireInStackQueuedSpinLockAtDpcLevel(
    lock: *const AtomicUsize,
    handle: *mut QueueHandle,
) {
    KeAcquireSpinLockAtDpcLevel(lock);
    crate::call::write(
        handle,
        QueueHandle {
            next: 0,
            lock,
            old: irql::DISPATCH,
        },
    );
}

pub(super) extern "C" fn KeReleaseInStackQueuedSpinLock(handle: *const QueueHandle) {
    // SAFETY: the handle that the acquisition filled in.
    let handle = unsafe { &*handle };
    release_lowering("KeReleaseInStackQueuedSpinLock", handle.lock, handle.old);
}

pub(super) extern "C" fn KeReleaseInStackQueuedSpinLockFromDpcLevel(handle: *const QueueHandle) {
    // SAFETY: the handle that the acquisition filled in.
    let lock = unsafe { (*handle).lock };
    KeReleaseSpinLockFromDpcLevel(lock);
}

/// An EX_SPIN_LOCK: zero, the number of readers, or this bit and the writer's thread.
const EXCLUSIVE: u32 = 1 << 31;

fn ex_word<'a>(function: &str, lock: *const AtomicU32) -> &'a AtomicU32 {
    // SAFETY: an EX_SPIN_LOCK of the driver's, which is one aligned LONG; null is recognised.
    match unsafe { lock.as_ref() } {
        Some(word) => word,
        None => halt(
            anonymous(),
            Code::Lock,
            format_args!("{function} was given a null spin lock"),
        ),
    }
}

fn writer() -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "thread ids are 32-bit numbers")]
    let thread = teb::thread_id() as u32;
    EXCLUSIVE | thread
}

fn ex_acquire(function: &str, lock: *const AtomicU32, exclusive: bool) {
    require_dispatch(function);
    let lock = ex_word(function, lock);
    let mut spins = 0_u32;
    loop {
        let now = lock.load(Ordering::Relaxed);
        let next = match (exclusive, now) {
            (true, 0) => Some(writer()),
            (false, readers) if readers & EXCLUSIVE == 0 => Some(readers + 1),
            _ => None,
        };
        if let Some(next) = next {
            if lock
                .compare_exchange_weak(now, next, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                break;
            }
        } else if now == writer() {
            halt(
                anonymous(),
                Code::Lock,
                format_args!("{function}: the lock is held by this thread already: it would wait for itself"),
            );
        }
        spins += 1;
        if spins.is_multiple_of(128) {
            ffi::yield_now();
        } else {
            core::hint::spin_loop();
        }
    }
    irql::spin_lock_acquired();
}

fn ex_release(function: &str, lock: *const AtomicU32, exclusive: bool) {
    let lock = ex_word(function, lock);
    let now = lock.load(Ordering::Relaxed);
    let held = if exclusive {
        now == writer()
    } else {
        now != 0 && now & EXCLUSIVE == 0
    };
    if !held {
        halt(
            anonymous(),
            Code::Lock,
            format_args!("{function}: the lock is not held"),
        );
    }
    irql::spin_lock_released();
    if exclusive {
        lock.store(0, Ordering::Release);
    } else {
        lock.fetch_sub(1, Ordering::Release);
    }
}

macro_rules! ex_spin_locks {
    ($($acquire:ident, $acquire_at:ident, $release:ident, $release_from:ident, $exclusive:literal;)*) => {
        $(
            pub(super) extern "C" fn $acquire(lock: *const AtomicU32) -> KIRQL {
                let old = irql::raise(stringify!($acquire), irql::DISPATCH);
                ex_acquire(stringify!($acquire), lock, $exclusive);
                old
            }
            pub(super) extern "C" fn $acquire_at(lock: *const AtomicU32) {
                ex_acquire(stringify!($acquire_at), lock, $exclusive);
            }
            pub(super) extern "C" fn $release(lock: *const AtomicU32, old: KIRQL) {
                ex_release(stringify!($release), lock, $exclusive);
                irql::lower(stringify!($release), old);
            }
            pub(super) extern "C" fn $release_from(lock: *const AtomicU32) {
                ex_release(stringify!($release_from), lock, $exclusive);
            }
        )*
    };
}

ex_spin_locks! {
    ExAcquireSpinLockExclusive, ExAcquireSpinLockExclusiveAtDpcLevel,
        ExReleaseSpinLockExclusive, ExReleaseSpinLockExclusiveFromDpcLevel, true;
    ExAcquireSpinLockShared, ExAcquireSpinLockSharedAtDpcLevel,
        ExReleaseSpinLockShared, ExReleaseSpinLockSharedFromDpcLevel, false;
}
