//! From bytes to a command. Everything that user mode says is checked here, before anything is done.

pub(crate) mod task;

use core::time::Duration;

use queued_work_item_ioctl as ioctl;
use queued_work_item_ioctl::{
    BENCHMARK, BatchReply, BenchmarkReply, CANCEL, CLOSE, COMPLETE, CONFIGURE, CONTRACT_VERSION, CancelReply,
    CloseReply, ENQUEUE, ENQUEUE_AND_WAIT, ENQUEUE_BATCH, FLUSH, GATE, Header, LogReply, READ_LOG, RELEASE,
    START, STATISTICS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER,
    STATUS_REVISION_MISMATCH, STOP, STRESS, STRESS_PROGRESS, StatisticsReply, StopReply, StressReply,
    VERSION, VersionReply, WaitReply, limits,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use self::task::TaskCommand;
use crate::stress::{Mode, Plan};

/// A request whose every field is within its limits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Version,
    Configure {
        slot: usize,
        shape: Shape,
    },
    Enqueue {
        slot: usize,
        item: Item<'a>,
    },
    EnqueueAndWait {
        slot: usize,
        item: Item<'a>,
        timeout: Option<Duration>,
    },
    Batch {
        count: u32,
    },
    Cancel {
        slot: usize,
    },
    Stress {
        plan: Plan,
    },
    Benchmark {
        samples: u32,
    },
    StressProgress,
    Flush {
        slot: usize,
    },
    Close {
        slot: usize,
        cancel: bool,
    },
    Gate {
        slot: usize,
    },
    Release {
        slot: usize,
    },
    Statistics {
        slot: usize,
    },
    ReadLog {
        slot: usize,
        from: u64,
    },
    Start {
        slot: usize,
    },
    Stop {
        slot: usize,
    },
    Complete {
        slot: usize,
        tag: u64,
        status: u32,
        at: Level,
    },
    /// To the task of this slot.
    Task {
        slot: usize,
        command: TaskCommand,
    },
}

/// Where a pended item is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Passive,
    SpinLock,
    Dpc,
}

/// What an instance is made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) buffer_count: u32,
    pub(crate) buffer_size: u32,
    /// At least `buffer_count`: more where a lookaside list may add some.
    pub(crate) max_buffers: u32,
    pub(crate) context_size: u32,
    pub(crate) kind: Kind,
    pub(crate) reuse_cleanup: bool,
}

/// What its queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nonpaged,
    Paged,
    Threaded {
        priority: Option<i32>,
        waits_for_pended: bool,
    },
}

impl Shape {
    /// What the instance may hold of the bound that all instances share. Far below the width of the result.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.max_buffers) * (u64::from(self.buffer_size) + u64::from(self.context_size))
    }
}

/// What is enqueued: the input as it came, header and payload, so that it is copied once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    pub(crate) tag: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) at_head: bool,
    pub(crate) pend: bool,
}

/// Reads a request. The order of the checks is part of the contract: code, version, lengths of the input, instance and
/// fields, length of the output.
pub(crate) fn decode(code: u32, input: &[u8], output_length: usize) -> Result<Command<'_>, u32> {
    let (command, output) = match code {
        VERSION if input.is_empty() => (Command::Version, size_of::<VersionReply>()),
        VERSION => return Err(STATUS_INVALID_BUFFER_SIZE),
        CONFIGURE => (configure(input)?, 0),
        ENQUEUE => {
            let (slot, item) = enqueue(input)?;
            (Command::Enqueue { slot, item }, 0)
        }
        ENQUEUE_AND_WAIT => (enqueue_and_wait(input)?, size_of::<WaitReply>()),
        ENQUEUE_BATCH => {
            let count = batch(input)?;
            // No more than `limits::BATCH_ITEMS` statuses.
            let output = size_of::<BatchReply>() + count as usize * size_of::<u32>();
            (Command::Batch { count }, output)
        }
        CANCEL => (Command::Cancel { slot: header(input)? }, size_of::<CancelReply>()),
        FLUSH => (Command::Flush { slot: header(input)? }, 0),
        CLOSE => (close(input)?, size_of::<CloseReply>()),
        GATE => (Command::Gate { slot: header(input)? }, 0),
        RELEASE => (Command::Release { slot: header(input)? }, 0),
        STATISTICS => (
            Command::Statistics { slot: header(input)? },
            size_of::<StatisticsReply>(),
        ),
        READ_LOG => {
            let (request, slot) = whole::<ioctl::ReadLog>(input)?;
            (
                Command::ReadLog {
                    slot,
                    from: request.from,
                },
                size_of::<LogReply>(),
            )
        }
        STRESS => (stress(input)?, size_of::<StressReply>()),
        BENCHMARK => (benchmark(input)?, size_of::<BenchmarkReply>()),
        STRESS_PROGRESS => {
            header(input)?;
            (Command::StressProgress, size_of::<StressReply>())
        }
        START => (Command::Start { slot: header(input)? }, 0),
        STOP => (Command::Stop { slot: header(input)? }, size_of::<StopReply>()),
        COMPLETE => (complete(input)?, 0),
        _ => task::decode(code, input)?,
    };
    if output_length < output {
        return Err(STATUS_BUFFER_TOO_SMALL);
    }
    Ok(command)
}

/// The structure that the input begins with, the instance that it names, and what follows it.
fn prefix<T: FromBytes + KnownLayout + Immutable>(input: &[u8]) -> Result<(T, usize, &[u8]), u32> {
    prefix_of(input, limits::INSTANCES)
}

/// The same, where there are so many `instances`.
///
/// The version comes before the length: another version's structure may be longer, and must be told from a wrong one.
fn prefix_of<T: FromBytes + KnownLayout + Immutable>(
    input: &[u8],
    instances: u32,
) -> Result<(T, usize, &[u8]), u32> {
    let (header, _) = Header::read_from_prefix(input).map_err(|_| STATUS_INVALID_BUFFER_SIZE)?;
    if header.version != CONTRACT_VERSION {
        return Err(STATUS_REVISION_MISMATCH);
    }
    let (value, rest) = T::read_from_prefix(input).map_err(|_| STATUS_INVALID_BUFFER_SIZE)?;
    if header.instance >= instances {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let slot = usize::try_from(header.instance).map_err(|_| STATUS_INVALID_PARAMETER)?;
    Ok((value, slot, rest))
}

/// The same, of an input that is nothing but the structure.
fn whole<T: FromBytes + KnownLayout + Immutable>(input: &[u8]) -> Result<(T, usize), u32> {
    whole_of(input, limits::INSTANCES)
}

fn whole_of<T: FromBytes + KnownLayout + Immutable>(input: &[u8], instances: u32) -> Result<(T, usize), u32> {
    match prefix_of(input, instances) {
        Ok((value, slot, [])) => Ok((value, slot)),
        Ok(_) => Err(STATUS_INVALID_BUFFER_SIZE),
        // Too long wins over a bad instance, as too short does.
        Err(STATUS_INVALID_PARAMETER) if input.len() != size_of::<T>() => Err(STATUS_INVALID_BUFFER_SIZE),
        Err(status) => Err(status),
    }
}

fn header(input: &[u8]) -> Result<usize, u32> {
    whole::<Header>(input).map(|(_, slot)| slot)
}

fn configure(input: &[u8]) -> Result<Command<'static>, u32> {
    let (request, slot) = whole::<ioctl::Configure>(input)?;
    let ioctl::Configure {
        header: _,
        buffer_count,
        buffer_size,
        max_buffers,
        context_size,
        flags,
        pool,
        kind,
        priority,
    } = request;
    let max_buffers = if max_buffers == 0 {
        buffer_count
    } else {
        max_buffers
    };
    // Both factors are below 2^17, so that their product cannot overflow.
    let fits = (1..=limits::BUFFER_COUNT).contains(&buffer_count)
        && (buffer_count..=limits::BUFFER_COUNT).contains(&max_buffers)
        && buffer_size <= limits::BUFFER_SIZE
        && u64::from(max_buffers) * u64::from(buffer_size) <= limits::INSTANCE_BYTES
        && context_size <= limits::CONTEXT_SIZE;
    let known = ioctl::Configure::REUSE_CLEANUP | ioctl::Configure::WAIT_FOR_PENDED;
    if !fits || flags & !known != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let waits_for_pended = flags & ioctl::Configure::WAIT_FOR_PENDED != 0;
    let kind = match (kind, pool) {
        (ioctl::Configure::THREADED, ioctl::Configure::NONPAGED) if priority <= limits::PRIORITY => {
            Kind::Threaded {
                priority: (priority != 0).then_some(priority.cast_signed()),
                waits_for_pended,
            }
        }
        (ioctl::Configure::QUEUED_WORK_ITEM, pool) if priority == 0 && !waits_for_pended => match pool {
            ioctl::Configure::NONPAGED => Kind::Nonpaged,
            ioctl::Configure::PAGED => Kind::Paged,
            _ => return Err(STATUS_INVALID_PARAMETER),
        },
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    let shape = Shape {
        buffer_count,
        buffer_size,
        max_buffers,
        context_size,
        kind,
        reuse_cleanup: flags & ioctl::Configure::REUSE_CLEANUP != 0,
    };
    Ok(Command::Configure { slot, shape })
}

/// What [`ENQUEUE`] takes for its input, alone or as one of a batch.
pub(crate) fn enqueue(input: &[u8]) -> Result<(usize, Item<'_>), u32> {
    match item(input)? {
        (slot, item, None) => Ok((slot, item)),
        // Nobody waits.
        (_, _, Some(_)) => Err(STATUS_INVALID_PARAMETER),
    }
}

fn enqueue_and_wait(input: &[u8]) -> Result<Command<'_>, u32> {
    let (slot, item, timeout) = item(input)?;
    Ok(Command::EnqueueAndWait { slot, item, timeout })
}

fn item(input: &[u8]) -> Result<(usize, Item<'_>, Option<Duration>), u32> {
    let (request, slot, _payload) = prefix::<ioctl::Enqueue>(input)?;
    let ioctl::Enqueue {
        header: _,
        tag,
        status: _,
        spend_us,
        flags,
        again,
        timeout_ms,
        reserved,
    } = request;
    let timed = flags & ioctl::Enqueue::TIMEOUT != 0;
    let fits = spend_us <= limits::SPEND_US
        && again <= limits::AGAIN
        && timeout_ms <= if timed { limits::TIMEOUT_MS } else { 0 };
    let known =
        ioctl::Enqueue::SET_STATUS | ioctl::Enqueue::TIMEOUT | ioctl::Enqueue::AT_HEAD | ioctl::Enqueue::PEND;
    if !fits || flags & !known != 0 || reserved != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let timeout = timed.then(|| Duration::from_millis(u64::from(timeout_ms)));
    let item = Item {
        tag,
        bytes: input,
        at_head: flags & ioctl::Enqueue::AT_HEAD != 0,
        pend: flags & ioctl::Enqueue::PEND != 0,
    };
    Ok((slot, item, timeout))
}

/// How many items there are; that they are whole, and nothing but they.
fn batch(input: &[u8]) -> Result<u32, u32> {
    let (request, _slot, mut rest) = prefix::<ioctl::Batch>(input)?;
    if request.count > limits::BATCH_ITEMS || request.reserved != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    for _ in 0..request.count {
        (_, rest) = batch_item(rest)?;
    }
    if rest.is_empty() {
        Ok(request.count)
    } else {
        Err(STATUS_INVALID_BUFFER_SIZE)
    }
}

/// The input of the first item of `bytes`, and what follows it.
pub(crate) fn batch_item(bytes: &[u8]) -> Result<(&[u8], &[u8]), u32> {
    let (item, rest) = ioctl::BatchItem::read_from_prefix(bytes).map_err(|_| STATUS_INVALID_BUFFER_SIZE)?;
    rest.split_at_checked(item.length as usize)
        .ok_or(STATUS_INVALID_BUFFER_SIZE)
}

fn close(input: &[u8]) -> Result<Command<'static>, u32> {
    let (request, slot) = whole::<ioctl::Close>(input)?;
    let cancel = match request.mode {
        ioctl::Close::DRAIN => false,
        ioctl::Close::CANCEL => true,
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    if request.reserved != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Command::Close { slot, cancel })
}

fn stress(input: &[u8]) -> Result<Command<'static>, u32> {
    let (request, _slot) = whole::<ioctl::Stress>(input)?;
    let ioctl::Stress {
        header: _,
        producers,
        items,
        payload,
        buffer_count,
        mode,
        kind,
    } = request;
    let threaded = match kind {
        ioctl::Configure::QUEUED_WORK_ITEM => false,
        ioctl::Configure::THREADED => true,
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    let mode = match mode {
        ioctl::Stress::PASSIVE => Mode::Passive,
        ioctl::Stress::SPIN_LOCK => Mode::SpinLock,
        ioctl::Stress::DPC => Mode::Dpc,
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    let fits = (1..=limits::STRESS_PRODUCERS).contains(&producers)
        && (1..=limits::STRESS_ITEMS).contains(&items)
        && (8..=limits::STRESS_PAYLOAD).contains(&payload)
        && (1..=limits::BUFFER_COUNT).contains(&buffer_count)
        && u64::from(buffer_count) * u64::from(payload) <= limits::INSTANCE_BYTES;
    if !fits {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let plan = Plan {
        producers,
        items,
        payload,
        buffer_count,
        mode,
        threaded,
    };
    Ok(Command::Stress { plan })
}

fn complete(input: &[u8]) -> Result<Command<'static>, u32> {
    let (request, slot) = whole::<ioctl::Complete>(input)?;
    Ok(Command::Complete {
        slot,
        tag: request.tag,
        status: request.status,
        at: match request.at {
            ioctl::Complete::PASSIVE => Level::Passive,
            ioctl::Complete::SPIN_LOCK => Level::SpinLock,
            ioctl::Complete::DPC => Level::Dpc,
            _ => return Err(STATUS_INVALID_PARAMETER),
        },
    })
}

fn benchmark(input: &[u8]) -> Result<Command<'static>, u32> {
    let (request, _slot) = whole::<ioctl::Benchmark>(input)?;
    let ioctl::Benchmark {
        header: _,
        samples,
        reserved,
    } = request;
    if !(1..=limits::BENCHMARK_SAMPLES).contains(&samples) || reserved != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Command::Benchmark { samples })
}
