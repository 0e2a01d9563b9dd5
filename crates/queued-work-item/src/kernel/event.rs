//! Events: the one thing that a thread waits on here.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::time::Duration;

use super::backend::RawEvent;
use super::memory::Block;
use super::{Irql, check_irql};
use crate::{CreateError, Passive};

/// Whom a set event lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Everyone, until it is cleared (`NotificationEvent`).
    Notification,
    /// One waiter, which clears it (`SynchronizationEvent`).
    Synchronization,
}

/// A kernel event, in a pool allocation of its own so that it can be moved.
pub struct Event {
    raw: NonNull<RawEvent>,
    _memory: Block,
}

// SAFETY: an event is made to be set and waited for on different threads, and owns its memory.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A new event, not set.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// [`CreateError::OutOfMemory`].
    pub fn new(kind: EventKind) -> Result<Self, CreateError> {
        let memory = Block::zeroed(Layout::new::<RawEvent>()).ok_or(CreateError::OutOfMemory)?;
        let raw = memory.start().cast::<RawEvent>();
        // SAFETY: the block has a `RawEvent`'s size and alignment.
        unsafe { raw.write(RawEvent::new()) };
        let event = Self { raw, _memory: memory };
        // SAFETY: it stays where it is until it is dropped, and is not in use yet.
        unsafe { event.raw().init(kind) };
        Ok(event)
    }

    fn raw(&self) -> &RawEvent {
        // SAFETY: `raw` was written in `new` and lives as long as `_memory`.
        unsafe { self.raw.as_ref() }
    }

    /// Sets the event. IRQL `<= DISPATCH_LEVEL`.
    pub fn set(&self) {
        check_irql(Irql::DISPATCH, "Event::set");
        self.raw().set();
    }

    /// Clears the event. IRQL `<= DISPATCH_LEVEL`.
    pub fn clear(&self) {
        check_irql(Irql::DISPATCH, "Event::clear");
        self.raw().clear();
    }

    /// Waits until the event is set. IRQL `PASSIVE_LEVEL`, by its token.
    pub fn wait(&self, passive: &mut Passive) {
        let _ = passive;
        check_irql(Irql::PASSIVE, "Event::wait");
        self.raw().wait(None);
    }

    /// Waits until the event is set, at most for `timeout`; tells whether it was. IRQL `PASSIVE_LEVEL`, by its token.
    pub fn wait_timeout(&self, passive: &mut Passive, timeout: Duration) -> bool {
        let _ = passive;
        check_irql(Irql::PASSIVE, "Event::wait_timeout");
        self.raw().wait(Some(timeout))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: written in `new`, dropped once, and nobody can wait for it: the borrow is exclusive.
        unsafe { self.raw.drop_in_place() };
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}

/// Runs `body` with a notification event in this stack frame: the way to wait without allocating. The frame stays
/// resident because backends wait in kernel mode.
///
/// Whoever sets the event must have been waited for before `body` returns.
pub(crate) fn with_stack_event<R>(body: impl FnOnce(&RawEvent) -> R) -> R {
    let event = RawEvent::new();
    // SAFETY: `event` is not moved after this, and is not in use yet.
    unsafe { event.init(EventKind::Notification) };
    body(&event)
}

pub(crate) use super::backend::RawEvent as StackEvent;
