//! The version resource.

use super::Image;
use object::LittleEndian as LE;
use object::read::pe::ResourceDirectoryEntryData;

/// `RT_VERSION`.
const VERSION: u16 = 16;
/// `VS_FFI_SIGNATURE`, with which VS_FIXEDFILEINFO begins.
const SIGNATURE: [u8; 4] = 0xFEEF_04BD_u32.to_le_bytes();

/// The four numbers of the file's version.
pub(super) fn file_version(image: &Image<'_>) -> Result<[u16; 4], String> {
    let block = version_block(image)?;
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

/// The contents of the first version resource.
fn version_block<'a>(image: &Image<'a>) -> Result<&'a [u8], String> {
    let error = |error: object::read::Error| error.to_string();
    let directory = image
        .file
        .data_directories()
        .resource_directory(image.bytes, &image.file.section_table())
        .map_err(error)?
        .ok_or("there are no resources")?;
    let root = directory.root().map_err(error)?;
    let version = root
        .entries
        .iter()
        .find(|entry| entry.name_or_id().id() == Some(VERSION))
        .ok_or("there is no version resource")?;
    // Below the type come the resource's name and its language.
    let mut data = version.data(directory).map_err(error)?;
    while let ResourceDirectoryEntryData::Table(table) = data {
        let first = table
            .entries
            .first()
            .ok_or("the version resource is empty")?;
        data = first.data(directory).map_err(error)?;
    }
    let entry = data.data().ok_or("the version resource is empty")?;
    let (address, size) = (entry.offset_to_data.get(LE), entry.size.get(LE) as usize);
    image
        .at(address)?
        .get(..size)
        .ok_or_else(|| "the version resource is cut off".into())
}
