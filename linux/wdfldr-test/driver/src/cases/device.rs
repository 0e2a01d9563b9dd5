//! Devices: control devices, names, queues' configurations, properties.

use alloc::string::String;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;

use wdfldr_test_contract::HARDWARE_ID;
use wdk_sys::{
    HANDLE, IO_STATUS_BLOCK, NTSTATUS, OBJECT_ATTRIBUTES, PWDFDEVICE_INIT, STATUS_BUFFER_TOO_SMALL,
    STATUS_INFO_LENGTH_MISMATCH, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, ULONG, UNICODE_STRING,
    WDF_IO_QUEUE_CONFIG, WDFDEVICE, WDFDEVICE__, WDFQUEUE, WDFREQUEST, WDFSTRING,
};

use crate::check::{Verdict, success};
use crate::device::{SECOND_DEFAULT_QUEUE, interface};
use crate::entry::driver;
use crate::wdf::{Owned, attributes, ok, size_field, text, unicode_string};

/// A control device with its name and link, and a queue.
pub(crate) fn control_device() -> Result<Owned<WDFDEVICE__>, NTSTATUS> {
    let sddl = utf16!("D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    let sddl = unicode_string(&sddl);
    let mut init: PWDFDEVICE_INIT = wdf!(WdfControlDeviceInitAllocate, driver(), &raw const sddl);
    if init.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    let name = utf16!(r"\Device\WdfldrTestControl");
    let name = unicode_string(&name);
    let mut device: WDFDEVICE = ptr::null_mut();
    let mut plain = attributes();
    let created = ok(wdf!(WdfDeviceInitAssignName, init, &raw const name)).and_then(|()| {
        ok(wdf!(
            WdfDeviceCreate,
            &raw mut init,
            &raw mut plain,
            &raw mut device
        ))
    });
    if let Err(status) = created {
        if !init.is_null() {
            wdf!(WdfDeviceInitFree, init);
        }
        return Err(status);
    }
    let device = Owned(device);
    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size_field::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: wdk_sys::_WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchSequential,
        DefaultQueue: 1,
        EvtIoDeviceControl: Some(evt_refuse),
        ..WDF_IO_QUEUE_CONFIG::default()
    };
    ok(queue(device.0, &mut config))?;
    let link = utf16!(r"\DosDevices\WdfldrTestControl");
    let link = unicode_string(&link);
    ok(wdf!(WdfDeviceCreateSymbolicLink, device.0, &raw const link))?;
    wdf!(WdfControlFinishInitializing, device.0);
    Ok(device)
}

extern "C" fn evt_refuse(_: WDFQUEUE, request: WDFREQUEST, _: usize, _: usize, _: ULONG) {
    wdf!(WdfRequestComplete, request, STATUS_UNSUCCESSFUL);
}

fn queue(device: WDFDEVICE, config: &mut WDF_IO_QUEUE_CONFIG) -> NTSTATUS {
    let mut queue: WDFQUEUE = ptr::null_mut();
    wdf!(
        WdfIoQueueCreate,
        device,
        ptr::from_mut(config),
        ptr::null_mut(),
        &raw mut queue
    )
}

/// Opens a name in the kernel's name space, and closes it again.
fn open(name: &UNICODE_STRING) -> NTSTATUS {
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_field::<OBJECT_ATTRIBUTES>(),
        ObjectName: ptr::from_ref(name).cast_mut(),
        // OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE
        Attributes: 0x240,
        ..OBJECT_ATTRIBUTES::default()
    };
    let mut handle: HANDLE = ptr::null_mut();
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: everything passed is a local; SYNCHRONIZE | FILE_READ_DATA, shared, synchronous.
    let status = unsafe {
        wdk_sys::ntddk::ZwOpenFile(
            &raw mut handle,
            0x0010_0001,
            &raw mut attributes,
            &raw mut block,
            7,
            0x20,
        )
    };
    if status == STATUS_SUCCESS {
        // SAFETY: just opened.
        let _ = unsafe { wdk_sys::ntddk::ZwClose(handle) };
    }
    status
}

pub(super) fn a_control_device_is_made_and_deleted(_: WDFDEVICE) -> Verdict {
    // The name is free again each time.
    for round in 0..5 {
        let device = control_device();
        let device = device.map_err(|status| alloc::format!("round {round}: {status:#010X}"))?;
        check!(
            control_device().is_err(),
            "two devices of one name were made in round {round}"
        );
        drop(device);
    }
    Ok(())
}

pub(super) fn a_symbolic_link_opens_the_control_device(_: WDFDEVICE) -> Verdict {
    let link = utf16!(r"\DosDevices\WdfldrTestControl");
    let link = unicode_string(&link);
    status!(
        open(&link),
        STATUS_OBJECT_NAME_NOT_FOUND,
        "before there is a device"
    );
    let device = control_device().map_err(|status| alloc::format!("{status:#010X}"))?;
    status!(open(&link), STATUS_SUCCESS, "the link");
    let name = utf16!(r"\Device\WdfldrTestControl");
    status!(open(&unicode_string(&name)), STATUS_SUCCESS, "the device's name");
    drop(device);
    status!(
        open(&link),
        STATUS_OBJECT_NAME_NOT_FOUND,
        "after the device is deleted"
    );
    Ok(())
}

pub(super) fn the_interface_has_a_symbolic_link_name(device: WDFDEVICE) -> Verdict {
    let mut string: WDFSTRING = ptr::null_mut();
    let mut plain = attributes();
    success(
        "WdfStringCreate",
        wdf!(WdfStringCreate, ptr::null(), &raw mut plain, &raw mut string),
    )?;
    let string = Owned(string);
    let guid = interface();
    let retrieved = wdf!(
        WdfDeviceRetrieveDeviceInterfaceString,
        device,
        &raw const guid,
        ptr::null(),
        string.0
    );
    success("WdfDeviceRetrieveDeviceInterfaceString", retrieved)?;
    let mut units = UNICODE_STRING::default();
    wdf!(WdfStringGetUnicodeString, string.0, &raw mut units);
    let link = text(&units).to_ascii_lowercase();
    check!(
        link.starts_with(r"\??\") && link.contains("{8e1b9e52-7b1c-4c53-9b39-52b7a1f3d0c4}"),
        "the name is {link}"
    );
    Ok(())
}

pub(super) fn the_device_knows_its_driver_and_queue(device: WDFDEVICE) -> Verdict {
    equal!(wdf!(WdfDeviceGetDriver, device), driver(), "the driver");
    let queue = wdf!(WdfDeviceGetDefaultQueue, device);
    check!(!queue.is_null(), "there is no default queue");
    equal!(wdf!(WdfIoQueueGetDevice, queue), device, "the queue's device");
    let object = wdf!(WdfDeviceWdmGetDeviceObject, device);
    equal!(
        wdf!(WdfWdmDeviceGetWdfDeviceHandle, object),
        device,
        "the device object's device"
    );
    let object = wdf!(WdfDriverWdmGetDriverObject, driver());
    equal!(
        wdf!(WdfWdmDriverGetWdfDriverHandle, object),
        driver(),
        "the driver object's driver"
    );
    Ok(())
}

fn sequential() -> WDF_IO_QUEUE_CONFIG {
    WDF_IO_QUEUE_CONFIG {
        Size: size_field::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: wdk_sys::_WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchSequential,
        PowerManaged: wdk_sys::_WDF_TRI_STATE::WdfFalse,
        EvtIoDeviceControl: Some(evt_refuse),
        ..WDF_IO_QUEUE_CONFIG::default()
    }
}

pub(super) fn a_second_default_queue_is_refused(_: WDFDEVICE) -> Verdict {
    status!(
        SECOND_DEFAULT_QUEUE.load(SeqCst),
        STATUS_UNSUCCESSFUL,
        "a second default queue"
    );
    Ok(())
}

pub(super) fn queue_configurations_are_checked(device: WDFDEVICE) -> Verdict {
    let mut config = sequential();
    config.Size += 8;
    status!(
        queue(device, &mut config),
        STATUS_INFO_LENGTH_MISMATCH,
        "a configuration of another size"
    );
    let mut config = sequential();
    config.DispatchType = wdk_sys::_WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchInvalid;
    status!(
        queue(device, &mut config),
        STATUS_INVALID_PARAMETER,
        "a configuration without a dispatch type"
    );
    let mut config = sequential();
    config.EvtIoDeviceControl = None;
    // STATUS_WDF_NO_CALLBACK
    status!(
        queue(device, &mut config),
        0xC020_020B_u32.cast_signed(),
        "a sequential queue without a handler"
    );
    Ok(())
}

pub(super) fn properties_of_the_device_are_read(device: WDFDEVICE) -> Verdict {
    let property = wdk_sys::DEVICE_REGISTRY_PROPERTY::DevicePropertyHardwareID;
    let mut buffer = [0_u16; 64];
    let mut length = 0;
    let mut query = |bytes: u32| {
        let status = wdf!(
            WdfDeviceQueryProperty,
            device,
            property,
            bytes,
            buffer.as_mut_ptr().cast(),
            &raw mut length
        );
        (status, length)
    };
    let (status, needed) = query(2);
    status!(
        status,
        STATUS_BUFFER_TOO_SMALL,
        "a buffer of two bytes, for {needed}"
    );
    check!(needed > 2, "{needed} bytes are needed");
    let (status, _) = query(128);
    success("WdfDeviceQueryProperty", status)?;
    let end = buffer.iter().position(|unit| *unit == 0).unwrap_or(buffer.len());
    let id = String::from_utf16_lossy(&buffer[..end]);
    check!(id.eq_ignore_ascii_case(HARDWARE_ID), "the hardware id is {id}");
    Ok(())
}
