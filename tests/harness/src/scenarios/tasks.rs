//! Tasks: how often they run, when, and what they are told.

use std::{
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{
    STATUS_POSSIBLE_DEADLOCK, STATUS_SUCCESS, TaskConfigure, TaskDroppedReply, TaskEvent, TaskExecuteReply,
    TaskLogEntry, TaskStatisticsReply,
};

use super::{Context, Failure, check, check_eq, context::refused};
use crate::{Client, Error, NtStatus};

/// `WdfPowerDeviceD3`
const D3: u32 = 4;

/// How long to leave the driver alone between two looks at a task, which announces nothing.
const POLL: Duration = Duration::from_millis(1);

/// What a clock may differ from another: a run's beginning is taken by another clock than the timer's.
const CLOCKS: Duration = Duration::from_millis(2);

const RESULTS: [u8; 4] = [
    TaskConfigure::SUCCESS,
    TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
    TaskConfigure::FAIL,
    TaskConfigure::FAIL_BUT_TRY_AGAIN,
];

/// A task without delays, whose retries come soon.
const fn task(when: u32, mode: u32) -> TaskConfigure {
    TaskConfigure::new(0, when, mode).with_retries(1, 1)
}

/// Looks at the task until `ready`.
fn until(
    context: &Context<'_>,
    client: &Client,
    what: &str,
    ready: impl Fn(&TaskStatisticsReply) -> bool,
) -> Result<TaskStatisticsReply, Failure> {
    let began = Instant::now();
    loop {
        let seen = client.task_statistics()?;
        if ready(&seen) {
            return Ok(seen);
        }
        if began.elapsed() > context.options().timeout {
            return Err(Failure::Wrong(format!("{what} did not come to be: {seen:?}")));
        }
        thread::sleep(POLL);
    }
}

fn settled(seen: &TaskStatisticsReply) -> bool {
    [TaskStatisticsReply::IDLE, TaskStatisticsReply::DONE].contains(&seen.state)
}

/// Closes the task: its counters and its log agree, and hold what must always hold.
fn close(context: &Context<'_>, client: &Client) -> Result<TaskDroppedReply, Failure> {
    context.step(format!("close, after: {}", context.said().current()));
    let dropped = client.task_close()?;
    let seen = client.task_statistics()?;
    check_eq!(
        seen.state,
        TaskStatisticsReply::NOT_CONFIGURED,
        "state once closed"
    );
    check_eq!(seen.overlaps, 0, "callbacks that found another one running");
    check_eq!(seen.above_passive, 0, "callbacks above PASSIVE_LEVEL");
    check_eq!(seen.causes.iter().sum::<u64>(), seen.runs, "runs by their causes");
    let log = client.task_log()?;
    let lost = log.first().map_or(0, |run| run.sequence);
    check_eq!(lost + log.len() as u64, seen.runs, "runs in the log");
    for (due, run) in (lost..).zip(&log) {
        check_eq!(run.sequence, due, "the number of a run");
        check_eq!(run.irql, 0, "the IRQL of run {due}");
    }
    Ok(dropped)
}

pub(super) fn x06_each_result_at_each_moment(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_any_task()?;
    let moments = [
        (TaskConfigure::PREPARE_HARDWARE, TaskEvent::PREPARE_HARDWARE, 0),
        (TaskConfigure::D0_ENTRY, TaskEvent::D0_ENTRY, D3),
    ];
    for (when, event, from) in moments {
        for mode in [TaskConfigure::IMMEDIATE, TaskConfigure::DEFERRED] {
            for result in RESULTS {
                let immediate = mode == TaskConfigure::IMMEDIATE;
                context.step(format!("result {result} at moment {when}, mode {mode}"));
                client.task_configure(&task(when, mode).with_results(&[result]))?;
                let (_, other, state) = moments[usize::from(event == TaskEvent::PREPARE_HARDWARE)];
                client.task_event(other, state)?;
                check_eq!(client.task_statistics()?.runs, 0, "runs at another moment");
                let failed = [TaskConfigure::FAIL, TaskConfigure::FAIL_BUT_TRY_AGAIN].contains(&result);
                let again = result == TaskConfigure::SUCCESS_BUT_TRY_AGAIN
                    || result == TaskConfigure::FAIL_BUT_TRY_AGAIN && !immediate;
                for moment in 1..=3 {
                    let told = client.task_event(event, from);
                    if immediate && failed {
                        refused(told, NtStatus::UNSUCCESSFUL, "an immediate moment that fails")?;
                    } else {
                        told?;
                    }
                    if again {
                        until(context, &client, "a row of retries", |seen| {
                            seen.retries >= moment + 3
                        })?;
                    } else {
                        let due = if result == TaskConfigure::SUCCESS {
                            1
                        } else {
                            moment
                        };
                        let seen = until(context, &client, "the run of a moment", |seen| {
                            settled(seen) && seen.runs >= due
                        })?;
                        check_eq!(
                            (seen.runs, seen.retries),
                            (due, 0),
                            "runs and retries, moment {moment}"
                        );
                        check_eq!(seen.times_run, u32::from(!failed), "times run");
                    }
                }
                check_eq!(
                    close(context, &client)?,
                    TaskDroppedReply {
                        runs: 0,
                        task: u32::from(again)
                    },
                    "what a close drops"
                );
                let first = client.task_log()?.first().copied();
                let lost = first.is_some_and(|run| run.sequence > 0);
                let cause = first.map(|run| (run.cause, run.from, run.result));
                let due = if event == TaskEvent::D0_ENTRY {
                    TaskLogEntry::D0_ENTRY
                } else {
                    TaskLogEntry::PREPARE_HARDWARE
                };
                check!(
                    lost || cause == Some((due, from, u32::from(result))),
                    "the first run is logged as {first:?}"
                );
            }
        }
    }
    Ok(())
}

pub(super) fn x06_each_result_on_demand(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_any_task()?;
    let demanded = task(TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED);
    for result in RESULTS {
        context.step(format!("result {result}, executed now and soon"));
        client.task_configure(&demanded.with_results(&[result]))?;
        for event in [TaskEvent::PREPARE_HARDWARE, TaskEvent::D0_ENTRY] {
            client.task_event(event, 0)?;
        }
        for run in 1..=5 {
            check_eq!(
                client.task_execute_now()?,
                u32::from(result),
                "what a run here and now returns"
            );
            check_eq!(client.task_statistics()?.runs, run, "runs");
        }
        for run in 0..20 {
            client.task_execute_deferred(false, run % 2 == 0)?;
        }
        let seen = until(context, &client, "each run that was asked for", |seen| {
            seen.runs >= 25
        })?;
        check_eq!(seen.causes, [5, 20, 0, 0, 0], "runs by their causes");
        check_eq!((seen.times_run, seen.retries), (0, 0), "times run, and retries");
        close(context, &client)?;
    }
    context.step("the task itself: two results that want another run, and a success");
    let script = [
        TaskConfigure::FAIL_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS,
    ];
    client.task_configure(&demanded.with_results(&script))?;
    client.task_gate()?;
    check_eq!(
        client.task_execute_deferred(true, true)?,
        TaskExecuteReply::NEW,
        "what becomes of the wish"
    );
    check_eq!(
        client.task_execute_deferred(true, false)?,
        TaskExecuteReply::JOINED,
        "what becomes of a second wish"
    );
    client.task_release()?;
    let seen = until(context, &client, "done", |seen| {
        seen.state == TaskStatisticsReply::DONE
    })?;
    check_eq!(
        (seen.runs, seen.retries, seen.times_run),
        (3, 2, 1),
        "runs, retries, times run"
    );
    refused(
        client.task_execute_deferred(true, false),
        NtStatus::INVALID_DEVICE_STATE,
        "one more, of a task that is done",
    )?;
    let causes: Vec<_> = client
        .task_log()?
        .iter()
        .map(|run| (run.cause, run.result))
        .collect();
    let due = [
        (TaskLogEntry::NOW_DEFERRED, u32::from(script[0])),
        (TaskLogEntry::RETRY, u32::from(script[1])),
        (TaskLogEntry::RETRY, u32::from(script[2])),
    ];
    check_eq!(causes, due, "causes and results");
    close(context, &client).map(drop)
}

pub(super) fn x06_retries_keep_their_times(context: &Context<'_>) -> Result<(), Failure> {
    const INITIAL_MS: u32 = 60;
    const SUCCESS_MS: u32 = 40;
    const FAILURE_MS: u32 = 90;
    let client = context.without_any_task()?;
    context.step("a task that is delayed, retries four times, and succeeds");
    let script = [
        TaskConfigure::FAIL_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
        TaskConfigure::FAIL_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS,
    ];
    let delayed = TaskConfigure {
        initial_delay_ms: INITIAL_MS,
        ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
    };
    client.task_configure(&delayed.with_results(&script).with_retries(SUCCESS_MS, FAILURE_MS))?;
    client.task_event(TaskEvent::D0_ENTRY, D3)?;
    let seen = until(context, &client, "done", |seen| {
        seen.state == TaskStatisticsReply::DONE
    })?;
    check_eq!((seen.runs, seen.retries), (5, 4), "runs and retries");
    let log = client.task_log()?;
    check_eq!(log.len(), script.len(), "runs in the log");
    // From the configuration to the first run, which was asked for later; and from each run's end to the next.
    let due = [INITIAL_MS, FAILURE_MS, SUCCESS_MS, SUCCESS_MS, FAILURE_MS];
    let ends = std::iter::once(0).chain(log.iter().map(|run| run.ended_ns));
    for ((run, end), due) in log.iter().zip(ends).zip(due) {
        let waited = Duration::from_nanos(run.began_ns.saturating_sub(end));
        let due = Duration::from_millis(due.into());
        check!(
            waited + CLOCKS >= due && waited <= due + context.options().timeout / 4,
            "run {} began after {waited:?} where {due:?} were due: {log:?}",
            run.sequence
        );
    }
    close(context, &client).map(drop)
}

pub(super) fn x06_calls_from_inside(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_any_task()?;
    for (inside, told) in [
        (TaskConfigure::NOTHING, STATUS_SUCCESS),
        (TaskConfigure::CANCEL, STATUS_POSSIBLE_DEADLOCK),
        (TaskConfigure::CLOSE, STATUS_POSSIBLE_DEADLOCK),
        (TaskConfigure::EXECUTE_NOW, STATUS_POSSIBLE_DEADLOCK),
        (TaskConfigure::EXECUTE_NOW_DEFERRED_EX, STATUS_SUCCESS),
    ] {
        context.step(format!("the callback makes call {inside} upon its own task"));
        client.task_configure(&TaskConfigure {
            inside,
            ..task(TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
        })?;
        client.task_event(TaskEvent::D0_ENTRY, D3)?;
        until(context, &client, "done", |seen| {
            seen.state == TaskStatisticsReply::DONE
        })?;
        let log = client.task_log()?;
        check_eq!(log.len(), 1, "runs");
        check_eq!(
            NtStatus(log[0].inside_status),
            NtStatus(told),
            "what the callback is told"
        );
        close(context, &client)?;
    }
    Ok(())
}

pub(super) fn x07_cancel_and_restart(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_any_task()?;
    context.step("cancel before the first run");
    let delayed = TaskConfigure {
        initial_delay_ms: 5,
        ..task(TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
    };
    // Out of D0, so that it cannot have begun.
    client.task_configure(&delayed)?;
    client.task_event(TaskEvent::D0_EXIT, 0)?;
    client.task_event(TaskEvent::PREPARE_HARDWARE, 0)?;
    check_eq!(
        client.task_execute_deferred(true, false)?,
        TaskExecuteReply::NEW,
        "the wish"
    );
    check_eq!(
        client.task_cancel()?,
        TaskDroppedReply { runs: 0, task: 1 },
        "what a cancel drops"
    );
    client.task_event(TaskEvent::D0_ENTRY, D3)?;
    refused(
        client.task_execute_now(),
        NtStatus::CANCELLED,
        "execute of a cancelled task",
    )?;
    check_eq!(client.task_statistics()?.runs, 0, "runs of a cancelled task");
    context.step("restart");
    check!(client.task_restart()?, "there was no cancel to end");
    check!(!client.task_restart()?, "a cancel was ended twice");
    until(context, &client, "done", |seen| {
        seen.state == TaskStatisticsReply::DONE && seen.runs == 1
    })?;
    close(context, &client)?;

    context.step("cancel while it runs: the run is waited for, and its retry told");
    let script = [TaskConfigure::FAIL_BUT_TRY_AGAIN, TaskConfigure::SUCCESS];
    client.task_configure(&task(TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED).with_results(&script))?;
    client.task_gate()?;
    client.task_event(TaskEvent::D0_ENTRY, D3)?;
    until(context, &client, "it runs", |seen| {
        seen.state == TaskStatisticsReply::RUNNING
    })?;
    for _ in 0..7 {
        client.task_execute_deferred(false, true)?;
    }
    let mut cancel = client.begin_task_cancel()?;
    until(context, &client, "cancelled", |seen| {
        seen.state == TaskStatisticsReply::CANCELLED && seen.dropped == 7
    })?;
    check!(
        cancel.is_waiting(Duration::from_millis(20))?,
        "the cancel did not wait for the run"
    );
    client.task_release()?;
    check_eq!(
        cancel.wait(client.timeout())?,
        TaskDroppedReply { runs: 7, task: 1 },
        "what a cancel drops"
    );
    check!(client.task_restart()?, "there was no cancel to end");
    let seen = until(context, &client, "done", |seen| {
        seen.state == TaskStatisticsReply::DONE
    })?;
    check_eq!(seen.runs, 2, "runs");
    close(context, &client).map(drop)
}

/// The values that the persistent tasks here are remembered by.
const NAMES: [u32; 2] = [7, 8];

fn persistent(number: u32, name: u32) -> TaskConfigure {
    TaskConfigure {
        name,
        ..TaskConfigure::new(number, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
    }
}

pub(super) fn x08_persistent_over_three_loads(context: &Context<'_>) -> Result<(), Failure> {
    context.step("forget what an earlier run has left");
    forget(context)?;
    for load in 0..3_u64 {
        let client = context.without_any_task()?;
        for (number, since) in [(0, 0), (1, 1)] {
            context.step(format!("load {load}: the moment of task {number}"));
            if load < since {
                continue;
            }
            let client = client.at(number);
            client.task_configure(&persistent(number, NAMES[number as usize]))?;
            client.task_event(TaskEvent::D0_ENTRY, D3)?;
            let seen = until(context, &client, "done", |seen| {
                seen.state == TaskStatisticsReply::DONE
            })?;
            let due = u64::from(load == since);
            check_eq!(
                (seen.runs, seen.times_run, seen.store_failures),
                (due, 1, 0),
                "runs, times run and failures to write it, of task {number} in load {load}"
            );
            close(context, &client)?;
        }
        drop(client);
        context.step(format!(
            "load {load}: remove the device, unload the driver, load it again"
        ));
        match context.transport().surprise_remove() {
            Ok(()) => {}
            Err(Error::NotSupported(why)) => return Err(Failure::Skipped(why)),
            Err(error) => return Err(error.into()),
        }
        let unloaded = context.transport().unload();
        context.transport().restore()?;
        unloaded?;
    }
    context.step("forget it again: it runs once more");
    forget(context)?;
    let client = context.without_any_task()?;
    client.task_configure(&persistent(0, NAMES[0]))?;
    client.task_event(TaskEvent::D0_ENTRY, D3)?;
    until(context, &client, "done", |seen| {
        seen.state == TaskStatisticsReply::DONE && seen.runs == 1
    })?;
    close(context, &client)?;
    forget(context)
}

fn forget(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_any_task()?;
    for name in NAMES {
        client.task_configure(&persistent(0, name))?;
        client.task_set_times_run(0)?;
        client.task_close()?;
    }
    Ok(())
}

pub(super) fn x09_retry_over_d0_exit(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_any_task()?;
    context.step("a task that fails for ever");
    let failing = task(TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
        .with_results(&[TaskConfigure::FAIL_BUT_TRY_AGAIN])
        .with_retries(1, 3);
    client.task_configure(&failing)?;
    client.task_event(TaskEvent::D0_ENTRY, D3)?;
    for cycle in 0..5 {
        until(context, &client, "a retry", |seen| seen.retries > 2 * cycle)?;
        context.step(format!("cycle {cycle}: out of D0"));
        client.task_event(TaskEvent::D0_EXIT, 0)?;
        let held = until(context, &client, "due", |seen| {
            seen.state == TaskStatisticsReply::DUE
        })?;
        thread::sleep(Duration::from_millis(10));
        let still = client.task_statistics()?;
        check_eq!(
            (still.runs, still.state),
            (held.runs, TaskStatisticsReply::DUE),
            "runs and state out of D0"
        );
        client.task_event(TaskEvent::D0_ENTRY, D3)?;
        until(context, &client, "a run after the return", |seen| {
            seen.runs > held.runs
        })?;
    }
    check_eq!(
        close(context, &client)?.task,
        1,
        "whether the close tells of the retry"
    );
    let log = client.task_log()?;
    check!(
        log.iter().skip(1).all(|run| run.cause == TaskLogEntry::RETRY),
        "a run that was no retry: {log:?}"
    );
    Ok(())
}
