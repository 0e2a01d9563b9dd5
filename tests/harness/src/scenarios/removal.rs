//! The device vanishes under its callers.

use queued_work_item_ioctl::WaitReply;

use super::{Context, Failure, check, close::gate_and_fill, order::enqueue};
use crate::{Error, NtStatus, device::Access, ledger::Ledger};

pub(super) fn w13_surprise_removal_wakes_every_waiter(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(64, 64)?;
    let mut ledger = Ledger::new();
    let waiters = gate_and_fill(context, &client, &mut ledger)?;
    context.step("begin a flush");
    let flush = client.begin_flush()?;

    context.step("remove the device under its handles");
    match context.transport().surprise_remove() {
        Ok(()) => {}
        Err(Error::NotSupported(why)) => {
            client.release()?;
            client.close(crate::client::CloseMode::Cancel)?;
            return Err(Failure::Skipped(why));
        }
        Err(error) => return Err(error.into()),
    }
    // Whatever the verdict, the device comes back for those who come next.
    let told = all_told(context, waiters, flush);
    context.step("a new request through the old handle");
    let late = client.statistics();
    drop(client);
    context.step("bring the device back");
    context.transport().restore()?;
    told?;
    check!(late.is_err(), "the removed device answered {late:?}");

    context.step("open the device that came back");
    drop(crate::Client::open(
        context.transport(),
        Access::Read,
        context.options().timeout,
    )?);
    let client = context.configured(8, 64)?;
    let mut ledger = Ledger::new();
    for index in 0..8 {
        enqueue(context, &client, &mut ledger, index, 64)?;
    }
    context.settle(&client, &ledger)
}

/// Every waiter hears of its item, or that the device is gone; none is left.
fn all_told(
    context: &Context<'_>,
    waiters: Vec<super::close::Waiter>,
    flush: crate::client::Pending<()>,
) -> Result<(), Failure> {
    for (expected, waiter) in waiters {
        context.step(format!("collect the waiter of {}", expected.item));
        match waiter.wait(context.options().timeout) {
            Ok(reply) if reply.outcome == WaitReply::RAN => {
                super::context::judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
            }
            Ok(reply) => {
                let cancelled = reply.outcome == WaitReply::CANCELLED
                    && reply.status == NtStatus::CANCELLED.0
                    && reply.tag == expected.item.tag();
                check!(cancelled, "the waiter of {} got {reply:?}", expected.item);
            }
            Err(error) => gone(error)?,
        }
    }
    context.step("collect the flush");
    flush.wait(context.options().timeout).or_else(gone)
}

/// What a request may be told when its device goes.
fn gone(error: Error) -> Result<(), Failure> {
    match error.refusal() {
        Some(NtStatus::CANCELLED | NtStatus::DELETE_PENDING) => Ok(()),
        _ => Err(error.into()),
    }
}

/// How often the device is taken away under load.
const REMOVALS: u32 = 20;
/// Items that nobody waits for, and waiters behind them.
const QUEUED: u32 = 1_000;
const WAITERS: u32 = 8;

pub(super) fn w25_removed_and_unloaded_under_load(context: &Context<'_>) -> Result<(), Failure> {
    for round in 0..REMOVALS {
        let client = context.configured(QUEUED + WAITERS, 64)?;
        let waiters = fill(context, &client, round)?;
        context.step(format!("round {round}: remove the device under its handles"));
        match context.transport().surprise_remove() {
            Ok(()) => {}
            Err(Error::NotSupported(why)) => {
                client.release()?;
                client.close(crate::client::CloseMode::Cancel)?;
                return Err(Failure::Skipped(why));
            }
            Err(error) => return Err(error.into()),
        }
        context.step(format!("round {round}: collect {WAITERS} waiters"));
        let told = waiters
            .into_iter()
            .try_for_each(|waiter| match waiter.wait(context.options().timeout) {
                Ok(reply) if [WaitReply::RAN, WaitReply::CANCELLED].contains(&reply.outcome) => Ok(()),
                Ok(reply) => Err(Failure::Wrong(format!("a waiter got {reply:?}"))),
                Err(error) => gone(error),
            });
        drop(client);
        // Every second round the driver goes as well, and accounts for what it took.
        context.step(format!("round {round}: bring the device back"));
        if round % 2 == 1 {
            context.transport().unload()?;
        }
        context.transport().restore()?;
        told?;
    }
    let client = context.configured(8, 64)?;
    let mut ledger = Ledger::new();
    for index in 0..8 {
        enqueue(context, &client, &mut ledger, index, 64)?;
    }
    context.settle(&client, &ledger)
}

/// [`QUEUED`] items behind a closed gate, and [`WAITERS`] behind them.
fn fill(
    context: &Context<'_>,
    client: &crate::Client,
    round: u32,
) -> Result<Vec<crate::client::Pending<WaitReply>>, Failure> {
    context.step(format!("round {round}: gate, and {QUEUED} items"));
    client.gate()?;
    let items: Vec<_> = (0..QUEUED)
        .map(|index| (client.item(u64::from(index)), [0x25; 64]))
        .collect();
    let items: Vec<_> = items
        .iter()
        .map(|(item, payload)| (*item, payload.as_slice()))
        .collect();
    let refused = client
        .enqueue_batch(&items)?
        .into_iter()
        .find(|status| *status != NtStatus::SUCCESS);
    check!(refused.is_none(), "an item was refused: {refused:?}");
    let waiters = (0..WAITERS)
        .map(|waiter| client.begin_wait(&client.item(u64::from(QUEUED + waiter)), b"waits"))
        .collect::<Result<Vec<_>, _>>()?;
    context.statistics_until(client, "all stand at the gate", |counters| {
        counters.queued == QUEUED + WAITERS - 1
    })?;
    Ok(waiters)
}

pub(super) fn w24_two_devices(context: &Context<'_>) -> Result<(), Failure> {
    let first = context.configured(16, 64)?;
    context.step("add a device");
    let second = match context.transport().second() {
        Err(Error::NotSupported(why)) => return Err(Failure::Skipped(why)),
        other => other?,
    };
    let beside = Context::new(&*second, context.options());
    let mut ledgers = [Ledger::new(), Ledger::new()];
    context.step("the second device has no instance of the first");
    let other = beside.open()?;
    super::check_eq!(other.statistics()?.capacity, 0, "buffers of its instance");
    other.configure(16, 64)?;
    context.step("gate the first; the second runs");
    first.gate()?;
    for index in 0..12 {
        enqueue(context, &first, &mut ledgers[0], index, 64)?;
        enqueue(context, &other, &mut ledgers[1], index, 64)?;
    }
    other.flush()?;
    super::check_eq!(other.statistics()?.executed, 12, "items that the second executed");
    super::check_eq!(first.statistics()?.executed, 0, "items that the first executed");
    beside.settle(&other, &ledgers[1])?;
    context.step("remove the second with items queued; the first goes on");
    other.configure(16, 64)?;
    other.gate()?;
    let left = other.begin_wait(&other.item(1), b"left")?;
    beside.statistics_until(&other, "an item stands at the gate", |counters| {
        counters.accepted == 1
    })?;
    // Windows vetoes the removal while a handle is open; what is pending is told of the close then.
    drop(other);
    drop(second);
    if let Err(error) = left.wait(context.options().timeout) {
        gone(error)?;
    }
    first.release()?;
    context.settle(&first, &ledgers[0])
}
