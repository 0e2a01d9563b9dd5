//! Requests and file objects on their way in.

use core::ptr;

use queued_work_item::Passive;
use queued_work_item_exerciser::Handle;
use wdk_sys::{
    NTSTATUS, STATUS_DELETE_PENDING, ULONG, WDF_FILEOBJECT_CONFIG, WDF_IO_QUEUE_CONFIG, WDFDEVICE,
    WDFFILEOBJECT, WDFQUEUE, WDFREQUEST, call_unsafe_wdf_function_binding,
};

use crate::context::{attributes, size_field};
use crate::device::exerciser;
use crate::request::{IoRequest, refuse};

/// Creates the device's default queue.
///
/// Parallel, since a request that waits must not hold up the next. Not power-managed: there is no hardware that could
/// be asleep, so that neither presentation nor waiting requests depend on the power state, and the framework needs no
/// `EvtIoStop` from a driver whose waiting requests are all cancellable.
///
/// # Safety
/// The device is alive.
pub(crate) unsafe fn create(device: WDFDEVICE) -> Result<(), NTSTATUS> {
    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size_field::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: wdk_sys::_WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel,
        PowerManaged: wdk_sys::_WDF_TRI_STATE::WdfFalse,
        DefaultQueue: 1,
        EvtIoDeviceControl: Some(evt_io_device_control),
        ..WDF_IO_QUEUE_CONFIG::default()
    };
    config.Settings.Parallel.NumberOfPresentedRequests = ULONG::MAX;
    let mut attributes = attributes();
    attributes.ExecutionLevel = wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    // SAFETY: a live device, by the caller's promise; the framework copies the configuration, and no handle is wanted.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfIoQueueCreate,
            device,
            &raw mut config,
            &raw mut attributes,
            ptr::null_mut()
        )
    };
    if wdk_sys::NT_SUCCESS(status) {
        Ok(())
    } else {
        Err(status)
    }
}

/// What the device does with file objects: a handle that is closed opens its gate and cancels what waits in its name.
pub(crate) fn file_object_config() -> WDF_FILEOBJECT_CONFIG {
    WDF_FILEOBJECT_CONFIG {
        Size: size_field::<WDF_FILEOBJECT_CONFIG>(),
        EvtFileClose: Some(evt_file_closed),
        EvtFileCleanup: Some(evt_file_closed),
        AutoForwardCleanupClose: wdk_sys::_WDF_TRI_STATE::WdfUseDefault,
        FileObjectClass: wdk_sys::_WDF_FILEOBJECT_CLASS::WdfFileObjectWdfCanUseFsContext,
        ..WDF_FILEOBJECT_CONFIG::default()
    }
}

/// `EvtIoDeviceControl`
extern "C" fn evt_io_device_control(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    output_length: usize,
    input_length: usize,
    code: ULONG,
) {
    // SAFETY: the framework gives a live queue.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueGetDevice, queue) };
    // SAFETY: the queue's device, alive while it has requests.
    let exerciser = unsafe { exerciser(device) };
    // SAFETY: just delivered, with these figures, by a device that gives its requests their context.
    let taken = unsafe { IoRequest::new(request, code, input_length, output_length) };
    match (exerciser, taken) {
        (Some(exerciser), Ok(request)) => {
            // SAFETY: the queue's execution level is PASSIVE_LEVEL, and it has no presentation lock.
            let mut passive = unsafe { Passive::assume() };
            exerciser.handle(request, &mut passive);
        }
        (Some(_), Err(status)) => {
            // SAFETY: just delivered, and nobody took it.
            unsafe { refuse(request, status) };
        }
        (None, taken) => {
            drop(taken);
            // SAFETY: just delivered, and given up again.
            unsafe { refuse(request, STATUS_DELETE_PENDING) };
        }
    }
}

/// `EvtFileCleanup` and `EvtFileClose`: the last handle is closed, the last reference is gone. The first is what counts;
/// the second makes up for systems and callers that skip it.
extern "C" fn evt_file_closed(file: WDFFILEOBJECT) {
    // SAFETY: the framework gives a live file object.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfFileObjectGetDevice, file) };
    // SAFETY: the file object's device, alive while it has file objects.
    if let Some(exerciser) = unsafe { exerciser(device) } {
        exerciser.handle_closed(Handle(file.addr() as u64));
    }
}
