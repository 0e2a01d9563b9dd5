//! Device interfaces: registered by the driver, enabled while the device is started.

use wdk_sys::{BOOLEAN, GUID, NTSTATUS, PCUNICODE_STRING, UNICODE_STRING, WDFDEVICE, WDFSTRING};

use super::Device;
use crate::call::{self, wdf};
use crate::nt::string::{self, Utf16};
use crate::nt::{check, ffi, status};
use crate::object::Ref;
use crate::string::WdfString;
use crate::table::entries;

/// One registered interface.
pub(super) struct Interface {
    class: GUID,
    reference: Utf16,
    link: Utf16,
    /// `WdfDeviceSetDeviceInterfaceState` turned it off.
    wanted: bool,
    enabled: bool,
}

impl Interface {
    fn is(&self, class: &GUID, reference: &Utf16) -> bool {
        same_guid(&self.class, class) && self.reference.units() == reference.units()
    }

    fn set(&mut self, enable: bool) {
        if self.enabled == enable {
            return;
        }
        let link = self.link.as_unicode();
        // SAFETY: the string is valid for the call.
        let status = unsafe { ffi::IoSetDeviceInterfaceState(&raw const link, enable.into()) };
        if crate::nt::success(status) {
            self.enabled = enable;
        }
    }
}

fn same_guid(a: &GUID, b: &GUID) -> bool {
    a.Data1 == b.Data1 && a.Data2 == b.Data2 && a.Data3 == b.Data3 && a.Data4 == b.Data4
}

/// The device is started: what is wanted is enabled.
pub(super) fn enable_all(device: &Ref<Device>) {
    for interface in device
        .interfaces
        .lock()
        .iter_mut()
        .filter(|interface| interface.wanted)
    {
        interface.set(true);
    }
}

/// The device goes down.
pub(super) fn disable_all(device: &Ref<Device>) {
    for interface in device.interfaces.lock().iter_mut() {
        interface.set(false);
    }
}

wdf! {
    /// WdfDeviceCreateDeviceInterface. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceCreateDeviceInterface(
        call,
        device: WDFDEVICE,
        class: *const GUID,
        reference: PCUNICODE_STRING,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let device = call.get::<Device>(device);
            let Some(pnp) = &device.pnp else { return Err(status::INVALID_DEVICE_REQUEST) };
            let class = call::read(class).ok_or(status::INVALID_PARAMETER)?;
            let reference = string::copy(reference).unwrap_or_default();
            if device.interfaces.lock().iter().any(|present| present.is(&class, &reference)) {
                return Ok(());
            }
            call.may_allocate()?;
            let mut interface =
                Interface { link: register(&device, &class, &reference)?, class, reference, wanted: true, enabled: false };
            interface.set(pnp.is_started());
            device.interfaces.lock().push(interface);
            Ok(())
        })
    }

    /// WdfDeviceSetDeviceInterfaceState. IRQL: PASSIVE_LEVEL. An interface that was not created is ignored.
    fn WdfDeviceSetDeviceInterfaceState(
        call,
        device: WDFDEVICE,
        class: *const GUID,
        reference: PCUNICODE_STRING,
        enable: BOOLEAN,
    ) {
        call.passive();
        let device = call.get::<Device>(device);
        let Some(class) = call::read(class) else { call.violation(format_args!("no interface class")) };
        let reference = string::copy(reference).unwrap_or_default();
        let started = device.pnp.as_ref().is_some_and(super::pnp::Pnp::is_started);
        if let Some(interface) = device.interfaces.lock().iter_mut().find(|present| present.is(&class, &reference)) {
            interface.wanted = enable != 0;
            interface.set(interface.wanted && started);
        }
    }

    /// WdfDeviceRetrieveDeviceInterfaceString. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceRetrieveDeviceInterfaceString(
        call,
        device: WDFDEVICE,
        class: *const GUID,
        reference: PCUNICODE_STRING,
        string: WDFSTRING,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let device = call.get::<Device>(device);
            let class = call::read(class).ok_or(status::INVALID_PARAMETER)?;
            let reference = string::copy(reference).unwrap_or_default();
            call.may_allocate()?;
            let link = device
                .interfaces
                .lock()
                .iter()
                .find(|present| present.is(&class, &reference))
                .map(|interface| interface.link.clone())
                .ok_or(status::OBJECT_NAME_NOT_FOUND)?;
            call.get::<WdfString>(string).set(link);
            Ok(())
        })
    }
}

fn register(device: &Ref<Device>, class: &GUID, reference: &Utf16) -> Result<Utf16, NTSTATUS> {
    let reference_string = reference.as_unicode();
    let reference = if reference.units().is_empty() {
        core::ptr::null()
    } else {
        &raw const reference_string
    };
    let mut link = UNICODE_STRING {
        Length: 0,
        MaximumLength: 0,
        Buffer: core::ptr::null_mut(),
    };
    // SAFETY: the PDO lives as long as the device is attached; the strings are valid for the call.
    check(unsafe { ffi::IoRegisterDeviceInterface(device.pdo(), class, reference, &raw mut link) })?;
    let copy = Utf16::new(string::units(&link));
    // SAFETY: NT allocated it for us.
    unsafe { ffi::RtlFreeUnicodeString(&raw mut link) };
    Ok(copy)
}

entries! {
    WdfDeviceCreateDeviceInterfaceTableIndex: PFN_WDFDEVICECREATEDEVICEINTERFACE = WdfDeviceCreateDeviceInterface;
    WdfDeviceSetDeviceInterfaceStateTableIndex:
        PFN_WDFDEVICESETDEVICEINTERFACESTATE = WdfDeviceSetDeviceInterfaceState;
    WdfDeviceRetrieveDeviceInterfaceStringTableIndex:
        PFN_WDFDEVICERETRIEVEDEVICEINTERFACESTRING = WdfDeviceRetrieveDeviceInterfaceString;
}
