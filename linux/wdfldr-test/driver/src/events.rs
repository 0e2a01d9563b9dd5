//! The record of the framework's callbacks, in order, from `DriverEntry` to `EvtDriverUnload`.
//!
//! What happens after the device is gone cannot be asked of it: at unload the record is written to the registry.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, AtomicUsize};

use wdfldr_test_contract::{EVENTS_VALUE, Event};
use wdk_sys::{KEY_WRITE, NTSTATUS, REG_BINARY, WDFDRIVER, WDFKEY};

use crate::wdf::{ok, unicode_string};

const ROOM: usize = 1024;

static RECORD: [AtomicU32; ROOM] = [const { AtomicU32::new(u32::MAX) }; ROOM];
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Records a callback of the device or the driver.
pub(crate) fn record(event: Event) {
    record_of(event, 0);
}

/// Records a callback for a file object; ids begin with 1.
pub(crate) fn record_of(event: Event, file: u32) {
    let at = LENGTH.fetch_add(1, SeqCst);
    // A runner with a thousand handles has no use for the rest.
    if let Some(place) = RECORD.get(at) {
        place.store(event as u32 | (file << 8), SeqCst);
    }
}

/// The callbacks made for a file object, or with 0 those for the device and the driver.
pub(crate) fn of(file: u32) -> Vec<u32> {
    let length = LENGTH.load(SeqCst).min(ROOM);
    let entries = RECORD[..length].iter().map(|entry| entry.load(SeqCst));
    entries
        .filter(|entry| *entry != u32::MAX && entry >> 8 == file)
        .map(|entry| entry & 0xFF)
        .collect()
}

/// Writes the record of device and driver to the Parameters key.
pub(crate) fn save(driver: WDFDRIVER) -> Result<(), NTSTATUS> {
    let mut key: WDFKEY = ptr::null_mut();
    ok(wdf!(
        WdfDriverOpenParametersRegistryKey,
        driver,
        KEY_WRITE,
        ptr::null_mut(),
        &raw mut key
    ))?;
    let mut bytes: Vec<u8> = of(0).iter().flat_map(|event| event.to_le_bytes()).collect();
    let name = utf16!(EVENTS_VALUE);
    let name = unicode_string(&name);
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    let status = wdf!(
        WdfRegistryAssignValue,
        key,
        &raw const name,
        REG_BINARY,
        length,
        bytes.as_mut_ptr().cast()
    );
    wdf!(WdfRegistryClose, key);
    ok(status)
}
