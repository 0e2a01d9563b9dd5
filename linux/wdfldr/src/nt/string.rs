//! Counted UTF-16 strings.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use wdk_sys::UNICODE_STRING;

/// An owned UTF-16 string, zero-terminated behind its counted length.
#[derive(Clone, Default)]
pub(crate) struct Utf16(Vec<u16>);

impl Utf16 {
    pub(crate) fn new(units: &[u16]) -> Self {
        let mut vector = Vec::with_capacity(units.len() + 1);
        vector.extend_from_slice(units);
        vector.push(0);
        Self(vector)
    }

    pub(crate) fn from_ascii(text: &str) -> Self {
        Self(text.encode_utf16().chain([0]).collect())
    }

    pub(crate) fn units(&self) -> &[u16] {
        self.0.split_last().map_or(&[], |(_, units)| units)
    }

    /// A view as NT takes it; it borrows `self`, whatever the type says.
    pub(crate) fn as_unicode(&self) -> UNICODE_STRING {
        let bytes = u16::try_from(self.units().len() * 2).unwrap_or(u16::MAX - 1);
        UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes.saturating_add(2),
            Buffer: self.0.as_ptr().cast_mut(),
        }
    }
}

/// Shows UTF-16, unpaired surrogates replaced.
pub(crate) struct Show<'a>(pub(crate) &'a [u16]);

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        char::decode_utf16(self.0.iter().copied())
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .try_for_each(|c| f.write_char(c))
    }
}

/// The units of a driver's or of NT's counted string.
pub(crate) fn units(string: &UNICODE_STRING) -> &[u16] {
    if string.Buffer.is_null() {
        return &[];
    }
    // SAFETY: a UNICODE_STRING's buffer has `Length` readable bytes, by contract of whoever filled it.
    unsafe { core::slice::from_raw_parts(string.Buffer, usize::from(string.Length / 2)) }
}

/// Copies a driver's string; `None` for null.
pub(crate) fn copy(pointer: *const UNICODE_STRING) -> Option<Utf16> {
    crate::call::read(pointer).map(|string| Utf16::new(units(&string)))
}
