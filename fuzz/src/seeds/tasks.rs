//! Seeds of tasks.

use queued_work_item_ioctl::{
    Header, TASK_CANCEL, TASK_CLOSE, TASK_CONFIGURE, TASK_EVENT, TASK_EXECUTE, TASK_GATE, TASK_READ_LOG,
    TASK_RELEASE, TASK_RESTART, TASK_SET_TIMES_RUN, TASK_STATISTICS, TaskConfigure, TaskEvent, TaskExecute,
    TaskReadLog, TaskSetTimesRun,
};
use zerocopy::IntoBytes;

use super::{header, send, soon};
use crate::program::Step;

fn task(task: TaskConfigure) -> Step {
    send(TASK_CONFIGURE, task.as_bytes())
}

fn execute(how: u32, flags: u32) -> Step {
    let header = Header::new(0);
    send(TASK_EXECUTE, TaskExecute { header, how, flags }.as_bytes())
}

fn event(event: u32, from: u32) -> Step {
    let header = Header::new(0);
    send(TASK_EVENT, TaskEvent { header, event, from }.as_bytes())
}

pub(super) fn tasks() -> Vec<Step> {
    let script = [
        TaskConfigure::FAIL_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS,
    ];
    let demanded = TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED)
        .with_results(&script)
        .with_retries(1, 1);
    let times = TaskSetTimesRun {
        header: Header::new(0),
        times: 0,
        reserved: 0,
    };
    let log = TaskReadLog {
        header: Header::new(0),
        from: 0,
    };
    let persistent = TaskConfigure {
        name: 1,
        inside: TaskConfigure::CANCEL,
        ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::IMMEDIATE)
    };
    vec![
        task(demanded),
        soon(0),
        execute(TaskExecute::NOW, 0),
        soon(0),
        execute(TaskExecute::DEFERRED_EX, TaskExecute::AT_DISPATCH),
        header(TASK_GATE),
        execute(TaskExecute::DEFERRED, 0),
        execute(TaskExecute::NOW, 0),
        Step::Cancel { request: 0 },
        header(TASK_CANCEL),
        header(TASK_RELEASE),
        soon(1),
        header(TASK_RESTART),
        send(TASK_SET_TIMES_RUN, times.as_bytes()),
        soon(0),
        header(TASK_STATISTICS),
        send(TASK_READ_LOG, log.as_bytes()),
        header(TASK_CLOSE),
        soon(0),
        task(persistent),
        soon(0),
        event(TaskEvent::D0_ENTRY, 4),
        soon(0),
        header(TASK_CLOSE),
    ]
}

pub(super) fn tasks_and_power() -> Vec<Step> {
    let retries = TaskConfigure {
        spend_us: 100,
        ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
    }
    .with_results(&[TaskConfigure::FAIL_BUT_TRY_AGAIN])
    .with_retries(1, 2);
    vec![
        Step::D0Exit,
        task(retries),
        soon(0),
        execute(TaskExecute::DEFERRED, 0),
        Step::D0Entry,
        header(TASK_GATE),
        execute(TaskExecute::NOW, 0),
        Step::D0Exit,
        soon(0),
        event(TaskEvent::RELEASE_HARDWARE, 0),
        Step::D0Entry,
        event(TaskEvent::PREPARE_HARDWARE, 0),
        execute(TaskExecute::NOW, 0),
        header(TASK_CLOSE),
        Step::Remove,
        execute(TaskExecute::DEFERRED, 0),
    ]
}

pub(super) fn tasks_without_memory() -> Vec<Step> {
    let mut steps = Vec::new();
    for nth in 1..8 {
        steps.push(Step::FailAllocation { nth });
        steps.push(task(TaskConfigure {
            name: 2,
            ..TaskConfigure::new(0, TaskConfigure::PREPARE_HARDWARE, TaskConfigure::DEFERRED)
        }));
        steps.push(soon(0));
        steps.push(Step::FailAllocation { nth: 0 });
        steps.push(event(TaskEvent::PREPARE_HARDWARE, 0));
        steps.push(header(TASK_CLOSE));
        steps.push(soon(0));
    }
    steps.push(Step::DenyWorkers { deny: true });
    steps.push(task(TaskConfigure::new(
        0,
        TaskConfigure::ON_DEMAND,
        TaskConfigure::IMMEDIATE,
    )));
    steps
}
