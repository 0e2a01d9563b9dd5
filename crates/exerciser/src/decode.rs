//! From bytes to a command. Everything that user mode says is checked here, before anything is done.

use queued_work_item_ioctl as ioctl;
use queued_work_item_ioctl::{
    CLOSE, CONFIGURE, CONTRACT_VERSION, CloseReply, ENQUEUE, ENQUEUE_AND_WAIT, FLUSH, GATE, Header, LogReply,
    READ_LOG, RELEASE, STATISTICS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_BUFFER_SIZE,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_REVISION_MISMATCH, StatisticsReply,
    VERSION, VersionReply, WaitReply, limits,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A request whose every field is within its limits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Version,
    Configure {
        slot: usize,
        buffer_count: u32,
        buffer_size: u32,
    },
    Enqueue {
        slot: usize,
        item: Item<'a>,
    },
    EnqueueAndWait {
        slot: usize,
        item: Item<'a>,
    },
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
}

/// What is enqueued: the input as it came, header and payload, so that it is copied once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    pub(crate) tag: u64,
    pub(crate) bytes: &'a [u8],
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
        ENQUEUE_AND_WAIT => {
            let (slot, item) = enqueue(input)?;
            (Command::EnqueueAndWait { slot, item }, size_of::<WaitReply>())
        }
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
        _ => return Err(STATUS_INVALID_DEVICE_REQUEST),
    };
    if output_length < output {
        return Err(STATUS_BUFFER_TOO_SMALL);
    }
    Ok(command)
}

/// The structure that the input begins with, the instance that it names, and what follows it.
///
/// The version comes before the length: another version's structure may be longer, and must be told from a wrong one.
fn prefix<T: FromBytes + KnownLayout + Immutable>(input: &[u8]) -> Result<(T, usize, &[u8]), u32> {
    let (header, _) = Header::read_from_prefix(input).map_err(|_| STATUS_INVALID_BUFFER_SIZE)?;
    if header.version != CONTRACT_VERSION {
        return Err(STATUS_REVISION_MISMATCH);
    }
    let (value, rest) = T::read_from_prefix(input).map_err(|_| STATUS_INVALID_BUFFER_SIZE)?;
    if header.instance >= limits::INSTANCES {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let slot = usize::try_from(header.instance).map_err(|_| STATUS_INVALID_PARAMETER)?;
    Ok((value, slot, rest))
}

/// The same, of an input that is nothing but the structure.
fn whole<T: FromBytes + KnownLayout + Immutable>(input: &[u8]) -> Result<(T, usize), u32> {
    match prefix(input) {
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
        buffer_count,
        buffer_size,
        reserved,
        ..
    } = request;
    // Both factors are below 2^17, so that their product cannot overflow.
    let fits = (1..=limits::BUFFER_COUNT).contains(&buffer_count)
        && buffer_size <= limits::BUFFER_SIZE
        && u64::from(buffer_count) * u64::from(buffer_size) <= limits::INSTANCE_BYTES;
    if !fits || reserved != [0; 2] {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Command::Configure {
        slot,
        buffer_count,
        buffer_size,
    })
}

fn enqueue(input: &[u8]) -> Result<(usize, Item<'_>), u32> {
    let (request, slot, _payload) = prefix::<ioctl::Enqueue>(input)?;
    let ioctl::Enqueue {
        tag,
        spend_us,
        flags,
        reserved,
        ..
    } = request;
    if spend_us > limits::SPEND_US || flags & !ioctl::Enqueue::SET_STATUS != 0 || reserved != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok((slot, Item { tag, bytes: input }))
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
