//! `cargo xtask sanitize`: the library's host tests under tools that see what an assertion does not: reads of freed
//! memory, leaks, data races.
//!
//! `AddressSanitizer` is right about code that it instruments and silent about the rest, so the standard library can
//! stay as it comes. `ThreadSanitizer` must see every synchronisation, those inside `std::sync` too: there the standard
//! library is instrumented as well, which needs its source. Debian's compiler has that; the run-time library
//! comes from rustup's nightly.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::{
    Context,
    count::Count,
    process::{Tool, require_program},
    toolchain::Rust,
};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PACKAGE: &str = "queued-work-item";

/// Options of `sanitize`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Only these; without any, all but Miri
    #[arg(value_name = "TOOL")]
    tools: Vec<Sanitizer>,
}

/// A tool that watches the tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sanitizer {
    /// `AddressSanitizer` and its leak check, by rustup's nightly
    Address,
    /// `ThreadSanitizer` with the standard library instrumented too, by Debian's rustc
    Thread,
    /// Valgrind's memcheck
    Valgrind,
    /// Miri, with strict provenance and tree borrows
    Miri,
}

impl Sanitizer {
    /// What runs when nothing is named. Miri is not among them: it is no part of most toolchains.
    pub(crate) const DEFAULT: [Self; 3] = [Self::Address, Self::Thread, Self::Valgrind];

    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Runs the wanted tools; fails if any finds something, after all have run.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let tools = if options.tools.is_empty() {
        &Sanitizer::DEFAULT
    } else {
        options.tools.as_slice()
    };
    all(context, tools).map(drop)
}

/// Runs these tools, all of them whatever fails.
pub(crate) fn all(context: &Context, tools: &[Sanitizer]) -> Result<Count> {
    let mut sum = Count::default();
    let mut failures = Vec::new();
    for tool in tools {
        match one(context, *tool) {
            Ok(count) => sum += count,
            Err(error) => failures.push(format!("{}: {error:#}", tool.name())),
        }
    }
    if failures.is_empty() {
        Ok(sum)
    } else {
        bail!(failures.join("\n"))
    }
}

fn one(context: &Context, sanitizer: Sanitizer) -> Result<Count> {
    let step = context.progress.step(&format!("sanitize {}", sanitizer.name()));
    let name = format!("sanitize-{}", sanitizer.name());
    let tool = match sanitizer {
        Sanitizer::Address => address()?,
        Sanitizer::Thread => thread()?,
        Sanitizer::Valgrind => valgrind()?,
        Sanitizer::Miri => miri()?,
    };
    let lines = tool
        .args(["--locked", "--package", PACKAGE, "--no-fail-fast", "--lib"])
        .args(test_targets(context.paths.root())?)
        // A target folder of its own: flags of one tool would have cargo build everything anew for the next.
        .env("CARGO_TARGET_DIR", context.paths.linux_dir().join(&name))
        // Tests unwind; a library built to abort would bring a second standard library.
        .env("CARGO_PROFILE_DEV_PANIC", "unwind")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .current_dir(context.paths.root())
        .log(&context.paths.log(&name))
        .echo(context.verbose)
        .run_with(&step, findings)?;
    let count = Count::of_libtest(&lines.join("\n"));
    ensure!(count.passed > 0, "no test has run");
    step.done(&count.to_string());
    Ok(count)
}

/// The lines of a failed run that tell what was found and where to look.
fn findings(lines: &[String]) -> Vec<&str> {
    const TELLING: &[&str] = &["SUMMARY: ", "error", "FAILED", "panicked at", "ERROR SUMMARY: "];
    let is_telling = |line: &&str| TELLING.iter().any(|word| line.contains(word));
    lines
        .iter()
        .map(String::as_str)
        .filter(is_telling)
        .take(60)
        .collect()
}

/// The test programs, but for those that drive the compiler: they have nothing to watch.
fn test_targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("crates").join(PACKAGE).join("tests");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry.context("cannot list the tests")?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.contains("trybuild::") {
            let stem = path.file_stem().context("a test has a name")?;
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names
        .into_iter()
        .flat_map(|name| ["--test".to_owned(), name])
        .collect())
}

/// rustup's nightly.
fn nightly() -> Result<Tool> {
    require_program("rustup")?;
    Ok(Tool::new("rustup")
        .args(["run", "nightly", "cargo"])
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .hint("if there is no nightly toolchain: rustup toolchain install nightly"))
}

fn address() -> Result<Tool> {
    Ok(nightly()?.args(["test", "--target", TARGET]).env(
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
        "-Zsanitizer=address",
    ))
}

/// The run-time library of `ThreadSanitizer`: not among Debian's Rust packages.
fn thread_runtime() -> Result<PathBuf> {
    let sysroot = Tool::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .hint("if there is no nightly toolchain: rustup toolchain install nightly")
        .output()?;
    let folder = Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib");
    let runtime = folder.join("librustc-nightly_rt.tsan.a");
    ensure!(runtime.is_file(), "{} is missing", runtime.display());
    Ok(runtime)
}

fn thread() -> Result<Tool> {
    let Some(rust @ Rust::Debian { .. }) = Rust::find()? else {
        bail!("Debian's rustc-web and rust-web-src are needed: cargo xtask setup");
    };
    let runtime = thread_runtime()?;
    let flags = [
        "-Zsanitizer=thread",
        "-Zexternal-clangrt",
        // All of it, and first: it interposes what the program would take from the C library.
        "-Zpre-link-arg=-Wl,--whole-archive",
        &format!("-Zpre-link-arg={}", runtime.display()),
        "-Zpre-link-arg=-Wl,--no-whole-archive",
    ];
    Ok(rust
        .cargo()
        .args(["test", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_abort,panic_unwind,test")
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags.join(" ")))
}

fn valgrind() -> Result<Tool> {
    let valgrind = require_program("valgrind")?;
    // Only what is definitely lost is a leak: the host backend's threads outlive the tests. Threads take turns fairly:
    // by default a spinning one can starve the others.
    let runner = format!(
        "{} --quiet --error-exitcode=99 --fair-sched=yes --leak-check=full --errors-for-leak-kinds=definite \
         --show-leak-kinds=definite",
        valgrind.display()
    );
    Ok(Tool::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--target", TARGET])
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner))
}

fn miri() -> Result<Tool> {
    let is_there = nightly()?.args(["miri", "--version"]).output().is_ok();
    ensure!(
        is_there,
        "Miri is not installed. To install it: rustup toolchain install nightly --component miri,rust-src"
    );
    Ok(nightly()?.args(["miri", "test"]).env(
        "MIRIFLAGS",
        "-Zmiri-strict-provenance -Zmiri-tree-borrows -Zmiri-disable-isolation",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_the_lines_that_tell() {
        let lines: Vec<String> = [
            "running 1 test",
            "SUMMARY: ThreadSanitizer: data race",
            "  #0 main",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(findings(&lines), ["SUMMARY: ThreadSanitizer: data race"]);
    }

    #[test]
    fn every_test_program_but_the_compilers_is_watched() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the workspace");
        let targets = test_targets(root).expect("there are tests");
        assert_eq!(targets.len() % 2, 0);
        let names: Vec<&String> = targets.iter().skip(1).step_by(2).collect();
        assert!(
            names.is_sorted() && names.iter().any(|name| *name == "closing"),
            "{names:?}"
        );
    }
}
