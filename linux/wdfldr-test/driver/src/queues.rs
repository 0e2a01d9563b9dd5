//! Queues whose requests are held by their handler until the runner lets them go, so that what a queue presents, and
//! when, can be watched.

use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicPtr, AtomicU32};

use wdfldr_test_contract as contract;
use wdfldr_test_contract::queue;
use wdk_sys::{
    NTSTATUS, STATUS_CANCELLED, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER,
    STATUS_NO_MORE_ENTRIES, STATUS_SUCCESS, ULONG, WDF_IO_QUEUE_CONFIG, WDFCOLLECTION, WDFCOLLECTION__,
    WDFCONTEXT, WDFDEVICE, WDFQUEUE, WDFREQUEST, WDFSPINLOCK, WDFSPINLOCK__,
};

use crate::device::{self, DEVICE};
use crate::requests::{REQUEST, finish, input, number, reply};
use crate::wdf::{ContextType, Zeroed, child_of, ok, size_field};

/// Requests in order, under a spin lock. The collection holds a reference to each.
pub(crate) struct List {
    lock: AtomicPtr<WDFSPINLOCK__>,
    items: AtomicPtr<WDFCOLLECTION__>,
}

impl List {
    /// Makes the list usable; its parts are children of `parent`.
    pub(crate) fn create<T>(&self, parent: *mut T) -> Result<(), NTSTATUS> {
        let mut attributes = child_of(parent);
        let mut lock: WDFSPINLOCK = ptr::null_mut();
        ok(wdf!(WdfSpinLockCreate, &raw mut attributes, &raw mut lock))?;
        self.lock.store(lock, SeqCst);
        let mut items: WDFCOLLECTION = ptr::null_mut();
        ok(wdf!(WdfCollectionCreate, &raw mut attributes, &raw mut items))?;
        self.items.store(items, SeqCst);
        Ok(())
    }

    fn locked<T>(&self, work: impl FnOnce(WDFCOLLECTION) -> T) -> T {
        let lock = self.lock.load(SeqCst);
        wdf!(WdfSpinLockAcquire, lock);
        let result = work(self.items.load(SeqCst));
        wdf!(WdfSpinLockRelease, lock);
        result
    }

    /// Appends a request.
    pub(crate) fn push(&self, request: WDFREQUEST) -> Result<(), NTSTATUS> {
        self.locked(|items| ok(wdf!(WdfCollectionAdd, items, request.cast())))
    }

    /// Takes the first request out. The driver owns it, which keeps it alive.
    pub(crate) fn pop(&self) -> Option<WDFREQUEST> {
        self.locked(|items| {
            let first = wdf!(WdfCollectionGetFirstItem, items);
            if first.is_null() {
                return None;
            }
            wdf!(WdfCollectionRemoveItem, items, 0);
            Some(first.cast())
        })
    }

    /// Takes this request out, if it is there.
    pub(crate) fn remove(&self, request: WDFREQUEST) -> bool {
        self.locked(|items| {
            let count = wdf!(WdfCollectionGetCount, items);
            let at = (0..count).find(|index| wdf!(WdfCollectionGetItem, items, *index) == request.cast());
            if let Some(index) = at {
                wdf!(WdfCollectionRemoveItem, items, index);
            }
            at.is_some()
        })
    }
}

/// What a test queue carries.
struct QueueContext {
    held: List,
    /// Requests delivered since the last reset.
    delivered: AtomicU32,
    /// Requests that the handler has.
    now: AtomicU32,
    /// The most that it had.
    peak: AtomicU32,
    /// Calls of `EvtIoCanceledOnQueue`.
    cancelled: AtomicU32,
}

// SAFETY: numbers and null pointers.
unsafe impl Zeroed for QueueContext {}

static QUEUE: ContextType<QueueContext> = ContextType::new(c"QueueContext", &QUEUE);

/// Creates the queues of a device.
pub(crate) fn create(device: WDFDEVICE) -> Result<(), NTSTATUS> {
    use wdk_sys::_WDF_IO_QUEUE_DISPATCH_TYPE as Dispatch;

    let queues = &DEVICE.of(device).queues;
    for (number, place) in (0..).zip(queues) {
        let (dispatch, presented) = match number {
            queue::PARALLEL => (Dispatch::WdfIoQueueDispatchParallel, ULONG::MAX),
            queue::TWO => (Dispatch::WdfIoQueueDispatchParallel, 2),
            queue::MANUAL | queue::NOTIFIED => (Dispatch::WdfIoQueueDispatchManual, 0),
            _ => (Dispatch::WdfIoQueueDispatchSequential, 0),
        };
        let mut config = WDF_IO_QUEUE_CONFIG {
            Size: size_field::<WDF_IO_QUEUE_CONFIG>(),
            DispatchType: dispatch,
            PowerManaged: wdk_sys::_WDF_TRI_STATE::WdfFalse,
            ..WDF_IO_QUEUE_CONFIG::default()
        };
        config.Settings.Parallel.NumberOfPresentedRequests = presented;
        if dispatch != Dispatch::WdfIoQueueDispatchManual {
            config.EvtIoDeviceControl = Some(evt_hold);
        }
        if number == queue::NOTIFIED {
            config.EvtIoCanceledOnQueue = Some(evt_canceled_on_queue);
        }
        let mut attributes = QUEUE.attributes();
        let mut queue: WDFQUEUE = ptr::null_mut();
        ok(wdf!(
            WdfIoQueueCreate,
            device,
            &raw mut config,
            &raw mut attributes,
            &raw mut queue
        ))?;
        QUEUE.of(queue).held.create(queue)?;
        place.store(queue, SeqCst);
    }
    Ok(())
}

/// Sends a request on to a queue.
pub(crate) fn forward(device: WDFDEVICE, request: WDFREQUEST, number: u32) -> Result<(), NTSTATUS> {
    let tag = self::number(input(request, 4)?, 0)?;
    REQUEST.of(request).tag.store(tag, SeqCst);
    let queue = device::queue(device, number).ok_or(STATUS_INVALID_PARAMETER)?;
    ok(wdf!(WdfRequestForwardToIoQueue, request, queue))
}

/// What is asked about a queue.
pub(crate) fn control(device: WDFDEVICE, request: WDFREQUEST, code: u32) -> Result<(), NTSTATUS> {
    if !(contract::COMPLETE_OLDEST..=contract::QUEUE_PURGE).contains(&code) {
        return Err(STATUS_INVALID_DEVICE_REQUEST);
    }
    let query = input(request, 8)?;
    let queue = device::queue(device, number(query, 0)?).ok_or(STATUS_INVALID_PARAMETER)?;
    let argument = number(query, 1)?;
    // The framework calls back when it is done; the context is the request to complete then.
    let context: WDFCONTEXT = request.cast();
    match code {
        contract::COMPLETE_OLDEST => {
            let held = QUEUE.of(queue).held.pop().ok_or(STATUS_NO_MORE_ENTRIES)?;
            complete(queue, held, argument.cast_signed());
            Err(STATUS_SUCCESS)
        }
        contract::QUEUE_STATE => {
            state(queue, request);
            Ok(())
        }
        contract::RETRIEVE_NEXT => {
            let mut next: WDFREQUEST = ptr::null_mut();
            ok(wdf!(WdfIoQueueRetrieveNextRequest, queue, &raw mut next))?;
            deliver(queue, next);
            complete(queue, next, STATUS_SUCCESS);
            Err(STATUS_SUCCESS)
        }
        contract::QUEUE_START => {
            wdf!(WdfIoQueueStart, queue);
            Err(STATUS_SUCCESS)
        }
        contract::QUEUE_STOP => {
            wdf!(WdfIoQueueStop, queue, Some(evt_state), context);
            Ok(())
        }
        contract::QUEUE_DRAIN => {
            wdf!(WdfIoQueueDrain, queue, Some(evt_state), context);
            Ok(())
        }
        contract::QUEUE_PURGE => {
            wdf!(WdfIoQueuePurge, queue, Some(evt_state), context);
            Ok(())
        }
        _ => Err(STATUS_INVALID_DEVICE_REQUEST),
    }
}

fn state(queue: WDFQUEUE, request: WDFREQUEST) {
    let (mut queued, mut delivered) = (0, 0);
    let flags = wdf!(WdfIoQueueGetState, queue, &raw mut queued, &raw mut delivered);
    let context = QUEUE.of(queue);
    let (peak, cancelled) = (context.peak.load(SeqCst), context.cancelled.load(SeqCst));
    reply(
        request,
        STATUS_SUCCESS,
        &[flags.cast_unsigned(), queued, delivered, peak, cancelled],
    );
}

/// Notes that the driver has got a request.
fn deliver(queue: WDFQUEUE, request: WDFREQUEST) {
    let context = QUEUE.of(queue);
    let order = context.delivered.fetch_add(1, SeqCst) + 1;
    REQUEST.of(request).order.store(order, SeqCst);
    let now = context.now.fetch_add(1, SeqCst) + 1;
    context.peak.fetch_max(now, SeqCst);
}

/// Completes a request that the driver has got.
fn complete(queue: WDFQUEUE, request: WDFREQUEST, status: NTSTATUS) {
    QUEUE.of(queue).now.fetch_sub(1, SeqCst);
    let context = REQUEST.of(request);
    let (tag, order) = (context.tag.load(SeqCst), context.order.load(SeqCst));
    reply(request, status, &[tag, order]);
}

/// Completes all that the handlers hold.
pub(crate) fn complete_all(device: WDFDEVICE) {
    for place in &DEVICE.of(device).queues {
        let queue = place.load(SeqCst);
        // A queue that is started delivers the next when one is completed; in the end there is none.
        while let Some(held) = QUEUE.of(queue).held.pop() {
            complete(queue, held, STATUS_CANCELLED);
        }
    }
}

/// Makes the queues as they were made.
pub(crate) fn reset(device: WDFDEVICE) {
    for place in &DEVICE.of(device).queues {
        wdf!(WdfIoQueueStart, place.load(SeqCst));
    }
    complete_all(device);
    for (number, place) in (0..).zip(&DEVICE.of(device).queues) {
        let queue = place.load(SeqCst);
        let context = QUEUE.of(queue);
        if number == queue::MANUAL || number == queue::NOTIFIED {
            let mut next: WDFREQUEST = ptr::null_mut();
            while ok(wdf!(WdfIoQueueRetrieveNextRequest, queue, &raw mut next)).is_ok() {
                finish(next, STATUS_CANCELLED, 0);
            }
        }
        for count in [&context.delivered, &context.peak, &context.cancelled] {
            count.store(0, SeqCst);
        }
    }
}

/// `EvtIoDeviceControl` of the test queues.
extern "C" fn evt_hold(queue: WDFQUEUE, request: WDFREQUEST, _output: usize, _input: usize, _code: ULONG) {
    deliver(queue, request);
    if let Err(status) = QUEUE.of(queue).held.push(request) {
        complete(queue, request, status);
    }
}

extern "C" fn evt_canceled_on_queue(queue: WDFQUEUE, request: WDFREQUEST) {
    QUEUE.of(queue).cancelled.fetch_add(1, SeqCst);
    finish(request, STATUS_CANCELLED, 0);
}

/// `EvtIoQueueState`: the queue is stopped, drained or purged.
extern "C" fn evt_state(_queue: WDFQUEUE, context: WDFCONTEXT) {
    finish(context.cast(), STATUS_SUCCESS, 0);
}
