//! Completion: the one way out.

use core::ptr;

use wdk_sys::{NTSTATUS, WDFREQUEST};

use super::{Request, State};
use crate::call::Call;
use crate::io::irp::{self, Method};
use crate::io::{file, quarantine, queue};
use crate::object::{self, Ref};

/// Completes a request that is the runtime's own: on arrival, or aborted in a queue.
pub(crate) fn complete(request: &Ref<Request>, status: NTSTATUS) {
    request.core().state = State::Completing;
    request.irp().set_information(0);
    finish(request, status, 0);
}

/// `WdfRequestComplete` and its siblings.
pub(super) fn by_driver(
    call: &Call,
    handle: WDFREQUEST,
    status: NTSTATUS,
    information: Option<u64>,
    boost: i8,
) {
    let request = call.get::<Request>(handle);
    {
        let mut core = request.core();
        match core.state {
            State::Driver | State::CancelCalled => core.state = State::Completing,
            state => {
                drop(core);
                call.violation(format_args!("WDFREQUEST {:#x} is {state}", handle.addr()));
            }
        }
    }
    if let Some(information) = information {
        request.irp().set_information(information);
    }
    check_information(call, &request, status);
    finish(&request, status, boost);
}

/// Stops a driver that reports more bytes than the output buffer has: NT would copy what lies behind it to the caller.
fn check_information(call: &Call, request: &Ref<Request>, status: NTSTATUS) {
    /// Error codes, for which NT copies nothing, begin here as unsigned numbers.
    const ERROR: u32 = 0xc000_0000;
    let irp = request.irp();
    let room = match request.major {
        irp::READ | irp::WRITE => irp.span().length,
        irp::DEVICE_CONTROL | irp::INTERNAL_DEVICE_CONTROL if irp.ioctl().method() == Method::Buffered => {
            irp.ioctl().output
        }
        _ => return,
    };
    let information = irp.information();
    if status.cast_unsigned() < ERROR && information > room as u64 {
        call.violation(format_args!(
            "WDFREQUEST {:#x} is completed with {information} bytes of information, but its buffer has {room}",
            request.header().raw_handle()
        ));
    }
}

/// What every completion comes to. The object is disposed of first, because EvtCleanupCallback may still look at the
/// IRP; then the IRP goes, then the queue learns that the driver has one request less.
fn finish(request: &Ref<Request>, status: NTSTATUS, boost: i8) {
    object::delete(request.any().clone());

    let irp = request.irp();
    let (device, queue, mdls) = {
        let mut core = request.core();
        core.state = State::Completed;
        core.status = status;
        core.cancel = None;
        (core.device.take(), core.queue.take(), core.mdls.take())
    };
    drop(mdls);
    if request.major == irp::CREATE
        && let Some(device) = &device
    {
        file::create_completed(device, request.file, status);
    }
    irp.set_status(status);
    quarantine::complete(irp, boost);

    if let Some(queue) = queue {
        queue::request_completed(&queue, request);
    }
}

/// Whether two references are to the same request.
pub(crate) fn same(one: &Ref<Request>, other: &Ref<Request>) -> bool {
    ptr::eq(ptr::from_ref::<Request>(one), ptr::from_ref::<Request>(other))
}
