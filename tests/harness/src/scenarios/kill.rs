//! A process that loads the driver is killed.

use super::{
    Context, Failure, check_eq,
    context::{invariants, judged},
    whole::nothing_is_missing,
};
use crate::{
    NtStatus,
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
        let from = client.read_whole_log(0)?.next;
        let item = ItemId {
            producer: 77,
            index: round,
        };
        let reply = client.enqueue_and_wait(&client.item(item.tag()), b"next")?;
        let expected = Expected::new(item, b"next", NtStatus::SUCCESS);
        judged(Ledger::judge_reply(&expected, &reply).as_slice())?;
        let log = client.read_whole_log(from)?;
        check_eq!(log.entries.len(), 1, "runs after the flush");
        check_eq!(
            client.close(CloseMode::Drain)?.cancelled,
            0,
            "items dropped by a close of an empty queue"
        );
    }
    nothing_is_missing(context)
}
