//! The device's life: its callbacks in order, and its removal under an open handle.

use queued_work_item_harness::{NtStatus, windows::service};
use wdfldr_test_contract as contract;
use wdfldr_test_contract::{EVENTS_VALUE, Event, SERVICE};

use crate::client::{
    Client, DRIVER, PATIENCE, Test, Verdict, bytes, check, equal, install, numbers_of, remove_device,
};
use crate::registry;

pub(crate) const TESTS: &[Test] = &[
    ("pnp::callbacks_come_in_order", callbacks_come_in_order),
    (
        "pnp::a_device_comes_and_goes_many_times",
        a_device_comes_and_goes_many_times,
    ),
    (
        "pnp::a_device_is_removed_under_an_open_handle",
        a_device_is_removed_under_an_open_handle,
    ),
];

/// Removes the device and unloads the driver; the callbacks that the driver wrote down.
fn unload() -> Verdict<Vec<Event>> {
    remove_device()?;
    service::stop(&DRIVER, PATIENCE).map_err(|error| error.to_string())?;
    let bytes = registry::bytes(SERVICE, EVENTS_VALUE)?;
    registry::remove(SERVICE, "", EVENTS_VALUE)?;
    Ok(numbers_of(&bytes).into_iter().filter_map(Event::of).collect())
}

/// A removal is orderly, or a surprise that the system springs: what both have is this.
const LIFE: [Event; 16] = [
    Event::DriverEntry,
    Event::DeviceAdd,
    Event::PrepareHardware,
    Event::D0Entry,
    Event::PostInterruptsEnabled,
    Event::SelfManagedIoInit,
    Event::SelfManagedIoSuspend,
    Event::PreInterruptsDisabled,
    Event::D0Exit,
    Event::ReleaseHardware,
    Event::SelfManagedIoFlush,
    Event::SelfManagedIoCleanup,
    Event::ChildCleanup,
    Event::DeviceCleanup,
    Event::DeviceDestroy,
    Event::DriverUnload,
];

fn callbacks_come_in_order() -> Verdict {
    unload()?;
    install()?;
    drop(Client::open_present()?);
    let seen = unload()?;
    let removal = [Event::QueryRemove, Event::SurpriseRemoval];
    let common: Vec<Event> = seen
        .iter()
        .copied()
        .filter(|event| !removal.contains(event))
        .collect();
    equal!(common, LIFE, "the callbacks");
    let place = |wanted| seen.iter().position(|event| *event == wanted);
    for event in removal {
        let fits = place(event).is_none_or(|at| {
            place(Event::SelfManagedIoInit) < Some(at) && Some(at) < place(Event::SelfManagedIoCleanup)
        });
        check!(fits, "{} came at a wrong time: {seen:?}", event.name());
    }
    install()
}

fn a_device_comes_and_goes_many_times() -> Verdict {
    // The driver stays loaded: one DriverEntry, five lives.
    unload()?;
    for _ in 0..5 {
        install()?;
        drop(Client::open_present()?);
        remove_device()?;
    }
    let seen = unload()?;
    for event in [
        Event::DeviceAdd,
        Event::SelfManagedIoCleanup,
        Event::DeviceDestroy,
    ] {
        let count = seen.iter().filter(|seen| **seen == event).count();
        // A system may unload a driver with its last device; the record is then of the last life.
        check!(
            count == 5 || count == 1,
            "{} was called {count} times: {seen:?}",
            event.name()
        );
    }
    equal!(
        seen.last().copied(),
        Some(Event::DriverUnload),
        "the last callback"
    );
    install()
}

/// Windows asks the handle's owner first, and may refuse to remove the device; Wine does not ask.
fn a_device_is_removed_under_an_open_handle() -> Verdict {
    let client = Client::open()?;
    let pended: Vec<_> = (0..3)
        .map(|tag| client.send(contract::PEND, &bytes(&[tag]), 8))
        .collect::<Verdict<_>>()?;
    let queued = client.hold(contract::queue::MANUAL, 1)?;
    client.queue_reaches(contract::queue::MANUAL, 1, 0)?;
    remove_device()?;
    for pended in pended {
        pended.ends_with(NtStatus::CANCELLED)?;
    }
    queued.ends_with(NtStatus::CANCELLED)?;
    let refused = client.ask(contract::STATUS, &[0, 0], 0);
    check!(
        refused.as_ref().is_err() || refused.as_ref().is_ok_and(|done| done.status.is_error()),
        "a removed device answered {refused:?}"
    );
    drop(client);
    let seen = unload()?;
    equal!(
        seen.last_chunk::<4>().copied(),
        Some([
            Event::ChildCleanup,
            Event::DeviceCleanup,
            Event::DeviceDestroy,
            Event::DriverUnload
        ]),
        "the last callbacks"
    );
    install()
}
