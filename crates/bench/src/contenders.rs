//! The queues that are compared, each with a worker of its own that handles its items.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use queued_work_item::kernel::Parent;
use queued_work_item::threaded::ThreadedConfig;
use queued_work_item::{Config, NtStatus, QueuedWorkItem, ThreadedBufferQueue};

use crate::{Post, passive};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The library's queue of typed payloads.
///
/// # Panics
/// When there is no memory for it.
pub fn queue<T: Send + 'static>(
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

/// The library's queue with a thread of its own, started.
///
/// # Panics
/// When there is no memory for it.
pub fn threaded<T: Send + 'static>(
    capacity: u32,
    mut handler: impl FnMut(&T) + Send + 'static,
) -> ThreadedBufferQueue<T> {
    let config = ThreadedConfig::new(Config::new(capacity));
    let queue = ThreadedBufferQueue::create(&mut passive(), &config, move |work, _| {
        handler(work.payload());
        work.complete(NtStatus::SUCCESS)
    })
    .expect("create");
    queue.start(&mut passive()).expect("a thread");
    queue
}

/// The library's queue of bytes, whose length it learns at run time.
pub struct Bytes(
    /// The queue itself.
    pub QueuedWorkItem<[u8]>,
);

impl Bytes {
    /// A queue and its worker.
    ///
    /// # Panics
    /// When there is no memory for it.
    pub fn new(capacity: u32, size: usize, mut handler: impl FnMut(&[u8]) + Send + 'static) -> Self {
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

impl<T> HandWritten<T> {
    fn new(capacity: usize) -> Self {
        Self {
            items: VecDeque::with_capacity(capacity),
            capacity,
            scheduled: false,
            closed: false,
        }
    }
}

/// A mutex, a ring and a worker that is woken when it is needed: what one would write without a library.
pub struct MutexQueue<T> {
    shared: Arc<(Mutex<HandWritten<T>>, Condvar)>,
    worker: Option<thread::JoinHandle<()>>,
}

impl<T: Send + 'static> MutexQueue<T> {
    /// A queue and its worker.
    pub fn new(capacity: usize, mut handler: impl FnMut(&T) + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(HandWritten::new(capacity)), Condvar::new()));
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

/// The same with a spin lock, as a driver would write it by hand: who may be called at `DISPATCH_LEVEL` cannot take a lock
/// that sleeps. The change of IRQL that goes with a kernel's spin lock is left out, to the contender's advantage.
pub struct SpinQueue<T> {
    shared: Arc<Spin<T>>,
    worker: Option<thread::JoinHandle<()>>,
}

struct Spin<T> {
    held: AtomicBool,
    state: UnsafeCell<HandWritten<T>>,
    /// For the worker to sleep on while nothing is queued.
    wake: (Mutex<bool>, Condvar),
}

// SAFETY: the state is touched under the lock.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut HandWritten<T>) -> R) -> R {
        let mut spins = 0_u32;
        while self.held.swap(true, Ordering::Acquire) {
            while self.held.load(Ordering::Relaxed) {
                spins += 1;
                // The holder may have been pre-empted, as it could not be in a kernel.
                if spins.is_multiple_of(64) {
                    thread::yield_now();
                } else {
                    std::hint::spin_loop();
                }
            }
        }
        // SAFETY: the lock is held.
        let result = work(unsafe { &mut *self.state.get() });
        self.held.store(false, Ordering::Release);
        result
    }

    #[cold]
    fn wake(&self) {
        *lock(&self.wake.0) = true;
        self.wake.1.notify_one();
    }

    fn sleep(&self) {
        let woken = lock(&self.wake.0);
        let mut woken = self
            .wake
            .1
            .wait_while(woken, |woken| !*woken)
            .unwrap_or_else(PoisonError::into_inner);
        *woken = false;
    }
}

impl<T: Send + 'static> SpinQueue<T> {
    /// A queue and its worker.
    pub fn new(capacity: usize, mut handler: impl FnMut(&T) + Send + 'static) -> Self {
        let shared = Arc::new(Spin {
            held: AtomicBool::new(false),
            state: UnsafeCell::new(HandWritten::new(capacity)),
            wake: (Mutex::new(false), Condvar::new()),
        });
        let its = Arc::clone(&shared);
        let worker = thread::spawn(move || {
            loop {
                let (item, closed) = its.with(|state| {
                    let item = state.items.pop_front();
                    state.scheduled = item.is_some();
                    (item, state.closed)
                });
                match item {
                    Some(item) => handler(&item),
                    None if closed => return,
                    None => its.sleep(),
                }
            }
        });
        Self {
            shared,
            worker: Some(worker),
        }
    }
}

impl<T: Send + 'static> Post<T> for SpinQueue<T> {
    fn post(&self, item: T) -> bool {
        let (taken, wakes) = self.shared.with(|state| {
            if state.items.len() == state.capacity {
                return (false, false);
            }
            state.items.push_back(item);
            (true, !std::mem::replace(&mut state.scheduled, true))
        });
        if wakes {
            self.shared.wake();
        }
        taken
    }
}

impl<T> Drop for SpinQueue<T> {
    fn drop(&mut self) {
        self.shared.with(|state| state.closed = true);
        self.shared.wake();
        if let Some(worker) = self.worker.take() {
            worker.join().expect("the worker");
        }
    }
}

/// `std::sync::mpsc::channel`: not bounded, it allocates as it grows.
pub struct Mpsc<T>(mpsc::Sender<T>);

impl<T: Send + 'static> Mpsc<T> {
    /// A queue and its worker.
    pub fn new(mut handler: impl FnMut(&T) + Send + 'static) -> Self {
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
pub struct Crossbeam<T>(crossbeam_channel::Sender<T>);

impl<T: Send + 'static> Crossbeam<T> {
    /// A queue and its worker.
    pub fn new(capacity: usize, mut handler: impl FnMut(&T) + Send + 'static) -> Self {
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
