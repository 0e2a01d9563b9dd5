//! WDFFILEOBJECT: one for each open of a device that asked for them.
//!
//! NT tells a driver of an open three times: create, cleanup (the last handle is closed), close (the last reference is
//! gone). Wine never sends the cleanup, so EvtFileCleanup runs before EvtFileClose when the close comes without one; and
//! a close that outlives its device object never arrives, so [`close_all`] makes up for it when the device goes. A
//! driver sees each open cleaned up and closed once, in this order, whatever the kernel.

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{
    _WDF_FILEOBJECT_CLASS, FILE_OBJECT, NTSTATUS, PFILE_OBJECT, PUNICODE_STRING, ULONG, WDFDEVICE,
    WDFFILEOBJECT,
};

use super::irp::Irp;
use super::queue;
use crate::call::{callback, wdf};
use crate::device::Device;
use crate::nt::{status, success};
use crate::object::{self, Create, Kind, Ref, Type, tree};
use crate::stop::stop;

/// The body of a WDFFILEOBJECT.
pub(crate) struct File {
    /// Alive from create to close, which is how long this object lives.
    wdm: PFILE_OBJECT,
    cleaned_up: AtomicBool,
    ended: AtomicBool,
}

// SAFETY: the FILE_OBJECT is NT's, made for sharing; we only read constant parts of it.
unsafe impl Send for File {}
// SAFETY: as above.
unsafe impl Sync for File {}

impl Kind for File {
    const TYPE: Type = Type::FileObject;

    fn dispose(this: &Ref<Self>) {
        if !this.ended.load(Ordering::Acquire) {
            stop!(
                this.header().globals(),
                Contract,
                "WDFFILEOBJECT {:#x} is deleted, but it is open: file objects end when they are closed",
                this.header().raw_handle()
            );
        }
    }
}

impl File {
    /// What requests of this open are found by.
    pub(crate) fn key(&self) -> usize {
        self.wdm.addr()
    }
}

/// The WDFFILEOBJECT of an open, if the device has such.
pub(super) fn find(device: &Ref<Device>, key: usize) -> Option<Ref<File>> {
    device.io.state.lock().files.get(&key).cloned()
}

/// Whether the device's opens get a WDFFILEOBJECT, and whether they may do without a FILE_OBJECT.
fn class(device: &Ref<Device>) -> (bool, bool) {
    use _WDF_FILEOBJECT_CLASS::{WdfFileObjectCanBeOptional, WdfFileObjectNotRequired};
    let class = device
        .io
        .config
        .file_object
        .as_ref()
        .map_or(WdfFileObjectNotRequired, |(c, _)| c.FileObjectClass);
    (
        class & !WdfFileObjectCanBeOptional != WdfFileObjectNotRequired,
        class & WdfFileObjectCanBeOptional != 0,
    )
}

/// Notes an open, and makes its WDFFILEOBJECT if the device wants that.
///
/// # Errors
/// STATUS_ACCESS_DENIED for the second open of an exclusive device, STATUS_INVALID_DEVICE_REQUEST for an open without a
/// FILE_OBJECT, STATUS_INSUFFICIENT_RESOURCES.
pub(super) fn opened(device: &Ref<Device>, irp: Irp) -> Result<Option<Ref<File>>, NTSTATUS> {
    {
        let mut state = device.io.state.lock();
        if device.io.config.exclusive && state.opens != 0 {
            return Err(status::ACCESS_DENIED);
        }
        state.opens += 1;
    }
    let made = make(device, irp.file_object());
    if made.is_err() {
        device.io.state.lock().opens -= 1;
    }
    made
}

fn make(device: &Ref<Device>, wdm: *mut FILE_OBJECT) -> Result<Option<Ref<File>>, NTSTATUS> {
    let (wanted, optional) = class(device);
    if !wanted || (wdm.is_null() && optional) {
        return Ok(None);
    }
    if wdm.is_null() {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    let mut attributes = device
        .io
        .config
        .file_object
        .as_ref()
        .map_or(object::attributes::Attributes::NONE, |(_, a)| *a);
    attributes.parent = 0;
    let create = Create {
        globals: device.header().globals(),
        attributes,
        parent: Some(device.any()),
    };
    let body = File {
        wdm,
        cleaned_up: AtomicBool::new(false),
        ended: AtomicBool::new(false),
    };
    let file = object::create(create, body)?;
    device.io.state.lock().files.insert(wdm.addr(), file.clone());
    Ok(Some(file))
}

/// A create request is through: a failed open leaves nothing behind, and is never closed.
pub(super) fn create_completed(device: &Ref<Device>, key: usize, status: NTSTATUS) {
    if !success(status) {
        forget(device, key);
    }
}

/// Takes an open off the books and deletes its WDFFILEOBJECT.
fn forget(device: &Ref<Device>, key: usize) {
    let file = {
        let mut state = device.io.state.lock();
        state.opens = state.opens.saturating_sub(1);
        state.files.remove(&key)
    };
    if let Some(file) = file {
        end(&file);
    }
}

fn end(file: &Ref<File>) {
    file.ended.store(true, Ordering::Release);
    object::delete(file.any().clone());
}

/// Whether this is the end of an open that failed, which NT does not announce and Wine does: every open that succeeded
/// has a WDFFILEOBJECT, where the device wants them and does not call them optional.
fn never_opened(device: &Ref<Device>, file: Option<&Ref<File>>) -> bool {
    file.is_none() && class(device) == (true, false)
}

/// The last handle is closed: EvtFileCleanup, and what is queued of this open is cancelled. What the driver has, it
/// completes itself, as on Windows.
pub(super) fn cleanup(device: &Ref<Device>, key: usize) {
    let file = find(device, key);
    if never_opened(device, file.as_ref()) {
        return;
    }
    if file
        .as_ref()
        .is_some_and(|file| file.cleaned_up.swap(true, Ordering::AcqRel))
    {
        return;
    }
    let event = device
        .io
        .config
        .file_object
        .as_ref()
        .and_then(|(config, _)| config.EvtFileCleanup);
    if let Some(event) = event {
        let handle = handle_of(file.as_ref());
        device
            .io
            .file_constraints
            .enter(|| callback!("EvtFileCleanup", event(handle)));
    }
    if key != 0 {
        for queue in device.io.queues() {
            queue::flush_file(&queue, key);
        }
    }
}

/// The last reference is gone: EvtFileCleanup if it has not been, EvtFileClose, and the end of the WDFFILEOBJECT.
pub(super) fn close(device: &Ref<Device>, key: usize, had_cleanup: bool) {
    let file = find(device, key);
    if never_opened(device, file.as_ref()) {
        return;
    }
    let cleaned_up = file
        .as_ref()
        .map_or(had_cleanup, |file| file.cleaned_up.load(Ordering::Acquire));
    if !cleaned_up {
        cleanup(device, key);
    }
    let event = device
        .io
        .config
        .file_object
        .as_ref()
        .and_then(|(config, _)| config.EvtFileClose);
    if let Some(event) = event {
        let handle = handle_of(file.as_ref());
        device
            .io
            .file_constraints
            .enter(|| callback!("EvtFileClose", event(handle)));
    }
    forget(device, key);
}

fn handle_of(file: Option<&Ref<File>>) -> WDFFILEOBJECT {
    file.map_or(ptr::null_mut(), |file| file.header().handle())
}

/// Closes what is still open when the device goes, since no IRP will.
pub(crate) fn close_all(device: &Ref<Device>) {
    loop {
        let next = device.io.state.lock().files.keys().next().copied();
        let Some(key) = next else { break };
        close(device, key, false);
    }
}

wdf! {
    /// WdfFileObjectGetFileName. IRQL: PASSIVE_LEVEL. What follows the device's name in the open's.
    fn WdfFileObjectGetFileName(call, file: WDFFILEOBJECT) -> PUNICODE_STRING {
        call.passive();
        let file = call.get::<File>(file);
        // SAFETY: computes a field's address in a FILE_OBJECT that is open.
        unsafe { &raw mut (*file.wdm).FileName }
    }

    /// WdfFileObjectGetFlags. IRQL: <= DISPATCH_LEVEL.
    fn WdfFileObjectGetFlags(call, file: WDFFILEOBJECT) -> ULONG {
        let file = call.get::<File>(file);
        // SAFETY: a FILE_OBJECT that is open.
        unsafe { (*file.wdm).Flags }
    }

    /// WdfFileObjectGetDevice. IRQL: <= DISPATCH_LEVEL.
    fn WdfFileObjectGetDevice(call, file: WDFFILEOBJECT) -> WDFDEVICE {
        let file = call.get::<File>(file);
        tree::ancestor::<Device>(file.any()).map_or(ptr::null_mut(), |device| device.header().handle())
    }

    /// WdfFileObjectWdmGetFileObject. IRQL: <= DISPATCH_LEVEL.
    fn WdfFileObjectWdmGetFileObject(call, file: WDFFILEOBJECT) -> PFILE_OBJECT {
        call.get::<File>(file).wdm
    }

    /// WdfDeviceGetFileObject. IRQL: <= DISPATCH_LEVEL. Null if there is none.
    fn WdfDeviceGetFileObject(call, device: WDFDEVICE, file: PFILE_OBJECT) -> WDFFILEOBJECT {
        let device = call.get::<Device>(device);
        handle_of(find(&device, file.addr()).as_ref())
    }
}
