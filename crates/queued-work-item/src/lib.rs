//! Run a callback at `PASSIVE_LEVEL` exactly once per enqueue, in order, each with its own payload.
#![no_std]

pub mod kernel;

mod completion;
mod config;
mod engine;
mod error;
mod free;
mod item;
mod passive;
mod payload;
mod pending;
mod queue;
mod ready;
mod slots;
mod status;
mod waiter;

pub use self::completion::{Completion, NoCompletion};
pub use self::config::{Config, MAX_BUFFERS};
pub use self::error::{CreateError, EnqueueError, EnqueueErrorKind, PossibleDeadlock, WaitError};
pub use self::item::Item;
pub use self::passive::Passive;
pub use self::payload::Payload;
pub use self::queue::{Close, Closed, Context, Counters, QueuedWorkItem, WaitOutcome};
pub use self::status::NtStatus;
pub use self::waiter::Outcome;
