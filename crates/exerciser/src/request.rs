//! What the exerciser needs of the framework: requests, their tickets, and threads that may block.
//!
//! The driver implements these traits over WDF handles; [`testing`](crate::testing) implements them in memory. Nothing
//! here decides anything: who may complete a request, and when, is decided once, in [`pending`](crate::pending).

use queued_work_item::Passive;
use queued_work_item::kernel::Parent;

use crate::Job;
use crate::bare::Drain;
use crate::pending::{Pending, Turn};

/// The name of an open handle: equal for all requests that came through it, and not reused while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u64);

/// An I/O control request that nobody has answered, owned by whoever holds it.
///
/// Input and output are one buffer, as with `METHOD_BUFFERED`: what is written to the output replaces the input.
pub trait Request: Sized {
    /// See [`Ticket`].
    type Ticket: Ticket;

    /// The I/O control code.
    fn code(&self) -> u32;
    /// The handle that it came through.
    fn handle(&self) -> Handle;
    /// The input, as long as the caller made it.
    fn input(&self) -> &[u8];
    /// How long the output may become.
    fn output_length(&self) -> usize;
    /// The output. It begins as whatever the input left there.
    fn output(&mut self) -> &mut [u8];
    /// Answers it, `information` bytes of output valid (fewer if there are not so many).
    fn complete(self, status: u32, information: usize);
    /// A counted reference for whoever answers it later.
    fn ticket(&self) -> Self::Ticket;
}

/// A counted reference to a request that may be answered later, by [`pending`](crate::pending) alone: only it can make
/// the [`Turn`] that the methods ask for.
pub trait Ticket: Clone + Send + 'static {
    /// The word of this request that [`pending`](crate::pending) keeps its state in; all zero in a new request.
    fn pending(&self) -> &Pending;
    /// Makes the request cancellable. `false`: it was cancelled already, and no cancel routine will be called.
    ///
    /// The cancel routine calls [`pending::cancelled`](crate::pending::cancelled).
    fn mark_cancelable(&self, turn: Turn) -> bool;
    /// Makes it not cancellable. `false`: the cancel routine is being or will be called.
    fn unmark_cancelable(&self, turn: Turn) -> bool;
    /// Answers it, with `output` copied to its output as far as that goes. The request may be gone afterwards, but for
    /// what [`Ticket::pending`] refers to.
    fn complete(&self, status: u32, output: &[u8], turn: Turn);
}

/// The system around an [`Exerciser`](crate::Exerciser).
pub trait Platform: Sized + Send + Sync + 'static {
    /// The requests of this system.
    type Request: Request<Ticket = Self::Ticket>;
    /// Their tickets.
    type Ticket: Ticket;
    /// A thread that was reserved.
    type Worker: Worker<Self>;
    /// A bare work item.
    type WorkItem: WorkItem;
    /// Some DPCs.
    type Dpcs: Dpcs;

    /// What the work items hang on.
    fn parent(&self) -> Parent;

    /// Reserves a thread that may block, before anything is changed. `None`: there is no memory for it.
    fn reserve_worker(&self) -> Option<Self::Worker>;

    /// Runs `body` on so many new system threads, at `PASSIVE_LEVEL`, and returns when all have ended. They begin when
    /// all of them are there. Each is given its number, from 0.
    ///
    /// # Errors
    /// The NTSTATUS of a thread that could not be made; none has begun `body` then.
    fn parallel(
        &self,
        threads: u32,
        body: &(dyn Fn(u32, &mut Passive) + Sync),
        passive: &mut Passive,
    ) -> Result<(), u32>;

    /// A request is about to be refused: for tracing. `PASSIVE_LEVEL`.
    fn refused(&self, code: u32, status: u32) {
        let _ = (code, status);
    }

    /// A bare work item that runs `drain`. `None`: there is no memory for it.
    fn work_item(&self, drain: Drain) -> Option<Self::WorkItem>;

    /// So many DPCs, which run nothing yet. `None`: there is no memory for them.
    fn dpcs(&self, count: u32) -> Option<Self::Dpcs>;
}

/// A work item as the system has it: enqueued while it is queued, it runs once; enqueued while it runs, it may run a
/// second time beside the first.
///
/// Dropping it, at `PASSIVE_LEVEL`, waits until it is neither queued nor running.
pub trait WorkItem: Send + Sync {
    /// Enqueues it. IRQL `<= DISPATCH_LEVEL`.
    fn enqueue(&self);
}

/// DPCs, each on a processor of its own as far as there are so many.
pub trait Dpcs {
    /// Runs `body` once in each of them, at `DISPATCH_LEVEL`, with its number from 0, and returns when all calls have.
    fn round(&self, body: &(dyn Fn(u32) + Sync), passive: &mut Passive);
}

/// A reserved thread.
pub trait Worker<P: Platform>: Send {
    /// Runs the job at `PASSIVE_LEVEL`, soon, on a thread that it may block. Cannot fail.
    fn run(self, job: Job<P>);
}
