//! Load made inside the driver.

use std::{
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{Configure, Stress, StressReply};

use super::{
    Context, Failure, check, check_eq,
    context::{judged, refused},
};
use crate::{
    Client, NtStatus,
    stress::{Mode, Plan},
};

/// `PASSIVE_LEVEL` and `DISPATCH_LEVEL`, as the reply tells the enqueuers' highest.
pub(super) const PASSIVE_LEVEL: u32 = 0;
pub(super) const DISPATCH_LEVEL: u32 = 2;

pub(super) fn w02_producers_inside_the_driver(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    for (mode, irql) in [
        (Stress::PASSIVE, PASSIVE_LEVEL),
        (Stress::SPIN_LOCK, DISPATCH_LEVEL),
    ] {
        context.step(format!("8 threads enqueue 5,000 items each at IRQL {irql}"));
        let load = load(&client, 8, 5_000, mode);
        let reply = client.begin_stress(&load)?.wait(client.timeout())?;
        went_well(&load, irql, &reply)?;
    }
    Ok(())
}

pub(super) fn w02_a_million_at_dispatch_level(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    context.step("4 threads enqueue 250,000 items each at DISPATCH_LEVEL");
    let load = load(&client, 4, 250_000, Stress::SPIN_LOCK);
    let reply = client.begin_stress(&load)?.wait(client.timeout())?;
    went_well(&load, DISPATCH_LEVEL, &reply)
}

pub(super) fn w02_producers_are_dpcs(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    context.step("4 DPCs enqueue 5,000 items each");
    let load = load(&client, 4, 5_000, Stress::DPC);
    let reply = client.begin_stress(&load)?.wait(client.timeout())?;
    went_well(&load, DISPATCH_LEVEL, &reply)
}

pub(super) fn w02_threads_of_user_mode(context: &Context<'_>) -> Result<(), Failure> {
    for mode in [Mode::Enqueue, Mode::Wait, Mode::Batch] {
        let plan = Plan {
            threads: 4,
            items: 2_000,
            duration: None,
            payload: 128,
            buffers: 512,
            mode,
        };
        let summary = crate::stress::run(context, plan, &mut |_| {})?;
        judged(&summary.mismatches)?;
        let due = u64::from(plan.threads) * u64::from(plan.items);
        // Of a batch, what was refused is given up.
        let missing = if mode == Mode::Batch { summary.full } else { 0 };
        check_eq!(summary.accepted + missing, due, "items accepted, {mode:?}");
    }
    Ok(())
}

pub(super) fn w02_progress_is_told(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    context.step("a load, and looks at how far it has come");
    let load = load(&client, 2, 200_000, Stress::SPIN_LOCK);
    let running = client.begin_stress(&load)?;
    let total = u64::from(load.producers) * u64::from(load.items);
    let (mut last, began) = (0, Instant::now());
    // The one that ran before is told of until this one begins.
    while last < total && began.elapsed() < client.timeout() {
        let seen = client.stress_progress()?;
        if seen.accepted > total || seen.executed < last {
            // Of another load.
            last = 0;
            continue;
        }
        check_eq!(
            (
                seen.order_errors,
                seen.finish_errors,
                seen.payload_errors,
                seen.overlaps,
                seen.above_passive,
                seen.refused_other
            ),
            (0, 0, 0, 0, 0, 0),
            "errors on the way"
        );
        last = seen.executed;
    }
    let reply = running.wait(client.timeout())?;
    went_well(&load, DISPATCH_LEVEL, &reply)?;
    context.step("how the last one ended");
    let last = client.stress_progress()?;
    check_eq!(
        (last.accepted, last.executed, last.completed),
        (total, total, total),
        "items of the last load"
    );
    Ok(())
}

pub(super) fn w02_cancelled_load_ends(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    context.step("begin a load that would take hours, and another one beside it");
    let long = load(&client, 4, 100_000_000, Stress::SPIN_LOCK);
    let mut running = client.begin_stress(&long)?;
    check!(
        running.is_waiting(Duration::from_millis(50))?,
        "400,000,000 items in 50 ms"
    );
    refused(
        client
            .begin_stress(&load(&client, 1, 1, Stress::PASSIVE))?
            .wait(client.timeout()),
        NtStatus::INSUFFICIENT_RESOURCES,
        "a second load at once",
    )?;
    context.step("cancel it");
    running.cancel()?;
    refused(
        running.wait(client.timeout()),
        NtStatus::CANCELLED,
        "the cancelled load",
    )?;
    context.step("the next one finds its place, when the threads of the last have ended");
    let next = load(&client, 2, 1_000, Stress::SPIN_LOCK);
    let began = Instant::now();
    let reply = loop {
        match client.begin_stress(&next)?.wait(client.timeout()) {
            Err(error)
                if error.refusal() == Some(NtStatus::INSUFFICIENT_RESOURCES)
                    && began.elapsed() < client.timeout() =>
            {
                thread::yield_now();
            }
            other => break other?,
        }
    };
    went_well(&next, DISPATCH_LEVEL, &reply)
}

/// So many producers with so many items each.
pub(super) fn load(client: &Client, producers: u32, items: u32, mode: u32) -> Stress {
    Stress {
        header: client.header(),
        producers,
        items,
        payload: 64,
        buffer_count: 1_024,
        mode,
        kind: Configure::QUEUED_WORK_ITEM,
    }
}

/// Every item once, in its producer's order, with its own bytes.
///
/// # Errors
/// The figure that is not as it has to be.
pub fn went_well(load: &Stress, irql: u32, reply: &StressReply) -> Result<(), Failure> {
    let total = u64::from(load.producers) * u64::from(load.items);
    let expected = StressReply {
        accepted: total,
        executed: total,
        completed: total,
        enqueue_irql: irql,
        refused_full: reply.refused_full,
        elapsed_ns: reply.elapsed_ns,
        high_water: reply.high_water,
        ..StressReply::default()
    };
    check_eq!(*reply, expected, "what the load came to");
    check!(
        (1..=load.buffer_count).contains(&reply.high_water),
        "{} items at once in {} buffers",
        reply.high_water,
        load.buffer_count
    );
    Ok(())
}
