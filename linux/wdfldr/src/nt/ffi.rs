//! What is imported, and from which DLL.
//!
//! Declared here rather than taken from `wdk_sys::ntddk`, because a raw-dylib needs no import library, some of these are
//! ntdll's, and others only mingw's headers lack. The types are wdk-sys's.

#![allow(non_snake_case, reason = "the names are NT's")]
#![allow(clippy::too_many_arguments, reason = "the signatures are NT's")]

use core::ffi::{c_char, c_void};

use wdk_sys::{
    BOOLEAN, CCHAR, DEVICE_OBJECT, GUID, HANDLE, IRP, KIRQL, LARGE_INTEGER, NTSTATUS, OBJECT_ATTRIBUTES,
    PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, PVOID, ULONG, UNICODE_STRING,
};

/// An `RTL_SRWLOCK`.
pub(crate) type SrwLock = *mut c_void;
/// `PTP_WORK_CALLBACK`.
pub(crate) type TpWorkRoutine = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void);
/// `PTP_TIMER_CALLBACK`.
pub(crate) type TpTimerRoutine = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void);
/// `PTP_SIMPLE_CALLBACK`.
pub(crate) type TpSimpleRoutine = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// `NtCurrentProcess()`.
pub(crate) const CURRENT_PROCESS: HANDLE = core::ptr::without_provenance_mut(usize::MAX);

#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "C" {
    pub(crate) fn RtlAcquireSRWLockExclusive(lock: *mut SrwLock);
    pub(crate) fn RtlReleaseSRWLockExclusive(lock: *mut SrwLock);
    pub(crate) fn RtlWaitOnAddress(
        address: *const c_void,
        compare: *const c_void,
        size: usize,
        timeout: *const LARGE_INTEGER,
    ) -> NTSTATUS;
    pub(crate) fn RtlWakeAddressAll(address: *const c_void);
    pub(crate) fn TpAllocWork(
        out: *mut *mut c_void,
        routine: TpWorkRoutine,
        context: *mut c_void,
        environment: *mut c_void,
    ) -> NTSTATUS;
    pub(crate) fn TpPostWork(work: *mut c_void);
    pub(crate) fn TpReleaseWork(work: *mut c_void);
    pub(crate) fn TpAllocTimer(
        out: *mut *mut c_void,
        routine: TpTimerRoutine,
        context: *mut c_void,
        environment: *mut c_void,
    ) -> NTSTATUS;
    pub(crate) fn TpSetTimer(timer: *mut c_void, due: *const i64, period: i32, window: i32);
    pub(crate) fn TpReleaseTimer(timer: *mut c_void);
    pub(crate) fn TpSimpleTryPost(
        routine: TpSimpleRoutine,
        context: *mut c_void,
        environment: *mut c_void,
    ) -> NTSTATUS;
    pub(crate) fn NtTerminateProcess(process: HANDLE, status: NTSTATUS) -> NTSTATUS;
    pub(crate) fn NtYieldExecution() -> NTSTATUS;
    pub(crate) fn NtQueryPerformanceCounter(counter: *mut i64, frequency: *mut i64) -> NTSTATUS;
    pub(crate) fn NtQuerySystemTime(time: *mut i64) -> NTSTATUS;
    pub(crate) fn LdrAddRefDll(flags: ULONG, module: *const c_void) -> NTSTATUS;
    pub(crate) fn RtlInterlockedFlushSList(list: *mut c_void) -> *mut c_void;
    pub(crate) fn RtlPcToFileHeader(address: *const c_void, base: *mut *mut c_void) -> *mut c_void;
}

#[link(name = "kernel32", kind = "raw-dylib")]
unsafe extern "C" {
    pub(crate) fn TlsAlloc() -> u32;
}

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    pub(crate) fn DbgPrint(format: *const c_char, ...) -> ULONG;
    pub(crate) fn ExAllocatePoolWithTag(pool_type: i32, size: usize, tag: ULONG) -> PVOID;
    pub(crate) fn ExFreePoolWithTag(block: PVOID, tag: ULONG);

    pub(crate) fn ExInitializeNPagedLookasideList(
        list: *mut c_void,
        allocate: unsafe extern "C" fn(i32, usize, ULONG) -> PVOID,
        free: unsafe extern "C" fn(PVOID),
        flags: ULONG,
        size: usize,
        tag: ULONG,
        depth: u16,
    );
    pub(crate) fn ExInitializePagedLookasideList(
        list: *mut c_void,
        allocate: unsafe extern "C" fn(i32, usize, ULONG) -> PVOID,
        free: unsafe extern "C" fn(PVOID),
        flags: ULONG,
        size: usize,
        tag: ULONG,
        depth: u16,
    );

    pub(crate) fn ZwOpenKey(
        key: *mut HANDLE,
        access: ULONG,
        attributes: *const OBJECT_ATTRIBUTES,
    ) -> NTSTATUS;
    pub(crate) fn ZwCreateKey(
        key: *mut HANDLE,
        access: ULONG,
        attributes: *const OBJECT_ATTRIBUTES,
        index: ULONG,
        class: *const UNICODE_STRING,
        options: ULONG,
        disposition: *mut ULONG,
    ) -> NTSTATUS;
    pub(crate) fn ZwQueryValueKey(
        key: HANDLE,
        name: *const UNICODE_STRING,
        class: i32,
        information: PVOID,
        length: ULONG,
        needed: *mut ULONG,
    ) -> NTSTATUS;
    pub(crate) fn ZwSetValueKey(
        key: HANDLE,
        name: *const UNICODE_STRING,
        index: ULONG,
        kind: ULONG,
        data: *const c_void,
        length: ULONG,
    ) -> NTSTATUS;
    pub(crate) fn ZwDeleteKey(key: HANDLE) -> NTSTATUS;
    pub(crate) fn ZwDeleteValueKey(key: HANDLE, name: *const UNICODE_STRING) -> NTSTATUS;
    pub(crate) fn ZwClose(handle: HANDLE) -> NTSTATUS;
    pub(crate) fn ZwProtectVirtualMemory(
        process: HANDLE,
        base: *mut *mut c_void,
        size: *mut usize,
        protection: ULONG,
        old: *mut ULONG,
    ) -> NTSTATUS;

    pub(crate) fn IoCreateDevice(
        driver: PDRIVER_OBJECT,
        extension: ULONG,
        name: *const UNICODE_STRING,
        kind: ULONG,
        characteristics: ULONG,
        exclusive: BOOLEAN,
        device: *mut PDEVICE_OBJECT,
    ) -> NTSTATUS;
    pub(crate) fn IoDeleteDevice(device: PDEVICE_OBJECT);
    pub(crate) fn IoAttachDeviceToDeviceStack(
        source: PDEVICE_OBJECT,
        target: PDEVICE_OBJECT,
    ) -> PDEVICE_OBJECT;
    pub(crate) fn IoDetachDevice(target: PDEVICE_OBJECT);
    pub(crate) fn IoCreateSymbolicLink(
        link: *const UNICODE_STRING,
        target: *const UNICODE_STRING,
    ) -> NTSTATUS;
    pub(crate) fn IoDeleteSymbolicLink(link: *const UNICODE_STRING) -> NTSTATUS;
    pub(crate) fn IoRegisterDeviceInterface(
        device: PDEVICE_OBJECT,
        class: *const GUID,
        reference: *const UNICODE_STRING,
        link: *mut UNICODE_STRING,
    ) -> NTSTATUS;
    pub(crate) fn IoSetDeviceInterfaceState(link: *const UNICODE_STRING, enable: BOOLEAN) -> NTSTATUS;
    pub(crate) fn IoGetDeviceProperty(
        device: PDEVICE_OBJECT,
        property: i32,
        length: ULONG,
        buffer: PVOID,
        needed: *mut ULONG,
    ) -> NTSTATUS;
    pub(crate) fn RtlFreeUnicodeString(string: *mut UNICODE_STRING);
    pub(crate) fn IofCallDriver(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS;
    pub(crate) fn IofCompleteRequest(irp: PIRP, boost: CCHAR);
    pub(crate) fn IoReleaseCancelSpinLock(irql: KIRQL);
    pub(crate) fn KeWaitForSingleObject(
        object: *mut c_void,
        reason: i32,
        mode: i32,
        alertable: BOOLEAN,
        timeout: *const LARGE_INTEGER,
    ) -> NTSTATUS;
    pub(crate) fn KeWaitForMultipleObjects(
        count: ULONG,
        objects: *mut PVOID,
        kind: i32,
        reason: i32,
        mode: i32,
        alertable: BOOLEAN,
        timeout: *const LARGE_INTEGER,
        blocks: PVOID,
    ) -> NTSTATUS;
    pub(crate) fn KeSetTimerEx(
        timer: *mut wdk_sys::KTIMER,
        due: LARGE_INTEGER,
        period: i32,
        dpc: *mut wdk_sys::KDPC,
    ) -> BOOLEAN;
    pub(crate) fn IoIs32bitProcess(irp: PIRP) -> BOOLEAN;
    pub(crate) fn IoAllocateMdl(
        address: PVOID,
        length: ULONG,
        secondary: BOOLEAN,
        charge_quota: BOOLEAN,
        irp: PIRP,
    ) -> *mut wdk_sys::MDL;
    pub(crate) fn IoFreeMdl(mdl: *mut wdk_sys::MDL);
}

/// Lets another thread run.
pub(crate) fn yield_now() {
    // SAFETY: no preconditions.
    unsafe { NtYieldExecution() };
}
