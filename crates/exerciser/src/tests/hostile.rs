//! What user mode may send, and what it is told.

use std::vec::Vec;

use queued_work_item_ioctl::*;
use zerocopy::IntoBytes;

use super::{ROOM, both, device, joined};
use crate::testing::{Rights, STATUS_ACCESS_DENIED};

/// A proper input of each code, and how much output it needs.
fn proper(code: u32) -> (Vec<u8>, usize) {
    let header = Header::new(0);
    match code {
        VERSION => (Vec::new(), size_of::<VersionReply>()),
        CONFIGURE => (Configure::new(0, 4, 8).as_bytes().to_vec(), 0),
        ENQUEUE_BATCH => {
            let items = [joined(Enqueue::new(0, 1), &[]), joined(Enqueue::new(0, 2), &[3])];
            (
                super::batch(&items),
                size_of::<BatchReply>() + 2 * size_of::<u32>(),
            )
        }
        STRESS => (
            super::stress::load(2, 10, Stress::PASSIVE).as_bytes().to_vec(),
            size_of::<StressReply>(),
        ),
        STRESS_PROGRESS => (header.as_bytes().to_vec(), size_of::<StressReply>()),
        BENCHMARK => (
            Benchmark {
                samples: 1,
                ..Benchmark::new()
            }
            .as_bytes()
            .to_vec(),
            size_of::<BenchmarkReply>(),
        ),
        CANCEL => (header.as_bytes().to_vec(), size_of::<CancelReply>()),
        ENQUEUE => (joined(Enqueue::new(0, 1), &[]), 0),
        ENQUEUE_AND_WAIT => (joined(Enqueue::new(0, 1), &[]), size_of::<WaitReply>()),
        CLOSE => (
            Close {
                header,
                mode: Close::DRAIN,
                reserved: 0,
            }
            .as_bytes()
            .to_vec(),
            size_of::<CloseReply>(),
        ),
        STATISTICS => (header.as_bytes().to_vec(), size_of::<StatisticsReply>()),
        READ_LOG => (
            ReadLog { header, from: 0 }.as_bytes().to_vec(),
            size_of::<LogReply>(),
        ),
        STOP => (header.as_bytes().to_vec(), size_of::<StopReply>()),
        COMPLETE => {
            let complete = Complete {
                header,
                tag: 1,
                status: 0,
                at: Complete::DPC,
            };
            (complete.as_bytes().to_vec(), 0)
        }
        TASK_CONFIGURE => (
            TaskConfigure::new(0, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED)
                .as_bytes()
                .to_vec(),
            0,
        ),
        TASK_EXECUTE => {
            let execute = TaskExecute {
                header,
                how: TaskExecute::DEFERRED,
                flags: TaskExecute::AT_DISPATCH,
            };
            (execute.as_bytes().to_vec(), size_of::<TaskExecuteReply>())
        }
        TASK_EVENT => {
            let event = TaskEvent {
                header,
                event: TaskEvent::D0_ENTRY,
                from: 1,
            };
            (event.as_bytes().to_vec(), 0)
        }
        TASK_SET_TIMES_RUN => {
            let times = TaskSetTimesRun {
                header,
                times: 0,
                reserved: 0,
            };
            (times.as_bytes().to_vec(), 0)
        }
        TASK_CANCEL | TASK_CLOSE => (header.as_bytes().to_vec(), size_of::<TaskDroppedReply>()),
        TASK_RESTART => (header.as_bytes().to_vec(), size_of::<TaskRestartReply>()),
        TASK_STATISTICS => (header.as_bytes().to_vec(), size_of::<TaskStatisticsReply>()),
        TASK_READ_LOG => (
            TaskReadLog { header, from: 0 }.as_bytes().to_vec(),
            size_of::<LogReply>(),
        ),
        _ => (header.as_bytes().to_vec(), 0),
    }
}

/// The order in which every code succeeds.
const IN_ORDER: [u32; ALL.len()] = [
    VERSION,
    CONFIGURE,
    GATE,
    RELEASE,
    ENQUEUE,
    ENQUEUE_AND_WAIT,
    ENQUEUE_BATCH,
    FLUSH,
    CANCEL,
    STRESS,
    STRESS_PROGRESS,
    BENCHMARK,
    STATISTICS,
    READ_LOG,
    CLOSE,
    TASK_CONFIGURE,
    TASK_GATE,
    TASK_RELEASE,
    TASK_EXECUTE,
    TASK_EVENT,
    TASK_CANCEL,
    TASK_RESTART,
    TASK_SET_TIMES_RUN,
    TASK_STATISTICS,
    TASK_READ_LOG,
    TASK_CLOSE,
    START,
    COMPLETE,
    STOP,
];

#[test]
fn w24_every_code_does_its_work_after_all_that_was_refused() {
    let device = device();
    let client = both(&device);
    for code in IN_ORDER {
        let (input, output) = proper(code);
        for length in 0..input.len() {
            assert_eq!(
                client.call(code, &input[..length], ROOM).status,
                STATUS_INVALID_BUFFER_SIZE,
                "{code:#x}"
            );
        }
        for length in 0..output {
            assert_eq!(
                client.call(code, &input, length).status,
                STATUS_BUFFER_TOO_SMALL,
                "{code:#x}"
            );
        }
        if code != ENQUEUE && code != ENQUEUE_AND_WAIT {
            let longer = [&input[..], &[0]].concat();
            assert_eq!(
                client.call(code, &longer, ROOM).status,
                STATUS_INVALID_BUFFER_SIZE,
                "{code:#x}"
            );
        }
        if code != VERSION {
            let mut wrong = input.clone();
            wrong[0] ^= 0xFF;
            assert_eq!(
                client.call(code, &wrong, ROOM).status,
                STATUS_REVISION_MISMATCH,
                "{code:#x}"
            );
            // Also with another length: a later version's structures may be longer.
            wrong.push(0);
            assert_eq!(
                client.call(code, &wrong, ROOM).status,
                STATUS_REVISION_MISMATCH,
                "{code:#x}"
            );
            for instance in [limits::INSTANCES, u32::MAX] {
                let mut wrong = input.clone();
                wrong[4..8].copy_from_slice(&instance.to_le_bytes());
                assert_eq!(
                    client.call(code, &wrong, ROOM).status,
                    STATUS_INVALID_PARAMETER,
                    "{code:#x}"
                );
            }
        }
        for rights in [Rights(0), Rights::READ, Rights::WRITE] {
            let needed = (code >> 14) & 3;
            if rights.0 & needed != needed {
                let status = device.open(rights).call(code, &input, ROOM).status;
                assert_eq!(status, STATUS_ACCESS_DENIED, "{code:#x}");
            }
        }
        if code == START {
            // These speak to an instance of their own kind, and the last finds an item that is pended.
            let shape = Configure::new(0, 4, 8).threaded();
            assert_eq!(client.configure_as(shape), STATUS_SUCCESS);
        }
        if code == COMPLETE {
            let item = Enqueue::new(0, 1).with_flags(Enqueue::PEND);
            assert_eq!(client.enqueue(item, &[]), STATUS_SUCCESS);
            client.until(|seen| seen.pended == 1);
        }
        assert_eq!(
            client.call(code, &input, output).status,
            STATUS_SUCCESS,
            "{code:#x}"
        );
    }
}

#[test]
fn w24_unknown_codes() {
    let device = device();
    let client = both(&device);
    for code in [
        0,
        u32::MAX,
        VERSION + 1,
        VERSION + 2,
        CONFIGURE | 3,
        VERSION ^ 0x4000,
        0x0022_E0FC,
        0x0007_0000,
    ] {
        assert_eq!(
            client.call(code, &[0; 64], 64).status,
            STATUS_INVALID_DEVICE_REQUEST,
            "{code:#x}"
        );
    }
}

#[test]
fn w24_values_out_of_their_limits() {
    let device = device();
    let client = both(&device);
    let bad: [(u32, u32); 6] = [
        (0, 8),
        (limits::BUFFER_COUNT + 1, 8),
        (u32::MAX, u32::MAX),
        (1, limits::BUFFER_SIZE + 1),
        // Each within its limit, and not their product.
        (limits::BUFFER_COUNT, 257),
        (257, limits::BUFFER_SIZE),
    ];
    for (buffer_count, buffer_size) in bad {
        assert_eq!(
            client.configure(buffer_count, buffer_size),
            STATUS_INVALID_PARAMETER
        );
    }
    let good = Configure::new(0, 8, 1);
    for bad in [
        Configure { pool: 2, ..good },
        Configure { flags: 4, ..good },
        Configure {
            max_buffers: 7,
            ..good
        },
        Configure {
            max_buffers: limits::BUFFER_COUNT + 1,
            ..good
        },
        // What may be added counts as what is there.
        Configure {
            buffer_size: limits::BUFFER_SIZE,
            max_buffers: 257,
            ..good
        },
        Configure {
            context_size: limits::CONTEXT_SIZE + 1,
            ..good
        },
    ] {
        assert_eq!(client.configure_as(bad), STATUS_INVALID_PARAMETER);
    }
    assert_eq!(client.statistics().capacity, 0);

    assert_eq!(client.configure(1, 8), STATUS_SUCCESS);
    let item = Enqueue::new(0, 0);
    for item in [
        Enqueue {
            spend_us: limits::SPEND_US + 1,
            ..item
        },
        Enqueue { flags: 16, ..item },
        Enqueue {
            again: limits::AGAIN + 1,
            ..item
        },
        Enqueue {
            timeout_ms: 1,
            ..item
        },
        item.with_timeout(limits::TIMEOUT_MS + 1),
        Enqueue {
            flags: u32::MAX,
            ..item
        },
        Enqueue { reserved: 1, ..item },
    ] {
        assert_eq!(client.enqueue(item, &[]), STATUS_INVALID_PARAMETER);
        assert_eq!(
            client.enqueue_and_wait(item, &[]).wait().status,
            STATUS_INVALID_PARAMETER
        );
    }
    for (mode, reserved) in [(2, 0), (u32::MAX, 0), (Close::DRAIN, 1)] {
        let close = Close {
            header: Header::new(0),
            mode,
            reserved,
        };
        assert_eq!(
            client.call(CLOSE, close.as_bytes(), 8).status,
            STATUS_INVALID_PARAMETER
        );
    }
    assert_eq!(client.statistics().accepted, 0);
}

#[test]
fn w24_the_largest_instances_work() {
    let device = device();
    let client = both(&device);
    for (buffer_count, buffer_size) in [(limits::BUFFER_COUNT, 256), (256, limits::BUFFER_SIZE)] {
        assert_eq!(client.configure(buffer_count, buffer_size), STATUS_SUCCESS);
        let payload = std::vec![0x5A; buffer_size as usize];
        assert_eq!(
            client
                .enqueue_and_wait(Enqueue::new(0, 0), &payload)
                .wait()
                .status,
            STATUS_SUCCESS
        );
        assert_eq!(client.close(Close::CANCEL).wait().status, STATUS_SUCCESS);
    }
}

/// Random and mutated requests: nothing panics, everything that does not wait is answered, and the device works after
/// it. The same entry as a fuzz target's.
#[test]
fn w24_random_requests() {
    let seed = std::env::var("QWI_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()) ^ 0x5DEE_CE66);
    std::println!("QWI_SEED={seed}");
    let mut random = Random(seed | 1);
    let device = device();
    let mut waiting = Vec::new();
    let mut client = both(&device);
    for _ in 0..20_000 {
        let (code, _) = ALL[random.below(ALL.len())];
        let (mut input, output) = proper(code);
        for _ in 0..random.below(4) {
            match random.below(3) {
                0 if !input.is_empty() => {
                    let at = random.below(input.len());
                    input[at] ^= 1 << random.below(8);
                }
                1 => input.truncate(random.below(input.len() + 1)),
                _ => input.extend(std::iter::repeat_n(0xEE, random.below(40))),
            }
        }
        // A mutation may ask for a second of work; that is allowed, and too long here.
        let spend = if code == TASK_CONFIGURE { 32 } else { 20 };
        if let Some(spend) = input.get_mut(spend..spend + 4) {
            spend[1..].fill(0);
        }
        let code = if random.below(50) == 0 {
            code ^ (1 << random.below(32))
        } else {
            code
        };
        let pended = client.send(
            code,
            &input,
            if random.below(8) == 0 {
                random.below(100)
            } else {
                output
            },
        );
        if pended.answered().is_none() {
            if random.below(4) == 0 {
                pended.cancel();
                assert!(pended.answered().is_some());
            }
            waiting.push(pended);
        }
        if random.below(500) == 0 {
            drop(client);
            client = both(&device);
        }
    }
    for number in 0..limits::INSTANCES.max(limits::TASKS) {
        for code in [RELEASE, TASK_RELEASE] {
            client.call(code, Header::new(number).as_bytes(), 0);
        }
    }
    for pended in &waiting {
        pended.wait();
    }
    client.close(Close::DRAIN).wait();
    client.until(|statistics| statistics.capacity == 0);
    assert_eq!(client.configure(1, 8), STATUS_SUCCESS);
    assert_eq!(
        client.enqueue_and_wait(Enqueue::new(0, 0), &[]).wait().status,
        STATUS_SUCCESS
    );
}

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % limit
    }
}
