//! The verbs that put something in: the same four for bytes, which are copied, and for values, which are moved.

use core::time::Duration;

use super::QueuedWorkItem;
use crate::{Completion, Context, EnqueueError, NtStatus, Outcome, Passive, WaitError, WaitOutcome};

impl<K: Completion, C: Context> QueuedWorkItem<[u8], K, C> {
    /// Copies `payload` into a free buffer and queues it.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`. It never blocks, and allocates only where the configuration lets it grow.
    ///
    /// # Errors
    /// `Full`, `TooLong` or `Closing`; nothing has changed.
    pub fn enqueue(&self, payload: &[u8]) -> Result<(), EnqueueError<()>> {
        match self.core().submit_bytes(payload, None, core::ptr::null_mut()) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.map(drop)),
        }
    }

    /// As [`enqueue`](Self::enqueue); `completion` is called once the item has ended.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// As for `enqueue`, with the completion, which is not called.
    pub fn enqueue_with(&self, payload: &[u8], completion: K) -> Result<(), EnqueueError<K>> {
        match self
            .core()
            .submit_bytes(payload, Some(completion), core::ptr::null_mut())
        {
            Ok(_) => Ok(()),
            Err(error) => Err(error.map(returned)),
        }
    }

    /// As [`enqueue`](Self::enqueue), and waits for this very item: the status that its callback left.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`WaitError`]: refused, cancelled before it began, or called from inside the queue.
    pub fn enqueue_and_wait(&self, passive: &mut Passive, payload: &[u8]) -> Result<NtStatus, WaitError<()>> {
        self.wait(passive, payload, None).map(WaitOutcome::status)
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
        payload: &[u8],
        timeout: Duration,
    ) -> Result<WaitOutcome, WaitError<()>> {
        self.wait(passive, payload, Some(timeout))
    }

    fn wait(
        &self,
        _: &mut Passive,
        payload: &[u8],
        timeout: Option<Duration>,
    ) -> Result<WaitOutcome, WaitError<()>> {
        let core = self.core();
        if core.is_inside() {
            return Err(WaitError::PossibleDeadlock(()));
        }
        let waited = core.wait_for(timeout, |waiter| core.submit_bytes(payload, None, waiter));
        conclude(waited.map_err(|error| error.map(drop)))
    }
}

impl<T: Send + 'static, K: Completion, C: Context> QueuedWorkItem<T, K, C> {
    /// Moves `payload` into a free buffer and queues it.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`. It never blocks, and allocates only where the configuration lets it grow.
    ///
    /// # Errors
    /// `Full` or `Closing`, with the payload; nothing has changed.
    pub fn enqueue(&self, payload: T) -> Result<(), EnqueueError<T>> {
        match self.core().submit_value(payload, None, core::ptr::null_mut()) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.map(|(payload, _)| payload)),
        }
    }

    /// As [`enqueue`](Self::enqueue); `completion` is called once the item has ended.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// As for `enqueue`, with payload and completion, which is not called.
    pub fn enqueue_with(&self, payload: T, completion: K) -> Result<(), EnqueueError<(T, K)>> {
        match self
            .core()
            .submit_value(payload, Some(completion), core::ptr::null_mut())
        {
            Ok(_) => Ok(()),
            Err(error) => Err(error.map(|(payload, completion)| (payload, returned(completion)))),
        }
    }

    /// As [`enqueue`](Self::enqueue), and waits for this very item: the status that its callback left.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`WaitError`]: refused, cancelled before it began, or called from inside the queue.
    pub fn enqueue_and_wait(&self, passive: &mut Passive, payload: T) -> Result<NtStatus, WaitError<T>> {
        self.wait(passive, payload, None).map(WaitOutcome::status)
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
        payload: T,
        timeout: Duration,
    ) -> Result<WaitOutcome, WaitError<T>> {
        self.wait(passive, payload, Some(timeout))
    }

    fn wait(
        &self,
        _: &mut Passive,
        payload: T,
        timeout: Option<Duration>,
    ) -> Result<WaitOutcome, WaitError<T>> {
        let core = self.core();
        if core.is_inside() {
            return Err(WaitError::PossibleDeadlock(payload));
        }
        let waited = core.wait_for(timeout, |waiter| core.submit_value(payload, None, waiter));
        conclude(waited.map_err(|error| error.map(|(payload, _)| payload)))
    }
}

pub(crate) fn returned<K>(completion: Option<K>) -> K {
    let Some(completion) = completion else {
        unreachable!("a refusal returns what was moved in")
    };
    completion
}

pub(crate) fn conclude<P>(
    waited: Result<Option<Outcome>, EnqueueError<P>>,
) -> Result<WaitOutcome, WaitError<P>> {
    match waited {
        Ok(Some(Outcome::Ran(status))) => Ok(WaitOutcome::Ran(status)),
        Ok(Some(Outcome::Cancelled)) => Err(WaitError::Cancelled),
        Ok(None) => Ok(WaitOutcome::TimedOut),
        Err(error) => Err(WaitError::Refused(error)),
    }
}
