//! Instances with a thread of their own: order of beginning and finishing, pended items, starting and stopping.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use queued_work_item_ioctl::{Complete, Configure, Enqueue, Stress, WaitReply, digest, limits};

use super::{
    Context, Failure, check, check_eq,
    context::{invariants, refused},
    stress::{DISPATCH_LEVEL, PASSIVE_LEVEL, load, went_well},
};
use crate::{
    Client, NtStatus,
    client::{CloseMode, Pending},
    payload::{self, ItemId},
};

impl Context<'_> {
    /// A handle, and a new instance with a thread of its own, which is not started.
    fn threaded(&self, shape: Configure) -> Result<Client, Failure> {
        let client = self.without_instance()?;
        self.step("configure an instance with a thread of its own");
        client.configure_as(&shape.threaded())?;
        let counters = client.statistics()?;
        check_eq!(
            (counters.capacity > 0, counters.started),
            (true, 0),
            "whether there are buffers, and a thread"
        );
        Ok(client)
    }
}

fn pend(client: &Client, tag: u64) -> Result<Pending<WaitReply>, Failure> {
    Ok(client.begin_wait(&client.item(tag).with_flags(Enqueue::PEND), b"kept")?)
}

/// What a waiter is told, which has to be this.
fn told(
    context: &Context<'_>,
    waiter: Pending<WaitReply>,
    tag: u64,
    status: NtStatus,
    outcome: u32,
) -> Result<(), Failure> {
    let reply = waiter.wait(context.options().timeout)?;
    let due = WaitReply {
        tag,
        status: status.0,
        outcome,
    };
    check_eq!(reply, due, "what the waiter of item {tag} is told");
    Ok(())
}

/// Closes the instance, of which nothing is left: every item ran or was dropped.
fn close(context: &Context<'_>, client: &Client) -> Result<(), Failure> {
    context.step(format!("close, after: {}", context.said().current()));
    client.close(CloseMode::Drain)?;
    let counters = client.statistics()?;
    invariants(&counters)?;
    check_eq!(
        counters.accepted,
        counters.executed + counters.cancelled,
        "items accepted, and those that ran or were dropped"
    );
    check_eq!(
        (counters.queued, counters.pended),
        (0, 0),
        "items queued and pended"
    );
    Ok(())
}

pub(super) fn x01_a_hundred_thousand_begin_in_order(context: &Context<'_>) -> Result<(), Failure> {
    const ITEMS: u32 = 100_000;
    let client = context.threaded(Configure::new(0, limits::BATCH_ITEMS, 24))?;
    let (mut sent, mut read) = (0, 0);
    while sent < ITEMS {
        let until = ITEMS.min(sent + limits::BATCH_ITEMS);
        context.step(format!("items {sent} to {until}"));
        let payloads: Vec<_> = (sent..until)
            .map(|index| {
                let item = ItemId { producer: 0, index };
                (item, payload::distinct(context.options().seed, item, 24))
            })
            .collect();
        let items: Vec<_> = payloads
            .iter()
            .map(|(item, payload)| (client.item(item.tag()), payload.as_slice()))
            .collect();
        let statuses = client.enqueue_batch(&items)?;
        check!(
            statuses.iter().all(|status| *status == NtStatus::SUCCESS),
            "an item was refused with every buffer free"
        );
        if sent == 0 {
            check_eq!(
                client.statistics()?.executed,
                0,
                "items that ran without a thread"
            );
            client.start()?;
        }
        // Behind all of them: it ends when they have ended.
        let last = client.enqueue_and_wait(&client.item(u64::MAX), &[]);
        let last = match last {
            Err(error) if error.refusal() == Some(NtStatus::INSUFFICIENT_RESOURCES) => {
                context.statistics_until(&client, "a buffer is free", |seen| seen.queued == 0)?;
                client.enqueue_and_wait(&client.item(u64::MAX), &[])
            }
            last => last,
        }?;
        check_eq!(last.outcome, WaitReply::RAN, "the outcome of the last");
        let log = client.read_whole_log(read)?;
        check_eq!(log.lost, 0, "runs that were not read");
        read = log.next;
        check_eq!(log.entries.len(), payloads.len() + 1, "runs");
        for (entry, (item, payload)) in log.entries.iter().zip(&payloads) {
            check_eq!(
                (entry.tag, entry.digest, entry.irql),
                (item.tag(), digest(payload), PASSIVE_LEVEL),
                "run {}, where {item} is due",
                entry.sequence
            );
        }
        sent = until;
    }
    close(context, &client)
}

pub(super) fn x01_a_million_finish_in_order(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    for (producers, items, mode, irql) in [
        (1, 100_000, Stress::PASSIVE, PASSIVE_LEVEL),
        (4, 250_000, Stress::SPIN_LOCK, DISPATCH_LEVEL),
        (4, 5_000, Stress::DPC, DISPATCH_LEVEL),
    ] {
        context.step(format!("{producers} producers of {items} items, mode {mode}"));
        let load = Stress {
            kind: Configure::THREADED,
            ..load(&client, producers, items, mode)
        };
        let reply = client.begin_stress(&load)?.wait(client.timeout())?;
        went_well(&load, irql, &reply)?;
    }
    Ok(())
}

pub(super) fn x01_an_item_at_the_head_is_next(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.threaded(Configure::new(0, 64, 8))?;
    context.step("30 items, and then 10 at the head, without a thread");
    for tag in 10..40 {
        client.enqueue(&client.item(tag), &[])?;
    }
    let mut heads = Vec::new();
    for tag in (0..10).rev() {
        let head = client.item(tag).with_flags(Enqueue::AT_HEAD);
        heads.push(client.begin_wait(&head.with_status(0xE000_0000), &[])?);
    }
    client.start()?;
    for (head, tag) in heads.into_iter().zip((0..10).rev()) {
        told(context, head, tag, NtStatus(0xE000_0000), WaitReply::RAN)?;
    }
    context.statistics_until(&client, "all have run", |seen| seen.executed == 40)?;
    let tags: Vec<_> = client
        .read_whole_log(0)?
        .entries
        .iter()
        .map(|run| run.tag)
        .collect();
    check_eq!(tags, (0..40).collect::<Vec<u64>>(), "the order of the runs");
    close(context, &client)
}

pub(super) fn x02_pended_items_stall_nobody(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.threaded(Configure::new(0, 32, 8))?;
    client.start()?;
    context.step("pend items, and run others beside them");
    let mut pended = Vec::new();
    for tag in 0..8_u64 {
        pended.push((tag, pend(&client, tag)?));
        let next = client.enqueue_and_wait(&client.item(100 + tag).with_status(0xE000_0001), &[])?;
        check_eq!(
            (next.outcome, next.status),
            (WaitReply::RAN, 0xE000_0001),
            "the item behind {tag} pended ones"
        );
        check_eq!(
            u64::from(client.statistics()?.pended),
            tag + 1,
            "items that are pended"
        );
    }
    context.step("complete them, the last first");
    refused(
        client.complete_pended(100, NtStatus::SUCCESS, Complete::PASSIVE),
        NtStatus::NOT_FOUND,
        "completion of an item that is not pended",
    )?;
    for (tag, mut waiter) in pended.into_iter().rev() {
        check!(
            waiter.is_waiting(Duration::ZERO)?,
            "item {tag} ended while it was pended"
        );
        let status = NtStatus(0xE000_0100 | u32::try_from(tag).unwrap_or(0));
        client.complete_pended(tag, status, Complete::PASSIVE)?;
        told(context, waiter, tag, status, WaitReply::RAN)?;
    }
    close(context, &client)?;

    context.step("an instance that waits for what it has pended, as DMF does");
    let client = context.threaded(Configure {
        flags: Configure::WAIT_FOR_PENDED,
        priority: limits::PRIORITY,
        ..Configure::new(0, 32, 8)
    })?;
    client.start()?;
    let first = pend(&client, 1)?;
    context.statistics_until(&client, "the first is pended", |seen| seen.pended == 1)?;
    let mut second = client.begin_wait(&client.item(2), &[])?;
    check!(
        second.is_waiting(Duration::from_millis(50))?,
        "an item began while another was pended"
    );
    check_eq!(
        client.read_log(0)?.entries.len(),
        1,
        "runs while an item is pended"
    );
    client.complete_pended(1, NtStatus::SUCCESS, Complete::SPIN_LOCK)?;
    told(context, first, 1, NtStatus::SUCCESS, WaitReply::RAN)?;
    told(context, second, 2, NtStatus::SUCCESS, WaitReply::RAN)?;
    close(context, &client)
}

pub(super) fn x03_stop_and_start_under_load(context: &Context<'_>) -> Result<(), Failure> {
    const CYCLES: u32 = 1_000;
    const PRODUCERS: u32 = 2;
    const BATCH: u32 = 32;
    let client = context.threaded(Configure::new(0, 256, 8))?;
    let (ended, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
    let produce = |producer: u32| -> Result<(), Failure> {
        let client = context.open()?;
        let mut index = 0;
        while !ended.load(Ordering::Acquire) {
            let items: Vec<_> = (0..BATCH)
                .map(|next| {
                    let item = ItemId {
                        producer,
                        index: index + next,
                    };
                    (client.item(item.tag()), &b"8 bytes."[..])
                })
                .collect();
            for status in client.enqueue_batch(&items)? {
                match status {
                    NtStatus::SUCCESS => {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                    // The same item again, with those behind it: the order within a thread stays.
                    NtStatus::INSUFFICIENT_RESOURCES => {}
                    status => return Err(Failure::Wrong(format!("an item was refused with {status}"))),
                }
            }
            index += BATCH;
        }
        Ok(())
    };
    context.step(format!(
        "stop and start {CYCLES} times, under {PRODUCERS} threads"
    ));
    let cycles = || -> Result<u64, Failure> {
        let mut dropped = 0;
        for _ in 0..CYCLES {
            client.start()?;
            dropped += client.stop()?;
        }
        Ok(dropped)
    };
    let dropped = thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| scope.spawn(move || produce(producer)))
            .collect();
        let dropped = cycles();
        ended.store(true, Ordering::Release);
        for producer in producers {
            producer
                .join()
                .unwrap_or_else(|_| Err(Failure::Wrong("a producer panicked".into())))?;
        }
        dropped
    })?;
    context.step("run what is left");
    client.start()?;
    let accepted = accepted.into_inner();
    let counters = context.statistics_until(&client, "nothing is left", |seen| {
        seen.executed + seen.cancelled >= seen.accepted
    })?;
    check_eq!(counters.accepted, accepted, "items accepted");
    check_eq!(counters.cancelled, dropped, "items dropped");
    check_eq!(counters.executed, accepted - dropped, "items executed");
    check!(accepted > u64::from(CYCLES), "{accepted} items are no load");
    context.step("read the log");
    let log = client.read_whole_log(0)?;
    check_eq!(
        log.lost + log.entries.len() as u64,
        counters.executed,
        "runs in the log, and those that it has lost"
    );
    let mut last = [None; PRODUCERS as usize];
    for entry in &log.entries {
        let item = ItemId::from_tag(entry.tag);
        let before = &mut last[item.producer as usize];
        check!(
            *before < Some(item.index),
            "{item} ran after {before:?} of its thread"
        );
        *before = Some(item.index);
    }
    close(context, &client)
}

pub(super) fn x04_stop_tells_every_waiter(context: &Context<'_>) -> Result<(), Failure> {
    const WAITERS: u64 = 8;
    let client = context.threaded(Configure::new(0, 64, 8))?;
    client.start()?;
    for round in 0..5 {
        context.step(format!(
            "round {round}: an item at the gate, and {WAITERS} waiters behind it"
        ));
        client.gate()?;
        client.enqueue(&client.item(1_000), &[])?;
        let waiters = (0..WAITERS)
            .map(|tag| {
                // Every second one on a thread that the driver blocks for it.
                let item = client.item(tag);
                let item = if tag % 2 == 0 {
                    item
                } else {
                    item.with_timeout(limits::TIMEOUT_MS)
                };
                Ok((tag, client.begin_wait(&item, b"waits")?))
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let accepted = (round + 1) * (WAITERS + 1);
        context.statistics_until(&client, "all wait behind the item that runs", |seen| {
            seen.accepted == accepted && u64::from(seen.queued) == WAITERS
        })?;
        context.step(format!("round {round}: stop"));
        let mut stop = client.begin_stop()?;
        for (tag, waiter) in waiters {
            told(context, waiter, tag, NtStatus::CANCELLED, WaitReply::CANCELLED)?;
        }
        check!(
            stop.is_waiting(Duration::from_millis(20))?,
            "the stop did not wait for the item that runs"
        );
        client.release()?;
        check_eq!(stop.wait(client.timeout())?.cancelled, WAITERS, "items dropped");
        check_eq!(client.statistics()?.started, 0, "threads of a stopped instance");
        client.start()?;
    }
    let again = client.enqueue_and_wait(&client.item(7).with_status(7), &[])?;
    check_eq!(
        (again.outcome, again.status),
        (WaitReply::RAN, 7),
        "an item after all that"
    );
    check_eq!(client.read_whole_log(0)?.entries.len(), 6, "runs");
    close(context, &client)
}

pub(super) fn x05_completion_from_a_dpc(context: &Context<'_>) -> Result<(), Failure> {
    const ITEMS: u64 = 32;
    let client = context.threaded(Configure {
        flags: Configure::REUSE_CLEANUP,
        context_size: 32,
        ..Configure::new(0, 32, 8)
    })?;
    client.start()?;
    for (at, dispatch) in [(Complete::DPC, ITEMS), (Complete::SPIN_LOCK, 2 * ITEMS)] {
        context.step(format!("pend {ITEMS} items, all the buffers"));
        let pended = (0..ITEMS)
            .map(|tag| pend(&client, tag))
            .collect::<Result<Vec<_>, _>>()?;
        context.statistics_until(&client, "all are pended", |seen| u64::from(seen.pended) == ITEMS)?;
        refused(
            client.enqueue(&client.item(99), &[]),
            NtStatus::INSUFFICIENT_RESOURCES,
            "one more",
        )?;
        context.step(format!("complete each, at place {at}"));
        for (tag, waiter) in (0..).zip(pended) {
            let status = NtStatus(0xA000_0000 | u32::try_from(tag).unwrap_or(0));
            client.complete_pended(tag, status, at)?;
            told(context, waiter, tag, status, WaitReply::RAN)?;
        }
        let counters = client.statistics()?;
        check_eq!(
            (counters.told_at_dispatch, counters.pended),
            (dispatch, 0),
            "waiters told at DISPATCH_LEVEL, and items pended"
        );
    }
    check_eq!(client.read_whole_log(0)?.entries.len() as u64, 2 * ITEMS, "runs");
    close(context, &client)?;
    check_eq!(client.statistics()?.cleanups, 2 * ITEMS, "buffers cleaned up");
    Ok(())
}

pub(super) fn x05_pended_items_hold_up_no_cancel(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.threaded(Configure::new(0, 32, 8))?;
    client.start()?;
    context.step("a drain waits for what is pended, and a cancel does not");
    let pended = (0..4)
        .map(|tag| pend(&client, tag))
        .collect::<Result<Vec<_>, _>>()?;
    context.statistics_until(&client, "all are pended", |seen| seen.pended == 4)?;
    let mut drain = client.begin_close(CloseMode::Drain)?;
    check!(
        drain.is_waiting(Duration::from_millis(20))?,
        "a drain ended with items pended"
    );
    client.close(CloseMode::Cancel)?;
    drain.wait(client.timeout())?;
    for (tag, waiter) in (0..).zip(pended) {
        told(context, waiter, tag, NtStatus::CANCELLED, WaitReply::RAN)?;
    }
    check_eq!(client.read_whole_log(0)?.entries.len(), 4, "runs");
    refused(
        client.complete_pended(0, NtStatus::SUCCESS, Complete::DPC),
        NtStatus::DEVICE_NOT_READY,
        "completion after the close",
    )
}
