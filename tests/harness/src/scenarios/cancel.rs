//! Cancelling: what has not begun is dropped, and the queue goes on.

use queued_work_item_ioctl::WaitReply;

use super::{
    Context, Failure, check_eq,
    close::{ITEMS, WAITERS, gate_and_fill},
    context::{invariants, judged, refused},
    order::enqueue,
};
use crate::{
    NtStatus,
    ledger::{Expected, Ledger},
    payload::ItemId,
};

/// Buffers of the instance.
const BUFFERS: u32 = ITEMS + WAITERS;

pub(super) fn w12_cancel_drops_what_has_not_begun(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(BUFFERS, 64)?;
    let mut dropped = Ledger::new();
    let waiters = gate_and_fill(context, &client, &mut dropped)?;

    context.step("cancel");
    check_eq!(client.cancel()?, u64::from(BUFFERS - 1), "items dropped");
    for (expected, waiter) in waiters {
        context.step(format!("collect the waiter of {}", expected.item));
        let due = WaitReply {
            tag: expected.item.tag(),
            status: NtStatus::CANCELLED.0,
            outcome: WaitReply::CANCELLED,
        };
        check_eq!(
            waiter.wait(client.timeout())?,
            due,
            "the waiter of {}",
            expected.item
        );
    }
    check_eq!(client.cancel()?, 0, "items dropped by a second cancel");

    context.step("every buffer but the running item's is free, and no other");
    let mut ledger = Ledger::new();
    let first = ItemId {
        producer: 0,
        index: 0,
    };
    let first_payload = crate::payload::distinct(context.options().seed, first, 64);
    ledger.accept(Expected::new(first, &first_payload, NtStatus::SUCCESS));
    for index in 0..BUFFERS - 1 {
        enqueue(context, &client, &mut ledger, ITEMS + index, 64)?;
    }
    refused(
        client.enqueue(&client.item(u64::MAX), &[]),
        NtStatus::INSUFFICIENT_RESOURCES,
        "one item more than there are buffers",
    )?;
    context.step("release");
    client.release()?;
    client.flush()?;
    let counters = client.statistics()?;
    check_eq!(counters.executed, u64::from(BUFFERS), "items executed");
    check_eq!(
        counters.cancelled,
        u64::from(BUFFERS - 1),
        "items counted as dropped"
    );
    check_eq!(counters.accepted, u64::from(2 * BUFFERS - 1), "items accepted");
    check_eq!(counters.queued, 0, "items queued");
    invariants(&counters)?;
    judged(&ledger.judge(&client.read_whole_log(0)?))?;
    client.close(crate::client::CloseMode::Drain)?;
    refused(
        client.cancel(),
        NtStatus::DEVICE_NOT_READY,
        "CANCEL of a closed instance",
    )
}
