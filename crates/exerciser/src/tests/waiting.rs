//! Requests that wait: for an item, a flush, a close.

use std::vec::Vec;

use queued_work_item_ioctl::*;

use super::{both, device};
use crate::testing::Answered;

const CANCELLED: Answered = Answered {
    status: STATUS_CANCELLED,
    output: Vec::new(),
};

#[test]
fn w08_the_waiter_sees_the_status_that_was_set() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    for status in [
        0,
        0x0000_0102,
        0x4000_0001,
        0x8000_0005,
        0xC000_0001,
        0xC000_0120,
        0xFFFF_FFFF,
    ] {
        let reply: WaitReply = client
            .enqueue_and_wait(Enqueue::new(0, u64::MAX - 1).with_status(status), &[])
            .wait()
            .reply();
        assert_eq!(
            reply,
            WaitReply {
                tag: u64::MAX - 1,
                status,
                outcome: WaitReply::RAN
            }
        );
    }
    let reply: WaitReply = client.enqueue_and_wait(Enqueue::new(0, 3), &[]).wait().reply();
    assert_eq!(reply.status, STATUS_SUCCESS);
    // A status without the flag is not set.
    let item = Enqueue {
        status: 0xC000_0001,
        ..Enqueue::new(0, 4)
    };
    assert_eq!(
        client
            .enqueue_and_wait(item, &[])
            .wait()
            .reply::<WaitReply>()
            .status,
        STATUS_SUCCESS
    );
}

#[test]
fn w09_one_buffer_serves_waits_back_to_back() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(1, 8), STATUS_SUCCESS);
    for tag in 0..1_000 {
        let reply: WaitReply = client.enqueue_and_wait(Enqueue::new(0, tag), &[]).wait().reply();
        assert_eq!((reply.tag, reply.outcome), (tag, WaitReply::RAN));
    }
}

#[test]
fn w10_every_waiter_gets_its_own_status() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(32, 8), STATUS_SUCCESS);
    std::thread::scope(|scope| {
        for thread in 0..32_u64 {
            let device = &device;
            scope.spawn(move || {
                let client = both(device);
                for round in 0..50 {
                    let tag = (thread << 32) | round;
                    let status = 0xC000_0000 | u32::try_from(thread << 8 | round).expect("small");
                    let item = Enqueue::new(0, tag).with_status(status);
                    let reply: WaitReply = client.enqueue_and_wait(item, &tag.to_le_bytes()).wait().reply();
                    assert_eq!(
                        reply,
                        WaitReply {
                            tag,
                            status,
                            outcome: WaitReply::RAN
                        }
                    );
                }
            });
        }
    });
    assert_eq!(client.statistics().overlaps, 0);
}

#[test]
fn w11_a_flush_waits_for_what_was_before_it() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(16, 8), STATUS_SUCCESS);
    client.gate();
    for tag in 0..10 {
        assert_eq!(client.enqueue(Enqueue::new(0, tag), &[]), STATUS_SUCCESS);
    }
    let flush = client.flush();
    assert_eq!(flush.answered(), None);
    client.release();
    assert_eq!(flush.wait().status, STATUS_SUCCESS);
    assert!(client.statistics().executed >= 10);
    assert_eq!(
        client.enqueue_and_wait(Enqueue::new(0, 10), &[]).wait().status,
        STATUS_SUCCESS
    );
}

#[test]
fn w13_a_cancelling_close_answers_every_waiter() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(16, 8), STATUS_SUCCESS);
    client.gate();
    let waits: Vec<_> = (0..8)
        .map(|tag| client.enqueue_and_wait(Enqueue::new(0, tag), &[]))
        .collect();
    // One has begun, and stands at the gate; seven have not.
    client.until(|statistics| statistics.queued == 7);
    let flush = client.flush();
    let drain = client.close(Close::DRAIN);
    assert_eq!(client.enqueue(Enqueue::new(0, 9), &[]), STATUS_DELETE_PENDING);
    assert_eq!(client.flush().wait().status, STATUS_DELETE_PENDING);
    assert_eq!(client.configure(1, 1), STATUS_DEVICE_ALREADY_ATTACHED);
    // It overtakes the gated flush and the gated drain, and turns the drain into its like.
    let cancel = client.close(Close::CANCEL);
    for (tag, wait) in (1..).zip(&waits[1..]) {
        let reply: WaitReply = wait.wait().reply();
        assert_eq!(
            reply,
            WaitReply {
                tag,
                status: STATUS_CANCELLED,
                outcome: WaitReply::CANCELLED
            }
        );
    }
    // The running one is not cancelled, and the close waits for it.
    assert_eq!(waits[0].answered(), None);
    assert_eq!((drain.answered(), cancel.answered()), (None, None));
    client.release();
    assert_eq!(waits[0].wait().reply::<WaitReply>().outcome, WaitReply::RAN);
    let (drain, cancel) = (
        drain.wait().reply::<CloseReply>(),
        cancel.wait().reply::<CloseReply>(),
    );
    assert_eq!(drain.cancelled.max(cancel.cancelled), 7);
    flush.wait();
    let statistics = client.statistics();
    assert_eq!(
        (statistics.accepted, statistics.executed, statistics.cancelled),
        (8, 1, 7)
    );
    assert_eq!((statistics.refused_closing, statistics.capacity), (1, 0));
    assert_eq!(client.configure(1, 1), STATUS_SUCCESS);
}

#[test]
fn w23_a_cancelled_wait_ends_at_once_and_its_item_still_runs() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    client.gate();
    let wait = client.enqueue_and_wait(Enqueue::new(0, 5), &[]);
    assert_eq!(wait.answered(), None);
    wait.cancel();
    // At once: no thread is needed for it.
    assert_eq!(wait.answered(), Some(CANCELLED));
    // Again is nothing.
    wait.cancel();
    client.release();
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    let statistics = client.statistics();
    assert_eq!(
        (statistics.accepted, statistics.executed, statistics.cancelled),
        (1, 1, 0)
    );
    assert_eq!(client.log(0, super::ROOM).1[0].tag, 5);
}

#[test]
fn w24_cancelled_flush_and_close_end_at_once_and_take_effect_all_the_same() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    client.gate();
    assert_eq!(client.enqueue(Enqueue::new(0, 0), &[]), STATUS_SUCCESS);
    let (flush, close) = (client.flush(), client.close(Close::DRAIN));
    flush.cancel();
    close.cancel();
    assert_eq!(
        (flush.answered(), close.answered()),
        (Some(CANCELLED), Some(CANCELLED))
    );
    client.release();
    let statistics = client.until(|statistics| statistics.capacity == 0);
    assert_eq!(statistics.executed, 1);
}

#[test]
fn w24_blocking_requests_are_bounded() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    client.gate();
    assert_eq!(client.enqueue(Enqueue::new(0, 0), &[]), STATUS_SUCCESS);
    let flushes: Vec<_> = (0..limits::BLOCKING_REQUESTS).map(|_| client.flush()).collect();
    for verb in [client.flush(), client.close(Close::CANCEL)] {
        assert_eq!(verb.wait().status, STATUS_INSUFFICIENT_RESOURCES);
    }
    // Neither a refusal nor a cancelled request changes anything, and what does not block is not held up.
    flushes[0].cancel();
    assert_eq!(client.flush().wait().status, STATUS_INSUFFICIENT_RESOURCES);
    assert_eq!(client.statistics().capacity, 4);
    client.release();
    for flush in &flushes[1..] {
        assert_eq!(flush.wait().status, STATUS_SUCCESS);
    }
    client.until(|_| client.flush().wait().status == STATUS_SUCCESS);
}

#[test]
fn w24_without_a_thread_nothing_is_begun() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    device.deny_workers(true);
    assert_eq!(
        client.close(Close::CANCEL).wait().status,
        STATUS_INSUFFICIENT_RESOURCES
    );
    assert_eq!(client.flush().wait().status, STATUS_INSUFFICIENT_RESOURCES);
    assert_eq!(client.enqueue(Enqueue::new(0, 0), &[]), STATUS_SUCCESS);
    device.deny_workers(false);
    assert_eq!(client.close(Close::DRAIN).wait().status, STATUS_SUCCESS);
    assert_eq!(client.statistics().executed, 1);
}

#[test]
fn cancelling_races_completion() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    let mut ends = [0_u32; 2];
    for tag in 0..2_000 {
        let wait = client.enqueue_and_wait(Enqueue::new(0, tag), &[]);
        // The item runs on a thread of its own meanwhile; now the one wins, now the other.
        wait.cancel();
        let answered = wait.wait();
        if answered == CANCELLED {
            ends[1] += 1;
        } else {
            assert_eq!(
                answered.reply::<WaitReply>(),
                WaitReply {
                    tag,
                    status: 0,
                    outcome: WaitReply::RAN
                }
            );
            ends[0] += 1;
        }
        client.until(|statistics| statistics.executed == tag + 1);
    }
    assert_eq!(ends.iter().sum::<u32>(), 2_000);
    assert_eq!(client.statistics().accepted, 2_000);
}
