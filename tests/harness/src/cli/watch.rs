//! `stats` and `log`: looking at the driver, once or for as long as someone looks.

use std::{
    io::IsTerminal,
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{LogEntry, StatisticsReply};
use serde::Serialize;

use super::{
    commands::{counters, named},
    table::figures,
};
use crate::{Client, Error, NtStatus};

/// How often `log --follow` looks: the driver completes no request when something has run.
const LOOK: Duration = Duration::from_millis(200);

/// The counters, as JSON has them.
#[derive(Serialize)]
struct Counters {
    accepted: u64,
    executed: u64,
    cancelled: u64,
    refused_full: u64,
    refused_length: u64,
    refused_closing: u64,
    overlaps: u64,
    above_passive: u64,
    stale_contexts: u64,
    cleanups: u64,
    told_at_dispatch: u64,
    queued: u32,
    high_water: u32,
    capacity: u32,
    gated: u32,
    pended: u32,
    started: u32,
}

impl From<&StatisticsReply> for Counters {
    fn from(reply: &StatisticsReply) -> Self {
        let StatisticsReply {
            accepted,
            executed,
            cancelled,
            refused_full,
            refused_length,
            refused_closing,
            overlaps,
            above_passive,
            stale_contexts,
            cleanups,
            told_at_dispatch,
            queued,
            high_water,
            capacity,
            gated,
            pended,
            started,
        } = *reply;
        Self {
            accepted,
            executed,
            cancelled,
            refused_full,
            refused_length,
            refused_closing,
            overlaps,
            above_passive,
            stale_contexts,
            cleanups,
            told_at_dispatch,
            queued,
            high_water,
            capacity,
            gated,
            pended,
            started,
        }
    }
}

/// `stats`
pub(super) fn statistics(
    client: &Client,
    watch: Option<Duration>,
    count: Option<u64>,
    json: bool,
) -> Result<(), Error> {
    let Some(every) = watch else {
        let now = client.statistics()?;
        if json {
            anstream::println!("{}", line(&Counters::from(&now))?);
        } else {
            anstream::println!("{}", counters(&now));
        }
        return Ok(());
    };
    // Where nobody looks, each time is a table of its own.
    let in_place = std::io::stdout().is_terminal() && !json;
    let mut before: Option<(Instant, StatisticsReply)> = None;
    for nth in 0.. {
        if count.is_some_and(|count| nth >= count) {
            break;
        }
        if nth > 0 {
            thread::sleep(every);
        }
        let (at, now) = (Instant::now(), client.statistics()?);
        if json {
            anstream::println!("{}", line(&Counters::from(&now))?);
        } else {
            let since = before
                .as_ref()
                .map(|(then, counters)| (at.duration_since(*then), counters));
            let table = changes(&now, since);
            if in_place && nth > 0 {
                // Back over the last one, line by line.
                anstream::print!("\x1b[{}A\x1b[J", table.lines().count());
            }
            anstream::println!("{table}");
        }
        before = Some((at, now));
    }
    Ok(())
}

/// The counters, with what each has gained a second.
fn changes(now: &StatisticsReply, before: Option<(Duration, &StatisticsReply)>) -> comfy_table::Table {
    let earlier = before.map(|(passed, counters)| (passed, named(counters)));
    let rows = named(now).into_iter().enumerate().map(|(at, (name, value))| {
        let gained = earlier
            .as_ref()
            .and_then(|(passed, earlier)| Some((passed, value.checked_sub(earlier.get(at)?.1)?)))
            .filter(|(_, gained)| *gained > 0)
            .map_or_else(String::new, |(passed, gained)| {
                format!("{:.0}", rate(gained, *passed))
            });
        vec![name.to_owned(), value.to_string(), gained]
    });
    figures(&["counter", "value", "a second"], rows)
}

/// So many in that time, a second.
#[expect(clippy::cast_precision_loss, reason = "shown in whole numbers")]
pub(super) fn rate(count: u64, passed: Duration) -> f64 {
    count as f64 / passed.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// A run, as JSON has it.
#[derive(Serialize)]
struct Run {
    sequence: u64,
    tag: u64,
    length: u32,
    digest: u64,
    status: u32,
    thread: u64,
    instance: u32,
    irql: u32,
}

impl From<&LogEntry> for Run {
    fn from(entry: &LogEntry) -> Self {
        let LogEntry {
            sequence,
            tag,
            digest,
            thread,
            length,
            status,
            instance,
            irql,
        } = *entry;
        Self {
            sequence,
            tag,
            length,
            digest,
            status,
            thread,
            instance,
            irql,
        }
    }
}

/// `log`
pub(super) fn log(
    client: &Client,
    from: u64,
    follow: bool,
    limit: Option<u64>,
    json: bool,
) -> Result<(), Error> {
    let mut left = limit.unwrap_or(u64::MAX);
    let mut next = from;
    let mut lost = 0;
    let mut first = true;
    while left > 0 {
        let mut page = if follow {
            client.read_log(next)?
        } else {
            client.read_whole_log(next)?
        };
        lost += page.lost;
        page.entries.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= page.entries.len() as u64;
        next = page.next;
        if json {
            for entry in &page.entries {
                anstream::println!("{}", line(&Run::from(entry))?);
            }
        } else if first || !page.entries.is_empty() {
            show(&page.entries, first);
        }
        first = false;
        if !follow {
            break;
        }
        if page.entries.is_empty() {
            thread::sleep(LOOK);
        }
    }
    if lost > 0 {
        anstream::eprintln!("{lost} older runs were overwritten");
    }
    Ok(())
}

fn show(entries: &[LogEntry], header: bool) {
    let names = ["run", "tag", "bytes", "digest", "status", "thread", "IRQL"];
    let rows = entries.iter().map(|entry| {
        vec![
            entry.sequence.to_string(),
            format!("{:#x}", entry.tag),
            entry.length.to_string(),
            format!("{:016x}", entry.digest),
            NtStatus(entry.status).to_string(),
            format!("{:#x}", entry.thread),
            entry.irql.to_string(),
        ]
    });
    anstream::println!("{}", figures(if header { &names } else { &[] }, rows));
}

fn line(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|error| Error::Unverified(format!("the JSON cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_rates_of_what_grew() {
        let before = StatisticsReply {
            accepted: 100,
            queued: 5,
            ..StatisticsReply::default()
        };
        let now = StatisticsReply {
            accepted: 300,
            queued: 3,
            ..StatisticsReply::default()
        };
        let text = changes(&now, Some((Duration::from_secs(2), &before))).to_string();
        let row = |name: &str| {
            text.lines()
                .find(|line| line.contains(name))
                .unwrap_or_default()
                .to_owned()
        };
        assert!(
            row("accepted").contains("300") && row("accepted").contains("100"),
            "{text}"
        );
        assert!(!row("queued ").contains('-'), "what shrinks has no rate: {text}");
    }
}
