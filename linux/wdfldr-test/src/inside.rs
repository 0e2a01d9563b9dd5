//! What is shown inside the driver.

use queued_work_item_harness::NtStatus;
use wdfldr_test_contract::{CASES, FAILED, PASSED, RUN_CASE};

use crate::client::{Client, Verdict};

/// The names of the cases.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().copied()
}

/// Asks the driver for a case.
pub(crate) fn run(name: &str) -> Verdict {
    let client = Client::open()?;
    let completion = client
        .send(RUN_CASE, name.as_bytes(), 1024)?
        .ends_with(NtStatus::SUCCESS)?;
    match completion.output.split_first() {
        Some((&PASSED, _)) => Ok(()),
        Some((&FAILED, reason)) => Err(String::from_utf8_lossy(reason).into_owned()),
        other => Err(format!("the driver answered {other:?}")),
    }
}
