//! Execution level and synchronization scope: at which IRQL a driver's callbacks run, and which exclude each other.
//!
//! KMDF's rules: a device and a queue say `InheritFromParent` by default, the driver's own defaults are dispatch level
//! and no synchronization. With scope *device* all callbacks of the device's queues share the device's lock, with scope
//! *queue* each queue has one of its own. The lock is a mutex if the execution level is passive and a spin lock
//! otherwise, so that then the callbacks run at DISPATCH_LEVEL; where there is no such lock, they run at the IRQL of
//! whoever presents the request, which is PASSIVE_LEVEL for IRPs under Wine.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{_WDF_EXECUTION_LEVEL, _WDF_SYNCHRONIZATION_SCOPE, NTSTATUS, WDF_SYNCHRONIZATION_SCOPE};

use crate::device::Device;
use crate::irql;
use crate::nt::sync::Lock;
use crate::nt::{status, teb};
use crate::object::attributes::Attributes;
use crate::object::{AnyRef, tree};

use super::queue::Queue;

/// The lock under which an object's callbacks run. A thread that holds it may enter again.
pub(crate) struct PresentationLock {
    lock: Lock<()>,
    /// The holder's TEB; zero for none.
    owner: AtomicUsize,
    /// A mutex; else a spin lock, which raises to DISPATCH_LEVEL.
    passive: bool,
}

impl PresentationLock {
    fn new(passive: bool) -> Arc<Self> {
        Arc::new(Self {
            lock: Lock::new(()),
            owner: AtomicUsize::new(0),
            passive,
        })
    }

    /// Whether the running thread holds it.
    pub(crate) fn is_mine(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == teb::current()
    }

    /// Runs the callback under the lock.
    pub(crate) fn enter<R>(&self, callback: impl FnOnce() -> R) -> R {
        if self.is_mine() {
            return callback();
        }
        let guard = self.lock.lock();
        self.owner.store(teb::current(), Ordering::Relaxed);
        let result = if self.passive {
            callback()
        } else {
            irql::at_dispatch(callback)
        };
        self.owner.store(0, Ordering::Relaxed);
        drop(guard);
        result
    }
}

/// An object's resolved constraints.
#[derive(Clone)]
pub(crate) struct Constraints {
    /// Callbacks run at PASSIVE_LEVEL only.
    pub(crate) passive: bool,
    scope: WDF_SYNCHRONIZATION_SCOPE,
    /// The object's presentation lock. A device has one even if its own scope does not use it: a queue's may.
    own: Arc<PresentationLock>,
}

impl Constraints {
    /// A device's, from its attributes and the driver's.
    pub(crate) fn of_device(device: &Attributes, driver: &Attributes) -> Self {
        let passive = passive(device).or_else(|| passive(driver)).unwrap_or(false);
        let scope = scope(device)
            .or_else(|| scope(driver))
            .unwrap_or(_WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone);
        Self {
            passive,
            scope,
            own: PresentationLock::new(passive),
        }
    }

    /// A queue's, from its attributes and its device's constraints.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER for scope *device* with another execution level than the device's.
    pub(crate) fn of_queue(queue: &Attributes, device: &Self) -> Result<Self, NTSTATUS> {
        let passive = passive(queue).unwrap_or(device.passive);
        let scope = scope(queue).unwrap_or(device.scope);
        let own = if scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeDevice {
            if passive != device.passive {
                return Err(status::INVALID_PARAMETER);
            }
            device.own.clone()
        } else {
            PresentationLock::new(passive)
        };
        Ok(Self { passive, scope, own })
    }

    /// File object callbacks': passive always; scope *device* needs a passive device.
    ///
    /// # Errors
    /// STATUS_INVALID_DEVICE_REQUEST for scope *queue*, and for scope *device* on a device that is not passive.
    pub(crate) fn of_files(file: &Attributes, device: &Self) -> Result<Self, NTSTATUS> {
        let scope = scope(file).unwrap_or(device.scope);
        match scope {
            _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeQueue => Err(status::INVALID_DEVICE_REQUEST),
            _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeDevice if !device.passive => {
                Err(status::INVALID_DEVICE_REQUEST)
            }
            _ => Ok(Self {
                passive: true,
                scope,
                own: device.own.clone(),
            }),
        }
    }

    /// The lock to hold around callbacks; `None` if they are not synchronised.
    pub(crate) fn lock(&self) -> Option<&Arc<PresentationLock>> {
        (self.scope != _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone).then_some(&self.own)
    }

    /// Runs a callback as these constraints demand.
    pub(crate) fn enter<R>(&self, callback: impl FnOnce() -> R) -> R {
        match self.lock() {
            Some(lock) => lock.enter(callback),
            None => callback(),
        }
    }

    /// Whether the running thread may enter now: it is not at a higher IRQL than the callbacks' level, and does not
    /// hold the lock already.
    pub(crate) fn admit_this_thread(&self) -> bool {
        let too_high = self.passive && irql::current() > irql::PASSIVE;
        let inside = self.lock().is_some_and(|lock| lock.is_mine());
        !too_high && !inside
    }
}

fn passive(attributes: &Attributes) -> Option<bool> {
    match attributes.execution_level {
        _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive => Some(true),
        _WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch => Some(false),
        _ => None,
    }
}

fn scope(attributes: &Attributes) -> Option<WDF_SYNCHRONIZATION_SCOPE> {
    let given = attributes.synchronization_scope;
    (given != _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent).then_some(given)
}

/// The lock that `AutomaticSerialization` of a timer, DPC or work item with this parent means, and whether it is
/// passive: that of the nearest queue or device at or above the parent. `None`: their callbacks are not synchronised.
pub(crate) fn of_parent(parent: &AnyRef) -> Option<(Arc<PresentationLock>, bool)> {
    let constraints = match tree::ancestor::<Queue>(parent) {
        Some(queue) => queue.constraints.clone(),
        None => tree::ancestor::<Device>(parent)?.io.constraints.clone(),
    };
    constraints.lock().map(|lock| (lock.clone(), constraints.passive))
}
