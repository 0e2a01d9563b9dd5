//! The payload goes home with its buffer when the callback returns.

use queued_work_item::kernel::Parent;
use queued_work_item::{Config, Passive, QueuedWorkItem};

fn keep(passive: &mut Passive) {
    let mut kept: Option<&'static [u8]> = None;
    let config = Config::new(1).buffer_size(64);
    let _ = <QueuedWorkItem<[u8]>>::create(passive, Parent::default(), &config, move |item, _| {
        let _ = kept.insert(item.payload());
    });
}

fn main() {}
