//! The library for C drivers.
//!
//! Cargo makes a static library for anybody: with the compiler's own routines, with symbols of `wdk-sys`, and with the
//! two variables by which `wdk-sys` reaches the framework, which every KMDF driver has as well. What a driver links is
//! made from it here: the one object that all of the Rust code was compiled into, with every symbol but the header's
//! verbs renamed so that nothing of the client's can have that name.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use object::{
    LittleEndian as LE, Object as _, ObjectSymbol,
    pe::{IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64, ImageFileHeader},
    read::{archive::ArchiveFile, coff::CoffFile},
};

use super::{Builder, KERNEL_STD, Profile};
use crate::{
    packages::Package,
    paths::{copy_if_changed, create_dir},
    process::Tool,
    progress::Step,
    toolchain::{Arch, Kit},
};

/// What every verb's name begins with.
const VERBS: &str = "Qwi";

/// What hidden symbols are renamed to begin with.
const HIDDEN: &str = "Qwi_";

/// What the library needs of the client's `ntoskrnl.lib`.
const NEEDED: [&str; 12] = [
    "ExAllocatePoolWithTag",
    "ExFreePoolWithTag",
    "KeAcquireSpinLockRaiseToDpc",
    "KeBugCheckEx",
    "KeInitializeEvent",
    "KeReleaseSpinLock",
    "KeSetEvent",
    "KeWaitForSingleObject",
    // Of a queue with a thread of its own, which is told from others at run time.
    "ObfDereferenceObject",
    "PsGetCurrentThreadId",
    "memcpy",
    "memset",
];

/// The same, of a build with assertions.
const NEEDED_CHECKED: [&str; 3] = ["KeGetCurrentIrql", "DbgBreakPoint", "memmove"];

impl Builder<'_> {
    /// Makes the static library and puts the header beside it.
    pub(super) fn c_face(
        &self,
        step: &Step,
        package: &Package,
        library: &str,
        header: &str,
    ) -> Result<PathBuf> {
        let kit = Kit::require()?;
        let target = self.arch.kernel_target();
        self.cargo(step, package, target, KERNEL_STD)?;
        let made = self
            .target_dir(target, self.profile)
            .join(format!("{}.lib", package.file_stem()));
        let archive = fs::read(&made).with_context(|| format!("cargo left no {}", made.display()))?;
        let object =
            sole_object(&archive, &package.file_stem()).with_context(|| format!("in {}", made.display()))?;

        let dir = self
            .context
            .paths
            .linux_dir()
            .join("obj")
            .join("c-face")
            .join(self.arch.name());
        create_dir(&dir)?;
        let (plain, hidden) = (dir.join("plain.obj"), dir.join(format!("{library}.obj")));
        fs::write(&plain, object).with_context(|| format!("cannot write {}", plain.display()))?;
        let symbols = Symbols::read(object, self.arch)?;
        let names = dir.join("hidden.txt");
        fs::write(&names, symbols.renamed()).with_context(|| format!("cannot write {}", names.display()))?;
        Tool::new(&kit.llvm_objcopy)
            .arg(format!("--redefine-syms={}", names.display()))
            .args([&plain, &hidden])
            .log(&self.context.paths.log("c-face-objcopy"))
            .run(step)?;

        let source = self.context.paths.root().join(header);
        let text =
            fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let object = fs::read(&hidden).with_context(|| format!("cannot read {}", hidden.display()))?;
        Symbols::read(&object, self.arch)?.check(&declared(&text), self.profile)?;

        let to = self.out().join(format!("{library}.lib"));
        let fresh = dir.join(format!("{library}.lib"));
        Tool::new(&kit.llvm_lib)
            .arg("/nologo")
            .arg(format!("/out:{}", fresh.display()))
            // By its name alone, which becomes the member's.
            .arg(format!("{library}.obj"))
            .current_dir(&dir)
            .log(&self.context.paths.log("c-face-lib"))
            .run(step)?;
        copy_if_changed(&fresh, &to)?;
        if let Some(name) = source.file_name() {
            copy_if_changed(&source, &self.out().join(name))?;
        }
        Ok(to)
    }
}

/// The object that all of the Rust code is in; the other members are the compiler's, and of C files that bindings
/// were made from.
fn sole_object<'a>(archive: &'a [u8], crate_name: &str) -> Result<&'a [u8]> {
    let file = ArchiveFile::parse(archive).context("it is not an archive")?;
    let mut found = Vec::new();
    for member in file.members() {
        let member = member?;
        let name = String::from_utf8_lossy(member.name());
        if name.starts_with(&format!("{crate_name}-")) {
            found.push(member.data(archive)?);
        }
    }
    match found.as_slice() {
        [object] => Ok(object),
        others => bail!("{} of its members are from {crate_name}, not one", others.len()),
    }
}

/// The symbols of an object that other objects see.
#[derive(Debug)]
struct Symbols {
    defined: BTreeSet<String>,
    needed: BTreeSet<String>,
}

impl Symbols {
    fn read(object: &[u8], arch: Arch) -> Result<Self> {
        let file = CoffFile::<_, ImageFileHeader>::parse(object).context("it is not a COFF object")?;
        let machine = match arch {
            Arch::X64 => IMAGE_FILE_MACHINE_AMD64,
            Arch::Arm64 => IMAGE_FILE_MACHINE_ARM64,
        };
        ensure!(
            file.coff_header().machine.get(LE) == machine,
            "the object's machine is not {}",
            arch.name()
        );
        let mut symbols = Self {
            defined: BTreeSet::new(),
            needed: BTreeSet::new(),
        };
        for symbol in file.symbols().filter(ObjectSymbol::is_global) {
            let name = symbol.name()?.to_owned();
            let of = if symbol.is_undefined() {
                &mut symbols.needed
            } else {
                &mut symbols.defined
            };
            of.insert(name);
        }
        Ok(symbols)
    }

    /// For objcopy: what is renamed, and to what.
    fn renamed(&self) -> String {
        let mut lines = String::new();
        for name in self.defined.iter().filter(|name| !name.starts_with(VERBS)) {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name} {HIDDEN}{name}");
        }
        lines
    }

    /// Everything that is wrong, at once.
    fn check(&self, declared: &BTreeSet<String>, profile: Profile) -> Result<()> {
        let mut wrong = Vec::new();
        let mut complain = |what: &str, names: Vec<&String>| {
            if !names.is_empty() {
                let names: Vec<_> = names.into_iter().map(String::as_str).collect();
                wrong.push(format!("{what}: {}", names.join(", ")));
            }
        };
        let verbs: BTreeSet<String> = self
            .defined
            .iter()
            .filter(|name| !name.starts_with(HIDDEN))
            .cloned()
            .collect();
        complain(
            "the header does not declare",
            verbs.difference(declared).collect(),
        );
        complain("the library lacks", declared.difference(&verbs).collect());
        let allowed = |name: &&String| {
            NEEDED.contains(&name.as_str())
                || (profile == Profile::Checked && NEEDED_CHECKED.contains(&name.as_str()))
        };
        complain(
            "the library needs what is not listed here",
            self.needed.iter().filter(|name| !allowed(name)).collect(),
        );
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        Ok(())
    }
}

/// The verbs that a header declares: names that are followed by their arguments.
fn declared(header: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in header.match_indices(VERBS) {
        if header[..at].ends_with(is_name) {
            continue;
        }
        let rest = &header[at..];
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        if rest[length..].starts_with('(') {
            found.insert(rest[..length].to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn verbs_are_read_from_a_header() {
        let header = "typedef QWI_QUEUE;\nNTSTATUS\nQwiCreate(_In_ X);\nVOID QwiStop(QWI_QUEUE Queue);\n\
                      QwiOutcomeRan = 1, /* QwiStop( */ NotQwiThis(";
        assert_eq!(declared(header), set(&["QwiCreate", "QwiStop"]));
    }

    #[test]
    fn all_but_the_verbs_is_renamed() {
        let symbols = Symbols {
            defined: set(&["QwiCreate", "WdfDriverGlobals", "_fltused"]),
            needed: set(&["memcpy"]),
        };
        assert_eq!(
            symbols.renamed(),
            "WdfDriverGlobals Qwi_WdfDriverGlobals\n_fltused Qwi__fltused\n"
        );
    }

    #[test]
    fn symbols_that_would_meet_the_clients_are_refused() {
        let library = |defined: &[&str], needed: &[&str]| Symbols {
            defined: set(defined),
            needed: set(needed),
        };
        let header = set(&["QwiCreate"]);
        let good = library(&["QwiCreate", "Qwi__fltused"], &["memcpy"]);
        good.check(&header, Profile::Release).expect("as it should be");
        for bad in [
            library(&["QwiCreate", "_fltused"], &[]),
            library(&["QwiCreate", "QwiForgotten"], &[]),
            library(&[], &[]),
            library(&["QwiCreate"], &["WdfDriverGlobals"]),
            library(&["QwiCreate"], &["KeGetCurrentIrql"]),
        ] {
            assert!(bad.check(&header, Profile::Release).is_err(), "{bad:?}");
        }
        let checked = library(&["QwiCreate"], &["KeGetCurrentIrql"]);
        checked
            .check(&header, Profile::Checked)
            .expect("assertions look at the IRQL");
    }
}
