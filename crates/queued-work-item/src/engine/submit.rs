//! The producer's half: take a buffer, fill it, push it, schedule if nobody drains. Two locked instructions when
//! somebody does.

use super::{Broken, Core};
use crate::free::{Missed, PopError};
use crate::kernel::atomic::Ordering;
use crate::kernel::{Irql, check_irql, current_thread_id, with_stack_event};
use crate::payload::Payload;
use crate::pending::Pushed;
use crate::slots::{Refusal, Room, Slot};
use crate::waiter::Waiter;
use crate::{Completion, Context, EnqueueError, EnqueueErrorKind, Outcome};

/// Whom to tell: a thread by its frame, or null.
pub(crate) type WaiterPointer = *mut Waiter<'static>;

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    #[cold]
    fn refuse(&self, kind: EnqueueErrorKind) -> EnqueueErrorKind {
        let counter = match kind {
            EnqueueErrorKind::Full => &self.refused.full,
            EnqueueErrorKind::TooLong => &self.refused.too_long,
            EnqueueErrorKind::Closing => &self.refused.closing,
        };
        // Relaxed: a count that orders nothing.
        counter.fetch_add(1, Ordering::Relaxed);
        kind
    }

    /// Takes a buffer where none was free: one that the drainer has finished and not brought home, or one more if the queue
    /// may grow.
    fn acquire_otherwise(&self, missed: Missed) -> Result<Slot, EnqueueErrorKind> {
        let error = match missed {
            Missed::Error(error) => error,
            Missed::Lost => match self.slots.pop_slot() {
                Ok(slot) => return Ok(slot),
                Err(error) => error,
            },
        };
        // A closing queue says so even when it is full as well. Where there is a buffer, the push decides.
        if error == PopError::Closed || self.pending.0.load().is_closing() {
            return Err(self.refuse(EnqueueErrorKind::Closing));
        }
        if !self.is(Broken::FullUnasked)
            && let Some(slot) = self.take_finished()?
        {
            return Ok(slot);
        }
        self.slots.grow().map_err(|refusal| {
            self.refuse(match refusal {
                Refusal::Full => EnqueueErrorKind::Full,
                Refusal::Closed => EnqueueErrorKind::Closing,
                Refusal::ClosedLate => {
                    self.ready.lock().came_home(1);
                    EnqueueErrorKind::Closing
                }
            })
        })
    }

    /// Takes a finished buffer, and brings the others home. `None`: at one moment every buffer of the slab was in use.
    fn take_finished(&self) -> Result<Option<Slot>, EnqueueErrorKind> {
        let claim = &self.claim.0;
        let mut ready = self.look();
        ready.note_length(self.pending.0.load());
        // The drainer brings buffers home under this lock: none is on its way. And what it has finished is not taken
        // meanwhile: if there is nothing below, there was nothing when the stack was found empty.
        match self.slots.pop_slot() {
            Ok(slot) => return Ok(Some(slot)),
            Err(PopError::Empty) => {}
            Err(PopError::Closed) => return Err(self.refuse(EnqueueErrorKind::Closing)),
        }
        let mut finished = claim.progress().finished;
        claim.take_finished(finished);
        let taken = finished.take_one().and_then(|position| claim.slot(position));
        // SAFETY: taken out under the lock.
        unsafe { self.bring_home(&mut ready, finished) };
        Ok(taken)
    }

    /// Pushes a filled buffer that could not join what is pending.
    ///
    /// # Safety
    /// The caller owns the slot, and keeps it when this fails.
    unsafe fn push<const HEAD: bool>(&self, slot: Slot) -> Result<(), EnqueueErrorKind> {
        if HEAD {
            // SAFETY: by the caller's promise.
            return unsafe { self.push_head(slot) };
        }
        let mut counted = false;
        let pushed = self
            .pending
            .0
            .push(slot.index(), &self.slots.control(slot).link, || {
                // Before the exchange: a start that claims at once must find the ownership that it will give up.
                self.add_owner();
                counted = true;
            });
        self.pushed(pushed, counted)
    }

    /// Puts a filled buffer before all that has not begun.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    unsafe fn push_head(&self, slot: Slot) -> Result<(), EnqueueErrorKind> {
        let mut counted = false;
        let pushed = {
            let mut ready = self.ready.lock();
            let joined = self.pending.0.count_push(|| {
                self.add_owner();
                counted = true;
            });
            if joined.is_ok() {
                // Or what the drainer has claimed would come first.
                ready.revoke(&self.claim.0);
                ready.push_head(slot, &self.slots, self.pending.0.load());
            }
            joined
        };
        self.pushed(pushed, counted)
    }

    /// What a push obliges to. `counted`: it has added an owner for the activation that it may begin.
    #[inline]
    fn pushed(
        &self,
        pushed: Result<Pushed, crate::pending::Closing>,
        counted: bool,
    ) -> Result<(), EnqueueErrorKind> {
        match pushed {
            Ok(Pushed::MustSchedule) => {
                self.schedule();
                Ok(())
            }
            Ok(Pushed::Joined) => {
                if counted {
                    self.remove_spare_owner();
                }
                Ok(())
            }
            Err(crate::pending::Closing) => {
                if counted {
                    self.remove_spare_owner();
                }
                Err(self.refuse(EnqueueErrorKind::Closing))
            }
        }
    }

    /// Schedules the work item for an activation that awaits its start.
    pub(super) fn schedule(&self) {
        if !self.starter.schedule() {
            // The parent is being deleted. Its tear-down closes the queue and cancels this item, if it has not yet.
            self.abandon_activation();
        }
    }

    /// Gives a buffer back that was not pushed, its payload cleared and its completion taken.
    ///
    /// # Safety
    /// The caller owns the slot, and does not afterwards.
    unsafe fn give_back(&self, slot: Slot) {
        self.slots.control(slot).waiter.arm(core::ptr::null_mut());
        // SAFETY: the caller's promise.
        if unsafe { self.slots.release(slot) } {
            self.ready.lock().came_home(1);
        }
    }

    /// Fills in what goes with a payload; a length, if it is bytes.
    ///
    /// # Safety
    /// The caller owns the slot.
    #[inline]
    unsafe fn prepare(
        room: &Room<'_, K, C>,
        length: Option<u32>,
        completion: Option<K>,
        waiter: WaiterPointer,
    ) {
        // A value's is never read; the model checker watches the cell all the same.
        if cfg!(loom) || length.is_some() {
            room.control.length.with_mut(|place| {
                // SAFETY: the slot's owner has it alone.
                unsafe { *place = length.unwrap_or(0) };
            });
        }
        if !waiter.is_null() {
            room.control.waiter.arm(waiter);
        }
        if completion.is_some() {
            // SAFETY: the head is valid and the owner's; it holds no completion, so that nothing needs a drop.
            unsafe { (*room.head.as_ptr()).completion = completion };
        }
    }

    /// Takes the completion out of a slot.
    ///
    /// # Safety
    /// The caller owns the slot.
    pub(super) unsafe fn take_completion(&self, slot: Slot) -> Option<K> {
        // SAFETY: the head is valid and the owner's.
        unsafe { (*self.slots.head(slot).as_ptr()).completion.take() }
    }

    /// The payload's length.
    ///
    /// # Safety
    /// The caller owns the slot.
    pub(super) unsafe fn length_of(&self, slot: Slot) -> u32 {
        self.slots.control(slot).length.with(|length| {
            // SAFETY: the slot's owner has it alone.
            unsafe { *length }
        })
    }

    /// Is this thread inside the queue, so that waiting for the queue would be waiting for itself?
    pub(crate) fn is_inside(&self) -> bool {
        self.ready.lock().is_inside(current_thread_id())
    }

    /// Submits with a waiter and waits for its item; `None`: the time ran out first.
    pub(crate) fn wait_for<E>(
        &self,
        timeout: Option<core::time::Duration>,
        submit: impl FnOnce(WaiterPointer) -> Result<Slot, E>,
    ) -> Result<Option<Outcome>, E> {
        check_irql(Irql::PASSIVE, "QueuedWorkItem::enqueue_and_wait");
        with_stack_event(|event| {
            let waiter = Waiter::new(event);
            let pointer = waiter.as_pointer();
            let slot = submit(pointer)?;
            if !event.wait(timeout) {
                if self.slots.control(slot).waiter.abandon(pointer) {
                    return Ok(None);
                }
                // Claimed: whoever did will set the event, and may be about to write into this very frame.
                event.wait(None);
            }
            Ok(Some(waiter.outcome()))
        })
    }
}

impl<K: Completion, C: Context, const VARIANT: u8> Core<[u8], K, C, VARIANT> {
    /// Copies bytes in and pushes them, at the tail.
    #[inline]
    pub(crate) fn submit_bytes(
        &self,
        payload: &[u8],
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<Option<K>>> {
        self.submit_bytes_at::<false>(payload, completion, waiter)
    }

    /// Copies bytes in and pushes them.
    pub(crate) fn submit_bytes_at<const HEAD: bool>(
        &self,
        payload: &[u8],
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<Option<K>>> {
        check_irql(Irql::DISPATCH, "QueuedWorkItem::enqueue");
        let length = match u32::try_from(payload.len()) {
            Ok(length) if payload.len() <= self.limit => length,
            _ => {
                return Err(EnqueueError::new(
                    self.refuse(EnqueueErrorKind::TooLong),
                    completion,
                ));
            }
        };
        match self.slots.try_pop() {
            Ok(room) => self.fill_bytes::<HEAD>(&room, payload, length, completion, waiter),
            Err(error) => self.submit_bytes_otherwise::<HEAD>(error, payload, length, completion, waiter),
        }
    }

    #[cold]
    #[inline(never)]
    fn submit_bytes_otherwise<const HEAD: bool>(
        &self,
        missed: Missed,
        payload: &[u8],
        length: u32,
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<Option<K>>> {
        match self.acquire_otherwise(missed) {
            Ok(slot) => self.fill_bytes::<HEAD>(&self.slots.room(slot), payload, length, completion, waiter),
            Err(kind) => Err(EnqueueError::new(kind, completion)),
        }
    }

    /// `payload` is `length` bytes, and no longer than `limit`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the one body of two paths, one of them cold")]
    fn fill_bytes<const HEAD: bool>(
        &self,
        room: &Room<'_, K, C>,
        payload: &[u8],
        length: u32,
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<Option<K>>> {
        let bytes = core::ptr::NonNull::from(payload).cast();
        // SAFETY: the place has `limit` bytes, which are at least the payload's, and is this owner's alone.
        unsafe { room.payload.copy_from_nonoverlapping(bytes, payload.len()) };
        // SAFETY: the room is this caller's.
        unsafe { Self::prepare(room, Some(length), completion, waiter) };
        if !HEAD && self.pending.0.join(room.slot.index(), &room.control.link) {
            return Ok(room.slot);
        }
        // SAFETY: filled, and not pushed.
        unsafe { self.push_bytes::<HEAD>(room.slot, length) }
    }

    /// Pushes what could not join, or clears it and gives it back.
    ///
    /// # Safety
    /// The caller owns the slot, which holds `length` bytes, and does not afterwards.
    #[cold]
    #[inline(never)]
    unsafe fn push_bytes<const HEAD: bool>(
        &self,
        slot: Slot,
        length: u32,
    ) -> Result<Slot, EnqueueError<Option<K>>> {
        // SAFETY: the caller's.
        let Err(kind) = (unsafe { self.push::<HEAD>(slot) }) else {
            return Ok(slot);
        };
        // SAFETY: still the caller's.
        let completion = unsafe { self.take_completion(slot) };
        // SAFETY: as above.
        unsafe { <[u8]>::clear(self.slots.payload(slot).as_ptr(), length) };
        // SAFETY: as above, and not used after it.
        unsafe { self.give_back(slot) };
        Err(EnqueueError::new(kind, completion))
    }
}

impl<T: Send + 'static, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    /// Moves a value in and pushes it, at the tail.
    #[inline]
    pub(crate) fn submit_value(
        &self,
        payload: T,
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<(T, Option<K>)>> {
        self.submit_value_at::<false>(payload, completion, waiter)
    }

    /// Moves a value in and pushes it.
    pub(crate) fn submit_value_at<const HEAD: bool>(
        &self,
        payload: T,
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<(T, Option<K>)>> {
        check_irql(Irql::DISPATCH, "QueuedWorkItem::enqueue");
        match self.slots.try_pop() {
            Ok(room) => self.fill_value::<HEAD>(&room, payload, completion, waiter),
            Err(error) => self.submit_value_otherwise::<HEAD>(error, payload, completion, waiter),
        }
    }

    #[cold]
    #[inline(never)]
    fn submit_value_otherwise<const HEAD: bool>(
        &self,
        missed: Missed,
        payload: T,
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<(T, Option<K>)>> {
        match self.acquire_otherwise(missed) {
            Ok(slot) => self.fill_value::<HEAD>(&self.slots.room(slot), payload, completion, waiter),
            Err(kind) => Err(EnqueueError::new(kind, (payload, completion))),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the one body of two paths, one of them cold")]
    fn fill_value<const HEAD: bool>(
        &self,
        room: &Room<'_, K, C>,
        payload: T,
        completion: Option<K>,
        waiter: WaiterPointer,
    ) -> Result<Slot, EnqueueError<(T, Option<K>)>> {
        // SAFETY: the place has a `T`'s size and alignment, and is this owner's alone.
        unsafe { room.payload.cast::<T>().write(payload) };
        // SAFETY: the room is this caller's.
        unsafe { Self::prepare(room, None, completion, waiter) };
        if !HEAD && self.pending.0.join(room.slot.index(), &room.control.link) {
            return Ok(room.slot);
        }
        // SAFETY: filled, and not pushed.
        unsafe { self.push_value::<HEAD>(room.slot) }
    }

    /// Pushes what could not join, or takes it out again and gives the buffer back.
    ///
    /// # Safety
    /// The caller owns the slot, which holds a value, and does not afterwards.
    #[cold]
    #[inline(never)]
    unsafe fn push_value<const HEAD: bool>(&self, slot: Slot) -> Result<Slot, EnqueueError<(T, Option<K>)>> {
        // SAFETY: the caller's.
        let Err(kind) = (unsafe { self.push::<HEAD>(slot) }) else {
            return Ok(slot);
        };
        // SAFETY: still the caller's.
        let completion = unsafe { self.take_completion(slot) };
        // SAFETY: the place holds a value, and it is read out once.
        let payload = unsafe { self.slots.payload(slot).cast::<T>().read() };
        // SAFETY: as above, and not used after it.
        unsafe { self.give_back(slot) };
        Err(EnqueueError::new(kind, (payload, completion)))
    }
}
