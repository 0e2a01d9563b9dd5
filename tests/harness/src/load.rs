//! What another process does to the driver until it is killed: everything that a dead process can leave behind.
//!
//! It has several handles, holds the gate by turns, and keeps requests of every kind that waits pending: waits, bounded
//! waits, flushes, and a load inside the driver; pended items of an instance with a thread of its own, and its stop; a
//! task's run at the task's gate, and a cancel that waits for it. It never tidies up.

use std::{collections::VecDeque, time::Duration};

use queued_work_item_ioctl::{
    Configure, Enqueue, StopReply, Stress, TaskConfigure, TaskDroppedReply, TaskExecuteReply, WaitReply,
};

use crate::{Client, Error, client::Pending, device::Access, device::Transport, payload::ItemId};

/// The instance that it loads; whoever starts it configures it.
pub const INSTANCE: u32 = 0;
/// The instance with a thread of its own.
const THREADED: u32 = INSTANCE + 1;
/// The task.
const TASK: u32 = 0;
/// Buffers that the instance should have: enough that requests wait, few enough that some are refused.
pub const BUFFERS: u32 = 64;
/// Bytes of each.
pub const BUFFER_SIZE: u32 = 64;

/// Waits that it keeps pending, and flushes.
const WAITS: usize = 16;
const FLUSHES: usize = 4;

/// The producer whose items are waited for.
const WAITER: u32 = 1;

/// Longer than a process lives that is killed in mid-load.
const BOUND_MS: u32 = 60_000;

/// Whether an item of this load is waited for with a time-out.
#[must_use]
pub const fn is_bounded(item: ItemId) -> bool {
    item.producer == WAITER && item.index % 2 == 1
}

/// Loads the driver until `stop` says so, and then leaves everything as it is: its handles are closed under its
/// requests. Calls `under_way` when requests of every kind are pending.
///
/// # Errors
/// What kept a request from being sent; what the driver says of it is not asked.
pub fn load(
    transport: &dyn Transport,
    timeout: Duration,
    under_way: &mut dyn FnMut(),
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let open = || Client::open(transport, Access::ReadWrite, timeout);
    let (gating, waiting, enqueueing) = (open()?, open()?, open()?);
    let mut waits: VecDeque<Pending<WaitReply>> = VecDeque::new();
    let mut flushes: VecDeque<Pending<()>> = VecDeque::new();
    let mut under_way = Some(under_way);
    // Its own queue's, so that it disturbs nothing but the processor.
    let inside = waiting.begin_stress(&Stress {
        header: waiting.header(),
        producers: 2,
        items: 1_000_000,
        payload: 64,
        buffer_count: 256,
        mode: Stress::SPIN_LOCK,
        kind: Configure::QUEUED_WORK_ITEM,
    })?;
    let others = (others(&waiting.at(THREADED))?, task(&gating.at(TASK))?);
    for index in 0.. {
        if stop() {
            break;
        }
        if index % 8 == 0 {
            refusals_aside(gating.gate())?;
        }
        let item = ItemId {
            producer: WAITER,
            index,
        };
        let request = waiting.item(item.tag()).with_status(0xE000_0000);
        let request = if is_bounded(item) {
            request.with_timeout(BOUND_MS)
        } else {
            request
        };
        waits.push_back(waiting.begin_wait(&request, &item.tag().to_le_bytes())?);
        flushes.push_back(enqueueing.begin_flush()?);
        for nth in 0..4 {
            let item = ItemId {
                producer: 2,
                index: index * 4 + nth,
            };
            refusals_aside(enqueueing.enqueue(&enqueueing.item(item.tag()), &[0x5A; 32]))?;
        }
        if index % 8 == 7 {
            if let Some(under_way) = under_way.take() {
                under_way();
            }
            refusals_aside(gating.release())?;
        }
        // Dropping one cancels it, which is a part of the load.
        waits.drain(..waits.len().saturating_sub(WAITS));
        flushes.drain(..flushes.len().saturating_sub(FLUSHES));
    }
    // As the system does it: the handles first.
    drop((gating, waiting, enqueueing));
    drop((inside, others, waits, flushes));
    Ok(())
}

/// What waits on an instance with a thread of its own, which the process before may have left: items that nobody will
/// complete, and a stop.
fn others(client: &Client) -> Result<(Vec<Pending<WaitReply>>, Pending<StopReply>), Error> {
    let shape = Configure::new(THREADED, BUFFERS, BUFFER_SIZE).threaded();
    refusals_aside(client.configure_as(&shape))?;
    refusals_aside(client.start())?;
    let pended = (0..4)
        .map(|tag| client.begin_wait(&client.item(tag).with_flags(Enqueue::PEND), b"kept"))
        .collect::<Result<_, _>>()?;
    Ok((pended, client.begin_stop()?))
}

/// What waits for a task: a run at its gate, and a cancel that waits for the run.
fn task(client: &Client) -> Result<(Pending<TaskExecuteReply>, Pending<TaskDroppedReply>), Error> {
    let task = TaskConfigure::new(TASK, TaskConfigure::D0_ENTRY, TaskConfigure::DEFERRED);
    refusals_aside(client.task_configure(&task.with_results(&[TaskConfigure::FAIL_BUT_TRY_AGAIN])))?;
    refusals_aside(client.task_restart().map(drop))?;
    refusals_aside(client.task_gate())?;
    let run = client.begin_task_execute_now()?;
    Ok((run, client.begin_task_cancel()?))
}

/// A full queue is a part of the load, and so is whatever else the driver refuses.
fn refusals_aside(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.refusal().is_some() => Ok(()),
        other => other,
    }
}
