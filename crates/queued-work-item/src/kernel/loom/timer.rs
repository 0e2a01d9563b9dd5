//! Timers of the models: every point in time at which one may expire is some interleaving.

extern crate std;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::kernel::loom::Parent;
use crate::kernel::{Target, UNITS_PER_SECOND};
use crate::{NtStatus, Passive};

struct Object {
    target: Target,
    state: loom::sync::Mutex<State>,
    quiet: loom::sync::Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the setting that is to expire.
    set: Option<u64>,
    settings: u64,
    running: u32,
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: no expiry has this object any more; dropped once.
        unsafe { (self.target.released)(self.target.core) };
    }
}

impl Object {
    fn lock(&self) -> loom::sync::MutexGuard<'_, State> {
        let Ok(state) = self.state.lock() else {
            unreachable!("a model does not poison")
        };
        state
    }

    fn expire(&self, setting: u64) {
        {
            let mut state = self.lock();
            if state.set != Some(setting) {
                return;
            }
            state.set = None;
            state.running += 1;
        }
        // SAFETY: the object keeps the core until `released`.
        unsafe { (self.target.run)(self.target.core) };
        self.lock().running -= 1;
        self.quiet.notify_all();
    }
}

pub(crate) struct Timer(std::sync::Mutex<Option<Arc<Object>>>);

impl Timer {
    pub(crate) fn unbound() -> Self {
        Self(std::sync::Mutex::new(None))
    }

    /// # Safety
    /// As on the other backends.
    pub(crate) unsafe fn bind(&self, _: &Parent, target: Target) -> Result<(), NtStatus> {
        if let Ok(mut object) = self.0.lock() {
            *object = Some(Arc::new(Object {
                target,
                state: loom::sync::Mutex::new(State::default()),
                quiet: loom::sync::Condvar::new(),
            }));
        }
        Ok(())
    }

    fn object(&self) -> Option<Arc<Object>> {
        self.0.lock().ok().and_then(|object| object.clone())
    }

    /// Whoever looks at the clock finds whatever anybody set before due: a model's expiry is never too early, and one
    /// that belongs to an earlier setting cannot be told from another by the time alone.
    #[allow(clippy::unused_self, reason = "the seam's signature")]
    pub(crate) fn now(&self) -> u64 {
        // Not the model's business: it only has to grow.
        static NOW: AtomicU64 = AtomicU64::new(0);
        NOW.fetch_add(3_600 * UNITS_PER_SECOND, Ordering::SeqCst)
    }

    pub(crate) fn set(&self, _: u64) -> bool {
        let Some(object) = self.object() else { return false };
        let setting = {
            let mut state = object.lock();
            state.settings += 1;
            state.set = Some(state.settings);
            state.settings
        };
        loom::thread::spawn(move || object.expire(setting));
        true
    }

    #[allow(dead_code, reason = "for owners that stop a timer and keep it")]
    pub(crate) fn stop(&self) -> bool {
        self.object()
            .is_some_and(|object| object.lock().set.take().is_some())
    }

    #[allow(dead_code, reason = "for owners that stop a timer and keep it")]
    pub(crate) fn stop_and_wait(&self, _: &mut Passive) -> bool {
        let Some(object) = self.object() else { return false };
        let mut state = object.lock();
        let was = state.set.take().is_some();
        while state.running != 0 {
            let Ok(again) = object.quiet.wait(state) else {
                unreachable!("a model does not poison")
            };
            state = again;
        }
        was
    }

    /// Does not wait, as where the deletion is handed to another thread.
    pub(crate) fn dispose(&self) {
        let Some(object) = self.0.lock().ok().and_then(|mut object| object.take()) else {
            return;
        };
        object.lock().set = None;
    }
}
