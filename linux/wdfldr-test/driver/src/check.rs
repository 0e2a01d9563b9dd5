//! Verdicts: a case says what it expected and what it got, and where.

use alloc::string::String;
use core::fmt;

use wdk_sys::{NT_SUCCESS, NTSTATUS};

/// What a case comes to: the reason if it failed.
pub(crate) type Verdict<T = ()> = Result<T, String>;

/// An NTSTATUS that prints as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) NTSTATUS);

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NTSTATUS {:#010X}", self.0)
    }
}

/// Fails the case unless a call succeeded.
pub(crate) fn success(what: &str, status: NTSTATUS) -> Verdict {
    if NT_SUCCESS(status) {
        Ok(())
    } else {
        Err(alloc::format!("{what}: {:?}", Status(status)))
    }
}

/// Fails the case unless a condition holds.
macro_rules! check {
    ($condition:expr, $($argument:tt)+) => {
        if !$condition {
            return Err(alloc::format!("{}:{}: {}", file!(), line!(), format_args!($($argument)+)));
        }
    };
}

/// Fails the case unless a value is what it should be.
macro_rules! equal {
    ($got:expr, $expected:expr, $($argument:tt)+) => {{
        let (got, expected) = ($got, $expected);
        check!(got == expected, "{}: {got:?}, not {expected:?}", format_args!($($argument)+));
    }};
}

/// Fails the case unless a call returns this very status.
macro_rules! status {
    ($call:expr, $expected:expr, $($argument:tt)+) => {
        equal!($crate::check::Status($call), $crate::check::Status($expected), $($argument)+)
    };
}
