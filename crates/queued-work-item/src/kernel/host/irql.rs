//! IRQL as a number that each thread keeps, since no processor does it for us.

extern crate std;

use core::cell::Cell;
use core::marker::PhantomData;

use crate::kernel::Irql;

std::thread_local! {
    static IRQL: Cell<Irql> = const { Cell::new(Irql::PASSIVE) };
}

/// The IRQL of this thread.
pub fn current_irql() -> Irql {
    IRQL.get()
}

/// Panics, naming `call`, when this thread runs above `highest`: where the kernel would hang or stop.
#[track_caller]
#[inline]
pub(crate) fn check_irql(highest: Irql, call: &str) {
    let current = current_irql();
    if current > highest {
        complain(call, current, highest);
    }
}

/// Out of the way, with what it takes to say so: an enqueue makes the check.
#[cold]
#[inline(never)]
#[track_caller]
fn complain(call: &str, current: Irql, highest: Irql) -> ! {
    panic!("{call} called at {current}, allowed at <= {highest}")
}

/// As [`check_irql`], for a call that is made at one IRQL only.
#[track_caller]
pub(crate) fn check_irql_is(expected: Irql, call: &str) {
    let current = current_irql();
    assert!(
        current == expected,
        "{call} called at {current}, allowed at {expected}"
    );
}

pub(super) fn set(irql: Irql) -> Irql {
    IRQL.replace(irql)
}

/// A raised IRQL; dropping it lowers to what was.
#[must_use = "the IRQL is lowered again at once when the guard is not kept"]
#[derive(Debug)]
pub struct RaisedIrql {
    old: Irql,
    here: PhantomData<*mut ()>,
}

/// Raises this thread's IRQL, as `KeRaiseIrql`: a test's way to call what a DPC would.
///
/// # Panics
/// When `irql` is lower than the present one.
pub fn raise_irql(irql: Irql) -> RaisedIrql {
    let old = current_irql();
    assert!(irql >= old, "raise_irql to {irql} called at {old}");
    RaisedIrql {
        old: set(irql),
        here: PhantomData,
    }
}

impl Drop for RaisedIrql {
    fn drop(&mut self) {
        set(self.old);
    }
}
