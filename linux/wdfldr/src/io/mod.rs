//! Queues, requests, file objects, and the dispatch of the IRPs that become requests.

use wdk_sys::{NTSTATUS, PIRP};

use crate::device::Device;
use crate::device::init::IoConfig;
use crate::nt::status;
use crate::object::Ref;
use crate::table::entries;

/// What a device has for its I/O.
pub(crate) struct DeviceIo {
    pub(crate) config: IoConfig,
}

impl DeviceIo {
    pub(crate) fn new(config: IoConfig) -> Self {
        Self { config }
    }
}

/// Takes an IRP other than PnP and power; the device's remove lock is held. The answer is the dispatch routine's.
pub(crate) fn dispatch(_device: &Ref<Device>, irp: PIRP) -> NTSTATUS {
    crate::device::complete(irp, status::INVALID_DEVICE_REQUEST, 0)
}

/// The device is in D0: power-managed queues deliver.
pub(crate) fn power_up(_device: &Ref<Device>) {}

/// The device is about to leave D0: power-managed queues stop, EvtIoStop for what the driver owns.
pub(crate) fn power_down(_device: &Ref<Device>) {}

/// The device goes: purges every queue, waits until the driver has completed what it owns, and closes what Wine will
/// not close. PASSIVE_LEVEL, not on the dispatch thread for a PnP device.
pub(crate) fn remove(_device: &Ref<Device>) {}

entries! {}
