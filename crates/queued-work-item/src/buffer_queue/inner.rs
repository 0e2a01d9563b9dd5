//! The part of a queue that its handle and its timer share, and who of them gets a buffer whose time has come.
//!
//! # Expiry
//! A buffer that is queued with a timer has a deadline, and the queue's one timer is set for the earliest. Whatever takes
//! a buffer off the list takes its deadline with it, under one lock, and an expiry is one more that takes: it looks for a
//! deadline that has passed and unlinks that buffer in one hold of the lock. So a buffer is had by one, and once. The
//! timer itself decides nothing. It may come late, twice or for nothing, as timers do: it finds what is due by the clock.
//! Nor need it be stopped when its buffer leaves, which spares every dequeue a call.
//!
//! # Invariants
//! While something has a deadline, `armed` is no later than the earliest, and the timer is set for `armed`, or has
//! expired and has not taken the lock yet.
//!
//! # Lifetime
//! Handle and timer have a share each. The timer gives its share back when the system promises that it does not call
//! any more, so that a callback which outlasts the handle, because that was dropped above `PASSIVE_LEVEL`, still finds
//! the queue.

use core::time::Duration;

use super::Visit;
use super::deadlines::Deadlines;
use super::expiry::Expired;
use super::list::{List, Walked};
use crate::buffer::Stock;
use crate::kernel::{Parent, Shared, SpinLock, Target, Timer, UNITS_PER_MILLISECOND};
use crate::slots::Slot;
use crate::{Buffer, Context, CreateError, Dispatch};

/// Expiries that one callback of the timer handles before it gives the processor back.
const SHARE: u32 = 64;

/// Variants that are wrong on purpose, for the models to catch: `Inner<C, { Broken::… as u8 }>`. The product is 0.
#[derive(Clone, Copy)]
#[cfg_attr(not(all(loom, test)), allow(dead_code, reason = "only the models make these"))]
pub(crate) enum Broken {
    /// An expiry finds the buffer whose time has come under one hold of the lock and unlinks it under another.
    UnlinksLater = 1,
    /// Taking a buffer leaves its deadline to the timer, which is stopped: an expiry that has begun does not know.
    KeepsDeadline = 2,
}

pub(crate) struct Inner<C: Context, const VARIANT: u8 = 0> {
    pub(super) stock: Stock<C>,
    pub(super) full: SpinLock<Full>,
    timer: Timer,
    expired: Option<Expired>,
}

/// What the lock protects.
pub(crate) struct Full {
    pub(super) list: List,
    /// What the timer is set for.
    armed: Option<u64>,
    /// The timer went with its parent, or is about to.
    gone: bool,
}

/// Why a buffer was not queued with a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untimed {
    /// The queue has none.
    NoTimer,
    /// It went with its parent.
    Gone,
}

impl<C: Context, const VARIANT: u8> Inner<C, VARIANT> {
    /// Without a timer.
    pub(crate) fn new(stock: Stock<C>) -> Result<Shared<Self>, CreateError> {
        Self::shared(stock, None, None)
    }

    fn shared(
        stock: Stock<C>,
        deadlines: Option<Deadlines>,
        expired: Option<Expired>,
    ) -> Result<Shared<Self>, CreateError> {
        Shared::try_new(Self {
            stock,
            full: SpinLock::new(Full {
                list: List::new(deadlines),
                armed: None,
                gone: false,
            }),
            timer: Timer::unbound(),
            expired,
        })
        .map_err(|_| CreateError::OutOfMemory)
    }

    /// With a timer. IRQL `PASSIVE_LEVEL`.
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "a parent is a mere pointer on one backend only"
    )]
    pub(crate) fn with_timer(
        stock: Stock<C>,
        parent: &Parent,
        expired: Expired,
    ) -> Result<Shared<Self>, CreateError> {
        let deadlines = Deadlines::new(stock.slots.max())?;
        let this = Self::shared(stock, Some(deadlines), Some(expired))?;
        let share = this.clone().into_raw();
        let target = Target {
            core: share,
            run: Self::run,
            torn_down: Self::torn_down,
            released: Self::released,
        };
        // SAFETY: the functions are this type's, whose timer's place is; the share is the timer's.
        match unsafe { this.timer.bind(parent, target) } {
            Ok(()) => Ok(this),
            Err(status) => {
                // SAFETY: from `into_raw` above, and the timer did not take it.
                drop(unsafe { Shared::<Self>::from_raw(share) });
                Err(CreateError::Framework(status))
            }
        }
    }

    #[cfg(all(loom, test))]
    pub(crate) const fn stock(&self) -> &Stock<C> {
        &self.stock
    }

    #[cfg(all(loom, test))]
    pub(crate) fn count(&self) -> u32 {
        self.full.lock().list.count()
    }

    /// Ends the timer, if there is one. IRQL `PASSIVE_LEVEL` to wait for its callback, else `<= DISPATCH_LEVEL`.
    pub(crate) fn end_timer(&self) {
        self.timer.dispose();
    }

    /// A slot that the caller owns, as a buffer.
    pub(super) const fn buffer(&self, slot: Slot) -> Buffer<'_, C> {
        Buffer {
            stock: &self.stock,
            slot,
        }
    }

    pub(crate) fn enqueue(&self, slot: Slot) {
        self.full.lock().list.push_tail(&self.stock.slots, slot);
    }

    pub(crate) fn enqueue_at_head(&self, slot: Slot) {
        self.full.lock().list.push_head(&self.stock.slots, slot);
    }

    /// As `enqueue`, with a deadline.
    pub(crate) fn enqueue_with_timer(&self, slot: Slot, after: Duration) -> Result<(), Untimed> {
        let mut full = self.full.lock();
        if full.list.deadlines.is_none() {
            return Err(Untimed::NoTimer);
        }
        if full.gone {
            return Err(Untimed::Gone);
        }
        full.list.push_tail(&self.stock.slots, slot);
        let before = full
            .list
            .deadlines
            .as_ref()
            .and_then(|deadlines| deadlines.before(slot));
        let now = self.timer.now();
        if let Some(deadlines) = &mut full.list.deadlines {
            deadlines.insert(slot, now, units(after));
        }
        if self.arm(&mut full, now) {
            Ok(())
        } else {
            full.list.unlink(&self.stock.slots, before, slot);
            Err(Untimed::Gone)
        }
    }

    /// Sets the timer if the earliest deadline is earlier than what it is set for. `false`: it is gone.
    fn arm(&self, full: &mut Full, now: u64) -> bool {
        let Some((_, due)) = full.list.deadlines.as_ref().and_then(Deadlines::first) else {
            return true;
        };
        if full.armed.is_some_and(|armed| armed <= due) {
            return true;
        }
        // Under the lock, so that the settings come in the order of `armed`.
        let set = self.timer.set(due.saturating_sub(now));
        full.armed = set.then_some(due);
        set
    }

    pub(crate) fn dequeue(&self) -> Option<Slot> {
        let mut full = self.full.lock();
        let slot = full.list.head()?;
        if self.is(Broken::KeepsDeadline) {
            let deadlines = full.list.deadlines.take();
            full.list.unlink(&self.stock.slots, None, slot);
            full.list.deadlines = deadlines;
            drop(full);
            self.timer.stop();
            return Some(slot);
        }
        full.list.unlink(&self.stock.slots, None, slot);
        Some(slot)
    }

    /// Visits what is queued; what a visitor had taken out.
    pub(super) fn walk(&self, visit: impl FnMut(&mut [u8], &mut C) -> Visit) -> Option<Slot> {
        let mut full = self.full.lock();
        let Walked { removed, reset } = full.list.walk(&self.stock, || self.timer.now(), visit);
        if let Some(now) = reset {
            // If the timer is gone with its parent, nothing expires any more.
            self.arm(&mut full, now);
        }
        removed
    }

    /// Gives every queued buffer back to the empty side.
    pub(crate) fn clear(&self) -> u32 {
        let taken = self.full.lock().list.take_all();
        List::give_back(&self.stock, taken)
    }

    /// Takes a buffer whose time has come; if there is none, sets the timer for the next one.
    fn take_expired(&self, dispatch: &Dispatch) -> Option<Slot> {
        let mut full = self.full.lock_at_dispatch(dispatch);
        // Whatever the timer was set for, it has expired, or is set again below.
        full.armed = None;
        let now = self.timer.now();
        let first = full.list.deadlines.as_ref().and_then(Deadlines::first);
        let Some((slot, _)) = first.filter(|(_, due)| *due <= now) else {
            // If the timer is gone, nothing expires any more.
            self.arm(&mut full, now);
            return None;
        };
        if self.is(Broken::UnlinksLater) {
            drop(full);
            full = self.full.lock_at_dispatch(dispatch);
        }
        let before = full
            .list
            .deadlines
            .as_ref()
            .and_then(|deadlines| deadlines.before(slot));
        full.list.unlink(&self.stock.slots, before, slot);
        Some(slot)
    }

    /// Sets the timer to look again, as soon as it can.
    fn come_again(&self, dispatch: &Dispatch) {
        let mut full = self.full.lock_at_dispatch(dispatch);
        full.armed = Some(0);
        self.timer.set(0);
    }

    /// The timer's `run`.
    unsafe fn run(core: core::ptr::NonNull<()>) {
        // SAFETY: a timer's callback is called at DISPATCH_LEVEL.
        let mut dispatch = unsafe { Dispatch::assume() };
        // SAFETY: the timer's share, which is not given up here.
        let this = core::mem::ManuallyDrop::new(unsafe { Shared::<Self>::from_raw(core) });
        let Some(expired) = &this.expired else { return };
        for _ in 0..SHARE {
            let Some(slot) = this.take_expired(&dispatch) else {
                return;
            };
            // SAFETY: made for a queue of this type; the slot is this caller's, and given up.
            unsafe { expired.call(core, slot, &mut dispatch) };
        }
        this.come_again(&dispatch);
    }

    /// The timer's `torn_down`: from now on it cannot be set. What is queued stays queued.
    unsafe fn torn_down(core: core::ptr::NonNull<()>) {
        // SAFETY: the timer's share, which is not given up here.
        let this = core::mem::ManuallyDrop::new(unsafe { Shared::<Self>::from_raw(core) });
        this.full.lock().gone = true;
    }

    /// The timer's `released`.
    unsafe fn released(core: core::ptr::NonNull<()>) {
        // SAFETY: the timer's share, given back once.
        drop(unsafe { Shared::<Self>::from_raw(core) });
    }

    #[allow(
        clippy::unused_self,
        reason = "asked of a value, since the variant is its type's"
    )]
    const fn is(&self, broken: Broken) -> bool {
        VARIANT == broken as u8
    }
}

impl<C: Context, const VARIANT: u8> Drop for Inner<C, VARIANT> {
    fn drop(&mut self) {
        // What an expiry's callback has queued after the handle went.
        self.clear();
    }
}

/// A time in whole milliseconds, rounded up, in the timer's units.
fn units(time: Duration) -> u64 {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    u64::try_from(milliseconds)
        .unwrap_or(u64::MAX)
        .saturating_mul(UNITS_PER_MILLISECOND)
}
