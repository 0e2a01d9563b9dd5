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
//! Beside it are what it is made of and what it is mistaken for:
//!
//! | | |
//! |---|---|
//! | [`ThreadedBufferQueue`] | the same on a thread of the queue's own; items may be answered later |
//! | [`ScheduledTask`] | one task at a moment of the device's life, with retries |
//! | [`BufferQueue`], [`BufferPool`], [`BufferSink`] | buffers with contexts, from pool or a lookaside list, and queues of them |
//! | [`Rundown`] | keeps what is in use from being torn down |
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
//! Free and pending are lock-free; ready is a list under a spin lock that only the drainer and cancel take, and a
//! producer that finds no free buffer. The drainer claims a few items under it at a time, and begins each by one
//! interlocked instruction that a cancel or a stop can forestall. An enqueue while a worker drains is two interlocked
//! instructions, raises no IRQL and calls nothing.
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
//! | state | an enqueue | a callback | [`Close::Drain`] | [`Close::Cancel`] | leaves it |
//! |---|---|---|---|---|---|
//! | open | as far as there are buffers | begins | to draining | to cancelling | a close, a drop, the parent's deletion |
//! | draining | `STATUS_DELETE_PENDING` | begins, until nothing is left | waits too | to cancelling: it escalates | every buffer is home and nobody runs a callback or completion |
//! | cancelling | `STATUS_DELETE_PENDING` | that runs goes on, none begins | waits too | waits too | the same |
//! | closed | `STATUS_DELETE_PENDING` | none, ever | returns | returns | the drop |
//!
//! How it gets there:
//!
//! | step of a close | from then on |
//! |---|---|
//! | CLOSING is set in the word | no enqueue succeeds; those that overlapped and succeeded end before the close returns |
//! | with [`Close::Cancel`]: cancel | what had not begun is dropped, its waiters and completions told `Cancelled` |
//! | a stop ends, for good | a parked drain goes on, or ends when nothing is left |
//! | the free buffers are closed and counted | each other buffer reports when it comes home |
//! | every buffer is home, nobody runs a callback or completion | the close returns; a start that still comes finds nothing and returns |
//!
//! Dropping the queue sets CLOSING and cancels, but waits for nothing. Deleting its [`Parent`](kernel::Parent) does the
//! same; WDF deletes children before it calls their parent's cleanup, so that a device's queue is to be closed in
//! `EvtDeviceSelfManagedIoCleanup`.
//!
//! # From a DPC
//! What a DPC may do with a queue is [`enqueue`](QueuedWorkItem::enqueue) (`enqueue_with` for one who wants to be told),
//! [`stop`](QueuedWorkItem::stop), and look at its counters. Here the host backend stands in for the kernel: it raises
//! the thread as the kernel does before it calls a DPC, and stops whatever may not be called there.
//!
//! ```
//! use queued_work_item::kernel::host::raise_irql;
//! use queued_work_item::kernel::{Irql, Parent, SpinLock, current_irql};
//! use queued_work_item::{Close, Config, EnqueueErrorKind, Passive, QueuedWorkItem};
//!
//! /// What the interrupt left in the device's registers.
//! struct Event {
//!     cause: u32,
//! }
//!
//! struct Device {
//!     events: QueuedWorkItem<Event>,
//!     /// Causes that found no buffer: the next one takes them along.
//!     missed: SpinLock<u32>,
//! }
//!
//! /// `EvtInterruptDpc`: at DISPATCH_LEVEL, so it must not wait, and what it cannot queue it gets back.
//! fn dpc(device: &Device, cause: u32) {
//!     let missed = std::mem::take(&mut *device.missed.lock());
//!     if let Err(refused) = device.events.enqueue(Event { cause: cause | missed }) {
//!         assert_eq!(refused.kind(), EnqueueErrorKind::Full);
//!         *device.missed.lock() |= refused.into_inner().cause;
//!     }
//! }
//!
//! // A host thread starts at PASSIVE_LEVEL.
//! let passive = &mut unsafe { Passive::assume() };
//! let events = QueuedWorkItem::create(passive, Parent::default(), &Config::new(8), |item, _passive| {
//!     let event: &Event = item.payload();
//!     assert_eq!(current_irql(), Irql::PASSIVE); // may wait, may touch pageable memory
//!     assert_ne!(event.cause, 0);
//! })?;
//! let device = Device { events, missed: SpinLock::new(0) };
//! {
//!     let _raised = raise_irql(Irql::DISPATCH);
//!     (0..20).for_each(|bit| dpc(&device, 1 << bit));
//! }
//! device.events.close(passive, Close::Drain).expect("not called from the callback");
//! # Ok::<_, queued_work_item::CreateError>(())
//! ```
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
//! What only takes a value apart (a status, an error, a configuration, an item's or a buffer's parts) may be called at any
//! IRQL. In a release build nothing that a caller can do panics; a call that is refused has changed nothing, and hands
//! back what it was given.
//!
//! "Inside the queue" is its callback, its cleanup and its completions. A callback that waits for another queue whose
//! callback waits for this one is not detected.
//!
//! Verbs that block take a `&mut` [`Passive`], which only code at `PASSIVE_LEVEL` can have and which a
//! [spin-lock guard](kernel::SpinLock::lock_from_passive) borrows: waiting under a lock does not compile.
//! A [`Dispatch`] token, which a DPC has, takes spin locks without raising the IRQL.
//!
//! # Backends
//! With the feature `wdf` the library runs in the kernel, through `wdk-sys`. Without it, it runs on any machine with
//! threads, on a small simulated kernel: see `kernel::host`. What lies above the seam between them is the same code.
//!
//! # Testing a callback of one's own
//! A driver's callback is a function of its payload. On the host backend its tests are `cargo test`, and reach what a
//! driver on a bench does not: memory that runs out at each place in turn, starts that come late or twice, a call at the
//! wrong IRQL, and pool that was never freed. A `kernel::host::Machine` is a test's own, so that tests run side
//! by side; freed pool is poisoned, and fresh pool is no zeros.
//!
//! ```
//! use queued_work_item::kernel::host::{Machine, Start, raise_irql};
//! use queued_work_item::kernel::{Irql, Parent};
//! use queued_work_item::{Close, Config, CreateError, Item, NtStatus, Passive, QueuedWorkItem};
//!
//! /// The callback under test: adds up, and refuses a request of nothing.
//! fn add(sum: &mut u64, item: &mut Item<'_, [u8]>) {
//!     if item.payload().is_empty() {
//!         item.set_status(NtStatus::INVALID_PARAMETER);
//!     }
//!     *sum += item.payload().iter().map(|byte| u64::from(*byte)).sum::<u64>();
//! }
//!
//! fn adder(passive: &mut Passive) -> Result<QueuedWorkItem<[u8]>, CreateError> {
//!     let (config, mut sum) = (Config::new(4).buffer_size(64).lookaside(8), 0);
//!     QueuedWorkItem::create(passive, Parent::default(), &config, move |item, _| add(&mut sum, item))
//! }
//!
//! let machine = Machine::new();
//! let _entered = machine.enter();
//! // A host thread starts at PASSIVE_LEVEL.
//! let passive = &mut unsafe { Passive::assume() };
//!
//! // Whichever allocation fails, the create says so and leaves nothing behind.
//! for nth in 1.. {
//!     machine.fail_allocation(nth);
//!     match adder(passive) {
//!         Ok(_) => break,
//!         Err(error) => assert_eq!(error.status(), NtStatus::INSUFFICIENT_RESOURCES),
//!     }
//!     machine.assert_no_leaks();
//! }
//! machine.fail_allocation(0);
//!
//! // Every start of the work item comes twice: the callback runs as often as it was enqueued all the same.
//! machine.plan_starts(|_nth| Start::Duplicated(1));
//! let queue = adder(passive)?;
//! assert_eq!(queue.enqueue_and_wait(passive, &[1, 2, 3]), Ok(NtStatus::SUCCESS));
//! assert_eq!(queue.enqueue_and_wait(passive, &[]), Ok(NtStatus::INVALID_PARAMETER));
//! assert_eq!(queue.counters().enqueued, 2);
//!
//! // A wait above PASSIVE_LEVEL would hang or stop Windows. Here it panics, by the call's name.
//! let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
//!     let _raised = raise_irql(Irql::DISPATCH);
//!     queue.flush(passive)
//! }));
//! let message = caught.unwrap_err().downcast::<String>().expect("a message");
//! assert!(message.starts_with("QueuedWorkItem::flush called at DISPATCH_LEVEL"), "{message}");
//!
//! queue.close(passive, Close::Drain).expect("not called from the callback");
//! drop(queue);
//! machine.assert_no_leaks();
//! # Ok::<_, CreateError>(())
//! ```
//!
//! A callback that panics on its system thread ends the process, as a bug check would: its queue could only wait for ever.
//!
//! # What it follows
//! | DMF, WDF, NT | here |
//! |---|---|
//! | `DMF_QueuedWorkItem_Create`, its callback and its config | [`QueuedWorkItem::create`], [`Config`] |
//! | `DMF_QueuedWorkItem_Enqueue` | `enqueue`, and `enqueue_with` for one who wants to be told |
//! | `DMF_QueuedWorkItem_EnqueueAndWait` | `enqueue_and_wait`, `enqueue_and_wait_timeout` |
//! | `DMF_QueuedWorkItem_StatusSet` | [`Item::set_status`] |
//! | `DMF_QueuedWorkItem_Flush`, which drops and ends | [`flush`](QueuedWorkItem::flush), which waits; [`cancel`](QueuedWorkItem::cancel), which drops; [`close`](QueuedWorkItem::close), which ends |
//! | `DMF_ThreadedBufferQueue` | [`ThreadedBufferQueue`]; its stop and start also as [`stop`](QueuedWorkItem::stop), [`stop_and_wait`](QueuedWorkItem::stop_and_wait) and [`start`](QueuedWorkItem::start) of a `QueuedWorkItem` |
//! | `PoolType`, paged | [`PagedQueuedWorkItem`], a type of its own: its enqueue takes the [`Passive`] token too |
//! | `DMF_BufferPool` as a source, as a sink | [`BufferPool`], [`BufferSink`] |
//! | `DMF_BufferQueue` | [`BufferQueue`] |
//! | `DMF_BufferQueue_EnqueueWithTimer`, `_DequeueWithMemoryDescriptor`, `_Enumerate` | [`enqueue_with_timer`](BufferQueue::enqueue_with_timer), [`dequeue_with_memory_descriptor`](BufferQueue::dequeue_with_memory_descriptor), [`enumerate`](BufferQueue::enumerate) |
//! | `DMF_BufferQueue_Flush`, which discards | [`BufferQueue::clear`] |
//! | `EvtBufferQueueReuseCleanup` | [`QueuedWorkItem::create_with_cleanup`], and those of pool and buffer queue |
//! | `DMF_ScheduledTask` | [`ScheduledTask`] |
//! | `WDFWORKITEM`, whose enqueue coalesces and whose callbacks may overlap | one under each queue, scheduled once for many items |
//! | `EX_RUNDOWN_REF` | [`Rundown`] |
#![no_std]

pub mod kernel;

mod backoff;
mod buffer;
pub mod buffer_pool;
pub mod buffer_queue;
mod buffer_sink;
mod claim;
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
pub mod scheduled_task;
mod slots;
mod status;
pub mod threaded;
mod waiter;

pub use self::buffer::{Buffer, NoBuffer};
pub use self::buffer_pool::BufferPool;
pub use self::buffer_queue::BufferQueue;
pub use self::buffer_sink::BufferSink;
pub use self::completion::{Completion, NoCompletion};
pub use self::config::{Config, MAX_BUFFERS};
pub use self::dispatch::Dispatch;
pub use self::error::{CreateError, EnqueueError, EnqueueErrorKind, PossibleDeadlock, WaitError};
pub use self::item::Item;
pub use self::passive::Passive;
pub use self::payload::Payload;
pub use self::queue::{Close, Closed, Context, Counters, PagedQueuedWorkItem, QueuedWorkItem, WaitOutcome};
pub use self::rundown::{NotRunDown, Rundown, RundownGuard, RunningDown};
pub use self::scheduled_task::ScheduledTask;
pub use self::slots::PAYLOAD_ALIGNMENT;
pub use self::status::NtStatus;
pub use self::threaded::ThreadedBufferQueue;
pub use self::waiter::Outcome;

/// The repository's README, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The guide of the repository, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;
