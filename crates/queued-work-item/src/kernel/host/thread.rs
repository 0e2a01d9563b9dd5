//! System threads: the host's own.

extern crate std;

use core::ptr::NonNull;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::check_irql;
use super::machine::{Entered, Machine, current};
use crate::kernel::Irql;
use crate::{NtStatus, Passive};

/// What a thread is to do.
struct Start {
    routine: unsafe fn(NonNull<()>),
    context: NonNull<()>,
}

// SAFETY: `Thread::start` asks for a routine and a context that another thread may use.
unsafe impl Send for Start {}

impl Start {
    fn run(self) {
        // SAFETY: by the promise of who started the thread.
        unsafe { (self.routine)(self.context) };
    }
}

/// A thread that has been started.
pub(crate) struct Thread(JoinHandle<()>);

impl Thread {
    /// Starts a thread that calls `routine` once. It counts as an allocation, and fails as one.
    ///
    /// # Safety
    /// `routine` may be called with `context` on another thread.
    pub(crate) unsafe fn start(
        routine: unsafe fn(NonNull<()>),
        context: NonNull<()>,
        priority: Option<i32>,
    ) -> Result<Self, NtStatus> {
        check_irql(Irql::PASSIVE, "PsCreateSystemThread");
        let machine = current();
        if !machine.admit_allocation() {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        machine.note_priority(priority);
        let start = Start { routine, context };
        let thread = std::thread::Builder::new().spawn(move || {
            let _entered = Entered::new(Arc::clone(&machine));
            let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| start.run()));
            if outcome.is_err() {
                // Whoever waits for the item would wait for ever. As in a kernel, the machine stops.
                std::eprintln!("a callback panicked on its system thread: the simulated machine stops");
                std::process::abort();
            }
        });
        thread.map(Self).map_err(|_| NtStatus::INSUFFICIENT_RESOURCES)
    }

    /// Waits until the thread has ended.
    pub(crate) fn join(self, _: &mut Passive) {
        check_irql(Irql::PASSIVE, "KeWaitForSingleObject");
        // It cannot have panicked: that stops the machine.
        let _ended = self.0.join();
    }
}

impl Machine {
    /// The priority that the last system thread was started with; `None` for the default.
    pub fn thread_priority(&self) -> Option<i32> {
        self.inner().priority()
    }
}
