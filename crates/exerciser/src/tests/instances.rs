//! Several instances, their shapes, and what the callback can be told to do.

use std::time::Duration;
use std::vec::Vec;

use queued_work_item_ioctl::*;
use zerocopy::IntoBytes;

use super::{both, device, joined};
use crate::testing::Client;

fn statistics(client: &Client<'_>, instance: u32) -> StatisticsReply {
    client
        .call(STATISTICS, Header::new(instance).as_bytes(), super::ROOM)
        .reply()
}

fn close(client: &Client<'_>, instance: u32) -> u32 {
    let request = Close {
        header: Header::new(instance),
        mode: Close::CANCEL,
        reserved: 0,
    };
    client
        .call(CLOSE, request.as_bytes(), size_of::<CloseReply>())
        .status
}

#[test]
fn instances_do_not_disturb_each_other() {
    let device = device();
    let client = both(&device);
    for instance in 0..limits::INSTANCES {
        assert_eq!(
            client.configure_as(Configure::new(instance, 4, 8)),
            STATUS_SUCCESS
        );
    }
    // One that stands still holds up no other.
    client.gate();
    for instance in 0..limits::INSTANCES {
        assert_eq!(
            client.enqueue(Enqueue::new(instance, u64::from(instance)), &[]),
            STATUS_SUCCESS
        );
    }
    for instance in 1..limits::INSTANCES {
        let flush = client.call(FLUSH, Header::new(instance).as_bytes(), 0);
        assert_eq!(flush.status, STATUS_SUCCESS);
        let counters = statistics(&client, instance);
        assert_eq!((counters.accepted, counters.executed, counters.gated), (1, 1, 0));
        assert_eq!(close(&client, instance), STATUS_SUCCESS);
    }
    let counters = statistics(&client, 0);
    assert_eq!((counters.accepted, counters.executed, counters.gated), (1, 0, 1));
    // The device takes them all with it, gates open or not: dropping it waits for that.
}

#[test]
fn all_instances_together_are_bounded() {
    let device = device();
    let client = both(&device);
    let largest = |instance| Configure::new(instance, 256, limits::BUFFER_SIZE);
    let fit = u32::try_from(limits::TOTAL_BYTES / limits::INSTANCE_BYTES).expect("few");
    assert!(fit < limits::INSTANCES, "or this shows nothing");
    for instance in 0..fit {
        assert_eq!(client.configure_as(largest(instance)), STATUS_SUCCESS);
    }
    assert_eq!(
        client.configure_as(Configure::new(fit, 1, 1)),
        STATUS_QUOTA_EXCEEDED
    );
    // Contexts count, and so do buffers that are not there yet.
    for bad in [
        Configure {
            context_size: 1,
            ..Configure::new(fit, 1, 0)
        },
        Configure {
            max_buffers: 2,
            ..Configure::new(fit, 1, 1)
        },
    ] {
        assert_eq!(client.configure_as(bad), STATUS_QUOTA_EXCEEDED);
    }
    assert_eq!(statistics(&client, fit).capacity, 0);
    // A close gives back what the instance had, each time.
    for _ in 0..3 {
        assert_eq!(close(&client, 0), STATUS_SUCCESS);
        assert_eq!(client.configure_as(largest(fit)), STATUS_SUCCESS);
        assert_eq!(client.configure_as(largest(0)), STATUS_QUOTA_EXCEEDED);
        assert_eq!(close(&client, fit), STATUS_SUCCESS);
        assert_eq!(client.configure_as(largest(0)), STATUS_SUCCESS);
    }
}

#[test]
fn w05_a_lookaside_list_lets_the_queue_grow() {
    let device = device();
    let client = both(&device);
    let shape = Configure {
        max_buffers: 5,
        ..Configure::new(0, 2, 8)
    };
    assert_eq!(client.configure_as(shape), STATUS_SUCCESS);
    for _ in 0..3 {
        client.gate();
        let statuses: Vec<_> = (0..6)
            .map(|tag| client.enqueue(Enqueue::new(0, tag), &[7; 8]))
            .collect();
        assert_eq!(statuses[..5], [STATUS_SUCCESS; 5]);
        assert_eq!(statuses[5], STATUS_INSUFFICIENT_RESOURCES);
        client.release();
        assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    }
    let counters = client.statistics();
    assert_eq!((counters.executed, counters.refused_full), (15, 3));
    assert_eq!((counters.capacity, counters.high_water), (5, 5));
}

#[test]
fn w21_contexts_are_clean_and_their_cleanup_is_counted() {
    let device = device();
    let client = both(&device);
    for (flags, cleanups) in [(Configure::REUSE_CLEANUP, 20), (0, 0)] {
        let shape = Configure {
            context_size: limits::CONTEXT_SIZE,
            flags,
            ..Configure::new(0, 2, 8)
        };
        assert_eq!(client.configure_as(shape), STATUS_SUCCESS);
        for tag in 0..20 {
            let waited = client.enqueue_and_wait(Enqueue::new(0, tag), &[]).wait();
            assert_eq!(waited.status, STATUS_SUCCESS);
        }
        let counters = client.statistics();
        assert_eq!((counters.stale_contexts, counters.cleanups), (0, cleanups));
        // What is dropped goes home as well; what is refused has no buffer.
        client.gate();
        assert_eq!(client.enqueue(Enqueue::new(0, 20), &[]), STATUS_SUCCESS);
        client.until(|statistics| statistics.queued == 0);
        assert_eq!(client.enqueue(Enqueue::new(0, 21), &[]), STATUS_SUCCESS);
        assert_eq!(
            client.enqueue(Enqueue::new(0, 22), &[]),
            STATUS_INSUFFICIENT_RESOURCES
        );
        assert_eq!(client.header(CANCEL).wait().reply::<CancelReply>().cancelled, 1);
        client.release();
        assert_eq!(client.close(Close::DRAIN).wait().status, STATUS_SUCCESS);
        let expected = if flags == 0 { 0 } else { cleanups + 2 };
        assert_eq!(client.statistics().cleanups, expected);
    }
}

#[test]
fn w04_the_callback_enqueues_its_item_again() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(2, 8), STATUS_SUCCESS);
    let again = Enqueue {
        again: 5_000,
        ..Enqueue::new(0, 9).with_status(0x4000_0001)
    };
    let reply: WaitReply = client.enqueue_and_wait(again, &[1, 2, 3]).wait().reply();
    // The waiter's is the first run.
    assert_eq!((reply.status, reply.outcome), (0x4000_0001, WaitReply::RAN));
    let counters = client.until(|counters| counters.executed == 5_001 && counters.queued == 0);
    assert_eq!((counters.accepted, counters.overlaps), (5_001, 0));
    let (head, entries) = client.log(4_990, super::ROOM);
    assert_eq!(head.next, 5_001);
    assert!(
        entries
            .iter()
            .all(|entry| entry.tag == 9 && entry.digest == digest(&[1, 2, 3]))
    );
    assert_eq!(client.close(Close::DRAIN).wait().status, STATUS_SUCCESS);

    // The running item holds the only buffer: the first repetition is refused, and the row ends.
    assert_eq!(client.configure(1, 8), STATUS_SUCCESS);
    let waited = client.enqueue_and_wait(again, &[]).wait();
    assert_eq!(waited.status, STATUS_SUCCESS);
    let counters = client.statistics();
    assert_eq!((counters.executed, counters.refused_full), (1, 1));
}

#[test]
fn w12_cancel_drops_what_has_not_begun_and_the_queue_goes_on() {
    let device = device();
    let client = both(&device);
    let cancel = || client.call(CANCEL, Header::new(0).as_bytes(), size_of::<CancelReply>());
    assert_eq!(cancel().status, STATUS_DEVICE_NOT_READY);
    assert_eq!(client.configure(8, 8), STATUS_SUCCESS);
    client.gate();
    let waits: Vec<_> = (0..8)
        .map(|tag| client.enqueue_and_wait(Enqueue::new(0, tag), &[]))
        .collect();
    client.until(|counters| counters.queued == 7);
    assert_eq!(cancel().reply::<CancelReply>().cancelled, 7);
    for (tag, wait) in (1..).zip(&waits[1..]) {
        let reply = wait
            .answered()
            .expect("cancel tells whoever waits")
            .reply::<WaitReply>();
        assert_eq!(
            (reply.tag, reply.status, reply.outcome),
            (tag, STATUS_CANCELLED, WaitReply::CANCELLED)
        );
    }
    assert_eq!(waits[0].answered(), None);
    assert_eq!(cancel().reply::<CancelReply>().cancelled, 0);
    // All buffers but the running one's are free.
    for tag in 8..15 {
        assert_eq!(client.enqueue(Enqueue::new(0, tag), &[]), STATUS_SUCCESS);
    }
    assert_eq!(
        client.enqueue(Enqueue::new(0, 15), &[]),
        STATUS_INSUFFICIENT_RESOURCES
    );
    // A draining close that stands at the gate is hurried on.
    let drain = client.close(Close::DRAIN);
    assert_eq!(cancel().reply::<CancelReply>().cancelled, 7);
    client.release();
    assert_eq!(drain.wait().status, STATUS_SUCCESS);
    let counters = client.statistics();
    assert_eq!(
        (counters.accepted, counters.executed, counters.cancelled),
        (15, 1, 14)
    );
}

#[test]
fn w23_a_bounded_wait_ends_in_time_and_its_item_still_runs() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    let reply: WaitReply = client
        .enqueue_and_wait(
            Enqueue::new(0, 1).with_status(0xC000_0001).with_timeout(60_000),
            &[5],
        )
        .wait()
        .reply();
    assert_eq!((reply.status, reply.outcome), (0xC000_0001, WaitReply::RAN));
    client.gate();
    let start = std::time::Instant::now();
    let reply: WaitReply = client
        .enqueue_and_wait(Enqueue::new(0, 2).with_timeout(20), &[])
        .wait()
        .reply();
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(
        (reply.tag, reply.status, reply.outcome),
        (2, STATUS_TIMEOUT, WaitReply::TIMED_OUT)
    );
    let reply: WaitReply = client
        .enqueue_and_wait(Enqueue::new(0, 3).with_timeout(0), &[])
        .wait()
        .reply();
    assert_eq!(reply.outcome, WaitReply::TIMED_OUT);
    client.release();
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    assert_eq!(client.statistics().executed, 3);
    let tags: Vec<_> = client
        .log(0, super::ROOM)
        .1
        .iter()
        .map(|entry| entry.tag)
        .collect();
    assert_eq!(tags, [1, 2, 3]);
}

#[test]
fn w23_bounded_waits_that_are_refused_cancelled_or_left() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(2, 8), STATUS_SUCCESS);
    let timed = |tag| Enqueue::new(0, tag).with_timeout(limits::TIMEOUT_MS);
    assert_eq!(
        client.enqueue_and_wait(timed(0), &[0; 9]).wait().status,
        STATUS_INVALID_BUFFER_SIZE
    );
    let huge = std::vec![0; limits::BUFFER_SIZE as usize + 1];
    assert_eq!(
        client.enqueue_and_wait(timed(0), &huge).wait().status,
        STATUS_INVALID_BUFFER_SIZE
    );
    client.gate();
    let running = client.enqueue_and_wait(timed(1), &[]);
    client.until(|counters| counters.accepted == 1 && counters.queued == 0);
    let queued = client.enqueue_and_wait(timed(2), &[]);
    client.until(|counters| counters.queued == 1);
    assert_eq!(
        client.enqueue_and_wait(timed(3), &[]).wait().status,
        STATUS_INSUFFICIENT_RESOURCES
    );
    running.cancel();
    assert_eq!(
        running.answered().map(|answered| answered.status),
        Some(STATUS_CANCELLED)
    );
    let close = client.close(Close::CANCEL);
    let reply: WaitReply = queued.wait().reply();
    assert_eq!((reply.tag, reply.outcome), (2, WaitReply::CANCELLED));
    client.release();
    assert_eq!(close.wait().status, STATUS_SUCCESS);
    let counters = client.statistics();
    assert_eq!(
        (counters.accepted, counters.executed, counters.cancelled),
        (2, 1, 1)
    );
    assert_eq!((counters.refused_length, counters.refused_full), (2, 1));

    // A wait that is left behind with its handle holds nothing up.
    assert_eq!(client.configure(2, 8), STATUS_SUCCESS);
    client.gate();
    let left = {
        let leaver = both(&device);
        leaver.send(ENQUEUE_AND_WAIT, &joined(timed(4), &[]), 16)
    };
    assert_eq!(left.wait().status, STATUS_CANCELLED);
}

#[test]
fn w01_a_paged_instance_keeps_order_count_and_cleanups() {
    let device = device();
    let client = both(&device);
    for flags in [0, Configure::REUSE_CLEANUP] {
        let shape = Configure {
            pool: Configure::PAGED,
            max_buffers: 64,
            context_size: limits::CONTEXT_SIZE,
            flags,
            ..Configure::new(0, 32, 16)
        };
        assert_eq!(client.configure_as(shape), STATUS_SUCCESS);
        client.gate();
        for tag in 0..63 {
            assert_eq!(client.enqueue(Enqueue::new(0, tag), &[7; 16]), STATUS_SUCCESS);
        }
        let waiting = client.enqueue_and_wait(Enqueue::new(0, 63), &[7; 16]);
        assert_eq!(
            client.enqueue(Enqueue::new(0, 64), &[]),
            STATUS_INSUFFICIENT_RESOURCES
        );
        client.release();
        assert_eq!(waiting.wait().reply::<WaitReply>().outcome, WaitReply::RAN);
        let timed = client.enqueue_and_wait(Enqueue::new(0, 64).with_timeout(60_000), &[]);
        assert_eq!(timed.wait().reply::<WaitReply>().outcome, WaitReply::RAN);
        let again = Enqueue {
            again: 5,
            ..Enqueue::new(0, 65)
        };
        assert_eq!(client.enqueue(again, &[7; 16]), STATUS_SUCCESS);
        client.until(|statistics| statistics.executed == 71);
        assert_eq!(client.close(Close::DRAIN).wait().status, STATUS_SUCCESS);
        let (_, entries) = client.log(0, super::ROOM);
        let mut expected: Vec<_> = (0..=64).collect();
        expected.extend([65; 6]);
        assert_eq!(
            entries.iter().map(|entry| entry.tag).collect::<Vec<_>>(),
            expected
        );
        let counters = client.statistics();
        let cleanups = if flags == 0 { 0 } else { 71 };
        assert_eq!((counters.stale_contexts, counters.cleanups), (0, cleanups));
        assert_eq!((counters.overlaps, counters.above_passive), (0, 0));
    }
}
