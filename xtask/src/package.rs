//! `cargo xtask package`: what is handed to a Windows test machine, in a folder and as a zip file.
//!
//! The driver and the program are signed in their files, and all files are listed in a catalog that is signed, as
//! Windows wants of a driver package. Whoever signs for more than test machines takes the unsigned files from
//! `cargo xtask build`, which depend on the sources and tools alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use self::{
    authenticode::FileHash,
    catalog::{Catalog, Member},
    certificate::Certificate,
};
use crate::{
    Context,
    build::{self, Profile},
    inf,
    packages::Artefact,
    paths::{create_dir, remove_dir_if_present, write_if_changed},
    pe,
    toolchain::Arch,
};

mod archive;
mod authenticode;
mod catalog;
mod certificate;
pub(crate) mod reproducible;
mod signature;
pub(crate) mod test;

/// Options of `package`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Package what was built last
    #[arg(long)]
    no_build: bool,
    /// For which processors; all if none is named
    #[arg(value_name = "PROCESSOR")]
    processors: Vec<Arch>,
}

/// The driver's files, without their extensions.
const DRIVER: &str = "queued_work_item_driver";

/// The program.
const HARNESS: &str = "qwi-harness.exe";

/// The certificate's name in the package; the scripts know it.
const CERTIFICATE: &str = "qwi-test-certificate.cer";

/// What is added to what was built. Windows' editors want its line endings.
const SCRIPTS: [(&str, &str); 2] = [
    ("install.ps1", include_str!("package/install.ps1")),
    ("uninstall.ps1", include_str!("package/uninstall.ps1")),
];

/// A package that was made.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its folder.
    dir: PathBuf,
    /// The files that its catalog lists.
    listed: Vec<String>,
    /// The catalog before it was signed.
    unsigned_catalog: Vec<u8>,
    /// The same files in one.
    zip: PathBuf,
    certificate: Certificate,
}

/// Makes the package.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    for arch in Arch::ALL {
        if options.processors.is_empty() || options.processors.contains(&arch) {
            if !options.no_build {
                build_parts(context, arch)?;
            }
            make(context, arch)?;
        }
    }
    Ok(())
}

/// Builds what is packaged.
fn build_parts(context: &Context, arch: Arch) -> Result<()> {
    let artefacts = match arch {
        Arch::X64 => vec![Artefact::Driver, Artefact::Harness],
        Arch::Arm64 => vec![Artefact::Driver],
    };
    let options = build::Options {
        artefacts,
        arch,
        profile: Profile::Release,
        ..build::Options::default()
    };
    build::run(context, &options)
}

/// Makes a package of what was built.
fn make(context: &Context, arch: Arch) -> Result<Package> {
    let _lock = context.paths.lock(context.progress)?;
    let step = context.progress.step(&format!("package {}", arch.name()));
    let paths = &context.paths;
    let certificate = Certificate::ensure(&paths.linux_dir().join("certificate"))?;
    let version = inf::Version::read(paths)?;
    let time = u64::try_from(inf::epoch(paths)?).context("a package cannot be of a time before 1970")?;
    let dir = paths.linux_dir().join("package").join(arch.name());
    remove_dir_if_present(&dir)?;
    create_dir(&dir)?;

    let mut members = Vec::new();
    let mut list = |name: &str, content: &[u8]| -> Result<()> {
        let hash = FileHash::of(content).with_context(|| format!("in {name}"))?;
        members.push(Member {
            name: name.to_owned(),
            hash,
        });
        Ok(())
    };
    for (from, name) in images(context, arch) {
        let unsigned = from.join(&name);
        list(&name, &read(&unsigned)?)?;
        let signed = dir.join(&name);
        signature::sign(&certificate, &unsigned, &signed, time)?;
        signature::verify_embedded(&certificate, &signed)?;
    }
    check_driver(&read(&dir.join(format!("{DRIVER}.sys")))?, &version, arch)?;

    let inf_name = format!("{DRIVER}.inf");
    let inf = windows_inf(context, arch)?;
    list(&inf_name, inf.as_bytes())?;
    write_if_changed(&dir.join(&inf_name), &inf)?;
    for (name, text) in SCRIPTS {
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        list(name, text.as_bytes())?;
        write_if_changed(&dir.join(name), text)?;
    }
    // Not listed: symbols are for debuggers, which match them by their GUID, and a certificate vouches for itself.
    let pdb = format!("{DRIVER}.pdb");
    write_if_changed(&dir.join(&pdb), read(&paths.out_for(arch).join(&pdb))?)?;
    write_if_changed(&dir.join(CERTIFICATE), read(&certificate.cer())?)?;

    let unsigned_catalog = Catalog {
        members: &members,
        hardware_ids: &inf::Inf::parse(&inf).hardware_ids(),
        os: windows_in_catalog(arch),
        time,
    }
    .encode()?;
    let unsigned = paths
        .linux_dir()
        .join("package")
        .join(format!("{DRIVER}.{}.unsigned.cat", arch.name()));
    write_if_changed(&unsigned, &unsigned_catalog)?;
    signature::sign(&certificate, &unsigned, &dir.join(format!("{DRIVER}.cat")), time)?;

    let zip = paths.linux_dir().join("package").join(format!(
        "queued-work-item-{}-{}.zip",
        version.text(),
        arch.name()
    ));
    archive::zip(&dir, &zip, time)?;
    step.done(&format!("{} and {}", paths.shown(&dir), paths.shown(&zip)));
    Ok(Package {
        dir,
        listed: members.into_iter().map(|member| member.name).collect(),
        unsigned_catalog,
        zip,
        certificate,
    })
}

/// The images of a package, and where each is. There is one harness, for x64: Windows on ARM64 runs it too.
fn images(context: &Context, arch: Arch) -> [(PathBuf, String); 2] {
    [
        (context.paths.out_for(arch), format!("{DRIVER}.sys")),
        (context.paths.out(), HARNESS.to_owned()),
    ]
}

/// Windows 10 and later on a processor, as catalogs have it.
fn windows_in_catalog(arch: Arch) -> &'static str {
    match arch {
        Arch::X64 => "_v100_X64",
        Arch::Arm64 => "_v100_ARM64",
    }
}

/// The INF for Windows, which keeps the rules of Windows.
fn windows_inf(context: &Context, arch: Arch) -> Result<String> {
    let inx = context.paths.root().join("inf").join(format!("{DRIVER}.inx"));
    let inf = inf::stamp(&context.paths, &inx, arch)?;
    let findings = inf::lint::check(&inf);
    if !findings.is_empty() {
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        bail!("the INF breaks rules of Windows:\n  {}", findings.join("\n  "));
    }
    Ok(inf)
}

/// A signed driver is still a proper kernel module, checksum and all, and says the version that it is.
fn check_driver(image: &[u8], version: &inf::Version, arch: Arch) -> Result<()> {
    pe::check(image, pe::Role::KmdfDriver, arch)
        .context("the signed driver is not a proper kernel module")?;
    let stated = pe::version(image)?;
    let [major, minor, patch, build] = stated;
    let stated = format!("{major}.{minor}.{patch}.{build}");
    anyhow::ensure!(
        stated == version.numbers(),
        "the driver's version resource says {stated}, the manifest {}",
        version.numbers()
    );
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}: run `cargo xtask build`", file.display()))
}
