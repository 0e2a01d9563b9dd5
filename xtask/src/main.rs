//! The Linux front door.
fn main() {}
