//! Assembles the stand-in for the Windows Driver Kit: a folder of the shape that wdk-build looks for, from MinGW's
//! kernel headers, the repository's own headers, and import libraries made from lists of names.
//!
//! `linux/wdk` holds the sources, by convention:
//! - `include/km` goes before MinGW's headers and may wrap them (`#include_next`); `include/wdf` is the framework's;
//! - `lib/NAME.def` becomes the import library `NAME.lib` (with MinGW's names of that library added, if it has them);
//! - `src/NAME.c` becomes the static library `NAME.lib`; a folder `src/NAME/` becomes one of all its C files.
//!
//! Libraries whose name begins with `Wdf` belong to the framework, the others to the kernel.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use walkdir::WalkDir;

use crate::{
    Context,
    paths::{create_dir, link, remove_dir_if_present},
    process::Tool,
    progress::Step,
    stamp::Inputs,
    toolchain::{Arch, Kit},
};

/// The version of the kit that the folders claim: Windows 10 2004, the lowest that the driver supports.
const SDK_VERSION: &str = "10.0.19041.0";

/// The framework's version: must be that of `[workspace.metadata.wdk.driver-model]`.
pub(crate) const KMDF_VERSION: &str = "1.15";

/// Symbols of MinGW's archives that are its own and no kernel exports, or that would hide the compiler's.
const NOT_EXPORTED: &[&str] = &["__chkstk"];

/// Folders of the assembled kit.
#[derive(Clone, Debug)]
pub(crate) struct Kits {
    root: PathBuf,
}

impl Kits {
    /// What `WDKContentRoot` is set to.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The kernel's libraries.
    pub(crate) fn kernel_lib(&self, arch: Arch) -> PathBuf {
        self.root
            .join("Lib")
            .join(SDK_VERSION)
            .join("km")
            .join(arch.in_kits())
    }

    /// The framework's libraries.
    pub(crate) fn framework_lib(&self, arch: Arch) -> PathBuf {
        self.root
            .join("Lib/wdf/kmdf")
            .join(arch.in_kits())
            .join(KMDF_VERSION)
    }

    /// The kernel's headers.
    pub(crate) fn include(&self) -> PathBuf {
        self.root.join("Include").join(SDK_VERSION)
    }

    /// The framework's headers.
    pub(crate) fn framework_include(&self) -> PathBuf {
        self.root.join("Include/wdf/kmdf").join(KMDF_VERSION)
    }
}

/// Makes the kit if its sources or tools changed.
pub(crate) fn assemble(context: &Context, kit: &Kit) -> Result<Kits> {
    let kits = Kits {
        root: context.paths.kits(),
    };
    check_path(kits.root())?;
    kit.link_tools(&context.paths)?;
    let source = context.paths.root().join("linux/wdk");
    let mut inputs = Inputs::new()?;
    for part in ["include", "lib", "src"] {
        inputs.folder(&source.join(part))?;
    }
    inputs.text(&kit.version()?);
    inputs.text(&kits.root().to_string_lossy());
    let stamp = inputs.stamp(&context.paths, "kits");
    if stamp.is_fresh() && Arch::ALL.iter().all(|&arch| kits.kernel_lib(arch).is_dir()) {
        return Ok(kits);
    }

    let step = context.progress.step("WDK stand-in");
    stamp.begin()?;
    link_headers(&kits, kit, &source)?;
    let libraries = make_libraries(context, &step, &kits, kit, &source)?;
    stamp.finish()?;
    step.done(&format!(
        "headers and {libraries} libraries in {}",
        context.paths.shown(kits.root())
    ));
    Ok(kits)
}

/// wdk-sys takes every header with `wdf` in its *path* for one of the framework's.
fn check_path(root: &Path) -> Result<()> {
    let text = root.to_string_lossy().to_lowercase();
    ensure!(
        !text.contains("wdf"),
        "the folder {} has `wdf` in its path, by which wdk-sys tells the framework's headers from others: \
         choose another with {}",
        root.display(),
        crate::paths::LINUX_DIR_VARIABLE
    );
    ensure!(
        !text.contains(char::is_whitespace),
        "the folder {} has white space in its path, which compiler options in variables cannot express: choose \
         another with {}",
        root.display(),
        crate::paths::LINUX_DIR_VARIABLE
    );
    Ok(())
}

/// The headers are links, so that build scripts see when a header changed, whoever owns it.
fn link_headers(kits: &Kits, kit: &Kit, source: &Path) -> Result<()> {
    remove_dir_if_present(&kits.root().join("Include"))?;
    let include = kits.include();
    for dir in ["km/crt", "km/ufx/1.1", "shared"] {
        create_dir(&include.join(dir))?;
    }
    create_dir(&kits.framework_include())?;
    link_tree(&source.join("include/km"), &include.join("km"))?;
    link_tree(
        &source.join("include/wdf/kmdf").join(KMDF_VERSION),
        &kits.framework_include(),
    )?;
    // The kernel's own version of a header goes before the one for programs.
    let shared = include.join("shared");
    for dir in [kit.mingw_include.join("ddk"), kit.mingw_include.clone()] {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
            let here = shared.join(entry.file_name());
            if fs::symlink_metadata(&here).is_err() {
                link(&entry.path(), &here)?;
            }
        }
    }
    Ok(())
}

/// Links every file of a tree into the same place of another.
fn link_tree(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    for entry in WalkDir::new(from) {
        let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
        if !entry.file_type().is_dir() {
            let name = entry
                .path()
                .strip_prefix(from)
                .context("a walk leaves its folder")?;
            link(entry.path(), &to.join(name))?;
        }
    }
    Ok(())
}

fn make_libraries(context: &Context, step: &Step, kits: &Kits, kit: &Kit, source: &Path) -> Result<usize> {
    remove_dir_if_present(&kits.root().join("Lib"))?;
    let scratch = context.paths.linux_dir().join("obj");
    remove_dir_if_present(&scratch)?;
    create_dir(&scratch)?;
    let mut count = 0;
    for arch in Arch::ALL {
        create_dir(&kits.kernel_lib(arch))?;
        create_dir(&kits.framework_lib(arch))?;
        let libraries = Libraries {
            arch,
            context,
            step,
            kits,
            kit,
            scratch: &scratch,
        };
        count += libraries.make(source)?;
    }
    Ok(count)
}

/// The libraries of one processor in the making.
struct Libraries<'a> {
    arch: Arch,
    context: &'a Context,
    step: &'a Step,
    kits: &'a Kits,
    kit: &'a Kit,
    scratch: &'a Path,
}

impl Libraries<'_> {
    fn make(&self, source: &Path) -> Result<usize> {
        let mut count = 0;
        for path in sorted_entries(&source.join("lib"))? {
            if path.extension().is_some_and(|extension| extension == "def") {
                self.import_library(&path)?;
                count += 1;
            }
        }
        for path in sorted_entries(&source.join("src"))? {
            let files = if path.is_dir() {
                sorted_entries(&path)?
            } else {
                vec![path.clone()]
            };
            let files: Vec<PathBuf> = files
                .into_iter()
                .filter(|file| file.extension().is_some_and(|extension| extension == "c"))
                .collect();
            if !files.is_empty() {
                self.static_library(&stem(&path)?, &files)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn library_path(&self, name: &str) -> PathBuf {
        let dir = if name.starts_with("Wdf") {
            self.kits.framework_lib(self.arch)
        } else {
            self.kits.kernel_lib(self.arch)
        };
        dir.join(format!("{name}.lib"))
    }

    fn import_library(&self, def: &Path) -> Result<()> {
        let name = stem(def)?;
        self.step.status(&format!("{name}.lib"));
        let text = fs::read_to_string(def).with_context(|| format!("cannot read {}", def.display()))?;
        let mut module = ModuleDefinition::parse(&text)
            .with_context(|| format!("in {}", self.context.paths.shown(def)))?;
        let archive = self.kit.mingw_lib.join(format!("lib{name}.a"));
        if archive.is_file() {
            let symbols = Tool::new(&self.kit.llvm_nm)
                .args(["--defined-only", "--extern-only", "--format=posix"])
                .arg(&archive)
                .output()?;
            module.add_archive(&symbols);
        }
        let full = self.scratch.join(format!("{name}.def"));
        fs::write(&full, module.render()).with_context(|| format!("cannot write {}", full.display()))?;
        Tool::new(&self.kit.llvm_dlltool)
            .args(["-m", self.arch.in_dlltool(), "-d"])
            .arg(&full)
            .arg("-l")
            .arg(self.library_path(&name))
            .log(
                &self
                    .context
                    .paths
                    .log(&format!("lib-{name}-{}", self.arch.name())),
            )
            .run(self.step)?;
        Ok(())
    }

    fn static_library(&self, name: &str, files: &[PathBuf]) -> Result<()> {
        self.step.status(&format!("{name}.lib"));
        let mut objects = Vec::new();
        for file in files {
            let object = self
                .scratch
                .join(format!("{name}-{}-{}.obj", stem(file)?, self.arch.name()));
            let mut tool = Tool::new(&self.kit.clang_cl)
                .arg(format!("--target={}", self.arch.kernel_target()))
                .args(["/nologo", "/c", "/O2", "/GS-", "/Zl", "/W4", "/WX", "/Brepro"])
                .args(["/clang:-ffreestanding", "/clang:-fno-builtin", "/X"])
                .args(Kit::header_options().map(|option| format!("/clang:{option}")))
                .args([
                    "/D_KERNEL_MODE",
                    "/D_WIN64",
                    "/DKMDF_VERSION_MAJOR=1",
                    "/DKMDF_VERSION_MINOR=15",
                ])
                .args(self.arch.macros().map(|name| format!("/D{name}")))
                // Headers of others are not ours to warn about, not even by `#warning`.
                .arg("-Wno-#warnings");
            for dir in [
                self.kit.clang_include.clone(),
                self.kits.include().join("km/crt"),
                self.kits.include().join("km"),
                self.kits.include().join("shared"),
                self.kits.framework_include(),
            ] {
                tool = tool.arg(format!("/imsvc{}", dir.display()));
            }
            tool.arg(format!("/Fo{}", object.display()))
                // Else a path such as /home would be an option.
                .arg("--")
                .arg(file)
                .log(
                    &self
                        .context
                        .paths
                        .log(&format!("lib-{name}-{}", self.arch.name())),
                )
                .run(self.step)?;
            objects.push(object);
        }
        Tool::new(&self.kit.llvm_lib)
            .arg("/nologo")
            .arg(format!("/out:{}", self.library_path(name).display()))
            .args(objects)
            .log(
                &self
                    .context
                    .paths
                    .log(&format!("lib-{name}-{}", self.arch.name())),
            )
            .run(self.step)?;
        Ok(())
    }
}

/// The entries of a folder by name; none if it does not exist.
fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut entries = fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("cannot list {}", dir.display()))?;
    entries.sort();
    Ok(entries)
}

fn stem(path: &Path) -> Result<String> {
    let stem = path
        .file_stem()
        .with_context(|| format!("{} has no name", path.display()))?;
    Ok(stem.to_string_lossy().into_owned())
}

/// A module-definition file: the DLL and what it exports.
#[derive(Debug, PartialEq, Eq)]
struct ModuleDefinition {
    library: String,
    exports: BTreeSet<String>,
}

impl ModuleDefinition {
    fn parse(text: &str) -> Result<Self> {
        let mut library = None;
        let mut exports = BTreeSet::new();
        let mut in_exports = false;
        for line in text.lines() {
            let line = line.split(';').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            match words.next() {
                None => {}
                Some("LIBRARY") => {
                    library = words.next().map(|name| name.trim_matches('"').to_owned());
                }
                Some("EXPORTS") => {
                    in_exports = true;
                    exports.extend(words.next().map(str::to_owned));
                }
                Some(_) if in_exports => {
                    exports.insert(line.to_owned());
                }
                Some(word) => bail!("`{word}` stands before EXPORTS"),
            }
        }
        let library = library.context("there is no LIBRARY line")?;
        Ok(Self { library, exports })
    }

    /// Adds the functions and variables of an import archive, as `llvm-nm --format=posix` lists them: each export has
    /// a pointer `__imp_NAME`.
    fn add_archive(&mut self, symbols: &str) {
        let own: BTreeSet<String> = self
            .exports
            .iter()
            .map(|export| base_name(export).to_owned())
            .collect();
        let lines: BTreeSet<&str> = symbols
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        for pointer in &lines {
            let Some(name) = pointer.strip_prefix("__imp_") else {
                continue;
            };
            if own.contains(name) || NOT_EXPORTED.contains(&name) {
                continue;
            }
            // Without a thunk of the same name it is a variable, not a function.
            let kind = if lines.contains(name) { "" } else { " DATA" };
            self.exports.insert(format!("{name}{kind}"));
        }
    }

    fn render(&self) -> String {
        let mut text = format!("LIBRARY \"{}\"\nEXPORTS\n", self.library);
        for export in &self.exports {
            text.push_str(export);
            text.push('\n');
        }
        text
    }
}

/// The name of an export line such as `KeTickCount DATA` or `name = other`.
fn base_name(export: &str) -> &str {
    export.split([' ', '\t', '=', '@']).next().unwrap_or(export)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_file_is_read_without_its_comments() {
        let module =
            ModuleDefinition::parse("; why\nLIBRARY \"WDFLDR.SYS\"\nEXPORTS\n  A ; first\n  B DATA\n")
                .expect("it is well-formed");
        assert_eq!(module.library, "WDFLDR.SYS");
        assert_eq!(module.render(), "LIBRARY \"WDFLDR.SYS\"\nEXPORTS\nA\nB DATA\n");
    }

    #[test]
    fn a_definition_file_without_a_library_is_refused() {
        assert!(ModuleDefinition::parse("EXPORTS\nA\n").is_err());
        assert!(ModuleDefinition::parse("A\n").is_err());
    }

    #[test]
    fn names_of_an_archive_are_added_and_own_ones_win() {
        let mut module =
            ModuleDefinition::parse("LIBRARY ntoskrnl.exe\nEXPORTS\nKeTickCount CONSTANT\nExAllocatePool2\n")
                .expect("it is well-formed");
        module.add_archive(
            "IoBuildRequest T 0 0\n__imp_IoBuildRequest D 0 0\n__imp_KeTickCount D 0 0\n__imp_MmHighest D 0 0\n\
             __imp___chkstk D 0 0\n_head_libntoskrnl I 0 0\n",
        );
        let expected = [
            "ExAllocatePool2",
            "IoBuildRequest",
            "KeTickCount CONSTANT",
            "MmHighest DATA",
        ];
        assert_eq!(
            module.exports.iter().map(String::as_str).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn the_kit_has_the_framework_version_that_the_manifest_asks_for() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("there is a manifest");
        let manifest: toml_edit::DocumentMut = manifest.parse().expect("it is TOML");
        let model = &manifest["workspace"]["metadata"]["wdk"]["driver-model"];
        let part = |name: &str| model[name].as_integer().expect("a number");
        let asked = format!(
            "{}.{}",
            part("kmdf-version-major"),
            part("target-kmdf-version-minor")
        );
        assert_eq!(asked, KMDF_VERSION);
    }

    #[test]
    fn a_path_that_misleads_wdk_sys_is_refused() {
        assert!(check_path(Path::new("/home/me/MyWDF/target/linux/kits")).is_err());
        assert!(check_path(Path::new("/home/my self/kits")).is_err());
        assert!(check_path(Path::new("/home/me/target/linux/kits")).is_ok());
    }
}
