//! Buffers that leave a `BufferQueue` when their time has come: each is had by one, whoever else reaches for it.

mod common;

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use common::{Log, passive, until};
use queued_work_item::buffer_queue::{EnqueueTimedErrorKind, Visit};
use queued_work_item::kernel::host::{Expiry, HostObject, Machine, raise_irql};
use queued_work_item::kernel::{Irql, Parent, SpinLock, current_irql};
use queued_work_item::{BufferQueue, Config, CreateError, Dispatch, NtStatus};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A machine whose time is held, and a queue on it that logs whose time has come.
fn rig(buffers: u32) -> (Machine, BufferQueue<u32>, Log<u32>) {
    let machine = Machine::new();
    let (queue, log) = queue(&machine, buffers);
    (machine, queue, log)
}

fn queue(machine: &Machine, buffers: u32) -> (BufferQueue<u32>, Log<u32>) {
    let _in = machine.enter();
    machine.hold_time();
    let log = Log::default();
    let expired = log.clone();
    let queue = BufferQueue::create_with_timer(
        &mut passive(),
        Parent::default(),
        &Config::new(buffers).buffer_size(8),
        move |_, buffer, _| {
            assert_eq!(current_irql(), Irql::DISPATCH);
            expired.push(*buffer.context());
        },
    );
    (queue.expect("create"), log)
}

fn put(queue: &BufferQueue<u32>, tag: u32, after: Duration) {
    let mut buffer = queue.fetch().expect("a buffer");
    *buffer.context_mut() = tag;
    queue.enqueue_with_timer(buffer, after).expect("its own");
}

fn put_untimed(queue: &BufferQueue<u32>, tag: u32) {
    let mut buffer = queue.fetch().expect("a buffer");
    *buffer.context_mut() = tag;
    queue.enqueue(buffer).expect("its own");
}

fn drain(queue: &BufferQueue<u32>) -> Vec<u32> {
    core::iter::from_fn(|| queue.dequeue().map(|buffer| *buffer.context())).collect()
}

#[test]
fn what_is_queued_when_its_time_has_come_leaves_and_not_before() {
    let (machine, queue, log) = rig(5);
    put(&queue, 1, ms(30));
    put(&queue, 2, ms(10));
    put_untimed(&queue, 3);
    put(&queue, 4, ms(20));
    assert_eq!(machine.advance(Duration::from_micros(9_999)), 0);
    assert_eq!((queue.count(), log.len()), (4, 0));
    machine.advance(Duration::from_micros(1));
    assert_eq!(log.entries(), [2], "an earlier deadline that came later");
    machine.advance(ms(10));
    assert_eq!(log.entries(), [2, 4]);
    // From the middle and from the tail they went; what is left is in order, and their buffers are home.
    put_untimed(&queue, 5);
    assert_eq!(queue.count(), 3);
    machine.advance(ms(1_000));
    assert_eq!(log.entries(), [2, 4, 1]);
    assert_eq!(drain(&queue), [3, 5]);
    let home: Vec<_> = core::iter::from_fn(|| queue.fetch().ok()).collect();
    assert_eq!(home.len(), 5);
}

#[test]
fn what_has_left_does_not_expire() {
    let (machine, queue, log) = rig(4);
    for tag in 1..=3 {
        put(&queue, tag, ms(10));
    }
    assert_eq!(*queue.dequeue().expect("the first").context(), 1);
    let last = queue.enumerate(|_, context| {
        if *context == 3 {
            Visit::RemoveAndStop
        } else {
            Visit::Continue
        }
    });
    drop(last.expect("the last"));
    machine.advance(ms(100));
    assert_eq!(log.entries(), [2]);
    put(&queue, 4, ms(10));
    assert_eq!(queue.clear(), 1);
    // The buffer of 4, queued without a timer, does not inherit one.
    for tag in 5..9 {
        put_untimed(&queue, tag);
    }
    machine.advance(ms(100));
    assert_eq!((log.entries(), drain(&queue)), (vec![2], vec![5, 6, 7, 8]));
}

#[test]
fn a_late_callback_takes_nothing_that_was_queued_after_its_timer_expired() {
    let (machine, queue, log) = rig(1);
    machine.plan_expiries(|nth| if nth == 0 { Expiry::Held } else { Expiry::Normal });
    put(&queue, 1, ms(10));
    assert_eq!(
        machine.advance(ms(10)),
        0,
        "it has expired, and its DPC is queued"
    );
    // The dequeue is in time, although the timer has expired.
    assert_eq!(drain(&queue), [1]);
    put(&queue, 2, ms(50));
    assert_eq!(machine.release(), 1);
    // It has set the timer for what it found.
    until(|| machine.settings() == 2);
    machine.advance(ms(49));
    assert_eq!(log.len(), 0, "the echo of 1 has not taken 2");
    machine.advance(ms(1));
    until(|| log.len() == 1);
    assert_eq!(log.entries(), [2]);
}

/// Of the host backend: a test that waits for a setting, and then moves time on, must not be faster than the clock.
#[test]
fn a_setting_is_counted_when_the_clock_has_it() {
    const ROUNDS: u64 = 200;
    let (machine, queue, log) = rig(1);
    let round = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for nth in 1..=ROUNDS {
                // Not before the last callback has returned: it would find this deadline, and set the timer too.
                until(|| round.load(Ordering::Acquire) == nth);
                put(&queue, 1, ms(10));
            }
        });
        for nth in 1..=ROUNDS {
            round.store(nth, Ordering::Release);
            while machine.settings() < nth {
                core::hint::spin_loop();
            }
            assert_eq!(machine.advance(ms(10)), 1, "setting {nth}");
        }
    });
    assert_eq!(log.len() as u64, ROUNDS);
}

#[test]
fn early_late_and_repeated_callbacks_at_every_setting() {
    for how in [Expiry::Early, Expiry::Held, Expiry::Repeated] {
        for ill in 0..8 {
            let (machine, queue, log) = rig(3);
            machine.plan_expiries(move |nth| if nth == ill { how } else { Expiry::Normal });
            let dispatched = |by| {
                machine.advance(by);
                machine.release();
            };
            put(&queue, 1, ms(10));
            put(&queue, 2, ms(5));
            put(&queue, 3, ms(20));
            dispatched(ms(5));
            until(|| log.len() == 1);
            assert_eq!(log.entries(), [2], "{how:?} at {ill}");
            put(&queue, 2, ms(30));
            dispatched(ms(5));
            until(|| log.len() == 2);
            // 3 is taken in time, and queued anew, to expire last.
            let mut third = None;
            queue.enumerate(|_, context| {
                third = (*context == 3).then_some(());
                if third.is_some() {
                    Visit::ResetTimerAndStop
                } else {
                    Visit::Continue
                }
            });
            assert!(third.is_some());
            for _ in 0..8 {
                dispatched(ms(5));
            }
            until(|| log.len() == 4);
            let mut last = log.entries().split_off(2);
            last.sort_unstable();
            assert_eq!(last, [2, 3], "{how:?} at {ill}");
            assert_eq!(queue.count(), 0);
            machine.advance(ms(1_000));
            assert_eq!(log.len(), 4, "{how:?} at {ill}");
        }
    }
}

#[test]
fn every_disposition_of_a_visit() {
    // What the visitor of 2 says, who is visited, who has expired after 10, and after 25 ms in all.
    type Case = (Visit, &'static [u32], &'static [u32], &'static [u32]);
    let cases: [Case; 7] = [
        (Visit::Continue, &[1, 2, 3], &[1, 2, 3], &[1, 2, 3]),
        (Visit::Stop, &[1, 2], &[1, 2, 3], &[1, 2, 3]),
        (Visit::RemoveAndStop, &[1, 2], &[1, 3], &[1, 3]),
        (Visit::StopTimerAndContinue, &[1, 2, 3], &[1, 3], &[1, 3]),
        (Visit::StopTimerAndStop, &[1, 2], &[1, 3], &[1, 3]),
        (Visit::ResetTimerAndContinue, &[1, 2, 3], &[1, 3], &[1, 3, 2]),
        (Visit::ResetTimerAndStop, &[1, 2], &[1, 3], &[1, 3, 2]),
    ];
    for (verdict, visits, at_ten, at_last) in cases {
        let (machine, queue, log) = rig(4);
        for tag in 1..=3 {
            put(&queue, tag, ms(10));
        }
        put_untimed(&queue, 4);
        machine.advance(ms(5));
        let mut visited = Vec::new();
        let removed = queue.enumerate(|_, context| {
            visited.push(*context);
            match *context {
                2 => verdict,
                // To one without a timer it does nothing.
                4 => Visit::ResetTimerAndContinue,
                _ => Visit::Continue,
            }
        });
        visited.retain(|tag| *tag != 4);
        assert_eq!(visited, visits, "{verdict:?}");
        assert_eq!(removed.is_some(), verdict == Visit::RemoveAndStop);
        drop(removed);
        machine.advance(ms(5));
        let mut expired = log.entries();
        expired.sort_unstable();
        assert_eq!(expired, at_ten, "{verdict:?}");
        machine.advance(ms(15));
        assert_eq!(log.len(), at_last.len(), "{verdict:?}");
        // A stopped timer can be reset.
        if matches!(verdict, Visit::StopTimerAndContinue | Visit::StopTimerAndStop) {
            assert_eq!(queue.count(), 2);
            queue.enumerate(|_, _| Visit::ResetTimerAndContinue);
            machine.advance(ms(9));
            assert_eq!(queue.count(), 2);
            machine.advance(ms(1));
            assert_eq!(*log.entries().last().expect("some"), 2);
        }
        assert_eq!(drain(&queue), [4], "{verdict:?}");
    }
}

#[test]
fn the_callback_may_queue_the_buffer_again() {
    let machine = Machine::new();
    let _in = machine.enter();
    machine.hold_time();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let queue = BufferQueue::<u32>::create_with_timer(
        &mut passive(),
        Parent::default(),
        &Config::new(1).buffer_size(8),
        move |queue, mut buffer, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            *buffer.context_mut() -= 1;
            if *buffer.context() > 0 {
                queue.enqueue_with_timer(buffer, ms(10)).expect("its own");
            }
        },
    )
    .expect("create");
    put(&queue, 5, ms(10));
    for run in 1..=5 {
        machine.advance(ms(9));
        assert_eq!(runs.load(Ordering::SeqCst), run - 1);
        machine.advance(ms(1));
        assert_eq!(runs.load(Ordering::SeqCst), run);
    }
    machine.advance(ms(100));
    assert_eq!(runs.load(Ordering::SeqCst), 5);
    assert!(queue.fetch().is_ok());
}

#[test]
fn more_than_a_callback_handles_at_once() {
    const MANY: u32 = 1_000;
    let (machine, queue, log) = rig(MANY);
    for tag in 0..MANY {
        put(&queue, tag, ms(u64::from((tag * 7) % 5)));
    }
    assert!(
        machine.advance(ms(4)) > 10,
        "it gives the processor back in between"
    );
    let mut expired = log.entries();
    assert!(expired.is_sorted_by_key(|tag| (tag * 7) % 5), "by due time");
    expired.sort_unstable();
    assert_eq!(expired, (0..MANY).collect::<Vec<_>>());
}

#[test]
fn clear_and_drop_leave_nothing_to_expire_and_nothing_behind() {
    let machine = Machine::new();
    for held in [false, true] {
        let (queue, log) = queue(&machine, 3);
        if held {
            machine.plan_expiries(|_| Expiry::Held);
        }
        put(&queue, 1, ms(10));
        put(&queue, 2, ms(20));
        assert_eq!(queue.clear(), 2);
        put(&queue, 3, ms(10));
        machine.advance(ms(5));
        if held {
            // Its DPC is queued when the queue goes, which waits for it, and by then the buffer is the callback's.
            machine.advance(ms(20));
        }
        drop(queue);
        machine.advance(ms(100));
        assert_eq!(log.entries(), if held { vec![3] } else { vec![] });
        machine.assert_no_leaks();
    }
}

#[test]
fn a_queue_dropped_at_dispatch_level_lives_until_its_callback_has_ended() {
    let (machine, queue, log) = rig(2);
    machine.plan_expiries(|_| Expiry::Held);
    put(&queue, 1, ms(10));
    put(&queue, 2, ms(10));
    machine.advance(ms(10));
    {
        let _raised = raise_irql(Irql::DISPATCH);
        drop(queue);
    }
    // It comes late, for nothing: what was queued went home with the handle.
    assert_eq!(machine.release(), 1);
    machine.assert_no_leaks();
    assert_eq!(log.len(), 0);
}

#[test]
fn every_allocation_of_create_may_fail() {
    let machine = Machine::new();
    let _in = machine.enter();
    let create = || {
        BufferQueue::<u32>::create_with_timer_and_cleanup(
            &mut passive(),
            Parent::default(),
            &Config::new(2).buffer_size(8).lookaside(4),
            |_, _, _| {},
            |_, _| {},
        )
    };
    machine.fail_allocation(0);
    drop(create().expect("create"));
    let allocations = machine.allocations();
    assert!(
        allocations >= 6,
        "slab, deadlines, callbacks, the queue, the timer: {allocations}"
    );
    for nth in 1..=allocations {
        machine.fail_allocation(nth);
        let error = create().expect_err("no memory");
        let expected = [
            CreateError::OutOfMemory,
            CreateError::Framework(NtStatus::INSUFFICIENT_RESOURCES),
        ];
        assert!(expected.contains(&error), "{error:?} at {nth}");
        machine.assert_no_leaks();
    }
    machine.fail_allocation(0);
}

#[test]
fn a_refusal_gives_the_buffer_back() {
    let machine = Machine::new();
    let _in = machine.enter();
    machine.hold_time();
    let untimed = BufferQueue::<u32>::create(&mut passive(), &Config::new(1)).expect("create");
    let parent = HostObject::new();
    let timed = BufferQueue::<u32>::create_with_timer(
        &mut passive(),
        Parent::from(&parent),
        &Config::new(2),
        |_, _, _| panic!("the parent is deleted before anything expires"),
    )
    .expect("create");
    let refused = untimed
        .enqueue_with_timer(untimed.fetch().expect("a buffer"), ms(1))
        .expect_err("no timer");
    assert_eq!(refused.kind(), EnqueueTimedErrorKind::NoTimer);
    let refused = timed
        .enqueue_with_timer(refused.into_buffer(), ms(1))
        .expect_err("foreign");
    assert_eq!(refused.status(), NtStatus::INVALID_PARAMETER);
    untimed.enqueue(refused.into_buffer()).expect("its own");
    assert_eq!((untimed.count(), timed.count()), (1, 0));

    put(&timed, 1, ms(10));
    parent.delete();
    machine.advance(ms(100));
    for _ in 0..2 {
        let refused = timed
            .enqueue_with_timer(timed.fetch().expect("a buffer"), ms(1))
            .expect_err("the parent is deleted");
        assert_eq!(refused.status(), NtStatus::DELETE_PENDING);
        assert_eq!(refused.kind().to_string(), "the queue's parent is deleted");
        assert_eq!(timed.count(), 1);
    }
    assert_eq!(drain(&timed), [1], "what was queued stays");
}

#[test]
fn real_time_passes_by_itself() {
    let (gone, came) = std::sync::mpsc::channel();
    let queue = BufferQueue::<u32>::create_with_timer(
        &mut passive(),
        Parent::default(),
        &Config::new(3),
        move |_, buffer, _| gone.send(*buffer.context()).expect("the test waits"),
    )
    .expect("create");
    put(&queue, 1, Duration::from_hours(1));
    put(&queue, 2, ms(2));
    put(&queue, 3, Duration::ZERO);
    let mut first = [(); 2].map(|()| came.recv_timeout(common::PATIENCE).expect("it expires"));
    first.sort_unstable();
    assert_eq!(first, [2, 3]);
    assert_eq!(drain(&queue), [1]);
}

/// Consumers, a clearer and a visitor against a clock that runs: every buffer comes home from exactly one of them.
#[test]
fn expiry_against_everything_else_that_takes() {
    const BUFFERS: u32 = 8;
    const ROUNDS: u32 = 4_000;
    let machine = Machine::new();
    let _in = machine.enter();
    machine.hold_time();
    machine.plan_expiries(|nth| match nth % 7 {
        3 => Expiry::Early,
        5 => Expiry::Repeated,
        _ => Expiry::Normal,
    });
    let taken = Arc::new(Log::<u32>::default());
    let expired = Arc::clone(&taken);
    let cleaned = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&cleaned);
    let queue = BufferQueue::<u32>::create_with_timer_and_cleanup(
        &mut passive(),
        Parent::default(),
        &Config::new(BUFFERS).buffer_size(4),
        move |_, buffer, _| expired.push(*buffer.context()),
        move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
        },
    )
    .expect("create");
    let cleared = AtomicU32::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    let consumer = |take: &(dyn Fn() -> Option<u32> + Sync)| {
        while !done.load(Ordering::Acquire) {
            match take() {
                Some(tag) => taken.push(tag),
                None => std::thread::yield_now(),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| consumer(&|| queue.dequeue().map(|buffer| *buffer.context())));
        scope.spawn(|| {
            consumer(&|| {
                let removed = queue.enumerate(|_, tag| match *tag % 5 {
                    0 => Visit::RemoveAndStop,
                    1 => Visit::ResetTimerAndContinue,
                    2 => Visit::StopTimerAndContinue,
                    _ => Visit::Continue,
                });
                removed.map(|buffer| *buffer.context())
            });
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                machine.advance(Duration::from_micros(100));
                machine.release();
            }
        });
        for tag in 0..ROUNDS {
            let mut buffer = common::retry(|| queue.fetch().ok());
            *buffer.context_mut() = tag;
            queue
                .enqueue_with_timer(buffer, ms(u64::from(tag % 3)))
                .expect("its own");
            if tag % 1_000 == 999 {
                cleared.fetch_add(queue.clear(), Ordering::Relaxed);
            }
        }
        until(|| {
            cleared.fetch_add(queue.clear(), Ordering::Relaxed);
            cleaned.load(Ordering::Relaxed) == ROUNDS
        });
        done.store(true, Ordering::Release);
    });
    drop(queue);
    let mut taken = taken.entries();
    let seen = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), seen, "one buffer, two takers");
    assert_eq!(u32::try_from(seen).expect("few") + cleared.into_inner(), ROUNDS);
    assert_eq!(cleaned.load(Ordering::Relaxed), ROUNDS);
    machine.release();
    machine.assert_no_leaks();
}

#[test]
fn a_queue_pays_for_timers_only_where_it_has_them() {
    let cost = |timed: bool| {
        let machine = Machine::new();
        let _in = machine.enter();
        let config = Config::new(1_000).buffer_size(16);
        let _queue = if timed {
            BufferQueue::<()>::create_with_timer(&mut passive(), Parent::default(), &config, |_, _, _| {})
        } else {
            BufferQueue::create(&mut passive(), &config)
        };
        machine.outstanding().1
    };
    let (without, with) = (cost(false), cost(true));
    assert!((with - without) <= 32_000 + 64, "{without} and {with} bytes");
    assert!(with > without);
}

#[test]
fn a_token_of_dispatch_level_takes_a_lock_where_it_is() {
    let machine = Machine::new();
    let _in = machine.enter();
    machine.hold_time();
    let sums = Arc::new((SpinLock::new(1), SpinLock::new(2)));
    let shared = Arc::clone(&sums);
    let queue = BufferQueue::<u32>::create_with_timer(
        &mut passive(),
        Parent::default(),
        &Config::new(1),
        move |_, buffer, dispatch| {
            let mut one = shared.0.lock_at_dispatch(dispatch);
            let mut other = shared.1.lock_at_dispatch(dispatch);
            *one += *buffer.context();
            *other += *one;
            drop(one);
            drop(other);
            assert_eq!(current_irql(), Irql::DISPATCH);
        },
    )
    .expect("create");
    put(&queue, 40, ms(1));
    machine.advance(ms(1));
    assert_eq!((*sums.0.lock(), *sums.1.lock()), (41, 43));
    assert_eq!(current_irql(), Irql::PASSIVE);
}

#[test]
#[should_panic(expected = "Dispatch::assume called at PASSIVE_LEVEL, allowed at DISPATCH_LEVEL")]
fn the_token_is_checked() {
    // SAFETY: not so, which is what the check is for; nothing is done with the token.
    let _ = unsafe { Dispatch::assume() };
}
