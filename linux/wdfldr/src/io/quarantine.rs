//! Completed IRPs are kept for a while before Wine frees them.
//!
//! When a client cancels an operation, the Wine server queues a call with the IRP's address for the thread that
//! dispatches, behind whatever else waits for it. If the driver completes the IRP meanwhile, Wine 8 frees it all the
//! same, and then calls `IoCancelIrp` with the dangling address: whatever lies there by then is taken for a cancel
//! routine. A completed IRP that still exists is harmless there, for it has no cancel routine.
//!
//! So a completion routine goes before Wine's. It lets Wine report the result, keeps the IRP from being freed, and has
//! it freed when so many later ones were completed that the server's queue has certainly moved on.

use alloc::collections::VecDeque;
use core::ffi::c_void;

use wdk_sys::{DEVICE_OBJECT, NTSTATUS, PIRP};

use super::irp::{self, Irp};
use crate::nt::sync::Lock;

/// `STATUS_MORE_PROCESSING_REQUIRED`.
const MORE_PROCESSING_REQUIRED: NTSTATUS = 0xC000_0016_u32.cast_signed();
/// How many IRPs are kept. What a client can have outstanding and cancel at once should fit.
const MOST: usize = 4096;
/// How many bytes of buffers are kept with them, if there are more than [`FEW`] IRPs.
const MOST_BYTES: usize = 16 << 20;
const FEW: usize = 256;

struct Kept {
    irps: VecDeque<(Irp, usize)>,
    bytes: usize,
}

static KEPT: Lock<Kept> = Lock::new(Kept {
    irps: VecDeque::new(),
    bytes: 0,
});

/// Completes an IRP, and keeps it if Wine's dispatcher made it.
pub(super) fn complete(irp: Irp, boost: i8) {
    irp.divert(completed, size_of(irp));
    irp.complete(boost);
}

/// The completion routine: Wine's own, and then no freeing.
unsafe extern "C" fn completed(device: *mut DEVICE_OBJECT, irp: PIRP, _context: *mut c_void) -> NTSTATUS {
    // SAFETY: NT calls this for an IRP that is just being completed.
    let irp = unsafe { Irp::new(irp) };
    let answer = irp.call_diverted(device);
    if answer != MORE_PROCESSING_REQUIRED {
        keep(irp);
    }
    // Either Wine goes on with the IRP when its dispatcher is through, or we have it.
    MORE_PROCESSING_REQUIRED
}

fn keep(irp: Irp) {
    let size = irp.diverted_size();
    let mut kept = KEPT.lock();
    kept.bytes += size;
    kept.irps.push_back((irp, size));
    while kept.irps.len() > MOST || (kept.bytes > MOST_BYTES && kept.irps.len() > FEW) {
        let Some((old, size)) = kept.irps.pop_front() else {
            break;
        };
        kept.bytes -= size;
        drop(kept);
        // No location is left in it, so this only frees.
        old.complete(0);
        kept = KEPT.lock();
    }
}

/// The bytes that stay allocated with a completed IRP.
fn size_of(irp: Irp) -> usize {
    match irp.major() {
        irp::READ | irp::WRITE => irp.span().length,
        irp::DEVICE_CONTROL | irp::INTERNAL_DEVICE_CONTROL => irp.ioctl().input.max(irp.ioctl().output),
        _ => 0,
    }
}
