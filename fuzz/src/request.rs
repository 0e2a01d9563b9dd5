//! What is done to a request's input before it is sent.
//!
//! [`mend`] makes a valid request of any bytes, so that random programs get past the decoder; [`tame`] bounds the work
//! that a valid request asks for. What the decoder would refuse is not tamed, so that nothing is kept from it.

use queued_work_item_ioctl as ioctl;
use queued_work_item_ioctl::{
    BENCHMARK, CLOSE, COMPLETE, CONFIGURE, CONTRACT_VERSION, ENQUEUE, ENQUEUE_AND_WAIT, ENQUEUE_BATCH,
    READ_LOG, STRESS, TASK_CONFIGURE, TASK_EVENT, TASK_EXECUTE, TASK_READ_LOG, TASK_SET_TIMES_RUN, VERSION,
    limits,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a callback may spend, how often an item comes again, and what a load consists of: enough to overlap with what
/// follows, little enough for thousands of programs a minute.
const SPEND_US: u32 = 200;
const AGAIN: u32 = 20;
const TIMEOUT_MS: u32 = 1_000;
const PRODUCERS: u32 = 3;
const ITEMS: u32 = 40;
const BUFFERS: u32 = 64;
const SIZE: u32 = 256;
const BATCH: u32 = 16;
const DELAY_MS: u32 = 20;

/// Changes the structure that `input` begins with, if it is long enough for one.
fn change<T>(input: &mut [u8], with: impl FnOnce(&mut T))
where
    T: FromBytes + IntoBytes + Immutable + KnownLayout,
{
    if let Ok((mut value, _)) = T::read_from_prefix(input) {
        with(&mut value);
        value
            .write_to_prefix(input)
            .expect("it has room for what was read from it");
    }
}

/// Makes `input` what `code` wants: as long as its structure, its version right, its fields within their limits.
pub(crate) fn mend(code: u32, input: &mut Vec<u8>) {
    let (least, most) = match code {
        VERSION => (0, 0),
        CONFIGURE => exactly::<ioctl::Configure>(),
        ENQUEUE | ENQUEUE_AND_WAIT => (size_of::<ioctl::Enqueue>(), usize::MAX),
        CLOSE => exactly::<ioctl::Close>(),
        READ_LOG => exactly::<ioctl::ReadLog>(),
        STRESS => exactly::<ioctl::Stress>(),
        BENCHMARK => exactly::<ioctl::Benchmark>(),
        ENQUEUE_BATCH => (size_of::<ioctl::Batch>(), usize::MAX),
        COMPLETE => exactly::<ioctl::Complete>(),
        TASK_CONFIGURE => exactly::<ioctl::TaskConfigure>(),
        TASK_EXECUTE => exactly::<ioctl::TaskExecute>(),
        TASK_EVENT => exactly::<ioctl::TaskEvent>(),
        TASK_SET_TIMES_RUN => exactly::<ioctl::TaskSetTimesRun>(),
        TASK_READ_LOG => exactly::<ioctl::TaskReadLog>(),
        _ => exactly::<ioctl::Header>(),
    };
    input.resize(input.len().clamp(least, most), 0);
    change(input, |header: &mut ioctl::Header| {
        header.version = CONTRACT_VERSION;
        header.instance %= limits::INSTANCES.min(limits::TASKS);
    });
    match code {
        CONFIGURE => change(input, |configure: &mut ioctl::Configure| {
            configure.buffer_count = configure.buffer_count % BUFFERS + 1;
            configure.buffer_size %= SIZE + 1;
            if configure.max_buffers != 0 {
                configure.max_buffers = configure.buffer_count + configure.max_buffers % BUFFERS;
            }
            configure.context_size %= limits::CONTEXT_SIZE + 1;
            configure.kind &= ioctl::Configure::THREADED;
            if configure.kind == ioctl::Configure::THREADED {
                configure.flags &= ioctl::Configure::REUSE_CLEANUP | ioctl::Configure::WAIT_FOR_PENDED;
                configure.pool = ioctl::Configure::NONPAGED;
                configure.priority %= limits::PRIORITY + 1;
            } else {
                configure.flags &= ioctl::Configure::REUSE_CLEANUP;
                configure.pool &= ioctl::Configure::PAGED;
                configure.priority = 0;
            }
        }),
        ENQUEUE | ENQUEUE_AND_WAIT => mend_item(input, code == ENQUEUE_AND_WAIT),
        CLOSE => change(input, |close: &mut ioctl::Close| {
            close.mode &= ioctl::Close::CANCEL;
            close.reserved = 0;
        }),
        STRESS => change(input, |stress: &mut ioctl::Stress| {
            stress.producers = stress.producers % PRODUCERS + 1;
            stress.items = stress.items % ITEMS + 1;
            stress.payload = 8 + stress.payload % SIZE;
            stress.buffer_count = stress.buffer_count % BUFFERS + 1;
            stress.mode %= ioctl::Stress::DPC + 1;
            stress.kind &= ioctl::Configure::THREADED;
        }),
        BENCHMARK => change(input, |benchmark: &mut ioctl::Benchmark| {
            benchmark.samples = 1;
            benchmark.reserved = 0;
        }),
        ENQUEUE_BATCH => mend_batch(input),
        COMPLETE => change(input, |complete: &mut ioctl::Complete| {
            complete.tag &= 7;
            complete.at %= ioctl::Complete::DPC + 1;
        }),
        TASK_CONFIGURE => change(input, mend_task),
        TASK_EXECUTE => change(input, |execute: &mut ioctl::TaskExecute| {
            execute.how %= ioctl::TaskExecute::DEFERRED_EX + 1;
            execute.flags &= ioctl::TaskExecute::AT_DISPATCH;
            if execute.how == ioctl::TaskExecute::NOW {
                execute.flags = 0;
            }
        }),
        TASK_EVENT => change(input, |event: &mut ioctl::TaskEvent| {
            event.event %= ioctl::TaskEvent::D0_EXIT + 1;
            let has_state = event.event == ioctl::TaskEvent::D0_ENTRY;
            event.from = if has_state {
                event.from % (limits::POWER_STATE + 1)
            } else {
                0
            };
        }),
        TASK_SET_TIMES_RUN => change(input, |times: &mut ioctl::TaskSetTimesRun| times.reserved = 0),
        _ => {}
    }
}

fn mend_task(task: &mut ioctl::TaskConfigure) {
    task.when %= ioctl::TaskConfigure::D0_ENTRY + 1;
    task.mode &= ioctl::TaskConfigure::DEFERRED;
    task.name %= limits::TASK_NAMES + 1;
    task.initial_delay_ms %= DELAY_MS;
    task.retry_on_success_ms = task.retry_on_success_ms % DELAY_MS + 1;
    task.retry_on_failure_ms = task.retry_on_failure_ms % DELAY_MS + 1;
    task.spend_us %= SPEND_US + 1;
    task.inside %= ioctl::TaskConfigure::EXECUTE_NOW_DEFERRED_EX + 1;
    task.result_count = task.result_count % limits::TASK_RESULTS + 1;
    for (at, result) in (0..).zip(&mut task.results) {
        *result = if at < task.result_count { *result & 3 } else { 0 };
    }
    task.reserved = 0;
}

fn exactly<T>() -> (usize, usize) {
    (size_of::<T>(), size_of::<T>())
}

fn mend_item(input: &mut [u8], waits: bool) {
    change(input, |item: &mut ioctl::Enqueue| {
        item.spend_us %= SPEND_US + 1;
        item.again %= AGAIN + 1;
        let mut known = ioctl::Enqueue::SET_STATUS | if waits { ioctl::Enqueue::TIMEOUT } else { 0 };
        // Half of the instances refuse these.
        if item.flags & 0xC0 == 0xC0 {
            known |= ioctl::Enqueue::AT_HEAD | ioctl::Enqueue::PEND;
            item.tag &= 7;
        }
        item.flags &= known;
        let timed = item.flags & ioctl::Enqueue::TIMEOUT != 0;
        item.timeout_ms = if timed { item.timeout_ms % TIMEOUT_MS } else { 0 };
        item.reserved = 0;
    });
}

/// Cuts what follows the head into items; what is left over is dropped.
fn mend_batch(input: &mut Vec<u8>) {
    let mut at = size_of::<ioctl::Batch>();
    let mut count = 0;
    while count < BATCH {
        let Some(rest) = input.get_mut(at..) else { break };
        let Ok((announced, body)) = ioctl::BatchItem::read_from_prefix(&*rest) else {
            break;
        };
        let left = body.len();
        if left < size_of::<ioctl::Enqueue>() {
            break;
        }
        let length = (size_of::<ioctl::Enqueue>() + announced.length as usize % 32).min(left);
        let item = ioctl::BatchItem {
            length: u32::try_from(length).expect("an item is short"),
        };
        item.write_to_prefix(rest)
            .expect("it has room for what was read from it");
        let body = &mut rest[size_of::<ioctl::BatchItem>()..][..length];
        change(body, |header: &mut ioctl::Header| {
            header.version = CONTRACT_VERSION;
            header.instance %= limits::INSTANCES;
        });
        mend_item(body, false);
        at += size_of::<ioctl::BatchItem>() + length;
        count += 1;
    }
    input.truncate(at);
    change(input, |batch: &mut ioctl::Batch| {
        batch.count = count;
        batch.reserved = 0;
    });
}

/// Bounds the work of a request that may be valid. Values out of the contract's limits stay as they are.
pub(crate) fn tame(code: u32, input: &mut [u8]) {
    match code {
        ENQUEUE | ENQUEUE_AND_WAIT => tame_item(input),
        // Wherever the decoder might see an item: a hostile length leads anywhere.
        ENQUEUE_BATCH => {
            let mut at = size_of::<ioctl::Batch>();
            while let Some(rest) = input.get_mut(at..) {
                let Ok((announced, body)) = ioctl::BatchItem::read_from_prefix(&*rest) else {
                    break;
                };
                let body = rest.len() - body.len();
                tame_item(&mut rest[body..]);
                at = at.saturating_add(body).saturating_add(announced.length as usize);
            }
        }
        STRESS => change(input, |stress: &mut ioctl::Stress| {
            bound(&mut stress.items, ITEMS, limits::STRESS_ITEMS);
            bound(&mut stress.producers, PRODUCERS, limits::STRESS_PRODUCERS);
        }),
        BENCHMARK => change(input, |benchmark: &mut ioctl::Benchmark| {
            bound(&mut benchmark.samples, 1, limits::BENCHMARK_SAMPLES);
        }),
        TASK_CONFIGURE => change(input, |task: &mut ioctl::TaskConfigure| {
            bound(&mut task.spend_us, SPEND_US, limits::SPEND_US);
        }),
        _ => {}
    }
}

fn tame_item(input: &mut [u8]) {
    change(input, |item: &mut ioctl::Enqueue| {
        bound(&mut item.spend_us, SPEND_US, limits::SPEND_US);
        bound(&mut item.again, AGAIN, limits::AGAIN);
    });
}

fn bound(value: &mut u32, to: u32, limit: u32) {
    if (to..=limit).contains(value) {
        *value = to;
    }
}

#[cfg(test)]
mod tests {
    use queued_work_item_exerciser::testing::{Device, Rights};
    use queued_work_item_ioctl::*;

    use super::*;

    #[test]
    fn whatever_is_mended_gets_past_the_decoder() {
        let refusals = [
            STATUS_INVALID_BUFFER_SIZE,
            STATUS_REVISION_MISMATCH,
            STATUS_INVALID_PARAMETER,
            STATUS_BUFFER_TOO_SMALL,
        ];
        let mut random = crate::seeds::Random::new(7);
        for _ in 0..20 {
            for (code, name) in ALL {
                let device = Device::new().expect("there is memory");
                let client = device.open(Rights::BOTH);
                let mut input: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
                mend(code, &mut input);
                tame(code, &mut input);
                let status = client.call(code, &input, 0x1_0000).status;
                // No instance is there, which is told after all else.
                assert!(!refusals.contains(&status), "{name}: {status:#x}");
            }
        }
    }

    #[test]
    fn what_is_out_of_limits_is_not_tamed() {
        let item = Enqueue {
            spend_us: limits::SPEND_US + 1,
            again: limits::AGAIN,
            ..Enqueue::new(0, 0)
        };
        let mut input = item.as_bytes().to_vec();
        tame(ENQUEUE, &mut input);
        let tamed = Enqueue::read_from_bytes(&input).expect("its length is kept");
        assert_eq!((tamed.spend_us, tamed.again), (limits::SPEND_US + 1, AGAIN));
    }
}
