//! Ctrl-C: Wine's server is a daemon that no terminal reaches, so somebody has to end it.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use anyhow::{Context as _, Result};

use super::prefix::Prefix;

/// The exit code of a program that SIGINT ended, as shells report it.
const INTERRUPTED: i32 = 130;

/// The prefix whose server is running.
static ACTIVE: Mutex<Option<Prefix>> = Mutex::new(None);

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
        *active() = Some(prefix.clone());
        Ok(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *active() = None;
    }
}

fn active() -> MutexGuard<'static, Option<Prefix>> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs on a thread of its own, not in the signal handler.
fn interrupted() {
    if let Some(prefix) = &*active() {
        eprintln!("interrupted: ending Wine");
        if let Err(error) = prefix.kill() {
            eprintln!("warning: {error:#}");
        }
    }
    std::process::exit(INTERRUPTED);
}
