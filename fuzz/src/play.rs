//! Playing a program.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use queued_work_item::kernel::host::Machine;
use queued_work_item_exerciser::testing::{Client, Device, Rights};
use queued_work_item_ioctl::{
    CLOSE, CONFIGURE, Close, CloseReply, Configure, ENQUEUE_AND_WAIT, Enqueue, Header, STATUS_DELETE_PENDING,
    STATUS_DEVICE_NOT_READY, STATUS_SUCCESS, STATUS_TIMEOUT, TASK_CLOSE, TASK_CONFIGURE, TaskConfigure,
    TaskDroppedReply, VERSION, WaitReply, limits,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::lane::{Lane, PATIENCE};
use crate::program::{Program, Step};

/// What became of a program's requests: how many of each code ended with each status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    answers: BTreeMap<(u32, u32), u64>,
}

impl Report {
    pub(crate) fn add(&mut self, code: u32, status: u32) {
        *self.answers.entry((code, status)).or_default() += 1;
    }

    /// Adds what another program's requests became.
    pub fn merge(&mut self, other: &Self) {
        for (answer, count) in &other.answers {
            *self.answers.entry(*answer).or_default() += count;
        }
    }

    /// How many requests of this code ended with this status.
    pub fn count(&self, code: u32, status: u32) -> u64 {
        self.answers.get(&(code, status)).copied().unwrap_or(0)
    }

    /// Every status that was seen.
    pub fn statuses(&self) -> impl Iterator<Item = u32> {
        self.answers.keys().map(|(_, status)| *status)
    }
}

/// Plays the program that `bytes` are, on a device and a machine of its own.
///
/// # Panics
/// When an oracle is not satisfied; see the crate's documentation.
pub fn run(bytes: &[u8]) -> Report {
    let program = Program::decode(bytes);
    let machine = Machine::new();
    let entered = machine.enter();
    let device = Device::new().expect("there is memory");
    let report = play(&program, bytes, &device, &machine);
    drop(device);
    drop(entered);
    machine.assert_no_leaks();
    report
}

fn play(program: &Program, bytes: &[u8], device: &Device, machine: &Machine) -> Report {
    let of_lane = |second: bool| -> Vec<&Step> {
        program
            .steps
            .iter()
            .filter(|(lane, _)| *lane == second)
            .map(|(_, step)| step)
            .collect()
    };
    let (first, second) = (of_lane(false), of_lane(true));
    let removed = AtomicBool::new(false);
    let mut report = Report::default();
    thread::scope(|scope| {
        let other = (!second.is_empty()).then(|| {
            let removed = &removed;
            scope.spawn(move || {
                let _entered = machine.enter();
                let mut lane = Lane::new(device, bytes);
                for step in second {
                    lane.take(step, removed.load(Ordering::Acquire));
                }
                lane
            })
        });
        let mut lane = Lane::new(device, bytes);
        let mut system = System {
            device,
            machine,
            removed: &removed,
            powered: true,
        };
        for step in first {
            lane.take(step, removed.load(Ordering::Acquire));
            system.take(step);
        }
        let mut lanes = vec![lane];
        if let Some(other) = other {
            lanes.push(other.join().expect("the second lane panicked"));
        }
        if removed.load(Ordering::Acquire) {
            lanes.iter_mut().for_each(Lane::device_removed);
        }
        for lane in lanes {
            report.merge(&lane.end());
        }
        system.heal();
    });
    if removed.load(Ordering::Acquire) {
        let answered = device.open(Rights::BOTH).call(VERSION, &[], 0x1000);
        assert_eq!(answered.status, STATUS_DELETE_PENDING);
    } else {
        is_usable(&device.open(Rights::BOTH));
    }
    report
}

/// The system's side of the device: one thread's, as `PnP` is.
struct System<'a> {
    device: &'a Device,
    machine: &'a Machine,
    removed: &'a AtomicBool,
    powered: bool,
}

impl System<'_> {
    fn take(&mut self, step: &Step) {
        let removed = self.removed.load(Ordering::Acquire);
        match step {
            Step::D0Exit if self.powered && !removed => {
                self.device.d0_exit();
                self.powered = false;
            }
            Step::D0Entry if !self.powered && !removed => {
                self.device.d0_entry();
                self.powered = true;
            }
            Step::Remove => {
                self.device.remove();
                self.removed.store(true, Ordering::Release);
            }
            Step::DenyWorkers { deny } => self.device.deny_workers(*deny),
            Step::FailAllocation { nth } => self.machine.fail_allocation(u64::from(*nth)),
            _ => {}
        }
    }

    /// Ends what the program made go wrong.
    fn heal(&mut self) {
        self.machine.fail_allocation(0);
        self.device.deny_workers(false);
        self.take(&Step::D0Entry);
    }
}

/// Whether the device does its work: no handle is open but this one, and nobody asks for anything else.
fn is_usable(client: &Client<'_>) {
    let close = |instance| {
        let request = Close {
            header: Header::new(instance),
            mode: Close::CANCEL,
            reserved: 0,
        };
        client
            .call(CLOSE, request.as_bytes(), size_of::<CloseReply>())
            .status
    };
    // What a closed handle had asked for may still be ending: instances that close, threads that wait.
    for instance in 0..limits::INSTANCES {
        until("closes", || close(instance), STATUS_DEVICE_NOT_READY);
    }
    // One that is still being made is not there to be closed, and is there later.
    for task in 0..limits::TASKS {
        let close = || {
            client
                .call(
                    TASK_CLOSE,
                    Header::new(task).as_bytes(),
                    size_of::<TaskDroppedReply>(),
                )
                .status
        };
        let make = || {
            let closed = close();
            assert!(
                [STATUS_SUCCESS, STATUS_DEVICE_NOT_READY].contains(&closed),
                "{closed:#x}"
            );
            let task = TaskConfigure::new(task, TaskConfigure::ON_DEMAND, TaskConfigure::DEFERRED);
            client.call(TASK_CONFIGURE, task.as_bytes(), 0).status
        };
        until("is made", make, STATUS_SUCCESS);
        assert_eq!(close(), STATUS_SUCCESS);
    }
    let configure = Configure::new(0, 4, 16);
    until(
        "is made",
        || client.call(CONFIGURE, configure.as_bytes(), 0).status,
        STATUS_SUCCESS,
    );
    let item = Enqueue::new(0, 0x0BAD_CAFE).with_status(STATUS_TIMEOUT);
    let input = [item.as_bytes(), &[1; 16]].concat();
    let answered = client.call(ENQUEUE_AND_WAIT, &input, size_of::<WaitReply>());
    assert_eq!(answered.status, STATUS_SUCCESS);
    let expected = WaitReply {
        tag: 0x0BAD_CAFE,
        status: STATUS_TIMEOUT,
        outcome: WaitReply::RAN,
    };
    assert_eq!(WaitReply::read_from_bytes(&answered.output), Ok(expected));
}

fn until(what: &str, ask: impl Fn() -> u32, wanted: u32) {
    let begun = Instant::now();
    loop {
        let status = ask();
        if status == wanted {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "an instance or a task never {what} again: {status:#x}"
        );
        thread::yield_now();
    }
}
