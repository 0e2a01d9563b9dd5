//! The counters, to the item: a program whose every outcome is known.

use std::time::Duration;

use queued_work_item_ioctl::StatisticsReply;

use super::{Context, Failure, check_eq, context::refused};
use crate::{NtStatus, client::CloseMode};

#[expect(
    clippy::too_many_lines,
    reason = "one program, whose states follow from each other"
)]
pub(super) fn statistics_are_exact(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 8)?;
    let expect = |what: &str, due: StatisticsReply| -> Result<(), Failure> {
        context.step(format!("the counters {what}"));
        let counters = context.statistics_until(&client, "what runs has begun", |counters| {
            counters.queued == due.queued && counters.executed == due.executed
        })?;
        check_eq!(counters, due, "the counters {what}");
        Ok(())
    };
    let mut due = StatisticsReply {
        capacity: 4,
        ..StatisticsReply::default()
    };
    expect("of a new instance", due)?;

    client.gate()?;
    for tag in 0..3 {
        client.enqueue(&client.item(tag), b"8 bytes.")?;
    }
    due = StatisticsReply {
        accepted: 3,
        queued: 2,
        high_water: 3,
        gated: 1,
        ..due
    };
    expect("with three items at the gate", due)?;

    for _ in 0..5 {
        refused(
            client.enqueue(&client.item(99), b"9 bytes.."),
            NtStatus::INVALID_BUFFER_SIZE,
            "ENQUEUE, too long",
        )?;
    }
    let mut waiter = client.begin_wait(&client.item(3), b"")?;
    check_eq!(
        waiter.is_waiting(Duration::ZERO)?,
        true,
        "whether the waiter waits"
    );
    due = StatisticsReply {
        accepted: 4,
        queued: 3,
        high_water: 4,
        refused_length: 5,
        ..due
    };
    expect("with all buffers taken", due)?;

    let told = client.enqueue_batch(&[(client.item(99), b""), (client.item(99), b"9 bytes..")])?;
    check_eq!(
        told,
        [NtStatus::INSUFFICIENT_RESOURCES, NtStatus::INVALID_BUFFER_SIZE],
        "what a batch is told"
    );
    due = StatisticsReply {
        refused_full: 1,
        refused_length: 6,
        ..due
    };
    expect("after a refused batch", due)?;

    check_eq!(client.cancel()?, 3, "items dropped");
    waiter.wait(client.timeout())?;
    due = StatisticsReply {
        cancelled: 3,
        queued: 0,
        ..due
    };
    expect("after a cancel", due)?;

    client.release()?;
    client.flush()?;
    due = StatisticsReply {
        executed: 1,
        gated: 0,
        ..due
    };
    expect("after the release", due)?;

    client.gate()?;
    client.enqueue(&client.item(4), b"")?;
    let close = client.begin_close(CloseMode::Drain)?;
    for _ in 0..2 {
        refused(
            client.enqueue(&client.item(99), b""),
            NtStatus::DELETE_PENDING,
            "ENQUEUE to a closing instance",
        )?;
    }
    client.release()?;
    check_eq!(
        close.wait(client.timeout())?.cancelled,
        0,
        "items dropped by the drain"
    );
    due = StatisticsReply {
        accepted: 5,
        executed: 2,
        refused_closing: 2,
        capacity: 0,
        ..due
    };
    expect("of the closed instance, kept", due)?;

    client.configure(2, 8)?;
    due = StatisticsReply {
        capacity: 2,
        ..StatisticsReply::default()
    };
    expect("of the next instance", due)?;
    client.close(CloseMode::Drain)?;
    Ok(())
}
