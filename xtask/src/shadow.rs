//! The generated workspace in which the Windows packages are built on Linux.
//!
//! Patches of dependencies and their lock file belong to a workspace as a whole. Were they in the committed one, a
//! Windows build would use them too. So the Linux build has a workspace of its own beside it: the same manifest but
//! for a few edits, the same sources by symbolic links, the same versions by a copy of the lock file, and a
//! configuration with the patches, the linker and the flags.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use toml_edit::{Array, DocumentMut, Item, Table, value};

use crate::{
    Context,
    kits::Kits,
    patch,
    paths::{copy_if_changed, link, write_if_changed},
    stamp::Inputs,
    toolchain::{Arch, Kit, MINGW_GCC, PROGRAM_TARGET, Rust},
};

/// Top-level entries that are not linked: generated here, or no part of a Windows build.
const NOT_LINKED: &[&str] = &[
    ".cargo",
    ".ci",
    ".git",
    "Cargo.lock",
    "Cargo.toml",
    "rust-toolchain.toml",
    "target",
    "xtask",
];

/// Generates the workspace, touching only what changed.
pub(crate) fn generate(
    context: &Context,
    rust: &Rust,
    kit: &Kit,
    kits: &Kits,
    deny_warnings: bool,
) -> Result<()> {
    let root = context.paths.root();
    let shadow = context.paths.shadow();
    link_sources(root, &shadow)?;
    patch::prepare(context, &shadow)?;

    let manifest =
        fs::read_to_string(root.join("Cargo.toml")).context("cannot read the workspace's Cargo.toml")?;
    let manifest = shadow_manifest(&manifest, deny_warnings)?;
    write_if_changed(&shadow.join("Cargo.toml"), manifest)?;

    let config = configuration(context, rust, kit, kits)?;
    write_if_changed(&shadow.join(".cargo/config.toml"), config)?;

    // Cargo takes the patched packages' sources and what only xtask needs out of its copy, and keeps all versions.
    let lock = root.join("Cargo.lock");
    let mut inputs = Inputs::default();
    inputs.file(&lock)?;
    let stamp = inputs.stamp(&context.paths, "lock");
    if !stamp.is_fresh() || !shadow.join("Cargo.lock").is_file() {
        stamp.begin()?;
        copy_if_changed(&lock, &shadow.join("Cargo.lock"))?;
        stamp.finish()?;
    }
    Ok(())
}

/// Makes sure that cargo, which writes the copy of the lock file, kept the committed versions.
pub(crate) fn check_lock(context: &Context) -> Result<()> {
    let read = |dir: &Path| {
        let lock = dir.join("Cargo.lock");
        fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))
    };
    let strange = strange_versions(&read(context.paths.root())?, &read(&context.paths.shadow())?)?;
    ensure!(
        strange.is_empty(),
        "this build used versions that the committed Cargo.lock does not have: {}\nrun `cargo check`, which brings \
         Cargo.lock up to date, and build again",
        strange.join(", ")
    );
    Ok(())
}

/// Packages of one lock file that another does not have in that version.
fn strange_versions(committed: &str, used: &str) -> Result<Vec<String>> {
    let packages = |lock: &str| -> Result<BTreeSet<String>> {
        let lock: DocumentMut = lock.parse().context("Cargo.lock is not TOML")?;
        let packages = lock["package"]
            .as_array_of_tables()
            .context("Cargo.lock has no packages")?;
        let text =
            |table: &Table, field: &str| table.get(field).and_then(Item::as_str).unwrap_or("?").to_owned();
        Ok(packages
            .iter()
            .map(|table| format!("{} {}", text(table, "name"), text(table, "version")))
            .collect())
    };
    Ok(packages(used)?
        .difference(&packages(committed)?)
        .cloned()
        .collect())
}

fn link_sources(root: &Path, shadow: &Path) -> Result<()> {
    let entries = fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", root.display()))?;
        let name = entry.file_name();
        if !NOT_LINKED.iter().any(|not| name == *not) {
            link(&entry.path(), &shadow.join(&name))?;
        }
    }
    // A source that is gone must not linger as a dangling link.
    for entry in fs::read_dir(shadow)
        .with_context(|| format!("cannot list {}", shadow.display()))?
        .flatten()
    {
        if entry.path().is_symlink() && !entry.path().exists() {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// The committed manifest without xtask; the patched crates are no members; warnings may be errors.
fn shadow_manifest(committed: &str, deny_warnings: bool) -> Result<String> {
    let mut manifest: DocumentMut = committed
        .parse()
        .context("the workspace's Cargo.toml is not TOML")?;
    let workspace = manifest["workspace"]
        .as_table_mut()
        .context("Cargo.toml has no [workspace]")?;
    for list in ["members", "default-members"] {
        let members = workspace
            .get_mut(list)
            .and_then(Item::as_array_mut)
            .with_context(|| format!("Cargo.toml's workspace has no `{list}`"))?;
        members.retain(|member| member.as_str() != Some("xtask"));
    }
    workspace["exclude"] = value(array([patch::DIR].into_iter()));
    if deny_warnings {
        // Only workspace members inherit these lints: other people's warnings stay warnings.
        let lints = workspace
            .get_mut("lints")
            .and_then(|lints| lints.get_mut("rust"))
            .and_then(Item::as_table_mut)
            .context("Cargo.toml has no [workspace.lints.rust]")?;
        lints["warnings"] = value("deny");
    }
    Ok(format!(
        "# Generated by cargo xtask: edits belong into the repository's Cargo.toml.\n{manifest}"
    ))
}

/// The configuration that every cargo run in the workspace sees, wdk-build's nested `cargo metadata` too.
fn configuration(context: &Context, rust: &Rust, kit: &Kit, kits: &Kits) -> Result<String> {
    let mut config = DocumentMut::new();
    let text = |path: &Path| -> Result<String> {
        Ok(path
            .to_str()
            .with_context(|| format!("{} is not UTF-8", path.display()))?
            .to_owned())
    };

    let mut patches = table();
    for name in ["wdk-build", "windows"] {
        patches[name]["path"] = value(format!("{}/{name}", patch::DIR));
    }
    config["patch"] = Item::Table(table());
    config["patch"]["crates-io"] = Item::Table(patches);

    // In its place wdk-build finds this workspace by going up from the target folder.
    config["build"] = Item::Table(table());
    config["build"]["target-dir"] = value("target");
    if let Rust::Debian { rustc, .. } = rust {
        config["build"]["rustc"] = value(text(rustc)?);
    }

    // Other people's future troubles are not this build's to report.
    config["future-incompat-report"] = Item::Table(table());
    config["future-incompat-report"]["frequency"] = value("never");

    let remaps = remap_flags(context, rust)?;
    config["target"] = Item::Table(table());
    let mut kernel = table();
    kernel["linker"] = value(text(&context.paths.bin().join("lld-link"))?);
    let kernel_flags = [
        "-Ctarget-feature=+crt-static",
        // A valid checksum in the header: Windows verifies it before it loads a driver.
        "-Clink-arg=/RELEASE",
        // A hash where the time would be.
        "-Clink-arg=/Brepro",
    ];
    kernel["rustflags"] = value(array(
        kernel_flags.into_iter().chain(remaps.iter().map(String::as_str)),
    ));
    for arch in Arch::ALL {
        config["target"][arch.kernel_target()] = Item::Table(kernel.clone());
    }
    let mut program = table();
    program["linker"] = value(MINGW_GCC);
    let program_flags = [
        // No time in the header, and no symbol table, which names temporary files: the same sources, the same bytes.
        "-Clink-arg=-Wl,--no-insert-timestamp",
        "-Cstrip=symbols",
    ];
    program["rustflags"] = value(array(
        program_flags.into_iter().chain(remaps.iter().map(String::as_str)),
    ));
    config["target"][PROGRAM_TARGET] = Item::Table(program);

    let mut env = table();
    let header_options = Kit::header_options().join(" ");
    let clang_include = text(&kit.clang_include)?;
    env["WDKContentRoot"] = value(text(kits.root())?);
    env["QWI_KITS_LIB"] = value(text(&kits.kernel_lib(Arch::X64))?);
    env["QWI_KITS_WDF_LIB"] = value(text(&kits.framework_lib(Arch::X64))?);
    env["LIBCLANG_PATH"] = value(text(&kit.libclang)?);
    env["BINDGEN_EXTRA_CLANG_ARGS"] = value(format!("-isystem {clang_include} {header_options}"));
    let options: Vec<String> = Kit::header_options()
        .iter()
        .map(|option| format!("/clang:{option}"))
        .collect();
    for arch in Arch::ALL {
        let target = arch.kernel_target().replace('-', "_");
        env[&format!("CC_{target}")] = value(text(&kit.clang_cl)?);
        env[&format!("AR_{target}")] = value(text(&kit.llvm_lib)?);
        env[&format!("CFLAGS_{target}")] =
            value(format!("{} /imsvc{clang_include} /Brepro -w", options.join(" ")));
    }
    for (_, item) in env.iter_mut() {
        let setting = item
            .as_str()
            .map(str::to_owned)
            .context("a setting is not text")?;
        let mut forced = table();
        forced["value"] = value(setting);
        forced["force"] = value(true);
        *item = value(forced.into_inline_table());
    }
    config["env"] = Item::Table(env);
    Ok(format!("# Generated by cargo xtask.\n{config}"))
}

/// Flags by which no path of this machine gets into an image: panics name their source file, and the bytes must not
/// depend on where the checkout is.
fn remap_flags(context: &Context, rust: &Rust) -> Result<Vec<String>> {
    let home =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    let sysroot = rust.sysroot().join("lib/rustlib/src/rust");
    let real_sysroot = fs::canonicalize(&sysroot).unwrap_or_else(|_| sysroot.clone());
    let shadow = context.paths.shadow();
    let pairs = [
        (home.as_str(), "/cargo"),
        (path_text(&sysroot)?, "/rust"),
        (path_text(&real_sysroot)?, "/rust"),
        (path_text(context.paths.root())?, "/src"),
        (path_text(&shadow)?, "/src"),
    ];
    // Of several that match, rustc takes the last.
    Ok(pairs
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={from}={to}"))
        .collect())
}

fn path_text(path: &Path) -> Result<&str> {
    let text = path
        .to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))?;
    ensure!(
        !text.contains('='),
        "{text} has `=` in it, which path remapping cannot express"
    );
    Ok(text)
}

fn array<'a>(words: impl Iterator<Item = &'a str>) -> Array {
    words.collect()
}

fn table() -> Table {
    Table::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = r#"
[workspace]
members = ["crates/a", "xtask"]
default-members = ["crates/a", "xtask"]

[workspace.lints.rust]
missing_docs = "warn"

[package]
name = "driver"
"#;

    fn lint(manifest: &DocumentMut) -> Option<&str> {
        manifest["workspace"]["lints"]["rust"].get("warnings")?.as_str()
    }

    #[test]
    fn the_shadow_manifest_loses_xtask_and_excludes_the_patches() {
        let manifest: DocumentMut = shadow_manifest(COMMITTED, false)
            .expect("edits")
            .parse()
            .expect("TOML");
        assert_eq!(
            manifest["workspace"]["members"].to_string().trim(),
            r#"["crates/a"]"#
        );
        assert_eq!(manifest["workspace"]["exclude"][0].as_str(), Some("patch"));
        assert_eq!(manifest["package"]["name"].as_str(), Some("driver"));
        assert_eq!(lint(&manifest), None);
    }

    #[test]
    fn warnings_become_errors_on_request_beside_the_other_lints() {
        let manifest: DocumentMut = shadow_manifest(COMMITTED, true)
            .expect("edits")
            .parse()
            .expect("TOML");
        assert_eq!(lint(&manifest), Some("deny"));
        assert_eq!(
            manifest["workspace"]["lints"]["rust"]["missing_docs"].as_str(),
            Some("warn")
        );
    }

    #[test]
    fn a_version_of_cargos_own_choice_is_noticed() {
        let package =
            |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        let committed = package("a", "1.0.0") + &package("b", "1.0.0");
        assert_eq!(
            strange_versions(&committed, &package("a", "1.0.0")).expect("parses"),
            [""; 0]
        );
        let used = package("a", "1.0.1") + &package("b", "1.0.0");
        assert_eq!(strange_versions(&committed, &used).expect("parses"), ["a 1.0.1"]);
    }

    #[test]
    fn sources_are_linked_and_links_to_nothing_go_away() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (root, shadow) = (dir.path().join("root"), dir.path().join("ws"));
        write_if_changed(&root.join("src/lib.rs"), "").expect("write");
        write_if_changed(&root.join("Cargo.toml"), "").expect("write");
        write_if_changed(&root.join("old"), "").expect("write");
        link_sources(&root, &shadow).expect("link");
        assert!(shadow.join("src/lib.rs").is_file());
        assert!(shadow.join("old").is_file());
        assert!(!shadow.join("Cargo.toml").exists());
        fs::remove_file(root.join("old")).expect("remove");
        link_sources(&root, &shadow).expect("link");
        assert!(fs::symlink_metadata(shadow.join("old")).is_err());
    }
}
