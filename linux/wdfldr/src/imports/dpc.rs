//! DPCs that run, at DISPATCH_LEVEL.
//!
//! Wine's `KeInsertQueueDpc` says TRUE and does nothing; its timers call a DPC's routine directly, at whatever IRQL. So
//! `KeInitializeDpc` puts a trampoline into the KDPC, which raises the IRQL around the driver's routine (kept in
//! `DpcData`), and queued DPCs are kept in a list of ours through their own `DpcListEntry`.

use core::ffi::c_void;
use core::ptr;

use wdk_sys::{_KDPC, BOOLEAN, KDPC, PKDEFERRED_ROUTINE, PVOID};

use crate::call::callback;
use crate::irql;
use crate::nt::sync::{Lock, wait_while, wake_all};
use crate::nt::{ffi, success, teb, workers};
use crate::stop::{Code, anonymous, halt};
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU32, Ordering};

/// `DpcObject`, the type of an initialised KDPC.
const DPC_OBJECT: u8 = 0x13;

/// A queued DPC, by its address.
#[derive(Clone, Copy, PartialEq)]
struct Queued(*mut KDPC);

// SAFETY: the KDPC is the driver's, which keeps it while it is queued.
unsafe impl Send for Queued {}

static QUEUE: Lock<VecDeque<Queued>> = Lock::new(VecDeque::new());
/// DPCs that are queued or run, for `KeFlushQueuedDpcs`.
static BUSY: AtomicU32 = AtomicU32::new(0);

pub(super) extern "C" fn KeInitializeDpc(dpc: *mut KDPC, routine: PKDEFERRED_ROUTINE, context: PVOID) {
    // SAFETY: all-zero is a valid KDPC.
    let mut value: KDPC = unsafe { core::mem::zeroed() };
    value.Type = DPC_OBJECT;
    value.Importance = 1;
    value.DeferredRoutine = Some(trampoline);
    value.DeferredContext = context;
    value.DpcData = routine.map_or(ptr::null_mut(), |routine| routine as *mut c_void);
    crate::call::write(dpc, value);
}

/// What a KDPC's `DeferredRoutine` is, whoever calls it: our worker or one of Wine's timers.
unsafe extern "C" fn trampoline(dpc: *mut _KDPC, context: PVOID, argument1: PVOID, argument2: PVOID) {
    let Some(value) = crate::call::read(dpc.cast_const()) else {
        return;
    };
    if value.DpcData.is_null() {
        halt(
            anonymous(),
            Code::Contract,
            format_args!("DPC {dpc:p} has no routine"),
        );
    }
    // SAFETY: `KeInitializeDpc` put the driver's routine there.
    let routine = unsafe {
        core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut _KDPC, PVOID, PVOID, PVOID)>(
            value.DpcData,
        )
    };
    workers::begin();
    BUSY.fetch_add(1, Ordering::AcqRel);
    irql::at_dispatch(|| callback!("a DPC", routine(dpc, context, argument1, argument2)));
    done();
    workers::end();
}

fn done() {
    if BUSY.fetch_sub(1, Ordering::AcqRel) == 1 {
        wake_all(&BUSY);
    }
}

pub(super) extern "C" fn KeInsertQueueDpc(dpc: *mut KDPC, argument1: PVOID, argument2: PVOID) -> BOOLEAN {
    {
        let mut queue = QUEUE.lock();
        if queue.contains(&Queued(dpc)) {
            return 0;
        }
        // SAFETY: an initialised KDPC of the driver's that is not queued.
        let value = unsafe { &mut *dpc };
        value.SystemArgument1 = argument1;
        value.SystemArgument2 = argument2;
        queue.push_back(Queued(dpc));
        BUSY.fetch_add(1, Ordering::AcqRel);
    }
    // SAFETY: the routine needs no context.
    let posted = unsafe { ffi::TpSimpleTryPost(run_one, ptr::null_mut(), ptr::null_mut()) };
    if !success(posted) {
        halt(
            anonymous(),
            Code::Internal,
            format_args!("no worker thread for a DPC"),
        );
    }
    1
}

unsafe extern "C" fn run_one(_instance: *mut c_void, _context: *mut c_void) {
    // Another post's DPC may be taken, or none if it was removed: there are as many posts as insertions.
    let Some(Queued(dpc)) = QUEUE.lock().pop_front() else {
        return;
    };
    let Some(value) = crate::call::read(dpc.cast_const()) else {
        return;
    };
    if let Some(routine) = value.DeferredRoutine {
        // SAFETY: the KDPC's own routine, with its own arguments.
        unsafe {
            routine(
                dpc,
                value.DeferredContext,
                value.SystemArgument1,
                value.SystemArgument2,
            );
        };
    }
    done();
}

pub(super) extern "C" fn KeRemoveQueueDpc(dpc: *mut KDPC) -> BOOLEAN {
    let removed = {
        let mut queue = QUEUE.lock();
        queue
            .iter()
            .position(|queued| *queued == Queued(dpc))
            .map(|at| queue.remove(at))
            .is_some()
    };
    if removed {
        done();
    }
    removed.into()
}

pub(super) extern "C" fn KeFlushQueuedDpcs() {
    irql::require_at_most("KeFlushQueuedDpcs", irql::PASSIVE);
    debug_assert_ne!(teb::current(), 0);
    loop {
        match BUSY.load(Ordering::Acquire) {
            0 => return,
            busy => {
                wait_while(&BUSY, busy, None);
            }
        }
    }
}
