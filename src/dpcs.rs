//! DPCs for the verb that makes load at `DISPATCH_LEVEL`.
//!
//! Bare KDPCs rather than WDFDPCs, since only they can be told their processor: DPCs of one processor run one after the
//! other, and producers are to meet.

use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::AcqRel;

use queued_work_item::Passive;
use queued_work_item::kernel::{Event, EventKind};
use queued_work_item_exerciser::Dpcs;
use wdk_sys::{
    CCHAR, KAFFINITY, KDPC, PVOID,
    ntddk::{
        KeFlushQueuedDpcs, KeInitializeDpc, KeInsertQueueDpc, KeQueryActiveProcessors, KeSetImportanceDpc,
        KeSetTargetProcessorDpc,
    },
};

/// The DPCs of one load.
pub(crate) struct KernelDpcs {
    /// Never grows, so that no KDPC moves.
    dpcs: Vec<UnsafeCell<KDPC>>,
    /// Set by the last DPC of a round.
    done: Event,
}

/// What the DPCs of one round share.
struct Round<'a> {
    body: &'a (dyn Fn(u32) + Sync),
    done: &'a Event,
    /// DPCs that have not called the body.
    left: AtomicU32,
}

impl KernelDpcs {
    /// So many DPCs, dealt out to the processors. `None`: no memory.
    pub(crate) fn new(count: u32) -> Option<Self> {
        let mut dpcs = Vec::new();
        dpcs.try_reserve_exact(usize::try_from(count).ok()?).ok()?;
        let done = Event::new(EventKind::Synchronization).ok()?;
        dpcs.extend((0..count).map(|_| UnsafeCell::new(KDPC::default())));
        let all = Self { dpcs, done };
        // SAFETY: callable at any IRQL.
        let processors = unsafe { KeQueryActiveProcessors() };
        let mut numbers = numbers(processors).cycle();
        for (dpc, number) in all.dpcs.iter().zip(0..count) {
            // SAFETY: the KDPC's memory is nonpaged, stays where it is until the KDPC was flushed, and is in no use yet.
            // The context is a number, which the routine takes for no more.
            unsafe {
                KeInitializeDpc(
                    dpc.get(),
                    Some(routine),
                    ptr::without_provenance_mut(number as usize),
                );
            };
            if let Some(processor) = numbers.next() {
                // SAFETY: an initialised KDPC that is not queued, and an active processor.
                unsafe { KeSetTargetProcessorDpc(dpc.get(), processor) };
            }
            // SAFETY: an initialised KDPC that is not queued. A DPC of medium importance may lie on an idle processor
            // until its next clock tick.
            unsafe { KeSetImportanceDpc(dpc.get(), wdk_sys::_KDPC_IMPORTANCE::HighImportance) };
        }
        Some(all)
    }
}

/// The numbers of the processors in a mask.
fn numbers(mask: KAFFINITY) -> impl Iterator<Item = CCHAR> + Clone {
    (0..64).filter(move |number| mask >> *number & 1 != 0)
}

impl Dpcs for KernelDpcs {
    fn round(&self, body: &(dyn Fn(u32) + Sync), passive: &mut Passive) {
        let Ok(count) = u32::try_from(self.dpcs.len()) else {
            return;
        };
        if count == 0 {
            return;
        }
        let round = Round {
            body,
            done: &self.done,
            left: AtomicU32::new(count),
        };
        for dpc in &self.dpcs {
            // SAFETY: an initialised KDPC, which is not queued: the round before has ended. The round outlives the
            // wait below, which ends when no DPC uses it any more.
            unsafe {
                KeInsertQueueDpc(
                    dpc.get(),
                    ptr::from_ref(&round).cast_mut().cast(),
                    ptr::null_mut(),
                );
            };
        }
        self.done.wait(passive);
    }
}

impl Drop for KernelDpcs {
    fn drop(&mut self) {
        // The last round's DPCs have called their bodies, and may still be about to return.
        // SAFETY: loads end on threads of their own, at PASSIVE_LEVEL.
        unsafe { KeFlushQueuedDpcs() };
    }
}

/// `KDEFERRED_ROUTINE`
unsafe extern "C" fn routine(_dpc: *mut KDPC, number: PVOID, round: PVOID, _: PVOID) {
    // SAFETY: what `round` queued it with, which lives until `left` is 0.
    let round = unsafe { &*round.cast::<Round<'_>>() };
    // After the count, the round may be gone; the event is the `KernelDpcs`' own, which waits for this routine's return.
    let done = ptr::from_ref(round.done);
    // The number was made of a `u32`.
    (round.body)(u32::try_from(number.addr()).unwrap_or(u32::MAX));
    if round.left.fetch_sub(1, AcqRel) == 1 {
        // SAFETY: as said.
        unsafe { &*done }.set();
    }
}
