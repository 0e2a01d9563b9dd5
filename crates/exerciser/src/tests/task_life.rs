//! Tasks: persistence and power, and what user mode may do to them.

use queued_work_item::kernel::host::Machine;
use queued_work_item_ioctl::*;
use zerocopy::IntoBytes;

use super::{both, device};
use crate::testing::D3;

#[test]
fn x08_a_persistent_task_runs_once_over_three_devices() {
    let machine = Machine::new();
    let _entered = machine.enter();
    for load in 0..3 {
        let device = device();
        let client = both(&device);
        for (name, since) in [(1, 0), (16, 1)] {
            if load < since {
                continue;
            }
            let task = TaskConfigure {
                name,
                ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
            };
            assert_eq!(client.task_configure(task), STATUS_SUCCESS);
            assert_eq!(client.task_event(TaskEvent::D0_ENTRY), STATUS_SUCCESS);
            let seen = client.task_until(|seen| seen.state == TaskStatisticsReply::DONE);
            let runs = u64::from(load == since);
            assert_eq!(
                (seen.times_run, seen.runs, seen.store_failures),
                (1, runs, 0),
                "load {load}"
            );
            client.task_close();
        }
    }
    let due = [
        ("ScheduledTaskTimesRun01".into(), 1),
        ("ScheduledTaskTimesRun16".into(), 1),
    ];
    assert_eq!(machine.parameters(), due);
}

#[test]
fn x08_a_registry_that_fails_is_told() {
    let machine = Machine::new();
    let _entered = machine.enter();
    let device = device();
    let client = both(&device);
    let task = TaskConfigure {
        name: 3,
        ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
    };
    let failure = queued_work_item::NtStatus::UNSUCCESSFUL;
    machine.fail_parameters(Some(failure));
    assert_eq!(client.task_configure(task), STATUS_UNSUCCESSFUL);
    assert_eq!(client.task_times_run(1), STATUS_DEVICE_NOT_READY);
    machine.fail_parameters(None);
    assert_eq!(client.task_configure(task), STATUS_SUCCESS);
    machine.fail_parameters(Some(failure));
    assert_eq!(client.task_times_run(1), STATUS_UNSUCCESSFUL);
    assert_eq!(client.task_event(TaskEvent::D0_ENTRY), STATUS_SUCCESS);
    let seen = client.task_until(|seen| seen.state == TaskStatisticsReply::DONE);
    assert_eq!((seen.store_failures, seen.times_run), (1, 1));
}

#[test]
fn x09_a_retry_survives_power_cycles_of_the_device() {
    let device = device();
    let client = both(&device);
    let task = TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
        .with_results(&[TaskConfigure::FAIL_BUT_TRY_AGAIN])
        .with_retries(1, 5);
    assert_eq!(client.task_configure(task), STATUS_SUCCESS);
    // The moment is the device's own.
    device.d0_exit();
    device.d0_entry();
    for cycle in 1..=5 {
        let before = client.task_until(|seen| seen.runs > cycle);
        device.d0_exit();
        let held = client.task_until(|seen| seen.state == TaskStatisticsReply::DUE);
        assert!(held.runs >= before.runs);
        let again = client.task_statistics();
        assert_eq!((again.runs, again.state), (held.runs, TaskStatisticsReply::DUE));
        if cycle % 2 == 0 {
            device.rebalance();
        } else {
            device.d0_entry();
        }
        client.task_until(|seen| seen.runs > held.runs);
    }
    let log = client.task_log();
    assert_eq!(
        (log[0].cause, log[0].from),
        (TaskLogEntry::D0_ENTRY, D3.cast_unsigned())
    );
    assert!(log[1..].iter().all(|run| run.cause == TaskLogEntry::RETRY));
}

#[test]
fn x09_a_task_that_is_made_out_of_d0_begins_nothing() {
    let device = device();
    let client = both(&device);
    device.d0_exit();
    let task = TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED);
    assert_eq!(client.task_configure(task), STATUS_SUCCESS);
    assert_eq!(
        client.task_execute(TaskExecute::DEFERRED, 0).wait().status,
        STATUS_SUCCESS
    );
    assert_eq!(
        client.task_execute(TaskExecute::DEFERRED_EX, 0).wait().status,
        STATUS_SUCCESS
    );
    // What is executed now is not held back, and shows that the rest had its chance.
    assert_eq!(client.task_execute_now().outcome, 0);
    let seen = client.task_statistics();
    assert_eq!((seen.runs, seen.state), (1, TaskStatisticsReply::DUE));
    device.d0_entry();
    client.task_until(|seen| seen.runs == 3 && seen.state == TaskStatisticsReply::DONE);
}

#[test]
fn w24_no_power_transition_waits_for_a_gate() {
    let device = device();
    let client = both(&device);
    let task = TaskConfigure {
        spend_us: limits::SPEND_US,
        ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::IMMEDIATE)
    };
    assert_eq!(client.task_configure(task), STATUS_SUCCESS);
    assert_eq!(client.task_header(TASK_GATE).wait().status, STATUS_SUCCESS);
    let now = client.task_execute(TaskExecute::NOW, 0);
    client.task_until(|seen| seen.causes[0] == 1);
    assert_eq!(now.answered(), None);
    // Two runs, at a closed gate and a second each: one goes on, and one is the device's own moment.
    device.d0_exit();
    assert_eq!(now.wait().status, STATUS_SUCCESS);
    device.d0_entry();
    let seen = client.task_statistics();
    assert_eq!((seen.gated, seen.causes), (1, [1, 0, 0, 1, 0]));
    // In D0 it is closed as it was.
    let again = client.task_execute(TaskExecute::NOW, 0);
    client.task_until(|seen| seen.causes[0] == 2);
    assert_eq!(again.answered(), None);
    // And removal waits for it no more than a power transition does.
    device.remove();
    assert!(again.answered().is_some());
}

#[test]
fn w24_tasks_that_are_not_there_and_not_theirs() {
    let device = device();
    let client = both(&device);
    let task = TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED);
    for _ in 0..2 {
        for code in [TASK_CLOSE, TASK_CANCEL, TASK_RESTART] {
            assert_eq!(client.task_header(code).wait().status, STATUS_DEVICE_NOT_READY);
        }
        assert_eq!(client.task_event(TaskEvent::D0_EXIT), STATUS_DEVICE_NOT_READY);
        assert_eq!(client.task_times_run(1), STATUS_DEVICE_NOT_READY);
        for how in [TaskExecute::NOW, TaskExecute::DEFERRED, TaskExecute::DEFERRED_EX] {
            assert_eq!(client.task_execute(how, 0).wait().status, STATUS_DEVICE_NOT_READY);
        }
        assert_eq!(
            client.task_statistics().state,
            TaskStatisticsReply::NOT_CONFIGURED
        );
        assert_eq!(client.task_configure(task), STATUS_SUCCESS);
        assert_eq!(client.task_configure(task), STATUS_DEVICE_ALREADY_ATTACHED);
        // An instance of the same number is another thing.
        assert_eq!(client.enqueue(Enqueue::new(0, 0), &[]), STATUS_DEVICE_NOT_READY);
        client.task_close();
    }
}

#[test]
fn w24_a_handle_closed_under_what_waits_for_a_task() {
    let device = device();
    let (keeper, leaver) = (both(&device), both(&device));
    let task = TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED);
    assert_eq!(keeper.task_configure(task), STATUS_SUCCESS);
    assert_eq!(leaver.task_header(TASK_GATE).wait().status, STATUS_SUCCESS);
    let (now, kept) = (
        leaver.task_execute(TaskExecute::NOW, 0),
        keeper.task_execute(TaskExecute::NOW, 0),
    );
    keeper.task_until(|seen| seen.state == TaskStatisticsReply::IDLE && seen.runs == 1);
    drop(leaver);
    assert_eq!(
        now.answered().map(|answered| answered.status),
        Some(STATUS_CANCELLED)
    );
    // With it its gate has opened; both have run.
    assert_eq!(kept.wait().status, STATUS_SUCCESS);
    let seen = keeper.task_until(|seen| seen.runs == 2);
    assert_eq!(seen.gated, 0);
}

#[test]
fn w24_values_of_tasks_out_of_their_limits() {
    let device = device();
    let client = both(&device);
    let good = TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED);
    let long = limits::TASK_DELAY_MS + 1;
    let mut hidden = good;
    hidden.results[1] = 1;
    for bad in [
        TaskConfigure { when: 3, ..good },
        TaskConfigure { mode: 2, ..good },
        TaskConfigure {
            name: limits::TASK_NAMES + 1,
            ..good
        },
        TaskConfigure {
            initial_delay_ms: long,
            ..good
        },
        good.with_retries(0, 1),
        good.with_retries(1, 0),
        good.with_retries(long, 1),
        good.with_retries(1, long),
        TaskConfigure {
            spend_us: limits::SPEND_US + 1,
            ..good
        },
        TaskConfigure { inside: 5, ..good },
        TaskConfigure {
            result_count: 0,
            ..good
        },
        TaskConfigure {
            result_count: limits::TASK_RESULTS + 1,
            ..good
        },
        good.with_results(&[4]),
        TaskConfigure { reserved: 1, ..good },
        hidden,
    ] {
        assert_eq!(client.task_configure(bad), STATUS_INVALID_PARAMETER, "{bad:?}");
    }
    assert_eq!(client.task_statistics(), TaskStatisticsReply::default());
    assert_eq!(client.task_configure(good), STATUS_SUCCESS);
    for (how, flags) in [(3, 0), (TaskExecute::NOW, 1), (TaskExecute::DEFERRED, 2)] {
        assert_eq!(
            client.task_execute(how, flags).wait().status,
            STATUS_INVALID_PARAMETER
        );
    }
    for (event, from) in [
        (4, 0),
        (TaskEvent::D0_EXIT, 1),
        (TaskEvent::D0_ENTRY, limits::POWER_STATE + 1),
    ] {
        let header = Header::new(0);
        let request = TaskEvent { header, event, from };
        let status = client.call(TASK_EVENT, request.as_bytes(), 0).status;
        assert_eq!(status, STATUS_INVALID_PARAMETER);
    }
    let request = TaskSetTimesRun {
        header: Header::new(0),
        times: 1,
        reserved: 1,
    };
    let status = client.call(TASK_SET_TIMES_RUN, request.as_bytes(), 0).status;
    assert_eq!(status, STATUS_INVALID_PARAMETER);
    assert_eq!(client.task_statistics().times_run, 0);
}

#[test]
fn w18_whatever_allocation_of_a_task_fails_nothing_is_left() {
    let machine = Machine::new();
    let _entered = machine.enter();
    let task = TaskConfigure {
        name: 1,
        ..TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED)
    };
    for attempt in 1.. {
        let device = device();
        let client = both(&device);
        machine.fail_allocation(attempt);
        let status = client.task_configure(task);
        machine.fail_allocation(0);
        if status != STATUS_SUCCESS {
            assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES);
            assert_eq!(
                client.task_configure(task),
                STATUS_SUCCESS,
                "the slot is as it was"
            );
        }
        assert_eq!(client.task_execute_now().outcome, 0);
        client.task_close();
        drop(client);
        drop(device);
        machine.assert_no_leaks();
        if status == STATUS_SUCCESS {
            assert!(attempt > 3, "some allocation must have failed before");
            break;
        }
    }
}
