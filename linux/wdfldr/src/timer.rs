//! WDFTIMER: a callback after a time, once or periodically, at DISPATCH_LEVEL or, with a passive execution level, on a
//! worker thread at PASSIVE_LEVEL.

use alloc::vec::Vec;
use core::ffi::c_void;

use wdk_sys::{
    _WDF_EXECUTION_LEVEL, BOOLEAN, LONGLONG, NTSTATUS, PFN_WDF_TIMER, PWDF_OBJECT_ATTRIBUTES,
    PWDF_TIMER_CONFIG, WDFOBJECT, WDFTIMER,
};

use crate::call::{self, callback, wdf};
use crate::irql;
use crate::nt::sync::{Event, Lock};
use crate::nt::workers::{self, PoolTimer};
use crate::nt::{status, teb, time};
use crate::object::{self, AnyRef, Create, Kind, Ref, Type};
use crate::table::entries;
use crate::workitem::{Serialization, parent_with_device};

/// 100 ns units in a millisecond.
const MILLISECOND: i64 = 10_000;

/// The body of a WDFTIMER.
pub(crate) struct Timer {
    state: Lock<State>,
    /// Set while no callback runs.
    quiet: Event,
    pool: PoolTimer,
    callback: PFN_WDF_TIMER,
    serialization: Serialization,
    period: u32,
    passive: bool,
    parent: usize,
}

#[derive(Default)]
struct State {
    /// When the next run is due (see [`time::now`]); `None` if it is not started.
    due: Option<i64>,
    /// The threads in the callback.
    running: Vec<usize>,
    /// Disposed of: cannot be started.
    dead: bool,
}

impl Kind for Timer {
    const TYPE: Type = Type::Timer;
    const PASSIVE_DISPOSE: bool = true;

    fn dispose(this: &Ref<Self>) {
        this.state.lock().dead = true;
        this.stop();
        if !this.is_running_here() {
            this.quiet.wait();
        }
    }
}

impl Timer {
    /// Starts it; answers whether it was started already.
    fn start(&self, due: i64) -> bool {
        let relative = time::until(due);
        let mut state = self.state.lock();
        if state.dead {
            return false;
        }
        let was = state.due.replace(time::now() + relative).is_some();
        // Under the lock, so that a concurrent stop comes before or after both.
        self.pool.set(-relative, self.period);
        was
    }

    /// Stops it; answers whether it was started.
    fn stop(&self) -> bool {
        let mut state = self.state.lock();
        self.pool.cancel();
        state.due.take().is_some()
    }

    fn is_running_here(&self) -> bool {
        self.state.lock().running.contains(&teb::current())
    }

    /// The pool's timer went off: claims the run, unless the timer was stopped or set anew meanwhile.
    fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let Some(due) = state.due else { return false };
        let early = due - time::now();
        if early > MILLISECOND {
            // This is the echo of an earlier start; the pool must be told again, since it disarmed itself.
            self.pool.set(-early, self.period);
            return false;
        }
        state.due = (self.period != 0).then(|| due + i64::from(self.period) * MILLISECOND);
        state.running.push(teb::current());
        self.quiet.reset();
        true
    }

    fn end(&self) {
        let mut state = self.state.lock();
        if let Some(at) = state.running.iter().position(|thread| *thread == teb::current()) {
            state.running.swap_remove(at);
        }
        if state.running.is_empty() {
            self.quiet.set();
        }
    }
}

unsafe extern "C" fn fire(_instance: *mut c_void, context: *mut c_void, _timer: *mut c_void) {
    let Some(timer) = AnyRef::from_handle(context.addr())
        .ok()
        .and_then(AnyRef::downcast::<Timer>)
    else {
        return;
    };
    if !timer.begin() {
        return;
    }
    workers::begin();
    if let Some(callback) = timer.callback {
        let run = || callback!("EvtTimerFunc", callback(timer.header().handle()));
        timer.serialization.enter(|| {
            if timer.passive {
                run();
            } else {
                irql::at_dispatch(run);
            }
        });
    }
    timer.end();
    drop(timer);
    workers::end();
}

wdf! {
    /// WdfTimerCreate. IRQL: <= DISPATCH_LEVEL. STATUS_NOT_SUPPORTED for a periodic timer at PASSIVE_LEVEL.
    fn WdfTimerCreate(
        call,
        config: PWDF_TIMER_CONFIG,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        timer: *mut WDFTIMER,
    ) -> NTSTATUS {
        /// The size before `TolerableDelay` (KMDF 1.9).
        const KMDF_1_9: usize = 24;
        /// The size before `UseHighResolutionTimer` (KMDF 1.11).
        const KMDF_1_11: usize = 32;
        call.run(|| {
            call.at_most_dispatch();
            let config = call.config_of(config.cast_const(), &[KMDF_1_9, KMDF_1_11])?;
            let attributes = call.attributes(attributes)?;
            if config.EvtTimerFunc.is_none() || config.Period > i32::MAX.cast_unsigned() {
                return Err(status::INVALID_PARAMETER);
            }
            if config.UseHighResolutionTimer != 0 && config.TolerableDelay != 0 {
                return Err(status::INVALID_PARAMETER);
            }
            let passive = attributes.execution_level == _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
            let (parent, serialization) =
                parent_with_device(call, &attributes, config.AutomaticSerialization != 0, passive)?;
            if passive && config.Period != 0 {
                return Err(status::NOT_SUPPORTED);
            }
            let how = Create { globals: call.globals, attributes, parent: Some(&parent) };
            let created = object::create_with(how, |handle| {
                Ok(Timer {
                    state: Lock::new(State::default()),
                    quiet: Event::new(true),
                    pool: PoolTimer::new(fire, core::ptr::without_provenance_mut(handle))?,
                    callback: config.EvtTimerFunc,
                    serialization,
                    period: config.Period,
                    passive,
                    parent: parent.raw_handle(),
                })
            })?;
            call::write(timer, created.header().handle());
            Ok(())
        })
    }

    /// WdfTimerStart. IRQL: <= DISPATCH_LEVEL. `due` in 100 ns units, negative is relative. Answers whether the timer
    /// was started already.
    fn WdfTimerStart(call, timer: WDFTIMER, due: LONGLONG) -> BOOLEAN {
        call.at_most_dispatch();
        call.get::<Timer>(timer).start(due).into()
    }

    /// WdfTimerStop. IRQL: <= DISPATCH_LEVEL; to wait for a running callback, PASSIVE_LEVEL and not from it. Answers
    /// whether the timer was started.
    fn WdfTimerStop(call, timer: WDFTIMER, wait: BOOLEAN) -> BOOLEAN {
        call.at_most_dispatch();
        let timer = call.get::<Timer>(timer);
        if wait != 0 {
            call.passive();
            if timer.is_running_here() {
                call.violation(format_args!("called from the timer's own callback: it would wait for itself"));
            }
        }
        let was = timer.stop();
        if wait != 0 {
            timer.quiet.wait();
        }
        was.into()
    }

    /// WdfTimerGetParentObject. IRQL: <= DISPATCH_LEVEL.
    fn WdfTimerGetParentObject(call, timer: WDFTIMER) -> WDFOBJECT {
        core::ptr::without_provenance_mut(call.get::<Timer>(timer).parent)
    }
}

entries! {
    WdfTimerCreateTableIndex: PFN_WDFTIMERCREATE = WdfTimerCreate;
    WdfTimerStartTableIndex: PFN_WDFTIMERSTART = WdfTimerStart;
    WdfTimerStopTableIndex: PFN_WDFTIMERSTOP = WdfTimerStop;
    WdfTimerGetParentObjectTableIndex: PFN_WDFTIMERGETPARENTOBJECT = WdfTimerGetParentObject;
}
