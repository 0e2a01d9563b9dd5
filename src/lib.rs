//! A KMDF driver that exercises `QueuedWorkItem` through IOCTLs.
//!
//! It is thin on purpose: every decision about a request is taken in `queued-work-item-exerciser`, which any host can
//! run and test. Here are the calls that Windows makes, and what the exerciser needs of the framework:
//!
//! | module | what |
//! |---|---|
//! | `entry` | `DriverEntry`, and the driver object |
//! | `device` | a PnP device: creation, interface, security, life cycle |
//! | `queue` | requests and file objects on their way in |
//! | `request` | a `WDFREQUEST` as the exerciser sees it, with its cancellation |
//! | `blocker` | threads for the verbs that block |
//! | `threads`, `dpcs` | parallel threads, and DPCs, for the verbs that make load |
//! | `bare` | the work item that the benchmark compares the queue with |
//! | `trace` | life cycle and errors, as `TraceLogging` events |
//! | `context` | Rust values in the framework's object contexts |
//!
//! The same bytes run on every KMDF from 1.15 up.

#![no_std]

extern crate alloc;

mod bare;
mod blocker;
mod context;
mod device;
mod dpcs;
mod entry;
mod queue;
mod request;
mod threads;
mod trace;

// Linked for its panic handler: a bug check, so no path that a caller can reach may panic.
extern crate wdk_panic;

use wdk_alloc::WdkAllocator;

/// Nonpaged pool, aligned to 16 bytes: no type of a greater alignment is ever allocated.
#[global_allocator]
static GLOBAL_ALLOCATOR: WdkAllocator = WdkAllocator;
