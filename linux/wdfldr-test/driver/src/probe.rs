//! What a callback leaves for a case to look at.
//!
//! A probe is a static of its case: a callback that comes late, because the runtime is wrong, finds it still there.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{KEVENT, KIRQL, LARGE_INTEGER, NT_SUCCESS, STATUS_TIMEOUT};

/// How long a case waits for what must come: far longer than it takes.
const PATIENCE: i64 = 10_000;

/// A notification event.
pub(crate) struct Event(UnsafeCell<MaybeUninit<KEVENT>>);

// SAFETY: the kernel's functions for events may be called from any thread.
unsafe impl Sync for Event {}

impl Event {
    /// To be [reset](Self::reset) before its first use.
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    const fn event(&self) -> *mut KEVENT {
        self.0.get().cast()
    }

    /// Makes it anew, not signalled. Nobody waits for it.
    pub(crate) fn reset(&self) {
        // SAFETY: the memory is this event's, and nobody uses it now.
        unsafe {
            wdk_sys::ntddk::KeInitializeEvent(self.event(), wdk_sys::_EVENT_TYPE::NotificationEvent, 0);
        };
    }

    /// Signals it. IRQL: <= `DISPATCH_LEVEL`.
    pub(crate) fn set(&self) {
        // SAFETY: an initialised event.
        unsafe { wdk_sys::ntddk::KeSetEvent(self.event(), 0, 0) };
    }

    /// Waits some milliseconds at most; whether it was signalled. IRQL: `PASSIVE_LEVEL`, or any for 0.
    pub(crate) fn wait(&self, milliseconds: i64) -> bool {
        let mut timeout = LARGE_INTEGER {
            // Negative is relative, in units of 100 ns.
            QuadPart: -milliseconds * 10_000,
        };
        // SAFETY: an initialised event.
        let status = unsafe {
            wdk_sys::ntddk::KeWaitForSingleObject(
                self.event().cast(),
                wdk_sys::_KWAIT_REASON::Executive,
                0, // KernelMode
                0,
                &raw mut timeout,
            )
        };
        NT_SUCCESS(status) && status != STATUS_TIMEOUT
    }

    /// Waits for what must come; whether it did.
    pub(crate) fn comes(&self) -> bool {
        self.wait(PATIENCE)
    }
}

/// Lets time pass, for what must not happen in it.
pub(crate) fn pause(milliseconds: i64) {
    let mut interval = LARGE_INTEGER {
        QuadPart: -milliseconds * 10_000,
    };
    // SAFETY: at PASSIVE_LEVEL, with a local.
    let _ = unsafe { wdk_sys::ntddk::KeDelayExecutionThread(0, 0, &raw mut interval) };
}

/// The time since some moment, in 100 ns.
pub(crate) fn now() -> i64 {
    let mut frequency = LARGE_INTEGER::default();
    // SAFETY: the frequency's place is a local.
    let counter = unsafe { wdk_sys::ntddk::KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: any bits are a number.
    let (counter, frequency) = (unsafe { counter.QuadPart }, quad(frequency));
    i64::try_from(i128::from(counter) * 10_000_000 / i128::from(frequency)).unwrap_or(i64::MAX)
}

const fn quad(number: LARGE_INTEGER) -> i64 {
    // SAFETY: any bits are a number.
    unsafe { number.QuadPart }
}

/// The IRQL of the calling thread.
pub(crate) fn irql() -> KIRQL {
    // SAFETY: callable anywhere.
    unsafe { wdk_sys::ntddk::KeGetCurrentIrql() }
}

/// Counts the runs of a callback, sees their IRQL, and can hold them up.
pub(crate) struct Probe {
    runs: AtomicU32,
    /// One bit for each IRQL at which it ran.
    irqls: AtomicU32,
    /// Runs that are yet to be waited for, see [`Probe::reach`].
    wanted: AtomicU32,
    reached: Event,
    /// Signalled when a run has begun.
    pub(crate) entered: Event,
    /// What [`Probe::hold`] waits for.
    pub(crate) gate: Event,
}

impl Probe {
    /// To be [reset](Self::reset) by its case.
    pub(crate) const fn new() -> Self {
        Self {
            runs: AtomicU32::new(0),
            irqls: AtomicU32::new(0),
            wanted: AtomicU32::new(0),
            reached: Event::new(),
            entered: Event::new(),
            gate: Event::new(),
        }
    }

    /// Forgets everything; the next case begins.
    pub(crate) fn reset(&self) {
        self.runs.store(0, SeqCst);
        self.irqls.store(0, SeqCst);
        self.wanted.store(0, SeqCst);
        self.reached.reset();
        self.entered.reset();
        self.gate.reset();
    }

    /// A run, without more to do in it.
    pub(crate) fn hit(&self) {
        self.enter();
        self.leave();
    }

    /// A run begins.
    pub(crate) fn enter(&self) {
        self.irqls.fetch_or(1 << irql(), SeqCst);
        self.entered.set();
    }

    /// A run ends.
    pub(crate) fn leave(&self) {
        let runs = self.runs.fetch_add(1, SeqCst) + 1;
        let wanted = self.wanted.load(SeqCst);
        if wanted != 0 && runs >= wanted {
            self.reached.set();
        }
    }

    /// A run that stays inside until the gate opens (or a time-out, so that a failing case ends).
    pub(crate) fn hold(&self) {
        self.enter();
        self.gate.comes();
        self.leave();
    }

    /// Waits until so many runs have ended; whether they have.
    pub(crate) fn reach(&self, runs: u32) -> bool {
        self.reached.reset();
        self.wanted.store(runs, SeqCst);
        self.runs() >= runs || self.reached.comes()
    }

    /// Runs that have ended.
    pub(crate) fn runs(&self) -> u32 {
        self.runs.load(SeqCst)
    }

    /// Whether all runs were at this IRQL, and there was one.
    pub(crate) fn ran_at(&self, irql: u32) -> bool {
        self.irqls.load(SeqCst) == 1 << irql
    }
}
