//! Many items in one request: each is told what it would be told alone.

use queued_work_item_ioctl::{self as ioctl, Batch, BatchReply, Enqueue, limits};
use zerocopy::IntoBytes;

use super::{Context, Failure, check_eq};
use crate::{
    NtStatus,
    ledger::{Expected, Ledger},
    payload::{self, ItemId},
};

pub(super) fn w01_batches_in_order(context: &Context<'_>) -> Result<(), Failure> {
    const BATCHES: u32 = 4;
    let client = context.configured(limits::BATCH_ITEMS, 32)?;
    let mut ledger = Ledger::new();
    for batch in 0..BATCHES {
        context.step(format!("batch {batch} of {} items", limits::BATCH_ITEMS));
        let items: Vec<_> = (0..limits::BATCH_ITEMS)
            .map(|index| {
                let item = ItemId {
                    producer: 0,
                    index: batch * limits::BATCH_ITEMS + index,
                };
                (item, payload::distinct(context.options().seed, item, 32))
            })
            .collect();
        let sent: Vec<_> = items
            .iter()
            .map(|(item, payload)| (client.item(item.tag()), payload.as_slice()))
            .collect();
        let told = client.enqueue_batch(&sent)?;
        for ((item, payload), status) in items.iter().zip(&told) {
            check_eq!(*status, NtStatus::SUCCESS, "{item}");
            ledger.accept(Expected::new(*item, payload, NtStatus::SUCCESS));
        }
        client.flush()?;
    }
    context.settle(&client, &ledger)
}

pub(super) fn w05_batch_tells_each_item_its_own(context: &Context<'_>) -> Result<(), Failure> {
    const BUFFERS: u32 = 4;
    let client = context.configured(BUFFERS, 8)?;
    let other = client.at(1);
    context.step("gate");
    client.gate()?;
    let item = |index| ItemId { producer: 0, index }.tag();
    let good = |index| client.item(item(index));
    let items: [(Enqueue, &[u8], NtStatus); 10] = [
        (good(0), b"first", NtStatus::SUCCESS),
        (good(90), b"far too long", NtStatus::INVALID_BUFFER_SIZE),
        (good(1), b"second", NtStatus::SUCCESS),
        (other.item(item(91)), b"", NtStatus::DEVICE_NOT_READY),
        (
            Enqueue::new(limits::INSTANCES, item(92)),
            b"",
            NtStatus::INVALID_PARAMETER,
        ),
        (good(93).with_timeout(5), b"", NtStatus::INVALID_PARAMETER),
        (good(2), b"", NtStatus::SUCCESS),
        (good(3), b"the last", NtStatus::SUCCESS),
        (good(94), b"full", NtStatus::INSUFFICIENT_RESOURCES),
        (good(95), b"full", NtStatus::INSUFFICIENT_RESOURCES),
    ];
    context.step("a batch of good items and bad ones");
    let told = client.enqueue_batch(&items.map(|(item, payload, _)| (item, payload)))?;
    let due = items.map(|(_, _, status)| status);
    check_eq!(told, due, "what each item is told");
    let mut ledger = Ledger::new();
    for (sent, payload, status) in items {
        if status == NtStatus::SUCCESS {
            ledger.accept(Expected::new(ItemId::from_tag(sent.tag), payload, status));
        }
    }
    let counters = client.statistics()?;
    check_eq!(counters.refused_length, 1, "refusals for the length");
    check_eq!(counters.refused_full, 2, "refusals of a full queue");

    context.step("batches that are not whole");
    let whole = client.batch(&[(good(96), b"never"), (good(97), b"never")]);
    let room = size_of::<BatchReply>() + 2 * size_of::<u32>();
    for length in 0..whole.len() {
        let answer = client.raw(ioctl::ENQUEUE_BATCH, &whole[..length], room)?;
        check_eq!(
            answer.status,
            NtStatus::INVALID_BUFFER_SIZE,
            "a batch cut after {length} bytes"
        );
    }
    let long = [whole.as_slice(), &[0]].concat();
    let answer = client.raw(ioctl::ENQUEUE_BATCH, &long, room)?;
    check_eq!(answer.status, NtStatus::INVALID_BUFFER_SIZE, "a byte too many");
    let answer = client.raw(ioctl::ENQUEUE_BATCH, &whole, room - 1)?;
    check_eq!(answer.status, NtStatus::BUFFER_TOO_SMALL, "a status too many");
    let head = Batch {
        header: client.header(),
        count: limits::BATCH_ITEMS + 1,
        reserved: 0,
    };
    let answer = client.raw(ioctl::ENQUEUE_BATCH, head.as_bytes(), 1 << 20)?;
    check_eq!(answer.status, NtStatus::INVALID_PARAMETER, "too many items");
    check_eq!(client.enqueue_batch(&[])?, [], "what a batch of nothing is told");

    context.step("release");
    client.release()?;
    context.settle(&client, &ledger)
}
