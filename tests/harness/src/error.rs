//! What can go wrong on the way to the driver: the cause, and what to do next.

use core::fmt;
use std::{path::PathBuf, time::Duration};

use queued_work_item_ioctl::CONTRACT_VERSION;

use crate::{NtStatus, status::Win32Error};

/// Why the harness could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No device offers the interface.
    NotInstalled,
    /// The system refuses: the process is not elevated.
    AccessDenied {
        /// What was refused.
        what: String,
    },
    /// The driver completed a control code with an error.
    Refused {
        /// The control code's name.
        verb: &'static str,
        /// The driver's status.
        status: NtStatus,
    },
    /// The driver did not answer in time.
    TimedOut {
        /// The control code's name.
        verb: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// A reply has not the length of its structure.
    BadReply {
        /// The control code's name.
        verb: &'static str,
        /// What the contract says, in bytes.
        expected: usize,
        /// What came, in bytes.
        got: usize,
    },
    /// The driver speaks another version of the contract.
    Contract {
        /// The driver's.
        driver: u32,
    },
    /// The command line makes no sense.
    Usage(String),
    /// There is no INF at this path.
    NoInf(PathBuf),
    /// A file that was asked for cannot be written.
    File {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A call of the system failed.
    System {
        /// Its name.
        call: &'static str,
        /// What it said.
        error: Win32Error,
    },
    /// The system did what it was asked, and what should have come of it is not there.
    Unverified(String),
    /// Something that this transport cannot do.
    NotSupported(String),
    /// Done, but only a restart of the machine completes it.
    RestartNeeded(&'static str),
}

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotInstalled => {
                "install the driver with `qwi-harness install`; `qwi-harness status` says what is there".into()
            }
            Self::AccessDenied { .. } => "run it again from an elevated (\"Run as administrator\") prompt".into(),
            Self::Refused { status, .. } => match *status {
                NtStatus::DEVICE_NOT_READY => "create the instance first: `qwi-harness configure`".into(),
                NtStatus::DEVICE_ALREADY_ATTACHED => "close the open instance first: `qwi-harness close`".into(),
                NtStatus::INSUFFICIENT_RESOURCES => {
                    "every buffer is taken: `qwi-harness flush` waits for them, `release` opens a closed gate, \
                     `configure --buffers` makes more"
                        .into()
                }
                NtStatus::INVALID_BUFFER_SIZE => {
                    "the payload is longer than the instance's buffers: see `qwi-harness configure --size`".into()
                }
                NtStatus::REVISION_MISMATCH => "install the driver of this build: `qwi-harness install`".into(),
                NtStatus::DELETE_PENDING => "it is closing or going away; try again when it is back".into(),
                NtStatus::ACCESS_DENIED => "the handle lacks write access: run it elevated".into(),
                _ => return None,
            },
            Self::TimedOut { .. } => {
                "is the gate closed? `qwi-harness stats` shows it, `qwi-harness release` opens it; `--timeout` waits \
                 longer"
                    .into()
            }
            Self::Contract { driver } if *driver > CONTRACT_VERSION => {
                "use the harness that came with the driver, or `qwi-harness install` the driver of this one".into()
            }
            Self::BadReply { .. } | Self::Contract { .. } => {
                "driver and harness are of different builds: `qwi-harness install` the driver of this one".into()
            }
            Self::File { .. } => "name a file in a folder that is there and can be written to".into(),
            Self::NoInf(_) => "name the driver's INF with `--inf PATH`".into(),
            Self::System { error, .. } => match error.0 {
                0xE000_022F | 0xE000_0242 | 0xE000_0228 | 0xE000_0247 => {
                    "Windows does not trust the package's signature: test-sign it, and `bcdedit /set testsigning on`"
                        .into()
                }
                1072 => "something still has the service open (services.msc?): close it, then uninstall again".into(),
                _ => return None,
            },
            Self::Unverified(_) => "the system's log (setupapi.dev.log, the kernel debugger) says why".into(),
            Self::RestartNeeded(_) => "restart the machine".into(),
            Self::Usage(_) => "`--help` says what can be asked".into(),
            Self::NotSupported(_) => return None,
        })
    }

    /// The process's exit code; the table is in `qwi-harness --help`.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NotInstalled => 3,
            Self::Refused { .. } => 4,
            Self::AccessDenied { .. } => 5,
            Self::TimedOut { .. } => 6,
            Self::Contract { .. } | Self::BadReply { .. } => 7,
            Self::NoInf(_) | Self::System { .. } | Self::Unverified(_) => 8,
            Self::NotSupported(_) => 9,
            Self::RestartNeeded(_) => 10,
            Self::File { .. } => 11,
        }
    }

    /// A failed call, told apart where the user can do something about it.
    #[must_use]
    pub fn system(call: &'static str, error: Win32Error) -> Self {
        if error == Win32Error::ACCESS_DENIED {
            Self::AccessDenied { what: call.into() }
        } else {
            Self::System { call, error }
        }
    }

    /// The status, if the driver refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<NtStatus> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str("the driver is not installed, or its device is not started"),
            Self::AccessDenied { what } => {
                write!(f, "{what}: {}", Win32Error::ACCESS_DENIED)
            }
            Self::Refused { verb, status } => write!(f, "{verb}: the driver answered {status}"),
            Self::TimedOut { verb, after } => write!(f, "{verb}: no answer within {} s", after.as_secs_f32()),
            Self::BadReply { verb, expected, got } => {
                write!(
                    f,
                    "{verb}: the reply has {got} bytes where the contract says {expected}"
                )
            }
            Self::Contract { driver } => write!(
                f,
                "the driver speaks contract {driver}, this harness {CONTRACT_VERSION}: the {} is the older one",
                if *driver < CONTRACT_VERSION {
                    "driver"
                } else {
                    "harness"
                }
            ),
            Self::File { path, why } => write!(f, "cannot write {}: {why}", path.display()),
            Self::NoInf(path) => write!(f, "there is no INF at {}", path.display()),
            Self::System { call, error } => write!(f, "{call}: {error}"),
            Self::Usage(what) | Self::Unverified(what) | Self::NotSupported(what) => f.write_str(what),
            Self::RestartNeeded(what) => write!(f, "{what}: done, but Windows wants a restart"),
        }
    }
}

impl core::error::Error for Error {}
