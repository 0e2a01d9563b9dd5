//! Handles: what they may, what they share, and what becomes of a request whose handle closes or that is cancelled.

use queued_work_item_ioctl::{Enqueue, WaitReply};

use super::{Context, Failure, check, check_eq, context::refused, order::enqueue};
use crate::{
    Client, NtStatus,
    client::{CloseMode, Pending},
    device::Access,
    ledger::{Expected, Ledger},
    payload::ItemId,
};

pub(super) fn w24_handle_without_write_access(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 64)?;
    context.step("open for reading");
    let reader = Client::open(context.transport(), Access::Read, client.timeout())?;
    check_eq!(
        reader.statistics()?.capacity,
        4,
        "buffers, seen through a reading handle"
    );
    check_eq!(
        reader.read_log(0)?.entries.len(),
        0,
        "runs, seen through a reading handle"
    );
    context.step("every verb that changes something, through the reading handle");
    let item = Enqueue::new(0, 0);
    let due = NtStatus::ACCESS_DENIED;
    refused(reader.configure(1, 1), due, "CONFIGURE")?;
    refused(reader.enqueue(&item, &[]), due, "ENQUEUE")?;
    refused(reader.enqueue_and_wait(&item, &[]), due, "ENQUEUE_AND_WAIT")?;
    refused(reader.flush(), due, "FLUSH")?;
    refused(reader.close(CloseMode::Cancel), due, "CLOSE")?;
    refused(reader.gate(), due, "GATE")?;
    refused(reader.release(), due, "RELEASE")?;
    refused(reader.task_set_times_run(1), due, "TASK_SET_TIMES_RUN")?;
    refused(reader.task_close(), due, "TASK_CLOSE")?;
    refused(reader.task_gate(), due, "TASK_GATE")?;
    reader.task_statistics()?;
    reader.task_log()?;
    check_eq!(client.statistics()?.accepted, 0, "items accepted");
    context.settle(&client, &Ledger::new())
}

pub(super) fn w24_two_handles(context: &Context<'_>) -> Result<(), Failure> {
    let first = context.configured(8, 64)?;
    let second = context.open()?;
    let mut ledger = Ledger::new();
    context.step("enqueue through both handles by turns");
    for index in 0..20 {
        let client = if index % 2 == 0 { &first } else { &second };
        enqueue(context, client, &mut ledger, index, 64)?;
        if index % 4 == 3 {
            client.flush()?;
        }
    }
    check_eq!(
        first.statistics()?.accepted,
        20,
        "items accepted, seen through the first handle"
    );
    check_eq!(
        second.statistics()?.accepted,
        20,
        "items accepted, seen through the second handle"
    );
    context.step("close the first handle");
    drop(first);
    enqueue(context, &second, &mut ledger, 20, 64)?;
    context.settle(&second, &ledger)
}

pub(super) fn w24_gate_opens_with_its_handle(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(8, 64)?;
    let mut ledger = Ledger::new();
    context.step("gate through a second handle");
    let gating = context.open()?;
    gating.gate()?;
    check_eq!(client.statistics()?.gated, 1, "the gate");
    for index in 0..4 {
        enqueue(context, &client, &mut ledger, index, 64)?;
    }
    context.step("close a third handle, which did not close the gate");
    drop(context.open()?);
    check_eq!(client.statistics()?.gated, 1, "the gate");
    context.step("close the second handle");
    drop(gating);
    let counters = context.statistics_until(&client, "the gate is open", |counters| counters.gated == 0)?;
    check!(
        counters.accepted == 4,
        "items were lost with the handle: {counters:?}"
    );
    context.settle(&client, &ledger)
}

pub(super) fn w24_gate_outlives_its_instance(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    let mut ledger = Ledger::new();
    context.step("gate, then configure");
    client.gate()?;
    client.configure(8, 64)?;
    for index in 0..4 {
        enqueue(context, &client, &mut ledger, index, 64)?;
    }
    context.statistics_until(&client, "one item stands at the gate", |counters| {
        counters.queued == 3
    })?;
    check_eq!(client.statistics()?.executed, 0, "items executed under the gate");
    context.step("release");
    client.release()?;
    context.settle(&client, &ledger)?;

    context.step("gate a closed instance, configure, close, configure");
    client.gate()?;
    client.configure(8, 64)?;
    client.close(CloseMode::Drain)?;
    client.configure(8, 64)?;
    check_eq!(client.statistics()?.gated, 1, "the gate");
    client.release()?;
    check_eq!(client.statistics()?.gated, 0, "the gate");
    context.settle(&client, &Ledger::new())
}

pub(super) fn w24_handle_closed_while_waiting(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(8, 64)?;
    context.step("gate");
    client.gate()?;
    let leaving = context.open()?;
    let (expected, waiter) = wait_at_gate(context, &client, &leaving)?;
    context.step("close the handle under the waiter");
    drop(leaving);
    refused(
        waiter.wait(client.timeout()),
        NtStatus::CANCELLED,
        "the request of the closed handle",
    )?;
    runs_once_after_release(context, &client, expected)
}

pub(super) fn w24_cancelled_wait(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(8, 64)?;
    context.step("gate");
    client.gate()?;
    let (expected, waiter) = wait_at_gate(context, &client, &client)?;
    context.step("cancel the waiting request");
    waiter.cancel()?;
    refused(
        waiter.wait(client.timeout()),
        NtStatus::CANCELLED,
        "the cancelled request",
    )?;
    runs_once_after_release(context, &client, expected)
}

pub(super) fn w24_cancelled_flush(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(8, 64)?;
    let mut ledger = Ledger::new();
    context.step("gate");
    client.gate()?;
    for index in 0..4 {
        enqueue(context, &client, &mut ledger, index, 64)?;
    }
    context.step("begin a flush and cancel it");
    let flush = client.begin_flush()?;
    flush.cancel()?;
    refused(
        flush.wait(client.timeout()),
        NtStatus::CANCELLED,
        "the cancelled flush",
    )?;
    check_eq!(client.statistics()?.executed, 0, "items executed under the gate");
    context.step("release");
    client.release()?;
    context.settle(&client, &ledger)
}

/// Sends a wait through `waiting` and returns when `client` sees its item accepted.
fn wait_at_gate(
    context: &Context<'_>,
    client: &Client,
    waiting: &Client,
) -> Result<(Expected, Pending<WaitReply>), Failure> {
    context.step("begin a wait");
    let item = ItemId {
        producer: 1,
        index: 0,
    };
    let status = NtStatus(0xE000_0123);
    let waiter = waiting.begin_wait(&Enqueue::new(0, item.tag()).with_status(status.0), b"left alone")?;
    context.statistics_until(client, "the item is accepted", |counters| counters.accepted == 1)?;
    Ok((Expected::new(item, b"left alone", status), waiter))
}

fn runs_once_after_release(
    context: &Context<'_>,
    client: &Client,
    expected: Expected,
) -> Result<(), Failure> {
    check_eq!(client.statistics()?.executed, 0, "items executed under the gate");
    context.step("release");
    client.release()?;
    let mut ledger = Ledger::new();
    ledger.accept(expected);
    context.settle(client, &ledger)
}
