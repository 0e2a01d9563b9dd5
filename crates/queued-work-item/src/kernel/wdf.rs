//! The kernel backend: calls of ntoskrnl and the framework, passed through.
//!
//! Imports are few and old: pool by `ExAllocatePoolWithTag`, which every kernel since Windows 2000 exports, rather than
//! `ExAllocatePool2`; a non-executable pool type, which needs Windows 8.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::time::Duration;

use wdk_sys::{
    KEVENT, KIRQL, KPROCESSOR_MODE, KSPIN_LOCK, LARGE_INTEGER, PVOID, SIZE_T, ULONG, WDF_MEMORY_DESCRIPTOR,
    WDFOBJECT,
    ntddk::{
        ExFreePoolWithTag, KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc, KeClearEvent,
        KeGetCurrentIrql, KeInitializeEvent, KeQueryPerformanceCounter, KeReleaseSpinLock,
        KeReleaseSpinLockFromDpcLevel, KeSetEvent, KeWaitForSingleObject, PsGetCurrentThreadId,
    },
};

use super::{EventKind, Irql, MemoryDescriptor, Pool, UNITS_PER_SECOND};

mod object;
pub(crate) mod parameters;
mod thread;
mod timer;
mod work;

pub(crate) use self::thread::Thread;
pub(crate) use self::timer::Timer;
pub(crate) use self::work::WorkItem;
pub(crate) use core::sync::atomic;

unsafe extern "system" {
    // Deprecated in the headers, and left out of some: by its documented declaration.
    fn ExAllocatePoolWithTag(pool_type: i32, bytes: SIZE_T, tag: ULONG) -> PVOID;
}

/// `NonPagedPoolNx`
const NON_PAGED_POOL_NX: i32 = 512;
/// `PagedPool`
const PAGED_POOL: i32 = 1;
/// Shows as `QWIt` in poolmon and `!poolused`.
const TAG: ULONG = ULONG::from_le_bytes(*b"QWIt");

/// The IRQL of this processor.
pub fn current_irql() -> Irql {
    // SAFETY: callable at any IRQL.
    Irql(unsafe { KeGetCurrentIrql() })
}

/// Debug builds stop, naming `call`, above `highest`.
#[track_caller]
pub(crate) fn check_irql(highest: Irql, call: &str) {
    if cfg!(debug_assertions) {
        let current = current_irql();
        assert!(
            current <= highest,
            "{call} called at {current}, allowed at <= {highest}"
        );
    }
}

/// Debug builds stop, naming `call`, at any other IRQL than `expected`.
#[track_caller]
pub(crate) fn check_irql_is(expected: Irql, call: &str) {
    if cfg!(debug_assertions) {
        let current = current_irql();
        assert!(
            current == expected,
            "{call} called at {current}, allowed at {expected}"
        );
    }
}

/// A number that no other live thread of the system has.
pub fn current_thread_id() -> u64 {
    // SAFETY: callable at any IRQL.
    let id = unsafe { PsGetCurrentThreadId() };
    // Not a pointer, but a number in a handle's type.
    id.addr() as u64
}

/// A monotonic count, and how many of it make a second. Any IRQL.
pub fn performance_counter() -> (u64, u64) {
    let mut frequency = LARGE_INTEGER::default();
    // SAFETY: callable at any IRQL; it writes the frequency.
    let count = unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: every bit pattern is an integer.
    let count = unsafe { count.QuadPart };
    // SAFETY: as above.
    let frequency = unsafe { frequency.QuadPart };
    (count.cast_unsigned(), frequency.cast_unsigned())
}

pub(crate) fn allocate(pool: Pool, size: usize) -> Option<NonNull<u8>> {
    let pool = match pool {
        Pool::NonPaged => NON_PAGED_POOL_NX,
        Pool::Paged => {
            check_irql(Irql::APC, "ExAllocatePoolWithTag for paged pool");
            PAGED_POOL
        }
    };
    // SAFETY: callable at <= DISPATCH_LEVEL for nonpaged pool, at <= APC_LEVEL for paged; the size is not 0.
    let memory = unsafe { ExAllocatePoolWithTag(pool, size as SIZE_T, TAG) };
    NonNull::new(memory.cast())
}

/// # Safety
/// From [`allocate`], freed once.
pub(crate) unsafe fn free(start: NonNull<u8>) {
    // SAFETY: by the caller's promise, from the pool with this tag.
    unsafe { ExFreePoolWithTag(start.as_ptr().cast(), TAG) };
}

/// `KernelMode`, in the width of a `KPROCESSOR_MODE`.
#[expect(clippy::cast_possible_truncation, reason = "it is 0")]
const KERNEL_MODE: KPROCESSOR_MODE = wdk_sys::_MODE::KernelMode as KPROCESSOR_MODE;

/// The IRQL that an acquire found.
pub(crate) type OldIrql = KIRQL;

/// A `KSPIN_LOCK`, which is free when it is zero.
pub(crate) struct RawSpinLock(UnsafeCell<KSPIN_LOCK>);

// SAFETY: the kernel synchronises on it.
unsafe impl Sync for RawSpinLock {}
// SAFETY: a free spin lock is a zero anywhere.
unsafe impl Send for RawSpinLock {}

impl RawSpinLock {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    pub(crate) fn acquire(&self) -> OldIrql {
        // SAFETY: an initialised lock; callable at <= DISPATCH_LEVEL.
        unsafe { KeAcquireSpinLockRaiseToDpc(self.0.get()) }
    }

    /// # Safety
    /// The caller holds the lock, and `old` is what its `acquire` returned.
    pub(crate) unsafe fn release(&self, old: &mut OldIrql) {
        // SAFETY: by the caller's promise.
        unsafe { KeReleaseSpinLock(self.0.get(), *old) };
    }

    /// As `acquire`, for a caller that is at `DISPATCH_LEVEL` already.
    pub(crate) fn acquire_at_dispatch(&self) -> OldIrql {
        // SAFETY: an initialised lock; the caller is at DISPATCH_LEVEL.
        unsafe { KeAcquireSpinLockAtDpcLevel(self.0.get()) };
        Irql::DISPATCH.0
    }

    /// # Safety
    /// The caller holds the lock, by `acquire_at_dispatch`, which returned the other argument.
    pub(crate) unsafe fn release_at_dispatch(&self, _: &mut OldIrql) {
        // SAFETY: by the caller's promise.
        unsafe { KeReleaseSpinLockFromDpcLevel(self.0.get()) };
    }
}

/// A `KEVENT`, in place: it must not move after `init`.
pub(crate) struct RawEvent(UnsafeCell<MaybeUninit<KEVENT>>);

// SAFETY: the kernel synchronises on it.
unsafe impl Sync for RawEvent {}

impl RawEvent {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    fn raw(&self) -> *mut KEVENT {
        self.0.get().cast()
    }

    /// # Safety
    /// Nobody else uses the event yet, and it is not moved after this.
    pub(crate) unsafe fn init(&self, kind: EventKind) {
        let kind = match kind {
            EventKind::Notification => wdk_sys::_EVENT_TYPE::NotificationEvent,
            EventKind::Synchronization => wdk_sys::_EVENT_TYPE::SynchronizationEvent,
        };
        // SAFETY: the memory is an event's and this caller's.
        unsafe { KeInitializeEvent(self.raw(), kind, 0) };
    }

    pub(crate) fn set(&self) {
        // SAFETY: initialised; callable at <= DISPATCH_LEVEL when it is not followed by a wait.
        unsafe { KeSetEvent(self.raw(), 0, 0) };
    }

    pub(crate) fn clear(&self) {
        // SAFETY: initialised; callable at <= DISPATCH_LEVEL.
        unsafe { KeClearEvent(self.raw()) };
    }

    /// Waits in kernel mode, so that the stack, where the event may be, stays resident.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        // Negative is relative.
        let mut due = timeout.map(|timeout| LARGE_INTEGER {
            QuadPart: units(timeout).map_or(i64::MIN, |units| -units),
        });
        let due = due.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        // SAFETY: initialised; the caller is at PASSIVE_LEVEL.
        let status = unsafe {
            KeWaitForSingleObject(
                self.raw().cast(),
                wdk_sys::_KWAIT_REASON::Executive,
                KERNEL_MODE,
                0,
                due,
            )
        };
        status == wdk_sys::STATUS_SUCCESS
    }
}

/// A time in the kernel's units of 100 ns, rounded up. Not by way of `as_nanos`: a division of 128 bits is a call into
/// the compiler's own library, which a static library for C drivers does without.
fn units(time: Duration) -> Option<i64> {
    let whole = time.as_secs().checked_mul(UNITS_PER_SECOND)?;
    let units = whole.checked_add(u64::from(time.subsec_nanos().div_ceil(100)))?;
    i64::try_from(units).ok()
}

/// The framework object that a queue hangs on: a device, or something below one.
#[derive(Clone, Copy)]
pub struct Parent(WDFOBJECT);

impl Parent {
    /// Names the parent.
    ///
    /// # Safety
    /// The object is valid, and not being deleted, until the create that this value is given to has returned. It is a
    /// device or has one among its parents.
    pub const unsafe fn new(object: WDFOBJECT) -> Self {
        Self(object)
    }
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parent").field(&self.0).finish()
    }
}

/// A `WDF_MEMORY_DESCRIPTOR` of the kind that needs no object: `WdfMemoryDescriptorTypeBuffer`.
pub(crate) struct RawDescriptor(WDF_MEMORY_DESCRIPTOR);

impl RawDescriptor {
    pub(crate) fn new(start: *mut u8, length: u32) -> Self {
        let mut raw = WDF_MEMORY_DESCRIPTOR {
            Type: wdk_sys::_WDF_MEMORY_DESCRIPTOR_TYPE::WdfMemoryDescriptorTypeBuffer,
            ..WDF_MEMORY_DESCRIPTOR::default()
        };
        raw.u.BufferType.Buffer = start.cast();
        raw.u.BufferType.Length = length;
        Self(raw)
    }
}

impl MemoryDescriptor<'_> {
    /// The description, for a call that ends before this value does: a framework function that sends a request
    /// *synchronously*. One that goes on after it has returned needs a WDFMEMORY of its own.
    pub const fn as_wdf(&mut self) -> *mut WDF_MEMORY_DESCRIPTOR {
        &raw mut self.raw.0
    }
}
