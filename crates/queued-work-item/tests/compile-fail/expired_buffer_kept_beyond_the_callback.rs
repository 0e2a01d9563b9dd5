//! Whose time has come is the callback's: to give back or to queue again, not to keep.

use std::sync::Mutex;

use queued_work_item::kernel::Parent;
use queued_work_item::{Buffer, BufferQueue, Config, Passive};

fn keep(passive: &mut Passive) {
    let kept = Mutex::new(None::<Buffer<'static>>);
    let _ = <BufferQueue>::create_with_timer(passive, Parent::default(), &Config::new(1), move |_, buffer, _| {
        *kept.lock().unwrap() = Some(buffer);
    });
}

fn main() {}
