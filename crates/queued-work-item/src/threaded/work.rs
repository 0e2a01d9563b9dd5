//! What a worker is given, what it may keep, and what it answers.
//!
//! DMF hands the work callback a pointer, which after `WorkPending` is the client's until it calls `WorkCompleted`: once,
//! and not before it has returned `WorkPending`. Here the item is a value. Answering consumes it, and keeping it gives
//! another value, which completes by being consumed or dropped: never twice, never not at all.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::engine::Core;
use crate::kernel::{Irql, check_irql};
use crate::payload::Payload;
use crate::slots::Slot;
use crate::{Completion, Context, Item, NtStatus, Passive};

/// What a queue's thread does. A closure for [`Worker::work`] alone is enough for
/// [`ThreadedBufferQueue::create`](super::ThreadedBufferQueue::create).
///
/// # IRQL
/// `PASSIVE_LEVEL`, all on the queue's thread, one at a time.
pub trait Worker<T: Payload + ?Sized, C: Context = ()>: Send + 'static {
    /// The thread has started: DMF's `EvtThreadedBufferQueuePre`.
    fn pre(&mut self, passive: &mut Passive) {
        let _ = passive;
    }

    /// One item: DMF's `EvtThreadedBufferQueueWork`.
    fn work<'a>(&mut self, work: Work<'a, T, C>, passive: &mut Passive) -> Disposition<'a>;

    /// The thread is about to end: DMF's `EvtThreadedBufferQueuePost`.
    fn post(&mut self, passive: &mut Passive) {
        let _ = passive;
    }
}

/// A closure as a worker.
pub(super) struct Closure<F>(pub(super) F);

impl<T, C, F> Worker<T, C> for Closure<F>
where
    T: Payload + ?Sized,
    C: Context,
    F: for<'a> FnMut(Work<'a, T, C>, &mut Passive) -> Disposition<'a> + Send + 'static,
{
    fn work<'a>(&mut self, work: Work<'a, T, C>, passive: &mut Passive) -> Disposition<'a> {
        (self.0)(work, passive)
    }
}

/// What becomes of an item, as the queue needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Complete(NtStatus),
    Pended,
}

/// A worker's answer: made by [`Work::complete`] or [`Work::pend`], for the very item.
#[must_use = "it is what the worker has to return"]
#[derive(Debug)]
pub struct Disposition<'a>(Fate, PhantomData<fn(&'a ()) -> &'a ()>);

impl Disposition<'_> {
    pub(crate) const fn fate(self) -> Fate {
        self.0
    }
}

/// The queue's functions, whatever its completion is.
struct Verbs {
    pend: unsafe fn(NonNull<()>, Slot),
    complete: unsafe fn(NonNull<()>, Slot, NtStatus),
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    const VERBS: &'static Verbs = &Verbs {
        pend: pend::<T, K, C, VARIANT>,
        complete: complete::<T, K, C, VARIANT>,
    };
}

/// # Safety
/// As for [`Core::pend`], which the core is alive for.
unsafe fn pend<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8>(
    core: NonNull<()>,
    slot: Slot,
) {
    // SAFETY: by the caller's promise.
    let core = unsafe { core.cast::<Core<T, K, C, VARIANT>>().as_ref() };
    // SAFETY: by the caller's promise.
    unsafe { core.pend(slot) };
}

/// # Safety
/// As for [`Core::complete_pended`].
unsafe fn complete<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8>(
    core: NonNull<()>,
    slot: Slot,
    status: NtStatus,
) {
    // SAFETY: by the caller's promise.
    unsafe { Core::<T, K, C, VARIANT>::complete_pended(core.cast(), slot, status) };
}

/// A slot that is the holder's alone, in a core that is alive: what is in it, and whom to tell.
///
/// # Invariants
/// `payload` and `context` point to the slot's, valid and the holder's alone.
struct Held<T: Payload + ?Sized, C: Context> {
    core: NonNull<()>,
    slot: Slot,
    payload: NonNull<T>,
    context: NonNull<C>,
    verbs: &'static Verbs,
}

impl<T: Payload + ?Sized, C: Context> Held<T, C> {
    fn payload(&self) -> &T {
        // SAFETY: by the invariant, and borrowed through the holder.
        unsafe { self.payload.as_ref() }
    }

    fn context(&self) -> &C {
        // SAFETY: as above.
        unsafe { self.context.as_ref() }
    }

    fn parts_mut(&mut self) -> (&mut T, &mut C) {
        // SAFETY: as above, exclusively.
        let payload = unsafe { self.payload.as_mut() };
        // SAFETY: as above; they do not overlap.
        let context = unsafe { self.context.as_mut() };
        (payload, context)
    }
}

/// The item that the worker is at: its payload, its buffer's context, and the duty to answer.
///
/// It cannot be kept: only [`pend`](Self::pend) makes something of it that can.
///
/// ```compile_fail
/// use queued_work_item::{Config, Passive, ThreadedBufferQueue, threaded::{ThreadedConfig, Work}};
/// # fn show(passive: &mut Passive) {
/// let mut kept: Vec<Work<'static, u32>> = Vec::new();
/// let config = ThreadedConfig::new(Config::new(1));
/// let queue = <ThreadedBufferQueue<u32>>::create(passive, &config, move |work, _| kept.push(work));
/// # }
/// ```
pub struct Work<'a, T: Payload + ?Sized, C: Context = ()> {
    held: Held<T, C>,
    /// Of one call of the worker: its answer fits no other.
    here: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a, T: Payload + ?Sized, C: Context> Work<'a, T, C> {
    /// # Safety
    /// The slot is the drainer's, the caller's, and handed over to this value; the item is the slot's, and is not looked
    /// into while this value or its successor lives.
    pub(crate) unsafe fn new<K: Completion, const VARIANT: u8>(
        core: NonNull<Core<T, K, C, VARIANT>>,
        slot: Slot,
        item: &mut Item<'_, T, C>,
    ) -> Self {
        Self {
            held: Held {
                core: core.cast(),
                slot,
                payload: NonNull::from(&mut *item.payload),
                context: NonNull::from(&mut *item.context),
                verbs: Core::<T, K, C, VARIANT>::VERBS,
            },
            here: PhantomData,
        }
    }

    /// The payload: bytes have exactly the length that was enqueued.
    pub fn payload(&self) -> &T {
        self.held.payload()
    }

    /// The payload, to work in.
    pub fn payload_mut(&mut self) -> &mut T {
        self.held.parts_mut().0
    }

    /// The buffer's context: `C::default()` when the item begins.
    pub fn context(&self) -> &C {
        self.held.context()
    }

    /// The buffer's context, to write.
    pub fn context_mut(&mut self) -> &mut C {
        self.held.parts_mut().1
    }

    /// Both at once.
    pub fn parts_mut(&mut self) -> (&mut T, &mut C) {
        self.held.parts_mut()
    }

    /// The item is done, with this status, in all its 32 bits: DMF's `WorkComplete`.
    pub fn complete(self, status: NtStatus) -> Disposition<'a> {
        Disposition(Fate::Complete(status), PhantomData)
    }

    /// The item will be done later, by whoever has the [`Pended`]: DMF's `WorkPending`.
    ///
    /// From here on the item is the holder's; it may complete it before the worker has returned.
    pub fn pend(self) -> (Pended<T, C>, Disposition<'a>) {
        let Self { held, .. } = self;
        // SAFETY: the slot is this value's, and goes over to the next with the share that this takes.
        unsafe { (held.verbs.pend)(held.core, held.slot) };
        let pended = Pended { held };
        (pended, Disposition(Fate::Pended, PhantomData))
    }
}

impl<T: Payload + ?Sized, C: Context> fmt::Debug for Work<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

/// An item that its worker has kept: payload and context, its owner's alone, until it is completed. It keeps its buffer, and
/// the queue's memory.
///
/// # Dropping
/// Dropping it completes it with `STATUS_UNSUCCESSFUL`: nobody has said how it went.
#[must_use = "dropping a pended item completes it with STATUS_UNSUCCESSFUL"]
pub struct Pended<T: Payload + ?Sized, C: Context = ()> {
    held: Held<T, C>,
}

// SAFETY: payloads and contexts are `Send`, and the queue's functions may be called on any thread.
unsafe impl<T: Payload + ?Sized, C: Context> Send for Pended<T, C> {}

impl<T: Payload + ?Sized, C: Context> Pended<T, C> {
    /// The payload.
    pub fn payload(&self) -> &T {
        self.held.payload()
    }

    /// The payload, to work in.
    pub fn payload_mut(&mut self) -> &mut T {
        self.held.parts_mut().0
    }

    /// The buffer's context.
    pub fn context(&self) -> &C {
        self.held.context()
    }

    /// The buffer's context, to write.
    pub fn context_mut(&mut self) -> &mut C {
        self.held.parts_mut().1
    }

    /// The item is done: DMF's `DMF_ThreadedBufferQueue_WorkCompleted`. Its reuse cleanup is run, its payload dropped or
    /// zeroed, its buffer goes home, and then its waiter is woken or its completion called, all before this returns.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`, and so for what it calls.
    pub fn complete(mut self, status: NtStatus) {
        // SAFETY: the value is forgotten, so that it is completed once.
        unsafe { self.end(status) };
        core::mem::forget(self);
    }

    /// # Safety
    /// Called once, and the value is not used after it.
    unsafe fn end(&mut self, status: NtStatus) {
        check_irql(Irql::DISPATCH, "ThreadedBufferQueue::WorkCompleted");
        // SAFETY: the pended slot and its share of the queue are this value's, and are given up here.
        unsafe { (self.held.verbs.complete)(self.held.core, self.held.slot, status) };
    }
}

impl<T: Payload + ?Sized, C: Context> Drop for Pended<T, C> {
    fn drop(&mut self) {
        // SAFETY: dropped once, and not forgotten by `complete`.
        unsafe { self.end(NtStatus::UNSUCCESSFUL) };
    }
}

impl<T: Payload + ?Sized, C: Context> fmt::Debug for Pended<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pended").finish_non_exhaustive()
    }
}
