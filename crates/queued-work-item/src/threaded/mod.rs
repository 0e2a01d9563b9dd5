//! A queue with a thread of its own, whose items finish in order: DMF's `ThreadedBufferQueue`.
//!
//! A [`QueuedWorkItem`](crate::QueuedWorkItem) borrows a system worker thread, whose time is everyone's: a callback that
//! waits for hardware for seconds keeps others from theirs. Here the thread is the queue's, so that its worker may wait
//! as long as it likes, has a priority of its own, and may *pend* an item: keep it, go on with the next, and
//! complete it later from wherever the answer comes, such as a DPC.
//!
//! ```
//! use queued_work_item::threaded::{StartError, ThreadedConfig};
//! use queued_work_item::{Close, Config, NtStatus, Passive, ThreadedBufferQueue};
//!
//! let passive = &mut unsafe { Passive::assume() };
//! let config = ThreadedConfig::new(Config::new(16));
//! let mut sum = 0;
//! let queue = <ThreadedBufferQueue<u32>>::create(passive, &config, move |work, _passive| {
//!     sum += *work.payload();
//!     let status = if sum < 100 { NtStatus::SUCCESS } else { NtStatus::UNSUCCESSFUL };
//!     work.complete(status)
//! })?;
//! queue.start(passive)?;
//! queue.enqueue(40).expect("a buffer is free");
//! let status = queue.enqueue_and_wait(passive, 60).expect("it ran");
//! assert_eq!(status, NtStatus::UNSUCCESSFUL);
//! queue.close(passive, Close::Drain).expect("not on the queue's thread");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # One core, two drainers
//! Buffers, pending word, ready list, waiters, counts and closing are those of `QueuedWorkItem`, by the same code. What
//! differs is who runs an activation: a push that finds the queue idle schedules a work item there, and sets the
//! event here that the thread waits for.
//!
//! # What a thread is started and stopped for
//! | | |
//! |---|---|
//! | created | no thread. Enqueues are accepted, in order, as far as there are buffers |
//! | [`start`](ThreadedBufferQueue::start) | the thread: [`pre`](Worker::pre), then [`work`](Worker::work) for each item |
//! | [`stop`](ThreadedBufferQueue::stop) | what has not begun is dropped, every waiter told; the item that runs ends; [`post`](Worker::post); no thread |
//! | [`flush`](ThreadedBufferQueue::flush) | what has not begun is dropped, every waiter told: DMF's flush. The thread goes on |
//! | [`close`](ThreadedBufferQueue::close), with `Drain` | what was accepted runs, if there is a thread; pended items are completed by their holders; no thread |
//! | `close`, with `Cancel`, or without a thread | as a stop, for good; it returns when the pended items' holders have completed them |
//!
//! "Every waiter" includes those that wait for a pended item: they are told `Cancelled` at once, while the item stays its
//! holder's, whose completion then tells nobody.

mod config;
mod queue;
mod work;

pub use self::config::{StartError, ThreadedConfig};
#[cfg(all(loom, test))]
pub(crate) use self::queue::Handle;
pub use self::queue::ThreadedBufferQueue;
pub(crate) use self::work::Fate;
pub use self::work::{Disposition, Pended, Work, Worker};
