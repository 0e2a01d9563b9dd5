//! The device: a PnP function device without hardware that records what is asked of it.

use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicI32, AtomicPtr};

use wdfldr_test_contract::{Event, INTERFACE};
use wdk_sys::{
    GUID, NTSTATUS, PWDFDEVICE_INIT, STATUS_SUCCESS, WDF_PNPPOWER_EVENT_CALLBACKS, WDF_POWER_DEVICE_STATE,
    WDFCMRESLIST, WDFDEVICE, WDFDRIVER, WDFOBJECT, WDFQUEUE__,
};

use crate::events::record;
use crate::wdf::{ContextType, Zeroed, child_of, object, ok, size_field};
use crate::{files, pended, queues, requests};

/// What the device carries.
pub(crate) struct DeviceContext {
    /// The test queues, by number.
    pub(crate) queues: [AtomicPtr<WDFQUEUE__>; wdfldr_test_contract::queue::COUNT as usize],
    /// Its pended requests.
    pub(crate) pended: queues::List,
}

// SAFETY: null pointers.
unsafe impl Zeroed for DeviceContext {}

pub(crate) static DEVICE: ContextType<DeviceContext> = ContextType::new(c"DeviceContext", &DEVICE);

/// What came of a second default queue: it can only be asked for while the device is being made.
pub(crate) static SECOND_DEFAULT_QUEUE: AtomicI32 = AtomicI32::new(STATUS_SUCCESS);

pub(crate) extern "C" fn evt_device_add(_driver: WDFDRIVER, init: PWDFDEVICE_INIT) -> NTSTATUS {
    record(Event::DeviceAdd);
    match add(init) {
        Ok(()) => STATUS_SUCCESS,
        Err(status) => {
            wdk::println!("wdfldr_test_driver: no device, {status:#010X}");
            status
        }
    }
}

fn add(mut init: PWDFDEVICE_INIT) -> Result<(), NTSTATUS> {
    let mut pnp = WDF_PNPPOWER_EVENT_CALLBACKS {
        Size: size_field::<WDF_PNPPOWER_EVENT_CALLBACKS>(),
        EvtDevicePrepareHardware: Some(evt_prepare_hardware),
        EvtDeviceD0Entry: Some(evt_d0_entry),
        EvtDeviceD0EntryPostInterruptsEnabled: Some(evt_post_interrupts_enabled),
        EvtDeviceSelfManagedIoInit: Some(evt_self_managed_io_init),
        EvtDeviceQueryRemove: Some(evt_query_remove),
        EvtDeviceSurpriseRemoval: Some(evt_surprise_removal),
        EvtDeviceSelfManagedIoSuspend: Some(evt_self_managed_io_suspend),
        EvtDeviceD0ExitPreInterruptsDisabled: Some(evt_pre_interrupts_disabled),
        EvtDeviceD0Exit: Some(evt_d0_exit),
        EvtDeviceReleaseHardware: Some(evt_release_hardware),
        EvtDeviceSelfManagedIoFlush: Some(evt_self_managed_io_flush),
        EvtDeviceSelfManagedIoCleanup: Some(evt_self_managed_io_cleanup),
        ..WDF_PNPPOWER_EVENT_CALLBACKS::default()
    };
    wdf!(WdfDeviceInitSetPnpPowerEventCallbacks, init, &raw mut pnp);
    files::configure(init);
    let mut attributes = requests::REQUEST.attributes();
    wdf!(WdfDeviceInitSetRequestAttributes, init, &raw mut attributes);

    let mut attributes = DEVICE.attributes();
    attributes.EvtCleanupCallback = Some(evt_device_cleanup);
    attributes.EvtDestroyCallback = Some(evt_device_destroy);
    let mut device: WDFDEVICE = ptr::null_mut();
    ok(wdf!(
        WdfDeviceCreate,
        &raw mut init,
        &raw mut attributes,
        &raw mut device
    ))?;

    let mut attributes = child_of(device);
    attributes.EvtCleanupCallback = Some(evt_child_cleanup);
    object(attributes)?;
    requests::create_default_queue(device)?;
    let again = requests::create_default_queue(device).map_or_else(|status| status, |()| STATUS_SUCCESS);
    SECOND_DEFAULT_QUEUE.store(again, SeqCst);
    queues::create(device)?;
    pended::create(device)?;
    let guid = interface();
    ok(wdf!(
        WdfDeviceCreateDeviceInterface,
        device,
        &raw const guid,
        ptr::null()
    ))
}

/// The device interface's GUID.
pub(crate) const fn interface() -> GUID {
    GUID {
        Data1: INTERFACE.0,
        Data2: INTERFACE.1,
        Data3: INTERFACE.2,
        Data4: INTERFACE.3,
    }
}

/// The queue with this number.
pub(crate) fn queue(device: WDFDEVICE, number: u32) -> Option<wdk_sys::WDFQUEUE> {
    let queue = DEVICE.of(device).queues.get(number as usize)?;
    Some(queue.load(SeqCst))
}

extern "C" fn evt_prepare_hardware(_: WDFDEVICE, _: WDFCMRESLIST, _: WDFCMRESLIST) -> NTSTATUS {
    record(Event::PrepareHardware);
    STATUS_SUCCESS
}

extern "C" fn evt_d0_entry(_: WDFDEVICE, _: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    record(Event::D0Entry);
    STATUS_SUCCESS
}

extern "C" fn evt_post_interrupts_enabled(_: WDFDEVICE, _: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    record(Event::PostInterruptsEnabled);
    STATUS_SUCCESS
}

extern "C" fn evt_self_managed_io_init(_: WDFDEVICE) -> NTSTATUS {
    record(Event::SelfManagedIoInit);
    STATUS_SUCCESS
}

extern "C" fn evt_query_remove(_: WDFDEVICE) -> NTSTATUS {
    record(Event::QueryRemove);
    STATUS_SUCCESS
}

extern "C" fn evt_surprise_removal(_: WDFDEVICE) {
    record(Event::SurpriseRemoval);
}

/// What is still held would hold up the removal: a runner that failed leaves some.
extern "C" fn evt_self_managed_io_suspend(device: WDFDEVICE) -> NTSTATUS {
    record(Event::SelfManagedIoSuspend);
    queues::complete_all(device);
    STATUS_SUCCESS
}

extern "C" fn evt_pre_interrupts_disabled(_: WDFDEVICE, _: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    record(Event::PreInterruptsDisabled);
    STATUS_SUCCESS
}

extern "C" fn evt_d0_exit(_: WDFDEVICE, _: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    record(Event::D0Exit);
    STATUS_SUCCESS
}

extern "C" fn evt_release_hardware(_: WDFDEVICE, _: WDFCMRESLIST) -> NTSTATUS {
    record(Event::ReleaseHardware);
    STATUS_SUCCESS
}

extern "C" fn evt_self_managed_io_flush(_: WDFDEVICE) {
    record(Event::SelfManagedIoFlush);
}

extern "C" fn evt_self_managed_io_cleanup(_: WDFDEVICE) {
    record(Event::SelfManagedIoCleanup);
}

extern "C" fn evt_child_cleanup(_: WDFOBJECT) {
    record(Event::ChildCleanup);
}

extern "C" fn evt_device_cleanup(_: WDFOBJECT) {
    record(Event::DeviceCleanup);
}

extern "C" fn evt_device_destroy(_: WDFOBJECT) {
    record(Event::DeviceDestroy);
}
