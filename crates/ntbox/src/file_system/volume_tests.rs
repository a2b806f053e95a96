//! Tests of the volume without IRPs.

use super::control::LockRequest;
use super::create::{Created, Opened, Request};
use super::data::{END_OF_FILE, Transfer};
use super::directory::Query;
use super::rename::Target;
use super::share::access;
use super::volume::{Description, OpenId, Volume, attribute};
use super::waiting::{Effects, Finish, Outcome, Ticket};
use crate::nt::*;
use tempfile::TempDir;
use windows_sys::Win32::System::Ioctl as code;

const ALL: u32 = access::FILE_ALL;
const SHARE_ALL: u32 = 7;

struct Fixture {
    folder: TempDir,
    volume: Volume,
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn new() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let description = Description {
        label: wide("Test"),
        serial: 7,
        prefix: Vec::new(),
        device_type: 7,
        characteristics: 0,
        file_system: "HostFs",
        read_only: false,
    };
    let volume = Volume::open(&root, description).unwrap();
    Fixture { folder, volume }
}

fn effects<R>(operation: impl FnOnce(&mut Effects<'_>) -> R) -> (R, Vec<Finish>) {
    let mut effects = Effects::new(&|_| true);
    let result = operation(&mut effects);
    (result, effects.into_finished())
}

fn request(name: &str, disposition: u32, options: u32) -> Request {
    Request {
        name: wide(name),
        disposition,
        options,
        share: SHARE_ALL,
        desired: ALL,
        ..Default::default()
    }
}

impl Fixture {
    fn try_open(&self, request: &Request) -> Result<Created, NTSTATUS> {
        effects(|effects| self.volume.create(request, effects)).0
    }
    fn open(&self, name: &str, disposition: u32, options: u32) -> OpenId {
        self.try_open(&request(name, disposition, options)).unwrap().open
    }
    fn status(&self, name: &str, disposition: u32, options: u32) -> NTSTATUS {
        match self.try_open(&request(name, disposition, options)) {
            Ok(created) => {
                self.close(created.open);
                STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }
    fn close(&self, open: OpenId) -> Vec<Finish> {
        let (_, finished) = effects(|effects| self.volume.cleanup(open, effects));
        self.volume.close(open);
        finished
    }
    fn make(&self, name: &str, data: &[u8]) {
        let open = self.open(name, FILE_CREATE, 0);
        self.write(open, 0, data);
        self.close(open);
    }
    fn write(&self, open: OpenId, offset: i64, data: &[u8]) -> (NTSTATUS, usize) {
        self.volume.write(open, &Transfer { offset, ..Default::default() }, data).0
    }
    fn read(&self, open: OpenId, offset: i64, length: usize) -> Result<Vec<u8>, NTSTATUS> {
        let mut bytes = vec![0; length];
        let (status, count) = self.volume.read(open, &Transfer { offset, ..Default::default() }, &mut bytes);
        bytes.truncate(count);
        if status == STATUS_SUCCESS { Ok(bytes) } else { Err(status) }
    }
    fn set(&self, open: OpenId, class: i32, buffer: &[u8]) -> NTSTATUS {
        effects(|effects| self.volume.set_information(open, class, false, buffer, effects)).0
    }
    fn rename(&self, open: OpenId, directory: Option<OpenId>, name: &str, flags: u32) -> NTSTATUS {
        let target = Target { directory, name: wide(name), flags };
        effects(|effects| self.volume.rename(open, &target, effects)).0
    }
    fn query(&self, open: OpenId, class: i32, length: usize) -> Result<Vec<u8>, NTSTATUS> {
        let mut bytes = vec![0; length];
        let (status, count) = self.volume.query_information(open, class, 0, &mut bytes);
        bytes.truncate(count);
        if status == STATUS_SUCCESS { Ok(bytes) } else { Err(status) }
    }
    fn name(&self, open: OpenId) -> String {
        String::from_utf16(&self.volume.name(open).unwrap()).unwrap()
    }
    fn host(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("root").join(path)
    }
    fn attributes(&self, open: OpenId) -> u32 {
        let bytes = self.query(open, FileBasicInformation, 40).unwrap();
        u32::from_le_bytes(bytes[32..36].try_into().unwrap())
    }
    fn set_attributes(&self, open: OpenId, attributes: u32) -> NTSTATUS {
        let mut buffer = [0; 40];
        buffer[32..36].copy_from_slice(&attributes.to_le_bytes());
        self.set(open, FileBasicInformation, &buffer)
    }
    fn lock(&self, open: OpenId, offset: i64, exclusive: bool, ticket: Option<usize>) -> Outcome {
        let request =
            LockRequest { offset, length: 10, process: 1, key: 0, exclusive, fail_immediately: ticket.is_none() };
        self.volume.lock(open, &request, Ticket(ticket.unwrap_or(0)), &|| true)
    }
}

fn done(status: NTSTATUS) -> Outcome {
    Outcome::Done(status, Vec::new())
}

#[test]
fn dispositions_by_what_is_there() {
    let fixture = new();
    for (disposition, missing, existing) in [
        (FILE_SUPERSEDE, Ok(2), Ok(0)),
        (FILE_OPEN, Err(STATUS_OBJECT_NAME_NOT_FOUND), Ok(1)),
        (FILE_CREATE, Ok(2), Err(STATUS_OBJECT_NAME_COLLISION)),
        (FILE_OPEN_IF, Ok(2), Ok(1)),
        (FILE_OVERWRITE, Err(STATUS_OBJECT_NAME_NOT_FOUND), Ok(3)),
        (FILE_OVERWRITE_IF, Ok(2), Ok(3)),
    ] {
        let name = format!(r"\new{disposition}");
        fixture.make(&format!(r"\old{disposition}"), b"data");
        for (name, expected) in [(name, missing), (format!(r"\OLD{disposition}"), existing)] {
            let result = fixture.try_open(&request(&name, disposition, 0));
            assert_eq!(result.as_ref().map(|created| created.information).map_err(|status| *status), expected, "{name}");
            if let Ok(created) = result {
                let empty = fixture.volume.size(created.open) == Some(0);
                assert_eq!(empty, expected != Ok(1), "{name}");
                fixture.close(created.open);
            }
        }
    }
    assert_eq!(fixture.status(r"\x", 6, 0), STATUS_INVALID_PARAMETER);
}

#[test]
fn directories_and_files_are_told_apart() {
    let fixture = new();
    assert_eq!(fixture.status(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE), STATUS_SUCCESS);
    fixture.make(r"\d\f", b"");
    for (name, disposition, options, expected) in [
        (r"\d", FILE_OPEN, FILE_NON_DIRECTORY_FILE, STATUS_FILE_IS_A_DIRECTORY),
        (r"\d\f", FILE_OPEN, FILE_DIRECTORY_FILE, STATUS_NOT_A_DIRECTORY),
        (r"\d\f", FILE_CREATE, FILE_DIRECTORY_FILE, STATUS_OBJECT_NAME_COLLISION),
        (r"\d\f\", FILE_OPEN, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\", FILE_OPEN, 0, STATUS_SUCCESS),
        (r"\d\new\", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\new\", FILE_CREATE, FILE_DIRECTORY_FILE, STATUS_SUCCESS),
        (r"\d", FILE_OVERWRITE_IF, 0, STATUS_OBJECT_NAME_COLLISION),
        (r"\d", FILE_SUPERSEDE, FILE_DIRECTORY_FILE, STATUS_INVALID_PARAMETER),
        (r"\d", FILE_OPEN, FILE_DIRECTORY_FILE | FILE_NON_DIRECTORY_FILE, STATUS_INVALID_PARAMETER),
        (r"\d\f\g", FILE_OPEN, 0, STATUS_OBJECT_PATH_NOT_FOUND),
        (r"\none\g", FILE_CREATE, 0, STATUS_OBJECT_PATH_NOT_FOUND),
        (r"\d\f:stream", FILE_OPEN, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\*", FILE_OPEN, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\..\x", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\", FILE_OPEN, 0, STATUS_SUCCESS),
        (r"\", FILE_CREATE, 0, STATUS_OBJECT_NAME_COLLISION),
        (r"\", FILE_OPEN, FILE_NON_DIRECTORY_FILE, STATUS_FILE_IS_A_DIRECTORY),
        (r"\d", FILE_OPEN, FILE_OPEN_BY_FILE_ID, STATUS_NOT_IMPLEMENTED),
        (r"", FILE_OPEN, FILE_DIRECTORY_FILE, STATUS_NOT_A_DIRECTORY),
        (r"", FILE_CREATE, 0, STATUS_ACCESS_DENIED),
    ] {
        assert_eq!(fixture.status(name, disposition, options), expected, "{name} {disposition} {options:x}");
    }
}

#[test]
fn names_are_relative_to_an_open() {
    let fixture = new();
    fixture.close(fixture.open(r"\Dir", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\Dir\File", b"x");
    let directory = fixture.open(r"\dir", FILE_OPEN, 0);
    let relative = |name: &str, related| Request { related: Some(related), ..request(name, FILE_OPEN, 0) };
    let file = fixture.try_open(&relative("FILE", directory)).unwrap().open;
    assert_eq!(fixture.name(file), r"\Dir\File");
    let again = fixture.try_open(&relative("", file)).unwrap().open;
    assert_eq!(fixture.name(again), r"\Dir\File");
    assert_eq!(fixture.try_open(&relative("x", file)).unwrap_err(), STATUS_OBJECT_PATH_NOT_FOUND);
    assert_eq!(fixture.try_open(&relative(r"\File", directory)).unwrap_err(), STATUS_OBJECT_NAME_INVALID);
    assert_eq!(fixture.try_open(&relative("..", directory)).unwrap_err(), STATUS_OBJECT_NAME_INVALID);
    let volume = fixture.try_open(&request("", FILE_OPEN, 0)).unwrap();
    assert_eq!(volume.opened, Opened::Volume);
    assert_eq!(fixture.try_open(&relative("", volume.open)).unwrap().opened, Opened::Volume);
    assert_eq!(fixture.try_open(&relative("Dir", volume.open)).unwrap_err(), STATUS_OBJECT_PATH_NOT_FOUND);
}

#[test]
fn sharing_spans_all_names_and_opens() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let only = |desired, share| Request { desired, share, ..request(r"\F", FILE_OPEN, 0) };
    let reader = fixture.try_open(&only(access::READ_DATA, 1)).unwrap().open;
    assert_eq!(fixture.try_open(&only(access::WRITE_DATA, 7)).unwrap_err(), STATUS_SHARING_VIOLATION);
    assert_eq!(fixture.try_open(&only(access::READ_DATA, 0)).unwrap_err(), STATUS_SHARING_VIOLATION);
    assert!(fixture.try_open(&only(access::READ_ATTRIBUTES, 0)).is_ok());
    // An overwrite writes, whatever access it asks for.
    let overwrite = Request { desired: access::READ_ATTRIBUTES, ..request(r"\f", FILE_OVERWRITE, 0) };
    assert_eq!(fixture.try_open(&overwrite).unwrap_err(), STATUS_SHARING_VIOLATION);
    fixture.close(reader);
    assert!(fixture.try_open(&only(access::WRITE_DATA, 0)).is_ok());
}

#[test]
fn data_ends_at_the_end_of_the_file() {
    let fixture = new();
    let open = fixture.open(r"\f", FILE_CREATE, 0);
    assert_eq!(fixture.write(open, 2, b"abc"), (STATUS_SUCCESS, 3));
    assert_eq!(fixture.read(open, 0, 10).unwrap(), b"\0\0abc");
    assert_eq!(fixture.read(open, 4, 1).unwrap(), b"c");
    assert_eq!(fixture.read(open, 5, 1), Err(STATUS_END_OF_FILE));
    assert_eq!(fixture.read(open, 5, 0).unwrap(), b"");
    assert_eq!(fixture.read(open, -3, 1), Err(STATUS_INVALID_PARAMETER));
    assert_eq!(fixture.read(open, i64::MAX, 2), Err(STATUS_INVALID_PARAMETER));
    let append = Transfer { offset: END_OF_FILE, ..Default::default() };
    assert_eq!(fixture.volume.write(open, &append, b"d"), ((STATUS_SUCCESS, 1), 5));
    let paging = Transfer { offset: 4, paging: true, ..Default::default() };
    assert_eq!(fixture.volume.write(open, &paging, b"XYZ"), ((STATUS_SUCCESS, 2), 4));
    assert_eq!(fixture.read(open, 0, 10).unwrap(), b"\0\0abXY");
    let aligned = Transfer { offset: 4, aligned: true, ..Default::default() };
    assert_eq!(fixture.volume.read(open, &aligned, &mut [0; 512]).0, STATUS_INVALID_PARAMETER);
    let aligned = Transfer { offset: 0, aligned: true, ..Default::default() };
    assert_eq!(fixture.volume.read(open, &aligned, &mut [0; 512]), (STATUS_SUCCESS, 6));
    let directory = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.read(directory, 0, 1), Err(STATUS_INVALID_DEVICE_REQUEST));
    effects(|effects| fixture.volume.cleanup(open, effects));
    assert_eq!(fixture.read(open, 0, 1), Err(STATUS_FILE_CLOSED));
    assert_eq!(fixture.volume.read(open, &Transfer { paging: true, ..aligned }, &mut [0; 512]).1, 6);
}

#[test]
fn deletion_waits_for_the_last_handle() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let one = fixture.open(r"\f", FILE_OPEN, 0);
    let two = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.set(one, FileDispositionInformation, &[1]), STATUS_SUCCESS);
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    assert_eq!(fixture.status(r"\f", FILE_CREATE, 0), STATUS_DELETE_PENDING);
    let standard = fixture.query(two, FileStandardInformation, 24).unwrap();
    assert_eq!((standard[16], standard[20]), (0, 1));
    fixture.close(one);
    assert!(fixture.host("f").exists());
    assert_eq!(fixture.read(two, 0, 1).unwrap(), b"x");
    assert_eq!(fixture.set(two, FileDispositionInformation, &[0]), STATUS_SUCCESS);
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_SUCCESS);
    fixture.set(two, FileDispositionInformation, &[1]);
    effects(|effects| fixture.volume.cleanup(two, effects));
    assert!(!fixture.host("f").exists());
    // The file object may still be referenced: another file takes the name meanwhile.
    fixture.make(r"\f", b"new");
    fixture.volume.close(two);
    assert_eq!(fixture.read(fixture.open(r"\f", FILE_OPEN, 0), 0, 9).unwrap(), b"new");
}

#[test]
fn delete_on_close_and_posix_deletion() {
    let fixture = new();
    let open = fixture.open(r"\t", FILE_CREATE, FILE_DELETE_ON_CLOSE);
    let other = fixture.open(r"\t", FILE_OPEN, 0);
    fixture.close(open);
    assert_eq!(fixture.status(r"\t", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    fixture.close(other);
    assert!(!fixture.host("t").exists());
    fixture.make(r"\p", b"kept");
    let one = fixture.open(r"\p", FILE_OPEN, 0);
    let two = fixture.open(r"\p", FILE_OPEN, 0);
    assert_eq!(fixture.set(one, FileDispositionInformationEx, &3_u32.to_le_bytes()), STATUS_SUCCESS);
    fixture.close(one);
    assert!(!fixture.host("p").exists());
    assert_eq!(fixture.read(two, 0, 9).unwrap(), b"kept");
    assert_eq!(fixture.status(r"\p", FILE_CREATE, 0), STATUS_SUCCESS);
    fixture.close(two);
    assert!(fixture.host("p").exists());
}

#[test]
fn what_cannot_be_deleted() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.set(root, FileDispositionInformation, &[1]), STATUS_CANNOT_DELETE);
    let directory = fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE);
    fixture.make(r"\d\f", b"");
    assert_eq!(fixture.set(directory, FileDispositionInformation, &[1]), STATUS_DIRECTORY_NOT_EMPTY);
    let file = fixture.open(r"\d\f", FILE_OPEN, 0);
    fixture.set_attributes(file, attribute::READONLY);
    assert_eq!(fixture.set(file, FileDispositionInformation, &[1]), STATUS_CANNOT_DELETE);
    let delete = Request { desired: access::DELETE, ..request(r"\d\f", FILE_OPEN, FILE_DELETE_ON_CLOSE) };
    assert_eq!(fixture.try_open(&delete).unwrap_err(), STATUS_CANNOT_DELETE);
    assert_eq!(fixture.set(file, FileDispositionInformationEx, &0x11_u32.to_le_bytes()), STATUS_SUCCESS);
    fixture.close(file);
    assert_eq!(fixture.set(directory, FileDispositionInformation, &[1]), STATUS_SUCCESS);
    assert_eq!(fixture.status(r"\d\new", FILE_CREATE, 0), STATUS_DELETE_PENDING);
    // Something came meanwhile on the host: the directory stays.
    std::fs::write(fixture.host("d/late"), b"").unwrap();
    fixture.close(directory);
    assert_eq!(fixture.status(r"\d\late", FILE_OPEN, 0), STATUS_SUCCESS);
    assert_eq!(fixture.set(root, FileDispositionInformation, &[]), STATUS_INFO_LENGTH_MISMATCH);
}

#[test]
fn attributes_are_kept_beside_the_host() {
    let fixture = new();
    let hidden = Request { attributes: attribute::HIDDEN, ..request(r"\h", FILE_CREATE, 0) };
    let open = fixture.try_open(&hidden).unwrap().open;
    assert_eq!(fixture.attributes(open), attribute::HIDDEN | attribute::ARCHIVE);
    fixture.close(open);
    assert_eq!(fixture.status(r"\h", FILE_OVERWRITE, 0), STATUS_ACCESS_DENIED);
    let overwrite = Request { attributes: attribute::HIDDEN, ..request(r"\h", FILE_OVERWRITE, 0) };
    let open = fixture.try_open(&overwrite).unwrap().open;
    assert_eq!(fixture.set_attributes(open, attribute::NORMAL), STATUS_SUCCESS);
    assert_eq!(fixture.attributes(open), attribute::NORMAL);
    assert_eq!(fixture.set_attributes(open, attribute::DIRECTORY), STATUS_INVALID_PARAMETER);
    fixture.set_attributes(open, attribute::READONLY);
    let wanted = |desired| fixture.try_open(&Request { desired, ..request(r"\h", FILE_OPEN, 0) });
    assert_eq!(wanted(access::WRITE_DATA).unwrap_err(), STATUS_ACCESS_DENIED);
    assert_eq!(wanted(access::GENERIC_WRITE).unwrap_err(), STATUS_ACCESS_DENIED);
    let maximum = wanted(access::MAXIMUM_ALLOWED).unwrap();
    assert_eq!(maximum.granted & (access::WRITE_DATA | access::READ_DATA), access::READ_DATA);
}

#[test]
fn times_can_be_set_and_kept() {
    let fixture = new();
    let open = fixture.open(r"\f", FILE_CREATE, 0);
    let times = |open| -> Vec<i64> {
        let bytes = fixture.query(open, FileBasicInformation, 40).unwrap();
        bytes[..32].chunks(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let set = |values: [i64; 4]| {
        let mut buffer: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        buffer.resize(40, 0);
        fixture.set(open, FileBasicInformation, &buffer)
    };
    let wanted = [1, 2, 3, 4].map(|time| 130_000_000_000_000_000 + time * 10);
    assert_eq!(set(wanted), STATUS_SUCCESS);
    assert_eq!(times(open), wanted);
    assert_eq!(set([0; 4]), STATUS_SUCCESS);
    assert_eq!(times(open), wanted);
    // Having set the time, this handle's writes leave it; the change time moves on.
    fixture.write(open, 0, b"x");
    assert_eq!(times(open)[2], wanted[2]);
    assert_ne!(times(open)[3], wanted[3]);
    assert_eq!(set([0, 0, -2, 0]), STATUS_SUCCESS);
    fixture.write(open, 0, b"y");
    assert_ne!(times(open)[2], wanted[2]);
    assert_eq!(set([-9, 0, 0, 0]), STATUS_INVALID_PARAMETER);
}

#[test]
fn sizes_can_be_set() {
    let fixture = new();
    let open = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.write(open, 0, b"abcdef");
    let sizes = || {
        let bytes = fixture.query(open, FileStandardInformation, 24).unwrap();
        [0, 8].map(|at| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()))
    };
    let set = |class, size: i64| fixture.set(open, class, &size.to_le_bytes());
    assert_eq!(sizes(), [4096, 6]);
    assert_eq!(set(FileAllocationInformation, 10_000), STATUS_SUCCESS);
    assert_eq!(sizes(), [12_288, 6]);
    assert_eq!(set(FileEndOfFileInformation, 5000), STATUS_SUCCESS);
    assert_eq!(sizes(), [12_288, 5000]);
    assert_eq!(set(FileAllocationInformation, 3), STATUS_SUCCESS);
    assert_eq!(sizes(), [4096, 3]);
    assert_eq!(set(FileEndOfFileInformation, -1), STATUS_INVALID_PARAMETER);
    let advance = effects(|effects| {
        fixture.volume.set_information(open, FileEndOfFileInformation, true, &2_i64.to_le_bytes(), effects)
    });
    assert_eq!((advance.0, sizes()[1]), (STATUS_SUCCESS, 3));
    assert_eq!(fixture.set(open, FileEndOfFileInformation, &[0; 7]), STATUS_INFO_LENGTH_MISMATCH);
    assert_eq!(fixture.set(open, 999, &[0; 64]), STATUS_INVALID_INFO_CLASS);
}

#[test]
fn queries_know_their_lengths() {
    let fixture = new();
    let open = fixture.open(r"\a longer name", FILE_CREATE, 0);
    assert_eq!(fixture.query(open, FileBasicInformation, 39), Err(STATUS_INFO_LENGTH_MISMATCH));
    assert_eq!(fixture.query(open, 999, 100), Err(STATUS_INVALID_INFO_CLASS));
    assert_eq!(fixture.query(open, FileAlternateNameInformation, 100), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    let mut bytes = [0; 12];
    let reply = fixture.volume.query_information(open, FileNameInformation, 0, &mut bytes);
    assert_eq!(reply, (STATUS_BUFFER_OVERFLOW, 12));
    assert_eq!((bytes[0], &bytes[4..]), (28, &b"\\\0a\0 \0l\0"[..]));
    assert_eq!(fixture.query(open, FileNameInformation, 7), Err(STATUS_INFO_LENGTH_MISMATCH));
    assert_eq!(fixture.query(open, FileStreamInformation, 100).unwrap().len(), 38);
    assert_eq!(fixture.query(open, FileAllInformation, 200).unwrap().len(), 128);
    assert_eq!(fixture.query(open, FileNetworkOpenInformation, 56).unwrap().len(), 56);
    let volume = fixture.open("", FILE_OPEN, 0);
    assert_eq!(fixture.query(volume, FileBasicInformation, 40), Err(STATUS_INVALID_PARAMETER));
    assert_eq!(fixture.query(volume, FileNameInformation, 40).unwrap(), [0; 4]);
}

/// Names of a listing, entry by entry as the records chain them.
fn names(data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let word = |offset: usize| u32::from_le_bytes(data[at + offset..at + offset + 4].try_into().unwrap()) as usize;
        assert_eq!(at % 8, 0);
        let name: Vec<u16> =
            data[at + 12..at + 12 + word(8)].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        found.push(String::from_utf16(&name).unwrap());
        match word(0) {
            0 => return found,
            next => at += next,
        }
    }
}

fn list(fixture: &Fixture, open: OpenId, query: &Query, length: usize) -> Result<Vec<String>, NTSTATUS> {
    let mut bytes = vec![0; length];
    let (status, count) = fixture.volume.query_directory(open, query, &mut bytes);
    if status == STATUS_SUCCESS { Ok(names(&bytes[..count])) } else { Err(status) }
}

#[test]
fn directories_are_listed_in_order_and_parts() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    for name in ["b.txt", "A", "c", "B2.TXT"] {
        fixture.make(&format!(r"\d\{name}"), b"");
    }
    std::fs::write(fixture.host("d/x:y"), b"").unwrap();
    let mapped = "x\u{F03A}y";
    let open = fixture.open(r"\d", FILE_OPEN, 0);
    let query = Query { class: FileNamesInformation, ..Default::default() };
    assert_eq!(list(&fixture, open, &query, 1000).unwrap(), [".", "..", "A", "b.txt", "B2.TXT", "c", mapped]);
    assert_eq!(list(&fixture, open, &query, 1000), Err(STATUS_NO_MORE_FILES));
    let single = Query { restart: true, single: true, ..query.clone() };
    assert_eq!(list(&fixture, open, &single, 1000).unwrap(), ["."]);
    assert_eq!(list(&fixture, open, &Query { single: true, ..query.clone() }, 1000).unwrap(), [".."]);
    // Each record takes 16 to 24 bytes: the room decides how many come.
    assert_eq!(list(&fixture, open, &query, 40).unwrap(), ["A", "b.txt"]);
    assert_eq!(list(&fixture, open, &Query { index: Some(5), ..query.clone() }, 1000).unwrap(), ["c", mapped]);
    assert_eq!(list(&fixture, open, &query, 15), Err(STATUS_INFO_LENGTH_MISMATCH));
    assert_eq!(list(&fixture, open, &Query { class: 999, ..query.clone() }, 100), Err(STATUS_INVALID_INFO_CLASS));
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(list(&fixture, root, &query, 1000).unwrap(), ["d"]);
    let file = fixture.open(r"\d\a", FILE_OPEN, 0);
    assert_eq!(list(&fixture, file, &query, 1000), Err(STATUS_INVALID_PARAMETER));
}

#[test]
fn the_pattern_of_the_first_query_counts() {
    let fixture = new();
    for name in ["one.txt", "two.TXT", "three.c"] {
        fixture.make(&format!(r"\{name}"), b"");
    }
    let query = |pattern: &str, restart| Query {
        class: FileNamesInformation,
        pattern: Some(wide(pattern)),
        restart,
        ..Default::default()
    };
    let open = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(list(&fixture, open, &query("*.txt", false), 500).unwrap(), ["one.txt", "two.TXT"]);
    assert_eq!(list(&fixture, open, &query("*", true), 500).unwrap(), ["one.txt", "two.TXT"]);
    let open = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(list(&fixture, open, &query("THREE.C", false), 500).unwrap(), ["three.c"]);
    let open = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(list(&fixture, open, &query("none", false), 500), Err(STATUS_NO_SUCH_FILE));
    assert_eq!(list(&fixture, open, &query("none", false), 500), Err(STATUS_NO_MORE_FILES));
}

#[test]
fn a_name_too_long_for_the_buffer_is_cut_once() {
    let fixture = new();
    fixture.make(r"\a_rather_long_name", b"");
    fixture.make(r"\b", b"");
    let open = fixture.open(r"\", FILE_OPEN, 0);
    let query = Query { class: FileNamesInformation, ..Default::default() };
    let mut bytes = [0; 17];
    assert_eq!(fixture.volume.query_directory(open, &query, &mut bytes), (STATUS_BUFFER_OVERFLOW, 16));
    assert_eq!((bytes[8], &bytes[12..]), (36, &b"a\0_\0\0"[..]));
    assert_eq!(list(&fixture, open, &query, 17).unwrap(), ["b"]);
}

#[test]
fn entries_that_go_are_passed_over() {
    let fixture = new();
    for name in [r"\a", r"\b", r"\c"] {
        fixture.make(name, b"");
    }
    let open = fixture.open(r"\", FILE_OPEN, 0);
    let query = Query { class: FileNamesInformation, single: true, ..Default::default() };
    assert_eq!(list(&fixture, open, &query, 100).unwrap(), ["a"]);
    std::fs::remove_file(fixture.host("b")).unwrap();
    assert_eq!(list(&fixture, open, &query, 100).unwrap(), ["c"]);
}

#[test]
fn renames_in_and_between_directories() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\a", b"1");
    fixture.make(r"\d\b", b"2");
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(fixture.rename(a, None, "A2", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\A2");
    assert_eq!(fixture.rename(a, None, "a2", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\a2");
    assert!(fixture.host("a2").exists());
    assert_eq!(fixture.rename(a, Some(d), "B", 0), STATUS_OBJECT_NAME_COLLISION);
    let b = fixture.open(r"\d\b", FILE_OPEN, 0);
    assert_eq!(fixture.rename(a, Some(d), "B", 1), STATUS_ACCESS_DENIED);
    fixture.close(b);
    assert_eq!(fixture.rename(a, Some(d), "B", 1), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\d\B");
    assert_eq!(std::fs::read(fixture.host("d/B")).unwrap(), b"1");
    assert!(!fixture.host("d/b").exists());
    assert_eq!(fixture.rename(a, None, "x:y", 0), STATUS_OBJECT_NAME_INVALID);
    assert_eq!(fixture.rename(a, None, r"d\x", 0), STATUS_OBJECT_NAME_INVALID);
    assert_eq!(fixture.rename(a, None, "..", 0), STATUS_OBJECT_NAME_INVALID);
    assert_eq!(fixture.rename(a, Some(a), "x", 0), STATUS_NOT_A_DIRECTORY);
}

#[test]
fn directories_are_renamed_only_when_nothing_below_is_open() {
    let fixture = new();
    for name in [r"\d", r"\d\sub", r"\e"] {
        fixture.close(fixture.open(name, FILE_CREATE, FILE_DIRECTORY_FILE));
    }
    fixture.make(r"\d\sub\f", b"");
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    let f = fixture.open(r"\d\sub\f", FILE_OPEN, 0);
    assert_eq!(fixture.rename(d, None, "new", 0), STATUS_ACCESS_DENIED);
    effects(|effects| fixture.volume.cleanup(f, effects));
    assert_eq!(fixture.rename(d, None, "new", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(f), r"\new\sub\f");
    assert_eq!(fixture.rename(d, None, "e", 1), STATUS_ACCESS_DENIED);
    let sub = fixture.open(r"\new\sub", FILE_OPEN, 0);
    assert_eq!(fixture.rename(d, Some(sub), "below", 0), STATUS_ACCESS_DENIED);
    assert_eq!(fixture.status(r"\NEW\SUB\F", FILE_OPEN, 0), STATUS_SUCCESS);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.rename(root, None, "x", 0), STATUS_INVALID_PARAMETER);
}

#[test]
fn a_target_directory_is_opened_for_a_rename() {
    let fixture = new();
    fixture.close(fixture.open(r"\Dir", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\Dir\there", b"");
    for (name, information) in [(r"\dir\there", 4), (r"\dir\missing", 5)] {
        let request = Request { open_target_directory: true, ..request(name, FILE_OPEN, 0) };
        let created = fixture.try_open(&request).unwrap();
        assert_eq!((created.opened, created.information), (Opened::Directory, information));
        assert_eq!(created.last_component, name.len() - 5);
        assert_eq!(fixture.name(created.open), r"\Dir");
        fixture.close(created.open);
    }
    let bad = Request { open_target_directory: true, ..request(r"\none\x", FILE_OPEN, 0) };
    assert_eq!(fixture.try_open(&bad).unwrap_err(), STATUS_OBJECT_PATH_NOT_FOUND);
}

#[test]
fn links_share_everything_but_their_names() {
    let fixture = new();
    fixture.make(r"\a", b"x");
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    let target = |name: &str, flags| Target { directory: None, name: wide(name), flags };
    let link = |name: &str, flags| effects(|effects| fixture.volume.link(a, &target(name, flags), effects)).0;
    assert_eq!(link("b", 0), STATUS_SUCCESS);
    assert_eq!(link("b", 0), STATUS_OBJECT_NAME_COLLISION);
    let b = fixture.open(r"\b", FILE_OPEN, 0);
    fixture.lock(a, 0, true, None);
    assert_eq!(fixture.read(b, 0, 1), Err(STATUS_FILE_LOCK_CONFLICT));
    fixture.set(b, FileDispositionInformation, &[1]);
    assert_eq!(fixture.status(r"\a", FILE_OPEN, 0), STATUS_SUCCESS);
    assert_eq!(fixture.status(r"\b", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    fixture.close(b);
    assert!(fixture.host("a").exists() && !fixture.host("b").exists());
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let status = effects(|effects| fixture.volume.link(root, &target("x", 0), effects)).0;
    assert_eq!(status, STATUS_FILE_IS_A_DIRECTORY);
}

#[test]
fn locks_guard_data_and_wait() {
    let fixture = new();
    fixture.make(r"\f", b"0123456789abcdef");
    let one = fixture.open(r"\f", FILE_OPEN, 0);
    let two = fixture.open(r"\f", FILE_OPEN, 0);
    assert!(fixture.volume.has_no_locks(one));
    assert_eq!(fixture.lock(one, 0, true, None), done(STATUS_SUCCESS));
    assert!(!fixture.volume.has_no_locks(two));
    assert_eq!(fixture.read(two, 9, 1), Err(STATUS_FILE_LOCK_CONFLICT));
    assert_eq!(fixture.write(two, 0, b"x"), (STATUS_FILE_LOCK_CONFLICT, 0));
    assert_eq!(fixture.read(two, 10, 1).unwrap(), b"a");
    assert_eq!(fixture.lock(two, 5, true, None), done(STATUS_LOCK_NOT_GRANTED));
    assert_eq!(fixture.lock(two, 5, true, Some(5)), Outcome::Waiting);
    let (status, finished) =
        effects(|effects| fixture.volume.unlock_single(one, 1, 0, (0, 10), effects));
    assert_eq!((status, finished.len()), (STATUS_SUCCESS, 1));
    assert_eq!((finished[0].ticket, finished[0].status), (Ticket(5), STATUS_SUCCESS));
    assert_eq!(fixture.lock(one, 5, false, Some(6)), Outcome::Waiting);
    let finished = fixture.close(two);
    assert_eq!((finished[0].ticket, finished[0].status), (Ticket(6), STATUS_SUCCESS));
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.lock(root, 0, true, None), done(STATUS_INVALID_PARAMETER));
}

#[test]
fn a_wait_cancelled_before_it_is_armed_is_over() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let one = fixture.open(r"\f", FILE_OPEN, 0);
    let two = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.lock(one, 0, true, None);
    let request =
        LockRequest { offset: 0, length: 1, process: 1, key: 0, exclusive: true, fail_immediately: false };
    assert_eq!(fixture.volume.lock(two, &request, Ticket(1), &|| false), done(STATUS_CANCELLED));
    assert!(!fixture.volume.remove_waiting(two, Ticket(1)));
    assert_eq!(fixture.lock(two, 0, true, Some(2)), Outcome::Waiting);
    assert!(fixture.volume.remove_waiting(two, Ticket(2)));
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.volume.notify(root, 1, false, 100, Ticket(3), &|| false), done(STATUS_CANCELLED));
    assert_eq!(fixture.volume.notify(root, 1, false, 100, Ticket(4), &|| true), Outcome::Waiting);
    assert!(fixture.volume.remove_waiting(root, Ticket(4)));
}

#[test]
fn changes_reach_the_watches() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let watch = |ticket| {
        assert_eq!(fixture.volume.notify(root, 0xFFF, true, 200, Ticket(ticket), &|| true), Outcome::Waiting);
    };
    /// Actions and names of the records.
    fn seen(finished: &[Finish]) -> Vec<(u8, String)> {
        let mut data = finished.first().expect("a request is completed").data.as_slice();
        let mut seen = Vec::new();
        loop {
            let name: Vec<u16> =
                data[12..12 + usize::from(data[8])].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            seen.push((data[4], String::from_utf16(&name).unwrap()));
            match usize::from(data[0]) {
                0 => return seen,
                next => data = &data[next..],
            }
        }
    }
    watch(1);
    let (created, finished) =
        effects(|effects| fixture.volume.create(&request(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE), effects));
    assert_eq!(seen(&finished), [(1, "d".into())]);
    fixture.close(created.unwrap().open);
    watch(2);
    let (created, finished) = effects(|effects| fixture.volume.create(&request(r"\d\f", FILE_CREATE, 0), effects));
    assert_eq!(seen(&finished), [(1, r"d\f".into())]);
    let f = created.unwrap().open;
    watch(3);
    fixture.write(f, 0, b"x");
    let finished = fixture.close(f);
    assert_eq!(seen(&finished), [(3, r"d\f".into())]);
    watch(4);
    let f = fixture.open(r"\d\f", FILE_OPEN, 0);
    let rename = |directory, name: &str| {
        let target = Target { directory, name: wide(name), flags: 0 };
        effects(|effects| fixture.volume.rename(f, &target, effects)).1
    };
    assert_eq!(seen(&rename(None, "g")), [(4, r"d\f".into()), (5, r"d\g".into())]);
    watch(5);
    assert_eq!(seen(&rename(Some(root), "h")), [(2, r"d\g".into()), (1, "h".into())]);
    watch(6);
    fixture.set(f, FileDispositionInformation, &[1]);
    assert_eq!(seen(&fixture.close(f)), [(2, "h".into())]);
    watch(7);
    let finished = fixture.close(root);
    assert_eq!((finished[0].ticket, finished[0].status), (Ticket(7), STATUS_NOTIFY_CLEANUP));
}

#[test]
fn watches_end_with_their_directory() {
    let fixture = new();
    let one = fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE);
    let two = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(fixture.volume.notify(two, 1, false, 100, Ticket(1), &|| true), Outcome::Waiting);
    // POSIX semantics: the directory goes while the watch still has a handle on it.
    assert_eq!(fixture.set(one, FileDispositionInformationEx, &3_u32.to_le_bytes()), STATUS_SUCCESS);
    let finished = fixture.close(one);
    assert_eq!(finished[0].status, STATUS_DELETE_PENDING);
    assert_eq!(fixture.volume.notify(two, 0, false, 100, Ticket(2), &|| true), done(STATUS_INVALID_PARAMETER));
    fixture.make(r"\f", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.volume.notify(file, 1, false, 100, Ticket(3), &|| true), done(STATUS_INVALID_PARAMETER));
}

#[test]
fn volume_information_is_given() {
    let fixture = new();
    let open = fixture.open(r"\", FILE_OPEN, 0);
    let mut bytes = [0; 64];
    let mut query = |class, length: usize| fixture.volume.query_volume(open, class, &mut bytes[..length]);
    assert_eq!(query(FileFsVolumeInformation, 64), (STATUS_SUCCESS, 26));
    assert_eq!(query(FileFsVolumeInformation, 24), (STATUS_BUFFER_OVERFLOW, 24));
    assert_eq!(query(FileFsSizeInformation, 24), (STATUS_SUCCESS, 24));
    assert_eq!(query(FileFsFullSizeInformation, 31), (STATUS_INFO_LENGTH_MISMATCH, 0));
    assert_eq!(query(FileFsDeviceInformation, 8), (STATUS_SUCCESS, 8));
    assert_eq!(query(FileFsAttributeInformation, 64), (STATUS_SUCCESS, 24));
    assert_eq!(query(999, 64), (STATUS_INVALID_INFO_CLASS, 0));
    let label = [&6_u32.to_le_bytes()[..], b"n\0e\0w\0"].concat();
    assert_eq!(fixture.volume.set_volume(open, FileFsLabelInformation, &label), STATUS_SUCCESS);
    assert_eq!(fixture.volume.label(), wide("new"));
}

#[test]
fn security_is_stored_by_file() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let open = fixture.open(r"\f", FILE_OPEN, 0);
    let (status, needed) = fixture.volume.query_security(open, 7, &mut []);
    assert_eq!(status, STATUS_BUFFER_OVERFLOW);
    let mut bytes = vec![0; needed];
    assert_eq!(fixture.volume.query_security(open, 7, &mut bytes), (STATUS_SUCCESS, needed));
    let owner = bytes[20..36].to_vec();
    bytes[28..32].copy_from_slice(&99_u32.to_le_bytes());
    let set = |information, bytes: &[u8]| effects(|effects| fixture.volume.set_security(open, information, bytes, effects)).0;
    assert_eq!(set(1, &bytes), STATUS_SUCCESS);
    let again = fixture.open(r"\f", FILE_OPEN, 0);
    let mut stored = vec![0; needed];
    assert_eq!(fixture.volume.query_security(again, 7, &mut stored), (STATUS_SUCCESS, needed));
    assert_eq!(stored, bytes);
    assert_ne!(stored[20..36], owner);
    assert_eq!(set(1, &bytes[..10]), STATUS_INVALID_SECURITY_DESCR);
}

#[test]
fn controls_of_files_and_volumes() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let control = |open, code| effects(|effects| fixture.volume.control(open, code, &mut [9; 8], effects)).0;
    assert_eq!(control(file, code::FSCTL_IS_VOLUME_MOUNTED), (STATUS_SUCCESS, 0));
    assert_eq!(control(file, code::FSCTL_GET_REPARSE_POINT), (STATUS_NOT_A_REPARSE_POINT, 0));
    assert_eq!(control(file, code::FSCTL_REQUEST_OPLOCK_LEVEL_1), (STATUS_OPLOCK_NOT_GRANTED, 0));
    assert_eq!(control(file, code::FSCTL_OPLOCK_BREAK_ACKNOWLEDGE), (STATUS_INVALID_OPLOCK_PROTOCOL, 0));
    assert_eq!(control(file, code::FSCTL_GET_COMPRESSION), (STATUS_SUCCESS, 2));
    assert_eq!(control(file, 0x9_FFFF), (STATUS_INVALID_DEVICE_REQUEST, 0));
    assert_eq!(control(file, code::FSCTL_LOCK_VOLUME), (STATUS_INVALID_PARAMETER, 0));
    let volume = fixture.open("", FILE_OPEN, 0);
    assert_eq!(control(volume, code::FSCTL_LOCK_VOLUME), (STATUS_ACCESS_DENIED, 0));
    assert_eq!(control(volume, code::FSCTL_UNLOCK_VOLUME), (STATUS_NOT_LOCKED, 0));
    fixture.close(file);
    assert_eq!(control(volume, code::FSCTL_LOCK_VOLUME), (STATUS_SUCCESS, 0));
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_ACCESS_DENIED);
    fixture.close(volume);
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_SUCCESS);
}

#[test]
fn a_dismounted_volume_serves_nobody() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let other = fixture.open(r"\f", FILE_OPEN, 0);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    fixture.lock(file, 0, true, None);
    fixture.lock(other, 0, true, Some(1));
    fixture.volume.notify(root, 1, false, 100, Ticket(2), &|| true);
    fixture.set(file, FileDispositionInformation, &[1]);
    let (first, finished) = effects(|effects| fixture.volume.dismount(effects));
    assert!(first);
    let mut ended: Vec<_> = finished.iter().map(|finish| (finish.ticket.0, finish.status)).collect();
    ended.sort_unstable();
    assert_eq!(ended.last(), Some(&(2, STATUS_VOLUME_DISMOUNTED)));
    assert_eq!(ended.len(), 2);
    assert!(!effects(|effects| fixture.volume.dismount(effects)).0);
    assert_eq!(fixture.read(file, 0, 1), Err(STATUS_VOLUME_DISMOUNTED));
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_VOLUME_DISMOUNTED);
    for open in [file, other, root] {
        fixture.close(open);
    }
    assert_eq!(fixture.volume.open_count(), 0);
    assert!(fixture.host("f").exists());
}

#[test]
fn a_read_only_volume_changes_nothing() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let description = Description { read_only: true, ..fixture.volume.description.clone() };
    let root = fixture.folder.path().join("root");
    let fixture = Fixture { volume: Volume::open(&root, description).unwrap(), ..fixture };
    let read = |name, disposition, desired| {
        fixture.try_open(&Request { desired, ..request(name, disposition, 0) }).map(|created| created.open)
    };
    assert_eq!(read(r"\f", FILE_OPEN, access::WRITE_DATA), Err(STATUS_ACCESS_DENIED));
    assert_eq!(read(r"\f", FILE_OPEN, access::DELETE), Err(STATUS_ACCESS_DENIED));
    assert_eq!(read(r"\f", FILE_OVERWRITE_IF, access::READ_DATA), Err(STATUS_MEDIA_WRITE_PROTECTED));
    assert_eq!(read(r"\new", FILE_OPEN_IF, access::READ_DATA), Err(STATUS_MEDIA_WRITE_PROTECTED));
    assert_eq!(read(r"\f", FILE_CREATE, access::READ_DATA), Err(STATUS_OBJECT_NAME_COLLISION));
    let open = read(r"\f", FILE_OPEN_IF, access::MAXIMUM_ALLOWED).unwrap();
    assert_eq!(fixture.read(open, 0, 9).unwrap(), b"x");
    assert_eq!(fixture.write(open, 0, b"y"), (STATUS_MEDIA_WRITE_PROTECTED, 0));
    assert_eq!(fixture.set_attributes(open, attribute::HIDDEN), STATUS_MEDIA_WRITE_PROTECTED);
    assert_eq!(fixture.rename(open, None, "g", 0), STATUS_MEDIA_WRITE_PROTECTED);
    let volume = fixture.try_open(&request("", FILE_OPEN, 0)).unwrap().open;
    assert_eq!(fixture.volume.set_volume(volume, FileFsLabelInformation, &[0; 4]), STATUS_MEDIA_WRITE_PROTECTED);
}

#[cfg(unix)]
#[test]
fn links_of_the_host_stay_inside() {
    use std::os::unix::fs::symlink;
    let fixture = new();
    std::fs::write(fixture.folder.path().join("secret"), b"secret").unwrap();
    fixture.make(r"\f", b"inside");
    symlink("f", fixture.host("good")).unwrap();
    symlink("../secret", fixture.host("bad")).unwrap();
    symlink("..", fixture.host("up")).unwrap();
    let good = fixture.open(r"\good", FILE_OPEN, 0);
    assert_eq!(fixture.read(good, 0, 9).unwrap(), b"inside");
    for (name, disposition) in [(r"\bad", FILE_OPEN), (r"\bad", FILE_OVERWRITE_IF), (r"\up\secret", FILE_OPEN), (r"\up\new", FILE_CREATE)] {
        assert_eq!(fixture.status(name, disposition, 0), STATUS_ACCESS_DENIED, "{name}");
    }
    // Deleting by the link's name removes the link.
    fixture.set(good, FileDispositionInformation, &[1]);
    fixture.close(good);
    assert!(fixture.host("f").exists() && fixture.host("good").symlink_metadata().is_err());
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.rename(f, None, "bad", 1), STATUS_ACCESS_DENIED);
    assert_eq!(std::fs::read(fixture.folder.path().join("secret")).unwrap(), b"secret");
}
