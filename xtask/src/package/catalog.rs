//! A driver package's catalog, as Microsoft's `Inf2Cat` makes it: what is signed in place of the files.
//!
//! It is a certificate trust list in an envelope of PKCS #7: an entry for each file, by its hash, and, for all of them,
//! the hardware and the Windows that the package is for. Here it is made without signatures; signing adds them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use der::{
    Decode as _, Encode as _, Sequence, ValueOrd,
    asn1::{Any, BmpString, Null, ObjectIdentifier, OctetString, SetOfVec, UtcTime},
};
use sha2::{Digest as _, Sha256};

use super::authenticode::{FileHash, Kind};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// A certificate trust list, which is what a catalog is,
const CTL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.1");
/// the kind of list,
const CATALOG_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.1");
/// and the version of it whose entries go by SHA-256.
const CATALOG_LIST_MEMBER_2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.3");
const CAT_NAME_VALUE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.1");
const CAT_MEMBER_INFO_2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.3");
const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
const PE_IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
const CAB_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.25");

/// `SpcLink` with an empty file name: where the data is, is not said.
const NO_LINK: &[u8] = &[0xa2, 0x02, 0x80, 0x00];
/// `SpcPeImageData` of the whole image, with the same link.
const WHOLE_IMAGE: &[u8] = &[
    0x30, 0x0a, 0x03, 0x02, 0x05, 0xa0, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00,
];
/// The second version of member information is empty: what the first one said is in the hash's own attribute.
const EMPTY_MEMBER_INFO: &[u8] = &[0x82, 0x00];

/// Name and value are text, and the attribute is among what is signed.
const NAME_VALUE_FLAGS: u32 = 0x1001_0001;

/// Windows 10 and later: a platform (2 is Windows NT) and its version.
const OS_VERSIONS: &str = "2:10.0";

/// A file of the package.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name, without a folder.
    pub(crate) name: String,
    /// What its content hashes to.
    pub(crate) hash: FileHash,
}

/// What a catalog says.
#[derive(Clone, Debug)]
pub(crate) struct Catalog<'a> {
    /// The files.
    pub(crate) members: &'a [Member],
    /// The hardware ids of the INF.
    pub(crate) hardware_ids: &'a [String],
    /// The Windows that the package is for, by `Inf2Cat`'s name within catalogs.
    pub(crate) os: &'a str,
    /// Since when it holds, in seconds since 1970.
    pub(crate) time: u64,
}

#[derive(Sequence)]
struct ContentInfo {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: Any,
}

#[derive(Sequence)]
struct SignedData {
    version: u8,
    digest_algorithms: SetOfVec<Any>,
    content: ContentInfo,
    signers: SetOfVec<Any>,
}

#[derive(Sequence)]
struct Algorithm {
    id: ObjectIdentifier,
    parameters: Null,
}

#[derive(Sequence)]
struct TrustList {
    usage: Vec<ObjectIdentifier>,
    identifier: OctetString,
    this_update: UtcTime,
    subject_algorithm: Algorithm,
    entries: Vec<Entry>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Entry {
    tag: OctetString,
    attributes: SetOfVec<Attribute>,
}

#[derive(Sequence, ValueOrd)]
struct Attribute {
    kind: ObjectIdentifier,
    values: SetOfVec<Any>,
}

#[derive(Sequence)]
struct Extension {
    kind: ObjectIdentifier,
    value: OctetString,
}

#[derive(Sequence)]
struct NameValue {
    name: BmpString,
    flags: u32,
    value: OctetString,
}

#[derive(Sequence)]
struct IndirectData {
    data: TypedValue,
    digest: DigestInfo,
}

#[derive(Sequence)]
struct TypedValue {
    kind: ObjectIdentifier,
    value: Any,
}

#[derive(Sequence)]
struct DigestInfo {
    algorithm: Algorithm,
    digest: OctetString,
}

impl Catalog<'_> {
    /// The `.cat` file, without signatures. The same files, hardware and time give the same bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        self.encoded().context("a catalog cannot hold this")
    }

    fn encoded(&self) -> der::Result<Vec<u8>> {
        let mut entries = Vec::new();
        for member in self.members {
            entries.push((member.hash.sha256.to_vec(), member, true));
            entries.push((member.hash.sha1.to_vec(), member, false));
        }
        // By tag, so that the order in which files were found does not matter.
        entries.sort_by(|(one, ..), (other, ..)| one.cmp(other));

        // The list's name: any 16 bytes that no other list has. It is of the content, and so the same every time.
        let mut identifier = Sha256::new();
        for (tag, ..) in &entries {
            identifier.update(tag);
        }
        let identifier = identifier.finalize();

        let entries: der::Result<Vec<Entry>> = entries
            .iter()
            .map(|(tag, member, has_digest)| entry(tag, member, *has_digest))
            .collect();
        let list = TrustList {
            usage: vec![CATALOG_LIST],
            identifier: OctetString::new(&identifier[..16])?,
            this_update: UtcTime::from_unix_duration(Duration::from_secs(self.time))?,
            subject_algorithm: algorithm(CATALOG_LIST_MEMBER_2),
            entries: entries?,
            extensions: self.extensions()?,
        };
        let signed = SignedData {
            version: 1,
            digest_algorithms: SetOfVec::new(),
            content: ContentInfo {
                kind: CTL,
                content: Any::encode_from(&list)?,
            },
            signers: SetOfVec::new(),
        };
        ContentInfo {
            kind: SIGNED_DATA,
            content: Any::encode_from(&signed)?,
        }
        .to_der()
    }

    /// What is said of all files: the Windows, and the hardware ids from the last to the first.
    fn extensions(&self) -> der::Result<Vec<Extension>> {
        let mut said = vec![("OS".to_owned(), self.os.to_owned())];
        for (index, id) in self.hardware_ids.iter().enumerate().rev() {
            said.push((format!("HWID{}", index + 1), id.to_lowercase()));
        }
        said.iter()
            .map(|(name, value)| {
                Ok(Extension {
                    kind: CAT_NAME_VALUE,
                    value: OctetString::new(name_value(name, value)?.to_der()?)?,
                })
            })
            .collect()
    }
}

/// One entry. A file has two, one by each hash; only the newer one repeats its hash in full.
fn entry(tag: &[u8], member: &Member, has_digest: bool) -> der::Result<Entry> {
    let mut attributes = vec![
        attribute(CAT_MEMBER_INFO_2, Any::from_der(EMPTY_MEMBER_INFO)?)?,
        attribute(
            CAT_NAME_VALUE,
            Any::encode_from(&name_value("OSAttr", OS_VERSIONS)?)?,
        )?,
        attribute(
            CAT_NAME_VALUE,
            Any::encode_from(&name_value("File", &member.name)?)?,
        )?,
    ];
    if has_digest {
        let (kind, value) = match member.hash.kind {
            Kind::Image => (PE_IMAGE_DATA, WHOLE_IMAGE),
            Kind::Flat => (CAB_DATA, NO_LINK),
        };
        let data = IndirectData {
            data: TypedValue {
                kind,
                value: Any::from_der(value)?,
            },
            digest: DigestInfo {
                algorithm: algorithm(SHA256),
                digest: OctetString::new(member.hash.sha256)?,
            },
        };
        attributes.push(attribute(INDIRECT_DATA, Any::encode_from(&data)?)?);
    }
    Ok(Entry {
        tag: OctetString::new(tag)?,
        attributes: attributes.try_into()?,
    })
}

fn attribute(kind: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute {
        kind,
        values: vec![value].try_into()?,
    })
}

fn algorithm(id: ObjectIdentifier) -> Algorithm {
    Algorithm { id, parameters: Null }
}

fn name_value(name: &str, value: &str) -> der::Result<NameValue> {
    let value: Vec<u8> = value
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    Ok(NameValue {
        name: BmpString::from_utf8(name)?,
        flags: NAME_VALUE_FLAGS,
        value: OctetString::new(value)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, content: &[u8]) -> Member {
        Member {
            name: name.to_owned(),
            hash: FileHash::of(content).expect("it can be hashed"),
        }
    }

    fn encode(members: &[Member]) -> Vec<u8> {
        Catalog {
            members,
            hardware_ids: &["Root\\A".to_owned(), "Root\\B".to_owned()],
            os: "_v100_X64",
            time: 1_709_164_800,
        }
        .encode()
        .expect("it encodes")
    }

    fn list(catalog: &[u8]) -> TrustList {
        let outer = ContentInfo::from_der(catalog).expect("an envelope");
        assert_eq!(outer.kind, SIGNED_DATA);
        let signed: SignedData = outer.content.decode_as().expect("signed data");
        assert_eq!((signed.version, signed.signers.len()), (1, 0));
        assert_eq!(signed.content.kind, CTL);
        signed.content.content.decode_as().expect("a trust list")
    }

    fn text(value: &OctetString) -> String {
        let units: Vec<u16> = value
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16(&units).expect("UTF-16")
    }

    #[test]
    fn each_file_has_an_entry_by_either_hash() {
        let image = crate::pe::tests::Image::default().bytes();
        let members = [member("a.inf", b"flat"), member("a.sys", &image)];
        let list = list(&encode(&members));
        assert_eq!(list.entries.len(), 4);
        for member in &members {
            let find = |tag: &[u8]| {
                list.entries
                    .iter()
                    .find(|entry| entry.tag.as_bytes() == tag)
                    .expect("there is an entry")
            };
            let digest = |entry: &Entry| {
                entry
                    .attributes
                    .iter()
                    .find(|attribute| attribute.kind == INDIRECT_DATA)
                    .map(|attribute| {
                        attribute.values.as_slice()[0]
                            .decode_as::<IndirectData>()
                            .expect("indirect data")
                    })
            };
            let data = digest(find(&member.hash.sha256)).expect("the newer entry repeats its hash");
            assert_eq!(data.digest.digest.as_bytes(), member.hash.sha256);
            let image = member.hash.kind == Kind::Image;
            assert_eq!(data.data.kind, if image { PE_IMAGE_DATA } else { CAB_DATA });
            assert!(digest(find(&member.hash.sha1)).is_none());
        }
    }

    #[test]
    fn an_entry_names_its_file_and_its_windows() {
        let list = list(&encode(&[member("a.inf", b"flat")]));
        for entry in &list.entries {
            let mut said: Vec<(String, String)> = entry
                .attributes
                .iter()
                .filter(|attribute| attribute.kind == CAT_NAME_VALUE)
                .map(|attribute| {
                    let pair: NameValue = attribute.values.as_slice()[0].decode_as().expect("a pair");
                    assert_eq!(pair.flags, 0x1001_0001);
                    (pair.name.to_string(), text(&pair.value))
                })
                .collect();
            said.sort();
            let expected = [("File", "a.inf\0"), ("OSAttr", "2:10.0\0")];
            assert_eq!(
                said,
                expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
            );
        }
    }

    #[test]
    fn hardware_ids_are_numbered_and_in_lower_case() {
        let said: Vec<(String, String)> = list(&encode(&[member("a.inf", b"flat")]))
            .extensions
            .iter()
            .map(|extension| {
                assert_eq!(extension.kind, CAT_NAME_VALUE);
                let pair = NameValue::from_der(extension.value.as_bytes()).expect("a pair");
                (pair.name.to_string(), text(&pair.value))
            })
            .collect();
        let expected = [
            ("OS", "_v100_X64\0"),
            ("HWID2", "root\\b\0"),
            ("HWID1", "root\\a\0"),
        ];
        assert_eq!(
            said,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn the_order_in_which_files_are_found_does_not_matter() {
        let (one, other) = (member("a", b"1"), member("b", b"2"));
        let catalog = encode(&[one.clone(), other.clone()]);
        assert_eq!(catalog, encode(&[other.clone(), one.clone()]));
        assert_ne!(catalog, encode(&[one]));
    }
}
