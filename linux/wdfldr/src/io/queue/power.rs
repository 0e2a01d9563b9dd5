//! Powering a queue off and on.
//!
//! ```text
//! On ─ freeze ─> Frozen ─ stop ─> Stopping ──> Off ─ resume ─> Resuming ──> On
//! On, Off ─────────── purge ────> Stopping ──> Off
//! ```
//!
//! | state | |
//! |---|---|
//! | `Frozen` | nothing is presented; left when all callbacks have returned |
//! | `Stopping` | EvtIoStop is called for each request that the driver has; left when each was completed, or acknowledged by WdfRequestStopAcknowledge, and all callbacks have returned |
//! | `Resuming` | EvtIoResume is called for each request that the driver kept |
//!
//! A queue that is not power-managed knows only the purge, at its device's end.

use super::engine::Step;
use super::{Core, Presented, Queue, abort, describe, dispatch, flow, queue_up};
use crate::call::Call;
use crate::io::request::{self, Request, State};
use crate::io::wait::Signal;
use crate::nt::sync::Guard;
use crate::object::Ref;

/// The states of the module's picture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    Off,
    Frozen,
    Stopping { purge: bool },
    Resuming,
}

/// Whether the driver is being told to stop or resume. Only while that goes on, not while its answer is waited for.
pub(super) fn tells(core: &Core) -> bool {
    core.telling != 0
        || matches!(core.power, Power::Stopping { .. } | Power::Resuming)
            && core.presented.iter().any(|entry| entry.stage == Stage::ToTell)
}

/// Where EvtIoStop and EvtIoResume are with a request that the driver has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nowhere: it is being worked on, or the driver keeps it over the power-down.
    Running,
    /// EvtIoStop, or EvtIoResume, is to be called.
    ToTell,
    /// EvtIoStop was called; WdfRequestStopAcknowledge or a completion is due.
    Told,
    /// Acknowledged; with `requeue` it goes back to the head of the line.
    Acknowledged { requeue: bool },
}

/// What the power state says about the next step.
pub(super) enum Next {
    Step(Step),
    /// Nothing to do until the driver answers.
    Wait,
    /// Power has nothing to say.
    Proceed,
}

pub(super) fn next(core: &mut Guard<'_, Core>, alone: bool) -> Next {
    match core.power {
        Power::On | Power::Off => Next::Proceed,
        Power::Frozen => {
            if alone {
                done(core);
            }
            Next::Wait
        }
        Power::Stopping { purge } => {
            if let Some(entry) = find(core, |stage| stage == Stage::ToTell) {
                entry.stage = Stage::Told;
                let request = entry.request.clone();
                core.telling += 1;
                return Next::Step(Step::Stop(request, purge));
            }
            if let Some(entry) = find(core, |stage| matches!(stage, Stage::Acknowledged { .. })) {
                let requeue = entry.stage == Stage::Acknowledged { requeue: true };
                entry.stage = Stage::Running;
                let request = entry.request.clone();
                if requeue {
                    put_back(core, &request);
                }
                return Next::Step(Step::Again);
            }
            if core.presented.iter().any(|entry| entry.stage == Stage::Told) || !alone {
                return Next::Wait;
            }
            core.power = Power::Off;
            done(core);
            Next::Step(Step::Again)
        }
        Power::Resuming => {
            if let Some(entry) = find(core, |stage| stage == Stage::ToTell) {
                entry.stage = Stage::Running;
                let request = entry.request.clone();
                if request.core().cancelled {
                    return Next::Step(Step::Again);
                }
                core.telling += 1;
                return Next::Step(Step::Resume(request));
            }
            core.power = Power::On;
            // Requests are presented when all queues of the device are on: see `begin`.
            Next::Wait
        }
    }
}

fn find<'a>(core: &'a mut Guard<'_, Core>, wanted: impl Fn(Stage) -> bool) -> Option<&'a mut Presented> {
    core.presented.iter_mut().find(|entry| wanted(entry.stage))
}

fn done(core: &mut Guard<'_, Core>) {
    if let Some(waiter) = core.power_done.take() {
        waiter.set();
    }
}

/// Puts a request that the driver gave back at the head of the line; a cancelled one is aborted.
pub(super) fn put_back(core: &mut Core, request: &Ref<Request>) {
    let Some(queue) = request.queue() else { return };
    drop(core.take_presented(request));
    request.core().state = State::Framework;
    if core.cancel_dispatched {
        abort(core, request.clone());
    } else {
        queue_up(core, &queue, request, true);
    }
}

/// Enters a transition, runs it and waits until it is through.
fn transit(queue: &Ref<Queue>, to: Power, purpose: &str) {
    let signal = Signal::new();
    {
        let mut core = queue.core();
        if core.deleted {
            return;
        }
        core.power = to;
        core.power_done = Some(signal.clone());
        if let Power::Stopping { .. } = to {
            for entry in &mut core.presented {
                entry.stage = Stage::ToTell;
            }
        }
    }
    dispatch(queue);
    signal.wait(|f| describe(queue, purpose, f));
}

/// Keeps the queue from presenting, and waits until all callbacks have returned.
pub(in crate::io) fn freeze(queue: &Ref<Queue>) {
    if queue.config.power_managed && queue.core().power == Power::On {
        transit(
            queue,
            Power::Frozen,
            "to be left by all callbacks before power-down",
        );
    }
}

/// Has the driver stop what it works on, and waits until it has.
pub(in crate::io) fn stop(queue: &Ref<Queue>) {
    if queue.config.power_managed && queue.core().power == Power::Frozen {
        transit(
            queue,
            Power::Stopping { purge: false },
            "to be stopped by the driver for power-down",
        );
    }
}

/// Cancels what is queued, has the driver end what it works on, and waits until it has.
pub(in crate::io) fn purge(queue: &Ref<Queue>) {
    {
        let mut core = queue.core();
        core.shut_down = true;
        core.accepts = false;
    }
    flow::purge(queue, true, None);
    transit(
        queue,
        Power::Stopping { purge: true },
        "to be emptied by the driver for removal",
    );
}

/// Tells the driver that requests which it kept can go on.
pub(in crate::io) fn resume(queue: &Ref<Queue>) {
    if !queue.config.power_managed {
        return;
    }
    {
        let mut core = queue.core();
        if core.power != Power::Off || core.deleted {
            return;
        }
        core.power = Power::Resuming;
        for entry in &mut core.presented {
            entry.stage = Stage::ToTell;
        }
    }
    dispatch(queue);
}

/// Presents what has been waiting for power.
pub(in crate::io) fn begin(queue: &Ref<Queue>) {
    if queue.config.power_managed {
        {
            let mut core = queue.core();
            core.became_ready |= !core.waiting.is_empty();
        }
        dispatch(queue);
    }
}

/// `WdfRequestStopAcknowledge`.
pub(in crate::io) fn acknowledge(call: &Call, request: &Ref<Request>, requeue: bool) {
    let Some(queue) = request.queue() else {
        call.violation(format_args!(
            "WDFREQUEST {:#x} is not from a queue",
            request.header().raw_handle()
        ))
    };
    let refused = {
        let mut core = queue.core();
        let state = request.core().state;
        let entry = core
            .presented
            .iter_mut()
            .find(|entry| request::same(&entry.request, request));
        match entry {
            Some(entry) if entry.stage == Stage::Told => {
                if requeue && state != State::Driver {
                    Some("it is to be requeued, but it is cancelable or cancelled: unmark it first")
                } else {
                    entry.stage = Stage::Acknowledged { requeue };
                    None
                }
            }
            _ => Some("EvtIoStop was not called for it, or it was acknowledged already"),
        }
    };
    if let Some(reason) = refused {
        call.violation(format_args!(
            "WDFREQUEST {:#x}: {reason}",
            request.header().raw_handle()
        ));
    }
    dispatch(&queue);
}
