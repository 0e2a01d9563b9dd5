//! Where everything is. One place decides, so that a test, a second checkout or a CI job can move all of it.

use std::{
    env,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{progress::Progress, toolchain::Arch};

/// Moves all state of the Linux build, so that several can live side by side.
pub(crate) const LINUX_DIR_VARIABLE: &str = "QWI_LINUX_DIR";

/// By this file's presence and content, tools (cargo, tar, backups) know a folder that can be made again.
const TAG: &str = "CACHEDIR.TAG";
const TAG_CONTENT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                           # Made by cargo xtask. See https://bford.info/cachedir/\n";

/// The folders of one checkout and of its Linux build.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
    linux: PathBuf,
}

impl Paths {
    /// Finds the checkout that this program was built from and the folder of its Linux state.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir
            .parent()
            .context("xtask's manifest has no parent folder")?
            .to_path_buf();
        let linux = match env::var_os(LINUX_DIR_VARIABLE) {
            Some(dir) if !dir.is_empty() => {
                std::path::absolute(&dir).with_context(|| format!("{LINUX_DIR_VARIABLE} is not a path"))?
            }
            _ => root.join("target/linux"),
        };
        Ok(Self { root, linux })
    }

    /// Paths of a checkout at `root` with its state in `linux`.
    #[cfg(test)]
    pub(crate) fn at(root: &Path, linux: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            linux: linux.to_path_buf(),
        }
    }

    /// The checkout: where the workspace's `Cargo.toml` is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// All state of the Linux build. Deleting it loses nothing that cannot be made again.
    pub(crate) fn linux_dir(&self) -> &Path {
        &self.linux
    }

    /// The stand-in for the WDK: what `WDKContentRoot` points at.
    pub(crate) fn kits(&self) -> PathBuf {
        self.linux.join("kits")
    }

    /// Links to tools under the exact names that other tools call them by.
    pub(crate) fn bin(&self) -> PathBuf {
        self.linux.join("bin")
    }

    /// The generated workspace in which the Windows packages are built.
    pub(crate) fn shadow(&self) -> PathBuf {
        self.linux.join("ws")
    }

    /// What a build hands out: the `.sys` files, their `.pdb`, the INF, the harness.
    pub(crate) fn out(&self) -> PathBuf {
        self.linux.join("out")
    }

    /// What a build for a processor hands out.
    pub(crate) fn out_for(&self, arch: Arch) -> PathBuf {
        match arch {
            Arch::X64 => self.out(),
            Arch::Arm64 => self.out().join(arch.name()),
        }
    }

    /// The Wine prefix: its registry and its drive C.
    pub(crate) fn prefix(&self) -> PathBuf {
        self.linux.join("prefix")
    }

    /// The logs of the tools that were run.
    pub(crate) fn logs(&self) -> PathBuf {
        self.linux.join("log")
    }

    /// The log of one step, `log/STEP.log`.
    pub(crate) fn log(&self, step: &str) -> PathBuf {
        self.logs().join(format!("{step}.log"))
    }

    /// Stamps that say with which inputs something was made.
    pub(crate) fn stamps(&self) -> PathBuf {
        self.linux.join("stamps")
    }

    /// Keeps other runs of xtask from building in the same folder until the result is dropped; waits for one that does.
    pub(crate) fn lock(&self, progress: Progress) -> Result<File> {
        self.claim()?;
        let path = self.linux.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let step = progress.step("wait");
                step.status(&format!(
                    "another cargo xtask is building in {}",
                    self.shown(&self.linux)
                ));
                file.lock()
                    .with_context(|| format!("cannot lock {}", path.display()))?;
                step.done("another cargo xtask was building");
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(file)
    }

    /// Marks the folder as ours while it is empty. A folder with other things in it stays unmarked, and undeleted.
    fn claim(&self) -> Result<()> {
        create_dir(&self.linux)?;
        let mut entries =
            fs::read_dir(&self.linux).with_context(|| format!("cannot list {}", self.linux.display()))?;
        if entries.next().is_none() {
            write_if_changed(&self.linux.join(TAG), TAG_CONTENT)?;
        }
        Ok(())
    }

    /// Deletes the folder with all state, unless it has been somebody else's.
    pub(crate) fn delete_all(&self) -> Result<()> {
        ensure!(
            !self.linux.exists() || self.linux.join(TAG).is_file(),
            "{} was not empty when cargo xtask first used it (it has no {TAG}): delete by hand what is not needed",
            self.linux.display()
        );
        remove_dir_if_present(&self.linux)
    }

    /// A path as a reader knows it: relative to the checkout when it is inside.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Removes a folder and what is in it; a folder that is not there is fine.
pub(crate) fn remove_dir_if_present(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Creates a folder with its parents.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// Writes a file unless it already has this content, so that its time does not set off a rebuild. Says whether it
/// wrote.
pub(crate) fn write_if_changed(path: &Path, content: impl AsRef<[u8]>) -> Result<bool> {
    let content = content.as_ref();
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// Copies a file unless the copy already has the same content. Says whether it wrote.
pub(crate) fn copy_if_changed(from: &Path, to: &Path) -> Result<bool> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_if_changed(to, content)
}

/// Makes `link` a symbolic link to `target`, replacing what is there unless it already is that link.
pub(crate) fn link(target: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    if let Some(parent) = link.parent() {
        create_dir(parent)?;
    }
    match fs::symlink_metadata(link) {
        Ok(meta) if meta.is_dir() => remove_dir_if_present(link)?,
        Ok(_) => fs::remove_file(link).with_context(|| format!("cannot replace {}", link.display()))?,
        Err(_) => {}
    }
    std::os::unix::fs::symlink(target, link)
        .with_context(|| format!("cannot link {} to {}", link.display(), target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_was_ours_from_the_beginning_is_deleted() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let progress = Progress::new(true);

        let ours = Paths::at(dir.path(), &dir.path().join("ours"));
        ours.delete_all().expect("nothing is there, nothing to do");
        drop(ours.lock(progress).expect("lock"));
        write_if_changed(&ours.out().join("a"), "").expect("write");
        ours.delete_all().expect("it is ours");
        assert!(!ours.linux_dir().exists());

        let home = Paths::at(dir.path(), &dir.path().join("home"));
        write_if_changed(&home.linux_dir().join("diary"), "").expect("write");
        drop(home.lock(progress).expect("lock"));
        assert!(home.delete_all().is_err());
        assert!(home.linux_dir().join("diary").is_file());
    }

    #[test]
    fn unchanged_files_and_links_are_not_touched() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("a/b");
        assert!(write_if_changed(&file, "1").expect("write"));
        assert!(!write_if_changed(&file, "1").expect("write"));
        assert!(write_if_changed(&file, "2").expect("write"));
        let name = dir.path().join("link");
        link(&file, &name).expect("link");
        let made = fs::symlink_metadata(&name)
            .expect("it is there")
            .modified()
            .expect("a time");
        link(&file, &name).expect("link");
        assert_eq!(
            made,
            fs::symlink_metadata(&name)
                .expect("it is there")
                .modified()
                .expect("a time")
        );
        link(dir.path(), &name).expect("link elsewhere");
        assert_eq!(fs::read_link(&name).expect("it is a link"), dir.path());
    }
}
