//! One queue under test, on a machine of its own, whose pool blocks are counted.

use std::sync::Arc;

use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::{Machine, Start};
use queued_work_item::{Config, Item, Outcome, QueuedWorkItem};

use crate::common::{Gate, Log, passive};
use crate::model::{Model, SCRIBBLE};
use crate::program::{BUFFER_SIZE, Plan, Program};

pub(crate) type Queue = QueuedWorkItem<[u8], Box<dyn FnOnce(Outcome) + Send>, u32>;

/// What the callbacks saw.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Payload and context, as the callback found them.
    pub(crate) runs: Log<(Vec<u8>, u32)>,
    /// And as the cleanup did.
    pub(crate) cleaned: Log<(Vec<u8>, u32)>,
}

pub(crate) fn machine(plan: Plan) -> Machine {
    let machine = Machine::new();
    machine.plan_starts(move |_| match plan {
        Plan::Normal => Start::Normal,
        Plan::Duplicated => Start::Duplicated(2),
        Plan::Repeated => Start::Repeated,
        Plan::Held => Start::Held,
    });
    machine
}

pub(crate) fn create(program: &Program, gate: &Gate, seen: &Seen) -> Arc<Queue> {
    let config = Config::new(program.buffers).buffer_size(BUFFER_SIZE);
    let config = if program.more == 0 {
        config
    } else {
        config.lookaside(program.capacity())
    };
    let (gate, Seen { runs, cleaned }) = (gate.clone(), seen.clone());
    let callback = move |item: &mut Item<'_, [u8], u32>, _: &mut _| {
        let run = runs.len();
        item.set_status(Model::status(run));
        let (payload, context) = item.parts_mut();
        runs.push((payload.to_vec(), *context));
        payload.fill(SCRIBBLE);
        *context = Model::context(run);
        gate.pass();
    };
    let cleanup = move |payload: &mut [u8], context: &mut u32| {
        cleaned.push((payload.to_vec(), *context));
        // Neither may show in the buffer's next use.
        payload.fill(0xCC);
        *context = u32::MAX;
    };
    let queue = Queue::create_with_cleanup(&mut passive(), Parent::default(), &config, callback, cleanup);
    Arc::new(queue.expect("create"))
}
