//! The package under test: every signature and every entry of the catalog is judged by osslsigncode, and each of these
//! verdicts is seen to turn when one byte changes.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    CERTIFICATE, DRIVER, HARNESS, Package, SCRIPTS, build_parts, certificate::Certificate, make, signature,
};
use crate::{
    Context,
    count::Count,
    paths::{create_dir, remove_dir_if_present},
    toolchain::Arch,
};

/// Makes packages of what was built, the driver for ARM64 built here, and checks them; the count is of checks.
pub(crate) fn run(context: &Context) -> Result<Count> {
    build_parts(context, Arch::Arm64)?;
    let mut count = Count::default();
    for arch in Arch::ALL {
        count += check(context, arch)?;
    }
    Ok(count)
}

fn check(context: &Context, arch: Arch) -> Result<Count> {
    let package = make(context, arch)?;
    let step = context.progress.step(&format!("package {}", arch.name()));
    let scratch = context.paths.linux_dir().join("package/test");
    remove_dir_if_present(&scratch)?;
    create_dir(&scratch)?;
    let checks = Checks {
        package: &package,
        scratch,
    };
    let named: [(&str, Result<()>); 6] = [
        ("the folder is complete", checks.folder_is_complete()),
        ("embedded signatures", checks.embedded_signatures()),
        ("the catalog lists the files", checks.catalog_lists_files()),
        (
            "a changed catalog is refused",
            checks.changed_catalog_is_refused(),
        ),
        (
            "a foreign certificate is refused",
            checks.foreign_certificate_is_refused(),
        ),
        ("the zip file has the same files", checks.zip_has_the_files()),
    ];
    let mut count = Count::default();
    for (name, verdict) in named {
        match verdict {
            Ok(()) => count += Count::ONE,
            Err(error) => {
                step.line(&format!("{name}: FAILED: {error:#}"));
                count += Count::FAILURE;
            }
        }
    }
    step.done(&count.to_string());
    Ok(count)
}

struct Checks<'a> {
    package: &'a Package,
    scratch: PathBuf,
}

impl Checks<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.package.dir.join(name)
    }

    fn catalog(&self) -> PathBuf {
        self.file(&format!("{DRIVER}.cat"))
    }

    fn driver(&self) -> PathBuf {
        self.file(&format!("{DRIVER}.sys"))
    }

    fn verify_listed(&self, file: &Path) -> Result<()> {
        if fs::read(file)
            .with_context(|| format!("cannot read {}", file.display()))?
            .starts_with(b"MZ")
        {
            signature::verify_image_listed(&self.package.certificate, &self.catalog(), file)
        } else {
            signature::verify_flat_listed(&self.catalog(), file)
        }
    }

    fn folder_is_complete(&self) -> Result<()> {
        let expected: BTreeSet<String> = ["sys", "inf", "cat", "pdb"]
            .iter()
            .map(|extension| format!("{DRIVER}.{extension}"))
            .chain([HARNESS.to_owned(), CERTIFICATE.to_owned()])
            .chain(SCRIPTS.iter().map(|(name, _)| (*name).to_owned()))
            .collect();
        let found = names(&self.package.dir)?;
        ensure!(found == expected, "it has {found:?}, not {expected:?}");
        Ok(())
    }

    fn embedded_signatures(&self) -> Result<()> {
        for name in [format!("{DRIVER}.sys"), HARNESS.to_owned()] {
            let file = self.file(&name);
            signature::verify_embedded(&self.package.certificate, &file)?;
            for changed in self.changed(&file)? {
                let verdict = signature::verify_embedded(&self.package.certificate, &changed.file);
                ensure!(verdict.is_err(), "{name} passes with byte {} changed", changed.at);
            }
        }
        Ok(())
    }

    fn catalog_lists_files(&self) -> Result<()> {
        for name in &self.package.listed {
            let file = self.file(name);
            self.verify_listed(&file)?;
            for changed in self.changed(&file)? {
                let verdict = self.verify_listed(&changed.file);
                ensure!(verdict.is_err(), "{name} passes with byte {} changed", changed.at);
            }
        }
        Ok(())
    }

    /// A byte of what is signed (a file's name in it), and one of the signature, which comes last.
    fn changed_catalog_is_refused(&self) -> Result<()> {
        let sound = fs::read(self.catalog()).context("cannot read the catalog")?;
        let list = &self.package.unsigned_catalog;
        let name: Vec<u8> = "OSAttr".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let at = position(&sound, &name).context("the catalog has no OSAttr")?;
        ensure!(position(list, &name).is_some(), "nor had it before it was signed");
        for at in [at, sound.len() - 1] {
            let changed = self.scratch.join("changed.cat");
            fs::write(&changed, with_changed(&sound, at)).context("cannot write")?;
            let verdict = signature::verify_image_listed(&self.package.certificate, &changed, &self.driver());
            ensure!(verdict.is_err(), "it passes with byte {at} changed");
        }
        Ok(())
    }

    fn foreign_certificate_is_refused(&self) -> Result<()> {
        let other = Certificate::ensure(&self.scratch.join("other"))?;
        ensure!(
            signature::verify_embedded(&other, &self.driver()).is_err(),
            "the driver's signature passes as another's"
        );
        ensure!(
            signature::verify_image_listed(&other, &self.catalog(), &self.driver()).is_err(),
            "the catalog's signature passes as another's"
        );
        Ok(())
    }

    fn zip_has_the_files(&self) -> Result<()> {
        let file = File::open(&self.package.zip).context("cannot open the zip file")?;
        let mut archive = zip::ZipArchive::new(file).context("it is no zip file")?;
        let zipped: BTreeSet<String> = archive
            .file_names()
            .map(|name| Ok(name?.into_owned()))
            .collect::<Result<_>>()?;
        ensure!(zipped == names(&self.package.dir)?, "it has {zipped:?}");
        for name in zipped {
            let mut content = Vec::new();
            archive.by_name(&name)?.read_to_end(&mut content)?;
            ensure!(content == fs::read(self.file(&name))?, "{name} is another in it");
        }
        Ok(())
    }

    /// Copies of a file, each with one byte changed: an early one, one in the middle, and, of what is no image, the last.
    fn changed(&self, file: &Path) -> Result<Vec<Changed>> {
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let is_image = content.starts_with(b"MZ");
        // Of an image: in the DOS stub, and in a section. Its last bytes are the signature.
        let places = if is_image {
            [0x50, content.len() / 3]
        } else {
            [content.len() / 2, content.len() - 1]
        };
        let name = file.file_name().context("a file has a name")?;
        places
            .into_iter()
            .map(|at| {
                let dir = self.scratch.join(format!("changed-{at}"));
                create_dir(&dir)?;
                let copy = dir.join(name);
                fs::write(&copy, with_changed(&content, at))
                    .with_context(|| format!("cannot write {}", copy.display()))?;
                Ok(Changed { file: copy, at })
            })
            .collect()
    }
}

struct Changed {
    file: PathBuf,
    at: usize,
}

fn with_changed(content: &[u8], at: usize) -> Vec<u8> {
    let mut changed = content.to_vec();
    changed[at] ^= 1;
    changed
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn names(dir: &Path) -> Result<BTreeSet<String>> {
    fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}
