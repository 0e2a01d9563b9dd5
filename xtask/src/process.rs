//! Running other programs: everything they print goes to a log, and a failure says which command, what it printed
//! last, and what to do about it.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{paths::create_dir, progress::Step};

/// Lines of a failed tool's output that an error shows; the log has the rest.
const TAIL_LINES: usize = 40;

/// A program to run.
#[derive(Debug)]
pub(crate) struct Tool {
    command: Command,
    log: Option<PathBuf>,
    hint: Option<String>,
    echo: bool,
}

impl Tool {
    /// A program by name (looked up in `PATH`) or path, with no arguments yet.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(program),
            log: None,
            hint: None,
            echo: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Unsets an environment variable.
    #[must_use]
    pub(crate) fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it in this folder.
    #[must_use]
    pub(crate) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Keeps everything it prints in this file.
    #[must_use]
    pub(crate) fn log(mut self, log: &Path) -> Self {
        self.log = Some(log.to_path_buf());
        self
    }

    /// What a reader should do when it fails.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Also shows everything that it prints.
    #[must_use]
    pub(crate) fn echo(mut self, echo: bool) -> Self {
        self.echo = echo;
        self
    }

    /// The command as one would type it.
    pub(crate) fn line(&self) -> String {
        command_line(self.command.get_program(), self.command.get_args())
    }

    /// Runs it to its end; standard output and error are one stream of lines, as they come. Fails when it fails.
    pub(crate) fn run(self, step: &Step) -> Result<Vec<String>> {
        self.run_with(step, |lines| {
            lines[lines.len().saturating_sub(TAIL_LINES)..]
                .iter()
                .map(String::as_str)
                .collect()
        })
    }

    /// As [`Tool::run`]; of a failure, only the lines that `telling` picks are shown.
    pub(crate) fn run_with(
        mut self,
        step: &Step,
        telling: fn(&[String]) -> Vec<&str>,
    ) -> Result<Vec<String>> {
        let line = self.line();
        let mut log = self.open_log(&line)?;
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let second = writer.try_clone().context("cannot duplicate a pipe")?;
        self.command.stdin(Stdio::null()).stdout(writer).stderr(second);
        let mut child = self
            .command
            .spawn()
            .map_err(|error| self.explained(anyhow!("cannot run `{line}`: {error}")))?;
        // The command holds the writing ends: while they are open, the reader would never see the end.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());

        let mut lines = Vec::new();
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        while reader
            .read_until(b'\n', &mut bytes)
            .context("cannot read a tool's output")?
            > 0
        {
            let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if let Some(log) = &mut log {
                writeln!(log, "{}", console::strip_ansi_codes(&text)).context("cannot write the log")?;
            }
            if self.echo {
                step.line(&text);
            } else {
                step.status(console::strip_ansi_codes(&text).trim());
            }
            lines.push(text);
        }
        let status = child
            .wait()
            .with_context(|| format!("cannot wait for `{line}`"))?;
        if status.success() {
            return Ok(lines);
        }
        let told = telling(&lines);
        let told = told.join("\n");
        let mut message = format!("`{line}` failed ({status})");
        if !told.is_empty() && !self.echo {
            message.push('\n');
            message.push_str(&told);
        }
        if let Some(log) = &self.log {
            message.push_str("\nfull output: ");
            message.push_str(&log.display().to_string());
        }
        Err(self.explained(anyhow!(message)))
    }

    /// Runs it for what it prints on standard output, without surrounding white space.
    pub(crate) fn output(mut self) -> Result<String> {
        let line = self.line();
        let output = self
            .command
            .stdin(Stdio::null())
            .output()
            .map_err(|error| self.explained(anyhow!("cannot run `{line}`: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let error = anyhow!("`{line}` failed ({})\n{}", output.status, said.trim_end());
            return Err(self.explained(error));
        }
        let text =
            String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not print text"))?;
        Ok(text.trim().to_owned())
    }

    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        match &self.hint {
            Some(hint) => anyhow!("{error:#}\n{hint}"),
            None => error,
        }
    }

    fn open_log(&self, line: &str) -> Result<Option<File>> {
        let Some(path) = &self.log else { return Ok(None) };
        if let Some(parent) = path.parent() {
            create_dir(parent)?;
        }
        let mut log = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        writeln!(log, "$ {line}").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Some(log))
    }
}

fn command_line<'a>(program: &OsStr, args: impl Iterator<Item = &'a OsStr>) -> String {
    let mut line = quoted(program);
    for arg in args {
        line.push(' ');
        line.push_str(&quoted(arg));
    }
    line
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The path of a program in `PATH`, if it is there.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// The path of a program in `PATH`.
pub(crate) fn require_program(name: &str) -> Result<PathBuf> {
    find_program(name)
        .with_context(|| format!("the program `{name}` is not in PATH: run `cargo xtask setup`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    #[test]
    fn a_failure_shows_the_command_its_last_words_and_the_hint() {
        let step = Progress::new(true).step("test");
        let error = Tool::new("sh")
            .args(["-c", "echo to-out; echo to-err >&2; exit 3"])
            .hint("try harder")
            .run(&step)
            .expect_err("the tool exits with 3");
        let text = format!("{error:#}");
        for part in [
            "sh -c 'echo to-out",
            "to-out\nto-err",
            "exit status: 3",
            "try harder",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
        step.done("ok");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Tool::new("qwi-no-such-program")
            .output()
            .expect_err("there is no such program");
        assert!(format!("{error:#}").contains("qwi-no-such-program"));
    }

    #[test]
    fn words_are_quoted_as_a_shell_wants_them() {
        assert_eq!(quoted(OsStr::new("-Clink-arg=/RELEASE")), "-Clink-arg=/RELEASE");
        assert_eq!(quoted(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(OsStr::new("")), "''");
    }
}
