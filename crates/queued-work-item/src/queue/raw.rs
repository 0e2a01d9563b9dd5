//! A queue as a pointer, for those who keep it where Rust's ownership does not reach: in a C driver's variable.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::{Context, QueuedWorkItem};
use crate::Completion;
use crate::payload::Payload;

impl<T: Payload + ?Sized, K: Completion, C: Context> QueuedWorkItem<T, K, C> {
    /// Gives up ownership for a pointer, which stands for it until [`from_raw`](Self::from_raw). Nothing is dropped
    /// meanwhile; the pointer is nobody's to follow. IRQL: any.
    ///
    /// ```
    /// # use queued_work_item::{Close, Config, Passive, QueuedWorkItem, kernel::Parent};
    /// # let passive = &mut unsafe { Passive::assume() };
    /// type Queue = QueuedWorkItem<u32>;
    ///
    /// let raw = Queue::create(passive, Parent::default(), &Config::new(1), |_, _| ())?.into_raw();
    /// // SAFETY: from `into_raw`, and taken back here.
    /// let queue = unsafe { Queue::from_raw(raw) };
    /// queue.enqueue(7).expect("it is open as ever");
    /// queue.close(passive, Close::Drain).expect("not called from the callback");
    /// # Ok::<_, queued_work_item::CreateError>(())
    /// ```
    #[must_use = "the queue is never closed unless it is taken back"]
    pub fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).core.cast()
    }

    /// The queue that the pointer stands for. IRQL: any.
    ///
    /// # Safety
    /// From [`into_raw`](Self::into_raw) of this type, and taken back once; or not dropped.
    #[must_use = "dropping the queue cancels it"]
    pub const unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self {
            core: raw.cast(),
            owns: PhantomData,
        }
    }
}
