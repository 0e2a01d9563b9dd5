//! Plug and Play: AddDevice, start, stop, removal; and the order of the driver's callbacks.
//!
//! Wine's PnP manager sends START, SURPRISE_REMOVAL and REMOVE, from another thread than the one that dispatches I/O,
//! and expects them completed when the dispatch routine returns. There are no power IRPs, so a device is in D0 from
//! start to stop. The order is KMDF's:
//!
//! | up | down |
//! |---|---|
//! | EvtDevicePrepareHardware | interfaces are disabled |
//! | EvtDeviceD0Entry | EvtDeviceSurpriseRemoval, if it is one |
//! | EvtDeviceD0EntryPostInterruptsEnabled | EvtDeviceSelfManagedIoSuspend |
//! | power-managed queues start | power-managed queues stop (EvtIoStop) |
//! | EvtDeviceSelfManagedIoInit, or Restart | EvtDeviceD0ExitPreInterruptsDisabled |
//! | interfaces are enabled | EvtDeviceD0Exit |
//! | | EvtDeviceReleaseHardware |
//! | | all queues are purged |
//! | | EvtDeviceSelfManagedIoFlush, EvtDeviceSelfManagedIoCleanup |
//! | | the WDFDEVICE is deleted |

use wdk_sys::{_WDF_POWER_DEVICE_STATE, NTSTATUS, PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP};

use super::init::DeviceInit;
use super::resources::{self, Lists};
use super::{Device, interface};
use crate::call::callback;
use crate::driver::Driver;
use crate::globals::Globals;
use crate::io;
use crate::nt::print::log;
use crate::nt::sync::Lock;
use crate::nt::{irp as nt_irp, status, success};
use crate::object::{self, AnyRef, Ref};

/// `IRP_MN_START_DEVICE`.
const START_DEVICE: u8 = 0x00;
/// `IRP_MN_QUERY_REMOVE_DEVICE`.
const QUERY_REMOVE_DEVICE: u8 = 0x01;
/// `IRP_MN_REMOVE_DEVICE`.
const REMOVE_DEVICE: u8 = 0x02;
/// `IRP_MN_CANCEL_REMOVE_DEVICE`.
const CANCEL_REMOVE_DEVICE: u8 = 0x03;
/// `IRP_MN_STOP_DEVICE`.
const STOP_DEVICE: u8 = 0x04;
/// `IRP_MN_QUERY_STOP_DEVICE`.
const QUERY_STOP_DEVICE: u8 = 0x05;
/// `IRP_MN_CANCEL_STOP_DEVICE`.
const CANCEL_STOP_DEVICE: u8 = 0x06;
/// `IRP_MN_SURPRISE_REMOVAL`.
const SURPRISE_REMOVAL: u8 = 0x17;

/// How far a device came up; what was done is undone in reverse.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says that one callback is due, and they are independent"
)]
#[derive(Clone, Copy, Default)]
struct Progress {
    /// EvtDeviceD0Entry succeeded, so EvtDeviceD0Exit is due.
    in_d0: bool,
    /// Self-managed I/O runs, so EvtDeviceSelfManagedIoSuspend is due.
    self_managed_running: bool,
    /// EvtDeviceSelfManagedIoInit succeeded once, so from then on it is Restart.
    self_managed_begun: bool,
    /// EvtDeviceSelfManagedIoInit was called, so Flush and Cleanup are due at the end.
    self_managed_to_clean_up: bool,
    started: bool,
    /// A start or a surprise removal has come.
    begun: bool,
}

/// The PnP part of a device. PnP IRPs are serial, the lock is for readers beside them.
pub(crate) struct Pnp {
    progress: Lock<Progress>,
    /// What EvtDevicePrepareHardware was shown; while it is here, EvtDeviceReleaseHardware is due.
    resources: Lock<Option<Lists>>,
}

impl Pnp {
    pub(super) fn new() -> Self {
        Self {
            progress: Lock::new(Progress::default()),
            resources: Lock::new(None),
        }
    }

    fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
    }

    /// Whether the device has been told to start, ever.
    pub(crate) fn has_begun(&self) -> bool {
        self.progress().begun
    }

    /// Whether the device is started: new interfaces are enabled at once.
    pub(crate) fn is_started(&self) -> bool {
        self.progress().started
    }
}

/// `DriverExtension->AddDevice`.
pub(crate) unsafe extern "C" fn add_device(driver_object: PDRIVER_OBJECT, pdo: PDEVICE_OBJECT) -> NTSTATUS {
    let Some(globals) = Globals::of_driver_object(driver_object) else {
        return status::NO_SUCH_DEVICE;
    };
    let Some(driver) = globals.root().and_then(AnyRef::downcast::<Driver>) else {
        return status::NO_SUCH_DEVICE;
    };
    let Some(device_add) = driver.config.EvtDriverDeviceAdd else {
        return status::SUCCESS;
    };
    if !globals.pool().may_allocate() {
        return status::INSUFFICIENT_RESOURCES;
    }
    let init = DeviceInit::new(pdo).give();
    let handle = driver.header().handle();
    let answer = callback!("EvtDriverDeviceAdd", device_add(handle, init));
    // SAFETY: the box was given out above; WdfDeviceCreate leaves an FDO's to us.
    let init = unsafe { alloc::boxed::Box::from_raw(init.cast::<DeviceInit>()) };
    match (init.created, success(answer)) {
        (Some(device), false) => {
            log!(
                "{}: EvtDriverDeviceAdd failed with 0x{:08x}",
                globals.name(),
                answer.cast_unsigned()
            );
            object::delete(device);
        }
        (None, true) => log!("{}: EvtDriverDeviceAdd made no device", globals.name()),
        (Some(_), true) | (None, false) => {}
    }
    answer
}

/// Takes an IRP_MJ_PNP.
pub(crate) fn dispatch(device: &Ref<Device>, irp: PIRP) -> NTSTATUS {
    let (_, minor) = nt_irp::function(irp);
    let Some(pnp) = &device.pnp else {
        return nt_irp::complete(irp, status::INVALID_DEVICE_REQUEST, 0);
    };
    match minor {
        START_DEVICE => {
            let mut answer = nt_irp::pass_and_wait(device.lower(), irp);
            if success(answer) {
                answer = start(device, pnp, irp);
            }
            nt_irp::complete(irp, answer, 0)
        }
        QUERY_REMOVE_DEVICE => {
            let answer = match device.callbacks.EvtDeviceQueryRemove {
                Some(query) => callback!("EvtDeviceQueryRemove", query(device.header().handle())),
                None => status::SUCCESS,
            };
            pass_if(success(answer), device, irp, answer)
        }
        QUERY_STOP_DEVICE => {
            let answer = match device.callbacks.EvtDeviceQueryStop {
                Some(query) => callback!("EvtDeviceQueryStop", query(device.header().handle())),
                None => status::SUCCESS,
            };
            pass_if(success(answer), device, irp, answer)
        }
        CANCEL_REMOVE_DEVICE | CANCEL_STOP_DEVICE => pass_if(true, device, irp, status::SUCCESS),
        STOP_DEVICE => {
            stop(device, pnp, _WDF_POWER_DEVICE_STATE::WdfPowerDeviceD3Final);
            pass_if(true, device, irp, status::SUCCESS)
        }
        SURPRISE_REMOVAL => {
            surprise(device, pnp);
            pass_if(true, device, irp, status::SUCCESS)
        }
        REMOVE_DEVICE => {
            remove(device, pnp);
            let lower = device.lower();
            nt_irp::set_status(irp, status::SUCCESS);
            let answer = nt_irp::pass(lower, irp);
            object::delete(device.any().clone());
            answer
        }
        _ => nt_irp::pass(device.lower(), irp),
    }
}

fn pass_if(pass: bool, device: &Ref<Device>, irp: PIRP, answer: NTSTATUS) -> NTSTATUS {
    if pass {
        nt_irp::set_status(irp, answer);
        nt_irp::pass(device.lower(), irp)
    } else {
        nt_irp::complete(irp, answer, 0)
    }
}

/// Brings the device up; on failure brings down what came up.
fn start(device: &Ref<Device>, pnp: &Pnp, irp: PIRP) -> NTSTATUS {
    let answer = power_up(device, pnp, irp);
    if !success(answer) {
        log!(
            "{}: device {:#x} does not start: 0x{:08x}",
            device.header().globals().name(),
            device.header().raw_handle(),
            answer.cast_unsigned()
        );
        stop(device, pnp, _WDF_POWER_DEVICE_STATE::WdfPowerDeviceD3Final);
        return answer;
    }
    pnp.note(|progress| progress.started = true);
    interface::enable_all(device);
    status::SUCCESS
}

fn power_up(device: &Ref<Device>, pnp: &Pnp, irp: PIRP) -> NTSTATUS {
    let handle = device.header().handle();
    let previous = _WDF_POWER_DEVICE_STATE::WdfPowerDeviceD3Final;
    let lists = match resources::lists_of(device, irp) {
        Ok(lists) => lists,
        Err(status) => return status,
    };
    pnp.note(|progress| progress.begun = true);
    let (raw, translated) = lists.handles();
    *pnp.resources.lock() = Some(lists);
    if let Some(prepare) = device.callbacks.EvtDevicePrepareHardware {
        let answer = callback!("EvtDevicePrepareHardware", prepare(handle, raw, translated));
        if !success(answer) {
            return answer;
        }
    }
    if let Some(entry) = device.callbacks.EvtDeviceD0Entry {
        let answer = callback!("EvtDeviceD0Entry", entry(handle, previous));
        if !success(answer) {
            return answer;
        }
    }
    pnp.note(|progress| progress.in_d0 = true);
    if let Some(entry) = device.callbacks.EvtDeviceD0EntryPostInterruptsEnabled {
        let answer = callback!("EvtDeviceD0EntryPostInterruptsEnabled", entry(handle, previous));
        if !success(answer) {
            return answer;
        }
    }
    io::power_up(device);
    let begun = pnp.progress().self_managed_begun;
    pnp.note(|progress| progress.self_managed_to_clean_up = true);
    let answer = match (begun, device.callbacks.EvtDeviceSelfManagedIoInit) {
        (true, _) => match device.callbacks.EvtDeviceSelfManagedIoRestart {
            Some(restart) => callback!("EvtDeviceSelfManagedIoRestart", restart(handle)),
            None => status::SUCCESS,
        },
        (false, Some(init)) => callback!("EvtDeviceSelfManagedIoInit", init(handle)),
        (false, None) => status::SUCCESS,
    };
    if success(answer) {
        pnp.note(|progress| {
            progress.self_managed_begun = true;
            progress.self_managed_running = true;
        });
    }
    answer
}

/// Brings the device down to where it can be started again.
fn stop(device: &Ref<Device>, pnp: &Pnp, target: _WDF_POWER_DEVICE_STATE::Type) {
    let handle = device.header().handle();
    let before = pnp.progress();
    pnp.note(|progress| {
        progress.started = false;
        progress.self_managed_running = false;
        progress.in_d0 = false;
    });
    if before.started {
        interface::disable_all(device);
    }
    if let (true, Some(suspend)) = (
        before.self_managed_running,
        device.callbacks.EvtDeviceSelfManagedIoSuspend,
    ) {
        ignore(
            "EvtDeviceSelfManagedIoSuspend",
            callback!("EvtDeviceSelfManagedIoSuspend", suspend(handle)),
        );
    }
    if before.in_d0 {
        io::power_down(device);
        if let Some(exit) = device.callbacks.EvtDeviceD0ExitPreInterruptsDisabled {
            let answer = callback!("EvtDeviceD0ExitPreInterruptsDisabled", exit(handle, target));
            ignore("EvtDeviceD0ExitPreInterruptsDisabled", answer);
        }
        if let Some(exit) = device.callbacks.EvtDeviceD0Exit {
            ignore(
                "EvtDeviceD0Exit",
                callback!("EvtDeviceD0Exit", exit(handle, target)),
            );
        }
    }
    let lists = pnp.resources.lock().take();
    if let (Some(lists), Some(release)) = (lists, device.callbacks.EvtDeviceReleaseHardware) {
        let (_, translated) = lists.handles();
        ignore(
            "EvtDeviceReleaseHardware",
            callback!("EvtDeviceReleaseHardware", release(handle, translated)),
        );
    }
}

/// A failure on the way down changes nothing about going down.
fn ignore(callback: &str, answer: NTSTATUS) {
    if !success(answer) {
        log!("{callback} failed with 0x{:08x}", answer.cast_unsigned());
    }
}

fn surprise(device: &Ref<Device>, pnp: &Pnp) {
    pnp.note(|progress| progress.begun = true);
    interface::disable_all(device);
    if let Some(surprise) = device.callbacks.EvtDeviceSurpriseRemoval {
        callback!("EvtDeviceSurpriseRemoval", surprise(device.header().handle()));
    }
    stop(device, pnp, _WDF_POWER_DEVICE_STATE::WdfPowerDeviceD3Final);
    io::purge_managed(device);
    clean_up_self_managed(device, pnp, false);
}

fn remove(device: &Ref<Device>, pnp: &Pnp) {
    interface::disable_all(device);
    stop(device, pnp, _WDF_POWER_DEVICE_STATE::WdfPowerDeviceD3Final);
    device.remove_lock.close_and_wait();
    io::purge(device);
    clean_up_self_managed(device, pnp, true);
}

/// EvtDeviceSelfManagedIoFlush, once; and with the removal EvtDeviceSelfManagedIoCleanup, once.
fn clean_up_self_managed(device: &Ref<Device>, pnp: &Pnp, cleanup: bool) {
    let handle = device.header().handle();
    let before = pnp.progress();
    if before.self_managed_begun {
        pnp.note(|progress| progress.self_managed_begun = false);
        if let Some(flush) = device.callbacks.EvtDeviceSelfManagedIoFlush {
            callback!("EvtDeviceSelfManagedIoFlush", flush(handle));
        }
    }
    if cleanup && before.self_managed_to_clean_up {
        pnp.note(|progress| progress.self_managed_to_clean_up = false);
        if let Some(cleanup) = device.callbacks.EvtDeviceSelfManagedIoCleanup {
            callback!("EvtDeviceSelfManagedIoCleanup", cleanup(handle));
        }
    }
}
