//! Random programs of verbs, run against the queue and against a model that is simple enough to be right.
//!
//! `QWI_SEED` and `QWI_CASES` choose the programs; the seed of each run is printed, and one seed is always the same
//! programs. A program that fails is shrunk to a smallest one that does.

#[path = "../common/mod.rs"]
mod common;
mod instance;
mod model;
mod program;
mod rig;

use model::Wrong;
use program::{Plan, Program, Verb};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// Runs programs until one fails: the smallest failing one and why.
fn search(seed: u64, cases: u32, wrong: Wrong) -> Result<(), (String, Program)> {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        // A program that hangs takes the rig's patience each time.
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, rng).run(&program::any(), |program| {
        rig::run(&program, wrong).map_err(proptest::test_runner::TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, program)) => Err((why.message().to_owned(), program)),
        Err(TestError::Abort(why)) => panic!("no programs: {why}"),
    }
}

#[test]
fn random_programs_do_what_the_model_does() {
    let seed = common::seed();
    let cases = std::env::var("QWI_CASES").map_or(400, |cases| cases.parse().expect("a number"));
    if let Err((why, program)) = search(seed, cases, Wrong::Nowhere) {
        panic!("QWI_SEED={seed}: {why}\nsmallest failing program: {program:#?}");
    }
}

/// A search that cannot find a fault shows nothing: each model here is wrong in one place, and so is caught, by a
/// program of about as many verbs as it takes (shrinking may stop at one that no single step makes smaller).
///
/// `why` is a part of what must be reported; what shows a wrong order may be a payload, a status or a completion.
fn caught(wrong: Wrong, why: &str, verbs: usize) -> Program {
    let (message, program) = search(common::seed(), 2_000, wrong).expect_err("a wrong model was not caught");
    assert!(message.contains(why), "{message}");
    assert!(program.verbs.len() <= verbs, "not shrunk: {program:?}");
    program
}

#[test]
fn a_model_that_runs_the_newest_first_is_caught() {
    let program = caught(Wrong::NewestFirst, "", 8);
    let enqueues = program.verbs.iter().filter(|verb| verb.enqueues()).count();
    assert!(enqueues >= 2, "{program:?}");
}

#[test]
fn a_model_with_a_buffer_too_many_is_caught() {
    let program = caught(Wrong::BufferTooMany, "enqueue", 4 + 5);
    assert!(program.verbs.len() > program.capacity() as usize, "{program:?}");
}

#[test]
fn a_model_whose_cancel_counts_the_running_item_is_caught() {
    let program = caught(Wrong::CancelCountsRunning, "cancel", 6);
    assert!(program.verbs.contains(&Verb::ShutGate), "{program:?}");
}

/// The first of the faults that this library does not inherit.
#[test]
fn a_model_whose_flush_closes_is_caught() {
    caught(Wrong::FlushCloses, "closing", 1);
}

#[test]
fn a_model_whose_stop_is_forgotten_is_caught() {
    caught(Wrong::StopIsForgotten, "stopped", 1);
}

#[test]
fn a_model_whose_cancel_skips_the_cleanup_is_caught() {
    let program = caught(Wrong::CancelSkipsCleanup, "cleaned", 6);
    assert!(program.verbs.iter().any(|verb| verb.enqueues()), "{program:?}");
}

#[test]
fn a_model_whose_contexts_stay_is_caught() {
    let program = caught(Wrong::ContextsStay, "", 6);
    let enqueues = program.verbs.iter().filter(|verb| verb.enqueues()).count();
    assert!(enqueues >= 2, "{program:?}");
}

#[test]
fn a_model_that_never_shrinks_is_caught() {
    let program = caught(Wrong::GrowthStays, "pool blocks", 12);
    assert!(
        program.more > 0 && (program.buffers as usize) < program.verbs.len(),
        "{program:?}"
    );
}

#[test]
fn a_model_that_takes_any_length_is_caught() {
    let program = caught(Wrong::AnyLength, "enqueue", 1);
    assert!(program.plan == Plan::Normal, "{program:?}");
}
