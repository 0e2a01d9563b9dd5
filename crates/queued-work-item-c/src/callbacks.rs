//! The client's functions, as the Rust library calls them.

use core::cell::Cell;
use core::ffi::c_void;

use queued_work_item::{Completion, Item, NtStatus, Outcome, Passive};

/// The item that runs, for as long as its callback does: `QWI_ITEM`.
pub(crate) struct Running {
    status: Cell<NtStatus>,
}

impl Running {
    /// The last one counts.
    pub(crate) fn set_status(&self, status: NtStatus) {
        self.status.set(status);
    }
}

/// `EVT_QWI_WORK`
pub(crate) type EvtWork = unsafe extern "C" fn(*const Running, *mut c_void, usize, *mut c_void);
/// `EVT_QWI_REUSE_CLEANUP`
pub(crate) type EvtReuseCleanup = unsafe extern "C" fn(*mut c_void, usize, *mut c_void);
/// `EVT_QWI_COMPLETION`
pub(crate) type EvtCompletion = unsafe extern "C" fn(Ended, i32, *mut c_void);

/// What became of an item: `QWI_OUTCOME`.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Refused = 0,
    Ran = 1,
    Cancelled = 2,
    TimedOut = 3,
}

/// The client's pointer, handed back to it and never followed here.
#[derive(Clone, Copy)]
pub(crate) struct ClientContext(pub(crate) *mut c_void);

// SAFETY: never followed here; the header says on which threads the client's functions are called with it.
unsafe impl Send for ClientContext {}
// SAFETY: as above.
unsafe impl Sync for ClientContext {}

impl ClientContext {
    /// By a method, so that a closure captures the whole and not the pointer in it.
    fn get(self) -> *mut c_void {
        self.0
    }
}

/// The queue's callback.
pub(crate) fn work(
    run: EvtWork,
    context: ClientContext,
) -> impl FnMut(&mut Item<'_, [u8]>, &mut Passive) + Send {
    move |item, _| {
        let running = Running {
            status: Cell::new(item.status()),
        };
        let payload = item.payload_mut();
        // SAFETY: the client's function, with the buffer that is this item's alone until it returns.
        unsafe {
            run(
                &raw const running,
                payload.as_mut_ptr().cast(),
                payload.len(),
                context.get(),
            );
        };
        item.set_status(running.status.get());
    }
}

/// The queue's reuse-cleanup callback.
pub(crate) fn cleanup(
    run: EvtReuseCleanup,
    context: ClientContext,
) -> impl Fn(&mut [u8], &mut ()) + Send + Sync {
    move |payload, ()| {
        // SAFETY: the client's function, with the buffer that is this item's alone until it returns.
        unsafe { run(payload.as_mut_ptr().cast(), payload.len(), context.get()) };
    }
}

/// The completion of one item.
pub(crate) struct Done {
    run: EvtCompletion,
    context: ClientContext,
}

impl Done {
    pub(crate) fn new(run: EvtCompletion, context: *mut c_void) -> Self {
        Self {
            run,
            context: ClientContext(context),
        }
    }
}

impl Completion for Done {
    fn complete(self, outcome: Outcome) {
        let ended = match outcome {
            Outcome::Ran(_) => Ended::Ran,
            Outcome::Cancelled => Ended::Cancelled,
        };
        // SAFETY: the client's function, called once.
        unsafe { (self.run)(ended, outcome.status().0, self.context.get()) };
    }
}
