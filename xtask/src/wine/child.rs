//! Running one program with a time limit. It, and what it started in its process group, is killed when it exceeds
//! the limit or when the driver that it talks to is dead and it does not notice.

use std::{
    io::{self, Read, Write},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::interrupt;

/// After a driver died: time for the program to say what it saw.
const GRACE: Duration = Duration::from_secs(5);

/// After a program ended: time for its output to arrive. A process that it left behind may hold the pipe for ever.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(2);

/// What ends the wait for a program, or shortens it.
#[derive(Debug)]
pub(crate) enum Event {
    /// The program ended.
    Exited(io::Result<ExitStatus>),
    /// The kernel log says that a driver is dead.
    Fatal,
}

/// Where a program's output goes beside the returned copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    /// Nowhere.
    Quiet,
    /// To our own standard output and standard error, each to its own.
    Through,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// Killed at the time limit.
    TimedOut,
    /// Killed because the driver was dead and it did not end.
    Stuck,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Whether it ended by itself, with success.
    pub(crate) fn success(&self) -> bool {
        matches!(self.end, End::Exited(status) if status.success())
    }

    /// Its exit code, if it ended by itself.
    pub(crate) fn code(&self) -> Option<i32> {
        match self.end {
            End::Exited(status) => status.code(),
            End::TimedOut | End::Stuck => None,
        }
    }

    /// How it ended, for people.
    pub(crate) fn describe(&self, limit: Duration) -> String {
        match self.end {
            End::Exited(status) if status.success() => "succeeded".to_owned(),
            End::Exited(status) => match status.code() {
                Some(code) => format!("ended with exit code {code}"),
                None => format!("ended with {status}"),
            },
            End::TimedOut => format!("did not end within {} s and was killed", limit.as_secs()),
            End::Stuck => format!(
                "did not end within {} s of the driver's death and was killed",
                GRACE.as_secs()
            ),
        }
    }
}

/// The two ends of the channel of events; the sender may be handed to a [`super::recorder::Recorder`].
pub(crate) fn events() -> (Sender<Event>, Receiver<Event>) {
    mpsc::channel()
}

/// Runs the command without standard input, in a process group of its own.
pub(crate) fn run(
    mut command: Command,
    limit: Duration,
    echo: Echo,
    (tell, told): (Sender<Event>, &Receiver<Event>),
) -> Result<Finished> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let program = command.get_program().to_string_lossy().into_owned();
    let (mut child, group) =
        interrupt::spawn(&mut command).with_context(|| format!("cannot run {program}"))?;
    let stdout = child.stdout.take().map(|from| copy(from, echo, io::stdout()));
    let stderr = child.stderr.take().map(|from| copy(from, echo, io::stderr()));
    thread::spawn(move || {
        let status = child.wait();
        interrupt::ended(group);
        // Nobody listens any more when the wait was given up.
        let _ = tell.send(Event::Exited(status));
    });
    let end = wait(told, group, limit)?;
    let text = |output: Option<Receiver<Vec<u8>>>| {
        let mut bytes = Vec::new();
        let until = Instant::now() + OUTPUT_PATIENCE;
        while let Some(Ok(chunk)) = output
            .as_ref()
            .map(|output| output.recv_timeout(until.saturating_duration_since(Instant::now())))
        {
            bytes.extend(chunk);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Finished {
        end,
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

fn wait(told: &Receiver<Event>, group: Pid, limit: Duration) -> Result<End> {
    let mut deadline = Instant::now() + limit;
    let mut fatal = false;
    let mut killed = false;
    loop {
        match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Exited(status)) => {
                let status = status.context("cannot wait for a process")?;
                return Ok(match (killed, fatal) {
                    (false, _) => End::Exited(status),
                    (true, true) => End::Stuck,
                    (true, false) => End::TimedOut,
                });
            }
            Ok(Event::Fatal) if killed => {}
            Ok(Event::Fatal) => {
                let sooner = Instant::now() + GRACE;
                if sooner < deadline {
                    deadline = sooner;
                    fatal = true;
                }
            }
            Err(RecvTimeoutError::Timeout) if !killed => {
                // It may end in this very moment: then there is no such group any more.
                let _ = killpg(group, Signal::SIGKILL);
                killed = true;
                deadline += OUTPUT_PATIENCE;
            }
            // The thread that waits for the process never goes without a word, and SIGKILL is not refused.
            Err(error) => anyhow::bail!("a killed process does not end: {error}"),
        }
    }
}

/// Copies a stream on a thread of its own; the pieces come out of the channel, which closes at the stream's end.
fn copy(
    mut from: impl Read + Send + 'static,
    echo: Echo,
    mut to: impl Write + Send + 'static,
) -> Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let chunk = &buffer[..read];
            if echo == Echo::Through {
                // A closed pipe behind our output does not stop the program that runs.
                let _ = to.write_all(chunk);
                let _ = to.flush();
            }
            if tell.send(chunk.to_vec()).is_err() {
                break;
            }
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration, fatal: bool) -> Finished {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let (tell, told) = events();
        if fatal {
            tell.send(Event::Fatal).expect("the receiver is here");
        }
        run(command, limit, Echo::Quiet, (tell, &told)).expect("sh can be run")
    }

    #[test]
    fn output_and_exit_code_arrive() {
        let finished = shell("echo out; echo err >&2; exit 3", Duration::from_mins(1), false);
        assert!(!finished.success());
        assert_eq!(finished.describe(Duration::ZERO), "ended with exit code 3");
        assert_eq!(finished.stdout, "out\n");
        assert_eq!(finished.stderr, "err\n");
        assert!(shell("true", Duration::from_mins(1), false).success());
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let begun = Instant::now();
        let finished = shell(
            "echo begun; sleep 600 & sleep 600",
            Duration::from_millis(300),
            false,
        );
        assert!(matches!(finished.end, End::TimedOut), "{finished:?}");
        assert_eq!(finished.stdout, "begun\n");
        assert!(begun.elapsed() < Duration::from_mins(1));
    }

    #[test]
    fn a_program_is_not_waited_for_when_its_driver_is_dead() {
        let begun = Instant::now();
        let finished = shell("sleep 600", Duration::from_mins(10), true);
        assert!(matches!(finished.end, End::Stuck), "{finished:?}");
        assert!(begun.elapsed() < Duration::from_mins(1));
    }

    #[test]
    fn a_program_that_ends_in_the_grace_keeps_its_exit_code() {
        let finished = shell("exit 7", Duration::from_mins(10), true);
        assert_eq!(finished.describe(Duration::ZERO), "ended with exit code 7");
    }

    #[test]
    fn output_held_open_by_a_stranger_does_not_hang_us() {
        let begun = Instant::now();
        let finished = shell("setsid sleep 20 & echo here", Duration::from_mins(1), false);
        assert!(finished.success());
        assert_eq!(finished.stdout, "here\n");
        assert!(begun.elapsed() < Duration::from_secs(15));
    }
}
