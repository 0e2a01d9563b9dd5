//! Requests: buffers, statuses, cancellation.

use queued_work_item_harness::NtStatus;
use wdfldr_test_contract as contract;
use wdfldr_test_contract::RaceCount;

use crate::client::{Client, Test, Verdict, bytes, check, equal, status};

pub(crate) const TESTS: &[Test] = &[
    (
        "request::buffers_too_small_are_refused",
        buffers_too_small_are_refused,
    ),
    ("request::buffers_are_carried", buffers_are_carried),
    (
        "request::information_is_what_was_set",
        information_is_what_was_set,
    ),
    ("request::statuses_come_through", statuses_come_through),
    ("request::parameters_are_told", parameters_are_told),
    (
        "request::a_pended_request_is_completed_later",
        a_pended_request_is_completed_later,
    ),
    (
        "request::a_pended_request_is_cancelled",
        a_pended_request_is_cancelled,
    ),
    (
        "request::cancellation_and_completion_race",
        cancellation_and_completion_race,
    ),
    (
        "request::a_closed_handle_leaves_the_drivers_requests",
        a_closed_handle_leaves_the_drivers_requests,
    ),
];

fn buffers_too_small_are_refused() -> Verdict {
    let client = Client::open()?;
    for code in [contract::ECHO, contract::ECHO_OUT_DIRECT] {
        for (input, output) in [(0, 8), (7, 8), (8, 0), (8, 7)] {
            let sent = client.send(code, &vec![1; input], output)?;
            let completion = sent.wait()?;
            equal!(
                completion.status,
                NtStatus::BUFFER_TOO_SMALL,
                "code {code:#x}, {input} bytes in, {output} out"
            );
            check!(completion.output.is_empty(), "an error came with output");
        }
    }
    Ok(())
}

fn buffers_are_carried() -> Verdict {
    let client = Client::open()?;
    let input: Vec<u8> = (1..=40).collect();
    for code in [contract::ECHO, contract::ECHO_OUT_DIRECT] {
        for output in [8, 39, 40, 64] {
            let completion = client.send(code, &input, output)?.ends_with(NtStatus::SUCCESS)?;
            equal!(
                completion.output,
                input[..output.min(40)].to_vec(),
                "the output of code {code:#x} with room for {output}"
            );
        }
    }
    Ok(())
}

fn information_is_what_was_set() -> Verdict {
    let client = Client::open()?;
    for information in [0, 1, 13, 64] {
        let completion = client.ask(contract::INFORMATION, &[0, information], 64)?;
        equal!(completion.status, NtStatus::SUCCESS, "the status");
        equal!(completion.output.len(), information as usize, "bytes of output");
    }
    Ok(())
}

fn statuses_come_through() -> Verdict {
    let client = Client::open()?;
    // A success, an informational one, a warning, errors; one of the driver's own.
    for status in [
        0x0000_0102,
        0x4000_0000,
        0x8000_0005,
        0xC000_0001,
        0xC000_009A,
        0xE000_0001,
    ] {
        let completion = client.ask(contract::STATUS, &[0, status], 0)?;
        equal!(completion.status, NtStatus(status), "the status");
    }
    client.expect(contract::UNKNOWN, &[], 0, NtStatus::INVALID_DEVICE_REQUEST)?;
    Ok(())
}

fn parameters_are_told() -> Verdict {
    let client = Client::open()?;
    for (input, output) in [(0, 0), (3, 0), (0, 5), (1000, 2000)] {
        let sent = client.send(contract::PARAMETERS, &vec![0; input], output)?;
        sent.ends_with(NtStatus::SUCCESS)?;
    }
    Ok(())
}

fn a_pended_request_is_completed_later() -> Verdict {
    let client = Client::open()?;
    let cancels = client.number(contract::CANCEL_COUNT, &[])?;
    let mut pended = client.send(contract::PEND, &bytes(&[77]), 8)?;
    pended.stays_pending()?;
    equal!(
        client.number(contract::UNPEND, &[])?,
        0,
        "the status of unmarking it"
    );
    equal!(pended.reply()?.tag, 77, "its tag");
    client.expect(contract::UNPEND, &[], 4, status::NOT_FOUND)?;
    equal!(
        client.number(contract::CANCEL_COUNT, &[])?,
        cancels,
        "calls of EvtRequestCancel"
    );
    Ok(())
}

fn a_pended_request_is_cancelled() -> Verdict {
    let client = Client::open()?;
    let cancels = client.number(contract::CANCEL_COUNT, &[])?;
    let mut other = client.send(contract::PEND, &bytes(&[1]), 8)?;
    let mut pended = client.send(contract::PEND, &bytes(&[2]), 8)?;
    pended.stays_pending()?;
    pended.cancel()?;
    pended.ends_with(NtStatus::CANCELLED)?;
    equal!(
        client.number(contract::CANCEL_COUNT, &[])?,
        cancels + 1,
        "calls of EvtRequestCancel"
    );
    other.stays_pending()?;
    client.number(contract::UNPEND, &[])?;
    equal!(other.reply()?.tag, 1, "the tag of the one that was not cancelled");
    client.expect(contract::UNPEND, &[], 4, status::NOT_FOUND)?;
    Ok(())
}

fn race_count(client: &Client) -> Verdict<RaceCount> {
    match client
        .expect(contract::RACE_COUNT, &[], 12, NtStatus::SUCCESS)?
        .as_slice()
    {
        &[completed, cancelled, refused] => Ok(RaceCount {
            completed,
            cancelled,
            refused,
        }),
        other => Err(format!("the count is {other:?}")),
    }
}

/// The driver completes a request from a work item while it is being cancelled: one of the two wins, each time, and
/// each request completes once.
fn cancellation_and_completion_race() -> Verdict {
    const ROUNDS: u32 = 1000;

    let client = Client::open()?;
    let before = race_count(&client)?;
    let (mut succeeded, mut cancelled) = (0, 0);
    for round in 0..ROUNDS {
        let sent = client.send(contract::PEND_AND_COMPLETE, &[], 0)?;
        // The later the cancellation, the likelier the completion: all of it is gone through.
        for _ in 0..(round % 50) * 400 {
            core::hint::spin_loop();
        }
        sent.cancel()?;
        match sent.wait()?.status {
            NtStatus::SUCCESS => succeeded += 1,
            NtStatus::CANCELLED => cancelled += 1,
            other => return Err(format!("round {round}: {other}")),
        }
    }
    // A cancel routine counts before it completes, so that the counts are whole by now.
    let after = race_count(&client)?;
    equal!(
        after.completed - before.completed,
        succeeded,
        "requests that the work item completed"
    );
    equal!(succeeded + cancelled, ROUNDS, "requests that came back");
    Ok(())
}

/// Closing a handle cancels what waits in queues in its name; what the driver has is the driver's to complete.
fn a_closed_handle_leaves_the_drivers_requests() -> Verdict {
    let client = Client::open()?;
    let cancels = client.number(contract::CANCEL_COUNT, &[])?;
    let leaving = Client::open()?;
    let mut pended = leaving.send(contract::PEND, &bytes(&[3]), 8)?;
    pended.stays_pending()?;
    drop(leaving);
    pended.stays_pending()?;
    equal!(
        client.number(contract::UNPEND, &[])?,
        0,
        "the status of unmarking it"
    );
    equal!(pended.reply()?.tag, 3, "its tag");
    equal!(
        client.number(contract::CANCEL_COUNT, &[])?,
        cancels,
        "calls of EvtRequestCancel"
    );
    Ok(())
}
