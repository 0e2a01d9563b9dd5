//! The exerciser of one device: every verb, and the life cycle around them.

use alloc::vec::Vec;
use core::sync::atomic::AtomicBool;
use core::time::Duration;

use queued_work_item::kernel::{Shared, SpinLock};
use queued_work_item::{Close, CreateError, Passive};
use queued_work_item_ioctl::{
    Batch, BatchReply, CONTRACT_VERSION, CancelReply, LogEntry, LogReply, STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    VersionReply, limits,
};
use zerocopy::IntoBytes;

use crate::budget::{Budget, Solo};
use crate::decode::{self, Command, Item, decode};
use crate::job::Work;
use crate::life::{Life, Permit, Stay};
use crate::record::{Record, Waiter};
use crate::slot::Slot;
use crate::stress::Plan;
use crate::{Handle, Job, Platform, Request, Worker, pending};

const SLOTS: usize = limits::INSTANCES as usize;

/// Log entries copied under one hold of the log's lock, by way of the stack.
const LOG_CHUNK: usize = 16;

/// What the driver does with its requests. Clones are references to the same one.
pub struct Exerciser<P: Platform> {
    inner: Shared<Inner<P>>,
}

struct Inner<P: Platform> {
    platform: P,
    life: Shared<Life>,
    budget: Shared<Budget>,
    /// Somebody makes load.
    solo: Shared<AtomicBool>,
    /// What waits on no instance.
    record: Shared<Record<P::Ticket>>,
    /// Is the device in D0?
    powered: SpinLock<bool>,
    /// By instance.
    slots: Vec<Slot<P::Ticket>>,
}

impl<P: Platform> Clone for Exerciser<P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

/// What a handler leaves behind: the request is answered now, or by somebody else.
enum Done<P: Platform> {
    /// With this much output.
    Now(usize),
    Later,
    /// By this job, which may not run before the request is armed.
    By(P::Worker, Job<P>),
}

impl<P: Platform> Exerciser<P> {
    /// An exerciser without instances.
    ///
    /// # Errors
    /// [`CreateError::OutOfMemory`].
    pub fn new(platform: P) -> Result<Self, CreateError> {
        let life = Shared::try_new(Life::new()?).map_err(|_| CreateError::OutOfMemory)?;
        let budget = Shared::try_new(Budget::new()).map_err(|_| CreateError::OutOfMemory)?;
        let solo = Shared::try_new(AtomicBool::new(false)).map_err(|_| CreateError::OutOfMemory)?;
        let record = Record::of_none().ok_or(CreateError::OutOfMemory)?;
        let record = Shared::try_new(record).map_err(|_| CreateError::OutOfMemory)?;
        let mut slots = Vec::new();
        slots
            .try_reserve_exact(SLOTS)
            .map_err(|_| CreateError::OutOfMemory)?;
        for id in 0..limits::INSTANCES {
            slots.push(Slot::new(id).ok_or(CreateError::OutOfMemory)?);
        }
        let inner = Shared::try_new(Inner {
            platform,
            life,
            budget,
            solo,
            record,
            powered: SpinLock::new(true),
            slots,
        })
        .map_err(|_| CreateError::OutOfMemory)?;
        Ok(Self { inner })
    }

    pub(crate) fn platform(&self) -> &P {
        &self.inner.platform
    }

    pub(crate) fn life(&self) -> &Life {
        &self.inner.life
    }

    pub(crate) fn slot(&self, slot: usize) -> Option<&Slot<P::Ticket>> {
        self.inner.slots.get(slot)
    }

    /// Answers a request, or sees to it that it will be. Never blocks.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token: creating a queue asks for it.
    pub fn handle(&self, mut request: P::Request, passive: &mut Passive) {
        // Kept to the end: removal does not overtake a handler.
        let inside = Life::enter(&self.inner.life, Stay::Short);
        let done = match &inside {
            Ok(_permit) => self.dispatch(&mut request, passive),
            Err(status) => Err(*status),
        };
        match done {
            Ok(Done::Now(information)) => request.complete(STATUS_SUCCESS, information),
            // Answered by whoever settles it, which may have been tried already: the handler lets go of it, and of the
            // input that it had borrowed, here.
            Ok(Done::Later) => {
                let ticket = request.ticket();
                drop(request);
                pending::arm(&ticket);
            }
            Ok(Done::By(worker, job)) => {
                let ticket = request.ticket();
                drop(request);
                pending::arm(&ticket);
                worker.run(job);
            }
            Err(status) => request.complete(status, 0),
        }
    }

    fn dispatch(&self, request: &mut P::Request, passive: &mut Passive) -> Result<Done<P>, u32> {
        let handle = request.handle();
        let command = decode(request.code(), request.input(), request.output_length())?;
        Ok(match command {
            Command::Version => Done::Now(put(request, &version())?),
            Command::Configure { slot, shape } => {
                let Inner { platform, budget, .. } = &*self.inner;
                self.at(slot)?.configure(platform, budget, shape, passive)?;
                self.apply_power(self.at(slot)?);
                Done::Now(0)
            }
            Command::Enqueue { slot, item } => {
                self.enqueue(slot, &item)?;
                Done::Now(0)
            }
            Command::EnqueueAndWait { slot, item, timeout } => {
                match timeout {
                    None => self.enqueue_and_wait(slot, &item, request)?,
                    Some(timeout) => self.wait_at_most(slot, &item, timeout, request)?,
                }
                Done::Later
            }
            Command::Batch { count } => Done::Now(self.batch(count, request)?),
            Command::Stress { plan } => self.stress(plan, request)?,
            Command::Cancel { slot } => {
                let cancelled = self.at(slot)?.instance()?.queue.cancel(passive);
                Done::Now(put(request, &CancelReply { cancelled })?)
            }
            Command::Flush { slot } => {
                self.flush(slot, request)?;
                Done::Later
            }
            Command::Close { slot, cancel } => {
                self.close(slot, if cancel { Close::Cancel } else { Close::Drain }, request)?;
                Done::Later
            }
            Command::Gate { slot } => {
                self.at(slot)?.gate.close(handle);
                Done::Now(0)
            }
            Command::Release { slot } => {
                self.at(slot)?.gate.release();
                Done::Now(0)
            }
            Command::Statistics { slot } => {
                let statistics = self.at(slot)?.statistics();
                Done::Now(put(request, &statistics)?)
            }
            Command::ReadLog { slot, from } => Done::Now(self.read_log(slot, from, request)?),
        })
    }

    /// The slot of a decoded command.
    fn at(&self, slot: usize) -> Result<&Slot<P::Ticket>, u32> {
        self.slot(slot).ok_or(STATUS_INVALID_PARAMETER)
    }

    fn enqueue(&self, slot: usize, item: &Item<'_>) -> Result<(), u32> {
        let instance = self.at(slot)?.instance_to_enqueue()?;
        instance
            .record
            .counters
            .accept(|| instance.queue.enqueue(item.bytes))
            .map_err(|error| status_of(&error))
    }

    fn enqueue_and_wait(&self, slot: usize, item: &Item<'_>, request: &P::Request) -> Result<(), u32> {
        let instance = self.at(slot)?.instance_to_enqueue()?;
        let ticket = request.ticket();
        pending::Pending::set_tag(crate::Ticket::pending(&ticket), item.tag);
        let waiter = Waiter::new(&instance.record, request.handle(), ticket)
            .map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
        // A refusal hands the waiter back, and dropping it takes the request out of the table again.
        instance
            .record
            .counters
            .accept(|| instance.queue.enqueue_with(item.bytes, waiter))
            .map_err(|error| status_of(&error))
    }

    fn wait_at_most(
        &self,
        slot: usize,
        item: &Item<'_>,
        timeout: Duration,
        request: &P::Request,
    ) -> Result<(), u32> {
        let (permit, worker) = self.reserve()?;
        let instance = self.at(slot)?.instance_to_enqueue()?;
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
    fn batch(&self, count: u32, request: &mut P::Request) -> Result<usize, u32> {
        let mut reply = BatchReply { accepted: 0, count };
        let mut from = size_of::<Batch>();
        let mut to = size_of::<BatchReply>();
        for _ in 0..count {
            let rest = request.input().get(from..).unwrap_or_default();
            let (item, rest) = decode::batch_item(rest)?;
            from = request.input().len() - rest.len();
            let enqueued = decode::enqueue(item).and_then(|(slot, item)| self.enqueue(slot, &item));
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

    fn stress(&self, plan: Plan, request: &P::Request) -> Result<Done<P>, u32> {
        let (permit, worker) = self.reserve()?;
        let solo = Solo::take(&self.inner.solo)?;
        let charge = Budget::charge(&self.inner.budget, plan.bytes())?;
        let waiter = waiter(&self.inner.record, request)?;
        let job = Job {
            waiter,
            work: Work::Stress {
                plan,
                ticket: request.ticket(),
                charge,
                solo,
            },
            exerciser: self.clone(),
            permit,
        };
        Ok(Done::By(worker, job))
    }

    fn flush(&self, slot: usize, request: &P::Request) -> Result<(), u32> {
        let (permit, worker) = self.reserve()?;
        let instance = self.at(slot)?.open_instance()?;
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

    fn close(&self, slot: usize, how: Close, request: &P::Request) -> Result<(), u32> {
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

    fn reserve(&self) -> Result<(Permit, P::Worker), u32> {
        let permit = Life::enter(&self.inner.life, Stay::Blocking)?;
        let worker = self
            .inner
            .platform
            .reserve_worker()
            .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        Ok((permit, worker))
    }

    fn read_log(&self, slot: usize, from: u64, request: &mut P::Request) -> Result<usize, u32> {
        let mut reply = LogReply {
            next: 0,
            lost: 0,
            count: 0,
            reserved: 0,
        };
        let Some(record) = self.at(slot)?.record() else {
            return put(request, &reply);
        };
        let output = request.output();
        let (head, tail) = output
            .split_at_mut_checked(size_of::<LogReply>())
            .ok_or(STATUS_INVALID_PARAMETER)?;
        let mut places = tail.chunks_exact_mut(size_of::<LogEntry>());
        let mut entries = [LogEntry::default(); LOG_CHUNK];
        let mut cursor = from;
        loop {
            let wanted = entries.get_mut(..places.len().min(LOG_CHUNK)).unwrap_or_default();
            let read = record.read_log(cursor, wanted);
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
        Ok(size_of::<LogReply>() + reply.count as usize * size_of::<LogEntry>())
    }

    /// The last reference to a handle is gone, or its cleanup has come: its gate opens, and what waits in its name is
    /// answered with `STATUS_CANCELLED`. Once is enough, twice does no harm.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    pub fn handle_closed(&self, handle: Handle) {
        self.inner.record.handle_closed(handle);
        for slot in &self.inner.slots {
            if let Some(record) = slot.record() {
                record.handle_closed(handle);
            }
            // After that, so that what waited at the gate is told that its handle is closed, not that its item ran.
            slot.gate.handle_closed(handle);
        }
    }

    /// The device leaves D0: no item begins in any instance until [`Exerciser::d0_entry`]. Requests are taken as ever.
    /// It does not wait for a callback that runs, since a gate may hold it for as long as it likes, and since this
    /// device has no hardware that a callback could miss. A close that drains ends its instance's pause.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, where power callbacks run.
    pub fn d0_exit(&self) {
        self.set_power(false);
    }

    /// The device is in D0 again: instances go on where they paused.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`.
    pub fn d0_entry(&self) {
        self.set_power(true);
    }

    fn set_power(&self, powered: bool) {
        *self.inner.powered.lock() = powered;
        for slot in &self.inner.slots {
            self.apply_power(slot);
        }
    }

    /// Brings an instance in line with the device's power, as it is now: whoever is last to do so, of a configure and
    /// the power callbacks, has seen what is so at last.
    fn apply_power(&self, slot: &Slot<P::Ticket>) {
        // Dropped after the lock: it may be the last reference, and a queue ends at PASSIVE_LEVEL.
        let Ok(instance) = slot.instance() else { return };
        let powered = self.inner.powered.lock();
        if *powered {
            instance.queue.start();
        } else {
            instance.queue.stop();
        }
        drop(powered);
    }

    /// The device goes away: refuses every request from here on, opens the gates, cancels what has not begun, and
    /// returns when no callback, no job and no handler runs. A second call finds nothing to do.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token. It waits for the callback that runs, whose time a gate or
    /// [`spend_us`](queued_work_item_ioctl::Enqueue::spend_us) cannot prolong any more.
    pub fn remove(&self, passive: &mut Passive) {
        self.inner.life.remove();
        for slot in &self.inner.slots {
            slot.gate.remove();
        }
        self.close_all(passive);
        self.inner.life.wait_until_empty(passive);
        // A configure that was inside may have left an instance.
        self.close_all(passive);
    }

    fn close_all(&self, passive: &mut Passive) {
        for slot in &self.inner.slots {
            if let Ok(instance) = slot.begin_closing() {
                // The error is a call from the queue's own callback, which the system's removal is not.
                let _refused = slot.close(instance, Close::Cancel, passive);
            }
        }
    }
}

fn version() -> VersionReply {
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
        reserved_2: 0,
    }
}

/// Enters a request among those that wait. `STATUS_INSUFFICIENT_RESOURCES`: there are too many.
fn waiter<R: Request>(record: &Shared<Record<R::Ticket>>, request: &R) -> Result<Waiter<R::Ticket>, u32> {
    Waiter::new(record, request.handle(), request.ticket()).map_err(|_| STATUS_INSUFFICIENT_RESOURCES)
}

/// Writes a reply; decoding has seen that it fits.
fn put<R: Request, V: IntoBytes + zerocopy::Immutable>(request: &mut R, value: &V) -> Result<usize, u32> {
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
