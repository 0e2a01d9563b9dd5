//! Instances with a thread of their own.

use std::vec::Vec;

use queued_work_item::kernel::host::Machine;
use queued_work_item_ioctl::*;
use zerocopy::IntoBytes;

use super::{ROOM, both, device, joined};
use crate::testing::{Answered, Client, Pended};

const UNSUCCESSFUL: u32 = STATUS_UNSUCCESSFUL;

/// What the tests say to such an instance.
impl Client<'_> {
    fn threaded(&self, buffer_count: u32) {
        let shape = Configure::new(0, buffer_count, 16).threaded();
        assert_eq!(self.configure_as(shape), STATUS_SUCCESS);
    }

    fn start(&self) -> u32 {
        self.header(START).wait().status
    }

    fn stop(&self) -> Pended {
        self.send(STOP, Header::new(0).as_bytes(), ROOM)
    }

    fn complete(&self, tag: u64, status: u32, at: u32) -> u32 {
        let request = Complete {
            header: Header::new(0),
            tag,
            status,
            at,
        };
        self.call(COMPLETE, request.as_bytes(), 0).status
    }

    fn pend(&self, tag: u64) -> Pended {
        self.enqueue_and_wait(Enqueue::new(0, tag).with_flags(Enqueue::PEND), &[])
    }

    fn tags(&self) -> Vec<u64> {
        self.log(0, ROOM).1.iter().map(|entry| entry.tag).collect()
    }
}

fn outcome(answered: &Answered) -> (u32, u32) {
    let reply: WaitReply = answered.reply();
    (reply.outcome, reply.status)
}

const DROPPED: (u32, u32) = (WaitReply::CANCELLED, STATUS_CANCELLED);

#[test]
fn x01_items_begin_in_order_and_heads_before_them() {
    let device = device();
    let client = both(&device);
    client.threaded(64);
    // There is no thread yet, and all of it is taken.
    for tag in 1..=20 {
        assert_eq!(client.enqueue(Enqueue::new(0, tag), &[1; 16]), STATUS_SUCCESS);
    }
    let head = Enqueue::new(0, 0).with_flags(Enqueue::AT_HEAD).with_status(7);
    let first = client.enqueue_and_wait(head, &[]);
    let seen = client.statistics();
    assert_eq!((seen.queued, seen.executed, seen.started), (21, 0, 0));
    assert_eq!((client.start(), client.start()), (STATUS_SUCCESS, STATUS_SUCCESS));
    assert_eq!(outcome(&first.wait()), (WaitReply::RAN, 7));
    let last = client.enqueue_and_wait(Enqueue::new(0, 21), &[]);
    assert_eq!(outcome(&last.wait()), (WaitReply::RAN, 0));
    assert_eq!(client.tags(), (0..=21).collect::<Vec<_>>());
    let seen = client.statistics();
    assert_eq!((seen.overlaps, seen.above_passive, seen.started), (0, 0, 1));
    assert_eq!(
        client.close(Close::DRAIN).wait().reply::<CloseReply>().cancelled,
        0
    );
}

#[test]
fn x02_a_pended_item_does_not_stall_the_next() {
    let device = device();
    let client = both(&device);
    client.threaded(8);
    assert_eq!(client.start(), STATUS_SUCCESS);
    let pended = client.pend(1);
    let next = client.enqueue_and_wait(Enqueue::new(0, 2).with_status(UNSUCCESSFUL), &[]);
    assert_eq!(outcome(&next.wait()), (WaitReply::RAN, UNSUCCESSFUL));
    assert_eq!(pended.answered(), None);
    assert_eq!(client.statistics().pended, 1);
    assert_eq!(client.complete(3, 0, Complete::PASSIVE), STATUS_NOT_FOUND);
    assert_eq!(client.complete(1, 5, Complete::PASSIVE), STATUS_SUCCESS);
    assert_eq!(outcome(&pended.wait()), (WaitReply::RAN, 5));
    assert_eq!(client.complete(1, 5, Complete::PASSIVE), STATUS_NOT_FOUND);
    assert_eq!(client.statistics().pended, 0);
}

#[test]
fn x02_a_queue_that_waits_for_pended_items() {
    let device = device();
    let client = both(&device);
    let shape = Configure {
        flags: Configure::WAIT_FOR_PENDED,
        priority: limits::PRIORITY,
        ..Configure::new(0, 8, 16).threaded()
    };
    assert_eq!(client.configure_as(shape), STATUS_SUCCESS);
    assert_eq!(client.start(), STATUS_SUCCESS);
    let pended = client.pend(1);
    client.until(|seen| seen.pended == 1);
    let next = client.enqueue_and_wait(Enqueue::new(0, 2), &[]);
    assert_eq!(client.statistics().executed, 1);
    assert_eq!(next.answered(), None);
    assert_eq!(client.complete(1, 0, Complete::SPIN_LOCK), STATUS_SUCCESS);
    assert_eq!(outcome(&pended.wait()), (WaitReply::RAN, 0));
    assert_eq!(outcome(&next.wait()), (WaitReply::RAN, 0));
}

#[test]
fn x03_stop_and_start_under_load_keep_the_count() {
    let device = device();
    let client = both(&device);
    client.threaded(32);
    let (mut accepted, mut dropped) = (0, 0);
    for round in 0..200_u64 {
        assert_eq!(client.start(), STATUS_SUCCESS);
        for tag in 0..16 {
            accepted += u64::from(client.enqueue(Enqueue::new(0, round << 8 | tag), &[]) == STATUS_SUCCESS);
        }
        dropped += client.stop().wait().reply::<StopReply>().cancelled;
        let seen = client.statistics();
        assert_eq!((seen.started, seen.queued), (0, 0));
        assert_eq!(
            (seen.accepted, seen.cancelled, seen.overlaps),
            (accepted, dropped, 0)
        );
        assert_eq!(seen.executed, accepted - dropped);
    }
    assert_eq!(accepted, 200 * 16, "a stop gives every buffer back");
}

#[test]
fn x04_stop_tells_every_waiter() {
    let device = device();
    let client = both(&device);
    client.threaded(32);
    assert_eq!(client.start(), STATUS_SUCCESS);
    // Whoever waits on a thread's stack is told at once. A completion is called when its item has ended, as ever.
    let bounded = Enqueue::new(0, 1)
        .with_flags(Enqueue::PEND)
        .with_timeout(limits::TIMEOUT_MS);
    let pended = client.enqueue_and_wait(bounded, &[]);
    client.until(|seen| seen.pended == 1);
    let kept = client.pend(3);
    client.until(|seen| seen.pended == 2);
    client.gate();
    assert_eq!(client.enqueue(Enqueue::new(0, 2), &[]), STATUS_SUCCESS);
    let waiters: Vec<_> = (10..18)
        .map(|tag| client.enqueue_and_wait(Enqueue::new(0, tag), &[]))
        .collect();
    client.until(|seen| seen.accepted == 11 && seen.queued == 8);
    let stop = client.stop();
    // While the item that runs stands at the gate.
    for waiter in waiters.iter().chain([&pended]) {
        assert_eq!(outcome(&waiter.wait()), DROPPED);
    }
    assert_eq!(stop.answered(), None);
    client.release();
    assert_eq!(stop.wait().reply::<StopReply>().cancelled, 8);
    let seen = client.statistics();
    assert_eq!((seen.started, seen.pended, seen.executed), (0, 2, 3));
    // Nobody waits for it any more; it is to be completed all the same.
    assert_eq!(client.complete(1, 0, Complete::PASSIVE), STATUS_SUCCESS);
    assert_eq!(kept.answered(), None);
    assert_eq!(client.complete(3, 6, Complete::PASSIVE), STATUS_SUCCESS);
    assert_eq!(outcome(&kept.wait()), (WaitReply::RAN, 6));
    assert_eq!(client.start(), STATUS_SUCCESS);
    let again = client.enqueue_and_wait(Enqueue::new(0, 30), &[]);
    assert_eq!(outcome(&again.wait()), (WaitReply::RAN, 0));
}

#[test]
fn x05_completion_from_a_dpc() {
    let device = device();
    let client = both(&device);
    client.threaded(32);
    assert_eq!(client.start(), STATUS_SUCCESS);
    let pended: Vec<_> = (0..8).map(|tag| client.pend(tag)).collect();
    client.until(|seen| seen.pended == 8);
    let of = |tag: u64| 0xE000_0000 | u32::try_from(tag).expect("small");
    for (at, tags) in [(Complete::DPC, 4..8), (Complete::SPIN_LOCK, 0..4)] {
        for tag in tags.rev() {
            assert_eq!(client.complete(tag, of(tag), at), STATUS_SUCCESS);
        }
    }
    for (tag, pended) in (0..).zip(&pended) {
        assert_eq!(
            pended.answered().map(|answered| outcome(&answered)),
            Some((WaitReply::RAN, of(tag)))
        );
    }
    let seen = client.statistics();
    assert_eq!((seen.told_at_dispatch, seen.pended), (8, 0));
    assert_eq!(client.complete(0, 0, Complete::DPC), STATUS_NOT_FOUND);
}

#[test]
fn x05_what_is_pended_does_not_hold_up_a_cancel_or_the_device() {
    let device = device();
    let client = both(&device);
    client.threaded(8);
    assert_eq!(client.start(), STATUS_SUCCESS);
    let pended = client.pend(1);
    client.until(|seen| seen.pended == 1);
    // It holds up who drains.
    let drain = client.close(Close::DRAIN);
    assert_eq!(client.start(), STATUS_DELETE_PENDING);
    assert_eq!(drain.answered(), None);
    assert_eq!(client.close(Close::CANCEL).wait().status, STATUS_SUCCESS);
    assert_eq!(drain.wait().status, STATUS_SUCCESS);
    assert_eq!(outcome(&pended.wait()), (WaitReply::RAN, STATUS_CANCELLED));
    client.threaded(8);
    assert_eq!(client.start(), STATUS_SUCCESS);
    let pended = client.pend(2);
    client.until(|seen| seen.pended == 1);
    // Behind a gate, one that is pended only when the shelf is cleared already.
    client.gate();
    let late = client.pend(3);
    client.until(|seen| seen.accepted == 2 && seen.queued == 0);
    device.remove();
    for pended in [pended, late] {
        let answered = pended.answered().expect("removal waits for nobody");
        assert_eq!(outcome(&answered), (WaitReply::RAN, STATUS_CANCELLED));
    }
}

#[test]
fn x05_more_than_can_be_pended() {
    let device = device();
    let client = both(&device);
    let shape = Configure::new(0, limits::PENDED + 8, 0).threaded();
    assert_eq!(client.configure_as(shape), STATUS_SUCCESS);
    assert_eq!(client.start(), STATUS_SUCCESS);
    let pended: Vec<_> = (0..u64::from(limits::PENDED))
        .map(|tag| client.pend(tag))
        .collect();
    client.until(|seen| seen.pended == limits::PENDED);
    let more = client.pend(0);
    assert_eq!(
        outcome(&more.wait()),
        (WaitReply::RAN, STATUS_INSUFFICIENT_RESOURCES)
    );
    assert_eq!(client.close(Close::CANCEL).wait().status, STATUS_SUCCESS);
    for pended in pended {
        assert_eq!(outcome(&pended.wait()), (WaitReply::RAN, STATUS_CANCELLED));
    }
}

#[test]
fn w12_cancel_drops_and_the_thread_goes_on() {
    let device = device();
    let client = both(&device);
    client.threaded(8);
    let waiters: Vec<_> = (0..4)
        .map(|tag| client.enqueue_and_wait(Enqueue::new(0, tag), &[]))
        .collect();
    let cancel: CancelReply = client.header(CANCEL).wait().reply();
    assert_eq!(cancel.cancelled, 4);
    for waiter in waiters {
        assert_eq!(outcome(&waiter.wait()), DROPPED);
    }
    assert_eq!(client.start(), STATUS_SUCCESS);
    let again = Enqueue {
        again: 5,
        ..Enqueue::new(0, 9)
    };
    assert_eq!(client.enqueue(again, &[]), STATUS_SUCCESS);
    client.until(|seen| seen.executed == 6);
}

#[test]
fn w23_bounded_waits_of_a_threaded_instance() {
    let device = device();
    let client = both(&device);
    client.threaded(8);
    let head = Enqueue::new(0, 1).with_flags(Enqueue::AT_HEAD).with_timeout(1);
    let told = client.enqueue_and_wait(head, &[]).wait();
    assert_eq!(outcome(&told), (WaitReply::TIMED_OUT, STATUS_TIMEOUT));
    assert_eq!(client.start(), STATUS_SUCCESS);
    client.until(|seen| seen.executed == 1);
    // Also while it is pended.
    let pended = Enqueue::new(0, 2).with_flags(Enqueue::PEND).with_timeout(1);
    let told = client.enqueue_and_wait(pended, &[]).wait();
    assert_eq!(outcome(&told), (WaitReply::TIMED_OUT, STATUS_TIMEOUT));
    client.until(|seen| seen.pended == 1);
    assert_eq!(client.complete(2, 0, Complete::DPC), STATUS_SUCCESS);
}

#[test]
fn w24_verbs_of_the_other_kind() {
    let device = device();
    let client = both(&device);
    for code in [START, STOP] {
        assert_eq!(client.header(code).wait().status, STATUS_DEVICE_NOT_READY);
    }
    assert_eq!(client.complete(0, 0, Complete::PASSIVE), STATUS_DEVICE_NOT_READY);
    assert_eq!(client.configure(4, 16), STATUS_SUCCESS);
    for code in [START, STOP] {
        assert_eq!(client.header(code).wait().status, STATUS_NOT_SUPPORTED);
    }
    for at in [Complete::PASSIVE, Complete::SPIN_LOCK, Complete::DPC] {
        assert_eq!(client.complete(0, 0, at), STATUS_NOT_SUPPORTED);
    }
    assert_eq!(client.complete(0, 0, 3), STATUS_INVALID_PARAMETER);
    for flag in [Enqueue::AT_HEAD, Enqueue::PEND] {
        let item = Enqueue::new(0, 0).with_flags(flag);
        assert_eq!(client.enqueue(item, &[]), STATUS_NOT_SUPPORTED);
        let waits = [item, item.with_timeout(10)];
        for item in waits {
            let told = client.call(ENQUEUE_AND_WAIT, &joined(item, &[]), ROOM);
            assert_eq!(told.status, STATUS_NOT_SUPPORTED);
        }
    }
    assert_eq!(client.statistics().accepted, 0);
    assert_eq!(client.close(Close::CANCEL).wait().status, STATUS_SUCCESS);
    client.threaded(4);
    assert_eq!(client.flush().wait().status, STATUS_NOT_SUPPORTED);
    assert_eq!(client.close(Close::CANCEL).wait().status, STATUS_SUCCESS);
    let good = Configure::new(0, 4, 16);
    let own = good.threaded();
    for bad in [
        Configure { kind: 2, ..good },
        Configure { priority: 1, ..good },
        Configure {
            flags: Configure::WAIT_FOR_PENDED,
            ..good
        },
        Configure {
            pool: Configure::PAGED,
            ..own
        },
        Configure {
            priority: limits::PRIORITY + 1,
            ..own
        },
        Configure { flags: 4, ..own },
    ] {
        assert_eq!(client.configure_as(bad), STATUS_INVALID_PARAMETER, "{bad:?}");
    }
}

#[test]
fn w22_power_leaves_a_thread_alone() {
    let device = device();
    let client = both(&device);
    client.threaded(4);
    assert_eq!(client.start(), STATUS_SUCCESS);
    device.d0_exit();
    let item = client.enqueue_and_wait(Enqueue::new(0, 1), &[]);
    assert_eq!(outcome(&item.wait()), (WaitReply::RAN, 0));
    device.d0_entry();
    assert_eq!(client.statistics().started, 1);
}

#[test]
fn w18_whatever_allocation_of_a_threaded_instance_fails_nothing_is_left() {
    let machine = Machine::new();
    let _entered = machine.enter();
    let shape = Configure {
        flags: Configure::REUSE_CLEANUP,
        ..Configure::new(0, 4, 8).threaded()
    };
    for attempt in 1.. {
        let device = device();
        let client = both(&device);
        machine.fail_allocation(attempt);
        let configured = client.configure_as(shape);
        let started = client.start();
        machine.fail_allocation(0);
        if configured != STATUS_SUCCESS {
            assert_eq!(configured, STATUS_INSUFFICIENT_RESOURCES);
            assert_eq!(started, STATUS_DEVICE_NOT_READY);
            assert_eq!(
                client.configure_as(shape),
                STATUS_SUCCESS,
                "the slot is as it was"
            );
        }
        assert_eq!(client.start(), STATUS_SUCCESS);
        let item = client.enqueue_and_wait(Enqueue::new(0, 1), &[]);
        assert_eq!(outcome(&item.wait()), (WaitReply::RAN, 0));
        assert_eq!(client.close(Close::DRAIN).wait().status, STATUS_SUCCESS);
        assert_eq!(client.statistics().cleanups, 1);
        drop(client);
        drop(device);
        machine.assert_no_leaks();
        if (configured, started) == (STATUS_SUCCESS, STATUS_SUCCESS) {
            assert!(attempt > 3, "some allocation must have failed before");
            break;
        }
    }
}
