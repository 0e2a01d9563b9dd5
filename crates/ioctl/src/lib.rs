//! The contract of the driver and whoever talks to it: control codes, structures, interface GUID.
//!
//! Both sides compile this crate, so it holds nothing but the contract: fixed-width little-endian structures without
//! implicit padding, their layout asserted at compile time, read and written without `unsafe`.
//!
//! Every input begins with a [`Header`], which names the contract's version and the instance that it speaks to; the
//! codes of tasks have instances of their own.
//! Every code is `METHOD_BUFFERED`; its access bits say what a handle must have been opened for.
//!
//! | code | access | input | output | completes |
//! |---|---|---|---|---|
//! | [`VERSION`] | read | none | [`VersionReply`] | at once |
//! | [`CONFIGURE`] | write | [`Configure`] | none | at once |
//! | [`ENQUEUE`] | write | [`Enqueue`], payload | none | at once |
//! | [`ENQUEUE_AND_WAIT`] | write | [`Enqueue`], payload | [`WaitReply`] | when the item ran, was cancelled, or the time is up |
//! | [`FLUSH`] | write | [`Header`] | none | when all that was enqueued before it ran |
//! | [`CLOSE`] | write | [`Close`] | [`CloseReply`] | when the instance is closed |
//! | [`GATE`] | write | [`Header`] | none | at once |
//! | [`RELEASE`] | write | [`Header`] | none | at once |
//! | [`STATISTICS`] | read | [`Header`] | [`StatisticsReply`] | at once |
//! | [`READ_LOG`] | read | [`ReadLog`] | [`LogReply`], [`LogEntry`]… | at once |
//! | [`CANCEL`] | write | [`Header`] | [`CancelReply`] | at once |
//! | [`ENQUEUE_BATCH`] | write | [`Batch`], [`BatchItem`] and [`Enqueue`] and payload… | [`BatchReply`], statuses… | at once |
//! | [`STRESS`] | write | [`Stress`] | [`StressReply`] | when all has run, or the request is cancelled |
//! | [`BENCHMARK`] | write | [`Benchmark`] | [`BenchmarkReply`] | when all is measured, or the request is cancelled |
//! | [`STRESS_PROGRESS`] | read | [`Header`] | [`StressReply`] | at once |
//! | [`START`] | write | [`Header`] | none | when there is a thread |
//! | [`STOP`] | write | [`Header`] | [`StopReply`] | when there is none |
//! | [`COMPLETE`] | write | [`Complete`] | none | when the item has ended |
//! | [`TASK_CONFIGURE`] | write | [`TaskConfigure`] | none | when the task is there |
//! | [`TASK_CLOSE`] | write | [`Header`] | [`TaskDroppedReply`] | when no run goes on |
//! | [`TASK_EXECUTE`] | write | [`TaskExecute`] | [`TaskExecuteReply`] | at once; with `NOW`, when it has run |
//! | [`TASK_EVENT`] | write | [`TaskEvent`] | none | when the task has done what is to be done |
//! | [`TASK_CANCEL`] | write | [`Header`] | [`TaskDroppedReply`] | when no run goes on |
//! | [`TASK_RESTART`] | write | [`Header`] | [`TaskRestartReply`] | at once |
//! | [`TASK_SET_TIMES_RUN`] | write | [`TaskSetTimesRun`] | none | when no run goes on, and it is written |
//! | [`TASK_GATE`] | write | [`Header`] | none | at once |
//! | [`TASK_RELEASE`] | write | [`Header`] | none | at once |
//! | [`TASK_STATISTICS`] | read | [`Header`] | [`TaskStatisticsReply`] | at once |
//! | [`TASK_READ_LOG`] | read | [`TaskReadLog`] | [`LogReply`], [`TaskLogEntry`]… | at once |
//!
//! # Statuses
//!
//! These every code can return; what is its own stands on the code.
//!
//! | status | why |
//! |---|---|
//! | `STATUS_INVALID_DEVICE_REQUEST` | the code is unknown |
//! | `STATUS_INVALID_BUFFER_SIZE` | the input is shorter than its structure, or longer where nothing may follow it |
//! | `STATUS_BUFFER_TOO_SMALL` | the output is shorter than the reply; nothing was done |
//! | `STATUS_REVISION_MISMATCH` | [`Header::version`] is not [`CONTRACT_VERSION`] |
//! | `STATUS_INVALID_PARAMETER` | no such instance, a reserved field that is not zero, or a value out of [`limits`] |
//! | `STATUS_DELETE_PENDING` | the device is going away |
//! | `STATUS_CANCELLED` | the request was cancelled, or its handle closed |

#![no_std]

mod benchmark;
mod codes;
mod log;
mod requests;
mod status;
mod stress;
mod task;
mod threaded;

pub use benchmark::*;
pub use codes::*;
pub use log::*;
pub use requests::*;
pub use status::*;
pub use stress::*;
pub use task::*;
pub use threaded::*;

/// The version of this contract. It changes with any change that an older side could misread.
pub const CONTRACT_VERSION: u32 = 4;

/// The device interface that the driver registers: `{1C2FB4D7-B611-47B5-B358-FA57B016D9C2}`.
pub const INTERFACE_GUID: Guid = Guid {
    data1: 0x1C2F_B4D7,
    data2: 0xB611,
    data3: 0x47B5,
    data4: [0xB3, 0x58, 0xFA, 0x57, 0xB0, 0x16, 0xD9, 0xC2],
};

/// A GUID, field by field, for whichever bindings the caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid {
    /// The first 32 bits.
    pub data1: u32,
    /// The next 16 bits.
    pub data2: u16,
    /// The next 16 bits.
    pub data3: u16,
    /// The last 64 bits, byte by byte.
    pub data4: [u8; 8],
}

/// What the driver bounds before it uses a figure from user mode.
pub mod limits {
    /// Instances of `QueuedWorkItem` and `ThreadedBufferQueue`, by id from 0.
    pub const INSTANCES: u32 = 8;
    /// Buffers of one instance.
    pub const BUFFER_COUNT: u32 = 65_536;
    /// Bytes of one buffer's payload.
    pub const BUFFER_SIZE: u32 = 65_536;
    /// Bytes of one instance's payloads, at the most buffers that it may have.
    pub const INSTANCE_BYTES: u64 = 16 * 1024 * 1024;
    /// Bytes of all instances' payloads and contexts, at the most buffers that each may have, which bounds what a user
    /// can hold of nonpaged pool. Beside them an instance costs its log and, for each buffer, the item's header and the
    /// library's and the driver's own words.
    pub const TOTAL_BYTES: u64 = 64 * 1024 * 1024;
    /// Bytes of a buffer's context.
    pub const CONTEXT_SIZE: u32 = 64;
    /// Microseconds that a callback may be asked to spend on one item.
    pub const SPEND_US: u32 = 1_000_000;
    /// Milliseconds that a wait may be bounded by.
    pub const TIMEOUT_MS: u32 = 600_000;
    /// Times that an item may be enqueued again by its callback.
    pub const AGAIN: u32 = 1_000_000;
    /// Items of one batch.
    pub const BATCH_ITEMS: u32 = 4_096;
    /// Producers of a stress: threads, or DPCs.
    pub const STRESS_PRODUCERS: u32 = 32;
    /// Items of each of them.
    pub const STRESS_ITEMS: u32 = 100_000_000;
    /// Bytes of each item's payload: from 8, which say whose it is and which.
    pub const STRESS_PAYLOAD: u32 = 1_024;
    /// Entries that the execution log keeps; older ones are overwritten and counted as lost.
    pub const LOG_ENTRIES: u32 = 65_536;
    /// Samples of each series of a benchmark.
    pub const BENCHMARK_SAMPLES: u32 = 30;
    /// Requests that may be pended at once on what blocks: flush, close, waits with a time-out, stress and benchmark,
    /// start, stop and a completion in a DPC, and what waits for a task.
    pub const BLOCKING_REQUESTS: u32 = 64;
    /// The highest priority of an instance's thread: the last that is not a real-time one.
    pub const PRIORITY: u32 = 15;
    /// Items of an instance that may be pended at once; with one more, the worker completes it with
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub const PENDED: u32 = 1_024;
    /// Tasks, by id from 0.
    pub const TASKS: u32 = 8;
    /// Values in the registry that tasks can be remembered by, from 1.
    pub const TASK_NAMES: u32 = 16;
    /// Milliseconds of a task's initial delay and of its retries.
    pub const TASK_DELAY_MS: u32 = 600_000;
    /// Results of a task's script.
    pub const TASK_RESULTS: u32 = 16;
    /// Entries that a task's log keeps; older ones are overwritten and counted as lost.
    pub const TASK_LOG_ENTRIES: u32 = 1_024;
    /// The highest power state that a task can be told of: `WdfPowerDevicePrepareForHibernation`.
    pub const POWER_STATE: u32 = 6;
}
