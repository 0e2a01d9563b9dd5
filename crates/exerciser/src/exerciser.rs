//! The exerciser of one device: requests on their way to their verb.

use alloc::vec::Vec;
use core::sync::atomic::AtomicBool;

use queued_work_item::kernel::{Shared, SpinLock};
use queued_work_item::{Close, CreateError, Passive};
use queued_work_item_ioctl::{CancelReply, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, StressReply, limits};

use crate::budget::Budget;
use crate::decode::{Command, decode};
use crate::life::{Life, Stay};
use crate::record::Record;
use crate::slot::Slot;
use crate::tally::Tally;
use crate::task::{Surroundings, TaskSlot};
use crate::verbs::{put, version};
use crate::{Job, Platform, Request, Worker, pending};

const SLOTS: usize = limits::INSTANCES as usize;
const TASKS: usize = limits::TASKS as usize;

/// What the driver does with its requests. Clones are references to the same one.
pub struct Exerciser<P: Platform> {
    pub(crate) inner: Shared<Inner<P>>,
}

pub(crate) struct Inner<P: Platform> {
    pub(crate) platform: P,
    pub(crate) life: Shared<Life>,
    pub(crate) budget: Shared<Budget>,
    /// Somebody makes load.
    pub(crate) solo: Shared<AtomicBool>,
    /// The counts of the last load, or of the one that runs.
    pub(crate) tally: SpinLock<Option<Shared<Tally>>>,
    /// What waits on no instance.
    pub(crate) record: Shared<Record<P::Ticket>>,
    /// Is the device in D0?
    pub(crate) powered: SpinLock<bool>,
    /// By instance.
    pub(crate) slots: Vec<Slot<P::Ticket>>,
    /// What tasks know of the device.
    pub(crate) surroundings: Surroundings,
    /// By task.
    pub(crate) tasks: Vec<TaskSlot>,
}

impl<P: Platform> Clone for Exerciser<P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

/// What a handler leaves behind: the request is answered now, or by somebody else.
pub(crate) enum Done<P: Platform> {
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
        let mut tasks = Vec::new();
        tasks
            .try_reserve_exact(TASKS)
            .map_err(|_| CreateError::OutOfMemory)?;
        for _ in 0..TASKS {
            tasks.push(TaskSlot::new().ok_or(CreateError::OutOfMemory)?);
        }
        let inner = Shared::try_new(Inner {
            platform,
            life,
            budget,
            solo,
            tally: SpinLock::new(None),
            record,
            powered: SpinLock::new(true),
            slots,
            surroundings: Surroundings::new()?,
            tasks,
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
            Err(status) => {
                self.inner.platform.refused(request.code(), status);
                request.complete(status, 0);
            }
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
                self.enqueue(slot, &item, passive)?;
                Done::Now(0)
            }
            Command::EnqueueAndWait { slot, item, timeout } => {
                match timeout {
                    None => self.enqueue_and_wait(slot, &item, request, passive)?,
                    Some(timeout) => self.wait_at_most(slot, &item, timeout, request)?,
                }
                Done::Later
            }
            Command::Batch { count } => Done::Now(self.batch(count, request, passive)?),
            Command::Stress { plan } => self.stress(plan, request)?,
            Command::Benchmark { samples } => self.benchmark(samples, request)?,
            Command::StressProgress => {
                // Its own statement: the lock is not held while the reply is put together.
                let tally = self.inner.tally.lock().clone();
                let reply = tally.map_or_else(StressReply::default, |tally| tally.reply());
                Done::Now(put(request, &reply)?)
            }
            Command::Cancel { slot } => {
                let cancelled = self.at(slot)?.instance()?.queue.cancel(passive);
                Done::Now(put(request, &CancelReply { cancelled })?)
            }
            Command::Flush { slot } => {
                self.flush(slot, request)?;
                Done::Later
            }
            Command::Start { slot } => self.start(slot, request)?,
            Command::Stop { slot } => self.stop(slot, request)?,
            Command::Complete {
                slot,
                tag,
                status,
                at,
            } => self.complete(slot, tag, status, at, request)?,
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
            Command::Task { slot, command } => self.of_task(slot, command, request)?,
        })
    }

    /// The slot of a decoded command.
    pub(crate) fn at(&self, slot: usize) -> Result<&Slot<P::Ticket>, u32> {
        self.slot(slot).ok_or(STATUS_INVALID_PARAMETER)
    }
}
