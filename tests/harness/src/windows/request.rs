//! One control code under way.
//!
//! The kernel writes the status block and the output when the request completes, whoever owns that memory then. So it
//! lives in one heap block that is freed only after the completion was seen; a request that neither completes nor can be
//! cancelled leaks it.

use core::ptr::{self, NonNull};
use std::{
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use windows_sys::{
    Wdk::System::IO::NtDeviceIoControlFile,
    Win32::{
        Foundation::{ERROR_NOT_FOUND, STATUS_PENDING, WAIT_FAILED, WAIT_OBJECT_0},
        System::{
            IO::{CancelIoEx, IO_STATUS_BLOCK},
            Threading::{CreateEventW, INFINITE, WaitForSingleObject},
        },
    },
};

use super::{count, explain, failed, last_error};
use crate::{
    Error, NtStatus,
    device::{Completion, Request},
    status::Win32Error,
};

/// How long a request that is dropped unfinished is waited for after its cancellation, before its memory is leaked.
const ABANDON: Duration = Duration::from_secs(5);

/// The handle that a device and its requests share; `None` once the device closed it.
pub(super) type SharedHandle = Arc<RwLock<Option<OwnedHandle>>>;

/// What the kernel reads and writes until the completion.
struct Shared {
    status: IO_STATUS_BLOCK,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// A control code that was sent.
pub(super) struct Sent {
    handle: SharedHandle,
    event: OwnedHandle,
    shared: NonNull<Shared>,
    /// What the call itself returned, if it was not "pending".
    at_once: Option<NtStatus>,
    /// The completion was seen: the kernel is done with `shared`.
    complete: bool,
}

// SAFETY: the block is this request's alone; the kernel does not care which thread waits for it.
unsafe impl Send for Sent {}

impl Sent {
    /// Sends it.
    pub(super) fn send(handle: &SharedHandle, code: u32, input: &[u8], output: usize) -> Result<Self, Error> {
        // SAFETY: no attributes, no name; manual reset, not signalled.
        let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
        if event.is_null() {
            return Err(failed("CreateEvent"));
        }
        // SAFETY: the call succeeded, and the handle is nobody else's.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        let shared = Box::new(Shared {
            status: IO_STATUS_BLOCK::default(),
            input: input.to_vec(),
            output: vec![0; output],
        });
        let mut sent = Self {
            handle: Arc::clone(handle),
            event,
            shared: NonNull::from(Box::leak(shared)),
            at_once: None,
            complete: true,
        };
        sent.start(code)?;
        Ok(sent)
    }

    fn start(&mut self, code: u32) -> Result<(), Error> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
        let Some(device) = handle.as_ref() else {
            return Err(explain("NtDeviceIoControlFile", Win32Error(6)));
        };
        let shared = self.shared.as_ptr();
        // SAFETY: the block is alive, and the kernel has not seen it yet.
        let block = unsafe { &mut *shared };
        let (input, input_length) = (block.input.as_ptr(), count(&block.input));
        let (output, output_length) = (block.output.as_mut_ptr(), count(&block.output));
        let status_block = &raw mut block.status;
        // SAFETY: the handle and the event are open; the status block and both buffers have the lengths that are passed
        // and stay where they are until the completion is seen.
        let status = unsafe {
            NtDeviceIoControlFile(
                device.as_raw_handle(),
                self.event.as_raw_handle(),
                None,
                ptr::null(),
                status_block,
                code,
                input.cast(),
                input_length,
                output.cast(),
                output_length,
            )
        };
        if status == STATUS_PENDING {
            self.complete = false;
        } else {
            self.at_once = Some(NtStatus(status.cast_unsigned()));
        }
        Ok(())
    }

    fn signalled(&self, timeout: Duration) -> Result<bool, Error> {
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(INFINITE - 1);
        // SAFETY: the event is open.
        match unsafe { WaitForSingleObject(self.event.as_raw_handle(), milliseconds) } {
            WAIT_OBJECT_0 => Ok(true),
            WAIT_FAILED => Err(failed("WaitForSingleObject")),
            _ => Ok(false),
        }
    }

    /// What the kernel left. Only after the completion.
    fn completion(&mut self) -> Completion {
        // SAFETY: the request is complete: the kernel is done with the block, which is this request's alone.
        let block = unsafe { self.shared.as_mut() };
        let status = self.at_once.unwrap_or_else(|| {
            // SAFETY: the kernel writes this member of the union.
            let status = unsafe { block.status.Anonymous.Status };
            NtStatus(status.cast_unsigned())
        });
        // An error carries no output, and one that came at once did not even fill the status block.
        let filled = if status.is_error() {
            0
        } else {
            block.status.Information
        };
        let mut output = core::mem::take(&mut block.output);
        output.truncate(filled);
        Completion { status, output }
    }
}

impl Request for Sent {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, Error> {
        if !self.complete && !self.signalled(timeout)? {
            return Ok(None);
        }
        self.complete = true;
        Ok(Some(self.completion()))
    }

    fn cancel(&self) -> Result<(), Error> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
        let Some(device) = handle.as_ref().filter(|_| !self.complete) else {
            return Ok(());
        };
        // The address of the status block names the request: an OVERLAPPED begins with one.
        // SAFETY: the block is alive; only an address is taken, the kernel may be writing to it.
        let status_block = unsafe { &raw const (*self.shared.as_ptr()).status };
        // SAFETY: the handle is open; the address is only compared.
        let asked = unsafe { CancelIoEx(device.as_raw_handle(), status_block.cast()) };
        match last_error() {
            _ if asked != 0 => Ok(()),
            Win32Error(ERROR_NOT_FOUND) => Ok(()),
            error => Err(explain("CancelIoEx", error)),
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if !self.complete {
            // Whatever it says: the wait below decides.
            let _ = self.cancel();
            self.complete = self.signalled(ABANDON).unwrap_or(false);
        }
        if self.complete {
            // SAFETY: leaked in `send`, and the kernel is done with it.
            drop(unsafe { Box::from_raw(self.shared.as_ptr()) });
        }
    }
}
