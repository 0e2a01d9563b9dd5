//! A process that loads the driver, to be killed.
//!
//! It is this very program once more, told by its environment to do nothing but [`load`](crate::load): whichever program
//! runs the scenarios, there is no other one to find, and none that could be of another build.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, ExitCode, Stdio},
};

use super::Installed;
use crate::{DRIVER, Error, client::DEFAULT_TIMEOUT, device::Process, load, status::Win32Error};

/// What tells a process that it is one.
const ROLE: &str = "QWI_HARNESS_ROLE";
const LOAD: &str = "load";

/// What it says when it is under way.
const UNDER_WAY: &str = "under way";

/// `ERROR_INTERNAL_ERROR`, and how often it is taken for bad luck.
const INTERNAL_ERROR: i32 = 1359;
const ATTEMPTS: u32 = 3;

/// Does what the environment says, if it says so. Every program that runs scenarios begins with this.
#[must_use]
pub fn role() -> Option<ExitCode> {
    if env::var_os(ROLE)? != LOAD {
        return None;
    }
    let installed = Installed::new(&DRIVER, None, DEFAULT_TIMEOUT);
    let mut say = || {
        println!("{UNDER_WAY}");
        // Whoever does not listen any more will kill it all the same.
        let _ = std::io::stdout().flush();
    };
    Some(
        match load::load(&installed, DEFAULT_TIMEOUT, &mut say, &|| false) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(error.exit_code())
            }
        },
    )
}

/// Starts one and waits until it is under way.
pub(super) fn start() -> Result<Loading, Error> {
    let exe = env::current_exe().map_err(|error| failure("GetModuleFileName", &error))?;
    let mut command = Command::new(exe);
    command
        .env(ROLE, LOAD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut attempts = 1..;
    let child = loop {
        match command.spawn() {
            // Under load Wine has a process end, now and then, before its first instruction.
            Err(error)
                if error.raw_os_error() == Some(INTERNAL_ERROR)
                    && attempts.next().is_some_and(|attempt| attempt < ATTEMPTS) => {}
            other => break other.map_err(|error| failure("CreateProcess", &error))?,
        }
    };
    let mut loading = Loading(child);
    let mut line = String::new();
    if let Some(output) = loading.0.stdout.as_mut() {
        BufReader::new(output)
            .read_line(&mut line)
            .map_err(|error| failure("ReadFile", &error))?;
    }
    if line.trim_end() == UNDER_WAY {
        Ok(loading)
    } else {
        Err(Error::Unverified(format!(
            "the process that should load the driver ended; it said {line:?}"
        )))
    }
}

/// A process under way. Dropping it kills it too.
pub(super) struct Loading(Child);

impl Process for Loading {
    fn kill(mut self: Box<Self>) -> Result<(), Error> {
        self.0
            .kill()
            .map_err(|error| failure("TerminateProcess", &error))?;
        self.0
            .wait()
            .map(drop)
            .map_err(|error| failure("WaitForSingleObject", &error))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn failure(call: &'static str, error: &std::io::Error) -> Error {
    Error::System {
        call,
        error: Win32Error(error.raw_os_error().unwrap_or(0).cast_unsigned()),
    }
}
