//! What a thread does that lost an exchange: it stays away from the word for a moment.
//!
//! A lost exchange means that another processor has the word's cache line just now. Asking for it back at once makes the
//! line travel for each operation; staying away lets the other do several in the time of one travel. The wait grows with
//! each loss and has a small bound, so that at `DISPATCH_LEVEL` it stays below what a contended spin lock costs. Nothing is
//! waited for: the exchange is tried again whatever the others do.

/// Doublings of the wait: at most 64 pauses at a time, some microseconds on the slowest of processors.
const DOUBLINGS: u32 = 6;

/// The losses of one operation.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// The exchange was lost.
    #[cold]
    #[inline(never)]
    pub(crate) fn lost(&mut self) {
        for _ in 0..1_u32 << self.0 {
            core::hint::spin_loop();
        }
        self.0 = (self.0 + 1).min(DOUBLINGS);
    }
}
