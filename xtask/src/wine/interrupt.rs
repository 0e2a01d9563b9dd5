//! Ctrl-C: Wine's server is a daemon that no terminal reaches, so somebody has to end it.
//!
//! Ending it races with the rest of this program, which may be about to start the next program in Wine, and with it
//! another server. So every process is started under a lock that an interruption takes and never gives back.

use std::{
    io, mem,
    os::unix::process::CommandExt as _,
    process::{Child, Command},
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::prefix::Prefix;

/// The exit code of a program that SIGINT ended, as shells report it.
const INTERRUPTED: i32 = 130;

/// What an interruption has to end.
static ACTIVE: Mutex<Active> = Mutex::new(Active {
    prefix: None,
    group: None,
});

struct Active {
    /// The prefix whose server is running.
    prefix: Option<Prefix>,
    /// The process group of the program that was started last. Its first process is ours to wait for, so the number
    /// is not another's before [`ended`].
    group: Option<Pid>,
}

/// Ends the server when this program is interrupted, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Guard;

impl Guard {
    /// Watches over the prefix.
    pub(crate) fn new(prefix: &Prefix) -> Result<Self> {
        static INSTALLED: Once = Once::new();
        let mut installed = Ok(());
        INSTALLED.call_once(|| installed = ctrlc::set_handler(interrupted));
        installed.context("cannot watch for signals")?;
        active().prefix = Some(prefix.clone());
        Ok(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        active().prefix = None;
    }
}

/// Starts a process that leads a process group of its own. Does not return after an interruption.
pub(crate) fn spawn(command: &mut Command) -> io::Result<(Child, Pid)> {
    let mut active = active();
    let child = command.process_group(0).spawn()?;
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    let group = Pid::from_raw(id);
    active.group = Some(group);
    Ok((child, group))
}

/// Forgets a process group whose leader was waited for.
pub(crate) fn ended(group: Pid) {
    let mut active = active();
    if active.group == Some(group) {
        active.group = None;
    }
}

fn active() -> MutexGuard<'static, Active> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs on a thread of its own, not in the signal handler.
fn interrupted() {
    let active = active();
    if let Some(group) = active.group {
        // It may have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
    }
    if let Some(prefix) = &active.prefix {
        eprintln!("interrupted: ending Wine");
        for verb in ["-k", "-w"] {
            // In a process group of its own, where a second Ctrl-C does not reach it.
            if let Err(error) = prefix.server(&[verb]).process_group(0).status() {
                eprintln!("warning: wineserver {verb}: {error}");
            }
        }
    }
    // Nothing is started any more.
    mem::forget(active);
    std::process::exit(INTERRUPTED);
}
