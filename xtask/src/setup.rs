//! `cargo xtask setup`: from a machine with Rust and git to one that builds and runs the driver.
//!
//! It looks for what is needed, not for packages: a tool that came by another way is as good. Only what is lacking is
//! installed, and only where it is known how; elsewhere it is listed and the command fails.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{
    Context, emulate, fuzz, kits,
    process::{Tool, find_program},
    sanitize,
    toolchain::{self, KERNEL_TARGET, Kit, PROGRAM_TARGET, Rust},
    wine,
};

/// Something that the Linux build needs, and the Debian packages that bring it.
struct Need {
    /// What is lacking, as a reader would look for it; empty if nothing is.
    missing: Vec<String>,
    packages: &'static [&'static str],
}

/// A Rust compiler whose standard library can be built for any target.
const RUST_PACKAGES: &[&str] = &["cargo-web", "rust-web-clippy", "rust-web-src", "rustc-web"];

/// Clang, LLVM's tools, MinGW's compiler, headers and libraries.
const KIT_PACKAGES: &[&str] = &[
    "clang-19",
    "clang-tools-19",
    "gcc-mingw-w64-x86-64-win32",
    "libclang-19-dev",
    "libclang-common-19-dev",
    "lld-19",
    "llvm-19",
    "mingw-w64-x86-64-dev",
];

/// A Windows kernel to load the driver.
const WINE_PACKAGES: &[&str] = &["wine", "wine64"];

/// Counts instructions for the budget, and watches memory.
const VALGRIND_PACKAGES: &[&str] = &["binutils", "valgrind"];

/// What `AddressSanitizer` and `ThreadSanitizer` need at run time.
const SANITIZER_PACKAGES: &[&str] = &["libclang-rt-19-dev"];

/// Makes a test certificate, signs packages, and judges signatures.
const SIGNING_PACKAGES: &[&str] = &["openssl", "osslsigncode"];

/// Makes an environment of its own for the emulator.
const PYTHON_PACKAGES: &[&str] = &["python3", "python3-venv"];

/// What libFuzzer is built with.
const FUZZER_PACKAGES: &[&str] = &["g++"];

/// Installs what is lacking and prepares everything that does not depend on the sources of the driver.
pub(crate) fn run(context: &Context) -> Result<()> {
    let _lock = context.paths.lock(context.progress)?;
    let rust_is_lacking = Rust::find()?.is_none();
    let needs = needs(rust_is_lacking);
    if needs.iter().any(|need| !need.missing.is_empty()) {
        install(context, &needs, rust_is_lacking)?;
    }
    kits::assemble(context, &Kit::require()?)?;
    emulate::install(context)?;
    wine::Prefix::ensure(context)?;
    Ok(())
}

fn needs(rust_is_lacking: bool) -> Vec<Need> {
    let rust = format!(
        "a Rust compiler for {KERNEL_TARGET} and {PROGRAM_TARGET} (rustup's targets, or Debian's rustc-web with \
         rust-web-src and rust-web-clippy)"
    );
    let wine = if find_program("wine").is_none() || find_program("wineserver").is_none() {
        vec!["wine (64-bit)".to_owned()]
    } else {
        Vec::new()
    };
    vec![
        Need {
            missing: if rust_is_lacking { vec![rust] } else { Vec::new() },
            packages: RUST_PACKAGES,
        },
        Need {
            missing: Kit::find().err().unwrap_or_default(),
            packages: KIT_PACKAGES,
        },
        Need {
            missing: wine,
            packages: WINE_PACKAGES,
        },
        Need {
            missing: lacking_programs(&["valgrind", "objdump"]),
            packages: VALGRIND_PACKAGES,
        },
        Need {
            missing: sanitize::missing(),
            packages: SANITIZER_PACKAGES,
        },
        Need {
            missing: lacking_programs(&["openssl", "osslsigncode"]),
            packages: SIGNING_PACKAGES,
        },
        Need {
            missing: if emulate::can_install() {
                Vec::new()
            } else {
                vec!["python3 with its modules venv and ensurepip".to_owned()]
            },
            packages: PYTHON_PACKAGES,
        },
        Need {
            missing: fuzz::missing(),
            packages: FUZZER_PACKAGES,
        },
    ]
}

/// Those of some programs that are not in `PATH`.
fn lacking_programs(programs: &[&str]) -> Vec<String> {
    programs
        .iter()
        .filter(|program| find_program(program).is_none())
        .map(|program| (*program).to_owned())
        .collect()
}

fn install(context: &Context, needs: &[Need], rust_is_lacking: bool) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let debian = is_debian(&release) && find_program("apt-get").is_some();
    let by_rustup = rust_is_lacking && (!debian || toolchain::prefers_rustup());
    if by_rustup {
        add_rustup_targets(context)?;
    }
    if debian {
        let wanted: Vec<&str> = needs
            .iter()
            .filter(|need| !need.missing.is_empty())
            .filter(|need| !by_rustup || need.packages != RUST_PACKAGES)
            .flat_map(|need| need.packages.iter().copied())
            .collect();
        install_packages(context, &wanted)?;
    }
    let left = self::needs(Rust::find()?.is_none());
    let missing: Vec<String> = left.into_iter().flat_map(|need| need.missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let distribution = field(&release, "PRETTY_NAME").unwrap_or_else(|| "this distribution".to_owned());
    let how = if debian {
        "the packages that bring them are installed, yet they are not where they are looked for".to_owned()
    } else {
        format!("how to install them on {distribution} is not known here: install them and run this again")
    };
    bail!("still lacking:\n  {}\n{how}", missing.join("\n  "))
}

fn is_debian(release: &str) -> bool {
    let like = field(release, "ID_LIKE").unwrap_or_default();
    field(release, "ID").is_some_and(|id| id == "debian") || like.split_whitespace().any(|id| id == "debian")
}

/// One field of `/etc/os-release`.
fn field(release: &str, name: &str) -> Option<String> {
    release
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
}

fn add_rustup_targets(context: &Context) -> Result<()> {
    if find_program("rustup").is_none() {
        return Ok(());
    }
    let step = context.progress.step("Rust targets");
    Tool::new("rustup")
        .args(["target", "add", KERNEL_TARGET, PROGRAM_TARGET])
        .log(&context.paths.log("rustup"))
        .echo(context.verbose)
        .hint("if rustup cannot reach its server, install the targets by hand")
        .run(&step)?;
    step.done(&format!("{KERNEL_TARGET}, {PROGRAM_TARGET}"));
    Ok(())
}

fn install_packages(context: &Context, wanted: &[&str]) -> Result<()> {
    let lacking: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install --no-install-recommends {}", lacking.join(" "));
    let root = Tool::new("id").arg("-u").output()? == "0";
    if !root {
        ask_for_root(&command)?;
    }
    let apt = |args: &[&str]| {
        let tool = if root {
            Tool::new("env")
        } else {
            Tool::new("sudo").arg("env")
        };
        tool.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(args)
            .echo(context.verbose)
    };
    let step = context.progress.step("Debian packages");
    apt(&["update"])
        .log(&context.paths.log("apt-update"))
        .hint("apt cannot reach its servers: see /etc/apt/sources.list and the network")
        .run(&step)?;
    apt(&["install", "--yes", "--no-install-recommends"])
        .args(&lacking)
        .log(&context.paths.log("apt-install"))
        .hint(format!("to see it happen: sudo {command}"))
        .run(&step)?;
    step.done(&lacking.join(" "));
    Ok(())
}

/// Whether dpkg has a package in working order.
fn is_installed(package: &str) -> bool {
    Tool::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output()
        .is_ok_and(|status| status == "installed")
}

/// Lets sudo ask for the password now, on the terminal, before progress is drawn over it.
fn ask_for_root(command: &str) -> Result<()> {
    if find_program("sudo").is_none() {
        bail!("installing packages needs root, and there is no sudo: as root, run\n  {command}");
    }
    let status = Command::new("sudo")
        .arg("--validate")
        .status()
        .context("cannot run sudo")?;
    if !status.success() {
        bail!("installing packages needs root: allow sudo, or as root run\n  {command}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_told_by_their_ids() {
        assert!(is_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=mint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nVERSION_ID=40\n"));
        assert!(!is_debian("ID=alpine\nHOME_URL=\"https://debian.example/\"\n"));
        assert!(!is_debian(""));
    }
}
