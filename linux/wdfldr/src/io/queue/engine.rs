//! What a queue does next.
//!
//! The order is KMDF's: cancellations first, then the notifications that wait for emptiness, then power, then requests.
//!
//! A thread runs the loop only if it may call the driver: not above the callbacks' IRQL, not inside a callback that
//! holds the presentation lock. Otherwise it leaves the loop to a worker thread.

use core::ffi::c_void;

use wdk_sys::{_WDF_REQUEST_STOP_ACTION_FLAGS, PFN_WDF_IO_QUEUE_STATE, WDFCONTEXT};

use super::power::{Next, Power};
use super::{Core, Kinds, Notify, Presented, Queue, from_context, power};
use crate::call::callback;
use crate::io::irp;
use crate::io::request::{self, Request, State};
use crate::nt::status;
use crate::nt::sync::Guard;
use crate::object::Ref;

/// One step: what to do with the lock released.
pub(super) enum Step {
    /// EvtRequestCancel.
    Cancel(Ref<Request>),
    /// EvtIoCanceledOnQueue.
    CanceledOnQueue(Ref<Request>),
    /// Complete with STATUS_CANCELLED.
    Abort(Ref<Request>),
    /// A stop, drain or purge is through.
    Notify(Notify),
    /// The ready notification of a manual queue.
    Ready(PFN_WDF_IO_QUEUE_STATE, WDFCONTEXT),
    /// EvtIoStop, for suspension or purge.
    Stop(Ref<Request>, bool),
    /// EvtIoResume.
    Resume(Ref<Request>),
    /// The request's callback.
    Present(Ref<Request>),
    /// The state has changed; look again.
    Again,
    /// Nothing for this thread.
    Done,
}

/// Runs the queue until nothing is left for this thread to do.
pub(crate) fn dispatch(queue: &Ref<Queue>) {
    let mut core = queue.core();
    if core.deleted {
        return;
    }
    if !queue.constraints.admit_this_thread() {
        drop(core);
        queue.work.post();
        return;
    }
    core.dispatching += 1;
    loop {
        let step = next(queue, &mut core);
        if let Step::Done = step {
            core.dispatching -= 1;
            return;
        }
        drop(core);
        perform(queue, step);
        core = queue.core();
    }
}

/// As [`dispatch`], for what happens in the middle of things: if a thread is in the loop already, it will see to it, and
/// a driver that completes requests from its callbacks does not recurse.
pub(crate) fn dispatch_internal(queue: &Ref<Queue>) {
    let busy = queue.core().dispatching != 0;
    if !busy {
        dispatch(queue);
    }
}

/// [`dispatch`] on a thread of the pool.
pub(super) unsafe extern "C" fn dispatch_on_worker(
    _instance: *mut c_void,
    context: *mut c_void,
    _work: *mut c_void,
) {
    if let Some(queue) = from_context(context) {
        dispatch(&queue);
    }
}

fn next(queue: &Ref<Queue>, core: &mut Guard<'_, Core>) -> Step {
    // While the driver is told to stop or resume, it is not told of cancellations: one at a time.
    if !power::tells(core)
        && let Some(request) = core.to_cancel.pop_front()
    {
        request.core().state = State::CancelCalled;
        return Step::Cancel(request);
    }
    if let Some(step) = next_aborted(queue, core) {
        return step;
    }
    let alone = core.dispatching == 1;
    if alone && core.drivers() == 0 && core.idle.is_some() {
        core.cancel_dispatched = false;
        return core.idle.take().map_or(Step::Again, Step::Notify);
    }
    if alone && core.total() == 0 && core.purged.is_some() {
        core.cancel_dispatched = false;
        return core.purged.take().map_or(Step::Again, Step::Notify);
    }
    match power::next(core, alone) {
        Next::Step(step) => return step,
        Next::Wait => return Step::Done,
        Next::Proceed => {}
    }
    if alone
        && core.total() == 0
        && let Some(disposing) = core.disposing.take()
    {
        core.deleted = true;
        disposing.set();
        return Step::Done;
    }
    if core.power == Power::Off || !core.dispatches {
        return Step::Done;
    }
    match queue.config.kind {
        Kinds::Manual => {
            return match core.ready {
                Some((ready, context)) if core.became_ready => {
                    core.became_ready = false;
                    Step::Ready(ready, context)
                }
                _ => Step::Done,
            };
        }
        Kinds::Sequential if core.drivers() > 0 => return Step::Done,
        Kinds::Parallel(most) if core.drivers() >= most as usize => return Step::Done,
        Kinds::Sequential | Kinds::Parallel(_) => {}
    }
    match take_next(core) {
        Some(request) => {
            give_to_driver(core, &request);
            Step::Present(request)
        }
        None => Step::Done,
    }
}

/// The next aborted request: for EvtIoCanceledOnQueue if the driver has seen it before, else to be completed.
fn next_aborted(queue: &Ref<Queue>, core: &mut Guard<'_, Core>) -> Option<Step> {
    let notifies = power::tells(core);
    let tells_driver = |request: &Ref<Request>| {
        queue.config.events.EvtIoCanceledOnQueue.is_some() && request.core().presented
    };
    let at = core
        .aborted
        .iter()
        .position(|request| !(notifies && tells_driver(request)))?;
    let request = core.aborted.remove(at)?;
    if tells_driver(&request) {
        give_to_driver(core, &request);
        Some(Step::CanceledOnQueue(request))
    } else {
        core.aborting += 1;
        Some(Step::Abort(request))
    }
}

/// Takes the oldest queued request that is not being cancelled just now.
pub(super) fn take_next(core: &mut Core) -> Option<Ref<Request>> {
    take_where(core, |_| true)
}

/// Takes the oldest queued request that fits and is not being cancelled just now. It is in nobody's hands.
pub(super) fn take_where(core: &mut Core, fits: impl Fn(&Ref<Request>) -> bool) -> Option<Ref<Request>> {
    let at = core
        .waiting
        .iter()
        .position(|request| fits(request) && request::disarm(request))?;
    let request = core.waiting.remove(at)?;
    request.core().state = State::Framework;
    Some(request)
}

/// Makes a request the driver's.
pub(super) fn give_to_driver(core: &mut Core, request: &Ref<Request>) {
    {
        let mut request_core = request.core();
        request_core.state = State::Driver;
        request_core.presented = true;
    }
    core.presented.push(Presented {
        request: request.clone(),
        stage: power::Stage::Running,
    });
}

fn perform(queue: &Ref<Queue>, step: Step) {
    let events = &queue.config.events;
    let handle = queue.header().handle();
    match step {
        Step::Cancel(request) => {
            let routine = request.core().cancel;
            let target = request.header().handle();
            if let Some(routine) = routine {
                queue
                    .constraints
                    .enter(|| callback!("EvtRequestCancel", routine(target)));
            }
        }
        Step::CanceledOnQueue(request) => {
            let target = request.header().handle();
            if let Some(event) = events.EvtIoCanceledOnQueue {
                queue
                    .constraints
                    .enter(|| callback!("EvtIoCanceledOnQueue", event(handle, target)));
            }
        }
        Step::Abort(request) => {
            request::complete(&request, status::CANCELLED);
            queue.core().aborting -= 1;
        }
        Step::Notify(Notify::Waiter(signal)) => signal.set(),
        Step::Notify(Notify::Driver(event, context)) => {
            if let Some(event) = event {
                queue
                    .constraints
                    .enter(|| callback!("EvtIoQueueState", event(handle, context)));
            }
        }
        Step::Ready(event, context) => {
            if let Some(event) = event {
                queue
                    .constraints
                    .enter(|| callback!("EvtIoQueueState", event(handle, context)));
            }
        }
        Step::Stop(request, purge) => {
            stop_request(queue, &request, purge);
            queue.core().telling -= 1;
        }
        Step::Resume(request) => {
            let target = request.header().handle();
            if let Some(event) = events.EvtIoResume {
                queue
                    .constraints
                    .enter(|| callback!("EvtIoResume", event(handle, target)));
            }
            queue.core().telling -= 1;
        }
        Step::Present(request) => present(queue, &request),
        Step::Again | Step::Done => {}
    }
}

/// EvtIoStop. The driver may complete the request meanwhile; the reference keeps the handle.
fn stop_request(queue: &Ref<Queue>, request: &Ref<Request>, purge: bool) {
    use _WDF_REQUEST_STOP_ACTION_FLAGS::{
        WdfRequestStopActionPurge, WdfRequestStopActionSuspend, WdfRequestStopRequestCancelable,
    };
    let Some(event) = queue.config.events.EvtIoStop else {
        return;
    };
    let (cancelable, gone) = {
        let core = request.core();
        (
            core.state == State::Cancelable,
            core.cancelled || !core.state.is_drivers(),
        )
    };
    if gone {
        return;
    }
    let mut flags = if purge {
        WdfRequestStopActionPurge
    } else {
        WdfRequestStopActionSuspend
    };
    if cancelable {
        flags |= WdfRequestStopRequestCancelable;
    }
    let (handle, target) = (queue.header().handle(), request.header().handle());
    queue
        .constraints
        .enter(|| callback!("EvtIoStop", event(handle, target, flags.cast_unsigned())));
}

/// Whether a request is a read or write of nothing, which a queue that did not ask for such completes itself.
pub(super) fn completes_itself(queue: &Queue, request: &Request) -> bool {
    !queue.config.allow_zero_length
        && matches!(request.major, irp::READ | irp::WRITE)
        && request.irp().span().length == 0
}

/// Calls the callback for the request's type, EvtIoDefault for want of one.
fn present(queue: &Ref<Queue>, request: &Ref<Request>) {
    let events = &queue.config.events;
    let irp = request.irp();
    if !queue.config.handles(request.major) {
        request::complete(request, status::INVALID_DEVICE_REQUEST);
        return;
    }
    if completes_itself(queue, request) {
        request::complete(request, status::SUCCESS);
        return;
    }
    let (handle, target) = (queue.header().handle(), request.header().handle());
    queue.constraints.enter(|| match request.major {
        irp::READ if let Some(event) = events.EvtIoRead => {
            callback!("EvtIoRead", event(handle, target, irp.span().length));
        }
        irp::WRITE if let Some(event) = events.EvtIoWrite => {
            callback!("EvtIoWrite", event(handle, target, irp.span().length));
        }
        irp::DEVICE_CONTROL if let Some(event) = events.EvtIoDeviceControl => {
            let ioctl = irp.ioctl();
            let (output, input) = (ioctl.output, ioctl.input);
            callback!(
                "EvtIoDeviceControl",
                event(handle, target, output, input, ioctl.code)
            );
        }
        irp::INTERNAL_DEVICE_CONTROL if let Some(event) = events.EvtIoInternalDeviceControl => {
            let ioctl = irp.ioctl();
            let (output, input) = (ioctl.output, ioctl.input);
            callback!(
                "EvtIoInternalDeviceControl",
                event(handle, target, output, input, ioctl.code)
            );
        }
        _ => {
            if let Some(event) = events.EvtIoDefault {
                callback!("EvtIoDefault", event(handle, target));
            }
        }
    });
}
