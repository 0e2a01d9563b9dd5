//! The verbs, as a decoded command asks for them.

use alloc::vec::Vec;
use core::time::Duration;

use queued_work_item::kernel::{Shared, SpinLock};
use queued_work_item::{Close, NtStatus, Passive};
use queued_work_item_ioctl::{
    Batch, BatchReply, CONTRACT_VERSION, LogEntry, LogReply, STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND,
    STATUS_NOT_SUPPORTED, STATUS_SUCCESS, VersionReply, limits,
};
use zerocopy::{Immutable, IntoBytes};

use crate::budget::{Budget, Solo};
use crate::decode::{self, Item, Level};
use crate::exerciser::Done;
use crate::job::{Load, Work};
use crate::life::{Life, Permit, Stay};
use crate::queue::Place;
use crate::record::{Record, Waiter};
use crate::ring::{Cursor, Entry};
use crate::slot::Instance;
use crate::stress::Plan;
use crate::tally::Tally;
use crate::{Exerciser, Job, Platform, Request, Worker, benchmark, pending};

/// Log entries copied under one hold of the log's lock, by way of the stack.
const LOG_CHUNK: usize = 16;

impl<P: Platform> Exerciser<P> {
    pub(crate) fn enqueue(&self, slot: usize, item: &Item<'_>, passive: &Passive) -> Result<(), u32> {
        let instance = self.at(slot)?.instance_to_enqueue()?;
        let place = place(&instance, item)?;
        instance
            .record
            .counters
            .accept(|| instance.queue.enqueue(passive, item.bytes, place))
            .map_err(|error| status_of(&error))
    }

    pub(crate) fn enqueue_and_wait(
        &self,
        slot: usize,
        item: &Item<'_>,
        request: &P::Request,
        passive: &Passive,
    ) -> Result<(), u32> {
        let instance = self.at(slot)?.instance_to_enqueue()?;
        let place = place(&instance, item)?;
        let ticket = request.ticket();
        pending::Pending::set_tag(crate::Ticket::pending(&ticket), item.tag);
        let waiter = Waiter::new(&instance.record, request.handle(), ticket)
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
        // A refusal hands the waiter back, and dropping it takes the request out of the table again.
        instance
            .record
            .counters
            .accept(|| instance.queue.enqueue_with(passive, item.bytes, place, waiter))
            .map_err(|error| status_of(&error))
    }

    pub(crate) fn wait_at_most(
        &self,
        slot: usize,
        item: &Item<'_>,
        timeout: Duration,
        request: &P::Request,
    ) -> Result<(), u32> {
        let (permit, worker) = self.reserve()?;
        let instance = self.at(slot)?.instance_to_enqueue()?;
        let place = place(&instance, item)?;
        // The request may be answered, and its buffer gone, before the item is enqueued. The length is bounded first.
        let longest = size_of::<queued_work_item_ioctl::Enqueue>() + limits::BUFFER_SIZE as usize;
        if item.bytes.len() > longest {
            instance.record.counters.refuse_length();
            return Err(STATUS_INVALID_BUFFER_SIZE);
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(item.bytes.len())
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
        bytes.extend_from_slice(item.bytes);
        let waiter = waiter(&instance.record, request)?;
        pending::Pending::set_tag(crate::Ticket::pending(&request.ticket()), item.tag);
        let exerciser = self.clone();
        worker.run(Job {
            waiter,
            work: Work::Wait {
                instance,
                bytes,
                place,
                timeout,
            },
            exerciser,
            permit,
        });
        Ok(())
    }

    /// Enqueues the items of a batch that decoding has found whole.
    ///
    /// Input and output are one buffer. A status is written where items that have been read were: each takes more room
    /// in the input than in the output.
    pub(crate) fn batch(
        &self,
        count: u32,
        request: &mut P::Request,
        passive: &Passive,
    ) -> Result<usize, u32> {
        let mut reply = BatchReply { accepted: 0, count };
        let mut from = size_of::<Batch>();
        let mut to = size_of::<BatchReply>();
        for _ in 0..count {
            let rest = request.input().get(from..).unwrap_or_default();
            let (item, rest) = decode::batch_item(rest)?;
            from = request.input().len() - rest.len();
            let enqueued = decode::enqueue(item).and_then(|(slot, item)| self.enqueue(slot, &item, passive));
            reply.accepted += u32::from(enqueued.is_ok());
            let status = enqueued.err().unwrap_or(STATUS_SUCCESS);
            request
                .output()
                .get_mut(to..to + size_of::<u32>())
                .ok_or(STATUS_BUFFER_TOO_SMALL)?
                .copy_from_slice(&status.to_le_bytes());
            to += size_of::<u32>();
        }
        put(request, &reply)?;
        Ok(to)
    }

    pub(crate) fn stress(&self, plan: Plan, request: &P::Request) -> Result<Done<P>, u32> {
        self.load(plan.bytes(), request, || {
            let no_memory = STATUS_INSUFFICIENT_RESOURCES;
            let tally = Shared::try_new(Tally::new().map_err(|_| no_memory)?).map_err(|_| no_memory)?;
            // What it replaces is dropped after the lock.
            let old = self.inner.tally.lock().replace(tally.clone());
            drop(old);
            Ok(Load::Stress { plan, tally })
        })
    }

    pub(crate) fn benchmark(&self, samples: u32, request: &P::Request) -> Result<Done<P>, u32> {
        self.load(benchmark::BYTES, request, || Ok(Load::Benchmark { samples }))
    }

    /// The job of a load, which takes turns with others. `load` makes it, once nothing else can refuse it.
    fn load(
        &self,
        bytes: u64,
        request: &P::Request,
        load: impl FnOnce() -> Result<Load, u32>,
    ) -> Result<Done<P>, u32> {
        let (permit, worker) = self.reserve()?;
        let solo = Solo::take(&self.inner.solo)?;
        let charge = Budget::charge(&self.inner.budget, bytes)?;
        let waiter = waiter(&self.inner.record, request)?;
        let job = Job {
            waiter,
            work: Work::Load {
                load: load()?,
                ticket: request.ticket(),
                charge,
                solo,
            },
            exerciser: self.clone(),
            permit,
        };
        Ok(Done::By(worker, job))
    }

    pub(crate) fn flush(&self, slot: usize, request: &P::Request) -> Result<(), u32> {
        let (permit, worker) = self.reserve()?;
        let instance = self.at(slot)?.open_instance()?;
        if instance.queue.is_threaded() {
            return Err(STATUS_NOT_SUPPORTED);
        }
        let waiter = waiter(&instance.record, request)?;
        let exerciser = self.clone();
        worker.run(Job {
            waiter,
            work: Work::Flush(instance),
            exerciser,
            permit,
        });
        Ok(())
    }

    /// The instance, open or closing, if it has a thread of its own.
    fn threaded(&self, slot: usize) -> Result<Shared<Instance<P::Ticket>>, u32> {
        let instance = self.at(slot)?.instance()?;
        if instance.queue.is_threaded() {
            Ok(instance)
        } else {
            Err(STATUS_NOT_SUPPORTED)
        }
    }

    pub(crate) fn start(&self, slot: usize, request: &P::Request) -> Result<Done<P>, u32> {
        self.threaded(slot)?;
        // A closing one refuses from the moment that its close was accepted.
        let instance = self.at(slot)?.open_instance()?;
        self.blocking(Work::Start(instance), request)
    }

    pub(crate) fn stop(&self, slot: usize, request: &P::Request) -> Result<Done<P>, u32> {
        let instance = self.threaded(slot)?;
        self.blocking(Work::Stop(instance), request)
    }

    pub(crate) fn complete(
        &self,
        slot: usize,
        tag: u64,
        status: u32,
        at: Level,
        request: &P::Request,
    ) -> Result<Done<P>, u32> {
        let instance = self.threaded(slot)?;
        let status = NtStatus(status.cast_signed());
        let take = || instance.queue.take_pended(tag).ok_or(STATUS_NOT_FOUND);
        match at {
            Level::Passive => take()?.complete(status),
            Level::SpinLock => {
                let item = take()?;
                let lock = SpinLock::new(());
                let _guard = lock.lock();
                item.complete(status);
            }
            Level::Dpc => {
                return self.blocking(
                    Work::CompleteInDpc {
                        instance,
                        tag,
                        status,
                    },
                    request,
                );
            }
        }
        Ok(Done::Now(0))
    }

    pub(crate) fn close(&self, slot: usize, how: Close, request: &P::Request) -> Result<(), u32> {
        let (permit, worker) = self.reserve()?;
        let record = self.at(slot)?.instance()?.record.clone();
        let waiter = waiter(&record, request)?;
        // Nothing fails from here on, so that an instance which is marked as closing is closed.
        let instance = self.at(slot)?.begin_closing()?;
        let exerciser = self.clone();
        worker.run(Job {
            waiter,
            work: Work::Close { slot, instance, how },
            exerciser,
            permit,
        });
        Ok(())
    }

    /// Work that blocks, for a request that waits on no instance.
    pub(crate) fn blocking(&self, work: Work<P::Ticket>, request: &P::Request) -> Result<Done<P>, u32> {
        let (permit, worker) = self.reserve()?;
        let waiter = waiter(&self.inner.record, request)?;
        let job = Job {
            waiter,
            work,
            exerciser: self.clone(),
            permit,
        };
        Ok(Done::By(worker, job))
    }

    fn reserve(&self) -> Result<(Permit, P::Worker), u32> {
        let permit = Life::enter(&self.inner.life, Stay::Blocking)?;
        let worker = self
            .inner
            .platform
            .reserve_worker()
            .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        Ok((permit, worker))
    }

    pub(crate) fn read_log(&self, slot: usize, from: u64, request: &mut P::Request) -> Result<usize, u32> {
        match self.at(slot)?.record() {
            Some(record) => read_entries(from, request, |from, entries: &mut [LogEntry]| {
                record.read_log(from, entries)
            }),
            None => put(request, &LogReply::default()),
        }
    }
}

/// Reads a log by `read`, as many entries as the output has room for.
pub(crate) fn read_entries<R: Request, E: Entry + IntoBytes + Immutable>(
    from: u64,
    request: &mut R,
    read: impl Fn(u64, &mut [E]) -> Cursor,
) -> Result<usize, u32> {
    let mut reply = LogReply::default();
    let output = request.output();
    let (head, tail) = output
        .split_at_mut_checked(size_of::<LogReply>())
        .ok_or(STATUS_INVALID_PARAMETER)?;
    let mut places = tail.chunks_exact_mut(size_of::<E>());
    let mut entries = [E::default(); LOG_CHUNK];
    let mut cursor = from;
    loop {
        let wanted = entries.get_mut(..places.len().min(LOG_CHUNK)).unwrap_or_default();
        let read = read(cursor, wanted);
        if reply.count == 0 {
            reply.lost = read.lost;
        } else if read.lost > 0 {
            // Overwritten while the lock was not held. The reader's next call starts here, and is told.
            break;
        }
        cursor = read.next;
        for (entry, place) in wanted.iter().take(read.count).zip(&mut places) {
            place.copy_from_slice(entry.as_bytes());
            reply.count += 1;
        }
        if read.count < LOG_CHUNK {
            break;
        }
    }
    reply.next = cursor;
    head.copy_from_slice(reply.as_bytes());
    Ok(size_of::<LogReply>() + reply.count as usize * size_of::<E>())
}

pub(crate) fn version() -> VersionReply {
    const fn number(text: &str) -> u16 {
        match u16::from_str_radix(text, 10) {
            Ok(number) => number,
            Err(_) => u16::MAX,
        }
    }
    VersionReply {
        contract: CONTRACT_VERSION,
        major: const { number(env!("CARGO_PKG_VERSION_MAJOR")) },
        minor: const { number(env!("CARGO_PKG_VERSION_MINOR")) },
        patch: const { number(env!("CARGO_PKG_VERSION_PATCH")) },
        reserved: 0,
        instances: limits::INSTANCES,
        buffer_count: limits::BUFFER_COUNT,
        buffer_size: limits::BUFFER_SIZE,
        instance_bytes: limits::INSTANCE_BYTES,
        log_entries: limits::LOG_ENTRIES,
        spend_us: limits::SPEND_US,
        total_bytes: limits::TOTAL_BYTES,
        context_size: limits::CONTEXT_SIZE,
        timeout_ms: limits::TIMEOUT_MS,
        again: limits::AGAIN,
        batch_items: limits::BATCH_ITEMS,
        stress_producers: limits::STRESS_PRODUCERS,
        stress_items: limits::STRESS_ITEMS,
        stress_payload: limits::STRESS_PAYLOAD,
        benchmark_samples: limits::BENCHMARK_SAMPLES,
        blocking_requests: limits::BLOCKING_REQUESTS,
        tasks: limits::TASKS,
        task_names: limits::TASK_NAMES,
        task_delay_ms: limits::TASK_DELAY_MS,
        task_results: limits::TASK_RESULTS,
        task_log_entries: limits::TASK_LOG_ENTRIES,
        priority: limits::PRIORITY,
        pended: limits::PENDED,
    }
}

/// Where an item goes. `STATUS_NOT_SUPPORTED`: it asks for what only a queue with a thread of its own can do.
fn place<T: crate::Ticket>(instance: &Instance<T>, item: &Item<'_>) -> Result<Place, u32> {
    match (item.at_head, item.pend) {
        (true, _) | (_, true) if !instance.queue.is_threaded() => Err(STATUS_NOT_SUPPORTED),
        (true, _) => Ok(Place::Head),
        (false, _) => Ok(Place::Tail),
    }
}

/// Enters a request among those that wait. `STATUS_INSUFFICIENT_RESOURCES`: there are too many.
fn waiter<R: Request>(record: &Shared<Record<R::Ticket>>, request: &R) -> Result<Waiter<R::Ticket>, u32> {
    Waiter::new(record, request.handle(), request.ticket()).map_err(|_| STATUS_INSUFFICIENT_RESOURCES)
}

/// Writes a reply; decoding has seen that it fits.
pub(crate) fn put<R: Request, V: IntoBytes + Immutable>(request: &mut R, value: &V) -> Result<usize, u32> {
    let bytes = value.as_bytes();
    let place = request
        .output()
        .get_mut(..bytes.len())
        .ok_or(STATUS_BUFFER_TOO_SMALL)?;
    place.copy_from_slice(bytes);
    Ok(bytes.len())
}

fn status_of<K>(error: &queued_work_item::EnqueueError<K>) -> u32 {
    error.status().0.cast_unsigned()
}
