//! Exactly once, in order, with its own bytes.

use std::time::Duration;

use queued_work_item_ioctl::Enqueue;

use super::{Context, Failure, check, check_eq};
use crate::{
    Client, Error, NtStatus,
    ledger::{Expected, Ledger},
    payload::{self, ItemId},
};

/// How long a request that must not complete is watched.
const WATCHED: Duration = Duration::from_millis(100);

pub(super) fn w01_ten_thousand_in_order(context: &Context<'_>) -> Result<(), Failure> {
    const ITEMS: u32 = 10_000;
    let client = context.configured(ITEMS, 128)?;
    let mut ledger = Ledger::new();
    context.step(format!("enqueue {ITEMS} items"));
    for index in 0..ITEMS {
        enqueue(context, &client, &mut ledger, index, 128)?;
    }
    context.settle(&client, &ledger)
}

pub(super) fn w07_lengths_at_both_ends(context: &Context<'_>) -> Result<(), Failure> {
    const SIZE: u32 = 257;
    let client = context.configured(8, SIZE)?;
    let mut ledger = Ledger::new();
    for (index, length) in [(0, 0), (1, 1), (2, SIZE - 1), (3, SIZE), (4, 0), (5, SIZE)] {
        context.step(format!("enqueue {length} bytes"));
        let filler = u8::try_from(index + 1).unwrap_or(u8::MAX);
        plain(&client, &mut ledger, index, &vec![filler; length as usize])?;
    }
    context.settle(&client, &ledger)?;

    let client = context.configured(2, 0)?;
    let mut ledger = Ledger::new();
    context.step("enqueue 0 bytes into buffers of none");
    plain(&client, &mut ledger, 0, &[])?;
    context.settle(&client, &ledger)
}

pub(super) fn w11_flush_waits_for_what_was_before_it(context: &Context<'_>) -> Result<(), Failure> {
    const BEFORE: u32 = 12;
    let client = context.configured(64, 64)?;
    let mut ledger = Ledger::new();
    context.step("gate");
    client.gate()?;
    context.step(format!("enqueue {BEFORE} items"));
    for index in 0..BEFORE {
        enqueue(context, &client, &mut ledger, index, 64)?;
    }
    context.step("begin a flush");
    let mut flush = client.begin_flush()?;
    check!(
        flush.is_waiting(WATCHED)?,
        "the flush completed under a closed gate with {BEFORE} items queued"
    );
    context.step("enqueue behind the flush");
    enqueue(context, &client, &mut ledger, BEFORE, 64)?;
    context.step("release");
    client.release()?;
    context.step("wait for the flush");
    flush.wait(client.timeout())?;
    let executed = client.statistics()?.executed;
    check!(
        executed >= u64::from(BEFORE),
        "the flush returned when {executed} of the {BEFORE} items before it had run"
    );
    context.step("enqueue after the flush");
    enqueue(context, &client, &mut ledger, BEFORE + 1, 64)?;
    context.settle(&client, &ledger)
}

pub(super) fn w21_short_after_long_in_one_buffer(context: &Context<'_>) -> Result<(), Failure> {
    const SIZE: usize = 512;
    let client = context.configured(1, 512)?;
    let mut ledger = Ledger::new();
    for (index, length) in (0..).zip([SIZE, 1, SIZE, 0, SIZE, SIZE / 2, 3]) {
        context.step(format!("{length} bytes in the only buffer"));
        let filler = u8::try_from(index + 1).unwrap_or(u8::MAX);
        let (item, payload) = (ItemId { producer: 0, index }, vec![filler; length]);
        client.enqueue_and_wait(&Enqueue::new(0, item.tag()), &payload)?;
        ledger.accept(Expected::new(item, &payload, NtStatus::SUCCESS));
    }
    let counters = client.statistics()?;
    check_eq!(counters.capacity, 1, "buffers of the instance");
    context.settle(&client, &ledger)
}

/// Enqueues item `index` of thread 0 with a payload of its own, without a wait.
pub(super) fn enqueue(
    context: &Context<'_>,
    client: &Client,
    ledger: &mut Ledger,
    index: u32,
    longest: usize,
) -> Result<(), Error> {
    let item = ItemId { producer: 0, index };
    plain(
        client,
        ledger,
        index,
        &payload::distinct(context.options().seed, item, longest),
    )
}

fn plain(client: &Client, ledger: &mut Ledger, index: u32, payload: &[u8]) -> Result<(), Error> {
    let item = ItemId { producer: 0, index };
    client.enqueue(&Enqueue::new(0, item.tag()), payload)?;
    ledger.accept(Expected::new(item, payload, NtStatus::SUCCESS));
    Ok(())
}
