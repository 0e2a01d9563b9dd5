//! The `Parameters` key of the simulated driver: values that outlive whatever wrote them, as long as their
//! [`Machine`](super::Machine) lasts.

extern crate std;

use std::collections::BTreeMap;
use std::string::String;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::machine::{Machine, current};
use crate::NtStatus;
use crate::kernel::{Irql, check_irql};

/// The key's values, and what its next calls will answer.
#[derive(Default)]
pub(super) struct Parameters(Mutex<State>);

#[derive(Default)]
struct State {
    values: BTreeMap<Vec<u16>, u32>,
    /// What the calls answer instead of doing anything, until it is taken away.
    failure: Option<NtStatus>,
}

impl Parameters {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of this name; `None` where there is none.
pub(crate) fn query(name: &[u16]) -> Result<Option<u32>, NtStatus> {
    check_irql(Irql::PASSIVE, "WdfRegistryQueryULong");
    let machine = current();
    let state = machine.parameters.lock();
    match state.failure {
        Some(status) => Err(status),
        None => Ok(state.values.get(name).copied()),
    }
}

/// Sets the value of this name.
pub(crate) fn assign(name: &[u16], value: u32) -> Result<(), NtStatus> {
    check_irql(Irql::PASSIVE, "WdfRegistryAssignULong");
    let machine = current();
    let mut state = machine.parameters.lock();
    if let Some(status) = state.failure {
        return Err(status);
    }
    state.values.insert(name.to_vec(), value);
    Ok(())
}

impl Machine {
    /// The values in the driver's `Parameters` key, by name.
    pub fn parameters(&self) -> Vec<(String, u32)> {
        let state = self.inner().parameters.lock();
        let values = state.values.iter();
        values
            .map(|(name, value)| (String::from_utf16_lossy(name), *value))
            .collect()
    }

    /// Lets every look into the `Parameters` key, and every change, fail with `failure` from now on; `None` for no
    /// failure.
    pub fn fail_parameters(&self, failure: Option<NtStatus>) {
        self.inner().parameters.lock().failure = failure;
    }
}
