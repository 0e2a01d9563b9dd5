//! How many bytes all instances together may hold, and who may make load.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};

use queued_work_item::kernel::{Shared, SpinLock};
use queued_work_item_ioctl::{STATUS_INSUFFICIENT_RESOURCES, STATUS_QUOTA_EXCEEDED, limits};

/// What is left of [`limits::TOTAL_BYTES`].
pub(crate) struct Budget(SpinLock<u64>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(SpinLock::new(limits::TOTAL_BYTES))
    }

    /// Takes so much of it. `STATUS_QUOTA_EXCEEDED`: there is not so much left.
    pub(crate) fn charge(budget: &Shared<Self>, bytes: u64) -> Result<Charge, u32> {
        let mut left = budget.0.lock();
        *left = left.checked_sub(bytes).ok_or(STATUS_QUOTA_EXCEEDED)?;
        drop(left);
        Ok(Charge {
            budget: budget.clone(),
            bytes,
        })
    }
}

/// A part of the budget, given back when it is dropped.
pub(crate) struct Charge {
    budget: Shared<Budget>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        *self.budget.0.lock() += self.bytes;
    }
}

/// The right to start many threads, which one request at a time has.
pub(crate) struct Solo(Shared<AtomicBool>);

impl Solo {
    /// Takes it. `STATUS_INSUFFICIENT_RESOURCES`: somebody has it.
    pub(crate) fn take(taken: &Shared<AtomicBool>) -> Result<Self, u32> {
        if taken.swap(true, Acquire) {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        Ok(Self(taken.clone()))
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}
