//! Start, stop, drain and purge.
//!
//! | function | accepts | dispatches | queued requests | the driver's cancelable ones | through when |
//! |---|---|---|---|---|---|
//! | start | yes | yes | | | |
//! | stop | yes | no | stay | stay | the driver has none |
//! | stop and purge | yes | no | cancelled | cancelled | the driver has none |
//! | drain | no | as before | are still presented | stay | nobody has any |
//! | purge | no | as before | cancelled | cancelled | nobody has any |

use super::{Notify, Queue, abort, describe, dispatch, take_all_cancelable};
use crate::call::Call;
use crate::io::wait::Signal;
use crate::object::Ref;

/// `WdfIoQueueStart`.
pub(super) fn start(queue: &Ref<Queue>) {
    {
        let mut core = queue.core();
        core.accepts = !core.shut_down;
        core.dispatches = true;
        core.cancel_dispatched = false;
        core.became_ready |= !core.waiting.is_empty();
    }
    dispatch(queue);
}

/// Stops, and cancels if that is asked for. `false`: a stop is under way that has not been reported yet.
fn stop(queue: &Ref<Queue>, cancel: bool, notify: Option<Notify>) -> bool {
    {
        let mut core = queue.core();
        if notify.is_some() {
            if core.idle.is_some() {
                return false;
            }
            core.idle = notify;
        }
        core.accepts = !core.shut_down;
        core.dispatches = false;
        core.cancel_dispatched |= cancel;
    }
    if cancel {
        cancel_all(queue);
    }
    dispatch(queue);
    true
}

/// Drains or purges. `false`: another is under way that has not been reported yet.
pub(super) fn purge(queue: &Ref<Queue>, cancel: bool, notify: Option<Notify>) -> bool {
    {
        let mut core = queue.core();
        if notify.is_some() {
            if core.purged.is_some() {
                return false;
            }
            core.purged = notify;
        }
        core.accepts = false;
        core.cancel_dispatched |= cancel;
    }
    if cancel {
        cancel_all(queue);
    }
    dispatch(queue);
    true
}

/// Aborts what is queued and cancels what the driver marked cancelable. What NT is just cancelling is left to it.
fn cancel_all(queue: &Ref<Queue>) {
    let mut core = queue.core();
    while let Some(request) = super::engine::take_next(&mut core) {
        abort(&mut core, request);
    }
    take_all_cancelable(&mut core);
}

/// How a stop, drain or purge of the driver's ends.
pub(super) enum Kind {
    Stop { purge: bool },
    Drain,
    Purge,
}

fn begin(call: &Call, queue: &Ref<Queue>, kind: &Kind, notify: Option<Notify>) {
    if queue.core().deleted {
        call.violation(format_args!(
            "WDFQUEUE {:#x} is being deleted",
            queue.header().raw_handle()
        ));
    }
    let begun = match kind {
        Kind::Stop { purge } => stop(queue, *purge, notify),
        Kind::Drain => purge(queue, false, notify),
        Kind::Purge => purge(queue, true, notify),
    };
    if !begun {
        call.violation(format_args!(
            "WDFQUEUE {:#x}: the one before has not been reported complete yet",
            queue.header().raw_handle()
        ));
    }
}

/// The asynchronous forms: `notify` is called when it is through.
pub(super) fn run(call: &Call, queue: &Ref<Queue>, kind: &Kind, notify: Notify) {
    call.at_most_dispatch();
    let notify = match notify {
        Notify::Driver(None, _) => None,
        given => Some(given),
    };
    begin(call, queue, kind, notify);
}

/// The synchronous forms.
pub(super) fn run_and_wait(call: &Call, queue: &Ref<Queue>, kind: &Kind) {
    call.passive();
    if queue.constraints.lock().is_some_and(|lock| lock.is_mine()) {
        call.violation(format_args!(
            "WDFQUEUE {:#x} would wait for the callback that this is called from",
            queue.header().raw_handle()
        ));
    }
    let signal = Signal::new();
    begin(call, queue, kind, Some(Notify::Waiter(signal.clone())));
    let name = call.name;
    signal.wait(|f| describe(queue, name, f));
}
