//! The verbs, the statuses and the life cycle, over the I/O manager in memory.

mod batch;
mod benchmark;
mod hostile;
mod instances;
mod life_cycle;
mod protocol;
mod stress;
mod task_life;
mod tasks;
mod threaded;
mod verbs;
mod waiting;

use std::vec::Vec;

use queued_work_item_ioctl::*;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::testing::{Answered, Client, Device, Pended, Rights};

/// Room for every reply.
pub(super) const ROOM: usize = 64 * 1024;

pub(super) fn device() -> Device {
    Device::new().expect("there is memory")
}

/// What the tests say to a driver, a verb at a time.
impl Client<'_> {
    pub(super) fn configure(&self, buffer_count: u32, buffer_size: u32) -> u32 {
        self.configure_as(Configure::new(0, buffer_count, buffer_size))
    }

    pub(super) fn configure_as(&self, request: Configure) -> u32 {
        self.call(CONFIGURE, request.as_bytes(), 0).status
    }

    pub(super) fn enqueue(&self, item: Enqueue, payload: &[u8]) -> u32 {
        self.call(ENQUEUE, &joined(item, payload), 0).status
    }

    pub(super) fn enqueue_and_wait(&self, item: Enqueue, payload: &[u8]) -> Pended {
        self.send(ENQUEUE_AND_WAIT, &joined(item, payload), size_of::<WaitReply>())
    }

    pub(super) fn header(&self, code: u32) -> Pended {
        self.send(code, Header::new(0).as_bytes(), ROOM)
    }

    pub(super) fn gate(&self) {
        assert_eq!(self.header(GATE).wait().status, STATUS_SUCCESS);
    }

    pub(super) fn release(&self) {
        assert_eq!(self.header(RELEASE).wait().status, STATUS_SUCCESS);
    }

    pub(super) fn flush(&self) -> Pended {
        self.header(FLUSH)
    }

    pub(super) fn close(&self, mode: u32) -> Pended {
        let request = Close {
            header: Header::new(0),
            mode,
            reserved: 0,
        };
        self.send(CLOSE, request.as_bytes(), size_of::<CloseReply>())
    }

    pub(super) fn statistics(&self) -> StatisticsReply {
        self.header(STATISTICS).wait().reply()
    }

    /// The log from a sequence number on, in one request of `room` bytes of output.
    pub(super) fn log(&self, from: u64, room: usize) -> (LogReply, Vec<LogEntry>) {
        let request = ReadLog {
            header: Header::new(0),
            from,
        };
        let answered = self.call(READ_LOG, request.as_bytes(), room);
        assert_eq!(answered.status, STATUS_SUCCESS);
        let (head, tail) = LogReply::read_from_prefix(&answered.output).expect("a reply has a head");
        let entries: Vec<_> = tail
            .chunks(size_of::<LogEntry>())
            .map(|entry| LogEntry::read_from_bytes(entry).expect("entries are whole"))
            .collect();
        assert_eq!(entries.len(), head.count as usize);
        (head, entries)
    }

    /// Waits until so many items have begun waiting in the queue, without a callback having taken them.
    pub(super) fn until(&self, what: impl Fn(&StatisticsReply) -> bool) -> StatisticsReply {
        let start = std::time::Instant::now();
        loop {
            let statistics = self.statistics();
            if what(&statistics) {
                return statistics;
            }
            assert!(
                start.elapsed() < crate::testing::PATIENCE,
                "never came to be: {statistics:?}"
            );
            std::thread::yield_now();
        }
    }
}

impl Answered {
    /// The output, as one structure and nothing more.
    pub(super) fn reply<T: FromBytes + KnownLayout + Immutable>(&self) -> T {
        assert_eq!(self.status, STATUS_SUCCESS);
        T::read_from_bytes(&self.output).expect("the reply has its length")
    }
}

/// An input: an item, then its payload.
pub(super) fn joined(item: Enqueue, payload: &[u8]) -> Vec<u8> {
    let mut input = item.as_bytes().to_vec();
    input.extend_from_slice(payload);
    input
}

/// A handle with all rights.
pub(super) fn both(device: &Device) -> Client<'_> {
    device.open(Rights::BOTH)
}

/// The input of a batch of these items.
pub(super) fn batch(items: &[Vec<u8>]) -> Vec<u8> {
    let head = Batch {
        header: Header::new(0),
        count: u32::try_from(items.len()).expect("few"),
        reserved: 0,
    };
    let mut input = head.as_bytes().to_vec();
    for item in items {
        let length = u32::try_from(item.len()).expect("short");
        input.extend_from_slice(BatchItem { length }.as_bytes());
        input.extend_from_slice(item);
    }
    input
}
