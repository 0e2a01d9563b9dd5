//! Handles that are closed, and devices that go away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::vec::Vec;

use queued_work_item::kernel::host::Machine;
use queued_work_item_ioctl::*;

use super::{both, device};

#[test]
fn w24_a_closed_handle_opens_its_gate_and_no_other() {
    let device = device();
    let (one, other) = (both(&device), both(&device));
    assert_eq!(one.configure(4, 8), STATUS_SUCCESS);
    other.gate();
    drop(both(&device));
    assert_eq!(one.statistics().gated, 1);
    // The last to close it owns it.
    one.gate();
    drop(other);
    assert_eq!(one.statistics().gated, 1);
    drop(one);
    assert_eq!(both(&device).statistics().gated, 0);
}

#[test]
fn w24_a_closed_handle_cancels_what_waits_in_its_name() {
    let device = device();
    let (keeper, leaver) = (both(&device), both(&device));
    assert_eq!(keeper.configure(600, 8), STATUS_SUCCESS);
    keeper.gate();
    // More than the search holds the lock for at a time, among each other.
    let mut waits = Vec::new();
    for tag in 0..300 {
        waits.push(leaver.enqueue_and_wait(Enqueue::new(0, tag), &[]));
        waits.push(keeper.enqueue_and_wait(Enqueue::new(0, tag), &[]));
    }
    let (flush, kept_flush) = (leaver.flush(), keeper.flush());
    drop(leaver);
    for pair in waits.chunks(2) {
        assert_eq!(
            pair[0].answered().map(|answered| answered.status),
            Some(STATUS_CANCELLED)
        );
        assert_eq!(pair[1].answered(), None);
    }
    assert_eq!(
        flush.answered().map(|answered| answered.status),
        Some(STATUS_CANCELLED)
    );
    keeper.release();
    assert_eq!(kept_flush.wait().status, STATUS_SUCCESS);
    for pair in waits.chunks(2) {
        assert_eq!(pair[1].wait().reply::<WaitReply>().outcome, WaitReply::RAN);
    }
    assert_eq!(keeper.statistics().executed, 600);
}

#[test]
fn w13_surprise_removal_answers_everyone_and_refuses_from_then_on() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(16, 8), STATUS_SUCCESS);
    client.gate();
    let waits: Vec<_> = (0..8)
        .map(|tag| client.enqueue_and_wait(Enqueue::new(0, tag), &[]))
        .collect();
    // One stands at the gate.
    client.until(|statistics| statistics.queued == 7);
    let (flush, close) = (client.flush(), client.close(Close::DRAIN));
    device.remove();
    // The gate was opened first, so that whoever ran could end; then all was cancelled. All of it before this returned.
    let executed = waits
        .iter()
        .map(|wait| {
            wait.answered()
                .expect("removal waits for it")
                .reply::<WaitReply>()
        })
        .filter(|reply| reply.outcome == WaitReply::RAN)
        .count();
    assert!(executed >= 1);
    assert!(flush.answered().is_some() && close.answered().is_some());
    for (code, _) in ALL {
        let input = joined_for(code);
        assert_eq!(
            client.call(code, &input, super::ROOM).status,
            STATUS_DELETE_PENDING
        );
    }
    device.remove();
}

fn joined_for(code: u32) -> Vec<u8> {
    if code == VERSION {
        Vec::new()
    } else {
        std::vec![0; 8]
    }
}

#[test]
fn w25_removal_under_load_leaves_nothing() {
    for round in 0..20 {
        let machine = Machine::new();
        let entered = machine.enter();
        let device = device();
        let client = both(&device);
        assert_eq!(client.configure(2_000, 64), STATUS_SUCCESS);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            client.gate();
            for tag in 0..1_000 {
                assert_eq!(client.enqueue(Enqueue::new(0, tag), &[7; 64]), STATUS_SUCCESS);
            }
            let waits: Vec<_> = (0..8)
                .map(|tag| client.enqueue_and_wait(Enqueue::new(0, tag), &[]))
                .collect();
            let (device, machine, stop) = (&device, &machine, &stop);
            scope.spawn(move || {
                let _entered = machine.enter();
                let client = both(device);
                let mut tag = 0;
                while !stop.load(Ordering::Relaxed) {
                    tag += 1;
                    let status = client.enqueue(Enqueue::new(0, tag), &[1; 64]);
                    if status == STATUS_DELETE_PENDING {
                        return;
                    }
                }
            });
            if round % 2 == 0 {
                client.release();
            }
            device.remove();
            for wait in &waits {
                assert!(wait.answered().is_some());
            }
            stop.store(true, Ordering::Relaxed);
        });
        drop(client);
        drop(device);
        drop(entered);
        machine.assert_no_leaks();
    }
}

#[test]
fn w18_whatever_allocation_fails_nothing_is_left() {
    let machine = Machine::new();
    let _entered = machine.enter();
    for attempt in 1.. {
        machine.fail_allocation(attempt);
        let made = crate::testing::Device::new();
        let status = made.as_ref().map(|device| both(device).configure(4, 8));
        machine.fail_allocation(0);
        match (&made, status) {
            (Ok(device), Ok(STATUS_SUCCESS)) => {
                assert_eq!(
                    both(device)
                        .enqueue_and_wait(Enqueue::new(0, 0), &[])
                        .wait()
                        .status,
                    STATUS_SUCCESS
                );
                assert!(attempt > 3, "some allocation must have failed before");
                break;
            }
            (Ok(device), Ok(status)) => {
                assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES);
                // The slot is as it was.
                assert_eq!(both(device).configure(4, 8), STATUS_SUCCESS);
            }
            _ => {}
        }
        drop(made);
        machine.assert_no_leaks();
    }
}

#[test]
fn w22_a_power_cycle_keeps_order_and_count() {
    const ITEMS: u64 = 200;
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(256, 8), STATUS_SUCCESS);
    client.gate();
    for tag in 0..ITEMS {
        assert_eq!(client.enqueue(Enqueue::new(0, tag), &[]), STATUS_SUCCESS);
    }
    client.until(|statistics| statistics.queued == 199);
    // The running one is at the gate: leaving D0 does not wait for it.
    device.d0_exit();
    client.release();
    client.until(|statistics| statistics.executed == 1);
    let (waiting, flush) = (
        client.enqueue_and_wait(Enqueue::new(0, ITEMS), &[]),
        client.flush(),
    );
    for _ in 0..100 {
        std::thread::yield_now();
    }
    assert_eq!(
        (client.statistics().executed, client.statistics().queued),
        (1, 200)
    );
    assert!(waiting.answered().is_none() && flush.answered().is_none());
    device.d0_entry();
    assert_eq!(waiting.wait().reply::<WaitReply>().outcome, WaitReply::RAN);
    assert_eq!(flush.wait().status, STATUS_SUCCESS);
    assert_eq!(client.statistics().executed, ITEMS + 1);
    let (_, entries) = client.log(0, super::ROOM);
    let begun: Vec<_> = entries.iter().map(|entry| entry.tag).collect();
    assert_eq!(begun, (0..=ITEMS).collect::<Vec<_>>());
}

#[test]
fn w22_out_of_d0_an_instance_is_created_paused_and_closes_and_removes() {
    let device = device();
    let client = both(&device);
    device.d0_exit();
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    assert_eq!(client.enqueue(Enqueue::new(0, 1), &[]), STATUS_SUCCESS);
    for _ in 0..100 {
        std::thread::yield_now();
    }
    assert_eq!(client.statistics().executed, 0);
    // A drain runs what is queued, or nobody could wait for it.
    assert_eq!(client.close(Close::DRAIN).wait().status, STATUS_SUCCESS);
    assert_eq!(client.statistics().executed, 1);
    assert_eq!(client.configure(4, 8), STATUS_SUCCESS);
    let waiting = client.enqueue_and_wait(Enqueue::new(0, 2), &[]);
    device.remove();
    let told = waiting.answered().expect("removal waits for it");
    assert_eq!(told.reply::<WaitReply>().outcome, WaitReply::CANCELLED);
}

#[test]
fn w24_a_killed_process_leaves_nothing_pending() {
    let device = device();
    let keeper = both(&device);
    assert_eq!(keeper.configure(64, 8), STATUS_SUCCESS);
    for round in 0..50_u64 {
        let victim = both(&device);
        victim.gate();
        let mut waiting: Vec<_> = (0..8)
            .map(|tag| victim.enqueue_and_wait(Enqueue::new(0, round * 100 + tag), &[]))
            .collect();
        waiting.push(victim.enqueue_and_wait(Enqueue::new(0, round * 100 + 8).with_timeout(600_000), &[]));
        waiting.push(victim.flush());
        let stress = super::stress::load(2, limits::STRESS_ITEMS, Stress::SPIN_LOCK);
        waiting.push(victim.send(STRESS, zerocopy::IntoBytes::as_bytes(&stress), super::ROOM));
        // Half of the time while the load is going, half of the time at once.
        if round % 2 == 0 {
            keeper.until(|statistics| statistics.gated == 1 && statistics.accepted > round * 9);
        }
        victim.kill(&waiting);
        for pended in &waiting {
            let status = pended.answered().expect("nothing is left pending").status;
            assert!(
                [STATUS_CANCELLED, STATUS_INSUFFICIENT_RESOURCES].contains(&status),
                "{status:#x}"
            );
        }
        // The next one works at once, and finds the gate open.
        let next = both(&device).enqueue_and_wait(Enqueue::new(0, round), &[]).wait();
        assert_eq!(next.reply::<WaitReply>().outcome, WaitReply::RAN);
        // Bounded waits are enqueued by a thread, which may come after the process's end.
        keeper.until(|statistics| statistics.executed == (round + 1) * 10);
    }
    let counters = keeper.statistics();
    assert_eq!(
        (counters.accepted, counters.gated, counters.overlaps),
        (500, 0, 0)
    );
}

#[test]
fn w24_two_devices_know_nothing_of_each_other() {
    let (one, other) = (device(), device());
    let (first, second) = (both(&one), both(&other));
    assert_eq!(first.configure(4, 8), STATUS_SUCCESS);
    // The bound on memory is each device's own.
    let large = Configure::new(0, 256, limits::BUFFER_SIZE);
    assert_eq!(second.configure_as(large), STATUS_SUCCESS);
    second.gate();
    assert_eq!((first.statistics().gated, second.statistics().gated), (0, 1));
    let waiting = second.enqueue_and_wait(Enqueue::new(0, 1), &[]);
    assert_eq!(
        first.enqueue_and_wait(Enqueue::new(0, 2), &[]).wait().status,
        STATUS_SUCCESS
    );
    one.remove();
    assert_eq!(first.enqueue(Enqueue::new(0, 3), &[]), STATUS_DELETE_PENDING);
    assert_eq!(waiting.answered(), None);
    second.release();
    assert_eq!(waiting.wait().reply::<WaitReply>().outcome, WaitReply::RAN);
    assert_eq!(second.statistics().executed, 1);
}

#[test]
fn w13_a_removal_in_order_drops_what_its_clients_left_behind() {
    let machine = Machine::new();
    let entered = machine.enter();
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(64, 8), STATUS_SUCCESS);
    let slow = Enqueue {
        spend_us: limits::SPEND_US,
        ..Enqueue::new(0, 0)
    };
    for _ in 0..60 {
        assert_eq!(client.enqueue(slow, &[]), STATUS_SUCCESS);
    }
    // With a handle open the query is vetoed, and the device works on.
    assert!(!device.query_remove());
    client.until(|statistics| statistics.queued == 59);
    drop(client);
    assert!(device.query_remove());
    // A minute's work is queued, and one second of it runs; neither is waited for.
    let start = std::time::Instant::now();
    device.remove_in_order();
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
    drop(device);
    drop(entered);
    machine.assert_no_leaks();
}
