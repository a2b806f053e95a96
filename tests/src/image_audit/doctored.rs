//! Copies of an image that are wrong in one place, to try the checks on.

use super::checks::{CHECKSUM_OFFSET, compute_checksum};

/// The bytes of an image, patched by where things stand in a PE32+ file.
///
/// Indexing is unchecked: a test that patches beyond a header is to fail.
pub struct Doctored {
    bytes: Vec<u8>,
    headers: usize,
}

/// Sizes of what comes in front of the optional header, and of the latter.
const SIGNATURE: usize = 4;
const FILE_HEADER: usize = 20;
const OPTIONAL_HEADER: usize = 240;
const SECTION_HEADER: usize = 40;

impl Doctored {
    /// A copy of a good image.
    #[must_use]
    pub fn new(image: &[u8]) -> Self {
        let mut copy = Self {
            bytes: image.to_vec(),
            headers: 0,
        };
        copy.headers = copy.word(0x3C) as usize;
        copy
    }

    /// The result. Its checksum is made to fit, so that it is wrong in nothing else.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let sum = compute_checksum(&self.bytes, self.headers);
        self.put(self.headers + CHECKSUM_OFFSET, &sum.to_le_bytes());
        self.bytes
    }

    /// The result with a checksum that does not fit.
    #[must_use]
    pub fn finish_with_wrong_checksum(self) -> Vec<u8> {
        let field = self.headers + CHECKSUM_OFFSET;
        let mut bytes = self.finish();
        bytes[field] ^= 1;
        bytes
    }

    /// The 32-bit word at a place of the file.
    #[must_use]
    pub fn word(&self, offset: usize) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|index| self.bytes[offset + index]))
    }

    /// Overwrites bytes of the file.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Overwrites bytes of IMAGE_FILE_HEADER.
    pub fn file_header(&mut self, offset: usize, bytes: &[u8]) {
        self.put(self.headers + SIGNATURE + offset, bytes);
    }

    /// Overwrites bytes of IMAGE_OPTIONAL_HEADER64.
    pub fn optional_header(&mut self, offset: usize, bytes: &[u8]) {
        self.put(self.headers + SIGNATURE + FILE_HEADER + offset, bytes);
    }

    /// Clears bits of DllCharacteristics.
    pub fn clear_dll_characteristics(&mut self, bits: u16) {
        let field = self.headers + SIGNATURE + FILE_HEADER + 70;
        let old = u16::from_le_bytes([self.bytes[field], self.bytes[field + 1]]);
        self.put(field, &(old & !bits).to_le_bytes());
    }

    /// Overwrites a data directory.
    pub fn directory(&mut self, index: usize, address: u32, size: u32) {
        self.optional_header(112 + index * 8, &address.to_le_bytes());
        self.optional_header(112 + index * 8 + 4, &size.to_le_bytes());
    }

    /// The address of a data directory.
    #[must_use]
    pub fn directory_address(&self, index: usize) -> u32 {
        self.word(self.headers + SIGNATURE + FILE_HEADER + 112 + index * 8)
    }

    /// Where in the file the header of a section is.
    fn section(&self, name: &str) -> usize {
        let mut padded = [0; 8];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        let first = self.headers + SIGNATURE + FILE_HEADER + OPTIONAL_HEADER;
        let headers = self.bytes[first..].chunks(SECTION_HEADER).take(16);
        let place = headers
            .into_iter()
            .position(|header| header.starts_with(&padded));
        first + SECTION_HEADER * place.unwrap_or_else(|| panic!("the image has no section {name}"))
    }

    /// Renames a section.
    pub fn rename_section(&mut self, name: &str, new: &str) {
        let mut padded = [0; 8];
        padded[..new.len()].copy_from_slice(new.as_bytes());
        self.put(self.section(name), &padded);
    }

    /// Sets bits of a section's characteristics.
    pub fn set_section_characteristics(&mut self, name: &str, bits: u32) {
        let field = self.section(name) + 36;
        self.put(field, &(self.word(field) | bits).to_le_bytes());
    }

    /// Address in memory and place in the file of a section.
    #[must_use]
    pub fn section_start(&self, name: &str) -> (u32, usize) {
        let header = self.section(name);
        (self.word(header + 12), self.word(header + 20) as usize)
    }

    /// Where in the file the bytes of a section lie that are at `address` in memory.
    #[must_use]
    pub fn file_offset(&self, section: &str, address: u32) -> usize {
        let (start, raw) = self.section_start(section);
        raw + (address - start) as usize
    }

    /// Where `bytes` occur first in the file.
    ///
    /// # Panics
    /// If they do not.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> usize {
        let found = self
            .bytes
            .windows(bytes.len())
            .position(|window| window == bytes);
        found.unwrap_or_else(|| panic!("the image does not contain {}", bytes.escape_ascii()))
    }

    /// Replaces the first occurrence of `old` by `new`, which is as long.
    pub fn replace(&mut self, old: &[u8], new: &[u8]) {
        assert_eq!(old.len(), new.len(), "nothing may move");
        self.put(self.find(old), new);
    }
}
