//! The commands that need Wine, except the tests.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use super::{
    child::Echo,
    device::Driver,
    prefix::Prefix,
    session::{Session, latest_log},
};
use crate::{
    Context, build,
    paths::{create_dir, write_if_changed},
    setup,
};

/// What every command that runs programs in Wine can be told.
#[derive(Args, Clone, Debug)]
pub(crate) struct RuntimeOptions {
    /// Load this KMDF runtime instead of the repository's own
    #[arg(long, value_name = "FILE")]
    wdfldr: Option<PathBuf>,
    /// How the driver is built
    #[arg(long, value_enum, default_value_t = build::Profile::Release)]
    profile: build::Profile,
    /// Take what was built last
    #[arg(long, conflicts_with = "profile")]
    pub(crate) no_build: bool,
}

impl RuntimeOptions {
    /// The runtime's file; none is ours.
    pub(crate) fn file(&self) -> Result<Option<PathBuf>> {
        let Some(file) = &self.wdfldr else { return Ok(None) };
        let full = fs::canonicalize(file).with_context(|| format!("cannot find {}", file.display()))?;
        ensure!(full.is_file(), "{} is not a file", full.display());
        Ok(Some(full))
    }

    /// Sets up and builds everything, unless told not to.
    pub(crate) fn prepare(&self, context: &Context, deny_warnings: bool) -> Result<()> {
        if self.no_build {
            return Ok(());
        }
        setup::run(context)?;
        let options = build::Options {
            profile: self.profile,
            deny_warnings,
            ..build::Options::default()
        };
        build::run(context, &options)
    }
}

/// Options of `run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Open a shell with the driver installed before it is removed
    #[arg(long)]
    keep: bool,
    /// The time limit of the scenario, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Arguments of `qwi-harness run`, after `--`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Options of `harness`.
#[derive(Args, Clone, Debug)]
pub(crate) struct HarnessOptions {
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Do not install the driver before and remove it afterwards
    #[arg(long)]
    bare: bool,
    /// The time limit, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// What to hand to qwi-harness
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Options of `shell`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ShellOptions {
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Run this instead of an interactive shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Options of `log`.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogOptions {
    /// Print only where it is
    #[arg(long)]
    path: bool,
}

/// `cargo xtask run`: everything from nothing to the table.
pub(crate) fn run(context: &Context, options: &RunOptions) -> Result<()> {
    let runtime = options.runtime.file()?;
    options.runtime.prepare(context, false)?;
    let session = Session::start(context, "run", runtime.as_deref())?;
    eprintln!("kernel log: {}", context.paths.shown(&session.log()));
    let driver = Driver::new(&context.paths, &session, runtime.is_none());
    driver.install(Echo::Through)?;
    let args = std::iter::once(OsStr::new("run")).chain(options.args.iter().map(OsString::as_os_str));
    let outcome = driver.expect(args, Duration::from_secs(options.timeout), Echo::Through)?;
    driver.settle(&outcome, false)?;
    if options.keep {
        open_shell(context, &session, &[])?;
    }
    let account = driver.uninstall(Echo::Through)?;
    eprintln!("{account}");
    session.end()
}

/// `cargo xtask harness`: the harness's exit code is ours.
pub(crate) fn harness(context: &Context, options: &HarnessOptions) -> Result<ExitCode> {
    let runtime = options.runtime.file()?;
    options.runtime.prepare(context, false)?;
    let session = Session::start(context, "harness", runtime.as_deref())?;
    let driver = Driver::new(&context.paths, &session, runtime.is_none());
    let bare = options.bare || manages_driver(&options.args);
    if !bare {
        driver.install(Echo::Quiet)?;
    }
    let limit = Duration::from_secs(options.timeout);
    let outcome = driver.run(&options.args, limit, Echo::Through)?;
    driver.settle(&outcome, false)?;
    let code = match outcome.finished.code() {
        Some(code) if !outcome.is_fatal() => code,
        _ => return Err(session.failure(&outcome)),
    };
    if !bare {
        driver.uninstall(Echo::Quiet)?;
    }
    let log = session.log();
    session.end()?;
    if code != 0 {
        eprintln!("kernel log: {}", context.paths.shown(&log));
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// Whether the harness needs no driver for this, or sees to it by itself.
fn manages_driver(args: &[OsString]) -> bool {
    const OWN: [&str; 9] = [
        "install",
        "uninstall",
        "help",
        "-h",
        "--help",
        "-V",
        "--version",
        "--list",
        "-l",
    ];
    args.is_empty() || args.iter().any(|arg| OWN.iter().any(|own| arg == own))
}

/// `cargo xtask shell`: a session to play in.
pub(crate) fn shell(context: &Context, options: &ShellOptions) -> Result<ExitCode> {
    let runtime = options.runtime.file()?;
    options.runtime.prepare(context, false)?;
    let session = Session::start(context, "shell", runtime.as_deref())?;
    let code = open_shell(context, &session, &options.command)?;
    session.end()?;
    Ok(ExitCode::from(code))
}

/// Runs a shell, or a command, in the session's environment; returns its exit code.
fn open_shell(context: &Context, session: &Session, line: &[OsString]) -> Result<u8> {
    let bin = context.paths.linux_dir().join("shell");
    create_dir(&bin)?;
    write_script(
        &bin.join("qwi-harness"),
        &context.paths.out().join("qwi-harness.exe"),
    )?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))
        .context("the shell's folder cannot be put into PATH")?;
    let mut command = match line {
        [] => {
            eprintln!(
                "Wine is running: `qwi-harness install`, `wine sc query`, `exit`.\n\
                 kernel log: {}",
                session.log().display()
            );
            Command::new(std::env::var_os("SHELL").unwrap_or_else(|| "bash".into()))
        }
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args);
            command
        }
    };
    session.set_environment(&mut command);
    let status = command
        .env("PATH", path)
        .env("QWI_KERNEL_LOG", session.log())
        .current_dir(context.paths.out())
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX))
}

fn write_script(script: &Path, exe: &Path) -> Result<()> {
    let exe = exe.to_str().context("the output folder's path is not UTF-8")?;
    if exe.contains('\'') {
        bail!("{exe} has a quote in it");
    }
    write_if_changed(script, format!("#!/bin/sh\nexec wine '{exe}' \"$@\"\n"))?;
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(script, executable).with_context(|| format!("cannot change {}", script.display()))
}

/// `cargo xtask log`.
pub(crate) fn log(context: &Context, options: &LogOptions) -> Result<()> {
    let path = latest_log(&context.paths)?;
    if options.path {
        println!("{}", path.display());
        return Ok(());
    }
    eprintln!("{}", path.display());
    let mut file = fs::File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::copy(&mut file, &mut std::io::stdout()).context("cannot print the log")?;
    Ok(())
}

/// `cargo xtask clean-prefix`.
pub(crate) fn clean_prefix(context: &Context) -> Result<()> {
    let prefix = Prefix::find(&context.paths)?;
    let step = context.progress.step("clean-prefix");
    prefix.remove()?;
    step.done(&format!("removed {}", context.paths.shown(prefix.dir())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manages(line: &str) -> bool {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        manages_driver(&args)
    }

    #[test]
    fn a_driver_is_installed_for_what_needs_one() {
        for line in ["run --threads 2", "status", "test w05", "--timeout 5 stats"] {
            assert!(!manages(line), "{line}");
        }
        for line in [
            "",
            "--help",
            "install",
            "uninstall",
            "test --list",
            "--quiet install",
            "run --help",
        ] {
            assert!(manages(line), "{line}");
        }
    }
}
