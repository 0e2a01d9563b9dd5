//! A simulated machine: whose memory it is, what goes wrong, and what was left behind.

extern crate std;

use core::cell::RefCell;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use core::time::Duration;
use std::boxed::Box;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::vec::Vec;

use super::clock::Clock;
use super::parameters::Parameters;
use super::timer::HeldExpiry;
use super::work::HeldStart;
use crate::kernel::Pool;

/// What becomes of one start of a work item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It starts on a thread, when that gets to it.
    Normal,
    /// It starts when [`Machine::release`] is called, after whatever was scheduled since.
    Held,
    /// It starts this many times more, all at once.
    Duplicated(u32),
    /// It starts, and once more when [`Machine::release`] is called: a late start, for nothing.
    Repeated,
}

/// What becomes of one setting of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It expires when its time has come.
    Normal,
    /// It expires when its time has come, and its callback runs when [`Machine::release`] is called: too late for a stop,
    /// and after whatever the timer is set to meanwhile.
    Held,
    /// The callback runs at once, for nothing, and again when its time has come: the echo of an earlier setting.
    Early,
    /// The callback runs when its time has come, and once more when [`Machine::release`] is called.
    Repeated,
}

type Plan<T> = Box<dyn Fn(u64) -> T + Send + Sync>;

/// What is to become of the next, and how many there were.
struct Planned<T> {
    plan: Mutex<Option<Plan<T>>>,
    count: AtomicU64,
}

// By hand: a plan needs no default.
impl<T> Default for Planned<T> {
    fn default() -> Self {
        Self {
            plan: Mutex::default(),
            count: AtomicU64::new(0),
        }
    }
}

impl<T> Planned<T> {
    fn next(&self, normal: T) -> T {
        // Relaxed: a count that orders nothing.
        let nth = self.count.fetch_add(1, Ordering::Relaxed);
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.as_ref().map_or(normal, |plan| plan(nth))
    }

    fn set(&self, plan: impl Fn(u64) -> T + Send + Sync + 'static) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(plan));
        self.count.store(0, Ordering::Relaxed);
    }
}

#[derive(Default)]
pub(super) struct Inner {
    blocks: AtomicI64,
    bytes: AtomicI64,
    /// Of those, what may be paged out.
    paged: AtomicI64,
    allocations: AtomicU64,
    /// The allocation that fails, counted from 1; 0 is none.
    failing: AtomicU64,
    starts: Planned<Start>,
    held: Mutex<Vec<HeldStart>>,
    expiries: Planned<Expiry>,
    /// How many settings the clock has been given since the plan was set.
    settings: AtomicU64,
    held_expiries: Mutex<Vec<HeldExpiry>>,
    pub(super) clock: Clock,
    pub(super) parameters: Parameters,
    priority: Mutex<Option<i32>>,
}

impl Inner {
    pub(super) fn admit_allocation(&self) -> bool {
        // Relaxed, here and below: counts that order nothing.
        let nth = self.allocations.fetch_add(1, Ordering::Relaxed) + 1;
        self.failing.load(Ordering::Relaxed) != nth
    }

    pub(super) fn allocated(&self, pool: Pool, size: usize) {
        self.count(pool, 1, i64::try_from(size).unwrap_or(i64::MAX));
    }

    pub(super) fn freed(&self, pool: Pool, size: usize) {
        self.count(pool, -1, -i64::try_from(size).unwrap_or(i64::MAX));
    }

    fn count(&self, pool: Pool, blocks: i64, bytes: i64) {
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if pool == Pool::Paged {
            self.paged.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn next_start(&self) -> Start {
        self.starts.next(Start::Normal)
    }

    pub(super) fn next_expiry(&self) -> Expiry {
        self.expiries.next(Expiry::Normal)
    }

    /// A setting that was planned is in force.
    pub(super) fn note_setting(&self) {
        // Release: whoever has counted it moves a clock on that has it.
        self.settings.fetch_add(1, Ordering::Release);
    }

    pub(super) fn hold(&self, start: HeldStart) {
        self.held().push(start);
    }

    fn held(&self) -> MutexGuard<'_, Vec<HeldStart>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_priority(&self, priority: Option<i32>) {
        *self.priority.lock().unwrap_or_else(PoisonError::into_inner) = priority;
    }

    pub(super) fn priority(&self) -> Option<i32> {
        *self.priority.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold_expiry(&self, expiry: HeldExpiry) {
        self.held_expiries().push(expiry);
    }

    /// The held expiries of which `which` is so.
    pub(super) fn take_held_expiries(&self, which: impl Fn(&HeldExpiry) -> bool) -> Vec<HeldExpiry> {
        let mut held = self.held_expiries();
        let (taken, left) = core::mem::take(&mut *held).into_iter().partition(which);
        *held = left;
        taken
    }

    fn held_expiries(&self) -> MutexGuard<'_, Vec<HeldExpiry>> {
        self.held_expiries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

std::thread_local! {
    static CURRENT: RefCell<Option<Arc<Inner>>> = const { RefCell::new(None) };
}

/// The machine that this thread is in; a common one when it entered none.
pub(super) fn current() -> Arc<Inner> {
    static COMMON: OnceLock<Arc<Inner>> = OnceLock::new();
    CURRENT
        .with(|current| current.borrow().clone())
        .unwrap_or_else(|| Arc::clone(COMMON.get_or_init(Arc::default)))
}

/// A simulated machine of a test's own, so that tests in one process do not see each other's faults and leaks.
///
/// A thread is in the machine that it [entered](Machine::enter); work items run in the one they were created in.
#[derive(Clone, Default)]
pub struct Machine(Arc<Inner>);

impl Machine {
    /// A machine on which nothing goes wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine that this thread is in: for threads that it makes, which are in none of their own.
    #[must_use]
    pub fn current() -> Self {
        Self(current())
    }

    /// Puts this thread into the machine until the guard is dropped.
    pub fn enter(&self) -> Entered {
        Entered::new(Arc::clone(&self.0))
    }

    /// Pool blocks and bytes that are allocated now.
    pub fn outstanding(&self) -> (i64, i64) {
        (
            self.0.blocks.load(Ordering::Relaxed),
            self.0.bytes.load(Ordering::Relaxed),
        )
    }

    /// Of the bytes that are allocated now, those of paged pool.
    pub fn outstanding_paged(&self) -> i64 {
        self.0.paged.load(Ordering::Relaxed)
    }

    /// How many allocations were asked for so far, failed ones included.
    pub fn allocations(&self) -> u64 {
        self.0.allocations.load(Ordering::Relaxed)
    }

    /// Lets the `nth` allocation from now on fail, counted from 1; 0 for none. Starts the count of
    /// [`allocations`](Machine::allocations) anew.
    pub fn fail_allocation(&self, nth: u64) {
        self.0.failing.store(nth, Ordering::Relaxed);
        self.0.allocations.store(0, Ordering::Relaxed);
    }

    /// Decides what becomes of each start from now on; `plan` is given its number, from 0.
    pub fn plan_starts(&self, plan: impl Fn(u64) -> Start + Send + Sync + 'static) {
        self.0.starts.set(plan);
    }

    /// How many starts were scheduled since the plan was set.
    pub fn schedules(&self) -> u64 {
        self.0.starts.count.load(Ordering::Relaxed)
    }

    /// Decides what becomes of each setting of a timer from now on; `plan` is given its number, from 0.
    pub fn plan_expiries(&self, plan: impl Fn(u64) -> Expiry + Send + Sync + 'static) {
        self.0.expiries.set(plan);
        self.0.settings.store(0, Ordering::Relaxed);
    }

    /// How often a timer was set since the plan was; time that is moved on from here on counts for all of them.
    pub fn settings(&self) -> u64 {
        self.0.settings.load(Ordering::Acquire)
    }

    /// Starts what is held, and tells how many that was.
    pub fn release(&self) -> usize {
        let held = core::mem::take(&mut *self.0.held());
        let expiries = self.0.take_held_expiries(|_| true);
        let count = held.len() + expiries.len();
        held.into_iter().for_each(HeldStart::start);
        expiries.into_iter().for_each(HeldExpiry::start);
        count
    }

    /// Holds the machine's time: timers that are set from now on expire when [`advance`](Machine::advance) says so.
    pub fn hold_time(&self) {
        self.0.clock.hold();
    }

    /// Moves held time on by `by`, and lets every timer whose time comes in between expire: in their order, at
    /// `DISPATCH_LEVEL`, on this thread, as a clock interrupt would. Returns how many did, once their callbacks have
    /// returned; timers that those set are among them if their time came too.
    ///
    /// # Panics
    /// When time is not held.
    pub fn advance(&self, by: Duration) -> usize {
        self.0.clock.advance(by)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Panics when pool is still allocated: the leak check of a test's end.
    ///
    /// Work items free the last of their memory on their own threads, so this waits, for long enough that only a leak
    /// lasts longer.
    ///
    /// # Panics
    /// On a leak.
    #[track_caller]
    pub fn assert_no_leaks(&self) {
        let patience = std::time::Instant::now();
        while self.outstanding().0 != 0 && patience.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
        let (blocks, bytes) = self.outstanding();
        assert!(
            blocks == 0,
            "{blocks} pool blocks of {bytes} bytes in all were never freed"
        );
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (blocks, bytes) = self.outstanding();
        f.debug_struct("Machine")
            .field("blocks", &blocks)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

/// A thread's stay in a [`Machine`].
#[must_use = "the thread leaves the machine at once when the guard is not kept"]
pub struct Entered {
    previous: Option<Arc<Inner>>,
    here: PhantomData<*mut ()>,
}

impl Entered {
    pub(super) fn new(machine: Arc<Inner>) -> Self {
        let previous = CURRENT.with(|current| current.replace(Some(machine)));
        Self {
            previous,
            here: PhantomData,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let previous = self.previous.take();
        CURRENT.with(|current| *current.borrow_mut() = previous);
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}
