//! The Wine prefix: a Windows installation of our own, made once.
//!
//! It is treated as a disposable image. Its registry and the folders that drivers go to are kept as they were made,
//! and [`Prefix::reset`] brings them back before each session: no service entry, device node or INF of a run that
//! crashed can disturb the next one, and no clean-up after a crash has to be believed.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::child::{self, Echo, Finished};
use crate::{
    Context,
    paths::{Paths, copy_if_changed, create_dir, remove_dir_if_present, write_if_changed},
    process::{Tool, require_program},
    stamp::{Inputs, Stamp},
};

/// Raised when a prefix of an older xtask will not do.
const VERSION: &str = "2";

/// The registry's files.
const HIVES: [&str; 3] = ["system.reg", "user.reg", "userdef.reg"];

/// Folders of drive C in which an installation leaves files, and the extensions that they have. The last one is where
/// an INF's DIRID 13 leads: Wine has no driver store.
const INSTALLED: [(&str, &str); 3] = [
    ("windows/system32/drivers", "sys"),
    ("windows/inf", "inf"),
    ("windows/system32/unknown", "sys"),
];

/// Where [`CRASH_SCRIPT`] writes, on drive C.
const CRASH_FILE: &str = "windows/temp/qwi-crash.txt";

/// The last line of [`CRASH_FILE`].
pub(crate) const CRASH_END: &str = "end of the crash report";

/// What Wine starts when a process crashes, on drive C: a debugger, whose output is kept.
const CRASH_SCRIPT: &str = "windows/qwi-crash.cmd";

/// Time for the slowest of Wine's own chores: the making of a prefix, which copies 700 MB.
const MAKING: Duration = Duration::from_mins(5);

/// Time for a chore of the server.
const SERVER: Duration = Duration::from_mins(1);

/// What Wine reports: the drivers' `DbgPrint`, and errors, but for those that only say that there is no screen.
pub(crate) const KERNEL_DEBUG: &str = "-all,warn+debugstr,err+all,-winediag,-systray,-ole,-explorer";

/// A prefix and the programs that work on it.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    dir: PathBuf,
    pristine: PathBuf,
    wine: PathBuf,
    server: PathBuf,
}

impl Prefix {
    /// Finds the prefix, making or repairing it where needed.
    pub(crate) fn ensure(context: &Context) -> Result<Self> {
        let prefix = Self::find(&context.paths)?;
        let stamp = prefix.stamp(&context.paths)?;
        if stamp.is_fresh() && prefix.is_whole() {
            return Ok(prefix);
        }
        let _lock = lock(&context.paths)?;
        if stamp.is_fresh() && prefix.is_whole() {
            return Ok(prefix);
        }
        let step = context.progress.step("wine prefix");
        stamp.begin()?;
        prefix.remove()?;
        prefix.make()?;
        stamp.finish()?;
        step.done(&context.paths.shown(&prefix.dir));
        Ok(prefix)
    }

    /// The prefix, whether or not it exists.
    pub(crate) fn find(paths: &Paths) -> Result<Self> {
        let dir = paths.prefix();
        Ok(Self {
            pristine: dir.join("pristine"),
            dir,
            wine: require_program("wine")
                .or_else(|missing| require_program("wine64").map_err(|_| missing))?,
            server: require_program("wineserver")?,
        })
    }

    /// Stops its server and deletes it.
    pub(crate) fn remove(&self) -> Result<()> {
        if self.dir.is_dir() {
            self.kill()?;
        }
        remove_dir_if_present(&self.dir)
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file on its drive C.
    pub(crate) fn drive_c(&self, path: &str) -> PathBuf {
        self.dir.join("drive_c").join(path)
    }

    fn stamp(&self, paths: &Paths) -> Result<Stamp> {
        let mut inputs = Inputs::default();
        inputs.text(VERSION);
        inputs.text(
            &Tool::new(&self.wine)
                .arg("--version")
                .env("WINEDEBUG", "-all")
                .output()?,
        );
        Ok(inputs.stamp(paths, "prefix"))
    }

    /// Whether nothing is missing that a reset needs or a driver's start depends on.
    fn is_whole(&self) -> bool {
        let kernel = self.drive_c("windows/system32/ntoskrnl.exe");
        kernel.is_file()
            && HIVES.iter().all(|hive| self.pristine.join(hive).is_file())
            && INSTALLED.iter().all(|(dir, _)| self.list_file(dir).is_file())
    }

    fn make(&self) -> Result<()> {
        create_dir(&self.dir)?;
        let mut boot = self.wine("-all");
        boot.args(["wineboot", "--init"]);
        run(boot, "wineboot --init", MAKING)?;
        write_if_changed(
            &self.drive_c(CRASH_SCRIPT),
            format!(
                "@echo off\r\nC:\\windows\\system32\\winedbg.exe --auto %1 %2 >> {file}\r\necho {CRASH_END} >> {file}\r\n",
                file = windows_path(CRASH_FILE)
            ),
        )?;
        self.set(r"HKCU\Software\Wine\WineDbg", "ShowCrashDialog", "REG_DWORD", "0")?;
        self.set(
            r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug",
            "Debugger",
            "REG_SZ",
            &format!("cmd /c {} %ld %ld", windows_path(CRASH_SCRIPT)),
        )?;
        // The server writes the registry when it ends by itself.
        run(self.server(&["-w"]), "wineserver -w", SERVER)?;
        for hive in HIVES {
            copy_if_changed(&self.dir.join(hive), &self.pristine.join(hive))?;
        }
        for (dir, extension) in INSTALLED {
            let names = self.names(dir, extension)?;
            write_if_changed(
                &self.list_file(dir),
                names.into_iter().collect::<Vec<_>>().join("\n"),
            )?;
        }
        ensure!(self.is_whole(), "wineboot left {} incomplete", self.dir.display());
        Ok(())
    }

    fn set(&self, key: &str, value: &str, kind: &str, data: &str) -> Result<()> {
        let mut command = self.wine("-all");
        command.args(["reg", "add", key, "/v", value, "/t", kind, "/d", data, "/f"]);
        run(command, "reg add", SERVER).map(|_| ())
    }

    /// Brings the registry and the drivers' folders back to how they were made. No server may be running.
    pub(crate) fn reset(&self) -> Result<()> {
        for hive in HIVES {
            copy_if_changed(&self.pristine.join(hive), &self.dir.join(hive))?;
        }
        for (dir, extension) in INSTALLED {
            let list = self.list_file(dir);
            let list =
                fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
            let original: BTreeSet<&str> = list.lines().collect();
            for name in self.names(dir, extension)? {
                if !original.contains(name.as_str()) {
                    let file = self.drive_c(dir).join(&name);
                    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
                }
            }
        }
        self.forget_crashes()
    }

    /// The names of the files with this extension in a folder of drive C, which need not exist.
    fn names(&self, dir: &str, extension: &str) -> Result<BTreeSet<String>> {
        let dir = self.drive_c(dir);
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries.with_context(|| format!("cannot list {}", dir.display()))?,
        };
        let names = entries.flatten().map(|entry| entry.path()).filter(|path| {
            path.extension()
                .is_some_and(|found| found.eq_ignore_ascii_case(extension))
        });
        Ok(names
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn list_file(&self, dir: &str) -> PathBuf {
        self.pristine.join(dir.replace('/', "-")).with_extension("list")
    }

    /// What the debugger said of crashes since they were last forgotten.
    pub(crate) fn crashes(&self) -> Option<String> {
        fs::read(self.drive_c(CRASH_FILE))
            .ok()
            .map(|text| String::from_utf8_lossy(&text).replace('\r', ""))
    }

    /// Deletes the debugger's reports.
    pub(crate) fn forget_crashes(&self) -> Result<()> {
        let file = self.drive_c(CRASH_FILE);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// `wine`, with this prefix's environment.
    pub(crate) fn wine(&self, debug: &str) -> Command {
        let mut command = Command::new(&self.wine);
        self.set_environment(&mut command, debug);
        command
    }

    /// `wineserver`, with this prefix's environment.
    pub(crate) fn server(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.server);
        self.set_environment(&mut command, "-all");
        command.args(args);
        command
    }

    /// Ends everything that runs in this prefix, and waits until it has ended. Nothing running is fine.
    pub(crate) fn kill(&self) -> Result<()> {
        // `-k` fails when there is no server.
        bounded(self.server(&["-k"]), SERVER)?;
        run(self.server(&["-w"]), "wineserver -w", SERVER).map(|_| ())
    }

    /// Variables that make any program of Wine's work on this prefix and on no screen.
    pub(crate) fn set_environment(&self, command: &mut Command, debug: &str) {
        command
            .env("WINEPREFIX", &self.dir)
            .env("WINEARCH", "win64")
            .env("WINEDEBUG", debug)
            // No search for Mono and Gecko, no menu entries in the user's desktop.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=")
            .env("DISPLAY", "")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WINESERVER")
            .env_remove("WINELOADER")
            .env_remove("WINEDLLPATH");
    }
}

/// Claims the prefix; waits for another session on it to end. It has room for one kernel.
pub(crate) fn lock(paths: &Paths) -> Result<File> {
    create_dir(paths.linux_dir())?;
    let path = paths.linux_dir().join("wine.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("waiting for another session of Wine to end"),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// A path on drive C as Windows writes it.
fn windows_path(path: &str) -> String {
    format!(r"C:\{}", path.replace('/', r"\"))
}

fn bounded(command: Command, limit: Duration) -> Result<Finished> {
    let (tell, told) = child::events();
    child::run(command, limit, Echo::Quiet, (tell, &told))
}

fn run(command: Command, name: &str, limit: Duration) -> Result<Finished> {
    let finished = bounded(command, limit)?;
    ensure!(
        finished.success(),
        "`{name}` {}\n{}{}",
        finished.describe(limit),
        finished.stdout,
        finished.stderr
    );
    Ok(finished)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(dir: &Path) -> Prefix {
        Prefix {
            dir: dir.to_path_buf(),
            pristine: dir.join("pristine"),
            wine: PathBuf::from("wine"),
            server: PathBuf::from("wineserver"),
        }
    }

    #[test]
    fn a_reset_undoes_an_installation() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let prefix = prefix(dir.path());
        let write = |path: PathBuf, text: &str| write_if_changed(&path, text).map(|_| ()).expect("write");
        for hive in HIVES {
            write(prefix.pristine.join(hive), "as made");
            write(dir.path().join(hive), "with a service");
        }
        for (folder, extension) in INSTALLED {
            let (own, foreign) = (
                format!("own.{extension}"),
                format!("OEM0.{}", extension.to_uppercase()),
            );
            write(prefix.drive_c(folder).join(&own), "");
            write(prefix.drive_c(folder).join(foreign), "");
            write(prefix.drive_c(folder).join("readme.txt"), "");
            write(prefix.list_file(folder), &own);
        }
        write(prefix.drive_c(CRASH_FILE), "an old crash");

        prefix.reset().expect("reset");

        for hive in HIVES {
            assert_eq!(
                fs::read_to_string(dir.path().join(hive)).expect("read"),
                "as made"
            );
        }
        for (folder, extension) in INSTALLED {
            let left: Vec<String> = prefix
                .names(folder, extension)
                .expect("list")
                .into_iter()
                .collect();
            assert_eq!(left, [format!("own.{extension}")]);
            assert!(prefix.drive_c(folder).join("readme.txt").is_file());
        }
        assert_eq!(prefix.crashes(), None);
    }

    #[test]
    fn a_prefix_with_a_part_missing_is_not_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let prefix = prefix(dir.path());
        let mut parts = vec![prefix.drive_c("windows/system32/ntoskrnl.exe")];
        parts.extend(HIVES.iter().map(|hive| prefix.pristine.join(hive)));
        for (folder, _) in INSTALLED {
            create_dir(&prefix.drive_c(folder)).expect("create");
            parts.push(prefix.list_file(folder));
        }
        for part in &parts {
            write_if_changed(part, "").expect("write");
        }
        assert!(prefix.is_whole());
        for part in &parts {
            fs::remove_file(part).expect("remove");
            assert!(!prefix.is_whole(), "{}", part.display());
            write_if_changed(part, "").expect("write");
        }
    }
}
