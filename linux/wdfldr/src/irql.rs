//! The IRQL of each thread.
//!
//! Wine has none: spin locks do not raise it and CR8 reads zero. Here it is a word of the thread (see [`teb`]), raised
//! by spin locks and around DPC and timer callbacks, so that a driver which waits under a spin lock is stopped with a
//! message instead of working here and dying on Windows. The word also counts the spin locks that the thread holds.

use crate::nt::teb;
use crate::stop::{Code, anonymous, halt};

/// `PASSIVE_LEVEL`.
pub(crate) const PASSIVE: u8 = 0;
/// `APC_LEVEL`.
pub(crate) const APC: u8 = 1;
/// `DISPATCH_LEVEL`.
pub(crate) const DISPATCH: u8 = 2;

const IRQL_MASK: usize = 0xff;
const LOCK_UNIT: usize = 0x100;

#[allow(clippy::cast_possible_truncation, reason = "the mask is eight bits")]
const fn level(word: usize) -> u8 {
    (word & IRQL_MASK) as u8
}

/// The running thread's IRQL.
pub(crate) fn current() -> u8 {
    level(teb::word())
}

/// Raises the IRQL and gives the former one. Stops the driver if that would lower it.
pub(crate) fn raise(function: &str, new: u8) -> u8 {
    let word = teb::word();
    let old = level(word);
    if new < old {
        halt(
            anonymous(),
            Code::Irql,
            format_args!("{function} asks for IRQL {new}, which is lower than {old}"),
        );
    }
    teb::set_word(word & !IRQL_MASK | usize::from(new));
    old
}

/// Lowers the IRQL. Stops the driver if that would raise it, or drop below DISPATCH_LEVEL under a spin lock.
pub(crate) fn lower(function: &str, new: u8) {
    let word = teb::word();
    let old = level(word);
    if new > old {
        halt(
            anonymous(),
            Code::Irql,
            format_args!("{function} lowers the IRQL to {new}, but it is {old}"),
        );
    }
    if new < DISPATCH && word >= LOCK_UNIT {
        let held = word / LOCK_UNIT;
        halt(
            anonymous(),
            Code::Irql,
            format_args!(
                "{function} lowers the IRQL to {new} while {held} spin lock(s) are held: release order"
            ),
        );
    }
    teb::set_word(word & !IRQL_MASK | usize::from(new));
}

/// Notes a spin lock acquired by this thread.
pub(crate) fn spin_lock_acquired() {
    teb::set_word(teb::word() + LOCK_UNIT);
}

/// Notes a spin lock released by this thread.
pub(crate) fn spin_lock_released() {
    teb::set_word(teb::word() - LOCK_UNIT);
}

/// Stops the driver unless the IRQL is at most this.
pub(crate) fn require_at_most(function: &str, most: u8) {
    let now = current();
    if now > most {
        halt(
            anonymous(),
            Code::Irql,
            format_args!("{function} called at IRQL {now}, it may be called at IRQL <= {most} only"),
        );
    }
}

/// Runs `body` at DISPATCH_LEVEL, as a DPC runs.
pub(crate) fn at_dispatch<R>(body: impl FnOnce() -> R) -> R {
    let old = raise("a DPC", DISPATCH);
    let result = body();
    lower("a DPC", old);
    result
}

/// Stops the driver if a callback came back with another IRQL or more spin locks than it was called with.
pub(crate) fn require_unchanged(callback: &str, before: usize) {
    let after = teb::word();
    if after != before {
        halt(
            anonymous(),
            Code::Irql,
            format_args!(
                "{callback} returned at IRQL {} with {} spin lock(s) held; it was called at IRQL {} with {}",
                after & IRQL_MASK,
                after / LOCK_UNIT,
                before & IRQL_MASK,
                before / LOCK_UNIT
            ),
        );
    }
}
