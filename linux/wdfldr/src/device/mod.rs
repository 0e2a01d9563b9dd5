//! WDFDEVICE: function device objects of the PnP stack, and control devices.

pub(crate) mod control;
pub(crate) mod create;
pub(crate) mod init;
pub(crate) mod interface;
pub(crate) mod pnp;
pub(crate) mod query;
pub(crate) mod resources;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use wdk_sys::{DEVICE_OBJECT, PDEVICE_OBJECT, WDF_PNPPOWER_EVENT_CALLBACKS};

use crate::io::DeviceIo;
use crate::nt::ffi;
use crate::nt::string::Utf16;
use crate::nt::sync::{Lock, Rundown};
use crate::object::{AnyRef, Kind, Ref, Type};
use interface::Interface;
use pnp::Pnp;

/// The body of a WDFDEVICE.
pub(crate) struct Device {
    /// Our device object; null once it is deleted.
    wdm: AtomicPtr<DEVICE_OBJECT>,
    /// The device below in the stack; null for a control device.
    lower: PDEVICE_OBJECT,
    /// The bottom of the stack; null for a control device.
    pdo: PDEVICE_OBJECT,
    /// Held while an IRP is dispatched; removal waits for it.
    pub(crate) remove_lock: Rundown,
    /// What `io/` keeps of the device.
    pub(crate) io: DeviceIo,
    /// `None` for a control device.
    pub(crate) pnp: Option<Pnp>,
    pub(crate) callbacks: WDF_PNPPOWER_EVENT_CALLBACKS,
    /// Set by `WdfControlFinishInitializing` and for PnP devices by a successful AddDevice.
    pub(crate) ready: AtomicBool,
    device_name: Lock<Option<Utf16>>,
    symbolic_links: Lock<Vec<Utf16>>,
    interfaces: Lock<Vec<Interface>>,
}

// SAFETY: the device objects are NT's, made for sharing; the rest is.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Kind for Device {
    const TYPE: Type = Type::Device;
    const PASSIVE_DISPOSE: bool = true;

    fn dispose(this: &Ref<Self>) {
        create::take_down(this);
    }
}

/// What we keep in our device objects' extension: the handle, not a pointer, so that an IRP which arrives when the
/// WDFDEVICE is gone is recognised.
#[repr(C)]
pub(crate) struct Extension {
    handle: usize,
}

impl Device {
    /// Our device object; null once it is deleted.
    pub(crate) fn wdm(&self) -> PDEVICE_OBJECT {
        self.wdm.load(Ordering::Acquire)
    }

    /// The device below in the stack; null for a control device.
    pub(crate) fn lower(&self) -> PDEVICE_OBJECT {
        self.lower
    }

    /// The bottom of the stack; null for a control device.
    pub(crate) fn pdo(&self) -> PDEVICE_OBJECT {
        self.pdo
    }

    pub(crate) fn is_control(&self) -> bool {
        self.pnp.is_none()
    }
}

/// The WDFDEVICE of one of our device objects, if it still exists.
pub(crate) fn from_wdm(device: PDEVICE_OBJECT) -> Option<Ref<Device>> {
    // SAFETY: NT hands our dispatch routines device objects of our own.
    let extension = unsafe { (*device).DeviceExtension }.cast::<Extension>();
    let handle = crate::call::read(extension.cast_const().cast::<usize>())?;
    AnyRef::from_handle(handle).ok()?.downcast()
}

/// Completes an IRP that did not get to a device.
pub(crate) fn complete(irp: wdk_sys::PIRP, status: wdk_sys::NTSTATUS, information: u64) -> wdk_sys::NTSTATUS {
    // SAFETY: the IRP is ours until it is completed.
    unsafe {
        (*irp).IoStatus.__bindgen_anon_1.Status = status;
        (*irp).IoStatus.Information = information;
    }
    // SAFETY: as above; nobody touches it afterwards.
    unsafe { ffi::IofCompleteRequest(irp, 0) };
    status
}
