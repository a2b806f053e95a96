//! The version resource and the message table.

use super::image::Image;
use object::LittleEndian as LE;
use object::read::pe::ResourceDirectoryEntryData;

use std::collections::BTreeMap;

/// `RT_MESSAGETABLE`.
const MESSAGES: u16 = 11;
/// `RT_VERSION`.
const VERSION: u16 = 16;
/// `VS_FFI_SIGNATURE`, with which VS_FIXEDFILEINFO begins.
const SIGNATURE: [u8; 4] = 0xFEEF_04BD_u32.to_le_bytes();

/// The four numbers of the file's version.
pub(super) fn file_version(image: &Image<'_>) -> Result<[u16; 4], String> {
    let block = resource(image, VERSION)?;
    // The fixed part follows the key "VS_VERSION_INFO" of the block, aligned to four bytes.
    let aligned = |bytes: &&[u8]| bytes.starts_with(&SIGNATURE);
    let fixed = block
        .chunks(4)
        .position(|word| aligned(&word))
        .ok_or("there is no VS_FIXEDFILEINFO")?
        * 4;
    // Signature and structure version come first.
    let number = |offset: usize| {
        let bytes = block.get(fixed + offset..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*bytes))
    };
    // dwFileVersionMS and dwFileVersionLS, each with its high word in front in the number's order.
    let numbers = [10, 8, 14, 12].map(number);
    let [Some(major), Some(minor), Some(patch), Some(build)] = numbers else {
        return Err("VS_FIXEDFILEINFO is cut off".into());
    };
    Ok([major, minor, patch, build])
}

/// The texts of the message table by their codes, without the ends of lines.
pub(super) fn messages(image: &Image<'_>) -> Result<BTreeMap<u32, String>, String> {
    let table = resource(image, MESSAGES)?;
    let number = |offset: usize| {
        let bytes = table.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.map_or(Err("the message table is cut off"), |bytes| {
            Ok(u32::from_le_bytes(*bytes))
        })
    };
    let mut found = BTreeMap::new();
    for block in 0..number(0)? as usize {
        let block = 4 + block * 12;
        let (low, high) = (number(block)?, number(block + 4)?);
        let mut entry = number(block + 8)? as usize;
        for code in low..=high {
            let head = number(entry)?;
            let (length, unicode) = ((head & 0xFFFF) as usize, head >> 16);
            let text = table.get(entry + 4..entry + length);
            let (Some(text), 1) = (text, unicode) else {
                return Err(format!("message {code:#X} is cut off or not in Unicode"));
            };
            let units: Vec<u16> = text
                .chunks_exact(2)
                .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                .collect();
            let text = String::from_utf16_lossy(&units);
            let text = text.trim_end_matches('\0').trim_end_matches("\r\n");
            found.insert(code, text.to_owned());
            entry += length;
        }
    }
    Ok(found)
}

/// The contents of the first resource of that type.
fn resource<'a>(image: &Image<'a>, kind: u16) -> Result<&'a [u8], String> {
    let error = |error: object::read::Error| error.to_string();
    let directory = image
        .file
        .data_directories()
        .resource_directory(image.bytes, &image.file.section_table())
        .map_err(error)?
        .ok_or("there are no resources")?;
    let root = directory.root().map_err(error)?;
    let resource = root
        .entries
        .iter()
        .find(|entry| entry.name_or_id().id() == Some(kind))
        .ok_or_else(|| format!("there is no resource of type {kind}"))?;
    // Below the type come the resource's name and its language.
    let mut data = resource.data(directory).map_err(error)?;
    while let ResourceDirectoryEntryData::Table(table) = data {
        let first = table.entries.first().ok_or("the resource is empty")?;
        data = first.data(directory).map_err(error)?;
    }
    let entry = data.data().ok_or("the resource is empty")?;
    let (address, size) = (entry.offset_to_data.get(LE), entry.size.get(LE) as usize);
    image
        .at(address)?
        .get(..size)
        .ok_or_else(|| "the resource is cut off".into())
}
