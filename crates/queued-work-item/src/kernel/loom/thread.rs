//! System threads: the model checker's.

use core::ptr::NonNull;

use crate::{NtStatus, Passive};

pub(crate) struct Thread(loom::thread::JoinHandle<()>);

struct Start(unsafe fn(NonNull<()>), NonNull<()>);

// SAFETY: `Thread::start` asks for a routine and a context that another thread may use.
unsafe impl Send for Start {}

impl Start {
    fn run(self) {
        // SAFETY: by the promise of who started the thread.
        unsafe { (self.0)(self.1) };
    }
}

impl Thread {
    /// # Safety
    /// As on the other backends.
    #[expect(clippy::unnecessary_wraps, reason = "the seam's signature")]
    pub(crate) unsafe fn start(
        routine: unsafe fn(NonNull<()>),
        context: NonNull<()>,
        _: Option<i32>,
    ) -> Result<Self, NtStatus> {
        let start = Start(routine, context);
        Ok(Self(loom::thread::spawn(move || start.run())))
    }

    pub(crate) fn join(self, _: &mut Passive) {
        drop(self.0.join());
    }
}
