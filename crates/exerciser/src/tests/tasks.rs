//! Tasks: what they return, when they run, and how they are cancelled.

use std::vec::Vec;

use queued_work_item_ioctl::*;
use zerocopy::{FromBytes, IntoBytes};

use super::{ROOM, both, device};
use crate::testing::{Client, D3, PATIENCE, Pended};

const WHENS: [u32; 3] = [
    TaskConfigure::ON_DEMAND,
    TaskConfigure::PREPARE_HARDWARE,
    TaskConfigure::D0_ENTRY,
];
const RESULTS: [u8; 4] = [
    TaskConfigure::SUCCESS,
    TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
    TaskConfigure::FAIL,
    TaskConfigure::FAIL_BUT_TRY_AGAIN,
];

/// What the tests say to a driver's tasks.
impl Client<'_> {
    pub(super) fn task_configure(&self, request: TaskConfigure) -> u32 {
        self.call(TASK_CONFIGURE, request.as_bytes(), 0).status
    }

    pub(super) fn task_header(&self, code: u32) -> Pended {
        self.send(code, Header::new(0).as_bytes(), ROOM)
    }

    pub(super) fn task_execute(&self, how: u32, flags: u32) -> Pended {
        let header = Header::new(0);
        let request = TaskExecute { header, how, flags };
        self.send(TASK_EXECUTE, request.as_bytes(), size_of::<TaskExecuteReply>())
    }

    pub(super) fn task_execute_now(&self) -> TaskExecuteReply {
        self.task_execute(TaskExecute::NOW, 0).wait().reply()
    }

    pub(super) fn task_event(&self, event: u32) -> u32 {
        let from = if event == TaskEvent::D0_ENTRY {
            D3.cast_unsigned()
        } else {
            0
        };
        let header = Header::new(0);
        let request = TaskEvent { header, event, from };
        self.call(TASK_EVENT, request.as_bytes(), 0).status
    }

    pub(super) fn task_times_run(&self, times: u32) -> u32 {
        let request = TaskSetTimesRun {
            header: Header::new(0),
            times,
            reserved: 0,
        };
        self.call(TASK_SET_TIMES_RUN, request.as_bytes(), 0).status
    }

    pub(super) fn task_drop(&self, code: u32) -> TaskDroppedReply {
        self.task_header(code).wait().reply()
    }

    pub(super) fn task_statistics(&self) -> TaskStatisticsReply {
        self.task_header(TASK_STATISTICS).wait().reply()
    }

    pub(super) fn task_log(&self) -> Vec<TaskLogEntry> {
        let request = TaskReadLog {
            header: Header::new(0),
            from: 0,
        };
        let answered = self.call(TASK_READ_LOG, request.as_bytes(), ROOM);
        let (head, tail) = LogReply::read_from_prefix(&answered.output).expect("a reply has a head");
        let entries: Vec<_> = tail
            .chunks(size_of::<TaskLogEntry>())
            .map(|entry| TaskLogEntry::read_from_bytes(entry).expect("entries are whole"))
            .collect();
        assert_eq!(entries.len(), head.count as usize);
        entries
    }

    pub(super) fn task_until(&self, what: impl Fn(&TaskStatisticsReply) -> bool) -> TaskStatisticsReply {
        let start = std::time::Instant::now();
        loop {
            let statistics = self.task_statistics();
            if what(&statistics) {
                return statistics;
            }
            assert!(start.elapsed() < PATIENCE, "never came to be: {statistics:?}");
            std::thread::yield_now();
        }
    }

    /// Closes the task, and checks what must always be so.
    pub(super) fn task_close(&self) -> TaskDroppedReply {
        let dropped = self.task_drop(TASK_CLOSE);
        let statistics = self.task_statistics();
        assert_eq!(statistics.state, TaskStatisticsReply::NOT_CONFIGURED);
        assert_eq!((statistics.overlaps, statistics.above_passive), (0, 0));
        assert_eq!(statistics.causes.iter().sum::<u64>(), statistics.runs);
        dropped
    }
}

fn settled(statistics: &TaskStatisticsReply) -> bool {
    [TaskStatisticsReply::IDLE, TaskStatisticsReply::DONE].contains(&statistics.state)
}

#[test]
fn x06_each_result_at_each_moment() {
    let device = device();
    let client = both(&device);
    for when in WHENS {
        for mode in [TaskConfigure::IMMEDIATE, TaskConfigure::DEFERRED] {
            for result in RESULTS {
                let task = TaskConfigure::new(0, when, mode)
                    .with_results(&[result])
                    .with_retries(1, 1);
                assert_eq!(client.task_configure(task), STATUS_SUCCESS);
                let own = match when {
                    TaskConfigure::PREPARE_HARDWARE => Some(TaskEvent::PREPARE_HARDWARE),
                    TaskConfigure::D0_ENTRY => Some(TaskEvent::D0_ENTRY),
                    _ => None,
                };
                let again = match result {
                    TaskConfigure::SUCCESS_BUT_TRY_AGAIN => true,
                    TaskConfigure::FAIL_BUT_TRY_AGAIN => mode == TaskConfigure::DEFERRED,
                    _ => false,
                };
                for moment in 1..=3_u64 {
                    for event in [TaskEvent::PREPARE_HARDWARE, TaskEvent::D0_ENTRY] {
                        let failed = Some(event) == own
                            && mode == TaskConfigure::IMMEDIATE
                            && [TaskConfigure::FAIL, TaskConfigure::FAIL_BUT_TRY_AGAIN].contains(&result);
                        let due = if failed {
                            STATUS_UNSUCCESSFUL
                        } else {
                            STATUS_SUCCESS
                        };
                        assert_eq!(client.task_event(event), due);
                    }
                    let what = (when, mode, result, moment);
                    match own {
                        None => assert_eq!(client.task_statistics().runs, 0, "{what:?}"),
                        Some(_) if again => {
                            client.task_until(|statistics| statistics.retries > moment + 3);
                        }
                        Some(_) => {
                            let due = if result == TaskConfigure::SUCCESS {
                                1
                            } else {
                                moment
                            };
                            let seen = client.task_until(|seen| settled(seen) && seen.runs >= due);
                            assert_eq!((seen.runs, seen.retries), (due, 0), "{what:?}");
                        }
                    }
                }
                assert_eq!(client.task_close().task, u32::from(own.is_some() && again));
            }
        }
    }
}

#[test]
fn x06_each_result_on_demand() {
    let device = device();
    let client = both(&device);
    let task = TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED).with_retries(1, 1);
    for result in RESULTS {
        // Here and now, or so many times: the results are the caller's business.
        assert_eq!(
            client.task_configure(task.with_results(&[result])),
            STATUS_SUCCESS
        );
        for run in 1..=3 {
            assert_eq!(client.task_execute_now().outcome, u32::from(result));
            assert_eq!(client.task_statistics().runs, run);
        }
        for flags in [0, TaskExecute::AT_DISPATCH] {
            let asked = client.task_execute(TaskExecute::DEFERRED, flags).wait();
            assert_eq!(asked.status, STATUS_SUCCESS);
        }
        let seen = client.task_until(|seen| seen.runs == 5);
        assert_eq!((seen.causes, seen.times_run), ([3, 2, 0, 0, 0], 0));
        assert_eq!(client.task_close(), TaskDroppedReply { runs: 0, task: 0 });
    }
    // Of the task itself they count: two retries, and done.
    let script = [
        TaskConfigure::FAIL_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS_BUT_TRY_AGAIN,
        TaskConfigure::SUCCESS,
    ];
    assert_eq!(client.task_configure(task.with_results(&script)), STATUS_SUCCESS);
    let asked: TaskExecuteReply = client
        .task_execute(TaskExecute::DEFERRED_EX, TaskExecute::AT_DISPATCH)
        .wait()
        .reply();
    assert_eq!(asked.outcome, TaskExecuteReply::NEW);
    let seen = client.task_until(|seen| seen.state == TaskStatisticsReply::DONE);
    assert_eq!((seen.runs, seen.retries, seen.times_run), (3, 2, 1));
    let refused = client.task_execute(TaskExecute::DEFERRED_EX, 0).wait().status;
    assert_eq!(refused, STATUS_INVALID_DEVICE_STATE);
    let log = client.task_log();
    assert_eq!(
        log.iter()
            .map(|run| (run.sequence, run.cause, run.result))
            .collect::<Vec<_>>(),
        [
            (0, TaskLogEntry::NOW_DEFERRED, u32::from(script[0])),
            (1, TaskLogEntry::RETRY, u32::from(script[1])),
            (2, TaskLogEntry::RETRY, u32::from(script[2])),
        ]
    );
    for pair in log.windows(2) {
        assert!(
            pair[1].began_ns - pair[0].ended_ns >= 900_000,
            "{pair:?}: a millisecond lies between"
        );
    }
    // Not done any more, it can be had again.
    assert_eq!(client.task_times_run(0), STATUS_SUCCESS);
    let asked: TaskExecuteReply = client.task_execute(TaskExecute::DEFERRED_EX, 0).wait().reply();
    assert_eq!(asked.outcome, TaskExecuteReply::NEW);
    client.task_until(|seen| seen.state == TaskStatisticsReply::DONE && seen.runs == 4);
}

#[test]
fn x06_calls_from_inside() {
    let device = device();
    let client = both(&device);
    for (inside, told) in [
        (TaskConfigure::NOTHING, STATUS_SUCCESS),
        (TaskConfigure::CANCEL, STATUS_POSSIBLE_DEADLOCK),
        (TaskConfigure::CLOSE, STATUS_POSSIBLE_DEADLOCK),
        (TaskConfigure::EXECUTE_NOW, STATUS_POSSIBLE_DEADLOCK),
        (TaskConfigure::EXECUTE_NOW_DEFERRED_EX, STATUS_SUCCESS),
    ] {
        let task = TaskConfigure {
            inside,
            ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
        };
        assert_eq!(client.task_configure(task), STATUS_SUCCESS);
        assert_eq!(client.task_event(TaskEvent::D0_ENTRY), STATUS_SUCCESS);
        client.task_until(|seen| seen.state == TaskStatisticsReply::DONE);
        let log = client.task_log();
        assert_eq!(log.len(), 1);
        assert_eq!((log[0].inside_status, log[0].from), (told, D3.cast_unsigned()));
        client.task_close();
    }
}

#[test]
fn x07_cancel_before_the_first_run_and_restart() {
    let device = device();
    let client = both(&device);
    let task = TaskConfigure {
        initial_delay_ms: limits::TASK_DELAY_MS,
        ..TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
    };
    assert_eq!(client.task_configure(task), STATUS_SUCCESS);
    assert_eq!(client.task_event(TaskEvent::D0_ENTRY), STATUS_SUCCESS);
    assert_eq!(client.task_statistics().state, TaskStatisticsReply::WAITING);
    assert_eq!(
        client.task_drop(TASK_CANCEL),
        TaskDroppedReply { runs: 0, task: 1 }
    );
    for how in [TaskExecute::NOW, TaskExecute::DEFERRED, TaskExecute::DEFERRED_EX] {
        assert_eq!(client.task_execute(how, 0).wait().status, STATUS_CANCELLED);
    }
    let restart = || {
        client
            .task_header(TASK_RESTART)
            .wait()
            .reply::<TaskRestartReply>()
            .restarted
    };
    assert_eq!((restart(), restart()), (1, 0));
    assert_eq!(client.task_statistics().runs, 0);
    let asked: TaskExecuteReply = client.task_execute(TaskExecute::DEFERRED_EX, 0).wait().reply();
    assert_eq!(asked.outcome, TaskExecuteReply::BROUGHT_FORWARD);
    client.task_until(|seen| seen.state == TaskStatisticsReply::DONE && seen.runs == 1);
}

#[test]
fn x07_a_cancel_waits_for_the_run_and_tells_its_retry() {
    let device = device();
    let client = both(&device);
    let task = TaskConfigure::new(0, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED)
        .with_results(&[TaskConfigure::FAIL_BUT_TRY_AGAIN, TaskConfigure::SUCCESS])
        .with_retries(1, 1);
    assert_eq!(client.task_configure(task), STATUS_SUCCESS);
    assert_eq!(client.task_header(TASK_GATE).wait().status, STATUS_SUCCESS);
    assert_eq!(client.task_event(TaskEvent::D0_ENTRY), STATUS_SUCCESS);
    client.task_until(|seen| seen.state == TaskStatisticsReply::RUNNING);
    for _ in 0..3 {
        let asked = client.task_execute(TaskExecute::DEFERRED, 0).wait();
        assert_eq!(asked.status, STATUS_SUCCESS);
    }
    let cancel = client.task_header(TASK_CANCEL);
    client.task_until(|seen| seen.state == TaskStatisticsReply::CANCELLED && seen.dropped == 3);
    assert_eq!(cancel.answered(), None);
    assert_eq!(client.task_header(TASK_RELEASE).wait().status, STATUS_SUCCESS);
    assert_eq!(
        cancel.wait().reply::<TaskDroppedReply>(),
        TaskDroppedReply { runs: 3, task: 1 }
    );
    assert_eq!(
        client
            .task_header(TASK_RESTART)
            .wait()
            .reply::<TaskRestartReply>()
            .restarted,
        1
    );
    let seen = client.task_until(|seen| seen.state == TaskStatisticsReply::DONE);
    assert_eq!((seen.runs, seen.dropped), (2, 3));
}
