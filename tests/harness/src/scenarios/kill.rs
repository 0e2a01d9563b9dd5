//! A process that loads the driver is killed.

use std::collections::HashSet;

use super::{
    Context, Failure, check, check_eq,
    context::{invariants, judged},
    whole::nothing_is_missing,
};
use crate::{
    Client, NtStatus,
    client::CloseMode,
    ledger::{Expected, Ledger},
    load,
    payload::ItemId,
};

/// How often.
const KILLS: u32 = 50;

pub(super) fn w24_process_killed_in_mid_load(context: &Context<'_>) -> Result<(), Failure> {
    for round in 0..KILLS {
        let client = context.configured(load::BUFFERS, load::BUFFER_SIZE)?;
        context.step(format!("round {round}: a process loads the driver"));
        let process = context.transport().process()?;
        context.step(format!("round {round}: kill it"));
        process.kill()?;
        let counters = context.statistics_until(
            &client,
            &format!("all that the process of round {round} left has run"),
            |counters| {
                counters.gated == 0
                    && counters.queued == 0
                    && counters.accepted == counters.executed + counters.cancelled
            },
        )?;
        invariants(&counters)?;
        context.step(format!("round {round}: flush, and an item"));
        client.flush()?;
        let item = ItemId {
            producer: 77,
            index: round,
        };
        let reply = client.enqueue_and_wait(&client.item(item.tag()), b"next")?;
        let expected = Expected::new(item, b"next", NtStatus::SUCCESS);
        judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
        runs_once(&client, item)?;
        check_eq!(
            client.close(CloseMode::Drain)?.cancelled,
            0,
            "items dropped by a close of an empty queue"
        );
    }
    nothing_is_missing(context)
}

/// No item ran twice, `item` ran, and nothing ran after it but what may come late.
///
/// A bounded wait is enqueued by a thread of the driver, which may come to it only after the process is dead and the
/// queue was empty for a moment: the item runs all the same, once.
fn runs_once(client: &Client, item: ItemId) -> Result<(), Failure> {
    let log = client.read_whole_log(0)?;
    let mut seen = HashSet::new();
    let mut after = false;
    for entry in &log.entries {
        let run = ItemId::from_tag(entry.tag);
        check!(
            seen.insert(entry.tag),
            "{run} ran again, as run {}",
            entry.sequence
        );
        check!(
            !after || load::is_bounded(run),
            "{run} ran, as run {}, after all that the process left had run",
            entry.sequence
        );
        after |= run == item;
    }
    check!(after, "{item} was accepted and never ran");
    Ok(())
}
