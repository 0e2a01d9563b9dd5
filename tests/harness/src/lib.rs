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

pub mod bench;
pub mod cli;
pub mod client;
pub mod device;
pub mod error;
pub mod fuzz;
pub mod ledger;
pub mod load;
pub mod payload;
pub mod report;
pub mod runner;
pub mod scenarios;
pub mod status;
pub mod stress;
#[cfg(windows)]
pub mod windows;

pub use client::Client;
pub use error::Error;
pub use queued_work_item_ioctl::Guid;
pub use status::NtStatus;

/// A driver, as the system knows it: what it takes to install, find and remove one. Its INF says the same.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The hardware id under which the device is root-enumerated.
    pub hardware_id: &'static str,
    /// The driver's service.
    pub service: &'static str,
    /// The INF's file name, looked for beside the exe.
    pub inf: &'static str,
    /// The device interface.
    pub interface: Guid,
}

/// The driver that this harness is for.
pub const DRIVER: Identity = Identity {
    hardware_id: r"Root\QueuedWorkItem",
    service: "queued_work_item_driver",
    inf: "queued_work_item_driver.inf",
    interface: queued_work_item_ioctl::INTERFACE_GUID,
};
