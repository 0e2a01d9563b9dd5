//! Cancellation: NT's side and the driver's. See the parent module for who wins.

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PFN_WDF_REQUEST_CANCEL, PIRP, WDFREQUEST};

use super::{Core, Request, State};
use crate::call::Call;
use crate::io::irp::{Irp, REQUEST};
use crate::io::queue::{self, Queue};
use crate::nt::status;
use crate::object::Ref;

/// The cancel routine of every IRP that is in a queue or that the driver marked cancelable.
///
/// NT calls it with the cancel spin lock held, Wine with a lock of its own as well: it moves the request to a list and
/// leaves the rest to a worker thread.
pub(crate) unsafe extern "C" fn cancel_routine(_device: PDEVICE_OBJECT, irp: PIRP) {
    // SAFETY: NT calls this for an IRP that we have and whose routine this is.
    let irp = unsafe { Irp::new(irp) };
    let context = irp.driver_context(REQUEST);
    irp.release_cancel_spin_lock();
    // SAFETY: `arm` stored a reference there, and since the routine is called, nobody takes it but us.
    let Some(request) = (unsafe { Ref::<Request>::from_context(context) }) else {
        return;
    };
    let Some(queue) = request.queue() else { return };
    queue::cancelled(&queue, &request);
}

/// Makes the IRP cancelable; the state has to be the new one already. `false`: it was cancelled before, and the routine
/// will not be called.
pub(crate) fn arm(request: &Ref<Request>) -> bool {
    let irp = request.irp();
    irp.set_driver_context(REQUEST, request.clone().into_context());
    let armed = irp.arm(Some(cancel_routine));
    if !armed {
        take_back(irp);
    }
    armed
}

/// Makes the IRP not cancelable. `false`: the routine is being called.
pub(crate) fn disarm(request: &Request) -> bool {
    let irp = request.irp();
    let disarmed = irp.disarm();
    if disarmed {
        take_back(irp);
    }
    disarmed
}

/// Drops the IRP's reference, which is never the last: the caller works with another.
fn take_back(irp: Irp) {
    // SAFETY: `arm` stored it, and the routine that would take it was just taken out.
    drop(unsafe { Ref::<Request>::from_context(irp.driver_context(REQUEST)) });
}

/// `WdfRequestMarkCancelable` and its sibling. If the request is cancelled already, `report` says whether that is an
/// error for the caller to handle or EvtRequestCancel is called.
///
/// # Errors
/// STATUS_CANCELLED, if `report`.
pub(super) fn mark(
    call: &Call,
    handle: WDFREQUEST,
    routine: PFN_WDF_REQUEST_CANCEL,
    report: bool,
) -> Result<(), NTSTATUS> {
    let request = call.get::<Request>(handle);
    if routine.is_none() {
        call.violation(format_args!("EvtRequestCancel is NULL"));
    }
    let queue = queue_of(call, &request);
    let mut queue_core = queue.core();
    let mut core = request.core();
    if core.state != State::Driver {
        let state = core.state;
        drop(core);
        drop(queue_core);
        call.violation(format_args!("WDFREQUEST {:#x} is {state}", handle.addr()));
    }
    core.cancel = routine;
    core.state = State::Cancelable;
    if !queue_core.cancel_dispatched && arm(&request) {
        return Ok(());
    }
    if report {
        core.state = State::Driver;
        core.cancel = None;
        return Err(status::CANCELLED);
    }
    pend_cancel(&mut core);
    drop(core);
    queue_core.to_cancel.push_back(request);
    drop(queue_core);
    queue::dispatch_internal(&queue);
    Ok(())
}

/// `WdfRequestUnmarkCancelable`.
///
/// # Errors
/// STATUS_CANCELLED: EvtRequestCancel was called or will be.
pub(super) fn unmark(call: &Call, handle: WDFREQUEST) -> Result<(), NTSTATUS> {
    let request = call.get::<Request>(handle);
    let queue = queue_of(call, &request);
    let queue_core = queue.core();
    let mut core = request.core();
    let state = core.state;
    match state {
        State::Cancelable => {
            if disarm(&request) {
                core.state = State::Driver;
                core.cancel = None;
                Ok(())
            } else {
                Err(status::CANCELLED)
            }
        }
        State::CancelPending | State::CancelCalled => Err(status::CANCELLED),
        _ => {
            drop(core);
            drop(queue_core);
            call.violation(format_args!(
                "WDFREQUEST {:#x} is not cancelable: it is {state}",
                handle.addr()
            ))
        }
    }
}

/// The driver's request is cancelled, and its EvtRequestCancel is due.
pub(crate) fn pend_cancel(core: &mut Core) {
    core.state = State::CancelPending;
    core.cancelled = true;
}

/// The queue that the driver has the request from; stops a driver that does not have it.
fn queue_of(call: &Call, request: &Ref<Request>) -> Ref<Queue> {
    let core = request.core();
    if let (Some(queue), true) = (&core.queue, core.state.is_drivers()) {
        return queue.clone();
    }
    let state = core.state;
    drop(core);
    call.violation(format_args!(
        "WDFREQUEST {:#x} is {state}, or no queue gave it to the driver",
        request.header().raw_handle()
    ))
}
