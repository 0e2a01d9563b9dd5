//! What the callback sees of its payload and context, and what becomes of both.

mod common;

use std::sync::Arc;

use common::{Gate, Log, passive};
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::Machine;
use queued_work_item::{Close, Config, EnqueueErrorKind, NtStatus, QueuedWorkItem, WaitError};

#[test]
fn w03_the_callback_sees_what_was_enqueued_not_what_the_caller_writes_later() {
    let passive = &mut passive();
    let (gate, log) = (Gate::closed(), Log::default());
    let (passed, seen) = (gate.clone(), log.clone());
    let config = Config::new(4).buffer_size(8);
    let queue = <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, move |item, _| {
        passed.pass();
        seen.push(item.payload().to_vec());
    })
    .expect("create");
    let mut buffer = *b"original";
    queue.enqueue(&buffer).expect("enqueue");
    queue.enqueue(&buffer[..4]).expect("enqueue");
    buffer.fill(0xEE);
    gate.open();
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), [b"original".to_vec(), b"orig".to_vec()]);
}

#[test]
fn w06_a_long_payload_is_refused_each_time_and_costs_no_buffer() {
    const N: u32 = 4;
    let passive = &mut passive();
    let config = Config::new(N).buffer_size(16);
    let gate = Gate::closed();
    let passed = gate.clone();
    let queue =
        <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, move |_, _| passed.pass())
            .expect("create");
    let long = [1; 17];
    for _ in 0..10 * N {
        let error = queue.enqueue(&long).expect_err("too long");
        assert_eq!(
            (error.kind(), error.status()),
            (EnqueueErrorKind::TooLong, NtStatus::INVALID_BUFFER_SIZE)
        );
        let error = queue.enqueue_and_wait(passive, &long).expect_err("too long");
        assert_eq!(error.status(), NtStatus::INVALID_BUFFER_SIZE);
    }
    for _ in 0..N {
        queue.enqueue(&long[..16]).expect("all buffers are there");
    }
    assert_eq!(queue.counters().refused_too_long, u64::from(20 * N));
    gate.open();
    queue.flush(passive).expect("flush");
}

#[test]
fn w07_lengths_from_nothing_to_all_and_aligned_as_documented() {
    let passive = &mut passive();
    for size in [0_usize, 1, 15, 16, 17, 255, 4096] {
        let log = Log::default();
        let seen = log.clone();
        // One slab buffer and one of the pool: both kinds.
        let config = Config::new(1).buffer_size(size).lookaside(2);
        let gate = Gate::closed();
        let passed = gate.clone();
        let queue = <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, move |item, _| {
            passed.pass();
            seen.push((item.payload().len(), item.payload().as_ptr().addr() % 16));
        })
        .expect("create");
        queue.enqueue(&[]).expect("no bytes");
        queue.enqueue(&vec![7; size]).expect("all bytes");
        gate.open();
        queue.flush(passive).expect("flush");
        assert_eq!(log.entries(), [(0, 0), (size, 0)]);
    }
}

#[test]
fn w07_typed_payloads_keep_their_type_s_alignment() {
    #[repr(align(128))]
    struct Wide(u8);

    let passive = &mut passive();
    let log = Log::default();
    let seen = log.clone();
    let gate = Gate::closed();
    let passed = gate.clone();
    let config = Config::new(2).lookaside(5);
    let queue = <QueuedWorkItem<Wide>>::create(passive, Parent::default(), &config, move |item, _| {
        passed.pass();
        seen.push((item.payload().0, core::ptr::from_ref(item.payload()).addr() % 128));
    })
    .expect("create");
    for tag in 0..5 {
        queue.enqueue(Wide(tag)).expect("enqueue");
    }
    gate.open();
    queue.flush(passive).expect("flush");
    assert_eq!(log.entries(), (0..5).map(|tag| (tag, 0)).collect::<Vec<_>>());
}

#[test]
fn w08_a_waiter_gets_the_same_32_bits_that_the_callback_set() {
    let passive = &mut passive();
    let queue =
        <QueuedWorkItem<Option<i32>>>::create(passive, Parent::default(), &Config::new(1), |item, _| {
            if let Some(status) = *item.payload() {
                item.set_status(NtStatus(status));
            }
        })
        .expect("create");
    for status in [
        0,
        1,
        0x0000_0102,
        0x4000_0000,
        0x8000_0005_u32,
        0xC000_0001,
        0xFFFF_FFFF,
    ] {
        let told = queue
            .enqueue_and_wait(passive, Some(status.cast_signed()))
            .expect("wait");
        assert_eq!(told.0.cast_unsigned(), status);
    }
    assert_eq!(
        queue.enqueue_and_wait(passive, None).expect("wait"),
        NtStatus::SUCCESS
    );
}

#[test]
fn w21_no_byte_of_an_earlier_payload_or_context_shows() {
    let passive = &mut passive();
    let log = Log::default();
    let seen = log.clone();
    let config = Config::new(1).buffer_size(64);
    let queue =
        QueuedWorkItem::<[u8], _, [u8; 8]>::create(passive, Parent::default(), &config, move |item, _| {
            seen.push((item.payload().to_vec(), *item.context()));
            item.payload_mut().fill(0xCC);
            item.context_mut().fill(0xCC);
        })
        .expect("create");
    let queue: QueuedWorkItem<[u8], queued_work_item::NoCompletion, [u8; 8]> = queue;
    queue.enqueue_and_wait(passive, &[0xAB; 64]).expect("wait");
    queue.enqueue_and_wait(passive, &[1, 2]).expect("wait");
    assert_eq!(log.entries(), [(vec![0xAB; 64], [0; 8]), (vec![1, 2], [0; 8])]);
}

#[test]
fn payloads_are_dropped_once_however_they_end() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let witness = Arc::new(());
    let gate = Gate::closed();
    let passed = gate.clone();
    let queue =
        <QueuedWorkItem<Arc<()>>>::create(passive, Parent::default(), &Config::new(4), move |_, _| {
            passed.pass();
        })
        .expect("create");
    for _ in 0..4 {
        queue.enqueue(Arc::clone(&witness)).expect("enqueue");
    }
    gate.wait_arrived(1);
    let back = queue
        .enqueue(Arc::clone(&witness))
        .expect_err("full")
        .into_inner();
    assert_eq!(Arc::strong_count(&back), 6);
    drop(back);
    assert_eq!(queue.cancel(passive), 3);
    assert_eq!(
        Arc::strong_count(&witness),
        2,
        "the running one still has its own"
    );
    gate.open();
    queue.close(passive, Close::Drain).expect("close");
    assert_eq!(Arc::strong_count(&witness), 1);
    let refused = queue
        .enqueue_and_wait(passive, Arc::clone(&witness))
        .expect_err("closed");
    assert_eq!(refused.status(), NtStatus::DELETE_PENDING);
    assert!(matches!(refused, WaitError::Refused(_)));
    drop(refused);
    assert_eq!(Arc::strong_count(&witness), 1);
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn lookaside_buffers_come_from_the_pool_and_go_back_to_it() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let gate = Gate::closed();
    let passed = gate.clone();
    let config = Config::new(2).buffer_size(32).lookaside(5);
    let queue =
        <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, move |_, _| passed.pass())
            .expect("create");
    let idle = machine.outstanding().0;
    for _ in 0..5 {
        queue.enqueue(&[3; 32]).expect("it grows");
    }
    assert_eq!(machine.outstanding().0, idle + 3);
    assert_eq!(
        queue.enqueue(&[]).expect_err("no further").kind(),
        EnqueueErrorKind::Full
    );
    assert_eq!(queue.capacity(), 5);
    gate.open();
    queue.flush(passive).expect("flush");
    assert_eq!(machine.outstanding().0, idle);

    gate.shut();
    for _ in 0..2 {
        queue.enqueue(&[]).expect("the preallocated ones");
    }
    machine.fail_allocation(1);
    assert_eq!(
        queue.enqueue(&[]).expect_err("no memory").kind(),
        EnqueueErrorKind::Full
    );
    machine.fail_allocation(0);
    queue.enqueue(&[]).expect("the place was given back");
    gate.open();
    drop(queue);
    machine.assert_no_leaks();
}
