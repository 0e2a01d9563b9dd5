//! What the queue refuses, and that a refusal costs nothing.

use queued_work_item_ioctl::Enqueue;

use super::{Context, Failure, check_eq, context::refused, order::enqueue};
use crate::{NtStatus, ledger::Ledger, payload::ItemId};

const BUFFERS: u32 = 8;
const SIZE: u32 = 64;

/// An item that no ledger knows: if it runs, the log tells.
const REFUSED: ItemId = ItemId {
    producer: 99,
    index: 0,
};

pub(super) fn w05_full_queue_refuses_and_recovers(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(BUFFERS, SIZE)?;
    let mut ledger = Ledger::new();
    let mut index = 0;
    for round in 1..=3_u64 {
        context.step(format!("round {round}: gate"));
        client.gate()?;
        context.step(format!("round {round}: fill {BUFFERS} buffers"));
        for _ in 0..BUFFERS {
            enqueue(context, &client, &mut ledger, index, SIZE as usize)?;
            index += 1;
        }
        let before = client.statistics()?;
        context.step(format!("round {round}: one more, by both verbs"));
        let one_more = Enqueue::new(0, REFUSED.tag());
        refused(
            client.enqueue(&one_more, b"one"),
            NtStatus::INSUFFICIENT_RESOURCES,
            "ENQUEUE when full",
        )?;
        refused(
            client.enqueue_and_wait(&one_more, b"more"),
            NtStatus::INSUFFICIENT_RESOURCES,
            "ENQUEUE_AND_WAIT when full",
        )?;
        let after = client.statistics()?;
        check_eq!(after.refused_full, 2 * round, "refusals counted");
        check_eq!(
            after.accepted,
            before.accepted,
            "items accepted, before and after the refusals"
        );
        check_eq!(after.executed, before.executed, "items executed under the gate");
        context.step(format!("round {round}: release and flush"));
        client.release()?;
        client.flush()?;
        check_eq!(
            client.statistics()?.executed,
            u64::from(index),
            "items executed after the release"
        );
    }
    context.step("enqueue again");
    enqueue(context, &client, &mut ledger, index, SIZE as usize)?;
    context.settle(&client, &ledger)
}

pub(super) fn w06_oversize_never_costs_a_buffer(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(BUFFERS, SIZE)?;
    let mut ledger = Ledger::new();
    let long = vec![0xEE; SIZE as usize + 1];
    let item = Enqueue::new(0, REFUSED.tag());
    context.step("payloads of one byte too many");
    for _ in 0..10 * BUFFERS {
        refused(
            client.enqueue(&item, &long),
            NtStatus::INVALID_BUFFER_SIZE,
            "ENQUEUE, too long",
        )?;
        refused(
            client.enqueue_and_wait(&item, &long),
            NtStatus::INVALID_BUFFER_SIZE,
            "ENQUEUE_AND_WAIT, too long",
        )?;
    }
    let counters = client.statistics()?;
    check_eq!(
        counters.refused_length,
        u64::from(20 * BUFFERS),
        "refusals counted"
    );
    check_eq!(counters.accepted, 0, "items accepted");
    context.step("every buffer is still there");
    client.gate()?;
    for index in 0..BUFFERS {
        enqueue(context, &client, &mut ledger, index, SIZE as usize)?;
    }
    client.release()?;
    context.settle(&client, &ledger)
}
