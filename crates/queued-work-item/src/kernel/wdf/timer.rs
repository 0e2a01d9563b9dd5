//! The WDFTIMER of a queue or a task, and how it is got rid of.
//!
//! # Why a WDFTIMER
//! The other way is a `KTIMER` with a `KDPC`, which asks for four or five imports more and leaves the wait for a queued
//! DPC to us. A WDFTIMER imports nothing, since the framework's functions come in its table; it waits for its callback
//! when it or its parent is deleted; and DMF's modules stand on it, so that what they saw of it in the field holds here.
//!
//! It runs its callback in a DPC, at `DISPATCH_LEVEL`: its execution level is not passive, and its automatic
//! serialization is off, which would run the callback under the parent's lock.
//!
//! # Deletion
//! - As with a work item, the handle is invalid from the parent's deletion on. It lies under a lock that the cleanup
//!   callback empties it under, and every call is made under that lock, or with a reference that was taken under it.
//! - KMDF begins a deletion by stopping the timer, and ignores starts from then on, but for one that has looked just
//!   before. Such a start is inside the framework, at `DISPATCH_LEVEL` because of our lock, and KMDF's stop flushes
//!   the DPCs of every processor, which this one joins only when the start is done; the timer object is cancelled
//!   once more when its memory goes. Whoever lets a parent be deleted under a timer in use relies on that; closing
//!   first, in `EvtDeviceSelfManagedIoCleanup`, does not.
//! - KMDF waits for the callback when the timer is deleted at `PASSIVE_LEVEL`, and hands the deletion to a thread of its
//!   own above that. `released` comes last, from the destroy callback.

use core::ptr;

use wdk_sys::{
    LONGLONG, NT_SUCCESS, WDF_TIMER_CONFIG, WDFOBJECT, WDFTIMER, call_unsafe_wdf_function_binding,
};

use super::object::{ContextType, attributes, dereference, reference, size_field};
use super::{Parent, performance_counter};
use crate::kernel::{SpinLock, Target, UNITS_PER_SECOND};
use crate::{NtStatus, Passive};

/// All zero, as the framework makes it, until the timer is bound.
#[repr(C)]
struct Context {
    target: Option<Target>,
    timer: *const Timer,
}

static TIMER: ContextType = ContextType::new::<Context>(c"QueuedWorkItemTimer", &TIMER);

/// The timer, or the place for one.
pub(crate) struct Timer {
    /// Empty before the timer is bound, and from the moment that it is being deleted.
    handle: SpinLock<Option<WDFTIMER>>,
}

// SAFETY: framework handles may be used on any thread.
unsafe impl Send for Timer {}
// SAFETY: as above; the rest is a lock.
unsafe impl Sync for Timer {}

impl Timer {
    pub(crate) fn unbound() -> Self {
        Self {
            handle: SpinLock::new(None),
        }
    }

    /// Creates the timer under `parent`. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// `target`'s functions may be called with its core on any thread until `released` was, and this value, which lies
    /// in the core, lasts as long.
    pub(crate) unsafe fn bind(&self, parent: &Parent, target: Target) -> Result<(), NtStatus> {
        let mut config = WDF_TIMER_CONFIG {
            Size: size_field::<WDF_TIMER_CONFIG>(),
            EvtTimerFunc: Some(evt_timer),
            ..WDF_TIMER_CONFIG::default()
        };
        let mut attributes = attributes(parent, &TIMER, Some(evt_cleanup), Some(evt_destroy));
        let mut timer: WDFTIMER = ptr::null_mut();
        // SAFETY: the parent is alive; the framework copies configuration and attributes.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfTimerCreate,
                &raw mut config,
                &raw mut attributes,
                &raw mut timer
            )
        };
        if !NT_SUCCESS(status) {
            return Err(NtStatus(status));
        }
        // SAFETY: created with such a context, just above.
        let context = unsafe { TIMER.of::<Context>(timer.cast()) };
        // SAFETY: the timer was not started and the parent is not being deleted, so nobody else looks at it.
        unsafe {
            context.write(Context {
                target: Some(target),
                timer: self,
            });
        };
        *self.handle.lock() = Some(timer);
        Ok(())
    }

    /// The time, in 100 ns, by the clock that does not jump. Any IRQL.
    #[allow(
        clippy::unused_self,
        reason = "the seam's signature: a simulated machine has a clock of its own"
    )]
    pub(crate) fn now(&self) -> u64 {
        let (count, frequency) = performance_counter();
        let frequency = frequency.max(1);
        // Whole seconds first, so that nothing overflows.
        (count / frequency)
            .wrapping_mul(UNITS_PER_SECOND)
            .wrapping_add((count % frequency).wrapping_mul(UNITS_PER_SECOND) / frequency)
    }

    /// Lets the timer expire once, `after` 100 ns from now or a clock tick later, in the place of what it was set to.
    /// `false` when the timer is being deleted with its parent. IRQL `<= DISPATCH_LEVEL`.
    ///
    /// `true` does not promise an expiry: KMDF ignores a start once it has begun to delete. `torn_down` follows then.
    pub(crate) fn set(&self, after: u64) -> bool {
        let handle = self.handle.lock();
        let Some(timer) = *handle else { return false };
        // Negative is relative; 0 would be a date, and the smallest relative time expires at the next tick.
        let due: LONGLONG = -i64::try_from(after).unwrap_or(i64::MAX).max(1);
        // Whether it had been set before is not asked.
        // SAFETY: the cleanup callback has not emptied the place yet, and cannot while the lock is held: it is alive.
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfTimerStart, timer, due) };
        true
    }

    /// Takes the timer out. `true`: it was set, and will not expire. `false`: it was not set, or has expired, and
    /// its callback has run, runs or is about to. IRQL `<= DISPATCH_LEVEL`.
    #[allow(dead_code, reason = "for owners that stop a timer and keep it")]
    pub(crate) fn stop(&self) -> bool {
        let handle = self.handle.lock();
        let Some(timer) = *handle else { return false };
        // SAFETY: alive, as in `set`.
        unsafe { call_unsafe_wdf_function_binding!(WdfTimerStop, timer, 0) != 0 }
    }

    /// As [`stop`](Self::stop), and returns when no callback runs. Starts while it waits may be ignored. One thread
    /// at a time. IRQL `PASSIVE_LEVEL`.
    #[allow(dead_code, reason = "for owners that stop a timer and keep it")]
    pub(crate) fn stop_and_wait(&self, _: &mut Passive) -> bool {
        let timer = {
            let handle = self.handle.lock();
            let Some(timer) = *handle else { return false };
            // SAFETY: alive, as in `set`.
            unsafe { reference(timer.cast()) };
            timer
        };
        // SAFETY: referenced above; PASSIVE_LEVEL by the token, which a timer's callback has none of.
        let was = unsafe { call_unsafe_wdf_function_binding!(WdfTimerStop, timer, 1) != 0 };
        // SAFETY: the reference from above.
        unsafe { dereference(timer.cast()) };
        was
    }

    /// Deletes the timer; waits for its callback at `PASSIVE_LEVEL`. `released` follows when the last one has returned.
    pub(crate) fn dispose(&self) {
        let timer = {
            let mut place = self.handle.lock();
            let Some(timer) = place.take() else { return };
            // SAFETY: alive, as in `set`.
            unsafe { reference(timer.cast()) };
            timer
        };
        // SAFETY: referenced above. If its parent is deleting it already, the framework sorts that out.
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, timer.cast()) };
        // SAFETY: the reference from above.
        unsafe { dereference(timer.cast()) };
    }
}

unsafe extern "C" fn evt_timer(timer: WDFTIMER) {
    // SAFETY: such a timer has such a context, and is set only after it was bound.
    let context = unsafe { TIMER.context::<Context>(timer.cast()) };
    if let Some(target) = context.target {
        // SAFETY: the core is kept until `evt_destroy`, which follows the last callback.
        unsafe { (target.run)(target.core) };
    }
}

unsafe extern "C" fn evt_cleanup(object: WDFOBJECT) {
    // SAFETY: as in `evt_timer`; the context outlives this callback.
    let context = unsafe { TIMER.context::<Context>(object) };
    let Some(target) = context.target else { return };
    // SAFETY: the timer's place lies in the core, which is kept until `evt_destroy`.
    let timer: &Timer = unsafe { &*context.timer };
    let bound = timer.handle.lock().take();
    // Empty already: the owner itself has begun the deletion.
    if bound.is_some() {
        // SAFETY: timers are cleaned up at PASSIVE_LEVEL, once; nothing can be set any more.
        unsafe { (target.torn_down)(target.core) };
    }
}

unsafe extern "C" fn evt_destroy(object: WDFOBJECT) {
    // SAFETY: as in `evt_timer`; the context's memory goes after this callback.
    let context = unsafe { TIMER.of::<Context>(object) };
    // SAFETY: no other callback is called beside or after this one.
    let context = unsafe { &mut *context };
    if let Some(target) = context.target.take() {
        // SAFETY: the last callback of all, once.
        unsafe { (target.released)(target.core) };
    }
}
