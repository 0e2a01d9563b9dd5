//! The tests that need the driver to run: each takes a session of its own, from a clean registry.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use walkdir::{DirEntry, WalkDir};

use super::{
    child::Echo,
    device::Driver,
    session::{Launch, Session},
};
use crate::{Context, count::Count};

/// Time for all scenarios together.
const SCENARIOS: Duration = Duration::from_mins(10);

/// The same, with those that take minutes.
const LONG_SCENARIOS: Duration = Duration::from_mins(30);

/// Time for one command of the harness.
const COMMAND: Duration = Duration::from_mins(2);

/// Commands of the harness in the order in which they are run, and the exit code of each: by hand, load, fuzz, benchmark
/// and reports, as a person or a CI uses them. `{}` is the folder of the reports.
const COMMANDS: [(&str, i32); 17] = [
    ("status", 0),
    ("enqueue hello", 4),
    ("configure --buffers 8 --max-buffers 16 --context 8", 0),
    ("configure", 4),
    ("enqueue hello --count 3 --again 2", 0),
    ("wait hello --status 0xC0000001 --for 5000", 0),
    ("flush", 0),
    ("stats --watch 0.1 --count 3", 0),
    ("log --json --limit 5", 0),
    ("close", 0),
    (
        "stress --threads 4 --items 500 --mode batch --json {}stress.json",
        0,
    ),
    ("stress --threads 4 --duration 2 --mode dispatch", 0),
    ("fuzz --count 2000 --seed 1 --verbose", 0),
    ("bench --samples 10 --json {}bench.json --html {}bench.html", 0),
    ("test w08 --json {}verdicts.json --junit {}verdicts.xml", 0),
    ("test no_such_test", 2),
    ("--timeout 0 stats", 2),
];

/// What [`COMMANDS`] write.
const REPORTS: [&str; 5] = [
    "stress.json",
    "bench.json",
    "bench.html",
    "verdicts.json",
    "verdicts.xml",
];

/// The harness's exit code when no driver is there.
const NOT_INSTALLED: i32 = 3;

/// Time for the main scenario.
const RUN: Duration = Duration::from_mins(2);

/// How often the driver is installed and removed again.
const REINSTALLS: u32 = 10;

/// The driver's service, as its INF names it.
const SERVICE: &str = "queued_work_item_driver";

/// The exit code of `sc query` for a service that does not exist.
const NO_SUCH_SERVICE: i32 = 1;

/// The end-to-end tests.
#[derive(Debug)]
pub(crate) struct EndToEnd<'a> {
    context: &'a Context,
    /// Another KMDF runtime than ours.
    runtime: Option<&'a Path>,
}

impl<'a> EndToEnd<'a> {
    /// Tests of what was built last.
    pub(crate) fn new(context: &'a Context, runtime: Option<&'a Path>) -> Self {
        Self { context, runtime }
    }

    /// The acceptance scenarios of the harness: a test program of libtest's kind, run against the installed driver.
    /// `long`: also those that take minutes.
    pub(crate) fn scenarios(&self, program: &Path, filter: Option<&str>, long: bool) -> Result<Count> {
        let session = self.session("scenarios")?;
        let driver = self.driver(&session);
        driver.install(Echo::Quiet)?;
        let inf = self.context.paths.out().join(format!("{SERVICE}.inf"));
        let limit = if long { LONG_SCENARIOS } else { SCENARIOS };
        let mut launch = Launch::new(program, limit)
            .args(filter)
            .env("QWI_INF", windows_path(&inf)?)
            .echo(Echo::Through);
        if long {
            launch = launch.env("QWI_LONG", "1".to_owned());
        }
        let outcome = session.run(&launch)?;
        if outcome.is_fatal() {
            return Err(session.failure(&outcome));
        }
        let count = Count::of_libtest(&outcome.finished.stdout);
        if !outcome.finished.success() && count.failed == 0 {
            return Err(session.failure(&outcome));
        }
        driver.settle(&outcome, false)?;
        ensure!(count.passed + count.failed > 0, "no scenario has run");
        if count.failed > 0 {
            eprintln!("kernel log: {}", self.context.paths.shown(&session.log()));
        }
        driver.uninstall(Echo::Quiet)?;
        session.end()?;
        Ok(count)
    }

    /// The main scenario, as `cargo xtask run` runs it; and the driver that ran is the file that was built.
    pub(crate) fn run(&self) -> Result<Count> {
        let session = self.session("run")?;
        let driver = self.driver(&session);
        driver.install(Echo::Quiet)?;
        let image = format!("{SERVICE}.sys");
        let built = self.context.paths.out().join(&image);
        let installed = find(&session.drive_c("windows/system32"), &image)?;
        let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        ensure!(
            read(&built)? == read(&installed)?,
            "{} is not what was built",
            installed.display()
        );
        let outcome = driver.expect(["run"], RUN, Echo::Through)?;
        driver.settle(&outcome, false)?;
        let account = driver.uninstall(Echo::Quiet)?;
        eprintln!("{account}");
        session.end()?;
        Ok(Count::ONE)
    }

    /// The harness's own program, command by command, each with the exit code that its `--help` promises.
    pub(crate) fn harness(&self) -> Result<Count> {
        let session = self.session("harness")?;
        let driver = self.driver(&session);
        let reports = self.context.paths.out().join("reports");
        fs::create_dir_all(&reports).with_context(|| format!("cannot create {}", reports.display()))?;
        let prefix = format!("{}\\", windows_path(&reports)?);
        driver.install(Echo::Quiet)?;
        let mut count = Count::default();
        let mut command = |line: &str, due: i32| -> Result<()> {
            let args: Vec<_> = line
                .split_whitespace()
                .map(|word| word.replace("{}", &prefix))
                .collect();
            let outcome = driver.run(args, COMMAND, Echo::Quiet)?;
            if outcome.is_fatal() || outcome.finished.code() != Some(due) {
                return Err(session
                    .failure(&outcome)
                    .context(format!("exit code {due} was due")));
            }
            driver.settle(&outcome, false)?;
            count += Count::ONE;
            Ok(())
        };
        for (line, due) in COMMANDS {
            command(line, due)?;
        }
        driver.uninstall(Echo::Quiet)?;
        command("stats", NOT_INSTALLED)?;
        session.end()?;
        for name in REPORTS {
            let report = reports.join(name);
            let size = fs::metadata(&report)
                .with_context(|| format!("{} was not written", report.display()))?
                .len();
            ensure!(size > 0, "{} is empty", report.display());
        }
        Ok(count)
    }

    /// The driver is installed, used and removed again and again in one Windows: nothing is left behind, and no
    /// service is stuck.
    pub(crate) fn reinstall(&self) -> Result<Count> {
        let session = self.session("reinstall")?;
        let driver = self.driver(&session);
        for round in 1..=REINSTALLS {
            let cycle = || -> Result<()> {
                driver.install(Echo::Quiet)?;
                let outcome = driver.expect(["run", "--items", "100"], RUN, Echo::Quiet)?;
                driver.settle(&outcome, false)?;
                driver.uninstall(Echo::Quiet)?;
                Self::is_gone(&session)
            };
            cycle().with_context(|| format!("round {round} of {REINSTALLS}"))?;
        }
        session.end()?;
        Ok(Count::ONE)
    }

    /// Whether neither service nor image is left.
    fn is_gone(session: &Session) -> Result<()> {
        let launch = Launch::new(Path::new("sc"), Duration::from_mins(1)).args(["query", SERVICE]);
        let outcome = session.run(&launch)?;
        if outcome.finished.code() != Some(NO_SUCH_SERVICE) {
            bail!(
                "the service {SERVICE} is still there:\n{}",
                outcome.finished.stdout
            );
        }
        Ok(())
    }

    fn session(&self, name: &str) -> Result<Session> {
        Session::start(self.context, name, self.runtime)
    }

    fn driver<'s>(&self, session: &'s Session) -> Driver<'s> {
        Driver::new(&self.context.paths, session, self.runtime.is_none())
    }
}

/// The file of this name; the INF's folder is not the same in every version of Wine.
fn find(dir: &Path, name: &str) -> Result<PathBuf> {
    WalkDir::new(dir)
        .into_iter()
        .flatten()
        .map(DirEntry::into_path)
        .find(|path| path.file_name().is_some_and(|found| found == name))
        .with_context(|| format!("{name} was not copied into {}", dir.display()))
}

/// A path as programs in Wine know it: drive Z is the root.
fn windows_path(path: &Path) -> Result<String> {
    let path = path
        .to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(format!("Z:{}", path.replace('/', "\\")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_on_drive_z() {
        assert_eq!(windows_path(Path::new("/a/b.inf")).expect("UTF-8"), r"Z:\a\b.inf");
    }
}
