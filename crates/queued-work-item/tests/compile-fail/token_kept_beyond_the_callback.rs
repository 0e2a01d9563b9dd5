//! A callback's token is lent for the time of the call.

use queued_work_item::kernel::Parent;
use queued_work_item::{Config, Passive, QueuedWorkItem};

fn keep(passive: &mut Passive) {
    let mut kept: Option<&'static Passive> = None;
    let _ = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(1), move |_, passive| {
        kept = Some(passive);
    });
}

fn main() {}
