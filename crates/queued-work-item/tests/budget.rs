//! The budget of memory: what a buffer costs beside its payload. That of instructions is checked by
//! `cargo xtask test budget`.

mod common;

use common::passive;
use queued_work_item::kernel::Parent;
use queued_work_item::kernel::host::Machine;
use queued_work_item::{Config, QueuedWorkItem};

/// Bytes of pool that a queue of this configuration holds.
fn pool(config: &Config) -> i64 {
    let machine = Machine::new();
    let _in = machine.enter();
    let queue: QueuedWorkItem<[u8]> =
        QueuedWorkItem::create(&mut passive(), Parent::default(), config, |_, _| ()).expect("create");
    let (_, bytes) = machine.outstanding();
    drop(queue);
    machine.assert_no_leaks();
    bytes
}

#[test]
fn a_buffer_of_16_bytes_costs_at_most_64_more() {
    const BUFFERS: u32 = 1_000;
    let of = |count| pool(&Config::new(count).buffer_size(16));
    // What is there once for an instance counts for nothing between two instances.
    let each = (of(2 * BUFFERS) - of(BUFFERS)) / i64::from(BUFFERS);
    assert!((16..=16 + 64).contains(&each), "{each} bytes a buffer");
    assert!(of(1) >= each);
}

#[test]
fn a_place_for_growth_costs_at_most_64_bytes_until_it_is_used() {
    const PLACES: u32 = 1_000;
    let of = |max| pool(&Config::new(1).buffer_size(4096).lookaside(max));
    let each = (of(1 + 2 * PLACES) - of(1 + PLACES)) / i64::from(PLACES);
    assert!((1..=64).contains(&each), "{each} bytes a place");
}
