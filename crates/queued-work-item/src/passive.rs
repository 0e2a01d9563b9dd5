//! The proof, as a value, that the thread runs at `PASSIVE_LEVEL` and may wait.
//!
//! Whether a function may block is a fact about its caller that the kernel checks only by hanging or by a bug check.
//! The blocking verbs of this crate ask for a `&mut Passive` instead: who has none cannot call them, and who has lent
//! it to a spin-lock guard cannot either until the guard is gone.

use core::marker::PhantomData;

use crate::kernel::{self, Irql};

/// Evidence that the current thread runs at `PASSIVE_LEVEL`.
///
/// Callbacks are handed one; elsewhere [`Passive::assume`] makes it. It has no size, is neither `Send` nor `Sync` (it
/// speaks of one thread) and is not `Copy` (whoever lends it cannot use it).
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// // SAFETY: a host thread starts at PASSIVE_LEVEL.
/// let passive = unsafe { queued_work_item::Passive::assume() };
/// send(passive);
/// ```
#[derive(Debug)]
pub struct Passive(PhantomData<*mut ()>);

impl Passive {
    /// Asserts that the current thread runs at `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// The thread runs at `PASSIVE_LEVEL`, with normal kernel APCs enabled, and goes on doing so while the token is
    /// used: it is not kept across a raise of the IRQL other than by a guard that borrows it. Debug builds and the
    /// host backend check the IRQL here.
    ///
    /// # Panics
    /// In debug builds and on the host backend, above `PASSIVE_LEVEL`.
    #[must_use]
    #[track_caller]
    pub unsafe fn assume() -> Self {
        kernel::check_irql(Irql::PASSIVE, "Passive::assume");
        Self(PhantomData)
    }
}
