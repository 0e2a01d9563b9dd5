//! How many buffers, how large, and how far they may grow.

use crate::CreateError;
use crate::kernel::Pool;

/// What a queue is created with: DMF's `DMF_CONFIG_BufferQueue`.
///
/// ```
/// use queued_work_item::Config;
/// let config = Config::new(32).buffer_size(256).lookaside(64);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Preallocated buffers; the running item holds one of them.
    pub buffer_count: u32,
    /// The longest payload in bytes; a queue of a typed payload ignores it.
    pub buffer_size: usize,
    /// May the queue grow past `buffer_count`, one pool allocation a buffer, up to this many buffers in all? Surplus
    /// buffers are freed when they come back.
    pub lookaside: Option<u32>,
    /// What buffers lie in: decided by the type of what is created, since it decides where that may be used.
    pub(crate) pool: Pool,
}

/// More than this many buffers do not fit the index of the lock-free words.
pub const MAX_BUFFERS: u32 = (1 << 24) - 1;

impl Config {
    /// `buffer_count` preallocated buffers of no bytes, and no growth.
    #[must_use]
    pub const fn new(buffer_count: u32) -> Self {
        Self {
            buffer_count,
            buffer_size: 0,
            lookaside: None,
            pool: Pool::NonPaged,
        }
    }

    /// The same, with buffers that may be paged out.
    pub(crate) const fn paged(mut self) -> Self {
        self.pool = Pool::Paged;
        self
    }

    /// The longest payload, in bytes.
    #[must_use]
    pub const fn buffer_size(mut self, bytes: usize) -> Self {
        self.buffer_size = bytes;
        self
    }

    /// Growth up to `max_buffers` in all, the preallocated ones included.
    #[must_use]
    pub const fn lookaside(mut self, max_buffers: u32) -> Self {
        self.lookaside = Some(max_buffers);
        self
    }

    /// How many buffers there can be at once.
    ///
    /// # Errors
    /// [`CreateError::InvalidConfig`] when there are none, more than [`MAX_BUFFERS`], or fewer than preallocated.
    pub(crate) const fn max_buffers(&self) -> Result<u32, CreateError> {
        let max = match self.lookaside {
            Some(max) => max,
            None => self.buffer_count,
        };
        if max == 0 || max > MAX_BUFFERS || max < self.buffer_count {
            return Err(CreateError::InvalidConfig);
        }
        Ok(max)
    }
}
