//! The certificate by which packages are signed: for test machines, made on first use, and never committed.
//!
//! It is its own root, so that a test machine has one thing to trust and one to distrust again. Its key stays in the
//! folder of the Linux build, readable by its owner alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    paths::{create_dir, remove_dir_if_present, write_if_changed},
    process::{Tool, require_program},
};

/// Who signs, as Windows shows it.
const COMMON_NAME: &str = "QueuedWorkItem test certificate";

/// Ten years: there is no time stamp by which a signature could outlive its certificate.
const DAYS: &str = "3650";

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    dir: PathBuf,
}

impl Certificate {
    /// The certificate in this folder; it is made if it is not there.
    pub(crate) fn ensure(dir: &Path) -> Result<Self> {
        let certificate = Self {
            dir: dir.to_path_buf(),
        };
        if !certificate.is_whole() {
            certificate.make()?;
        }
        Ok(certificate)
    }

    /// The certificate, as OpenSSL has it.
    pub(crate) fn pem(&self) -> PathBuf {
        self.dir.join("certificate.pem")
    }

    /// The certificate, as Windows has it.
    pub(crate) fn cer(&self) -> PathBuf {
        self.dir.join("certificate.cer")
    }

    /// The key.
    pub(crate) fn key(&self) -> PathBuf {
        self.dir.join("key.pem")
    }

    fn is_whole(&self) -> bool {
        [self.pem(), self.cer(), self.key()]
            .iter()
            .all(|file| file.is_file())
    }

    fn make(&self) -> Result<()> {
        let openssl = require_program("openssl")?;
        // Made beside its place and then moved there: a half-made one is never used.
        let scratch = self.dir.with_extension("new");
        remove_dir_if_present(&scratch)?;
        create_dir(&scratch)?;
        let config = scratch.join("request.cnf");
        write_if_changed(
            &config,
            format!(
                "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = extensions\n\
                 [name]\nCN = {COMMON_NAME}\n\
                 [extensions]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n\
                 extendedKeyUsage = critical, codeSigning\nsubjectKeyIdentifier = hash\n"
            ),
        )?;
        Tool::new(&openssl)
            // The key is for its owner alone.
            .args([
                "req", "-x509", "-newkey", "rsa:3072", "-noenc", "-sha256", "-days", DAYS, "-config",
            ])
            .arg(&config)
            .arg("-keyout")
            .arg(scratch.join("key.pem"))
            .arg("-out")
            .arg(scratch.join("certificate.pem"))
            .output()?;
        Tool::new(&openssl)
            .args(["x509", "-outform", "DER", "-in"])
            .arg(scratch.join("certificate.pem"))
            .arg("-out")
            .arg(scratch.join("certificate.cer"))
            .output()?;
        fs::remove_file(&config).with_context(|| format!("cannot remove {}", config.display()))?;
        remove_dir_if_present(&self.dir)?;
        fs::rename(&scratch, &self.dir).with_context(|| format!("cannot make {}", self.dir.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_made_once_and_its_key_is_private() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let place = dir.path().join("certificate");
        let made = Certificate::ensure(&place).expect("openssl is here");
        let bytes = fs::read(made.cer()).expect("it is there");
        let mode = fs::metadata(made.key())
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        let again = Certificate::ensure(&place).expect("it is there");
        assert_eq!(fs::read(again.cer()).expect("it is there"), bytes);

        fs::remove_file(made.key()).expect("remove");
        let anew = Certificate::ensure(&place).expect("openssl is here");
        assert_ne!(
            fs::read(anew.cer()).expect("it is there"),
            bytes,
            "it has a new key"
        );
    }
}
