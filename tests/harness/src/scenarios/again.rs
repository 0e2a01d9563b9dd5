//! Items that their own callback enqueues again.

use queued_work_item_ioctl::{Enqueue, WaitReply, limits};

use super::{Context, Failure, check, check_eq, context::invariants};
use crate::{
    NtStatus,
    client::CloseMode,
    ledger::{Expected, Ledger},
    payload::ItemId,
};

pub(super) fn w04_callback_enqueues_its_item_again(context: &Context<'_>) -> Result<(), Failure> {
    const AGAIN: u32 = 5_000;
    let client = context.configured(4, 16)?;
    context.step(format!("an item that is enqueued again {AGAIN} times"));
    let item = Enqueue {
        again: AGAIN,
        ..client.item(0xA6A1).with_status(0x4000_0001)
    };
    let reply = client.enqueue_and_wait(&item, b"again")?;
    let due = WaitReply {
        tag: item.tag,
        status: 0x4000_0001,
        outcome: WaitReply::RAN,
    };
    check_eq!(reply, due, "the waiter of the first run");
    let runs = u64::from(AGAIN) + 1;
    let counters = context.statistics_until(&client, "the row has ended", |counters| {
        counters.executed == runs && counters.queued == 0
    })?;
    check_eq!(counters.accepted, runs, "items accepted");
    check_eq!(counters.refused_full, 0, "refusals");
    invariants(&counters)?;
    context.step("every run is in the log, with its bytes and its status");
    let log = client.read_whole_log(0)?;
    check_eq!(log.entries.len() as u64, runs, "runs in the log");
    let expected = Expected::new(ItemId::from_tag(item.tag), b"again", NtStatus(0x4000_0001));
    for (entry, sequence) in log.entries.iter().zip(0..) {
        check!(
            entry.sequence == sequence
                && entry.tag == item.tag
                && entry.digest == expected.digest
                && entry.length == expected.length
                && entry.status == expected.status.0,
            "run {sequence}: {entry:?}"
        );
    }
    client.close(CloseMode::Drain)?;

    context.step("a row that finds no buffer ends, and is counted");
    client.configure(1, 16)?;
    let reply = client.enqueue_and_wait(
        &Enqueue {
            again: 1,
            ..client.item(1)
        },
        b"one",
    )?;
    check_eq!(reply.outcome, WaitReply::RAN, "outcome of the only run");
    client.flush()?;
    let counters = client.statistics()?;
    check_eq!(
        (counters.accepted, counters.executed, counters.refused_full),
        (1, 1, 1),
        "accepted, executed, and refused"
    );
    let mut ledger = Ledger::new();
    ledger.accept(Expected::new(ItemId::from_tag(1), b"one", NtStatus::SUCCESS));
    context.settle(&client, &ledger)
}

pub(super) fn log_counts_what_it_lost(context: &Context<'_>) -> Result<(), Failure> {
    /// More runs than the log keeps.
    const MORE: u32 = 1_000;
    let runs = u64::from(limits::LOG_ENTRIES + MORE);
    let client = context.configured(2, 8)?;
    context.step(format!("{runs} runs"));
    let item = Enqueue {
        again: limits::LOG_ENTRIES + MORE - 1,
        ..client.item(7)
    };
    client.enqueue(&item, b"")?;
    context.statistics_until(&client, "all have run", |counters| counters.executed == runs)?;
    context.step("read the log from its beginning, which is overwritten");
    let log = client.read_whole_log(0)?;
    check_eq!(log.lost, u64::from(MORE), "entries lost");
    check_eq!(log.next, runs, "where the log ends");
    check_eq!(
        log.entries.len(),
        limits::LOG_ENTRIES as usize,
        "entries that are left"
    );
    for (entry, sequence) in log.entries.iter().zip(u64::from(MORE)..) {
        check_eq!(entry.sequence, sequence, "the number of an entry");
    }
    context.step("from within what is lost, from what is kept, from the end, and from beyond");
    for (from, lost) in [
        (1, u64::from(MORE) - 1),
        (u64::from(MORE) - 1, 1),
        (u64::from(MORE), 0),
        (runs - 1, 0),
        (runs, 0),
        (u64::MAX, 0),
    ] {
        let page = client.read_log(from)?;
        check_eq!(page.lost, lost, "entries lost from {from} on");
        let first = page.entries.first().map(|entry| entry.sequence);
        let due = (from < runs).then(|| from.max(u64::from(MORE)));
        check_eq!(first, due, "the first entry from {from} on");
    }
    client.close(CloseMode::Drain)?;
    Ok(())
}
