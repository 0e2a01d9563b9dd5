//! What a driver would write without the queue: a work item, a list and a spin lock.
//!
//! It stands in the benchmark beside the queue, and does the same work: preallocated buffers, payloads copied, one
//! callback at a time in order. It is as fast as it can be made without giving up one of these: one hold of the lock for
//! an enqueue, one for each item drained, and a work item that is enqueued only when nobody drains.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use queued_work_item::Passive;
use queued_work_item::kernel::{Event, EventKind, Shared, SpinLock};

use crate::meter::Meter;

/// The list and its lock.
pub(crate) struct Lists {
    state: SpinLock<State>,
    meter: Shared<Meter>,
    /// Set when the drainer leaves.
    idle: Event,
}

struct State {
    /// As many as there are buffers at the start; never more.
    free: Vec<Vec<u8>>,
    pending: VecDeque<Vec<u8>>,
    /// The work item is enqueued or runs.
    draining: bool,
}

impl Lists {
    /// So many buffers of this size. `None`: no memory.
    pub(crate) fn new(buffers: u32, size: u32, meter: Shared<Meter>) -> Option<Self> {
        let buffers = usize::try_from(buffers).ok()?;
        let size = usize::try_from(size).ok()?;
        let mut free = Vec::new();
        free.try_reserve_exact(buffers).ok()?;
        let mut pending = VecDeque::new();
        pending.try_reserve_exact(buffers).ok()?;
        for _ in 0..buffers {
            let mut buffer = Vec::new();
            buffer.try_reserve_exact(size).ok()?;
            free.push(buffer);
        }
        Some(Self {
            state: SpinLock::new(State {
                free,
                pending,
                draining: false,
            }),
            meter,
            idle: Event::new(EventKind::Notification).ok()?,
        })
    }

    /// Copies the payload into a free buffer and queues it. Tells whether the work item is to be enqueued; `None`: no
    /// buffer is free.
    pub(crate) fn enqueue(&self, payload: &[u8]) -> Option<bool> {
        let mut state = self.state.lock();
        let mut buffer = state.free.pop()?;
        buffer.clear();
        // Within its capacity, which all payloads of a benchmark have.
        buffer.extend_from_slice(payload);
        state.pending.push_back(buffer);
        Some(!core::mem::replace(&mut state.draining, true))
    }

    fn drain(&self) {
        let mut done = None;
        loop {
            let next = {
                let mut state = self.state.lock();
                if let Some(buffer) = done.take() {
                    state.free.push(buffer);
                }
                let next = state.pending.pop_front();
                if next.is_none() {
                    state.draining = false;
                    self.idle.set();
                }
                next
            };
            let Some(buffer) = next else { return };
            self.meter.callback(&buffer);
            done = Some(buffer);
        }
    }

    /// Waits until every buffer is free. Only when nobody enqueues.
    pub(crate) fn wait_until_idle(&self, passive: &mut Passive) {
        loop {
            self.idle.clear();
            if !self.state.lock().draining {
                return;
            }
            self.idle.wait(passive);
        }
    }
}

/// What the bare work item runs.
pub struct Drain(pub(crate) Shared<Lists>);

impl Drain {
    /// The work item's callback. Callable on several threads at once.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token.
    pub fn run(&self, _: &mut Passive) {
        self.0.drain();
    }
}
