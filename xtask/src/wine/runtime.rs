//! The tests of the KMDF runtime itself, through a KMDF driver made for them.
//!
//! What the driver and its runner cannot judge is judged here, by the kernel log: that a broken rule stops the driver,
//! and that a leak is reported.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail, ensure};

use super::{
    child::{Echo, End},
    device::Driver,
    log::Kind,
    session::Session,
};
use crate::{Context, count::Count};

/// Time for all tests in the driver, and for all failing loads, each.
const TESTS: Duration = Duration::from_mins(5);

/// Time for one request.
const REQUEST: Duration = Duration::from_mins(1);

/// Runs everything on this runtime; none is ours.
pub(crate) fn test(context: &Context, runtime: Option<&Path>) -> Result<Count> {
    let tests = RuntimeTests { context, runtime };
    let (mut count, violations) = tests.cases()?;
    if runtime.is_some() {
        eprintln!("not run: what another runtime does with a driver that breaks rules or leaks");
        return Ok(count);
    }
    for violation in violations {
        count += verdict(&format!("violation {violation}"), tests.violation(&violation));
    }
    count += verdict("a leak is reported", tests.leak());
    count += verdict("every allocation fails once", tests.failing_loads());
    Ok(count)
}

/// Says how one test ended, as libtest does.
fn verdict(name: &str, result: Result<()>) -> Count {
    match result {
        Ok(()) => {
            println!("test {name} ... ok");
            Count::ONE
        }
        Err(error) => {
            println!("test {name} ... FAILED");
            eprintln!("{error:#}");
            Count::FAILURE
        }
    }
}

struct RuntimeTests<'a> {
    context: &'a Context,
    runtime: Option<&'a Path>,
}

impl RuntimeTests<'_> {
    /// The tests that run in the driver and around it, and the names of the rules that can be broken.
    fn cases(&self) -> Result<(Count, Vec<String>)> {
        let session = Session::start(self.context, "wdfldr", self.runtime)?;
        let driver = self.driver(&session);
        driver.install(Echo::Quiet)?;
        let outcome = driver.run([""; 0], TESTS, Echo::Through)?;
        let count = Count::of_libtest(&outcome.finished.stdout);
        if outcome.is_fatal() || (!outcome.finished.success() && count.failed == 0) {
            return Err(session.failure(&outcome));
        }
        ensure!(count.passed + count.failed > 0, "no test has run");
        if count.failed > 0 {
            eprintln!("kernel log: {}", self.context.paths.shown(&session.log()));
        }
        driver.settle(&outcome, false)?;
        let listed = driver.expect(["violations"], REQUEST, Echo::Quiet)?;
        let violations = listed
            .finished
            .stdout
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        driver.uninstall(Echo::Quiet)?;
        session.end()?;
        Ok((count, violations))
    }

    /// A driver that breaks a rule is stopped, and by the runtime: not by a crash, nor by the end of our patience.
    fn violation(&self, name: &str) -> Result<()> {
        let session = Session::start(self.context, name, self.runtime)?;
        let driver = self.driver(&session);
        driver.install(Echo::Quiet)?;
        let outcome = driver.run(["violate", name], REQUEST, Echo::Quiet)?;
        let culprit = outcome
            .finished
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("culprit: "));
        let Some(culprit) = culprit else {
            return Err(session.complaint(&outcome, "the runner did not get to breaking the rule"));
        };
        // `wdfldr: STOP 0x03: DRIVER: FUNCTION called at …`
        let named = format!(": {culprit}");
        let stops = outcome
            .findings
            .iter()
            .filter(|finding| finding.kind == Kind::Stop && finding.text.contains(&named))
            .count();
        let crashes = outcome
            .findings
            .iter()
            .any(|finding| matches!(finding.kind, Kind::Crash | Kind::Missing | Kind::Bugcheck));
        let ended = outcome.finished.success() || matches!(outcome.finished.end, End::Stuck);
        if stops == 0 || crashes || !ended {
            return Err(session.complaint(
                &outcome,
                &format!("the runtime did not stop the driver and name {culprit}"),
            ));
        }
        session.end()
    }

    /// A driver that leaks is found out when it is unloaded.
    fn leak(&self) -> Result<()> {
        let session = Session::start(self.context, "leak", self.runtime)?;
        let driver = self.driver(&session);
        driver.install(Echo::Quiet)?;
        driver.expect(["leak"], REQUEST, Echo::Quiet)?;
        let Err(error) = driver.uninstall(Echo::Quiet) else {
            bail!("the leak was not reported");
        };
        // The tag and the length of the block, as the driver allocates it.
        let report = error.to_string();
        ensure!(
            report.contains("leaked pool tag 'WTlk': 1 blocks 123 bytes"),
            "the report does not name the block:\n{report}"
        );
        session.end()
    }

    /// Creations under failing allocations leave nothing behind.
    fn failing_loads(&self) -> Result<()> {
        let session = Session::start(self.context, "sequence", self.runtime)?;
        let driver = self.driver(&session);
        let outcome = driver.expect(["sequence"], TESTS, Echo::Quiet)?;
        driver.settle(&outcome, true)?;
        session.end()
    }

    fn driver<'s>(&self, session: &'s Session) -> Driver<'s> {
        Driver::of_runtime_tests(&self.context.paths, session, self.runtime.is_none())
    }
}
