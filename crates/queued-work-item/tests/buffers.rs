//! `BufferPool` and `BufferQueue`.

mod common;

use common::passive;
use queued_work_item::buffer_queue::Visit;
use queued_work_item::kernel::Irql;
use queued_work_item::kernel::host::{Machine, raise_irql};
use queued_work_item::{BufferPool, BufferQueue, BufferSink, Config, NoBuffer};

fn queue(count: u32) -> BufferQueue<u32> {
    BufferQueue::create(&mut passive(), &Config::new(count).buffer_size(8)).expect("create")
}

/// Queues a buffer that says `tag`.
fn put(queue: &BufferQueue<u32>, tag: u32, at_head: bool) {
    let mut buffer = queue.fetch().expect("a buffer");
    buffer.payload_mut()[..4].copy_from_slice(&tag.to_le_bytes());
    *buffer.context_mut() = tag;
    let put = if at_head {
        queue.enqueue_at_head(buffer)
    } else {
        queue.enqueue(buffer)
    };
    put.expect("its own buffer");
}

fn drain(queue: &BufferQueue<u32>) -> Vec<u32> {
    core::iter::from_fn(|| queue.dequeue().map(|buffer| *buffer.context())).collect()
}

#[test]
fn a_pool_gives_each_buffer_once_and_takes_it_back_cleared() {
    let machine = Machine::new();
    let _in = machine.enter();
    let config = Config::new(3).buffer_size(20).lookaside(4);
    let pool = BufferPool::<[u8; 3]>::create(&mut passive(), &config).expect("create");
    for _ in 0..3 {
        let mut held: Vec<_> = (0..4).map(|_| pool.fetch().expect("four")).collect();
        assert_eq!(pool.fetch().expect_err("no fifth"), NoBuffer);
        for buffer in &mut held {
            assert_eq!((buffer.payload(), *buffer.context()), (&[0; 20][..], [0; 3]));
            assert_eq!(
                buffer.payload().as_ptr().addr() % queued_work_item::PAYLOAD_ALIGNMENT,
                0
            );
            buffer.payload_mut().fill(0xAA);
            buffer.context_mut().fill(0xAA);
        }
        let mut addresses: Vec<_> = held
            .iter()
            .map(|buffer| buffer.payload().as_ptr().addr())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 4, "one buffer, two owners");
        for buffer in held {
            pool.reuse(buffer).expect("its own");
        }
    }
    drop(pool);
    machine.assert_no_leaks();
}

#[test]
fn a_buffer_of_another_pool_is_refused() {
    let (one, other) = (queue(1), queue(1));
    let buffer = one.fetch().expect("a buffer");
    let buffer = other.enqueue(buffer).expect_err("not its own");
    let buffer = other.enqueue_at_head(buffer).expect_err("not its own");
    let buffer = other.reuse(buffer).expect_err("not its own");
    assert_eq!((one.count(), other.count()), (0, 0));
    one.enqueue(buffer).expect("its own");
    assert!(other.fetch().is_ok() && one.fetch().is_err());
}

#[test]
fn order_head_insert_and_count_at_dispatch_level() {
    let queue = queue(5);
    let _raised = raise_irql(Irql::DISPATCH);
    for tag in 1..=3 {
        put(&queue, tag, false);
    }
    put(&queue, 0, true);
    assert_eq!((queue.count(), queue.capacity()), (4, 5));
    assert_eq!(drain(&queue), [0, 1, 2, 3]);
    put(&queue, 9, true);
    put(&queue, 10, false);
    assert_eq!(drain(&queue), [9, 10]);
    assert_eq!(queue.count(), 0);
}

#[test]
fn enumeration_stops_and_removes_at_every_place() {
    for place in 0..3 {
        let queue = queue(4);
        for tag in 0..3 {
            put(&queue, tag, false);
        }
        let mut visited = Vec::new();
        let stopped = queue.enumerate(|bytes, context| {
            visited.push(*context);
            bytes[7] = 1;
            if *context == place {
                Visit::Stop
            } else {
                Visit::Continue
            }
        });
        assert!(stopped.is_none());
        assert_eq!(visited, (0..=place).collect::<Vec<_>>());
        let remove = |_: &mut [u8], context: &mut u32| {
            if *context == place {
                Visit::RemoveAndStop
            } else {
                Visit::Continue
            }
        };
        let removed = queue.enumerate(remove).expect("there is such a one");
        assert_eq!((*removed.context(), removed.payload()[7]), (place, 1));
        assert!(queue.enumerate(remove).is_none(), "it is gone");
        // The tail is right again: what is put now comes last.
        put(&queue, 7, false);
        let rest: Vec<_> = (0..3).filter(|tag| *tag != place).chain([7]).collect();
        assert_eq!(drain(&queue), rest);
    }
}

#[test]
fn clear_discards_and_gives_every_buffer_back() {
    let machine = Machine::new();
    let _in = machine.enter();
    let queue = queue(4);
    for round in 0..3 {
        for tag in 0..4 {
            put(&queue, tag + round, false);
        }
        assert!(queue.fetch().is_err());
        assert_eq!(queue.clear(), 4);
        assert_eq!(queue.count(), 0);
    }
    put(&queue, 1, false);
    drop(queue);
    machine.assert_no_leaks();
}

#[test]
fn threads_pass_every_buffer_on_exactly_once() {
    let queue = queue(16);
    let mut seen: Vec<u32> = std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = Vec::new();
                    loop {
                        match queue.dequeue() {
                            Some(buffer) if *buffer.context() == u32::MAX => break seen,
                            Some(buffer) => seen.push(*buffer.context()),
                            None => std::thread::yield_now(),
                        }
                    }
                })
            })
            .collect();
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let queue = &queue;
                scope.spawn(move || {
                    for tag in 0..5_000 {
                        let mut buffer = common::retry(|| queue.fetch().ok());
                        *buffer.context_mut() = producer * 5_000 + tag;
                        queue.enqueue(buffer).expect("its own");
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().expect("producer");
        }
        for _ in 0..2 {
            let mut last = common::retry(|| queue.fetch().ok());
            *last.context_mut() = u32::MAX;
            queue.enqueue(last).expect("its own");
        }
        consumers
            .into_iter()
            .flat_map(|consumer| consumer.join().expect("consumer"))
            .collect()
    });
    seen.sort_unstable();
    assert_eq!(seen, (0..10_000).collect::<Vec<_>>());
}

#[test]
fn sinks_pass_the_buffers_of_one_pool_on_and_refuse_others() {
    let machine = Machine::new();
    let _in = machine.enter();
    let config = Config::new(3).buffer_size(8).lookaside(6);
    let [pool, other] = [(); 2].map(|()| BufferPool::<u32>::create(&mut passive(), &config).expect("create"));
    let tagged = |tag| {
        let mut buffer = pool.fetch().expect("a buffer");
        *buffer.context_mut() = tag;
        buffer.payload_mut()[0] = 1;
        buffer
    };
    let (one, two) = (BufferSink::of(&pool), BufferSink::of(&pool));
    {
        let _raised = raise_irql(Irql::DISPATCH);
        for tag in 1..=4 {
            one.put(tagged(tag)).expect("of this pool");
        }
        one.put_at_head(tagged(0)).expect("of this pool");
        assert_eq!(one.get().map(|buffer| *buffer.context()), Some(0));
        // From the middle of one to the other, contents and all.
        let moved = one.enumerate(|_, tag| {
            if *tag == 3 {
                Visit::RemoveAndStop
            } else {
                Visit::ResetTimerAndContinue
            }
        });
        two.put(moved.expect("3")).expect("of this pool");
        let foreign = two
            .put(other.fetch().expect("a buffer"))
            .expect_err("another pool's");
        let foreign = two.put_at_head(foreign).expect_err("another pool's");
        other.reuse(foreign).expect("its own");
    }
    assert_eq!((one.count(), two.count()), (3, 1));
    let rest = || one.get().map(|buffer| *buffer.context());
    assert_eq!((rest(), rest()), (Some(1), Some(2)));
    assert_eq!(
        two.get().map(|buffer| (*buffer.context(), buffer.payload()[0])),
        Some((3, 1))
    );
    two.put(tagged(5)).expect("of this pool");
    assert_eq!((two.clear(), two.count()), (1, 0));
    // The last goes home with its sink.
    drop(one);
    let home: Vec<_> = core::iter::from_fn(|| pool.fetch().ok()).collect();
    assert_eq!(home.len(), 6);
    assert!(
        home.iter()
            .all(|buffer| buffer.payload() == [0; 8] && *buffer.context() == 0)
    );
    drop(home);
    drop(two);
    drop((pool, other));
    machine.assert_no_leaks();
}
