//! A DPC's token is lent for the time of the call, and a lock that was taken by it is given back in it.

use queued_work_item::kernel::{Parent, SpinLock, SpinLockGuard};
use queued_work_item::{BufferQueue, Config, Dispatch, Passive};

fn keep_token(passive: &mut Passive) {
    let kept = std::sync::Mutex::new(None::<&'static Dispatch>);
    let _ = <BufferQueue>::create_with_timer(passive, Parent::default(), &Config::new(1), move |_, _, dispatch| {
        *kept.lock().unwrap() = Some(dispatch);
    });
}

fn keep_guard<'a>(lock: &'a SpinLock<u32>) -> SpinLockGuard<'a, u32> {
    let dispatch = unsafe { Dispatch::assume() };
    lock.lock_at_dispatch(&dispatch)
}

fn main() {}
