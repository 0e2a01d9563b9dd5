//! The configuration as the header lays it out, and create.

use core::ffi::c_void;
use core::mem::{offset_of, size_of};

use queued_work_item::kernel::Parent;
use queued_work_item::{Config, CreateError, NtStatus, Passive, QueuedWorkItem};
use wdk_sys::{PWDF_DRIVER_GLOBALS, WDFFUNC, WDFOBJECT};

use crate::callbacks::{self, ClientContext, Done, EvtReuseCleanup, EvtWork};
use crate::framework::Framework;

/// What a C driver's queue is in Rust.
pub(crate) type Queue = QueuedWorkItem<[u8], Done>;

/// `QWI_CONFIG`. Fields are only ever added, at the end.
#[repr(C)]
pub(crate) struct QwiConfig {
    size: u32,
    kmdf_major: u32,
    kmdf_minor: u32,
    function_count: u32,
    functions: *const WDFFUNC,
    globals: PWDF_DRIVER_GLOBALS,
    buffer_count: u32,
    max_buffers: u32,
    buffer_size: usize,
    evt_work: Option<EvtWork>,
    evt_reuse_cleanup: Option<EvtReuseCleanup>,
    context: *mut c_void,
}

// The header asserts the same.
const _: () = assert!(size_of::<QwiConfig>() == 72 && offset_of!(QwiConfig, context) == 64);

impl QwiConfig {
    fn framework(&self) -> Framework {
        Framework {
            version: (self.kmdf_major, self.kmdf_minor),
            function_count: self.function_count,
            functions: self.functions,
            globals: self.globals,
        }
    }

    /// The buffers, which must be able to hold something: without a byte of payload no run could be told from another.
    fn buffers(&self) -> Result<Config, NtStatus> {
        if self.buffer_size == 0 || u32::try_from(self.buffer_size).is_err() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let buffers = Config::new(self.buffer_count).buffer_size(self.buffer_size);
        Ok(match self.max_buffers {
            0 => buffers,
            max => buffers.lookaside(max),
        })
    }
}

/// Creates a queue.
///
/// # Safety
/// As the header says; `config` is null or begins with a size that is its own.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiCreate(
    parent: WDFOBJECT,
    config: *const QwiConfig,
    queue: *mut *mut c_void,
) -> i32 {
    if config.is_null() || queue.is_null() || parent.is_null() {
        return NtStatus::INVALID_PARAMETER.0;
    }
    // SAFETY: the caller's, and not null.
    unsafe { queue.write(core::ptr::null_mut()) };
    // SAFETY: every version of the structure begins with its size.
    let size = unsafe { config.cast::<u32>().read() };
    if size as usize != size_of::<QwiConfig>() {
        return wdk_sys::STATUS_INFO_LENGTH_MISMATCH;
    }
    // SAFETY: it is this version of the structure.
    let config = unsafe { &*config };
    // SAFETY: the caller's promise of the parent.
    match unsafe { create(parent, config) } {
        Ok(created) => {
            // SAFETY: as above.
            unsafe { queue.write(created.into_raw().as_ptr().cast()) };
            NtStatus::SUCCESS.0
        }
        Err(status) => status.0,
    }
}

/// # Safety
/// As for [`QwiCreate`].
unsafe fn create(parent: WDFOBJECT, config: &QwiConfig) -> Result<Queue, NtStatus> {
    let run = config.evt_work.ok_or(NtStatus::INVALID_PARAMETER)?;
    let buffers = config.buffers()?;
    // SAFETY: the client's own table and globals, which the header fills in.
    unsafe { config.framework().bind() }?;
    // SAFETY: the caller promises an object that lives until this call has returned.
    let parent = unsafe { Parent::new(parent) };
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    let context = ClientContext(config.context);
    let callback = callbacks::work(run, context);
    match config.evt_reuse_cleanup {
        None => Queue::create(passive, parent, &buffers, callback),
        Some(cleanup) => {
            let cleanup = callbacks::cleanup(cleanup, context);
            Queue::create_with_cleanup(passive, parent, &buffers, callback, cleanup)
        }
    }
    .map_err(CreateError::status)
}
