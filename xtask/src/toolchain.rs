//! Which compilers this machine has for the Windows targets.
//!
//! Two kinds do the job. Debian's `rustc-web` has no such target but ships the library's source, from which cargo
//! builds it. With rustup's `x86_64-pc-windows-*` targets the library comes compiled. Where both are there, Debian's is
//! used, so that adding a target for another purpose does not change what this build makes. The rest (clang for the
//! headers, LLVM's linker and librarian, MinGW's headers and linker) is the same for both.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    paths::Paths,
    process::{Tool, find_program},
};

/// A processor that the driver is built for. Wine runs the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    /// AMD's and Intel's, 64 bits
    X64,
    /// ARM's, 64 bits
    Arm64,
}

impl Arch {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::X64, Self::Arm64];

    /// The target of kernel code: Microsoft's ABI and object format, for LLVM's linker.
    pub(crate) fn kernel_target(self) -> &'static str {
        match self {
            Self::X64 => KERNEL_TARGET,
            Self::Arm64 => "aarch64-pc-windows-msvc",
        }
    }

    /// The name of its libraries' folder, in the letters that wdk-build looks for.
    pub(crate) fn in_kits(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "ARM64",
        }
    }

    /// Its name here.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        }
    }

    /// Its name in INF files.
    pub(crate) fn in_inf(self) -> &'static str {
        match self {
            Self::X64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Its name for LLVM's dlltool.
    pub(crate) fn in_dlltool(self) -> &'static str {
        match self {
            Self::X64 => "i386:x86-64",
            Self::Arm64 => "arm64",
        }
    }

    /// The macros by which kernel headers know it.
    pub(crate) fn macros(self) -> [&'static str; 2] {
        match self {
            Self::X64 => ["_AMD64_", "AMD64"],
            Self::Arm64 => ["_ARM64_", "ARM64"],
        }
    }
}

/// The target of kernel code that Wine can run.
pub(crate) const KERNEL_TARGET: &str = "x86_64-pc-windows-msvc";

/// The target of programs: needs no Microsoft library.
pub(crate) const PROGRAM_TARGET: &str = "x86_64-pc-windows-gnu";

/// Debian's clippy.
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// Forces one of the two toolchains: `rustup` or `debian`.
const CHOICE_VARIABLE: &str = "QWI_TOOLCHAIN";

/// MinGW's C compiler, which links programs.
pub(crate) const MINGW_GCC: &str = "x86_64-w64-mingw32-gcc";

/// The LLVM release that Debian's package names carry.
pub(crate) const LLVM_VERSION: &str = "19";

/// Where Debian puts MinGW's headers.
const MINGW_INCLUDE: &str = "/usr/share/mingw-w64/include";

/// Where Debian puts MinGW's import libraries.
const MINGW_LIB: &str = "/usr/x86_64-w64-mingw32/lib";

/// A Rust compiler that can make Windows code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rust {
    /// rustup's, with both Windows targets installed.
    Rustup { cargo: PathBuf, sysroot: PathBuf },
    /// Debian's pair and the source of the standard library.
    Debian {
        cargo: PathBuf,
        rustc: PathBuf,
        sysroot: PathBuf,
    },
}

impl Rust {
    /// The one to use: Debian's if it is there, else rustup's with its targets; none if neither is complete.
    pub(crate) fn find() -> Result<Option<Self>> {
        let choice = env::var(CHOICE_VARIABLE).unwrap_or_default();
        match choice.as_str() {
            "" => Ok(Self::debian().or_else(Self::rustup)),
            "rustup" => Ok(Self::rustup()),
            "debian" => Ok(Self::debian()),
            other => bail!("{CHOICE_VARIABLE}={other} is neither `rustup` nor `debian`"),
        }
    }

    fn rustup() -> Option<Self> {
        let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let rustc = cargo.with_file_name("rustc");
        let sysroot = Tool::new(if rustc.is_file() {
            rustc.as_path()
        } else {
            Path::new("rustc")
        })
        .args(["--print", "sysroot"])
        .output()
        .ok()
        .map(PathBuf::from)?;
        let complete = [KERNEL_TARGET, PROGRAM_TARGET]
            .iter()
            .all(|target| sysroot.join("lib/rustlib").join(target).join("lib").is_dir());
        complete.then_some(Self::Rustup { cargo, sysroot })
    }

    fn debian() -> Option<Self> {
        let cargo = PathBuf::from("/usr/bin/cargo");
        let rustc = PathBuf::from("/usr/bin/rustc");
        let sysroot = PathBuf::from("/usr");
        let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.toml");
        let clippy = Path::new(DEBIAN_CLIPPY);
        (cargo.is_file() && rustc.is_file() && source.is_file() && clippy.is_file()).then_some(Self::Debian {
            cargo,
            rustc,
            sysroot,
        })
    }

    /// Whether the standard library is compiled along with the package.
    pub(crate) fn builds_std(&self) -> bool {
        matches!(self, Self::Debian { .. })
    }

    /// The folder that `rustc --print sysroot` names.
    pub(crate) fn sysroot(&self) -> &Path {
        match self {
            Self::Rustup { sysroot, .. } | Self::Debian { sysroot, .. } => sysroot,
        }
    }

    /// This toolchain's cargo, free of what an outer `cargo run` left in the environment.
    pub(crate) fn cargo(&self) -> Tool {
        match self {
            Self::Rustup { cargo, .. } => self.clean(Tool::new(cargo)),
            Self::Debian { cargo, rustc, .. } => self
                .clean(Tool::new(cargo))
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1"),
        }
    }

    /// `cargo clippy` of this toolchain. Debian's is called by its file: cargo would look for a subcommand in rustup's
    /// folder first.
    pub(crate) fn clippy(&self) -> Tool {
        match self {
            Self::Rustup { .. } => self.cargo(),
            Self::Debian { cargo, rustc, .. } => self
                .clean(Tool::new(DEBIAN_CLIPPY))
                .env("CARGO", cargo)
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1"),
        }
        .arg("clippy")
    }

    fn clean(&self, mut tool: Tool) -> Tool {
        let keep_rustup = matches!(self, Self::Rustup { .. });
        for (name, _) in env::vars_os() {
            if is_foreign(&name, keep_rustup) {
                tool = tool.env_remove(name);
            }
        }
        tool
    }
}

/// Whether the user chose rustup's toolchain.
pub(crate) fn prefers_rustup() -> bool {
    env::var_os(CHOICE_VARIABLE).is_some_and(|choice| choice == "rustup")
}

/// Whether a variable speaks of another build than the one about to begin: the outer `cargo run`'s own, or flags that
/// a developer meant for host builds.
fn is_foreign(name: &std::ffi::OsStr, keep_rustup: bool) -> bool {
    const FOREIGN: &[&str] = &[
        "CARGO",
        "CARGO_BUILD_RUSTC",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ];
    let Some(name) = name.to_str() else { return false };
    FOREIGN.contains(&name)
        || name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_BIN_")
        || (!keep_rustup && name.starts_with("RUSTUP_"))
}

/// The C side: LLVM's tools and MinGW's files.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    /// LLVM's linker in Microsoft's manner.
    pub(crate) lld_link: PathBuf,
    /// Clang in the manner of Microsoft's compiler.
    pub(crate) clang_cl: PathBuf,
    /// The librarian.
    pub(crate) llvm_lib: PathBuf,
    /// Makes import libraries.
    pub(crate) llvm_dlltool: PathBuf,
    /// Lists symbols.
    pub(crate) llvm_nm: PathBuf,
    /// Renames symbols of objects.
    pub(crate) llvm_objcopy: PathBuf,
    /// The folder of `libclang.so`.
    pub(crate) libclang: PathBuf,
    /// Clang's own headers.
    pub(crate) clang_include: PathBuf,
    /// MinGW's headers; the kernel's are in its folder `ddk`.
    pub(crate) mingw_include: PathBuf,
    /// MinGW's import libraries.
    pub(crate) mingw_lib: PathBuf,
}

impl Kit {
    /// Finds every part, or the list of those that are missing, each as a reader would look for it.
    pub(crate) fn find() -> std::result::Result<Self, Vec<String>> {
        let mut missing = Vec::new();
        let lld_link = llvm_tool("lld-link", &mut missing);
        let clang_cl = llvm_tool("clang-cl", &mut missing);
        let llvm_lib = llvm_tool("llvm-lib", &mut missing);
        let llvm_dlltool = llvm_tool("llvm-dlltool", &mut missing);
        let llvm_nm = llvm_tool("llvm-nm", &mut missing);
        let llvm_objcopy = llvm_tool("llvm-objcopy", &mut missing);
        let libclang = libclang_dir()
            .unwrap_or_else(|| lacking("libclang.so (the development files of libclang)", &mut missing));
        let clang_include = clang_include(&clang_cl)
            .unwrap_or_else(|| lacking("clang's own headers (stddef.h)", &mut missing));
        let mingw_include = env_dir("QWI_MINGW_INCLUDE", MINGW_INCLUDE);
        if !mingw_include.join("ddk/wdm.h").is_file() {
            lacking(
                "mingw-w64's headers with its ddk folder (or QWI_MINGW_INCLUDE naming them)",
                &mut missing,
            );
        }
        let mingw_lib = env_dir("QWI_MINGW_LIB", MINGW_LIB);
        if !mingw_lib.join("libntoskrnl.a").is_file() {
            lacking(
                "mingw-w64's import libraries, libntoskrnl.a (or QWI_MINGW_LIB naming their folder)",
                &mut missing,
            );
        }
        if find_program(MINGW_GCC).is_none() {
            lacking(MINGW_GCC, &mut missing);
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        Ok(Self {
            lld_link,
            clang_cl,
            llvm_lib,
            llvm_dlltool,
            llvm_nm,
            llvm_objcopy,
            libclang,
            clang_include,
            mingw_include,
            mingw_lib,
        })
    }

    /// As [`Kit::find`], for what cannot go on without it.
    pub(crate) fn require() -> Result<Self> {
        Self::find().map_err(|missing| {
            anyhow::anyhow!(
                "this machine lacks: {}\nrun `cargo xtask setup`",
                missing.join(", ")
            )
        })
    }

    /// Options of clang that make MinGW's kernel headers readable for Microsoft's target: MinGW's macros, a GCC version
    /// (its headers choose their inline assembly by it), and no intrinsic headers that clang cannot parse in this mode.
    pub(crate) fn header_options() -> [&'static str; 6] {
        [
            "-fgnuc-version=4.2.1",
            "-D__MINGW64__",
            "-D__MINGW32__",
            "-D__AMXINTRIN_H",
            "-D__AMX_COMPLEXINTRIN_H",
            "-D__AMX_FP16INTRIN_H",
        ]
    }

    /// What identifies the C side, for stamps.
    pub(crate) fn version(&self) -> Result<String> {
        let clang = Tool::new(&self.clang_cl).arg("--version").output()?;
        let header =
            fs::metadata(self.mingw_include.join("ddk/wdm.h")).context("cannot look at MinGW's wdm.h")?;
        let library =
            fs::metadata(self.mingw_lib.join("libntoskrnl.a")).context("cannot look at libntoskrnl.a")?;
        let time = |meta: &fs::Metadata| meta.modified().ok();
        Ok(format!("{clang}\n{:?} {:?}", time(&header), time(&library)))
    }

    /// Puts the tools into a folder under the names by which others know them: rustc tells linkers apart by name.
    pub(crate) fn link_tools(&self, paths: &Paths) -> Result<()> {
        crate::paths::link(&self.lld_link, &paths.bin().join("lld-link"))
    }
}

fn lacking(what: &str, missing: &mut Vec<String>) -> PathBuf {
    missing.push(what.to_owned());
    PathBuf::new()
}

/// A tool of LLVM: Debian's versioned name first, so that the version is the one that is known to work.
fn llvm_tool(name: &str, missing: &mut Vec<String>) -> PathBuf {
    find_program(&format!("{name}-{LLVM_VERSION}"))
        .or_else(|| find_program(name))
        .unwrap_or_else(|| lacking(name, missing))
}

fn libclang_dir() -> Option<PathBuf> {
    let named = env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let debian = PathBuf::from(format!("/usr/lib/llvm-{LLVM_VERSION}/lib"));
    let others = ["/usr/lib64", "/usr/lib", "/usr/lib/x86_64-linux-gnu"].map(PathBuf::from);
    named
        .into_iter()
        .chain([debian])
        .chain(others)
        .find(|dir| has_libclang(dir))
}

fn has_libclang(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name == "libclang.so" || name.starts_with("libclang.so.") || name.starts_with("libclang-")
        })
    })
}

fn clang_include(clang_cl: &Path) -> Option<PathBuf> {
    let debian = PathBuf::from(format!(
        "/usr/lib/llvm-{LLVM_VERSION}/lib/clang/{LLVM_VERSION}/include"
    ));
    if debian.join("stddef.h").is_file() {
        return Some(debian);
    }
    if clang_cl.as_os_str().is_empty() {
        return None;
    }
    let resources = Tool::new(clang_cl)
        .arg("/clang:-print-resource-dir")
        .output()
        .ok()?;
    let include = PathBuf::from(resources).join("include");
    include.join("stddef.h").is_file().then_some(include)
}

fn env_dir(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| OsString::from(default))
        .into()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn the_outer_cargo_does_not_reach_the_inner_one() {
        for name in [
            "CARGO",
            "CARGO_PKG_NAME",
            "CARGO_TARGET_DIR",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
        ] {
            assert!(is_foreign(OsStr::new(name), true), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "PATH",
            "HOME",
        ] {
            assert!(!is_foreign(OsStr::new(name), false), "{name}");
        }
    }

    #[test]
    fn rustup_variables_go_only_where_rustup_does() {
        assert!(is_foreign(OsStr::new("RUSTUP_TOOLCHAIN"), false));
        assert!(!is_foreign(OsStr::new("RUSTUP_TOOLCHAIN"), true));
    }
}
