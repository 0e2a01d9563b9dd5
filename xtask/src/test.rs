//! `cargo xtask test`: everything that can be checked on this machine, part by part, and one verdict.

use std::{env, path::PathBuf, time::Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    Context, budget, build,
    count::Count,
    emulate, fuzz, lint, package,
    process::Tool,
    progress::Step,
    sanitize,
    wine::{EndToEnd, RuntimeOptions, test_c_face, test_example, test_runtime},
};

/// How often a longer run lets the models switch away from a thread that could go on; by default each says itself, 2 or
/// 3. One more is ten minutes.
const LONG_PREEMPTIONS: &str = "3";

/// Options of `test`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Only what needs neither the Windows tool chain nor Wine
    #[arg(long, conflicts_with_all = ["e2e_only", "parts"])]
    host_only: bool,
    /// Only what runs the driver in Wine
    #[arg(long, conflicts_with = "parts")]
    e2e_only: bool,
    /// Longer: the models with more switches between threads, the sanitizers over random programs and a soak too, Miri if
    /// it is installed, and a minute of soak
    #[arg(long, conflicts_with = "e2e_only")]
    long: bool,
    /// Of the scenarios, only those whose name contains this
    #[arg(long, value_name = "TEXT")]
    scenario: Option<String>,
    /// Only these parts
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
}

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting, by rustfmt
    Format,
    /// Lints of what this machine runs, by clippy
    Lints,
    /// Lints of what only Windows compiles, by clippy
    KernelLints,
    /// Tests that run on this machine
    Host,
    /// The library's protocols under the model checker, loom
    Models,
    /// The budget of an enqueue, by an instruction counter
    Budget,
    /// The libraries could be published as they are: cargo packs them and builds what it packed
    Publish,
    /// The library's tests under `AddressSanitizer`, `ThreadSanitizer` and valgrind
    Sanitize,
    /// The code that answers requests, under a fuzzer, for half a minute
    Fuzz,
    /// A minute of producers at `DISPATCH_LEVEL`, beside a thread that waits: only with `--long`, or named
    Soak,
    /// Documentation builds without warnings
    Docs,
    /// The driver, the KMDF runtime and the harness build without warnings, and their images are sound
    Build,
    /// The package for Windows: signatures and catalog, by osslsigncode
    Package,
    /// The driver's entry in an emulator of Windows, speakeasy
    Emulate,
    /// The driver, its INF and the harness built in another folder: the same bytes
    Reproducible,
    /// The KMDF runtime in Wine, by a driver made for it
    Wdfldr,
    /// The guide's driver in Wine
    Example,
    /// The library for C drivers: both processors' builds, and a C driver that uses it in Wine
    CFace,
    /// The main scenario in Wine
    Run,
    /// The acceptance scenarios in Wine; with `--long` also those that take minutes
    Scenarios,
    /// The harness's commands in Wine, a short load, fuzz and benchmark among them
    Harness,
    /// The driver installed, used and removed 10 times
    Reinstall,
}

impl Part {
    /// Every part, in the order in which they run: what is quick and fails often comes first.
    const ALL: [Self; 22] = [
        Self::Format,
        Self::Lints,
        Self::Host,
        Self::Models,
        Self::Budget,
        Self::Docs,
        Self::Publish,
        Self::Sanitize,
        Self::Fuzz,
        Self::Soak,
        Self::KernelLints,
        Self::Build,
        Self::Package,
        Self::Emulate,
        Self::Reproducible,
        Self::Wdfldr,
        Self::Example,
        Self::CFace,
        Self::Run,
        Self::Scenarios,
        Self::Harness,
        Self::Reinstall,
    ];

    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn needs_wine(self) -> bool {
        matches!(
            self,
            Self::Wdfldr
                | Self::Example
                | Self::CFace
                | Self::Run
                | Self::Scenarios
                | Self::Harness
                | Self::Reinstall
        )
    }

    /// Builds what only Windows runs, or tests what was built.
    fn is_for_windows(self) -> bool {
        matches!(
            self,
            Self::KernelLints | Self::Build | Self::Package | Self::Emulate | Self::Reproducible
        )
    }

    /// Whether it tests what the part `build` makes.
    fn needs_build(self) -> bool {
        self.needs_wine() || matches!(self, Self::Package | Self::Emulate)
    }

    /// Needs more than a Rust tool chain, or minutes.
    fn needs_tools(self) -> bool {
        matches!(self, Self::Budget | Self::Sanitize | Self::Fuzz | Self::Soak)
    }

    fn is_wanted(self, options: &Options) -> bool {
        if options.parts.contains(&self) {
            true
        } else if options.host_only {
            !self.needs_wine() && (options.long || !self.needs_tools()) && !self.is_for_windows()
        } else if options.e2e_only {
            self.needs_wine()
        } else {
            options.parts.is_empty() && (options.long || self != Self::Soak)
        }
    }
}

/// Runs the wanted parts, all of them whatever fails, and fails if any did. The closing line comes last.
pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    let begun = Instant::now();
    let wanted: Vec<Part> = Part::ALL
        .into_iter()
        .filter(|part| part.is_wanted(options))
        .collect();
    let tests = Tests {
        context,
        options,
        runtime: options.runtime.file()?,
    };
    let mut sum = Count::default();
    let mut failures = Vec::new();
    let mut is_built = options.runtime.no_build;
    for part in wanted {
        let result = if part.needs_build() && !is_built {
            // Not wanted as a part, or failed as one: either way, what is tested must be built from these sources.
            match tests.build() {
                Ok(_) => {
                    is_built = true;
                    tests.part(part)
                }
                Err(error) => Err(error.context("not run: what it tests does not build")),
            }
        } else {
            tests.part(part)
        };
        is_built |= part == Part::Build && result.is_ok();
        match result {
            Ok(count) => {
                eprintln!("==== {}: {count}", part.name());
                if count.failed > 0 {
                    failures.push(part.name());
                }
                sum += count;
            }
            Err(error) => {
                eprintln!("==== {}: FAILED\n{error:#}", part.name());
                failures.push(part.name());
                sum += Count::FAILURE;
            }
        }
    }
    if !failures.is_empty() {
        eprintln!("failed: {}", failures.join(", "));
    }
    println!("{}", sum.closing_line(begun.elapsed()));
    Ok(failures.is_empty())
}

/// The tests under way.
struct Tests<'a> {
    context: &'a Context,
    options: &'a Options,
    runtime: Option<PathBuf>,
}

impl Tests<'_> {
    fn part(&self, part: Part) -> Result<Count> {
        match part {
            Part::Format => self.cargo("format", &["fmt", "--all", "--check"]),
            Part::Lints => self.cargo(
                "lints",
                &["clippy", "--locked", "--all-targets", "--", "--deny", "warnings"],
            ),
            Part::KernelLints => lint::run(self.context).map(|()| Count::ONE),
            Part::Host => {
                let tool = self.tool("host", &["test", "--locked", "--no-fail-fast"]);
                self.tests("host", tool)
            }
            Part::Models => {
                // Another configuration of every dependency: a folder of its own keeps the host's build as it is.
                let args = [
                    "test",
                    "--locked",
                    "--release",
                    "--package",
                    "queued-work-item",
                    "--lib",
                ];
                let mut tool = self
                    .tool("models", &args)
                    .env("RUSTFLAGS", "--cfg loom")
                    .env("CARGO_TARGET_DIR", self.context.paths.linux_dir().join("models"));
                if self.options.long {
                    tool = tool.env("LOOM_MAX_PREEMPTIONS", LONG_PREEMPTIONS);
                }
                self.tests("models", tool)
            }
            Part::Budget => budget::run(self.context),
            Part::Sanitize => sanitize::test(self.context, self.options.long),
            Part::Fuzz => {
                let seconds = if self.options.long { 600 } else { 30 };
                fuzz::bounded(self.context, seconds, None)
            }
            Part::Soak => {
                let args = ["test", "--locked", "--release", "--package", "queued-work-item"];
                let soak = ["--test", "soak", "--", "--ignored", "--nocapture"];
                let tool = self.tool("soak", &args).args(soak);
                self.tests("soak", tool)
            }
            Part::Docs => self.cargo("docs", &["doc", "--locked", "--no-deps"]),
            Part::Publish => self.cargo(
                "publish",
                &[
                    "publish",
                    "--dry-run",
                    "--locked",
                    "--allow-dirty",
                    "--package",
                    "queued-work-item",
                    "--package",
                    "queued-work-item-ioctl",
                ],
            ),
            Part::Build => self.build(),
            Part::Package => package::test::run(self.context),
            Part::Emulate => emulate::run(self.context),
            Part::Reproducible => package::reproducible::run(self.context).map(|()| Count::ONE),
            Part::Wdfldr => test_runtime(self.context, self.runtime.as_deref()),
            Part::Example => test_example(self.context, self.runtime.as_deref()),
            Part::CFace => test_c_face(self.context, self.runtime.as_deref()),
            Part::Run => self.end_to_end().run(),
            Part::Scenarios => {
                let program = build::test_program(self.context, "queued-work-item-harness", "driver")?;
                self.end_to_end()
                    .scenarios(&program, self.options.scenario.as_deref(), self.options.long)
            }
            Part::Harness => self.end_to_end().harness(),
            Part::Reinstall => self.end_to_end().reinstall(),
        }
    }

    fn end_to_end(&self) -> EndToEnd<'_> {
        EndToEnd::new(self.context, self.runtime.as_deref())
    }

    /// A cargo command that passes or fails as a whole.
    fn cargo(&self, name: &str, args: &[&str]) -> Result<Count> {
        let step = self.context.progress.step(name);
        self.tool(name, args).run(&step)?;
        step.done("ok");
        Ok(Count::ONE)
    }

    /// Tests by libtest; a failing one does not keep the others from running.
    fn tests(&self, name: &str, tool: Tool) -> Result<Count> {
        let step = self.context.progress.step(name);
        let lines = tool
            .run(&step)
            .map_err(|error| self.with_failures(name, &step, error))?;
        let count = Count::of_libtest(&lines.join("\n"));
        if count.passed == 0 {
            bail!("no test has run");
        }
        step.done(&count.to_string());
        Ok(count)
    }

    /// Failed tests are anywhere in a long output, the last lines only count them.
    fn with_failures(&self, name: &str, step: &Step, error: anyhow::Error) -> anyhow::Error {
        let log = std::fs::read_to_string(self.context.paths.log(name)).unwrap_or_default();
        for line in log.lines().filter(|line| is_failure(line)) {
            step.line(line);
        }
        error
    }

    fn build(&self) -> Result<Count> {
        self.options.runtime.prepare(self.context, true)?;
        Ok(Count::ONE)
    }

    /// The host's cargo, on the committed workspace.
    fn tool(&self, name: &str, args: &[&str]) -> Tool {
        Tool::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(args)
            .env("RUSTDOCFLAGS", "--deny warnings")
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .current_dir(self.context.paths.root())
            .log(&self.context.paths.log(name))
            .echo(self.context.verbose)
    }
}

/// Whether a line of a test run names a test that failed.
fn is_failure(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with("FAILED")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn wanted(line: &[&str]) -> Vec<Part> {
        let cli = Cli::try_parse_from(std::iter::once(&"test").chain(line)).expect("a command line");
        Part::ALL
            .into_iter()
            .filter(|part| part.is_wanted(&cli.options))
            .collect()
    }

    #[test]
    fn parts_are_chosen() {
        let all = Part::ALL.to_vec();
        assert_eq!(wanted(&["--long"]), all);
        let usual: Vec<Part> = all.into_iter().filter(|part| *part != Part::Soak).collect();
        assert_eq!(wanted(&[]), usual);
        assert_eq!(wanted(&["--long", "models"]), [Part::Models]);
        assert_eq!(wanted(&["sanitize"]), [Part::Sanitize]);
        assert_eq!(wanted(&["docs", "run"]), [Part::Docs, Part::Run]);
        assert_eq!(
            wanted(&["--host-only"]),
            [
                Part::Format,
                Part::Lints,
                Part::Host,
                Part::Models,
                Part::Docs,
                Part::Publish
            ]
        );
        let long = wanted(&["--host-only", "--long"]);
        assert!(long.contains(&Part::Sanitize) && long.contains(&Part::Soak) && !long.contains(&Part::Build));
        assert_eq!(
            wanted(&["--e2e-only"]),
            [
                Part::Wdfldr,
                Part::Example,
                Part::CFace,
                Part::Run,
                Part::Scenarios,
                Part::Harness,
                Part::Reinstall
            ]
        );
    }

    #[test]
    fn every_part_is_in_the_order() {
        for part in Part::value_variants() {
            assert!(Part::ALL.contains(part), "{part:?}");
        }
    }

    #[test]
    fn failed_tests_are_found_in_the_output() {
        assert!(is_failure("test queue::tests::order ... FAILED"));
        assert!(!is_failure("test result: FAILED. 1 passed; 1 failed"));
        assert!(!is_failure("test queue::tests::order ... ok"));
    }
}
