//! The public verbs.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use super::work::Closure;
use super::{Disposition, StartError, ThreadedConfig, Work, Worker};
use crate::cleanup::Cleanup;
use crate::engine::{Core, StartRefused, ThreadOptions};
use crate::kernel::{Irql, check_irql};
use crate::payload::Payload;
use crate::queue::{conclude, returned};
use crate::{
    Close, Closed, Completion, Context, Counters, CreateError, EnqueueError, NoCompletion, NtStatus, Passive,
    PossibleDeadlock, WaitError, WaitOutcome,
};

/// [`Core::start_thread`] for a queue's worker.
type Start<T, K, C, const VARIANT: u8> =
    unsafe fn(NonNull<Core<T, K, C, VARIANT>>, &mut Passive) -> Result<(), StartRefused>;

/// A queue's ownership, with a variant for the models, and without its worker's type.
pub(crate) struct Handle<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8 = 0> {
    core: NonNull<Core<T, K, C, VARIANT>>,
    start: Start<T, K, C, VARIANT>,
    release: unsafe fn(NonNull<Core<T, K, C, VARIANT>>, &mut Passive),
    owns: PhantomData<Core<T, K, C, VARIANT>>,
}

// SAFETY: payloads, completions, contexts and the worker are `Send`, and are handed from thread to thread by the protocol,
// never shared; all the rest of the core is atomic or under its locks.
unsafe impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Send
    for Handle<T, K, C, VARIANT>
{
}
// SAFETY: as above.
unsafe impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Sync
    for Handle<T, K, C, VARIANT>
{
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Handle<T, K, C, VARIANT> {
    pub(crate) fn new<W: Worker<T, C>>(
        passive: &mut Passive,
        config: &ThreadedConfig,
        cleanup: Option<Cleanup<T, C>>,
        worker: W,
    ) -> Result<Self, CreateError> {
        config.check()?;
        let options = ThreadOptions {
            priority: config.priority,
            waits_for_pended: config.waits_for_pended,
        };
        Ok(Self {
            core: Core::new_threaded(passive, &config.buffers, options, cleanup, worker)?,
            start: Core::start_thread::<W>,
            release: Core::release_threaded::<W>,
            owns: PhantomData,
        })
    }

    pub(crate) fn core(&self) -> &Core<T, K, C, VARIANT> {
        // SAFETY: the handle is an owner.
        unsafe { self.core.as_ref() }
    }

    pub(crate) fn start(&self, passive: &mut Passive) -> Result<(), StartError> {
        check_irql(Irql::PASSIVE, "ThreadedBufferQueue::start");
        // SAFETY: the handle is an owner, and the function is its worker's.
        unsafe { (self.start)(self.core, passive) }.map_err(|refused| match refused {
            StartRefused::Inside => StartError::PossibleDeadlock,
            StartRefused::Closing => StartError::Closing,
            StartRefused::System(status) => StartError::Thread(status),
        })
    }

    pub(crate) fn stop(&self, passive: &mut Passive) -> Result<u64, PossibleDeadlock> {
        check_irql(Irql::PASSIVE, "ThreadedBufferQueue::stop");
        self.core().stop_thread(passive)
    }

    pub(crate) fn close(&self, passive: &mut Passive, how: Close) -> Result<Closed, PossibleDeadlock> {
        check_irql(Irql::PASSIVE, "ThreadedBufferQueue::close");
        let cancelled = self.core().close_threaded(passive, how == Close::Cancel)?;
        Ok(Closed { cancelled })
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Drop for Handle<T, K, C, VARIANT> {
    fn drop(&mut self) {
        // SAFETY: queues are dropped at PASSIVE_LEVEL, as their documentation asks.
        let passive = &mut unsafe { Passive::assume() };
        // SAFETY: the handle's ownership, given up once; the function is its worker's.
        unsafe { (self.release)(self.core, passive) };
    }
}

/// A queue whose items are worked on by a thread of its own, in order: see the [module](super).
///
/// `T` is the payload: a type, moved in, or `[u8]`, copied in. `K` is the completion of
/// [`enqueue_with`](Self::enqueue_with), `C` the per-buffer context.
///
/// # Guarantees
/// - Items begin in their order, one at a time. Those that are not pended also finish in it: an item's buffer is home, and
///   its waiter or completion has been told, before the next begins to be told.
/// - Each accepted item is worked on exactly once, or is told to be dropped.
/// - A buffer is home before anyone is told that its item has ended.
///
/// # Dropping
/// Dropping the queue is a [`close`](Self::close) with `Cancel` that does not wait for pended items: they stay their
/// holders'. It waits for the thread, whose code must not outlast the driver's image; dropped on its own thread,
/// that ends by itself afterwards. IRQL `PASSIVE_LEVEL`.
pub struct ThreadedBufferQueue<T: Payload + ?Sized, K: Completion = NoCompletion, C: Context = ()>(
    Handle<T, K, C>,
);

impl<T: Payload + ?Sized, K: Completion, C: Context> ThreadedBufferQueue<T, K, C> {
    /// Creates a queue with its buffers and without a thread, which [`start`](Self::start) makes.
    ///
    /// `work` answers for each item by what it does with its [`Work`].
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, here and for `work`.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind, and `work` is dropped.
    pub fn create(
        passive: &mut Passive,
        config: &ThreadedConfig,
        work: impl for<'a> FnMut(Work<'a, T, C>, &mut Passive) -> Disposition<'a> + Send + 'static,
    ) -> Result<Self, CreateError> {
        Self::create_with_worker(passive, config, Closure(work))
    }

    /// As [`create`](Self::create), with a worker that is also told when its thread starts and ends.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// As for `create`.
    pub fn create_with_worker(
        passive: &mut Passive,
        config: &ThreadedConfig,
        worker: impl Worker<T, C>,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "ThreadedBufferQueue::create");
        Handle::new(passive, config, None, worker).map(Self)
    }

    /// As [`create_with_worker`](Self::create_with_worker), with a reuse-cleanup callback, as for
    /// [`QueuedWorkItem`](crate::QueuedWorkItem::create_with_cleanup): called once for each accepted item when its
    /// buffer goes home.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`. `cleanup` runs at `PASSIVE_LEVEL` too, but at `<= DISPATCH_LEVEL` for an item that was pended and
    /// is completed there.
    ///
    /// # Errors
    /// As for `create`.
    pub fn create_with_cleanup(
        passive: &mut Passive,
        config: &ThreadedConfig,
        worker: impl Worker<T, C>,
        cleanup: impl Fn(&mut T, &mut C) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "ThreadedBufferQueue::create");
        let cleanup = Cleanup::new(cleanup)?;
        Handle::new(passive, config, Some(cleanup), worker).map(Self)
    }

    fn core(&self) -> &Core<T, K, C> {
        self.0.core()
    }

    /// Makes the thread, which works on what has been accepted and will be. Nothing happens when there is one.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`StartError`]; nothing has changed.
    pub fn start(&self, passive: &mut Passive) -> Result<(), StartError> {
        self.0.start(passive)
    }

    /// Drops what has not begun, wakes every waiter but the running item's with `Cancelled`, waits for the item that runs, and
    /// ends the thread. How many were dropped. What is enqueued from here on waits for a [`start`](Self::start).
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`. The time it takes is that of the worker's item and its `post`.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] on the queue's own thread, or in one of its completions; nothing has changed.
    pub fn stop(&self, passive: &mut Passive) -> Result<u64, PossibleDeadlock> {
        self.0.stop(passive)
    }

    /// Drops what has not begun, and wakes every waiter but the running item's with `Cancelled`; returns how many were
    /// dropped. It may be called by the worker.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`: completions of dropped items run here.
    pub fn flush(&self, passive: &mut Passive) -> u64 {
        let _ = passive;
        check_irql(Irql::PASSIVE, "ThreadedBufferQueue::flush");
        self.core().drop_all()
    }

    /// Closes the queue: no enqueue that begins after this call began succeeds. When it returns, the thread has ended,
    /// no completion runs or will, every waiter has been woken, and every buffer is home: also those of pended items,
    /// whose holders it waits for.
    ///
    /// Without a thread nothing can run: `Drain` is `Cancel` then. A second close waits as the first does, and `Cancel`
    /// escalates a drain that is going on.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`PossibleDeadlock`] on the queue's own thread, or in one of its completions; nothing has changed.
    pub fn close(&self, passive: &mut Passive, how: Close) -> Result<Closed, PossibleDeadlock> {
        self.0.close(passive, how)
    }

    /// Is there a thread? IRQL `<= DISPATCH_LEVEL`.
    pub fn is_started(&self) -> bool {
        self.core().is_started()
    }

    /// Is the queue closing or closed? IRQL: any.
    pub fn is_closing(&self) -> bool {
        self.core().pending.0.load().is_closing()
    }

    /// Items accepted and not begun, and the one that runs; without those that are pended. DMF's `Count`. An item counts
    /// until the thread goes on, a moment after its waiter has woken. IRQL `<= DISPATCH_LEVEL`.
    pub fn len(&self) -> u32 {
        let core = self.core();
        u32::try_from(core.look().length())
            .unwrap_or(u32::MAX)
            .min(core.slots.max())
    }

    /// Has nothing been accepted that has not ended or been pended? IRQL `<= DISPATCH_LEVEL`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items that are pended. IRQL `<= DISPATCH_LEVEL`.
    pub fn pended(&self) -> u32 {
        self.core().pended()
    }

    /// Buffers that there can be at once: how many items, the running and the pended ones included. IRQL: any.
    pub fn capacity(&self) -> u32 {
        self.core().slots.max()
    }

    /// The most items that [`len`](Self::len) would have told at one time, as noted when an enqueue found no buffer, when
    /// a cancel came, and whenever the thread went to its list. IRQL `<= DISPATCH_LEVEL`.
    pub fn high_water_mark(&self) -> u32 {
        let core = self.core();
        let ready = core.look();
        let high = ready.high_water.max(ready.length());
        u32::try_from(high).unwrap_or(u32::MAX).min(core.slots.max())
    }

    /// What happened so far; an item that was pended counts as executed when its worker has returned. IRQL
    /// `<= DISPATCH_LEVEL`.
    pub fn counters(&self) -> Counters {
        Counters::of(self.core())
    }
}

/// The verbs that put items in, for a payload that is moved and for one that is copied.
macro_rules! verbs {
    ($payload:ty, $submit:ident, $returned:ty, $both:ty, $one:expr, $two:expr) => {
        /// Puts an item at the tail.
        ///
        /// # IRQL
        /// `<= DISPATCH_LEVEL`. It never blocks, and allocates only where the configuration lets it grow.
        ///
        /// # Errors
        /// `Full`, `TooLong` or `Closing`, with what was moved in; nothing has changed.
        pub fn enqueue(&self, payload: $payload) -> Result<(), EnqueueError<$returned>> {
            let submitted = self
                .core()
                .$submit::<false>(payload, None, core::ptr::null_mut());
            submitted.map(drop).map_err(|error| error.map($one))
        }

        /// As [`enqueue`](Self::enqueue), before all that has not begun.
        ///
        /// # IRQL
        /// `<= DISPATCH_LEVEL`.
        ///
        /// # Errors
        /// As for `enqueue`.
        pub fn enqueue_at_head(&self, payload: $payload) -> Result<(), EnqueueError<$returned>> {
            let submitted = self
                .core()
                .$submit::<true>(payload, None, core::ptr::null_mut());
            submitted.map(drop).map_err(|error| error.map($one))
        }

        /// As [`enqueue`](Self::enqueue); `completion` is called once the item has ended: on the queue's thread, on one
        /// that drops the item, or where a pended item is completed, which may be at `DISPATCH_LEVEL`.
        ///
        /// # IRQL
        /// `<= DISPATCH_LEVEL`.
        ///
        /// # Errors
        /// As for `enqueue`, with the completion too, which is not called.
        pub fn enqueue_with(&self, payload: $payload, completion: K) -> Result<(), EnqueueError<$both>> {
            let submitted = self
                .core()
                .$submit::<false>(payload, Some(completion), core::ptr::null_mut());
            submitted.map(drop).map_err(|error| error.map($two))
        }

        /// As [`enqueue_with`](Self::enqueue_with), before all that has not begun.
        ///
        /// # IRQL
        /// `<= DISPATCH_LEVEL`.
        ///
        /// # Errors
        /// As for `enqueue_with`.
        pub fn enqueue_at_head_with(
            &self,
            payload: $payload,
            completion: K,
        ) -> Result<(), EnqueueError<$both>> {
            let submitted = self
                .core()
                .$submit::<true>(payload, Some(completion), core::ptr::null_mut());
            submitted.map(drop).map_err(|error| error.map($two))
        }

        /// As [`enqueue`](Self::enqueue), and waits until this very item has been completed: its status.
        ///
        /// # IRQL
        /// `PASSIVE_LEVEL`.
        ///
        /// # Errors
        /// [`WaitError`]: refused; dropped, or pended when the queue was stopped, flushed or closed with `Cancel`; or
        /// called from inside the queue.
        pub fn enqueue_and_wait(
            &self,
            passive: &mut Passive,
            payload: $payload,
        ) -> Result<NtStatus, WaitError<$returned>> {
            self.wait::<false>(passive, payload, None)
                .map(WaitOutcome::status)
        }

        /// As [`enqueue_and_wait`](Self::enqueue_and_wait), for `timeout` at most.
        ///
        /// # IRQL
        /// `PASSIVE_LEVEL`.
        ///
        /// # Errors
        /// As for `enqueue_and_wait`; running out of time is an outcome, not an error.
        pub fn enqueue_and_wait_timeout(
            &self,
            passive: &mut Passive,
            payload: $payload,
            timeout: Duration,
        ) -> Result<WaitOutcome, WaitError<$returned>> {
            self.wait::<false>(passive, payload, Some(timeout))
        }

        /// As [`enqueue_and_wait`](Self::enqueue_and_wait), before all that has not begun.
        ///
        /// # IRQL
        /// `PASSIVE_LEVEL`.
        ///
        /// # Errors
        /// As for `enqueue_and_wait`.
        pub fn enqueue_at_head_and_wait(
            &self,
            passive: &mut Passive,
            payload: $payload,
        ) -> Result<NtStatus, WaitError<$returned>> {
            self.wait::<true>(passive, payload, None)
                .map(WaitOutcome::status)
        }

        /// As [`enqueue_at_head_and_wait`](Self::enqueue_at_head_and_wait), for `timeout` at most.
        ///
        /// # IRQL
        /// `PASSIVE_LEVEL`.
        ///
        /// # Errors
        /// As for `enqueue_and_wait`; running out of time is an outcome, not an error.
        pub fn enqueue_at_head_and_wait_timeout(
            &self,
            passive: &mut Passive,
            payload: $payload,
            timeout: Duration,
        ) -> Result<WaitOutcome, WaitError<$returned>> {
            self.wait::<true>(passive, payload, Some(timeout))
        }
    };
}

impl<T: Send + 'static, K: Completion, C: Context> ThreadedBufferQueue<T, K, C> {
    verbs!(T, submit_value_at, T, (T, K), |(payload, _)| payload, |(
        payload,
        completion,
    )| (
        payload,
        returned(completion)
    ));

    fn wait<const HEAD: bool>(
        &self,
        _: &mut Passive,
        payload: T,
        timeout: Option<Duration>,
    ) -> Result<WaitOutcome, WaitError<T>> {
        let core = self.core();
        if core.is_inside_threaded() {
            return Err(WaitError::PossibleDeadlock(payload));
        }
        let waited = core.wait_for(timeout, |waiter| {
            core.submit_value_at::<HEAD>(payload, None, waiter)
        });
        conclude(waited.map_err(|error| error.map(|(payload, _)| payload)))
    }
}

impl<K: Completion, C: Context> ThreadedBufferQueue<[u8], K, C> {
    verbs!(&[u8], submit_bytes_at, (), K, drop, returned);

    fn wait<const HEAD: bool>(
        &self,
        _: &mut Passive,
        payload: &[u8],
        timeout: Option<Duration>,
    ) -> Result<WaitOutcome, WaitError<()>> {
        let core = self.core();
        if core.is_inside_threaded() {
            return Err(WaitError::PossibleDeadlock(()));
        }
        let waited = core.wait_for(timeout, |waiter| {
            core.submit_bytes_at::<HEAD>(payload, None, waiter)
        });
        conclude(waited.map_err(|error| error.map(drop)))
    }
}

impl<T: Payload + ?Sized, K: Completion, C: Context> fmt::Debug for ThreadedBufferQueue<T, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadedBufferQueue")
            .field("len", &self.len())
            .field("pended", &self.pended())
            .field("started", &self.is_started())
            .field("closing", &self.is_closing())
            .finish_non_exhaustive()
    }
}
