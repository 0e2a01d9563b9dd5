//! The requests that speak to tasks.

use core::time::Duration;

use queued_work_item::scheduled_task::{Mode, PowerState, TaskResult, When};
use queued_work_item_ioctl as ioctl;
use queued_work_item_ioctl::{
    Header, LogReply, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, TASK_CANCEL, TASK_CLOSE,
    TASK_CONFIGURE, TASK_EVENT, TASK_EXECUTE, TASK_GATE, TASK_READ_LOG, TASK_RELEASE, TASK_RESTART,
    TASK_SET_TIMES_RUN, TASK_STATISTICS, TaskConfigure, TaskDroppedReply, TaskExecuteReply, TaskRestartReply,
    TaskStatisticsReply, limits,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Command, whole_of};

/// What is asked of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskCommand {
    Configure(Plan),
    Close,
    Now,
    /// Soon; `itself`: by the task's own schedule.
    Deferred {
        itself: bool,
        at_dispatch: bool,
    },
    Event(TaskEvent),
    Cancel,
    Restart,
    SetTimesRun(u32),
    Gate,
    Release,
    Statistics,
    ReadLog {
        from: u64,
    },
}

/// A moment in a device's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskEvent {
    PrepareHardware,
    ReleaseHardware,
    D0Entry(PowerState),
    D0Exit,
}

/// What a task is made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) when: When,
    pub(crate) mode: Mode,
    /// The number of its value in the registry, if it is persistent.
    pub(crate) name: Option<u32>,
    pub(crate) initial_delay: Duration,
    pub(crate) retry_on_success: Duration,
    pub(crate) retry_on_failure: Duration,
    pub(crate) script: Script,
}

/// What its callback does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) spend: Duration,
    pub(crate) inside: Inside,
    /// Run by run.
    pub(crate) results: [TaskResult; limits::TASK_RESULTS as usize],
    /// How many of them count: not 0.
    pub(crate) count: usize,
}

impl Script {
    /// What the run of this number, from 0, returns.
    pub(crate) fn result(&self, run: u64) -> TaskResult {
        let last = self.count.saturating_sub(1);
        let at = usize::try_from(run).unwrap_or(last).min(last);
        self.results.get(at).copied().unwrap_or(TaskResult::Success)
    }
}

/// What the callback calls upon its own task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    Nothing,
    Cancel,
    Close,
    ExecuteNow,
    ExecuteNowDeferredEx,
}

/// A request that speaks to a task, and how much output it needs.
pub(super) fn decode(code: u32, input: &[u8]) -> Result<(Command<'static>, usize), u32> {
    let (slot, command, output) = match code {
        TASK_CONFIGURE => {
            let (request, slot) = whole::<TaskConfigure>(input)?;
            (slot, TaskCommand::Configure(plan(&request)?), 0)
        }
        TASK_EXECUTE => {
            let (request, slot) = whole::<ioctl::TaskExecute>(input)?;
            (slot, execute(&request)?, size_of::<TaskExecuteReply>())
        }
        TASK_EVENT => {
            let (request, slot) = whole::<ioctl::TaskEvent>(input)?;
            (slot, TaskCommand::Event(event(&request)?), 0)
        }
        TASK_SET_TIMES_RUN => {
            let (request, slot) = whole::<ioctl::TaskSetTimesRun>(input)?;
            if request.reserved != 0 {
                return Err(STATUS_INVALID_PARAMETER);
            }
            (slot, TaskCommand::SetTimesRun(request.times), 0)
        }
        TASK_READ_LOG => {
            let (request, slot) = whole::<ioctl::TaskReadLog>(input)?;
            let from = request.from;
            (slot, TaskCommand::ReadLog { from }, size_of::<LogReply>())
        }
        TASK_CLOSE => (header(input)?, TaskCommand::Close, size_of::<TaskDroppedReply>()),
        TASK_CANCEL => (header(input)?, TaskCommand::Cancel, size_of::<TaskDroppedReply>()),
        TASK_RESTART => (
            header(input)?,
            TaskCommand::Restart,
            size_of::<TaskRestartReply>(),
        ),
        TASK_GATE => (header(input)?, TaskCommand::Gate, 0),
        TASK_RELEASE => (header(input)?, TaskCommand::Release, 0),
        TASK_STATISTICS => (
            header(input)?,
            TaskCommand::Statistics,
            size_of::<TaskStatisticsReply>(),
        ),
        _ => return Err(STATUS_INVALID_DEVICE_REQUEST),
    };
    Ok((Command::Task { slot, command }, output))
}

fn whole<T: FromBytes + KnownLayout + Immutable>(input: &[u8]) -> Result<(T, usize), u32> {
    whole_of(input, limits::TASKS)
}

fn header(input: &[u8]) -> Result<usize, u32> {
    whole::<Header>(input).map(|(_, slot)| slot)
}

fn plan(request: &TaskConfigure) -> Result<Plan, u32> {
    let TaskConfigure {
        header: _,
        when,
        mode,
        name,
        initial_delay_ms,
        retry_on_success_ms,
        retry_on_failure_ms,
        spend_us,
        inside,
        result_count,
        results: codes,
        reserved,
    } = *request;
    let bad = STATUS_INVALID_PARAMETER;
    let retries = 1..=limits::TASK_DELAY_MS;
    let fits = name <= limits::TASK_NAMES
        && initial_delay_ms <= limits::TASK_DELAY_MS
        && retries.contains(&retry_on_success_ms)
        && retries.contains(&retry_on_failure_ms)
        && spend_us <= limits::SPEND_US
        && (1..=limits::TASK_RESULTS).contains(&result_count)
        && reserved == 0;
    if !fits {
        return Err(bad);
    }
    let count = usize::try_from(result_count).map_err(|_| bad)?;
    // Those that do not count are zero, as every reserved field.
    if codes.iter().skip(count).any(|code| *code != 0) {
        return Err(bad);
    }
    let mut results = [TaskResult::Success; limits::TASK_RESULTS as usize];
    for (result, code) in results.iter_mut().zip(codes) {
        *result = match code {
            TaskConfigure::SUCCESS => TaskResult::Success,
            TaskConfigure::SUCCESS_BUT_TRY_AGAIN => TaskResult::SuccessButTryAgain,
            TaskConfigure::FAIL => TaskResult::Fail,
            TaskConfigure::FAIL_BUT_TRY_AGAIN => TaskResult::FailButTryAgain,
            _ => return Err(bad),
        };
    }
    let milliseconds = |number| Duration::from_millis(u64::from(number));
    Ok(Plan {
        when: match when {
            TaskConfigure::ON_DEMAND => When::OnDemand,
            TaskConfigure::PREPARE_HARDWARE => When::PrepareHardware,
            TaskConfigure::D0_ENTRY => When::D0Entry,
            _ => return Err(bad),
        },
        mode: match mode {
            TaskConfigure::IMMEDIATE => Mode::Immediate,
            TaskConfigure::DEFERRED => Mode::Deferred,
            _ => return Err(bad),
        },
        name: (name != 0).then_some(name),
        initial_delay: milliseconds(initial_delay_ms),
        retry_on_success: milliseconds(retry_on_success_ms),
        retry_on_failure: milliseconds(retry_on_failure_ms),
        script: Script {
            spend: Duration::from_micros(u64::from(spend_us)),
            inside: match inside {
                TaskConfigure::NOTHING => Inside::Nothing,
                TaskConfigure::CANCEL => Inside::Cancel,
                TaskConfigure::CLOSE => Inside::Close,
                TaskConfigure::EXECUTE_NOW => Inside::ExecuteNow,
                TaskConfigure::EXECUTE_NOW_DEFERRED_EX => Inside::ExecuteNowDeferredEx,
                _ => return Err(bad),
            },
            results,
            count,
        },
    })
}

fn execute(request: &ioctl::TaskExecute) -> Result<TaskCommand, u32> {
    let at_dispatch = match request.flags {
        0 => false,
        ioctl::TaskExecute::AT_DISPATCH => true,
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    match request.how {
        ioctl::TaskExecute::NOW if !at_dispatch => Ok(TaskCommand::Now),
        ioctl::TaskExecute::DEFERRED => Ok(TaskCommand::Deferred {
            itself: false,
            at_dispatch,
        }),
        ioctl::TaskExecute::DEFERRED_EX => Ok(TaskCommand::Deferred {
            itself: true,
            at_dispatch,
        }),
        _ => Err(STATUS_INVALID_PARAMETER),
    }
}

fn event(request: &ioctl::TaskEvent) -> Result<TaskEvent, u32> {
    match (request.event, request.from) {
        (ioctl::TaskEvent::PREPARE_HARDWARE, 0) => Ok(TaskEvent::PrepareHardware),
        (ioctl::TaskEvent::RELEASE_HARDWARE, 0) => Ok(TaskEvent::ReleaseHardware),
        (ioctl::TaskEvent::D0_EXIT, 0) => Ok(TaskEvent::D0Exit),
        (ioctl::TaskEvent::D0_ENTRY, from) if from <= limits::POWER_STATE => {
            Ok(TaskEvent::D0Entry(PowerState(from.cast_signed())))
        }
        _ => Err(STATUS_INVALID_PARAMETER),
    }
}
