//! The tests of the library for C drivers, through the C driver that uses it.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::{child::Echo, device::Driver, session::Session};
use crate::{Context, build, count::Count, packages::Artefact, toolchain::Arch};

/// Time for all tests.
const TESTS: Duration = Duration::from_mins(3);

/// How often the driver is installed and removed: the image goes each time, and with it what the library keeps.
const ROUNDS: u32 = 2;

/// Builds library and driver for ARM64, which is all that can be done with them here, and runs those for x64.
pub(crate) fn test(context: &Context, runtime: Option<&Path>) -> Result<Count> {
    build::run(
        context,
        &build::Options {
            artefacts: vec![Artefact::CFace, Artefact::CDriver],
            arch: Arch::Arm64,
            deny_warnings: true,
            ..build::Options::default()
        },
    )?;
    let mut count = Count::ONE;
    let session = Session::start(context, "c-face", runtime)?;
    let driver = Driver::of_c_face(&context.paths, &session, runtime.is_none());
    for _ in 0..ROUNDS {
        driver.install(Echo::Quiet)?;
        let outcome = driver.run([""; 0], TESTS, Echo::Through)?;
        let tests = Count::of_libtest(&outcome.finished.stdout);
        if outcome.is_fatal() || (!outcome.finished.success() && tests.failed == 0) {
            return Err(session.failure(&outcome));
        }
        ensure!(tests.passed + tests.failed > 0, "no test has run");
        if tests.failed > 0 {
            eprintln!("kernel log: {}", context.paths.shown(&session.log()));
        }
        driver.settle(&outcome, false)?;
        count += tests;
        // No buffer, no object and no byte of pool is left.
        driver.uninstall(Echo::Quiet)?;
    }
    session.end()?;
    Ok(count)
}
