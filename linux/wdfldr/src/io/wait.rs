//! Waiting for the driver, with a word in the log when it takes long.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::nt::print::log;
use crate::nt::sync::{wait_while, wake_all};

/// Shows by a function.
struct Describe<'a, F>(&'a F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Describe<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// After how long a wait is reported, and again each time that it passes: 5 s in 100 ns units.
const PATIENCE: i64 = 5 * 10_000_000;

/// Set once by what is waited for. Shared, so that a late setter does not find a dead stack.
#[derive(Clone)]
pub(super) struct Signal(Arc<AtomicU32>);

impl Signal {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(0)))
    }

    pub(super) fn set(&self) {
        self.0.store(1, Ordering::Release);
        wake_all(&self.0);
    }

    /// Waits without limit; every few seconds `describe` is logged.
    pub(super) fn wait(&self, describe: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result) {
        let mut waited = 0;
        while self.0.load(Ordering::Acquire) == 0 {
            if !wait_while(&self.0, 0, Some(PATIENCE)) {
                waited += PATIENCE / 10_000_000;
                log!("waiting for {waited} s {}", Describe(&describe));
            }
        }
    }
}
