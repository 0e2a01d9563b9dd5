//! File objects: one for each open, with its context, and its callbacks in order.

use queued_work_item_harness::NtStatus;
use wdfldr_test_contract as contract;
use wdfldr_test_contract::Event;

use crate::client::{Client, Test, Verdict, check, equal, until};

pub(crate) const TESTS: &[Test] = &[
    ("file::each_handle_has_a_context", each_handle_has_a_context),
    ("file::callbacks_come_in_order", callbacks_come_in_order),
];

fn each_handle_has_a_context() -> Verdict {
    let first = Client::open()?;
    let second = Client::open()?;
    let ids = (
        first.number(contract::FILE_ID, &[])?,
        second.number(contract::FILE_ID, &[])?,
    );
    check!(ids.0 != 0 && ids.0 < ids.1, "the handles' ids are {ids:?}");
    equal!(
        first.number(contract::FILE_ID, &[])?,
        ids.0,
        "the first handle's id, again"
    );
    equal!(
        second.number(contract::FILE_ID, &[])?,
        ids.1,
        "the second handle's id, again"
    );
    Ok(())
}

fn callbacks_come_in_order() -> Verdict {
    let watching = Client::open()?;
    let events = |id: u32| {
        let output = watching.ask(contract::FILE_EVENTS, &[0, id], 64)?;
        equal!(output.status, NtStatus::SUCCESS, "the status of FILE_EVENTS");
        let numbers = crate::client::numbers_of(&output.output);
        Ok(numbers.into_iter().filter_map(Event::of).collect::<Vec<_>>())
    };
    let leaving = Client::open()?;
    let id = leaving.number(contract::FILE_ID, &[])?;
    equal!(
        events(id)?,
        [Event::FileCreate],
        "the callbacks of an open handle"
    );
    drop(leaving);
    let all = [
        Event::FileCreate,
        Event::FileCleanup,
        Event::FileClose,
        Event::FileObjectCleanup,
        Event::FileObjectDestroy,
    ];
    // The handle's last reference goes when the system sees fit.
    let seen = until(|| events(id), |seen| seen.len() >= all.len())?;
    equal!(seen, all, "the callbacks of a closed handle");
    Ok(())
}
