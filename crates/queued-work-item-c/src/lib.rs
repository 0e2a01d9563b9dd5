//! `QueuedWorkItem` for KMDF drivers in C and C++.
//!
//! What a C driver links is `queued_work_item.lib`, and what it includes is `include/queued_work_item.h`, where each verb
//! is documented: here is only what turns them into the Rust library's.
//!
//! | module | what |
//! |---|---|
//! | `framework` | the client's function table and globals, by which everything here calls KMDF |
//! | `config` | the configuration as the header lays it out, and create |
//! | `verbs` | all that is done with a queue |
//! | `callbacks` | the client's functions, as the Rust library calls them |
//!
//! # Symbols
//! A static library shares one name space with the driver that links it. The build therefore renames every symbol that
//! is defined here and is not one of the header's, and checks what is left: the verbs are all that a linker sees.
//! What this library needs in its turn is a handful of the kernel's functions, among them `memcpy` and its like, which every KMDF driver links
//! `ntoskrnl.lib` for. A panic is a bug check, and no path that a caller can reach has one.
#![no_std]

mod callbacks;
mod config;
mod framework;
mod verbs;

// Linked for its panic handler.
extern crate wdk_panic;
