//! The driver in a session: installed from its INF by the harness, driven by it, removed, and asked to account for
//! what it took.

use std::{ffi::OsStr, path::PathBuf, time::Duration};

use anyhow::{Result, bail, ensure};

use super::{
    child::Echo,
    log::Account,
    session::{Launch, Outcome, Session},
};
use crate::paths::Paths;

/// Time for an installation or a removal; each takes a fraction of a second.
const CHORE: Duration = Duration::from_mins(1);

/// A driver and the program that handles it.
#[derive(Debug)]
pub(crate) struct Driver<'a> {
    session: &'a Session,
    /// The program that installs, drives and removes it.
    program: PathBuf,
    /// What its `install` and `uninstall` are told beside that.
    options: &'static [&'static str],
    /// Whether the KMDF runtime is ours, which accounts for each driver at unload.
    accounted: bool,
}

impl<'a> Driver<'a> {
    /// The driver and its harness as they were built; nothing is installed yet.
    pub(crate) fn new(paths: &Paths, session: &'a Session, accounted: bool) -> Self {
        Self {
            session,
            program: paths.out().join("qwi-harness.exe"),
            // Time for the harness to say what it waited for, before it is killed.
            options: &["--timeout", "30"],
            accounted,
        }
    }

    /// The driver that tests the runtime, and what runs its tests.
    pub(crate) fn of_runtime_tests(paths: &Paths, session: &'a Session, accounted: bool) -> Self {
        Self {
            session,
            program: paths.out().join("wdfldr-test.exe"),
            options: &[],
            accounted,
        }
    }

    /// The guide's driver, and what drives it.
    pub(crate) fn of_example(paths: &Paths, session: &'a Session, accounted: bool) -> Self {
        Self {
            session,
            program: paths.out().join("minimal-driver-test.exe"),
            options: &[],
            accounted,
        }
    }

    /// The C driver, and what drives it.
    pub(crate) fn of_c_face(paths: &Paths, session: &'a Session, accounted: bool) -> Self {
        Self {
            session,
            program: paths.out().join("c-driver-test.exe"),
            options: &[],
            accounted,
        }
    }

    /// Installs it from the INF beside the program.
    pub(crate) fn install(&self, echo: Echo) -> Result<()> {
        self.chore("install", echo).map(|_| ())
    }

    /// Removes it. Says what the runtime said of every driver that was unloaded; a leak is an error.
    pub(crate) fn uninstall(&self, echo: Echo) -> Result<String> {
        let outcome = self.chore("uninstall", echo)?;
        self.settle(&outcome, true)
    }

    /// Checks what the runtime said while a program ran. `unloads`: whether a driver must have been unloaded.
    pub(crate) fn settle(&self, outcome: &Outcome, unloads: bool) -> Result<String> {
        settle(&outcome.accounts, unloads && self.accounted)
            .map_err(|error| self.session.complaint(outcome, &format!("{error:#}")))
    }

    /// Runs the program, whatever comes of it.
    pub(crate) fn run(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        limit: Duration,
        echo: Echo,
    ) -> Result<Outcome> {
        self.session
            .run(&Launch::new(&self.program, limit).args(args).echo(echo))
    }

    /// Runs the program; its failure is an error.
    pub(crate) fn expect(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        limit: Duration,
        echo: Echo,
    ) -> Result<Outcome> {
        self.session
            .expect(&Launch::new(&self.program, limit).args(args).echo(echo))
    }

    fn chore(&self, verb: &str, echo: Echo) -> Result<Outcome> {
        self.expect(std::iter::once(&verb).chain(self.options), CHORE, echo)
    }
}

/// Judges accounts: no leak, and at least one if one is due.
fn settle(accounts: &[Account], due: bool) -> Result<String> {
    let mut sums = Vec::new();
    let mut wrong = Vec::new();
    for account in accounts {
        match account {
            Account::Leak { driver, what } => wrong.push(format!("{driver} leaked {what}")),
            Account::Unload { driver, sum, clean } => {
                if !clean {
                    wrong.push(format!("{driver} unloaded: {sum}"));
                }
                sums.push(format!("{driver} unloaded: {sum}"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    ensure!(
        !(due && sums.is_empty()),
        "the driver was removed but not unloaded: wdfldr.sys said nothing of it"
    );
    Ok(sums
        .pop()
        .unwrap_or_else(|| "the KMDF runtime keeps no account".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unload(clean: bool) -> Account {
        Account::Unload {
            driver: "qwi".to_owned(),
            sum: "objects 0 leaked".to_owned(),
            clean,
        }
    }

    #[test]
    fn a_clean_unload_is_fine() {
        let sum = settle(&[unload(true)], true).expect("clean");
        assert_eq!(sum, "qwi unloaded: objects 0 leaked");
    }

    #[test]
    fn any_leak_of_any_unload_is_an_error() {
        assert!(settle(&[unload(false), unload(true)], true).is_err());
        let leak = Account::Leak {
            driver: "qwi".to_owned(),
            what: "1 WDFREQUEST".to_owned(),
        };
        let error = settle(&[leak, unload(true)], true).expect_err("a leak");
        assert!(error.to_string().contains("qwi leaked 1 WDFREQUEST"));
    }

    #[test]
    fn a_driver_that_stays_is_an_error_where_an_account_is_due() {
        assert!(settle(&[], true).is_err());
        assert!(settle(&[], false).is_ok());
    }
}
