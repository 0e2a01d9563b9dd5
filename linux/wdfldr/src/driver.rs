//! WDFDRIVER, and the WDM routines that the runtime puts into the driver object.

use wdk_sys::{
    _WDF_DRIVER_INIT_FLAGS, ACCESS_MASK, BOOLEAN, NTSTATUS, PCUNICODE_STRING, PDEVICE_OBJECT, PDRIVER_OBJECT,
    PIRP, PWDF_DRIVER_CONFIG, PWDF_DRIVER_VERSION_AVAILABLE_PARAMS, PWDF_OBJECT_ATTRIBUTES, PWSTR,
    WDF_DRIVER_CONFIG, WDFDRIVER, WDFKEY, WDFSTRING,
};

use crate::call::{self, callback, wdf};
use crate::device::{self, Device, pnp};
use crate::globals::Globals;
use crate::io;
use crate::nt::print::log;
use crate::nt::string::Utf16;
use crate::nt::{irp as nt_irp, status};
use crate::object::attributes::Attributes;
use crate::object::{self, Create, Kind, Ref, Type};
use crate::registry;
use crate::string::WdfString;
use crate::table::entries;

/// `IRP_MJ_CREATE`.
const CREATE: u8 = 0;
/// `IRP_MJ_CLOSE`.
const CLOSE: u8 = 2;
/// `IRP_MJ_CLEANUP`.
const CLEANUP: u8 = 0x12;
/// `IRP_MJ_POWER`.
const POWER: u8 = 0x16;
/// `IRP_MJ_SYSTEM_CONTROL`.
const SYSTEM_CONTROL: u8 = 0x17;
/// `IRP_MJ_PNP`.
const PNP: u8 = 0x1b;

/// The body of a WDFDRIVER.
pub(crate) struct Driver {
    pub(crate) config: WDF_DRIVER_CONFIG,
    /// Devices inherit execution level and synchronization scope.
    pub(crate) attributes: Attributes,
    registry_path: Utf16,
}

impl Kind for Driver {
    const TYPE: Type = Type::Driver;
    const PASSIVE_DISPOSE: bool = true;
}

wdf! {
    /// WdfDriverCreate. IRQL: PASSIVE_LEVEL.
    fn WdfDriverCreate(
        call,
        driver_object: PDRIVER_OBJECT,
        registry_path: PCUNICODE_STRING,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        config: PWDF_DRIVER_CONFIG,
        driver: *mut WDFDRIVER,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let config = call.config(config.cast_const())?;
            let attributes = call.attributes(attributes)?;
            if attributes.parent != 0 {
                return Err(status::WDF_PARENT_ASSIGNMENT_NOT_ALLOWED);
            }
            if call.globals.root().is_some() {
                log!("{}: WdfDriverCreate is called a second time", call.globals.name());
                return Err(status::DRIVER_INTERNAL_ERROR);
            }
            let non_pnp = config.DriverInitFlags & _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver.cast_unsigned() != 0;
            if non_pnp && config.EvtDriverDeviceAdd.is_some() {
                return Err(status::INVALID_PARAMETER);
            }
            let registry_path = crate::nt::string::copy(registry_path).ok_or(status::INVALID_PARAMETER)?;
            if config.DriverPoolTag != 0 {
                call.globals.set_tag(config.DriverPoolTag);
            }
            let body = Driver { config, attributes, registry_path };
            let created = object::create(Create { globals: call.globals, attributes, parent: None }, body)?;
            install(driver_object, &config, non_pnp);
            call::write(driver, created.header().handle());
            Ok(())
        })
    }

    /// WdfDriverGetRegistryPath. IRQL: PASSIVE_LEVEL. The string lives as long as the driver object.
    fn WdfDriverGetRegistryPath(call, driver: WDFDRIVER) -> PWSTR {
        call.get::<Driver>(driver).registry_path.as_unicode().Buffer
    }

    /// WdfDriverWdmGetDriverObject. IRQL: <= DISPATCH_LEVEL.
    fn WdfDriverWdmGetDriverObject(call, driver: WDFDRIVER) -> PDRIVER_OBJECT {
        let _ = call.get::<Driver>(driver);
        call.globals.driver_object()
    }

    /// WdfWdmDriverGetWdfDriverHandle. IRQL: <= DISPATCH_LEVEL.
    fn WdfWdmDriverGetWdfDriverHandle(call, driver_object: PDRIVER_OBJECT) -> WDFDRIVER {
        Globals::of_driver_object(driver_object)
            .and_then(Globals::root)
            .map_or(core::ptr::null_mut(), |driver| {
                let _ = call;
                driver.handle()
            })
    }

    /// WdfDriverOpenParametersRegistryKey. IRQL: PASSIVE_LEVEL.
    fn WdfDriverOpenParametersRegistryKey(
        call,
        driver: WDFDRIVER,
        access: ACCESS_MASK,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        key: *mut WDFKEY,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let driver = call.get::<Driver>(driver);
            let mut path = driver.registry_path.units().to_vec();
            path.extend("\\Parameters".encode_utf16());
            registry::create_key(call, None, &Utf16::new(&path), access, attributes, key)
        })
    }

    /// WdfDriverRetrieveVersionString. IRQL: PASSIVE_LEVEL.
    fn WdfDriverRetrieveVersionString(call, driver: WDFDRIVER, string: WDFSTRING) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let _ = call.get::<Driver>(driver);
            call.may_allocate()?;
            call.get::<WdfString>(string).set(Utf16::from_ascii("Kernel Mode Driver Framework version 1.15"));
            Ok(())
        })
    }

    /// WdfDriverIsVersionAvailable. IRQL: <= DISPATCH_LEVEL.
    fn WdfDriverIsVersionAvailable(
        call,
        driver: WDFDRIVER,
        parameters: PWDF_DRIVER_VERSION_AVAILABLE_PARAMS,
    ) -> BOOLEAN {
        let _ = call.get::<Driver>(driver);
        call.config(parameters.cast_const())
            .is_ok_and(|wanted| wanted.MajorVersion == 1 && wanted.MinorVersion <= 15)
            .into()
    }
}

/// Fills the driver object: dispatch routines, AddDevice for a PnP driver, unload where the driver can be unloaded.
fn install(driver_object: PDRIVER_OBJECT, config: &WDF_DRIVER_CONFIG, non_pnp: bool) {
    // SAFETY: WdfDriverCreate gets the driver's own driver object, in its DriverEntry, where it may be written.
    let object = unsafe { &mut *driver_object };
    object.MajorFunction = [Some(dispatch); 28];
    if !non_pnp {
        // SAFETY: every driver object has its extension.
        unsafe { (*object.DriverExtension).AddDevice = Some(pnp::add_device) };
    }
    if !non_pnp || config.EvtDriverUnload.is_some() {
        object.DriverUnload = Some(unload);
    }
}

/// `DriverUnload`: the entry stub calls it before it unbinds.
unsafe extern "C" fn unload(driver_object: PDRIVER_OBJECT) {
    let Some(globals) = Globals::of_driver_object(driver_object) else {
        return;
    };
    let Some(driver) = globals.root().and_then(object::AnyRef::downcast::<Driver>) else {
        return;
    };
    if let Some(unload) = driver.config.EvtDriverUnload {
        callback!("EvtDriverUnload", unload(driver.header().handle()));
    }
    object::delete(driver.into_any());
}

/// Every `MajorFunction`.
unsafe extern "C" fn dispatch(device_object: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (major, _) = nt_irp::function(irp);
    let Some(device) = device::from_wdm(device_object) else {
        return without_device(major, irp);
    };
    match major {
        PNP => pnp::dispatch(&device, irp),
        POWER => nt_irp::pass(device.lower(), irp),
        SYSTEM_CONTROL if !device.is_control() => nt_irp::pass(device.lower(), irp),
        CREATE if !device.is_ready() => nt_irp::complete(irp, status::NO_SUCH_DEVICE, 0),
        _ => dispatch_io(&device, major, irp),
    }
}

fn dispatch_io(device: &Ref<Device>, major: u8, irp: PIRP) -> NTSTATUS {
    let Some(_entered) = device.remove_lock.enter() else {
        return without_device(major, irp);
    };
    let _dispatching = device.dispatching();
    io::dispatch(device, irp)
}

/// The device is gone: what undoes an open still succeeds.
fn without_device(major: u8, irp: PIRP) -> NTSTATUS {
    let answer = if matches!(major, CLOSE | CLEANUP) {
        status::SUCCESS
    } else {
        status::NO_SUCH_DEVICE
    };
    nt_irp::complete(irp, answer, 0)
}

entries! {
    WdfDriverCreateTableIndex: PFN_WDFDRIVERCREATE = WdfDriverCreate;
    WdfDriverGetRegistryPathTableIndex: PFN_WDFDRIVERGETREGISTRYPATH = WdfDriverGetRegistryPath;
    WdfDriverWdmGetDriverObjectTableIndex: PFN_WDFDRIVERWDMGETDRIVEROBJECT = WdfDriverWdmGetDriverObject;
    WdfWdmDriverGetWdfDriverHandleTableIndex: PFN_WDFWDMDRIVERGETWDFDRIVERHANDLE = WdfWdmDriverGetWdfDriverHandle;
    WdfDriverOpenParametersRegistryKeyTableIndex:
        PFN_WDFDRIVEROPENPARAMETERSREGISTRYKEY = WdfDriverOpenParametersRegistryKey;
    WdfDriverRetrieveVersionStringTableIndex: PFN_WDFDRIVERRETRIEVEVERSIONSTRING = WdfDriverRetrieveVersionString;
    WdfDriverIsVersionAvailableTableIndex: PFN_WDFDRIVERISVERSIONAVAILABLE = WdfDriverIsVersionAvailable;
}
