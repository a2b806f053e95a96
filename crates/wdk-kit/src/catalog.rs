//! The security catalog of a driver package: the digests of its files, ready to be signed.
//!
//! A catalog is PKCS #7 signed data whose content is a certificate trust list, with the files
//! as its subjects. It has the form that `inf2cat` gives it for 64-bit Windows 10 and later
//! (`/os:10_X64`): each file is a subject twice, under its SHA-256 and under its SHA-1, the
//! former with the digest as a signature would have it; the subjects are in the order of their
//! digests; a primitive driver has no hardware identifiers.
//!
//! Source: the names and identifiers of `wintrust.h` and `mscat.h`; "Inf2Cat"; the form was read
//! from a catalog that `inf2cat` had made.

use std::time::Duration;

use anyhow::{Context, Result};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignedData, SignerInfos};
use der::asn1::{Any, BmpString, Null, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use der::{Decode, Encode, Sequence, ValueOrd};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::authenticode;
use crate::source_date::SourceDate;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TRUST_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.1");
const CATALOG_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.1");
const CATALOG_MEMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.3");
const NAME_VALUE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.1");
const MEMBER_INFORMATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.3");
const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
const IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
const CABINET_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.25");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// SpcPeImageData: headers, resources and import addresses are digested; no file is named.
const IMAGE_DATA_VALUE: &[u8] = &[0x30, 10, 3, 2, 5, 0xA0, 0xA0, 4, 0xA2, 2, 0x80, 0];
/// SpcLink that names no file; `inf2cat` says of any other file that it is a cabinet.
const CABINET_DATA_VALUE: &[u8] = &[0xA2, 2, 0x80, 0];
/// Which subject interface package verifies the member: images, or flat files.
const IMAGE_MEMBER: &[u8] = &[0x80, 0];
const FLAT_MEMBER: &[u8] = &[0x82, 0];

/// CRYPTCAT_ATTR_AUTHENTICATED, and that name and value are text.
const ATTRIBUTE_FLAGS: u32 = 0x1001_0001;

/// The versions of Windows that a member and the catalog are for, in `inf2cat`'s words for
/// `10_X64`; these are not from the catalog that was read, which was for Windows 8.1.
const MEMBER_SYSTEMS: &str = "2:10.0";
const CATALOG_SYSTEMS: &str = "_v100_X64";

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    name: String,
    is_image: bool,
    sha_256: Vec<u8>,
    sha_1: Vec<u8>,
}

impl Member {
    /// A file by its name and contents.
    ///
    /// # Errors
    /// When it says that it is an image and is not one.
    pub fn new(name: &str, contents: &[u8]) -> Result<Self> {
        let is_image = authenticode::is_image(contents);
        let (sha_256, sha_1) = if is_image {
            let digest = authenticode::digest::<Sha256>(contents);
            let digest = digest.with_context(|| format!("cannot catalog {name}"))?;
            (
                digest.to_vec(),
                authenticode::digest::<Sha1>(contents)?.to_vec(),
            )
        } else {
            (
                Sha256::digest(contents).to_vec(),
                Sha1::digest(contents).to_vec(),
            )
        };
        Ok(Self {
            name: name.to_ascii_lowercase(),
            is_image,
            sha_256,
            sha_1,
        })
    }

    /// The digests under which a catalog may have the file.
    #[must_use]
    pub fn digests(&self) -> [&[u8]; 2] {
        [&self.sha_256, &self.sha_1]
    }

    /// The two subjects that stand for the file.
    fn subjects(&self) -> der::Result<[Subject; 2]> {
        let kind = if self.is_image {
            IMAGE_MEMBER
        } else {
            FLAT_MEMBER
        };
        let mut attributes = vec![
            Attribute::new(MEMBER_INFORMATION, Any::from_der(kind)?)?,
            Attribute::new(
                NAME_VALUE,
                Any::encode_from(&NameValue::new("OSAttr", MEMBER_SYSTEMS)?)?,
            )?,
            Attribute::new(
                NAME_VALUE,
                Any::encode_from(&NameValue::new("File", &self.name)?)?,
            )?,
        ];
        let short = Subject::new(&self.sha_1, attributes.clone())?;
        let data = IndirectData::new(self.is_image, &self.sha_256)?;
        attributes.push(Attribute::new(INDIRECT_DATA, Any::encode_from(&data)?)?);
        Ok([short, Subject::new(&self.sha_256, attributes)?])
    }
}

/// The catalog of files, not signed.
///
/// # Errors
/// When a name or the moment cannot be written in ASN.1.
pub fn unsigned(members: &[Member], moment: SourceDate) -> Result<Vec<u8>> {
    encode(members, moment).context("cannot make the catalog")
}

fn encode(members: &[Member], moment: SourceDate) -> der::Result<Vec<u8>> {
    let mut subjects = Vec::new();
    for member in members {
        subjects.extend(member.subjects()?);
    }
    subjects.sort_by(|one, other| one.identifier.as_bytes().cmp(other.identifier.as_bytes()));
    // Any number that is another one for another list.
    let identifier = subjects.iter().fold(Sha256::new(), |digest, subject| {
        digest.chain_update(subject.identifier.as_bytes())
    });
    let list = TrustList {
        usage: vec![CATALOG_LIST],
        identifier: OctetString::new(&identifier.finalize()[..16])?,
        this_update: UtcTime::from_unix_duration(Duration::from_secs(moment.0))?,
        algorithm: Algorithm::new(CATALOG_MEMBER),
        subjects,
        extensions: vec![Extension {
            kind: NAME_VALUE,
            value: OctetString::new(NameValue::new("OS", CATALOG_SYSTEMS)?.to_der()?)?,
        }],
    };
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::new(),
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: TRUST_LIST,
            econtent: Some(Any::encode_from(&list)?),
        },
        certificates: None,
        crls: None,
        signer_infos: SignerInfos(SetOfVec::new()),
    };
    let content = ContentInfo {
        content_type: SIGNED_DATA,
        content: Any::encode_from(&data)?,
    };
    content.to_der()
}

/// CertificateTrustList.
#[derive(Sequence)]
struct TrustList {
    usage: Vec<ObjectIdentifier>,
    identifier: OctetString,
    this_update: UtcTime,
    algorithm: Algorithm,
    subjects: Vec<Subject>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// TrustedSubject: a digest and what is known of the file that has it.
#[derive(Sequence)]
struct Subject {
    identifier: OctetString,
    attributes: SetOfVec<Attribute>,
}

#[derive(Clone, Sequence, ValueOrd)]
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
struct Algorithm {
    kind: ObjectIdentifier,
    parameters: Null,
}

/// CatalogNameValue.
#[derive(Sequence)]
struct NameValue {
    name: BmpString,
    flags: u32,
    value: OctetString,
}

/// SpcIndirectDataContent.
#[derive(Sequence)]
struct IndirectData {
    data: TypeAndValue,
    digest: DigestInformation,
}

#[derive(Sequence)]
struct TypeAndValue {
    kind: ObjectIdentifier,
    value: Any,
}

#[derive(Sequence)]
struct DigestInformation {
    algorithm: Algorithm,
    digest: OctetString,
}

impl Subject {
    fn new(digest: &[u8], attributes: Vec<Attribute>) -> der::Result<Self> {
        Ok(Self {
            identifier: OctetString::new(digest)?,
            attributes: SetOfVec::try_from(attributes)?,
        })
    }
}

impl Attribute {
    fn new(kind: ObjectIdentifier, value: Any) -> der::Result<Self> {
        let values = SetOfVec::try_from(vec![value])?;
        Ok(Self { kind, values })
    }
}

impl Algorithm {
    fn new(kind: ObjectIdentifier) -> Self {
        Self {
            kind,
            parameters: Null,
        }
    }
}

impl NameValue {
    /// The value is UTF-16 with a zero at its end.
    fn new(name: &str, value: &str) -> der::Result<Self> {
        let units = value.encode_utf16().chain([0]);
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        Ok(Self {
            name: BmpString::from_utf8(name)?,
            flags: ATTRIBUTE_FLAGS,
            value: OctetString::new(bytes)?,
        })
    }
}

impl IndirectData {
    fn new(is_image: bool, digest: &[u8]) -> der::Result<Self> {
        let (kind, value) = match is_image {
            true => (IMAGE_DATA, IMAGE_DATA_VALUE),
            false => (CABINET_DATA, CABINET_DATA_VALUE),
        };
        Ok(Self {
            data: TypeAndValue {
                kind,
                value: Any::from_der(value)?,
            },
            digest: DigestInformation {
                algorithm: Algorithm::new(SHA_256),
                digest: OctetString::new(digest)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: SourceDate = SourceDate(1_773_057_600);

    fn hexadecimal(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The form of a member as `inf2cat` writes it, in DER: what is read by `openssl asn1parse`
    /// in a catalog of its making, with other names and digests.
    #[test]
    fn a_member_has_the_form_of_inf2cat() {
        let member = Member::new("Glass.inf", b"").unwrap();
        let [short, long] = member.subjects().unwrap();
        let name_value = |length: u8, name: &str, value: &str| {
            let wide = |text: &str| {
                text.encode_utf16()
                    .flat_map(u16::to_be_bytes)
                    .collect::<Vec<_>>()
            };
            let name = wide(name);
            let value: Vec<u8> = value
                .encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect();
            format!(
                "30{length:02x}060a2b0601040182370c020131{:02x}30{:02x}1e{:02x}{}02041001000104{:02x}{}",
                length - 14,
                length - 16,
                name.len(),
                hexadecimal(&name),
                value.len(),
                hexadecimal(&value)
            )
        };
        let sha_1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let sha_256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let flat = "3010060a2b0601040182370c020331028200";
        let systems = name_value(0x34, "OSAttr", "2:10.0");
        let file = name_value(0x36, "File", "glass.inf");
        let indirect = format!(
            "3055060a2b060104018237020104314730453010060a2b060104018237020119a2028000\
             3031300d0609608648016503040201050004{:02x}{sha_256}",
            32
        );
        assert_eq!(
            hexadecimal(&short.to_der().unwrap()),
            format!("3081990414{sha_1}318180{flat}{systems}{file}")
        );
        assert_eq!(
            hexadecimal(&long.to_der().unwrap()),
            format!("3081fc0420{sha_256}3181d7{flat}{systems}{file}{indirect}")
        );
    }

    #[test]
    fn files_stand_in_the_order_of_their_digests() {
        let one = Member::new("one", b"1").unwrap();
        let two = Member::new("two", b"2").unwrap();
        let catalog = unsigned(&[one.clone(), two.clone()], MOMENT).unwrap();
        assert_eq!(
            catalog,
            unsigned(&[two.clone(), one.clone()], MOMENT).unwrap()
        );
        let place = |digest: &[u8]| {
            catalog
                .windows(digest.len())
                .position(|part| part == digest)
        };
        let mut digests = [one.sha_1, one.sha_256, two.sha_1, two.sha_256];
        digests.sort();
        let places: Vec<_> = digests
            .iter()
            .map(|digest| place(digest).unwrap())
            .collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn what_begins_like_an_image_and_is_none_is_refused() {
        let error = Member::new("glass.sys", b"MZ and no more").unwrap_err();
        assert!(error.to_string().contains("glass.sys"), "{error}");
    }

    #[test]
    fn the_list_carries_its_moment_and_what_it_is_for() {
        let member = Member::new("one", b"1").unwrap();
        let catalog = unsigned(&[member], MOMENT).unwrap();
        let contains = |part: &[u8]| catalog.windows(part.len()).any(|window| window == part);
        assert!(contains(b"260309120000Z"));
        let systems: Vec<u8> = "_v100_X64"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(contains(&systems));
    }
}
