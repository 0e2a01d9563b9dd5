//! Several system threads at once, for the verbs that make load.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};

use queued_work_item::Passive;
use queued_work_item::kernel::{Event, EventKind};
use wdk_sys::{
    BOOLEAN, HANDLE, LARGE_INTEGER, NT_SUCCESS, NTSTATUS, OBJECT_ATTRIBUTES, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
    ntddk::{PsCreateSystemThread, ZwClose},
};

use crate::context::size_field;

unsafe extern "system" {
    // In the headers of file systems only: by its documented declaration.
    fn ZwWaitForSingleObject(handle: HANDLE, alertable: BOOLEAN, timeout: *mut LARGE_INTEGER) -> NTSTATUS;
}

/// `THREAD_ALL_ACCESS`
const ALL_ACCESS: u32 = 0x001F_FFFF;
/// The handle is the kernel's, whatever process this thread is in: no user can reach it.
const OBJ_KERNEL_HANDLE: u32 = 0x200;

type Body<'a> = &'a (dyn Fn(u32, &mut Passive) + Sync);

/// What all threads of one call share.
struct Start<'a> {
    body: Body<'a>,
    /// Set when all threads are there, or when one will never be.
    decided: Event,
    go: AtomicBool,
}

struct Context<'a> {
    start: &'a Start<'a>,
    number: u32,
}

/// A thread, by its handle, until it is dropped, which waits for the thread's end.
///
/// The handle is all that it takes to wait: a thread object would have to be got from it, by a call that can fail when
/// the thread already runs.
struct Thread(HANDLE);

impl Drop for Thread {
    fn drop(&mut self) {
        // Not only the body must have ended, but the thread: its last instructions are in this image.
        // SAFETY: this driver's handle, with all access; the caller is at PASSIVE_LEVEL.
        let ended = unsafe { ZwWaitForSingleObject(self.0, 0, ptr::null_mut()) };
        // Not alertable and without a time-out, it has one way to end.
        debug_assert_eq!(ended, STATUS_SUCCESS);
        // SAFETY: closed once.
        let _closed: NTSTATUS = unsafe { ZwClose(self.0) };
    }
}

/// Runs `body` on so many threads; see [`Platform::parallel`](queued_work_item_exerciser::Platform::parallel).
pub(crate) fn parallel(threads: u32, body: Body<'_>) -> Result<(), NTSTATUS> {
    let decided = Event::new(EventKind::Notification).map_err(|error| error.status().0)?;
    let start = Start {
        body,
        decided,
        go: AtomicBool::new(false),
    };
    let count = threads as usize;
    let (mut contexts, mut running) = (Vec::new(), Vec::new());
    contexts
        .try_reserve_exact(count)
        .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    running
        .try_reserve_exact(count)
        .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    contexts.extend((0..threads).map(|number| Context {
        start: &start,
        number,
    }));
    let mut outcome = Ok(());
    for context in &contexts {
        // SAFETY: the context outlives the thread: `running` is dropped, which waits, before this function returns.
        match unsafe { create(context) } {
            Ok(thread) => running.push(thread),
            Err(status) => {
                outcome = Err(status);
                break;
            }
        }
    }
    start.go.store(outcome.is_ok(), Release);
    start.decided.set();
    drop(running);
    outcome
}

/// Starts a thread.
///
/// # Safety
/// The context lives until the result is dropped.
unsafe fn create(context: &Context<'_>) -> Result<Thread, NTSTATUS> {
    let mut handle: HANDLE = ptr::null_mut();
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_field::<OBJECT_ATTRIBUTES>(),
        Attributes: OBJ_KERNEL_HANDLE,
        ..OBJECT_ATTRIBUTES::default()
    };
    // SAFETY: at PASSIVE_LEVEL; the context lives as long as the thread, by the caller's promise. Without a process the
    // thread belongs to the system.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            ALL_ACCESS,
            &raw mut attributes,
            ptr::null_mut(),
            ptr::null_mut(),
            Some(thread),
            ptr::from_ref(context).cast_mut().cast(),
        )
    };
    if NT_SUCCESS(status) {
        Ok(Thread(handle))
    } else {
        Err(status)
    }
}

/// `KSTART_ROUTINE`
unsafe extern "C" fn thread(context: PVOID) {
    // SAFETY: what `create` was given, which lives until this thread has ended, and is only shared.
    let context = unsafe { &*context.cast::<Context<'_>>() };
    // SAFETY: system threads start at PASSIVE_LEVEL, and nothing here raises it for longer than a lock is held.
    let mut passive = unsafe { Passive::assume() };
    context.start.decided.wait(&mut passive);
    if context.start.go.load(Acquire) {
        (context.start.body)(context.number, &mut passive);
    }
}
