//! `cargo xtask sanitize`: the library's host tests under tools that see what an assertion does not: reads of freed
//! memory and of frames that were left, leaks, data races.
//!
//! `AddressSanitizer` is right about code that it instruments and silent about the rest, so the standard library can
//! stay as it comes. `ThreadSanitizer` must see every synchronisation, those inside `std::sync` too: there the standard
//! library is instrumented as well, which needs its source. Debian's compiler has that, and its clang the run-time
//! libraries; rustup's nightly will do for either.
//!
//! A tool that reports nothing shows something only if it can report: each is first let loose on faults made on purpose,
//! in `tests/watched.rs`, and one that it lets pass fails the run.

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
    progress::Step,
    toolchain::{LLVM_VERSION, Rust},
};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PACKAGE: &str = "queued-work-item";

/// The test program whose tests are faults on purpose.
const WATCHED: &str = "watched";

/// Leaves out what only some test programs need, so that it need not be built with instruments.
const BARE: &str = "--cfg bare";

/// How long a longer run lets the soak run under a sanitizer.
const SOAK_SECONDS: u32 = 30;

/// What installs rustup's nightly with all that the tools here need.
const NIGHTLY_HINT: &str = "rustup toolchain install nightly --component rust-src";

/// Options of `sanitize`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Only these; without any, all but Miri
    #[arg(value_name = "TOOL")]
    tools: Vec<Sanitizer>,
    /// Also the random programs, and under the sanitizers half a minute of soak: minutes
    #[arg(long)]
    long: bool,
}

/// A tool that watches the tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sanitizer {
    /// `AddressSanitizer` and its leak check
    Address,
    /// `ThreadSanitizer`, with the standard library instrumented too
    Thread,
    /// Valgrind's memcheck, which sees the standard library and the C library as well
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

    /// The faults of `tests/watched.rs` that it is there to catch, and a part of what it then says.
    const fn catches(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Address => &[
                ("use_after_free", "AddressSanitizer: heap-use-after-free"),
                ("use_after_return", "AddressSanitizer: stack-use-after-return"),
                ("leak", "byte(s) leaked in"),
            ],
            Self::Thread => &[("data_race", "ThreadSanitizer: data race")],
            Self::Valgrind => &[
                ("use_after_free", "Invalid read of size 8"),
                ("leak", "definitely lost"),
            ],
            Self::Miri => &[
                ("use_after_free", "has been freed"),
                ("data_race", "Data race detected"),
            ],
        }
    }
}

/// Runs the wanted tools; fails if any finds something, after all have run.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let tools = if options.tools.is_empty() {
        &Sanitizer::DEFAULT
    } else {
        options.tools.as_slice()
    };
    all(context, tools, options.long).map(drop)
}

/// What `cargo xtask test` runs of this: everything that this machine has; a `long` run asks for Miri too, and says so
/// when it is not there.
pub(crate) fn test(context: &Context, long: bool) -> Result<Count> {
    let mut tools = Sanitizer::DEFAULT.to_vec();
    if long {
        match require_miri() {
            Ok(()) => tools.push(Sanitizer::Miri),
            Err(error) => context
                .progress
                .step("sanitize miri")
                .done(&format!("not run: {error:#}")),
        }
    }
    all(context, &tools, long)
}

/// Runs these tools, all of them whatever fails.
fn all(context: &Context, tools: &[Sanitizer], long: bool) -> Result<Count> {
    let mut sum = Count::default();
    let mut failures = Vec::new();
    for tool in tools {
        let run = Run {
            context,
            sanitizer: *tool,
            long,
        };
        match run.all() {
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

/// One tool at work.
struct Run<'a> {
    context: &'a Context,
    sanitizer: Sanitizer,
    long: bool,
}

impl Run<'_> {
    fn all(&self) -> Result<Count> {
        let step = self
            .context
            .progress
            .step(&format!("sanitize {}", self.sanitizer.name()));
        let caught = self.catch_faults(&step)?;
        let programs = test_programs(self.context.paths.root(), self.long)?;
        let mut count = self.tests(&step, "tests", &with_names(&programs), &[])?;
        let mut told = format!(
            "{} test programs, {caught} faults on purpose caught",
            programs.len()
        );
        if self.long && matches!(self.sanitizer, Sanitizer::Address | Sanitizer::Thread) {
            count += self.tests(&step, "soak", &with_names(&["soak".to_owned()]), &["--ignored"])?;
            told = format!("{told}, {SOAK_SECONDS} s of soak");
        }
        step.done(&format!("{count}; {told}"));
        count.passed += caught;
        Ok(count)
    }

    /// Lets the tool find what it must find. How many faults that were.
    fn catch_faults(&self, step: &Step) -> Result<u64> {
        let mut caught = 0;
        for (fault, report) in self.sanitizer.catches() {
            step.status(fault);
            let outcome = self
                .tool(&format!("fault-{fault}"))?
                .args(["--test", WATCHED, "--", "--ignored", "--exact", fault])
                .run_with(step, findings);
            match outcome {
                Ok(_) => bail!("it let a fault pass that was made on purpose: {fault} in tests/{WATCHED}.rs"),
                Err(error) if format!("{error:#}").contains(report) => caught += 1,
                Err(error) => return Err(error.context(format!("{fault}: not the report that was expected"))),
            }
        }
        Ok(caught)
    }

    /// Runs test programs, all of them whatever fails.
    fn tests(&self, step: &Step, name: &str, programs: &[String], args: &[&str]) -> Result<Count> {
        let lines = self
            .tool(name)?
            .arg("--no-fail-fast")
            .args(programs)
            .arg("--")
            .args(args)
            .run_with(step, findings)?;
        let count = Count::of_libtest(&lines.join("\n"));
        ensure!(count.passed > 0, "no test has run");
        Ok(count)
    }

    /// `cargo test` under the tool; its output goes to a log of this name.
    fn tool(&self, name: &str) -> Result<Tool> {
        let tool = match self.sanitizer {
            Sanitizer::Address => self.instrumented("address", "asan", &[])?.env(
                "ASAN_OPTIONS",
                // Waiting threads' frames are what the queue points to.
                "detect_stack_use_after_return=1:detect_leaks=1",
            ),
            Sanitizer::Thread => self.instrumented(
                "thread",
                "tsan",
                &["-Zbuild-std=std,panic_abort,panic_unwind,test"],
            )?,
            Sanitizer::Valgrind => self.valgrind()?,
            Sanitizer::Miri => self.miri()?,
        };
        let folder = format!("sanitize-{}", self.sanitizer.name());
        Ok(tool
            .args(["--locked", "--package", PACKAGE])
            // A target folder of its own: flags of one tool would have cargo build everything anew for the next.
            .env("CARGO_TARGET_DIR", self.context.paths.linux_dir().join(&folder))
            // Tests unwind; a library built to abort would bring a second standard library.
            .env("CARGO_PROFILE_DEV_PANIC", "unwind")
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .env("QWI_SOAK_SECONDS", SOAK_SECONDS.to_string())
            .current_dir(self.context.paths.root())
            .log(&self.context.paths.log(&format!("{folder}-{name}")))
            .echo(self.context.verbose))
    }

    fn instrumented(&self, sanitizer: &str, runtime: &str, std: &[&str]) -> Result<Tool> {
        let (tool, mut flags) = compiler(sanitizer, runtime)?;
        if !self.long {
            flags.push(BARE.to_owned());
        }
        Ok(tool
            .args(["test", "--target", TARGET])
            .args(std)
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags.join(" ")))
    }

    fn valgrind(&self) -> Result<Tool> {
        let valgrind = require_program("valgrind")?;
        // Only what is definitely lost is a leak: the host backend's threads outlive the tests. Threads take turns
        // fairly: by default a spinning one can starve the others.
        let runner = format!(
            "{} --quiet --error-exitcode=99 --fair-sched=yes --leak-check=full --errors-for-leak-kinds=definite \
             --show-leak-kinds=definite",
            valgrind.display()
        );
        let tool = Tool::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--target", TARGET])
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner);
        Ok(if self.long {
            tool
        } else {
            tool.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", BARE)
        })
    }

    fn miri(&self) -> Result<Tool> {
        require_miri()?;
        let tool = nightly()?.args(["miri", "test"]).env(
            "MIRIFLAGS",
            // The host backend's threads outlive the tests.
            "-Zmiri-strict-provenance -Zmiri-tree-borrows -Zmiri-disable-isolation -Zmiri-ignore-leaks",
        );
        Ok(if self.long {
            tool
        } else {
            tool.env("RUSTFLAGS", BARE)
        })
    }
}

/// A cargo whose compiler knows a sanitizer, and the flags that make it instrument with it.
pub(crate) fn compiler(sanitizer: &str, runtime: &str) -> Result<(Tool, Vec<String>)> {
    let mut flags = vec![format!("-Zsanitizer={sanitizer}")];
    let Some(rust @ Rust::Debian { .. }) = Rust::find()? else {
        return Ok((nightly()?, flags));
    };
    let runtime = runtime_library(runtime)
        .with_context(|| format!("{sanitizer}: no run-time library: cargo xtask setup, or {NIGHTLY_HINT}"))?;
    flags.extend([
        "-Zexternal-clangrt".to_owned(),
        // All of it, and first: it interposes what the program would take from the C library.
        "-Zpre-link-arg=-Wl,--whole-archive".to_owned(),
        format!("-Zpre-link-arg={}", runtime.display()),
        "-Zpre-link-arg=-Wl,--no-whole-archive".to_owned(),
    ]);
    Ok((rust.cargo(), flags))
}

/// The lines of a failed run that tell what was found and where to look.
fn findings(lines: &[String]) -> Vec<&str> {
    const TELLING: &[&str] = &[
        "SUMMARY: ",
        "error",
        "FAILED",
        "panicked at",
        "Invalid ",
        "definitely lost",
    ];
    let is_telling = |line: &&str| TELLING.iter().any(|word| line.contains(word));
    lines
        .iter()
        .map(String::as_str)
        .filter(is_telling)
        .take(60)
        .collect()
}

/// The library's unit tests and its test programs: of those that need other crates, none drives the compiler, which
/// would be nothing to watch, and the others are for a `long` run.
fn test_programs(root: &Path, long: bool) -> Result<Vec<String>> {
    let folder = root.join("crates").join(PACKAGE).join("tests");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry.context("cannot list the tests")?.path();
        let stem = path.file_stem().context("a test has a name")?.to_string_lossy();
        let main = if path.is_dir() {
            path.join("main.rs")
        } else {
            path.clone()
        };
        if stem == WATCHED || main.extension().is_none_or(|extension| extension != "rs") || !main.is_file() {
            continue;
        }
        let text = fs::read_to_string(&main).with_context(|| format!("cannot read {}", main.display()))?;
        if !text.contains("trybuild::") && (long || !text.contains("proptest::")) {
            names.push(stem.into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// As arguments of `cargo test`.
fn with_names(programs: &[String]) -> Vec<String> {
    programs
        .iter()
        .flat_map(|name| ["--test".to_owned(), name.clone()])
        .collect()
}

/// What is lacking for the sanitizers, as a reader would look for it; empty if nothing is.
pub(crate) fn missing() -> Vec<String> {
    let wanted = if matches!(Rust::find(), Ok(Some(Rust::Debian { .. }))) {
        ["asan", "tsan"]
            .iter()
            .any(|name| runtime_library(name).is_none())
    } else {
        nightly_sysroot().is_none()
    };
    if wanted {
        vec![format!(
            "the run-time libraries of AddressSanitizer and ThreadSanitizer (Debian's libclang-rt-{LLVM_VERSION}-dev, \
             or {NIGHTLY_HINT})"
        )]
    } else {
        Vec::new()
    }
}

/// The run-time library of a sanitizer, of clang's or of rustup's nightly.
fn runtime_library(name: &str) -> Option<PathBuf> {
    let clang = PathBuf::from(format!(
        "/usr/lib/llvm-{LLVM_VERSION}/lib/clang/{LLVM_VERSION}/lib/linux/libclang_rt.{name}-x86_64.a"
    ));
    if clang.is_file() {
        return Some(clang);
    }
    let nightly = nightly_sysroot()?
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib")
        .join(format!("librustc-nightly_rt.{name}.a"));
    nightly.is_file().then_some(nightly)
}

fn nightly_sysroot() -> Option<PathBuf> {
    let sysroot = Tool::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .output();
    sysroot.ok().map(PathBuf::from)
}

/// rustup's nightly.
fn nightly() -> Result<Tool> {
    require_program("rustup")?;
    Ok(Tool::new("rustup")
        .args(["run", "nightly", "cargo"])
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .hint(format!("if there is no nightly toolchain: {NIGHTLY_HINT}")))
}

fn require_miri() -> Result<()> {
    let is_there = nightly()?.args(["miri", "--version"]).output().is_ok();
    ensure!(
        is_there,
        "Miri is not installed. To install it: {NIGHTLY_HINT} --component miri"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the workspace")
    }

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
    fn test_programs_are_all_but_the_compiler_s_and_the_faults() {
        let programs = test_programs(root(), false).expect("there are tests");
        assert!(programs.is_sorted(), "{programs:?}");
        let has = |name: &str| programs.iter().any(|program| program == name);
        assert!(has("closing") && has("rundown") && has("soak"), "{programs:?}");
        assert!(!has(WATCHED) && !has("compile_fail") && !has("property") && !has("common"));
        let long = test_programs(root(), true).expect("there are tests");
        assert!(long.iter().any(|program| program == "property"));
        assert!(programs.iter().all(|program| long.contains(program)));
    }

    #[test]
    fn every_fault_on_purpose_is_somebody_s_to_catch() {
        let path = root().join(format!("crates/{PACKAGE}/tests/{WATCHED}.rs"));
        let text = fs::read_to_string(path).expect("the faults");
        let mut faults: Vec<&str> = text
            .split("\nfn ")
            .skip(1)
            .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
            .collect();
        let mut caught: Vec<&str> = Sanitizer::DEFAULT
            .iter()
            .flat_map(|tool| tool.catches())
            .map(|(fault, _)| *fault)
            .collect();
        faults.sort_unstable();
        caught.sort_unstable();
        caught.dedup();
        assert_eq!(faults, caught);
    }
}
