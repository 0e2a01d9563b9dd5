//! Closing: nobody is left waiting, nothing runs afterwards.

use std::{thread, time::Duration};

use queued_work_item_ioctl::{Enqueue, WaitReply};

use super::{
    Context, Failure, check, check_eq,
    context::{invariants, refused},
    order::enqueue,
};
use crate::{
    Client, Error, NtStatus,
    client::{CloseMode, Pending},
    ledger::{Expected, Ledger},
    payload::ItemId,
};

/// Items that nobody waits for, enqueued first.
pub(super) const ITEMS: u32 = 16;
/// Waiters behind them.
pub(super) const WAITERS: u32 = 8;

pub(super) fn w13_cancelling_close_wakes_every_waiter(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(1024, 64)?;
    let mut ledger = Ledger::new();
    let waiters = gate_and_fill(context, &client, &mut ledger)?;

    context.step("begin a cancelling close");
    let close = client.begin_close(CloseMode::Cancel)?;
    let waited = waiters.len();
    until_closing(context, &client, &mut ledger)?;
    // Closing began; what it drops, it drops from another thread. Released earlier, items would rightly run.
    let dropped = (ledger.len() + waited - 1) as u64;
    context.statistics_until(&client, "all that has not begun is dropped", |counters| {
        counters.cancelled == dropped
    })?;
    context.step("release");
    client.release()?;
    context.step("wait for the close");
    let cancelled = close.wait(client.timeout())?.cancelled;
    for (expected, waiter) in waiters {
        context.step(format!("collect the waiter of {}", expected.item));
        let reply = waiter.wait(client.timeout())?;
        let due = WaitReply {
            tag: expected.item.tag(),
            status: NtStatus::CANCELLED.0,
            outcome: WaitReply::CANCELLED,
        };
        check_eq!(reply, due, "the waiter of {}", expected.item);
    }

    context.step("read the counters and the log of the closed instance");
    let counters = client.statistics()?;
    check_eq!(cancelled, dropped, "items that the close says it dropped");
    check_eq!(counters.cancelled, dropped, "items counted as dropped");
    check_eq!(counters.executed, 1, "items executed: the one that had begun");
    check_eq!(counters.queued, 0, "items queued");
    invariants(&counters)?;
    let log = client.read_whole_log(0)?;
    check_eq!(log.entries.len(), 1, "runs in the log");
    check_eq!(ItemId::from_tag(log.entries[0].tag).index, 0, "the item that ran");
    refused(
        client.enqueue(&Enqueue::new(0, 0), b"late"),
        NtStatus::DEVICE_NOT_READY,
        "ENQUEUE after the close",
    )
}

pub(super) fn w13_draining_close_runs_everything(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(1024, 64)?;
    let mut ledger = Ledger::new();
    let waiters = gate_and_fill(context, &client, &mut ledger)?;

    context.step("begin a draining close");
    let mut close = client.begin_close(CloseMode::Drain)?;
    until_closing(context, &client, &mut ledger)?;
    check!(
        close.is_waiting(Duration::from_millis(100))?,
        "the close completed under a closed gate with items queued"
    );
    check_eq!(client.statistics()?.executed, 0, "items executed under the gate");
    context.step("release");
    client.release()?;
    context.step("wait for the close");
    check_eq!(
        close.wait(client.timeout())?.cancelled,
        0,
        "items that a draining close dropped"
    );
    for (expected, waiter) in waiters {
        context.step(format!("collect the waiter of {}", expected.item));
        let reply = waiter.wait(client.timeout())?;
        super::context::judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
        ledger.accept(expected);
    }

    context.step("read the counters and the log of the closed instance");
    let counters = client.statistics()?;
    check_eq!(counters.executed, ledger.len() as u64, "items executed");
    check_eq!(counters.cancelled, 0, "items cancelled");
    invariants(&counters)?;
    super::context::judged(&ledger.judge(&client.read_whole_log(0)?))
}

pub(super) fn w15_close_and_create_again(context: &Context<'_>) -> Result<(), Failure> {
    let mut client = context.without_instance()?;
    for (buffers, size) in [(4, 16), (1, 4096), (512, 0), (4, 16)] {
        context.step(format!("configure {buffers} buffers of {size} bytes"));
        client.configure(buffers, size)?;
        let counters = client.statistics()?;
        check_eq!(counters.capacity, buffers, "buffers of the instance");
        check_eq!(counters.accepted, 0, "items accepted before the first");
        check_eq!(client.read_log(0)?.entries.len(), 0, "runs in a new log");
        let item = ItemId {
            producer: 0,
            index: 0,
        };
        let payload = vec![0x5A; size as usize];
        context.step("enqueue and wait");
        let reply = client.enqueue_and_wait(&Enqueue::new(0, item.tag()), &payload)?;
        check_eq!(reply.outcome, WaitReply::RAN, "outcome of the item");
        let mut ledger = Ledger::new();
        ledger.accept(Expected::new(item, &payload, NtStatus::SUCCESS));
        context.settle(&client, &ledger)?;
        // The next round's handle is another one.
        client = context.open()?;
    }
    Ok(())
}

/// A waiter that is pending, and what it must be told if its item runs.
pub(super) type Waiter = (Expected, Pending<WaitReply>);

/// Closes the gate, enqueues [`ITEMS`] that nobody waits for (noted in the ledger), [`WAITERS`] behind them, and
/// returns when the first item stands at the gate and the others behind it.
pub(super) fn gate_and_fill(
    context: &Context<'_>,
    client: &Client,
    ledger: &mut Ledger,
) -> Result<Vec<Waiter>, Failure> {
    context.step("gate");
    client.gate()?;
    context.step(format!("enqueue {ITEMS} items"));
    for index in 0..ITEMS {
        enqueue(context, client, ledger, index, 64)?;
    }
    context.step(format!("{WAITERS} waiters"));
    let waiters = (1..=WAITERS)
        .map(|producer| {
            let item = ItemId { producer, index: 0 };
            let payload = item.tag().to_le_bytes();
            let status = NtStatus(0xE000_0000 | producer);
            let request = Enqueue::new(0, item.tag()).with_status(status.0);
            Ok((
                Expected::new(item, &payload, status),
                client.begin_wait(&request, &payload)?,
            ))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let all = ITEMS + WAITERS;
    context.statistics_until(client, "one item has begun and the rest is queued", |counters| {
        counters.accepted == u64::from(all) && counters.queued == all - 1
    })?;
    Ok(waiters)
}

/// Enqueues items, noted in the ledger, until one is refused: a pended close says nothing when it begins; that does.
fn until_closing(context: &Context<'_>, client: &Client, ledger: &mut Ledger) -> Result<(), Failure> {
    const PROBE: u32 = 77;
    context.step("enqueue until the instance says that it is closing");
    for index in 0..512 {
        let probe = ItemId {
            producer: PROBE,
            index,
        };
        match client.enqueue(&Enqueue::new(0, probe.tag()), &[]) {
            Ok(()) => ledger.accept(Expected::new(probe, &[], NtStatus::SUCCESS)),
            Err(error) if error.refusal() == Some(NtStatus::DELETE_PENDING) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        thread::sleep(client.timeout() / 1024);
    }
    Err(Failure::Wrong(
        "a pended close never began: items are still accepted".into(),
    ))
}
