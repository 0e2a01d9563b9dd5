//! Threads, work items and DPCs in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::vec::Vec;

use queued_work_item::Passive;
use queued_work_item::kernel::host::{Machine, raise_irql};
use queued_work_item::kernel::{Irql, Parent};

use super::irp::{MemoryRequest, MemoryTicket};
use super::passive;
use crate::{Dpcs, Drain, Job, Platform, WorkItem, Worker};

/// The system's side, shared with what outlives a device.
pub(crate) struct World {
    /// Where all that a device does takes place.
    machine: Machine,
    no_workers: AtomicBool,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl World {
    /// In the machine that this thread is in.
    pub(super) fn new() -> Self {
        Self {
            machine: Machine::current(),
            no_workers: AtomicBool::new(false),
            workers: Mutex::default(),
        }
    }

    pub(super) const fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(super) fn deny_workers(&self, deny: bool) {
        self.no_workers.store(deny, Ordering::Relaxed);
    }

    pub(super) fn take_workers(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The [`Platform`] of a [`Device`](super::Device).
pub struct Memory {
    world: Arc<World>,
}

impl Memory {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

impl Platform for Memory {
    type Request = MemoryRequest;
    type Ticket = MemoryTicket;
    type Worker = Thread;
    type WorkItem = MemoryWorkItem;
    type Dpcs = MemoryDpcs;

    fn parent(&self) -> Parent {
        Parent::default()
    }

    fn reserve_worker(&self) -> Option<Thread> {
        (!self.world.no_workers.load(Ordering::Relaxed)).then(|| Thread {
            world: self.world.clone(),
        })
    }

    fn parallel(
        &self,
        threads: u32,
        body: &(dyn Fn(u32, &mut Passive) + Sync),
        _: &mut Passive,
    ) -> Result<(), u32> {
        thread::scope(|scope| {
            for number in 0..threads {
                scope.spawn(move || body(number, &mut passive()));
            }
        });
        Ok(())
    }

    fn work_item(&self, drain: Drain) -> Option<MemoryWorkItem> {
        Some(MemoryWorkItem::new(drain))
    }

    fn dpcs(&self, count: u32) -> Option<MemoryDpcs> {
        Some(MemoryDpcs { count })
    }
}

/// A thread that is not started yet.
pub struct Thread {
    world: Arc<World>,
}

impl Worker<Memory> for Thread {
    fn run(self, job: Job<Memory>) {
        let machine = self.world.machine().clone();
        let worker = thread::spawn(move || {
            let _entered = machine.enter();
            drop(job.run(&mut passive()));
        });
        self.world
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(worker);
    }
}

/// DPCs: threads at `DISPATCH_LEVEL`.
pub struct MemoryDpcs {
    count: u32,
}

impl Dpcs for MemoryDpcs {
    fn round(&self, body: &(dyn Fn(u32) + Sync), _: &mut Passive) {
        thread::scope(|scope| {
            for number in 0..self.count {
                scope.spawn(move || {
                    let _raised = raise_irql(Irql::DISPATCH);
                    body(number);
                });
            }
        });
    }
}

/// A work item with a thread of its own.
pub struct MemoryWorkItem {
    shared: Arc<Queued>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queued {
    state: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    queued: bool,
    deleted: bool,
}

impl Queued {
    fn state(&self) -> MutexGuard<'_, Wanted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.state());
        self.changed.notify_one();
    }

    /// Waits until it is queued, and takes it out; `false` once it is deleted and not queued.
    fn take(&self) -> bool {
        let mut state = self
            .changed
            .wait_while(self.state(), |state| !state.queued && !state.deleted)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.queued)
    }
}

impl MemoryWorkItem {
    fn new(drain: Drain) -> Self {
        let shared = Arc::new(Queued::default());
        let its = shared.clone();
        let thread = thread::spawn(move || {
            while its.take() {
                drain.run(&mut passive());
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }
}

impl WorkItem for MemoryWorkItem {
    fn enqueue(&self) {
        self.shared.change(|wanted| wanted.queued = true);
    }
}

impl Drop for MemoryWorkItem {
    fn drop(&mut self) {
        self.shared.change(|wanted| wanted.deleted = true);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("a work item panicked");
            }
        }
    }
}
