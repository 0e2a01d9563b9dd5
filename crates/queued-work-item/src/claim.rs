//! What the drainer has claimed: a few items at a time, each begun by one step that anybody can forestall.
//!
//! To take the ready list's lock for each item would cost more than many a callback. So the drainer claims up to
//! [`CLAIM`] items under one hold of the lock. The first of them has begun with that; each further one begins by an
//! addition to one word, which on the drainer's own line is as cheap as a locked instruction gets. Whoever needs to know,
//! or to decide, what has not begun (a cancel, a stop, a wait for the queue) takes the lock and *revokes*: in one exchange of
//! the same word the claim is empty, and what had not begun is in the list again. The addition that comes too late sees
//! that it did, and the drainer goes to the list.
//!
//! The word carries buffers home, too. One whose item nobody waits for need not go home at once, as long as a producer
//! that needs it gets it: the addition that begins the next item marks the last one's buffer as *finished*, and the
//! drainer brings them all home by one push when it comes to the list. A producer that finds no free buffer looks here, under
//! the lock, before it says so.
//!
//! | bits | meaning | written by |
//! |---|---|---|
//! | 0-7 | how many have begun, beside the first | the drainer's addition; an exchange under the lock clears it |
//! | 8-15 | how many may, beside the first: 0 when revoked | under the lock |
//! | 16-31 | by position: its buffer is finished, and not home | set by the drainer's addition; cleared under the lock |

use crate::kernel::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::slots::Slot;

/// Items claimed under one hold of the lock. The models need a first and a further one.
#[cfg(not(loom))]
pub(crate) const CLAIM: u32 = 16;
#[cfg(loom)]
pub(crate) const CLAIM: u32 = 2;

const BEGUN_ONE: u64 = 1;
const BEGUN_MASK: u64 = 0xFF;
const GRANTED_SHIFT: u32 = 8;
const GRANTED_MASK: u64 = 0xFF << GRANTED_SHIFT;
const FINISHED_SHIFT: u32 = 16;

/// Positions in a claim, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finished(u32);

impl Finished {
    pub(crate) const NONE: Self = Self(0);

    /// The slot at this position.
    pub(crate) const fn at(position: u32) -> Self {
        Self(1 << position)
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The lowest position among these, taken out.
    pub(crate) const fn take_one(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let position = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(position)
    }
}

/// How far a claim has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Items that have begun, beside the first.
    pub(crate) begun: u32,
    /// Items that had been granted, beside the first.
    pub(crate) granted: u32,
    /// Whose buffers are finished and not home.
    pub(crate) finished: Finished,
}

impl Progress {
    #[allow(clippy::cast_possible_truncation, reason = "masked or shifted into range")]
    fn of(word: u64) -> Self {
        let granted = ((word & GRANTED_MASK) >> GRANTED_SHIFT) as u32;
        Self {
            // An addition that came too late has counted, and begun nothing.
            begun: ((word & BEGUN_MASK) as u32).min(granted),
            granted,
            finished: Finished((word >> FINISHED_SHIFT) as u32),
        }
    }
}

/// The word, and the slots that it speaks of.
///
/// # Invariants
/// - An item of the claim has begun exactly if the addition for it found fewer begun than granted; only the drainer adds. So
///   after a revocation, which grants nothing, nothing of the claim begins, and what had begun before it is known.
/// - What is granted changes only under the ready list's lock. While something is, the list's oldest-first chain
///   continues the claim: its head is the successor of the last slot granted.
/// - The slots change only under that lock, by the drainer, and when no finished bit is set.
/// - A slot whose finished bit is set belongs to whoever clears the bit under the lock.
pub(crate) struct Claim<const VARIANT: u8 = 0> {
    word: AtomicU64,
    slots: [AtomicU32; CLAIM as usize],
}

impl<const VARIANT: u8> Claim<VARIANT> {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            slots: core::array::from_fn(|_| AtomicU32::new(crate::free::NIL)),
        }
    }

    /// Notes the slot at a position of the claim that is about to be granted. Under the lock, by the drainer.
    pub(crate) fn note(&self, position: u32, slot: Slot) {
        if let Some(place) = self.slots.get(position as usize) {
            // Relaxed, here and in `slot`: written and read under the lock, or by the drainer, who wrote it.
            place.store(slot.index(), Ordering::Relaxed);
        }
    }

    /// The slot at a position that was noted.
    pub(crate) fn slot(&self, position: u32) -> Option<Slot> {
        self.slots
            .get(position as usize)
            .and_then(|place| Slot::from_index(place.load(Ordering::Relaxed)))
    }

    /// Grants `count` items, the first of which has begun with this. Under the lock, by the drainer, with nothing
    /// granted and nothing finished.
    pub(crate) fn grant(&self, count: u32) {
        debug_assert!((1..=CLAIM).contains(&count), "a claim that fits");
        // Relaxed, and no exchange: the others look under the lock only, and the drainer, the only one that adds, is
        // here.
        self.word
            .store(u64::from(count - 1) << GRANTED_SHIFT, Ordering::Relaxed);
    }

    /// Begins the next item, unless the claim has been revoked, and hands over the buffer of the last one, if it is
    /// finished. By the drainer.
    #[inline]
    pub(crate) fn begin(&self, finished: Finished) -> bool {
        let step = BEGUN_ONE | u64::from(finished.0) << FINISHED_SHIFT;
        if VARIANT == Broken::BeginsUnasked as u8 {
            self.word.fetch_add(step, Ordering::Release);
            return true;
        }
        // An addition: it cannot fail for another's change, only come too late. The bits that it sets were clear: the
        // item was not finished before. Release: what the last item's callback did, for who learns here that it ended;
        // and its buffer, for who takes it from here. What was granted needs no acquire: the drainer took it.
        let word = self.word.fetch_add(step, Ordering::Release);
        word & BEGUN_MASK < (word & GRANTED_MASK) >> GRANTED_SHIFT
    }

    /// How far the claim has got. Under the lock.
    pub(crate) fn progress(&self) -> Progress {
        // Acquire: what ended, as in `begin`.
        Progress::of(self.word.load(Ordering::Acquire))
    }

    /// Lets nothing more begin. What has begun until now. Under the lock.
    pub(crate) fn revoke(&self) -> Progress {
        // Nothing can begin, and only who has the lock changes that.
        let seen = self.progress();
        if seen.granted == 0 {
            return seen;
        }
        if VARIANT == Broken::RevokesByStore as u8 {
            self.word
                .store(u64::from(seen.finished.0) << FINISHED_SHIFT, Ordering::Release);
            return seen;
        }
        // The drainer may be adding. Acquire: as in `progress`.
        let order = if VARIANT == Broken::RevokesRelaxed as u8 {
            Ordering::Relaxed
        } else {
            Ordering::Acquire
        };
        Progress::of(self.word.fetch_and(!(BEGUN_MASK | GRANTED_MASK), order))
    }

    /// Takes finished buffers out: they are the caller's. Under the lock.
    pub(crate) fn take_finished(&self, finished: Finished) {
        if !finished.is_none() {
            // The drainer may be adding. Relaxed: nothing is handed over by this.
            self.word
                .fetch_and(!(u64::from(finished.0) << FINISHED_SHIFT), Ordering::Relaxed);
        }
    }

    /// The drainer is done with the claim: how far it had got. Under the lock; finished buffers are the caller's.
    pub(crate) fn settle(&self) -> Progress {
        // No exchange: the drainer, the only one that adds, is here, and the others change the word under the lock.
        // Relaxed: the drainer's own additions, and the others' before the lock.
        let progress = Progress::of(self.word.load(Ordering::Relaxed));
        self.word.store(0, Ordering::Relaxed);
        progress
    }
}

/// Variants that are wrong on purpose, for the models to catch: `Claim<{ Broken::… as u8 }>`. The product is 0.
#[derive(Clone, Copy)]
pub(crate) enum Broken {
    /// The drainer begins what it has claimed whatever became of the claim.
    BeginsUnasked = 1,
    /// A revocation that looks and then writes: an item that begins in between is in the list as well.
    RevokesByStore = 2,
    /// A revocation does not acquire: who learns by it that an item has ended may not see what it did.
    RevokesRelaxed = 3,
}
