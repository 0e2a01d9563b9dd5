//! What is shown inside the driver: a case each, by the name that the runner asks for.
//!
//! A case runs in a work item of its own, at `PASSIVE_LEVEL`, and may wait.

mod device;
mod dpc;
mod memory;
mod object;
mod registry;
mod sync;
mod timer;
mod work;

pub(crate) use device::control_device;

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;

use wdfldr_test_contract as contract;
use wdk_sys::{
    NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFREQUEST,
    WDFREQUEST__, WDFWORKITEM,
};

use crate::check::Verdict;
use crate::requests::{finish, input, output};
use crate::wdf::{ContextType, Zeroed, delete, ok, size_field};

/// A case, given the device on which it was asked for.
type Case = fn(WDFDEVICE) -> Verdict;

macro_rules! find {
    ($($module:ident: [$($case:ident,)*],)*) => {
        fn find(name: &str) -> Option<Case> {
            match name {
                $($(concat!(stringify!($module), "::", stringify!($case)) => Some($module::$case),)*)*
                _ => None,
            }
        }
    };
}
contract::for_each_case!(find);

/// What a case's work item carries.
struct Start {
    request: AtomicPtr<WDFREQUEST__>,
}

// SAFETY: a null pointer.
unsafe impl Zeroed for Start {}

static START: ContextType<Start> = ContextType::new(c"Start", &START);

/// Starts the case that a request names.
pub(crate) fn start(device: WDFDEVICE, request: WDFREQUEST) -> Result<(), NTSTATUS> {
    named(request)?;
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(evt_case),
        AutomaticSerialization: 0,
    };
    let mut attributes = START.attributes();
    attributes.ParentObject = device.cast();
    let mut item: WDFWORKITEM = ptr::null_mut();
    ok(wdf!(
        WdfWorkItemCreate,
        &raw mut config,
        &raw mut attributes,
        &raw mut item
    ))?;
    START.of(item).request.store(request, SeqCst);
    wdf!(WdfWorkItemEnqueue, item);
    Ok(())
}

fn named(request: WDFREQUEST) -> Result<Case, NTSTATUS> {
    let name = core::str::from_utf8(input(request, 1)?).map_err(|_| STATUS_INVALID_PARAMETER)?;
    find(name).ok_or(STATUS_INVALID_PARAMETER)
}

extern "C" fn evt_case(item: WDFWORKITEM) {
    let request = START.of(item).request.load(SeqCst);
    let device: WDFDEVICE = wdf!(WdfWorkItemGetParentObject, item).cast();
    // The name is in the buffer that the verdict is written to: it is read before.
    match named(request) {
        Ok(case) => answer(request, &case(device)),
        Err(status) => finish(request, status, 0),
    }
    delete(item);
}

fn answer(request: WDFREQUEST, verdict: &Verdict) {
    let (first, reason) = match verdict {
        Ok(()) => (contract::PASSED, ""),
        Err(reason) => (contract::FAILED, reason.as_str()),
    };
    match output(request, 1) {
        Ok(output) => {
            output[0] = first;
            let length = reason.len().min(output.len() - 1);
            output[1..=length].copy_from_slice(&reason.as_bytes()[..length]);
            finish(request, STATUS_SUCCESS, length + 1);
        }
        Err(status) => finish(request, status, 0),
    }
}
