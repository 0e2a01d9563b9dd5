//! IRPs: what wdm.h has as macros.
//!
//! An IRP belongs to the driver that it was sent to until that completes it or passes it on; every function here is
//! for an IRP that is ours.

use core::ffi::c_void;

use wdk_sys::{
    _IRP__bindgen_ty_3__bindgen_ty_1, DEVICE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, NTSTATUS,
    PDEVICE_OBJECT, PIRP,
};

use super::sync::Event;
use super::{ffi, status};

/// `STATUS_MORE_PROCESSING_REQUIRED`.
const MORE_PROCESSING_REQUIRED: NTSTATUS = 0xC000_0016_u32.cast_signed();
/// `SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL`.
const INVOKE_ALWAYS: u8 = 0xe0;

/// The IRP's `Tail.Overlay`.
fn overlay<'a>(irp: PIRP) -> &'a mut _IRP__bindgen_ty_3__bindgen_ty_1 {
    // SAFETY: the IRP is ours.
    let tail = unsafe { &mut (*irp).Tail };
    // SAFETY: this is the union's member while the IRP is with a driver.
    unsafe { &mut tail.Overlay }
}

/// The IRP's `IoStatus`.
fn io_status<'a>(irp: PIRP) -> &'a mut IO_STATUS_BLOCK {
    // SAFETY: the IRP is ours.
    unsafe { &mut (*irp).IoStatus }
}

/// `IoGetCurrentIrpStackLocation`.
pub(crate) fn current(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: this is the union's member while the IRP is with a driver.
    unsafe {
        overlay(irp)
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    }
}

/// The current location's major and minor function.
pub(crate) fn function(irp: PIRP) -> (u8, u8) {
    // SAFETY: the current stack location of an IRP that is ours.
    let stack = unsafe { &*current(irp) };
    (stack.MajorFunction, stack.MinorFunction)
}

/// `IoStatus.Status`.
pub(crate) fn status(irp: PIRP) -> NTSTATUS {
    // SAFETY: a status is what drivers read there.
    unsafe { io_status(irp).__bindgen_anon_1.Status }
}

/// Sets `IoStatus.Status` of an IRP that is passed on.
pub(crate) fn set_status(irp: PIRP, status: NTSTATUS) {
    io_status(irp).__bindgen_anon_1.Status = status;
}

/// Completes it.
pub(crate) fn complete(irp: PIRP, status: NTSTATUS, information: u64) -> NTSTATUS {
    set_status(irp, status);
    io_status(irp).Information = information;
    // SAFETY: the IRP is ours until here; nobody touches it afterwards.
    unsafe { ffi::IofCompleteRequest(irp, 0) };
    status
}

/// Passes it on as it is (`IoSkipCurrentIrpStackLocation`, `IoCallDriver`), or completes it if there is nobody below.
pub(crate) fn pass(lower: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if lower.is_null() {
        return complete(irp, status(irp), 0);
    }
    let above = current(irp).wrapping_add(1);
    overlay(irp)
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation = above;
    // SAFETY: the IRP is ours; the lower device uses our stack location in our stead.
    unsafe { (*irp).CurrentLocation += 1 };
    // SAFETY: both are valid; the IRP is the lower device's from here on.
    unsafe { ffi::IofCallDriver(lower, irp) }
}

/// Sends it down and waits until the lower device has completed it; it is ours again then. PASSIVE_LEVEL.
pub(crate) fn pass_and_wait(lower: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if lower.is_null() {
        return status::SUCCESS;
    }
    let done = Event::new(false);
    let stack = current(irp);
    let next = stack.wrapping_sub(1);
    // SAFETY: our stack location of an IRP that is ours.
    let mut copy = unsafe { stack.read() };
    copy.Control = INVOKE_ALWAYS;
    copy.CompletionRoutine = Some(signal);
    copy.Context = core::ptr::from_ref(&done).cast_mut().cast();
    // SAFETY: the lower device's location is below ours, in the same IRP.
    unsafe { next.write(copy) };
    // SAFETY: both are valid; the completion routine gives the IRP back.
    unsafe { ffi::IofCallDriver(lower, irp) };
    done.wait();
    status(irp)
}

unsafe extern "C" fn signal(_device: *mut DEVICE_OBJECT, _irp: PIRP, context: *mut c_void) -> NTSTATUS {
    // SAFETY: the context is the event on the stack of `pass_and_wait`, which waits for it.
    let event = unsafe { &*context.cast::<Event>() };
    event.set();
    MORE_PROCESSING_REQUIRED
}
