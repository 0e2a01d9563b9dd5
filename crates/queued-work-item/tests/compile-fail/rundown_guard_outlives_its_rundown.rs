//! A guard releases what it was acquired from.

use queued_work_item::Rundown;

fn release_too_late() {
    let guard = {
        let rundown = Rundown::new();
        rundown.acquire().unwrap()
    };
    drop(guard);
}

fn main() {}
