//! Timers.

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{PFN_WDF_TIMER, STATUS_NOT_SUPPORTED, WDF_TIMER_CONFIG, WDFDEVICE, WDFTIMER, WDFTIMER__};

use crate::check::Verdict;
use crate::probe::{Event, Probe, now, pause};
use crate::wdf::{Owned, child_of, size_field};

const PASSIVE: u32 = 0;
const DISPATCH: u32 = 2;
/// What a timer's due time is in: negative is relative, in units of 100 ns.
const MILLISECOND: i64 = 10_000;

static PROBE: Probe = Probe::new();
static COUNTDOWN: AtomicU32 = AtomicU32::new(0);
static DONE: Event = Event::new();

fn create_at(
    device: WDFDEVICE,
    callback: PFN_WDF_TIMER,
    period: u32,
    level: wdk_sys::WDF_EXECUTION_LEVEL,
) -> Result<Owned<WDFTIMER__>, wdk_sys::NTSTATUS> {
    PROBE.reset();
    let mut config = WDF_TIMER_CONFIG {
        Size: size_field::<WDF_TIMER_CONFIG>(),
        EvtTimerFunc: callback,
        Period: period,
        ..WDF_TIMER_CONFIG::default()
    };
    let mut attributes = child_of(device);
    attributes.ExecutionLevel = level;
    let mut timer: WDFTIMER = ptr::null_mut();
    let created = wdf!(
        WdfTimerCreate,
        &raw mut config,
        &raw mut attributes,
        &raw mut timer
    );
    crate::wdf::ok(created)?;
    Ok(Owned(timer))
}

/// A timer whose callback is a DPC's; the probe is new.
fn create(device: WDFDEVICE, callback: PFN_WDF_TIMER, period: u32) -> Verdict<Owned<WDFTIMER__>> {
    let level = wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent;
    create_at(device, callback, period, level)
        .map_err(|status| alloc::format!("WdfTimerCreate: {status:#010X}"))
}

/// Starts it; whether it was started already.
fn start(timer: &Owned<WDFTIMER__>, milliseconds: i64) -> bool {
    wdf!(WdfTimerStart, timer.0, -milliseconds * MILLISECOND) != 0
}

/// Stops it; whether it was started.
fn stop(timer: &Owned<WDFTIMER__>) -> bool {
    wdf!(WdfTimerStop, timer.0, 1) != 0
}

extern "C" fn evt_hit(_: WDFTIMER) {
    PROBE.hit();
}

pub(super) fn a_timer_fires_once_at_dispatch_level(device: WDFDEVICE) -> Verdict {
    let timer = create(device, Some(evt_hit), 0)?;
    check!(!start(&timer, 5), "a new timer was started already");
    check!(PROBE.reach(1), "it did not fire");
    check!(PROBE.ran_at(DISPATCH), "it fired at another IRQL");
    pause(50);
    equal!(PROBE.runs(), 1, "runs, a while later");
    check!(!stop(&timer), "a timer that has fired was still started");
    Ok(())
}

pub(super) fn a_timer_is_not_early(device: WDFDEVICE) -> Verdict {
    let timer = create(device, Some(evt_hit), 0)?;
    for milliseconds in [1, 20, 60] {
        let runs = PROBE.runs();
        let begun = now();
        start(&timer, milliseconds);
        check!(PROBE.reach(runs + 1), "it did not fire");
        let waited = now() - begun;
        // The clock's own grain, of 1 ms, aside.
        check!(
            waited >= (milliseconds - 1) * MILLISECOND,
            "due in {milliseconds} ms, it fired after {waited} units of 100 ns"
        );
    }
    Ok(())
}

pub(super) fn a_periodic_timer_repeats_until_stopped(device: WDFDEVICE) -> Verdict {
    let timer = create(device, Some(evt_hit), 5)?;
    let begun = now();
    start(&timer, 5);
    check!(PROBE.reach(5), "it fired only {} times", PROBE.runs());
    let waited = now() - begun;
    check!(
        waited >= 20 * MILLISECOND,
        "5 runs at 5 ms took {waited} units of 100 ns"
    );
    check!(stop(&timer), "a periodic timer was not started any more");
    let runs = PROBE.runs();
    pause(50);
    equal!(PROBE.runs(), runs, "runs after it was stopped");
    check!(PROBE.ran_at(DISPATCH), "it fired at another IRQL");
    Ok(())
}

pub(super) fn a_stopped_timer_does_not_fire(device: WDFDEVICE) -> Verdict {
    let timer = create(device, Some(evt_hit), 0)?;
    start(&timer, 60_000);
    check!(stop(&timer), "a timer that is due in a minute was not started");
    check!(!stop(&timer), "a stopped timer was still started");
    start(&timer, 30);
    check!(stop(&timer), "a timer that is due in 30 ms was not started");
    pause(80);
    equal!(PROBE.runs(), 0, "runs");
    Ok(())
}

pub(super) fn a_started_timer_can_be_started_anew(device: WDFDEVICE) -> Verdict {
    let timer = create(device, Some(evt_hit), 0)?;
    start(&timer, 60_000);
    check!(
        start(&timer, 5),
        "a timer that is due in a minute was not started"
    );
    check!(PROBE.reach(1), "it did not fire at the new time");
    pause(30);
    equal!(PROBE.runs(), 1, "runs");
    check!(!start(&timer, 5), "a timer that has fired was still started");
    check!(PROBE.reach(2), "it did not fire again");
    Ok(())
}

extern "C" fn evt_again(timer: WDFTIMER) {
    PROBE.enter();
    if COUNTDOWN
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
    {
        let _ = wdf!(WdfTimerStart, timer, -MILLISECOND);
    }
    PROBE.leave();
}

pub(super) fn a_timer_restarts_itself_in_its_callback(device: WDFDEVICE) -> Verdict {
    let timer = create(device, Some(evt_again), 0)?;
    COUNTDOWN.store(9, SeqCst);
    start(&timer, 1);
    check!(PROBE.reach(10), "only {} runs of 10 came", PROBE.runs());
    pause(30);
    equal!(PROBE.runs(), 10, "runs");
    Ok(())
}

pub(super) fn a_passive_timer_fires_at_passive_level(device: WDFDEVICE) -> Verdict {
    let level = wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    let timer = create_at(device, Some(evt_hit), 0, level)
        .map_err(|status| alloc::format!("WdfTimerCreate: {status:#010X}"))?;
    for run in 1..=3 {
        start(&timer, 5);
        check!(PROBE.reach(run), "run {run} did not come");
    }
    check!(PROBE.ran_at(PASSIVE), "it fired at another IRQL");
    Ok(())
}

pub(super) fn a_passive_periodic_timer_is_refused(device: WDFDEVICE) -> Verdict {
    let level = wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    let status = create_at(device, Some(evt_hit), 10, level).map_or_else(|status| status, |_| 0);
    status!(status, STATUS_NOT_SUPPORTED, "a periodic timer at PASSIVE_LEVEL");
    Ok(())
}

extern "C" fn evt_slow(_: WDFTIMER) {
    PROBE.enter();
    let begun = now();
    // At DISPATCH_LEVEL nothing can wait.
    while now() - begun < 30 * MILLISECOND {
        core::hint::spin_loop();
    }
    DONE.set();
    PROBE.leave();
}

pub(super) fn stop_waits_for_the_callback(device: WDFDEVICE) -> Verdict {
    let timer = create(device, Some(evt_slow), 0)?;
    DONE.reset();
    start(&timer, 1);
    check!(PROBE.entered.comes(), "it did not fire");
    stop(&timer);
    check!(
        DONE.wait(0),
        "the stop that waits returned while the callback ran"
    );
    Ok(())
}
