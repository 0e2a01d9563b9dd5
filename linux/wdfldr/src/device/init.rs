//! WDFDEVICE_INIT: what is settled about a device before `WdfDeviceCreate` consumes it.
//!
//! It is not an object: the driver holds an opaque pointer between EvtDriverDeviceAdd (or
//! `WdfControlDeviceInitAllocate`) and `WdfDeviceCreate`, which takes it away by setting the driver's pointer to null.

use alloc::boxed::Box;
use alloc::vec::Vec;

use wdk_sys::{
    _WDF_DEVICE_IO_TYPE, BOOLEAN, GUID, NTSTATUS, PCUNICODE_STRING, PDEVICE_OBJECT,
    PFN_WDF_IO_IN_CALLER_CONTEXT, PFN_WDFDEVICE_WDM_IRP_PREPROCESS, PUCHAR, PWDF_FILEOBJECT_CONFIG,
    PWDF_IO_TYPE_CONFIG, PWDF_OBJECT_ATTRIBUTES, PWDF_PNPPOWER_EVENT_CALLBACKS,
    PWDF_POWER_POLICY_EVENT_CALLBACKS, PWDFDEVICE_INIT, UCHAR, ULONG, WDF_DEVICE_IO_TYPE,
    WDF_FILEOBJECT_CONFIG, WDF_PNPPOWER_EVENT_CALLBACKS,
};

use crate::call::{Call, bytes, wdf};
use crate::nt::status;
use crate::nt::string::{self, Utf16};
use crate::object::attributes::Attributes;
use crate::table::entries;

/// `FILE_DEVICE_UNKNOWN`.
const FILE_DEVICE_UNKNOWN: u32 = 0x22;
/// `FILE_DEVICE_SECURE_OPEN`.
const FILE_DEVICE_SECURE_OPEN: u32 = 0x100;

/// What is settled for a device's I/O; `io/` reads it.
pub(crate) struct IoConfig {
    /// `WdfDeviceInitSetFileObjectConfig`.
    pub(crate) file_object: Option<(WDF_FILEOBJECT_CONFIG, Attributes)>,
    /// `WdfDeviceInitSetRequestAttributes`.
    pub(crate) request_attributes: Attributes,
    /// `WdfDeviceInitSetIoType`: how read and write buffers arrive.
    pub(crate) io_type: WDF_DEVICE_IO_TYPE,
    /// `WdfDeviceInitSetIoInCallerContextCallback`.
    pub(crate) in_caller_context: PFN_WDF_IO_IN_CALLER_CONTEXT,
    /// `WdfDeviceInitAssignWdmIrpPreprocessCallback`.
    pub(crate) preprocess: Vec<Preprocess>,
    /// `WdfDeviceInitSetExclusive`.
    pub(crate) exclusive: bool,
}

impl IoConfig {
    const fn new() -> Self {
        Self {
            file_object: None,
            request_attributes: Attributes::NONE,
            io_type: _WDF_DEVICE_IO_TYPE::WdfDeviceIoBuffered,
            in_caller_context: None,
            preprocess: Vec::new(),
            exclusive: false,
        }
    }
}

/// A callback that gets IRPs of one major function before the framework.
pub(crate) struct Preprocess {
    pub(crate) callback: PFN_WDFDEVICE_WDM_IRP_PREPROCESS,
    pub(crate) major: u8,
    /// The minor functions; empty for all.
    pub(crate) minors: Vec<u8>,
}

/// What a `PWDFDEVICE_INIT` points to.
pub(crate) struct DeviceInit {
    magic: u64,
    /// The device to attach to; null for a control device.
    pub(crate) pdo: PDEVICE_OBJECT,
    pub(crate) io: IoConfig,
    pub(crate) callbacks: WDF_PNPPOWER_EVENT_CALLBACKS,
    pub(crate) name: Option<Utf16>,
    pub(crate) device_type: u32,
    pub(crate) characteristics: u32,
    pub(crate) power_pageable: bool,
    /// Set when `WdfDeviceCreate` took it: EvtDriverDeviceAdd's caller looks at it.
    pub(crate) created: Option<crate::object::AnyRef>,
}

const MAGIC: u64 = u64::from_le_bytes(*b"WDFDINIT");

impl DeviceInit {
    pub(crate) fn new(pdo: PDEVICE_OBJECT) -> Box<Self> {
        // SAFETY: all-zero means no callbacks.
        let callbacks = unsafe { core::mem::zeroed() };
        Box::new(Self {
            magic: MAGIC,
            pdo,
            io: IoConfig::new(),
            callbacks,
            name: None,
            device_type: FILE_DEVICE_UNKNOWN,
            characteristics: FILE_DEVICE_SECURE_OPEN,
            power_pageable: true,
            created: None,
        })
    }

    /// What the driver's pointer points to; stops the driver if that is not a live WDFDEVICE_INIT.
    pub(crate) fn from_driver<'a>(call: &Call, pointer: PWDFDEVICE_INIT) -> &'a mut Self {
        // SAFETY: by contract the pointer is one that the runtime gave out and that was not consumed; a null or an
        // obviously foreign one is recognised.
        match unsafe { pointer.cast::<Self>().as_mut() } {
            Some(init) if init.magic == MAGIC => init,
            _ => call.violation(format_args!(
                "{pointer:p} is no WDFDEVICE_INIT, or was consumed by WdfDeviceCreate"
            )),
        }
    }

    /// Takes the box back from the driver's pointer.
    pub(crate) fn take(call: &Call, pointer: PWDFDEVICE_INIT) -> Box<Self> {
        let init = Self::from_driver(call, pointer);
        init.magic = 0;
        // SAFETY: just checked; it came from `Box::into_raw` and the cleared magic lets it be taken only once.
        unsafe { Box::from_raw(init) }
    }

    /// What is settled for the I/O, moved out.
    pub(crate) fn take_io(&mut self) -> IoConfig {
        core::mem::replace(&mut self.io, IoConfig::new())
    }

    /// Hands the box to the driver.
    pub(crate) fn give(self: Box<Self>) -> PWDFDEVICE_INIT {
        Box::into_raw(self).cast()
    }
}

wdf! {
    /// WdfDeviceInitFree. IRQL: PASSIVE_LEVEL. For control devices that are not created after all.
    fn WdfDeviceInitFree(call, init: PWDFDEVICE_INIT) {
        call.passive();
        let init = DeviceInit::from_driver(call, init);
        if !init.pdo.is_null() {
            call.violation(format_args!("the WDFDEVICE_INIT of EvtDriverDeviceAdd belongs to the framework"));
        }
        drop(DeviceInit::take(call, core::ptr::from_mut(init).cast()));
    }

    /// WdfDeviceInitSetPnpPowerEventCallbacks. IRQL: PASSIVE_LEVEL. Older, shorter structures are accepted.
    fn WdfDeviceInitSetPnpPowerEventCallbacks(call, init: PWDFDEVICE_INIT, callbacks: PWDF_PNPPOWER_EVENT_CALLBACKS) {
        /// The size before `EvtDeviceUsageNotificationEx`.
        const KMDF_1_9: usize = 136;
        let init = DeviceInit::from_driver(call, init);
        match call.config_of(callbacks, &[KMDF_1_9]) {
            Ok(callbacks) => init.callbacks = callbacks,
            Err(_) => call.violation(format_args!("WDF_PNPPOWER_EVENT_CALLBACKS has a wrong Size")),
        }
    }

    /// WdfDeviceInitSetPowerPolicyEventCallbacks. IRQL: PASSIVE_LEVEL. Wake never happens here: checked and dropped.
    fn WdfDeviceInitSetPowerPolicyEventCallbacks(
        call,
        init: PWDFDEVICE_INIT,
        callbacks: PWDF_POWER_POLICY_EVENT_CALLBACKS,
    ) {
        let _ = DeviceInit::from_driver(call, init);
        if call.config(callbacks.cast_const()).is_err() {
            call.violation(format_args!("WDF_POWER_POLICY_EVENT_CALLBACKS has a wrong Size"));
        }
    }

    /// WdfDeviceInitSetPowerPolicyOwnership. IRQL: PASSIVE_LEVEL. There is no power policy to own.
    fn WdfDeviceInitSetPowerPolicyOwnership(call, init: PWDFDEVICE_INIT, _owner: BOOLEAN) {
        let _ = DeviceInit::from_driver(call, init);
    }

    /// WdfDeviceInitSetExclusive. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetExclusive(call, init: PWDFDEVICE_INIT, exclusive: BOOLEAN) {
        DeviceInit::from_driver(call, init).io.exclusive = exclusive != 0;
    }

    /// WdfDeviceInitSetIoType. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetIoType(call, init: PWDFDEVICE_INIT, io_type: WDF_DEVICE_IO_TYPE) {
        set_io_type(call, init, io_type);
    }

    /// WdfDeviceInitSetIoTypeEx. IRQL: PASSIVE_LEVEL. KMDF looks at `ReadWriteIoType` only.
    fn WdfDeviceInitSetIoTypeEx(call, init: PWDFDEVICE_INIT, config: PWDF_IO_TYPE_CONFIG) {
        match call.config(config.cast_const()) {
            Ok(config) => set_io_type(call, init, config.ReadWriteIoType),
            Err(_) => call.violation(format_args!("WDF_IO_TYPE_CONFIG has a wrong Size")),
        }
    }

    /// WdfDeviceInitSetPowerNotPageable. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetPowerNotPageable(call, init: PWDFDEVICE_INIT) {
        DeviceInit::from_driver(call, init).power_pageable = false;
    }

    /// WdfDeviceInitSetPowerPageable. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetPowerPageable(call, init: PWDFDEVICE_INIT) {
        DeviceInit::from_driver(call, init).power_pageable = true;
    }

    /// WdfDeviceInitSetDeviceType. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetDeviceType(call, init: PWDFDEVICE_INIT, device_type: ULONG) {
        DeviceInit::from_driver(call, init).device_type = device_type;
    }

    /// WdfDeviceInitAssignName. IRQL: PASSIVE_LEVEL. A null name takes the name away.
    fn WdfDeviceInitAssignName(call, init: PWDFDEVICE_INIT, name: PCUNICODE_STRING) -> NTSTATUS {
        call.run(|| {
            call.passive();
            call.may_allocate()?;
            DeviceInit::from_driver(call, init).name = string::copy(name);
            Ok(())
        })
    }

    /// WdfDeviceInitAssignSDDLString. IRQL: PASSIVE_LEVEL. Wine stores no ACL of a device: accepted, not enforced.
    fn WdfDeviceInitAssignSDDLString(call, init: PWDFDEVICE_INIT, sddl: PCUNICODE_STRING) -> NTSTATUS {
        call.run(|| {
            call.passive();
            call.may_allocate()?;
            let _ = DeviceInit::from_driver(call, init);
            let sddl = string::copy(sddl).ok_or(status::INVALID_PARAMETER)?;
            if sddl.units().get(1) == Some(&u16::from(b':')) { Ok(()) } else { Err(status::INVALID_PARAMETER) }
        })
    }

    /// WdfDeviceInitSetDeviceClass. IRQL: PASSIVE_LEVEL. Only security depends on it: accepted, not enforced.
    fn WdfDeviceInitSetDeviceClass(call, init: PWDFDEVICE_INIT, _class: *const GUID) {
        let _ = DeviceInit::from_driver(call, init);
    }

    /// WdfDeviceInitSetCharacteristics. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetCharacteristics(call, init: PWDFDEVICE_INIT, value: ULONG, or_in: BOOLEAN) {
        let init = DeviceInit::from_driver(call, init);
        init.characteristics = if or_in == 0 { value } else { init.characteristics | value };
    }

    /// WdfDeviceInitSetFileObjectConfig. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetFileObjectConfig(
        call,
        init: PWDFDEVICE_INIT,
        config: PWDF_FILEOBJECT_CONFIG,
        attributes: PWDF_OBJECT_ATTRIBUTES,
    ) {
        let init = DeviceInit::from_driver(call, init);
        match (call.config(config.cast_const()), call.attributes(attributes)) {
            (Ok(config), Ok(attributes)) => init.io.file_object = Some((config, attributes)),
            _ => call.violation(format_args!("WDF_FILEOBJECT_CONFIG or its attributes are invalid")),
        }
    }

    /// WdfDeviceInitSetRequestAttributes. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetRequestAttributes(call, init: PWDFDEVICE_INIT, attributes: PWDF_OBJECT_ATTRIBUTES) {
        let init = DeviceInit::from_driver(call, init);
        match call.attributes(attributes) {
            Ok(attributes) if attributes.parent == 0 => init.io.request_attributes = attributes,
            _ => call.violation(format_args!("the request attributes are invalid (a parent is not allowed)")),
        }
    }

    /// WdfDeviceInitAssignWdmIrpPreprocessCallback. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitAssignWdmIrpPreprocessCallback(
        call,
        init: PWDFDEVICE_INIT,
        callback: PFN_WDFDEVICE_WDM_IRP_PREPROCESS,
        major: UCHAR,
        minors: PUCHAR,
        count: ULONG,
    ) -> NTSTATUS {
        call.run(|| {
            /// `IRP_MJ_MAXIMUM_FUNCTION`.
            const MAXIMUM: u8 = 0x1b;
            let init = DeviceInit::from_driver(call, init);
            if major > MAXIMUM || callback.is_none() {
                return Err(status::INVALID_PARAMETER);
            }
            if init.io.preprocess.iter().any(|present| present.major == major && present.minors.is_empty()) {
                return Err(status::INVALID_DEVICE_REQUEST);
            }
            call.may_allocate()?;
            let minors = bytes(minors.cast_const().cast(), count as usize).to_vec();
            init.io.preprocess.push(Preprocess { callback, major, minors });
            Ok(())
        })
    }

    /// WdfDeviceInitSetIoInCallerContextCallback. IRQL: PASSIVE_LEVEL.
    fn WdfDeviceInitSetIoInCallerContextCallback(
        call,
        init: PWDFDEVICE_INIT,
        callback: PFN_WDF_IO_IN_CALLER_CONTEXT,
    ) {
        DeviceInit::from_driver(call, init).io.in_caller_context = callback;
    }

    /// WdfFdoInitWdmGetPhysicalDevice. IRQL: <= DISPATCH_LEVEL.
    fn WdfFdoInitWdmGetPhysicalDevice(call, init: PWDFDEVICE_INIT) -> PDEVICE_OBJECT {
        DeviceInit::from_driver(call, init).pdo
    }
}

fn set_io_type(call: &Call, init: PWDFDEVICE_INIT, io_type: WDF_DEVICE_IO_TYPE) {
    let types = _WDF_DEVICE_IO_TYPE::WdfDeviceIoNeither..=_WDF_DEVICE_IO_TYPE::WdfDeviceIoDirect;
    if !types.contains(&io_type) {
        call.violation(format_args!("{io_type} is no I/O type of a KMDF device"));
    }
    DeviceInit::from_driver(call, init).io.io_type = io_type;
}

entries! {
    WdfDeviceInitFreeTableIndex: PFN_WDFDEVICEINITFREE = WdfDeviceInitFree;
    WdfDeviceInitSetPnpPowerEventCallbacksTableIndex:
        PFN_WDFDEVICEINITSETPNPPOWEREVENTCALLBACKS = WdfDeviceInitSetPnpPowerEventCallbacks;
    WdfDeviceInitSetPowerPolicyEventCallbacksTableIndex:
        PFN_WDFDEVICEINITSETPOWERPOLICYEVENTCALLBACKS = WdfDeviceInitSetPowerPolicyEventCallbacks;
    WdfDeviceInitSetPowerPolicyOwnershipTableIndex:
        PFN_WDFDEVICEINITSETPOWERPOLICYOWNERSHIP = WdfDeviceInitSetPowerPolicyOwnership;
    WdfDeviceInitSetExclusiveTableIndex: PFN_WDFDEVICEINITSETEXCLUSIVE = WdfDeviceInitSetExclusive;
    WdfDeviceInitSetIoTypeTableIndex: PFN_WDFDEVICEINITSETIOTYPE = WdfDeviceInitSetIoType;
    WdfDeviceInitSetIoTypeExTableIndex: PFN_WDFDEVICEINITSETIOTYPEEX = WdfDeviceInitSetIoTypeEx;
    WdfDeviceInitSetPowerNotPageableTableIndex:
        PFN_WDFDEVICEINITSETPOWERNOTPAGEABLE = WdfDeviceInitSetPowerNotPageable;
    WdfDeviceInitSetPowerPageableTableIndex: PFN_WDFDEVICEINITSETPOWERPAGEABLE = WdfDeviceInitSetPowerPageable;
    WdfDeviceInitSetDeviceTypeTableIndex: PFN_WDFDEVICEINITSETDEVICETYPE = WdfDeviceInitSetDeviceType;
    WdfDeviceInitAssignNameTableIndex: PFN_WDFDEVICEINITASSIGNNAME = WdfDeviceInitAssignName;
    WdfDeviceInitAssignSDDLStringTableIndex: PFN_WDFDEVICEINITASSIGNSDDLSTRING = WdfDeviceInitAssignSDDLString;
    WdfDeviceInitSetDeviceClassTableIndex: PFN_WDFDEVICEINITSETDEVICECLASS = WdfDeviceInitSetDeviceClass;
    WdfDeviceInitSetCharacteristicsTableIndex:
        PFN_WDFDEVICEINITSETCHARACTERISTICS = WdfDeviceInitSetCharacteristics;
    WdfDeviceInitSetFileObjectConfigTableIndex:
        PFN_WDFDEVICEINITSETFILEOBJECTCONFIG = WdfDeviceInitSetFileObjectConfig;
    WdfDeviceInitSetRequestAttributesTableIndex:
        PFN_WDFDEVICEINITSETREQUESTATTRIBUTES = WdfDeviceInitSetRequestAttributes;
    WdfDeviceInitAssignWdmIrpPreprocessCallbackTableIndex:
        PFN_WDFDEVICEINITASSIGNWDMIRPPREPROCESSCALLBACK = WdfDeviceInitAssignWdmIrpPreprocessCallback;
    WdfDeviceInitSetIoInCallerContextCallbackTableIndex:
        PFN_WDFDEVICEINITSETIOINCALLERCONTEXTCALLBACK = WdfDeviceInitSetIoInCallerContextCallback;
    WdfFdoInitWdmGetPhysicalDeviceTableIndex:
        PFN_WDFFDOINITWDMGETPHYSICALDEVICE = WdfFdoInitWdmGetPhysicalDevice;
}
