//! Rules of the framework broken on purpose: the runtime must stop the driver and say which.

use core::ptr;

use wdfldr_test_contract::{LEAK_BYTES, LEAK_TAG, Violation};
use wdk_sys::{
    NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, WDF_IO_QUEUE_FORWARD_PROGRESS_POLICY,
    WDF_WORKITEM_CONFIG, WDFDEVICE, WDFREQUEST, WDFSPINLOCK, WDFWAITLOCK, WDFWORKITEM,
};

use crate::probe::Event;
use crate::requests::finish;
use crate::wdf::{allocate, attributes, child_of, delete, object, ok, reference, size_field};

static EVENT: Event = Event::new();

extern "C" fn evt_nothing(_: WDFWORKITEM) {}

/// Breaks the rule. If that goes unnoticed, the request completes with success and the runner complains.
pub(crate) fn start(device: WDFDEVICE, request: WDFREQUEST, violation: Violation) -> Result<(), NTSTATUS> {
    let mut child = child_of(device);
    let mut lock: WDFSPINLOCK = ptr::null_mut();
    ok(wdf!(WdfSpinLockCreate, &raw mut child, &raw mut lock))?;
    match violation {
        Violation::WaitAtDispatch => {
            EVENT.reset();
            wdf!(WdfSpinLockAcquire, lock);
            EVENT.wait(1);
            wdf!(WdfSpinLockRelease, lock);
        }
        Violation::FlushAtDispatch => {
            let mut config = WDF_WORKITEM_CONFIG {
                Size: size_field::<WDF_WORKITEM_CONFIG>(),
                EvtWorkItemFunc: Some(evt_nothing),
                AutomaticSerialization: 0,
            };
            let mut item: WDFWORKITEM = ptr::null_mut();
            ok(wdf!(
                WdfWorkItemCreate,
                &raw mut config,
                &raw mut child,
                &raw mut item
            ))?;
            wdf!(WdfSpinLockAcquire, lock);
            wdf!(WdfWorkItemFlush, item);
            wdf!(WdfSpinLockRelease, lock);
        }
        Violation::WaitLockAtDispatch => {
            let mut wait: WDFWAITLOCK = ptr::null_mut();
            ok(wdf!(WdfWaitLockCreate, &raw mut child, &raw mut wait))?;
            wdf!(WdfSpinLockAcquire, lock);
            let _ = wdf!(WdfWaitLockAcquire, wait, ptr::null_mut());
            wdf!(WdfWaitLockRelease, wait);
            wdf!(WdfSpinLockRelease, lock);
        }
        Violation::AbsentFunction => {
            let mut policy = WDF_IO_QUEUE_FORWARD_PROGRESS_POLICY {
                Size: size_field::<WDF_IO_QUEUE_FORWARD_PROGRESS_POLICY>(),
                TotalForwardProgressRequests: 1,
                ..WDF_IO_QUEUE_FORWARD_PROGRESS_POLICY::default()
            };
            let queue = wdf!(WdfDeviceGetDefaultQueue, device);
            let _ = wdf!(WdfIoQueueAssignForwardProgressPolicy, queue, &raw mut policy);
        }
        Violation::DeletedHandle => {
            let object = object(attributes())?;
            delete(object);
            reference(object);
        }
        Violation::WrongHandle => {
            wdf!(WdfSpinLockAcquire, device.cast());
        }
        Violation::CompletedTwice => {
            reference(request);
            finish(request, STATUS_SUCCESS, 0);
            finish(request, STATUS_SUCCESS, 0);
            return Ok(());
        }
        Violation::LockNotHeld => {
            wdf!(WdfSpinLockRelease, lock);
        }
        Violation::LockKept => {
            wdf!(WdfSpinLockAcquire, lock);
        }
    }
    finish(request, STATUS_SUCCESS, 0);
    Ok(())
}

/// Leaks a reference to an object, and a block of pool.
pub(crate) fn leak() -> Result<(), NTSTATUS> {
    let object = object(attributes())?;
    reference(object);
    delete(object);
    let block = allocate(LEAK_BYTES, LEAK_TAG);
    if block.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    Err(STATUS_SUCCESS)
}
