//! What the callback keeps in its buffer's context.
//!
//! A context shows nothing of an earlier run: the callback looks whether its bytes are zero, and soils them. That the
//! library drops a context before its buffer is used again is what DMF calls its reuse cleanup, and is counted.

use core::sync::atomic::Ordering::Relaxed;

use queued_work_item::kernel::Shared;
use queued_work_item_ioctl::limits;

use crate::Ticket;
use crate::decode::Shape;
use crate::record::Record;

const BYTES: usize = limits::CONTEXT_SIZE as usize;

pub(crate) struct Scratch<T: Ticket> {
    bytes: [u8; BYTES],
    /// Where to count the cleanup, once a run has asked for it.
    cleanup: Option<Shared<Record<T>>>,
}

impl<T: Ticket> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            bytes: [0; BYTES],
            cleanup: None,
        }
    }
}

impl<T: Ticket> Scratch<T> {
    /// One run's use of it.
    pub(crate) fn soil(&mut self, shape: &Shape, record: &Shared<Record<T>>) {
        let bytes = self
            .bytes
            .get_mut(..shape.context_size as usize)
            .unwrap_or_default();
        if bytes.iter().any(|byte| *byte != 0) || self.cleanup.is_some() {
            record.counters.stale_contexts.fetch_add(1, Relaxed);
        }
        bytes.fill(0xD1);
        if shape.reuse_cleanup {
            self.cleanup = Some(record.clone());
        }
    }
}

impl<T: Ticket> Drop for Scratch<T> {
    fn drop(&mut self) {
        if let Some(record) = self.cleanup.take() {
            record.counters.cleanups.fetch_add(1, Relaxed);
        }
    }
}
