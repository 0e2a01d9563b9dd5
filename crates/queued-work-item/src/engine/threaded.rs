//! The drainer that is a thread of the queue's own, and items that their callback keeps.
//!
//! Between [`start_thread`](Core::start_thread) and [`stop_thread`](Core::stop_thread) there is a thread, which does
//! what a start of the work item does, whenever it is woken: it tries to claim the drain, drains, and waits again.
//! Without a thread the queue is stopped: what is pushed waits, SCHEDULED or parked, for the next thread, whose first
//! act is such a try. So the wake-up itself may be lost or come twice; the pending word knows better.
//!
//! An item that is *pended* has left the queue's order: the drainer goes on, and the slot, with a share of the ownership,
//! belongs to a [`Pended`](crate::threaded::Pended). A mark for each slot, under a lock, tells stop and close whose
//! waiters they have to wake.

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::cancel::CancelGuard;
use super::{Broken, Core, Starter, WithCallback};
use crate::cleanup::Cleanup;
use crate::kernel::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::kernel::{Block, Event, EventKind, SpinLock, Thread, current_thread_id};
use crate::payload::Payload;
use crate::ready::{Canceller, Until};
use crate::slots::Slot;
use crate::threaded::{Fate, Work, Worker};
use crate::waiter::Waiter;
use crate::{Completion, Config, Context, CreateError, Item, NtStatus, Outcome, Passive, PossibleDeadlock};

/// Marks looked at under one hold of their lock.
const CHUNK: usize = 64;

/// What a threaded queue's configuration adds.
#[derive(Clone, Copy)]
pub(crate) struct ThreadOptions {
    pub(crate) priority: Option<i32>,
    pub(crate) waits_for_pended: bool,
}

/// Why there is no thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartRefused {
    Inside,
    Closing,
    System(NtStatus),
}

/// Which slots are pended: a byte for each.
struct Marks {
    bytes: Block,
    length: usize,
    count: u32,
}

impl Marks {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: the block has so many bytes, zeroed when it was made, and is borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.bytes.start().as_ptr(), self.length) }
    }

    fn set(&mut self, slot: Slot, pended: bool) {
        if let Some(mark) = self.as_mut().get_mut(slot.index() as usize) {
            *mark = u8::from(pended);
        }
        if pended {
            self.count += 1;
        } else {
            self.count -= 1;
        }
    }

    fn has(&mut self, slot: Slot) -> bool {
        self.as_mut().get(slot.index() as usize) == Some(&1)
    }
}

/// The thread of a queue, or the place for one.
pub(crate) struct ThreadPart {
    /// Something may be to be done.
    wake: Event,
    /// The thread is to end.
    exit: AtomicBool,
    /// The thread's number while it runs.
    id: AtomicU64,
    /// Lets one thread through: who has it starts or ends the thread.
    control: Event,
    thread: SpinLock<Option<Thread>>,
    marks: SpinLock<Marks>,
    options: ThreadOptions,
}

impl ThreadPart {
    fn new(options: ThreadOptions, slots: u32) -> Result<Self, CreateError> {
        let length = slots as usize;
        let layout = Layout::array::<u8>(length).map_err(|_| CreateError::InvalidConfig)?;
        let control = Event::new(EventKind::Synchronization)?;
        control.set();
        Ok(Self {
            wake: Event::new(EventKind::Synchronization)?,
            exit: AtomicBool::new(false),
            id: AtomicU64::new(0),
            control,
            thread: SpinLock::new(None),
            marks: SpinLock::new(Marks {
                bytes: Block::zeroed(layout).ok_or(CreateError::OutOfMemory)?,
                length,
                count: 0,
            }),
            options,
        })
    }

    pub(super) fn wake(&self) {
        self.wake.set();
    }

    /// Is this the queue's thread?
    fn is_here(&self) -> bool {
        // Relaxed: a thread finds its own number, or another's, which it is not.
        self.id.load(Ordering::Relaxed) == current_thread_id()
    }

    fn any_pended(&self) -> bool {
        self.marks.lock().count > 0
    }

    /// Tells the thread to end, and waits until it has.
    fn end(&self, thread: Thread, passive: &mut Passive) {
        // Release: the thread looks after it was woken, or before it waits.
        self.exit.store(true, Ordering::Release);
        self.wake.set();
        thread.join(passive);
    }
}

/// Whoever has it may start and end the thread.
struct Control<'a>(&'a Event);

impl<'a> Control<'a> {
    fn take(part: &'a ThreadPart, passive: &mut Passive) -> Self {
        part.control.wait(passive);
        Self(&part.control)
    }
}

impl Drop for Control<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    /// A core with a thread for a drainer, not started, and one owner, the caller.
    pub(crate) fn new_threaded<W: Worker<T, C>>(
        passive: &mut Passive,
        config: &Config,
        options: ThreadOptions,
        cleanup: Option<Cleanup<T, C>>,
        worker: W,
    ) -> Result<NonNull<Self>, CreateError> {
        let _ = passive;
        let part = ThreadPart::new(options, config.max_buffers()?)?;
        let starter = Starter::Thread(part);
        let invoke = invoke_threaded::<T, K, C, W, VARIANT>;
        let this = Self::build(config, cleanup, starter, 1, invoke, Some(worker))?;
        // SAFETY: just built.
        unsafe { this.as_ref() }.ready.lock().stop();
        Ok(this)
    }

    fn part(&self) -> &ThreadPart {
        let Starter::Thread(part) = &self.starter else {
            unreachable!("only queues with a thread are asked")
        };
        part
    }

    /// Is this thread the queue's, or does it tell somebody of the queue's items?
    pub(crate) fn is_inside_threaded(&self) -> bool {
        self.part().is_here() || self.is_inside()
    }

    pub(crate) fn is_started(&self) -> bool {
        self.part().thread.lock().is_some()
    }

    /// Items that are pended now.
    pub(crate) fn pended(&self) -> u32 {
        self.part().marks.lock().count
    }

    /// Creates the thread. Nothing is done when there is one.
    ///
    /// # Safety
    /// The caller is an owner, and the core was made for this `W`.
    pub(crate) unsafe fn start_thread<W: Worker<T, C>>(
        this: NonNull<Self>,
        passive: &mut Passive,
    ) -> Result<(), StartRefused> {
        // SAFETY: the caller is an owner.
        let core = unsafe { this.as_ref() };
        let part = core.part();
        if core.is_inside_threaded() {
            return Err(StartRefused::Inside);
        }
        let _control = Control::take(part, passive);
        if core.pending.0.load().is_closing() {
            return Err(StartRefused::Closing);
        }
        if core.is_started() {
            return Ok(());
        }
        // Relaxed: the thread that it is for does not exist yet.
        part.exit.store(false, Ordering::Relaxed);
        core.add_owner();
        // SAFETY: the thread gets a share of the ownership, which it gives up at its end; `W` is the core's.
        let thread = unsafe {
            Thread::start(
                run_thread::<T, K, C, W, VARIANT>,
                this.cast(),
                part.options.priority,
            )
        };
        match thread {
            Ok(thread) => {
                *part.thread.lock() = Some(thread);
                core.start();
                Ok(())
            }
            Err(status) => {
                core.remove_spare_owner();
                Err(StartRefused::System(status))
            }
        }
    }

    /// Drops what has not begun, wakes every waiter, and ends the thread once the item that runs has ended.
    pub(crate) fn stop_thread(&self, passive: &mut Passive) -> Result<u64, PossibleDeadlock> {
        let part = self.part();
        if self.is_inside_threaded() {
            return Err(PossibleDeadlock);
        }
        let _control = Control::take(part, passive);
        if !self.is_started() || self.pending.0.load().is_closing() {
            return Ok(self.drop_all());
        }
        self.stop();
        // It may wait for a pended item.
        part.wake();
        let dropped = self.drop_all();
        self.stop_and_wait()?;
        let thread = part.thread.lock().take();
        if let Some(thread) = thread {
            part.end(thread, passive);
        }
        Ok(dropped)
    }

    /// Drops what has not begun, and wakes whoever waits for a pended item. How many were dropped.
    pub(crate) fn drop_all(&self) -> u64 {
        let dropped = self.cancel_all();
        self.wake_pended();
        dropped
    }

    /// As [`close`](Self::close), for a queue with a thread: which has ended when this returns.
    pub(crate) fn close_threaded(
        &self,
        passive: &mut Passive,
        cancel: bool,
    ) -> Result<u64, PossibleDeadlock> {
        let part = self.part();
        if self.is_inside_threaded() {
            return Err(PossibleDeadlock);
        }
        let (started, drains) = {
            let _control = Control::take(part, passive);
            // From here on no thread is started, and none ends but below.
            self.pending.0.close();
            let started = self.is_started();
            let drains = started && !cancel;
            if drains {
                self.start_for_good();
            }
            (started, drains)
        };
        let mut dropped = 0;
        if !drains {
            dropped = self.drop_all();
            self.end_stop();
            if !started {
                self.abandon_activation();
            }
        }
        self.await_quiet()?;
        let _control = Control::take(part, passive);
        let thread = part.thread.lock().take();
        if let Some(thread) = thread {
            part.end(thread, passive);
        }
        Ok(dropped)
    }

    /// Counts the buffers at home, once, and waits until the others are, and nobody is told of anything.
    fn await_quiet(&self) -> Result<(), PossibleDeadlock> {
        if let Some(home) = self.slots.close() {
            self.ready.lock().counted_home(home, self.slots.max());
        }
        self.wait_until(|_| Until::Quiet)
    }

    /// The handle's end: closes, cancels, ends the thread, and drops the worker with it. On the queue's own thread that
    /// is left to the thread.
    ///
    /// # Safety
    /// The caller is the handle, gives its ownership up here, and the core was made for this `W`.
    pub(crate) unsafe fn release_threaded<W: Worker<T, C>>(this: NonNull<Self>, passive: &mut Passive) {
        // SAFETY: the handle is an owner.
        let core = unsafe { this.as_ref() };
        let part = core.part();
        core.pending.0.close();
        core.drop_all();
        let thread = part.thread.lock().take();
        core.end_stop();
        let started = thread.is_some();
        if !started {
            core.abandon_activation();
        }
        if part.is_here() {
            // It ends itself when it comes back from here, and has a share of its own until then.
            part.exit.store(true, Ordering::Release);
            drop(thread);
        } else {
            if let Some(thread) = thread {
                part.end(thread, passive);
            }
            // Pended items may outlast the handle, and end at DISPATCH_LEVEL: the worker does not wait for them.
            // SAFETY: of this `W`; no thread is left to use it.
            let cell =
                unsafe { &(*this.cast::<WithCallback<T, K, C, Option<W>, VARIANT>>().as_ptr()).callback };
            cell.with_mut(|worker| {
                // SAFETY: as above.
                let worker: &mut ManuallyDrop<Option<W>> = unsafe { &mut *worker };
                **worker = None;
            });
        }
        // SAFETY: the handle's share, given up once.
        unsafe { Self::release_owner(this, false) };
    }

    /// Marks the slot of the item that runs as somebody's, who gets a share of the ownership with it.
    ///
    /// # Safety
    /// The caller is the drainer, and owns the slot.
    pub(crate) unsafe fn pend(&self, slot: Slot) {
        self.add_owner();
        self.part().marks.lock().set(slot, true);
    }

    /// Ends a pended item. IRQL `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    /// The caller owns the pended slot and its share of the ownership, and gives both up.
    pub(crate) unsafe fn complete_pended(this: NonNull<Self>, slot: Slot, status: NtStatus) {
        // SAFETY: the caller's share.
        let core = unsafe { this.as_ref() };
        let part = core.part();
        let mut canceller = Canceller::new(current_thread_id());
        let canceller = &raw mut canceller;
        // SAFETY: the guard below takes it off before this frame ends.
        unsafe { core.ready.lock().begin_telling(canceller) };
        let telling = CancelGuard { core, canceller };
        if !core.is(Broken::UnmarksLate) {
            // From here on no stop wakes the item's waiter: the next in this buffer may have another.
            part.marks.lock().set(slot, false);
        }
        // SAFETY: the caller's slot.
        unsafe { core.end_item(slot, Outcome::Ran(status), false) };
        if core.is(Broken::UnmarksLate) {
            part.marks.lock().set(slot, false);
        }
        drop(telling);
        if part.options.waits_for_pended {
            part.wake();
        }
        // SAFETY: the caller's share, given up here.
        unsafe { Self::release_owner(this, false) };
    }

    /// Wakes whoever waits for an item that is pended.
    fn wake_pended(&self) {
        let part = self.part();
        let mut at = 0;
        loop {
            let mut marks = part.marks.lock();
            if marks.count == 0 || at >= marks.length {
                return;
            }
            let until = marks.length.min(at + CHUNK);
            for index in at..until {
                let Some(slot) = u32::try_from(index).ok().and_then(Slot::from_index) else {
                    continue;
                };
                if !marks.has(slot) {
                    continue;
                }
                // Under the lock, so that the buffer is still this item's.
                if let Some(waiter) = self.slots.control(slot).waiter.claim() {
                    // SAFETY: claimed above.
                    unsafe { Waiter::wake(waiter, Outcome::Cancelled) };
                }
            }
            at = until;
        }
    }

    /// Waits, as DMF does, for a pended item before the next begins; a stop, or the handle's end, ends the wait.
    fn wait_for_pended(&self, slot: Slot, passive: &mut Passive) {
        let part = self.part();
        while part.marks.lock().has(slot)
            && !self.ready.lock().is_stopped()
            && !part.exit.load(Ordering::Acquire)
        {
            part.wake.wait(passive);
        }
    }
}

/// Runs the worker on one item.
///
/// # Safety
/// As for [`invoke`](super::invoke), with an `Option<W>` for a callback.
unsafe fn invoke_threaded<T, K, C, W, const VARIANT: u8>(
    core: NonNull<Core<T, K, C, VARIANT>>,
    slot: Slot,
    item: &mut Item<'_, T, C>,
    passive: &mut Passive,
) -> bool
where
    T: Payload + ?Sized,
    K: Completion,
    C: Context,
    W: Worker<T, C>,
{
    // SAFETY: the slot is the drainer's, which hands it over.
    let work = unsafe { Work::new(core, slot, item) };
    // SAFETY: by the caller's promise.
    let fate =
        unsafe { with_worker::<T, K, C, W, Fate, VARIANT>(core, |worker| worker.work(work, passive).fate()) };
    match fate {
        Some(Fate::Complete(status)) => {
            item.status = status;
            true
        }
        Some(Fate::Pended) => {
            // SAFETY: the drainer's activation is an owner.
            let this = unsafe { core.as_ref() };
            if this.part().options.waits_for_pended {
                this.wait_for_pended(slot, passive);
            }
            false
        }
        None => unreachable!("a worker is dropped when no thread is left"),
    }
}

/// Borrows the worker, for the queue's thread.
///
/// # Safety
/// `core` is the first field of a `WithCallback` of an `Option<W>`, and the caller is the queue's thread.
unsafe fn with_worker<T, K, C, W, R, const VARIANT: u8>(
    core: NonNull<Core<T, K, C, VARIANT>>,
    run: impl FnOnce(&mut W) -> R,
) -> Option<R>
where
    T: Payload + ?Sized,
    K: Completion,
    C: Context,
    W: Worker<T, C>,
{
    // SAFETY: by the caller's promise; the reference is to the callback's cell alone.
    let cell = unsafe { &(*core.cast::<WithCallback<T, K, C, Option<W>, VARIANT>>().as_ptr()).callback };
    cell.with_mut(|worker| {
        // SAFETY: there is one thread at a time, and the end of one comes before the start of the next.
        let worker: &mut ManuallyDrop<Option<W>> = unsafe { &mut *worker };
        worker.as_mut().map(run)
    })
}

/// What the thread does.
///
/// # Safety
/// `context` is a core made for this `W`, with a share of the ownership for this thread.
unsafe fn run_thread<T, K, C, W, const VARIANT: u8>(context: NonNull<()>)
where
    T: Payload + ?Sized,
    K: Completion,
    C: Context,
    W: Worker<T, C>,
{
    let this = context.cast::<Core<T, K, C, VARIANT>>();
    // SAFETY: the thread's share, until the end of this function.
    let core = unsafe { this.as_ref() };
    let part = core.part();
    // SAFETY: system threads start at PASSIVE_LEVEL.
    let mut passive = unsafe { Passive::assume() };
    part.id.store(current_thread_id(), Ordering::Relaxed);
    // SAFETY: this is the queue's thread.
    unsafe { with_worker::<T, K, C, W, (), VARIANT>(this, |worker| worker.pre(&mut passive)) };
    loop {
        // Acquire: as the store says.
        while part.options.waits_for_pended && part.any_pended() && !part.exit.load(Ordering::Acquire) {
            part.wake.wait(&mut passive);
        }
        // SAFETY: what a start of a work item does; the core is kept by this thread's share.
        unsafe { Core::<T, K, C, VARIANT>::run(context) };
        if part.exit.load(Ordering::Acquire) {
            break;
        }
        if core.is(Broken::RunsOnlyWhenIdle) {
            part.wake.clear();
        }
        part.wake.wait(&mut passive);
    }
    // SAFETY: as above.
    unsafe { with_worker::<T, K, C, W, (), VARIANT>(this, |worker| worker.post(&mut passive)) };
    part.id.store(0, Ordering::Relaxed);
    // SAFETY: the thread's share, given up once.
    unsafe { Core::release_owner(this, true) };
}
