//! What was sent, against what the driver says it ran.
//!
//! The ledger is the judge: it knows every accepted item, and reads the execution log for items that are missing, ran
//! twice, ran out of their thread's order, or with other bytes or another status than they were enqueued with. A verdict
//! names the items.

use core::fmt;
use std::collections::BTreeMap;

use queued_work_item_ioctl::{LogEntry, WaitReply, digest};

use crate::{NtStatus, client::LogPage, payload::ItemId};

/// What must be seen of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Which item.
    pub item: ItemId,
    /// Bytes of its payload.
    pub length: u32,
    /// [`digest`] of its payload.
    pub digest: u64,
    /// The status that its callback leaves.
    pub status: NtStatus,
}

impl Expected {
    /// What must be seen of `item` with this payload and status.
    #[must_use]
    pub fn new(item: ItemId, payload: &[u8], status: NtStatus) -> Self {
        Self {
            item,
            length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            digest: digest(payload),
            status,
        }
    }
}

/// What is wrong with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It was accepted and never ran.
    Lost(ItemId),
    /// It ran again.
    Twice {
        /// Which item.
        item: ItemId,
        /// The run that was one too many.
        sequence: u64,
    },
    /// It ran and was never accepted.
    Unknown {
        /// What the log names.
        item: ItemId,
        /// Where the log names it.
        sequence: u64,
    },
    /// It ran after an item of its thread that was enqueued later.
    OutOfOrder {
        /// Which item.
        item: ItemId,
        /// The later one that ran first.
        after: ItemId,
        /// Where the log has it.
        sequence: u64,
    },
    /// Its callback saw other bytes.
    Payload {
        /// Which item.
        item: ItemId,
        /// Bytes enqueued.
        length: u32,
        /// Bytes seen.
        seen: u32,
    },
    /// Its callback left another status.
    Status {
        /// Which item.
        item: ItemId,
        /// What it was told to set.
        expected: NtStatus,
        /// What the log has.
        seen: NtStatus,
    },
    /// Its waiter was told something else.
    Waiter {
        /// Which item.
        item: ItemId,
        /// What it was told to set.
        expected: NtStatus,
        /// What the waiter got.
        reply: WaitReply,
    },
    /// Its callback ran above `PASSIVE_LEVEL`.
    Irql {
        /// Which item.
        item: ItemId,
        /// The level.
        irql: u32,
    },
    /// The log's numbers have a hole.
    Hole {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        seen: u64,
    },
    /// The log had overwritten entries before they were read.
    Overwritten(u64),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(item) => write!(f, "{item} was accepted and never ran"),
            Self::Twice { item, sequence } => write!(f, "{item} ran again, as run {sequence}"),
            Self::Unknown { item, sequence } => {
                write!(f, "{item} ran, as run {sequence}, and was never accepted")
            }
            Self::OutOfOrder {
                item,
                after,
                sequence,
            } => {
                write!(
                    f,
                    "{item} ran, as run {sequence}, after {after}, which was enqueued later"
                )
            }
            Self::Payload { item, length, seen } if length == seen => {
                write!(
                    f,
                    "{item} ran with other bytes than its {length} bytes of payload"
                )
            }
            Self::Payload { item, length, seen } => {
                write!(
                    f,
                    "{item} ran with {seen} bytes of payload where {length} were enqueued"
                )
            }
            Self::Status { item, expected, seen } => {
                write!(f, "{item} left {seen} where {expected} was asked for")
            }
            Self::Waiter {
                item,
                expected,
                reply,
            } => write!(
                f,
                "the waiter of {item} got {} (outcome {}, {}) where {expected} of a run was due",
                NtStatus(reply.status),
                reply.outcome,
                ItemId::from_tag(reply.tag),
            ),
            Self::Irql { item, irql } => write!(f, "{item} ran at IRQL {irql}"),
            Self::Hole { expected, seen } => {
                write!(f, "the log goes on with run {seen} where {expected} was due")
            }
            Self::Overwritten(count) => write!(f, "{count} entries of the log were overwritten unread"),
        }
    }
}

/// The accepted items.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    expected: BTreeMap<u64, Expected>,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes an item that the driver accepted.
    pub fn accept(&mut self, expected: Expected) {
        self.expected.insert(expected.item.tag(), expected);
    }

    /// Accepted items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.expected.len()
    }

    /// Nothing was accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    /// Judges a waiter's reply.
    #[must_use]
    pub fn judge_reply(expected: &Expected, reply: &WaitReply) -> Option<Mismatch> {
        let as_due = reply.tag == expected.item.tag()
            && reply.status == expected.status.0
            && reply.outcome == WaitReply::RAN;
        (!as_due).then_some(Mismatch::Waiter {
            item: expected.item,
            expected: expected.status,
            reply: *reply,
        })
    }

    /// Judges the whole log, from the instance's first run on. Every accepted item must be in it.
    #[must_use]
    pub fn judge(&self, log: &LogPage) -> Vec<Mismatch> {
        let mut wrong = Vec::new();
        if log.lost > 0 {
            wrong.push(Mismatch::Overwritten(log.lost));
        }
        let mut runs: BTreeMap<u64, u32> = BTreeMap::new();
        let mut furthest: BTreeMap<u32, ItemId> = BTreeMap::new();
        let mut due = log.lost;
        for entry in &log.entries {
            if entry.sequence != due {
                wrong.push(Mismatch::Hole {
                    expected: due,
                    seen: entry.sequence,
                });
            }
            due = entry.sequence + 1;

            let item = ItemId::from_tag(entry.tag);
            let Some(expected) = self.expected.get(&entry.tag) else {
                wrong.push(Mismatch::Unknown {
                    item,
                    sequence: entry.sequence,
                });
                continue;
            };
            let count = runs.entry(entry.tag).or_default();
            *count += 1;
            if *count > 1 {
                wrong.push(Mismatch::Twice {
                    item,
                    sequence: entry.sequence,
                });
                continue;
            }
            match furthest.get(&item.producer) {
                Some(after) if after.index > item.index => wrong.push(Mismatch::OutOfOrder {
                    item,
                    after: *after,
                    sequence: entry.sequence,
                }),
                _ => {
                    furthest.insert(item.producer, item);
                }
            }
            judge_run(expected, entry, &mut wrong);
        }
        wrong.extend(
            self.expected
                .values()
                .filter(|expected| !runs.contains_key(&expected.item.tag()))
                .map(|expected| Mismatch::Lost(expected.item)),
        );
        wrong
    }
}

fn judge_run(expected: &Expected, entry: &LogEntry, wrong: &mut Vec<Mismatch>) {
    let item = expected.item;
    if entry.length != expected.length || entry.digest != expected.digest {
        wrong.push(Mismatch::Payload {
            item,
            length: expected.length,
            seen: entry.length,
        });
    }
    if entry.status != expected.status.0 {
        wrong.push(Mismatch::Status {
            item,
            expected: expected.status,
            seen: NtStatus(entry.status),
        });
    }
    if entry.irql != 0 {
        wrong.push(Mismatch::Irql {
            item,
            irql: entry.irql,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(producer: u32, index: u32) -> ItemId {
        ItemId { producer, index }
    }

    fn log(ledger: &Ledger, order: &[ItemId]) -> LogPage {
        let entries = order
            .iter()
            .zip(0..)
            .map(|(item, sequence)| {
                let expected = ledger.expected.get(&item.tag());
                LogEntry {
                    sequence,
                    tag: item.tag(),
                    digest: expected.map_or(0, |e| e.digest),
                    length: expected.map_or(0, |e| e.length),
                    status: expected.map_or(0, |e| e.status.0),
                    ..LogEntry::default()
                }
            })
            .collect();
        LogPage {
            entries,
            next: order.len() as u64,
            lost: 0,
        }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new();
        for producer in 0..2 {
            for index in 0..3 {
                let status = NtStatus(0xA000_0000 + index);
                ledger.accept(Expected::new(item(producer, index), &[7; 4], status));
            }
        }
        ledger
    }

    const GOOD: [(u32, u32); 6] = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)];

    fn good() -> Vec<ItemId> {
        GOOD.iter().map(|(p, i)| item(*p, *i)).collect()
    }

    #[test]
    fn interleaved_threads_are_in_order() {
        let ledger = ledger();
        assert_eq!(ledger.judge(&log(&ledger, &good())), []);
    }

    #[test]
    fn a_lost_item_is_named() {
        let ledger = ledger();
        let mut order = good();
        order.retain(|i| *i != item(1, 1));
        assert_eq!(ledger.judge(&log(&ledger, &order)), [Mismatch::Lost(item(1, 1))]);
    }

    #[test]
    fn a_second_run_is_named() {
        let ledger = ledger();
        let mut order = good();
        order.push(item(0, 1));
        let twice = Mismatch::Twice {
            item: item(0, 1),
            sequence: 6,
        };
        assert_eq!(ledger.judge(&log(&ledger, &order)), [twice]);
    }

    #[test]
    fn a_swap_is_named() {
        let ledger = ledger();
        let mut order = good();
        order.swap(1, 2);
        let swap = Mismatch::OutOfOrder {
            item: item(1, 0),
            after: item(1, 1),
            sequence: 2,
        };
        assert_eq!(ledger.judge(&log(&ledger, &order)), [swap]);
    }

    #[test]
    fn a_stranger_is_named() {
        let ledger = ledger();
        let mut order = good();
        order.insert(3, item(9, 9));
        let stranger = Mismatch::Unknown {
            item: item(9, 9),
            sequence: 3,
        };
        assert_eq!(ledger.judge(&log(&ledger, &order)), [stranger]);
    }

    #[test]
    fn other_bytes_another_status_and_a_raised_irql_are_named() {
        let ledger = ledger();
        let mut page = log(&ledger, &good());
        page.entries[0].digest ^= 1;
        page.entries[1].status = 0;
        page.entries[2].irql = 2;
        page.entries[3].length = 3;
        let wrong = ledger.judge(&page);
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        let named = [item(0, 0), item(1, 0), item(1, 1), item(0, 1)];
        for (mismatch, item) in wrong.iter().zip(named) {
            assert!(mismatch.to_string().contains(&item.to_string()), "{mismatch}");
        }
    }

    #[test]
    fn holes_and_overwritten_entries_are_told() {
        let ledger = ledger();
        let mut page = log(&ledger, &good());
        page.lost = 2;
        for entry in &mut page.entries {
            entry.sequence += 2;
        }
        page.entries[5].sequence = 8;
        let hole = Mismatch::Hole { expected: 7, seen: 8 };
        assert_eq!(ledger.judge(&page), [Mismatch::Overwritten(2), hole]);
    }

    #[test]
    fn a_waiter_must_get_its_own_items_status() {
        let expected = Expected::new(item(0, 1), b"x", NtStatus(0xE000_0001));
        let reply = |tag, status, outcome| WaitReply { tag, status, outcome };
        let tag = expected.item.tag();
        assert_eq!(
            Ledger::judge_reply(&expected, &reply(tag, 0xE000_0001, WaitReply::RAN)),
            None
        );
        assert!(Ledger::judge_reply(&expected, &reply(tag, 0xE000_0002, WaitReply::RAN)).is_some());
        assert!(Ledger::judge_reply(&expected, &reply(tag + 1, 0xE000_0001, WaitReply::RAN)).is_some());
        assert!(Ledger::judge_reply(&expected, &reply(tag, 0xE000_0001, WaitReply::CANCELLED)).is_some());
    }
}
