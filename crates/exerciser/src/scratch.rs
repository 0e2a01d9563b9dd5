//! What the callback keeps in its buffer's context.
//!
//! A context shows nothing of an earlier run: the callback looks whether its bytes are zero, and soils them.

use queued_work_item_ioctl::limits;

const BYTES: usize = limits::CONTEXT_SIZE as usize;

pub(crate) struct Scratch {
    bytes: [u8; BYTES],
}

impl Default for Scratch {
    fn default() -> Self {
        Self { bytes: [0; BYTES] }
    }
}

impl Scratch {
    /// One run's use of so many bytes of it. Tells whether they were clean.
    pub(crate) fn soil(&mut self, size: u32) -> bool {
        let bytes = self.bytes.get_mut(..size as usize).unwrap_or_default();
        let clean = bytes.iter().all(|byte| *byte == 0);
        bytes.fill(0xD1);
        clean
    }
}
