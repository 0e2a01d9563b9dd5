//! Threads and timers, from ntdll's thread pool: the source of work items, DPCs and timer callbacks.
//!
//! Objects of the pool are allocated when the WDF object is created, so that queueing cannot fail later, as KMDF
//! promises.

use alloc::boxed::Box;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::NTSTATUS;

use super::sync::{wait_while, wake_all};
use super::{check, ffi, time};

/// What runs, or is bound to run, on other threads for a driver, beside what disposal waits for.
static OUTSTANDING: AtomicU32 = AtomicU32::new(0);

/// Notes work begun for a driver: unbinding waits for it.
pub(crate) fn begin() {
    OUTSTANDING.fetch_add(1, Ordering::AcqRel);
}

/// Notes its end.
pub(crate) fn end() {
    if OUTSTANDING.fetch_sub(1, Ordering::AcqRel) == 1 {
        wake_all(&OUTSTANDING);
    }
}

/// How long [`quiesce`] waits, in 100 ns units: another driver of the process may have something that never ends.
const PATIENCE: i64 = 10 * 10_000_000;

/// Waits until all that was begun has ended: a driver's DPCs, timer callbacks and work items, and deferred deletions.
/// False if something still runs after ten seconds.
pub(crate) fn quiesce() -> bool {
    let deadline = time::now() + PATIENCE;
    loop {
        let running = OUTSTANDING.load(Ordering::Acquire);
        let left = deadline - time::now();
        if running == 0 || left <= 0 {
            return running == 0;
        }
        wait_while(&OUTSTANDING, running, Some(left));
    }
}

/// A unit of work that may be posted again and again; each post is one run on a pool thread.
pub(crate) struct Work(*mut c_void);

// SAFETY: the thread pool's objects may be used from any thread.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

impl Work {
    /// Prepares `routine(context)`. What `context` points to must outlive the last run.
    pub(crate) fn new(routine: ffi::TpWorkRoutine, context: *mut c_void) -> Result<Self, NTSTATUS> {
        let mut work = ptr::null_mut();
        // SAFETY: the out pointer is valid, no environment means the default pool.
        check(unsafe { ffi::TpAllocWork(&raw mut work, routine, context, ptr::null_mut()) })?;
        Ok(Self(work))
    }

    /// Runs the routine once more.
    pub(crate) fn post(&self) {
        // SAFETY: the object is live.
        unsafe { ffi::TpPostWork(self.0) };
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: released once; runs that are still posted are carried out first by the pool.
        unsafe { ffi::TpReleaseWork(self.0) };
    }
}

/// A one-shot or periodic timer of the pool.
pub(crate) struct PoolTimer(*mut c_void);

// SAFETY: the thread pool's objects may be used from any thread.
unsafe impl Send for PoolTimer {}
// SAFETY: as above.
unsafe impl Sync for PoolTimer {}

impl PoolTimer {
    /// Prepares `routine(context)`. What `context` points to must outlive the last run.
    pub(crate) fn new(routine: ffi::TpTimerRoutine, context: *mut c_void) -> Result<Self, NTSTATUS> {
        let mut timer = ptr::null_mut();
        // SAFETY: the out pointer is valid, no environment means the default pool.
        check(unsafe { ffi::TpAllocTimer(&raw mut timer, routine, context, ptr::null_mut()) })?;
        Ok(Self(timer))
    }

    /// Sets it off at `due` (100 ns units; negative is relative) and then every `period` ms, if that is not zero.
    pub(crate) fn set(&self, due: i64, period: u32) {
        // SAFETY: the object is live and the time is readable.
        unsafe { ffi::TpSetTimer(self.0, &raw const due, period.cast_signed(), 0) };
    }

    /// Disarms it; a run that has begun goes on.
    pub(crate) fn cancel(&self) {
        // SAFETY: the object is live; no time means disarm.
        unsafe { ffi::TpSetTimer(self.0, ptr::null(), 0, 0) };
    }
}

impl Drop for PoolTimer {
    fn drop(&mut self) {
        // SAFETY: released once.
        unsafe { ffi::TpReleaseTimer(self.0) };
    }
}

/// Runs a closure once on a pool thread. For rare, deferred clean-up.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) -> Result<(), NTSTATUS> {
    let boxed: Box<Box<dyn FnOnce() + Send>> = Box::new(Box::new(job));
    let context = Box::into_raw(boxed);
    begin();
    // SAFETY: the routine takes the box back.
    let status = unsafe { ffi::TpSimpleTryPost(run_boxed, context.cast(), ptr::null_mut()) };
    if let Err(status) = check(status) {
        // SAFETY: the pool did not take it.
        drop(unsafe { Box::from_raw(context) });
        end();
        return Err(status);
    }
    Ok(())
}

unsafe extern "C" fn run_boxed(_instance: *mut c_void, context: *mut c_void) {
    // SAFETY: `run` made this pointer for this one call.
    let job = unsafe { Box::from_raw(context.cast::<Box<dyn FnOnce() + Send>>()) };
    job();
    end();
}
