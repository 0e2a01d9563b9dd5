//! Requests on their way in, and those that are answered at once.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use core::{ptr, slice};

use wdfldr_test_contract as contract;
use wdk_sys::{
    NTSTATUS, PVOID, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, ULONG, WDF_IO_QUEUE_CONFIG, WDF_REQUEST_PARAMETERS, WDFDEVICE, WDFQUEUE, WDFREQUEST,
};

use crate::files::FILE;
use crate::wdf::{ContextType, Zeroed, attributes, ok, size_field};
use crate::{cases, events, pended, queues, violate};

/// What every request carries.
pub(crate) struct RequestContext {
    /// Its input's first number.
    pub(crate) tag: AtomicU32,
    /// Its place in the order of delivery.
    pub(crate) order: AtomicU32,
    /// Who completes it, see [`pended`].
    pub(crate) turn: AtomicU32,
}

// SAFETY: numbers.
unsafe impl Zeroed for RequestContext {}

pub(crate) static REQUEST: ContextType<RequestContext> = ContextType::new(c"RequestContext", &REQUEST);

/// Creates the default queue. It is parallel: what a request asks may depend on another.
pub(crate) fn create_default_queue(device: WDFDEVICE) -> Result<(), NTSTATUS> {
    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size_field::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: wdk_sys::_WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel,
        PowerManaged: wdk_sys::_WDF_TRI_STATE::WdfFalse,
        DefaultQueue: 1,
        EvtIoDeviceControl: Some(evt_io_device_control),
        ..WDF_IO_QUEUE_CONFIG::default()
    };
    config.Settings.Parallel.NumberOfPresentedRequests = ULONG::MAX;
    let mut attributes = attributes();
    attributes.ExecutionLevel = wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    ok(wdf!(
        WdfIoQueueCreate,
        device,
        &raw mut config,
        &raw mut attributes,
        ptr::null_mut()
    ))
}

/// The input, of at least so many bytes.
pub(crate) fn input<'a>(request: WDFREQUEST, least: usize) -> Result<&'a [u8], NTSTATUS> {
    let mut start: PVOID = ptr::null_mut();
    let mut length = 0;
    ok(wdf!(
        WdfRequestRetrieveInputBuffer,
        request,
        least,
        &raw mut start,
        &raw mut length
    ))?;
    // SAFETY: the framework says that so many bytes are there, until the request is completed.
    Ok(unsafe { slice::from_raw_parts(start.cast(), length) })
}

/// The output, of at least so many bytes.
pub(crate) fn output<'a>(request: WDFREQUEST, least: usize) -> Result<&'a mut [u8], NTSTATUS> {
    let mut start: PVOID = ptr::null_mut();
    let mut length = 0;
    ok(wdf!(
        WdfRequestRetrieveOutputBuffer,
        request,
        least,
        &raw mut start,
        &raw mut length
    ))?;
    // SAFETY: the framework says that so many bytes are there, until the request is completed; any bytes are valid.
    Ok(unsafe { slice::from_raw_parts_mut(start.cast(), length) })
}

/// A number of the input.
pub(crate) fn number(bytes: &[u8], index: usize) -> Result<u32, NTSTATUS> {
    let bytes = bytes
        .get(index * 4..index * 4 + 4)
        .ok_or(STATUS_BUFFER_TOO_SMALL)?;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

/// Completes a request with numbers as its output.
pub(crate) fn reply(request: WDFREQUEST, status: NTSTATUS, numbers: &[u32]) {
    match output(request, size_of_val(numbers)) {
        Ok(output) => {
            for (place, byte) in output
                .iter_mut()
                .zip(numbers.iter().flat_map(|n| n.to_le_bytes()))
            {
                *place = byte;
            }
            finish(request, status, size_of_val(numbers));
        }
        Err(status) => finish(request, status, 0),
    }
}

/// Completes a request.
pub(crate) fn finish(request: WDFREQUEST, status: NTSTATUS, information: usize) {
    wdf!(
        WdfRequestCompleteWithInformation,
        request,
        status,
        information as wdk_sys::ULONG_PTR
    );
}

extern "C" fn evt_io_device_control(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    output_length: usize,
    input_length: usize,
    code: ULONG,
) {
    let device = wdf!(WdfIoQueueGetDevice, queue);
    if let Err(status) = answer(device, request, code, (input_length, output_length)) {
        finish(request, status, 0);
    }
}

/// Answers a request, or gives it away. An error is its answer.
fn answer(
    device: WDFDEVICE,
    request: WDFREQUEST,
    code: u32,
    lengths: (usize, usize),
) -> Result<(), NTSTATUS> {
    if let Some(queue) = contract::held_queue(code) {
        return queues::forward(device, request, queue);
    }
    match code {
        contract::RUN_CASE => cases::start(device, request),
        contract::ECHO | contract::ECHO_OUT_DIRECT => echo(request),
        contract::INFORMATION => {
            let information = number(input(request, 8)?, 1)?;
            finish(request, STATUS_SUCCESS, information as usize);
            Ok(())
        }
        contract::STATUS => Err(number(input(request, 8)?, 1)?.cast_signed()),
        contract::FILE_ID => {
            let file = wdf!(WdfRequestGetFileObject, request);
            reply(request, STATUS_SUCCESS, &[FILE.of(file).id.load(SeqCst)]);
            Ok(())
        }
        contract::FILE_EVENTS => {
            let events = events::of(number(input(request, 8)?, 1)?);
            reply(request, STATUS_SUCCESS, &events);
            Ok(())
        }
        contract::PARAMETERS => parameters(request, code, lengths),
        contract::PEND => pended::pend(device, request),
        contract::UNPEND => pended::unpend(device, request),
        contract::CANCEL_COUNT => {
            reply(request, STATUS_SUCCESS, &[pended::cancel_count()]);
            Ok(())
        }
        contract::PEND_AND_COMPLETE => pended::race(device, request),
        contract::RACE_COUNT => {
            let count = pended::race_count();
            reply(
                request,
                STATUS_SUCCESS,
                &[count.completed, count.cancelled, count.refused],
            );
            Ok(())
        }
        contract::QUEUES_RESET => {
            queues::reset(device);
            Err(STATUS_SUCCESS)
        }
        contract::VIOLATE => {
            let violation = number(input(request, 8)?, 1)?;
            let violation = contract::Violation::of(violation).ok_or(STATUS_INVALID_PARAMETER)?;
            violate::start(device, request, violation)
        }
        contract::LEAK => violate::leak(),
        _ => queues::control(device, request, code),
    }
}

/// Copies input to output, which must both have 8 bytes.
fn echo(request: WDFREQUEST) -> Result<(), NTSTATUS> {
    let length = {
        let from = input(request, 8)?;
        let mut bytes = [0; 64];
        let length = from.len().min(bytes.len());
        // With METHOD_BUFFERED input and output are one buffer: never both borrowed.
        bytes[..length].copy_from_slice(&from[..length]);
        let to = output(request, 8)?;
        let length = length.min(to.len());
        to[..length].copy_from_slice(&bytes[..length]);
        length
    };
    finish(request, STATUS_SUCCESS, length);
    Ok(())
}

fn parameters(request: WDFREQUEST, code: u32, lengths: (usize, usize)) -> Result<(), NTSTATUS> {
    let mut parameters = WDF_REQUEST_PARAMETERS {
        Size: u16::try_from(size_of::<WDF_REQUEST_PARAMETERS>()).unwrap_or(0),
        ..WDF_REQUEST_PARAMETERS::default()
    };
    wdf!(WdfRequestGetParameters, request, &raw mut parameters);
    // SAFETY: the request is a device control, so this is the member that is there.
    let control = unsafe { parameters.Parameters.DeviceIoControl };
    let right = parameters.Type == wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControl
        && control.IoControlCode == code
        && (control.InputBufferLength, control.OutputBufferLength) == lengths;
    Err(if right {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_DEVICE_REQUEST
    })
}
