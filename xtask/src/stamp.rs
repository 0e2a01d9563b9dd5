//! Stamps: what something was made from, as a hash of contents, so that it is made again exactly when that changed.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use walkdir::WalkDir;

use crate::paths::{Paths, write_if_changed};

/// Collects the inputs of a step.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    hasher: DefaultHasher,
}

impl Inputs {
    /// No inputs yet but this program itself: when xtask changes, so may what it makes.
    pub(crate) fn new() -> Result<Self> {
        let mut inputs = Self::default();
        let own = std::env::current_exe().context("cannot find this program's file")?;
        inputs.file(&own)?;
        Ok(inputs)
    }

    /// Adds a text: a version, an option.
    pub(crate) fn text(&mut self, text: &str) {
        text.hash(&mut self.hasher);
    }

    /// Adds a file's content.
    pub(crate) fn file(&mut self, path: &Path) -> Result<()> {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        content.hash(&mut self.hasher);
        Ok(())
    }

    /// Adds every file of a folder, by relative name and content.
    pub(crate) fn folder(&mut self, dir: &Path) -> Result<()> {
        for entry in WalkDir::new(dir).sort_by_file_name() {
            let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
            if entry.file_type().is_dir() {
                continue;
            }
            let name = entry.path().strip_prefix(dir).unwrap_or(entry.path());
            name.hash(&mut self.hasher);
            self.file(entry.path())?;
        }
        Ok(())
    }

    /// The stamp that says whether `name` was made from these inputs.
    pub(crate) fn stamp(self, paths: &Paths, name: &str) -> Stamp {
        Stamp {
            path: paths.stamps().join(name),
            hash: format!("{:016x}\n", self.hasher.finish()),
        }
    }
}

/// One step's stamp.
#[derive(Debug)]
pub(crate) struct Stamp {
    path: PathBuf,
    hash: String,
}

impl Stamp {
    /// Whether the step was finished with the same inputs.
    pub(crate) fn is_fresh(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|old| old == self.hash)
    }

    /// Forgets the step: what it makes is about to be half made.
    pub(crate) fn begin(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Records that the step is finished.
    pub(crate) fn finish(&self) -> Result<()> {
        write_if_changed(&self.path, &self.hash).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(dir: &Path) -> String {
        let mut inputs = Inputs::default();
        inputs.folder(dir).expect("the folder can be read");
        inputs.stamp(&Paths::at(dir, dir), "x").hash
    }

    #[test]
    fn content_and_names_count_and_times_do_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("a");
        fs::write(&file, "one").expect("write");
        let first = hash_of(dir.path());
        fs::write(&file, "one").expect("write");
        assert_eq!(first, hash_of(dir.path()));
        fs::write(&file, "two").expect("write");
        assert_ne!(first, hash_of(dir.path()));
        fs::write(&file, "one").expect("write");
        fs::rename(&file, dir.path().join("b")).expect("rename");
        assert_ne!(first, hash_of(dir.path()));
    }

    #[test]
    fn a_step_that_was_begun_and_not_finished_is_stale() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let paths = Paths::at(dir.path(), dir.path());
        let stamp = || Inputs::default().stamp(&paths, "step");
        assert!(!stamp().is_fresh());
        stamp().finish().expect("finish");
        assert!(stamp().is_fresh());
        stamp().begin().expect("begin");
        assert!(!stamp().is_fresh());
    }
}
