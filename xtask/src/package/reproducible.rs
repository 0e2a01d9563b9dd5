//! Whether what is handed out depends on the sources alone: they are copied to another folder, built there from nothing,
//! and every file is compared.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{DRIVER, HARNESS};
use crate::{
    Context, inf,
    paths::{LINUX_DIR_VARIABLE, copy_if_changed, create_dir, remove_dir_if_present},
    process::Tool,
    toolchain::Arch,
};

/// Builds twice and compares. Fails if a file differs.
pub(crate) fn run(context: &Context) -> Result<()> {
    super::build_parts(context, Arch::X64)?;
    let paths = &context.paths;
    let step = context.progress.step("reproducible");
    // Longer than where the first one is, wherever that is: a path that gets into a file changes its size too.
    let elsewhere = paths.linux_dir().join("elsewhere/in-another-folder");
    let (checkout, state) = (elsewhere.join("checkout"), elsewhere.join("state"));
    let files = [
        format!("{DRIVER}.sys"),
        format!("{DRIVER}.inf"),
        HARNESS.to_owned(),
    ];
    remove_dir_if_present(&elsewhere)?;
    // Another build may replace them while this one runs.
    let first = elsewhere.join("first");
    for file in &files {
        copy_if_changed(&paths.out().join(file), &first.join(file))?;
    }
    copy_sources(paths.root(), &checkout)?;
    let own = env::current_exe().context("cannot find this program's file")?;
    Tool::new(own)
        .args(["build", "driver", "harness"])
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"))
        .env(LINUX_DIR_VARIABLE, &state)
        // The copy has no commit to take it from.
        .env(inf::EPOCH_VARIABLE, inf::epoch(paths)?.to_string())
        .current_dir(&checkout)
        .log(&paths.log("reproducible"))
        .echo(context.verbose)
        .run(&step)?;
    let differing = differing(&first, &state.join("out"), &files)?;
    ensure!(
        differing.is_empty(),
        "built in {}, these files are others: {}",
        elsewhere.display(),
        differing.join("; ")
    );
    // Half a gigabyte that nobody will look at; after a failure it is what one compares.
    remove_dir_if_present(&elsewhere)?;
    step.done(&format!(
        "the same bytes from another folder: {}",
        files.join(", ")
    ));
    Ok(())
}

/// Copies what git has, or would take, of a checkout.
fn copy_sources(root: &Path, to: &Path) -> Result<()> {
    let list = Tool::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let from = root.join(name);
        // Deleted, but not yet for git.
        if !from.is_file() {
            continue;
        }
        let copy = to.join(name);
        create_dir(copy.parent().unwrap_or(to))?;
        fs::copy(&from, &copy).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

/// Those of some files that two folders do not have alike, and where they part.
fn differing(one: &Path, other: &Path, names: &[String]) -> Result<Vec<String>> {
    let read = |file: PathBuf| fs::read(&file).with_context(|| format!("cannot read {}", file.display()));
    let mut differing = Vec::new();
    for name in names {
        let (one, other) = (read(one.join(name))?, read(other.join(name))?);
        if one != other {
            let at = one
                .iter()
                .zip(&other)
                .position(|(one, other)| one != other)
                .unwrap_or(one.len().min(other.len()));
            differing.push(format!(
                "{name} ({} and {} bytes, from byte {at:#x} on)",
                one.len(),
                other.len()
            ));
        }
    }
    Ok(differing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_is_named_with_the_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let write = |folder: &Path, name: &str, content: &str| {
            create_dir(folder).expect("create");
            fs::write(folder.join(name), content).expect("write");
        };
        for (name, first, second) in [("a", "same", "same"), ("b", "abc", "abd"), ("c", "ab", "abc")] {
            write(&one, name, first);
            write(&other, name, second);
        }
        let names = ["a", "b", "c"].map(str::to_owned);
        let found = differing(&one, &other, &names).expect("all can be read");
        let expected = [
            "b (3 and 3 bytes, from byte 0x2 on)",
            "c (2 and 3 bytes, from byte 0x2 on)",
        ];
        assert_eq!(found, expected);
        assert!(differing(&one, &other, &["d".to_owned()]).is_err());
    }
}
