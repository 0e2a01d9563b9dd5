//! The system threads: what runs work items, and DPCs.

extern crate std;

use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// What a thread is to do.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads that grow with the jobs that wait, so that a callback which blocks holds nobody else up.
struct Workers {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    queue: VecDeque<Job>,
    idle: usize,
}

static WORKERS: Workers = Workers {
    state: Mutex::new(State {
        queue: VecDeque::new(),
        idle: 0,
    }),
    work: Condvar::new(),
};

/// Lets a thread do it, when one gets to it.
pub(super) fn submit(job: Job) {
    let mut state = WORKERS.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.queue.push_back(job);
    if state.idle < state.queue.len() {
        drop(state);
        std::thread::spawn(|| WORKERS.serve());
    } else {
        drop(state);
        WORKERS.work.notify_one();
    }
}

impl Workers {
    fn serve(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(job));
                if outcome.is_err() {
                    // Its queue would wait for ever for the item that was running. As in a kernel, the machine stops.
                    std::eprintln!("a callback panicked on its system thread: the simulated machine stops");
                    std::process::abort();
                }
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}
