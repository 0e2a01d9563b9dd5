//! Lines in the kernel log.

use core::ffi::c_char;
use core::fmt::{self, Write};

use super::ffi;

/// The longest line; what exceeds it is cut.
const LINE: usize = 400;

/// Formats a line on the stack and hands it to `DbgPrint`.
///
/// Only `%s` is used there: Wine's own formatting of NT types is unreliable.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut buffer = Buffer {
        bytes: [0; LINE],
        length: 0,
    };
    // A full buffer cuts the line; the line is still worth printing.
    let _ = buffer.write_fmt(text);
    let _ = buffer.end();
    // SAFETY: the buffer is zero-terminated, `%s` takes one such argument.
    unsafe { ffi::DbgPrint(c"%s".as_ptr(), buffer.bytes.as_ptr().cast::<c_char>()) };
}

struct Buffer {
    bytes: [u8; LINE],
    length: usize,
}

impl Buffer {
    /// Ends the line, leaving room for the terminating zero.
    fn end(&mut self) -> fmt::Result {
        self.length = self.length.min(LINE - 2);
        self.bytes[self.length] = b'\n';
        self.bytes[self.length + 1] = 0;
        Ok(())
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE - 2 - self.length.min(LINE - 2);
        let taken = text.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        if taken < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// Prints one line that begins with `wdfldr:`.
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::nt::print::line(format_args!("wdfldr: {}", format_args!($($argument)*)))
    };
}
pub(crate) use log;
