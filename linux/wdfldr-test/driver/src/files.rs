//! File objects: each has an id in its context, and its callbacks are recorded under it.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use wdfldr_test_contract::Event;
use wdk_sys::{
    PWDFDEVICE_INIT, STATUS_SUCCESS, WDF_FILEOBJECT_CONFIG, WDFDEVICE, WDFFILEOBJECT, WDFOBJECT, WDFREQUEST,
};

use crate::events::record_of;
use crate::wdf::{ContextType, Zeroed, size_field};

/// What a file object carries.
pub(crate) struct FileContext {
    pub(crate) id: AtomicU32,
}

// SAFETY: a number.
unsafe impl Zeroed for FileContext {}

pub(crate) static FILE: ContextType<FileContext> = ContextType::new(c"FileContext", &FILE);

static IDS: AtomicU32 = AtomicU32::new(0);

/// Makes the device have file objects.
pub(crate) fn configure(init: PWDFDEVICE_INIT) {
    let mut config = WDF_FILEOBJECT_CONFIG {
        Size: size_field::<WDF_FILEOBJECT_CONFIG>(),
        EvtDeviceFileCreate: Some(evt_create),
        EvtFileCleanup: Some(evt_cleanup),
        EvtFileClose: Some(evt_close),
        AutoForwardCleanupClose: wdk_sys::_WDF_TRI_STATE::WdfUseDefault,
        FileObjectClass: wdk_sys::_WDF_FILEOBJECT_CLASS::WdfFileObjectWdfCanUseFsContext,
    };
    let mut attributes = FILE.attributes();
    attributes.EvtCleanupCallback = Some(evt_object_cleanup);
    attributes.EvtDestroyCallback = Some(evt_object_destroy);
    wdf!(
        WdfDeviceInitSetFileObjectConfig,
        init,
        &raw mut config,
        &raw mut attributes
    );
}

extern "C" fn evt_create(_device: WDFDEVICE, request: WDFREQUEST, file: WDFFILEOBJECT) {
    let id = IDS.fetch_add(1, SeqCst) + 1;
    FILE.of(file).id.store(id, SeqCst);
    record_of(Event::FileCreate, id);
    wdf!(WdfRequestComplete, request, STATUS_SUCCESS);
}

extern "C" fn evt_cleanup(file: WDFFILEOBJECT) {
    record_of(Event::FileCleanup, FILE.of(file).id.load(SeqCst));
}

extern "C" fn evt_close(file: WDFFILEOBJECT) {
    record_of(Event::FileClose, FILE.of(file).id.load(SeqCst));
}

extern "C" fn evt_object_cleanup(file: WDFOBJECT) {
    record_of(Event::FileObjectCleanup, FILE.of(file).id.load(SeqCst));
}

extern "C" fn evt_object_destroy(file: WDFOBJECT) {
    record_of(Event::FileObjectDestroy, FILE.of(file).id.load(SeqCst));
}
