//! WDFREQUEST: the framework's view of an IRP.
//!
//! # Who owns a request
//!
//! ```text
//!             arrives                    presented, retrieved                       completes
//! Framework ──────────> Queued ────────────────────────────────> Driver ─────────────────────────> Completing > Completed
//!                         │  ^                                    │  ^  ^                              ^
//!                         │  └──────── forwarded, requeued ───────┘  │  └─ unmarked                    │
//!             IRP cancelled,                              marked     v                                 │
//!             purged, file closed                        cancelable  Cancelable                        │
//!                         │                                          │ IRP cancelled, purged           │
//!                         v                                          v                                 │
//!                      Aborted ──────────────────────────────>     CancelPending ──> CancelCalled ─────┘
//!                         │   EvtIoCanceledOnQueue: Driver           (unmark: STATUS_CANCELLED)        ^
//!                         └────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | state | whose | IRP's cancel routine | the driver may |
//! |---|---|---|---|
//! | Framework | the runtime's, on its way | none | nothing |
//! | Queued | its queue's, in `waiting` | ours | look at it (a found request) |
//! | Aborted | its queue's, in `aborted` | none | nothing |
//! | Driver | the driver's | none | everything |
//! | Cancelable | the driver's | ours | look, unmark |
//! | `CancelPending` | the driver's, in `to_cancel` | none | look, unmark (in vain) |
//! | `CancelCalled` | the driver's | none | look, complete |
//! | Completing | the runtime's; EvtCleanupCallback runs | none | look |
//! | Completed | nobody's: the IRP is gone, references keep the object | | release references |
//!
//! # Races
//!
//! Every transition happens under the request's lock, and those that concern a queue's lists under the queue's lock
//! too. Against NT, which cancels without our locks, the exchange of `CancelRoutine` decides: who takes our routine out
//! owns the cancellation. A remover that finds it gone leaves the request where it is, since the routine, which waits
//! for the queue's lock, will find it there. While the routine is set, the IRP holds a reference to the request, which
//! passes to whoever takes the routine out.

pub(crate) mod api;
mod buffers;
pub(crate) mod cancel;
mod complete;
pub(crate) mod parameters;

use core::fmt;

use wdk_sys::{NTSTATUS, PFN_WDF_REQUEST_CANCEL};

pub(crate) use cancel::{arm, disarm, pend_cancel};
pub(crate) use complete::{complete, same};

use super::irp::Irp;
use super::queue::Queue;
use crate::call::Call;
use crate::device::Device;
use crate::nt::status;
use crate::nt::sync::Lock;
use crate::object::{self, Create, Kind, Ref, Type};
use crate::stop::stop;

/// See the module's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Framework,
    Queued,
    Aborted,
    Driver,
    Cancelable,
    CancelPending,
    CancelCalled,
    Completing,
    Completed,
}

impl State {
    /// Whether it is the driver's to complete, sooner or later.
    pub(crate) const fn is_drivers(self) -> bool {
        matches!(
            self,
            Self::Driver | Self::Cancelable | Self::CancelPending | Self::CancelCalled
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Framework => "the framework's",
            Self::Queued => "in its queue, not the driver's",
            Self::Aborted => "cancelled in its queue, not the driver's",
            Self::Driver => "the driver's, not cancelable",
            Self::Cancelable => "cancelable (WdfRequestUnmarkCancelable comes first)",
            Self::CancelPending => "cancelled, and its EvtRequestCancel has not been called yet",
            Self::CancelCalled => "cancelled, its EvtRequestCancel was called",
            Self::Completing => "being completed",
            Self::Completed => "completed",
        })
    }
}

/// The body of a WDFREQUEST.
pub(crate) struct Request {
    irp: Irp,
    pub(crate) major: u8,
    /// The FILE_OBJECT's address, to find the requests of an open.
    pub(crate) file: usize,
    core: Lock<Core>,
}

pub(crate) struct Core {
    pub(crate) state: State,
    /// Until it is completed.
    pub(crate) device: Option<Ref<Device>>,
    /// The queue that it is in, or was given to the driver from.
    pub(crate) queue: Option<Ref<Queue>>,
    pub(crate) cancel: PFN_WDF_REQUEST_CANCEL,
    /// Cancelled while a queue or the driver had it.
    pub(crate) cancelled: bool,
    /// Shown to the driver at least once.
    pub(crate) presented: bool,
    /// The status that it was completed with.
    status: NTSTATUS,
    /// Handles of the WDFMEMORY objects that were made for its buffers; zero for none.
    input_memory: usize,
    output_memory: usize,
    /// MDLs that were made for buffered input and output.
    mdls: buffers::OwnedMdls,
}

// SAFETY: the pointers in it are of functions and of memory that belongs to the request.
unsafe impl Send for Core {}

impl Kind for Request {
    const TYPE: Type = Type::Request;

    fn dispose(this: &Ref<Self>) {
        let state = this.core.lock().state;
        if !matches!(state, State::Completing | State::Completed) {
            stop!(
                this.header().globals(),
                Contract,
                "WDFREQUEST {:#x} is deleted, by WdfObjectDelete or with its device, but it is {state}: \
                 requests of a queue end by WdfRequestComplete",
                this.header().raw_handle()
            );
        }
    }
}

impl Request {
    /// Makes the request of an IRP that has just arrived, with the context that the device's request attributes ask
    /// for.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES; STATUS_DELETE_PENDING if the device is going away.
    pub(super) fn arrive(device: &Ref<Device>, irp: Irp) -> Result<Ref<Self>, NTSTATUS> {
        let body = Self {
            irp,
            major: irp.major(),
            file: irp.file_object().addr(),
            core: Lock::new(Core {
                state: State::Framework,
                device: Some(device.clone()),
                queue: None,
                cancel: None,
                cancelled: false,
                presented: false,
                status: status::SUCCESS,
                input_memory: 0,
                output_memory: 0,
                mdls: buffers::OwnedMdls::default(),
            }),
        };
        let attributes = device.io.config.request_attributes;
        object::create(
            Create {
                globals: device.header().globals(),
                attributes,
                parent: Some(device.any()),
            },
            body,
        )
    }

    pub(crate) fn core(&self) -> crate::nt::sync::Guard<'_, Core> {
        self.core.lock()
    }

    /// The IRP; only for who owns the request.
    pub(crate) fn irp(&self) -> Irp {
        self.irp
    }

    pub(crate) fn queue(&self) -> Option<Ref<Queue>> {
        self.core.lock().queue.clone()
    }

    /// For a message: what it is, whose it is.
    pub(crate) fn describe(this: &Ref<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The lock is held: while the request is the driver's under it, the IRP exists.
        let core = this.core.lock();
        let state = core.state;
        write!(f, "WDFREQUEST {:#x} (", this.header().raw_handle())?;
        match this.major {
            super::irp::CREATE => f.write_str("create")?,
            super::irp::READ => f.write_str("read")?,
            super::irp::WRITE => f.write_str("write")?,
            _ if state.is_drivers() => write!(f, "IOCTL {:#010x}", this.irp.ioctl().code)?,
            major => write!(f, "major {major:#x}")?,
        }
        write!(f, ", {state})")
    }
}

/// A request that the driver names and that must have its IRP still.
fn alive(call: &Call, handle: wdk_sys::WDFREQUEST) -> Ref<Request> {
    let request = call.get::<Request>(handle);
    let state = request.core.lock().state;
    if state == State::Completed {
        call.violation(format_args!("WDFREQUEST {:#x} is {state}", handle.addr()));
    }
    request
}

/// A request that the driver names and that must be its own.
fn drivers(call: &Call, handle: wdk_sys::WDFREQUEST) -> Ref<Request> {
    let request = call.get::<Request>(handle);
    let state = request.core.lock().state;
    if !state.is_drivers() {
        call.violation(format_args!("WDFREQUEST {:#x} is {state}", handle.addr()));
    }
    request
}
