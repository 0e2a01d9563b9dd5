//! Signing and judging, by osslsigncode and OpenSSL: the verdict is not this program's own.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::certificate::Certificate;
use crate::process::{Tool, require_program};

/// What is shown beside the signer's name where Windows asks whether to trust a file.
const DESCRIPTION: &str = "QueuedWorkItem exerciser";

/// Signs an image or a catalog. The time is given, so that one certificate signs the same bytes in the same way.
pub(crate) fn sign(certificate: &Certificate, unsigned: &Path, signed: &Path, time: u64) -> Result<()> {
    Tool::new(require_program("osslsigncode")?)
        .args([
            "sign",
            "-h",
            "sha256",
            "-n",
            DESCRIPTION,
            "-time",
            &time.to_string(),
            "-certs",
        ])
        .arg(certificate.pem())
        .arg("-key")
        .arg(certificate.key())
        .arg("-in")
        .arg(unsigned)
        .arg("-out")
        .arg(signed)
        .output()
        .map(|_| ())
        .with_context(|| format!("cannot sign {}", unsigned.display()))
}

/// Whether the signature in an image is whole, is of its content, and is by a certificate that is trusted.
pub(crate) fn verify_embedded(trusted: &Certificate, image: &Path) -> Result<()> {
    verify(trusted, &[], image)
}

/// Whether a catalog's signature is whole and by a certificate that is trusted, and the catalog has this image.
pub(crate) fn verify_image_listed(trusted: &Certificate, catalog: &Path, file: &Path) -> Result<()> {
    verify(trusted, &["-catalog".as_ref(), catalog], file)
}

/// Whether a catalog has a file that is no image. Of its signature nothing is said: osslsigncode, which would, knows no
/// such files. OpenSSL reads the catalog and hashes the file.
pub(crate) fn verify_flat_listed(catalog: &Path, file: &Path) -> Result<()> {
    let openssl = require_program("openssl")?;
    let parsed = Tool::new(&openssl)
        .args(["asn1parse", "-inform", "DER", "-in"])
        .arg(catalog)
        .output()?;
    let hashed = Tool::new(&openssl)
        .args(["dgst", "-sha256", "-r"])
        .arg(file)
        .output()?;
    let hash = hashed.split(' ').next().unwrap_or_default();
    ensure!(
        flat_hashes(&parsed).any(|listed| listed.eq_ignore_ascii_case(hash)),
        "the catalog has no file with the hash {hash}"
    );
    Ok(())
}

/// The hashes of files that are no images, in a catalog as OpenSSL prints it: each is the first octet string after the
/// type of data, which for them is that of cabinets.
fn flat_hashes(parsed: &str) -> impl Iterator<Item = &str> {
    parsed
        .split(":1.3.6.1.4.1.311.2.1.25\n")
        .skip(1)
        .filter_map(|rest| rest.split("OCTET STRING      [HEX DUMP]:").nth(1)?.lines().next())
}

fn verify(trusted: &Certificate, catalog: &[&Path], file: &Path) -> Result<()> {
    Tool::new(require_program("osslsigncode")?)
        .arg("verify")
        .args(catalog)
        .arg("-CAfile")
        .arg(trusted.pem())
        .arg("-in")
        .arg(file)
        .output()
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_found_in_what_openssl_prints() {
        let parsed = "137:d=8  hl=2 l=  32 prim: OCTET STRING      [HEX DUMP]:00\n\
                      330:d=13 hl=2 l=  10 prim: OBJECT            :1.3.6.1.4.1.311.2.1.25\n\
                      350:d=14 hl=2 l=   9 prim: OBJECT            :sha256\n\
                      363:d=13 hl=2 l=  32 prim: OCTET STRING      [HEX DUMP]:AB12\n\
                      400:d=8  hl=2 l=  20 prim: OCTET STRING      [HEX DUMP]:55\n\
                      330:d=13 hl=2 l=  10 prim: OBJECT            :1.3.6.1.4.1.311.2.1.15\n\
                      363:d=13 hl=2 l=  32 prim: OCTET STRING      [HEX DUMP]:CD34\n";
        assert_eq!(flat_hashes(parsed).collect::<Vec<_>>(), ["AB12"]);
    }
}
