//! Rundown protection: many users of a thing that may go away, and one who has to know that all of them have left.
//!
//! A driver reaches its hardware, its child device or its target from DPCs, work items and other threads, until it is
//! told to stop. From then on nobody may begin, and whoever tears down has to wait for those who have begun. A lock
//! would make users wait for each other, and a reference count alone would let new ones in. This is the kernel's own
//! answer, by the contract of `ExAcquireRundownProtection`, `ExReleaseRundownProtection`,
//! `ExWaitForRundownProtectionRelease` and `ExReInitializeRundownProtection`, with two things more: any number of
//! threads may run down at once, and a restart that comes too early is refused.
//!
//! # The word
//! | bits | meaning |
//! |---|---|
//! | 0 | RUNDOWN: no acquire succeeds |
//! | 1-43 | guards, and threads that are about to wait |
//! | 44-63 | how often a thread joined the waiting, modulo 2^20 |
//!
//! # Why nobody waits for ever, or for too short a time
//! Those who wait are a list of frames on their stacks. Before a thread puts its frame on the list it joins the count,
//! as a guard does, so that the thing cannot come to be run down between its look at the word and its push; then it
//! releases, as a guard does, and waits. So each frame on the list was pushed before some release that is counted.
//!
//! The last to release takes the list *first* and then makes the count zero, by an exchange that fails if somebody
//! joined meanwhile: then the frames go back on the list, for the count says that somebody else will be last. A
//! thread that joined, pushed and released between the two would bring the same count about, and be left on the list:
//! the joins in the word show it. They could hide it only after 2^20 of them, each a thread that then waits, all at one
//! time.
//!
//! That order also makes the exchange to zero the last touch of the rundown: a waking thread touches frames only. Once
//! every `run_down` has returned, the memory may go, even though a release has not come back from waking somebody; and
//! a restart may follow at once, since the frames of the next round cannot get into the old list.

use core::fmt;
use core::ptr;

use crate::kernel::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::kernel::cell::UnsafeCell;
use crate::kernel::{Irql, StackEvent, check_irql, with_stack_event};
use crate::{NtStatus, Passive};

const RUNDOWN: u64 = 1;
const ONE: u64 = 1 << 1;
const JOIN_SHIFT: u32 = 44;
const JOIN_ONE: u64 = 1 << JOIN_SHIFT;
const COUNT_MASK: u64 = (JOIN_ONE - 1) & !RUNDOWN;
/// Guards end at half the count's range, however many were leaked; the other half is for those who join.
const FULL: u64 = 1 << (JOIN_SHIFT - 1);

/// One thread that waits, on its own stack.
///
/// # Invariants
/// `next` is the pusher's before the push, and afterwards belongs to whoever took the list that the frame is on.
struct Frame {
    event: *const StackEvent,
    next: UnsafeCell<*mut Frame>,
}

/// Protection of something that is going to be torn down.
///
/// ```
/// use queued_work_item::{Passive, Rundown};
///
/// static HARDWARE: Rundown = Rundown::new();
///
/// // A DPC: may I, and not for long.
/// if let Ok(guard) = HARDWARE.acquire() {
///     // … the registers are mapped while the guard lives …
///     drop(guard);
/// }
/// // EvtDeviceReleaseHardware: nobody begins any more, and whoever has begun has ended.
/// // SAFETY: a host thread starts at PASSIVE_LEVEL.
/// let passive = &mut unsafe { Passive::assume() };
/// HARDWARE.run_down(passive);
/// assert!(HARDWARE.acquire().is_err());
/// // EvtDevicePrepareHardware, some other time.
/// HARDWARE.restart().expect("run down above");
/// ```
///
/// # States
/// | state | RUNDOWN | count | [`acquire`](Rundown::acquire) | release | [`run_down`](Rundown::run_down) | [`restart`](Rundown::restart) |
/// |---|---|---|---|---|---|---|
/// | free | 0 | 0 | in use | - | run down, returns | refused |
/// | in use | 0 | n | in use, n + 1 | n - 1; the last: free | running down, waits | refused |
/// | running down | 1 | n | refused | n - 1; the last: run down, and wakes all who wait | running down, waits | refused |
/// | run down | 1 | 0 | refused | - | returns | free |
///
/// # Guarantees
/// - What a guard's holder did before it dropped the guard is seen by whoever returns from [`run_down`](Self::run_down).
/// - What was done before [`restart`](Self::restart) is seen by whoever acquires after it.
/// - Nothing touches the `Rundown` once its guards are dropped and every `run_down` has returned.
#[doc(alias = "EX_RUNDOWN_REF")]
pub struct Rundown {
    protocol: Protocol,
}

/// The protocol, in the product's variant or in one for the models to catch.
pub(crate) struct Protocol<const VARIANT: u8 = 0> {
    word: AtomicU64,
    waiting: AtomicPtr<Frame>,
}

/// Acquired protection: what it protects stays until this is dropped.
///
/// It may be dropped on another thread than acquired it, at `<= DISPATCH_LEVEL`. A guard that is leaked lets
/// [`Rundown::run_down`] wait for ever.
#[must_use = "the protection is released at once when the guard is not kept"]
pub struct RundownGuard<'a> {
    of: &'a Protocol,
}

/// The thing is being torn down, or has been: `STATUS_DELETE_PENDING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningDown;

/// A restart of what is not run down: `STATUS_INVALID_DEVICE_STATE`. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRunDown;

impl Rundown {
    /// Protection that can be acquired.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            protocol: Protocol::new(),
        }
    }

    /// Protection that can be acquired. The model checker's atomics are not constants.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            protocol: Protocol::new(),
        }
    }

    /// Acquires protection, unless running down has begun. One interlocked instruction; it never waits.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// [`RunningDown`], until a [`restart`](Self::restart).
    pub fn acquire(&self) -> Result<RundownGuard<'_>, RunningDown> {
        check_irql(Irql::DISPATCH, "Rundown::acquire");
        if self.protocol.acquire() {
            Ok(RundownGuard { of: &self.protocol })
        } else {
            Err(RunningDown)
        }
    }

    /// Lets nobody in any more, and returns when everyone who was in has left. Others may do so at the same time; on
    /// what is run down already it returns at once.
    ///
    /// A thread that holds a guard itself would wait for itself, for ever.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token.
    pub fn run_down(&self, passive: &mut Passive) {
        let _ = passive;
        check_irql(Irql::PASSIVE, "Rundown::run_down");
        self.protocol.run_down();
    }

    /// Lets users in again, after [`run_down`](Self::run_down). IRQL `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// [`NotRunDown`], when nobody ran it down, or somebody still holds a guard.
    pub fn restart(&self) -> Result<(), NotRunDown> {
        check_irql(Irql::DISPATCH, "Rundown::restart");
        if self.protocol.restart() {
            Ok(())
        } else {
            Err(NotRunDown)
        }
    }

    /// Has running down begun, and no restart come since? A moment's truth. IRQL: any.
    pub fn is_running_down(&self) -> bool {
        self.protocol.word.load(Ordering::Relaxed) & RUNDOWN != 0
    }
}

impl<const VARIANT: u8> Protocol<VARIANT> {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            waiting: AtomicPtr::new(ptr::null_mut()),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            waiting: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// One guard more; `false` when running down has begun.
    pub(crate) fn acquire(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & (RUNDOWN | FULL) != 0 {
                return false;
            }
            if Self::is(Broken::AcquiresBlindly) {
                self.word.fetch_add(ONE, Ordering::Acquire);
                return true;
            }
            // Acquire: what was done before the restart that let this one in. Acquires and releases since then are
            // read-modify-writes, so they continue its release sequence.
            match self
                .word
                .compare_exchange_weak(word, word + ONE, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// One guard, or one thread about to wait, less.
    pub(crate) fn release(&self) {
        // Acquire, here and on failure: whoever joined and has released again, pushed its frame before that. The last
        // one must find it on the list.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let frames = if word & (COUNT_MASK | RUNDOWN) == ONE | RUNDOWN {
                // Acquire: the frames, as their threads pushed them.
                self.waiting.swap(ptr::null_mut(), Ordering::Acquire)
            } else {
                ptr::null_mut()
            };
            let order = if Self::is(Broken::ReleasesRelaxed) {
                Ordering::Relaxed
            } else {
                // Release: what was done under this guard, for whoever runs down. Acquire: what was done under the
                // others', which the last one hands on to those it wakes.
                Ordering::AcqRel
            };
            match self
                .word
                .compare_exchange(word, word - ONE, order, Ordering::Acquire)
            {
                Ok(_) => {
                    // SAFETY: taken off the list by this thread, and it is this release that they wait for.
                    unsafe { wake(frames) };
                    return;
                }
                Err(now) => {
                    // SAFETY: taken off the list by this thread.
                    unsafe { self.push(frames) };
                    word = now;
                }
            }
        }
    }

    /// Refuses guards from now on, and waits for those that there are.
    pub(crate) fn run_down(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let nobody = word & COUNT_MASK == 0;
            let new = if nobody || Self::is(Broken::JoinsUncounted) {
                word | RUNDOWN
            } else if Self::is(Broken::JoinsUnseen) {
                (word | RUNDOWN) + ONE
            } else {
                // Out of its top the count of joins wraps.
                (word | RUNDOWN).wrapping_add(ONE + JOIN_ONE)
            };
            // Acquire: what was done under the guards that have been released. Each release heads a release sequence
            // which the later ones continue, so that reading the last is enough.
            match self
                .word
                .compare_exchange_weak(word, new, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) if nobody => return,
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        with_stack_event(|event| {
            let mut frame = Frame {
                event,
                next: UnsafeCell::new(ptr::null_mut()),
            };
            // SAFETY: a chain of one, this thread's; it is left after it was woken.
            unsafe { self.push(&raw mut frame) };
            if !Self::is(Broken::JoinsUncounted) {
                self.release();
            }
            event.wait(None);
        });
    }

    /// Admits guards again; `false` when it is not run down.
    pub(crate) fn restart(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let users = if Self::is(Broken::RestartsEarly) {
                0
            } else {
                word & COUNT_MASK
            };
            if users != 0 || word & RUNDOWN == 0 {
                return false;
            }
            let order = if Self::is(Broken::RestartsRelaxed) {
                Ordering::Relaxed
            } else {
                // Release: what was prepared for those who come. Acquire: what those did who left, for one who
                // restarts without having waited itself.
                Ordering::AcqRel
            };
            match self
                .word
                .compare_exchange_weak(word, word & !RUNDOWN, order, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Puts a chain of frames on the list; null is none.
    ///
    /// # Safety
    /// The chain is the caller's, and its threads do not leave before they are woken.
    unsafe fn push(&self, first: *mut Frame) {
        if first.is_null() {
            return;
        }
        let mut last = first;
        loop {
            // SAFETY: a frame of the chain.
            let next = unsafe { next_of(last) };
            if next.is_null() {
                break;
            }
            last = next;
        }
        let mut top = self.waiting.load(Ordering::Relaxed);
        loop {
            // SAFETY: a frame of the chain, the caller's alone until the exchange succeeds.
            unsafe { &(*last).next }.with_mut(|next| {
                // SAFETY: as above.
                unsafe { *next = top };
            });
            // Release: the chain. Frames that are on the list already were released by exchanges that this one continues.
            match self
                .waiting
                .compare_exchange_weak(top, first, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    const fn is(broken: Broken) -> bool {
        VARIANT == broken as u8
    }
}

/// The frame after this one.
///
/// # Safety
/// The caller took the list that the frame is on, or made the frame, and nobody has woken its thread.
unsafe fn next_of(frame: *mut Frame) -> *mut Frame {
    // SAFETY: its thread waits, so the frame is there.
    unsafe { &(*frame).next }.with(|next| {
        // SAFETY: the caller's alone, by its promise.
        unsafe { *next }
    })
}

/// Wakes every thread of a chain; null is none.
///
/// # Safety
/// The chain is the caller's, and its threads wait for this.
unsafe fn wake(mut frame: *mut Frame) {
    while !frame.is_null() {
        // Before the frame goes.
        // SAFETY: a frame of the chain that has not been woken.
        let next = unsafe { next_of(frame) };
        // SAFETY: as above.
        let event = unsafe { (*frame).event };
        // SAFETY: its thread waits for this event, so it is there.
        unsafe { &*event }.set();
        frame = next;
    }
}

// SAFETY: the frames that the list points to are handed from thread to thread by the protocol above.
unsafe impl<const VARIANT: u8> Send for Protocol<VARIANT> {}
// SAFETY: as above.
unsafe impl<const VARIANT: u8> Sync for Protocol<VARIANT> {}

impl Default for Rundown {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Rundown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.protocol.word.load(Ordering::Relaxed);
        f.debug_struct("Rundown")
            .field("running_down", &(word & RUNDOWN != 0))
            .field("users", &((word & COUNT_MASK) / ONE))
            .finish_non_exhaustive()
    }
}

impl Drop for RundownGuard<'_> {
    fn drop(&mut self) {
        check_irql(Irql::DISPATCH, "Rundown::release");
        self.of.release();
    }
}

impl fmt::Debug for RundownGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RundownGuard").finish_non_exhaustive()
    }
}

impl RunningDown {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        NtStatus::DELETE_PENDING
    }
}

impl fmt::Display for RunningDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is being torn down")
    }
}

impl core::error::Error for RunningDown {}

impl NotRunDown {
    /// The NTSTATUS that stands for it.
    pub const fn status(self) -> NtStatus {
        NtStatus::INVALID_DEVICE_STATE
    }
}

impl fmt::Display for NotRunDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not run down")
    }
}

impl core::error::Error for NotRunDown {}

/// Variants that are wrong on purpose, for the models to catch. The product is 0.
#[derive(Clone, Copy)]
pub(crate) enum Broken {
    /// Acquire looks, and then adds: it may get in after all have left.
    AcquiresBlindly = 1,
    /// Release does not release.
    ReleasesRelaxed = 2,
    /// A thread that is about to wait does not join the count: the last may leave before it is on the list.
    JoinsUncounted = 3,
    /// The word does not show that somebody joined: the last may overlook whoever joined and released meanwhile.
    JoinsUnseen = 4,
    /// Restart does not release: who acquires may not see what was prepared.
    RestartsRelaxed = 5,
    /// Restart does not ask whether somebody is still in: who waits for the last of them is forgotten.
    RestartsEarly = 6,
}
