//! WDFQUEUE: where requests wait, and how many the driver is given at a time.
//!
//! One function decides what a queue does next: [`engine::dispatch`], a loop over the queue's state under its lock that
//! leaves the lock for each callback. Whoever changes the state runs it: an arriving IRP, a completion, a stop or a
//! power change. Several threads may be in it at once; the last one to leave sees everything that the others left
//! undone, because to look and to leave is one critical section.
//!
//! | module | |
//! |---|---|
//! | [`engine`] | the loop: what comes next |
//! | [`flow`] | start, stop, drain, purge |
//! | [`power`] | powering on and off, with EvtIoStop and EvtIoResume |
//! | [`take`] | requests taken, looked at and put back by the driver |
//! | [`api`] | the WdfIoQueue functions |

pub(crate) mod api;
mod engine;
mod flow;
pub(crate) mod power;
mod take;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::fmt;

use wdk_sys::{
    _WDF_IO_QUEUE_DISPATCH_TYPE, _WDF_TRI_STATE, NTSTATUS, PFN_WDF_IO_QUEUE_STATE, WDF_IO_QUEUE_CONFIG,
    WDFCONTEXT,
};

pub(crate) use engine::{dispatch, dispatch_internal};
pub(super) use take::{flush_file, forward, requeue};

use super::presentation::Constraints;
use super::request::{self, Request, State};
use super::wait::Signal;
use crate::device::Device;
use crate::nt::status;
use crate::nt::sync::{Guard, Lock};
use crate::nt::workers::Work;
use crate::object::attributes::Attributes;
use crate::object::{self, AnyRef, Create, Kind, Ref, Type};
use crate::stop::stop;
use power::Power;

/// How requests reach the driver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    Sequential,
    /// So many at most.
    Parallel(u32),
    Manual,
}

/// What a queue was created with, checked.
pub(crate) struct Config {
    pub(crate) kind: Kinds,
    pub(crate) power_managed: bool,
    allow_zero_length: bool,
    events: WDF_IO_QUEUE_CONFIG,
}

/// The body of a WDFQUEUE.
pub(crate) struct Queue {
    pub(crate) config: Config,
    pub(crate) constraints: Constraints,
    /// Runs [`dispatch`] on a worker thread. Its context is the queue's handle, so that a late run does no harm.
    work: Work,
    core: Lock<Core>,
}

// SAFETY: the configuration is constant; its pointers are the driver's functions.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

/// What happens when the driver's requests, or all, are gone.
enum Notify {
    Driver(PFN_WDF_IO_QUEUE_STATE, WDFCONTEXT),
    Waiter(Signal),
}

/// A request that the driver has, and where EvtIoStop and EvtIoResume are with it.
struct Presented {
    request: Ref<Request>,
    stage: power::Stage,
}

/// A queue's state. See [`engine`].
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a state of its own, as in KMDF"
)]
pub(crate) struct Core {
    /// Until the queue is disposed of.
    device: Option<Ref<Device>>,
    accepts: bool,
    dispatches: bool,
    /// Purged for good: starting it does not let requests in.
    shut_down: bool,
    pub(super) power: Power,
    /// Threads in [`dispatch`].
    dispatching: u32,
    /// Queued requests, oldest first. One whose IRP is just being cancelled may still be among them.
    waiting: VecDeque<Ref<Request>>,
    /// Cancelled while queued; to be completed, or to be given to EvtIoCanceledOnQueue.
    aborted: VecDeque<Ref<Request>>,
    /// How many of those are being completed right now.
    aborting: usize,
    /// The driver's, in the order of presentation.
    presented: Vec<Presented>,
    /// On their way to another queue, which may refuse them: still ours.
    forwarding: usize,
    /// The driver's, whose EvtRequestCancel is due.
    pub(super) to_cancel: VecDeque<Ref<Request>>,
    /// A purge goes on: what the driver puts back is cancelled.
    pub(super) cancel_dispatched: bool,
    idle: Option<Notify>,
    purged: Option<Notify>,
    ready: Option<(PFN_WDF_IO_QUEUE_STATE, WDFCONTEXT)>,
    /// The ready notification is due.
    became_ready: bool,
    /// It is due with the next request that comes.
    ready_on_arrival: bool,
    power_done: Option<Signal>,
    /// Threads in EvtIoStop and EvtIoResume.
    telling: u32,
    disposing: Option<Signal>,
    deleted: bool,
}

// SAFETY: the contexts in it are the driver's, and only handed back to it.
unsafe impl Send for Core {}

impl Core {
    fn drivers(&self) -> usize {
        self.presented.len() + self.forwarding
    }

    fn total(&self) -> usize {
        self.waiting.len() + self.aborted.len() + self.aborting + self.drivers()
    }

    /// Appends a request that was just queued; the ready notification is due if it is the only one.
    fn wait_in_line(&mut self, request: Ref<Request>, at_head: bool) {
        if at_head {
            self.waiting.push_front(request);
        } else {
            self.waiting.push_back(request);
        }
        if self.waiting.len() == 1 || self.ready_on_arrival {
            self.became_ready = true;
            self.ready_on_arrival = false;
        }
    }

    /// Takes the request out of the driver's.
    fn take_presented(&mut self, request: &Ref<Request>) -> Option<Presented> {
        let at = self
            .presented
            .iter()
            .position(|entry| request::same(&entry.request, request))?;
        Some(self.presented.remove(at))
    }
}

impl Kind for Queue {
    const TYPE: Type = Type::Queue;
    const PASSIVE_DISPOSE: bool = true;

    /// Purges the queue and waits until the driver has given all back. Nothing reaches the driver from it afterwards.
    fn dispose(this: &Ref<Self>) {
        if this
            .device()
            .is_some_and(|device| !device.header().is_deleted() && device.io.is_assigned(this))
        {
            stop!(
                this.header().globals(),
                Contract,
                "WDFQUEUE {:#x} is deleted, but its device's requests are dispatched to it",
                this.header().raw_handle()
            );
        }
        flow::purge(this, true, None);
        let done = Signal::new();
        let device = {
            let mut core = this.core.lock();
            core.disposing = Some(done.clone());
            core.device.clone()
        };
        if let Some(device) = &device {
            device.io.forget_queue(this);
        }
        dispatch(this);
        done.wait(|f| describe(this, "to be deleted", f));
        drop(device);
        let device = this.core.lock().device.take();
        drop(device);
    }
}

impl Queue {
    pub(crate) fn core(&self) -> Guard<'_, Core> {
        self.core.lock()
    }

    pub(crate) fn device(&self) -> Option<Ref<Device>> {
        self.core.lock().device.clone()
    }

    /// Makes a queue of the device and lists it there.
    ///
    /// # Errors
    /// As WdfIoQueueCreate.
    fn create(
        device: &Ref<Device>,
        parent: &AnyRef,
        config: Config,
        constraints: Constraints,
        attributes: Attributes,
    ) -> Result<Ref<Self>, NTSTATUS> {
        let (powered, shutting_down) = {
            let state = device.io.state.lock();
            (state.powered, state.shutting_down)
        };
        let power = if config.power_managed && !powered {
            Power::Off
        } else {
            Power::On
        };
        let create = Create {
            globals: device.header().globals(),
            attributes,
            parent: Some(parent),
        };
        let queue = object::create_with(create, |handle| {
            Ok(Self {
                config,
                constraints,
                work: Work::new(
                    engine::dispatch_on_worker,
                    core::ptr::without_provenance_mut(handle),
                )?,
                core: Lock::new(Core {
                    device: Some(device.clone()),
                    accepts: !shutting_down,
                    dispatches: true,
                    shut_down: shutting_down,
                    power,
                    dispatching: 0,
                    waiting: VecDeque::new(),
                    aborted: VecDeque::new(),
                    aborting: 0,
                    presented: Vec::new(),
                    forwarding: 0,
                    to_cancel: VecDeque::new(),
                    cancel_dispatched: false,
                    idle: None,
                    purged: None,
                    ready: None,
                    became_ready: false,
                    ready_on_arrival: false,
                    power_done: None,
                    telling: 0,
                    disposing: None,
                    deleted: false,
                }),
            })
        })?;
        device.io.state.lock().queues.push(queue.clone());
        Ok(queue)
    }

    /// The device's internal queue, from which EvtDeviceFileCreate has its requests: manual, never powered off.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES, STATUS_DELETE_PENDING.
    pub(super) fn create_for_creates(device: &Ref<Device>) -> Result<Ref<Self>, NTSTATUS> {
        // SAFETY: all-zero means no callbacks.
        let events = unsafe { core::mem::zeroed() };
        let config = Config {
            kind: Kinds::Manual,
            power_managed: false,
            allow_zero_length: true,
            events,
        };
        let constraints = device.io.file_constraints.clone();
        Self::create(device, device.any(), config, constraints, Attributes::NONE)
    }
}

impl Config {
    /// Checks what the driver gave.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER for an unknown dispatch type, for a limit on a queue that is not parallel or a parallel
    /// queue with none, and for callbacks that the dispatch type does not call; STATUS_WDF_NO_CALLBACK if it lacks one.
    fn check(given: &WDF_IO_QUEUE_CONFIG, control_device: bool) -> Result<Self, NTSTATUS> {
        let handlers = given.EvtIoDefault.is_some()
            || given.EvtIoRead.is_some()
            || given.EvtIoWrite.is_some()
            || given.EvtIoDeviceControl.is_some()
            || given.EvtIoInternalDeviceControl.is_some();
        // SAFETY: a number, valid whatever its bits.
        let limit = unsafe { given.Settings.Parallel.NumberOfPresentedRequests };
        let kind = match given.DispatchType {
            _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchSequential if limit == 0 => Kinds::Sequential,
            _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchManual if limit == 0 => Kinds::Manual,
            _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel if limit != 0 => Kinds::Parallel(limit),
            _ => return Err(status::INVALID_PARAMETER),
        };
        match kind {
            Kinds::Manual if handlers => return Err(status::INVALID_PARAMETER),
            Kinds::Sequential | Kinds::Parallel(_) if !handlers => return Err(status::WDF_NO_CALLBACK),
            _ => {}
        }
        let power_managed = match given.PowerManaged {
            _WDF_TRI_STATE::WdfFalse => false,
            _WDF_TRI_STATE::WdfTrue | _WDF_TRI_STATE::WdfUseDefault => !control_device,
            _ => return Err(status::INVALID_PARAMETER),
        };
        let allow_zero_length = given.AllowZeroLengthRequests != 0;
        Ok(Self {
            kind,
            power_managed,
            allow_zero_length,
            events: *given,
        })
    }

    /// Whether requests of this major find a callback.
    pub(crate) fn handles(&self, major: u8) -> bool {
        use super::irp;
        let events = &self.events;
        self.kind == Kinds::Manual
            || events.EvtIoDefault.is_some()
            || match major {
                irp::READ => events.EvtIoRead.is_some(),
                irp::WRITE => events.EvtIoWrite.is_some(),
                irp::DEVICE_CONTROL => events.EvtIoDeviceControl.is_some(),
                irp::INTERNAL_DEVICE_CONTROL => events.EvtIoInternalDeviceControl.is_some(),
                _ => false,
            }
    }
}

/// Takes a request that has just arrived, and completes it if the queue accepts none (STATUS_INVALID_DEVICE_STATE).
pub(crate) fn arrive(queue: &Ref<Queue>, request: &Ref<Request>) {
    if put(queue, request) {
        dispatch(queue);
    } else {
        request::complete(request, status::INVALID_DEVICE_STATE);
    }
}

/// Queues a request that the driver gave back. `false`: the queue accepts none, and nothing has happened.
pub(super) fn enqueue(queue: &Ref<Queue>, request: &Ref<Request>) -> bool {
    let accepted = put(queue, request);
    if accepted {
        dispatch(queue);
    }
    accepted
}

/// Makes an arriving request the driver's at once, counted here. `false`: the queue accepts none.
pub(super) fn give_directly(queue: &Ref<Queue>, request: &Ref<Request>) -> bool {
    let mut core = queue.core();
    let accepts = core.accepts && !core.deleted;
    if accepts {
        request.core().queue = Some(queue.clone());
        engine::give_to_driver(&mut core, request);
    }
    accepts
}

/// Queues a request that is in nobody's hands, `State::Framework`. `false`: the queue accepts none.
fn put(queue: &Ref<Queue>, request: &Ref<Request>) -> bool {
    let mut core = queue.core();
    let accepts = core.accepts && !core.deleted;
    if accepts {
        queue_up(&mut core, queue, request, false);
    }
    accepts
}

/// Puts a request in line and makes it cancelable; one that was cancelled before is aborted at once.
fn queue_up(core: &mut Core, queue: &Ref<Queue>, request: &Ref<Request>, at_head: bool) {
    {
        let mut request_core = request.core();
        request_core.state = State::Queued;
        request_core.queue = Some(queue.clone());
    }
    if request::arm(request) {
        core.wait_in_line(request.clone(), at_head);
    } else {
        abort(core, request.clone());
    }
}

/// Moves a queued request, whose cancel routine is out, to the aborted ones.
fn abort(core: &mut Core, request: Ref<Request>) {
    {
        let mut request_core = request.core();
        request_core.state = State::Aborted;
        request_core.cancelled = true;
    }
    core.aborted.push_back(request);
}

/// Cancels what the driver marked cancelable; what NT is just cancelling is left to it.
fn take_all_cancelable(core: &mut Core) {
    for at in 0..core.presented.len() {
        let request = core.presented[at].request.clone();
        let mut request_core = request.core();
        if request_core.state == State::Cancelable && request::disarm(&request) {
            request::pend_cancel(&mut request_core);
            drop(request_core);
            core.to_cancel.push_back(request);
        }
    }
}

/// An IRP's cancel routine was called: the request is in line, or the driver's and cancelable.
pub(crate) fn cancelled(queue: &Ref<Queue>, request: &Ref<Request>) {
    let mut core = queue.core();
    let mut request_core = request.core();
    match request_core.state {
        State::Queued => {
            drop(request_core);
            core.waiting.retain(|waiting| !request::same(waiting, request));
            abort(&mut core, request.clone());
        }
        State::Cancelable => {
            request::pend_cancel(&mut request_core);
            drop(request_core);
            core.to_cancel.push_back(request.clone());
        }
        state => stop!(
            queue.header().globals(),
            Internal,
            "the cancel routine of WDFREQUEST {:#x} was called, but it is {state}",
            request.header().raw_handle()
        ),
    }
    drop(core);
    queue.work.post();
}

/// The driver completed a request that it had from this queue, or the runtime an aborted one.
pub(crate) fn request_completed(queue: &Ref<Queue>, request: &Ref<Request>) {
    let presented = queue.core().take_presented(request);
    if presented.is_some() {
        dispatch_internal(queue);
    }
}

/// For the log: the queue, and what the driver has of it.
fn describe(queue: &Ref<Queue>, purpose: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (presented, waiting, dispatching) = {
        let core = queue.core();
        let presented: Vec<Ref<Request>> = core.presented.iter().map(|entry| entry.request.clone()).collect();
        (
            presented,
            core.waiting.len() + core.aborted.len(),
            core.dispatching,
        )
    };
    write!(
        f,
        "for WDFQUEUE {:#x} {purpose}: {dispatching} callback(s) run, {waiting} request(s) are queued, the driver has {}",
        queue.header().raw_handle(),
        presented.len()
    )?;
    for request in presented.iter().take(4) {
        f.write_str("; ")?;
        Request::describe(request, f)?;
    }
    Ok(())
}

/// The queue behind a worker's context.
fn from_context(context: *mut c_void) -> Option<Ref<Queue>> {
    AnyRef::from_handle(context.addr()).ok()?.downcast()
}
