//! Load made inside.

use queued_work_item_ioctl::*;
use zerocopy::IntoBytes;

use super::{both, device};
use crate::testing::{Client, Pended};

const MODES: [u32; 3] = [Stress::PASSIVE, Stress::SPIN_LOCK, Stress::DPC];

fn progress(client: &Client<'_>) -> StressReply {
    client.header(STRESS_PROGRESS).wait().reply()
}

pub(super) fn load(producers: u32, items: u32, mode: u32) -> Stress {
    Stress {
        header: Header::new(0),
        producers,
        items,
        payload: 64,
        buffer_count: 256,
        mode,
        kind: Configure::QUEUED_WORK_ITEM,
    }
}

fn send(client: &Client<'_>, load: Stress) -> Pended {
    client.send(STRESS, load.as_bytes(), size_of::<StressReply>())
}

fn check(reply: &StressReply, load: Stress) {
    let total = u64::from(load.producers) * u64::from(load.items);
    let irql = if load.mode == Stress::PASSIVE { 0 } else { 2 };
    let expected = StressReply {
        accepted: total,
        executed: total,
        completed: total,
        enqueue_irql: irql,
        refused_full: reply.refused_full,
        elapsed_ns: reply.elapsed_ns,
        high_water: reply.high_water,
        ..StressReply::default()
    };
    assert_eq!(*reply, expected);
    assert!((1..=load.buffer_count).contains(&reply.high_water) && reply.elapsed_ns > 0);
}

#[test]
fn x01_items_of_a_thread_finish_in_order() {
    let device = device();
    let client = both(&device);
    for mode in MODES {
        for buffer_count in [256, 1] {
            let load = Stress {
                kind: Configure::THREADED,
                buffer_count,
                ..load(4, 5_000, mode)
            };
            check(&send(&client, load).wait().reply(), load);
        }
    }
}

#[test]
fn w02_producers_keep_their_order() {
    let device = device();
    let client = both(&device);
    assert_eq!(progress(&client), StressReply::default());
    for mode in MODES {
        let load = load(8, 5_000, mode);
        let reply = send(&client, load).wait().reply();
        check(&reply, load);
        // What the last one came to can be asked for as long as there is no other.
        assert_eq!(progress(&client), reply);
        // One buffer: every producer meets a full queue.
        let load = Stress {
            buffer_count: 1,
            payload: 8,
            ..self::load(4, 200, mode)
        };
        let reply: StressReply = send(&client, load).wait().reply();
        check(&reply, load);
        assert!(reply.refused_full > 0);
    }
    // No instance was touched.
    assert_eq!(client.statistics(), StatisticsReply::default());
}

#[test]
fn w24_a_stress_ends_when_nobody_waits_for_it() {
    MODES.into_iter().for_each(ends);
}

fn ends(mode: u32) {
    let device = device();
    let client = both(&device);
    let endless = load(2, limits::STRESS_ITEMS, mode);
    let cancelled = send(&client, endless);
    assert_eq!(cancelled.answered(), None);
    // Its progress can be watched meanwhile.
    let mut seen = 0;
    while seen < 1_000 {
        let now = progress(&client);
        assert!(now.executed >= seen && now.executed <= now.accepted && now.completed <= now.executed);
        assert_eq!(
            (now.order_errors, now.payload_errors, now.refused_other),
            (0, 0, 0)
        );
        seen = now.executed;
        std::thread::yield_now();
    }
    // One at a time: it has the threads.
    assert_eq!(
        send(&client, endless).wait().status,
        STATUS_INSUFFICIENT_RESOURCES
    );
    cancelled.cancel();
    assert_eq!(
        cancelled.answered().map(|answered| answered.status),
        Some(STATUS_CANCELLED)
    );
    let closed = {
        let leaver = both(&device);
        loop {
            let pended = send(&leaver, endless);
            if pended.answered().is_none() {
                break pended;
            }
            std::thread::yield_now();
        }
    };
    assert_eq!(
        closed.answered().map(|answered| answered.status),
        Some(STATUS_CANCELLED)
    );
    let short = load(2, 100, Stress::PASSIVE);
    let answered = loop {
        let answered = send(&client, short).wait();
        if answered.status != STATUS_INSUFFICIENT_RESOURCES {
            break answered;
        }
        std::thread::yield_now();
    };
    check(&answered.reply(), short);
    // Removal ends one that somebody waits for, and the answer tells how far it came.
    let last = send(&client, endless);
    device.remove();
    let reply: StressReply = last.answered().expect("removal waits for it").reply();
    assert!(reply.accepted < 2 * u64::from(limits::STRESS_ITEMS));
    assert_eq!(reply.accepted, reply.executed + reply.cancelled);
    assert_eq!((reply.completed, reply.order_errors), (reply.executed, 0));
}

#[test]
fn w24_a_stress_out_of_its_limits() {
    let device = device();
    let client = both(&device);
    let good = load(1, 1, Stress::PASSIVE);
    for bad in [
        load(0, 1, 0),
        load(limits::STRESS_PRODUCERS + 1, 1, 0),
        load(1, 0, 0),
        load(1, limits::STRESS_ITEMS + 1, 0),
        load(1, 1, 3),
        Stress { payload: 7, ..good },
        Stress {
            payload: limits::STRESS_PAYLOAD + 1,
            ..good
        },
        Stress {
            buffer_count: 0,
            ..good
        },
        Stress {
            buffer_count: limits::BUFFER_COUNT,
            payload: 257,
            ..good
        },
        Stress { kind: 2, ..good },
    ] {
        assert_eq!(send(&client, bad).wait().status, STATUS_INVALID_PARAMETER);
    }
    check(&send(&client, good).wait().reply(), good);
}
