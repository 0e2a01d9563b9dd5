//! The WdfIoQueue functions.

use wdk_sys::{
    _WDF_IO_QUEUE_STATE, _WDF_REQUEST_TYPE, NTSTATUS, PFN_WDF_IO_QUEUE_STATE, PULONG, PWDF_IO_QUEUE_CONFIG,
    PWDF_OBJECT_ATTRIBUTES, PWDF_REQUEST_PARAMETERS, WDF_IO_QUEUE_CONFIG, WDF_IO_QUEUE_STATE,
    WDF_REQUEST_PARAMETERS, WDF_REQUEST_TYPE, WDFCONTEXT, WDFDEVICE, WDFFILEOBJECT, WDFQUEUE, WDFREQUEST,
};

use super::flow::{self, Kind};
use super::power::Power;
use super::take::{self, Wanted};
use super::{Config, Constraints, Kinds, Notify, Queue, dispatch};
use crate::call::{self, Call, wdf};
use crate::device::Device;
use crate::io::MAJORS;
use crate::io::file::File;
use crate::io::request::{Request, State};
use crate::nt::status;
use crate::object::{Ref, tree};

/// `sizeof(WDF_IO_QUEUE_CONFIG)` before 1.11 added `Driver`.
const SIZE_1_9: usize = 88;
const _: () = assert!(size_of::<WDF_IO_QUEUE_CONFIG>() == 96);

wdf! {
    /// WdfIoQueueCreate. IRQL: <= DISPATCH_LEVEL. The parent is the device, or an object under it.
    fn WdfIoQueueCreate(
        call,
        device: WDFDEVICE,
        config: PWDF_IO_QUEUE_CONFIG,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        queue: *mut WDFQUEUE,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let device = call.get::<Device>(device);
            let made = create(call, &device, config, attributes, queue.is_null())?;
            call::write(queue, made.header().handle());
            Ok(())
        })
    }

    /// WdfIoQueueGetState. IRQL: <= DISPATCH_LEVEL.
    fn WdfIoQueueGetState(call, queue: WDFQUEUE, queued: PULONG, drivers: PULONG) -> WDF_IO_QUEUE_STATE {
        use _WDF_IO_QUEUE_STATE::{
            WdfIoQueueAcceptRequests, WdfIoQueueDispatchRequests, WdfIoQueueDriverNoRequests, WdfIoQueueNoRequests,
            WdfIoQueuePnpHeld,
        };
        let queue = call.get::<Queue>(queue);
        let core = queue.core();
        let (waiting, given) = (core.waiting.len(), core.drivers());
        let mut state = 0;
        for (set, flag) in [
            (core.accepts, WdfIoQueueAcceptRequests),
            (core.dispatches, WdfIoQueueDispatchRequests),
            (waiting == 0, WdfIoQueueNoRequests),
            (given == 0, WdfIoQueueDriverNoRequests),
            (queue.config.power_managed && core.power != Power::On, WdfIoQueuePnpHeld),
        ] {
            state |= if set { flag } else { 0 };
        }
        drop(core);
        call::write(queued, u32::try_from(waiting).unwrap_or(u32::MAX));
        call::write(drivers, u32::try_from(given).unwrap_or(u32::MAX));
        state
    }

    /// WdfIoQueueGetDevice. IRQL: <= DISPATCH_LEVEL.
    fn WdfIoQueueGetDevice(call, queue: WDFQUEUE) -> WDFDEVICE {
        match call.get::<Queue>(queue).device() {
            Some(device) => device.header().handle(),
            None => call.violation(format_args!("WDFQUEUE {:#x} was deleted", queue.addr())),
        }
    }

    /// WdfIoQueueStart. IRQL: <= DISPATCH_LEVEL.
    fn WdfIoQueueStart(call, queue: WDFQUEUE) {
        call.at_most_dispatch();
        flow::start(&call.get::<Queue>(queue));
    }

    /// WdfIoQueueStop. IRQL: <= DISPATCH_LEVEL.
    fn WdfIoQueueStop(call, queue: WDFQUEUE, complete: PFN_WDF_IO_QUEUE_STATE, context: WDFCONTEXT) {
        let queue = call.get::<Queue>(queue);
        flow::run(call, &queue, &Kind::Stop { purge: false }, Notify::Driver(complete, context));
    }

    /// WdfIoQueueStopSynchronously. IRQL: PASSIVE_LEVEL.
    fn WdfIoQueueStopSynchronously(call, queue: WDFQUEUE) {
        flow::run_and_wait(call, &call.get::<Queue>(queue), &Kind::Stop { purge: false });
    }

    /// WdfIoQueueStopAndPurge. IRQL: <= DISPATCH_LEVEL.
    fn WdfIoQueueStopAndPurge(call, queue: WDFQUEUE, complete: PFN_WDF_IO_QUEUE_STATE, context: WDFCONTEXT) {
        let queue = call.get::<Queue>(queue);
        flow::run(call, &queue, &Kind::Stop { purge: true }, Notify::Driver(complete, context));
    }

    /// WdfIoQueueStopAndPurgeSynchronously. IRQL: PASSIVE_LEVEL.
    fn WdfIoQueueStopAndPurgeSynchronously(call, queue: WDFQUEUE) {
        flow::run_and_wait(call, &call.get::<Queue>(queue), &Kind::Stop { purge: true });
    }

    /// WdfIoQueueDrain. IRQL: <= DISPATCH_LEVEL.
    fn WdfIoQueueDrain(call, queue: WDFQUEUE, complete: PFN_WDF_IO_QUEUE_STATE, context: WDFCONTEXT) {
        let queue = call.get::<Queue>(queue);
        flow::run(call, &queue, &Kind::Drain, Notify::Driver(complete, context));
    }

    /// WdfIoQueueDrainSynchronously. IRQL: PASSIVE_LEVEL.
    fn WdfIoQueueDrainSynchronously(call, queue: WDFQUEUE) {
        flow::run_and_wait(call, &call.get::<Queue>(queue), &Kind::Drain);
    }

    /// WdfIoQueuePurge. IRQL: <= DISPATCH_LEVEL.
    fn WdfIoQueuePurge(call, queue: WDFQUEUE, complete: PFN_WDF_IO_QUEUE_STATE, context: WDFCONTEXT) {
        let queue = call.get::<Queue>(queue);
        flow::run(call, &queue, &Kind::Purge, Notify::Driver(complete, context));
    }

    /// WdfIoQueuePurgeSynchronously. IRQL: PASSIVE_LEVEL.
    fn WdfIoQueuePurgeSynchronously(call, queue: WDFQUEUE) {
        flow::run_and_wait(call, &call.get::<Queue>(queue), &Kind::Purge);
    }

    /// WdfIoQueueRetrieveNextRequest. IRQL: <= DISPATCH_LEVEL. Sequential and manual queues.
    fn WdfIoQueueRetrieveNextRequest(call, queue: WDFQUEUE, request: *mut WDFREQUEST) -> NTSTATUS {
        retrieve(call, queue, &Wanted::Next, request)
    }

    /// WdfIoQueueRetrieveRequestByFileObject. IRQL: <= DISPATCH_LEVEL. Sequential and manual queues.
    fn WdfIoQueueRetrieveRequestByFileObject(
        call,
        queue: WDFQUEUE,
        file: WDFFILEOBJECT,
        request: *mut WDFREQUEST,
    ) -> NTSTATUS {
        let file = call.get::<File>(file).key();
        retrieve(call, queue, &Wanted::OfFile(file), request)
    }

    /// WdfIoQueueFindRequest. IRQL: <= DISPATCH_LEVEL. Manual queues. The found request stays in the queue; the driver
    /// has a reference to it and gives that back with WdfObjectDereference.
    fn WdfIoQueueFindRequest(
        call,
        queue: WDFQUEUE,
        found: WDFREQUEST,
        file: WDFFILEOBJECT,
        parameters: PWDF_REQUEST_PARAMETERS,
        request: *mut WDFREQUEST,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let queue = call.get::<Queue>(queue);
            let after = call.get_optional::<Request>(found);
            let file = call.get_optional::<File>(file).map(|file| file.key());
            if !parameters.is_null() {
                let _: WDF_REQUEST_PARAMETERS = parameters_size(call, parameters);
            }
            let (next, next_parameters) = take::find(&queue, after.as_ref(), file)?;
            next.header().client_reference();
            call::write(parameters, next_parameters);
            call::write(request, next.header().handle());
            Ok(())
        })
    }

    /// WdfIoQueueRetrieveFoundRequest. IRQL: <= DISPATCH_LEVEL. Manual queues.
    fn WdfIoQueueRetrieveFoundRequest(
        call,
        queue: WDFQUEUE,
        found: WDFREQUEST,
        request: *mut WDFREQUEST,
    ) -> NTSTATUS {
        let found = call.get::<Request>(found);
        if call.get::<Queue>(queue).config.kind != Kinds::Manual {
            return status::INVALID_DEVICE_REQUEST;
        }
        retrieve(call, queue, &Wanted::This(found), request)
    }

    /// WdfIoQueueReadyNotify. IRQL: <= DISPATCH_LEVEL. Manual queues. A null callback takes the present one out, for
    /// which the queue has to be stopped.
    fn WdfIoQueueReadyNotify(
        call,
        queue: WDFQUEUE,
        ready: PFN_WDF_IO_QUEUE_STATE,
        context: WDFCONTEXT,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let queue = call.get::<Queue>(queue);
            if queue.config.kind != Kinds::Manual {
                return Err(status::INVALID_DEVICE_REQUEST);
            }
            {
                let mut core = queue.core();
                if core.deleted {
                    return Err(status::DELETE_PENDING);
                }
                if ready.is_some() == core.ready.is_some() || (ready.is_none() && core.dispatches) {
                    return Err(status::INVALID_DEVICE_REQUEST);
                }
                core.ready = ready.is_some().then_some((ready, context));
            }
            dispatch(&queue);
            Ok(())
        })
    }

    /// WdfDeviceGetDefaultQueue. IRQL: <= DISPATCH_LEVEL. Null if there is none.
    fn WdfDeviceGetDefaultQueue(call, device: WDFDEVICE) -> WDFQUEUE {
        let device = call.get::<Device>(device);
        let queue = device.io.state.lock().default_queue.clone();
        queue.map_or(core::ptr::null_mut(), |queue| queue.header().handle())
    }

    /// WdfDeviceConfigureRequestDispatching. IRQL: <= DISPATCH_LEVEL. Requests of this type go to the queue.
    fn WdfDeviceConfigureRequestDispatching(
        call,
        device: WDFDEVICE,
        queue: WDFQUEUE,
        request_type: WDF_REQUEST_TYPE,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let device = call.get::<Device>(device);
            let queue = call.get::<Queue>(queue);
            assign(&device, &queue, request_type)
        })
    }
}

fn create(
    call: &Call,
    device: &Ref<Device>,
    config: PWDF_IO_QUEUE_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    wants_no_handle: bool,
) -> Result<Ref<Queue>, NTSTATUS> {
    let attributes = call.attributes(attributes)?;
    let given = call.config_of(config, &[SIZE_1_9])?;
    let is_default = given.DefaultQueue != 0;
    if !is_default && wants_no_handle {
        return Err(status::INVALID_PARAMETER_4);
    }
    if is_default && device.has_begun() {
        return Err(status::INVALID_DEVICE_STATE);
    }
    let parent = match call.parent(&attributes) {
        Some(parent) => {
            let above = tree::ancestor::<Device>(&parent).map(|above| above.header().raw_handle());
            if above != Some(device.header().raw_handle()) {
                return Err(status::INVALID_DEVICE_REQUEST);
            }
            parent
        }
        None => device.any().clone(),
    };
    let config = Config::check(&given, device.is_control())?;
    let constraints = Constraints::of_queue(&attributes, &device.io.constraints)?;
    if is_default && device.io.state.lock().default_queue.is_some() {
        return Err(status::UNSUCCESSFUL);
    }
    let queue = Queue::create(device, &parent, config, constraints, attributes)?;
    if is_default {
        device.io.state.lock().default_queue = Some(queue.clone());
    }
    Ok(queue)
}

/// # Errors
/// STATUS_INVALID_PARAMETER for a type that cannot be dispatched, STATUS_INVALID_DEVICE_REQUEST for the default queue,
/// another device's queue or one without a callback for it, STATUS_WDF_BUSY if another queue has it.
fn assign(device: &Ref<Device>, queue: &Ref<Queue>, request_type: WDF_REQUEST_TYPE) -> Result<(), NTSTATUS> {
    use _WDF_REQUEST_TYPE::{
        WdfRequestTypeCreate, WdfRequestTypeDeviceControl, WdfRequestTypeDeviceControlInternal,
        WdfRequestTypeRead, WdfRequestTypeWrite,
    };
    let is_create = request_type == WdfRequestTypeCreate;
    let dispatchable = is_create
        || request_type == WdfRequestTypeRead
        || request_type == WdfRequestTypeWrite
        || request_type == WdfRequestTypeDeviceControl
        || request_type == WdfRequestTypeDeviceControlInternal;
    let major = u8::try_from(request_type)
        .ok()
        .filter(|major| dispatchable && usize::from(*major) < MAJORS);
    let major = major.ok_or(status::INVALID_PARAMETER)?;
    let same_device = queue
        .device()
        .is_some_and(|other| other.header().raw_handle() == device.header().raw_handle());
    if !same_device || !queue.config.handles(major) {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    let mut state = device.io.state.lock();
    let is_default = |queue: &Ref<Queue>| {
        state
            .default_queue
            .as_ref()
            .is_some_and(|other| other.header().raw_handle() == queue.header().raw_handle())
    };
    if !is_create && is_default(queue) {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    let entry = &mut state.by_major[usize::from(major)];
    if entry.is_some() {
        return Err(if is_create {
            status::INVALID_PARAMETER
        } else {
            status::WDF_BUSY
        });
    }
    *entry = Some(queue.clone());
    Ok(())
}

fn retrieve(call: &Call, queue: WDFQUEUE, wanted: &Wanted, request: *mut WDFREQUEST) -> NTSTATUS {
    call.run(|| {
        call.at_most_dispatch();
        let queue = call.get::<Queue>(queue);
        let taken = take::take(&queue, wanted)?;
        debug_assert!(taken.core().state != State::Queued);
        call::write(request, taken.header().handle());
        Ok(())
    })
}

/// The driver's structure, whose `Size` is checked.
pub(in crate::io) fn parameters_size(
    call: &Call,
    parameters: PWDF_REQUEST_PARAMETERS,
) -> WDF_REQUEST_PARAMETERS {
    match call::read(parameters.cast_const()) {
        Some(given) if usize::from(given.Size) == size_of::<WDF_REQUEST_PARAMETERS>() => given,
        _ => call.violation(format_args!(
            "WDF_REQUEST_PARAMETERS is missing or its Size is not {}",
            size_of::<WDF_REQUEST_PARAMETERS>()
        )),
    }
}
