//! A callback runs on whatever worker thread there is.

use std::rc::Rc;

use queued_work_item::kernel::Parent;
use queued_work_item::{Config, Passive, QueuedWorkItem};

fn create(passive: &mut Passive, shared: Rc<u32>) {
    let _ = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(1), move |_, _| {
        let _ = &shared;
    });
}

fn main() {}
