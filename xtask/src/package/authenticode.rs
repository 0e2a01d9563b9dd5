//! The hashes by which Windows knows a file in a catalog.
//!
//! Of a program or a driver it is the Authenticode hash, which passes over what signing changes: the checksum, the
//! entry of the directory that points at the signatures, and the signatures. So one hash serves the file before and
//! after it is signed. Of any other file it is that of its bytes.

use anyhow::{Context as _, Result, ensure};
use object::read::pe::{ImageNtHeaders as _, PeFile64};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::pe::checksum_offset;

/// Signatures begin at a multiple of this, and signing pads the file with zeros up to there.
const ALIGNMENT: usize = 8;

/// How a file was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By the rules of Authenticode for images.
    Image,
    /// All of it.
    Flat,
}

/// What a catalog has of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHash {
    /// By which rules.
    pub(crate) kind: Kind,
    /// The older hash, by which some look-ups still begin.
    pub(crate) sha1: [u8; 20],
    /// The hash that counts.
    pub(crate) sha256: [u8; 32],
}

impl FileHash {
    /// Hashes a file's content; an image is known by its first two bytes.
    pub(crate) fn of(content: &[u8]) -> Result<Self> {
        let mut hashes = Hashes::default();
        let kind = if content.starts_with(b"MZ") {
            for part in image_parts(content)? {
                hashes.update(part);
            }
            Kind::Image
        } else {
            hashes.update(content);
            Kind::Flat
        };
        Ok(Self {
            kind,
            sha1: hashes.sha1.finalize().into(),
            sha256: hashes.sha256.finalize().into(),
        })
    }
}

#[derive(Default)]
struct Hashes {
    sha1: Sha1,
    sha256: Sha256,
}

impl Hashes {
    fn update(&mut self, bytes: &[u8]) {
        self.sha1.update(bytes);
        self.sha256.update(bytes);
    }
}

/// The parts of an image that Authenticode hashes, in their order.
fn image_parts(image: &[u8]) -> Result<[&[u8]; 4]> {
    /// The entry of the signatures is the fifth; the directory begins 112 bytes into the optional header, which begins
    /// 64 bytes before the checksum.
    const FROM_CHECKSUM_TO_ENTRY: usize = 112 - 64 + 4 * 8;
    const PADDING: &[u8] = &[0; ALIGNMENT];

    let file = PeFile64::parse(image).context("it is not a 64-bit PE image")?;
    ensure!(
        file.nt_headers().is_valid_optional_magic(),
        "its optional header is of another kind"
    );
    ensure!(
        file.data_directories().len() > 4,
        "its headers have no place for signatures"
    );
    let checksum = checksum_offset(image)?;
    let entry = checksum + FROM_CHECKSUM_TO_ENTRY;
    let number = |at: usize| -> Result<usize> {
        let bytes = image.get(at..at + 4).context("its headers are cut off")?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    };
    let (signatures, length) = (number(entry)?, number(entry + 4)?);
    let (end, padding) = if length == 0 {
        let padding = image.len().next_multiple_of(ALIGNMENT) - image.len();
        (image.len(), &PADDING[..padding])
    } else {
        ensure!(
            signatures.checked_add(length) == Some(image.len()),
            "something comes after its signatures"
        );
        (signatures, &PADDING[..0])
    };
    let part = |from: usize, to: usize| image.get(from..to).context("its headers are cut off");
    Ok([
        part(0, checksum)?,
        part(checksum + 4, entry)?,
        part(entry + 8, end)?,
        padding,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pe::tests::Image;

    const ENTRY: usize = 0x58 + 112 + 32;

    fn hash(content: &[u8]) -> FileHash {
        FileHash::of(content).expect("it can be hashed")
    }

    #[test]
    fn a_file_that_is_no_image_is_hashed_as_it_is() {
        let of = hash(b"abc");
        assert_eq!(of.kind, Kind::Flat);
        assert_eq!(of.sha1[..4], [0xa9, 0x99, 0x3e, 0x36]);
        assert_eq!(of.sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn what_signing_changes_does_not_count() {
        let unsigned = Image::default().bytes();
        let mut signed = unsigned.clone();
        let at = checksum_offset(&signed).expect("it has headers");
        signed[at] ^= 0xff;
        let start = u32::try_from(signed.len()).expect("small").to_le_bytes();
        signed[ENTRY..ENTRY + 4].copy_from_slice(&start);
        signed[ENTRY + 4..ENTRY + 8].copy_from_slice(&16_u32.to_le_bytes());
        signed.extend([7; 16]);
        assert_eq!(hash(&signed), hash(&unsigned));
        assert_eq!(hash(&signed).kind, Kind::Image);
    }

    #[test]
    fn every_other_byte_counts() {
        let image = Image::default().bytes();
        let before = hash(&image);
        let checksum = checksum_offset(&image).expect("it has headers");
        for at in [
            2,
            checksum - 1,
            checksum + 4,
            ENTRY - 1,
            ENTRY + 8,
            image.len() - 1,
        ] {
            let mut changed = image.clone();
            changed[at] ^= 1;
            if let Ok(after) = FileHash::of(&changed) {
                assert_ne!(after, before, "byte {at}");
            }
        }
    }

    #[test]
    fn an_image_of_odd_length_is_hashed_as_it_will_be_padded() {
        let mut image = Image::default().bytes();
        image.extend([1, 2, 3]);
        let mut padded = image.clone();
        padded.resize(image.len().next_multiple_of(ALIGNMENT), 0);
        assert_eq!(hash(&image), hash(&padded));
    }

    #[test]
    fn what_comes_after_signatures_is_refused() {
        let mut image = Image::default().bytes();
        let start = u32::try_from(image.len()).expect("small").to_le_bytes();
        image[ENTRY..ENTRY + 4].copy_from_slice(&start);
        image[ENTRY + 4..ENTRY + 8].copy_from_slice(&8_u32.to_le_bytes());
        image.extend([0; 9]);
        assert!(FileHash::of(&image).is_err());
        assert!(FileHash::of(b"MZ, and then nothing").is_err());
    }
}
