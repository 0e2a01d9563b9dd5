//! `ThreadedBufferQueue`: order of start and finish, pended items, stop and start, the thread itself.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use common::{Gate, Log, passive, until};
use queued_work_item::kernel::Irql;
use queued_work_item::kernel::host::{Machine, current_irql, raise_irql};
use queued_work_item::threaded::{Disposition, Pended, StartError, ThreadedConfig, Work, Worker};
use queued_work_item::{
    Close, Closed, Config, CreateError, EnqueueErrorKind, NtStatus, Outcome, Passive, PossibleDeadlock,
    ThreadedBufferQueue, WaitError, WaitOutcome,
};

type Completion = Box<dyn FnOnce(Outcome) + Send>;
type Queue = ThreadedBufferQueue<u32, Completion>;

fn config(buffers: u32) -> ThreadedConfig {
    ThreadedConfig::new(Config::new(buffers))
}

/// A started queue that logs what it works on.
fn logging(buffers: u32) -> (Queue, Log<u32>) {
    let (queue, log) = unstarted(buffers);
    queue.start(&mut passive()).expect("a thread");
    (queue, log)
}

fn unstarted(buffers: u32) -> (Queue, Log<u32>) {
    let log = Log::default();
    let seen = log.clone();
    let queue = Queue::create(&mut passive(), &config(buffers), move |work, _| {
        seen.push(*work.payload());
        work.complete(NtStatus::SUCCESS)
    });
    (queue.expect("create"), log)
}

/// Items that a worker has pended.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Pended<u32>>>>);

impl Kept {
    fn put(&self, pended: Pended<u32>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pended);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The oldest, once it has come.
    fn take(&self) -> Pended<u32> {
        common::retry(|| {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (!kept.is_empty()).then(|| kept.remove(0))
        })
    }
}

/// A started queue that pends what is odd and completes what is even with its own number.
fn pending_odd(config: &ThreadedConfig) -> (Queue, Log<u32>, Kept) {
    let (log, kept) = (Log::default(), Kept::default());
    let (seen, keep) = (log.clone(), kept.clone());
    let queue = Queue::create(&mut passive(), config, move |work, _| {
        let number = *work.payload();
        seen.push(number);
        if number % 2 == 0 {
            return work.complete(NtStatus(number.cast_signed()));
        }
        let (pended, disposition) = work.pend();
        keep.put(pended);
        disposition
    });
    let queue = queue.expect("create");
    queue.start(&mut passive()).expect("a thread");
    (queue, log, kept)
}

#[test]
fn x01_start_and_finish_keep_the_order_over_100_000_items() {
    const ITEMS: u32 = 100_000;
    let machine = Machine::new();
    let _in = machine.enter();
    let (queue, started) = logging(64);
    let finished = Log::default();
    for number in 0..ITEMS {
        common::retry(|| {
            let seen = finished.clone();
            let completion: Completion = Box::new(move |outcome| {
                assert_eq!(outcome, Outcome::Ran(NtStatus::SUCCESS));
                seen.push(number);
            });
            queue.enqueue_with(number, completion).ok()
        });
    }
    let closed = queue.close(&mut passive(), Close::Drain);
    assert_eq!(closed, Ok(Closed { cancelled: 0 }));
    let all: Vec<_> = (0..ITEMS).collect();
    assert!(started.entries() == all, "begun out of order");
    assert!(finished.entries() == all, "finished out of order");
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn x01_producers_keep_their_order_and_bytes_their_length() {
    const ITEMS: u16 = 5_000;
    let log = Log::default();
    let seen = log.clone();
    let config = ThreadedConfig::new(Config::new(16).buffer_size(32).lookaside(64));
    let queue = <ThreadedBufferQueue<[u8]>>::create(&mut passive(), &config, move |work, _| {
        seen.push(work.payload().to_vec());
        work.complete(NtStatus::SUCCESS)
    });
    let queue = queue.expect("create");
    queue.start(&mut passive()).expect("a thread");
    std::thread::scope(|scope| {
        for producer in 0..4_u8 {
            let queue = &queue;
            scope.spawn(move || {
                for number in 0..ITEMS {
                    let mut bytes = vec![producer; 3 + usize::from(number % 30)];
                    bytes[1..3].copy_from_slice(&number.to_le_bytes());
                    common::retry(|| queue.enqueue(&bytes).ok());
                }
            });
        }
    });
    assert_eq!(
        queue.enqueue(&[0; 33]).expect_err("too long").kind(),
        EnqueueErrorKind::TooLong
    );
    queue.close(&mut passive(), Close::Drain).expect("not inside");
    let entries = log.entries();
    assert_eq!(entries.len(), 4 * usize::from(ITEMS));
    for producer in 0..4_u8 {
        let numbers = entries.iter().filter(|bytes| bytes[0] == producer);
        let numbers: Vec<_> = numbers
            .map(|bytes| {
                let number = u16::from_le_bytes([bytes[1], bytes[2]]);
                assert_eq!(bytes.len(), 3 + usize::from(number % 30));
                number
            })
            .collect();
        assert_eq!(numbers, (0..ITEMS).collect::<Vec<_>>());
    }
}

#[test]
fn x01_what_is_put_at_the_head_comes_first() {
    let (queue, log) = unstarted(64);
    for number in 0..40 {
        queue.enqueue(number).expect("a buffer is free");
    }
    for number in 100..103 {
        queue.enqueue_at_head(number).expect("a buffer is free");
    }
    queue.enqueue(40).expect("a buffer is free");
    assert_eq!(queue.len(), 44);
    queue.start(&mut passive()).expect("a thread");
    until(|| queue.is_empty());
    let expected: Vec<_> = [102, 101, 100].into_iter().chain(0..=40).collect();
    assert_eq!(log.entries(), expected);
    // And before what the thread has claimed already.
    let gate = Gate::closed();
    let pass = gate.clone();
    let seen = Log::default();
    let order = seen.clone();
    let queue = Queue::create(&mut passive(), &config(64), move |work, _| {
        order.push(*work.payload());
        pass.pass();
        work.complete(NtStatus::SUCCESS)
    });
    let queue = queue.expect("create");
    (0..40).for_each(|number| queue.enqueue(number).expect("a buffer is free"));
    queue.start(&mut passive()).expect("a thread");
    gate.wait_arrived(1);
    {
        let _dispatch = raise_irql(Irql::DISPATCH);
        queue.enqueue_at_head(100).expect("a buffer is free");
        queue.enqueue_at_head(101).expect("a buffer is free");
    }
    gate.open();
    queue.close(&mut passive(), Close::Drain).expect("not inside");
    let expected: Vec<_> = [0, 101, 100].into_iter().chain(1..40).collect();
    assert_eq!(seen.entries(), expected);
}

#[test]
fn x01_an_item_at_the_head_is_waited_for() {
    let (queue, log, kept) = pending_odd(&config(8));
    let passive = &mut passive();
    assert_eq!(queue.enqueue_at_head_and_wait(passive, 6), Ok(NtStatus(6)));
    let waited = queue.enqueue_at_head_and_wait_timeout(passive, 7, Duration::from_millis(1));
    assert_eq!(waited, Ok(WaitOutcome::TimedOut));
    // The item goes on without its waiter.
    kept.take().complete(NtStatus::SUCCESS);
    assert_eq!(log.entries(), [6, 7]);
    queue.close(passive, Close::Drain).expect("not inside");
}

#[test]
fn x02_a_pended_item_does_not_stall_the_next() {
    let machine = Machine::new();
    let _in = machine.enter();
    let (queue, log, kept) = pending_odd(&config(8));
    let passive = &mut passive();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.enqueue_and_wait(&mut common::passive(), 1));
        until(|| kept.len() == 1);
        // Those after it begin and finish meanwhile.
        for number in [2, 4, 6] {
            assert_eq!(
                queue.enqueue_and_wait(passive, number),
                Ok(NtStatus(number.cast_signed()))
            );
        }
        assert!(!waiter.is_finished(), "its item is pended");
        assert_eq!(queue.pended(), 1);
        // The end of 6 is noted a moment after its waiter wakes.
        until(|| queue.is_empty());
        let mut pended = kept.take();
        assert_eq!(*pended.payload(), 1);
        *pended.payload_mut() += 2;
        assert_eq!(*pended.payload(), 3, "payload and context are the holder's");
        pended.complete(NtStatus(0x4000_0001));
        assert_eq!(waiter.join().expect("waiter"), Ok(NtStatus(0x4000_0001)));
    });
    assert_eq!(queue.pended(), 0);
    assert_eq!(log.entries(), [1, 2, 4, 6]);
    // Dropped: nobody has said how it went.
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.enqueue_and_wait(&mut common::passive(), 1));
        drop(kept.take());
        assert_eq!(waiter.join().expect("waiter"), Ok(NtStatus::UNSUCCESSFUL));
    });
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn x02_or_by_configuration_it_does() {
    let (queue, log, kept) = pending_odd(&config(8).wait_for_pended());
    let passive = &mut passive();
    for number in [1, 2, 3, 4] {
        queue.enqueue(number).expect("a buffer is free");
    }
    let first = kept.take();
    let waited = queue.enqueue_and_wait_timeout(passive, 6, Duration::from_millis(5));
    assert_eq!(waited, Ok(WaitOutcome::TimedOut), "behind the pended item");
    assert_eq!(log.entries(), [1]);
    first.complete(NtStatus::SUCCESS);
    let third = kept.take();
    assert_eq!(log.entries(), [1, 2, 3]);
    // A stop does not wait for it, and the next thread does.
    assert_eq!(queue.stop(passive), Ok(2));
    queue.enqueue(8).expect("a buffer is free");
    queue.start(passive).expect("a thread");
    let waited = queue.enqueue_and_wait_timeout(passive, 10, Duration::from_millis(5));
    assert_eq!(waited, Ok(WaitOutcome::TimedOut));
    third.complete(NtStatus::SUCCESS);
    queue.close(passive, Close::Drain).expect("not inside");
    assert_eq!(log.entries(), [1, 2, 3, 8, 10]);
}

#[test]
fn x02_pended_items_outlive_their_queue() {
    let machine = Machine::new();
    let _in = machine.enter();
    let (queue, _, kept) = pending_odd(&config(4));
    let told = Log::default();
    for number in [1, 3] {
        let seen = told.clone();
        let completion: Completion = Box::new(move |outcome| seen.push(outcome));
        queue.enqueue_with(number, completion).expect("a buffer is free");
    }
    let (first, second) = (kept.take(), kept.take());
    drop(queue);
    assert_eq!((*first.payload(), *second.payload()), (1, 3));
    {
        // The last of them frees the queue, where DPCs may run.
        let _dispatch = raise_irql(Irql::DISPATCH);
        second.complete(NtStatus::SUCCESS);
        first.complete(NtStatus::TIMEOUT);
    }
    let expected = [Outcome::Ran(NtStatus::SUCCESS), Outcome::Ran(NtStatus::TIMEOUT)];
    assert_eq!(told.entries(), expected);
    machine.assert_no_leaks();
}

#[test]
fn x03_stop_and_start_1_000_times_under_load() {
    let machine = Machine::new();
    let _in = machine.enter();
    let (queue, log) = unstarted(32);
    let (accepted, dropped, ran) = (AtomicU64::new(0), AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let cycles = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while cycles.load(Ordering::Relaxed) < 1_000 {
                    let ran = Arc::clone(&ran);
                    let completion: Completion = Box::new(move |outcome| {
                        if let Outcome::Ran(_) = outcome {
                            ran.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    match queue.enqueue_with(0, completion) {
                        Ok(()) => {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => std::thread::yield_now(),
                    }
                }
            });
        }
        for _ in 0..1_000 {
            queue.start(&mut passive()).expect("a thread");
            if cycles.load(Ordering::Relaxed).is_multiple_of(8) {
                std::thread::yield_now();
            }
            let count = queue.stop(&mut passive()).expect("not inside");
            dropped.fetch_add(count, Ordering::Relaxed);
            let at_stop = log.len();
            assert!(!queue.is_started());
            assert_eq!(log.len(), at_stop, "worked on without a thread");
            cycles.fetch_add(1, Ordering::Relaxed);
        }
    });
    let closed = queue.close(&mut passive(), Close::Cancel).expect("not inside");
    let dropped = dropped.into_inner() + closed.cancelled;
    let ran = ran.load(Ordering::Relaxed);
    assert_eq!(
        accepted.into_inner(),
        ran + dropped,
        "{ran} ran, {dropped} dropped"
    );
    assert_eq!(u64::try_from(log.len()), Ok(ran));
    let counters = queue.counters();
    assert_eq!((counters.executed, counters.cancelled), (ran, dropped));
    drop(queue);
    machine.assert_no_leaks();
}

/// Eight waiters behind a worker that is at the gate, and two for items that it has pended. `end` drops the eight.
fn with_waiters(end: impl FnOnce(&Queue) -> u64 + Send) {
    let machine = Machine::new();
    let _in = machine.enter();
    let (gate, kept) = (Gate::closed(), Kept::default());
    let (pass, keep) = (gate.clone(), kept.clone());
    let queue = Queue::create(&mut passive(), &config(16), move |work, _| {
        if *work.payload() < 2 {
            let (pended, disposition) = work.pend();
            keep.put(pended);
            return disposition;
        }
        pass.pass();
        work.complete(NtStatus::SUCCESS)
    });
    let queue = queue.expect("create");
    queue.start(&mut passive()).expect("a thread");
    std::thread::scope(|scope| {
        let mut waiters = Vec::new();
        let wait = |number| queue.enqueue_and_wait(&mut passive(), number);
        for number in 0..2 {
            waiters.push(scope.spawn(move || wait(number)));
        }
        until(|| kept.len() == 2);
        let running = scope.spawn(move || wait(2));
        gate.wait_arrived(1);
        for number in 3..11 {
            waiters.push(scope.spawn(move || wait(number)));
        }
        until(|| queue.len() == 9);
        let ender = scope.spawn(|| end(&queue));
        // While the worker is still at the gate.
        for waiter in waiters {
            let error = waiter.join().expect("waiter").expect_err("dropped");
            assert_eq!(error, WaitError::Cancelled);
            assert_eq!(error.status(), NtStatus::CANCELLED);
        }
        assert!(!running.is_finished(), "the item that runs has its own status");
        gate.open();
        assert_eq!(running.join().expect("waiter"), Ok(NtStatus::SUCCESS));
        // Their waiters are gone, and they are still their holder's.
        assert_eq!(queue.pended(), 2);
        kept.take().complete(NtStatus::SUCCESS);
        drop(kept.take());
        assert_eq!(ender.join().expect("ender"), 8);
    });
    queue.close(&mut passive(), Close::Cancel).expect("not inside");
    assert_eq!(queue.counters().cancelled, 8);
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn x04_stop_with_8_waiters() {
    with_waiters(|queue| queue.stop(&mut passive()).expect("not inside"));
}

#[test]
fn x04_flush_with_8_waiters() {
    with_waiters(|queue| {
        let dropped = queue.flush(&mut passive());
        // The queue is as usable as before.
        assert_eq!(queue.enqueue_and_wait(&mut passive(), 20), Ok(NtStatus::SUCCESS));
        dropped
    });
}

#[test]
fn x04_close_with_8_waiters() {
    with_waiters(|queue| {
        let closed = queue.close(&mut passive(), Close::Cancel).expect("not inside");
        assert_eq!(queue.pended(), 0, "it has waited for the holders");
        assert_eq!(queue.start(&mut passive()), Err(StartError::Closing));
        assert_eq!(
            queue.enqueue(2).expect_err("closed").kind(),
            EnqueueErrorKind::Closing
        );
        closed.cancelled
    });
}

#[test]
fn x05_completion_from_a_dpc() {
    let (queue, _, kept) = pending_odd(&config(8));
    let levels = Log::default();
    let seen = levels.clone();
    let completion: Completion = Box::new(move |outcome| seen.push((outcome, current_irql())));
    queue.enqueue_with(1, completion).expect("a buffer is free");
    let pended = kept.take();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _dispatch = raise_irql(Irql::DISPATCH);
            pended.complete(NtStatus::TIMEOUT);
        });
    });
    assert_eq!(
        levels.entries(),
        [(Outcome::Ran(NtStatus::TIMEOUT), Irql::DISPATCH)]
    );
    // Its buffer is home: eight fit again.
    (0..8).for_each(|_| queue.enqueue(1).expect("a buffer is free"));
    until(|| kept.len() == 8);
    assert_eq!(
        queue.enqueue(1).expect_err("all pended").kind(),
        EnqueueErrorKind::Full
    );
    // Out of order, from several processors at once.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let pended = kept.take();
            scope.spawn(move || {
                let _dispatch = raise_irql(Irql::DISPATCH);
                pended.complete(NtStatus::SUCCESS);
            });
        }
    });
    assert_eq!(queue.pended(), 0);
    queue.close(&mut passive(), Close::Drain).expect("not inside");
}

/// A worker that logs its thread's life.
struct Living(Log<(&'static str, ThreadId)>);

impl Worker<u32> for Living {
    fn pre(&mut self, _: &mut Passive) {
        self.0.push(("pre", std::thread::current().id()));
    }

    fn work<'a>(&mut self, work: Work<'a, u32>, _: &mut Passive) -> Disposition<'a> {
        self.0.push(("work", std::thread::current().id()));
        work.complete(NtStatus::SUCCESS)
    }

    fn post(&mut self, _: &mut Passive) {
        self.0.push(("post", std::thread::current().id()));
    }
}

#[test]
fn pre_work_and_post_run_on_one_thread_for_each_start() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let log = Log::default();
    let config = config(4).priority(14);
    let queue = <ThreadedBufferQueue<u32>>::create_with_worker(passive, &config, Living(log.clone()));
    let queue = queue.expect("create");
    queue.enqueue(0).expect("a buffer is free");
    assert!(log.entries().is_empty() && !queue.is_started());
    for round in 1..=3 {
        queue.start(passive).expect("a thread");
        queue.start(passive).expect("the same one");
        assert_eq!(machine.thread_priority(), Some(14));
        queue.enqueue_and_wait(passive, 0).expect("it runs");
        assert_eq!(queue.stop(passive), Ok(0));
        assert_eq!(queue.stop(passive), Ok(0), "stopped already");
        let entries = log.entries();
        let what: Vec<_> = entries.iter().map(|(what, _)| *what).collect();
        let works = if round == 1 { 2 } else { 1 };
        let last = &what[what.len() - works - 2..];
        assert_eq!((last[0], last[works + 1]), ("pre", "post"));
        assert!(last[1..=works].iter().all(|what| *what == "work"));
        let threads = &entries[entries.len() - works - 2..];
        assert!(threads.iter().all(|(_, thread)| *thread == threads[0].1));
        assert_ne!(threads[0].1, std::thread::current().id());
    }
    queue.start(passive).expect("a thread");
    queue.close(passive, Close::Drain).expect("not inside");
    assert_eq!(log.entries().last().map(|(what, _)| *what), Some("post"));
    assert_eq!(queue.start(passive), Err(StartError::Closing));
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn the_queues_own_thread_is_told_when_it_would_wait_for_itself() {
    let passive = &mut passive();
    let place: Arc<Mutex<Option<Arc<Queue>>>> = Arc::default();
    let told = Log::default();
    let (find, tell) = (Arc::clone(&place), told.clone());
    let queue = Queue::create(passive, &config(4), move |work, passive| {
        let queue = find.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(queue) = queue else {
            return work.complete(NtStatus::UNSUCCESSFUL);
        };
        tell.push(queue.stop(passive).err().map(PossibleDeadlock::status));
        tell.push(
            queue
                .close(passive, Close::Cancel)
                .err()
                .map(PossibleDeadlock::status),
        );
        tell.push(queue.start(passive).err().map(StartError::status));
        tell.push(
            queue
                .enqueue_and_wait(passive, 1)
                .err()
                .map(|error| error.status()),
        );
        assert_eq!(queue.flush(passive), 0, "a flush does not wait");
        work.complete(NtStatus::SUCCESS)
    });
    let queue = Arc::new(queue.expect("create"));
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&queue));
    queue.start(passive).expect("a thread");
    assert_eq!(queue.enqueue_and_wait(passive, 0), Ok(NtStatus::SUCCESS));
    assert_eq!(told.entries(), [Some(NtStatus::POSSIBLE_DEADLOCK); 4]);
    *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
    queue.close(passive, Close::Drain).expect("not inside");
}

#[test]
fn a_queue_may_be_dropped_by_its_own_worker() {
    let machine = Machine::new();
    let _in = machine.enter();
    let place: Arc<Mutex<Option<Queue>>> = Arc::default();
    let find = Arc::clone(&place);
    let queue = Queue::create(&mut passive(), &config(4), move |work, _| {
        drop(find.lock().unwrap_or_else(PoisonError::into_inner).take());
        work.complete(NtStatus::SUCCESS)
    });
    let queue = queue.expect("create");
    queue.start(&mut passive()).expect("a thread");
    let mut kept = place.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..3 {
        queue.enqueue(0).expect("a buffer is free");
    }
    *kept = Some(queue);
    drop(kept);
    machine.assert_no_leaks();
    until(|| Arc::strong_count(&place) == 1);
}

#[test]
fn w18_a_create_or_start_that_fails_leaves_nothing() {
    let machine = Machine::new();
    let _in = machine.enter();
    let passive = &mut passive();
    let alive = Arc::new(());
    for nth in 1.. {
        machine.fail_allocation(nth);
        let kept = Arc::clone(&alive);
        let created = Queue::create(passive, &config(4), move |work, _| {
            assert!(Arc::strong_count(&kept) > 1);
            work.complete(NtStatus::SUCCESS)
        });
        machine.fail_allocation(0);
        match created {
            Ok(queue) => {
                assert!(nth > 4, "some allocations were made to fail");
                queue.enqueue(1).expect("a buffer is free");
                machine.fail_allocation(1);
                assert_eq!(
                    queue.start(passive),
                    Err(StartError::Thread(NtStatus::INSUFFICIENT_RESOURCES))
                );
                machine.fail_allocation(0);
                assert!(!queue.is_started());
                queue.start(passive).expect("a thread");
                queue.close(passive, Close::Drain).expect("not inside");
                assert_eq!(queue.counters().executed, 1);
                break;
            }
            Err(error) => assert_eq!(error, CreateError::OutOfMemory),
        }
        machine.assert_no_leaks();
        assert_eq!(Arc::strong_count(&alive), 1);
    }
    assert_eq!(Arc::strong_count(&alive), 1);
    machine.assert_no_leaks();
    for priority in [0, 32, -1] {
        let refused = Queue::create(passive, &config(4).priority(priority), |work, _| {
            work.complete(NtStatus::SUCCESS)
        });
        assert_eq!(refused.err(), Some(CreateError::InvalidConfig));
    }
}

/// A worker that pends what is not 0.
struct Pending(Kept);

impl Worker<u32> for Pending {
    fn work<'a>(&mut self, work: Work<'a, u32>, _: &mut Passive) -> Disposition<'a> {
        if *work.payload() == 0 {
            return work.complete(NtStatus::SUCCESS);
        }
        let (pended, disposition) = work.pend();
        self.0.put(pended);
        disposition
    }
}

#[test]
fn a_reuse_cleanup_is_called_once_for_each_accepted_item() {
    let passive = &mut passive();
    let cleaned = Log::default();
    let seen = cleaned.clone();
    let kept = Kept::default();
    let keep = kept.clone();
    let queue = Queue::create_with_cleanup(passive, &config(8), Pending(keep), move |payload, ()| {
        seen.push(*payload);
    });
    let queue = queue.expect("create");
    queue.start(passive).expect("a thread");
    queue.enqueue(1).expect("a buffer is free");
    assert_eq!(queue.enqueue_and_wait(passive, 0), Ok(NtStatus::SUCCESS));
    assert_eq!(cleaned.entries(), [0]);
    kept.take().complete(NtStatus::SUCCESS);
    assert_eq!(cleaned.entries(), [0, 1]);
    queue.stop(passive).expect("not inside");
    queue.enqueue(2).expect("a buffer is free");
    assert_eq!(
        queue.close(passive, Close::Drain),
        Ok(Closed { cancelled: 1 }),
        "no thread, no drain"
    );
    assert_eq!(cleaned.entries(), [0, 1, 2]);
}
