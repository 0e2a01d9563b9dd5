//! Copies of two crates from crates.io that build on Linux, for the generated workspace alone.
//!
//! wdk-build refuses any host but Windows, although what it does (look for folders, run bindgen, print linker
//! arguments) needs none. The changes are exact replacements with the number of places that each must find: a new
//! upstream that moved them stops the build here, with the reason, and not somewhere inside a build script.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use toml_edit::DocumentMut;
use walkdir::WalkDir;

use crate::{
    Context,
    paths::{copy_if_changed, write_if_changed},
    process::Tool,
    stamp::Inputs,
};

/// One change of a source file.
struct Replacement {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    times: usize,
}

/// What wdk-build needs to run on Linux.
const WDK_BUILD: &[Replacement] = &[
    // The wrappers of `set_var` and `remove_var` exist for Windows only...
    Replacement {
        file: "src/utils.rs",
        from: "#[cfg(target_os = \"windows\")]\npub fn ",
        to: "pub fn ",
        times: 2,
    },
    // ... and are compile errors elsewhere.
    Replacement {
        file: "src/utils.rs",
        from: "#[cfg(not(target_os = \"windows\"))]\npub fn ",
        to: "#[cfg(any())]\npub fn ",
        times: 2,
    },
    Replacement {
        file: "src/cargo_make.rs",
        from: "std::os::windows::fs::symlink_file(",
        to: "std::os::unix::fs::symlink(",
        times: 2,
    },
];

/// Folders of the patched crates in the generated workspace.
pub(crate) const DIR: &str = "patch";

/// Puts the patched crates into `workspace/patch`.
pub(crate) fn prepare(context: &Context, workspace: &Path) -> Result<()> {
    let root = context.paths.root();
    let stub = root.join("linux/windows-stub");
    for file in ["Cargo.toml", "src/lib.rs"] {
        copy_if_changed(&stub.join(file), &workspace.join(DIR).join("windows").join(file))?;
    }

    let version = locked_version(&root.join("Cargo.lock"), "wdk-build")?;
    let mut inputs = Inputs::new()?;
    inputs.text(&version);
    let stamp = inputs.stamp(&context.paths, "wdk-build");
    let target = workspace.join(DIR).join("wdk-build");
    if stamp.is_fresh() && target.is_dir() {
        return Ok(());
    }
    stamp.begin()?;
    let source = registry_source(context, &format!("wdk-build-{version}"))?;
    apply(&source, &target, WDK_BUILD).with_context(|| {
        format!("wdk-build {version} is not the one that xtask/src/patch.rs was written for")
    })?;
    stamp.finish()
}

/// Copies a crate and applies replacements to the copy.
fn apply(source: &Path, target: &Path, replacements: &[Replacement]) -> Result<()> {
    for entry in WalkDir::new(source) {
        let entry = entry.with_context(|| format!("cannot list {}", source.display()))?;
        let name = entry
            .path()
            .strip_prefix(source)
            .context("a walk leaves its folder")?;
        let skipped = [
            "Cargo.lock",
            "Cargo.toml.orig",
            ".cargo-ok",
            ".cargo_vcs_info.json",
        ];
        if entry.file_type().is_dir() || skipped.iter().any(|skipped| name == Path::new(skipped)) {
            continue;
        }
        let content =
            fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
        let own: Vec<&Replacement> = replacements
            .iter()
            .filter(|replacement| Path::new(replacement.file) == name)
            .collect();
        let content = if own.is_empty() {
            content
        } else {
            let text =
                String::from_utf8(content).with_context(|| format!("{} is not text", name.display()))?;
            // Published with either kind of line end.
            replaced(text.replace("\r\n", "\n"), &own)?.into_bytes()
        };
        write_if_changed(&target.join(name), content)?;
    }
    for replacement in replacements {
        ensure!(
            target.join(replacement.file).is_file(),
            "it has no file {}",
            replacement.file
        );
    }
    Ok(())
}

fn replaced(mut text: String, replacements: &[&Replacement]) -> Result<String> {
    for Replacement {
        file,
        from,
        to,
        times,
    } in replacements
    {
        let found = text.matches(from).count();
        ensure!(found == *times, "{file} has {from:?} {found} times, not {times}");
        text = text.replace(from, to);
    }
    Ok(text)
}

/// The version of a package that a lock file holds; there must be one.
fn locked_version(lock: &Path, package: &str) -> Result<String> {
    let text = fs::read_to_string(lock).with_context(|| format!("cannot read {}", lock.display()))?;
    version_in(&text, package).with_context(|| format!("in {}", lock.display()))
}

fn version_in(lock: &str, package: &str) -> Result<String> {
    let lock: DocumentMut = lock.parse().context("it is not a lock file")?;
    let packages = lock["package"]
        .as_array_of_tables()
        .context("it has no packages")?;
    let versions: Vec<&str> = packages
        .iter()
        .filter(|table| table.get("name").and_then(|name| name.as_str()) == Some(package))
        .filter_map(|table| table.get("version").and_then(|version| version.as_str()))
        .collect();
    match versions[..] {
        [version] => Ok(version.to_owned()),
        _ => bail!("it has {} versions of {package}, not one", versions.len()),
    }
}

/// The folder where cargo unpacked a package of crates.io; fetches it if it is not there.
fn registry_source(context: &Context, name: &str) -> Result<PathBuf> {
    if let Some(found) = find_registry_source(name)? {
        return Ok(found);
    }
    let step = context.progress.step("fetch");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Tool::new(cargo)
        .args(["fetch", "--locked"])
        .current_dir(context.paths.root())
        .log(&context.paths.log("fetch"))
        .run(&step)?;
    step.done("crates.io packages");
    find_registry_source(name)?.with_context(|| format!("cargo fetched, but left no source folder of {name}"))
}

fn find_registry_source(name: &str) -> Result<Option<PathBuf>> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => {
            PathBuf::from(env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?).join(".cargo")
        }
    };
    let sources = home.join("registry/src");
    let Ok(registries) = fs::read_dir(&sources) else {
        return Ok(None);
    };
    Ok(registries
        .flatten()
        .map(|registry| registry.path().join(name))
        .find(|dir| dir.join("Cargo.toml").is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Replacement = Replacement {
        file: "src/lib.rs",
        from: "windows",
        to: "unix",
        times: 2,
    };

    fn crate_with(text: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let source = dir.path().join("source");
        write_if_changed(&source.join("src/lib.rs"), text).expect("write");
        write_if_changed(&source.join("Cargo.lock"), "").expect("write");
        let target = dir.path().join("target");
        (dir, source, target)
    }

    #[test]
    fn a_patch_replaces_every_place_and_leaves_the_source_alone() {
        let (_dir, source, target) = crate_with("windows, windows");
        apply(&source, &target, &[ONE]).expect("it applies");
        assert_eq!(
            fs::read_to_string(target.join("src/lib.rs")).expect("read"),
            "unix, unix"
        );
        assert_eq!(
            fs::read_to_string(source.join("src/lib.rs")).expect("read"),
            "windows, windows"
        );
        assert!(!target.join("Cargo.lock").exists());
    }

    #[test]
    fn a_changed_upstream_is_refused_by_name_and_count() {
        let (_dir, source, target) = crate_with("windows once");
        let error = apply(&source, &target, &[ONE]).expect_err("one place is gone");
        assert_eq!(error.to_string(), "src/lib.rs has \"windows\" 1 times, not 2");
    }

    #[test]
    fn a_patched_file_that_vanished_is_refused() {
        let (_dir, source, target) = crate_with("windows, windows");
        let gone = Replacement {
            file: "src/gone.rs",
            ..ONE
        };
        assert!(apply(&source, &target, &[ONE, gone]).is_err());
    }

    #[test]
    fn a_lock_file_names_one_version() {
        let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n[[package]]\nname = \"b\"\n\
                    version = \"1.0.0\"\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        assert_eq!(version_in(lock, "a").expect("there is one"), "1.0.0");
        assert!(version_in(lock, "b").is_err());
        assert!(version_in(lock, "c").is_err());
    }
}
