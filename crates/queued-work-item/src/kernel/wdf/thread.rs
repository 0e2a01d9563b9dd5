//! System threads of the driver's own.

use core::ptr::{self, NonNull};

use wdk_sys::{
    HANDLE, NT_SUCCESS, NTSTATUS, OBJECT_ATTRIBUTES, PVOID,
    ntddk::{
        KeSetPriorityThread, KeWaitForSingleObject, ObReferenceObjectByHandle, ObfDereferenceObject,
        PsCreateSystemThread, ZwClose,
    },
};

use super::{KERNEL_MODE, allocate, free};
use crate::kernel::Pool;
use crate::{NtStatus, Passive};

/// `THREAD_ALL_ACCESS`
const ALL_ACCESS: u32 = 0x001F_FFFF;
/// `SYNCHRONIZE` and `THREAD_SET_INFORMATION`
const ACCESS: u32 = 0x0010_0020;

/// `OBJ_KERNEL_HANDLE`
const KERNEL_HANDLE: u32 = 0x0000_0200;

#[expect(clippy::cast_possible_truncation, reason = "48")]
const ATTRIBUTES_SIZE: u32 = size_of::<OBJECT_ATTRIBUTES>() as u32;

/// What a thread is to do. It lies in pool until the thread has begun.
#[derive(Clone, Copy)]
struct Start {
    routine: unsafe fn(NonNull<()>),
    context: NonNull<()>,
}

/// A thread that has been started: a reference to its object.
pub(crate) struct Thread(PVOID);

// SAFETY: a reference to a kernel object may be used on any thread.
unsafe impl Send for Thread {}

impl Thread {
    /// Starts a system thread that calls `routine` once, at `PASSIVE_LEVEL`. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// `routine` may be called with `context` on another thread; and the thread is [joined](Self::join) before the
    /// image is unloaded.
    pub(crate) unsafe fn start(
        routine: unsafe fn(NonNull<()>),
        context: NonNull<()>,
        priority: Option<i32>,
    ) -> Result<Self, NtStatus> {
        let place = allocate(Pool::NonPaged, size_of::<Start>()).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
        // SAFETY: the block has a `Start`'s size, and pool its alignment.
        unsafe { place.cast::<Start>().write(Start { routine, context }) };
        let mut handle: HANDLE = ptr::null_mut();
        // A handle in the kernel's table: the caller may run in a process that would close it otherwise.
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: ATTRIBUTES_SIZE,
            Attributes: KERNEL_HANDLE,
            ..OBJECT_ATTRIBUTES::default()
        };
        // SAFETY: at PASSIVE_LEVEL. Without a process the thread belongs to the system. The block is the thread's.
        let status = unsafe {
            PsCreateSystemThread(
                &raw mut handle,
                ALL_ACCESS,
                &raw mut attributes,
                ptr::null_mut(),
                ptr::null_mut(),
                Some(begin),
                place.as_ptr().cast(),
            )
        };
        if !NT_SUCCESS(status) {
            // SAFETY: from `allocate`; no thread has it.
            unsafe { free(place) };
            return Err(NtStatus(status));
        }
        let mut object: PVOID = ptr::null_mut();
        // SAFETY: a handle of this driver's; without a type any object will do, and it is a thread.
        let status = unsafe {
            ObReferenceObjectByHandle(
                handle,
                ACCESS,
                ptr::null_mut(),
                KERNEL_MODE,
                &raw mut object,
                ptr::null_mut(),
            )
        };
        // This does not fail: the handle is new, has all access, and lies in a table that no process can reach.
        debug_assert!(NT_SUCCESS(status), "a thread's handle refers to no thread");
        // SAFETY: closed once; the reference stays.
        let _closed: NTSTATUS = unsafe { ZwClose(handle) };
        if let Some(priority) = priority {
            // SAFETY: a referenced thread; at PASSIVE_LEVEL. The range has been checked.
            unsafe { KeSetPriorityThread(object.cast(), priority) };
        }
        Ok(Self(object))
    }

    /// Waits until the thread has ended: its last instructions, which are in this image, too.
    pub(crate) fn join(self, _: &mut Passive) {
        // SAFETY: a referenced thread object; the caller is at PASSIVE_LEVEL by its token.
        let _ended: NTSTATUS = unsafe {
            KeWaitForSingleObject(
                self.0,
                wdk_sys::_KWAIT_REASON::Executive,
                KERNEL_MODE,
                0,
                ptr::null_mut(),
            )
        };
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: the reference of `start`, given back once.
        unsafe { ObfDereferenceObject(self.0) };
    }
}

/// `KSTART_ROUTINE`
unsafe extern "C" fn begin(context: PVOID) {
    // SAFETY: what `Thread::start` wrote for this thread.
    let Start {
        routine,
        context: core,
    } = unsafe { context.cast::<Start>().read() };
    if let Some(place) = NonNull::new(context) {
        // SAFETY: from `allocate`, and read out.
        unsafe { free(place.cast()) };
    }
    // SAFETY: by the promise of who started the thread.
    unsafe { routine(core) };
}
