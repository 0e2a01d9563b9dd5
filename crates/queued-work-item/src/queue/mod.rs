//! The public verbs.

mod answers;
mod enqueue;
mod paged;
mod raw;

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::cleanup::Cleanup;
use crate::engine::Core;
use crate::kernel::{Irql, Parent, check_irql};
use crate::payload::Payload;
use crate::{Completion, Config, CreateError, Item, NoCompletion, Passive, PossibleDeadlock};

pub use self::answers::{Close, Closed, Counters, WaitOutcome};
pub(crate) use self::enqueue::{conclude, returned};
pub use self::paged::PagedQueuedWorkItem;

/// A buffer's context: room of its own for each run, reset to the default between uses.
pub trait Context: Default + Send + 'static {}

impl<C: Default + Send + 'static> Context for C {}

/// A queue of work items: each enqueue runs the callback once, at `PASSIVE_LEVEL`, with its own payload, in order.
///
/// `T` is the payload: a type, moved in, or `[u8]`, copied in. `K` is the completion of
/// [`enqueue_with`](Self::enqueue_with), `C` the per-buffer context.
///
/// # Guarantees
/// - The callback runs exactly as often as an enqueue succeeded and was not cancelled.
/// - Runs begin in the order of enqueue, and two never overlap.
/// - A buffer is home before anyone is told that its item has ended.
///
/// # Dropping
/// Dropping the queue cancels what has not begun and does not wait for a callback that runs: only
/// [`close`](Self::close) does. IRQL `PASSIVE_LEVEL`: completions of cancelled items run here.
pub struct QueuedWorkItem<T: Payload + ?Sized, K: Completion = NoCompletion, C: Context = ()> {
    core: NonNull<Core<T, K, C>>,
    owns: PhantomData<Core<T, K, C>>,
}

// SAFETY: payloads, completions and contexts are `Send`, and are handed from thread to thread by the protocol, never
// shared; all the rest of the core is atomic or under its lock.
unsafe impl<T: Payload + ?Sized, K: Completion, C: Context> Send for QueuedWorkItem<T, K, C> {}
// SAFETY: as above.
unsafe impl<T: Payload + ?Sized, K: Completion, C: Context> Sync for QueuedWorkItem<T, K, C> {}

impl<T: Payload + ?Sized, K: Completion, C: Context> QueuedWorkItem<T, K, C> {
    /// Creates a queue with its buffers, under `parent`.
    ///
    /// `parent` decides how long the queue can be used at the longest: when it is deleted, what has not begun is
    /// cancelled. WDF deletes children before it calls their parent's cleanup, so that the place to close a device's
    /// queue is `EvtDeviceSelfManagedIoCleanup`, not the device's cleanup callback.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind, and the callback is dropped.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a parent is a name made for this call"
    )]
    pub fn create(
        passive: &mut Passive,
        parent: Parent,
        config: &Config,
        callback: impl FnMut(&mut Item<'_, T, C>, &mut Passive) + Send + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "QueuedWorkItem::create");
        let core = Core::new(passive, &parent, config, None, callback)?;
        Ok(Self {
            core,
            owns: PhantomData,
        })
    }

    /// As [`create`](Self::create), with a reuse-cleanup callback: DMF's `EvtBufferQueueReuseCleanup`.
    ///
    /// `cleanup` is called exactly once for each item that was accepted, however it ended, when its buffer goes home:
    /// after the callback, or instead of it for an item that was cancelled, and before anyone is told. It is handed
    /// the payload, bytes in the length that was enqueued, and the buffer's context, both as the callback left them;
    /// they are dropped or cleared right after it. A refused enqueue has not used the buffer, and calls nothing.
    ///
    /// ```
    /// # use queued_work_item::{Close, Config, Passive, QueuedWorkItem, kernel::Parent};
    /// # let passive = &mut unsafe { Passive::assume() };
    /// let queue = <QueuedWorkItem<[u8]>>::create_with_cleanup(
    ///     passive,
    ///     Parent::default(),
    ///     &Config::new(4).buffer_size(16),
    ///     |item, _| assert_eq!(item.payload(), b"key"),
    ///     |payload, _context| payload.fill(0xFF), // say, what must not stay behind
    /// )?;
    /// queue.enqueue(b"key").expect("a buffer is free");
    /// queue.close(passive, Close::Drain).expect("not called from the callback");
    /// # Ok::<_, queued_work_item::CreateError>(())
    /// ```
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, here and for `cleanup`: on the worker, or on the thread that cancels, closes or drops the queue.
    /// `cleanup` is inside the queue: it must not wait for it, and `flush`, `close` and `enqueue_and_wait` refuse. Two
    /// threads may be in it at a time, each with its own buffer.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind, and both callbacks are dropped.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a parent is a name made for this call"
    )]
    pub fn create_with_cleanup(
        passive: &mut Passive,
        parent: Parent,
        config: &Config,
        callback: impl FnMut(&mut Item<'_, T, C>, &mut Passive) + Send + 'static,
        cleanup: impl Fn(&mut T, &mut C) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "QueuedWorkItem::create_with_cleanup");
        let cleanup = Cleanup::new(cleanup)?;
        let core = Core::new(passive, &parent, config, Some(cleanup), callback)?;
        Ok(Self {
            core,
            owns: PhantomData,
        })
    }

    fn core(&self) -> &Core<T, K, C> {
        // SAFETY: the handle is an owner.
        unsafe { self.core.as_ref() }
    }

    /// Returns after everything that was enqueued before the call has ended: run, or cancelled by somebody, and its
    /// waiter and completion told. What is enqueued later does not hold it up. The queue stays usable.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] from the queue's own callback or completions.
    pub fn flush(&self, passive: &mut Passive) -> Result<(), PossibleDeadlock> {
        let _ = passive;
        self.core().flush()
    }

    /// Drops whatever has not begun and returns how many items that were. Their waiters are told `Cancelled`, their
    /// completions called here, before this returns; payloads are dropped. It may be called from the callback.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    pub fn cancel(&self, passive: &mut Passive) -> u64 {
        let _ = passive;
        check_irql(Irql::PASSIVE, "QueuedWorkItem::cancel");
        self.core().cancel_all()
    }

    /// Lets no item begin until [`start`](Self::start): when this returns, none does. It never waits for the callback
    /// that runs, which may go on for as long as it likes; [`stop_and_wait`](Self::stop_and_wait) does.
    ///
    /// A stopped queue keeps what it has and its order, and takes more: enqueues succeed as far as there are buffers. A
    /// `flush` or an unbounded wait lasts until the queue is started and the item has run. [`cancel`](Self::cancel)
    /// drops as ever. [`close`](Self::close) ends the stop: with `Cancel` nothing begins any more; with `Drain` what
    /// is queued **runs**, for a close must not hang on a start that nobody is left to make. So a driver whose callback
    /// touches hardware stops the queue in `EvtDeviceD0Exit`, starts it in `EvtDeviceD0Entry`, and closes it with
    /// `Cancel` in `EvtDeviceSelfManagedIoCleanup`.
    ///
    /// Stops do not add up, and a closing queue takes no notice of one. It follows `DMF_ThreadedBufferQueue_Stop`,
    /// without its wait. It may be called from the callback.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    pub fn stop(&self) {
        self.core().stop();
    }

    /// As [`stop`](Self::stop), and returns when no callback runs: with its item's waiter and completion told. What
    /// `EvtDeviceD0Exit` calls when the callback may not meet hardware without power.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`. The time it takes is that of the callback that runs.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] from the queue's own callback or completions; the queue is not stopped then.
    pub fn stop_and_wait(&self, passive: &mut Passive) -> Result<(), PossibleDeadlock> {
        let _ = passive;
        self.core().stop_and_wait()
    }

    /// Lets items begin again after a [`stop`](Self::stop), in the order of their enqueue. Nothing happens when the
    /// queue is not stopped.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    pub fn start(&self) {
        self.core().start();
    }

    /// Is the queue stopped, and not closing? IRQL `<= DISPATCH_LEVEL`.
    pub fn is_stopped(&self) -> bool {
        self.core().ready.lock().is_stopped()
    }

    /// Closes the queue: no enqueue that begins after this call began succeeds. When it returns, no callback or
    /// completion runs or will, every waiter has been woken, and every buffer is home.
    ///
    /// A [stopped](Self::stop) queue is no longer: with `Drain`, what is queued runs.
    ///
    /// A second close waits as the first does, and `Cancel` escalates a drain that is going on. The time it takes is
    /// that of the callback that runs, and with `Drain` of those that have not.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] from the queue's own callback or completions.
    pub fn close(&self, passive: &mut Passive, how: Close) -> Result<Closed, PossibleDeadlock> {
        let _ = passive;
        let cancelled = self.core().close(how == Close::Cancel)?;
        Ok(Closed { cancelled })
    }

    /// Items accepted and not ended, the running one included, which counts until the drainer goes on, a moment after its
    /// waiter has woken. IRQL `<= DISPATCH_LEVEL`.
    pub fn len(&self) -> u32 {
        let core = self.core();
        let ready = core.look();
        // No more than there are buffers, but for items that have ended and whose end is about to be noted.
        u32::try_from(ready.length())
            .unwrap_or(u32::MAX)
            .min(core.slots.max())
    }

    /// Is there no item at all? IRQL `<= DISPATCH_LEVEL`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is the queue closing or closed? IRQL: any.
    pub fn is_closing(&self) -> bool {
        self.core().pending.0.load().is_closing()
    }

    /// Buffers that there can be at once: how many items, the running one included. IRQL: any.
    pub fn capacity(&self) -> u32 {
        self.core().slots.max()
    }

    /// The most items that were accepted and not ended at one time, as noted when an enqueue found no buffer, when a cancel
    /// came, and whenever the worker went to its list: after each callback, or after up to 16 that followed each other. A peak
    /// in between is noted up to 15 too low. IRQL `<= DISPATCH_LEVEL`.
    pub fn high_water_mark(&self) -> u32 {
        let core = self.core();
        let ready = core.look();
        let high = ready.high_water.max(ready.length());
        u32::try_from(high).unwrap_or(u32::MAX).min(core.slots.max())
    }

    /// What happened so far. IRQL `<= DISPATCH_LEVEL`.
    pub fn counters(&self) -> Counters {
        Counters::of(self.core())
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context> Drop for QueuedWorkItem<T, K, C> {
    fn drop(&mut self) {
        let core = self.core();
        core.pending.0.close();
        core.cancel_all();
        core.end_stop();
        // SAFETY: the handle's ownership, given up once; the core is not used after it.
        unsafe { Core::release_owner(self.core, false) };
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context> fmt::Debug for QueuedWorkItem<T, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedWorkItem")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("closing", &self.is_closing())
            .finish_non_exhaustive()
    }
}
