//! The driver's request handling, without a driver.

use std::{
    mem::ManuallyDrop,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use queued_work_item::kernel::host::Machine;
use queued_work_item_exerciser::testing::{self, Pended, Rights};
use queued_work_item_harness::{
    Error, NtStatus,
    device::{Access, Completion, Device, Process, Request, Transport},
    load,
};

/// A device in memory, on a machine of its own, whose registry outlives it. Removed devices are leaked, because handles
/// and requests borrow them.
pub(crate) struct Memory {
    machine: Machine,
    device: Mutex<&'static testing::Device>,
}

impl Memory {
    /// A device that is started.
    pub(crate) fn new() -> Self {
        let machine = Machine::new();
        Self {
            device: Mutex::new(started(&machine)),
            machine,
        }
    }

    fn device(&self) -> &'static testing::Device {
        *self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.device().remove();
    }
}

fn started(machine: &Machine) -> &'static testing::Device {
    let _entered = machine.enter();
    Box::leak(Box::new(testing::Device::new().expect("memory for a device")))
}

impl Transport for Memory {
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error> {
        let rights = match access {
            Access::Read => Rights::READ,
            Access::ReadWrite => Rights::BOTH,
        };
        Ok(Box::new(Opened(self.device().open(rights))))
    }

    fn surprise_remove(&self) -> Result<(), Error> {
        self.device().remove();
        Ok(())
    }

    fn restore(&self) -> Result<(), Error> {
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = started(&self.machine);
        Ok(())
    }

    fn unload(&self) -> Result<(), Error> {
        Ok(())
    }

    fn second(&self) -> Result<Box<dyn Transport + '_>, Error> {
        Ok(Box::new(Self::new()))
    }

    fn process(&self) -> Result<Box<dyn Process + '_>, Error> {
        let device = Self {
            machine: self.machine.clone(),
            device: Mutex::new(self.device()),
        };
        let (tell, told) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let device = ManuallyDrop::new(device);
            load::load(
                &*device,
                Duration::from_mins(1),
                &mut || tell.send(()).expect("the starter listens"),
                &|| stopped.load(Ordering::Acquire),
            )
        });
        told.recv().expect("a load under way");
        Ok(Box::new(Loading { stop, thread }))
    }
}

/// A thread in the place of a process: its handles are closed under its requests.
struct Loading {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Process for Loading {
    fn kill(self: Box<Self>) -> Result<(), Error> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("a load that ends")
    }
}

struct Opened(testing::Client<'static>);

impl Device for Opened {
    fn submit(&self, code: u32, input: &[u8], output: usize) -> Result<Box<dyn Request>, Error> {
        Ok(Box::new(Sent(self.0.send(code, input, output))))
    }
}

struct Sent(Pended);

impl Request for Sent {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, Error> {
        Ok(self.0.wait_for(timeout).map(|answer| Completion {
            status: NtStatus(answer.status),
            output: answer.output,
        }))
    }

    fn cancel(&self) -> Result<(), Error> {
        self.0.cancel();
        Ok(())
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
