//! What a driver may ask and tell about a device.

use alloc::vec;

use wdk_sys::{
    DEVICE_REGISTRY_PROPERTY, NTSTATUS, PDEVICE_OBJECT, PULONG, PVOID, PWDF_DEVICE_PNP_CAPABILITIES,
    PWDF_DEVICE_POWER_CAPABILITIES, PWDF_DEVICE_STATE, ULONG, WDF_DEVICE_FAILED_ACTION, WDFDEVICE, WDFDRIVER,
    WDFSTRING,
};

use super::Device;
use crate::call::{self, wdf};
use crate::nt::print::log;
use crate::nt::string::Utf16;
use crate::nt::{check, ffi, status};
use crate::object::Ref;
use crate::string::WdfString;
use crate::table::entries;

/// `DevicePropertyPhysicalDeviceObjectName`.
const PHYSICAL_DEVICE_OBJECT_NAME: i32 = 0xb;

wdf! {
    /// WdfDeviceGetDriver. IRQL: <= DISPATCH_LEVEL.
    fn WdfDeviceGetDriver(call, device: WDFDEVICE) -> WDFDRIVER {
        let _ = call.get::<Device>(device);
        call.driver().handle()
    }

    /// WdfDeviceWdmGetDeviceObject. IRQL: <= DISPATCH_LEVEL.
    fn WdfDeviceWdmGetDeviceObject(call, device: WDFDEVICE) -> PDEVICE_OBJECT {
        call.get::<Device>(device).wdm()
    }

    /// WdfDeviceWdmGetAttachedDevice. IRQL: <= DISPATCH_LEVEL. Null for a control device.
    fn WdfDeviceWdmGetAttachedDevice(call, device: WDFDEVICE) -> PDEVICE_OBJECT {
        call.get::<Device>(device).lower()
    }

    /// WdfDeviceWdmGetPhysicalDevice. IRQL: <= DISPATCH_LEVEL. Null for a control device.
    fn WdfDeviceWdmGetPhysicalDevice(call, device: WDFDEVICE) -> PDEVICE_OBJECT {
        call.get::<Device>(device).pdo()
    }

    /// WdfWdmDeviceGetWdfDeviceHandle. IRQL: <= DISPATCH_LEVEL. Null for a device object whose WDFDEVICE is gone.
    fn WdfWdmDeviceGetWdfDeviceHandle(_call, device: PDEVICE_OBJECT) -> WDFDEVICE {
        super::from_wdm(device).map_or(core::ptr::null_mut(), |device| device.header().handle())
    }

    /// WdfDeviceRetrieveDeviceName. IRQL: PASSIVE_LEVEL. STATUS_INVALID_DEVICE_REQUEST for a device without a name.
    fn WdfDeviceRetrieveDeviceName(call, device: WDFDEVICE, string: WDFSTRING) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let device = call.get::<Device>(device);
            call.may_allocate()?;
            let name = device.name.clone().ok_or(status::INVALID_DEVICE_REQUEST)?;
            call.get::<WdfString>(string).set(name);
            Ok(())
        })
    }

    /// WdfDeviceQueryProperty. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceQueryProperty(
        call,
        device: WDFDEVICE,
        property: DEVICE_REGISTRY_PROPERTY::Type,
        length: ULONG,
        buffer: PVOID,
        needed: PULONG,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let device = call.get::<Device>(device);
            if device.is_control() {
                return Err(status::INVALID_DEVICE_REQUEST);
            }
            // SAFETY: the PDO is live while the device is attached; the buffer is the driver's, of this length.
            check(unsafe { ffi::IoGetDeviceProperty(device.pdo(), property, length, buffer, needed) })?;
            // Wine reports success for a buffer that is too small for a string.
            match call::read(needed.cast_const()) {
                Some(needed) if needed > length => Err(status::BUFFER_TOO_SMALL),
                _ => Ok(()),
            }
        })
    }

    /// WdfDeviceSetPnpCapabilities. IRQL: PASSIVE_LEVEL. Wine asks a device for none of them.
    fn WdfDeviceSetPnpCapabilities(call, device: WDFDEVICE, capabilities: PWDF_DEVICE_PNP_CAPABILITIES) {
        call.passive();
        let _ = call.get::<Device>(device);
        if call.config(capabilities.cast_const()).is_err() {
            call.violation(format_args!("WDF_DEVICE_PNP_CAPABILITIES has a wrong Size"));
        }
    }

    /// WdfDeviceSetPowerCapabilities. IRQL: PASSIVE_LEVEL. Wine asks a device for none of them.
    fn WdfDeviceSetPowerCapabilities(call, device: WDFDEVICE, capabilities: PWDF_DEVICE_POWER_CAPABILITIES) {
        call.passive();
        let _ = call.get::<Device>(device);
        if call.config(capabilities.cast_const()).is_err() {
            call.violation(format_args!("WDF_DEVICE_POWER_CAPABILITIES has a wrong Size"));
        }
    }

    /// WdfDeviceSetDeviceState. IRQL: <= DISPATCH_LEVEL. Wine's PnP manager does not ask for the state.
    fn WdfDeviceSetDeviceState(call, device: WDFDEVICE, state: PWDF_DEVICE_STATE) {
        call.at_most_dispatch();
        let _ = call.get::<Device>(device);
        if call.config(state.cast_const()).is_err() {
            call.violation(format_args!("WDF_DEVICE_STATE has a wrong Size"));
        }
    }

    /// WdfDeviceSetFailed. IRQL: <= DISPATCH_LEVEL. Logged: Wine can neither restart nor remove a device on request.
    fn WdfDeviceSetFailed(call, device: WDFDEVICE, action: WDF_DEVICE_FAILED_ACTION) {
        call.at_most_dispatch();
        let _ = call.get::<Device>(device);
        log!("{}: WdfDeviceSetFailed({action})", call.globals.name());
    }

    /// WdfDeviceSetCharacteristics. IRQL: <= DISPATCH_LEVEL.
    fn WdfDeviceSetCharacteristics(call, device: WDFDEVICE, characteristics: ULONG) {
        let wdm = call.get::<Device>(device).wdm();
        // SAFETY: our device object is live until the WDFDEVICE is disposed of, which the driver must not race.
        if let Some(wdm) = unsafe { wdm.as_mut() } {
            wdm.Characteristics = characteristics;
        }
    }

    /// WdfDeviceGetCharacteristics. IRQL: <= DISPATCH_LEVEL.
    fn WdfDeviceGetCharacteristics(call, device: WDFDEVICE) -> ULONG {
        let wdm = call.get::<Device>(device).wdm();
        // SAFETY: as for `WdfDeviceSetCharacteristics`.
        unsafe { wdm.as_ref() }.map_or(0, |wdm| wdm.Characteristics)
    }
}

/// The name of the PDO, which a symbolic link of an unnamed FDO leads to.
pub(super) fn physical_device_name(device: &Ref<Device>) -> Result<Utf16, NTSTATUS> {
    let mut buffer = vec![0_u16; 256];
    let mut needed = 0;
    // SAFETY: the PDO is live while the device is attached; the buffer has 512 bytes.
    check(unsafe {
        ffi::IoGetDeviceProperty(
            device.pdo(),
            PHYSICAL_DEVICE_OBJECT_NAME,
            512,
            buffer.as_mut_ptr().cast(),
            &raw mut needed,
        )
    })?;
    let length = buffer.iter().position(|unit| *unit == 0).unwrap_or(buffer.len());
    Ok(Utf16::new(&buffer[..length]))
}

entries! {
    WdfDeviceGetDriverTableIndex: PFN_WDFDEVICEGETDRIVER = WdfDeviceGetDriver;
    WdfDeviceWdmGetDeviceObjectTableIndex: PFN_WDFDEVICEWDMGETDEVICEOBJECT = WdfDeviceWdmGetDeviceObject;
    WdfDeviceWdmGetAttachedDeviceTableIndex: PFN_WDFDEVICEWDMGETATTACHEDDEVICE = WdfDeviceWdmGetAttachedDevice;
    WdfDeviceWdmGetPhysicalDeviceTableIndex: PFN_WDFDEVICEWDMGETPHYSICALDEVICE = WdfDeviceWdmGetPhysicalDevice;
    WdfWdmDeviceGetWdfDeviceHandleTableIndex: PFN_WDFWDMDEVICEGETWDFDEVICEHANDLE = WdfWdmDeviceGetWdfDeviceHandle;
    WdfDeviceRetrieveDeviceNameTableIndex: PFN_WDFDEVICERETRIEVEDEVICENAME = WdfDeviceRetrieveDeviceName;
    WdfDeviceQueryPropertyTableIndex: PFN_WDFDEVICEQUERYPROPERTY = WdfDeviceQueryProperty;
    WdfDeviceSetPnpCapabilitiesTableIndex: PFN_WDFDEVICESETPNPCAPABILITIES = WdfDeviceSetPnpCapabilities;
    WdfDeviceSetPowerCapabilitiesTableIndex: PFN_WDFDEVICESETPOWERCAPABILITIES = WdfDeviceSetPowerCapabilities;
    WdfDeviceSetDeviceStateTableIndex: PFN_WDFDEVICESETDEVICESTATE = WdfDeviceSetDeviceState;
    WdfDeviceSetFailedTableIndex: PFN_WDFDEVICESETFAILED = WdfDeviceSetFailed;
    WdfDeviceSetCharacteristicsTableIndex: PFN_WDFDEVICESETCHARACTERISTICS = WdfDeviceSetCharacteristics;
    WdfDeviceGetCharacteristicsTableIndex: PFN_WDFDEVICEGETCHARACTERISTICS = WdfDeviceGetCharacteristics;
}
