//! A KMDF driver that tests the KMDF runtime it runs on.
//!
//! What KMDF promises is written here as a driver meets it: each case asks the framework for something documented and
//! compares. A runner in user mode asks for the cases one by one, and drives by itself what only requests and handles
//! can show. The driver knows nothing of the runtime; the same bytes are meant for Windows.
//!
//! | module | what |
//! |---|---|
//! | `wdf` | calling the framework, attributes, typed contexts |
//! | `check` | verdicts |
//! | `probe` | what a callback leaves for a case to look at: counts, IRQL, events |
//! | `cases` | what is shown inside the driver |
//! | `entry`, `device`, `events` | the driver, its device, and the record of their callbacks |
//! | `files` | file objects |
//! | `requests` | requests on their way in; those that are answered at once |
//! | `queues` | queues whose requests are held until the runner lets them go |
//! | `pended` | cancellable requests |
//! | `sequence` | creations under failing allocations |
//! | `violate` | rules broken on purpose |

#![no_std]

extern crate alloc;

#[macro_use]
mod check;
#[macro_use]
mod wdf;
mod cases;
mod device;
mod entry;
mod events;
mod files;
mod pended;
mod probe;
mod queues;
mod requests;
mod sequence;
mod violate;

// Linked for its panic handler: a bug check.
extern crate wdk_panic;

use wdk_alloc::WdkAllocator;

#[global_allocator]
static GLOBAL_ALLOCATOR: WdkAllocator = WdkAllocator;
