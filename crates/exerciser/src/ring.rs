//! The execution log: a ring that keeps the newest entries and counts what it lost.

use alloc::vec::Vec;

use queued_work_item_ioctl::{LogEntry, TaskLogEntry};

/// What a log consists of.
pub(crate) trait Entry: Copy + Default {
    /// Gives it its number.
    fn number(&mut self, sequence: u64);
}

impl Entry for LogEntry {
    fn number(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}

impl Entry for TaskLogEntry {
    fn number(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}

/// Entries by sequence number. Its memory is taken when it is made; writing never allocates.
pub(crate) struct Ring<E = LogEntry> {
    /// As long as its capacity is; the entry of sequence `n` is at `n % capacity`.
    entries: Vec<E>,
    /// The sequence number of the next entry.
    next: u64,
}

/// What a read gives: where to go on, and what was overwritten before it could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) next: u64,
    pub(crate) lost: u64,
    pub(crate) count: usize,
}

impl<E: Entry> Ring<E> {
    /// A ring of `capacity` entries, at least one. `None`: no memory.
    pub(crate) fn new(capacity: usize) -> Option<Self> {
        let capacity = capacity.max(1);
        let mut entries = Vec::new();
        entries.try_reserve_exact(capacity).ok()?;
        entries.resize(capacity, E::default());
        Some(Self { entries, next: 0 })
    }

    fn capacity(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Where the entry of a sequence number is: below the capacity, which is a `usize`, and is not 0.
    fn index(&self, sequence: u64) -> usize {
        let index = sequence.checked_rem(self.capacity()).unwrap_or(0);
        usize::try_from(index).unwrap_or(0)
    }

    /// Writes the next entry, and numbers it.
    pub(crate) fn push(&mut self, mut entry: E) {
        entry.number(self.next);
        let index = self.index(self.next);
        if let Some(place) = self.entries.get_mut(index) {
            *place = entry;
        }
        self.next += 1;
    }

    /// Copies entries from sequence number `from` on into `out`, as many as fit.
    pub(crate) fn read(&self, from: u64, out: &mut [E]) -> Cursor {
        let oldest = self.next.saturating_sub(self.capacity());
        // A number that is not reached yet reads nothing, and is told where the log ends.
        let from = from.min(self.next);
        let start = from.max(oldest);
        let mut count = 0;
        for (place, sequence) in out.iter_mut().zip(start..self.next) {
            if let Some(entry) = self.entries.get(self.index(sequence)) {
                *place = *entry;
                count += 1;
            }
        }
        Cursor {
            next: start + count as u64,
            lost: start - from,
            count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u64) -> LogEntry {
        LogEntry {
            tag,
            ..LogEntry::default()
        }
    }

    #[test]
    fn reads_go_on_where_they_stopped() {
        let mut ring = Ring::new(4).expect("there is memory");
        let mut out = [LogEntry::default(); 3];
        assert_eq!(
            ring.read(0, &mut out),
            Cursor {
                next: 0,
                lost: 0,
                count: 0
            }
        );
        (0..4).for_each(|tag| ring.push(entry(tag)));
        assert_eq!(
            ring.read(0, &mut out),
            Cursor {
                next: 3,
                lost: 0,
                count: 3
            }
        );
        assert_eq!(
            ring.read(3, &mut out),
            Cursor {
                next: 4,
                lost: 0,
                count: 1
            }
        );
        assert_eq!((out[0].tag, out[0].sequence), (3, 3));
    }

    #[test]
    fn what_was_overwritten_is_counted() {
        let mut ring = Ring::new(4).expect("there is memory");
        (0..10).for_each(|tag| ring.push(entry(tag)));
        let mut out = [LogEntry::default(); 8];
        assert_eq!(
            ring.read(1, &mut out),
            Cursor {
                next: 10,
                lost: 5,
                count: 4
            }
        );
        assert_eq!(out[0].tag, 6);
        assert_eq!(
            ring.read(u64::MAX, &mut out),
            Cursor {
                next: 10,
                lost: 0,
                count: 0
            }
        );
    }
}
