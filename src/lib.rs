//! A KMDF driver that exercises `QueuedWorkItem` through IOCTLs.
#![no_std]
