//! One instance by its id: not configured, open, or closing.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use queued_work_item::kernel::{Shared, SpinLock};
use queued_work_item::{Close, Config, NtStatus, Passive, PossibleDeadlock};
use queued_work_item_ioctl::{
    self as ioctl, STATUS_DELETE_PENDING, STATUS_DEVICE_ALREADY_ATTACHED, STATUS_DEVICE_NOT_READY,
    STATUS_INSUFFICIENT_RESOURCES, StatisticsReply,
};

use crate::budget::{Budget, Charge};
use crate::decode::Shape;
use crate::gate::Gate;
use crate::queue::{Place, Queue};
use crate::record::{Record, read};
use crate::scratch::Scratch;
use crate::{Platform, Ticket};

/// The queue of one configuration, and its record.
pub(crate) struct Instance<T: Ticket> {
    pub(crate) queue: Queue<T>,
    pub(crate) record: Shared<Record<T>>,
    /// Given back after the queue is gone.
    _charge: Charge,
}

/// The place of an instance.
pub(crate) struct Slot<T: Ticket> {
    id: u32,
    pub(crate) gate: Shared<Gate>,
    /// Shared with the callback, which enqueues items again. That the queue and its state refer to each other ends when
    /// the instance is closed, as it always is.
    state: Shared<SpinLock<State<T>>>,
}

struct State<T: Ticket> {
    phase: Phase<T>,
    /// Of the last configuration, open or not.
    record: Option<Shared<Record<T>>>,
}

enum Phase<T: Ticket> {
    Closed,
    /// A handler is creating the queue, outside the lock.
    Creating,
    Open(Shared<Instance<T>>),
    Closing(Shared<Instance<T>>),
}

impl<T: Ticket> Phase<T> {
    fn instance(&self) -> Option<&Shared<Instance<T>>> {
        match self {
            Self::Open(instance) | Self::Closing(instance) => Some(instance),
            Self::Closed | Self::Creating => None,
        }
    }
}

impl<T: Ticket> Instance<T> {
    /// Copies to the record what only the queue counts, so that it outlives the queue.
    fn keep_counters(&self) {
        let counters = &self.record.counters;
        counters
            .high_water
            .fetch_max(self.queue.high_water_mark(), AcqRel);
        counters
            .cancelled
            .fetch_max(self.queue.counters().cancelled, AcqRel);
    }
}

impl<T: Ticket> Slot<T> {
    /// An instance that is not configured. `None`: no memory.
    pub(crate) fn new(id: u32) -> Option<Self> {
        let gate = Shared::try_new(Gate::new().ok()?).ok()?;
        let state = SpinLock::new(State {
            phase: Phase::Closed,
            record: None,
        });
        let state = Shared::try_new(state).ok()?;
        Some(Self { id, gate, state })
    }

    /// Creates the queue.
    pub(crate) fn configure<P: Platform<Ticket = T>>(
        &self,
        platform: &P,
        budget: &Shared<Budget>,
        shape: Shape,
        passive: &mut Passive,
    ) -> Result<(), u32> {
        self.begin_creating()?;
        let created = self.create(platform, budget, shape, passive);
        let (phase, outcome) = match created {
            Ok(instance) => (Phase::Open(instance), Ok(())),
            Err(status) => (Phase::Closed, Err(status)),
        };
        // What is replaced is dropped outside the lock: a record is large.
        let old = {
            let mut state = self.state.lock();
            let record = phase.instance().map(|instance| instance.record.clone());
            state.phase = phase;
            match record {
                Some(record) => state.record.replace(record),
                None => None,
            }
        };
        drop(old);
        outcome
    }

    fn begin_creating(&self) -> Result<(), u32> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Closed => {
                state.phase = Phase::Creating;
                Ok(())
            }
            _ => Err(STATUS_DEVICE_ALREADY_ATTACHED),
        }
    }

    fn create<P: Platform<Ticket = T>>(
        &self,
        platform: &P,
        budget: &Shared<Budget>,
        shape: Shape,
        passive: &mut Passive,
    ) -> Result<Shared<Instance<T>>, u32> {
        let no_memory = STATUS_INSUFFICIENT_RESOURCES;
        let charge = Budget::charge(budget, shape.bytes())?;
        let record = Record::new(self.id, shape.max_buffers).ok_or(no_memory)?;
        let record = Shared::try_new(record).map_err(|_| no_memory)?;
        // An item is the input as it came. Both terms are far below the width of a usize.
        let item_size =
            size_of::<ioctl::Enqueue>() + usize::try_from(shape.buffer_size).map_err(|_| no_memory)?;
        let mut config = Config::new(shape.buffer_count).buffer_size(item_size);
        if shape.max_buffers > shape.buffer_count {
            config = config.lookaside(shape.max_buffers);
        }
        let (its_record, gate, state) = (record.clone(), self.gate.clone(), self.state.clone());
        let callback = move |bytes: &mut [u8], context: &mut Scratch, passive: &mut Passive| {
            if !context.soil(shape.context_size) {
                its_record.counters.stale_contexts.fetch_add(1, Relaxed);
            }
            let again = |bytes: &[u8], passive: &Passive| enqueue_again(&state, bytes, passive);
            its_record.execute(&gate, bytes, again, passive)
        };
        let cleaned = record.clone();
        let cleanup = move |_: &mut [u8], _: &mut Scratch| {
            cleaned.counters.cleanups.fetch_add(1, Relaxed);
        };
        let parent = platform.parent();
        let queue = Queue::create(passive, parent, &config, &shape, callback, cleanup)
            .map_err(|error| error.status().0.cast_unsigned())?;
        Shared::try_new(Instance {
            queue,
            record,
            _charge: charge,
        })
        .map_err(|_| no_memory)
    }

    /// The instance, open or closing.
    pub(crate) fn instance(&self) -> Result<Shared<Instance<T>>, u32> {
        self.state
            .lock()
            .phase
            .instance()
            .cloned()
            .ok_or(STATUS_DEVICE_NOT_READY)
    }

    /// The instance, if it is open. One that is closing refuses from the moment that its close was accepted, not only
    /// when the close gets its thread.
    pub(crate) fn open_instance(&self) -> Result<Shared<Instance<T>>, u32> {
        match &self.state.lock().phase {
            Phase::Open(instance) => Ok(instance.clone()),
            Phase::Closing(_) => Err(STATUS_DELETE_PENDING),
            Phase::Closed | Phase::Creating => Err(STATUS_DEVICE_NOT_READY),
        }
    }

    /// The same, for an enqueue, whose refusal counts.
    pub(crate) fn instance_to_enqueue(&self) -> Result<Shared<Instance<T>>, u32> {
        self.open_instance().inspect_err(|status| {
            if *status == STATUS_DELETE_PENDING
                && let Some(record) = self.record()
            {
                record.counters.refused_closing.fetch_add(1, AcqRel);
            }
        })
    }

    /// Marks the instance as closing, again if need be: every closer closes the queue, and the last one in wakes with
    /// the first.
    pub(crate) fn begin_closing(&self) -> Result<Shared<Instance<T>>, u32> {
        let mut state = self.state.lock();
        let instance = state.phase.instance().cloned().ok_or(STATUS_DEVICE_NOT_READY)?;
        state.phase = Phase::Closing(instance.clone());
        Ok(instance)
    }

    /// Closes the queue of `instance`, which [`Slot::begin_closing`] gave, and gives it up. How many items were dropped.
    ///
    /// The error is the queue's: a close from its own callback, which no job runs in.
    pub(crate) fn close(
        &self,
        instance: Shared<Instance<T>>,
        how: Close,
        passive: &mut Passive,
    ) -> Result<u32, NtStatus> {
        if how == Close::Cancel {
            instance.queue.let_go();
        }
        let closed = instance
            .queue
            .close(passive, how)
            .map_err(PossibleDeadlock::status)?;
        instance.keep_counters();
        let old = {
            let mut state = self.state.lock();
            match &state.phase {
                // Another closer may have been quicker, and the id may have been configured anew.
                Phase::Closing(closing) if Shared::ptr_eq(closing, &instance) => {
                    Some(core::mem::replace(&mut state.phase, Phase::Closed))
                }
                _ => None,
            }
        };
        // The last reference frees the queue, before anyone is told that it is closed.
        drop(old);
        drop(instance);
        // No more than there are buffers.
        Ok(u32::try_from(closed.cancelled).unwrap_or(u32::MAX))
    }

    /// The counters of the last configuration; all zero without one.
    pub(crate) fn statistics(&self) -> StatisticsReply {
        let (instance, record) = {
            let state = self.state.lock();
            (state.phase.instance().cloned(), state.record.clone())
        };
        let mut reply = StatisticsReply {
            gated: u32::from(self.gate.is_closed()),
            ..Default::default()
        };
        if let Some(instance) = instance {
            instance.keep_counters();
            reply.capacity = instance.queue.capacity();
            reply.pended = instance.queue.pended();
            reply.started = u32::from(instance.queue.is_started());
        }
        if let Some(record) = record {
            let counters = &record.counters;
            // What ends is read before what begins, so that no reader sees more ends than beginnings.
            reply.executed = read(&counters.executed);
            let begun = read(&counters.begun);
            reply.cancelled = read(&counters.cancelled);
            reply.accepted = read(&counters.accepted);
            let queued = reply
                .accepted
                .saturating_sub(begun)
                .saturating_sub(reply.cancelled);
            reply.queued = u32::try_from(queued).unwrap_or(u32::MAX);
            reply.refused_full = read(&counters.refused_full);
            reply.refused_length = read(&counters.refused_length);
            reply.refused_closing = read(&counters.refused_closing);
            reply.overlaps = read(&counters.overlaps);
            reply.above_passive = read(&counters.above_passive);
            reply.stale_contexts = read(&counters.stale_contexts);
            reply.cleanups = read(&counters.cleanups);
            reply.told_at_dispatch = read(&counters.told_at_dispatch);
            reply.high_water = counters.high_water.load(Acquire);
        }
        reply
    }

    /// The record of the last configuration.
    pub(crate) fn record(&self) -> Option<Shared<Record<T>>> {
        self.state.lock().record.clone()
    }
}

/// The callback's own enqueue. A refusal is counted, and is nobody's to hear.
fn enqueue_again<T: Ticket>(state: &SpinLock<State<T>>, bytes: &[u8], passive: &Passive) {
    // Its own statement: the lock is not held during the enqueue. The reference is not the last: whoever closes the
    // instance keeps his until no callback runs.
    let instance = state.lock().phase.instance().cloned();
    if let Some(instance) = instance {
        let _refused = instance
            .record
            .counters
            .accept(|| instance.queue.enqueue(passive, bytes, Place::Tail));
    }
}
