//! Timers that Wine lacks.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::ptr;

use wdk_sys::{BOOLEAN, KDPC, KTIMER, LARGE_INTEGER, ULONG};

use crate::call::callback;
use crate::irql;
use crate::nt::sync::{Event, Lock};
use crate::nt::workers::{self, PoolTimer};
use crate::nt::{ffi, teb};
use crate::stop::{Code, anonymous, halt};

/// `KeSetCoalescableTimer`: a timer without the tolerance.
pub(super) extern "C" fn KeSetCoalescableTimer(
    timer: *mut KTIMER,
    due: LARGE_INTEGER,
    period: ULONG,
    _tolerable_delay: ULONG,
    dpc: *mut KDPC,
) -> BOOLEAN {
    irql::require_at_most("KeSetCoalescableTimer", irql::DISPATCH);
    // SAFETY: the driver's own arguments.
    unsafe { ffi::KeSetTimerEx(timer, due, period.cast_signed(), dpc) }
}

/// `PEXT_CALLBACK`.
type Callback = unsafe extern "C" fn(*mut ExTimer, *mut c_void);

/// What an `EX_TIMER` is here. Never freed, so that a late callback finds it; the driver's timers are few.
pub(super) struct ExTimer {
    callback: Option<Callback>,
    context: *mut c_void,
    timer: Lock<Option<PoolTimer>>,
    state: Lock<State>,
    quiet: Event,
}

#[derive(Default)]
struct State {
    armed: bool,
    periodic: bool,
    running: Vec<usize>,
}

/// `ExAllocateTimer`. Null if there is no memory.
pub(super) extern "C" fn ExAllocateTimer(
    callback: Option<Callback>,
    context: *mut c_void,
    _attributes: ULONG,
) -> *mut ExTimer {
    irql::require_at_most("ExAllocateTimer", irql::DISPATCH);
    if crate::globals::Globals::only().is_some_and(|globals| !globals.pool().may_allocate()) {
        return ptr::null_mut();
    }
    let timer: &'static ExTimer = Box::leak(Box::new(ExTimer {
        callback,
        context,
        timer: Lock::new(None),
        state: Lock::new(State::default()),
        quiet: Event::new(true),
    }));
    let address = ptr::from_ref(timer).cast_mut();
    match PoolTimer::new(fire, address.cast()) {
        Ok(pool) => {
            *timer.timer.lock() = Some(pool);
            address
        }
        Err(_) => ptr::null_mut(),
    }
}

fn timer_of<'a>(function: &str, timer: *const ExTimer) -> &'a ExTimer {
    // SAFETY: a timer of `ExAllocateTimer`, which are never freed; null is recognised.
    match unsafe { timer.as_ref() } {
        Some(timer) => timer,
        None => halt(
            anonymous(),
            Code::Contract,
            format_args!("{function} was given null"),
        ),
    }
}

unsafe extern "C" fn fire(_instance: *mut c_void, context: *mut c_void, _timer: *mut c_void) {
    let address = context.cast::<ExTimer>();
    let timer = timer_of("an EX_TIMER", address);
    {
        let mut state = timer.state.lock();
        if !state.armed {
            return;
        }
        state.armed = state.periodic;
        state.running.push(teb::current());
        timer.quiet.reset();
    }
    workers::begin();
    if let Some(callback) = timer.callback {
        let context = timer.context;
        irql::at_dispatch(|| callback!("an EX_TIMER's callback", callback(address, context)));
    }
    let mut state = timer.state.lock();
    if let Some(at) = state.running.iter().position(|thread| *thread == teb::current()) {
        state.running.swap_remove(at);
    }
    if state.running.is_empty() {
        timer.quiet.set();
    }
    drop(state);
    workers::end();
}

/// `ExSetTimer`: due and period in 100 ns units. Answers whether it was set already.
pub(super) extern "C" fn ExSetTimer(
    timer: *mut ExTimer,
    due: i64,
    period: i64,
    _parameters: *const c_void,
) -> BOOLEAN {
    irql::require_at_most("ExSetTimer", irql::DISPATCH);
    let timer = timer_of("ExSetTimer", timer);
    let mut state = timer.state.lock();
    let was = core::mem::replace(&mut state.armed, true);
    state.periodic = period != 0;
    let milliseconds = u32::try_from((period + 9_999) / 10_000).unwrap_or(0);
    if let Some(pool) = &*timer.timer.lock() {
        pool.set(due, milliseconds);
    }
    was.into()
}

fn cancel(timer: &ExTimer) -> bool {
    let mut state = timer.state.lock();
    if let Some(pool) = &*timer.timer.lock() {
        pool.cancel();
    }
    core::mem::take(&mut state.armed)
}

/// `ExCancelTimer`. Answers whether it was set.
pub(super) extern "C" fn ExCancelTimer(timer: *mut ExTimer, _parameters: *const c_void) -> BOOLEAN {
    irql::require_at_most("ExCancelTimer", irql::DISPATCH);
    cancel(timer_of("ExCancelTimer", timer)).into()
}

/// `ExDeleteTimer`. Answers whether it was set and cancelled.
pub(super) extern "C" fn ExDeleteTimer(
    timer: *mut ExTimer,
    cancel_first: BOOLEAN,
    wait: BOOLEAN,
    _parameters: *const c_void,
) -> BOOLEAN {
    let timer = timer_of("ExDeleteTimer", timer);
    let was = cancel_first != 0 && cancel(timer);
    if wait != 0 {
        irql::require_at_most("ExDeleteTimer with Wait", irql::APC);
        timer.quiet.wait();
    }
    if cancel_first != 0 {
        let pool = timer.timer.lock().take();
        drop(pool);
    }
    was.into()
}
