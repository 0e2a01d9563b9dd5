//! The WdfRequest functions.

use core::ffi::c_void;
use core::ptr;

use wdk_sys::{
    BOOLEAN, CCHAR, KPROCESSOR_MODE, NTSTATUS, PFN_WDF_REQUEST_CANCEL, PIRP, PMDL, PVOID,
    PWDF_REQUEST_PARAMETERS, ULONG_PTR, WDFFILEOBJECT, WDFMEMORY, WDFQUEUE, WDFREQUEST,
};

use super::buffers::{self, Side};
use super::{State, alive, cancel, complete, drivers, parameters};
use crate::call::{self, Call, wdf};
use crate::io::file;
use crate::io::queue::{self, Queue};
use crate::nt::ffi;
use crate::object::Ref;

use super::Request;

wdf! {
    /// WdfRequestComplete. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestComplete(call, request: WDFREQUEST, status: NTSTATUS) {
        call.at_most_dispatch();
        complete::by_driver(call, request, status, None, 0);
    }

    /// WdfRequestCompleteWithPriorityBoost. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestCompleteWithPriorityBoost(call, request: WDFREQUEST, status: NTSTATUS, boost: CCHAR) {
        call.at_most_dispatch();
        complete::by_driver(call, request, status, None, boost);
    }

    /// WdfRequestCompleteWithInformation. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestCompleteWithInformation(call, request: WDFREQUEST, status: NTSTATUS, information: ULONG_PTR) {
        call.at_most_dispatch();
        complete::by_driver(call, request, status, Some(information), 0);
    }

    /// WdfRequestSetInformation. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestSetInformation(call, request: WDFREQUEST, information: ULONG_PTR) {
        alive(call, request).irp().set_information(information);
    }

    /// WdfRequestGetInformation. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestGetInformation(call, request: WDFREQUEST) -> ULONG_PTR {
        alive(call, request).irp().information()
    }

    /// WdfRequestGetStatus. IRQL: <= DISPATCH_LEVEL. What a completed request, to which the driver has a reference, was
    /// completed with; STATUS_SUCCESS before.
    fn WdfRequestGetStatus(call, request: WDFREQUEST) -> NTSTATUS {
        call.get::<Request>(request).core().status
    }

    /// WdfRequestGetParameters. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestGetParameters(call, request: WDFREQUEST, parameters: PWDF_REQUEST_PARAMETERS) {
        let request = alive(call, request);
        let _ = queue::api::parameters_size(call, parameters);
        call::write(parameters, parameters::of(&request));
    }

    /// WdfRequestGetRequestorMode. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestGetRequestorMode(call, request: WDFREQUEST) -> KPROCESSOR_MODE {
        alive(call, request).irp().requestor_mode()
    }

    /// WdfRequestIsFrom32BitProcess. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestIsFrom32BitProcess(call, request: WDFREQUEST) -> BOOLEAN {
        let irp = alive(call, request).irp().as_ptr();
        // SAFETY: the IRP is alive.
        unsafe { ffi::IoIs32bitProcess(irp) }
    }

    /// WdfRequestIsReserved. IRQL: <= DISPATCH_LEVEL. No queue has a forward progress policy here, so none is.
    fn WdfRequestIsReserved(call, request: WDFREQUEST) -> BOOLEAN {
        let _ = call.get::<Request>(request);
        0
    }

    /// WdfRequestWdmGetIrp. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestWdmGetIrp(call, request: WDFREQUEST) -> PIRP {
        alive(call, request).irp().as_ptr()
    }

    /// WdfRequestGetIoQueue. IRQL: <= DISPATCH_LEVEL. Null if no queue delivered it.
    fn WdfRequestGetIoQueue(call, request: WDFREQUEST) -> WDFQUEUE {
        alive(call, request).queue().map_or(ptr::null_mut(), |queue| queue.header().handle())
    }

    /// WdfRequestGetFileObject. IRQL: <= DISPATCH_LEVEL. Null if the device has no WDFFILEOBJECTs.
    fn WdfRequestGetFileObject(call, request: WDFREQUEST) -> WDFFILEOBJECT {
        let request = alive(call, request);
        let device = request.core().device.clone();
        device
            .and_then(|device| file::find(&device, request.file))
            .map_or(ptr::null_mut(), |file| file.header().handle())
    }

    /// WdfRequestIsCanceled. IRQL: <= DISPATCH_LEVEL. For requests that the driver has and did not mark cancelable.
    fn WdfRequestIsCanceled(call, request: WDFREQUEST) -> BOOLEAN {
        let request = drivers(call, request);
        let core = request.core();
        if core.state == State::Cancelable {
            let state = core.state;
            drop(core);
            call.violation(format_args!("WDFREQUEST {:#x} is {state}", request.header().raw_handle()));
        }
        (core.cancelled || request.irp().is_cancelled()).into()
    }

    /// WdfRequestMarkCancelable. IRQL: <= DISPATCH_LEVEL. If the request is cancelled already, EvtRequestCancel is called
    /// for it, possibly before this returns.
    fn WdfRequestMarkCancelable(call, request: WDFREQUEST, routine: PFN_WDF_REQUEST_CANCEL) {
        call.at_most_dispatch();
        // Without `report` it does not fail.
        let _ = cancel::mark(call, request, routine, false);
    }

    /// WdfRequestMarkCancelableEx. IRQL: <= DISPATCH_LEVEL. STATUS_CANCELLED if the request is cancelled already:
    /// EvtRequestCancel is not called then, and the driver completes the request.
    fn WdfRequestMarkCancelableEx(call, request: WDFREQUEST, routine: PFN_WDF_REQUEST_CANCEL) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            cancel::mark(call, request, routine, true)
        })
    }

    /// WdfRequestUnmarkCancelable. IRQL: <= DISPATCH_LEVEL. STATUS_CANCELLED if EvtRequestCancel was called or will be.
    fn WdfRequestUnmarkCancelable(call, request: WDFREQUEST) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            cancel::unmark(call, request)
        })
    }

    /// WdfRequestForwardToIoQueue. IRQL: <= DISPATCH_LEVEL. On failure the driver still owns the request.
    fn WdfRequestForwardToIoQueue(call, request: WDFREQUEST, queue: WDFQUEUE) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let queue = call.get::<Queue>(queue);
            queue::forward(call, &drivers(call, request), &queue)
        })
    }

    /// WdfRequestRequeue. IRQL: <= DISPATCH_LEVEL. Back to the head of the manual queue that it is from.
    fn WdfRequestRequeue(call, request: WDFREQUEST) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            queue::requeue(call, &drivers(call, request))
        })
    }

    /// WdfRequestStopAcknowledge. IRQL: <= DISPATCH_LEVEL. Answers EvtIoStop.
    fn WdfRequestStopAcknowledge(call, request: WDFREQUEST, requeue: BOOLEAN) {
        call.at_most_dispatch();
        queue::power::acknowledge(call, &drivers(call, request), requeue != 0);
    }

    /// WdfRequestRetrieveInputBuffer. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestRetrieveInputBuffer(
        call,
        request: WDFREQUEST,
        least: usize,
        buffer: *mut PVOID,
        length: *mut usize,
    ) -> NTSTATUS {
        retrieve(call, request, Side::Input, least, buffer, length, buffers::retrieve)
    }

    /// WdfRequestRetrieveOutputBuffer. IRQL: <= DISPATCH_LEVEL.
    fn WdfRequestRetrieveOutputBuffer(
        call,
        request: WDFREQUEST,
        least: usize,
        buffer: *mut PVOID,
        length: *mut usize,
    ) -> NTSTATUS {
        retrieve(call, request, Side::Output, least, buffer, length, buffers::retrieve)
    }

    /// WdfRequestRetrieveUnsafeUserInputBuffer. IRQL: PASSIVE_LEVEL, from EvtIoInCallerContext.
    fn WdfRequestRetrieveUnsafeUserInputBuffer(
        call,
        request: WDFREQUEST,
        least: usize,
        buffer: *mut PVOID,
        length: *mut usize,
    ) -> NTSTATUS {
        retrieve(call, request, Side::Input, least, buffer, length, buffers::retrieve_user)
    }

    /// WdfRequestRetrieveUnsafeUserOutputBuffer. IRQL: PASSIVE_LEVEL, from EvtIoInCallerContext.
    fn WdfRequestRetrieveUnsafeUserOutputBuffer(
        call,
        request: WDFREQUEST,
        least: usize,
        buffer: *mut PVOID,
        length: *mut usize,
    ) -> NTSTATUS {
        retrieve(call, request, Side::Output, least, buffer, length, buffers::retrieve_user)
    }

    /// WdfRequestRetrieveInputMemory. IRQL: <= DISPATCH_LEVEL. The memory lives as long as the request.
    fn WdfRequestRetrieveInputMemory(call, request: WDFREQUEST, memory: *mut WDFMEMORY) -> NTSTATUS {
        retrieve_memory(call, request, Side::Input, memory)
    }

    /// WdfRequestRetrieveOutputMemory. IRQL: <= DISPATCH_LEVEL. The memory lives as long as the request.
    fn WdfRequestRetrieveOutputMemory(call, request: WDFREQUEST, memory: *mut WDFMEMORY) -> NTSTATUS {
        retrieve_memory(call, request, Side::Output, memory)
    }

    /// WdfRequestRetrieveInputWdmMdl. IRQL: <= DISPATCH_LEVEL. The MDL lives as long as the request.
    fn WdfRequestRetrieveInputWdmMdl(call, request: WDFREQUEST, mdl: *mut PMDL) -> NTSTATUS {
        retrieve_mdl(call, request, Side::Input, mdl)
    }

    /// WdfRequestRetrieveOutputWdmMdl. IRQL: <= DISPATCH_LEVEL. The MDL lives as long as the request.
    fn WdfRequestRetrieveOutputWdmMdl(call, request: WDFREQUEST, mdl: *mut PMDL) -> NTSTATUS {
        retrieve_mdl(call, request, Side::Output, mdl)
    }
}

/// A way to a buffer: address and length.
type Retrieve = fn(&Request, Side, usize) -> Result<(*mut c_void, usize), NTSTATUS>;

fn retrieve(
    call: &Call,
    request: WDFREQUEST,
    side: Side,
    least: usize,
    buffer: *mut PVOID,
    length: *mut usize,
    from: Retrieve,
) -> NTSTATUS {
    call.run(|| {
        call.at_most_dispatch();
        call::write(buffer, ptr::null_mut());
        call::write(length, 0);
        let request: Ref<Request> = drivers(call, request);
        let (address, bytes) = from(&request, side, least)?;
        call::write(buffer, address);
        call::write(length, bytes);
        Ok(())
    })
}

fn retrieve_memory(call: &Call, request: WDFREQUEST, side: Side, memory: *mut WDFMEMORY) -> NTSTATUS {
    call.run(|| {
        call.at_most_dispatch();
        call::write(memory, ptr::null_mut());
        let handle = buffers::memory_of(call, &drivers(call, request), side)?;
        call::write(memory, ptr::without_provenance_mut(handle));
        Ok(())
    })
}

fn retrieve_mdl(call: &Call, request: WDFREQUEST, side: Side, mdl: *mut PMDL) -> NTSTATUS {
    call.run(|| {
        call.at_most_dispatch();
        call::write(mdl, ptr::null_mut());
        call::write(mdl, buffers::mdl(&drivers(call, request), side)?);
        Ok(())
    })
}
