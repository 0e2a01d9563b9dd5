//! From the dispatch routine to a queue, or to the file object callbacks.
//!
//! Every IRP that becomes a request is marked pending and answered with STATUS_PENDING, as KMDF does, however soon it is
//! completed.

use wdk_sys::{NTSTATUS, PIRP, WDFDEVICE, WDFREQUEST};

use super::file;
use super::irp::{self, Irp};
use super::queue::{self, Queue};
use super::request::{self, Request, State};
use crate::call::{callback, wdf};
use crate::device::Device;
use crate::nt::status;
use crate::object::Ref;

/// Takes an IRP that is not PnP's or power's. The caller holds the device's remove lock.
pub(crate) fn dispatch(device: &Ref<Device>, irp: PIRP) -> NTSTATUS {
    // SAFETY: the dispatch routine got it just now, and hands it on for good.
    let wrapped = unsafe { Irp::new(irp) };
    let (major, minor) = (wrapped.major(), wrapped.minor());
    let preprocess = device.io.config.preprocess.iter().find(|preprocess| {
        preprocess.major == major && (preprocess.minors.is_empty() || preprocess.minors.contains(&minor))
    });
    match preprocess.and_then(|preprocess| preprocess.callback) {
        Some(callback) => {
            let handle = device.header().handle();
            callback!("EvtDeviceWdmIrpPreprocess", callback(handle, irp))
        }
        None => route(device, wrapped),
    }
}

fn route(device: &Ref<Device>, irp: Irp) -> NTSTATUS {
    let key = irp.file_object().addr();
    match irp.major() {
        irp::CREATE => create(device, irp),
        irp::CLEANUP => {
            file::cleanup(device, key);
            answer(irp, status::SUCCESS)
        }
        irp::CLOSE => {
            file::close(device, key, false);
            answer(irp, status::SUCCESS)
        }
        irp::READ | irp::WRITE | irp::DEVICE_CONTROL | irp::INTERNAL_DEVICE_CONTROL => to_queue(device, irp),
        _ => answer(irp, status::INVALID_DEVICE_REQUEST),
    }
}

/// Completes an IRP that did not become a request.
fn answer(irp: Irp, status: NTSTATUS) -> NTSTATUS {
    irp.set_status(status);
    irp.set_information(0);
    irp.complete(0);
    status
}

fn to_queue(device: &Ref<Device>, irp: Irp) -> NTSTATUS {
    let queue = device.io.queue_for(irp.major());
    let in_caller_context = device.io.config.in_caller_context;
    if queue.is_none() && in_caller_context.is_none() {
        return answer(irp, status::INVALID_DEVICE_REQUEST);
    }
    let request = match Request::arrive(device, irp) {
        Ok(request) => request,
        Err(status) => return answer(irp, status),
    };
    irp.mark_pending();
    match (in_caller_context, queue) {
        (Some(event), _) => {
            {
                let mut core = request.core();
                core.state = State::Driver;
                core.presented = true;
            }
            let (device, request) = (device.header().handle(), request.header().handle());
            callback!("EvtIoInCallerContext", event(device, request));
        }
        (None, Some(queue)) => queue::arrive(&queue, &request),
        (None, None) => request::complete(&request, status::INVALID_DEVICE_REQUEST),
    }
    status::PENDING
}

/// An open: a queue gets it if one is configured for creates, else EvtDeviceFileCreate; without either it succeeds.
fn create(device: &Ref<Device>, irp: Irp) -> NTSTATUS {
    let file = match file::opened(device, irp) {
        Ok(file) => file,
        Err(status) => return answer(irp, status),
    };
    let key = irp.file_object().addr();
    let queue = device.io.state.lock().by_major[usize::from(irp::CREATE)].clone();
    let event = device
        .io
        .config
        .file_object
        .as_ref()
        .and_then(|(config, _)| config.EvtDeviceFileCreate);
    if queue.is_none() && event.is_none() {
        return answer(irp, status::SUCCESS);
    }
    let made = match &queue {
        Some(queue) => Ok(queue.clone()),
        None => queue_for_creates(device),
    };
    let (queue, request) = match made.and_then(|queue| Ok((queue, Request::arrive(device, irp)?))) {
        Ok(made) => made,
        Err(status) => {
            file::create_completed(device, key, status);
            return answer(irp, status);
        }
    };
    irp.mark_pending();
    match event {
        Some(event) if device.io.state.lock().by_major[usize::from(irp::CREATE)].is_none() => {
            if queue::give_directly(&queue, &request) {
                let (device_handle, target) = (device.header().handle(), request.header().handle());
                let file = file
                    .as_ref()
                    .map_or(core::ptr::null_mut(), |file| file.header().handle());
                let constraints = &device.io.file_constraints;
                constraints.enter(|| callback!("EvtDeviceFileCreate", event(device_handle, target, file)));
            } else {
                request::complete(&request, status::INVALID_DEVICE_STATE);
            }
        }
        _ => queue::arrive(&queue, &request),
    }
    status::PENDING
}

/// The internal queue for EvtDeviceFileCreate; made when it is first needed.
fn queue_for_creates(device: &Ref<Device>) -> Result<Ref<Queue>, NTSTATUS> {
    if let Some(queue) = &device.io.state.lock().creates {
        return Ok(queue.clone());
    }
    let queue = Queue::create_for_creates(device)?;
    let mut state = device.io.state.lock();
    // Dispatch is serial under Wine; were it not, the second queue would only stay empty.
    Ok(state.creates.get_or_insert(queue).clone())
}

wdf! {
    /// WdfDeviceWdmDispatchPreprocessedIrp. IRQL: <= DISPATCH_LEVEL. The driver has skipped or copied its stack location
    /// before; the framework steps into the next one.
    fn WdfDeviceWdmDispatchPreprocessedIrp(call, device: WDFDEVICE, irp: PIRP) -> NTSTATUS {
        call.at_most_dispatch();
        let device = call.get::<Device>(device);
        // SAFETY: the driver's preprocess callback hands the IRP back that it was given.
        let irp = unsafe { Irp::new(irp) };
        irp.step_into_next(device.wdm());
        route(&device, irp)
    }

    /// WdfDeviceEnqueueRequest. IRQL: <= DISPATCH_LEVEL. From EvtIoInCallerContext: the request goes where it would have
    /// gone. On failure the driver still owns it.
    fn WdfDeviceEnqueueRequest(call, device: WDFDEVICE, request: WDFREQUEST) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let device = call.get::<Device>(device);
            let request = call.get::<Request>(request);
            let queue = device.io.queue_for(request.major).ok_or(status::INVALID_DEVICE_REQUEST)?;
            {
                let mut core = request.core();
                if core.state != State::Driver || core.queue.is_some() {
                    let state = core.state;
                    drop(core);
                    call.violation(format_args!(
                        "WDFREQUEST {:#x} is not one that EvtIoInCallerContext was given: it is {state}",
                        request.header().raw_handle()
                    ));
                }
                core.state = State::Framework;
            }
            if queue::enqueue(&queue, &request) {
                Ok(())
            } else {
                request.core().state = State::Driver;
                Err(status::WDF_BUSY)
            }
        })
    }
}
