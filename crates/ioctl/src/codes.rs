//! The control codes, built as `CTL_CODE` of the WDK builds them.

/// `FILE_DEVICE_UNKNOWN`: the type of a device that is none of Microsoft's.
pub const DEVICE_TYPE: u32 = 0x22;

const METHOD_BUFFERED: u32 = 0;
const FILE_READ_ACCESS: u32 = 1;
const FILE_WRITE_ACCESS: u32 = 2;

/// Function numbers from 0x800 up are the vendor's.
const fn ctl_code(function: u32, access: u32) -> u32 {
    (DEVICE_TYPE << 16) | (access << 14) | ((0x800 + function) << 2) | METHOD_BUFFERED
}

/// Who is there: the contract's and the driver's versions, the limits. Any version of the contract answers it, and it
/// takes no input, so that a mismatch can be told from a missing driver.
pub const VERSION: u32 = ctl_code(0, FILE_READ_ACCESS);

/// Creates the instance. An instance that is open is refused with `STATUS_DEVICE_ALREADY_ATTACHED`: [`CLOSE`] it first.
/// `STATUS_QUOTA_EXCEEDED`: all instances together would have more than
/// [`limits::TOTAL_BYTES`](crate::limits::TOTAL_BYTES). `STATUS_INSUFFICIENT_RESOURCES`: no memory; nothing was created.
/// `STATUS_NOT_SUPPORTED`: a driver without instances of that [pool](crate::Configure::pool) or
/// [kind](crate::Configure::kind); this one has all.
pub const CONFIGURE: u32 = ctl_code(1, FILE_WRITE_ACCESS);

/// Enqueues one item. `STATUS_INSUFFICIENT_RESOURCES`: every buffer is taken. `STATUS_INVALID_BUFFER_SIZE`: the payload
/// is longer than [`Configure::buffer_size`](crate::Configure::buffer_size). `STATUS_DELETE_PENDING`: the instance is
/// closing. `STATUS_DEVICE_NOT_READY`: it is not configured. `STATUS_NOT_SUPPORTED`: a flag that only an instance with a
/// thread of its own knows.
pub const ENQUEUE: u32 = ctl_code(2, FILE_WRITE_ACCESS);

/// Enqueues one item and completes when it ran, with what its callback set in [`WaitReply`](crate::WaitReply). The
/// request itself then completes with success: error statuses would drop the output. Refusals are those of [`ENQUEUE`].
/// A request that is cancelled completes at once with `STATUS_CANCELLED`; its item still runs, once.
///
/// With [`Enqueue::TIMEOUT`](crate::Enqueue::TIMEOUT) a thread of the driver enqueues the item and waits, for as long as
/// that: `STATUS_INSUFFICIENT_RESOURCES` can also mean too many blocking requests at once, and the order between this
/// item and what is enqueued before its request completes is not fixed.
pub const ENQUEUE_AND_WAIT: u32 = ctl_code(3, FILE_WRITE_ACCESS);

/// Completes when everything that was enqueued before it has run, or was dropped by a cancel that overtook it.
/// `STATUS_DEVICE_NOT_READY`: not configured. `STATUS_NOT_SUPPORTED`: an instance with a thread of its own, whose flush
/// drops: [`CANCEL`].
/// `STATUS_DELETE_PENDING`: the instance is closing. `STATUS_INSUFFICIENT_RESOURCES`: too many blocking requests at once.
pub const FLUSH: u32 = ctl_code(4, FILE_WRITE_ACCESS);

/// Closes the instance: runs what is queued, or cancels it. A gate that is closed holds a draining close until it is
/// released. `STATUS_DEVICE_NOT_READY`: not configured. `STATUS_INSUFFICIENT_RESOURCES`: too many blocking requests.
pub const CLOSE: u32 = ctl_code(5, FILE_WRITE_ACCESS);

/// Closes the gate: the callback stops before its next item's work until [`RELEASE`]. The gate opens by itself when the
/// handle that closed it last is closed, and when the device is removed. It belongs to the instance's number: it can be
/// closed before [`CONFIGURE`], and stays closed over [`CLOSE`].
pub const GATE: u32 = ctl_code(6, FILE_WRITE_ACCESS);

/// Opens the gate, whoever closed it.
pub const RELEASE: u32 = ctl_code(7, FILE_WRITE_ACCESS);

/// The instance's counters. They are kept when it is closed, and begin anew with the next [`CONFIGURE`].
pub const STATISTICS: u32 = ctl_code(8, FILE_READ_ACCESS);

/// Reads the execution log from a sequence number on, as many entries as the output holds. Reading changes nothing.
/// The log begins anew with [`CONFIGURE`].
pub const READ_LOG: u32 = ctl_code(9, FILE_READ_ACCESS);

/// Drops what has not begun; whoever waits for it is told. The instance stays open, and a closing one closes sooner.
/// `STATUS_DEVICE_NOT_READY`: not configured.
pub const CANCEL: u32 = ctl_code(10, FILE_WRITE_ACCESS);

/// Enqueues items one after the other, each with what an [`ENQUEUE`] would be told as its status; a refusal does not keep
/// the next from being tried. `STATUS_INVALID_BUFFER_SIZE`: the items' lengths do not add up to the input's; nothing was
/// enqueued.
pub const ENQUEUE_BATCH: u32 = ctl_code(11, FILE_WRITE_ACCESS);

/// Runs a load inside the driver: threads or DPCs that enqueue to a queue of the request's own, with a callback that checks what
/// it is given. The instance that the input names is not touched. A request that is cancelled completes at once, and
/// the load ends soon after. `STATUS_QUOTA_EXCEEDED`: as for [`CONFIGURE`]. `STATUS_INSUFFICIENT_RESOURCES`: another one
/// runs, too many blocking requests, or no memory or thread; nothing was done.
pub const STRESS: u32 = ctl_code(12, FILE_WRITE_ACCESS);

/// Measures the queue inside the driver, and beside it what it is made of and what would be written without it; see
/// [`BenchmarkReply`](crate::BenchmarkReply). The instance that the input names is not touched. A request that is
/// cancelled completes at once, and the measuring ends soon after. Refusals are those of [`STRESS`], with which it
/// takes turns.
pub const BENCHMARK: u32 = ctl_code(13, FILE_WRITE_ACCESS);

/// How far the [`STRESS`] that runs has come, or how the last one ended; all zero when there was none.
pub const STRESS_PROGRESS: u32 = ctl_code(14, FILE_READ_ACCESS);

/// Creates the task. `STATUS_DEVICE_ALREADY_ATTACHED`: it is there, or another request creates it; [`TASK_CLOSE`] it first.
/// `STATUS_INSUFFICIENT_RESOURCES`: no memory, or too many blocking requests; nothing was created. Another status: what the
/// registry refused with, where the task's value is to be read.
pub const TASK_CONFIGURE: u32 = ctl_code(15, FILE_WRITE_ACCESS);

/// Closes the task, and tells what was accepted and does not run. A run that goes on is waited for.
/// `STATUS_DEVICE_NOT_READY`: not configured. `STATUS_INSUFFICIENT_RESOURCES`: too many blocking requests.
pub const TASK_CLOSE: u32 = ctl_code(16, FILE_WRITE_ACCESS);

/// Runs the task, or asks for it to be run. `STATUS_DEVICE_NOT_READY`: not configured. `STATUS_CANCELLED`: the task is
/// cancelled. `STATUS_INVALID_DEVICE_STATE`: it has succeeded. `STATUS_DELETE_PENDING`: it is closing.
/// `STATUS_INSUFFICIENT_RESOURCES`: too many blocking requests.
pub const TASK_EXECUTE: u32 = ctl_code(17, FILE_WRITE_ACCESS);

/// Tells the task of a moment in its device's life, as the driver tells it of those that take place.
/// `STATUS_UNSUCCESSFUL`: the run of an immediate moment failed. `STATUS_DEVICE_NOT_READY`, `STATUS_DELETE_PENDING` and
/// `STATUS_INSUFFICIENT_RESOURCES`: as for [`TASK_EXECUTE`].
pub const TASK_EVENT: u32 = ctl_code(18, FILE_WRITE_ACCESS);

/// Lets nothing run until [`TASK_RESTART`], and tells what was accepted and does not run. A run that goes on is waited for.
/// `STATUS_DEVICE_NOT_READY`: not configured. `STATUS_INSUFFICIENT_RESOURCES`: too many blocking requests.
pub const TASK_CANCEL: u32 = ctl_code(19, FILE_WRITE_ACCESS);

/// Ends a cancel. `STATUS_DEVICE_NOT_READY`: not configured.
pub const TASK_RESTART: u32 = ctl_code(20, FILE_WRITE_ACCESS);

/// Sets how often the task has succeeded, in the registry too if it is persistent. A run that goes on is waited for.
/// `STATUS_DEVICE_NOT_READY`: not configured. `STATUS_INSUFFICIENT_RESOURCES`: too many blocking requests. Another status:
/// what the registry refused with.
pub const TASK_SET_TIMES_RUN: u32 = ctl_code(21, FILE_WRITE_ACCESS);

/// Closes the task's gate: its callback stops until [`TASK_RELEASE`], or while the device is not in D0. It opens by itself
/// as that of an instance does, see [`GATE`].
pub const TASK_GATE: u32 = ctl_code(22, FILE_WRITE_ACCESS);

/// Opens the task's gate, whoever closed it.
pub const TASK_RELEASE: u32 = ctl_code(23, FILE_WRITE_ACCESS);

/// The task's state and counters. They are kept when it is closed, and begin anew with the next [`TASK_CONFIGURE`].
pub const TASK_STATISTICS: u32 = ctl_code(24, FILE_READ_ACCESS);

/// Reads the task's log from a sequence number on, as many entries as the output holds. Reading changes nothing.
pub const TASK_READ_LOG: u32 = ctl_code(25, FILE_READ_ACCESS);

/// Makes the thread of an instance, which works on what was enqueued and will be. Nothing happens when there is one.
/// `STATUS_NOT_SUPPORTED`: the instance is not [`THREADED`](crate::Configure::THREADED). `STATUS_DEVICE_NOT_READY`: it is
/// not configured. `STATUS_DELETE_PENDING`: it is closing. `STATUS_INSUFFICIENT_RESOURCES`: no memory for a thread, or too
/// many blocking requests.
pub const START: u32 = ctl_code(26, FILE_WRITE_ACCESS);

/// Drops what has not begun, tells whoever waits for that, and whoever waits with a time-out for what is pended, waits for
/// the item that runs, and ends the thread. What is enqueued from here on waits for a [`START`]. Refusals are those of [`START`].
pub const STOP: u32 = ctl_code(27, FILE_WRITE_ACCESS);

/// Completes a pended item. `STATUS_NOT_FOUND`: there is none with that tag. `STATUS_NOT_SUPPORTED`,
/// `STATUS_DEVICE_NOT_READY`: as for [`START`]. `STATUS_INSUFFICIENT_RESOURCES`: no memory for a DPC, or too many blocking
/// requests.
pub const COMPLETE: u32 = ctl_code(28, FILE_WRITE_ACCESS);

/// Every code of the contract, with its name.
pub const ALL: [(u32, &str); 29] = [
    (VERSION, "VERSION"),
    (CONFIGURE, "CONFIGURE"),
    (ENQUEUE, "ENQUEUE"),
    (ENQUEUE_AND_WAIT, "ENQUEUE_AND_WAIT"),
    (FLUSH, "FLUSH"),
    (CLOSE, "CLOSE"),
    (GATE, "GATE"),
    (RELEASE, "RELEASE"),
    (STATISTICS, "STATISTICS"),
    (READ_LOG, "READ_LOG"),
    (CANCEL, "CANCEL"),
    (ENQUEUE_BATCH, "ENQUEUE_BATCH"),
    (STRESS, "STRESS"),
    (BENCHMARK, "BENCHMARK"),
    (STRESS_PROGRESS, "STRESS_PROGRESS"),
    (TASK_CONFIGURE, "TASK_CONFIGURE"),
    (TASK_CLOSE, "TASK_CLOSE"),
    (TASK_EXECUTE, "TASK_EXECUTE"),
    (TASK_EVENT, "TASK_EVENT"),
    (TASK_CANCEL, "TASK_CANCEL"),
    (TASK_RESTART, "TASK_RESTART"),
    (TASK_SET_TIMES_RUN, "TASK_SET_TIMES_RUN"),
    (TASK_GATE, "TASK_GATE"),
    (TASK_RELEASE, "TASK_RELEASE"),
    (TASK_STATISTICS, "TASK_STATISTICS"),
    (TASK_READ_LOG, "TASK_READ_LOG"),
    (START, "START"),
    (STOP, "STOP"),
    (COMPLETE, "COMPLETE"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_ctl_code_makes() {
        // CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS), worked out by hand.
        assert_eq!(VERSION, 0x0022_6000);
        assert_eq!(CONFIGURE, 0x0022_A004);
    }

    #[test]
    fn codes_are_distinct_and_buffered() {
        for (i, (code, name)) in ALL.iter().enumerate() {
            assert_eq!(code & 3, METHOD_BUFFERED, "{name}");
            assert!(ALL[i + 1..].iter().all(|(other, _)| other != code), "{name}");
        }
    }
}
