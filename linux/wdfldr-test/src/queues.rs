//! Queues: what they present, when, and what becomes of what they hold.

use queued_work_item_harness::NtStatus;
use wdfldr_test_contract as contract;
use wdfldr_test_contract::{Reply, queue};

use crate::client::{Client, QUIET, Sent, Test, Verdict, bytes, check, equal, status};

pub(crate) const TESTS: &[Test] = &[
    (
        "queue::a_sequential_queue_presents_one",
        a_sequential_queue_presents_one,
    ),
    (
        "queue::a_parallel_queue_presents_all",
        a_parallel_queue_presents_all,
    ),
    (
        "queue::a_limited_queue_presents_so_many",
        a_limited_queue_presents_so_many,
    ),
    (
        "queue::a_manual_queue_gives_them_in_order",
        a_manual_queue_gives_them_in_order,
    ),
    ("queue::a_stopped_queue_keeps_them", a_stopped_queue_keeps_them),
    ("queue::a_stop_waits_for_the_driver", a_stop_waits_for_the_driver),
    (
        "queue::a_drained_queue_finishes_and_refuses",
        a_drained_queue_finishes_and_refuses,
    ),
    (
        "queue::a_purged_queue_cancels_and_refuses",
        a_purged_queue_cancels_and_refuses,
    ),
    (
        "queue::a_queued_request_is_cancelled",
        a_queued_request_is_cancelled,
    ),
    (
        "queue::the_driver_is_told_of_a_cancelled_one",
        the_driver_is_told_of_a_cancelled_one,
    ),
    (
        "queue::a_closed_handle_empties_the_queue_of_its_own",
        a_closed_handle_empties_the_queue_of_its_own,
    ),
];

/// Bits of `WDF_IO_QUEUE_STATE`.
const ACCEPTS: u32 = 1;
const DISPATCHES: u32 = 2;
const EMPTY: u32 = 4;
const DRIVER_HAS_NONE: u32 = 8;

fn hold_all(client: &Client, queue: u32, tags: core::ops::Range<u32>) -> Verdict<Vec<Sent>> {
    tags.map(|tag| client.hold(queue, tag)).collect()
}

fn a_sequential_queue_presents_one() -> Verdict {
    let client = Client::open_reset()?;
    let state = client.queue_state(queue::SEQUENTIAL)?;
    equal!(
        state.flags,
        ACCEPTS | DISPATCHES | EMPTY | DRIVER_HAS_NONE,
        "the state of an idle queue"
    );
    let sent = hold_all(&client, queue::SEQUENTIAL, 0..5)?;
    for (left, sent) in (0..5).rev().zip(sent) {
        client.queue_reaches(queue::SEQUENTIAL, left, 1)?;
        std::thread::sleep(QUIET / 6);
        client.queue_reaches(queue::SEQUENTIAL, left, 1)?;
        client.complete_oldest(queue::SEQUENTIAL)?;
        let reply = sent.reply()?;
        equal!(
            (reply.tag, reply.order),
            (4 - left, 5 - left),
            "tag and order of delivery"
        );
    }
    let state = client.queue_reaches(queue::SEQUENTIAL, 0, 0)?;
    equal!(state.peak, 1, "the most requests that the driver had");
    Ok(())
}

fn a_parallel_queue_presents_all() -> Verdict {
    let client = Client::open_reset()?;
    let sent = hold_all(&client, queue::PARALLEL, 0..20)?;
    client.queue_reaches(queue::PARALLEL, 0, 20)?;
    for _ in 0..20 {
        client.complete_oldest(queue::PARALLEL)?;
    }
    for (tag, sent) in (0..).zip(sent) {
        equal!(sent.reply()?, Reply { tag, order: tag + 1 }, "a reply");
    }
    equal!(
        client.queue_state(queue::PARALLEL)?.peak,
        20,
        "the most requests that the driver had"
    );
    Ok(())
}

fn a_limited_queue_presents_so_many() -> Verdict {
    let client = Client::open_reset()?;
    let sent = hold_all(&client, queue::TWO, 0..6)?;
    for left in (0..=4).rev() {
        client.queue_reaches(queue::TWO, left, 2)?;
        client.complete_oldest(queue::TWO)?;
    }
    client.complete_oldest(queue::TWO)?;
    for (tag, sent) in (0..).zip(sent) {
        equal!(sent.reply()?, Reply { tag, order: tag + 1 }, "a reply");
    }
    equal!(
        client.queue_state(queue::TWO)?.peak,
        2,
        "the most requests that the driver had"
    );
    Ok(())
}

fn a_manual_queue_gives_them_in_order() -> Verdict {
    let client = Client::open_reset()?;
    client.expect(
        contract::RETRIEVE_NEXT,
        &[queue::MANUAL, 0],
        0,
        status::NO_MORE_ENTRIES,
    )?;
    let mut sent = hold_all(&client, queue::MANUAL, 10..15)?;
    client.queue_reaches(queue::MANUAL, 5, 0)?;
    if let Some(first) = sent.first_mut() {
        first.stays_pending()?;
    }
    for (order, sent) in (1..).zip(sent) {
        client.expect(contract::RETRIEVE_NEXT, &[queue::MANUAL, 0], 0, NtStatus::SUCCESS)?;
        equal!(
            sent.reply()?,
            Reply {
                tag: order + 9,
                order
            },
            "a reply"
        );
    }
    client.expect(
        contract::RETRIEVE_NEXT,
        &[queue::MANUAL, 0],
        0,
        status::NO_MORE_ENTRIES,
    )?;
    Ok(())
}

fn a_stopped_queue_keeps_them() -> Verdict {
    let client = Client::open_reset()?;
    client.expect(
        contract::QUEUE_STOP,
        &[queue::SEQUENTIAL, 0],
        0,
        NtStatus::SUCCESS,
    )?;
    let mut sent = client.hold(queue::SEQUENTIAL, 1)?;
    sent.stays_pending()?;
    let state = client.queue_state(queue::SEQUENTIAL)?;
    equal!(
        (state.queued, state.delivered),
        (1, 0),
        "requests in the queue and with the driver"
    );
    equal!(
        state.flags & (ACCEPTS | DISPATCHES),
        ACCEPTS,
        "the state of a stopped queue"
    );
    client.expect(
        contract::QUEUE_START,
        &[queue::SEQUENTIAL, 0],
        0,
        NtStatus::SUCCESS,
    )?;
    client.queue_reaches(queue::SEQUENTIAL, 0, 1)?;
    client.complete_oldest(queue::SEQUENTIAL)?;
    equal!(sent.reply()?.tag, 1, "the tag");
    Ok(())
}

fn a_stop_waits_for_the_driver() -> Verdict {
    let client = Client::open_reset()?;
    let held = client.hold(queue::PARALLEL, 1)?;
    client.queue_reaches(queue::PARALLEL, 0, 1)?;
    let mut stop = client.send(contract::QUEUE_STOP, &bytes(&[queue::PARALLEL, 0]), 0)?;
    stop.stays_pending()?;
    let late = client.hold(queue::PARALLEL, 2)?;
    client.queue_reaches(queue::PARALLEL, 1, 1)?;
    client.complete_oldest(queue::PARALLEL)?;
    held.reply()?;
    stop.ends_with(NtStatus::SUCCESS)?;
    client.queue_reaches(queue::PARALLEL, 1, 0)?;
    client.expect(contract::QUEUE_START, &[queue::PARALLEL, 0], 0, NtStatus::SUCCESS)?;
    client.queue_reaches(queue::PARALLEL, 0, 1)?;
    client.complete_oldest(queue::PARALLEL)?;
    equal!(
        late.reply()?.tag,
        2,
        "the tag of the one that came while it was stopped"
    );
    Ok(())
}

fn a_drained_queue_finishes_and_refuses() -> Verdict {
    let client = Client::open_reset()?;
    let sent = hold_all(&client, queue::REFUSING, 0..3)?;
    client.queue_reaches(queue::REFUSING, 2, 1)?;
    let mut drain = client.send(contract::QUEUE_DRAIN, &bytes(&[queue::REFUSING, 0]), 0)?;
    drain.stays_pending()?;
    let late = client.hold(queue::REFUSING, 9)?;
    late.ends_with(status::WDF_BUSY)?;
    for left in (0..3).rev() {
        client.queue_reaches(queue::REFUSING, left, 1)?;
        client.complete_oldest(queue::REFUSING)?;
    }
    for (tag, sent) in (0..).zip(sent) {
        equal!(sent.reply()?, Reply { tag, order: tag + 1 }, "a reply");
    }
    drain.ends_with(NtStatus::SUCCESS)?;
    client.hold(queue::REFUSING, 9)?.ends_with(status::WDF_BUSY)?;
    let state = client.queue_state(queue::REFUSING)?;
    equal!(
        state.flags & (ACCEPTS | EMPTY | DRIVER_HAS_NONE),
        EMPTY | DRIVER_HAS_NONE,
        "the state of a drained queue"
    );
    started_again(&client)
}

/// A queue that refuses accepts again once it is started.
fn started_again(client: &Client) -> Verdict {
    client.expect(contract::QUEUE_START, &[queue::REFUSING, 0], 0, NtStatus::SUCCESS)?;
    let sent = client.hold(queue::REFUSING, 5)?;
    client.queue_reaches(queue::REFUSING, 0, 1)?;
    client.complete_oldest(queue::REFUSING)?;
    equal!(
        sent.reply()?.tag,
        5,
        "the tag of a request after the queue was started again"
    );
    Ok(())
}

fn a_purged_queue_cancels_and_refuses() -> Verdict {
    let client = Client::open_reset()?;
    let mut sent = hold_all(&client, queue::REFUSING, 0..4)?;
    client.queue_reaches(queue::REFUSING, 3, 1)?;
    let waiting = sent.split_off(1);
    let mut purge = client.send(contract::QUEUE_PURGE, &bytes(&[queue::REFUSING, 0]), 0)?;
    for sent in waiting {
        sent.ends_with(NtStatus::CANCELLED)?;
    }
    // The one that the driver has is not cancellable, and is waited for.
    purge.stays_pending()?;
    client.hold(queue::REFUSING, 9)?.ends_with(status::WDF_BUSY)?;
    client.complete_oldest(queue::REFUSING)?;
    for sent in sent {
        equal!(sent.reply()?.tag, 0, "the tag of the one that the driver had");
    }
    purge.ends_with(NtStatus::SUCCESS)?;
    client.hold(queue::REFUSING, 9)?.ends_with(status::WDF_BUSY)?;
    started_again(&client)
}

fn a_queued_request_is_cancelled() -> Verdict {
    let client = Client::open_reset()?;
    let mut sent = hold_all(&client, queue::MANUAL, 0..3)?;
    client.queue_reaches(queue::MANUAL, 3, 0)?;
    let middle = sent.remove(1);
    middle.cancel()?;
    middle.ends_with(NtStatus::CANCELLED)?;
    client.queue_reaches(queue::MANUAL, 2, 0)?;
    for (sent, tag) in sent.into_iter().zip([0, 2]) {
        client.expect(contract::RETRIEVE_NEXT, &[queue::MANUAL, 0], 0, NtStatus::SUCCESS)?;
        equal!(sent.reply()?.tag, tag, "the tag of one that was not cancelled");
    }
    Ok(())
}

fn the_driver_is_told_of_a_cancelled_one() -> Verdict {
    let client = Client::open_reset()?;
    let sent = hold_all(&client, queue::NOTIFIED, 0..3)?;
    client.queue_reaches(queue::NOTIFIED, 3, 0)?;
    for (count, sent) in (1..).zip(sent) {
        sent.cancel()?;
        sent.ends_with(NtStatus::CANCELLED)?;
        let state = client.queue_state(queue::NOTIFIED)?;
        equal!(state.cancelled, count, "calls of EvtIoCanceledOnQueue");
        equal!(state.queued, 3 - count, "requests in the queue");
    }
    Ok(())
}

fn a_closed_handle_empties_the_queue_of_its_own() -> Verdict {
    let client = Client::open_reset()?;
    let leaving = Client::open()?;
    let staying = client.hold(queue::MANUAL, 1)?;
    let gone = leaving.hold(queue::MANUAL, 2)?;
    client.queue_reaches(queue::MANUAL, 2, 0)?;
    drop(leaving);
    gone.ends_with(NtStatus::CANCELLED)?;
    client.queue_reaches(queue::MANUAL, 1, 0)?;
    client.expect(contract::RETRIEVE_NEXT, &[queue::MANUAL, 0], 0, NtStatus::SUCCESS)?;
    let reply = staying.reply()?;
    check!(
        reply.tag == 1,
        "the other handle's request came back as {reply:?}"
    );
    Ok(())
}
