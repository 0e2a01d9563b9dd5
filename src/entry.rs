//! `DriverEntry`, and what happens to the driver as a whole.

use wdk_sys::{
    DRIVER_OBJECT, NT_SUCCESS, NTSTATUS, PCUNICODE_STRING, ULONG, WDF_DRIVER_CONFIG, WDF_NO_HANDLE,
    WDF_NO_OBJECT_ATTRIBUTES, WDFDRIVER, call_unsafe_wdf_function_binding,
};

use crate::context::size_field;
use crate::device::evt_device_add;
use crate::trace;

/// The tag of what the framework allocates for this driver.
const POOL_TAG: ULONG = u32::from_le_bytes(*b"QWId");

/// The driver's entry, called by the framework's own once this image is bound to KMDF.
///
/// # Safety
/// The system calls it, once, at `PASSIVE_LEVEL`, with a driver object and its registry path.
#[expect(unreachable_pub, reason = "the linker reaches it, by its name")]
// No other symbol of this image has this name.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: once, before anything else runs; every way out of the driver unregisters.
    unsafe { trace::register() };
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_field::<WDF_DRIVER_CONFIG>(),
        EvtDriverDeviceAdd: Some(evt_device_add),
        EvtDriverUnload: Some(evt_driver_unload),
        DriverPoolTag: POOL_TAG,
        ..WDF_DRIVER_CONFIG::default()
    };
    // SAFETY: the driver object and the path are the system's, and the configuration lives through the call.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDriverCreate,
            driver,
            registry_path,
            WDF_NO_OBJECT_ATTRIBUTES,
            &raw mut config,
            WDF_NO_HANDLE.cast::<WDFDRIVER>(),
        )
    };
    trace::driver_loaded(status);
    if !NT_SUCCESS(status) {
        // The system does not call unload.
        trace::unregister();
    }
    status
}

/// Every device is gone by now, and with it all that this driver ever held.
extern "C" fn evt_driver_unload(_driver: WDFDRIVER) {
    trace::driver_unloaded();
    trace::unregister();
}
