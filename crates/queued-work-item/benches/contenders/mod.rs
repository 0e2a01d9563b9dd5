//! The queues that are compared, each with a worker of its own, behind one verb.
//!
//! All of them get the same item, run the same handler and are held up by the same gate, so that what differs in a
//! figure is the queue.
#![allow(dead_code, unused_imports, reason = "each bench uses its own part")]

mod floor;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use queued_work_item::kernel::Parent;
use queued_work_item::{Config, Passive, QueuedWorkItem};

pub(crate) use self::floor::Floor;

/// A queue that takes an item to be handled later.
pub(crate) trait Post<T>: Sync {
    /// Never blocks for want of room. `false`: full.
    fn post(&self, item: T) -> bool;

    /// Handles what is queued, where there is no worker to do it.
    fn settle(&self) {}

    /// Whether somebody handles what is posted.
    fn has_worker(&self) -> bool {
        true
    }
}

pub(crate) fn passive() -> Passive {
    // SAFETY: the threads of a bench never raise their IRQL.
    unsafe { Passive::assume() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + 'static> Post<T> for QueuedWorkItem<T> {
    fn post(&self, item: T) -> bool {
        self.enqueue(item).is_ok()
    }
}

/// This crate's queue of typed payloads.
pub(crate) fn queue<T: Send + 'static>(
    capacity: u32,
    mut handler: impl FnMut(&T) + Send + 'static,
) -> QueuedWorkItem<T> {
    QueuedWorkItem::create(
        &mut passive(),
        Parent::default(),
        &Config::new(capacity),
        move |item, _| handler(item.payload()),
    )
    .expect("create")
}

/// This crate's queue of bytes, whose length it learns at run time.
pub(crate) struct Bytes(pub(crate) QueuedWorkItem<[u8]>);

impl Bytes {
    pub(crate) fn new(capacity: u32, size: usize, mut handler: impl FnMut(&[u8]) + Send + 'static) -> Self {
        let config = Config::new(capacity).buffer_size(size);
        Self(
            QueuedWorkItem::create(&mut passive(), Parent::default(), &config, move |item, _| {
                handler(item.payload());
            })
            .expect("create"),
        )
    }
}

impl<const N: usize> Post<[u8; N]> for Bytes {
    fn post(&self, item: [u8; N]) -> bool {
        self.0.enqueue(&item).is_ok()
    }
}

struct HandWritten<T> {
    items: VecDeque<T>,
    capacity: usize,
    /// The worker runs or has been told to.
    scheduled: bool,
    closed: bool,
}

/// A mutex, a ring and a worker that is woken when it is needed: what one would write without a library.
pub(crate) struct MutexQueue<T> {
    shared: Arc<(Mutex<HandWritten<T>>, Condvar)>,
    worker: Option<thread::JoinHandle<()>>,
}

impl<T: Send + 'static> MutexQueue<T> {
    pub(crate) fn new(capacity: usize, mut handler: impl FnMut(&T) + Send + 'static) -> Self {
        let shared = Arc::new((
            Mutex::new(HandWritten {
                items: VecDeque::with_capacity(capacity),
                capacity,
                scheduled: false,
                closed: false,
            }),
            Condvar::new(),
        ));
        let its = Arc::clone(&shared);
        let worker = thread::spawn(move || {
            let mut state = lock(&its.0);
            loop {
                if let Some(item) = state.items.pop_front() {
                    drop(state);
                    handler(&item);
                    drop(item);
                    state = lock(&its.0);
                } else if state.closed {
                    return;
                } else {
                    state.scheduled = false;
                    state = its
                        .1
                        .wait_while(state, |state| !state.scheduled && !state.closed)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        });
        Self {
            shared,
            worker: Some(worker),
        }
    }
}

impl<T: Send + 'static> Post<T> for MutexQueue<T> {
    fn post(&self, item: T) -> bool {
        let mut state = lock(&self.shared.0);
        if state.items.len() == state.capacity {
            return false;
        }
        state.items.push_back(item);
        if !state.scheduled {
            state.scheduled = true;
            drop(state);
            self.shared.1.notify_one();
        }
        true
    }
}

impl<T> Drop for MutexQueue<T> {
    fn drop(&mut self) {
        lock(&self.shared.0).closed = true;
        self.shared.1.notify_one();
        if let Some(worker) = self.worker.take() {
            worker.join().expect("the worker");
        }
    }
}

/// `std::sync::mpsc::channel`: not bounded, it allocates as it grows.
pub(crate) struct Mpsc<T>(mpsc::Sender<T>);

impl<T: Send + 'static> Mpsc<T> {
    pub(crate) fn new(mut handler: impl FnMut(&T) + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for item in receiver {
                handler(&item);
            }
        });
        Self(sender)
    }
}

impl<T: Send + 'static> Post<T> for Mpsc<T> {
    fn post(&self, item: T) -> bool {
        self.0.send(item).is_ok()
    }
}

/// crossbeam's bounded channel.
pub(crate) struct Crossbeam<T>(crossbeam_channel::Sender<T>);

impl<T: Send + 'static> Crossbeam<T> {
    pub(crate) fn new(capacity: usize, mut handler: impl FnMut(&T) + Send + 'static) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(capacity);
        thread::spawn(move || {
            for item in receiver {
                handler(&item);
            }
        });
        Self(sender)
    }
}

impl<T: Send + 'static> Post<T> for Crossbeam<T> {
    fn post(&self, item: T) -> bool {
        self.0.try_send(item).is_ok()
    }
}

/// What the handlers share with the bench: a gate that holds the worker up, and a count.
#[derive(Default)]
pub(crate) struct Stage {
    executed: AtomicU64,
    shut: Mutex<bool>,
    /// The next handler has to look at `shut`; the others pay for a load only.
    stops: AtomicBool,
    arrived: AtomicBool,
    changed: Condvar,
}

impl Stage {
    /// What every handler does.
    pub(crate) fn ran(&self) {
        if self.stops.load(Ordering::Acquire) {
            self.arrived.store(true, Ordering::Release);
            let shut = lock(&self.shut);
            drop(
                self.changed
                    .wait_while(shut, |shut| *shut)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
        // One handler runs at a time, so no locked instruction is needed to count.
        let executed = self.executed.load(Ordering::Relaxed) + 1;
        self.executed.store(executed, Ordering::Release);
    }

    pub(crate) fn executed(&self) -> u64 {
        self.executed.load(Ordering::Acquire)
    }
}

/// A queue with its stage.
pub(crate) struct Rig<P> {
    pub(crate) queue: P,
    pub(crate) stage: Arc<Stage>,
}

impl<P> Rig<P> {
    pub(crate) fn new(make: impl FnOnce(Arc<Stage>) -> P) -> Self {
        let stage = Arc::new(Stage::default());
        let queue = make(Arc::clone(&stage));
        Self { queue, stage }
    }

    /// Has the worker busy with `plug` until [`release`](Self::release): posting does not schedule it.
    pub(crate) fn hold<T>(&self, plug: T)
    where
        P: Post<T>,
    {
        if !self.queue.has_worker() {
            return;
        }
        *lock(&self.stage.shut) = true;
        self.stage.arrived.store(false, Ordering::Release);
        self.stage.stops.store(true, Ordering::Release);
        assert!(self.queue.post(plug));
        while !self.stage.arrived.load(Ordering::Acquire) {
            thread::yield_now();
        }
        self.stage.stops.store(false, Ordering::Release);
    }

    /// Lets the worker go, and returns when `count` items in all have been handled.
    pub(crate) fn release<T>(&self, count: u64)
    where
        P: Post<T>,
    {
        *lock(&self.stage.shut) = false;
        self.stage.changed.notify_all();
        self.queue.settle();
        while self.stage.executed() < count {
            thread::yield_now();
        }
    }
}
