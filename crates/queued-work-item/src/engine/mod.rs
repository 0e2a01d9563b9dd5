//! The part of a queue that its handle, its worker and its work item share, and how long it lives.
//!
//! # Lifetime
//! Two counts. *Owners* are the handle and each activation: the time from a push that finds IDLE to the drainer's exchange
//! back to IDLE, across yields. The last owner drops the callback and the buffers and deletes the work item. *Memory* is
//! kept by the owners together and by the work item: a start that comes late, or for nothing, still finds the
//! pending word here, and leaves because it is not SCHEDULED. The work item gives its share back when the system promises
//! that no start comes any more (in WDF, its destroy callback).
//!
//! So a producer that is pre-empted between its push and its call to schedule may come back after a close has
//! returned: it borrows the handle, which is an owner, and the start that it causes finds nothing to claim or an
//! empty list. A handle that is dropped while a worker runs is no danger either: the worker's activation is an owner.

mod cancel;
mod drain;
mod starter;
mod stop;
mod submit;
mod threaded;

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::claim::Claim;
use crate::cleanup::Cleanup;
use crate::kernel::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::kernel::cell::UnsafeCell;
use crate::kernel::{Block, Parent, SpinLock, SpinLockGuard, Target, WorkItem};
use crate::payload::Payload;
use crate::pending::Pending;
use crate::ready::Ready;
use crate::slots::{Slot, Slots};
use crate::{Completion, Config, Context, CreateError, Item, Passive};

use self::starter::Starter;
pub(crate) use self::threaded::{StartRefused, ThreadOptions};

/// Keeps what producers hammer on off the lines that others read.
#[repr(align(64))]
pub(crate) struct OwnLine<T>(pub(crate) T);

/// Counts of refusals, off the path of success.
#[derive(Default)]
pub(crate) struct Refused {
    pub(crate) full: AtomicU64,
    pub(crate) too_long: AtomicU64,
    pub(crate) closing: AtomicU64,
}

/// Runs the callback on the item of a slot, which the caller owns as the drainer. `false`: the item is pended, and its slot
/// is whoever's the callback has handed it to.
type Invoke<T, K, C, const VARIANT: u8> =
    unsafe fn(NonNull<Core<T, K, C, VARIANT>>, Slot, &mut Item<'_, T, C>, &mut Passive) -> bool;

/// Variants that are wrong on purpose, for the models to catch: `Core<…, { Broken::… as u8 }>`. The product is 0.
#[derive(Clone, Copy)]
#[cfg_attr(not(all(loom, test)), allow(dead_code, reason = "only the models make these"))]
pub(crate) enum Broken {
    /// A drainer that finds the queue stopped says so only after it has let go of the lock: a start in between does not
    /// know that it has to schedule.
    ParksUnlocked = 1,
    /// Cancel takes what is pending before it has the lock.
    CancelTakesUnlocked = 2,
    /// Flush reads how far it has to wait before it has the lock.
    FlushReadsUnlocked = 3,
    /// The drainer looks whether the queue is stopped, and then takes the lock to begin an item.
    LooksForStopEarly = 4,
    /// Cancel leaves the drainer what it has claimed, and counts it as dropped.
    CancelForgetsClaim = 5,
    /// A stop leaves the drainer what it has claimed.
    StopForgetsClaim = 6,
    /// The drainer claims more than some flush waits for, and comes back to wake it only after that.
    ClaimsPastFlush = 7,
    /// A producer that finds no free buffer says so, whatever the drainer has finished and not brought home.
    FullUnasked = 8,
    /// A pended item's mark goes after its buffer: a stop takes the next item in that buffer for the pended one.
    UnmarksLate = 9,
    /// The thread clears its event before it waits: a wake-up that came since it looked is lost.
    RunsOnlyWhenIdle = 10,
}

/// A queue without its callback's type.
///
/// # Invariants
/// - It is the first field of a [`WithCallback`], in a block of its own.
/// - `slots`, `cleanup` and the callback are valid while there are owners, and nobody but an owner touches them.
pub(crate) struct Core<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8 = 0> {
    pub(crate) pending: OwnLine<Pending>,
    /// The drainer's; the others go to it under the ready list's lock.
    pub(crate) claim: OwnLine<Claim>,
    pub(crate) ready: SpinLock<Ready>,
    pub(crate) refused: Refused,
    owners: AtomicUsize,
    memory: AtomicUsize,
    starter: Starter,
    invoke: Invoke<T, K, C, VARIANT>,
    drop_callback: unsafe fn(NonNull<Self>),
    base: NonNull<u8>,
    pub(crate) slots: ManuallyDrop<Slots<K, C>>,
    cleanup: ManuallyDrop<Option<Cleanup<T, C>>>,
    /// Payload bytes, when payloads are bytes.
    pub(crate) limit: usize,
    payloads: PhantomData<fn(&mut T)>,
}

#[repr(C)]
struct WithCallback<T: Payload + ?Sized, K: Completion, C: Context, F, const VARIANT: u8> {
    core: Core<T, K, C, VARIANT>,
    callback: UnsafeCell<ManuallyDrop<F>>,
}

impl<T: Payload + ?Sized, K: Completion, C: Context, const VARIANT: u8> Core<T, K, C, VARIANT> {
    /// A core with one owner, the caller.
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "a parent is a mere pointer on one backend only"
    )]
    pub(crate) fn new<F>(
        passive: &mut Passive,
        parent: &Parent,
        config: &Config,
        cleanup: Option<Cleanup<T, C>>,
        callback: F,
    ) -> Result<NonNull<Self>, CreateError>
    where
        F: FnMut(&mut Item<'_, T, C>, &mut Passive) + Send + 'static,
    {
        let _ = passive;
        let starter = Starter::WorkItem(WorkItem::unbound());
        let this = Self::build(
            config,
            cleanup,
            starter,
            2,
            invoke::<T, K, C, F, VARIANT>,
            callback,
        )?;
        let target = Target {
            core: this.cast(),
            run: Self::run,
            torn_down: Self::torn_down,
            released: Self::released,
        };
        // SAFETY: just built.
        let starter = unsafe { &this.as_ref().starter };
        // SAFETY: the functions are this core's; the second count of `memory` is the work item's.
        let bound = unsafe { starter.bind(parent, target) };
        if let Err(status) = bound {
            // SAFETY: the work item was not bound, so that its share of the memory is this function's to give back.
            unsafe { Self::release_memory(this) };
            // SAFETY: the one owner is this function.
            unsafe { Self::release_owner(this, false) };
            return Err(CreateError::Framework(status));
        }
        Ok(this)
    }

    /// A core with one owner, the caller, and so many shares of the memory: the owners' is one.
    fn build<F: Send + 'static>(
        config: &Config,
        cleanup: Option<Cleanup<T, C>>,
        starter: Starter,
        shares: usize,
        invoke: Invoke<T, K, C, VARIANT>,
        callback: F,
    ) -> Result<NonNull<Self>, CreateError> {
        let slots = Slots::new(config, T::layout(config)?)?;
        let block = Block::zeroed(core::alloc::Layout::new::<WithCallback<T, K, C, F, VARIANT>>())
            .ok_or(CreateError::OutOfMemory)?;
        let whole = block.start().cast::<WithCallback<T, K, C, F, VARIANT>>();
        let this = whole.cast::<Self>();
        let core = Self {
            pending: OwnLine(Pending::new()),
            claim: OwnLine(Claim::new()),
            ready: SpinLock::new(Ready::new()),
            refused: Refused::default(),
            owners: AtomicUsize::new(1),
            memory: AtomicUsize::new(shares),
            starter,
            invoke,
            drop_callback: drop_callback::<T, K, C, F, VARIANT>,
            base: block.into_base(),
            slots: ManuallyDrop::new(slots),
            cleanup: ManuallyDrop::new(cleanup),
            limit: config.buffer_size,
            payloads: PhantomData,
        };
        // SAFETY: the block has the size and alignment of `whole`, and is this function's alone.
        unsafe {
            whole.write(WithCallback {
                core,
                callback: UnsafeCell::new(ManuallyDrop::new(callback)),
            });
        };
        Ok(this)
    }

    #[allow(
        clippy::unused_self,
        reason = "asked of a value, since the variant is its type's"
    )]
    const fn is(&self, broken: Broken) -> bool {
        VARIANT == broken as u8
    }

    /// The ready list, locked, with its counts as of now. An item that runs may end, and the next begin, meanwhile.
    pub(crate) fn look(&self) -> SpinLockGuard<'_, Ready> {
        let mut ready = self.ready.lock();
        ready.catch_up(&self.claim.0);
        ready.note(self.pending.0.load());
        ready
    }

    /// One owner more, for an activation.
    pub(super) fn add_owner(&self) {
        // Relaxed: the caller is or borrows an owner, so the count is not zero.
        self.owners.fetch_add(1, Ordering::Relaxed);
    }

    /// One owner less, when it cannot be the last.
    pub(super) fn remove_spare_owner(&self) {
        // Release: as in `release_owner`.
        let before = self.owners.fetch_sub(1, Ordering::Release);
        debug_assert!(before > 1, "the caller has another");
    }

    /// Ends an activation that no start will take up: the state goes back to IDLE, whatever is pending, and the
    /// activation's share of the ownership with it. The caller is another owner. Nothing is done when a start, or
    /// another call of this, was first.
    pub(super) fn abandon_activation(&self) {
        if self.pending.0.claim() {
            while !self.pending.0.go_idle(self.pending.0.load()) {}
            self.remove_spare_owner();
        }
    }

    /// One owner more, unless there is none.
    fn try_add_owner(count: &AtomicUsize) -> bool {
        let mut owners = count.load(Ordering::Relaxed);
        while owners != 0 {
            // Relaxed: as in `add_owner`, once it is known that there is one.
            match count.compare_exchange_weak(owners, owners + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => owners = now,
            }
        }
        false
    }

    /// Gives up an owner's share. The last one ends the queue. `on_worker`: inside a start of the work item.
    ///
    /// # Safety
    /// The caller is an owner and is not afterwards. Nobody has a reference to the core through this ownership.
    pub(crate) unsafe fn release_owner(this: NonNull<Self>, on_worker: bool) {
        // SAFETY: the caller is an owner, so the core is alive. The reference is to the count alone: another thread may
        // be ending the rest.
        let owners = unsafe { &(*this.as_ptr()).owners };
        // Release: this owner's use of slots and callback comes before the last owner's ending them.
        if owners.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Acquire: all the others' use, by the release sequence of their subtractions. A load, and not a fence, since
        // ThreadSanitizer does not understand fences; it costs the same.
        owners.load(Ordering::Acquire);
        // SAFETY: the core is alive while `memory` has this group's share.
        let drop_callback = unsafe { (*this.as_ptr()).drop_callback };
        // SAFETY: there are no owners any more, so nobody runs the callback; it is dropped here alone.
        unsafe { drop_callback(this) };
        // SAFETY: as for the callback.
        let slots = unsafe { &mut (*this.as_ptr()).slots };
        // SAFETY: dropped once, and never used again: only owners do.
        unsafe { ManuallyDrop::drop(slots) };
        // SAFETY: as for the callback.
        let cleanup = unsafe { &mut (*this.as_ptr()).cleanup };
        // SAFETY: dropped once, and never used again: no item is left to end.
        unsafe { ManuallyDrop::drop(cleanup) };
        // SAFETY: the core is alive, see above.
        unsafe { &(*this.as_ptr()).starter }.dispose(on_worker);
        // SAFETY: the owners' share, given back once.
        unsafe { Self::release_memory(this) };
    }

    /// Gives back a share of the memory; the last one frees it.
    unsafe fn release_memory(this: NonNull<Self>) {
        // SAFETY: the caller has a share, so the core is alive.
        let memory = unsafe { &(*this.as_ptr()).memory };
        // Release and acquire: as for the owners.
        if memory.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        memory.load(Ordering::Acquire);
        // SAFETY: the last share; the field is a plain pointer.
        let base = unsafe { (*this.as_ptr()).base };
        // SAFETY: the last share. Slots and callback are `ManuallyDrop` and were dropped by the last owner.
        unsafe { this.drop_in_place() };
        // SAFETY: from `Block::into_base` in `new`, and nothing lives in it any more.
        unsafe { Block::free_base(base) };
    }

    /// The work item's `run`.
    unsafe fn run(core: NonNull<()>) {
        let this = core.cast::<Self>();
        // SAFETY: the work item has a share of the memory. The reference is to the pending word alone, since the rest
        // may be ending: this start may be late.
        let pending = unsafe { &(*this.as_ptr()).pending.0 };
        if !pending.claim() {
            return;
        }
        // SAFETY: work items run at PASSIVE_LEVEL.
        let mut passive = unsafe { Passive::assume() };
        // SAFETY: the claim made this thread the drainer and gave it the activation's ownership.
        unsafe { Self::drain(this, &mut passive) };
    }

    /// The work item's `torn_down`: its parent goes before the queue was closed. What has not begun is cancelled.
    unsafe fn torn_down(core: NonNull<()>) {
        let this = core.cast::<Self>();
        // SAFETY: the work item has a share of the memory. The reference is to the count alone: the rest may be ending.
        let owners = unsafe { &(*this.as_ptr()).owners };
        if !Self::try_add_owner(owners) {
            return;
        }
        // SAFETY: an owner now.
        let this_ref = unsafe { this.as_ref() };
        this_ref.pending.0.close();
        this_ref.cancel_all();
        // A start that was scheduled may have been ignored, and none will come: its activation ends here, also when a
        // stop had parked it.
        this_ref.lift_stop();
        this_ref.abandon_activation();
        // SAFETY: the ownership taken above; `this_ref` is not used after it.
        unsafe { Self::release_owner(this, false) };
    }

    /// The work item's `released`.
    unsafe fn released(core: NonNull<()>) {
        // SAFETY: the work item's share, given back once.
        unsafe { Self::release_memory(core.cast()) };
    }
}

/// Runs the callback on one item: an [`Invoke`].
///
/// # Safety
/// `core` is the first field of a `WithCallback` of these types, and the caller is its drainer.
unsafe fn invoke<T, K, C, F, const VARIANT: u8>(
    core: NonNull<Core<T, K, C, VARIANT>>,
    _: Slot,
    item: &mut Item<'_, T, C>,
    passive: &mut Passive,
) -> bool
where
    T: Payload + ?Sized,
    K: Completion,
    C: Context,
    F: FnMut(&mut Item<'_, T, C>, &mut Passive) + Send + 'static,
{
    // SAFETY: by the caller's promise; the reference is to the callback's cell alone.
    let cell = unsafe { &(*core.cast::<WithCallback<T, K, C, F, VARIANT>>().as_ptr()).callback };
    cell.with_mut(|callback| {
        // SAFETY: there is one drainer at a time, and the exchanges of the pending word order them.
        let callback = unsafe { &mut *callback };
        callback(item, passive);
    });
    true
}

/// Drops the callback.
///
/// # Safety
/// As for `invoke`, with no owner left; called once.
unsafe fn drop_callback<T, K, C, F, const VARIANT: u8>(core: NonNull<Core<T, K, C, VARIANT>>)
where
    T: Payload + ?Sized,
    K: Completion,
    C: Context,
{
    // SAFETY: as in `invoke`.
    let cell = unsafe { &(*core.cast::<WithCallback<T, K, C, F, VARIANT>>().as_ptr()).callback };
    cell.with_mut(|callback| {
        // SAFETY: no owner is left, so nobody has a reference to the callback.
        let callback = unsafe { &mut *callback };
        // SAFETY: once, by the caller's promise.
        unsafe { ManuallyDrop::drop(callback) };
    });
}
