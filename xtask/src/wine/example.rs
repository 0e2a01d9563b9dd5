//! The guide's driver, as its reader meets it: installed, used, removed.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::{child::Echo, device::Driver, session::Session};
use crate::{Context, count::Count};

/// Time for all its tests.
const TESTS: Duration = Duration::from_mins(1);

/// Runs the tests of the driver; at its unload no object and no byte of pool may be left.
pub(crate) fn test(context: &Context, runtime: Option<&Path>) -> Result<Count> {
    let session = Session::start(context, "example", runtime)?;
    let driver = Driver::of_example(&context.paths, &session, runtime.is_none());
    driver.install(Echo::Quiet)?;
    let outcome = driver.run([""; 0], TESTS, Echo::Through)?;
    let count = Count::of_libtest(&outcome.finished.stdout);
    if outcome.is_fatal() || (!outcome.finished.success() && count.failed == 0) {
        return Err(session.failure(&outcome));
    }
    ensure!(count.passed + count.failed > 0, "no test has run");
    driver.settle(&outcome, false)?;
    driver.uninstall(Echo::Quiet)?;
    session.end()?;
    Ok(count)
}
