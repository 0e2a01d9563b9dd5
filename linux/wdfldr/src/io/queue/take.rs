//! Requests that the driver takes out, looks at, and puts back.

use wdk_sys::{NTSTATUS, WDF_REQUEST_PARAMETERS};

use super::engine::{completes_itself, give_to_driver, take_where};
use super::power::put_back;
use super::{Kinds, Presented, Queue, dispatch, dispatch_internal, power, put};
use crate::call::Call;
use crate::io::request::{self, Request, State};
use crate::nt::status;
use crate::object::Ref;

/// Which request is wanted.
pub(super) enum Wanted {
    Next,
    /// Of this FILE_OBJECT.
    OfFile(usize),
    /// This one, found before.
    This(Ref<Request>),
}

impl Wanted {
    fn fits(&self, request: &Ref<Request>) -> bool {
        match self {
            Self::Next => true,
            Self::OfFile(file) => request.file == *file,
            Self::This(this) => request::same(this, request),
        }
    }
}

/// Gives the driver a queued request.
///
/// # Errors
/// STATUS_INVALID_DEVICE_STATE for a parallel queue, STATUS_WDF_PAUSED if the queue is stopped or powered off,
/// STATUS_NO_MORE_ENTRIES if there is none, STATUS_NOT_FOUND if a found request is gone.
pub(super) fn take(queue: &Ref<Queue>, wanted: &Wanted) -> Result<Ref<Request>, NTSTATUS> {
    if let Kinds::Parallel(_) = queue.config.kind {
        return Err(status::INVALID_DEVICE_STATE);
    }
    loop {
        let mut core = queue.core();
        if core.power == power::Power::Off || !core.dispatches {
            return Err(status::WDF_PAUSED);
        }
        let Some(request) = take_where(&mut core, |request| wanted.fits(request)) else {
            if let (Wanted::Next, false) = (wanted, core.waiting.is_empty()) {
                // All that are left are being cancelled; the next arrival is to be reported although it is not the only
                // one by then.
                core.ready_on_arrival = true;
            }
            return Err(if let Wanted::This(_) = wanted {
                status::NOT_FOUND
            } else {
                status::NO_MORE_ENTRIES
            });
        };
        if completes_itself(queue, &request) {
            core.aborting += 1;
            drop(core);
            request::complete(&request, status::SUCCESS);
            queue.core().aborting -= 1;
            continue;
        }
        give_to_driver(&mut core, &request);
        return Ok(request);
    }
}

/// `WdfIoQueueFindRequest`: the first that fits, after `after` if that is given. It stays in the queue.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST unless the queue is manual, STATUS_NOT_FOUND if `after` has left the queue,
/// STATUS_NO_MORE_ENTRIES.
pub(super) fn find(
    queue: &Ref<Queue>,
    after: Option<&Ref<Request>>,
    file: Option<usize>,
) -> Result<(Ref<Request>, WDF_REQUEST_PARAMETERS), NTSTATUS> {
    if queue.config.kind != Kinds::Manual {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    let core = queue.core();
    let start = match after {
        Some(after) => {
            let at = core
                .waiting
                .iter()
                .position(|waiting| request::same(waiting, after));
            at.ok_or(status::NOT_FOUND)? + 1
        }
        None => 0,
    };
    let found = core
        .waiting
        .iter()
        .skip(start)
        .find(|waiting| !waiting.irp().is_cancelled() && file.is_none_or(|file| waiting.file == file))
        .ok_or(status::NO_MORE_ENTRIES)?;
    // In the queue under its lock, so its IRP is there.
    Ok((found.clone(), request::parameters::of(found)))
}

/// `WdfRequestForwardToIoQueue`. On failure the driver still owns the request.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST for the queue that it is from or another device's, STATUS_WDF_BUSY if the queue accepts
/// none.
pub(in crate::io) fn forward(call: &Call, request: &Ref<Request>, to: &Ref<Queue>) -> Result<(), NTSTATUS> {
    let from = from_of(call, request);
    if same(&from, to) || !same_device(&from, to) {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    let stage = {
        let mut core = from.core();
        let presented = core.take_presented(request);
        core.forwarding += 1;
        request.core().state = State::Framework;
        presented.map_or(power::Stage::Running, |presented| presented.stage)
    };
    let accepted = put(to, request);
    {
        let mut core = from.core();
        core.forwarding -= 1;
        if !accepted {
            request.core().state = State::Driver;
            core.presented.push(Presented {
                request: request.clone(),
                stage,
            });
            return Err(status::WDF_BUSY);
        }
    }
    dispatch(to);
    dispatch_internal(&from);
    Ok(())
}

/// `WdfRequestRequeue`.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST unless the queue is manual.
pub(in crate::io) fn requeue(call: &Call, request: &Ref<Request>) -> Result<(), NTSTATUS> {
    let queue = from_of(call, request);
    if queue.config.kind != Kinds::Manual {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    put_back(&mut queue.core(), request);
    dispatch(&queue);
    Ok(())
}

/// The queue that the driver has a request from, which it must own outright.
fn from_of(call: &Call, request: &Ref<Request>) -> Ref<Queue> {
    let core = request.core();
    match (&core.queue, core.state) {
        (Some(queue), State::Driver) => queue.clone(),
        (_, state) => {
            drop(core);
            call.violation(format_args!(
                "WDFREQUEST {:#x} is {state}",
                request.header().raw_handle()
            ))
        }
    }
}

fn same(one: &Ref<Queue>, other: &Ref<Queue>) -> bool {
    one.header().raw_handle() == other.header().raw_handle()
}

fn same_device(one: &Ref<Queue>, other: &Ref<Queue>) -> bool {
    let handle = |queue: &Ref<Queue>| queue.device().map(|device| device.header().raw_handle());
    handle(one) == handle(other)
}

/// Cancels the queued requests of an open that is being closed.
pub(in crate::io) fn flush_file(queue: &Ref<Queue>, file: usize) {
    {
        let mut core = queue.core();
        while let Some(request) = take_where(&mut core, |request| request.file == file) {
            super::abort(&mut core, request);
        }
    }
    dispatch(queue);
}
