//! Timers: an expiry runs at a simulated `DISPATCH_LEVEL`, on a thread of its own or inside a machine's `advance`.

extern crate std;

use std::boxed::Box;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::clock::Setting;
use super::machine::{Entered, Expiry, Inner as MachineInner, current};
use super::work::{Child, Parent};
use super::{check_irql, current_irql, raise_irql, workers};
use crate::kernel::{Irql, Target};
use crate::{NtStatus, Passive};

/// The timer itself. It lives while anything may still let it expire, and then releases its core.
pub(super) struct Object {
    target: Target,
    machine: Arc<MachineInner>,
    state: Mutex<State>,
    quiet: Condvar,
}

struct State {
    /// False once the parent is being deleted.
    open: bool,
    /// The setting that is to expire, and how.
    set: Option<(u64, Expiry)>,
    settings: u64,
    /// Expiries that have been decided and not come to their end.
    running: u32,
}

impl Drop for Object {
    fn drop(&mut self) {
        let _entered = Entered::new(Arc::clone(&self.machine));
        // SAFETY: no expiry holds this object any more, and it is dropped once.
        unsafe { (self.target.released)(self.target.core) };
    }
}

/// An expiry that waits for [`Machine::release`](super::Machine::release): the timer has expired, its DPC is queued.
pub(super) struct HeldExpiry(Arc<Object>);

impl HeldExpiry {
    pub(super) fn start(self) {
        let Self(timer) = self;
        workers::submit(Box::new(move || timer.run()));
    }

    fn is_of(&self, timer: &Object) -> bool {
        core::ptr::eq(&raw const *self.0, timer)
    }
}

impl Object {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of a setting has come. `false`: it has been stopped or replaced, or waits to be released.
    pub(super) fn expire(self: Arc<Self>, number: u64, here: bool) -> bool {
        let how = {
            let mut state = self.lock();
            match state.set {
                Some((set, how)) if set == number => {
                    state.set = None;
                    state.running += if how == Expiry::Repeated { 2 } else { 1 };
                    how
                }
                _ => return false,
            }
        };
        if matches!(how, Expiry::Held | Expiry::Repeated) {
            self.machine.hold_expiry(HeldExpiry(Arc::clone(&self)));
        }
        if how == Expiry::Held {
            return false;
        }
        if here {
            self.run();
        } else {
            workers::submit(Box::new(move || self.run()));
        }
        true
    }

    /// The DPC, counted in `running`.
    fn run(&self) {
        let _entered = Entered::new(Arc::clone(&self.machine));
        {
            let _raised = raise_irql(Irql::DISPATCH);
            // SAFETY: the core lives until `released`, which only this object's drop calls.
            unsafe { (self.target.run)(self.target.core) };
            assert!(
                current_irql() == Irql::DISPATCH,
                "a timer's callback returned at {}",
                current_irql()
            );
        }
        self.lock().running -= 1;
        self.quiet.notify_all();
    }

    fn stop(&self) -> bool {
        self.lock().set.take().is_some()
    }

    /// What `KeFlushQueuedDpcs` does: runs what is queued, and waits for what runs.
    fn flush(&self) {
        for held in self.machine.take_held_expiries(|held| held.is_of(self)) {
            held.start();
        }
        let mut state = self.lock();
        while state.running != 0 {
            state = self.quiet.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Child for Object {
    fn tear_down(&self) {
        {
            let mut state = self.lock();
            state.open = false;
            state.set = None;
        }
        self.flush();
        let _entered = Entered::new(Arc::clone(&self.machine));
        // SAFETY: the caller keeps the core by this object; a parent tears its children down once, and nothing can be
        // set from here on.
        unsafe { (self.target.torn_down)(self.target.core) };
    }
}

/// A timer, or the place for one.
#[derive(Default)]
pub(crate) struct Timer {
    object: Mutex<Option<Arc<Object>>>,
}

impl Timer {
    pub(crate) fn unbound() -> Self {
        Self::default()
    }

    fn place(&self) -> MutexGuard<'_, Option<Arc<Object>>> {
        self.object.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self) -> Option<Arc<Object>> {
        self.place().clone()
    }

    /// Creates the timer under `parent`. IRQL `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// `target`'s functions may be called with its core on any thread until `released` was.
    pub(crate) unsafe fn bind(&self, parent: &Parent, target: Target) -> Result<(), NtStatus> {
        check_irql(Irql::PASSIVE, "WdfTimerCreate");
        let machine = current();
        if !machine.admit_allocation() {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        let object = parent.adopt(|| Object {
            target,
            machine,
            state: Mutex::new(State {
                open: true,
                set: None,
                settings: 0,
                running: 0,
            }),
            quiet: Condvar::new(),
        })?;
        *self.place() = Some(object);
        Ok(())
    }

    /// The time, in 100 ns, by the clock that does not jump. Any IRQL.
    pub(crate) fn now(&self) -> u64 {
        self.object()
            .map_or_else(current, |object| Arc::clone(&object.machine))
            .clock
            .now()
    }

    /// Lets the timer expire once, `after` 100 ns from now, in the place of what it was set to. `false` when the timer
    /// is gone with its parent. IRQL `<= DISPATCH_LEVEL`.
    pub(crate) fn set(&self, after: u64) -> bool {
        check_irql(Irql::DISPATCH, "WdfTimerStart");
        let Some(timer) = self.object() else { return false };
        let how = timer.machine.next_expiry();
        let number = {
            let mut state = timer.lock();
            if !state.open {
                return false;
            }
            state.settings += 1;
            state.set = Some((state.settings, how));
            if how == Expiry::Early {
                state.running += 1;
            }
            state.settings
        };
        let setting = Setting {
            timer: Arc::downgrade(&timer),
            number,
        };
        timer.machine.clock.set(after, setting);
        timer.machine.note_setting();
        if how == Expiry::Early {
            // On another thread: this one may hold a lock that the callback takes.
            HeldExpiry(timer).start();
        }
        true
    }

    /// Takes the timer out. `true`: it was set, and will not expire. `false`: it was not set, or has expired, and its
    /// callback has run, runs or is about to. IRQL `<= DISPATCH_LEVEL`.
    #[allow(dead_code, reason = "for owners that stop a timer and keep it")]
    pub(crate) fn stop(&self) -> bool {
        check_irql(Irql::DISPATCH, "WdfTimerStop");
        self.object().is_some_and(|object| object.stop())
    }

    /// As [`stop`](Self::stop), and returns when no callback runs. IRQL `PASSIVE_LEVEL`.
    #[allow(dead_code, reason = "for owners that stop a timer and keep it")]
    pub(crate) fn stop_and_wait(&self, _: &mut Passive) -> bool {
        check_irql(Irql::PASSIVE, "WdfTimerStop that waits");
        let Some(object) = self.object() else { return false };
        let was = object.stop();
        object.flush();
        was
    }

    /// Deletes the timer; waits for its callback at `PASSIVE_LEVEL`. `released` follows when the last one has returned.
    pub(crate) fn dispose(&self) {
        check_irql(Irql::DISPATCH, "WdfObjectDelete");
        let Some(object) = self.place().take() else { return };
        object.stop();
        if current_irql() == Irql::PASSIVE {
            object.flush();
        }
    }
}
