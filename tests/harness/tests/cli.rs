//! The command line: over a device in memory the very commands, and of the program what needs none.
//!
//! What is shown is what scripts rely on: exit codes, the reports' form, and that what is on standard output is the
//! result and nothing else.

#[path = "host/memory.rs"]
mod memory;

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode, Output},
    time::Duration,
};

use clap::Parser;
use queued_work_item_harness::{
    Client, Error,
    bench::Results,
    cli::{self, Arguments, System},
    device::{Access, Transport},
    report::{Kind, Verdicts},
};

use self::memory::Memory;

/// A machine whose driver is in memory.
struct InMemory(Memory);

impl System for InMemory {
    fn transport(&self, _: Option<&Path>, _: Duration) -> Box<dyn Transport + '_> {
        Box::new(&self.0)
    }

    fn install(&self, _: Option<&Path>, _: Duration, _: &mut dyn FnMut(String)) -> Result<(), Error> {
        Err(Error::AccessDenied {
            what: "installing a driver needs an elevated process".into(),
        })
    }

    fn uninstall(&self, _: Duration, say: &mut dyn FnMut(String)) -> Result<(), Error> {
        say("nothing was installed".into());
        Ok(())
    }

    fn facts(&self) -> Result<Vec<(String, String)>, Error> {
        Ok(vec![("service".into(), "in memory".into())])
    }
}

impl InMemory {
    fn new() -> Self {
        Self(Memory::new())
    }

    fn run(&self, line: &str) -> ExitCode {
        let words = ["qwi-harness"].into_iter().chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        cli::run(&arguments, self)
    }

    fn client(&self) -> Client {
        Client::open(&self.0, Access::ReadWrite, Duration::from_secs(10)).expect("a handle")
    }
}

/// Exit codes can only be compared as they are shown.
fn is(code: ExitCode, number: u8) -> bool {
    format!("{code:?}") == format!("{:?}", ExitCode::from(number))
}

#[track_caller]
fn ends(system: &InMemory, line: &str, number: u8) {
    let code = system.run(line);
    assert!(is(code, number), "{line}: {code:?} where {number} was due");
}

#[test]
fn verbs_by_hand_do_what_they_say() {
    let system = InMemory::new();
    ends(
        &system,
        "configure --buffers 4 --size 16 --max-buffers 8 --context 8 --reuse-cleanup",
        0,
    );
    ends(&system, "--instance 3 configure --buffers 2 --size 4", 0);
    ends(&system, "enqueue hello --count 3 --again 1", 0);
    ends(&system, "flush", 0);
    ends(&system, "wait --hex c0ffee --status 0xC0000001 --for 5000", 0);
    ends(&system, "--instance 3 enqueue abcd", 0);
    ends(&system, "--instance 3 flush", 0);
    ends(&system, "gate --for 0.01", 0);
    ends(&system, "cancel", 0);
    ends(&system, "stats", 0);
    ends(&system, "stats --json", 0);
    ends(&system, "stats --watch 0.01 --count 3", 0);
    ends(&system, "stats --watch 0.01 --count 2 --json", 0);
    ends(&system, "log", 0);
    ends(&system, "log --json --from 2", 0);
    ends(&system, "log --follow --limit 5", 0);
    ends(&system, "status", 0);
    let client = system.client();
    let counters = client.statistics().expect("counters");
    assert_eq!((counters.accepted, counters.executed), (7, 7));
    assert_eq!((counters.capacity, counters.cleanups), (8, 7));
    let other = client.at(3).statistics().expect("counters");
    assert_eq!((other.accepted, other.capacity), (1, 2));
    ends(&system, "close", 0);
    ends(&system, "--instance 3 close --cancel", 0);
}

#[test]
fn refusals_have_their_exit_codes() {
    let system = InMemory::new();
    // Not configured.
    ends(&system, "enqueue hello", 4);
    ends(&system, "flush", 4);
    ends(&system, "install", 5);
    ends(&system, "uninstall", 0);
    ends(&system, "configure", 0);
    ends(&system, "configure", 4);
    ends(&system, "wait --hex 123", 2);
    ends(&system, "test no_such_test", 2);
    ends(&system, "test --exact w24", 2);
    // A gate that nobody opens.
    let client = system.client();
    client.gate().expect("a gate");
    ends(&system, "wait hello --timeout 0.05", 6);
    client.release().expect("a gate");
    ends(&system, "close", 0);
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("no/such/folder");
    ends(
        &system,
        &format!(
            "test --exact w08_waiter_gets_the_callbacks_status --json {}",
            nowhere.display()
        ),
        11,
    );
    system.0.surprise_remove().expect("a removal");
    ends(&system, "stats", 4);
}

#[test]
fn verdicts_are_written_and_read_back() {
    let system = InMemory::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (json, junit) = (folder.path().join("v.json"), folder.path().join("v.xml"));
    let line = format!("test w0 --json {} --junit {}", json.display(), junit.display());
    ends(&system, &line, 0);
    let verdicts: Verdicts =
        serde_json::from_str(&fs::read_to_string(&json).expect("a file")).expect("verdicts");
    assert!(verdicts.passed > 8 && verdicts.failed == 0 && verdicts.skipped == 0);
    assert!(
        verdicts
            .scenarios
            .iter()
            .all(|verdict| verdict.outcome == Kind::Passed && verdict.id.contains("w0"))
    );
    let suites = quick_junit::Report::deserialize_from_str(&fs::read_to_string(&junit).expect("a file"))
        .expect("JUnit's XML");
    assert_eq!((suites.tests, suites.failures), (verdicts.passed, 0));

    // A failure is in both, and is the exit code: the device vanishes under the second run.
    let gone = format!("{line} --timeout 1");
    system.0.surprise_remove().expect("a removal");
    ends(&system, &gone, 4);
}

#[test]
fn loads_pass_and_tell_machines() {
    let system = InMemory::new();
    let folder = tempfile::tempdir().expect("a folder");
    for mode in ["enqueue", "wait", "batch", "passive", "dispatch", "dpc"] {
        let file = folder.path().join(format!("{mode}.json"));
        ends(
            &system,
            &format!(
                "stress --mode {mode} --threads 2 --items 500 --json {}",
                file.display()
            ),
            0,
        );
        let account: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&file).expect("a file")).expect("JSON");
        assert_eq!(account["passed"], true, "{account}");
        assert_eq!(account["accepted"], account["executed"], "{account}");
        if mode != "batch" {
            assert_eq!(account["accepted"], 1_000, "{account}");
        }
    }
    for mode in ["enqueue", "dispatch"] {
        ends(
            &system,
            &format!("stress --mode {mode} --duration 0.2 --threads 2"),
            0,
        );
    }
    ends(&system, "fuzz --count 2000 --seed 7 --verbose", 0);
    ends(&system, "fuzz --duration 0.2 --quiet", 0);
    ends(&system, "run --threads 2 --items 100", 0);
}

#[test]
fn benchmarks_are_written_and_read_back() {
    let system = InMemory::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (json, html) = (folder.path().join("b.json"), folder.path().join("b.html"));
    let line = format!(
        "bench --samples 2 --json {} --html {}",
        json.display(),
        html.display()
    );
    ends(&system, &line, 0);
    let results: Results =
        serde_json::from_str(&fs::read_to_string(&json).expect("a file")).expect("results");
    assert_eq!(results.samples, 2);
    assert!(results.series.iter().all(|series| series.samples_ns.len() == 2));
    let page = fs::read_to_string(&html).expect("a file");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
}

/// The program itself, which on this machine may have no driver to talk to.
fn program(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qwi-harness"))
        .args(line.split_whitespace())
        .env("NO_COLOR", "1")
        .output()
        .expect("the program")
}

#[test]
fn the_program_refuses_what_makes_no_sense() {
    for line in [
        "",
        "no-such-verb",
        "stress --threads 0",
        "stress --threads 33",
        "stress --mode sideways",
        "configure --buffers many",
        "--instance 8 stats",
        "--timeout 0 stats",
        "stats --count 3",
        "test --exact",
        "--quiet --verbose stats",
        "fuzz --count 0",
        "bench --samples 31",
        "test no_such_test",
    ] {
        let output = program(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{line}: an error on standard output");
        assert!(!output.stderr.is_empty(), "{line}: no word why");
    }
}

#[test]
fn the_program_explains_itself() {
    let help = program("--help");
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout);
    for code in 0..=11 {
        assert!(
            text.lines()
                .any(|line| line.trim_start().starts_with(&format!("{code}  "))),
            "exit code {code} is not documented"
        );
    }
    let list = program("test --list");
    assert_eq!(list.status.code(), Some(0));
    let text = String::from_utf8_lossy(&list.stdout);
    for scenario in queued_work_item_harness::scenarios::ALL {
        assert!(
            text.lines().any(|line| line == scenario.id),
            "{} is not listed",
            scenario.id
        );
    }
    assert!(!text.contains('\u{1b}'), "colours, where nobody looks");
}
