//! `cargo xtask build`: from the sources to a folder of files that a Windows machine, or Wine, can install.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;

use crate::{
    Context, identity, imports, inf,
    kits::{self, Kits},
    packages::{Artefact, PACKAGES, Package, Recipe},
    paths::{copy_if_changed, create_dir, write_if_changed},
    pe,
    process::Tool,
    progress::Step,
    shadow,
    stamp::Inputs,
    toolchain::{Arch, Kit, MINGW_GCC, PROGRAM_TARGET, Rust},
};

mod c_driver;
mod c_face;

/// What to build and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What to build; everything if none is named
    #[arg(value_name = "ARTEFACT")]
    pub(crate) artefacts: Vec<Artefact>,
    /// For which processor; the driver alone can be built for another than x64
    #[arg(long, value_enum, default_value_t = Arch::X64)]
    pub(crate) arch: Arch,
    /// `release`, or `checked`: the same code generation with assertions and overflow checks
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    pub(crate) profile: Profile,
    /// Fail on a warning in one of the repository's packages; implied when the variable CI is set
    #[arg(long)]
    pub(crate) deny_warnings: bool,
}

impl Options {
    /// Whether this is to be made. The C driver is linked with the library for C drivers.
    fn wants(&self, artefact: Artefact) -> bool {
        self.artefacts.is_empty()
            || self.artefacts.contains(&artefact)
            || (artefact == Artefact::CFace && self.artefacts.contains(&Artefact::CDriver))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            artefacts: Vec::new(),
            arch: Arch::X64,
            profile: Profile::Release,
            deny_warnings: false,
        }
    }
}

/// A cargo profile that kernel code can be built with: without optimisation it does not link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// What ships
    Release,
    /// With debug assertions and overflow checks
    Checked,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Checked => "checked",
        }
    }
}

/// A build under way: everything that its steps share.
struct Builder<'a> {
    context: &'a Context,
    rust: Rust,
    kits: Kits,
    profile: Profile,
    arch: Arch,
}

/// Builds what is asked for into the output folder.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let _lock = context.paths.lock(context.progress)?;
    let is_for_all =
        |artefact: &Artefact| matches!(artefact, Artefact::Driver | Artefact::CFace | Artefact::CDriver);
    if options.arch != Arch::X64
        && (options.artefacts.is_empty() || !options.artefacts.iter().all(is_for_all))
    {
        bail!(
            "only the drivers and the library for C drivers are built for {}: name them",
            options.arch.name()
        );
    }
    let deny_warnings = options.deny_warnings || std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
    let (rust, kits) = prepare(context, deny_warnings)?;
    let builder = Builder {
        context,
        rust,
        kits,
        profile: options.profile,
        arch: options.arch,
    };
    create_dir(&builder.out())?;
    builder.relink_if_libraries_changed()?;
    for package in PACKAGES {
        if options.wants(package.artefact) {
            builder.make(package)?;
        }
    }
    shadow::check_lock(context)
}

/// Brings what a cargo run in the generated workspace needs up to date: the stand-in for the WDK and the workspace.
pub(crate) fn prepare(context: &Context, deny_warnings: bool) -> Result<(Rust, Kits)> {
    let Some(rust) = Rust::find()? else {
        bail!("this machine has no Rust compiler for Windows targets: run `cargo xtask setup`");
    };
    let kit = Kit::require()?;
    let kits = kits::assemble(context, &kit)?;
    shadow::generate(context, &rust, &kit, &kits, deny_warnings)?;
    Ok((rust, kits))
}

/// What kernel code needs of the standard library.
const KERNEL_STD: &[&str] = &[
    "-Zbuild-std=core,alloc",
    "-Zbuild-std-features=compiler-builtins-mem",
];

/// What a program needs of the standard library.
///
/// A test program always unwinds. Were other programs to abort, as the profiles say, cargo would build the standard
/// library both ways, which takes long and confuses the two; so all programs unwind here.
const PROGRAM_STD: &[&str] = &["-Zbuild-std=std,panic_abort,panic_unwind"];

/// Builds a test of a package as a program for Windows, and returns its file.
pub(crate) fn test_program(context: &Context, package: &str, test: &str) -> Result<PathBuf> {
    let _lock = context.paths.lock(context.progress)?;
    let Some(rust) = Rust::find()? else {
        bail!("this machine has no Rust compiler for Windows targets: run `cargo xtask setup`");
    };
    let step = context.progress.step(&format!("test program {test}"));
    let std = if rust.builds_std() { PROGRAM_STD } else { &[] };
    let lines = rust
        .cargo()
        .args([
            "test",
            "--no-run",
            "--release",
            "--package",
            package,
            "--test",
            test,
        ])
        .args([
            "--target",
            PROGRAM_TARGET,
            "--message-format",
            "json-render-diagnostics",
        ])
        .args(std)
        .env("CARGO_PROFILE_RELEASE_PANIC", "unwind")
        .current_dir(&context.paths.shadow())
        .log(&context.paths.log(&format!("cargo-test-{package}")))
        .echo(context.verbose)
        .run_with(&step, |lines| {
            diagnostics(lines)
                .into_iter()
                .filter(|line| !line.starts_with('{'))
                .collect()
        })?;
    let program = lines
        .iter()
        .rev()
        .find_map(|line| executable(line))
        .with_context(|| format!("cargo made no program of the test {test}"))?;
    step.done(&context.paths.shown(&program));
    Ok(program)
}

/// The test program that one of cargo's JSON messages is about.
fn executable(message: &str) -> Option<PathBuf> {
    if !message.contains(r#""kind":["test"]"#) {
        return None;
    }
    let (_, rest) = message.split_once(r#""executable":""#)?;
    let (path, _) = rest.split_once('"')?;
    // What JSON escapes is not in the paths of a build folder.
    (!path.contains('\\')).then(|| PathBuf::from(path))
}

impl Builder<'_> {
    fn make(&self, package: &Package) -> Result<()> {
        let name = package
            .artefact
            .to_possible_value()
            .map_or_else(String::new, |name| name.get_name().to_owned());
        let step = self.context.progress.step(&name);
        let made = match package.recipe {
            Recipe::KmdfDriver { inx } => self.kernel_module(&step, package, inx, pe::Role::KmdfDriver)?,
            Recipe::ExportDriver => self.kernel_module(&step, package, None, pe::Role::ExportDriver)?,
            Recipe::Program { exe } => self.program(&step, package, exe)?,
            Recipe::CLibrary { source } => self.c_library(&step, package, source)?,
            Recipe::CFace { library, header } => self.c_face(&step, package, library, header)?,
            Recipe::CDriver { folder } => self.c_driver(&step, package, folder)?,
        };
        step.done(&self.context.paths.shown(&made));
        Ok(())
    }

    /// Cargo does not watch the libraries that a `#[link]` names: without this, a changed stand-in would not reach
    /// drivers that are already linked.
    fn relink_if_libraries_changed(&self) -> Result<()> {
        let mut inputs = Inputs::default();
        inputs.folder(&self.kits.root().join("Lib"))?;
        let stamp = inputs.stamp(&self.context.paths, "linked");
        if stamp.is_fresh() {
            return Ok(());
        }
        let kernel = PACKAGES
            .iter()
            .filter(|package| matches!(package.recipe, Recipe::KmdfDriver { .. } | Recipe::ExportDriver));
        for triple in Arch::ALL.map(Arch::kernel_target) {
            for profile in [Profile::Release, Profile::Checked] {
                let deps = self.target_dir(triple, profile);
                for package in kernel.clone() {
                    forget(&deps, package.name)?;
                }
            }
        }
        stamp.finish()
    }

    /// Where what was built goes: what Wine runs lies together, another processor's driver apart.
    fn out(&self) -> PathBuf {
        self.context.paths.out_for(self.arch)
    }

    fn target_dir(&self, triple: &str, profile: Profile) -> PathBuf {
        self.context
            .paths
            .shadow()
            .join("target")
            .join(triple)
            .join(profile.name())
    }

    fn kernel_module(
        &self,
        step: &Step,
        package: &Package,
        inx: Option<&str>,
        role: pe::Role,
    ) -> Result<PathBuf> {
        let target = self.arch.kernel_target();
        self.cargo(step, package, target, KERNEL_STD)?;
        let file = package.file_stem();
        let made = self.target_dir(target, self.profile);
        let sys = self.out().join(format!("{file}.sys"));
        let linked = made.join(format!("{file}.dll"));
        let pdb_file = linked.with_extension("pdb");
        let mut image = fs::read(&linked).with_context(|| format!("cargo left no {}", linked.display()))?;
        let mut pdb = fs::read(&pdb_file).with_context(|| format!("cargo left no {}", pdb_file.display()))?;
        identity::settle(&mut image, Some(&mut pdb)).with_context(|| format!("in {}", linked.display()))?;
        let report = pe::check(&image, role, self.arch)
            .with_context(|| format!("{file}.sys is not a proper kernel module ({})", linked.display()))?;
        // The page is of what ships, for the architecture that is run.
        let listed = package.artefact == Artefact::Driver
            && self.arch == Arch::X64
            && self.profile == Profile::Release;
        if listed {
            let page = self.context.paths.root().join(imports::PAGE);
            let page =
                fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
            imports::check(&page, report.imports()).with_context(|| format!("in {file}.sys"))?;
        }
        if self.context.verbose {
            for line in report.lines() {
                step.line(&format!("  {line}"));
            }
        }
        write_if_changed(&sys, image)?;
        write_if_changed(&sys.with_extension("pdb"), pdb)?;
        if let Some(inx) = inx {
            self.stamp_inf(step, inx, &sys.with_extension("inf"))?;
        }
        Ok(sys)
    }

    /// Only the driver's own INF goes to Windows, and has its rules to keep; what Wine gets is a copy that it can read.
    fn stamp_inf(&self, step: &Step, inx: &str, to: &Path) -> Result<()> {
        let source = self.context.paths.root().join(format!("{inx}.inx"));
        if !source.is_file() {
            step.line(&format!("warning: there is no {inx}.inx: no INF is made"));
            return Ok(());
        }
        let inf = inf::stamp(&self.context.paths, &source, self.arch)?;
        write_if_changed(to, inf::for_wine(&inf)).map(|_| ())
    }

    fn program(&self, step: &Step, package: &Package, exe: &str) -> Result<PathBuf> {
        self.cargo(step, package, PROGRAM_TARGET, PROGRAM_STD)?;
        let made = self
            .target_dir(PROGRAM_TARGET, self.profile)
            .join(format!("{exe}.exe"));
        let to = self.context.paths.out().join(format!("{exe}.exe"));
        if !made.is_file() {
            bail!("the package {} has no program `{exe}`", package.name);
        }
        copy_if_changed(&made, &to)?;
        Ok(to)
    }

    fn c_library(&self, step: &Step, package: &Package, source: &str) -> Result<PathBuf> {
        let source = self.context.paths.root().join(source);
        let to = self.context.paths.out().join(format!("{}.dll", package.name));
        let mut inputs = Inputs::new()?;
        for extension in ["c", "def"] {
            inputs.file(&source.with_extension(extension))?;
        }
        let stamp = inputs.stamp(&self.context.paths, package.name);
        if stamp.is_fresh() && to.is_file() {
            return Ok(to);
        }
        stamp.begin()?;
        Tool::new(MINGW_GCC)
            .args([
                "-shared",
                "-nostdlib",
                "-Os",
                "-s",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-Wl,--no-insert-timestamp",
            ])
            .args(["-e", "DllMain", "-o"])
            .arg(&to)
            .arg(source.with_extension("c"))
            .arg(source.with_extension("def"))
            .arg("-ladvapi32")
            .log(&self.context.paths.log(package.name))
            .run(step)?;
        stamp.finish()?;
        Ok(to)
    }

    fn cargo(&self, step: &Step, package: &Package, triple: &str, std: &[&str]) -> Result<()> {
        let std = if self.rust.builds_std() { std } else { &[] };
        let log = self.context.paths.log(&format!("cargo-{}", package.name));
        let mut cargo = self.rust.cargo();
        if triple == PROGRAM_TARGET {
            let profile = self.profile.name().to_uppercase();
            cargo = cargo.env(format!("CARGO_PROFILE_{profile}_PANIC"), "unwind");
        }
        let lines = cargo
            .args([
                "build",
                "--package",
                package.name,
                "--profile",
                self.profile.name(),
                "--target",
                triple,
            ])
            .args(std)
            .env(
                "CARGO_TERM_COLOR",
                if self.context.progress.colour() {
                    "always"
                } else {
                    "never"
                },
            )
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .current_dir(&self.context.paths.shadow())
            .log(&log)
            .echo(self.context.verbose)
            .run_with(step, diagnostics)?;
        if !self.context.verbose {
            for line in diagnostics(&lines) {
                step.line(line);
            }
        }
        Ok(())
    }
}

/// Makes cargo link a package again.
fn forget(profile_dir: &Path, package: &str) -> Result<()> {
    let fingerprints = profile_dir.join(".fingerprint");
    let Ok(entries) = fs::read_dir(&fingerprints) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_own = name
            .strip_prefix(package)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|hash| hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()));
        if is_own {
            crate::paths::remove_dir_if_present(&entry.path())?;
        }
    }
    Ok(())
}

/// The lines of cargo's output that tell something: no progress, and not the note (a warning and the indented lines
/// after it) that the standard library's own workspace has no use for our patches.
pub(crate) fn diagnostics(lines: &[String]) -> Vec<&str> {
    const PROGRESS: &[&str] = &[
        "Adding",
        "Blocking",
        "Building",
        "Checking",
        "Compiling",
        "Dirty",
        "Downloaded",
        "Downloading",
        "Finished",
        "Fresh",
        "Locking",
        "Removing",
        "Running",
        "Unpacking",
        "Updating",
    ];
    let mut in_note = false;
    let mut told = Vec::new();
    for line in lines {
        let plain = console::strip_ansi_codes(line);
        let word = plain.split_whitespace().next().unwrap_or_default();
        let about_patch =
            plain.starts_with("warning: patch `") && plain.ends_with("was not used in the crate graph");
        in_note = about_patch || (in_note && (word == "help:" || plain.starts_with("      ")));
        let progress = plain.starts_with(' ') && PROGRESS.contains(&word);
        if !in_note && !progress {
            told.push(line.as_str());
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_of_cargo_is_told_from_diagnostics() {
        let lines = [
            "    Updating crates.io index",
            "warning: patch `windows v0.62.2 (/ws/patch/windows)` was not used in the crate graph",
            "help: Check that the patched package version and available features are compatible",
            "      with the dependency requirements.",
            "   Compiling wdk-sys v0.5.2",
            "warning: unused import",
            "  --> src/lib.rs:1:1",
            "   |",
            "help: remove it",
            "\u{1b}[1m    Finished\u{1b}[0m `release` profile",
        ]
        .map(str::to_owned);
        let expected = [
            "warning: unused import",
            "  --> src/lib.rs:1:1",
            "   |",
            "help: remove it",
        ];
        assert_eq!(diagnostics(&lines), expected);
    }

    #[test]
    fn the_program_of_a_test_is_read_from_cargos_messages() {
        let artifact =
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"a"},"executable":"/t/a.exe"}"#;
        assert_eq!(executable(artifact), Some(PathBuf::from("/t/a.exe")));
        let of_a_program = artifact.replace("test", "bin");
        assert_eq!(executable(&of_a_program), None);
        let checked_only = artifact.replace("\"/t/a.exe\"", "null");
        assert_eq!(executable(&checked_only), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn only_the_packages_own_fingerprints_are_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let fingerprints = dir.path().join(".fingerprint");
        for name in [
            "wdfldr-0123456789abcdef",
            "wdfldr-test-0123456789abcdef",
            "wdk-sys-0123456789abcdef",
        ] {
            create_dir(&fingerprints.join(name)).expect("create");
        }
        forget(dir.path(), "wdfldr").expect("forget");
        assert!(!fingerprints.join("wdfldr-0123456789abcdef").exists());
        assert!(fingerprints.join("wdfldr-test-0123456789abcdef").exists());
        assert!(fingerprints.join("wdk-sys-0123456789abcdef").exists());
    }
}
