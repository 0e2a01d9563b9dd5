//! Several system threads at once, for the verbs that make load.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};

use queued_work_item::Passive;
use queued_work_item::kernel::{Event, EventKind};
use wdk_sys::{
    HANDLE, KPROCESSOR_MODE, NT_SUCCESS, NTSTATUS, PVOID, STATUS_INSUFFICIENT_RESOURCES,
    ntddk::{
        KeWaitForSingleObject, ObReferenceObjectByHandle, ObfDereferenceObject, PsCreateSystemThread, ZwClose,
    },
};

/// `THREAD_ALL_ACCESS`
const ALL_ACCESS: u32 = 0x001F_FFFF;
/// `SYNCHRONIZE`
const SYNCHRONIZE: u32 = 0x0010_0000;

/// `KernelMode`, in the width of a `KPROCESSOR_MODE`.
#[expect(clippy::cast_possible_truncation, reason = "it is 0")]
const KERNEL_MODE: KPROCESSOR_MODE = wdk_sys::_MODE::KernelMode as KPROCESSOR_MODE;

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

/// A thread object that is referenced until it is dropped, which waits for the thread's end.
struct Thread(PVOID);

impl Drop for Thread {
    fn drop(&mut self) {
        // Not only the body must have ended, but the thread: its last instructions are in this image.
        // SAFETY: a referenced thread object; the caller is at PASSIVE_LEVEL.
        let _ended: NTSTATUS = unsafe {
            KeWaitForSingleObject(
                self.0,
                wdk_sys::_KWAIT_REASON::Executive,
                KERNEL_MODE,
                0,
                ptr::null_mut(),
            )
        };
        // SAFETY: gives back the reference of `create`.
        unsafe { ObfDereferenceObject(self.0) };
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
    // SAFETY: at PASSIVE_LEVEL; the context lives as long as the thread, by the caller's promise. Without a process the
    // thread belongs to the system.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            ALL_ACCESS,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            Some(thread),
            ptr::from_ref(context).cast_mut().cast(),
        )
    };
    if !NT_SUCCESS(status) {
        return Err(status);
    }
    let mut object: PVOID = ptr::null_mut();
    // SAFETY: a handle of this driver's; without a type any object will do, and it is a thread.
    let status = unsafe {
        ObReferenceObjectByHandle(
            handle,
            SYNCHRONIZE,
            ptr::null_mut(),
            KERNEL_MODE,
            &raw mut object,
            ptr::null_mut(),
        )
    };
    // This does not fail: the handle is new, has all access, and lies in the table of the system process, which workers
    // run in and no user can reach.
    debug_assert!(NT_SUCCESS(status), "a thread's handle refers to no thread");
    // SAFETY: closed once; the reference stays.
    let _closed: NTSTATUS = unsafe { ZwClose(handle) };
    Ok(Thread(object))
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
