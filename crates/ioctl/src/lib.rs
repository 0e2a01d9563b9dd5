//! t
#![no_std]
