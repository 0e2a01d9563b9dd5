//! What user mode may do to the driver, as bytes: a fuzzer's input is a [`Program`] of opened and closed handles,
//! requests, cancellations, power transitions and removal, and [`run`] plays it to the code that the driver runs.
//!
//! The oracles do not depend on how threads interleave, so that a program may run on two of them at once:
//!
//! * nothing panics, neither the code under test nor the I/O manager in memory, which is as strict as KMDF's verifier;
//! * every request is answered, once: at the latest when its handle is closed, when it is cancelled, or when the device
//!   is removed;
//! * a status is one of the contract's, an output no longer than there was room, and of the length that the contract
//!   gives it; none of its words is what fresh or freed pool, or the rest of the system buffer, is filled with;
//! * after removal every request is refused;
//! * whatever was done, an instance can be made and an item runs in it afterwards;
//! * no pool is left.
//!
//! The target is the library, so that a stable compiler runs the committed corpus, and mutations of it, as plain tests;
//! the fuzzer is a binary behind a feature. A failing input found by it is replayed with `cargo xtask fuzz FILE`, and
//! becomes a test when it is committed to the corpus.

mod lane;
mod oracle;
mod play;
mod program;
mod request;
pub mod seeds;

pub use play::{Report, run};
pub use program::{MAX_LENGTH, Program, Step};
