//! What a driver developer or a CI runs to believe the driver.
//!
//! The harness must be able to fail for the right reason, so it is a library first: the [scenarios] know nothing of
//! Windows and speak through a [transport](device). The installed driver is one transport; the tests of this package
//! use another, which carries the same bytes to the same request-handling code on any host, and faulty ones, against
//! which the scenarios must fail and name the item.
//!
//! | layer | module |
//! |---|---|
//! | verdicts | [scenarios], [ledger] |
//! | the contract's verbs, typed | [client] |
//! | carrying a control code, waiting for it, cancelling it | [device] |
//! | Windows: device interface, overlapped requests, SetupAPI, services | `windows` |

pub mod client;
pub mod device;
pub mod error;
pub mod ledger;
pub mod payload;
pub mod runner;
pub mod scenarios;
pub mod status;
#[cfg(windows)]
pub mod windows;

pub use client::Client;
pub use error::Error;
pub use status::NtStatus;

/// The hardware id under which the device is root-enumerated; `inf/` says the same.
pub const HARDWARE_ID: &str = r"Root\QueuedWorkItem";
/// The driver's service; `inf/` says the same.
pub const SERVICE: &str = "queued_work_item_driver";
/// The file that `install` looks for beside the exe.
pub const INF: &str = "queued_work_item_driver.inf";
