//! Wine as the NT kernel: a prefix that is made once, sessions in it, and what can be learned from its kernel log.
//!
//! | file | what |
//! |---|---|
//! | `prefix` | the Windows installation: made, repaired, reset |
//! | `session` | Wine running, from a clean registry to its certain end |
//! | `interrupt` | the end of a session by Ctrl-C |
//! | `child` | a program with a time limit |
//! | `recorder` | the kernel log, read line by line |
//! | `log` | what a line of it means |
//! | `report` | what a developer is told of a failure |
//! | `device` | the driver installed, driven, removed, and its account at unload |
//! | `endtoend` | the tests of all that |
//! | `runtime` | the tests of the KMDF runtime |
//! | `example` | the tests of the guide's driver |
//! | `c_face` | the tests of the library for C drivers |
//! | `commands` | `run`, `harness`, `shell`, `log`, `clean-prefix` |

mod c_face;
mod child;
mod commands;
mod device;
mod endtoend;
mod example;
mod interrupt;
mod log;
mod prefix;
mod recorder;
mod report;
mod runtime;
mod session;

pub(crate) use c_face::test as test_c_face;
pub(crate) use commands::{
    HarnessOptions, LogOptions, RunOptions, RuntimeOptions, ShellOptions, clean_prefix, harness, log, run,
    shell,
};
pub(crate) use endtoend::EndToEnd;
pub(crate) use example::test as test_example;
pub(crate) use prefix::Prefix;
pub(crate) use runtime::test as test_runtime;
