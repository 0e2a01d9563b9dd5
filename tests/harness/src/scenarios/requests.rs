//! One good request under every code, which the hostile scenarios make bad.

use queued_work_item_ioctl::{
    self as ioctl, Benchmark, BenchmarkReply, CancelReply, Close, CloseReply, Complete, Configure, Enqueue,
    Header, LogReply, ReadLog, StatisticsReply, StopReply, StressReply, TaskConfigure, TaskDroppedReply,
    TaskEvent, TaskExecute, TaskExecuteReply, TaskReadLog, TaskRestartReply, TaskSetTimesRun,
    TaskStatisticsReply, VersionReply, WaitReply,
};
use zerocopy::IntoBytes;

/// A request that is as it should be.
pub(super) struct Request {
    pub(super) code: u32,
    pub(super) input: Vec<u8>,
    pub(super) output: usize,
    /// Bytes may follow the structure.
    pub(super) open_ended: bool,
}

impl Request {
    fn fixed(code: u32, input: &[u8], output: usize) -> Self {
        Self {
            code,
            input: input.to_vec(),
            output,
            open_ended: false,
        }
    }
}

/// One good request under every code, to the instance or the task that the header names.
pub(super) fn requests(header: Header) -> Vec<Request> {
    let mut all = of_instances(header);
    all.extend(of_tasks(header));
    all
}

fn of_instances(header: Header) -> Vec<Request> {
    let fixed = Request::fixed;
    let item = |code, output| Request {
        code,
        input: Enqueue {
            header,
            ..Enqueue::new(0, 0)
        }
        .as_bytes()
        .to_vec(),
        output,
        open_ended: true,
    };
    vec![
        fixed(ioctl::VERSION, &[], size_of::<VersionReply>()),
        fixed(ioctl::CONFIGURE, configure(header, 1, 1).as_bytes(), 0),
        item(ioctl::ENQUEUE, 0),
        item(ioctl::ENQUEUE_AND_WAIT, size_of::<WaitReply>()),
        fixed(ioctl::FLUSH, header.as_bytes(), 0),
        fixed(ioctl::CLOSE, close(header).as_bytes(), size_of::<CloseReply>()),
        fixed(ioctl::GATE, header.as_bytes(), 0),
        fixed(ioctl::RELEASE, header.as_bytes(), 0),
        fixed(ioctl::STATISTICS, header.as_bytes(), size_of::<StatisticsReply>()),
        fixed(
            ioctl::READ_LOG,
            ReadLog { header, from: 0 }.as_bytes(),
            size_of::<LogReply>(),
        ),
        fixed(ioctl::START, header.as_bytes(), 0),
        fixed(ioctl::STOP, header.as_bytes(), size_of::<StopReply>()),
        fixed(
            ioctl::COMPLETE,
            Complete {
                header,
                tag: 0,
                status: 0,
                at: Complete::PASSIVE,
            }
            .as_bytes(),
            0,
        ),
        fixed(ioctl::CANCEL, header.as_bytes(), size_of::<CancelReply>()),
        fixed(
            ioctl::BENCHMARK,
            Benchmark {
                header,
                samples: 1,
                reserved: 0,
            }
            .as_bytes(),
            size_of::<BenchmarkReply>(),
        ),
        fixed(
            ioctl::STRESS_PROGRESS,
            header.as_bytes(),
            size_of::<StressReply>(),
        ),
    ]
}

fn of_tasks(header: Header) -> Vec<Request> {
    let fixed = Request::fixed;
    vec![
        fixed(
            ioctl::TASK_CONFIGURE,
            TaskConfigure {
                header,
                ..TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED)
            }
            .as_bytes(),
            0,
        ),
        fixed(
            ioctl::TASK_CLOSE,
            header.as_bytes(),
            size_of::<TaskDroppedReply>(),
        ),
        fixed(
            ioctl::TASK_EXECUTE,
            TaskExecute {
                header,
                how: TaskExecute::DEFERRED,
                flags: 0,
            }
            .as_bytes(),
            size_of::<TaskExecuteReply>(),
        ),
        fixed(
            ioctl::TASK_EVENT,
            TaskEvent {
                header,
                event: TaskEvent::D0_EXIT,
                from: 0,
            }
            .as_bytes(),
            0,
        ),
        fixed(
            ioctl::TASK_CANCEL,
            header.as_bytes(),
            size_of::<TaskDroppedReply>(),
        ),
        fixed(
            ioctl::TASK_RESTART,
            header.as_bytes(),
            size_of::<TaskRestartReply>(),
        ),
        fixed(
            ioctl::TASK_SET_TIMES_RUN,
            TaskSetTimesRun {
                header,
                times: 1,
                reserved: 0,
            }
            .as_bytes(),
            0,
        ),
        fixed(ioctl::TASK_GATE, header.as_bytes(), 0),
        fixed(ioctl::TASK_RELEASE, header.as_bytes(), 0),
        fixed(
            ioctl::TASK_STATISTICS,
            header.as_bytes(),
            size_of::<TaskStatisticsReply>(),
        ),
        fixed(
            ioctl::TASK_READ_LOG,
            TaskReadLog { header, from: 0 }.as_bytes(),
            size_of::<LogReply>(),
        ),
    ]
}

pub(super) const fn configure(header: Header, buffer_count: u32, buffer_size: u32) -> Configure {
    Configure {
        header,
        ..Configure::new(0, buffer_count, buffer_size)
    }
}

pub(super) const fn close(header: Header) -> Close {
    Close {
        header,
        mode: Close::DRAIN,
        reserved: 0,
    }
}
