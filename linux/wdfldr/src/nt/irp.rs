//! IRPs: what wdm.h has as macros.
//!
//! An IRP belongs to the driver that it was sent to until that completes it or passes it on; every function here is
//! for an IRP that is ours.

use core::ffi::c_void;

use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, NTSTATUS, PDEVICE_OBJECT, PIRP,
};

use super::sync::Event;
use super::{ffi, status};

/// `STATUS_MORE_PROCESSING_REQUIRED`.
const MORE_PROCESSING_REQUIRED: NTSTATUS = 0xC000_0016_u32.cast_signed();
/// `SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL`.
const INVOKE_ALWAYS: u8 = 0xe0;

/// `IoGetCurrentIrpStackLocation`.
pub(crate) fn current(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: the IRP is ours.
    unsafe { (*irp).Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation }
}

/// The current location's major and minor function.
pub(crate) fn function(irp: PIRP) -> (u8, u8) {
    let stack = current(irp);
    // SAFETY: the current stack location of an IRP that is ours.
    unsafe { ((*stack).MajorFunction, (*stack).MinorFunction) }
}

/// `IoStatus.Status`.
pub(crate) fn status(irp: PIRP) -> NTSTATUS {
    // SAFETY: the IRP is ours.
    unsafe { (*irp).IoStatus.__bindgen_anon_1.Status }
}

/// Sets `IoStatus.Status` of an IRP that is passed on.
pub(crate) fn set_status(irp: PIRP, status: NTSTATUS) {
    // SAFETY: the IRP is ours.
    unsafe { (*irp).IoStatus.__bindgen_anon_1.Status = status };
}

/// Completes it.
pub(crate) fn complete(irp: PIRP, status: NTSTATUS, information: u64) -> NTSTATUS {
    // SAFETY: the IRP is ours until it is completed.
    unsafe {
        (*irp).IoStatus.__bindgen_anon_1.Status = status;
        (*irp).IoStatus.Information = information;
    }
    // SAFETY: as above; nobody touches it afterwards.
    unsafe { ffi::IofCompleteRequest(irp, 0) };
    status
}

/// Passes it on as it is (`IoSkipCurrentIrpStackLocation`, `IoCallDriver`), or completes it if there is nobody below.
pub(crate) fn pass(lower: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if lower.is_null() {
        return complete(irp, status(irp), 0);
    }
    // SAFETY: the IRP is ours; its stack has the lower device's location below the current one.
    unsafe {
        (*irp).CurrentLocation += 1;
        let place = &raw mut (*irp).Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation;
        *place = (*place).add(1);
    }
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
    // SAFETY: the lower device's location is below ours; both belong to the IRP.
    unsafe {
        next.write(stack.read());
        (*next).Control = INVOKE_ALWAYS;
        (*next).CompletionRoutine = Some(signal);
        (*next).Context = core::ptr::from_ref(&done).cast_mut().cast();
    }
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
