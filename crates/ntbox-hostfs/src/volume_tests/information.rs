//! Data, information and security.

use super::*;

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
    assert_eq!(
        fixture.read(open, i64::MAX, 2),
        Err(STATUS_INVALID_PARAMETER)
    );
    let append = Transfer {
        offset: END_OF_FILE,
        ..Default::default()
    };
    assert_eq!(
        fixture.volume.write(open, &append, b"d"),
        ((STATUS_SUCCESS, 1), 5)
    );
    let paging = Transfer {
        offset: 4,
        paging: true,
        ..Default::default()
    };
    assert_eq!(
        fixture.volume.write(open, &paging, b"XYZ"),
        ((STATUS_SUCCESS, 2), 4)
    );
    assert_eq!(fixture.read(open, 0, 10).unwrap(), b"\0\0abXY");
    let aligned = Transfer {
        offset: 4,
        aligned: true,
        ..Default::default()
    };
    assert_eq!(
        fixture.volume.read(open, &aligned, &mut [0; 512]).0,
        STATUS_INVALID_PARAMETER
    );
    let aligned = Transfer {
        offset: 0,
        aligned: true,
        ..Default::default()
    };
    assert_eq!(
        fixture.volume.read(open, &aligned, &mut [0; 512]),
        (STATUS_SUCCESS, 6)
    );
    let directory = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        fixture.read(directory, 0, 1),
        Err(STATUS_INVALID_DEVICE_REQUEST)
    );
    effects(|effects| fixture.volume.cleanup(open, effects));
    assert_eq!(fixture.read(open, 0, 1), Err(STATUS_FILE_CLOSED));
    assert_eq!(
        fixture
            .volume
            .read(
                open,
                &Transfer {
                    paging: true,
                    ..aligned
                },
                &mut [0; 512]
            )
            .1,
        6
    );
}

#[test]
fn attributes_are_kept_beside_the_host() {
    let fixture = new();
    let hidden = Request {
        attributes: attribute::HIDDEN,
        ..request(r"\h", FILE_CREATE, 0)
    };
    let open = fixture.try_open(&hidden).unwrap().open;
    assert_eq!(
        fixture.attributes(open),
        attribute::HIDDEN | attribute::ARCHIVE
    );
    fixture.close(open);
    assert_eq!(
        fixture.status(r"\h", FILE_OVERWRITE, 0),
        STATUS_ACCESS_DENIED
    );
    let overwrite = Request {
        attributes: attribute::HIDDEN,
        ..request(r"\h", FILE_OVERWRITE, 0)
    };
    let open = fixture.try_open(&overwrite).unwrap().open;
    assert_eq!(
        fixture.set_attributes(open, attribute::NORMAL),
        STATUS_SUCCESS
    );
    assert_eq!(fixture.attributes(open), attribute::NORMAL);
    assert_eq!(
        fixture.set_attributes(open, attribute::DIRECTORY),
        STATUS_INVALID_PARAMETER
    );
    fixture.set_attributes(open, attribute::READONLY);
    let wanted = |desired| {
        fixture.try_open(&Request {
            desired,
            ..request(r"\h", FILE_OPEN, 0)
        })
    };
    assert_eq!(
        wanted(access::WRITE_DATA).unwrap_err(),
        STATUS_ACCESS_DENIED
    );
    assert_eq!(
        wanted(access::GENERIC_WRITE).unwrap_err(),
        STATUS_ACCESS_DENIED
    );
    let maximum = wanted(access::MAXIMUM_ALLOWED).unwrap();
    assert_eq!(
        maximum.granted & (access::WRITE_DATA | access::READ_DATA),
        access::READ_DATA
    );
}

#[test]
fn times_can_be_set_and_kept() {
    let fixture = new();
    let open = fixture.open(r"\f", FILE_CREATE, 0);
    let times = |open| -> Vec<i64> {
        let bytes = fixture.query(open, FileBasicInformation, 40).unwrap();
        bytes[..32]
            .chunks(8)
            .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
            .collect()
    };
    let set = |values: [i64; 4]| {
        let mut buffer: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
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
        fixture.volume.set_information(
            open,
            FileEndOfFileInformation,
            true,
            &2_i64.to_le_bytes(),
            effects,
        )
    });
    assert_eq!((advance.0, sizes()[1]), (STATUS_SUCCESS, 3));
    assert_eq!(
        fixture.set(open, FileEndOfFileInformation, &[0; 7]),
        STATUS_INFO_LENGTH_MISMATCH
    );
    assert_eq!(fixture.set(open, 999, &[0; 64]), STATUS_INVALID_INFO_CLASS);
}

#[test]
fn queries_know_their_lengths() {
    let fixture = new();
    let open = fixture.open(r"\a longer name", FILE_CREATE, 0);
    assert_eq!(
        fixture.query(open, FileBasicInformation, 39),
        Err(STATUS_INFO_LENGTH_MISMATCH)
    );
    assert_eq!(
        fixture.query(open, 999, 100),
        Err(STATUS_INVALID_INFO_CLASS)
    );
    assert_eq!(
        fixture.query(open, FileAlternateNameInformation, 100),
        Err(STATUS_OBJECT_NAME_NOT_FOUND)
    );
    let mut bytes = [0; 12];
    let reply = fixture
        .volume
        .query_information(open, FileNameInformation, 0, &mut bytes);
    assert_eq!(reply, (STATUS_BUFFER_OVERFLOW, 12));
    assert_eq!((bytes[0], &bytes[4..]), (28, &b"\\\0a\0 \0l\0"[..]));
    assert_eq!(
        fixture.query(open, FileNameInformation, 7),
        Err(STATUS_INFO_LENGTH_MISMATCH)
    );
    assert_eq!(
        fixture
            .query(open, FileStreamInformation, 100)
            .unwrap()
            .len(),
        38
    );
    assert_eq!(
        fixture.query(open, FileAllInformation, 200).unwrap().len(),
        128
    );
    assert_eq!(
        fixture
            .query(open, FileNetworkOpenInformation, 56)
            .unwrap()
            .len(),
        56
    );
    let volume = fixture.open("", FILE_OPEN, 0);
    assert_eq!(
        fixture.query(volume, FileBasicInformation, 40),
        Err(STATUS_INVALID_PARAMETER)
    );
    assert_eq!(
        fixture.query(volume, FileNameInformation, 40).unwrap(),
        [0; 4]
    );
}

#[test]
fn volume_information_is_given() {
    let fixture = new();
    let open = fixture.open(r"\", FILE_OPEN, 0);
    let mut bytes = [0; 64];
    let mut query = |class, length: usize| {
        fixture
            .volume
            .query_volume(open, class, &mut bytes[..length])
    };
    assert_eq!(query(FileFsVolumeInformation, 64), (STATUS_SUCCESS, 26));
    assert_eq!(
        query(FileFsVolumeInformation, 24),
        (STATUS_BUFFER_OVERFLOW, 24)
    );
    assert_eq!(query(FileFsSizeInformation, 24), (STATUS_SUCCESS, 24));
    assert_eq!(
        query(FileFsFullSizeInformation, 31),
        (STATUS_INFO_LENGTH_MISMATCH, 0)
    );
    assert_eq!(query(FileFsDeviceInformation, 8), (STATUS_SUCCESS, 8));
    assert_eq!(query(FileFsAttributeInformation, 64), (STATUS_SUCCESS, 24));
    let mut attributes = [0; 64];
    let class = FileFsAttributeInformation;
    fixture.volume.query_volume(open, class, &mut attributes);
    let told = u32::from_le_bytes(attributes[..4].try_into().unwrap());
    // Case is told apart, kept, and Unicode; sparse files, reparse points; POSIX semantics, case-sensitive directories;
    // streams, hard links, extended attributes, opens by id.
    assert_eq!(told, 0x7 | 0xC0 | 0x2400 | 0x1C4_0000);
    assert_eq!(query(999, 64), (STATUS_INVALID_INFO_CLASS, 0));
    let label = [&6_u32.to_le_bytes()[..], b"n\0e\0w\0"].concat();
    assert_eq!(
        fixture
            .volume
            .set_volume(open, FileFsLabelInformation, &label),
        STATUS_SUCCESS
    );
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
    assert_eq!(
        fixture.volume.query_security(open, 7, &mut bytes),
        (STATUS_SUCCESS, needed)
    );
    let owner = bytes[20..36].to_vec();
    bytes[28..32].copy_from_slice(&99_u32.to_le_bytes());
    let set = |information, bytes: &[u8]| {
        effects(|effects| {
            fixture
                .volume
                .set_security(open, information, bytes, effects)
        })
        .0
    };
    assert_eq!(set(1, &bytes), STATUS_SUCCESS);
    let again = fixture.open(r"\f", FILE_OPEN, 0);
    let mut stored = vec![0; needed];
    assert_eq!(
        fixture.volume.query_security(again, 7, &mut stored),
        (STATUS_SUCCESS, needed)
    );
    assert_eq!(stored, bytes);
    assert_ne!(stored[20..36], owner);
    assert_eq!(set(1, &bytes[..10]), STATUS_INVALID_SECURITY_DESCR);
}

#[test]
fn all_of_a_file_is_told_at_once() {
    let fixture = new();
    fixture.make(r"\f", b"four");
    let wanted = Request {
        desired: access::READ_ATTRIBUTES | access::DELETE,
        ..request(r"\f", FILE_OPEN, 0)
    };
    let open = fixture.try_open(&wanted).unwrap().open;
    let stat = fixture.query(open, FileStatInformation, 72).unwrap();
    let of = |class, length| fixture.query(open, class, length).unwrap();
    assert_eq!(stat[..8], of(FileInternalInformation, 8));
    let network = of(FileNetworkOpenInformation, 56);
    // Times, allocation, end of file, attributes.
    assert_eq!(stat[8..60], network[..52]);
    let int = |at: usize| u32::from_le_bytes(stat[at..at + 4].try_into().unwrap());
    assert_eq!((int(60), int(64), int(68)), (0, 1, wanted.desired));
    let small = fixture.query(open, FileStatInformation, 71);
    assert_eq!(small, Err(STATUS_INFO_LENGTH_MISMATCH));
}

/// What Linux programs keep beside a file is told with the rest of it, as far as it is there and well formed.
#[test]
fn what_linux_keeps_is_told_with_the_rest() {
    let fixture = new();
    fixture.make(r"\f", b"four");
    let open = fixture.open(r"\f", FILE_OPEN, 0);
    let stat = |length| fixture.query(open, FileStatLxInformation, length);
    let told = || {
        let stat = stat(96).unwrap();
        let int = |at: usize| u32::from_le_bytes(stat[at..at + 4].try_into().unwrap());
        [72, 76, 80, 84, 88, 92].map(int)
    };
    assert_eq!(told(), [0; 6]);
    let plain = fixture.query(open, FileStatInformation, 72).unwrap();
    assert_eq!(stat(96).unwrap()[..72], plain);
    let set = |name: &str, value: &[u8]| {
        let mut list = vec![0, 0, 0, 0, 0, name.len() as u8, value.len() as u8, 0];
        list.extend(name.bytes().chain([0]).chain(value.iter().copied()));
        let (reply, _) = effects(|effects| fixture.volume.set_ea(open, &list, effects));
        assert_eq!(reply.0, STATUS_SUCCESS, "{name}");
    };
    set("$LXMOD", &0o100_640_u32.to_le_bytes());
    assert_eq!(told(), [4, 0, 0, 0o100_640, 0, 0]);
    set("$LXUID", &7_u32.to_le_bytes());
    set("$LXDEV", &[1, 0, 0, 0, 3, 0, 0, 0]);
    // A value of another length is none.
    set("$LXGID", &[9]);
    assert_eq!(told(), [1 | 4 | 8, 7, 0, 0o100_640, 1, 3]);
    assert_eq!(stat(95), Err(STATUS_INFO_LENGTH_MISMATCH));
}
