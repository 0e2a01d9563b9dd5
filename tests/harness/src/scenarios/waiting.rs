//! Waiters: each gets the status of its own item.

use std::thread;

use queued_work_item_ioctl::{Enqueue, WaitReply};

use super::{Context, Failure, check_eq, context::judged};
use crate::{
    NtStatus,
    ledger::{Expected, Ledger},
    payload::{self, ItemId},
};

pub(super) fn w08_waiter_gets_the_callbacks_status(context: &Context<'_>) -> Result<(), Failure> {
    const STATUSES: [Option<u32>; 9] = [
        None,
        Some(0),
        Some(0x0000_0102), // success: STATUS_TIMEOUT, which must not be taken for one of ours
        Some(0x0000_0103), // success: STATUS_PENDING, which a driver must not hand to its IRP
        Some(0x4000_0000), // informational
        Some(0x8000_0005), // warning: STATUS_BUFFER_OVERFLOW
        Some(0xC000_0001), // error: STATUS_UNSUCCESSFUL
        Some(0xC000_0120), // error: STATUS_CANCELLED, of a run all the same
        Some(0xFFFF_FFFF),
    ];
    let client = context.configured(4, 16)?;
    let mut ledger = Ledger::new();
    for (index, status) in (0..).zip(STATUSES) {
        let item = ItemId { producer: 0, index };
        let due = NtStatus(status.unwrap_or(0));
        context.step(format!(
            "{item}: the callback sets {}",
            status.map_or("none".into(), |_| due.to_string())
        ));
        let mut request = Enqueue::new(0, item.tag());
        if let Some(status) = status {
            request = request.with_status(status);
        }
        let payload = item.tag().to_le_bytes();
        let reply = client.enqueue_and_wait(&request, &payload)?;
        let expected = Expected::new(item, &payload, due);
        judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
        ledger.accept(expected);
    }
    context.settle(&client, &ledger)
}

pub(super) fn w09_one_buffer_a_thousand_waits(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(1, 32)?;
    let mut ledger = Ledger::new();
    for index in 0..1_000 {
        let item = ItemId { producer: 0, index };
        context.step(format!("wait {index}"));
        let payload = payload::distinct(context.options().seed, item, 32);
        let status = NtStatus(0xE000_0000 | index);
        let reply = client.enqueue_and_wait(&Enqueue::new(0, item.tag()).with_status(status.0), &payload)?;
        let expected = Expected::new(item, &payload, status);
        judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
        ledger.accept(expected);
    }
    check_eq!(
        client.statistics()?.refused_full,
        0,
        "refusals with the only buffer back before its waiter woke"
    );
    context.settle(&client, &ledger)
}

pub(super) fn w10_thirty_two_waiters(context: &Context<'_>) -> Result<(), Failure> {
    const WAITERS: u32 = 32;
    let client = context.configured(WAITERS, 64)?;
    context.step("gate");
    client.gate()?;
    let wait = |producer: u32| -> Result<(Expected, WaitReply), Failure> {
        let item = ItemId { producer, index: 0 };
        let payload = payload::distinct(context.options().seed, item, 64);
        let status = NtStatus((producer % 4) << 30 | 1 << 29 | producer);
        let own = context.open()?;
        let reply = own.enqueue_and_wait(&Enqueue::new(0, item.tag()).with_status(status.0), &payload)?;
        Ok((Expected::new(item, &payload, status), reply))
    };
    let told = thread::scope(|scope| {
        let waiters: Vec<_> = (0..WAITERS)
            .map(|producer| scope.spawn(move || wait(producer)))
            .collect();
        // Whatever happens here, the gate opens: the threads must end.
        let together = context.statistics_until(&client, "all 32 wait", |counters| {
            counters.accepted == u64::from(WAITERS)
        });
        context.step("release");
        let released = client.release();
        context.step("collect 32 replies");
        let told: Vec<_> = waiters
            .into_iter()
            .map(|waiter| {
                waiter
                    .join()
                    .unwrap_or_else(|_| Err(Failure::Wrong("a waiter panicked".into())))
            })
            .collect();
        together?;
        released?;
        told.into_iter().collect::<Result<Vec<_>, Failure>>()
    })?;
    let mut ledger = Ledger::new();
    let mut wrong = Vec::new();
    for (expected, reply) in told {
        wrong.extend(Ledger::judge_reply(&expected, &reply));
        ledger.accept(expected);
    }
    judged(&wrong)?;
    context.settle(&client, &ledger)
}
