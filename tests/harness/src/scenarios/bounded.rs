//! Waits with a time-out: they end in time, and their items run all the same, once.

use std::time::{Duration, Instant};

use queued_work_item_ioctl::{Enqueue, WaitReply};

use super::{Context, Failure, check, check_eq, context::refused};
use crate::{
    Client, NtStatus,
    client::Pending,
    ledger::{Expected, Ledger},
    payload::ItemId,
};

/// Longer than anything here takes.
const AMPLE_MS: u32 = 60_000;

pub(super) fn w23_bounded_wait_under_a_gate(context: &Context<'_>) -> Result<(), Failure> {
    const SHORT: Duration = Duration::from_millis(50);
    let client = context.configured(8, 64)?;
    let mut ledger = Ledger::new();
    context.step("gate");
    client.gate()?;
    for index in 0..3 {
        context.step(format!("wait {index}, shorter than the gate"));
        let (expected, item, payload) = item_of(&client, index, ms(SHORT));
        let began = Instant::now();
        let reply = client.enqueue_and_wait(&item, &payload)?;
        let due = WaitReply {
            tag: item.tag,
            status: NtStatus::TIMEOUT.0,
            outcome: WaitReply::TIMED_OUT,
        };
        check_eq!(reply, due, "what a wait is told whose time is up");
        check!(
            began.elapsed() >= SHORT,
            "a wait of {SHORT:?} ended after {:?}",
            began.elapsed()
        );
        ledger.accept(expected);
    }
    check_eq!(client.statistics()?.executed, 0, "items executed under the gate");

    context.step("a bounded wait that is cancelled");
    let (expected, item, payload) = item_of(&client, 3, AMPLE_MS);
    let cancelled = begin(context, &client, &item, &payload, 4)?;
    cancelled.cancel()?;
    refused(
        cancelled.wait(client.timeout()),
        NtStatus::CANCELLED,
        "the cancelled bounded wait",
    )?;
    ledger.accept(expected);

    context.step("a bounded wait whose time suffices");
    let (expected, item, payload) = item_of(&client, 4, AMPLE_MS);
    let waits = begin(context, &client, &item, &payload, 5)?;
    context.step("release");
    client.release()?;
    let reply = waits.wait(client.timeout())?;
    super::context::judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
    ledger.accept(expected);
    context.settle(&client, &ledger)
}

pub(super) fn w23_bounded_waits_race_their_items(context: &Context<'_>) -> Result<(), Failure> {
    const WAITS: u32 = 200;
    let client = context.configured(4, 64)?;
    let mut ledger = Ledger::new();
    let mut timed_out = 0;
    for index in 0..WAITS {
        // The item takes 0 to 7 ms, its waiter has 0 to 4 ms.
        let (expected, item, payload) = item_of(&client, index, index % 5);
        let item = Enqueue {
            spend_us: index % 8 * 1_000,
            ..item
        };
        context.step(format!("wait {index}"));
        let reply = client.enqueue_and_wait(&item, &payload)?;
        if reply.outcome == WaitReply::TIMED_OUT {
            check_eq!(
                (reply.tag, NtStatus(reply.status)),
                (item.tag, NtStatus::TIMEOUT),
                "what wait {index} is told"
            );
            timed_out += 1;
            // It may hold its buffer still.
            client.flush()?;
        } else {
            super::context::judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
        }
        ledger.accept(expected);
    }
    check!(timed_out > 0, "no wait's time was up: this shows nothing");
    context.settle(&client, &ledger)
}

/// Item `index`, with a payload and a status of its own, waited for so long.
fn item_of(client: &Client, index: u32, timeout_ms: u32) -> (Expected, Enqueue, [u8; 8]) {
    let item = ItemId { producer: 0, index };
    let status = NtStatus(0xE000_0000 | index);
    let payload = item.tag().to_be_bytes();
    (
        Expected::new(item, &payload, status),
        client
            .item(item.tag())
            .with_status(status.0)
            .with_timeout(timeout_ms),
        payload,
    )
}

/// Begins a wait and returns when its item, the `accepted`th, is in: a thread of the driver enqueues it.
fn begin(
    context: &Context<'_>,
    client: &Client,
    item: &Enqueue,
    payload: &[u8],
    accepted: u64,
) -> Result<Pending<WaitReply>, Failure> {
    let pending = client.begin_wait(item, payload)?;
    context.statistics_until(client, "the item is accepted", |counters| {
        counters.accepted == accepted
    })?;
    Ok(pending)
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
