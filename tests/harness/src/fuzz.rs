//! Requests that nobody would send: random ones, and good ones with something wrong.
//!
//! A request is made from a seed and its number's place in the row alone, so that a seed that found something finds it
//! again. What is sent is mostly almost right: noise is refused by the first check and reaches nothing behind it.

use queued_work_item_ioctl::{
    self as ioctl, Batch, BatchItem, BatchReply, Benchmark, BenchmarkReply, CancelReply, Close, CloseReply,
    Complete, Configure, Enqueue, Header, LogEntry, LogReply, ReadLog, StatisticsReply, StopReply, Stress,
    StressReply, TaskConfigure, TaskDroppedReply, TaskEvent, TaskExecute, TaskExecuteReply, TaskLogEntry,
    TaskReadLog, TaskRestartReply, TaskSetTimesRun, TaskStatisticsReply, VersionReply, WaitReply, limits,
};
use zerocopy::IntoBytes;

use crate::{NtStatus, client, device::Completion};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fuzzed {
    /// The control code.
    pub code: u32,
    /// Its input.
    pub input: Vec<u8>,
    /// The room for its output.
    pub output: usize,
}

/// A row of requests, endless.
#[derive(Clone, Debug)]
pub struct Generator {
    random: fastrand::Rng,
}

/// Figures that checks are written around.
const EDGES: [u32; 16] = [
    0,
    1,
    2,
    7,
    8,
    64,
    1_024,
    4_096,
    limits::BUFFER_COUNT,
    limits::BUFFER_COUNT + 1,
    limits::SPEND_US,
    limits::AGAIN + 1,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFE,
    u32::MAX,
];

impl Generator {
    /// The row of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// A number below `bound`, for whoever needs one that the seed decides as well.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.random.u32(..bound)
    }

    /// The next one.
    pub fn request(&mut self) -> Fuzzed {
        let (code, _) = ioctl::ALL[self.random.usize(..ioctl::ALL.len())];
        let (mut input, due) = if self.one_in(10) {
            (self.noise(256), 256)
        } else {
            self.almost_good(code)
        };
        if self.one_in(2) {
            for _ in 0..=self.random.u8(..3) {
                self.mutate(&mut input);
            }
        }
        Fuzzed {
            code: match self.random.u8(..20) {
                0 => code ^ 1 << self.random.u32(..32),
                1 => self.random.u32(..),
                _ => code,
            },
            input,
            output: match self.random.u8(..10) {
                0 => due.saturating_sub(1),
                1 => self.random.usize(..512),
                2 => 64 * 1024,
                _ => due,
            },
        }
    }

    fn one_in(&mut self, chances: u8) -> bool {
        self.random.u8(..chances) == 0
    }

    /// A figure that is small, or an edge.
    fn figure(&mut self, usual: u32) -> u32 {
        if self.one_in(8) {
            EDGES[self.random.usize(..EDGES.len())]
        } else {
            self.random.u32(..=usual)
        }
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        let length = self.random.usize(..=most);
        (0..length).map(|_| self.random.u8(..)).collect()
    }

    fn header(&mut self) -> Header {
        Header::new(if self.one_in(20) {
            self.figure(limits::INSTANCES)
        } else {
            self.random.u32(..limits::INSTANCES)
        })
    }

    fn item(&mut self) -> Vec<u8> {
        let item = Enqueue {
            header: self.header(),
            // Few, so that pended ones are found.
            tag: if self.one_in(2) {
                self.random.u64(..16)
            } else {
                self.random.u64(..)
            },
            status: self.random.u32(..),
            // A callback that spends long holds up its instance, and with it all that is to be found behind it.
            spend_us: if self.one_in(64) { self.figure(10_000) } else { 0 },
            flags: self.random.u32(..4)
                | if self.one_in(6) {
                    self.random.u32(..4) << 2
                } else {
                    0
                },
            again: if self.one_in(8) { self.figure(100) } else { 0 },
            timeout_ms: 0,
            reserved: u32::from(self.one_in(64)),
        };
        let item = if item.flags & Enqueue::TIMEOUT != 0 {
            Enqueue {
                timeout_ms: self.figure(20),
                ..item
            }
        } else {
            item
        };
        let mut input = item.as_bytes().to_vec();
        input.extend(self.noise(80));
        input
    }

    /// A good input of that code, or nearly, and the output that it is due.
    fn almost_good(&mut self, code: u32) -> (Vec<u8>, usize) {
        let header = self.header();
        match code {
            ioctl::VERSION => (Vec::new(), size_of::<VersionReply>()),
            ioctl::CONFIGURE => {
                let count = self.figure(64);
                let configure = Configure {
                    header,
                    buffer_count: count,
                    buffer_size: self.figure(128),
                    max_buffers: if self.one_in(2) { self.figure(128) } else { 0 },
                    context_size: self.figure(limits::CONTEXT_SIZE),
                    flags: self.random.u32(..3),
                    pool: u32::from(self.one_in(8)),
                    kind: u32::from(self.one_in(3)),
                    priority: if self.one_in(8) {
                        self.figure(limits::PRIORITY)
                    } else {
                        0
                    },
                };
                (configure.as_bytes().to_vec(), 0)
            }
            ioctl::ENQUEUE => (self.item(), 0),
            ioctl::ENQUEUE_AND_WAIT => (self.item(), size_of::<WaitReply>()),
            ioctl::ENQUEUE_BATCH => self.batch(header),
            ioctl::CLOSE => {
                let close = Close {
                    header,
                    mode: self.figure(2),
                    reserved: 0,
                };
                (close.as_bytes().to_vec(), size_of::<CloseReply>())
            }
            ioctl::READ_LOG => {
                let from = if self.one_in(2) { 0 } else { self.random.u64(..) };
                let entries = self.random.usize(..8) * size_of::<LogEntry>();
                (
                    ReadLog { header, from }.as_bytes().to_vec(),
                    size_of::<LogReply>() + entries,
                )
            }
            ioctl::STRESS => {
                let stress = Stress {
                    header,
                    producers: self.figure(4),
                    items: self.figure(1_000),
                    payload: self.figure(128),
                    buffer_count: self.figure(256),
                    mode: self.random.u32(..4),
                    kind: self.random.u32(..2),
                };
                (stress.as_bytes().to_vec(), size_of::<StressReply>())
            }
            ioctl::BENCHMARK => {
                let benchmark = Benchmark {
                    header,
                    samples: self.figure(limits::BENCHMARK_SAMPLES),
                    reserved: 0,
                };
                (benchmark.as_bytes().to_vec(), size_of::<BenchmarkReply>())
            }
            ioctl::COMPLETE => {
                let complete = Complete {
                    header,
                    tag: self.random.u64(..16),
                    status: self.random.u32(..),
                    at: self.random.u32(..4),
                };
                (complete.as_bytes().to_vec(), 0)
            }
            code => self.almost_good_task(code, header),
        }
    }

    fn almost_good_task(&mut self, code: u32, header: Header) -> (Vec<u8>, usize) {
        let due = reply_size(code).unwrap_or(0);
        match code {
            ioctl::TASK_CONFIGURE => (self.task(header).as_bytes().to_vec(), due),
            ioctl::TASK_EXECUTE => {
                let how = self.random.u32(..4);
                let flags = u32::from(how != TaskExecute::NOW && self.one_in(2));
                (TaskExecute { header, how, flags }.as_bytes().to_vec(), due)
            }
            ioctl::TASK_EVENT => {
                let event = self.random.u32(..5);
                let from = if event == TaskEvent::D0_ENTRY {
                    self.figure(limits::POWER_STATE)
                } else {
                    0
                };
                (TaskEvent { header, event, from }.as_bytes().to_vec(), due)
            }
            ioctl::TASK_SET_TIMES_RUN => {
                let times = TaskSetTimesRun {
                    header,
                    times: self.random.u32(..2),
                    reserved: 0,
                };
                (times.as_bytes().to_vec(), due)
            }
            ioctl::TASK_READ_LOG => {
                let from = if self.one_in(2) { 0 } else { self.random.u64(..) };
                let entries = self.random.usize(..8) * size_of::<TaskLogEntry>();
                (
                    TaskReadLog { header, from }.as_bytes().to_vec(),
                    size_of::<LogReply>() + entries,
                )
            }
            _ => (header.as_bytes().to_vec(), due),
        }
    }

    fn task(&mut self, header: Header) -> TaskConfigure {
        let count = self.random.u8(1..=16);
        let mut results = [0; limits::TASK_RESULTS as usize];
        for result in results.iter_mut().take(count.into()) {
            *result = self.random.u8(..4);
        }
        TaskConfigure {
            header,
            when: self.random.u32(..3),
            mode: self.random.u32(..2),
            name: if self.one_in(4) { self.figure(4) } else { 0 },
            initial_delay_ms: if self.one_in(4) { self.figure(20) } else { 0 },
            retry_on_success_ms: 1 + self.random.u32(..20),
            retry_on_failure_ms: 1 + self.random.u32(..20),
            spend_us: if self.one_in(64) { self.figure(10_000) } else { 0 },
            inside: self.random.u32(..5),
            result_count: count.into(),
            results,
            reserved: u32::from(self.one_in(64)),
        }
    }

    fn batch(&mut self, header: Header) -> (Vec<u8>, usize) {
        let items = self.random.usize(..6);
        let count = u32::try_from(items).unwrap_or(0);
        let mut input = Batch {
            header,
            count: if self.one_in(16) { self.figure(8) } else { count },
            reserved: 0,
        }
        .as_bytes()
        .to_vec();
        for _ in 0..items {
            let item = if self.one_in(8) {
                self.noise(64)
            } else {
                self.item()
            };
            let length = u32::try_from(item.len()).unwrap_or(0);
            input.extend_from_slice(BatchItem { length }.as_bytes());
            input.extend(item);
        }
        (input, size_of::<BatchReply>() + items * size_of::<u32>())
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let length = input.len();
        match self.random.u8(..5) {
            0 => input.truncate(self.random.usize(..=length)),
            1 => input.extend(self.noise(64)),
            2 if length > 0 => input[self.random.usize(..length)] ^= 1 << self.random.u8(..8),
            3 if length > 0 => input[self.random.usize(..length)] = self.random.u8(..),
            4 if length >= size_of::<u32>() => {
                // Fields are aligned.
                let field = self.random.usize(..length / size_of::<u32>()) * size_of::<u32>();
                let edge = EDGES[self.random.usize(..EDGES.len())];
                input[field..field + size_of::<u32>()].copy_from_slice(&edge.to_le_bytes());
            }
            _ => {}
        }
    }
}

/// What a success of that code brings, where that is one length.
fn reply_size(code: u32) -> Option<usize> {
    match code {
        ioctl::VERSION => Some(size_of::<VersionReply>()),
        ioctl::ENQUEUE_AND_WAIT => Some(size_of::<WaitReply>()),
        ioctl::CONFIGURE
        | ioctl::ENQUEUE
        | ioctl::FLUSH
        | ioctl::GATE
        | ioctl::RELEASE
        | ioctl::START
        | ioctl::COMPLETE
        | ioctl::TASK_CONFIGURE
        | ioctl::TASK_EVENT
        | ioctl::TASK_SET_TIMES_RUN
        | ioctl::TASK_GATE
        | ioctl::TASK_RELEASE => Some(0),
        ioctl::TASK_CLOSE | ioctl::TASK_CANCEL => Some(size_of::<TaskDroppedReply>()),
        ioctl::TASK_EXECUTE => Some(size_of::<TaskExecuteReply>()),
        ioctl::TASK_RESTART => Some(size_of::<TaskRestartReply>()),
        ioctl::TASK_STATISTICS => Some(size_of::<TaskStatisticsReply>()),
        ioctl::CLOSE => Some(size_of::<CloseReply>()),
        ioctl::CANCEL => Some(size_of::<CancelReply>()),
        ioctl::STOP => Some(size_of::<StopReply>()),
        ioctl::STATISTICS => Some(size_of::<StatisticsReply>()),
        ioctl::STRESS | ioctl::STRESS_PROGRESS => Some(size_of::<StressReply>()),
        ioctl::BENCHMARK => Some(size_of::<BenchmarkReply>()),
        _ => None,
    }
}

/// What is wrong with an answer; nothing, if the contract allows it.
#[must_use]
pub fn judge(request: &Fuzzed, answer: &Completion) -> Option<String> {
    let Completion { status, output } = answer;
    let known = ioctl::ALL.iter().any(|(code, _)| *code == request.code);
    let wrong = if !known && ![NtStatus::INVALID_DEVICE_REQUEST, NtStatus::CANCELLED].contains(status) {
        Some("a code of no contract was not refused".to_owned())
    } else if ioctl::status_name(status.0).is_none() || *status == NtStatus::TIMEOUT {
        Some("a status that the contract does not have".to_owned())
    } else if *status == NtStatus::SUCCESS {
        let due = reply_size(request.code);
        (output.len() > request.output || due.is_some_and(|due| output.len() != due))
            .then(|| format!("{} bytes of output where {due:?} were due", output.len()))
    } else {
        (!output.is_empty()).then(|| format!("{} bytes of output with a refusal", output.len()))
    };
    wrong.map(|wrong| {
        format!(
            "{} ({:#010x}) with {} bytes {:02x?}, room for {}: {status}: {wrong}",
            client::name(request.code),
            request.code,
            request.input.len(),
            request.input,
            request.output
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_seed_makes_one_row() {
        let row = |seed| {
            let mut generator = Generator::new(seed);
            std::array::from_fn::<_, 50, _>(|_| generator.request())
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
    }

    #[test]
    fn every_code_is_sent_and_strangers_are() {
        let mut generator = Generator::new(1);
        let mut counts = BTreeMap::<_, u32>::new();
        for _ in 0..5_000 {
            *counts.entry(client::name(generator.request().code)).or_default() += 1;
        }
        for (_, name) in ioctl::ALL {
            assert!(
                counts.get(name).is_some_and(|count| *count > 60),
                "{name}: {counts:?}"
            );
        }
        assert!(counts.len() > ioctl::ALL.len(), "no stranger");
    }

    #[test]
    fn answers_are_judged() {
        let request = |code| Fuzzed {
            code,
            input: Vec::new(),
            output: 512,
        };
        let answer = |status, bytes| Completion {
            status,
            output: vec![0; bytes],
        };
        let statistics = request(ioctl::STATISTICS);
        assert_eq!(judge(&statistics, &answer(NtStatus::SUCCESS, 112)), None);
        assert_eq!(judge(&statistics, &answer(NtStatus::REVISION_MISMATCH, 0)), None);
        let stranger = request(0x0022_0000);
        assert_eq!(
            judge(&stranger, &answer(NtStatus::INVALID_DEVICE_REQUEST, 0)),
            None
        );
        for (request, answer) in [
            (&statistics, answer(NtStatus::SUCCESS, 111)),
            (&statistics, answer(NtStatus::SUCCESS, 600)),
            (&statistics, answer(NtStatus::REVISION_MISMATCH, 1)),
            (&statistics, answer(NtStatus(0xC000_0005), 0)),
            (&statistics, answer(NtStatus::TIMEOUT, 0)),
            (&stranger, answer(NtStatus::SUCCESS, 0)),
        ] {
            assert!(judge(request, &answer).is_some(), "{request:?} {answer:?}");
        }
    }
}
