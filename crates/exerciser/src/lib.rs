//! What the driver does with a request: decode it, check it, run the verb, answer.
//!
//! All of it runs on any host. The driver supplies a [`Platform`] over WDF handles, and adds nothing but the calls that
//! Windows makes into it: [`Exerciser::handle`] for a request, [`Exerciser::handle_closed`] for a closed handle,
//! [`pending::cancelled`] for a cancelled request, [`Exerciser::remove`] when the device goes away. So what can be sent
//! from user mode, and the whole life cycle, is tested without a kernel.
//!
//! No handler blocks. A request that waits is left to whoever answers it ([`pending`]); a verb that blocks is handed to
//! a thread that may ([`Job`]).
//!
//! The contract itself, codes, structures and statuses, is [`queued_work_item_ioctl`].

#![no_std]
#![cfg_attr(not(any(test, feature = "testing")), forbid(unsafe_code))]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod bare;
mod benchmark;
mod budget;
mod decode;
mod exerciser;
mod gate;
mod job;
mod life;
mod life_cycle;
mod meter;
pub mod pending;
mod queue;
mod record;
mod request;
mod ring;
mod scratch;
mod shelf;
mod slot;
mod stress;
mod tally;
mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod verbs;
mod waits;

pub use bare::Drain;
pub use exerciser::Exerciser;
pub use job::{Finished, Job};
pub use request::{Dpcs, Handle, Platform, Request, Ticket, WorkItem, Worker};
