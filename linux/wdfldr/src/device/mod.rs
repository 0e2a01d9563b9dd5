//! WDFDEVICE: function device objects of the PnP stack, and control devices.

pub(crate) mod control;
pub(crate) mod create;
pub(crate) mod init;
pub(crate) mod interface;
pub(crate) mod pnp;
pub(crate) mod query;
pub(crate) mod resources;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use wdk_sys::{DEVICE_OBJECT, PDEVICE_OBJECT, WDF_PNPPOWER_EVENT_CALLBACKS};

use crate::io::DeviceIo;
use crate::nt::string::Utf16;
use crate::nt::sync::{Lock, Rundown};
use crate::nt::teb;
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
    /// The thread that dispatches an IRP of this device, zero for none: Wine has one at a time.
    dispatcher: AtomicUsize,
    /// What `io/` keeps of the device.
    pub(crate) io: DeviceIo,
    /// `None` for a control device.
    pub(crate) pnp: Option<Pnp>,
    pub(crate) callbacks: WDF_PNPPOWER_EVENT_CALLBACKS,
    /// May be opened: set by `WdfControlFinishInitializing`, and for PnP devices from the start.
    ready: AtomicBool,
    name: Option<Utf16>,
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

    fn before_children(this: &Ref<Self>) {
        create::quiesce(this);
    }

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

    /// Whether the time to make the default queue is over: the device was started, or finished initializing.
    pub(crate) fn has_begun(&self) -> bool {
        self.pnp.as_ref().map_or_else(|| self.is_ready(), Pnp::has_begun)
    }

    /// Whether it may be opened.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Notes that this thread dispatches an IRP of the device.
    pub(crate) fn dispatching(&self) -> Dispatching<'_> {
        Dispatching {
            device: self,
            before: self.dispatcher.swap(teb::current(), Ordering::Relaxed),
        }
    }

    /// Whether this thread is inside a dispatch routine of the device.
    pub(crate) fn is_dispatching_here(&self) -> bool {
        self.dispatcher.load(Ordering::Relaxed) == teb::current()
    }
}

/// See [`Device::dispatching`].
#[must_use]
pub(crate) struct Dispatching<'a> {
    device: &'a Device,
    before: usize,
}

impl Drop for Dispatching<'_> {
    fn drop(&mut self) {
        self.device.dispatcher.store(self.before, Ordering::Relaxed);
    }
}

/// The WDFDEVICE of one of our device objects, if it still exists.
pub(crate) fn from_wdm(device: PDEVICE_OBJECT) -> Option<Ref<Device>> {
    // SAFETY: NT hands our dispatch routines device objects of our own.
    let extension = unsafe { (*device).DeviceExtension }.cast::<Extension>();
    let handle = crate::call::read(extension.cast_const().cast::<usize>())?;
    AnyRef::from_handle(handle).ok()?.downcast()
}
