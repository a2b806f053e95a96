//! The Authenticode digest of an image: what a signature and a catalog vouch for.
//!
//! It covers the whole file but for what signing changes: the checksum, the place in the data
//! directory that points at the signatures, and the signatures themselves, which end the file.
//!
//! Source: "Windows Authenticode Portable Executable Signature Format".

use std::ops::Range;

use anyhow::{Context, Result, bail};
use object::LittleEndian;
use object::pe::{IMAGE_DIRECTORY_ENTRY_SECURITY, ImageDosHeader};
use object::read::pe::PeFile64;
use sha2::Digest;
use sha2::digest::Output;

/// From the beginning of the NT headers of a 64-bit image: the checksum, and the directory's
/// first entry.
const CHECKSUM: usize = 4 + 20 + 64;
const DIRECTORIES: usize = 4 + 20 + 112;

/// Whether a file is an image, by its first bytes.
#[must_use]
pub fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MZ")
}

/// The digest of a 64-bit image, signed or not.
///
/// # Errors
/// When the file is not one, or something follows its signatures.
pub fn digest<D: Digest>(image: &[u8]) -> Result<Output<D>> {
    let [before, between, rest] = signed_ranges(image)?;
    let mut digest = D::new();
    for range in [before, between, rest] {
        digest.update(image.get(range).context("the image is cut off")?);
    }
    Ok(digest.finalize())
}

/// The signatures of a 64-bit image, as they lie in it; nothing if there are none.
///
/// # Errors
/// As [`digest`].
pub fn signatures(image: &[u8]) -> Result<&[u8]> {
    let [.., rest] = signed_ranges(image)?;
    image.get(rest.end..).context("the image is cut off")
}

fn signed_ranges(image: &[u8]) -> Result<[Range<usize>; 3]> {
    let headers = ImageDosHeader::parse(image)
        .and_then(|header| {
            let file = PeFile64::parse(image)?;
            Ok((header.nt_headers_offset() as usize, file))
        })
        .context("it is not a 64-bit image")?;
    let (nt, file) = headers;
    let entry = nt + DIRECTORIES + IMAGE_DIRECTORY_ENTRY_SECURITY * 8;
    let end = match file.data_directory(IMAGE_DIRECTORY_ENTRY_SECURITY) {
        Some(signatures) if signatures.size.get(LittleEndian) != 0 => {
            // The only address in the directory that is a place in the file.
            let (start, size) = signatures.address_range();
            if start as usize + size as usize != image.len() {
                bail!("the signatures do not end the file");
            }
            start as usize
        }
        _ => image.len(),
    };
    let checksum = nt + CHECKSUM;
    Ok([0..checksum, checksum + 4..entry, entry + 8..end])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sha2::Sha256;

    /// Headers, one directory entry for signatures, a few bytes, and signatures.
    pub(crate) fn image(signatures: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 0x200];
        let mut put = |place: usize, value: &[u8]| {
            bytes[place..place + value.len()].copy_from_slice(value);
        };
        put(0, b"MZ");
        put(0x3C, &0x40_u32.to_le_bytes());
        put(0x40, b"PE\0\0\x64\x86");
        put(0x40 + 20, &240_u16.to_le_bytes());
        put(0x40 + 24, &0x20B_u16.to_le_bytes());
        put(0x40 + 24 + 108, &16_u32.to_le_bytes());
        if !signatures.is_empty() {
            let size = u32::try_from(signatures.len()).unwrap();
            put(0x40 + DIRECTORIES + 32, &0x200_u32.to_le_bytes());
            put(0x40 + DIRECTORIES + 36, &size.to_le_bytes());
        }
        bytes.extend(signatures);
        bytes
    }

    #[test]
    fn signing_does_not_change_the_digest_and_everything_else_does() {
        let plain = image(b"");
        let expected = digest::<Sha256>(&plain).unwrap();
        assert_eq!(digest::<Sha256>(&image(b"signatures")).unwrap(), expected);
        assert_eq!(signatures(&image(b"signatures")).unwrap(), b"signatures");
        assert!(signatures(&plain).unwrap().is_empty());
        for place in 0..plain.len() {
            let mut changed = plain.clone();
            changed[place] ^= 1;
            let Ok(found) = digest::<Sha256>(&changed) else {
                continue; // It is no image any more.
            };
            let is_free = (0x40 + CHECKSUM..0x40 + CHECKSUM + 4).contains(&place)
                || (0x40 + DIRECTORIES + 32..0x40 + DIRECTORIES + 40).contains(&place);
            assert_eq!(found == expected, is_free, "byte {place:#x}");
        }
    }

    #[test]
    fn what_follows_the_signatures_is_not_passed_over() {
        let mut longer = image(b"signatures");
        longer.push(0);
        let error = digest::<Sha256>(&longer).unwrap_err();
        assert!(error.to_string().contains("do not end the file"), "{error}");
        assert!(digest::<Sha256>(b"MZ").is_err());
    }
}
