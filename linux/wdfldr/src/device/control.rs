//! Control devices: named, outside the PnP stacks, opened once their driver says so.

use core::sync::atomic::Ordering;

use wdk_sys::{
    PFN_WDF_DEVICE_SHUTDOWN_NOTIFICATION, PWDFDEVICE_INIT, UCHAR, UNICODE_STRING, WDFDEVICE, WDFDRIVER,
};

use super::Device;
use super::create::set_initializing;
use super::init::DeviceInit;
use crate::call::{self, wdf};
use crate::driver::Driver;
use crate::table::entries;

wdf! {
    /// WdfControlDeviceInitAllocate. IRQL: PASSIVE_LEVEL. Null when there is no memory. The SDDL string is not enforced.
    fn WdfControlDeviceInitAllocate(call, driver: WDFDRIVER, sddl: *const UNICODE_STRING) -> PWDFDEVICE_INIT {
        call.passive();
        let _ = call.get::<Driver>(driver);
        if call::read(sddl).is_none() || call.may_allocate().is_err() {
            return core::ptr::null_mut();
        }
        DeviceInit::new(core::ptr::null_mut()).give()
    }

    /// WdfControlDeviceInitSetShutdownNotification. IRQL: PASSIVE_LEVEL. Wine does not shut drivers down.
    fn WdfControlDeviceInitSetShutdownNotification(
        call,
        init: PWDFDEVICE_INIT,
        _notification: PFN_WDF_DEVICE_SHUTDOWN_NOTIFICATION,
        _flags: UCHAR,
    ) {
        let _ = DeviceInit::from_driver(call, init);
    }

    /// WdfControlFinishInitializing. IRQL: PASSIVE_LEVEL. From here on the device can be opened.
    fn WdfControlFinishInitializing(call, device: WDFDEVICE) {
        call.passive();
        let device = call.get::<Device>(device);
        if !device.is_control() {
            call.violation(format_args!("the device is not a control device"));
        }
        crate::io::power_up(&device);
        set_initializing(device.wdm(), false);
        device.ready.store(true, Ordering::Release);
    }
}

entries! {
    WdfControlDeviceInitAllocateTableIndex: PFN_WDFCONTROLDEVICEINITALLOCATE = WdfControlDeviceInitAllocate;
    WdfControlDeviceInitSetShutdownNotificationTableIndex:
        PFN_WDFCONTROLDEVICEINITSETSHUTDOWNNOTIFICATION = WdfControlDeviceInitSetShutdownNotification;
    WdfControlFinishInitializingTableIndex: PFN_WDFCONTROLFINISHINITIALIZING = WdfControlFinishInitializing;
}
