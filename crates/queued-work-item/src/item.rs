//! What a callback is given.

use core::fmt;

use crate::NtStatus;
use crate::kernel::{Irql, check_irql};

/// The item that runs: exclusive access to its payload and its buffer's context, and the status that it will leave.
///
/// It cannot be kept beyond the callback: the buffer goes home when the callback returns.
///
/// ```compile_fail,E0521
/// use queued_work_item::{Config, Item, Passive, QueuedWorkItem, kernel::Parent};
/// # fn show(passive: &mut Passive) {
/// let mut kept: Vec<&mut [u8]> = Vec::new();
/// let queue = <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &Config::new(1), move |item, _| {
///     kept.push(item.payload_mut());
/// });
/// # }
/// ```
pub struct Item<'a, T: ?Sized, C = ()> {
    pub(crate) payload: &'a mut T,
    pub(crate) context: &'a mut C,
    pub(crate) status: NtStatus,
    /// Payload and context may be paged out.
    pub(crate) pageable: bool,
}

impl<T: ?Sized, C> Item<'_, T, C> {
    /// Debug builds and the host backend stop a callback that looks at what may be paged out with its IRQL raised.
    fn touch(&self) {
        if self.pageable {
            check_irql(Irql::APC, "a pageable item");
        }
    }

    /// The payload: bytes have exactly the length that was enqueued, and begin at a multiple of
    /// [`PAYLOAD_ALIGNMENT`](crate::PAYLOAD_ALIGNMENT).
    pub fn payload(&self) -> &T {
        self.touch();
        self.payload
    }

    /// The payload, to work in.
    pub fn payload_mut(&mut self) -> &mut T {
        self.touch();
        self.payload
    }

    /// The buffer's context: `C::default()` at the begin of each run.
    pub fn context(&self) -> &C {
        self.touch();
        self.context
    }

    /// The buffer's context, to write.
    pub fn context_mut(&mut self) -> &mut C {
        self.touch();
        self.context
    }

    /// Both at once.
    pub fn parts_mut(&mut self) -> (&mut T, &mut C) {
        self.touch();
        (self.payload, self.context)
    }

    /// Sets what a waiter is told, in all 32 bits. The last one counts; without any it is `STATUS_SUCCESS`.
    pub const fn set_status(&mut self, status: NtStatus) {
        self.status = status;
    }

    /// What has been set so far.
    pub const fn status(&self) -> NtStatus {
        self.status
    }
}

impl<T: ?Sized + fmt::Debug, C: fmt::Debug> fmt::Debug for Item<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("payload", &self.payload)
            .field("context", &self.context)
            .field("status", &self.status)
            .finish()
    }
}
