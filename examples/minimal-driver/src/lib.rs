//! A KMDF driver that answers each request at `PASSIVE_LEVEL`, in order, with the number of the run.
//!
//! `jobs` is what it does; here is what every KMDF driver with one device has.
#![no_std]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the Size fields of small structures"
)]
#![expect(clippy::wildcard_imports, reason = "wdk-sys has C's names")]

mod jobs;

use core::ptr;

use queued_work_item::Passive;
use wdk_sys::*;

use crate::jobs::Jobs;

extern crate wdk_panic; // a panic is a bug check

/// What a device carries.
struct Device {
    jobs: Option<Jobs>,
}

#[repr(transparent)]
struct ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO);

// SAFETY: it is only read.
unsafe impl Sync for ContextType {}

static DEVICE: ContextType = ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO {
    Size: size_of::<WDF_OBJECT_CONTEXT_TYPE_INFO>() as ULONG,
    ContextName: c"Device".as_ptr().cast_mut(),
    ContextSize: size_of::<Device>(),
    UniqueType: &raw const DEVICE.0,
    EvtDriverGetUniqueContextType: None,
});

/// The context of a device of this driver.
fn context(device: WDFDEVICE) -> *mut Device {
    // SAFETY: every device is created with it.
    unsafe {
        call_unsafe_wdf_function_binding!(WdfObjectGetTypedContextWorker, device.cast(), &raw const DEVICE.0)
    }
    .cast()
}

/// `DriverEntry`
///
/// # Safety
/// Windows calls it, once, with a driver object and its registry path.
// No other symbol of this image has this name.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(driver: &mut DRIVER_OBJECT, path: PCUNICODE_STRING) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as ULONG,
        EvtDriverDeviceAdd: Some(device_add),
        ..Default::default()
    };
    // SAFETY: the driver object and the path are the system's.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDriverCreate,
            driver,
            path,
            WDF_NO_OBJECT_ATTRIBUTES,
            &raw mut config,
            WDF_NO_HANDLE.cast()
        )
    }
}

/// `EvtDriverDeviceAdd`
extern "C" fn device_add(_driver: WDFDRIVER, mut init: PWDFDEVICE_INIT) -> NTSTATUS {
    let mut events = WDF_PNPPOWER_EVENT_CALLBACKS {
        Size: size_of::<WDF_PNPPOWER_EVENT_CALLBACKS>() as ULONG,
        EvtDeviceSelfManagedIoCleanup: Some(device_gone),
        ..Default::default()
    };
    // SAFETY: `init` is this call's.
    unsafe {
        call_unsafe_wdf_function_binding!(WdfDeviceInitSetPnpPowerEventCallbacks, init, &raw mut events);
    };
    let mut attributes = WDF_OBJECT_ATTRIBUTES {
        Size: size_of::<WDF_OBJECT_ATTRIBUTES>() as ULONG,
        ExecutionLevel: _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        EvtCleanupCallback: Some(device_cleanup),
        ContextTypeInfo: &raw const DEVICE.0,
        ..Default::default()
    };
    let mut device = ptr::null_mut();
    // SAFETY: as above; the framework takes `init`.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreate,
            &raw mut init,
            &raw mut attributes,
            &raw mut device
        )
    };
    if !NT_SUCCESS(status) {
        return status;
    }
    let context = context(device);
    // SAFETY: nobody else has the new device.
    unsafe { context.write(Device { jobs: None }) };

    // SAFETY: KMDF adds devices at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    match Jobs::new(passive, device) {
        // SAFETY: no request comes before this function has returned.
        Ok(jobs) => unsafe { (*context).jobs = Some(jobs) },
        Err(error) => return error.status().0,
    }

    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size_of::<WDF_IO_QUEUE_CONFIG>() as ULONG,
        DispatchType: _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel,
        PowerManaged: _WDF_TRI_STATE::WdfUseDefault,
        DefaultQueue: 1,
        EvtIoDeviceControl: Some(device_control),
        ..Default::default()
    };
    config.Settings.Parallel.NumberOfPresentedRequests = ULONG::MAX;
    // SAFETY: the device is alive.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfIoQueueCreate,
            device,
            &raw mut config,
            WDF_NO_OBJECT_ATTRIBUTES,
            ptr::null_mut()
        )
    };
    if !NT_SUCCESS(status) {
        return status;
    }
    // SAFETY: the device is alive.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreateDeviceInterface,
            device,
            &raw const INTERFACE,
            ptr::null()
        )
    }
}

/// By what programs find the device; the INF has it too.
static INTERFACE: GUID = GUID {
    Data1: 0x5F0C_7C1A,
    Data2: 0x2C4E,
    Data3: 0x4E0D,
    Data4: [0x9A, 0x5D, 0x3B, 0x7E, 0x1D, 0x7C, 0x90, 0xA6],
};

/// `EvtIoDeviceControl`, at `<= DISPATCH_LEVEL`: hands the request over and returns.
extern "C" fn device_control(queue: WDFQUEUE, request: WDFREQUEST, _out: usize, _in: usize, _code: ULONG) {
    // SAFETY: the queue is alive.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueGetDevice, queue) };
    // SAFETY: the context lives as long as the device, and nobody writes it while there are requests.
    if let Some(jobs) = unsafe { &(*context(device)).jobs } {
        jobs.hand_over(request);
    }
}

/// `EvtDeviceSelfManagedIoCleanup`: the last call before the device's children go. What is queued runs.
extern "C" fn device_gone(device: WDFDEVICE) {
    // SAFETY: KMDF makes this call at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    // SAFETY: the device is alive.
    if let Some(jobs) = unsafe { &(*context(device)).jobs } {
        jobs.close(passive);
    }
}

/// `EvtCleanupCallback` of the device, also of one that never started.
extern "C" fn device_cleanup(device: WDFOBJECT) {
    // SAFETY: no request and no other callback of the device comes any more.
    drop(unsafe { (*context(device.cast())).jobs.take() });
}
