//! Run a callback at `PASSIVE_LEVEL` exactly once per enqueue, in order, each with its own payload.
//!
//! A driver at `DISPATCH_LEVEL` (a DPC, the holder of a spin lock) often has work that must wait for `PASSIVE_LEVEL`. The
//! framework's answer, a WDFWORKITEM, coalesces: enqueue it twice and its callback may run once, with no payload, while a
//! second run may start beside the first. [`QueuedWorkItem`] is what drivers build around it: the callback runs exactly as
//! often as it was enqueued, each time with the payload of that enqueue, one at a time, in order; and an enqueuer
//! may wait for its very item and get the NTSTATUS that the callback left. It follows DMF's module of that name.
//!
//! ```
//! use queued_work_item::kernel::Parent;
//! use queued_work_item::{Close, Config, NtStatus, Passive, QueuedWorkItem};
//!
//! struct Packet {
//!     port: u16,
//! }
//!
//! type Packets = QueuedWorkItem<Packet>;
//!
//! // A host thread starts at PASSIVE_LEVEL. A driver's callbacks are handed their token; elsewhere a driver makes it
//! // where KMDF promises the level.
//! let passive = &mut unsafe { Passive::assume() };
//! let mut packets = 0;
//! let queue = Packets::create(passive, Parent::default(), &Config::new(32), move |item, _passive| {
//!     packets += 1; // the callback's own: two never run at once
//!     if item.payload().port == 0 {
//!         item.set_status(NtStatus::INVALID_PARAMETER);
//!     }
//! })?;
//!
//! // From a DPC: it copies or moves, never blocks, and hands the payload back when there is no buffer.
//! queue.enqueue(Packet { port: 80 }).expect("a buffer is free");
//! // From a thread: wait for this one.
//! let status = queue.enqueue_and_wait(passive, Packet { port: 0 }).expect("a buffer is free");
//! assert_eq!(status, NtStatus::INVALID_PARAMETER);
//! queue.close(passive, Close::Drain).expect("not called from the callback");
//! # Ok::<_, queued_work_item::CreateError>(())
//! ```
//!
//! # The life of an item
//! ```text
//!              pop                   push                  take, turn round              begin
//! free buffers ----> producer fills ----> pending (newest first) ----> ready (oldest first) ----> callback runs
//!      ^                  |                   |                          |                           |
//!      |     refused      |                   |   cancel: dropped        |                           | payload and
//!      +------------------+                   +------------+-------------+                           | context cleared
//!      |                                                   v                                         v
//!      +------------------------------------------------- home <-------------------------------------+
//!                                                          |
//!                                                          v
//!                                     the waiter wakes, or the completion is called
//! ```
//! Free and pending are lock-free; ready is a list under a spin lock that only the drainer and cancel take. An enqueue
//! while a worker drains is two interlocked instructions, raises no IRQL and calls nothing.
//!
//! # Who drains
//! The newest pending item, who drains, whether the queue closes, and the number of enqueues are one 64-bit word.
//!
//! | state | meaning | leaves it |
//! |---|---|---|
//! | IDLE | nothing is pending | a push: SCHEDULED, and that producer schedules the work item |
//! | SCHEDULED | a start is on its way | the first start: RUNNING; any other start finds no SCHEDULED and returns |
//! | RUNNING | one worker drains, or has parked because the queue is stopped | the drainer, by an exchange that fails if something was pushed: IDLE; after some hundreds of items: SCHEDULED, to give its thread back; a start, if it has parked: SCHEDULED |
//!
//! # Stopping
//! [`stop`](QueuedWorkItem::stop) pauses a queue between items, for a device that leaves D0, and
//! [`start`](QueuedWorkItem::start) lets it go on.
//!
//! | while stopped | |
//! |---|---|
//! | enqueue | accepted, in order, as far as there are buffers |
//! | the callback that runs | goes on; `stop` does not wait for it, [`stop_and_wait`](QueuedWorkItem::stop_and_wait) does |
//! | the next item | does not begin: a worker that comes parks and gives its thread back |
//! | `flush`, a wait without a bound | wait for the start |
//! | `cancel` | drops and tells, as ever |
//! | [`Close::Cancel`], dropping the queue, the parent's deletion | drop and tell; nothing begins any more |
//! | [`Close::Drain`] | ends the stop: what is queued runs |
//!
//! # Closing
//! | step of a close | from then on |
//! |---|---|
//! | CLOSING is set in the word | no enqueue succeeds (`STATUS_DELETE_PENDING`); those that overlapped and succeeded end before the close returns |
//! | with [`Close::Cancel`]: cancel | what had not begun is dropped, its waiters and completions told `Cancelled` |
//! | a stop ends, for good | a parked drain goes on, or ends when nothing is left |
//! | the free buffers are closed and counted | each other buffer reports when it comes home |
//! | every buffer is home, nobody runs a callback or completion | the close returns; a start that still comes finds nothing and returns |
//!
//! A second close waits for the same, and may escalate a drain to a cancel. Dropping the queue sets CLOSING and cancels,
//! but waits for nothing. Deleting its [`Parent`](kernel::Parent) does the same; WDF deletes children before it calls their parent's
//! cleanup, so that a device's queue is to be closed in `EvtDeviceSelfManagedIoCleanup`.
//!
//! # IRQL and errors
//! | verb | IRQL | errors |
//! |---|---|---|
//! | [`create`](QueuedWorkItem::create) | PASSIVE | [`CreateError`] |
//! | `enqueue`, `enqueue_with` | <= DISPATCH | [`EnqueueError`]: full, too long, closing; what was moved in comes back |
//! | `enqueue_and_wait`, with and without a timeout | PASSIVE | [`WaitError`]: refused, cancelled, from inside the queue |
//! | [`stop`](QueuedWorkItem::stop), [`start`](QueuedWorkItem::start) | <= DISPATCH | none |
//! | [`stop_and_wait`](QueuedWorkItem::stop_and_wait) | PASSIVE | [`PossibleDeadlock`]: from inside the queue |
//! | [`flush`](QueuedWorkItem::flush), [`close`](QueuedWorkItem::close) | PASSIVE | [`PossibleDeadlock`]: from inside the queue |
//! | [`cancel`](QueuedWorkItem::cancel) | PASSIVE | none |
//! | [`len`](QueuedWorkItem::len), [`counters`](QueuedWorkItem::counters), … | <= DISPATCH | none |
//!
//! "Inside the queue" is its callback and its completions. A callback that waits for another queue whose callback waits
//! for this one is not detected.
//!
//! Verbs that block take a `&mut` [`Passive`], which only code at `PASSIVE_LEVEL` can have and which a
//! [spin-lock guard](kernel::SpinLock::lock_from_passive) borrows: waiting under a lock does not compile.
//!
//! # Backends
//! With the feature `wdf` the library runs in the kernel, through `wdk-sys`. Without it, it runs on any machine with
//! threads, on a small simulated kernel: see `kernel::host`.
#![no_std]

pub mod kernel;

mod buffer;
pub mod buffer_pool;
pub mod buffer_queue;
mod cleanup;
mod completion;
mod config;
mod dispatch;
mod engine;
mod error;
mod free;
mod item;
#[cfg(all(loom, test))]
mod models;
mod passive;
mod payload;
mod pending;
mod queue;
mod ready;
mod rundown;
mod slots;
mod status;
mod waiter;

pub use self::buffer::{Buffer, NoBuffer};
pub use self::buffer_pool::BufferPool;
pub use self::buffer_queue::BufferQueue;
pub use self::completion::{Completion, NoCompletion};
pub use self::config::{Config, MAX_BUFFERS};
pub use self::dispatch::Dispatch;
pub use self::error::{CreateError, EnqueueError, EnqueueErrorKind, PossibleDeadlock, WaitError};
pub use self::item::Item;
pub use self::passive::Passive;
pub use self::payload::Payload;
pub use self::queue::{Close, Closed, Context, Counters, QueuedWorkItem, WaitOutcome};
pub use self::rundown::{NotRunDown, Rundown, RundownGuard, RunningDown};
pub use self::status::NtStatus;
pub use self::waiter::Outcome;

/// The repository's README, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
