//! Faults of DMF's module that this library does not inherit: one test each, by number.
//!
//! The thirteenth is `ScheduledTask`'s, and is tested with that.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::{Gate, Log, passive, until};
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::{HostObject, Machine, Start};
use queued_work_item::{
    BufferPool, BufferQueue, Close, Config, CreateError, NtStatus, Outcome, PossibleDeadlock, QueuedWorkItem,
    WaitError, WaitOutcome,
};

type Bytes = QueuedWorkItem<[u8]>;
type Told = Box<dyn FnOnce(Outcome) + Send>;

/// A queue of bytes whose callback logs them and stands at a gate.
fn gated(config: &Config) -> (Bytes, Gate, Log<Vec<u8>>) {
    let (gate, log) = (Gate::closed(), Log::default());
    let (passed, seen) = (gate.clone(), log.clone());
    let queue = Bytes::create(&mut passive(), Parent::default(), config, move |item, _| {
        seen.push(item.payload().to_vec());
        passed.pass();
    });
    (queue.expect("create"), gate, log)
}

/// `Flush` is a one-way cancel: accepted work is dropped, and the instance is dead afterwards.
#[test]
fn fault_01_flush_runs_what_was_accepted_and_leaves_the_queue_usable() {
    let passive = &mut passive();
    let (queue, gate, log) = gated(&Config::new(4).buffer_size(1));
    for round in 0..3 {
        gate.shut();
        for tag in 0..4 {
            queue.enqueue(&[round * 4 + tag]).expect("usable");
        }
        gate.open();
        queue.flush(passive).expect("flush");
        assert_eq!(log.len(), usize::from(round + 1) * 4, "nothing was dropped");
    }
    assert_eq!(log.entries(), (0..12).map(|tag| vec![tag]).collect::<Vec<_>>());
    assert_eq!(queue.counters().cancelled, 0);
}

/// Waiters are never woken when the module closes or is flushed.
#[test]
fn fault_02_close_cancel_and_flush_wake_every_waiter() {
    enum End {
        Close,
        Cancel,
        Flush,
    }
    for end in [End::Close, End::Cancel, End::Flush] {
        let (queue, gate, _) = gated(&Config::new(5).buffer_size(1));
        queue.enqueue(&[0]).expect("enqueue");
        gate.wait_arrived(1);
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (1..5)
                .map(|tag| {
                    let queue = &queue;
                    scope.spawn(move || queue.enqueue_and_wait(&mut passive(), &[tag]))
                })
                .collect();
            until(|| queue.len() == 5);
            let expected = match end {
                End::Close => {
                    scope.spawn(|| queue.close(&mut passive(), Close::Cancel));
                    Err(WaitError::Cancelled)
                }
                End::Cancel => {
                    assert_eq!(queue.cancel(&mut passive()), 4);
                    Err(WaitError::Cancelled)
                }
                End::Flush => {
                    scope.spawn(|| queue.flush(&mut passive()));
                    gate.open();
                    Ok(NtStatus::SUCCESS)
                }
            };
            for waiter in waiters {
                assert_eq!(waiter.join().expect("waiter"), expected);
            }
            gate.open();
        });
    }
}

/// `EnqueueAndWait` checks the payload's length in debug builds only: an overflow of pool in release.
#[test]
fn fault_03_a_wait_with_a_long_payload_is_refused_and_writes_nowhere() {
    let (queue, gate, log) = gated(&Config::new(2).buffer_size(16));
    gate.open();
    for length in [17, 32, 4096] {
        let error = queue
            .enqueue_and_wait(&mut passive(), &vec![0xEE; length])
            .expect_err("too long");
        assert_eq!(error.status(), NtStatus::INVALID_BUFFER_SIZE);
    }
    // The neighbours are what they were: both buffers, whole.
    for tag in 1..=4 {
        queue
            .enqueue_and_wait(&mut passive(), &[tag; 16])
            .expect("it fits");
    }
    assert_eq!(
        log.entries(),
        (1..=4).map(|tag| vec![tag; 16]).collect::<Vec<_>>()
    );
}

/// `Enqueue` with a bad length leaks the buffer that it had fetched.
#[test]
fn fault_04_a_bad_length_costs_no_buffer() {
    let (queue, gate, _) = gated(&Config::new(2).buffer_size(4));
    for _ in 0..100 {
        queue.enqueue(&[0; 5]).expect_err("too long");
        assert_eq!(queue.len(), 0);
    }
    queue.enqueue(&[1]).expect("one buffer");
    queue.enqueue(&[2]).expect("and the other");
    gate.open();
    queue.flush(&mut passive()).expect("flush");
}

/// A trigger that fails after the buffer was queued leaves pointers into the caller's stack in it.
#[test]
fn fault_05_no_pointer_into_a_waiter_s_frame_outlives_the_wait() {
    /// A frame where the waiter's was, as long as `body` runs.
    #[inline(never)]
    fn on_the_same_stack(body: impl FnOnce()) {
        let other = std::hint::black_box([0x55_u8; 4096]);
        body();
        assert!(
            std::hint::black_box(&other).iter().all(|byte| *byte == 0x55),
            "somebody wrote into a frame that was left"
        );
    }

    // The start does not come until the waiter has gone, and its stack is used for something else.
    let machine = Machine::new();
    machine.plan_starts(|_| Start::Held);
    let _in = machine.enter();
    let (queue, gate, log) = gated(&Config::new(1).buffer_size(1));
    gate.open();
    let outcome = queue.enqueue_and_wait_timeout(&mut passive(), &[7], Duration::ZERO);
    assert_eq!(outcome, Ok(WaitOutcome::TimedOut));
    on_the_same_stack(|| {
        assert_eq!(machine.release(), 1);
        queue.flush(&mut passive()).expect("flush");
    });
    assert_eq!(log.entries(), [vec![7]]);
    drop(queue);
    // And no start can be scheduled, since the parent is being deleted: the waiter is told, whenever it came.
    for _ in 0..200 {
        let device = HostObject::new();
        let queue =
            <QueuedWorkItem<u32>>::create(&mut passive(), Parent::from(&device), &Config::new(2), |_, _| ())
                .expect("create");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.enqueue_and_wait(&mut passive(), 1));
            device.delete();
            let error = waiter.join().expect("waiter").expect_err("its start is held");
            assert!(
                matches!(error.status(), NtStatus::CANCELLED | NtStatus::DELETE_PENDING),
                "{error:?}"
            );
        });
        assert!(queue.is_empty());
    }
    machine.release();
    machine.assert_no_leaks();
}

/// The pending counter can lose a wake-up: a second enqueuer, between a failed first trigger and its rollback, is told
/// `STATUS_SUCCESS` and never served.
#[test]
fn fault_06_whoever_is_told_success_is_served() {
    for _ in 0..200 {
        let machine = Machine::new();
        let _in = machine.enter();
        let device = HostObject::new();
        let queue = QueuedWorkItem::<u32, Told>::create(
            &mut passive(),
            Parent::from(&device),
            &Config::new(4),
            |_, _| (),
        )
        .expect("create");
        let (accepted, served) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let _in = machine.enter();
                    for _ in 0..2 {
                        let seen = Arc::clone(&served);
                        let completion: Told = Box::new(move |_| _ = seen.fetch_add(1, Ordering::Relaxed));
                        if queue.enqueue_with(1, completion).is_ok() {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            // From here on scheduling fails.
            device.delete();
        });
        queue.close(&mut passive(), Close::Drain).expect("close");
        assert_eq!(served.load(Ordering::Relaxed), accepted.into_inner());
        drop(queue);
        machine.assert_no_leaks();
    }
}

/// The waiter is woken before its buffer is back: with one buffer, waits in a row can fail.
#[test]
fn fault_07_the_buffer_is_home_before_anyone_is_told() {
    let queue = Arc::new(
        QueuedWorkItem::<u32, Told>::create(&mut passive(), Parent::default(), &Config::new(1), |_, _| ())
            .expect("create"),
    );
    for tag in 0..500 {
        queue
            .enqueue_and_wait(&mut passive(), tag)
            .expect("the one buffer is home");
    }
    let (inside, refused) = (Arc::clone(&queue), Arc::new(AtomicBool::new(true)));
    let seen = Arc::clone(&refused);
    let completion = Box::new(move |_| seen.store(inside.enqueue(2).is_err(), Ordering::Relaxed));
    queue.enqueue_with(1, completion).expect("enqueue");
    queue.flush(&mut passive()).expect("flush");
    assert!(
        !refused.load(Ordering::Relaxed),
        "a completion finds its buffer home too"
    );
    queue.close(&mut passive(), Close::Drain).expect("close");
}

/// Waiting or flushing inside the callback deadlocks silently.
#[test]
fn fault_08_waits_inside_the_callback_are_refused() {
    let own = Arc::new(OnceLock::<QueuedWorkItem<u32>>::new());
    // Weak: a callback that owned its queue would keep it, and itself, for ever.
    let (inside, log) = (Arc::downgrade(&own), Log::default());
    let seen = log.clone();
    let queue = <QueuedWorkItem<u32>>::create(
        &mut passive(),
        Parent::default(),
        &Config::new(2),
        move |_, passive| {
            let queue = inside.upgrade().expect("the test keeps it");
            let queue = queue.get().expect("set below");
            seen.push((
                queue.flush(passive),
                queue.enqueue_and_wait(passive, 5).map_err(|error| error.status()),
            ));
        },
    )
    .expect("create");
    let queue = own.get_or_init(|| queue);
    queue.enqueue(1).expect("enqueue");
    queue.close(&mut passive(), Close::Drain).expect("close");
    assert_eq!(
        log.entries(),
        [(Err(PossibleDeadlock), Err(NtStatus::POSSIBLE_DEADLOCK))]
    );
}

/// The callback is not told the payload's length; bytes of an earlier, longer payload can show.
#[test]
fn fault_09_the_callback_sees_its_own_bytes_and_no_others() {
    let (queue, gate, log) = gated(&Config::new(1).buffer_size(32));
    gate.open();
    for length in [32, 3, 0, 17] {
        let payload = vec![u8::try_from(length).expect("small"); length];
        queue.enqueue_and_wait(&mut passive(), &payload).expect("wait");
        assert_eq!(log.entries().last(), Some(&payload));
    }
}

/// The client's reuse-cleanup callback is handed an internal pointer. Here a context's own drop cleans up, and is given
/// the context that the client wrote.
#[test]
fn fault_10_cleanup_is_given_the_client_s_own_context() {
    #[derive(Default)]
    struct Cleaned(Option<(u32, Log<u32>)>);

    impl Drop for Cleaned {
        fn drop(&mut self) {
            if let Some((value, log)) = self.0.take() {
                log.push(value);
            }
        }
    }

    let cleaned = Log::default();
    let queue =
        BufferQueue::<Cleaned>::create(&mut passive(), &Config::new(1).buffer_size(8)).expect("create");
    for round in 0..3 {
        let mut buffer = queue.fetch().expect("home again");
        assert!(buffer.context().0.is_none(), "a fresh context");
        buffer.context_mut().0 = Some((round, cleaned.clone()));
        queue.enqueue(buffer).expect("its own");
        drop(queue.dequeue());
        assert_eq!(cleaned.entries(), (0..=round).collect::<Vec<_>>());
    }
}

/// A partial create leaks; double put and foreign buffers are only asserted in debug builds. That a buffer is not put
/// back twice the compiler sees to: `compile-fail/buffer_put_back_twice.rs`.
#[test]
fn fault_11_a_partial_create_leaks_nothing_and_a_foreign_buffer_is_refused() {
    let machine = Machine::new();
    let _in = machine.enter();
    let config = Config::new(2).buffer_size(8).lookaside(4);
    let create = || Bytes::create(&mut passive(), Parent::default(), &config, |_, _| ());
    machine.fail_allocation(0);
    drop(create().expect("nothing fails"));
    for nth in 1..=machine.allocations() {
        machine.fail_allocation(nth);
        let error = create().expect_err("the allocation failed");
        assert_eq!(error.status(), CreateError::OutOfMemory.status());
        machine.assert_no_leaks();
    }
    machine.fail_allocation(0);
    let pools: [BufferPool; 2] = std::array::from_fn(|_| {
        BufferPool::create(&mut passive(), &Config::new(1).buffer_size(8)).expect("create")
    });
    let buffer = pools[0].fetch().expect("a buffer");
    let buffer = pools[1].reuse(buffer).expect_err("not its own");
    drop(pools[1].fetch().expect("it has its one, and no second"));
    assert!(pools[0].fetch().is_err(), "the caller still has it");
    pools[0].reuse(buffer).expect("its own");
    drop(pools);
    machine.assert_no_leaks();
}

/// An empty pool yields three different statuses, depending on the accessor.
#[test]
fn fault_12_no_buffer_is_one_status_whoever_says_it() {
    const NONE: NtStatus = NtStatus::INSUFFICIENT_RESOURCES;
    let passive = &mut passive();
    let config = Config::new(1).buffer_size(8);
    let gate = Gate::closed();
    let passed = gate.clone();
    let queue =
        QueuedWorkItem::<[u8], Told>::create(passive, Parent::default(), &config, move |_, _| passed.pass())
            .expect("create");
    queue.enqueue(&[1]).expect("the one buffer");
    assert_eq!(queue.enqueue(&[2]).expect_err("full").status(), NONE);
    let refused = queue.enqueue_with(&[2], Box::new(|_| panic!("it was refused")));
    assert_eq!(refused.expect_err("full").status(), NONE);
    assert_eq!(
        queue.enqueue_and_wait(passive, &[2]).expect_err("full").status(),
        NONE
    );
    let bounded = queue.enqueue_and_wait_timeout(passive, &[2], Duration::ZERO);
    assert_eq!(bounded.expect_err("full").status(), NONE);
    gate.open();

    let pool = <BufferPool>::create(passive, &config).expect("create");
    let _held = pool.fetch().expect("the one buffer");
    assert_eq!(pool.fetch().expect_err("none").status(), NONE);
    let buffers = <BufferQueue>::create(passive, &config).expect("create");
    let _held = buffers.fetch().expect("the one buffer");
    assert_eq!(buffers.fetch().expect_err("none").status(), NONE);
    assert!(buffers.dequeue().is_none(), "nothing queued is no error");
}
