//! WDFSPINLOCK and WDFWAITLOCK.
//!
//! A spin lock raises the thread's IRQL to DISPATCH_LEVEL and remembers its owner, so that recursion, release by another
//! thread and release in the wrong order are found. The waiter yields after a while: Wine's threads are pre-empted,
//! whatever their IRQL, so the owner may need the processor.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use wdk_sys::{NTSTATUS, PLONGLONG, PWDF_OBJECT_ATTRIBUTES, WDFSPINLOCK, WDFWAITLOCK};

use crate::call::{self, wdf};
use crate::irql;
use crate::nt::sync::{wait_while, wake_all};
use crate::nt::{ffi, status, teb, time};
use crate::object::{Kind, Ref, Type};
use crate::stop::{Code, anonymous, halt, stop};
use crate::table::entries;

/// How often a waiter looks before it yields.
const SPINS: u32 = 100;

/// Takes a spin lock whose word is the owner's TEB, or zero. Shared with the patched `KSPIN_LOCK` imports.
pub(crate) fn acquire_word(function: &str, word: &AtomicUsize) {
    let me = teb::current();
    let mut spins = 0;
    while let Err(owner) = word.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed) {
        if owner == me {
            halt(
                anonymous(),
                Code::Lock,
                format_args!(
                    "{function}: spin lock {word:p} is held by this thread already: it would wait for itself"
                ),
            );
        }
        if spins < SPINS {
            spins += 1;
            core::hint::spin_loop();
        } else {
            ffi::yield_now();
        }
    }
    irql::spin_lock_acquired();
}

/// Gives a spin lock back.
pub(crate) fn release_word(function: &str, word: &AtomicUsize) {
    if word.load(Ordering::Relaxed) != teb::current() {
        halt(
            anonymous(),
            Code::Lock,
            format_args!("{function}: spin lock {word:p} is not held by this thread"),
        );
    }
    irql::spin_lock_released();
    word.store(0, Ordering::Release);
}

/// The body of a WDFSPINLOCK.
pub(crate) struct SpinLock {
    owner: AtomicUsize,
    /// The owner's IRQL before it acquired the lock.
    old: AtomicU8,
}

impl Kind for SpinLock {
    const TYPE: Type = Type::SpinLock;

    fn dispose(this: &Ref<Self>) {
        if this.owner.load(Ordering::Relaxed) != 0 {
            stop!(
                this.header().globals(),
                Lock,
                "a WDFSPINLOCK is deleted while it is held"
            );
        }
    }
}

/// The body of a WDFWAITLOCK.
pub(crate) struct WaitLock {
    /// 0 free, 1 held, 2 held and waited for.
    state: AtomicU32,
    owner: AtomicUsize,
}

impl Kind for WaitLock {
    const TYPE: Type = Type::WaitLock;

    fn dispose(this: &Ref<Self>) {
        if this.owner.load(Ordering::Relaxed) != 0 {
            stop!(
                this.header().globals(),
                Lock,
                "a WDFWAITLOCK is deleted while it is held"
            );
        }
    }
}

impl WaitLock {
    fn try_acquire(&self) -> bool {
        self.state
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Waits until the lock is taken or the deadline (see [`time::now`]) has passed.
    fn acquire(&self, deadline: Option<i64>) -> bool {
        if self.try_acquire() {
            return true;
        }
        while self.state.swap(2, Ordering::Acquire) != 0 {
            let left = deadline.map(|deadline| deadline - time::now());
            if left.is_some_and(|left| left <= 0) {
                return false;
            }
            wait_while(&self.state, 2, left);
        }
        true
    }

    fn release(&self) {
        if self.state.swap(0, Ordering::Release) == 2 {
            wake_all(&self.state);
        }
    }
}

wdf! {
    /// WdfSpinLockCreate. IRQL: <= DISPATCH_LEVEL.
    fn WdfSpinLockCreate(call, attributes: PWDF_OBJECT_ATTRIBUTES, lock: *mut WDFSPINLOCK) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let attributes = call.attributes(attributes)?.without_constraints()?;
            let parent = call.parent_or_driver(&attributes);
            let body = SpinLock { owner: AtomicUsize::new(0), old: AtomicU8::new(0) };
            call::write(lock, call.create(attributes, &parent, body)?.header().handle());
            Ok(())
        })
    }

    /// WdfSpinLockAcquire. IRQL: <= DISPATCH_LEVEL; returns at DISPATCH_LEVEL.
    fn WdfSpinLockAcquire(call, lock: WDFSPINLOCK) {
        call.at_most_dispatch();
        let lock = call.get::<SpinLock>(lock);
        let old = irql::raise(call.name, irql::DISPATCH);
        acquire_word(call.name, &lock.owner);
        lock.old.store(old, Ordering::Relaxed);
    }

    /// WdfSpinLockRelease. IRQL: DISPATCH_LEVEL; returns at the IRQL of the acquisition.
    fn WdfSpinLockRelease(call, lock: WDFSPINLOCK) {
        let lock = call.get::<SpinLock>(lock);
        let old = lock.old.load(Ordering::Relaxed);
        release_word(call.name, &lock.owner);
        irql::lower(call.name, old);
    }

    /// WdfWaitLockCreate. IRQL: <= DISPATCH_LEVEL.
    fn WdfWaitLockCreate(call, attributes: PWDF_OBJECT_ATTRIBUTES, lock: *mut WDFWAITLOCK) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let attributes = call.attributes(attributes)?.without_constraints()?;
            let parent = call.parent_or_driver(&attributes);
            let body = WaitLock { state: AtomicU32::new(0), owner: AtomicUsize::new(0) };
            call::write(lock, call.create(attributes, &parent, body)?.header().handle());
            Ok(())
        })
    }

    /// WdfWaitLockAcquire. IRQL: PASSIVE_LEVEL, or <= DISPATCH_LEVEL with a time-out of zero. STATUS_TIMEOUT when the
    /// time is up.
    fn WdfWaitLockAcquire(call, lock: WDFWAITLOCK, timeout: PLONGLONG) -> NTSTATUS {
        let timeout = call::read(timeout.cast_const());
        let lock = call.get::<WaitLock>(lock);
        if timeout == Some(0) {
            call.at_most_dispatch();
        } else {
            call.passive();
        }
        if lock.owner.load(Ordering::Relaxed) == teb::current() {
            stop!(call.globals, Lock, "{}: the lock is held by this thread already", call.name);
        }
        let deadline = timeout.map(|timeout| time::now() + time::until(timeout));
        if !lock.acquire(deadline) {
            return status::TIMEOUT;
        }
        lock.owner.store(teb::current(), Ordering::Relaxed);
        status::SUCCESS
    }

    /// WdfWaitLockRelease. IRQL: <= DISPATCH_LEVEL.
    fn WdfWaitLockRelease(call, lock: WDFWAITLOCK) {
        call.at_most_dispatch();
        let lock = call.get::<WaitLock>(lock);
        if lock.owner.swap(0, Ordering::Relaxed) != teb::current() {
            stop!(call.globals, Lock, "{}: the lock is not held by this thread", call.name);
        }
        lock.release();
    }
}

entries! {
    WdfSpinLockCreateTableIndex: PFN_WDFSPINLOCKCREATE = WdfSpinLockCreate;
    WdfSpinLockAcquireTableIndex: PFN_WDFSPINLOCKACQUIRE = WdfSpinLockAcquire;
    WdfSpinLockReleaseTableIndex: PFN_WDFSPINLOCKRELEASE = WdfSpinLockRelease;
    WdfWaitLockCreateTableIndex: PFN_WDFWAITLOCKCREATE = WdfWaitLockCreate;
    WdfWaitLockAcquireTableIndex: PFN_WDFWAITLOCKACQUIRE = WdfWaitLockAcquire;
    WdfWaitLockReleaseTableIndex: PFN_WDFWAITLOCKRELEASE = WdfWaitLockRelease;
}
