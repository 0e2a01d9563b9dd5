//! I/O: from an IRP to the driver's callback and back.
//!
//! An IRP becomes a WDFREQUEST ([`request`]), which belongs to one place at a time: to the framework, to a WDFQUEUE
//! ([`queue`]) or to the driver. Opens of the device become WDFFILEOBJECTs ([`file`]). What the device keeps for all of
//! this is a [`DeviceIo`].
//!
//! # What the device side calls
//!
//! | when | call |
//! |---|---|
//! | WdfDeviceCreate | [`DeviceIo::new`], into `Device::io` |
//! | an IRP that is not PnP's or power's, under the device's remove lock | [`dispatch`], whose status the dispatch routine returns |
//! | after EvtDeviceD0Entry succeeded | [`power_up`] |
//! | before EvtDeviceD0Exit | [`power_down`] |
//! | surprise removal and removal, after EvtDeviceReleaseHardware, before EvtDeviceSelfManagedIoFlush | [`purge_managed`] |
//! | removal, after that, before EvtDeviceSelfManagedIoCleanup | [`purge`] |
//! | deletion of the WDFDEVICE, when its remove lock is run down, before anything is disposed of | [`purge`], [`remove`] |
//!
//! Order and names are KMDF's: power-managed queues are stopped before D0Exit, then purged; the others live until the
//! end. All of these but [`dispatch`] may wait, so they are PASSIVE_LEVEL only, and may be called again. A wait that
//! takes long says in the log for which requests.
//!
//! # Locking
//!
//! Two kinds of lock, taken in this order: a queue's [`queue::Queue::core`], a request's [`request::Request::core`].
//! They are held for moments: never across a callback of the driver, never across `IoCompleteRequest`, never across a
//! call of NT that can wait. The last two matter more here than on Windows, because Wine calls cancel routines under a
//! lock that `IoCompleteRequest` takes too. For the same reason a cancel routine only moves the request to a list of
//! its queue; EvtRequestCancel, EvtIoCanceledOnQueue and the completion itself happen on a worker thread. KMDF does the
//! like whenever the cancelling thread does not meet a queue's constraints, so drivers cannot tell.
//!
//! Callbacks that are to be synchronised run under a [`presentation::PresentationLock`], which is taken last and with
//! none of the above held.

pub(crate) mod api;
mod dispatch;
pub(crate) mod file;
pub(crate) mod irp;
pub(crate) mod presentation;
mod quarantine;
pub(crate) mod queue;
pub(crate) mod request;
mod wait;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wdk_sys::NTSTATUS;

pub(crate) use api::ENTRIES;
pub(crate) use dispatch::dispatch;
pub(crate) use file::close_all as remove;

use crate::device::Device;
use crate::device::init::IoConfig;
use crate::nt::sync::Lock;
use crate::object::Ref;
use crate::object::attributes::Attributes;
use file::File;
use presentation::Constraints;
use queue::Queue;

/// Majors that a queue can be assigned to are below this.
const MAJORS: usize = 0x1c;

/// What a device keeps for its I/O.
pub(crate) struct DeviceIo {
    pub(crate) config: IoConfig,
    /// The device's own execution level, synchronization scope and presentation lock.
    pub(crate) constraints: Constraints,
    /// Those of EvtDeviceFileCreate, EvtFileCleanup and EvtFileClose.
    file_constraints: Constraints,
    state: Lock<State>,
}

struct State {
    /// Every queue, the internal one for creates included, until it is disposed of.
    queues: Vec<Ref<Queue>>,
    default_queue: Option<Ref<Queue>>,
    /// `WdfDeviceConfigureRequestDispatching`.
    by_major: [Option<Ref<Queue>>; MAJORS],
    /// Counts the requests that EvtDeviceFileCreate has; there is one if there is that callback.
    creates: Option<Ref<Queue>>,
    /// Open WDFFILEOBJECTs by FILE_OBJECT.
    files: BTreeMap<usize, Ref<File>>,
    /// Opens that have not been closed, with or without a WDFFILEOBJECT.
    opens: u32,
    /// Whether power-managed queues that are created now begin powered on.
    powered: bool,
    /// Whether queues that are created now accept nothing.
    shutting_down: bool,
}

impl DeviceIo {
    /// `attributes` are the device's, `driver` the WDFDRIVER's, from which execution level and synchronization scope are
    /// inherited.
    ///
    /// # Errors
    /// STATUS_INVALID_DEVICE_REQUEST if the file objects' synchronization scope is not possible.
    pub(crate) fn new(
        config: IoConfig,
        attributes: &Attributes,
        driver: &Attributes,
    ) -> Result<Self, NTSTATUS> {
        let constraints = Constraints::of_device(attributes, driver);
        let file_attributes = config
            .file_object
            .as_ref()
            .map_or(Attributes::NONE, |(_, attributes)| *attributes);
        let file_constraints = match &config.file_object {
            Some(_) => Constraints::of_files(&file_attributes, &constraints)?,
            None => constraints.clone(),
        };
        Ok(Self {
            config,
            constraints,
            file_constraints,
            state: Lock::new(State {
                queues: Vec::new(),
                default_queue: None,
                by_major: [const { None }; MAJORS],
                creates: None,
                files: BTreeMap::new(),
                opens: 0,
                powered: false,
                shutting_down: false,
            }),
        })
    }

    /// The queue that requests of this major function go to.
    fn queue_for(&self, major: u8) -> Option<Ref<Queue>> {
        let state = self.state.lock();
        let assigned = state.by_major.get(usize::from(major)).and_then(Option::as_ref);
        assigned.or(state.default_queue.as_ref()).cloned()
    }

    /// Whether requests go to this queue as they arrive.
    fn is_assigned(&self, queue: &Ref<Queue>) -> bool {
        let state = self.state.lock();
        let assigned = state.by_major.iter().flatten().chain(&state.default_queue);
        assigned
            .into_iter()
            .any(|other| other.header().raw_handle() == queue.header().raw_handle())
    }

    fn queues(&self) -> Vec<Ref<Queue>> {
        self.state.lock().queues.clone()
    }

    /// Forgets a queue that is being disposed of. The references are dropped outside of the lock.
    fn forget_queue(&self, queue: &Ref<Queue>) {
        let same = |other: &Ref<Queue>| other.header().raw_handle() == queue.header().raw_handle();
        let mut state = self.state.lock();
        let mut dropped: Vec<Ref<Queue>> = Vec::new();
        if let Some(at) = state.queues.iter().position(same) {
            dropped.push(state.queues.remove(at));
        }
        if state.default_queue.as_ref().is_some_and(same) {
            dropped.extend(state.default_queue.take());
        }
        if state.creates.as_ref().is_some_and(same) {
            dropped.extend(state.creates.take());
        }
        for entry in &mut state.by_major {
            if entry.as_ref().is_some_and(same) {
                dropped.extend(entry.take());
            }
        }
        drop(state);
    }
}

/// Powers the queues on. First all are resumed (EvtIoResume), then they dispatch, so that a queue which forwards to
/// another finds that one ready.
pub(crate) fn power_up(device: &Ref<Device>) {
    let queues = {
        let mut state = device.io.state.lock();
        state.powered = true;
        state.shutting_down = false;
        state.queues.clone()
    };
    for queue in &queues {
        queue::power::resume(queue);
    }
    for queue in &queues {
        queue::power::begin(queue);
    }
}

/// Powers the power-managed queues off: nothing more is presented, EvtIoStop is called for what the driver has, and the
/// call returns when each such request was completed, requeued or acknowledged.
pub(crate) fn power_down(device: &Ref<Device>) {
    let queues = {
        let mut state = device.io.state.lock();
        state.powered = false;
        state.queues.clone()
    };
    for queue in &queues {
        queue::power::freeze(queue);
    }
    for queue in &queues {
        queue::power::stop(queue);
    }
}

/// Purges the power-managed queues: queued requests are cancelled, EvtIoStop asks for the others.
pub(crate) fn purge_managed(device: &Ref<Device>) {
    shut_down(device, true);
}

/// Purges all queues.
pub(crate) fn purge(device: &Ref<Device>) {
    shut_down(device, true);
    shut_down(device, false);
}

fn shut_down(device: &Ref<Device>, managed: bool) {
    {
        let mut state = device.io.state.lock();
        state.powered = false;
        state.shutting_down = true;
    }
    for queue in device.io.queues() {
        if queue.config.power_managed == managed {
            queue::power::purge(&queue);
        }
    }
}
