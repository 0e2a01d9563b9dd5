//! What an instance can be made as: with contexts, with a lookaside list, with buffers of another pool.

use queued_work_item_ioctl::Configure;

use super::{
    Context, Failure, check_eq,
    context::{invariants, refused},
    order::enqueue,
};
use crate::{NtStatus, ledger::Ledger};

pub(super) fn w21_contexts_are_clean(context: &Context<'_>) -> Result<(), Failure> {
    const BUFFERS: u32 = 4;
    const ITEMS: u32 = 100;
    let client = context.without_instance()?;
    for (context_size, flags) in [
        (64, 0),
        (64, Configure::REUSE_CLEANUP),
        (1, Configure::REUSE_CLEANUP),
    ] {
        let shape = Configure {
            context_size,
            flags,
            ..Configure::new(0, BUFFERS, 64)
        };
        context.step(format!("contexts of {context_size} bytes, flags {flags}"));
        client.configure_as(&shape)?;
        let mut ledger = Ledger::new();
        for index in 0..ITEMS {
            enqueue(context, &client, &mut ledger, index, 64)?;
            if index % BUFFERS == BUFFERS - 1 {
                client.flush()?;
            }
        }
        context.settle(&client, &ledger)?;
        // Closed: every buffer is home.
        let counters = client.statistics()?;
        check_eq!(
            counters.stale_contexts,
            0,
            "contexts that showed what an earlier run left"
        );
        let due = if flags == 0 { 0 } else { u64::from(ITEMS) };
        check_eq!(
            counters.cleanups,
            due,
            "contexts cleaned up, of {ITEMS} that were used"
        );
    }
    Ok(())
}

pub(super) fn w05_lookaside_grows_and_shrinks(context: &Context<'_>) -> Result<(), Failure> {
    const BUFFERS: u32 = 4;
    const MOST: u32 = 64;
    let client = context.without_instance()?;
    context.step(format!("{BUFFERS} buffers, {MOST} at most"));
    client.configure_as(&Configure {
        max_buffers: MOST,
        ..Configure::new(0, BUFFERS, 256)
    })?;
    let mut ledger = Ledger::new();
    let mut index = 0;
    for round in 1..=5_u64 {
        context.step(format!("round {round}: grow"));
        client.gate()?;
        for _ in 0..MOST {
            enqueue(context, &client, &mut ledger, index, 256)?;
            index += 1;
        }
        refused(
            client.enqueue(&client.item(u64::MAX), &[]),
            NtStatus::INSUFFICIENT_RESOURCES,
            "one item more than there can be buffers",
        )?;
        context.step(format!("round {round}: shrink"));
        client.release()?;
        client.flush()?;
        let counters = client.statistics()?;
        check_eq!(counters.executed, u64::from(index), "items executed");
        check_eq!(counters.refused_full, round, "refusals counted");
        check_eq!(
            (counters.capacity, counters.high_water),
            (MOST, MOST),
            "buffers there can be, and the most that were used"
        );
        invariants(&counters)?;
    }
    context.settle(&client, &ledger)
}

pub(super) fn w01_paged_buffers(context: &Context<'_>) -> Result<(), Failure> {
    const ITEMS: u32 = 500;
    let client = context.without_instance()?;
    context.step("buffers of paged pool");
    let shape = Configure {
        pool: Configure::PAGED,
        ..Configure::new(0, ITEMS, 64)
    };
    match client.configure_as(&shape) {
        Err(error) if error.refusal() == Some(NtStatus::NOT_SUPPORTED) => {
            // So the contract has it, of a driver that can do without.
            check_eq!(
                client.statistics()?.capacity,
                0,
                "buffers of the refused instance"
            );
            client.configure(1, 64)?;
            let mut ledger = Ledger::new();
            enqueue(context, &client, &mut ledger, 0, 64)?;
            return context.settle(&client, &ledger);
        }
        other => other?,
    }
    let mut ledger = Ledger::new();
    for index in 0..ITEMS {
        enqueue(context, &client, &mut ledger, index, 64)?;
    }
    context.settle(&client, &ledger)
}
