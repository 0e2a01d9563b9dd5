//! The system's own words.

use core::ptr;

use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_FROM_SYSTEM, FORMAT_MESSAGE_IGNORE_INSERTS, FormatMessageW,
};

use super::{count, narrow};

/// What the system says of a Win32 error, on one line; `None` where it knows nothing.
pub fn message(error: u32) -> Option<String> {
    let mut buffer = [0_u16; 512];
    // SAFETY: the buffer is as long as the call is told, and no inserts are taken.
    let length = unsafe {
        FormatMessageW(
            FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS,
            ptr::null(),
            error,
            0,
            buffer.as_mut_ptr(),
            count(&buffer),
            ptr::null(),
        )
    };
    let text = narrow(buffer.get(..length as usize)?);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}
