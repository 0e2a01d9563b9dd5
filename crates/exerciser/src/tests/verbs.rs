//! Each verb on its own.

use std::vec::Vec;

use queued_work_item_ioctl::*;

use super::{both, device};
use crate::testing::Rights;

#[test]
fn version_tells_the_contract_and_its_limits() {
    let device = device();
    let reply: VersionReply = device
        .open(Rights::READ)
        .call(VERSION, &[], size_of::<VersionReply>())
        .reply();
    assert_eq!(reply.contract, CONTRACT_VERSION);
    assert_eq!((reply.major, reply.minor, reply.patch), (0, 1, 0));
    assert_eq!(reply.buffer_count, limits::BUFFER_COUNT);
    assert_eq!(reply.instance_bytes, limits::INSTANCE_BYTES);
}

#[test]
fn w01_items_run_once_and_in_order() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(64, 8), STATUS_SUCCESS);
    let mut expected = Vec::new();
    for tag in 0..10_000_u64 {
        let payload = tag.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        expected.push((tag, digest(&payload)));
        // The queue is shorter than the load: full is an answer, not a loss.
        while client.enqueue(Enqueue::new(0, tag), &payload) == STATUS_INSUFFICIENT_RESOURCES {
            std::thread::yield_now();
        }
    }
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    let (mut from, mut seen) = (0, Vec::new());
    loop {
        let (head, entries) = client.log(from, super::ROOM);
        assert_eq!(head.lost, 0);
        for (place, entry) in (from..).zip(&entries) {
            assert_eq!(entry.sequence, place);
            assert_eq!(
                (entry.length, entry.instance, entry.irql, entry.status),
                (8, 0, 0, 0)
            );
        }
        from = head.next;
        if entries.is_empty() {
            break;
        }
        seen.extend(entries.iter().map(|entry| (entry.tag, entry.digest)));
    }
    assert_eq!(seen, expected);
    let statistics = client.statistics();
    assert_eq!(
        (statistics.accepted, statistics.executed, statistics.cancelled),
        (10_000, 10_000, 0)
    );
    assert_eq!((statistics.overlaps, statistics.above_passive), (0, 0));
    assert_eq!((statistics.queued, statistics.capacity), (0, 64));
}

#[test]
fn w05_a_full_queue_refuses_and_recovers() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(8, 16), STATUS_SUCCESS);
    client.gate();
    for tag in 0..8 {
        assert_eq!(client.enqueue(Enqueue::new(0, tag), &[1; 16]), STATUS_SUCCESS);
    }
    assert_eq!(
        client.enqueue(Enqueue::new(0, 8), &[1; 16]),
        STATUS_INSUFFICIENT_RESOURCES
    );
    let waited = client.enqueue_and_wait(Enqueue::new(0, 9), &[1; 16]);
    assert_eq!(waited.wait().status, STATUS_INSUFFICIENT_RESOURCES);
    let statistics = client.statistics();
    assert_eq!(
        (statistics.accepted, statistics.executed, statistics.refused_full),
        (8, 0, 2)
    );
    assert_eq!(statistics.gated, 1);
    client.release();
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    assert_eq!(client.statistics().executed, 8);
    assert_eq!(client.enqueue(Enqueue::new(0, 10), &[]), STATUS_SUCCESS);
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    assert_eq!(client.statistics().executed, 9);
    assert_eq!(client.statistics().gated, 0);
}

#[test]
fn w06_payloads_too_long_are_refused_and_cost_nothing() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 32), STATUS_SUCCESS);
    for _ in 0..40 {
        assert_eq!(
            client.enqueue(Enqueue::new(0, 1), &[0; 33]),
            STATUS_INVALID_BUFFER_SIZE
        );
        let waited = client.enqueue_and_wait(Enqueue::new(0, 1), &[0; 33]).wait();
        assert_eq!(
            (waited.status, waited.output.len()),
            (STATUS_INVALID_BUFFER_SIZE, 0)
        );
    }
    client.gate();
    for tag in 0..4 {
        assert_eq!(client.enqueue(Enqueue::new(0, tag), &[0; 32]), STATUS_SUCCESS);
    }
    client.release();
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    let statistics = client.statistics();
    assert_eq!(
        (
            statistics.refused_length,
            statistics.accepted,
            statistics.executed
        ),
        (80, 4, 4)
    );
}

#[test]
fn w07_lengths_from_none_to_all_of_the_buffer() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(2, 4096), STATUS_SUCCESS);
    let payload: Vec<u8> = (0..4096_u32).map(|i| (i % 251) as u8).collect();
    for (sequence, length) in (0..).zip([0, 1, 2, 15, 16, 17, 4095, 4096]) {
        let waited = client.enqueue_and_wait(Enqueue::new(0, 7), &payload[..length]);
        assert_eq!(waited.wait().reply::<WaitReply>().status, STATUS_SUCCESS);
        let (_, entries) = client.log(sequence, 24 + 48);
        assert_eq!(entries[0].length as usize, length);
        assert_eq!(entries[0].digest, digest(&payload[..length]));
    }
}

#[test]
fn w15_close_and_reopen() {
    let device = device();
    let client = both(&device);
    for round in 1..=3_u64 {
        assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
        assert_eq!(client.configure(4, 8), STATUS_DEVICE_ALREADY_ATTACHED);
        for tag in 0..round {
            assert_eq!(client.enqueue(Enqueue::new(0, tag), &[]), STATUS_SUCCESS);
        }
        let reply: CloseReply = client.close(Close::DRAIN).wait().reply();
        assert_eq!(reply.cancelled, 0);
        // What happened can still be read, and nothing more can happen.
        let statistics = client.statistics();
        assert_eq!(
            (statistics.executed, statistics.capacity, statistics.queued),
            (round, 0, 0)
        );
        assert!(statistics.high_water >= 1);
        assert_eq!(client.log(0, super::ROOM).1.len() as u64, round);
        assert_eq!(client.enqueue(Enqueue::new(0, 0), &[]), STATUS_DEVICE_NOT_READY);
        assert_eq!(client.close(Close::DRAIN).wait().status, STATUS_DEVICE_NOT_READY);
        assert_eq!(client.flush().wait().status, STATUS_DEVICE_NOT_READY);
    }
}

#[test]
fn w21_no_byte_of_a_longer_payload_shows() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(1, 64), STATUS_SUCCESS);
    for payload in [&[0xAA; 64][..], &[0x55; 3]] {
        let waited = client.enqueue_and_wait(Enqueue::new(0, 0), payload);
        assert_eq!(waited.wait().status, STATUS_SUCCESS);
    }
    let (_, entries) = client.log(1, super::ROOM);
    assert_eq!((entries[0].length, entries[0].digest), (3, digest(&[0x55; 3])));
}

#[test]
fn an_item_spends_the_time_that_it_is_told_to() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(1, 0), STATUS_SUCCESS);
    let start = std::time::Instant::now();
    let item = Enqueue {
        spend_us: 20_000,
        ..Enqueue::new(0, 0)
    };
    assert_eq!(client.enqueue_and_wait(item, &[]).wait().status, STATUS_SUCCESS);
    assert!(start.elapsed() >= std::time::Duration::from_millis(20));
}

#[test]
fn the_log_keeps_the_newest_and_counts_what_it_lost() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(1024, 0), STATUS_SUCCESS);
    let total = u64::from(limits::LOG_ENTRIES) + 10;
    for tag in 0..total {
        while client.enqueue(Enqueue::new(0, tag), &[]) != STATUS_SUCCESS {
            assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
        }
    }
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    let (head, entries) = client.log(0, 24 + 5 * 48 + 47);
    assert_eq!((head.lost, head.count, head.next), (10, 5, 15));
    assert_eq!(entries[0].tag, 10);
    let (head, entries) = client.log(total - 1, super::ROOM);
    assert_eq!(
        (head.lost, head.count, head.next, entries[0].tag),
        (0, 1, total, total - 1)
    );
    // Past the end there is nothing yet.
    let (head, _) = client.log(u64::MAX, super::ROOM);
    assert_eq!((head.lost, head.count, head.next), (0, 0, total));
}

#[test]
fn figures_before_any_configuration_are_zero() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.statistics(), StatisticsReply::default());
    let (head, _) = client.log(0, super::ROOM);
    assert_eq!((head.next, head.lost, head.count), (0, 0, 0));
}
