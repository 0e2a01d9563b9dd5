//! The name of a persistent task's value, and the value.

use super::MAX_NAME;
use crate::kernel::parameters;
use crate::{CreateError, NtStatus, Passive};

/// A value's name, in place.
pub(crate) struct Name {
    units: [u16; MAX_NAME],
    length: usize,
}

impl Name {
    pub(crate) fn new(name: &str) -> Result<Self, CreateError> {
        let mut units = [0; MAX_NAME];
        let mut length = 0;
        for unit in name.encode_utf16() {
            // A zero would end the name for whoever lists the key.
            if unit == 0 {
                return Err(CreateError::InvalidConfig);
            }
            *units.get_mut(length).ok_or(CreateError::InvalidConfig)? = unit;
            length += 1;
        }
        if length == 0 {
            return Err(CreateError::InvalidConfig);
        }
        Ok(Self { units, length })
    }

    fn units(&self) -> &[u16] {
        self.units.get(..self.length).unwrap_or_default()
    }

    /// The value: 0 where there is none.
    pub(crate) fn load(&self, _: &mut Passive) -> Result<u32, NtStatus> {
        Ok(parameters::query(self.units())?.unwrap_or(0))
    }

    pub(crate) fn store(&self, _: &mut Passive, value: u32) -> Result<(), NtStatus> {
        parameters::assign(self.units(), value)
    }
}
