//! What a task's callback does and remembers: its script, its counters, its log.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU64};

use queued_work_item::kernel::{Irql, SpinLock, current_irql, current_thread_id, performance_counter};
use queued_work_item::scheduled_task::{Cause, TaskResult, TaskState};
use queued_work_item::{Passive, ScheduledTask};
use queued_work_item_ioctl::{TaskConfigure, TaskLogEntry, TaskStatisticsReply, limits};

use crate::decode::task::{Inside, Script};
use crate::gate::Gate;
use crate::ring::{Cursor, Ring};

pub(crate) struct TaskRecord {
    /// When the task was configured, in ticks.
    origin: u64,
    /// Runs that have begun: the next one's place in the script.
    begun: AtomicU64,
    causes: [AtomicU64; 5],
    overlaps: AtomicU64,
    above_passive: AtomicU64,
    /// A callback is running; a second one that finds it so is an overlap.
    running: AtomicBool,
    log: SpinLock<Ring<TaskLogEntry>>,
    /// What is told of the task once it is closed.
    kept: SpinLock<TaskStatisticsReply>,
}

impl TaskRecord {
    /// A record of a task that is about to be there. `None`: no memory.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            origin: performance_counter().0,
            begun: AtomicU64::new(0),
            causes: [const { AtomicU64::new(0) }; 5],
            overlaps: AtomicU64::new(0),
            above_passive: AtomicU64::new(0),
            running: AtomicBool::new(false),
            log: SpinLock::new(Ring::new(usize::try_from(limits::TASK_LOG_ENTRIES).ok()?)?),
            kept: SpinLock::new(TaskStatisticsReply::default()),
        })
    }

    /// One run of the callback. `call` is what it calls upon its own task, by its status.
    pub(crate) fn run(
        &self,
        script: &Script,
        gate: &Gate,
        call: impl FnOnce(Inside, &mut Passive) -> u32,
        cause: Cause,
        passive: &mut Passive,
    ) -> TaskResult {
        let began_ns = self.elapsed_ns();
        if self.running.swap(true, AcqRel) {
            self.overlaps.fetch_add(1, Relaxed);
        }
        let run = self.begun.fetch_add(1, Relaxed);
        let irql = current_irql();
        if irql > Irql::PASSIVE {
            self.above_passive.fetch_add(1, Relaxed);
        }
        let (why, from) = cause_code(cause);
        if let Some(count) = self.causes.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
        gate.pass(passive);
        if !script.spend.is_zero() {
            gate.spend(passive, script.spend);
        }
        let inside_status = call(script.inside, passive);
        let result = script.result(run);
        // Before the log's lock is taken.
        let entry = TaskLogEntry {
            sequence: 0,
            began_ns,
            ended_ns: self.elapsed_ns(),
            thread: current_thread_id(),
            cause: why,
            from,
            result: result_code(result),
            irql: u32::from(irql.0),
            inside_status,
            reserved: 0,
        };
        self.log.lock().push(entry);
        self.running.store(false, Release);
        result
    }

    /// Nanoseconds since the task was configured.
    fn elapsed_ns(&self) -> u64 {
        let (now, frequency) = performance_counter();
        let ticks = u128::from(now.saturating_sub(self.origin));
        let elapsed = (ticks * 1_000_000_000).checked_div(u128::from(frequency));
        elapsed.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(u64::MAX)
    }

    /// What is told of its task.
    pub(crate) fn statistics(&self, task: &ScheduledTask) -> TaskStatisticsReply {
        let counters = task.counters();
        TaskStatisticsReply {
            state: state_code(task.state()),
            times_run: task.times_run(),
            runs: counters.runs,
            retries: counters.retries,
            dropped: counters.dropped,
            store_failures: counters.store_failures,
            overlaps: self.overlaps.load(Acquire),
            above_passive: self.above_passive.load(Acquire),
            causes: core::array::from_fn(|cause| {
                self.causes.get(cause).map_or(0, |count| count.load(Acquire))
            }),
            gated: 0,
            reserved: 0,
        }
    }

    /// Keeps that of its task, which is closed.
    pub(crate) fn keep(&self, task: &ScheduledTask) {
        let last = TaskStatisticsReply {
            state: TaskStatisticsReply::NOT_CONFIGURED,
            ..self.statistics(task)
        };
        *self.kept.lock() = last;
    }

    /// What was kept.
    pub(crate) fn kept(&self) -> TaskStatisticsReply {
        *self.kept.lock()
    }

    /// Copies log entries from a sequence number on; see [`Ring::read`].
    pub(crate) fn read_log(&self, from: u64, out: &mut [TaskLogEntry]) -> Cursor {
        self.log.lock().read(from, out)
    }
}

/// Why, and the power state before.
const fn cause_code(cause: Cause) -> (u32, u32) {
    match cause {
        Cause::Now => (TaskLogEntry::NOW, 0),
        Cause::NowDeferred => (TaskLogEntry::NOW_DEFERRED, 0),
        Cause::PrepareHardware => (TaskLogEntry::PREPARE_HARDWARE, 0),
        Cause::D0Entry(from) => (TaskLogEntry::D0_ENTRY, from.0.cast_unsigned()),
        Cause::Retry => (TaskLogEntry::RETRY, 0),
    }
}

pub(super) fn result_code(result: TaskResult) -> u32 {
    u32::from(match result {
        TaskResult::Success => TaskConfigure::SUCCESS,
        TaskResult::SuccessButTryAgain => TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
        TaskResult::Fail => TaskConfigure::FAIL,
        TaskResult::FailButTryAgain => TaskConfigure::FAIL_BUT_TRY_AGAIN,
    })
}

const fn state_code(state: TaskState) -> u32 {
    match state {
        TaskState::Idle => TaskStatisticsReply::IDLE,
        TaskState::Waiting => TaskStatisticsReply::WAITING,
        TaskState::Due => TaskStatisticsReply::DUE,
        TaskState::Running => TaskStatisticsReply::RUNNING,
        TaskState::Done => TaskStatisticsReply::DONE,
        TaskState::Cancelled => TaskStatisticsReply::CANCELLED,
        TaskState::Closed => TaskStatisticsReply::CLOSED,
    }
}
