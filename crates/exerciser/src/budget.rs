//! How many bytes all instances together may hold.

use queued_work_item::kernel::{Shared, SpinLock};
use queued_work_item_ioctl::{STATUS_QUOTA_EXCEEDED, limits};

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
