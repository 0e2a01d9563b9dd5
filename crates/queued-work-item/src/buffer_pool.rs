//! Preallocated buffers to fetch and put back: DMF's `BufferPool` as a source.

use core::fmt;

use crate::buffer::Stock;
use crate::cleanup::Cleanup;
use crate::kernel::{Irql, check_irql};
use crate::{Buffer, Config, Context, CreateError, NoBuffer, Passive};

/// A pool of buffers of one size, each with a context.
///
/// ```
/// use queued_work_item::{BufferPool, Config, Passive};
/// // SAFETY: a host thread starts at PASSIVE_LEVEL.
/// let passive = &mut unsafe { Passive::assume() };
/// let pool = <BufferPool>::create(passive, &Config::new(2).buffer_size(64))?;
/// let mut buffer = pool.fetch().expect("two are free");
/// buffer.payload_mut()[..5].copy_from_slice(b"hello");
/// drop(buffer); // back in the pool, and zero again
/// # Ok::<_, queued_work_item::CreateError>(())
/// ```
pub struct BufferPool<C: Context = ()> {
    stock: Stock<C>,
}

impl<C: Context> BufferPool<C> {
    /// A pool with its buffers.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind.
    pub fn create(_: &mut Passive, config: &Config) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "BufferPool::create");
        Ok(Self {
            stock: Stock::new(config, None)?,
        })
    }

    /// As [`create`](Self::create), with a reuse-cleanup callback: DMF's `EvtBufferQueueReuseCleanup`.
    ///
    /// `cleanup` is called exactly once whenever a buffer goes home, used or not: by [`reuse`](Self::reuse) or by being dropped. It is handed all of its
    /// bytes and its context, as its last holder left them; both are cleared right after it.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`; `cleanup` is called at the IRQL of whoever gives the buffer back, `<= DISPATCH_LEVEL`, and under
    /// no lock. Two threads may be in it at a time, each with its own buffer.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind.
    pub fn create_with_cleanup(
        _: &mut Passive,
        config: &Config,
        cleanup: impl Fn(&mut [u8], &mut C) + Send + Sync + 'static,
    ) -> Result<Self, CreateError> {
        check_irql(Irql::PASSIVE, "BufferPool::create_with_cleanup");
        Ok(Self {
            stock: Stock::new(config, Some(Cleanup::new(cleanup)?))?,
        })
    }

    /// Takes a buffer.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`. It never blocks, and allocates only where the configuration lets the pool grow.
    ///
    /// # Errors
    /// [`NoBuffer`].
    pub fn fetch(&self) -> Result<Buffer<'_, C>, NoBuffer> {
        check_irql(Irql::DISPATCH, "BufferPool::fetch");
        self.stock.fetch()
    }

    /// Gives a buffer back, as dropping it does.
    ///
    /// # IRQL
    /// `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// The buffer, when it is another pool's.
    pub fn reuse<'a>(&self, buffer: Buffer<'a, C>) -> Result<(), Buffer<'a, C>> {
        check_irql(Irql::DISPATCH, "BufferPool::reuse");
        if buffer.is_of(&self.stock) {
            drop(buffer);
            Ok(())
        } else {
            Err(buffer)
        }
    }

    pub(crate) const fn stock(&self) -> &Stock<C> {
        &self.stock
    }

    /// Buffers that there can be at once. IRQL: any.
    pub fn capacity(&self) -> u32 {
        self.stock.slots.max()
    }
}

impl<C: Context> fmt::Debug for BufferPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
