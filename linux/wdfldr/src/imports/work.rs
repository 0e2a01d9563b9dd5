//! Work items of the executive and of the I/O manager, as one family, because the opaque IO_WORKITEM is ours then.

use alloc::boxed::Box;
use core::ffi::c_void;
use core::ptr;

use wdk_sys::{PDEVICE_OBJECT, PVOID, ULONG};

use crate::call::callback;
use crate::irql;
use crate::nt::{ffi, success, workers};
use crate::stop::{Code, anonymous, halt};

/// `PIO_WORKITEM_ROUTINE`.
type Routine = unsafe extern "C" fn(PDEVICE_OBJECT, PVOID);
/// `PIO_WORKITEM_ROUTINE_EX`.
type RoutineEx = unsafe extern "C" fn(PVOID, PVOID, *mut IoWorkItem);

#[derive(Clone, Copy)]
enum Call {
    None,
    Plain(Routine, PVOID),
    Extended(RoutineEx, PVOID),
}

/// An `IO_WORKITEM`.
pub(super) struct IoWorkItem {
    /// A device or driver object.
    object: PVOID,
    call: Call,
}

pub(super) extern "C" fn IoSizeofWorkItem() -> ULONG {
    u32::try_from(size_of::<IoWorkItem>()).unwrap_or(u32::MAX)
}

pub(super) extern "C" fn IoInitializeWorkItem(object: PVOID, item: *mut IoWorkItem) {
    crate::call::write(
        item,
        IoWorkItem {
            object,
            call: Call::None,
        },
    );
}

pub(super) extern "C" fn IoUninitializeWorkItem(_item: *mut IoWorkItem) {}

pub(super) extern "C" fn IoAllocateWorkItem(device: PDEVICE_OBJECT) -> *mut IoWorkItem {
    irql::require_at_most("IoAllocateWorkItem", irql::DISPATCH);
    if crate::globals::Globals::only().is_some_and(|globals| !globals.pool().may_allocate()) {
        return ptr::null_mut();
    }
    Box::into_raw(Box::new(IoWorkItem {
        object: device.cast(),
        call: Call::None,
    }))
}

pub(super) extern "C" fn IoFreeWorkItem(item: *mut IoWorkItem) {
    if !item.is_null() {
        // SAFETY: made by `IoAllocateWorkItem`, and freed once by the driver's contract.
        drop(unsafe { Box::from_raw(item) });
    }
}

pub(super) extern "C" fn IoQueueWorkItem(
    item: *mut IoWorkItem,
    routine: Routine,
    _queue: i32,
    context: PVOID,
) {
    queue("IoQueueWorkItem", item, Call::Plain(routine, context));
}

pub(super) extern "C" fn IoQueueWorkItemEx(
    item: *mut IoWorkItem,
    routine: RoutineEx,
    _queue: i32,
    context: PVOID,
) {
    queue("IoQueueWorkItemEx", item, Call::Extended(routine, context));
}

fn post(function: &str, routine: ffi::TpSimpleRoutine, context: *mut c_void) {
    irql::require_at_most(function, irql::DISPATCH);
    workers::begin();
    // SAFETY: the routine knows what the context is.
    let posted = unsafe { ffi::TpSimpleTryPost(routine, context, ptr::null_mut()) };
    if !success(posted) {
        halt(
            anonymous(),
            Code::Internal,
            format_args!("no worker thread for {function}"),
        );
    }
}

fn queue(function: &str, item: *mut IoWorkItem, call: Call) {
    // SAFETY: an initialised work item that is not queued, by the driver's contract.
    unsafe { (*item).call = call };
    post(function, run_io, item.cast());
}

unsafe extern "C" fn run_io(_instance: *mut c_void, context: *mut c_void) {
    let item = context.cast::<IoWorkItem>();
    // SAFETY: the work item is the driver's until its routine frees it: both fields are read before.
    let IoWorkItem { object, call } = unsafe { item.read() };
    match call {
        Call::None => halt(
            anonymous(),
            Code::Contract,
            format_args!("a work item without a routine"),
        ),
        Call::Plain(routine, context) => callback!("a work item", routine(object.cast(), context)),
        Call::Extended(routine, context) => callback!("a work item", routine(object, context, item)),
    }
    workers::end();
}

/// `WORK_QUEUE_ITEM`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct WorkQueueItem {
    list: [usize; 2],
    routine: Option<unsafe extern "C" fn(PVOID)>,
    parameter: PVOID,
}

pub(super) extern "C" fn ExQueueWorkItem(item: *mut WorkQueueItem, _queue: i32) {
    post("ExQueueWorkItem", run_ex, item.cast());
}

unsafe extern "C" fn run_ex(_instance: *mut c_void, context: *mut c_void) {
    if let Some(WorkQueueItem {
        routine: Some(routine),
        parameter,
        ..
    }) = crate::call::read(context.cast_const().cast::<WorkQueueItem>())
    {
        callback!("a work item", routine(parameter));
    }
    workers::end();
}
