//! Work items: coalescing, re-entry, flush, deletion.

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{PFN_WDF_WORKITEM, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFWORKITEM, WDFWORKITEM__};

use crate::check::{Verdict, success};
use crate::probe::{Event, Probe, pause};
use crate::wdf::{Owned, child_of, size_field};

const PASSIVE: u32 = 0;

static PROBE: Probe = Probe::new();
/// What a case tells its callback.
static COUNTDOWN: AtomicU32 = AtomicU32::new(0);
static DONE: Event = Event::new();

/// A work item; the probe is new.
fn create(device: WDFDEVICE, callback: PFN_WDF_WORKITEM) -> Verdict<Owned<WDFWORKITEM__>> {
    PROBE.reset();
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: callback,
        AutomaticSerialization: 0,
    };
    let mut attributes = child_of(device);
    let mut item: WDFWORKITEM = ptr::null_mut();
    let created = wdf!(
        WdfWorkItemCreate,
        &raw mut config,
        &raw mut attributes,
        &raw mut item
    );
    success("WdfWorkItemCreate", created)?;
    Ok(Owned(item))
}

fn enqueue(item: &Owned<WDFWORKITEM__>) {
    wdf!(WdfWorkItemEnqueue, item.0);
}

fn flush(item: &Owned<WDFWORKITEM__>) {
    wdf!(WdfWorkItemFlush, item.0);
}

extern "C" fn evt_hit(_: WDFWORKITEM) {
    PROBE.hit();
}

extern "C" fn evt_hold(_: WDFWORKITEM) {
    PROBE.hold();
}

pub(super) fn a_work_item_runs_once_for_each_enqueue_that_finds_it_idle(device: WDFDEVICE) -> Verdict {
    let item = create(device, Some(evt_hit))?;
    for run in 1..=100 {
        enqueue(&item);
        check!(PROBE.reach(run), "run {run} did not come");
        // The run is over when its callback is, which is after it was counted.
        flush(&item);
        equal!(PROBE.runs(), run, "runs");
    }
    pause(20);
    equal!(PROBE.runs(), 100, "runs, a while later");
    Ok(())
}

pub(super) fn a_work_item_runs_at_passive_level(device: WDFDEVICE) -> Verdict {
    let item = create(device, Some(evt_hit))?;
    enqueue(&item);
    check!(PROBE.reach(1), "it did not run");
    check!(PROBE.ran_at(PASSIVE), "it ran at another IRQL");
    Ok(())
}

pub(super) fn a_work_item_enqueued_while_queued_runs_once(device: WDFDEVICE) -> Verdict {
    // While its callback is held, the first enqueue queues it and the others find it queued.
    let item = create(device, Some(evt_hold))?;
    enqueue(&item);
    check!(PROBE.entered.comes(), "it did not run");
    for _ in 0..10 {
        enqueue(&item);
    }
    PROBE.gate.set();
    check!(PROBE.reach(2), "the enqueue during the callback is lost");
    flush(&item);
    pause(20);
    equal!(PROBE.runs(), 2, "runs");
    Ok(())
}

/// Enqueues its own work item as long as it is told to.
extern "C" fn evt_again(item: WDFWORKITEM) {
    PROBE.enter();
    let again = COUNTDOWN
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok();
    if again {
        wdf!(WdfWorkItemEnqueue, item);
    }
    PROBE.leave();
}

pub(super) fn a_work_item_enqueued_in_its_callback_runs_again(device: WDFDEVICE) -> Verdict {
    let item = create(device, Some(evt_again))?;
    COUNTDOWN.store(49, SeqCst);
    enqueue(&item);
    check!(PROBE.reach(50), "only {} runs of 50 came", PROBE.runs());
    flush(&item);
    equal!(PROBE.runs(), 50, "runs");
    Ok(())
}

extern "C" fn evt_slow(_: WDFWORKITEM) {
    PROBE.enter();
    pause(30);
    PROBE.leave();
}

pub(super) fn flush_waits_for_the_run(device: WDFDEVICE) -> Verdict {
    let item = create(device, Some(evt_slow))?;
    for run in 1..=5 {
        enqueue(&item);
        flush(&item);
        equal!(PROBE.runs(), run, "runs when the flush returned");
    }
    Ok(())
}

pub(super) fn flush_of_an_idle_work_item_returns(device: WDFDEVICE) -> Verdict {
    let item = create(device, Some(evt_hit))?;
    flush(&item);
    equal!(PROBE.runs(), 0, "runs");
    Ok(())
}

extern "C" fn evt_slow_signal(_: WDFWORKITEM) {
    PROBE.enter();
    pause(30);
    DONE.set();
    PROBE.leave();
}

pub(super) fn deletion_waits_for_the_run(device: WDFDEVICE) -> Verdict {
    let item = create(device, Some(evt_slow_signal))?;
    DONE.reset();
    enqueue(&item);
    check!(PROBE.entered.comes(), "it did not run");
    drop(item);
    check!(DONE.wait(0), "the work item was deleted while its callback ran");
    Ok(())
}

pub(super) fn a_work_item_knows_its_parent(device: WDFDEVICE) -> Verdict {
    let item = create(device, Some(evt_hit))?;
    equal!(
        wdf!(WdfWorkItemGetParentObject, item.0),
        device.cast(),
        "the parent"
    );
    Ok(())
}
