//! `cargo xtask fuzz`: the code that answers requests, under libFuzzer and `AddressSanitizer`.
//!
//! `cargo-fuzz` would do the same, `cargo +nightly fuzz run --features libfuzzer requests`; this needs it not to be
//! installed. The committed corpus is only read; what the fuzzer finds is kept beside the build, so that the next run
//! goes on from there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::{
    Context,
    count::Count,
    paths::{create_dir, remove_dir_if_present},
    process::{Tool, find_program},
    sanitize,
};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PACKAGE: &str = "queued-work-item-fuzz";
/// The fuzz target, and its folder in the corpus.
const NAME: &str = "requests";

/// What builds libFuzzer, whichever is there.
const CXX: [&str; 2] = ["c++", "g++"];

/// What is lacking, as a reader would look for it; empty if nothing is.
pub(crate) fn missing() -> Vec<String> {
    if CXX.iter().any(|name| find_program(name).is_some()) {
        Vec::new()
    } else {
        vec!["a C++ compiler for libFuzzer (g++)".to_owned()]
    }
}

/// What makes the compiler tell libFuzzer which way a program took.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Copt-level=2",
    "--cfg=fuzzing",
];

/// Options of `fuzz`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// The fuzzer's own choices, to repeat them as far as threads allow; by default another seed each time
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Play these inputs instead, as those that a run has left
    #[arg(value_name = "FILE", conflicts_with_all = ["seconds", "seed"])]
    inputs: Vec<PathBuf>,
}

/// Builds the fuzzer and runs it.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    if options.inputs.is_empty() {
        return bounded(context, options.seconds, options.seed).map(drop);
    }
    let program = build(context)?;
    let step = context.progress.step("fuzz: replay");
    let inputs: Vec<PathBuf> = options
        .inputs
        .iter()
        .map(|input| fs::canonicalize(input).with_context(|| format!("cannot find {}", input.display())))
        .collect::<Result<_>>()?;
    fuzzer(context, &program)
        .args(&inputs)
        .run_with(&step, findings)?;
    step.done(&format!("{} inputs satisfy the oracles", options.inputs.len()));
    Ok(())
}

/// Fuzzes for so long.
pub(crate) fn bounded(context: &Context, seconds: u32, seed: Option<u32>) -> Result<Count> {
    let program = build(context)?;
    let step = context.progress.step("fuzz");
    let state = context.paths.linux_dir().join("fuzz");
    let (found, failures) = (state.join("corpus"), state.join("failures"));
    create_dir(&found)?;
    // Failures of older sources say nothing of these.
    remove_dir_if_present(&failures)?;
    create_dir(&failures)?;
    let mut tool = fuzzer(context, &program)
        .arg(&found)
        .arg(corpus(context.paths.root()))
        .args(["-max_len=8192", "-timeout=120", "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", failures.display()));
    if let Some(seed) = seed {
        tool = tool.arg(format!("-seed={seed}"));
    }
    let lines = match tool.run_with(&step, findings) {
        Ok(lines) => lines,
        Err(error) => return Err(error.context(left_behind(&failures)?)),
    };
    let Some(runs) = runs(&lines) else {
        bail!("the fuzzer did not say how much it ran");
    };
    ensure!(runs > 0, "the fuzzer ran nothing");
    step.done(&format!("{runs} programs satisfy the oracles"));
    Ok(Count::ONE)
}

fn corpus(root: &Path) -> PathBuf {
    root.join("fuzz/corpus").join(NAME)
}

/// The built fuzzer.
fn build(context: &Context) -> Result<PathBuf> {
    let missing = missing();
    ensure!(
        missing.is_empty(),
        "lacking: {}: cargo xtask setup",
        missing.join(", ")
    );
    let step = context.progress.step("fuzz: build");
    let target_dir = context.paths.linux_dir().join("fuzz/target");
    let (tool, mut flags) = sanitize::compiler("address", "asan")?;
    flags.extend(FLAGS.iter().map(|flag| (*flag).to_owned()));
    tool.args(["build", "--locked", "--target", TARGET])
        .args(["--package", PACKAGE, "--bin", NAME, "--features", "libfuzzer"])
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags.join(" "))
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .current_dir(context.paths.root())
        .log(&context.paths.log("fuzz-build"))
        .echo(context.verbose)
        .run(&step)?;
    step.done("ok");
    Ok(target_dir.join(TARGET).join("debug").join(NAME))
}

fn fuzzer(context: &Context, program: &Path) -> Tool {
    Tool::new(program)
        .current_dir(context.paths.root())
        .log(&context.paths.log("fuzz"))
        .echo(context.verbose)
}

/// What to do with a failing input.
fn left_behind(failures: &Path) -> Result<String> {
    let entries = fs::read_dir(failures).with_context(|| format!("cannot list {}", failures.display()))?;
    let names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .collect();
    Ok(if names.is_empty() {
        "the fuzzer failed, and left no input".to_owned()
    } else {
        format!("to play what failed again: cargo xtask fuzz {}", names.join(" "))
    })
}

/// The lines of a failed run that tell what was found and where to look.
fn findings(lines: &[String]) -> Vec<&str> {
    const TELLING: &[&str] = &[
        "panicked at",
        "SUMMARY: ",
        "ERROR: ",
        "Test unit written to",
        " at ./",
    ];
    let begin = lines.iter().position(|line| line.contains("panicked at"));
    lines[begin.unwrap_or(0)..]
        .iter()
        .enumerate()
        // A panic's message is on the line below.
        .filter(|(at, line)| (begin.is_some() && *at == 1) || TELLING.iter().any(|word| line.contains(word)))
        .map(|(_, line)| line.as_str())
        .take(40)
        .collect()
}

/// How many inputs libFuzzer says that it ran.
fn runs(lines: &[String]) -> Option<u64> {
    lines
        .iter()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|figure| figure.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn runs_are_read_from_the_statistics() {
        let output = lines("Done 7 runs in 1 second(s)\nstat::number_of_executed_units: 7522\nstat::x: 1");
        assert_eq!(runs(&output), Some(7522));
        assert_eq!(runs(&lines("INFO: Seed: 1")), None);
    }

    #[test]
    fn a_failure_is_told_with_its_message_and_its_input() {
        let output = lines(
            "INFO: Seed: 1\n#2 INITED\nthread '<unnamed>' panicked at fuzz/src/lane.rs:1:2:\na request outlives its \
             handle\nstack backtrace:\n  at ./fuzz/src/play.rs:9\nSUMMARY: libFuzzer: deadly signal\nTest unit written \
             to failures/crash-1",
        );
        assert_eq!(
            findings(&output),
            [
                "thread '<unnamed>' panicked at fuzz/src/lane.rs:1:2:",
                "a request outlives its handle",
                "  at ./fuzz/src/play.rs:9",
                "SUMMARY: libFuzzer: deadly signal",
                "Test unit written to failures/crash-1",
            ]
        );
    }

    #[test]
    fn there_are_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the workspace");
        assert!(fs::read_dir(corpus(root)).expect("a corpus").count() > 5);
    }
}
