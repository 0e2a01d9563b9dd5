//! The seeds: programs that a person would write, one for each thing worth beginning from.
//!
//! They are committed as files, where fuzzers want them, and made here from the contract's structures, so that a change
//! of the contract changes them. A test compares the two.

mod tasks;
mod threaded;

use queued_work_item_ioctl::{
    ALL, BENCHMARK, Batch, BatchItem, Benchmark, CANCEL, CLOSE, CONFIGURE, Close, Configure, ENQUEUE,
    ENQUEUE_AND_WAIT, ENQUEUE_BATCH, Enqueue, FLUSH, GATE, Header, READ_LOG, RELEASE, ReadLog, STATISTICS,
    STRESS, STRESS_PROGRESS, Stress, VERSION, limits,
};
use zerocopy::IntoBytes;

use crate::program::{Program, Step};

/// Room for every reply.
const ROOM: u16 = 0x2000;

/// Every seed, with the name of its file.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("verbs", encode(verbs())),
        ("items", encode(items())),
        ("waits-cancelled", encode(waits_cancelled())),
        ("handle-closed", encode(handle_closed())),
        ("removed-with-waits", encode(removed_with_waits())),
        ("power-cycle", encode(power_cycle())),
        ("no-memory", encode(no_memory())),
        ("rights", encode(rights())),
        ("hostile", encode(hostile())),
        ("loads", encode(loads())),
        ("two-lanes", two_lanes()),
        ("threaded", encode(threaded::threaded())),
        ("threaded-and-removed", encode(threaded::threaded_and_removed())),
        ("tasks", encode(tasks::tasks())),
        ("tasks-and-power", encode(tasks::tasks_and_power())),
        ("tasks-without-memory", encode(tasks::tasks_without_memory())),
    ]
}

/// Writes what the first lane does.
fn encode(steps: Vec<Step>) -> Vec<u8> {
    let steps = steps.into_iter().map(|step| (false, step)).collect();
    Program { steps }.encode()
}

fn send(code: u32, input: &[u8]) -> Step {
    let verb = ALL
        .iter()
        .position(|(known, _)| *known == code)
        .and_then(|at| u8::try_from(at).ok())
        .expect("a code of the contract");
    Step::Send {
        handle: 0,
        verb,
        code: 0,
        mended: false,
        room: ROOM,
        input: input.to_vec(),
    }
}

fn header(code: u32) -> Step {
    send(code, Header::new(0).as_bytes())
}

fn configure(buffers: u32, size: u32) -> Step {
    send(CONFIGURE, Configure::new(0, buffers, size).as_bytes())
}

fn item(code: u32, item: Enqueue, payload: &[u8]) -> Step {
    send(code, &[item.as_bytes(), payload].concat())
}

fn close(mode: u32) -> Step {
    let request = Close {
        header: Header::new(0),
        mode,
        reserved: 0,
    };
    send(CLOSE, request.as_bytes())
}

fn read_log() -> Step {
    let request = ReadLog {
        header: Header::new(0),
        from: 0,
    };
    send(READ_LOG, request.as_bytes())
}

fn stress(mode: u32, kind: u32) -> Step {
    let request = Stress {
        header: Header::new(0),
        producers: 2,
        items: 40,
        payload: 16,
        buffer_count: 8,
        mode,
        kind,
    };
    send(STRESS, request.as_bytes())
}

/// Waits for what should come soon: a mutation may hold it up, and then nobody should wait for long.
fn soon(request: u8) -> Step {
    Step::Await {
        request,
        milliseconds: 20,
    }
}

fn verbs() -> Vec<Step> {
    let mut batch = Batch {
        header: Header::new(0),
        count: 2,
        reserved: 0,
    }
    .as_bytes()
    .to_vec();
    for tag in 0..2 {
        let input = [Enqueue::new(0, tag).as_bytes(), &[7; 5]].concat();
        let length = u32::try_from(input.len()).expect("short");
        batch.extend_from_slice(BatchItem { length }.as_bytes());
        batch.extend_from_slice(&input);
    }
    let mut steps = vec![
        send(VERSION, &[]),
        configure(8, 32),
        header(GATE),
        item(ENQUEUE, Enqueue::new(0, 1), b"payload"),
        send(ENQUEUE_BATCH, &batch),
        header(CANCEL),
        header(RELEASE),
        item(
            ENQUEUE_AND_WAIT,
            Enqueue::new(0, 2).with_status(0xC000_0001),
            b"wait",
        ),
    ];
    steps.push(soon(0));
    steps.push(header(FLUSH));
    steps.push(soon(0));
    steps.extend([
        header(STATISTICS),
        read_log(),
        header(STRESS_PROGRESS),
        close(Close::DRAIN),
    ]);
    steps.push(soon(0));
    steps
}

fn items() -> Vec<Step> {
    let shape = Configure {
        max_buffers: 6,
        context_size: 24,
        flags: Configure::REUSE_CLEANUP,
        ..Configure::new(0, 2, 64)
    };
    let again = Enqueue {
        again: 9,
        spend_us: 50,
        ..Enqueue::new(0, 5)
    };
    let paged = Configure {
        pool: Configure::PAGED,
        ..Configure::new(1, 4, 64)
    };
    vec![
        send(CONFIGURE, shape.as_bytes()),
        item(ENQUEUE, again, &[9; 64]),
        item(ENQUEUE, Enqueue::new(0, 6), &[]),
        item(ENQUEUE, Enqueue::new(0, 7), &[1; 65]),
        send(CONFIGURE, paged.as_bytes()),
        item(ENQUEUE_AND_WAIT, Enqueue::new(1, 8), &[3; 64]),
        soon(0),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 9).with_timeout(1), &[]),
        soon(0),
        header(STATISTICS),
    ]
}

fn waits_cancelled() -> Vec<Step> {
    vec![
        configure(8, 16),
        header(GATE),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 1), &[]),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 2).with_timeout(900), &[]),
        header(FLUSH),
        close(Close::CANCEL),
        Step::Cancel { request: 3 },
        Step::Cancel { request: 2 },
        Step::Cancel { request: 1 },
        Step::Cancel { request: 0 },
        header(RELEASE),
    ]
}

fn handle_closed() -> Vec<Step> {
    vec![
        configure(8, 16),
        Step::Open { rights: 3 },
        header(GATE),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 1), &[]),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 2), &[]),
        header(FLUSH),
        Step::Close { handle: 0 },
        header(STATISTICS),
    ]
}

fn removed_with_waits() -> Vec<Step> {
    vec![
        configure(8, 16),
        header(GATE),
        item(ENQUEUE, Enqueue::new(0, 1), &[]),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 2), &[]),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 3).with_timeout(900), &[]),
        header(FLUSH),
        close(Close::DRAIN),
        Step::Remove,
        send(VERSION, &[]),
        configure(8, 16),
    ]
}

fn power_cycle() -> Vec<Step> {
    vec![
        configure(8, 16),
        Step::D0Exit,
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 1), &[]),
        header(FLUSH),
        soon(0),
        Step::D0Entry,
        soon(0),
        Step::D0Exit,
        close(Close::CANCEL),
        soon(0),
    ]
}

fn no_memory() -> Vec<Step> {
    let mut steps = Vec::new();
    for nth in 1..8 {
        steps.push(Step::FailAllocation { nth });
        steps.push(configure(4, 16));
        steps.push(Step::FailAllocation { nth: 0 });
        steps.push(close(Close::CANCEL));
        steps.push(soon(0));
    }
    steps.extend([
        configure(4, 16),
        Step::DenyWorkers { deny: true },
        header(FLUSH),
        close(Close::DRAIN),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 1).with_timeout(5), &[]),
    ]);
    steps
}

fn rights() -> Vec<Step> {
    let mut steps = vec![configure(4, 16)];
    for rights in 0..3 {
        steps.push(Step::Open { rights });
        steps.push(header(STATISTICS));
        steps.push(header(CANCEL));
    }
    steps
}

fn hostile() -> Vec<Step> {
    let (mut short, mut narrow, mut old) = (configure(4, 16), header(STATISTICS), header(CANCEL));
    if let Step::Send { input, .. } = &mut short {
        input.truncate(9);
    }
    if let Step::Send { room, .. } = &mut narrow {
        *room = 95;
    }
    if let Step::Send { input, .. } = &mut old {
        input[0] ^= 0x80;
    }
    let unknown = Step::Send {
        handle: 0,
        verb: Step::ANY_CODE,
        code: 0x0022_BFFC,
        mended: false,
        room: 16,
        input: vec![0xFF; 16],
    };
    let huge = Configure {
        max_buffers: u32::MAX,
        ..Configure::new(limits::INSTANCES, u32::MAX, u32::MAX)
    };
    let batch = Batch {
        header: Header::new(0),
        count: u32::MAX,
        reserved: 0,
    };
    vec![
        short,
        narrow,
        old,
        unknown,
        send(CONFIGURE, huge.as_bytes()),
        send(ENQUEUE_BATCH, batch.as_bytes()),
        send(STRESS, &[0xFF; 32]),
        send(READ_LOG, &[0xFF; 17]),
    ]
}

fn loads() -> Vec<Step> {
    let mut steps = Vec::new();
    for mode in [Stress::PASSIVE, Stress::SPIN_LOCK, Stress::DPC] {
        for kind in [Configure::QUEUED_WORK_ITEM, Configure::THREADED] {
            steps.push(stress(mode, kind));
            steps.push(header(STRESS_PROGRESS));
            steps.push(soon(1));
        }
    }
    let benchmark = Benchmark {
        samples: 1,
        ..Benchmark::new()
    };
    steps.push(send(BENCHMARK, benchmark.as_bytes()));
    // A whole sample, by a compiler that does not optimise.
    let patience = Step::Await {
        request: 0,
        milliseconds: u8::MAX,
    };
    steps.extend(vec![patience; 20]);
    steps
}

fn two_lanes() -> Vec<u8> {
    let mut steps = vec![(false, configure(16, 16))];
    for tag in 0..8 {
        steps.push((false, item(ENQUEUE_AND_WAIT, Enqueue::new(0, tag), &[1; 16])));
        steps.push((true, item(ENQUEUE, Enqueue::new(0, tag), &[2; 16])));
        steps.push((true, header(FLUSH)));
        steps.push((tag % 2 == 0, Step::Cancel { request: 0 }));
    }
    steps.push((true, close(Close::CANCEL)));
    steps.push((false, Step::Remove));
    Program { steps }.encode()
}

/// Numbers by chance, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits, by `SplitMix64`.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.bits()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Eight of them.
    pub fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[7]
    }
}
