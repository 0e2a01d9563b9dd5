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
