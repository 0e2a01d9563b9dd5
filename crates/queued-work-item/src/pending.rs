//! The word that producers and the drainer share: what is pending, and who drains.
//!
//! | bits | meaning |
//! |---|---|
//! | 0-1 | IDLE, SCHEDULED or RUNNING |
//! | 2 | CLOSING: no push succeeds any more |
//! | 3-27 | the newest pending slot, or [`NIL`] |
//! | 28-63 | how many pushes succeeded, modulo 2^36 |
//!
//! Both halves of "something is pending" and "somebody will take it" change in one exchange, which is what makes losing
//! a wake-up impossible: a push that finds RUNNING makes the drainer's exchange to IDLE fail, and a push that finds IDLE
//! knows that it is the one to schedule.
//!
//! | from | by | to |
//! |---|---|---|
//! | IDLE | a push | SCHEDULED; that producer schedules the work item |
//! | SCHEDULED, RUNNING | a push | the same |
//! | SCHEDULED | a start of the work item | RUNNING; that worker is the drainer |
//! | IDLE, RUNNING | a start | unchanged; the start returns |
//! | RUNNING, nothing pending | the drainer | IDLE |
//! | RUNNING | the drainer, after its share | SCHEDULED; it schedules the work item |

use super::free::NIL;
use crate::backoff::Backoff;
use crate::kernel::atomic::{AtomicU32, AtomicU64, Ordering};

const STATE_MASK: u64 = 0b11;
const IDLE: u64 = 0;
const SCHEDULED: u64 = 1;
const RUNNING: u64 = 2;
const CLOSING: u64 = 0b100;
const INDEX_SHIFT: u32 = 3;
const INDEX_MASK: u64 = (NIL as u64) << INDEX_SHIFT;
const COUNT_SHIFT: u32 = 28;
const COUNT_ONE: u64 = 1 << COUNT_SHIFT;
const COUNT_MASK: u64 = u64::MAX >> COUNT_SHIFT;

/// One reading of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// The newest pending slot, or [`NIL`].
    pub(crate) const fn newest(self) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "masked to 25 bits")]
        {
            ((self.0 & INDEX_MASK) >> INDEX_SHIFT) as u32
        }
    }

    pub(crate) const fn is_closing(self) -> bool {
        self.0 & CLOSING != 0
    }

    /// Somebody drains or will, and the queue is not closing.
    const fn can_be_joined(self) -> bool {
        let state = self.0 & (STATE_MASK | CLOSING);
        state == SCHEDULED || state == RUNNING
    }

    /// With one push more, that of `slot`.
    const fn with_newest(self, slot: u32) -> Self {
        let index = (slot as u64) << INDEX_SHIFT;
        Self((self.0 & !INDEX_MASK | index).wrapping_add(COUNT_ONE))
    }

    const fn state(self) -> u64 {
        self.0 & STATE_MASK
    }

    /// The full count of successful pushes, given one that is at most 2^36 - 1 older.
    pub(crate) const fn pushes(self, earlier: u64) -> u64 {
        earlier.wrapping_add((self.0 >> COUNT_SHIFT).wrapping_sub(earlier) & COUNT_MASK)
    }
}

/// A push found the queue closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closing;

/// What a successful push obliges to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Somebody drains or will.
    Joined,
    /// The caller has to schedule the work item.
    MustSchedule,
}

/// The shared word.
///
/// # Invariants
/// - At most one thread at a time is the drainer: the one whose exchange last made the state RUNNING.
/// - Something is pending only in SCHEDULED or RUNNING, and each change to SCHEDULED is followed by a call that
///   schedules the work item.
/// - CLOSING is never taken back.
pub(crate) struct Pending<const VARIANT: u8 = 0>(AtomicU64);

impl<const VARIANT: u8> Pending<VARIANT> {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(INDEX_MASK | IDLE))
    }

    /// A look, for diagnostics and for checks that the exchanges repeat.
    pub(crate) fn load(&self) -> Word {
        Word(self.0.load(Ordering::Relaxed))
    }

    /// Puts `slot` on top of what is pending, if that leaves the caller nothing to schedule and no exchange is lost: what a
    /// busy queue meets, in as few instructions as it takes. `false`: it needs a [`push`](Self::push).
    #[inline]
    pub(crate) fn join(&self, slot: u32, link: &AtomicU32) -> bool {
        let word = self.load();
        if !word.can_be_joined() || self.is(Broken::EmptySchedules) {
            return false;
        }
        // Relaxed and release: as in `push`.
        link.store(word.newest(), Ordering::Relaxed);
        let new = word.with_newest(slot);
        let joined = self
            .0
            .compare_exchange_weak(word.0, new.0, Ordering::Release, Ordering::Relaxed)
            .is_ok();
        if !joined {
            Backoff::default().lost();
        }
        joined
    }

    /// Puts `slot` on top of what is pending. `before_scheduling` is called, at most once, before an exchange that may
    /// make the caller responsible for scheduling; the caller undoes it if it was not made so.
    pub(crate) fn push(
        &self,
        slot: u32,
        link: &AtomicU32,
        mut before_scheduling: impl FnMut(),
    ) -> Result<Pushed, Closing> {
        let mut word = self.load();
        let mut prepared = false;
        let mut backoff = Backoff::default();
        loop {
            if word.is_closing() {
                return Err(Closing);
            }
            let schedules = if self.is(Broken::EmptySchedules) {
                word.newest() == NIL
            } else {
                word.state() == IDLE
            };
            if schedules && !prepared {
                prepared = true;
                before_scheduling();
            }
            // Relaxed: published by the exchange.
            link.store(word.newest(), Ordering::Relaxed);
            let state = if schedules { SCHEDULED } else { word.state() };
            let new = word.0 & !STATE_MASK | state;
            let new = Word(new).with_newest(slot);
            // Release: the slot's contents, for the drainer. A push needs no acquire, since it reads nothing of
            // others; and no tag, since being linked to the top is right whatever happened to the top before.
            match self
                .0
                .compare_exchange_weak(word.0, new.0, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) if schedules => return Ok(Pushed::MustSchedule),
                Ok(_) => return Ok(Pushed::Joined),
                Err(_) => {
                    backoff.lost();
                    word = self.load();
                }
            }
        }
    }

    /// Counts a push that goes to the ready list instead: the caller holds that list's lock, and puts it there before it
    /// lets go. `before_scheduling` is as for [`push`](Self::push).
    pub(crate) fn count_push(&self, mut before_scheduling: impl FnMut()) -> Result<Pushed, Closing> {
        let mut prepared = false;
        let mut word = self.load();
        loop {
            if word.is_closing() {
                return Err(Closing);
            }
            let schedules = word.state() == IDLE;
            if schedules && !prepared {
                prepared = true;
                before_scheduling();
            }
            let state = if schedules { SCHEDULED } else { word.state() };
            let new = (word.0 & !STATE_MASK | state).wrapping_add(COUNT_ONE);
            // Relaxed: the slot's contents are handed over by the lock. The exchange continues the release sequences of
            // pushes and drainers, whoever made them.
            match self
                .0
                .compare_exchange_weak(word.0, new, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) if schedules => return Ok(Pushed::MustSchedule),
                Ok(_) => return Ok(Pushed::Joined),
                Err(now) => word = Word(now),
            }
        }
    }

    /// A start's attempt to become the drainer.
    pub(crate) fn claim(&self) -> bool {
        if self.is(Broken::EmptySchedules) {
            return true;
        }
        let mut word = self.load();
        loop {
            if word.state() != SCHEDULED {
                return false;
            }
            // Acquire: the drainer's state, as the last drainer released it by going idle or yielding. The push in
            // between is a read-modify-write, so it continues that release sequence.
            let new = word.0 - SCHEDULED + RUNNING;
            match self
                .0
                .compare_exchange_weak(word.0, new, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = Word(now),
            }
        }
    }

    /// Takes all that is pending, leaving the other bits; the word as it was. May be called by whoever holds the ready
    /// list's lock.
    pub(crate) fn take(&self) -> Word {
        let word = self.load();
        if word.newest() == NIL {
            return word;
        }
        if self.is(Broken::TakeErasesClosing) {
            return Word(self.0.swap(word.0 & !CLOSING | INDEX_MASK, Ordering::Acquire));
        }
        // `NIL` is all ones, so that one OR empties the index and keeps whatever the other bits have become. Acquire:
        // the slots' contents, from every push in the chain (each later push continues the release sequence).
        Word(self.0.fetch_or(INDEX_MASK, Ordering::Acquire))
    }

    /// The drainer stops, if the word still is as `seen`: nothing pending. `false`: look again.
    pub(crate) fn go_idle(&self, seen: Word) -> bool {
        if self.is(Broken::IdlesBlindly) {
            self.0.fetch_and(!STATE_MASK, Ordering::AcqRel);
            return true;
        }
        if self.is(Broken::EmptySchedules) {
            return self.load().newest() == NIL;
        }
        let idle = (seen.0 & !STATE_MASK) | IDLE;
        let order = if self.is(Broken::IdlesRelaxed) {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        // Release: hands the drainer's state (the callback's captures, the ready list) to the next drainer.
        self.0
            .compare_exchange(seen.0, idle, order, Ordering::Relaxed)
            .is_ok()
    }

    /// The drainer gives way to a start that it is about to schedule.
    pub(crate) fn yield_drain(&self) {
        // Only the drainer changes the state while it is RUNNING, so a subtraction is exact. Release: as in `go_idle`.
        self.0.fetch_sub(RUNNING - SCHEDULED, Ordering::Release);
    }

    /// Lets no push succeed from now on. The word before.
    pub(crate) fn close(&self) -> Word {
        // Acquire and release are not needed for the bit: every push exchanges the same word, and so comes before or
        // after it as a whole. AcqRel so that who sees CLOSING also sees what its closer did before.
        Word(self.0.fetch_or(CLOSING, Ordering::AcqRel))
    }

    #[allow(
        clippy::unused_self,
        reason = "asked of a value, since the variant is its type's"
    )]
    const fn is(&self, broken: Broken) -> bool {
        VARIANT == broken as u8
    }
}

/// Variants that are wrong on purpose, for the models to catch: `Pending<{ Broken::… as u8 }>`. The product is 0.
#[derive(Clone, Copy)]
pub(crate) enum Broken {
    /// Emptiness is the signal: a push to an empty word schedules whatever the state, and starts do not claim.
    EmptySchedules = 1,
    /// The drainer goes idle whatever was pushed since it looked.
    IdlesBlindly = 2,
    /// The drainer takes the chain by an exchange that puts back the bits it saw: a closing bit in between is erased.
    TakeErasesClosing = 3,
    /// Going idle does not release: the next drainer may not see what this one left.
    IdlesRelaxed = 4,
}
