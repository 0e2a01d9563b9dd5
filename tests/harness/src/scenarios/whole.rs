//! Everything that the driver lends is back.
//!
//! Whoever held it is gone, so that nobody can be asked. But what the driver lends is bounded: if all of it can be had
//! at once, nothing is missing.

use std::{
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{TaskConfigure, limits};

use super::{Context, Failure, check_eq, instances::largest, order::enqueue};
use crate::{
    Client, Error, NtStatus,
    client::{CloseMode, Pending},
    ledger::Ledger,
};

/// Fails unless every buffer of the common bound and every place of a blocking request can be had, and items run
/// through every instance.
pub(super) fn nothing_is_missing(context: &Context<'_>) -> Result<(), Failure> {
    let handle = context.without_any_instance()?;

    context.step("take all memory that instances can have");
    let fit = u32::try_from(limits::TOTAL_BYTES / limits::INSTANCE_BYTES).unwrap_or(u32::MAX);
    for id in 0..fit {
        eventually(context, NtStatus::QUOTA_EXCEEDED, || {
            handle.at(id).configure_as(&largest(id))
        })?;
    }
    for id in 0..fit {
        handle.at(id).close(CloseMode::Cancel)?;
    }

    context.step("take every place of a blocking request");
    let client = context.configured(8, 64)?;
    let mut ledger = Ledger::new();
    let mut index = 0;
    eventually(context, NtStatus::INSUFFICIENT_RESOURCES, || {
        client.gate()?;
        enqueue(context, &client, &mut ledger, index, 64)?;
        index += 1;
        let taken = take_every_place(&client);
        // Also what could not be taken: a flush that is given up keeps its place until the gate opens.
        client.release()?;
        for flush in taken? {
            flush.wait(client.timeout())?;
        }
        Ok(())
    })?;
    context.settle(&client, &ledger)?;

    for id in 0..limits::INSTANCES {
        context.step(format!("an item through instance {id}"));
        let client = handle.at(id);
        client.configure(1, 8)?;
        let reply = client.enqueue_and_wait(&client.item(u64::from(id)).with_status(id), b"usable")?;
        check_eq!(
            (reply.tag, reply.status),
            (u64::from(id), id),
            "the waiter of instance {id}"
        );
        client.close(CloseMode::Drain)?;
    }
    let tasks = context.without_any_task()?;
    for id in 0..limits::TASKS {
        context.step(format!("a run of task {id}"));
        let client = tasks.at(id);
        let task = TaskConfigure::new(id, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED);
        client.task_configure(&task)?;
        check_eq!(
            client.task_execute_now()?,
            u32::from(TaskConfigure::SUCCESS),
            "what task {id} returns"
        );
        client.task_close()?;
    }
    Ok(())
}

/// Tries again while the driver answers `busy`: a load that was cancelled gives up its memory and its threads only when
/// it has ended, which nobody is told of.
fn eventually<T>(
    context: &Context<'_>,
    busy: NtStatus,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.refusal() == Some(busy) && began.elapsed() < context.options().timeout => {
                thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// As many flushes as there can be, under a gate that is closed, and a refusal of one more.
fn take_every_place(client: &Client) -> Result<Vec<Pending<()>>, Error> {
    let mut flushes = Vec::new();
    for _ in 0..limits::BLOCKING_REQUESTS {
        flushes.push(client.begin_flush()?);
    }
    // Behind all of them: what is refused is answered by now.
    client.statistics()?;
    for flush in &mut flushes {
        if let Some(status) = flush.status(Duration::ZERO)? {
            return Err(Error::Refused {
                verb: "FLUSH",
                status,
            });
        }
    }
    match client.flush() {
        Err(error) if error.refusal() == Some(NtStatus::INSUFFICIENT_RESOURCES) => Ok(flushes),
        Err(error) => Err(error),
        Ok(()) => Err(Error::Unverified(
            "a flush was done under a closed gate, or there is one place too many".into(),
        )),
    }
}
