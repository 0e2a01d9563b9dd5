//! Life cycle and errors, as `TraceLogging` events: all that the driver says of itself.
//!
//! Any ETW tool records them, and they describe themselves; `docs/tracing.md` says how. An event that nobody listens to
//! costs a comparison. None is on the way of an item that is accepted, runs and is waited for.

use tracelogging::{define_provider, write_event};
use wdk_sys::{NT_SUCCESS, NTSTATUS};

define_provider!(PROVIDER, "QueuedWorkItem.Driver");

/// Makes the provider known. Without it, as when it fails, events go nowhere.
///
/// # Safety
/// Once, and [`unregister`] is called before the image goes.
pub(crate) unsafe fn register() {
    // SAFETY: a static, which does not move; unregistered in time, by the caller's promise.
    let _unheard: u32 = unsafe { PROVIDER.register() };
}

/// Ends what [`register`] began. No event is written after it.
pub(crate) fn unregister() {
    let _none_registered: u32 = PROVIDER.unregister();
}

/// `DriverEntry` is done.
pub(crate) fn driver_loaded(status: NTSTATUS) {
    let version = env!("CARGO_PKG_VERSION");
    if NT_SUCCESS(status) {
        write_event!(
            PROVIDER,
            "DriverLoaded",
            level(Informational),
            str8("Version", version)
        );
    } else {
        write_event!(
            PROVIDER,
            "DriverFailed",
            level(Error),
            str8("Version", version),
            win_ntstatus("Status", &status)
        );
    }
}

/// Unload: the last event.
pub(crate) fn driver_unloaded() {
    write_event!(PROVIDER, "DriverUnloaded", level(Informational));
}

/// `EvtDriverDeviceAdd` is done.
pub(crate) fn device_added(status: NTSTATUS) {
    if NT_SUCCESS(status) {
        write_event!(PROVIDER, "DeviceAdded", level(Informational));
    } else {
        write_event!(
            PROVIDER,
            "DeviceFailed",
            level(Error),
            win_ntstatus("Status", &status)
        );
    }
}

/// The device is in D0.
pub(crate) fn d0_entry(previous: &str) {
    write_event!(PROVIDER, "D0Entry", level(Informational), str8("From", previous));
}

/// The device leaves D0.
pub(crate) fn d0_exit(target: &str) {
    write_event!(PROVIDER, "D0Exit", level(Informational), str8("To", target));
}

/// The device has gone while handles were open.
pub(crate) fn surprise_removal() {
    write_event!(PROVIDER, "SurpriseRemoval", level(Warning));
}

/// Everything that went on in the device has ended.
pub(crate) fn device_removed() {
    write_event!(PROVIDER, "DeviceRemoved", level(Informational));
}

/// The system could not give what a request needs.
pub(crate) fn no_memory(what: &str, status: NTSTATUS) {
    write_event!(
        PROVIDER,
        "NoResources",
        level(Warning),
        str8("What", what),
        win_ntstatus("Status", &status)
    );
}

/// A request was refused, with this status.
pub(crate) fn request_refused(code: u32, status: NTSTATUS) {
    write_event!(
        PROVIDER,
        "RequestRefused",
        level(Verbose),
        u32_hex("Code", &code),
        win_ntstatus("Status", &status)
    );
}
