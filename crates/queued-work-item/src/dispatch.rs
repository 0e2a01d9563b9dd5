//! The evidence, as a value, that the thread runs at `DISPATCH_LEVEL`.
//!
//! A DPC's callback is at `DISPATCH_LEVEL` already. Who can show it takes a spin lock without raising, and without
//! restoring, an IRQL: what `KeAcquireSpinLockAtDpcLevel` is for, whose one precondition nothing else checks.

use core::marker::PhantomData;

use crate::kernel::{self, Irql};

/// Evidence that the current thread runs at `DISPATCH_LEVEL`.
///
/// The callback of a timer is handed one; elsewhere [`Dispatch::assume`] makes it. It has no size, is neither `Send` nor
/// `Sync` (it speaks of one processor for a while), and nothing that waits takes it: that asks for a
/// [`Passive`](crate::Passive), which cannot be made from it.
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// fn from_a_dpc(dispatch: queued_work_item::Dispatch) {
///     send(dispatch);
/// }
/// ```
#[derive(Debug)]
pub struct Dispatch(PhantomData<*mut ()>);

impl Dispatch {
    /// Asserts that the current thread runs at `DISPATCH_LEVEL`.
    ///
    /// # Safety
    /// The thread runs at `DISPATCH_LEVEL`, and goes on doing so while the token is used. Debug builds and the host
    /// backend check the IRQL here.
    ///
    /// # Panics
    /// In debug builds and on the host backend, below or above `DISPATCH_LEVEL`.
    #[must_use]
    #[track_caller]
    pub unsafe fn assume() -> Self {
        kernel::check_irql_is(Irql::DISPATCH, "Dispatch::assume");
        Self(PhantomData)
    }
}
