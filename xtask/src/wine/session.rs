//! A session: Wine's server and the NT kernel in it, from a clean registry to a certain end.
//!
//! What first starts the server decides where the whole kernel side prints to, so a session starts the server itself
//! and hands it a [`Recorder`]. However the session ends (a failure, a time-out, Ctrl-C), the server is killed: a
//! driver that crashed cannot be got rid of otherwise.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    child::{self, Echo, Finished},
    interrupt::{self, Guard},
    log::{Account, Finding},
    prefix::{KERNEL_DEBUG, Prefix, lock},
    recorder::{Mark, Recorder},
    report,
};
use crate::{
    Context,
    paths::{Paths, copy_if_changed, link},
};

/// The server ends by itself when nothing has used it for so many seconds: the last resort against one that is left
/// over because xtask was killed.
const PERSISTENCE: &str = "-p600";

/// Time for Wine to start its services.
const BOOT: Duration = Duration::from_mins(1);

/// How often Wine is started before that is an error: on a busy machine its first program was once seen to fail, before
/// anything of ours is in it.
const STARTS: u32 = 3;

/// Kernel logs that are kept.
const KEPT_LOGS: usize = 60;

/// The link to the latest kernel log.
const LATEST: &str = "kernel.log";

/// Wine, running.
#[derive(Debug)]
pub(crate) struct Session {
    prefix: Prefix,
    out: PathBuf,
    /// Taken at the end.
    recorder: Option<Recorder>,
    _interrupt: Guard,
    /// One session at a time: the prefix has room for one kernel.
    _lock: File,
}

/// A program to run in a session.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    program: &'a Path,
    args: Vec<OsString>,
    env: Vec<(&'static str, String)>,
    limit: Duration,
    echo: Echo,
}

impl<'a> Launch<'a> {
    /// A program without arguments.
    pub(crate) fn new(program: &'a Path, limit: Duration) -> Self {
        Self {
            program,
            args: Vec::new(),
            env: Vec::new(),
            limit,
            echo: Echo::Quiet,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable, which Windows programs see too.
    #[must_use]
    pub(crate) fn env(mut self, name: &'static str, value: String) -> Self {
        self.env.push((name, value));
        self
    }

    /// Where its output goes.
    #[must_use]
    pub(crate) fn echo(mut self, echo: Echo) -> Self {
        self.echo = echo;
        self
    }

    /// The command as a reader knows it.
    fn line(&self) -> String {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        std::iter::once(name)
            .chain(self.args.iter().map(OsString::as_os_str))
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What a program did, and what the kernel said meanwhile.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) finished: Finished,
    pub(crate) findings: Vec<Finding>,
    pub(crate) accounts: Vec<Account>,
    line: String,
    limit: Duration,
    mark: Mark,
}

impl Outcome {
    /// Whether a driver is beyond help.
    pub(crate) fn is_fatal(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind.is_fatal())
    }
}

impl Session {
    /// Starts Wine with `runtime` as its `wdfldr.sys`. `name` is part of the log's name.
    pub(crate) fn start(context: &Context, name: &str, runtime: Option<&Path>) -> Result<Self> {
        let prefix = Prefix::ensure(context)?;
        let lock = lock(&context.paths)?;
        let log = context
            .paths
            .logs()
            .join(format!("kernel-{}-{name}.log", timestamp(SystemTime::now())));
        let recorder = Recorder::start(&log)?;
        link(&log, &context.paths.logs().join(LATEST))?;
        forget_old_logs(&context.paths.logs());

        let session = Self {
            _interrupt: Guard::new(&prefix)?,
            out: context.paths.out(),
            prefix,
            recorder: Some(recorder),
            _lock: lock,
        };
        persistently(STARTS, || {
            session.prefix.kill()?;
            session.prefix.reset()?;
            place_files(&context.paths, &session.prefix, runtime)?;
            session.boot()
        })?;
        Ok(session)
    }

    /// The first programs of a session. All that they start inherits their standard error.
    fn boot(&self) -> Result<()> {
        let recorder = self.recorder()?;
        let mark = recorder.mark();
        let mut client = self.prefix.wine(KERNEL_DEBUG);
        client.args(["cmd", "/c", "exit"]);
        for mut command in [self.prefix.server(&[PERSISTENCE]), client] {
            command
                .env("WINEDEBUG", KERNEL_DEBUG)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(recorder.writer()?);
            let (mut child, group) = interrupt::spawn(&mut command)
                .with_context(|| format!("cannot run {}", command.get_program().display()))?;
            let (tell, told) = mpsc::channel();
            thread::spawn(move || {
                let status = child.wait();
                interrupt::ended(group);
                // Nobody listens any more when the wait was given up.
                let _ = tell.send(status);
            });
            // The session is dropped on the way out, which ends a process that hangs here too.
            let status = told
                .recv_timeout(BOOT)
                .with_context(|| format!("Wine did not start within {} s", BOOT.as_secs()))?
                .context("cannot wait for Wine")?;
            ensure!(
                status.success(),
                "Wine did not start: {} {status}\n{}\nkernel log: {}",
                command.get_program().display(),
                recorder.tail_since(mark, report::TAIL).join("\n"),
                self.log().display()
            );
        }
        Ok(())
    }

    /// Runs a program; its failure is part of the outcome.
    pub(crate) fn run(&self, launch: &Launch<'_>) -> Result<Outcome> {
        let recorder = self.recorder()?;
        self.prefix.forget_crashes()?;
        let line = launch.line();
        recorder.note(&line);
        let mark = recorder.mark();
        let mut command = self.prefix.wine("-all");
        command
            .arg(launch.program)
            .args(&launch.args)
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.out);
        let (tell, told) = child::events();
        recorder.listen(Some(tell.clone()));
        let finished = child::run(command, launch.limit, launch.echo, (tell, &told));
        recorder.listen(None);
        recorder.sync();
        Ok(Outcome {
            finished: finished?,
            findings: recorder.findings_since(mark),
            accounts: recorder.accounts_since(mark),
            line,
            limit: launch.limit,
            mark,
        })
    }

    /// Runs a program that must succeed while no driver dies.
    pub(crate) fn expect(&self, launch: &Launch<'_>) -> Result<Outcome> {
        let outcome = self.run(launch)?;
        if outcome.finished.success() && !outcome.is_fatal() {
            return Ok(outcome);
        }
        Err(self.failure(&outcome))
    }

    /// The error that tells all about a failed program.
    pub(crate) fn failure(&self, outcome: &Outcome) -> anyhow::Error {
        let how = outcome.finished.describe(outcome.limit);
        self.complaint(outcome, &format!("`{}` {how}", outcome.line))
    }

    /// An error about what happened while a program ran, with the kernel's side of it.
    pub(crate) fn complaint(&self, outcome: &Outcome, what: &str) -> anyhow::Error {
        let Ok(recorder) = self.recorder() else {
            return anyhow::anyhow!(what.to_owned());
        };
        // The debugger's report takes a moment; it is worth the wait.
        let crash = report::crash(&self.prefix, &recorder.findings_since(outcome.mark));
        report::failure(&report::Failure {
            what,
            findings: &recorder.findings_since(outcome.mark),
            crash: crash.as_deref(),
            tail: &recorder.tail_since(outcome.mark, report::TAIL),
            log: recorder.path(),
        })
    }

    /// The environment of this session, for a shell.
    pub(crate) fn set_environment(&self, command: &mut Command) {
        self.prefix.set_environment(command, "-all");
    }

    /// A file on drive C.
    pub(crate) fn drive_c(&self, path: &str) -> PathBuf {
        self.prefix.drive_c(path)
    }

    /// Where the kernel log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.recorder
            .as_ref()
            .map(|recorder| recorder.path().to_path_buf())
            .unwrap_or_default()
    }

    /// Ends the session and sees to it that the log is whole.
    pub(crate) fn end(mut self) -> Result<()> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<()> {
        let Some(recorder) = self.recorder.take() else {
            return Ok(());
        };
        let killed = self.prefix.kill();
        let log = recorder.path().to_path_buf();
        let whole = recorder.finish();
        killed.context("Wine's server does not end")?;
        if !whole {
            bail!(
                "a process of Wine's is left over; it still writes to {}",
                log.display()
            );
        }
        Ok(())
    }

    fn recorder(&self) -> Result<&Recorder> {
        self.recorder.as_ref().context("the session has ended")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Tries until it succeeds, `tries` times at most. Every failure is told.
fn persistently(tries: u32, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    for nth in 1..tries {
        match attempt() {
            Err(error) => eprintln!("warning: try {nth} of {tries}: {error:#}"),
            success => return success,
        }
    }
    attempt()
}

/// Puts into the prefix what Wine lacks.
fn place_files(paths: &Paths, prefix: &Prefix, runtime: Option<&Path>) -> Result<()> {
    let own = paths.out().join("wdfldr.sys");
    let runtime = runtime.unwrap_or(&own);
    copy_if_changed(runtime, &prefix.drive_c("windows/system32/drivers/wdfldr.sys"))
        .context("there is no KMDF runtime to load")?;
    let shim = "bcryptprimitives.dll";
    copy_if_changed(
        &paths.out().join(shim),
        &prefix.drive_c("windows/system32").join(shim),
    )?;
    Ok(())
}

/// The kernel log of the last session.
pub(crate) fn latest_log(paths: &Paths) -> Result<PathBuf> {
    let latest = paths.logs().join(LATEST);
    fs::read_link(&latest).context("no kernel log was recorded yet: `cargo xtask run` records one")
}

fn forget_old_logs(logs: &Path) {
    let Ok(entries) = fs::read_dir(logs) else { return };
    let mut names: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("kernel-") && name.ends_with(".log")
        })
        .collect();
    names.sort();
    for old in &names[..names.len().saturating_sub(KEPT_LOGS)] {
        // Some other session may have removed it.
        let _ = fs::remove_file(old);
    }
}

/// `20260731-235959.123`, in UTC: names that sort by time.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Eras of 400 years from 1 March of year 0, so that a leap day ends a year.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day + 2) / 153;
    let date = day - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{date:02}-{:02}{:02}{:02}.{:03}",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> String {
        timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn timestamps_are_dates() {
        // Figures of `date -u -d @SECONDS`.
        assert_eq!(at(0), "19700101-000000.000");
        assert_eq!(at(951_827_696), "20000229-123456.000");
        assert_eq!(at(1_709_251_199), "20240229-235959.000");
        assert_eq!(at(4_107_542_400), "21000301-000000.000");
    }

    #[test]
    fn a_start_is_tried_again_and_not_for_ever() {
        let mut calls = 0;
        let mut fails = |times: u32| {
            calls = 0;
            let result = persistently(3, || {
                calls += 1;
                ensure!(calls > times, "failure {calls}");
                Ok(())
            });
            (result.map_err(|error| error.to_string()), calls)
        };
        assert_eq!(fails(0), (Ok(()), 1));
        assert_eq!(fails(2), (Ok(()), 3));
        assert_eq!(fails(9), (Err("failure 3".to_owned()), 3));
    }

    #[test]
    fn only_the_oldest_kernel_logs_are_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("cargo-wdfldr.log"), "").expect("write");
        for i in 0..KEPT_LOGS + 2 {
            fs::write(dir.path().join(format!("kernel-{i:04}-run.log")), "").expect("write");
        }
        forget_old_logs(dir.path());
        assert!(dir.path().join("cargo-wdfldr.log").exists());
        assert!(!dir.path().join("kernel-0001-run.log").exists());
        assert!(dir.path().join("kernel-0002-run.log").exists());
    }
}
