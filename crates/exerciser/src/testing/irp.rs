//! One request in memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::vec::Vec;

use crate::pending::{self, Pending, Turn};
use crate::{Handle, Request, Ticket};

/// How long a test waits before it calls a request lost.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What a request and all tickets to it refer to.
pub(crate) struct Irp {
    handle: Handle,
    code: u32,
    pending: Pending,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How much output the caller has room for.
    room: usize,
    /// Somebody asked for cancellation.
    cancel: bool,
    cancelable: bool,
    /// The cancel routine is being or was called.
    cancel_routine: bool,
    answered: Option<Answered>,
}

/// A request's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// `IoStatus.Status`
    pub status: u32,
    /// As much of the output as `IoStatus.Information` says.
    pub output: Vec<u8>,
}

impl Irp {
    pub(crate) fn new(handle: Handle, code: u32) -> Arc<Self> {
        Arc::new(Self {
            handle,
            code,
            pending: Pending::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, status: u32, output: Vec<u8>) {
        let mut state = self.state();
        assert!(state.answered.is_none(), "a request was completed twice");
        assert!(
            !state.cancelable || state.cancel_routine,
            "a request was completed while it was cancellable"
        );
        // Only success and warnings bring output back.
        let output = if status >> 30 == 3 { Vec::new() } else { output };
        state.answered = Some(Answered { status, output });
        drop(state);
        self.changed.notify_all();
    }

    /// The I/O manager's own refusal: the driver does not see the request.
    pub(crate) fn refuse(&self, status: u32) {
        self.answer(status, Vec::new());
    }
}

/// A request in its handler's hands.
pub struct MemoryRequest {
    irp: Arc<Irp>,
    /// The system buffer: as long as the longer of input and output.
    buffer: Vec<u8>,
    input: usize,
    output: usize,
}

impl MemoryRequest {
    pub(crate) fn new(irp: &Arc<Irp>, input: &[u8], output: usize) -> Self {
        irp.state().room = output;
        let mut buffer = input.to_vec();
        buffer.resize(input.len().max(output), 0xCC);
        Self {
            irp: irp.clone(),
            buffer,
            input: input.len(),
            output,
        }
    }
}

impl Request for MemoryRequest {
    type Ticket = MemoryTicket;

    fn code(&self) -> u32 {
        self.irp.code
    }

    fn handle(&self) -> Handle {
        self.irp.handle
    }

    fn input(&self) -> &[u8] {
        &self.buffer[..self.input]
    }

    fn output_length(&self) -> usize {
        self.output
    }

    fn output(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.output]
    }

    fn complete(self, status: u32, information: usize) {
        assert!(
            information <= self.output,
            "a request was completed with more output than it has room for"
        );
        self.irp.answer(status, self.buffer[..information].to_vec());
    }

    fn ticket(&self) -> MemoryTicket {
        MemoryTicket(self.irp.clone())
    }
}

/// A reference to a request.
#[derive(Clone)]
pub struct MemoryTicket(Arc<Irp>);

impl Ticket for MemoryTicket {
    fn pending(&self) -> &Pending {
        &self.0.pending
    }

    fn mark_cancelable(&self, _: Turn) -> bool {
        let mut state = self.0.state();
        assert!(
            state.answered.is_none() && !state.cancelable,
            "a request was marked cancellable too late or twice"
        );
        state.cancelable = !state.cancel;
        state.cancelable
    }

    fn unmark_cancelable(&self, _: Turn) -> bool {
        let mut state = self.0.state();
        assert!(
            state.answered.is_none(),
            "a request was unmarked after it was completed"
        );
        assert!(
            state.cancelable,
            "a request was unmarked that was not cancellable"
        );
        if !state.cancel_routine {
            state.cancelable = false;
        }
        !state.cancel_routine
    }

    fn complete(&self, status: u32, output: &[u8], _: Turn) {
        let room = self.0.state().room;
        self.0.answer(status, output[..output.len().min(room)].to_vec());
    }
}

/// A request that was sent, answered or not.
pub struct Pended {
    irp: Arc<Irp>,
}

impl Pended {
    pub(crate) fn new(irp: Arc<Irp>) -> Self {
        Self { irp }
    }

    /// The answer, if it is there.
    pub fn answered(&self) -> Option<Answered> {
        self.irp.state().answered.clone()
    }

    /// Cancels the request, as `CancelIoEx` does: its cancel routine runs on this thread.
    pub fn cancel(&self) {
        let mut state = self.irp.state();
        state.cancel = true;
        if !state.cancelable || state.cancel_routine || state.answered.is_some() {
            return;
        }
        state.cancel_routine = true;
        drop(state);
        pending::cancelled(&MemoryTicket(self.irp.clone()));
    }

    /// Waits for the answer; `None` when there is none in `patience`.
    pub fn wait_for(&self, patience: Duration) -> Option<Answered> {
        let state = self.irp.state();
        let (state, _) = self
            .irp
            .changed
            .wait_timeout_while(state, patience, |state| state.answered.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.answered.clone()
    }

    /// Waits for the answer.
    ///
    /// # Panics
    /// When there is none in [`PATIENCE`].
    pub fn wait(&self) -> Answered {
        self.wait_for(PATIENCE).expect("a request was never answered")
    }
}
