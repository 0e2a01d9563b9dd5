//! `DriverEntry`, and what happens to the driver as a whole.

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;

use wdfldr_test_contract::{Event, SEQUENCE_VALUE};
use wdk_sys::{
    DRIVER_OBJECT, KEY_READ, NTSTATUS, PCUNICODE_STRING, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
    ULONG, WDF_DRIVER_CONFIG, WDFDRIVER, WDFDRIVER__, WDFKEY,
};

use crate::wdf::{ok, size_field, unicode_string};
use crate::{device, events, sequence};

/// The tag of what the framework allocates for this driver.
const POOL_TAG: ULONG = u32::from_le_bytes(*b"WTst");

static DRIVER: AtomicPtr<WDFDRIVER__> = AtomicPtr::new(ptr::null_mut());

/// The driver object.
pub(crate) fn driver() -> WDFDRIVER {
    DRIVER.load(SeqCst)
}

/// The driver's entry, called by the framework's own once this image is bound to KMDF.
///
/// # Safety
/// The system calls it, once, at `PASSIVE_LEVEL`, with a driver object and its registry path.
#[expect(unreachable_pub, reason = "the linker reaches it, by its name")]
// No other symbol of this image has this name.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(object: &mut DRIVER_OBJECT, path: PCUNICODE_STRING) -> NTSTATUS {
    let status = match enter(object, path) {
        Ok(()) => STATUS_SUCCESS,
        Err(status) => status,
    };
    wdk::println!("wdfldr_test_driver: loaded, {status:#010X}");
    status
}

fn enter(object: &mut DRIVER_OBJECT, path: PCUNICODE_STRING) -> Result<(), NTSTATUS> {
    events::record(Event::DriverEntry);
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_field::<WDF_DRIVER_CONFIG>(),
        EvtDriverDeviceAdd: Some(device::evt_device_add),
        EvtDriverUnload: Some(evt_driver_unload),
        DriverPoolTag: POOL_TAG,
        ..WDF_DRIVER_CONFIG::default()
    };
    let mut driver: WDFDRIVER = ptr::null_mut();
    ok(wdf!(
        WdfDriverCreate,
        object,
        path,
        ptr::null_mut(),
        &raw mut config,
        &raw mut driver
    ))?;
    DRIVER.store(driver, SeqCst);
    match parameter(driver) {
        Ok(1) => sequence::run(driver),
        // Only this one is a failing allocation; there need be neither key nor value.
        Err(STATUS_INSUFFICIENT_RESOURCES) => Err(STATUS_INSUFFICIENT_RESOURCES),
        _ => Ok(()),
    }
}

/// The number that asks for the create sequence.
fn parameter(driver: WDFDRIVER) -> Result<u32, NTSTATUS> {
    let mut key: WDFKEY = ptr::null_mut();
    ok(wdf!(
        WdfDriverOpenParametersRegistryKey,
        driver,
        KEY_READ,
        ptr::null_mut(),
        &raw mut key
    ))?;
    let name = utf16!(SEQUENCE_VALUE);
    let name = unicode_string(&name);
    let mut value = 0;
    let status = wdf!(WdfRegistryQueryULong, key, &raw const name, &raw mut value);
    wdf!(WdfRegistryClose, key);
    ok(status)?;
    Ok(value)
}

extern "C" fn evt_driver_unload(driver: WDFDRIVER) {
    events::record(Event::DriverUnload);
    if let Err(status) = events::save(driver) {
        wdk::println!("wdfldr_test_driver: the record could not be saved, {status:#010X}");
    }
}
