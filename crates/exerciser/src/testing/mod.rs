//! An I/O manager in memory: handles with access rights, requests with one buffer for input and output, cancellation
//! with a cancel routine, and removal.
//!
//! It stands in for Windows and KMDF in the tests of this crate and in fuzz targets, and it is strict: it panics where
//! KMDF's verifier would stop, for a request that is completed twice, completed while it is cancellable, or unmarked
//! after it was completed.

mod irp;
mod platform;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use queued_work_item::{CreateError, Passive};

pub use self::irp::{Answered, PATIENCE, Pended};
use self::irp::{Irp, MemoryRequest};
pub use self::platform::Memory;
use self::platform::World;
use crate::{Exerciser, Handle};

/// `STATUS_ACCESS_DENIED`, which the I/O manager answers itself when a handle lacks the access that a code asks for.
pub const STATUS_ACCESS_DENIED: u32 = 0xC000_0022;

/// `WdfPowerDeviceD3`: where devices come from.
pub const D3: i32 = 4;

/// What a handle was opened for, in the bits that a control code has at 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(pub u32);

impl Rights {
    /// `FILE_READ_ACCESS`
    pub const READ: Self = Self(1);
    /// `FILE_WRITE_ACCESS`
    pub const WRITE: Self = Self(2);
    /// Both.
    pub const BOTH: Self = Self(3);
}

/// A device with its exerciser. Dropping it removes it, if it has not been removed.
pub struct Device {
    exerciser: Exerciser<Memory>,
    world: Arc<World>,
    handles: AtomicU64,
    /// Handles that are open.
    open: AtomicU64,
}

impl Device {
    /// A device that has been started, in the machine that this thread is in. Whichever thread speaks to it, and whatever
    /// works for it, is in that machine for as long.
    ///
    /// # Errors
    /// No memory, as the host backend was told to have none.
    pub fn new() -> Result<Self, CreateError> {
        let world = Arc::new(World::new());
        let exerciser = Exerciser::new(Memory::new(world.clone()))?;
        Ok(Self {
            exerciser,
            world,
            handles: AtomicU64::new(1),
            open: AtomicU64::new(0),
        })
    }

    /// Opens a handle.
    pub fn open(&self, rights: Rights) -> Client<'_> {
        self.open.fetch_add(1, Ordering::AcqRel);
        Client {
            device: self,
            handle: Handle(self.handles.fetch_add(1, Ordering::Relaxed)),
            rights,
        }
    }

    /// From now on no thread can be had for what blocks, or one can again.
    pub fn deny_workers(&self, deny: bool) {
        self.world.deny_workers(deny);
    }

    /// Takes the device out of D0.
    pub fn d0_exit(&self) {
        let _entered = self.world.machine().enter();
        self.exerciser.d0_exit(&mut passive());
    }

    /// Brings the device back into D0.
    pub fn d0_entry(&self) {
        let _entered = self.world.machine().enter();
        self.exerciser.d0_entry(D3, &mut passive());
    }

    /// Takes the device's hardware away and gives it back, as when resources are dealt out anew; it is out of D0 meanwhile.
    pub fn rebalance(&self) {
        let _entered = self.world.machine().enter();
        self.d0_exit();
        self.exerciser.release_hardware(&mut passive());
        self.exerciser.prepare_hardware(&mut passive());
        self.d0_entry();
    }

    /// Asks whether the device can be removed in order. The PnP manager vetoes while handles are open; this driver has
    /// nothing to add, and is not asked. After a query that somebody else vetoes, nothing has changed.
    pub fn query_remove(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Removes the device, as surprise removal does: handles stay open, and are refused from now on.
    pub fn remove(&self) {
        let _entered = self.world.machine().enter();
        self.exerciser.remove(&mut passive());
    }

    /// Removes the device in order, after [`Device::query_remove`]: it leaves D0 for good first.
    ///
    /// # Panics
    /// When a handle is open.
    pub fn remove_in_order(&self) {
        assert!(self.query_remove(), "the PnP manager vetoes");
        self.d0_exit();
        self.remove();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.remove();
        for worker in self.world.take_workers() {
            // A worker that panicked has found a fault; a panic in a drop that unwinds would hide the first one.
            let ended = worker.join();
            if !thread::panicking() {
                ended.expect("a job panicked");
            }
        }
    }
}

/// An open handle. Dropping it closes it.
pub struct Client<'a> {
    device: &'a Device,
    handle: Handle,
    rights: Rights,
}

impl Client<'_> {
    /// Sends a request, and returns it as it stands when the handler has returned.
    ///
    /// Access is checked as the I/O manager does it, by the code's own bits.
    pub fn send(&self, code: u32, input: &[u8], output_length: usize) -> Pended {
        let _entered = self.device.world.machine().enter();
        let irp = Irp::new(self.handle, code);
        let needed = (code >> 14) & 3;
        if self.rights.0 & needed == needed {
            let request = MemoryRequest::new(&irp, input, output_length);
            self.device.exerciser.handle(request, &mut passive());
        } else {
            irp.refuse(STATUS_ACCESS_DENIED);
        }
        Pended::new(irp)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Panics
    /// When there is none in [`PATIENCE`]: nothing that the tests wait for takes so long.
    pub fn call(&self, code: u32, input: &[u8], output_length: usize) -> Answered {
        self.send(code, input, output_length).wait()
    }
}

impl Client<'_> {
    /// The end of the process that has the handle, while these of its requests were waiting: the system cancels what it
    /// waits for, and then closes the handle.
    pub fn kill(self, waiting: &[Pended]) {
        waiting.iter().for_each(Pended::cancel);
        // `EvtFileCleanup`, and with the drop below `EvtFileClose`.
        self.device.exerciser.handle_closed(self.handle);
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.device.exerciser.handle_closed(self.handle);
        self.device.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The token of a test's thread.
pub fn passive() -> Passive {
    // SAFETY: threads of a host run at PASSIVE_LEVEL, and nothing here raises it for longer than a lock is held.
    unsafe { Passive::assume() }
}
