//! Gives an image an identity that depends on its content alone.
//!
//! The linker names the pair of image and PDB by a hash of the PDB, and the PDB has the linker's command line in it:
//! the folders of this machine and a temporary one that changes with every run. So the same sources would give images
//! that differ in that name, in the time stamps made from it, and in the checksum. Here the name is made anew from what
//! is left when those are taken out, and put into image and PDB alike.

use anyhow::{Context as _, Result, ensure};
use object::{
    LittleEndian as LE,
    pe::{IMAGE_DEBUG_TYPE_CODEVIEW, IMAGE_DIRECTORY_ENTRY_DEBUG, IMAGE_DIRECTORY_ENTRY_EXPORT},
    read::pe::PeFile64,
};

use crate::pe::{checksum, checksum_offset};

/// Size of one entry of the debug directory.
const DEBUG_ENTRY: usize = 28;

/// What a `CodeView` record of the kind with a GUID begins with.
const CODEVIEW_SIGNATURE: &[u8] = b"RSDS";

/// Where an image keeps what is to be made anew.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    checksum: usize,
    times: Vec<usize>,
    guid: Option<usize>,
}

/// Makes the identity of an image anew, and its PDB's to match.
pub(crate) fn settle(image: &mut [u8], pdb: Option<&mut Vec<u8>>) -> Result<()> {
    let places = places(image)?;
    let old_guid = places.guid.map(|at| image[at..at + 16].to_vec());
    image[places.checksum..places.checksum + 4].fill(0);
    for &at in &places.times {
        image[at..at + 4].fill(0);
    }
    if let Some(at) = places.guid {
        image[at..at + 16].fill(0);
    }

    let hash = fnv1a(image).to_le_bytes();
    for &at in &places.times {
        image[at..at + 4].copy_from_slice(&hash[..4]);
    }
    if let Some(at) = places.guid {
        image[at..at + 16].copy_from_slice(&hash);
    }
    let sum = checksum(image, places.checksum);
    image[places.checksum..places.checksum + 4].copy_from_slice(&sum.to_le_bytes());

    if let (Some(pdb), Some(old)) = (pdb, old_guid) {
        replace_guid(pdb, &old, &hash)?;
    }
    Ok(())
}

fn replace_guid(pdb: &mut [u8], old: &[u8], new: &[u8]) -> Result<()> {
    let mut found = pdb
        .windows(old.len())
        .enumerate()
        .filter(|(_, window)| *window == old)
        .map(|(at, _)| at);
    let at = found
        .next()
        .context("the PDB does not have the GUID of its image")?;
    ensure!(found.next().is_none(), "the PDB has the GUID of its image twice");
    pdb[at..at + new.len()].copy_from_slice(new);
    Ok(())
}

fn places(image: &[u8]) -> Result<Places> {
    let checksum = checksum_offset(image)?;
    let mut places = Places {
        checksum,
        // The checksum's place in the headers is fixed, and so is the time's: see the file header.
        times: vec![checksum - 64 - 20 + 4],
        guid: None,
    };
    let file = PeFile64::parse(image).context("it is not a 64-bit PE image")?;
    let directories = file.data_directories();
    let sections = file.section_table();
    if let Some(directory) = directories.get(IMAGE_DIRECTORY_ENTRY_EXPORT) {
        let (at, _) = directory.file_range(&sections)?;
        places.times.push(at as usize + 4);
    }
    if let Some(directory) = directories.get(IMAGE_DIRECTORY_ENTRY_DEBUG) {
        let (start, size) = directory.file_range(&sections)?;
        for entry in (start as usize..(start + size) as usize).step_by(DEBUG_ENTRY) {
            let kind = word(image, entry + 12)?;
            places.times.push(entry + 4);
            if kind == IMAGE_DEBUG_TYPE_CODEVIEW {
                let at = word(image, entry + 24)? as usize;
                let record = image.get(at..at + 20).context("its CodeView record is cut off")?;
                ensure!(
                    record.starts_with(CODEVIEW_SIGNATURE),
                    "its CodeView record has no GUID"
                );
                places.guid = Some(at + CODEVIEW_SIGNATURE.len());
            }
        }
    }
    Ok(places)
}

fn word(image: &[u8], at: usize) -> Result<u32> {
    let bytes = image.get(at..at + 4).context("its debug directory is cut off")?;
    Ok(object::U32::<LE>::from_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).get(LE))
}

/// FNV-1a of 128 bits: a name, not a seal. Its definition will not change with the compiler, as std's may.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pe::tests::Image;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn images_that_differ_in_name_and_time_alone_become_the_same() {
        let linked = |name: u8, time: u8| {
            let image = Image {
                guid: Some([name; 16]),
                time: [time; 4],
                ..Image::default()
            };
            let mut pdb = vec![7; 100];
            pdb[40..56].fill(name);
            (image.bytes(), pdb)
        };
        let (mut first, mut first_pdb) = linked(1, 2);
        let (mut second, mut second_pdb) = linked(3, 4);
        assert_ne!(first, second);
        settle(&mut first, Some(&mut first_pdb)).expect("it settles");
        settle(&mut second, Some(&mut second_pdb)).expect("it settles");
        assert_eq!(first, second);
        assert_eq!(first_pdb, second_pdb);
        crate::pe::check(&first, crate::pe::Role::KmdfDriver, crate::toolchain::Arch::X64)
            .expect("it is still proper");
        let guid = places(&first).expect("it parses").guid.expect("it has one");
        assert_eq!(first[guid..guid + 16], first_pdb[40..56]);
    }

    #[test]
    fn images_with_other_code_get_other_names() {
        let mut one = Image {
            guid: Some([1; 16]),
            ..Image::default()
        }
        .bytes();
        let mut two = one.clone();
        *two.last_mut().expect("it is not empty") ^= 1;
        settle(&mut one, None).expect("it settles");
        settle(&mut two, None).expect("it settles");
        let guid = places(&one).expect("it parses").guid.expect("it has one");
        assert_ne!(one[guid..guid + 16], two[guid..guid + 16]);
    }

    #[test]
    fn a_pdb_of_another_image_is_refused() {
        let image = Image {
            guid: Some([1; 16]),
            ..Image::default()
        };
        assert!(settle(&mut image.bytes(), Some(&mut vec![0; 100])).is_err());
        assert!(
            settle(&mut image.bytes(), Some(&mut vec![1; 100])).is_err(),
            "twice"
        );
    }
}
