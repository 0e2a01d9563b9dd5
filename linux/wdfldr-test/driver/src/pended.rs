//! Cancellable requests, and who completes them.
//!
//! A request is completed by whoever has the turn, an atomic in its context. The framework forbids to unmark a request
//! that its cancel routine has completed, and to complete one before its cancel routine was called if unmarking said
//! `STATUS_CANCELLED`: the states below keep to both.

use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicPtr, AtomicU32};

use wdfldr_test_contract::RaceCount;
use wdk_sys::{
    NTSTATUS, STATUS_CANCELLED, STATUS_NOT_FOUND, STATUS_SUCCESS, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFREQUEST,
    WDFREQUEST__, WDFWORKITEM,
};

use crate::device::DEVICE;
use crate::requests::{REQUEST, finish, input, number, reply};
use crate::wdf::{ContextType, Zeroed, delete, dereference, ok, reference, size_field};

/// Nobody has the turn yet.
const PENDED: u32 = 1;
/// Somebody is about to unmark it.
const TAKEN: u32 = 2;
/// The cancel routine came while it was taken: who took it completes it.
const SEEN: u32 = 3;
/// Unmarking came too late, and the cancel routine has not come yet: it completes the request.
const LEFT: u32 = 4;
/// The cancel routine has the turn.
const CANCELLED: u32 = 5;

static CANCELS: AtomicU32 = AtomicU32::new(0);
static COMPLETED: AtomicU32 = AtomicU32::new(0);
static RACE_CANCELLED: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);

/// Makes the list of pended requests.
pub(crate) fn create(device: WDFDEVICE) -> Result<(), NTSTATUS> {
    DEVICE.of(device).pended.create(device)
}

/// Calls of `EvtRequestCancel`.
pub(crate) fn cancel_count() -> u32 {
    CANCELS.load(SeqCst)
}

/// How the races ended.
pub(crate) fn race_count() -> RaceCount {
    RaceCount {
        completed: COMPLETED.load(SeqCst),
        cancelled: RACE_CANCELLED.load(SeqCst),
        refused: REFUSED.load(SeqCst),
    }
}

/// Pends a request.
pub(crate) fn pend(device: WDFDEVICE, request: WDFREQUEST) -> Result<(), NTSTATUS> {
    let context = REQUEST.of(request);
    context.tag.store(number(input(request, 4)?, 0)?, SeqCst);
    context.turn.store(PENDED, SeqCst);
    let pended = &DEVICE.of(device).pended;
    pended.push(request)?;
    // Whoever takes it out of the list gives the reference back.
    reference(request);
    let marked = ok(wdf!(WdfRequestMarkCancelableEx, request, Some(evt_cancel)));
    if marked.is_err() && pended.remove(request) {
        dereference(request);
    }
    marked
}

/// Completes the request that was pended first. The reply is what unmarking it said.
pub(crate) fn unpend(device: WDFDEVICE, request: WDFREQUEST) -> Result<(), NTSTATUS> {
    let pended = DEVICE.of(device).pended.pop().ok_or(STATUS_NOT_FOUND)?;
    let tag = REQUEST.of(pended).tag.load(SeqCst);
    let status = take(pended);
    if status == Some(STATUS_SUCCESS) {
        reply(pended, STATUS_SUCCESS, &[tag, 0]);
    }
    dereference(pended);
    let status = status.ok_or(STATUS_NOT_FOUND)?;
    reply(request, STATUS_SUCCESS, &[status.cast_unsigned()]);
    Ok(())
}

/// Takes a request back from cancellation. `None`: the cancel routine had it already, and may have completed it. With
/// success the request is the caller's; with `STATUS_CANCELLED` it is being completed.
fn take(request: WDFREQUEST) -> Option<NTSTATUS> {
    let turn = &REQUEST.of(request).turn;
    turn.compare_exchange(PENDED, TAKEN, SeqCst, SeqCst).ok()?;
    let status = wdf!(WdfRequestUnmarkCancelable, request);
    if status == STATUS_CANCELLED && turn.compare_exchange(TAKEN, LEFT, SeqCst, SeqCst) == Err(SEEN) {
        finish(request, STATUS_CANCELLED, 0);
    }
    Some(status)
}

/// `EvtRequestCancel` of [`pend`].
extern "C" fn evt_cancel(request: WDFREQUEST) {
    CANCELS.fetch_add(1, SeqCst);
    let queue = wdf!(WdfRequestGetIoQueue, request);
    let device = wdf!(WdfIoQueueGetDevice, queue);
    let was_listed = DEVICE.of(device).pended.remove(request);
    cancelled(request);
    if was_listed {
        dereference(request);
    }
}

/// The cancel routine's part.
fn cancelled(request: WDFREQUEST) {
    let turn = &REQUEST.of(request).turn;
    let mine = loop {
        match turn.load(SeqCst) {
            PENDED if turn.compare_exchange(PENDED, CANCELLED, SeqCst, SeqCst).is_ok() => break true,
            TAKEN if turn.compare_exchange(TAKEN, SEEN, SeqCst, SeqCst).is_ok() => break false,
            LEFT => break true,
            PENDED | TAKEN => {}
            other => unreachable!("the cancel routine was called in state {other}"),
        }
    };
    if mine {
        finish(request, STATUS_CANCELLED, 0);
    }
}

/// A work item's context: the request to complete.
struct RaceContext {
    request: AtomicPtr<WDFREQUEST__>,
}

// SAFETY: a null pointer.
unsafe impl Zeroed for RaceContext {}

static RACE: ContextType<RaceContext> = ContextType::new(c"RaceContext", &RACE);

/// Pends a request and completes it from a work item.
pub(crate) fn race(device: WDFDEVICE, request: WDFREQUEST) -> Result<(), NTSTATUS> {
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(evt_race),
        AutomaticSerialization: 0,
    };
    let mut attributes = RACE.attributes();
    attributes.ParentObject = device.cast();
    let mut item: WDFWORKITEM = ptr::null_mut();
    ok(wdf!(
        WdfWorkItemCreate,
        &raw mut config,
        &raw mut attributes,
        &raw mut item
    ))?;
    RACE.of(item).request.store(request, SeqCst);
    REQUEST.of(request).turn.store(PENDED, SeqCst);
    reference(request);
    if let Err(status) = ok(wdf!(WdfRequestMarkCancelableEx, request, Some(evt_race_cancel))) {
        REFUSED.fetch_add(1, SeqCst);
        dereference(request);
        delete(item);
        return Err(status);
    }
    wdf!(WdfWorkItemEnqueue, item);
    Ok(())
}

extern "C" fn evt_race(item: WDFWORKITEM) {
    let request = RACE.of(item).request.load(SeqCst);
    if take(request) == Some(STATUS_SUCCESS) {
        COMPLETED.fetch_add(1, SeqCst);
        finish(request, STATUS_SUCCESS, 0);
    }
    dereference(request);
    delete(item);
}

extern "C" fn evt_race_cancel(request: WDFREQUEST) {
    RACE_CANCELLED.fetch_add(1, SeqCst);
    cancelled(request);
}
