//! The device: a PnP function device without hardware, enumerated by the root.

use core::ptr;

use queued_work_item::Passive;
use queued_work_item_exerciser::Exerciser;
use queued_work_item_ioctl::INTERFACE_GUID;
use wdk_sys::{
    GUID, NT_SUCCESS, NTSTATUS, PWDFDEVICE_INIT, STATUS_SUCCESS, UNICODE_STRING, WDF_PNPPOWER_EVENT_CALLBACKS,
    WDF_POWER_DEVICE_STATE, WDFDEVICE, WDFDRIVER, WDFOBJECT, call_unsafe_wdf_function_binding,
};

use crate::blocker::Kernel;
use crate::context::{Cell, Context, ContextType, size_field};
use crate::queue;
use crate::request::RequestContext;

/// All access for SYSTEM and for administrators, none for anyone else. The INF says the same of the whole stack.
const SDDL: &str = "D:P(A;;GA;;;SY)(A;;GA;;;BA)";

/// What a device carries.
struct DeviceContext {
    exerciser: Cell<Exerciser<Kernel>>,
}

static DEVICE_CONTEXT: ContextType = ContextType::new::<DeviceContext>(c"DeviceContext", &DEVICE_CONTEXT);

// SAFETY: an all-zero cell is an empty one; the type is used for nothing else.
unsafe impl Context for DeviceContext {
    const TYPE: &'static ContextType = &DEVICE_CONTEXT;
}

/// The exerciser of a device, from its creation to its destruction.
///
/// # Safety
/// The device is one of this driver's, and alive for as long as the result is used.
pub(crate) unsafe fn exerciser<'a>(device: WDFDEVICE) -> Option<&'a Exerciser<Kernel>> {
    // SAFETY: created with this context, by the caller's promise.
    let context = unsafe { DeviceContext::of(device.cast()) };
    // SAFETY: it is taken out only when the device is destroyed.
    unsafe { context.exerciser.get() }
}

/// `EvtDriverDeviceAdd`
pub(crate) extern "C" fn evt_device_add(_driver: WDFDRIVER, init: PWDFDEVICE_INIT) -> NTSTATUS {
    // SAFETY: the framework gives an initialisation structure that is this call's.
    let status = match unsafe { add(init) } {
        Ok(()) => STATUS_SUCCESS,
        Err(status) => status,
    };
    wdk::println!("queued_work_item_driver: device added, {status:#010X}");
    status
}

/// Makes the device and all that belongs to it. What exists when a step fails is the framework's to delete.
///
/// # Safety
/// `init` is an initialisation structure that no device has been created with.
unsafe fn add(mut init: PWDFDEVICE_INIT) -> Result<(), NTSTATUS> {
    let mut pnp = WDF_PNPPOWER_EVENT_CALLBACKS {
        Size: size_field::<WDF_PNPPOWER_EVENT_CALLBACKS>(),
        EvtDeviceD0Entry: Some(evt_d0_entry),
        EvtDeviceD0Exit: Some(evt_d0_exit),
        EvtDeviceSurpriseRemoval: Some(evt_surprise_removal),
        EvtDeviceSelfManagedIoCleanup: Some(evt_self_managed_io_cleanup),
        ..WDF_PNPPOWER_EVENT_CALLBACKS::default()
    };
    // SAFETY: `init` by the caller's promise; the framework copies the callbacks.
    unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitSetPnpPowerEventCallbacks, init, &raw mut pnp) };

    let mut files = queue::file_object_config();
    // SAFETY: as above.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceInitSetFileObjectConfig,
            init,
            &raw mut files,
            wdk_sys::WDF_NO_OBJECT_ATTRIBUTES
        );
    }

    let mut requests = RequestContext::attributes();
    // SAFETY: as above.
    unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitSetRequestAttributes, init, &raw mut requests) };

    let sddl = utf16::<{ SDDL.len() }>(SDDL);
    let sddl = unicode_string(&sddl);
    // SAFETY: as above, and the framework copies the string.
    check(unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitAssignSDDLString, init, &raw const sddl) })?;

    let mut attributes = DeviceContext::attributes();
    attributes.EvtDestroyCallback = Some(evt_destroy);
    attributes.ExecutionLevel = wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    let mut device: WDFDEVICE = ptr::null_mut();
    // SAFETY: as above; on success the framework takes `init` and clears the pointer.
    check(unsafe {
        call_unsafe_wdf_function_binding!(WdfDeviceCreate, &raw mut init, &raw mut attributes, &raw mut device)
    })?;

    // SAFETY: the exerciser lies in the device's context, and goes with it.
    let kernel = unsafe { Kernel::new(device) };
    let exerciser = Exerciser::new(kernel).map_err(|error| error.status().0)?;
    // SAFETY: just created with this context.
    let context = unsafe { DeviceContext::of(device.cast()) };
    // A new context is empty, so that there is always room.
    drop(context.exerciser.put(exerciser));

    // SAFETY: just created.
    unsafe { queue::create(device) }?;

    let guid = GUID {
        Data1: INTERFACE_GUID.data1,
        Data2: INTERFACE_GUID.data2,
        Data3: INTERFACE_GUID.data3,
        Data4: INTERFACE_GUID.data4,
    };
    // SAFETY: just created; the framework copies the GUID, and enables the interface when the device has started.
    check(unsafe {
        call_unsafe_wdf_function_binding!(WdfDeviceCreateDeviceInterface, device, &raw const guid, ptr::null())
    })
}

const fn check(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if NT_SUCCESS(status) { Ok(()) } else { Err(status) }
}

/// `EvtDeviceD0Entry`. There is no hardware: what was queued in a power cycle runs as it would have.
extern "C" fn evt_d0_entry(_device: WDFDEVICE, previous: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    wdk::println!("queued_work_item_driver: D0 entry from D{}", previous - 1);
    STATUS_SUCCESS
}

/// `EvtDeviceD0Exit`
extern "C" fn evt_d0_exit(_device: WDFDEVICE, target: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    wdk::println!("queued_work_item_driver: D0 exit to D{}", target - 1);
    STATUS_SUCCESS
}

/// `EvtDeviceSurpriseRemoval`: the device is gone while handles are open. Their requests are answered here; what they
/// still send is refused.
extern "C" fn evt_surprise_removal(device: WDFDEVICE) {
    wdk::println!("queued_work_item_driver: surprise removal");
    // SAFETY: the framework gives a live device of this driver, at PASSIVE_LEVEL.
    unsafe { remove(device) };
}

/// `EvtDeviceSelfManagedIoCleanup`: the last call before the device's children go, and so the last moment at which
/// queues can be closed.
extern "C" fn evt_self_managed_io_cleanup(device: WDFDEVICE) {
    // SAFETY: the framework gives a live device of this driver, at PASSIVE_LEVEL.
    unsafe { remove(device) };
    wdk::println!("queued_work_item_driver: device removed");
}

/// Ends everything that goes on in the device.
///
/// # Safety
/// The device is alive, and the thread runs at `PASSIVE_LEVEL`.
unsafe fn remove(device: WDFDEVICE) {
    // SAFETY: a live device of this driver, by the caller's promise.
    if let Some(exerciser) = unsafe { exerciser(device) } {
        // SAFETY: by the caller's promise.
        let mut passive = unsafe { Passive::assume() };
        exerciser.remove(&mut passive);
    }
}

/// `EvtDestroyCallback` of the device: its last reference is gone.
extern "C" fn evt_destroy(device: WDFOBJECT) {
    // SAFETY: the context is there until this call returns.
    let context = unsafe { DeviceContext::of(device) };
    drop(context.exerciser.take());
}

/// ASCII as UTF-16.
const fn utf16<const N: usize>(text: &str) -> [u16; N] {
    let bytes = text.as_bytes();
    let mut units = [0; N];
    let mut at = 0;
    while at < N && at < bytes.len() {
        units[at] = bytes[at] as u16;
        at += 1;
    }
    units
}

/// A counted string over `units`, which it must not outlive.
#[expect(clippy::cast_possible_truncation, reason = "the driver's own short literals")]
const fn unicode_string(units: &[u16]) -> UNICODE_STRING {
    let bytes = size_of_val(units) as u16;
    UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: units.as_ptr().cast_mut() }
}
