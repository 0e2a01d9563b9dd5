//! The fuzzer: libFuzzer around [`queued_work_item_fuzz::run`].

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    queued_work_item_fuzz::run(bytes);
});
