//! Runs a program on the queue and on the model, and compares after each verb.
//!
//! What waits does so on a thread of its own. After each verb the two are compared at rest: everything has ended, or
//! the running item stands at the gate, or its start is held. There the model is exact but for one thing that only the
//! queue knows: whether its worker, with nothing left, was idle yet when the next item came. Then the model is told.

use std::cmp::Ordering;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::{Entered, Machine, Start};
use queued_work_item::{
    Close, Closed, Config, EnqueueErrorKind, NtStatus, Outcome, QueuedWorkItem, WaitError, WaitOutcome,
};

use crate::common::{Gate, Log, passive};
use crate::model::{Model, Worker, Wrong};
use crate::program::{BUFFER_SIZE, Plan, Program, Verb};

type Queue = QueuedWorkItem<[u8], Box<dyn FnOnce(Outcome) + Send>>;
type Mismatch = String;

/// Longer than anything takes, and short enough to shrink a program that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a thread that waits came back with.
enum Waited {
    Item(u32, Result<NtStatus, WaitError<()>>),
    /// How many must have ended, and how many had.
    Flush(u64, u64),
    Close(u64, Closed),
}

struct Rig<'a> {
    program: &'a Program,
    wrong: Wrong,
    machine: Machine,
    _in: Entered,
    model: Model,
    queue: Arc<Queue>,
    gate: Gate,
    runs: Log<Vec<u8>>,
    told: Log<(u32, Outcome)>,
    waiting: Vec<JoinHandle<Waited>>,
    tags: u32,
    /// Starts that were released so far.
    released: u64,
}

/// Runs `program`; what differs, if anything does.
pub(crate) fn run(program: &Program, wrong: Wrong) -> Result<(), Mismatch> {
    let machine = Machine::new();
    let plan = program.plan;
    machine.plan_starts(move |_| match plan {
        Plan::Normal => Start::Normal,
        Plan::Duplicated => Start::Duplicated(2),
        Plan::Repeated => Start::Repeated,
        Plan::Held => Start::Held,
    });
    let entered = machine.enter();
    let (gate, runs) = (Gate::closed(), Log::default());
    gate.open();
    let mut rig = Rig {
        program,
        wrong,
        _in: entered,
        model: Model::new(program, wrong),
        queue: create(program, &gate, &runs),
        machine,
        gate,
        runs,
        told: Log::default(),
        waiting: Vec::new(),
        tags: 0,
        released: 0,
    };
    let outcome = rig.run();
    rig.clean_up();
    outcome.map_err(|why| format!("{why}\n{:#?}", rig.model))?;
    let machine = rig.machine.clone();
    drop(rig);
    wait_for("no pool block left", || {
        machine.release();
        machine.outstanding().0 == 0
    })
}

fn create(program: &Program, gate: &Gate, runs: &Log<Vec<u8>>) -> Arc<Queue> {
    let config = Config::new(program.buffers).buffer_size(BUFFER_SIZE);
    let config = if program.more == 0 {
        config
    } else {
        config.lookaside(program.capacity())
    };
    let (gate, runs) = (gate.clone(), runs.clone());
    let queue = Queue::create(&mut passive(), Parent::default(), &config, move |item, _| {
        item.set_status(Model::status(runs.len()));
        runs.push(item.payload().to_vec());
        gate.pass();
    });
    Arc::new(queue.expect("create"))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, real: &T, model: &T) -> Result<(), Mismatch> {
    if real == model {
        Ok(())
    } else {
        Err(format!("{what}: {real:?}, by the model {model:?}"))
    }
}

/// Waits for what must come to be; only a fault makes this long.
fn wait_for(what: &str, mut come: impl FnMut() -> bool) -> Result<(), Mismatch> {
    let begun = Instant::now();
    while !come() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{what}: never"));
        }
        std::thread::yield_now();
    }
    Ok(())
}

impl Rig<'_> {
    fn run(&mut self) -> Result<(), Mismatch> {
        for verb in &self.program.verbs {
            self.step(*verb)
                .and_then(|()| self.settle())
                .map_err(|why| format!("{verb:?}: {why}"))?;
        }
        self.end_instance()
    }

    fn step(&mut self, verb: Verb) -> Result<(), Mismatch> {
        match verb {
            Verb::Enqueue(length) => self.enqueue(length, false),
            Verb::EnqueueWith(length) => self.enqueue(length, true),
            Verb::Wait(length) => self.wait(length),
            Verb::WaitNoTime(length) => self.wait_no_time(length),
            Verb::ShutGate => {
                self.gate.shut();
                self.model.gate_open = false;
                Ok(())
            }
            Verb::OpenGate => {
                self.gate.open();
                self.model.gate_open = true;
                Ok(())
            }
            Verb::Release => self.release(),
            Verb::Flush => {
                self.flush();
                Ok(())
            }
            Verb::Cancel => {
                let dropped = self.queue.cancel(&mut passive());
                same("cancel", &dropped, &self.model.cancel())
            }
            Verb::Close(cancels) => self.close(cancels),
            Verb::Recreate => {
                self.end_instance()?;
                self.begin_instance();
                Ok(())
            }
        }
    }

    fn payload(&mut self, length: usize) -> (u32, Vec<u8>) {
        self.tags += 1;
        let tag = self.tags;
        // Never zero, and another for each of 255 items in a row.
        let byte = u8::try_from(tag % 255).expect("small") + 1;
        (tag, vec![byte; length])
    }

    fn enqueue(&mut self, length: usize, with_completion: bool) -> Result<(), Mismatch> {
        let (tag, payload) = self.payload(length);
        let before = self.machine.schedules();
        let real = if with_completion {
            let told = self.told.clone();
            let completion: Box<dyn FnOnce(Outcome) + Send> =
                Box::new(move |outcome| told.push((tag, outcome)));
            let done = self.queue.enqueue_with(&payload, completion);
            done.map_err(|error| error.kind())
        } else {
            self.queue.enqueue(&payload).map_err(|error| error.kind())
        };
        let model = self.model.enqueue(tag, payload, with_completion);
        same("enqueue", &real, &model)?;
        if real.is_ok() {
            let scheduled = self.machine.schedules() != before;
            self.pushed(scheduled)?;
        }
        Ok(())
    }

    /// Tells the model of an accepted item.
    fn pushed(&mut self, scheduled: bool) -> Result<(), Mismatch> {
        let may = match self.model.worker {
            Worker::Idle => Some(true),
            Worker::Active | Worker::Scheduled => Some(false),
            Worker::Winding => None,
        };
        // But for held starts, a start may have been used up by the time that one looks.
        if self.program.plan == Plan::Held {
            same("scheduled", &scheduled, &may.unwrap_or(scheduled))?;
        }
        self.model.pushed(scheduled);
        Ok(())
    }

    fn wait(&mut self, length: usize) -> Result<(), Mismatch> {
        let (tag, payload) = self.payload(length);
        let (before, runs) = (self.machine.schedules(), self.runs.len());
        let accepted = self.model.enqueue(tag, payload.clone(), false).is_ok();
        self.spawn(move |queue| {
            let waited = queue.enqueue_and_wait(&mut passive(), &payload);
            Waited::Item(tag, waited)
        });
        if !accepted {
            self.model.ended.push((tag, Outcome::Cancelled));
            return Ok(());
        }
        // From another thread one sees its push only.
        let mut last = self.queue.counters();
        wait_for("accepted or refused", || {
            last = self.queue.counters();
            last.enqueued >= self.model.enqueued || self.model.refused_more(&last)
        })?;
        same("enqueue refused", &self.model.refused_more(&last), &false)?;
        let held = self.program.plan == Plan::Held;
        if held && matches!(self.model.worker, Worker::Idle | Worker::Winding) {
            wait_for("scheduled, or run", || {
                self.machine.schedules() != before || self.runs.len() != runs
            })?;
        }
        let scheduled = self.machine.schedules() != before;
        self.pushed(scheduled)
    }

    fn wait_no_time(&mut self, length: usize) -> Result<(), Mismatch> {
        let (tag, payload) = self.payload(length);
        let before = self.machine.schedules();
        let real = self
            .queue
            .enqueue_and_wait_timeout(&mut passive(), &payload, Duration::ZERO);
        let accepted = match &real {
            Ok(_) => Ok(()),
            Err(WaitError::Refused(error)) => Err(error.kind()),
            Err(error) => return Err(format!("wait: {error:?}")),
        };
        same("enqueue", &accepted, &self.model.enqueue(tag, payload, false))?;
        let Ok(outcome) = real else { return Ok(()) };
        let scheduled = self.machine.schedules() != before;
        self.pushed(scheduled)?;
        self.model.go_on();
        match (outcome, self.model.outcome(tag)) {
            (WaitOutcome::TimedOut, _) => Ok(()),
            (WaitOutcome::Ran(status), model) => same("wait", &Some(Outcome::Ran(status)), &model),
        }
    }

    fn release(&mut self) -> Result<(), Mismatch> {
        self.released += self.machine.release() as u64;
        if self.program.plan == Plan::Held {
            // A thread that waits for its item may be about to hand its start in.
            let given = self.machine.schedules();
            wait_for("held starts", || {
                self.released += self.machine.release() as u64;
                self.released == given
            })?;
        }
        self.model.release();
        Ok(())
    }

    fn flush(&mut self) {
        self.model.flush();
        let before = self.model.enqueued;
        if self.model.all_ended() {
            self.queue.flush(&mut passive()).expect("not inside");
        } else {
            self.spawn(move |queue| {
                queue.flush(&mut passive()).expect("not inside");
                let counters = queue.counters();
                Waited::Flush(before, counters.executed + counters.cancelled)
            });
        }
    }

    fn close(&mut self, cancels: bool) -> Result<(), Mismatch> {
        let how = Verb::how(cancels);
        let waits = !self.model.all_ended();
        self.model.closing = true;
        let cancelled = if cancels { self.model.cancel() } else { 0 };
        if waits {
            self.spawn(move |queue| {
                let closed = queue.close(&mut passive(), how).expect("not inside");
                Waited::Close(cancelled, closed)
            });
            wait_for("closing", || self.queue.is_closing())
        } else {
            let closed = self.queue.close(&mut passive(), how).expect("not inside");
            same("close", &closed, &Closed { cancelled })
        }
    }

    fn spawn(&mut self, body: impl FnOnce(&Queue) -> Waited + Send + 'static) {
        let (queue, machine) = (Arc::clone(&self.queue), self.machine.clone());
        self.waiting.push(std::thread::spawn(move || {
            let _in = machine.enter();
            body(&queue)
        }));
    }

    /// Lets both sides come to rest, and compares all there is.
    fn settle(&mut self) -> Result<(), Mismatch> {
        self.model.go_on();
        same("closing", &self.queue.is_closing(), &self.model.closing)?;
        self.rest()?;
        same("runs", &self.runs.entries(), &self.model.runs)?;
        same("completions", &self.told.entries(), &self.model.told)?;
        same("len", &(self.queue.len() as usize), &self.model.len())?;
        if self.model.all_ended() {
            self.join()?;
        }
        Ok(())
    }

    /// A cancel on another thread counts first, and tells afterwards.
    fn all_told(&self) -> bool {
        self.runs.len() >= self.model.runs.len() && self.told.len() >= self.model.told.len()
    }

    fn rest(&self) -> Result<(), Mismatch> {
        let mut last = self.queue.counters();
        let mut at = Ordering::Less;
        let come = wait_for("rest", || {
            last = self.queue.counters();
            at = self.model.compare(&last);
            // What is too much will not become less.
            at == Ordering::Greater || at == Ordering::Equal && self.all_told()
        });
        if at == Ordering::Greater {
            return Err(format!("counters: {last:?}"));
        }
        come.map_err(|why| format!("{why}: {last:?}"))
    }

    /// Everything has ended, so everybody returns, each with what the model says.
    fn join(&mut self) -> Result<(), Mismatch> {
        for waiting in std::mem::take(&mut self.waiting) {
            wait_for("a waiting thread returns", || waiting.is_finished())?;
            match waiting
                .join()
                .map_err(|_| "a waiting thread panicked".to_owned())?
            {
                Waited::Item(tag, Ok(status)) => {
                    same("wait", &Some(Outcome::Ran(status)), &self.model.outcome(tag))?;
                }
                Waited::Item(tag, Err(_)) => {
                    same("wait", &Some(Outcome::Cancelled), &self.model.outcome(tag))?;
                }
                Waited::Flush(before, ended) if ended < before => {
                    return Err(format!("flush: {ended} of {before} had ended"));
                }
                Waited::Flush(..) => {}
                Waited::Close(cancelled, closed) => same("close", &closed, &Closed { cancelled })?,
            }
        }
        Ok(())
    }

    fn end_instance(&mut self) -> Result<(), Mismatch> {
        self.gate.open();
        self.model.gate_open = true;
        self.release()?;
        self.settle()?;
        self.close(false)?;
        self.settle()?;
        let refused = self.queue.enqueue(&[]).map_err(|error| error.kind());
        same("enqueue", &refused, &Err(EnqueueErrorKind::Closing))
    }

    fn begin_instance(&mut self) {
        self.model = Model::new(self.program, self.wrong);
        (self.runs, self.told) = (Log::default(), Log::default());
        self.queue = create(self.program, &self.gate, &self.runs);
    }

    /// After a mismatch nobody may be left waiting.
    fn clean_up(&mut self) {
        self.gate.open();
        let closer = Arc::clone(&self.queue);
        self.spawn(move |_| {
            Waited::Close(
                0,
                closer.close(&mut passive(), Close::Cancel).expect("not inside"),
            )
        });
        let waiting = std::mem::take(&mut self.waiting);
        let _ = wait_for("clean up", || {
            self.machine.release();
            waiting.iter().all(JoinHandle::is_finished)
        });
    }
}
