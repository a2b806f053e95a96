//! Small driver images for tests, built byte by byte.
//!
//! Sections: `.text` (0x1000), `.rdata` with the tables (0x2000), `.data`
//! (0x3000), `INIT` (0x4000, code that is discarded), `.reloc` (0x5000).

use std::path::PathBuf;

/// Where the sections lie.
pub(crate) const TEXT: u32 = 0x1000;
pub(crate) const RDATA: u32 = 0x2000;
pub(crate) const DATA: u32 = 0x3000;
pub(crate) const INIT: u32 = 0x4000;
const RELOC: u32 = 0x5000;
const END: u32 = 0x6000;
pub(crate) const PREFERRED_BASE: u64 = 0x1_4000_0000;

/// Import slots lie here, one after another, eight bytes each; the slots of a
/// module end with an empty one.
pub(crate) const SLOTS: u32 = RDATA + 0x800;

/// A description of an image. The fields are what a test wants different.
#[derive(Clone)]
pub(crate) struct TestImage {
    pub(crate) machine: u16,
    pub(crate) subsystem: u16,
    pub(crate) section_alignment: u32,
    pub(crate) entry: u32,
    pub(crate) characteristics: u16,
    pub(crate) dll_characteristics: u16,
    pub(crate) text: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) init: Vec<u8>,
    pub(crate) imports: Vec<(&'static str, Vec<&'static str>)>,
    pub(crate) exports: Vec<(&'static str, u32)>,
    /// Address and kind.
    pub(crate) relocations: Vec<(u32, u16)>,
    /// Address of a security cookie that the load configuration names.
    pub(crate) cookie: Option<u32>,
}

impl Default for TestImage {
    fn default() -> Self {
        Self {
            machine: 0x8664,
            subsystem: 1,
            section_alignment: 0x1000,
            entry: TEXT,
            characteristics: 0x22,
            dll_characteristics: 0x160,
            // mov eax, 42; ret
            text: vec![0xB8, 42, 0, 0, 0, 0xC3],
            data: vec![0; 16],
            init: vec![0xC3],
            imports: vec![],
            exports: vec![],
            relocations: vec![],
            cookie: None,
        }
    }
}

/// Bytes at addresses; grows as needed.
struct Section {
    rva: u32,
    bytes: Vec<u8>,
}

impl Section {
    fn put(&mut self, rva: u32, bytes: &[u8]) {
        let at = (rva - self.rva) as usize;
        if self.bytes.len() < at + bytes.len() {
            self.bytes.resize(at + bytes.len(), 0);
        }
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
    fn put_u32(&mut self, rva: u32, value: u32) {
        self.put(rva, &value.to_le_bytes());
    }
}

impl TestImage {
    /// The bytes of the file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut rdata = Section {
            rva: RDATA,
            bytes: vec![0; 0xC00],
        };
        self.put_imports(&mut rdata);
        self.put_exports(&mut rdata);
        if let Some(cookie) = self.cookie {
            rdata.put_u32(RDATA + 0xA00, 0x94);
            rdata.put(
                RDATA + 0xA00 + 88,
                &(PREFERRED_BASE + u64::from(cookie)).to_le_bytes(),
            );
        }
        let sections = [
            (*b".text\0\0\0", TEXT, self.text.clone(), 0x6000_0020_u32),
            (*b".rdata\0\0", RDATA, rdata.bytes, 0x4000_0040),
            (*b".data\0\0\0", DATA, self.data.clone(), 0xC000_0040),
            (*b"INIT\0\0\0\0", INIT, self.init.clone(), 0x6200_0020),
            (*b".reloc\0\0", RELOC, self.relocation_table(), 0x4200_0040),
        ];
        let mut file = self.headers(sections.len() as u16);
        let mut raw = 0x400_u32;
        for (name, rva, bytes, flags) in &sections {
            file.extend(name);
            let raw_bytes = bytes.len().next_multiple_of(0x200) as u32;
            for value in [bytes.len() as u32, *rva, raw_bytes, raw, 0, 0, 0, *flags] {
                file.extend(value.to_le_bytes());
            }
            raw += raw_bytes;
        }
        file.resize(0x400, 0);
        for (_, _, bytes, _) in &sections {
            file.extend(bytes);
            file.resize(file.len().next_multiple_of(0x200), 0);
        }
        file
    }

    /// Writes the file into `folder`.
    pub(crate) fn write(&self, folder: &tempfile::TempDir, name: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, self.build()).unwrap();
        path
    }

    fn headers(&self, sections: u16) -> Vec<u8> {
        let mut file = vec![0_u8; 0x40];
        file[..2].copy_from_slice(b"MZ");
        file[0x3C] = 0x40;
        file.extend(b"PE\0\0");
        file.extend(self.machine.to_le_bytes());
        file.extend(sections.to_le_bytes());
        file.extend([0; 12]);
        file.extend(240_u16.to_le_bytes());
        file.extend(self.characteristics.to_le_bytes());
        // The optional header: magic, linker, sizes, entry, base of code.
        file.extend([0x0B, 0x02, 14, 0]);
        for value in [0, 0, 0, self.entry, TEXT] {
            file.extend(value.to_le_bytes());
        }
        file.extend(PREFERRED_BASE.to_le_bytes());
        file.extend(self.section_alignment.to_le_bytes());
        file.extend(0x200_u32.to_le_bytes());
        file.extend([10, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
        for value in [END, 0x400, 0] {
            file.extend(value.to_le_bytes());
        }
        file.extend(self.subsystem.to_le_bytes());
        file.extend(self.dll_characteristics.to_le_bytes());
        file.extend([0; 36]);
        file.extend(16_u32.to_le_bytes());
        let mut directories = [(0_u32, 0_u32); 16];
        if !self.exports.is_empty() {
            directories[0] = (RDATA + 0x400, 0x200);
        }
        if !self.imports.is_empty() {
            directories[1] = (RDATA, 0x100);
        }
        directories[5] = (RELOC, self.relocation_table().len() as u32);
        if self.cookie.is_some() {
            directories[10] = (RDATA + 0xA00, 0x94);
        }
        for (rva, bytes) in directories {
            file.extend(rva.to_le_bytes());
            file.extend(bytes.to_le_bytes());
        }
        file
    }

    fn put_imports(&self, rdata: &mut Section) {
        let (mut slot, mut name, mut lookup) = (SLOTS, RDATA + 0x200, RDATA + 0x600);
        for (index, (dll, names)) in self.imports.iter().enumerate() {
            let descriptor = RDATA + 20 * index as u32;
            rdata.put_u32(descriptor, lookup);
            rdata.put_u32(descriptor + 12, name);
            rdata.put_u32(descriptor + 16, slot);
            rdata.put(name, dll.as_bytes());
            name += dll.len() as u32 + 1;
            for import in names {
                let entry = match import.strip_prefix('#') {
                    Some(ordinal) => 1 << 63 | ordinal.parse::<u64>().unwrap(),
                    None => u64::from(name),
                };
                // Hint, then the name.
                rdata.put(name + 2, import.as_bytes());
                name += import.len() as u32 + 3;
                rdata.put(lookup, &entry.to_le_bytes());
                rdata.put(slot, &entry.to_le_bytes());
                lookup += 8;
                slot += 8;
            }
            lookup += 8;
            slot += 8;
        }
    }

    fn put_exports(&self, rdata: &mut Section) {
        let (table, mut text) = (RDATA + 0x400, RDATA + 0x500);
        let count = self.exports.len() as u32;
        for (offset, value) in [
            (24, count),
            (28, table + 40),
            (32, table + 80),
            (36, table + 120),
        ] {
            rdata.put_u32(table + offset, value);
        }
        for (index, (name, rva)) in self.exports.iter().enumerate() {
            let index = index as u32;
            rdata.put_u32(table + 40 + 4 * index, *rva);
            rdata.put_u32(table + 80 + 4 * index, text);
            rdata.put(table + 120 + 2 * index, &(index as u16).to_le_bytes());
            rdata.put(text, name.as_bytes());
            text += name.len() as u32 + 1;
        }
    }

    fn relocation_table(&self) -> Vec<u8> {
        let mut relocations = self.relocations.clone();
        if self.cookie.is_some() {
            relocations.push((RDATA + 0xA00 + 88, 10));
        }
        let mut table = Vec::new();
        for (rva, kind) in relocations {
            // One block for each, padded with an entry that does nothing.
            table.extend((rva & !0xFFF).to_le_bytes());
            table.extend(12_u32.to_le_bytes());
            table.extend((kind << 12 | (rva & 0xFFF) as u16).to_le_bytes());
            table.extend([0, 0]);
        }
        table
    }
}
