//! Creations of every kind, one after the other, in `DriverEntry`.
//!
//! The runner makes one allocation after the other fail. Each time the failing call must say so, `DriverEntry` fails,
//! and the framework takes back all that there was: the runtime's account at unload shows it.

use core::ptr;

use wdk_sys::{
    NTSTATUS, PVOID, STATUS_INSUFFICIENT_RESOURCES, WDF_DPC_CONFIG, WDF_TIMER_CONFIG, WDF_WORKITEM_CONFIG,
    WDFCOLLECTION, WDFDPC, WDFDRIVER, WDFLOOKASIDE, WDFMEMORY, WDFOBJECT, WDFSPINLOCK, WDFSTRING, WDFTIMER,
    WDFWAITLOCK, WDFWORKITEM,
};

use crate::cases::control_device;
use crate::device::DEVICE;
use crate::wdf::{allocate, attributes, child_of, object, ok, size_field, unicode_string};

const POOL: wdk_sys::POOL_TYPE = wdk_sys::_POOL_TYPE::NonPagedPoolNx;
const TAG: u32 = u32::from_le_bytes(*b"WTsq");

extern "C" fn evt_work(_: WDFWORKITEM) {}
extern "C" fn evt_timer(_: WDFTIMER) {}
extern "C" fn evt_dpc(_: WDFDPC) {}

/// Goes through the sequence. What was made when a step fails is the framework's to take back.
pub(crate) fn run(_driver: WDFDRIVER) -> Result<(), NTSTATUS> {
    let parent = object(DEVICE.attributes())?;
    let mut context: PVOID = ptr::null_mut();
    let bare = object(attributes())?;
    let mut more = DEVICE.attributes();
    ok(wdf!(
        WdfObjectAllocateContext,
        bare,
        &raw mut more,
        &raw mut context
    ))?;
    memory(parent)?;
    locks(parent)?;
    strings(parent)?;
    pool()?;
    let device = control_device()?;
    callbacks(device.0.cast())
}

fn memory(parent: WDFOBJECT) -> Result<(), NTSTATUS> {
    let mut attributes = child_of(parent);
    let mut memory: WDFMEMORY = ptr::null_mut();
    ok(wdf!(
        WdfMemoryCreate,
        &raw mut attributes,
        POOL,
        TAG,
        1000,
        &raw mut memory,
        ptr::null_mut()
    ))?;
    // The object never looks into its buffer, so it may be anything that lives as long.
    let buffer: PVOID = DEVICE.find(parent).cast();
    ok(wdf!(
        WdfMemoryCreatePreallocated,
        &raw mut attributes,
        buffer,
        16,
        &raw mut memory
    ))?;
    let mut lookaside: WDFLOOKASIDE = ptr::null_mut();
    let mut memories = child_of(parent);
    ok(wdf!(
        WdfLookasideListCreate,
        &raw mut attributes,
        64,
        POOL,
        &raw mut memories,
        TAG,
        &raw mut lookaside
    ))?;
    for _ in 0..3 {
        ok(wdf!(WdfMemoryCreateFromLookaside, lookaside, &raw mut memory))?;
    }
    Ok(())
}

fn locks(parent: WDFOBJECT) -> Result<(), NTSTATUS> {
    let mut attributes = child_of(parent);
    let mut spin: WDFSPINLOCK = ptr::null_mut();
    ok(wdf!(WdfSpinLockCreate, &raw mut attributes, &raw mut spin))?;
    let mut wait: WDFWAITLOCK = ptr::null_mut();
    ok(wdf!(WdfWaitLockCreate, &raw mut attributes, &raw mut wait))
}

fn strings(parent: WDFOBJECT) -> Result<(), NTSTATUS> {
    let mut attributes = child_of(parent);
    let content = utf16!("a string of the sequence");
    let content = unicode_string(&content);
    let mut string: WDFSTRING = ptr::null_mut();
    ok(wdf!(
        WdfStringCreate,
        &raw const content,
        &raw mut attributes,
        &raw mut string
    ))?;
    let mut collection: WDFCOLLECTION = ptr::null_mut();
    ok(wdf!(
        WdfCollectionCreate,
        &raw mut attributes,
        &raw mut collection
    ))?;
    ok(wdf!(WdfCollectionAdd, collection, string.cast()))
}

fn pool() -> Result<(), NTSTATUS> {
    let block = allocate(100, TAG);
    if block.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: just allocated.
    unsafe { wdk_sys::ntddk::ExFreePoolWithTag(block, TAG) };
    Ok(())
}

fn callbacks(device: WDFOBJECT) -> Result<(), NTSTATUS> {
    let mut attributes = child_of(device);
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(evt_work),
        AutomaticSerialization: 0,
    };
    let mut item: WDFWORKITEM = ptr::null_mut();
    ok(wdf!(
        WdfWorkItemCreate,
        &raw mut config,
        &raw mut attributes,
        &raw mut item
    ))?;
    let mut config = WDF_TIMER_CONFIG {
        Size: size_field::<WDF_TIMER_CONFIG>(),
        EvtTimerFunc: Some(evt_timer),
        ..WDF_TIMER_CONFIG::default()
    };
    let mut timer: WDFTIMER = ptr::null_mut();
    ok(wdf!(
        WdfTimerCreate,
        &raw mut config,
        &raw mut attributes,
        &raw mut timer
    ))?;
    let mut config = WDF_DPC_CONFIG {
        Size: size_field::<WDF_DPC_CONFIG>(),
        EvtDpcFunc: Some(evt_dpc),
        AutomaticSerialization: 0,
    };
    let mut dpc: WDFDPC = ptr::null_mut();
    ok(wdf!(
        WdfDpcCreate,
        &raw mut config,
        &raw mut attributes,
        &raw mut dpc
    ))
}
