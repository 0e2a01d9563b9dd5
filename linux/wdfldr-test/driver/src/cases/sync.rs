//! Spin locks and wait locks.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{
    PFN_WDF_WORKITEM, STATUS_SUCCESS, STATUS_TIMEOUT, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFSPINLOCK,
    WDFSPINLOCK__, WDFWAITLOCK, WDFWAITLOCK__, WDFWORKITEM, WDFWORKITEM__,
};

use crate::check::{Verdict, success};
use crate::probe::{Probe, irql, now};
use crate::wdf::{Owned, child_of, size_field};

const DISPATCH: u8 = 2;

static PROBE: Probe = Probe::new();
static SPIN: AtomicPtr<WDFSPINLOCK__> = AtomicPtr::new(ptr::null_mut());
static WAIT: AtomicPtr<WDFWAITLOCK__> = AtomicPtr::new(ptr::null_mut());

fn spin_lock(device: WDFDEVICE) -> Verdict<Owned<WDFSPINLOCK__>> {
    let mut attributes = child_of(device);
    let mut lock: WDFSPINLOCK = ptr::null_mut();
    success(
        "WdfSpinLockCreate",
        wdf!(WdfSpinLockCreate, &raw mut attributes, &raw mut lock),
    )?;
    Ok(Owned(lock))
}

fn wait_lock(device: WDFDEVICE) -> Verdict<Owned<WDFWAITLOCK__>> {
    let mut attributes = child_of(device);
    let mut lock: WDFWAITLOCK = ptr::null_mut();
    success(
        "WdfWaitLockCreate",
        wdf!(WdfWaitLockCreate, &raw mut attributes, &raw mut lock),
    )?;
    Ok(Owned(lock))
}

fn work_item(device: WDFDEVICE, callback: PFN_WDF_WORKITEM) -> Verdict<Owned<WDFWORKITEM__>> {
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: callback,
        AutomaticSerialization: 0,
    };
    let mut attributes = child_of(device);
    let mut item: WDFWORKITEM = ptr::null_mut();
    success(
        "WdfWorkItemCreate",
        wdf!(
            WdfWorkItemCreate,
            &raw mut config,
            &raw mut attributes,
            &raw mut item
        ),
    )?;
    Ok(Owned(item))
}

pub(super) fn a_spin_lock_raises_and_lowers(device: WDFDEVICE) -> Verdict {
    let (outer, inner) = (spin_lock(device)?, spin_lock(device)?);
    equal!(irql(), 0, "IRQL at first");
    wdf!(WdfSpinLockAcquire, outer.0);
    let first = irql();
    wdf!(WdfSpinLockAcquire, inner.0);
    let second = irql();
    wdf!(WdfSpinLockRelease, inner.0);
    let third = irql();
    wdf!(WdfSpinLockRelease, outer.0);
    equal!(
        [first, second, third],
        [DISPATCH; 3],
        "IRQL under one lock, two, and one again"
    );
    equal!(irql(), 0, "IRQL at last");
    Ok(())
}

/// A number that only a lock protects.
struct Plain(UnsafeCell<u64>);

// SAFETY: used only under the case's spin lock.
unsafe impl Sync for Plain {}

impl Plain {
    fn add(&self) {
        let place = self.0.get();
        // SAFETY: the caller holds the lock.
        let before = unsafe { place.read_volatile() };
        // Time for another to come between, if the lock lets one.
        for _ in 0..20 {
            core::hint::spin_loop();
        }
        // SAFETY: as above.
        unsafe { place.write_volatile(before + 1) };
    }
}

static SUM: Plain = Plain(UnsafeCell::new(0));
const ROUNDS: u64 = 20_000;
const THREADS: u32 = 4;

extern "C" fn evt_add(_: WDFWORKITEM) {
    let lock = SPIN.load(SeqCst);
    for _ in 0..ROUNDS {
        wdf!(WdfSpinLockAcquire, lock);
        SUM.add();
        wdf!(WdfSpinLockRelease, lock);
    }
    PROBE.hit();
}

pub(super) fn a_spin_lock_excludes(device: WDFDEVICE) -> Verdict {
    PROBE.reset();
    let lock = spin_lock(device)?;
    SPIN.store(lock.0, SeqCst);
    // SAFETY: nobody else runs yet.
    unsafe { SUM.0.get().write(0) };
    let items: [_; THREADS as usize] = core::array::from_fn(|_| work_item(device, Some(evt_add)));
    for item in items.iter().flatten() {
        wdf!(WdfWorkItemEnqueue, item.0);
    }
    let all = PROBE.reach(THREADS);
    for item in items {
        // Deleted, and so waited for, before the lock is.
        drop(item?);
    }
    check!(all, "only {} of {THREADS} threads finished", PROBE.runs());
    // SAFETY: all have finished.
    let sum = unsafe { SUM.0.get().read() };
    equal!(sum, ROUNDS * u64::from(THREADS), "the sum of {THREADS} threads");
    Ok(())
}

extern "C" fn evt_keep_lock(_: WDFWORKITEM) {
    let lock = WAIT.load(SeqCst);
    let _ = wdf!(WdfWaitLockAcquire, lock, ptr::null_mut());
    PROBE.hold();
    wdf!(WdfWaitLockRelease, lock);
}

pub(super) fn a_wait_lock_is_waited_for(device: WDFDEVICE) -> Verdict {
    PROBE.reset();
    let lock = wait_lock(device)?;
    WAIT.store(lock.0, SeqCst);
    let item = work_item(device, Some(evt_keep_lock))?;
    wdf!(WdfWorkItemEnqueue, item.0);
    check!(PROBE.entered.comes(), "the work item did not run");
    let mut none = 0_i64;
    let taken = wdf!(WdfWaitLockAcquire, lock.0, &raw mut none);
    status!(
        taken,
        STATUS_TIMEOUT,
        "a lock that another thread has, without waiting"
    );
    PROBE.gate.set();
    status!(
        wdf!(WdfWaitLockAcquire, lock.0, ptr::null_mut()),
        STATUS_SUCCESS,
        "the lock, waited for"
    );
    equal!(PROBE.runs(), 1, "runs of the lock's holder that have ended");
    equal!(irql(), 0, "IRQL under a wait lock");
    wdf!(WdfWaitLockRelease, lock.0);
    drop(item);
    Ok(())
}

pub(super) fn a_wait_lock_times_out(device: WDFDEVICE) -> Verdict {
    PROBE.reset();
    let lock = wait_lock(device)?;
    WAIT.store(lock.0, SeqCst);
    let item = work_item(device, Some(evt_keep_lock))?;
    wdf!(WdfWorkItemEnqueue, item.0);
    check!(PROBE.entered.comes(), "the work item did not run");
    let begun = now();
    // Negative is relative, in units of 100 ns.
    let mut timeout = -30 * 10_000_i64;
    let taken = wdf!(WdfWaitLockAcquire, lock.0, &raw mut timeout);
    let waited = now() - begun;
    PROBE.gate.set();
    drop(item);
    status!(taken, STATUS_TIMEOUT, "a lock that another thread has");
    check!(
        waited >= 25 * 10_000,
        "it waited {waited} units of 100 ns for 30 ms"
    );
    let mut none = 0_i64;
    status!(
        wdf!(WdfWaitLockAcquire, lock.0, &raw mut none),
        STATUS_SUCCESS,
        "the lock when it is free, without waiting"
    );
    wdf!(WdfWaitLockRelease, lock.0);
    Ok(())
}
