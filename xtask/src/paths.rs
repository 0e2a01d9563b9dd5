//! Where everything is. One place decides, so that a test, a second checkout or a CI job can move all of it.

use std::{
    env,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::progress::Progress;

/// Moves all state of the Linux build, so that several can live side by side.
pub(crate) const LINUX_DIR_VARIABLE: &str = "QWI_LINUX_DIR";

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
        create_dir(&self.linux)?;
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
