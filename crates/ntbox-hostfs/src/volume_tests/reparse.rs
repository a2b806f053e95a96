//! Reparse points of the volume alone.

use super::*;
use crate::notify::{Class, change};
use crate::waiting::Met;
use ntbox_kernel::nt::reparse::{self, MOUNT_POINT, SYMBOLIC_LINK};

/// A tag of Microsoft's that means nothing here, and one of somebody else.
const UNKNOWN: u32 = 0x8000_DEAD;
const THEIRS: u32 = 0xBEEF;

impl Fixture {
    fn control(
        &self,
        open: OpenId,
        control: u32,
        input: &[u8],
        room: usize,
    ) -> (NTSTATUS, Vec<u8>) {
        let mut output = vec![0xEE; room];
        let (reply, _) = effects(|effects| {
            self.volume
                .reparse_control(open, control, input, &mut output, effects)
        });
        output.truncate(reply.1);
        (reply.0, output)
    }
    pub(super) fn set_point(&self, open: OpenId, data: &[u8]) -> NTSTATUS {
        self.control(open, FSCTL_SET_REPARSE_POINT, data, 0).0
    }
    pub(super) fn point(&self, open: OpenId, room: usize) -> (NTSTATUS, Vec<u8>) {
        self.control(open, FSCTL_GET_REPARSE_POINT, &[], room)
    }
    fn delete_point(&self, open: OpenId, header: &[u8]) -> NTSTATUS {
        self.control(open, FSCTL_DELETE_REPARSE_POINT, header, 0).0
    }
    /// What an open meets.
    pub(super) fn meets(&self, request: &Request) -> Option<Met> {
        let mut effects = Effects::new(&|_| true);
        let created = self.volume.create(request, &mut effects);
        assert_eq!(created.err(), effects.met.as_ref().map(|_| STATUS_REPARSE));
        effects.met
    }
    pub(super) fn tag(&self, open: OpenId) -> (u32, u32) {
        let bytes = self.query(open, FileAttributeTagInformation, 8).unwrap();
        let int = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        (int(0), int(4))
    }
}

/// A reparse point of `tag` with two bytes of data, of Microsoft's or with this GUID.
fn point(tag: u32, guid: Option<u8>) -> Vec<u8> {
    let mut bytes = tag.to_le_bytes().to_vec();
    bytes.extend([2, 0, 0, 0]);
    bytes.extend(guid.map(|byte| [byte; 16]).into_iter().flatten());
    bytes.extend([7, 7]);
    bytes
}

fn header(tag: u32, guid: Option<u8>) -> Vec<u8> {
    let mut bytes = point(tag, guid);
    bytes.truncate(bytes.len() - 2);
    bytes[4] = 0;
    bytes
}

fn link(target: &str) -> Vec<u8> {
    reparse::leading_to(SYMBOLIC_LINK, &wide(target), true)
}

#[test]
fn a_reparse_point_is_set_told_and_deleted() {
    let fixture = new();
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    assert_eq!(
        fixture.point(file, 100),
        (STATUS_NOT_A_REPARSE_POINT, vec![])
    );
    fixture.set_attributes(file, attribute::NORMAL);
    let data = link("target");
    assert_eq!(fixture.set_point(file, &data), STATUS_SUCCESS);
    assert_eq!(fixture.tag(file), (attribute::REPARSE_POINT, SYMBOLIC_LINK));
    assert_eq!(fixture.attributes(file), attribute::REPARSE_POINT);
    // Setting attributes leaves it alone, and its holder may go on writing.
    fixture.set_attributes(file, attribute::HIDDEN | attribute::REPARSE_POINT);
    let both = attribute::HIDDEN | attribute::REPARSE_POINT;
    assert_eq!(fixture.attributes(file), both);
    assert_eq!(fixture.write(file, 0, b"x").0, STATUS_SUCCESS);
    assert_eq!(fixture.point(file, 100), (STATUS_SUCCESS, data.clone()));
    let cut = fixture.point(file, 30);
    assert_eq!(cut, (STATUS_BUFFER_OVERFLOW, data[..30].to_vec()));
    let mut room = [0; 27];
    let (reply, _) = effects(|effects| {
        let control = FSCTL_GET_REPARSE_POINT;
        fixture
            .volume
            .reparse_control(file, control, &[], &mut room, effects)
    });
    assert_eq!(
        (reply, room),
        ((STATUS_BUFFER_TOO_SMALL, data.len()), [0; 27])
    );
    let delete = |tag, guid| fixture.delete_point(file, &header(tag, guid));
    assert_eq!(delete(MOUNT_POINT, None), STATUS_IO_REPARSE_TAG_MISMATCH);
    assert_eq!(delete(1, Some(0)), STATUS_IO_REPARSE_TAG_INVALID);
    assert_eq!(
        fixture.delete_point(file, &data),
        STATUS_IO_REPARSE_DATA_INVALID
    );
    assert_eq!(delete(SYMBOLIC_LINK, None), STATUS_SUCCESS);
    assert_eq!(delete(SYMBOLIC_LINK, None), STATUS_NOT_A_REPARSE_POINT);
    assert_eq!(fixture.tag(file), (attribute::HIDDEN, 0));
}

#[test]
fn who_has_set_a_reparse_point_changes_it() {
    let fixture = new();
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    let set = |tag, guid| fixture.set_point(file, &point(tag, guid));
    assert_eq!(set(THEIRS, Some(5)), STATUS_SUCCESS);
    assert_eq!(set(THEIRS, Some(6)), STATUS_REPARSE_ATTRIBUTE_CONFLICT);
    assert_eq!(set(UNKNOWN, None), STATUS_IO_REPARSE_TAG_MISMATCH);
    assert_eq!(set(THEIRS, Some(5)), STATUS_SUCCESS);
    let extended = |flags: u32, tag: u32, guid: u8, new: &[u8]| {
        let mut bytes = [flags.to_le_bytes(), tag.to_le_bytes()].concat();
        bytes.extend([guid; 16]);
        bytes.extend([0; 8]);
        bytes.extend(new);
        fixture
            .control(file, FSCTL_SET_REPARSE_POINT_EX, &bytes, 0)
            .0
    };
    let new = point(UNKNOWN, None);
    assert_eq!(extended(0, 0, 0, &new), STATUS_IO_REPARSE_TAG_MISMATCH);
    assert_eq!(
        extended(0, THEIRS, 6, &new),
        STATUS_REPARSE_ATTRIBUTE_CONFLICT
    );
    assert_eq!(extended(0, THEIRS, 5, &new), STATUS_SUCCESS);
    assert_eq!(fixture.tag(file).1, UNKNOWN);
    let delete = |tag, guid| fixture.delete_point(file, &header(tag, guid));
    assert_eq!(delete(UNKNOWN, None), STATUS_SUCCESS);
    assert_eq!(extended(0, UNKNOWN, 0, &new), STATUS_NOT_A_REPARSE_POINT);
    assert_eq!(extended(1, UNKNOWN, 0, &new), STATUS_SUCCESS);
    let reader = Request {
        desired: access::READ_DATA,
        ..request(r"\f", FILE_OPEN, FILE_OPEN_REPARSE_POINT)
    };
    let reader = fixture.try_open(&reader).unwrap().open;
    assert_eq!(fixture.set_point(reader, &new), STATUS_ACCESS_DENIED);
}

#[test]
fn not_everything_can_be_a_link() {
    let fixture = new();
    fixture.make(r"\full", b"x");
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\d\f", b"");
    let mount = reparse::leading_to(MOUNT_POINT, &wide(r"\??\D:\"), false);
    for (name, data, status) in [
        (r"\full", link("x"), STATUS_IO_REPARSE_DATA_INVALID),
        (r"\full", mount.clone(), STATUS_NOT_A_DIRECTORY),
        (r"\full", point(UNKNOWN, None), STATUS_SUCCESS),
        (r"\d", mount.clone(), STATUS_DIRECTORY_NOT_EMPTY),
        (r"\", mount.clone(), STATUS_INVALID_PARAMETER),
        (r"\d\f", vec![0; 8], STATUS_IO_REPARSE_TAG_INVALID),
    ] {
        let open = fixture.open(name, FILE_OPEN, 0);
        assert_eq!(fixture.set_point(open, &data), status, "{name}");
        fixture.close(open);
    }
    fixture.status(r"\d\f", FILE_OPEN, FILE_DELETE_ON_CLOSE);
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(fixture.set_point(d, &mount), STATUS_SUCCESS);
    let directory = attribute::DIRECTORY | attribute::REPARSE_POINT;
    assert_eq!(fixture.tag(d), (directory, MOUNT_POINT));
}

#[test]
fn a_create_meets_what_is_on_its_way() {
    let fixture = new();
    for (name, options) in [(r"\D", FILE_DIRECTORY_FILE), (r"\f", 0)] {
        let open = fixture.open(name, FILE_CREATE, options);
        assert_eq!(fixture.set_point(open, &link("to")), STATUS_SUCCESS);
        fixture.close(open);
    }
    let met = |name: &str, unparsed| {
        Some(Met {
            data: link("to"),
            name: wide(name),
            unparsed,
        })
    };
    let open = |name, disposition, options| fixture.meets(&request(name, disposition, options));
    assert_eq!(open(r"\d\x\yz\", FILE_OPEN, 0), met(r"\d\x\yz\", 6));
    assert_eq!(open(r"\d", FILE_CREATE, 0), met(r"\d", 0));
    assert_eq!(open(r"\f", FILE_OVERWRITE, 0), met(r"\f", 0));
    let itself = FILE_OPEN_REPARSE_POINT;
    assert_eq!(open(r"\f", FILE_OPEN, itself), None);
    assert_eq!(open(r"\d", FILE_OPEN, itself), None);
    assert_eq!(open(r"\d\x", FILE_OPEN, itself), met(r"\d\x", 2));
    // The directory of a new name is on the way; the name itself may be a reparse point.
    let target = |name: &str| Request {
        open_target_directory: true,
        ..request(name, FILE_OPEN, 0)
    };
    assert_eq!(fixture.meets(&target(r"\f")), None);
    assert_eq!(fixture.meets(&target(r"\d\x")), met(r"\d\x", 2));
    let state = fixture.volume.state_at(&request(r"\f", FILE_OPEN, 0));
    assert_eq!(state.err(), Some(STATUS_REPARSE));
    let state = fixture
        .volume
        .state_at(&request(r"\f", FILE_OPEN, itself))
        .unwrap();
    assert_eq!(state.reparse_tag, SYMBOLIC_LINK);
    // Relative to a directory, the whole name is told all the same.
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let relative = Request {
        related: Some(root),
        ..request(r"d\x", FILE_OPEN, 0)
    };
    assert_eq!(fixture.meets(&relative), met(r"\d\x", 2));
    // Overwriting the link itself ends it.
    let over = fixture.open(r"\f", FILE_OVERWRITE, itself);
    assert_eq!(fixture.tag(over), (attribute::ARCHIVE, 0));
}

#[test]
fn listings_have_the_tag() {
    let fixture = new();
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    assert_eq!(fixture.set_point(file, &link("to")), STATUS_SUCCESS);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    for (class, at) in [
        (FileFullDirectoryInformation, 64),
        (FileBothDirectoryInformation, 64),
        (FileIdFullDirectoryInformation, 64),
        (FileIdBothDirectoryInformation, 64),
        (FileIdExtdDirectoryInformation, 68),
        (FileIdExtdBothDirectoryInformation, 68),
    ] {
        let query = Query {
            class,
            restart: true,
            ..Default::default()
        };
        let mut room = [0; 200];
        let reply = fixture.volume.query_directory(root, &query, &mut room);
        assert_eq!(reply.0, STATUS_SUCCESS);
        let int = |at: usize| u32::from_le_bytes(room[at..at + 4].try_into().unwrap());
        assert_eq!(int(56), attribute::ARCHIVE | attribute::REPARSE_POINT);
        assert_eq!(int(at), SYMBOLIC_LINK, "{class}");
    }
}

#[test]
fn a_reparse_point_is_a_change_of_attributes() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    let watched = fixture.volume.notify(
        root,
        (change::ATTRIBUTES, false),
        Class::Plain,
        100,
        Ticket(1),
        &|| true,
    );
    assert_eq!(watched, Outcome::Waiting);
    let data = link("to");
    let (_, finished) = effects(|effects| {
        let control = FSCTL_SET_REPARSE_POINT;
        fixture
            .volume
            .reparse_control(file, control, &data, &mut [], effects)
    });
    assert_eq!(finished[0].data[4..14], [3, 0, 0, 0, 2, 0, 0, 0, b'f', 0]);
}
