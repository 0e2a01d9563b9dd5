//! The driver's own requests, as its users send them.

use std::thread;

use queued_work_item_harness::{NtStatus, device::Completion};

use crate::client::{Client, SUM, Verdict, code, wait};

/// A test by its name.
type Test = (&'static str, fn() -> Verdict);

pub(crate) const TESTS: &[Test] = &[
    ("request_sum", sum),
    ("request_refusals", refusals),
    ("request_threads", threads),
    ("request_overlapped", overlapped),
];

fn expect(completion: &Completion, status: NtStatus, output: &[u8]) -> Verdict {
    if completion.status == status && completion.output == output {
        Ok(())
    } else {
        Err(format!("{completion:?}, not {status:?} with {output:?}"))
    }
}

fn sum_of(bytes: &[u8]) -> [u8; 4] {
    bytes
        .iter()
        .map(|&byte| u32::from(byte))
        .sum::<u32>()
        .to_le_bytes()
}

fn sum() -> Verdict {
    let client = Client::open()?;
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [&[7][..], &all, &[255; 4096]] {
        expect(&client.ask(SUM, bytes, 4)?, NtStatus::SUCCESS, &sum_of(bytes))?;
    }
    Ok(())
}

fn refusals() -> Verdict {
    let client = Client::open()?;
    let too_small = NtStatus(0xC000_0023);
    expect(&client.ask(SUM, &[], 4)?, too_small, &[])?;
    expect(&client.ask(SUM, &[1], 3)?, too_small, &[])?;
    expect(&client.ask(code(9), &[1], 4)?, NtStatus(0xC000_0010), &[])?;
    expect(&client.ask(SUM, &[1], 4)?, NtStatus::SUCCESS, &[1, 0, 0, 0])
}

/// Each thread gets the answers to its own requests.
fn threads() -> Verdict {
    let workers: Vec<_> = (0..4_u8)
        .map(|thread| {
            thread::spawn(move || {
                let client = Client::open()?;
                for round in 0..100 {
                    let bytes = [thread, round, 1, 2];
                    expect(&client.ask(SUM, &bytes, 4)?, NtStatus::SUCCESS, &sum_of(&bytes))?;
                }
                Ok(())
            })
        })
        .collect();
    workers
        .into_iter()
        .try_for_each(|worker| worker.join().map_err(|_| "a thread panicked".to_owned())?)
}

/// Many on one handle at a time: each is answered, or refused because the driver's buffers are in use.
fn overlapped() -> Verdict {
    let client = Client::open()?;
    let mut answered = 0;
    for _ in 0..20 {
        let requests: Vec<_> = (0..32_u8)
            .map(|number| client.send(SUM, &[number, 1], 4).map(|request| (number, request)))
            .collect::<Result<_, _>>()?;
        for (number, request) in requests {
            let completion = wait(request)?;
            if completion.status != NtStatus(0xC000_009A) {
                expect(&completion, NtStatus::SUCCESS, &sum_of(&[number, 1]))?;
                answered += 1;
            }
        }
    }
    if answered < 20 {
        return Err(format!("only {answered} of 640 requests were answered"));
    }
    Ok(())
}
