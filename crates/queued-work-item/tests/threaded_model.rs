//! Random programs of a threaded queue's verbs, run against the queue and against a model that is simple enough to be
//! right.
//!
//! `QWI_SEED` and `QWI_CASES` choose the programs, as for the queue without a thread. The program waits for the thread to
//! rest after each verb, so that one program has one outcome.

mod common;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::passive;
use proptest::prelude::*;
use proptest::test_runner::{Config as Search, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use queued_work_item::kernel::host::Machine;
use queued_work_item::threaded::{Pended, ThreadedConfig};
use queued_work_item::{Close, Config, EnqueueErrorKind, NtStatus, Outcome, ThreadedBufferQueue};

type Completion = Box<dyn FnOnce(Outcome) + Send>;
type Queue = ThreadedBufferQueue<Item, Completion>;

/// A payload: its number, and whether the worker pends it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Item {
    number: u32,
    pends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Enqueue {
        head: bool,
        pends: bool,
    },
    Start,
    Stop,
    Flush,
    /// The holder of the oldest pended item completes it.
    Complete,
    Close(bool),
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    buffers: u32,
    waits_for_pended: bool,
}

type Program = (Plan, Vec<Verb>);

/// Where a model is wrong, to show that the search would find it.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nowhere,
    /// What is put at the head goes to the tail.
    HeadIsTail,
    /// A stop keeps what has not begun.
    StopKeeps,
    /// As in DMF, a flush is the end of the queue.
    FlushStops,
    /// A pended item gives its buffer back.
    PendedIsHome,
}

/// What can be seen of a queue: whatever happened to items, in order, and the counts.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    worked: Vec<u32>,
    ended: Vec<(u32, Outcome)>,
    len: u32,
    pended: u32,
    started: bool,
}

struct Model {
    plan: Plan,
    wrong: Wrong,
    queued: VecDeque<Item>,
    pended: VecDeque<u32>,
    closed: bool,
    seen: Seen,
}

impl Model {
    fn in_use(&self) -> usize {
        let pended = if self.wrong == Wrong::PendedIsHome {
            0
        } else {
            self.pended.len()
        };
        self.queued.len() + pended
    }

    fn enqueue(&mut self, item: Item, head: bool) -> Option<EnqueueErrorKind> {
        if self.closed {
            return Some(EnqueueErrorKind::Closing);
        }
        if self.in_use() >= self.plan.buffers as usize {
            return Some(EnqueueErrorKind::Full);
        }
        if head && self.wrong != Wrong::HeadIsTail {
            self.queued.push_front(item);
        } else {
            self.queued.push_back(item);
        }
        None
    }

    fn drop_all(&mut self) -> u64 {
        let dropped = self
            .queued
            .drain(..)
            .map(|item| (item.number, Outcome::Cancelled));
        let before = self.seen.ended.len();
        self.seen.ended.extend(dropped);
        (self.seen.ended.len() - before) as u64
    }

    /// What a verb returns that tells a count.
    fn apply(&mut self, verb: Verb) -> u64 {
        match verb {
            Verb::Start => self.seen.started |= !self.closed,
            Verb::Stop => {
                self.seen.started = false;
                if self.wrong != Wrong::StopKeeps {
                    return self.drop_all();
                }
            }
            Verb::Flush => {
                self.seen.started &= self.wrong != Wrong::FlushStops;
                return self.drop_all();
            }
            Verb::Complete => {
                if let Some(number) = self.pended.pop_front() {
                    let status = NtStatus(number.cast_signed());
                    self.seen.ended.push((number, Outcome::Ran(status)));
                }
            }
            Verb::Close(cancel) => {
                // The holders complete what is pended, oldest first, while the close waits.
                self.closed = true;
                let dropped = if cancel || !self.seen.started {
                    self.drop_all()
                } else {
                    0
                };
                while self.seen.started && !self.queued.is_empty() || !self.pended.is_empty() {
                    self.settle();
                    self.apply(Verb::Complete);
                }
                self.seen.started = false;
                return dropped;
            }
            Verb::Enqueue { .. } => unreachable!("by `enqueue`"),
        }
        0
    }

    /// What the thread does before it rests.
    fn settle(&mut self) {
        while self.seen.started && (!self.plan.waits_for_pended || self.pended.is_empty()) {
            let Some(item) = self.queued.pop_front() else {
                break;
            };
            self.seen.worked.push(item.number);
            if item.pends {
                self.pended.push_back(item.number);
            } else {
                self.seen
                    .ended
                    .push((item.number, Outcome::Ran(NtStatus::SUCCESS)));
            }
        }
        self.seen.len = u32::try_from(self.queued.len()).expect("few");
        self.seen.pended = u32::try_from(self.pended.len()).expect("few");
    }
}

#[derive(Default)]
struct Shared {
    worked: Vec<u32>,
    ended: Vec<(u32, Outcome)>,
    kept: VecDeque<Pended<Item>>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue, and what was seen of it.
struct Rig {
    queue: Queue,
    shared: Arc<Mutex<Shared>>,
}

impl Rig {
    fn new(plan: Plan) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let seen = Arc::clone(&shared);
        let mut config = ThreadedConfig::new(Config::new(plan.buffers));
        config.waits_for_pended = plan.waits_for_pended;
        let queue = Queue::create(&mut passive(), &config, move |work, _| {
            let Item { number, pends } = *work.payload();
            // One lock: an item is kept when it is seen to have been worked on.
            let mut seen = lock(&seen);
            seen.worked.push(number);
            if !pends {
                return work.complete(NtStatus::SUCCESS);
            }
            let (pended, disposition) = work.pend();
            seen.kept.push_back(pended);
            disposition
        });
        Self {
            queue: queue.expect("create"),
            shared,
        }
    }

    fn enqueue(&self, item: Item, head: bool) -> Option<EnqueueErrorKind> {
        let seen = Arc::clone(&self.shared);
        let completion: Completion = Box::new(move |outcome| lock(&seen).ended.push((item.number, outcome)));
        let enqueued = if head {
            self.queue.enqueue_at_head_with(item, completion)
        } else {
            self.queue.enqueue_with(item, completion)
        };
        enqueued.err().map(|error| error.kind())
    }

    fn complete(&self) -> bool {
        let pended = lock(&self.shared).kept.pop_front();
        let Some(pended) = pended else { return false };
        let number = pended.payload().number;
        pended.complete(NtStatus(number.cast_signed()));
        true
    }

    fn cancelled(&self) -> u64 {
        let ended = &lock(&self.shared).ended;
        let dropped = ended.iter().filter(|(_, outcome)| *outcome == Outcome::Cancelled);
        dropped.count() as u64
    }

    /// `drops` is how many items the verb should drop, and `patience` how long that may take.
    fn apply(&self, verb: Verb, drops: u64, patience: Duration) -> u64 {
        let passive = &mut passive();
        match verb {
            Verb::Start => {
                let closing = self.queue.is_closing();
                assert_eq!(self.queue.start(passive).is_ok(), !closing);
                0
            }
            Verb::Stop => self.queue.stop(passive).expect("not inside"),
            Verb::Flush => self.queue.flush(passive),
            Verb::Complete => {
                self.complete();
                0
            }
            Verb::Close(cancel) => std::thread::scope(|scope| {
                let how = if cancel { Close::Cancel } else { Close::Drain };
                let target = self.cancelled() + drops;
                let closer = scope.spawn(move || {
                    let closed = self.queue.close(&mut common::passive(), how);
                    closed.expect("not inside").cancelled
                });
                // The thread may wait for a pended item: its holder completes it once the close has dropped what
                // lies behind it, or the thread could begin that first.
                let begun = Instant::now();
                while self.cancelled() < target && begun.elapsed() < patience {
                    std::thread::yield_now();
                }
                while !closer.is_finished() {
                    if !self.complete() {
                        std::thread::yield_now();
                    }
                }
                closer.join().expect("closer")
            }),
            Verb::Enqueue { .. } => unreachable!("by `enqueue`"),
        }
    }

    fn seen(&self) -> Seen {
        let shared = lock(&self.shared);
        Seen {
            worked: shared.worked.clone(),
            ended: shared.ended.clone(),
            len: self.queue.len(),
            pended: self.queue.pended(),
            started: self.queue.is_started(),
        }
    }
}

/// Without the order of ends: while a close goes on, the thread's items and the holders' end in any.
fn comparable(mut seen: Seen) -> Seen {
    seen.ended.sort_by_key(|(number, _)| *number);
    seen
}

fn run((plan, verbs): &Program, wrong: Wrong) -> Result<(), String> {
    // A model that is wrong is found out by what never comes: that need not take long.
    let patience = if wrong == Wrong::Nowhere {
        common::PATIENCE
    } else {
        Duration::from_millis(50)
    };
    let machine = Machine::new();
    let _in = machine.enter();
    let rig = Rig::new(*plan);
    let mut model = Model {
        plan: *plan,
        wrong,
        queued: VecDeque::new(),
        pended: VecDeque::new(),
        closed: false,
        seen: Seen::default(),
    };
    let mut number = 0;
    for &verb in verbs {
        if let Verb::Enqueue { head, pends } = verb {
            number += 1;
            let item = Item { number, pends };
            let (is, should) = (rig.enqueue(item, head), model.enqueue(item, head));
            if is != should {
                return Err(format!("{verb:?} returned {is:?}, and should {should:?}"));
            }
        } else {
            let should = model.apply(verb);
            let is = rig.apply(verb, should, patience);
            if is != should {
                return Err(format!("{verb:?} returned {is}, and should {should}"));
            }
        }
        model.settle();
        let should = comparable(model.seen.clone());
        let begun = Instant::now();
        loop {
            let is = comparable(rig.seen());
            // A pended item that waits for the next is still counted as the one that runs.
            let waits = u32::from(plan.waits_for_pended && should.started && should.pended > 0);
            if is == should
                || (Seen {
                    len: should.len,
                    ..is.clone()
                } == should
                    && is.len == should.len + waits)
            {
                break;
            }
            if begun.elapsed() > patience {
                return Err(format!(
                    "after {verb:?}: the queue is {is:?}, the model {should:?}"
                ));
            }
            std::thread::yield_now();
        }
    }
    let Rig { queue, shared } = rig;
    drop(queue);
    let kept = core::mem::take(&mut lock(&shared).kept);
    // Outside the lock: their completions take it.
    drop(kept);
    drop(shared);
    machine.assert_no_leaks();
    Ok(())
}

fn programs() -> impl Strategy<Value = Program> {
    let plan = (1..6_u32, any::<bool>()).prop_map(|(buffers, waits_for_pended)| Plan {
        buffers,
        waits_for_pended,
    });
    let verb = prop_oneof![
        8 => (any::<bool>(), prop::bool::weighted(0.3)).prop_map(|(head, pends)| Verb::Enqueue { head, pends }),
        3 => Just(Verb::Start),
        2 => Just(Verb::Stop),
        1 => Just(Verb::Flush),
        3 => Just(Verb::Complete),
        1 => prop::bool::ANY.prop_map(Verb::Close),
    ];
    (plan, proptest::collection::vec(verb, 1..24))
}

fn search(seed: u64, cases: u32, wrong: Wrong) -> Result<(), (String, Program)> {
    let config = Search {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Search::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, rng).run(&programs(), |program| {
        run(&program, wrong).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, program)) => Err((why.message().to_owned(), program)),
        Err(TestError::Abort(why)) => panic!("no programs: {why}"),
    }
}

#[test]
fn x01_x02_x03_random_programs_do_what_the_model_does() {
    let seed = common::seed();
    let cases = std::env::var("QWI_CASES").map_or(1_000, |cases| cases.parse().expect("a number"));
    if let Err((why, program)) = search(seed, cases, Wrong::Nowhere) {
        panic!("QWI_SEED={seed}: {why}\nsmallest failing program: {program:#?}");
    }
}

/// A search that cannot find a fault shows nothing.
#[test]
fn each_wrong_model_is_caught() {
    for wrong in [
        Wrong::HeadIsTail,
        Wrong::StopKeeps,
        Wrong::FlushStops,
        Wrong::PendedIsHome,
    ] {
        let found = search(common::seed(), 2_000, wrong);
        assert!(found.is_err(), "a wrong model was not caught");
    }
}
