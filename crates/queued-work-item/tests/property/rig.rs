//! Runs a program on the queue and on the model, and compares after each verb.
//!
//! What waits does so on a thread of its own. After each verb the two are compared at rest: everything has ended, or
//! the running item stands at the gate, or its start is held. There the model is exact but for one thing that only the
//! queue knows: whether its worker, with nothing left, was idle yet when the next item came. Then the model is told.

use std::cmp::Ordering;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use queued_work_item::kernel::host::{Entered, Machine};
use queued_work_item::{Close, Closed, EnqueueErrorKind, NtStatus, Outcome, WaitError, WaitOutcome};

use crate::common::{Gate, Log, passive};
use crate::instance::{Queue, Seen, create, machine};
use crate::model::{Model, Worker, Wrong};
use crate::program::{Plan, Program, Verb};

type Mismatch = String;

/// Longer than anything takes, and short enough to shrink a program that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a thread that waits came back with.
enum Waited {
    Item(u32, Result<NtStatus, WaitError<()>>),
    /// How many must have ended, and how many had.
    Flush(u64, u64),
    /// How many must have run, and how many had.
    Stop(u64, u64),
    Close(u64, Closed),
}

struct Rig<'a> {
    program: &'a Program,
    wrong: Wrong,
    /// The instance's own: the pool's blocks are counted.
    machine: Machine,
    entered: Option<Entered>,
    /// Those of earlier instances.
    past: Vec<Machine>,
    model: Model,
    queue: Arc<Queue>,
    /// Pool blocks of an idle instance.
    blocks: i64,
    gate: Gate,
    seen: Seen,
    told: Log<(u32, Outcome)>,
    waiting: Vec<JoinHandle<Waited>>,
    tags: u32,
    /// Starts that were released so far.
    released: u64,
    /// A close may have scheduled a start, which nobody else is going to release.
    releases: bool,
}

/// Runs `program`; what differs, if anything does.
pub(crate) fn run(program: &Program, wrong: Wrong) -> Result<(), Mismatch> {
    let machine = machine(program.plan);
    let entered = machine.enter();
    let (gate, seen) = (Gate::closed(), Seen::default());
    gate.open();
    let queue = create(program, &gate, &seen);
    let mut rig = Rig {
        program,
        wrong,
        entered: Some(entered),
        past: Vec::new(),
        model: Model::new(program, wrong),
        queue,
        blocks: machine.outstanding().0,
        machine,
        gate,
        seen,
        told: Log::default(),
        waiting: Vec::new(),
        tags: 0,
        released: 0,
        releases: false,
    };
    let outcome = rig.run();
    rig.clean_up();
    outcome.map_err(|why| format!("{why}\n{:#?}", rig.model))?;
    let mut machines = std::mem::take(&mut rig.past);
    machines.push(rig.machine.clone());
    drop(rig);
    wait_for("no pool block left", || {
        machines.iter().all(|machine| {
            machine.release();
            machine.outstanding().0 == 0
        })
    })
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
            // With held starts it matters whether the worker was idle yet, and at this moment nobody can tell.
            Verb::Stop | Verb::StopAndWait
                if self.program.plan == Plan::Held && self.model.worker == Worker::Winding =>
            {
                Ok(())
            }
            Verb::Stop => {
                self.queue.stop();
                self.model.stop();
                Ok(())
            }
            Verb::StopAndWait => self.stop_and_wait(),
            Verb::Start => {
                let before = self.machine.schedules();
                self.queue.start();
                self.model.start(self.machine.schedules() != before);
                Ok(())
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
        // Never zero, never what the callback leaves, and another for each of 200 items in a row.
        let byte = u8::try_from(tag % 200).expect("small") + 1;
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
            Worker::Active | Worker::Scheduled | Worker::Parked => Some(false),
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
        let (before, runs) = (self.machine.schedules(), self.seen.runs.len());
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
                self.machine.schedules() != before || self.seen.runs.len() != runs
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

    fn stop_and_wait(&mut self) -> Result<(), Mismatch> {
        if self.model.running().is_none() {
            self.queue.stop_and_wait(&mut passive()).expect("not inside");
            self.model.stop();
            return Ok(());
        }
        if self.model.stopped {
            // From another thread a stop shows only where there was none.
            self.queue.stop();
            return Ok(());
        }
        self.model.stop();
        let with_running = self.model.executed + 1;
        self.spawn(move |queue| {
            queue.stop_and_wait(&mut passive()).expect("not inside");
            Waited::Stop(with_running, queue.counters().executed)
        });
        // A closing queue takes no notice.
        let closing = self.model.closing;
        wait_for("stopped", || closing || self.queue.is_stopped())
    }

    fn close(&mut self, cancels: bool) -> Result<(), Mismatch> {
        let how = Verb::how(cancels);
        let waits = !self.model.all_ended();
        // Parked already, or about to: either way no start comes but by this close.
        self.releases |= self.model.worker == Worker::Parked;
        self.model.close();
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
        self.stopped()?;
        self.rest()?;
        same("runs", &self.seen.runs.entries(), &self.model.runs)?;
        same("cleaned", &self.seen.cleaned.entries(), &self.model.cleaned)?;
        same("completions", &self.told.entries(), &self.model.told)?;
        self.pool()?;
        same("len", &(self.queue.len() as usize), &self.model.len())?;
        if self.model.all_ended() {
            self.join()?;
        }
        Ok(())
    }

    /// A close on another thread ends the stop once it is closing.
    fn stopped(&self) -> Result<(), Mismatch> {
        if self.model.closing {
            wait_for("the end of the stop", || !self.queue.is_stopped())
        } else {
            same("stopped", &self.queue.is_stopped(), &self.model.stopped)
        }
    }

    /// The buffers in use beyond the preallocated ones, and no others, are of the pool. A cancel on another thread may
    /// be about to give one back.
    fn pool(&self) -> Result<(), Mismatch> {
        let model = i64::try_from(self.model.grown()).expect("few");
        let mut real = 0;
        let come = wait_for("pool blocks", || {
            real = self.machine.outstanding().0 - self.blocks;
            real <= model
        });
        come.and_then(|()| same("pool blocks", &real, &model))
    }

    /// A cancel on another thread counts first, and tells afterwards.
    fn all_told(&self) -> bool {
        self.seen.runs.len() >= self.model.runs.len()
            && self.seen.cleaned.len() >= self.model.cleaned.len()
            && self.told.len() >= self.model.told.len()
    }

    fn rest(&mut self) -> Result<(), Mismatch> {
        let mut last = self.queue.counters();
        let mut at = Ordering::Less;
        let come = wait_for("rest", || {
            if self.releases {
                self.released += self.machine.release() as u64;
            }
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
                Waited::Stop(least, run) if run < least => {
                    return Err(format!("stop and wait: {run} of {least} had run"));
                }
                Waited::Flush(..) | Waited::Stop(..) => {}
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
        (self.seen, self.told) = (Seen::default(), Log::default());
        // Out of the old machine before this thread goes into the new one.
        self.entered = None;
        let past = std::mem::replace(&mut self.machine, machine(self.program.plan));
        self.past.push(past);
        self.entered = Some(self.machine.enter());
        (self.released, self.releases) = (0, false);
        self.queue = create(self.program, &self.gate, &self.seen);
        self.blocks = self.machine.outstanding().0;
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
