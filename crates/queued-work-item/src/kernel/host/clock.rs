//! The time that timers go by: real, or a machine's own, held and moved on by hand.
//!
//! A test that waits for a real timer is slow and proves nothing about the one interleaving in a thousand that matters.
//! On a machine whose time is held, timers expire inside [`Machine::advance`](super::Machine::advance), on the thread
//! that calls it, in the order of their due times.

extern crate std;

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::timer::Object;

/// A setting of a timer: stale when the timer has been set anew, stopped or deleted. It does not keep the timer.
pub(super) struct Setting {
    pub(super) timer: Weak<Object>,
    pub(super) number: u64,
}

/// Settings by due time, and by the order in which they were made.
type Agenda = BTreeMap<(u64, u64), Setting>;

/// A machine's clock.
#[derive(Default)]
pub(super) struct Clock(Mutex<Held>);

#[derive(Default)]
struct Held {
    /// The time, when it is held.
    now: Option<u64>,
    agenda: Agenda,
    made: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A duration in units of 100 ns.
pub(super) fn units(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos() / 100).unwrap_or(u64::MAX)
}

/// Real time, in units of 100 ns.
fn real() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    units(START.get_or_init(Instant::now).elapsed())
}

impl Clock {
    pub(super) fn now(&self) -> u64 {
        lock(&self.0).now.unwrap_or_else(real)
    }

    pub(super) fn hold(&self) {
        let mut held = lock(&self.0);
        if held.now.is_none() {
            held.now = Some(real());
        }
    }

    /// Lets `setting` expire `after` this many units.
    pub(super) fn set(&self, after: u64, setting: Setting) {
        let mut held = lock(&self.0);
        let Some(now) = held.now else {
            drop(held);
            RealTime::get().set(real().saturating_add(after), setting);
            return;
        };
        held.made += 1;
        let key = (now.saturating_add(after), held.made);
        held.agenda.insert(key, setting);
    }

    /// Moves held time on, timer by timer. How many expired.
    pub(super) fn advance(&self, by: Duration) -> usize {
        let until = {
            let held = lock(&self.0);
            let Some(now) = held.now else {
                panic!("time is moved on by hand where it is held: call `hold_time` first")
            };
            now.saturating_add(units(by))
        };
        let mut expired = 0;
        loop {
            let setting = {
                let mut held = lock(&self.0);
                let now = held.now.unwrap_or(until);
                match held.agenda.first_key_value() {
                    Some(((due, _), _)) if *due <= until => {
                        let due = *due;
                        held.now = Some(due.max(now));
                        held.agenda.pop_first().map(|(_, setting)| setting)
                    }
                    _ => {
                        held.now = Some(until.max(now));
                        None
                    }
                }
            };
            let Some(Setting { timer, number }) = setting else {
                return expired;
            };
            expired += usize::from(timer.upgrade().is_some_and(|timer| timer.expire(number, true)));
        }
    }
}

/// The thread that waits for real time.
struct RealTime {
    agenda: Mutex<(Agenda, u64)>,
    changed: Condvar,
}

impl RealTime {
    fn get() -> &'static Self {
        static REAL_TIME: OnceLock<RealTime> = OnceLock::new();
        REAL_TIME.get_or_init(|| {
            std::thread::spawn(|| Self::get().serve());
            Self {
                agenda: Mutex::default(),
                changed: Condvar::new(),
            }
        })
    }

    fn set(&self, due: u64, setting: Setting) {
        let mut agenda = lock(&self.agenda);
        agenda.1 += 1;
        let key = (due, agenda.1);
        agenda.0.insert(key, setting);
        drop(agenda);
        self.changed.notify_one();
    }

    fn serve(&self) {
        let mut agenda = lock(&self.agenda);
        loop {
            let now = real();
            let Some(next) = agenda.0.first_entry() else {
                agenda = self.changed.wait(agenda).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let due = next.key().0;
            if due <= now {
                let Setting { timer, number } = next.remove();
                drop(agenda);
                if let Some(timer) = timer.upgrade() {
                    timer.expire(number, false);
                }
                agenda = lock(&self.agenda);
            } else {
                let left = Duration::from_nanos((due - now).saturating_mul(100));
                agenda = self
                    .changed
                    .wait_timeout(agenda, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }
}
