//! Several instances at once: each keeps its own order, counters, log, gate and buffers, within one bound for all.

use queued_work_item_ioctl::{Configure, limits};

use super::{
    Context, Failure, check_eq,
    context::{judged, refused},
};
use crate::{
    Client, NtStatus,
    client::CloseMode,
    ledger::{Expected, Ledger},
    payload::{self, ItemId},
};

pub(super) fn instances_do_not_disturb_each_other(context: &Context<'_>) -> Result<(), Failure> {
    const ITEMS: u32 = 40;
    let handle = context.without_any_instance()?;
    let clients: Vec<Client> = (0..limits::INSTANCES).map(|id| handle.at(id)).collect();
    context.step(format!("configure {} instances", clients.len()));
    for client in &clients {
        client.configure(ITEMS + client.instance(), 64)?;
    }
    context.step("gate the first");
    clients[0].gate()?;
    context.step("enqueue to all by turns");
    let mut ledgers: Vec<Ledger> = clients.iter().map(|_| Ledger::new()).collect();
    for index in 0..ITEMS {
        for (client, ledger) in clients.iter().zip(&mut ledgers) {
            let item = ItemId {
                producer: client.instance(),
                index,
            };
            let payload = payload::distinct(context.options().seed, item, 64);
            client.enqueue(&client.item(item.tag()), &payload)?;
            ledger.accept(Expected::new(item, &payload, NtStatus::SUCCESS));
        }
    }
    for (client, ledger) in clients.iter().zip(&ledgers).skip(1) {
        context.step(format!(
            "instance {} runs while the first stands",
            client.instance()
        ));
        client.flush()?;
        let counters = client.statistics()?;
        check_eq!(
            (counters.accepted, counters.executed, counters.gated),
            (u64::from(ITEMS), u64::from(ITEMS), 0),
            "accepted, executed and gated of instance {}",
            client.instance()
        );
        check_eq!(
            counters.capacity,
            ITEMS + client.instance(),
            "buffers of instance {}",
            client.instance()
        );
        let log = client.read_whole_log(0)?;
        judged(&ledger.judge(&log))?;
        for entry in &log.entries {
            check_eq!(
                entry.instance,
                client.instance(),
                "the instance of an entry in the log of instance {}",
                client.instance()
            );
        }
    }
    check_eq!(
        clients[0].statistics()?.executed,
        0,
        "items executed under the gate"
    );
    context.step("close the last, with all others open");
    let (last, rest) = clients
        .split_last()
        .ok_or_else(|| Failure::Wrong("the contract has no instances".into()))?;
    last.close(CloseMode::Drain)?;
    refused(
        last.enqueue(&last.item(0), &[]),
        NtStatus::DEVICE_NOT_READY,
        "ENQUEUE to the closed one",
    )?;
    clients[0].release()?;
    for (client, ledger) in rest.iter().zip(&ledgers) {
        context.settle(client, ledger)?;
    }
    Ok(())
}

pub(super) fn instances_share_one_bound(context: &Context<'_>) -> Result<(), Failure> {
    let handle = context.without_any_instance()?;
    for round in 0..2 {
        context.step(format!("round {round}: as many of the largest as fit"));
        let fit = u32::try_from(limits::TOTAL_BYTES / limits::INSTANCE_BYTES).unwrap_or(u32::MAX);
        check_eq!(
            fit < limits::INSTANCES,
            true,
            "whether the bound is less than all instances can have"
        );
        for id in 0..fit {
            handle.at(id).configure_as(&largest(id))?;
        }
        refused(
            handle.at(fit).configure_as(&largest(fit)),
            NtStatus::QUOTA_EXCEEDED,
            "one more",
        )?;
        refused(
            handle.at(fit).configure(1, 1),
            NtStatus::QUOTA_EXCEEDED,
            "one more of a byte",
        )?;
        context.step(format!("round {round}: what a close gives back can be had again"));
        handle.close(CloseMode::Drain)?;
        handle.at(fit).configure_as(&largest(fit))?;
        refused(
            handle.configure(1, 1),
            NtStatus::QUOTA_EXCEEDED,
            "one more of a byte",
        )?;
        for id in 1..=fit {
            handle.at(id).close(CloseMode::Drain)?;
        }
    }
    Ok(())
}

/// As many bytes as one instance can have.
pub(super) fn largest(instance: u32) -> Configure {
    let count = u32::try_from(limits::INSTANCE_BYTES / u64::from(limits::BUFFER_SIZE)).unwrap_or(u32::MAX);
    Configure::new(instance, count, limits::BUFFER_SIZE)
}
