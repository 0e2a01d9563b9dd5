//! Requests that are answered at `PASSIVE_LEVEL`, one at a time, in order.

use core::ptr;

use queued_work_item::{Close, Config, CreateError, Item, Passive, QueuedWorkItem, kernel::Parent};
use wdk_sys::{
    NT_SUCCESS, NTSTATUS, STATUS_CANCELLED, WDFDEVICE, WDFREQUEST, call_unsafe_wdf_function_binding,
};

/// A request on its way. Dropping it completes it: exactly once, whatever becomes of it.
struct Job {
    request: WDFREQUEST,
    status: NTSTATUS,
    written: u64,
}

// SAFETY: a request belongs to the driver, not to a thread.
unsafe impl Send for Job {}

impl Drop for Job {
    fn drop(&mut self) {
        let (request, status, written) = (self.request, self.status, self.written);
        // SAFETY: delivered to this driver, and completed nowhere else; <= DISPATCH_LEVEL.
        unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestCompleteWithInformation, request, status, written);
        };
    }
}

/// What a device has.
pub(crate) struct Jobs(QueuedWorkItem<Job>);

impl Jobs {
    /// Creates the queue: room for 64 requests, and nothing is allocated later.
    pub(crate) fn new(passive: &mut Passive, device: WDFDEVICE) -> Result<Self, CreateError> {
        // SAFETY: `EvtDriverDeviceAdd` has just created it.
        let parent = unsafe { Parent::new(device.cast()) };
        let mut runs = 0; // the callback's own: two runs never overlap
        let callback = move |item: &mut Item<'_, Job>, _: &mut Passive| {
            runs += 1;
            answer(item.payload_mut(), runs);
        };
        QueuedWorkItem::create(passive, parent, &Config::new(64), callback).map(Self)
    }

    /// From `EvtIoDeviceControl`, at `<= DISPATCH_LEVEL`: hands a request over and returns.
    pub(crate) fn hand_over(&self, request: WDFREQUEST) {
        let (status, written) = (STATUS_CANCELLED, 0);
        if let Err(refused) = self.0.enqueue(Job {
            request,
            status,
            written,
        }) {
            let status = refused.status().0;
            refused.into_inner().status = status; // the job is ours again: dropped here, and so completed
        }
    }

    /// From `EvtDeviceSelfManagedIoCleanup`: what is queued runs, and nothing after this returns.
    pub(crate) fn close(&self, passive: &mut Passive) {
        let _ = self.0.close(passive, Close::Drain); // refused only inside the callback
    }
}

/// The work, at `PASSIVE_LEVEL`: answers a request with the number of the run.
fn answer(job: &mut Job, number: u64) {
    let (request, length) = (job.request, size_of::<u64>());
    let (mut buffer, none) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the request is this driver's.
    job.status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestRetrieveOutputBuffer,
            request,
            length,
            &raw mut buffer,
            none
        )
    };
    if NT_SUCCESS(job.status) {
        // SAFETY: the buffer is the request's, and has room.
        unsafe { buffer.cast::<u64>().write_unaligned(number) };
        job.written = length as u64;
    }
}
