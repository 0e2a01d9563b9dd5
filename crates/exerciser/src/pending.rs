//! Who answers a request that waits, when three parties may want to.
//!
//! A request that waits can be answered by its completion (the item ran, the flush returned), by its handle being
//! closed, and by the framework's cancel routine; the handler that accepted it may not even have returned. Each of
//! them goes through one word in the request's context:
//!
//! ```text
//!          mark          settle                unmark ok
//!   HELD ───────► ARMED ───────► CLAIMED ──────────────────► answered by the settler
//!    │ settle       │ cancelled     │ │ cancelled came: SEEN ──► answered by the settler
//!    ▼              ▼               │ └ unmark fails first: LEFT ──► answered by the cancel routine
//!  SETTLED       CANCELLED          │
//!    └──── arm ─────────────────────┘
//! ```
//!
//! * **HELD**: the handler still works on it, and its input is still borrowed. A completion that comes this early
//!   leaves its answer in the word (SETTLED), and the handler finishes in its place.
//! * **ARMED**: cancellable. Whoever moves the word on answers.
//! * **CLAIMED**: a settler unmarks it. Where that fails, the cancel routine is on its way: KMDF wants a request not
//!   to be unmarked once it is completed, and not to be completed by others before its cancel routine was called. So
//!   the second of the two to arrive answers.
//!
//! No lock is held while a request is completed, and none is needed: every step is one compare-and-swap.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use queued_work_item_ioctl::{CloseReply, STATUS_CANCELLED, STATUS_SUCCESS, STATUS_TIMEOUT, WaitReply};
use zerocopy::IntoBytes;

use crate::Ticket;

/// The proof that it is the holder's turn to act on a request; only this module makes it.
#[derive(Debug)]
pub struct Turn(());

/// The state of one request: its phase, and the answer once there is one. All zero is a new request.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Pending {
    /// Phase in bits 0-7, kind of answer in bits 8-15, its value in bits 32-63.
    word: AtomicU64,
    /// The item's tag, for [`WaitReply`]; written by the handler before anyone else knows of the request.
    tag: AtomicU64,
}

const HELD: u64 = 0;
const SETTLED: u64 = 1;
const ARMED: u64 = 2;
const CLAIMED: u64 = 3;
const SEEN: u64 = 4;
const LEFT: u64 = 5;
const CANCELLED: u64 = 6;

const PHASE: u64 = 0xFF;

/// How a request that waited ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its item ran, and the callback left this status.
    Ran(u32),
    /// Its item was dropped before it began.
    Dropped,
    /// The wait was bounded, and the time is up.
    TimedOut,
    /// Its instance is closed; this many items were dropped.
    Closed(u32),
    /// Without output.
    Status(u32),
}

impl Answer {
    const fn encode(self) -> u64 {
        let (kind, value) = match self {
            Self::Ran(status) => (0, status),
            Self::Dropped => (1, 0),
            Self::Closed(count) => (2, count),
            Self::Status(status) => (3, status),
            Self::TimedOut => (4, 0),
        };
        (kind << 8) | ((value as u64) << 32)
    }

    const fn decode(word: u64) -> Self {
        let value = (word >> 32) as u32;
        match (word >> 8) & 0xFF {
            0 => Self::Ran(value),
            1 => Self::Dropped,
            2 => Self::Closed(value),
            4 => Self::TimedOut,
            _ => Self::Status(value),
        }
    }

    fn complete<T: Ticket>(self, ticket: &T) {
        let tag = ticket.pending().tag.load(Relaxed);
        let wait = |status, outcome| {
            let reply = WaitReply { tag, status, outcome };
            ticket.complete(STATUS_SUCCESS, reply.as_bytes(), Turn(()));
        };
        match self {
            Self::Ran(status) => wait(status, WaitReply::RAN),
            Self::Dropped => wait(STATUS_CANCELLED, WaitReply::CANCELLED),
            Self::TimedOut => wait(STATUS_TIMEOUT, WaitReply::TIMED_OUT),
            Self::Closed(count) => {
                let reply = CloseReply {
                    cancelled: u64::from(count),
                };
                ticket.complete(STATUS_SUCCESS, reply.as_bytes(), Turn(()));
            }
            Self::Status(status) => ticket.complete(status, &[], Turn(())),
        }
    }
}

impl Pending {
    /// Tells the reply the item's tag. Only by the handler, before the request is known to anyone else.
    pub(crate) fn set_tag(&self, tag: u64) {
        self.tag.store(tag, Relaxed);
    }

    /// Has nobody answered the request yet?
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.word.load(Acquire) & PHASE, HELD | ARMED)
    }

    fn swap(&self, from: u64, to: u64) -> Result<(), u64> {
        self.word.compare_exchange(from, to, AcqRel, Acquire).map(drop)
    }
}

/// Makes the request wait, as the handler's last act on it: from here on others answer it, or have done so.
pub(crate) fn arm<T: Ticket>(ticket: &T) {
    let state = ticket.pending();
    if !ticket.mark_cancelable(Turn(())) {
        // Cancelled before it could wait. It was never armed, so nobody else answers; whoever settles it later finds
        // that it is over.
        state.word.store(CANCELLED, Release);
        Answer::Status(STATUS_CANCELLED).complete(ticket);
        return;
    }
    let Err(word) = state.swap(HELD, ARMED) else {
        return;
    };
    // Settled while the handler held it, or cancelled since the mark above: the cancel routine has answered then.
    if word & PHASE == SETTLED && state.swap(word, CLAIMED).is_ok() {
        finish(ticket, |ticket| Answer::decode(word).complete(ticket));
    }
}

/// Answers the request, unless somebody has. Callable at `<= DISPATCH_LEVEL`.
pub(crate) fn settle<T: Ticket>(ticket: &T, answer: Answer) {
    let state = ticket.pending();
    let mut word = state.word.load(Acquire);
    loop {
        let swapped = match word & PHASE {
            HELD => state.swap(word, SETTLED | answer.encode()),
            ARMED => state
                .swap(word, CLAIMED)
                .map(|()| finish(ticket, |ticket| answer.complete(ticket))),
            _ => return,
        };
        match swapped {
            Ok(()) => return,
            Err(now) => word = now,
        }
    }
}

/// The claimer's end of the protocol.
fn finish<T: Ticket>(ticket: &T, complete: impl FnOnce(&T)) {
    // The cancel routine cannot have completed it: it finds CLAIMED, and leaves.
    if ticket.unmark_cancelable(Turn(())) || ticket.pending().swap(CLAIMED, LEFT).is_err() {
        complete(ticket);
    }
}

/// Answers a request with success and this output, unless somebody has answered it.
///
/// Only after [`arm`]: an output does not fit the word, where an earlier answer would have to lie. An armed request that
/// is not ARMED any more is somebody else's.
pub(crate) fn settle_with<T: Ticket>(ticket: &T, output: &[u8]) {
    if ticket.pending().swap(ARMED, CLAIMED).is_ok() {
        finish(ticket, |ticket| ticket.complete(STATUS_SUCCESS, output, Turn(())));
    }
}

/// The framework's cancel routine has been called for this request. Callable at `<= DISPATCH_LEVEL`.
pub fn cancelled<T: Ticket>(ticket: &T) {
    let state = ticket.pending();
    let mut word = state.word.load(Acquire);
    loop {
        let (next, answers) = match word & PHASE {
            HELD | SETTLED | ARMED | LEFT => (CANCELLED, true),
            CLAIMED => (SEEN, false),
            // A second call, which no framework makes.
            _ => return,
        };
        match state.swap(word, next) {
            Ok(()) if answers => return Answer::Status(STATUS_CANCELLED).complete(ticket),
            Ok(()) => return,
            Err(now) => word = now,
        }
    }
}
