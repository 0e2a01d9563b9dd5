//! An IRP, as far as the runtime touches one. All raw access to IRPs and stack locations is in this file.
//!
//! The runtime owns an IRP from its dispatch routine until `IoCompleteRequest`; only `Cancel` and `CancelRoutine` are
//! shared with NT in that time, and those are accessed atomically.

use core::ffi::c_void;
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use wdk_sys::{
    DEVICE_OBJECT, DRIVER_CANCEL, FILE_OBJECT, IO_STACK_LOCATION, IRP, KIRQL, KPROCESSOR_MODE, MDL, NTSTATUS,
    PDEVICE_OBJECT, PIRP,
};

use crate::nt::ffi;

/// `IRP_MJ_CREATE`.
pub(crate) const CREATE: u8 = 0x00;
/// `IRP_MJ_CLOSE`.
pub(crate) const CLOSE: u8 = 0x02;
/// `IRP_MJ_READ`.
pub(crate) const READ: u8 = 0x03;
/// `IRP_MJ_WRITE`.
pub(crate) const WRITE: u8 = 0x04;
/// `IRP_MJ_DEVICE_CONTROL`.
pub(crate) const DEVICE_CONTROL: u8 = 0x0e;
/// `IRP_MJ_INTERNAL_DEVICE_CONTROL`.
pub(crate) const INTERNAL_DEVICE_CONTROL: u8 = 0x0f;
/// `IRP_MJ_CLEANUP`.
pub(crate) const CLEANUP: u8 = 0x12;

/// `SL_PENDING_RETURNED`.
const PENDING_RETURNED: u8 = 0x01;
/// `DO_BUFFERED_IO`.
const DO_BUFFERED_IO: u32 = 0x04;
/// `DO_DIRECT_IO`.
const DO_DIRECT_IO: u32 = 0x10;
/// `MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL`.
const MDL_HAS_SYSTEM_ADDRESS: i16 = 0x0001 | 0x0004;

/// How the buffers of a device control request travel: the low two bits of its code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Buffered,
    InDirect,
    OutDirect,
    Neither,
}

/// How the buffers of reads and writes travel, by the device object's flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transfer {
    Buffered,
    Direct,
    Neither,
}

/// The parameters of a device control request.
#[derive(Clone, Copy)]
pub(crate) struct Ioctl {
    pub(crate) code: u32,
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) type3_input: *mut c_void,
}

impl Ioctl {
    pub(crate) const fn method(&self) -> Method {
        match self.code & 3 {
            0 => Method::Buffered,
            1 => Method::InDirect,
            2 => Method::OutDirect,
            _ => Method::Neither,
        }
    }
}

/// The parameters of a read or write.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) length: usize,
    pub(crate) key: u32,
    pub(crate) offset: i64,
}

/// `PIO_COMPLETION_ROUTINE`, not null.
pub(crate) type CompletionRoutine =
    unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS;

/// Which word of `DriverContext` is for what: the request, for the cancel routine.
pub(crate) const REQUEST: usize = 0;
/// The completion routine that was there before ours.
const ROUTINE: usize = 1;
/// Its context.
const CONTEXT: usize = 2;
/// See [`Irp::diverted_size`].
const SIZE: usize = 3;

/// An IRP that is ours to complete.
#[derive(Clone, Copy)]
pub(crate) struct Irp(PIRP);

// SAFETY: an IRP may be handled by any thread; who may do what is the runtime's protocol.
unsafe impl Send for Irp {}
// SAFETY: as above.
unsafe impl Sync for Irp {}

impl Irp {
    /// # Safety
    /// The IRP was handed to one of our dispatch routines, or to a cancel routine of ours, and is not completed while
    /// this value is used.
    pub(crate) const unsafe fn new(irp: PIRP) -> Self {
        Self(irp)
    }

    pub(crate) const fn as_ptr(self) -> PIRP {
        self.0
    }

    fn read<T: Copy>(self, field: impl FnOnce(*mut IRP) -> *const T) -> T {
        let place = field(self.0);
        // SAFETY: a field of a live IRP, by the contract of `new`.
        unsafe { place.read() }
    }

    fn stack_location(self) -> *mut IO_STACK_LOCATION {
        self.read(|irp| {
            // SAFETY: computes a field's address within a live IRP.
            unsafe {
                &raw const (*irp)
                    .Tail
                    .Overlay
                    .__bindgen_anon_2
                    .__bindgen_anon_1
                    .CurrentStackLocation
            }
        })
    }

    /// A copy of our stack location.
    fn stack(self) -> IO_STACK_LOCATION {
        // SAFETY: a live IRP's current stack location can be read.
        unsafe { self.stack_location().read() }
    }

    pub(crate) fn major(self) -> u8 {
        self.stack().MajorFunction
    }

    pub(crate) fn minor(self) -> u8 {
        self.stack().MinorFunction
    }

    /// The open that it came through; null for one that a kernel component made without.
    pub(crate) fn file_object(self) -> *mut FILE_OBJECT {
        self.stack().FileObject
    }

    pub(crate) fn requestor_mode(self) -> KPROCESSOR_MODE {
        // SAFETY: computes a field's address.
        self.read(|irp| unsafe { &raw const (*irp).RequestorMode })
    }

    /// The parameters of IRP_MJ_(INTERNAL_)DEVICE_CONTROL.
    pub(crate) fn ioctl(self) -> Ioctl {
        // SAFETY: the member of the union that belongs to these majors; any bits are valid for it.
        let parameters = unsafe { self.stack().Parameters.DeviceIoControl };
        Ioctl {
            code: parameters.IoControlCode,
            input: parameters.InputBufferLength as usize,
            output: parameters.OutputBufferLength as usize,
            type3_input: parameters.Type3InputBuffer,
        }
    }

    /// The parameters of IRP_MJ_READ or IRP_MJ_WRITE, which have one layout.
    pub(crate) fn span(self) -> Span {
        // SAFETY: the member of the union that belongs to these majors; any bits are valid for it.
        let parameters = unsafe { self.stack().Parameters.Read };
        // SAFETY: any bits are valid for the whole number.
        let offset = unsafe { parameters.ByteOffset.QuadPart };
        Span {
            length: parameters.Length as usize,
            key: parameters.Key,
            offset,
        }
    }

    /// The parameters of IRP_MJ_CREATE.
    pub(crate) fn create(self) -> wdk_sys::_IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_1 {
        // SAFETY: the member of the union that belongs to this major; any bits are valid for it.
        unsafe { self.stack().Parameters.Create }
    }

    /// The four arguments of any other major.
    pub(crate) fn others(self) -> [*mut c_void; 4] {
        // SAFETY: four pointers, for which any bits are valid.
        let others = unsafe { self.stack().Parameters.Others };
        [
            others.Argument1,
            others.Argument2,
            others.Argument3,
            others.Argument4,
        ]
    }

    pub(crate) fn system_buffer(self) -> *mut c_void {
        // SAFETY: computes a field's address; every member of the union is a word.
        self.read(|irp| unsafe { &raw const (*irp).AssociatedIrp.SystemBuffer })
    }

    pub(crate) fn user_buffer(self) -> *mut c_void {
        // SAFETY: computes a field's address.
        self.read(|irp| unsafe { &raw const (*irp).UserBuffer })
    }

    pub(crate) fn mdl(self) -> *mut MDL {
        // SAFETY: computes a field's address.
        self.read(|irp| unsafe { &raw const (*irp).MdlAddress })
    }

    pub(crate) fn transfer(self) -> Transfer {
        let device: PDEVICE_OBJECT = self.stack().DeviceObject;
        if device.is_null() {
            return Transfer::Neither;
        }
        // SAFETY: the device object of our stack location is alive while we have the IRP.
        let flags = unsafe { (*device).Flags };
        if flags & DO_BUFFERED_IO != 0 {
            Transfer::Buffered
        } else if flags & DO_DIRECT_IO != 0 {
            Transfer::Direct
        } else {
            Transfer::Neither
        }
    }

    pub(crate) fn information(self) -> u64 {
        // SAFETY: computes a field's address.
        self.read(|irp| unsafe { &raw const (*irp).IoStatus.Information })
    }

    pub(crate) fn set_information(self, information: u64) {
        // SAFETY: the IRP is ours.
        unsafe { (*self.0).IoStatus.Information = information };
    }

    pub(crate) fn set_status(self, status: NTSTATUS) {
        // SAFETY: computes a field's address.
        let place = unsafe { &raw mut (*self.0).IoStatus.__bindgen_anon_1.Status };
        // SAFETY: the IRP is ours.
        unsafe { place.write(status) };
    }

    /// `IoMarkIrpPending`: the dispatch routine will return STATUS_PENDING.
    pub(crate) fn mark_pending(self) {
        let stack = self.stack_location();
        // SAFETY: our stack location of an IRP that is ours.
        unsafe { (*stack).Control |= PENDING_RETURNED };
    }

    /// `IoSetNextIrpStackLocation`: after a preprocessing driver skipped or copied its location.
    pub(crate) fn step_into_next(self, device: PDEVICE_OBJECT) {
        let stack = self.stack_location().wrapping_sub(1);
        // SAFETY: the IRP is ours.
        unsafe { (*self.0).CurrentLocation -= 1 };
        // SAFETY: computes a field's address.
        let place = unsafe {
            &raw mut (*self.0)
                .Tail
                .Overlay
                .__bindgen_anon_2
                .__bindgen_anon_1
                .CurrentStackLocation
        };
        // SAFETY: the IRP is ours.
        unsafe { place.write(stack) };
        // SAFETY: the driver moved one location up before, so this one exists.
        unsafe { (*stack).DeviceObject = device };
    }

    /// Completes it. Nothing of it may be touched afterwards.
    pub(crate) fn complete(self, boost: i8) {
        // SAFETY: the IRP is ours, with status and information set; ownership ends here.
        unsafe { ffi::IofCompleteRequest(self.0, boost) };
    }

    /// Whether somebody asked for its cancellation.
    pub(crate) fn is_cancelled(self) -> bool {
        // SAFETY: computes a field's address.
        let place = unsafe { &raw mut (*self.0).Cancel };
        // SAFETY: a byte of the live IRP that NT writes atomically.
        let cancel = unsafe { AtomicU8::from_ptr(place) };
        cancel.load(Ordering::SeqCst) != 0
    }

    /// `IoSetCancelRoutine`; tells whether there was one before.
    fn swap_cancel_routine(self, routine: DRIVER_CANCEL) -> bool {
        // SAFETY: an optional function pointer is a nullable word.
        let routine: *mut c_void = unsafe { mem::transmute::<DRIVER_CANCEL, *mut c_void>(routine) };
        // SAFETY: computes a field's address.
        let place = unsafe { &raw mut (*self.0).CancelRoutine };
        // SAFETY: a word of the live IRP that NT exchanges atomically.
        let current = unsafe { AtomicPtr::from_ptr(place.cast::<*mut c_void>()) };
        !current.swap(routine, Ordering::SeqCst).is_null()
    }

    /// Makes the IRP cancelable. `true`: it stays so, or the routine is about to be called. `false`: it was cancelled
    /// before, and the routine will not be called.
    ///
    /// The driver context has to be set before.
    pub(crate) fn arm(self, routine: DRIVER_CANCEL) -> bool {
        self.swap_cancel_routine(routine);
        !(self.is_cancelled() && self.disarm())
    }

    /// Makes it not cancelable any more. `false`: too late, the routine is being called.
    pub(crate) fn disarm(self) -> bool {
        self.swap_cancel_routine(None)
    }

    /// Puts a completion routine before that of whoever made the IRP, provided that ours is the location below its
    /// maker's and nobody waits for the IRP itself. `size` is for [`Irp::diverted_size`].
    pub(crate) fn divert(self, routine: CompletionRoutine, size: usize) {
        // SAFETY: computes a field's address.
        let location = self.read(|irp| unsafe { &raw const (*irp).CurrentLocation });
        // SAFETY: computes a field's address.
        let count = self.read(|irp| unsafe { &raw const (*irp).StackCount });
        // SAFETY: computes a field's address.
        let event = self.read(|irp| unsafe { &raw const (*irp).UserEvent });
        let stack = self.stack();
        let Some(original) = stack.CompletionRoutine else {
            return;
        };
        if location != count || !event.is_null() {
            return;
        }
        self.set_driver_context(ROUTINE, original as *mut c_void);
        self.set_driver_context(CONTEXT, stack.Context);
        self.set_driver_context(SIZE, ptr::without_provenance_mut(size));
        let place = self.stack_location();
        // SAFETY: our stack location of an IRP that is ours.
        unsafe { (*place).CompletionRoutine = Some(routine) };
    }

    /// Calls the completion routine that was there before [`Irp::divert`].
    pub(crate) fn call_diverted(self, device: *mut DEVICE_OBJECT) -> NTSTATUS {
        let original = self.driver_context(ROUTINE);
        // SAFETY: `divert` stored a function of this type.
        let original = unsafe { mem::transmute::<*mut c_void, CompletionRoutine>(original) };
        // SAFETY: as `IoCompleteRequest` would call it, with the context that came with it.
        unsafe { original(device, self.0, self.driver_context(CONTEXT)) }
    }

    /// What was given to [`Irp::divert`].
    pub(crate) fn diverted_size(self) -> usize {
        self.driver_context(SIZE).addr()
    }

    /// One of the words that belong to the driver which owns the IRP: `Tail.Overlay.DriverContext`.
    fn driver_word(self, index: usize) -> *mut *mut c_void {
        assert!(index < 4, "DriverContext has four words");
        // SAFETY: computes a field's address.
        let words = unsafe {
            &raw mut (*self.0)
                .Tail
                .Overlay
                .__bindgen_anon_1
                .__bindgen_anon_1
                .DriverContext
        };
        words.cast::<*mut c_void>().wrapping_add(index)
    }

    pub(crate) fn set_driver_context(self, index: usize, context: *mut c_void) {
        // SAFETY: a word of the IRP that belongs to the driver which owns it, us.
        unsafe { self.driver_word(index).write(context) };
    }

    pub(crate) fn driver_context(self, index: usize) -> *mut c_void {
        // SAFETY: as above.
        unsafe { self.driver_word(index).read() }
    }

    /// What a cancel routine does first: gives the cancel spin lock back, which NT took for it.
    pub(crate) fn release_cancel_spin_lock(self) {
        // SAFETY: computes a field's address.
        let irql: KIRQL = self.read(|irp| unsafe { &raw const (*irp).CancelIrql });
        // SAFETY: NT acquired it before it called our cancel routine and left the former IRQL in the IRP.
        unsafe { ffi::IoReleaseCancelSpinLock(irql) };
    }
}

/// The address at which an MDL's bytes can be reached; null if they cannot.
///
/// Under Wine kernel code shares the address space that the buffer is in, and `MmMapLockedPagesSpecifyCache` maps
/// nothing: what is not mapped elsewhere is used in place.
pub(crate) fn mdl_address(mdl: *const MDL) -> *mut c_void {
    let Some(mdl) = crate::call::read(mdl) else {
        return ptr::null_mut();
    };
    if mdl.MdlFlags & MDL_HAS_SYSTEM_ADDRESS != 0 && !mdl.MappedSystemVa.is_null() {
        return mdl.MappedSystemVa;
    }
    mdl.StartVa
        .cast::<u8>()
        .wrapping_add(mdl.ByteOffset as usize)
        .cast()
}
