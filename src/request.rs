//! A `WDFREQUEST` as the exerciser sees it.
//!
//! Who completes a waiting request is decided in the exerciser's `pending`; what this module has to keep is KMDF's side
//! of it:
//!
//! * Whoever may still act on a request holds a reference to it, so that its handle and its context stay valid after it
//!   was completed. Its buffers do not: only the one whose turn it is touches them.
//! * `WdfRequestMarkCancelableEx` does not call the cancel routine when the request is cancelled already; the caller
//!   completes it then.
//! * `WdfRequestUnmarkCancelable` must not be called after the cancel routine completed the request, and when it says
//!   `STATUS_CANCELLED` the request must not be completed before the cancel routine was called. `pending` sees to both.
//! * The cancel routine may run on any thread, at `<= DISPATCH_LEVEL`, while the completion runs on a worker thread, and
//!   under locks of the system. No lock is held here when a request is completed.

use core::{ptr, slice};

use queued_work_item_exerciser::pending::{self, Pending, Turn};
use queued_work_item_exerciser::{Handle, Request, Ticket};
use wdk_sys::{
    NT_SUCCESS, NTSTATUS, PVOID, STATUS_CANCELLED, STATUS_SUCCESS, WDFREQUEST,
    call_unsafe_wdf_function_binding,
};

use crate::context::{Context, ContextType};

/// What every request carries: nothing but the exerciser's word on it.
#[repr(transparent)]
pub(crate) struct RequestContext(Pending);

static REQUEST_CONTEXT: ContextType = ContextType::new::<RequestContext>(c"RequestContext", &REQUEST_CONTEXT);

// SAFETY: a `Pending` is two integers, new when they are zero; the type is used for nothing else.
unsafe impl Context for RequestContext {
    const TYPE: &'static ContextType = &REQUEST_CONTEXT;
}

const METHOD_MASK: u32 = 3;
const METHOD_BUFFERED: u32 = 0;

/// A request in the hands of its handler, to be completed or made to wait.
pub(crate) struct IoRequest {
    ticket: WdfTicket,
    code: u32,
    /// The system buffer, for input and output; dangling where the length is 0.
    input: (ptr::NonNull<u8>, usize),
    output: (ptr::NonNull<u8>, usize),
}

impl IoRequest {
    /// Takes over a request.
    ///
    /// # Errors
    /// The status of a buffer that cannot be had; the request is the caller's still.
    ///
    /// # Safety
    /// The request was just delivered to this driver with these figures, by a device whose requests carry a
    /// [`RequestContext`], and nobody else acts on it.
    pub(crate) unsafe fn new(
        request: WDFREQUEST,
        code: u32,
        input_length: usize,
        output_length: usize,
    ) -> Result<Self, NTSTATUS> {
        let none = (ptr::NonNull::dangling(), 0);
        let (mut input, mut output) = (none, none);
        // Every code of the contract is buffered. The others are not looked into: their buffers are the user's own.
        if code & METHOD_MASK == METHOD_BUFFERED {
            // With a length of 0 the framework reports an error where there is none.
            if input_length > 0 {
                // SAFETY: delivered and not completed.
                input = unsafe { buffer(request, Direction::Input) }?;
            }
            if output_length > 0 {
                // SAFETY: delivered and not completed.
                output = unsafe { buffer(request, Direction::Output) }?;
            }
        }
        // SAFETY: delivered and not completed, and its context is what the caller says.
        let ticket = unsafe { WdfTicket::new(request) };
        Ok(Self {
            ticket,
            code,
            input,
            output,
        })
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Input,
    Output,
}

/// One of a request's buffers.
///
/// # Safety
/// The request is alive and not completed.
unsafe fn buffer(request: WDFREQUEST, direction: Direction) -> Result<(ptr::NonNull<u8>, usize), NTSTATUS> {
    let mut start: PVOID = ptr::null_mut();
    let mut length = 0;
    let status = match direction {
        Direction::Input => {
            // SAFETY: a live request, by the caller's promise, and two places for the results.
            unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfRequestRetrieveInputBuffer,
                    request,
                    0,
                    &raw mut start,
                    &raw mut length,
                )
            }
        }
        Direction::Output => {
            // SAFETY: a live request, by the caller's promise, and two places for the results.
            unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfRequestRetrieveOutputBuffer,
                    request,
                    0,
                    &raw mut start,
                    &raw mut length,
                )
            }
        }
    };
    match ptr::NonNull::new(start.cast()) {
        Some(start) if NT_SUCCESS(status) => Ok((start, length)),
        _ if NT_SUCCESS(status) => Ok((ptr::NonNull::dangling(), 0)),
        _ => Err(status),
    }
}

impl Request for IoRequest {
    type Ticket = WdfTicket;

    fn code(&self) -> u32 {
        self.code
    }

    fn handle(&self) -> Handle {
        // SAFETY: the ticket keeps the request alive.
        let file = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetFileObject, self.ticket.0) };
        Handle(file.addr() as u64)
    }

    fn input(&self) -> &[u8] {
        let (start, length) = self.input;
        // SAFETY: the system buffer has this many bytes of input; it is there until the request is completed, which
        // takes this value, and is written only through `output`, which borrows it exclusively.
        unsafe { slice::from_raw_parts(start.as_ptr(), length) }
    }

    fn output_length(&self) -> usize {
        self.output.1
    }

    fn output(&mut self) -> &mut [u8] {
        let (start, length) = self.output;
        // SAFETY: the system buffer has room for this much output, initialised or not no byte of it is invalid; it is
        // there until the request is completed, which takes this value, and this is the only borrow.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), length) }
    }

    fn complete(self, status: u32, information: usize) {
        // SAFETY: a handler that still has the request is the only one to act on it: nobody can have made it wait.
        unsafe { self.ticket.finish(status, information.min(self.output.1)) };
    }

    fn ticket(&self) -> WdfTicket {
        self.ticket.clone()
    }
}

/// A counted reference to a request.
pub(crate) struct WdfTicket(WDFREQUEST);

// SAFETY: framework handles may be used on any thread.
unsafe impl Send for WdfTicket {}
// SAFETY: what can be done through a shared ticket, by several threads at once, is: to clone it, which is the framework's
// interlocked reference count; to look at its `Pending`, which is atomics; and, with a `Turn`, to mark, unmark or complete
// the request. A `Turn` is made by `pending` alone, for whoever moved the request's one word on, and so by one thread at a
// time: that is what its tests go through in every order.
unsafe impl Sync for WdfTicket {}

impl WdfTicket {
    /// A reference to a request.
    ///
    /// # Safety
    /// The request is alive, and its context is a [`RequestContext`].
    unsafe fn new(request: WDFREQUEST) -> Self {
        // SAFETY: a live object, by the caller's promise; given back in `drop`.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfObjectReferenceActual,
                request.cast(),
                ptr::null_mut(),
                0,
                ptr::null_mut()
            );
        }
        Self(request)
    }

    /// Completes the request.
    ///
    /// # Safety
    /// It is the caller's turn: the request is not completed, and nobody else will do it.
    unsafe fn finish(&self, status: u32, information: usize) {
        let status = status.cast_signed();
        // SAFETY: by the caller's promise; the reference keeps the handle valid.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestCompleteWithInformation,
                self.0,
                status,
                information as wdk_sys::ULONG_PTR
            );
        }
    }
}

impl Clone for WdfTicket {
    fn clone(&self) -> Self {
        // SAFETY: this reference keeps the request alive, and its context is the same.
        unsafe { Self::new(self.0) }
    }
}

impl Drop for WdfTicket {
    fn drop(&mut self) {
        // SAFETY: gives back what `new` took, once.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfObjectDereferenceActual,
                self.0.cast(),
                ptr::null_mut(),
                0,
                ptr::null_mut()
            );
        }
    }
}

impl Ticket for WdfTicket {
    fn pending(&self) -> &Pending {
        // SAFETY: the reference keeps the request alive at least as long as it is borrowed, and its device gives every
        // request such a context.
        let context = unsafe { RequestContext::of(self.0.cast()) };
        &context.0
    }

    fn mark_cancelable(&self, _turn: Turn) -> bool {
        // SAFETY: the turn says that the request is neither completed nor cancellable.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestMarkCancelableEx, self.0, Some(evt_request_cancel))
        };
        NT_SUCCESS(status)
    }

    fn unmark_cancelable(&self, _turn: Turn) -> bool {
        // SAFETY: the turn says that the request is cancellable, and that its cancel routine does not complete it
        // before this call has returned.
        let status = unsafe { call_unsafe_wdf_function_binding!(WdfRequestUnmarkCancelable, self.0) };
        status != STATUS_CANCELLED
    }

    fn complete(&self, status: u32, output: &[u8], _turn: Turn) {
        let mut information = 0;
        if !output.is_empty() {
            // SAFETY: the turn says that the request is not completed.
            if let Ok((start, length)) = unsafe { buffer(self.0, Direction::Output) } {
                information = output.len().min(length);
                // SAFETY: the output buffer has room for this much, it is not borrowed by the handler any more, and the
                // reply does not lie in it.
                unsafe { ptr::copy_nonoverlapping(output.as_ptr(), start.as_ptr(), information) };
            }
        }
        // SAFETY: by the turn.
        unsafe { self.finish(status, information) };
    }
}

/// `EvtRequestCancel`: see [`pending`] for who completes the request.
extern "C" fn evt_request_cancel(request: WDFREQUEST) {
    // SAFETY: the framework keeps the request alive during this call, and this driver marked it cancellable.
    let ticket = unsafe { WdfTicket::new(request) };
    pending::cancelled(&ticket);
}

/// Completes a request that no [`IoRequest`] could be made of.
///
/// # Safety
/// The request was just delivered to this driver, and nobody else acts on it.
pub(crate) unsafe fn refuse(request: WDFREQUEST, status: NTSTATUS) {
    debug_assert_ne!(status, STATUS_SUCCESS);
    // SAFETY: by the caller's promise.
    unsafe { call_unsafe_wdf_function_binding!(WdfRequestComplete, request, status) };
}
