//! The fuzzer's target on any compiler: the committed corpus, and mutations of it.

use std::backtrace::Backtrace;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, io, panic, process};

use queued_work_item_fuzz::seeds::Random;
use queued_work_item_fuzz::{MAX_LENGTH, Report, run, seeds};
use queued_work_item_ioctl::*;

/// How long mutations are tried. More of it: `QWI_FUZZ_SECONDS`.
const BOUND: Duration = Duration::from_secs(5);

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/requests");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is committed")
        .map(|entry| {
            let entry = entry.expect("a folder can be read");
            let bytes = fs::read(entry.path()).expect("a file can be read");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

/// What runs, for who reads of a panic.
static RUNNING: Mutex<String> = Mutex::new(String::new());

/// Plays a program; a panic ends the process.
///
/// A panic on a thread that nobody joins is a finding too, and one that unwinds through the device would wait for what
/// never ends. What libtest captures is lost then, so this writes past it.
fn play(what: String, bytes: &[u8]) -> Report {
    // One program at a time: the hook is the process's.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = what;
    let previous = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let what = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let trace = Backtrace::force_capture();
        // Nobody is left to be told that this did not work.
        let _ = writeln!(io::stderr(), "{info}\nin {what}\n{trace}");
        process::abort();
    }));
    let report = run(bytes);
    panic::set_hook(previous);
    report
}

#[test]
fn the_committed_seeds_are_the_contracts() {
    let corpus = corpus();
    for (name, bytes) in seeds::all() {
        let committed = corpus.iter().find(|(file, _)| file == name);
        assert!(
            committed.is_some_and(|(_, committed)| *committed == bytes),
            "{name} is not what the contract gives: cargo run -p queued-work-item-fuzz --example seeds"
        );
    }
}

#[test]
fn the_corpus_reaches_every_verb_and_satisfies_the_oracles() {
    let mut sum = Report::default();
    for (name, bytes) in corpus() {
        sum.merge(&play(name, &bytes));
    }
    for (code, name) in ALL {
        assert!(sum.count(code, STATUS_SUCCESS) > 0, "{name} has never succeeded");
    }
    for status in [
        STATUS_CANCELLED,
        STATUS_DELETE_PENDING,
        STATUS_INSUFFICIENT_RESOURCES,
        STATUS_INVALID_BUFFER_SIZE,
        STATUS_INVALID_DEVICE_REQUEST,
        STATUS_INVALID_PARAMETER,
        STATUS_REVISION_MISMATCH,
        STATUS_BUFFER_TOO_SMALL,
    ] {
        assert!(
            sum.statuses().any(|seen| seen == status),
            "{status:#x} was never seen"
        );
    }
}

#[test]
fn mutations_of_the_corpus_satisfy_the_oracles() {
    let corpus: Vec<_> = corpus().into_iter().map(|(_, bytes)| bytes).collect();
    let number = |name| env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("QWI_FUZZ_SEED").unwrap_or(0x5EED);
    let bound = number("QWI_FUZZ_SECONDS").map_or(BOUND, Duration::from_secs);
    let mut random = Random::new(seed);
    let begun = Instant::now();
    let mut sum = Report::default();
    let mut programs = 0;
    while begun.elapsed() < bound {
        let bytes = mutated(&corpus, &mut random);
        let what = format!("program {programs} of QWI_FUZZ_SEED={seed}: {bytes:?}");
        sum.merge(&play(what, &bytes));
        programs += 1;
    }
    eprintln!("{programs} programs: {sum:x?}");
    assert!(programs > 10, "{programs} programs in {bound:?}");
    assert!(sum.count(CONFIGURE, STATUS_SUCCESS) > 0);
}

/// Two programs spliced, and some bytes of them changed, inserted or taken out.
fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let [one, other] = [0; 2].map(|_| &corpus[random.below(corpus.len())]);
    let mut bytes = one[..random.below(one.len() + 1)].to_vec();
    bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
    for _ in 0..random.below(8) {
        let at = random.below(bytes.len() + 1);
        match random.below(3) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.insert(at, random.byte()),
        }
    }
    bytes.truncate(MAX_LENGTH);
    bytes
}
