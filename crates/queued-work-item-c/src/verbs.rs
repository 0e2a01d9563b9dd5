//! All that is done with a queue.

use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::time::Duration;

use queued_work_item::{Close, NtStatus, Passive, WaitError, WaitOutcome};

use crate::callbacks::{Done, Ended, EvtCompletion, Running};
use crate::config::Queue;

/// The queue that a handle stands for, for the time of a call.
///
/// # Safety
/// From `QwiCreate`, and not deleted.
unsafe fn borrow(queue: NonNull<c_void>) -> ManuallyDrop<Queue> {
    // SAFETY: `QwiCreate` gave it out, and it is not dropped here.
    ManuallyDrop::new(unsafe { Queue::from_raw(queue.cast()) })
}

/// The caller's bytes, for the time of a call.
///
/// # Safety
/// `start` is the address of `length` bytes that nobody writes meanwhile; it may be anything when there are none.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Result<&'a [u8], NtStatus> {
    if length == 0 {
        return Ok(&[]);
    }
    // A slice may not be longer, and no queue takes as much.
    if start.is_null() || isize::try_from(length).is_err() {
        return Err(NtStatus::INVALID_BUFFER_SIZE);
    }
    // SAFETY: by the caller's promise, and not null.
    Ok(unsafe { core::slice::from_raw_parts(start.cast(), length) })
}

/// Copies a payload in and queues it.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiEnqueue(
    queue: NonNull<c_void>,
    payload: *const c_void,
    length: usize,
) -> i32 {
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    // SAFETY: the caller's bytes.
    let payload = match unsafe { bytes(payload, length) } {
        Ok(payload) => payload,
        Err(status) => return status.0,
    };
    match queue.enqueue(payload) {
        Ok(()) => NtStatus::SUCCESS.0,
        Err(error) => error.status().0,
    }
}

/// The same, and tells once what became of it.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiEnqueueWithCompletion(
    queue: NonNull<c_void>,
    payload: *const c_void,
    length: usize,
    completion: Option<EvtCompletion>,
    context: *mut c_void,
) -> i32 {
    let Some(completion) = completion else {
        return NtStatus::INVALID_PARAMETER.0;
    };
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    // SAFETY: the caller's bytes.
    let payload = match unsafe { bytes(payload, length) } {
        Ok(payload) => payload,
        Err(status) => return status.0,
    };
    match queue.enqueue_with(payload, Done::new(completion, context)) {
        Ok(()) => NtStatus::SUCCESS.0,
        Err(error) => error.status().0,
    }
}

/// Copies a payload in, queues it and waits for its run.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiEnqueueAndWait(
    queue: NonNull<c_void>,
    payload: *const c_void,
    length: usize,
    timeout: *const i64,
    outcome: *mut Ended,
) -> i32 {
    // SAFETY: the caller's arguments, as they are.
    let (ended, status) = match unsafe { wait(queue, payload, length, timeout) } {
        Ok(ended) => ended,
        Err(status) => (Ended::Refused, status),
    };
    if !outcome.is_null() {
        // SAFETY: the caller's.
        unsafe { outcome.write(ended) };
    }
    status.0
}

/// # Safety
/// As for [`QwiEnqueueAndWait`].
unsafe fn wait(
    queue: NonNull<c_void>,
    payload: *const c_void,
    length: usize,
    timeout: *const i64,
) -> Result<(Ended, NtStatus), NtStatus> {
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    // SAFETY: the caller's bytes.
    let payload = unsafe { bytes(payload, length) }?;
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    let waited = if timeout.is_null() {
        queue.enqueue_and_wait(passive, payload).map(WaitOutcome::Ran)
    } else {
        // SAFETY: the caller's, and not null.
        let timeout = duration(unsafe { timeout.read() })?;
        queue.enqueue_and_wait_timeout(passive, payload, timeout)
    };
    Ok(match waited {
        Ok(WaitOutcome::Ran(status)) => (Ended::Ran, status),
        Ok(WaitOutcome::TimedOut) => (Ended::TimedOut, NtStatus::TIMEOUT),
        Err(WaitError::Cancelled) => (Ended::Cancelled, NtStatus::CANCELLED),
        Err(error) => (Ended::Refused, error.status()),
    })
}

/// A relative time of the kernel's: negative, in units of 100 ns. A date is refused.
fn duration(timeout: i64) -> Result<Duration, NtStatus> {
    const UNITS_PER_SECOND: u64 = 10_000_000;
    if timeout > 0 {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let units = timeout.unsigned_abs();
    let nanoseconds = (units % UNITS_PER_SECOND) as u32 * 100;
    Ok(Duration::new(units / UNITS_PER_SECOND, nanoseconds))
}

/// Sets what a waiter or a completion is told of the running item.
///
/// # Safety
/// As the header says: from the item's callback.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiStatusSet(item: NonNull<Running>, status: i32) {
    // SAFETY: it lies on the stack of the callback's caller.
    unsafe { item.as_ref() }.set_status(NtStatus(status));
}

/// Waits for everything that was enqueued before.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiFlush(queue: NonNull<c_void>) -> i32 {
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    match queue.flush(passive) {
        Ok(()) => NtStatus::SUCCESS.0,
        Err(error) => error.status().0,
    }
}

/// Drops what has not begun and counts it.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiCancel(queue: NonNull<c_void>) -> u64 {
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    queue.cancel(passive)
}

/// Lets no further item begin.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiStop(queue: NonNull<c_void>) {
    // SAFETY: the caller's handle.
    unsafe { borrow(queue) }.stop();
}

/// The same, and waits for the one that runs.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiStopAndWait(queue: NonNull<c_void>) -> i32 {
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    match queue.stop_and_wait(passive) {
        Ok(()) => NtStatus::SUCCESS.0,
        Err(error) => error.status().0,
    }
}

/// Lets items begin again.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiStart(queue: NonNull<c_void>) {
    // SAFETY: the caller's handle.
    unsafe { borrow(queue) }.start();
}

/// Closes the queue. `how` is a `QWI_CLOSE`.
///
/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiClose(queue: NonNull<c_void>, how: i32, cancelled: *mut u64) -> i32 {
    let how = match how {
        0 => Close::Drain,
        1 => Close::Cancel,
        _ => return NtStatus::INVALID_PARAMETER.0,
    };
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let passive = &mut unsafe { Passive::assume() };
    let closed = match queue.close(passive, how) {
        Ok(closed) => closed,
        Err(error) => return error.status().0,
    };
    if !cancelled.is_null() {
        // SAFETY: the caller's.
        unsafe { cancelled.write(closed.cancelled) };
    }
    NtStatus::SUCCESS.0
}

/// Ends the handle.
///
/// # Safety
/// As the header says: it is not used again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiDelete(queue: NonNull<c_void>) {
    // SAFETY: given out by `QwiCreate`, and taken back once.
    drop(unsafe { Queue::from_raw(queue.cast()) });
}

/// `QWI_COUNTERS`
#[repr(C)]
pub(crate) struct QwiCounters {
    size: u32,
    length: u32,
    capacity: u32,
    high_water_mark: u32,
    enqueued: u64,
    executed: u64,
    cancelled: u64,
    refused_full: u64,
    refused_too_long: u64,
    refused_closing: u64,
}

/// Tells what happened so far.
///
/// # Safety
/// As the header says; `counters` begins with a size that is its own.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn QwiCountersGet(
    queue: NonNull<c_void>,
    counters: NonNull<QwiCounters>,
) -> i32 {
    // SAFETY: every version of the structure begins with its size.
    let size = unsafe { counters.cast::<u32>().read() };
    if size as usize != size_of::<QwiCounters>() {
        return wdk_sys::STATUS_INFO_LENGTH_MISMATCH;
    }
    // SAFETY: the caller's handle.
    let queue = unsafe { borrow(queue) };
    let told = queue.counters();
    let filled = QwiCounters {
        size,
        length: queue.len(),
        capacity: queue.capacity(),
        high_water_mark: queue.high_water_mark(),
        enqueued: told.enqueued,
        executed: told.executed,
        cancelled: told.cancelled,
        refused_full: told.refused_full,
        refused_too_long: told.refused_too_long,
        refused_closing: told.refused_closing,
    };
    // SAFETY: it is this version of the structure, the caller's.
    unsafe { counters.write(filled) };
    NtStatus::SUCCESS.0
}
