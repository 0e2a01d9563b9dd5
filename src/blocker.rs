//! Threads for the verbs that block: a work item for each, made when it is needed.
//!
//! Its context is where the job lies until it runs. The framework frees the work item; how many there can be at once is
//! bounded by the exerciser.

use core::ptr;

use queued_work_item::Passive;
use queued_work_item::kernel::Parent;
use queued_work_item_exerciser::{Drain, Job, Platform, Worker};
use wdk_sys::{NT_SUCCESS, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFWORKITEM, call_unsafe_wdf_function_binding};

use crate::bare::BareWorkItem;
use crate::context::{Cell, Context, ContextType, size_field};
use crate::dpcs::KernelDpcs;
use crate::request::{IoRequest, WdfTicket};
use crate::trace;

/// The framework, as the exerciser of one device needs it.
pub(crate) struct Kernel {
    device: WDFDEVICE,
}

// SAFETY: framework handles may be used on any thread.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

impl Kernel {
    /// The framework around a device.
    ///
    /// # Safety
    /// The device outlives the value.
    pub(crate) const unsafe fn new(device: WDFDEVICE) -> Self {
        Self { device }
    }
}

struct JobContext {
    job: Cell<Job<Kernel>>,
}

static JOB_CONTEXT: ContextType = ContextType::new::<JobContext>(c"JobContext", &JOB_CONTEXT);

// SAFETY: an all-zero cell is an empty one; the type is used for nothing else.
unsafe impl Context for JobContext {
    const TYPE: &'static ContextType = &JOB_CONTEXT;
}

impl Platform for Kernel {
    type Request = IoRequest;
    type Ticket = WdfTicket;
    type Worker = BlockingWorkItem;
    type WorkItem = BareWorkItem;
    type Dpcs = KernelDpcs;

    fn parent(&self) -> Parent {
        // SAFETY: the device outlives this value, and the exerciser closes its queues before the device goes.
        unsafe { Parent::new(self.device.cast()) }
    }

    fn reserve_worker(&self) -> Option<BlockingWorkItem> {
        let mut config = WDF_WORKITEM_CONFIG {
            Size: size_field::<WDF_WORKITEM_CONFIG>(),
            EvtWorkItemFunc: Some(evt_work_item),
            // A job waits for callbacks, and must not hold a lock of the device meanwhile.
            AutomaticSerialization: 0,
        };
        let mut attributes = JobContext::attributes();
        attributes.ParentObject = self.device.cast();
        let mut item: WDFWORKITEM = ptr::null_mut();
        // SAFETY: the device is alive; the framework copies the configuration and the attributes.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfWorkItemCreate,
                &raw mut config,
                &raw mut attributes,
                &raw mut item
            )
        };
        if !NT_SUCCESS(status) {
            trace::no_memory("WdfWorkItemCreate", status);
            return None;
        }
        Some(BlockingWorkItem { item })
    }

    fn parallel(
        &self,
        threads: u32,
        body: &(dyn Fn(u32, &mut Passive) + Sync),
        _: &mut Passive,
    ) -> Result<(), u32> {
        crate::threads::parallel(threads, body)
            .inspect_err(|status| trace::no_memory("threads", *status))
            .map_err(i32::cast_unsigned)
    }

    fn refused(&self, code: u32, status: u32) {
        trace::request_refused(code, status.cast_signed());
    }

    fn work_item(&self, drain: Drain) -> Option<BareWorkItem> {
        // SAFETY: the device outlives the exerciser's loads.
        unsafe { BareWorkItem::new(self.device, drain) }
    }

    fn dpcs(&self, count: u32) -> Option<KernelDpcs> {
        KernelDpcs::new(count)
    }
}

/// A work item without a job.
pub(crate) struct BlockingWorkItem {
    item: WDFWORKITEM,
}

// SAFETY: framework handles may be used on any thread.
unsafe impl Send for BlockingWorkItem {}

impl Worker<Kernel> for BlockingWorkItem {
    fn run(self, job: Job<Kernel>) {
        let item = self.item;
        // From here on the callback deletes it.
        core::mem::forget(self);
        // SAFETY: the work item was created with this context, and is deleted only by its callback.
        let context = unsafe { JobContext::of(item.cast()) };
        if context.job.put(job).is_ok() {
            // SAFETY: a live work item.
            unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, item) };
        }
    }
}

impl Drop for BlockingWorkItem {
    fn drop(&mut self) {
        // SAFETY: a work item that was never enqueued, and whose handle nobody else has.
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.item.cast()) };
    }
}

/// `EvtWorkItem`
extern "C" fn evt_work_item(item: WDFWORKITEM) {
    // SAFETY: the framework gives a live work item; only this callback deletes it.
    let context = unsafe { JobContext::of(item.cast()) };
    let job = context.job.take();
    // SAFETY: work items run at PASSIVE_LEVEL on a system thread, without a presentation lock.
    let mut passive = unsafe { Passive::assume() };
    let finished = job.map(|job| job.run(&mut passive));
    // SAFETY: a work item may delete itself in its callback; the device is still there, since the job is not over
    // before `finished` is dropped.
    unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, item.cast()) };
    drop(finished);
}
