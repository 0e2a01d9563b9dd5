//! An item, and its status, exist only while the callback runs: nothing of it is left to use after a close.

use queued_work_item::kernel::Parent;
use queued_work_item::{Close, Config, Item, NtStatus, Passive, QueuedWorkItem};

fn set_too_late(passive: &mut Passive) {
    let (sender, receiver) = std::sync::mpsc::channel::<&'static mut Item<'static, u32, ()>>();
    let queue = <QueuedWorkItem<u32>>::create(passive, Parent::default(), &Config::new(1), move |item, _| {
        sender.send(item).unwrap();
    })
    .unwrap();
    queue.close(passive, Close::Drain).unwrap();
    receiver.recv().unwrap().set_status(NtStatus::UNSUCCESSFUL);
}

fn main() {}
