//! What is called when an item that nobody waits for has ended.

use crate::Outcome;

/// Told once what became of an item that [`enqueue_with`](crate::QueuedWorkItem::enqueue_with) put in.
///
/// # Guarantees
/// For each accepted item exactly one call: after its buffer is home, so that an enqueue from here finds it; never
/// while the queue holds a lock; and before a `flush` or `close` that covers the item returns.
///
/// # IRQL
/// `PASSIVE_LEVEL`: on the worker for an item that ran, on the thread that cancels, closes or drops the queue for one
/// that was cancelled. A completion must not wait for its own queue; `flush`, `close` and `enqueue_and_wait` refuse it
/// with `STATUS_POSSIBLE_DEADLOCK`.
pub trait Completion: Send + 'static {
    /// The item has ended.
    fn complete(self, outcome: Outcome);
}

/// The completion of a queue that uses none. It has no values, and takes no room in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCompletion {}

impl Completion for NoCompletion {
    fn complete(self, _: Outcome) {
        match self {}
    }
}

impl<F: FnOnce(Outcome) + Send + 'static> Completion for F {
    fn complete(self, outcome: Outcome) {
        self(outcome);
    }
}
