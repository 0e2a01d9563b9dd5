//! Recording the kernel log: a pipe that everything on Wine's kernel side writes to, a file that it ends up in, and
//! what was found in it so far.
//!
//! A pipe and not the file itself, because a reader learns of each line at once: a crash can end a run before its
//! time limit, and [`Recorder::sync`] knows when everything that was printed before it has been read.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, PipeReader, PipeWriter, Write as _},
    mem,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    child::Event,
    log::{Account, Finding, Line},
};
use crate::paths::create_dir;

/// Lines that are kept for a report; the file has all of them.
const KEPT_LINES: usize = 2_000;

/// A line that no driver prints: everything before it has been read when it has.
const SYNC: &str = "\u{1}sync";

/// How long what is in a pipe may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// A log being recorded.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    shared: Arc<Mutex<State>>,
    /// Ours, for [`Recorder::sync`].
    writer: PipeWriter,
    /// Told once when the last writer is gone.
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// How many lines there were, kept or not.
    count: usize,
    findings: Vec<Finding>,
    accounts: Vec<Account>,
    listener: Option<Sender<Event>>,
    syncs: VecDeque<Sender<()>>,
}

/// A place in the log; what comes after it can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    lines: usize,
    findings: usize,
    accounts: usize,
}

impl Recorder {
    /// Begins a log. What is to be recorded writes to [`Recorder::writer`].
    pub(crate) fn start(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            create_dir(parent)?;
        }
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let shared = Arc::new(Mutex::new(State::default()));
        let (tell_end, ended) = mpsc::channel();
        let state = Arc::clone(&shared);
        thread::Builder::new()
            .name("kernel log".to_owned())
            .spawn(move || {
                record(reader, file, &state);
                // Nobody listens any more when the recorder was dropped early.
                let _ = tell_end.send(());
            })
            .context("cannot start a thread")?;
        Ok(Self {
            path: path.to_path_buf(),
            shared,
            writer,
            ended,
        })
    }

    /// Where the log is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A writing end of the pipe, for a process.
    pub(crate) fn writer(&self) -> Result<PipeWriter> {
        self.writer.try_clone().context("cannot duplicate a pipe")
    }

    /// Writes a line of our own: which command is about to run.
    pub(crate) fn note(&self, text: &str) {
        // The log is a help, not a condition: a full disk shows elsewhere.
        let _ = writeln!(&self.writer, "---- {text}");
    }

    /// Waits until everything printed so far has been read. What a driver prints before a call returns is in the
    /// pipe when the caller goes on, but not yet recorded.
    pub(crate) fn sync(&self) {
        let (tell, told) = mpsc::channel();
        self.state().syncs.push_back(tell);
        if writeln!(&self.writer, "{SYNC}").is_ok() {
            // A time-out means only that a report lacks its last lines.
            let _ = told.recv_timeout(PATIENCE);
        }
    }

    /// The end of the log as it is now.
    pub(crate) fn mark(&self) -> Mark {
        self.sync();
        let state = self.state();
        Mark {
            lines: state.count,
            findings: state.findings.len(),
            accounts: state.accounts.len(),
        }
    }

    /// What was found since the mark.
    pub(crate) fn findings_since(&self, mark: Mark) -> Vec<Finding> {
        self.state().findings[mark.findings..].to_vec()
    }

    /// What the runtime said of unloaded drivers since the mark.
    pub(crate) fn accounts_since(&self, mark: Mark) -> Vec<Account> {
        self.state().accounts[mark.accounts..].to_vec()
    }

    /// The last lines since the mark, at most `limit`.
    pub(crate) fn tail_since(&self, mark: Mark, limit: usize) -> Vec<String> {
        let state = self.state();
        let wanted = state
            .count
            .saturating_sub(mark.lines)
            .min(limit)
            .min(state.lines.len());
        state
            .lines
            .iter()
            .skip(state.lines.len() - wanted)
            .cloned()
            .collect()
    }

    /// Sends an event for each fatal line from now on; replaces the former listener.
    pub(crate) fn listen(&self, listener: Option<Sender<Event>>) {
        self.state().listener = listener;
    }

    /// Waits until every writer is gone and the file is whole. False if some process still holds the pipe.
    pub(crate) fn finish(self) -> bool {
        drop(self.writer);
        self.ended.recv_timeout(PATIENCE).is_ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

/// The state is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads to the end of the pipe.
fn record(reader: PipeReader, file: File, state: &Mutex<State>) {
    let begun = Instant::now();
    let mut reader = BufReader::new(reader);
    let mut file = BufWriter::new(file);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        let raw = String::from_utf8_lossy(&bytes).into_owned();
        bytes.clear();
        let (raw, synced) = match raw.split_once(SYNC) {
            Some((before, _)) => (before, true),
            None => (raw.as_str(), false),
        };
        if !raw.is_empty() {
            let shown = take(raw, begun.elapsed(), state);
            let _ = writeln!(file, "{shown}");
        }
        // Whoever follows the file sees each line at once, and a killed xtask leaves a whole log.
        if reader.buffer().is_empty() || synced {
            let _ = file.flush();
        }
        if synced && let Some(waiter) = lock(state).syncs.pop_front() {
            let _ = waiter.send(());
        }
    }
    let _ = file.flush();
}

/// Takes note of one line; returns it as the file has it.
fn take(raw: &str, elapsed: Duration, state: &Mutex<State>) -> String {
    let line = Line::parse(raw);
    let finding = Finding::of(line.text);
    let account = Account::of(line.text);
    let shown = format!(
        "{:9.3} {:4} {}",
        elapsed.as_secs_f64(),
        line.thread.unwrap_or(""),
        line.text
    );
    let mut state = lock(state);
    state.count += 1;
    if state.lines.len() == KEPT_LINES {
        state.lines.pop_front();
    }
    state.lines.push_back(shown.clone());
    state.accounts.extend(account);
    if let Some(finding) = finding {
        let fatal = finding.kind.is_fatal();
        state.findings.push(finding);
        if fatal && let Some(listener) = mem::take(&mut state.listener) {
            // The listener may have ended meanwhile.
            let _ = listener.send(Event::Fatal);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wine::log::Kind;

    const STOP: &str =
        "0148:warn:debugstr:vDbgPrintExWithPrefix 00000000:00000001: wdfldr: STOP 0x06: qwi: x";

    fn recorder() -> (tempfile::TempDir, Recorder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let recorder = Recorder::start(&dir.path().join("log/kernel.log")).expect("a recorder");
        (dir, recorder)
    }

    #[test]
    fn what_was_written_before_a_mark_is_not_after_it() {
        let (_dir, recorder) = recorder();
        let mut driver = recorder.writer().expect("a writer");
        writeln!(driver, "{STOP}").expect("write");
        let mark = recorder.mark();
        writeln!(
            driver,
            "0148:warn:debugstr:vDbgPrintExWithPrefix 00000000:00000001: wdfldr: unload qwi: 0 leaked"
        )
        .expect("write");
        recorder.sync();
        assert!(recorder.findings_since(mark).is_empty());
        assert_eq!(recorder.accounts_since(mark).len(), 1);
        let tail = recorder.tail_since(mark, 40);
        assert_eq!(tail.len(), 1);
        assert!(tail[0].ends_with("0148 wdfldr: unload qwi: 0 leaked"), "{tail:?}");
    }

    #[test]
    fn a_fatal_line_is_an_event() {
        let (_dir, recorder) = recorder();
        let start = recorder.mark();
        let (tell, told) = mpsc::channel();
        recorder.listen(Some(tell));
        writeln!(recorder.writer().expect("a writer"), "{STOP}").expect("write");
        assert!(matches!(told.recv_timeout(PATIENCE), Ok(Event::Fatal)));
        let findings = recorder.findings_since(start);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].kind, Kind::Stop);
    }

    #[test]
    fn the_file_has_every_line_and_no_marks() {
        let (dir, recorder) = recorder();
        let mut driver = recorder.writer().expect("a writer");
        write!(driver, "unfinished").expect("write");
        recorder.sync();
        for i in 0..KEPT_LINES + 10 {
            writeln!(driver, "line {i}").expect("write");
        }
        let mark = Mark {
            lines: 0,
            findings: 0,
            accounts: 0,
        };
        recorder.sync();
        assert_eq!(recorder.tail_since(mark, usize::MAX).len(), KEPT_LINES);
        drop(driver);
        assert!(recorder.finish());
        let text = std::fs::read_to_string(dir.path().join("log/kernel.log")).expect("the log");
        assert_eq!(text.lines().count(), KEPT_LINES + 11);
        assert!(!text.contains(SYNC));
    }
}
