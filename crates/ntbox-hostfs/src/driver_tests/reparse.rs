//! Symbolic links and mount points, as the I/O manager follows them.

use super::*;
use ntbox_kernel::nt::reparse::{MOUNT_POINT, SYMBOLIC_LINK, leading_to};

const ITSELF: u32 = SYNCHRONOUS | FILE_OPEN_REPARSE_POINT;

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// Makes `name` a reparse point.
fn make(name: &str, options: u32, data: &[u8]) {
    let file = open(name, FILE_CREATE, ITSELF | options);
    succeeded(file.fs_control(FSCTL_SET_REPARSE_POINT, data, 0));
}

fn link(name: &str, target: &str, relative: bool) {
    make(name, 0, &leading_to(SYMBOLIC_LINK, &wide(target), relative));
}

fn mount(name: &str, target: &str) {
    let data = leading_to(MOUNT_POINT, &wide(target), false);
    make(name, FILE_DIRECTORY_FILE, &data);
}

fn remove(name: &str) {
    drop(open(name, FILE_OPEN, ITSELF | FILE_DELETE_ON_CLOSE));
}

fn name_of(file: &File) -> String {
    let name = succeeded(file.query_information(FileNameInformation, 200)).data;
    let units = name[4..].as_chunks().0.iter();
    let units: Vec<u16> = units.map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16(&units).unwrap()
}

#[test]
fn links_and_mount_points_are_followed() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        let d = r"\??\H:\d";
        drop(open(d, FILE_CREATE, FILE_DIRECTORY_FILE | SYNCHRONOUS));
        succeeded(open(r"\??\H:\d\f", FILE_CREATE, SYNCHRONOUS).write(None, b"here"));
        succeeded(open(r"\??\H:\d\f:s", FILE_CREATE, SYNCHRONOUS).write(None, b"stream"));
        succeeded(open(r"\??\J:\far", FILE_CREATE, SYNCHRONOUS).write(None, b"there"));
        link(r"\??\H:\d\beside", "f", true);
        link(r"\??\H:\d\above", r"..\d\f", true);
        link(r"\??\H:\root", r"\d\f", true);
        link(r"\??\H:\absolute", r"\??\J:\far", false);
        link(r"\??\H:\twice", "absolute", true);
        mount(r"\??\H:\volume", r"\??\J:\");
        mount(r"\??\H:\directory", d);
        for (name, leads_to, data) in [
            (r"d\beside", r"\d\f", "here"),
            (r"d\above", r"\d\f", "here"),
            ("root", r"\d\f", "here"),
            ("absolute", r"\far", "there"),
            ("twice", r"\far", "there"),
            (r"volume\far", r"\far", "there"),
            (r"directory\F", r"\d\f", "here"),
            (r"directory\beside", r"\d\f", "here"),
            ("root:s", r"\d\f:s", "stream"),
            (r"directory\beside::$DATA", r"\d\f", "here"),
        ] {
            let file = open(&format!(r"\??\H:\{name}"), FILE_OPEN, SYNCHRONOUS);
            assert_eq!(name_of(&file), leads_to, "{name}");
            assert_eq!(succeeded(file.read(Some(0), 10)).data, data.as_bytes());
        }
        // Relative to a handle, and to be made.
        let root = open_with(d, READ, FILE_OPEN, SYNCHRONOUS).unwrap();
        let relative = CreateParameters::new("beside").relative_to(&root);
        assert_eq!(name_of(&create_file(&relative).file.unwrap()), r"\d\f");
        drop(open(r"\??\H:\volume\new", FILE_CREATE, SYNCHRONOUS));
        assert!(volumes.late.join("new").exists());
        // A link to nothing, and a new file where it leads.
        link(r"\??\H:\dangling", "nothing", true);
        let nothing = open_with(r"\??\H:\dangling", READ, FILE_OPEN, SYNCHRONOUS);
        assert_eq!(nothing.err(), Some(STATUS_OBJECT_NAME_NOT_FOUND));
        drop(open(r"\??\H:\dangling", FILE_OPEN_IF, SYNCHRONOUS));
        assert!(volumes.disk.0.join("nothing").exists());
        // Attributes are those of the link itself.
        let attributes = succeeded(query_attributes(r"\??\H:\root"));
        let reparse_point = 0x400;
        assert_eq!(
            attributes.data[48..52],
            (0x20 | reparse_point as u32).to_le_bytes()
        );
        let beyond = succeeded(query_attributes(r"\??\H:\volume\far"));
        assert_eq!(beyond.data[40..48], 5_u64.to_le_bytes());
        for name in [
            "root",
            "absolute",
            "twice",
            "dangling",
            "volume",
            "directory",
        ] {
            remove(&format!(r"\??\H:\{name}"));
        }
        std::fs::remove_dir_all(volumes.disk.0.join("d")).unwrap();
        std::fs::remove_file(volumes.disk.0.join("nothing")).unwrap();
        for name in ["far", "new"] {
            std::fs::remove_file(volumes.late.join(name)).unwrap();
        }
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn what_leads_nowhere_is_an_error() {
    let (_alone, volumes) = turn(Mix::quiet());
    link(r"\??\H:\one", "other", true);
    link(r"\??\H:\other", "one", true);
    let theirs = [&0xBEEF_u32.to_le_bytes()[..], &[0; 4], &[7; 16]].concat();
    make(r"\??\H:\theirs", 0, &theirs);
    mount(r"\??\H:\lost", r"\??\Q:\");
    for (name, status) in [
        ("one", STATUS_REPARSE_POINT_NOT_RESOLVED),
        ("theirs", STATUS_IO_REPARSE_TAG_NOT_HANDLED),
        ("lost", STATUS_OBJECT_PATH_NOT_FOUND),
    ] {
        let name = format!(r"\??\H:\{name}");
        let opened = open_with(&name, READ, FILE_OPEN, SYNCHRONOUS);
        assert_eq!(opened.err(), Some(status), "{name}");
        drop(open_with(&name, READ, FILE_OPEN, ITSELF).unwrap());
    }
    // 63 links on a path are not too many.
    link(r"\??\H:\0", r"\end", true);
    for number in 1..64 {
        let before = format!(r"\{}", number - 1);
        link(&format!(r"\??\H:\{number}"), &before, true);
    }
    drop(open(r"\??\H:\end", FILE_CREATE, SYNCHRONOUS));
    drop(open(r"\??\H:\62", FILE_OPEN, SYNCHRONOUS));
    let opened = open_with(r"\??\H:\63", READ, FILE_OPEN, SYNCHRONOUS);
    assert_eq!(opened.err(), Some(STATUS_REPARSE_POINT_NOT_RESOLVED));
    for number in 0..64 {
        std::fs::remove_file(volumes.disk.0.join(number.to_string())).unwrap();
    }
    for name in ["one", "other", "theirs", "end"] {
        std::fs::remove_file(volumes.disk.0.join(name)).unwrap();
    }
    std::fs::remove_dir(volumes.disk.0.join("lost")).unwrap();
}

#[test]
fn a_file_is_opened_by_its_id_or_is_a_reparse_point() {
    let (_alone, volumes) = turn(Mix::quiet());
    succeeded(open(r"\??\H:\end", FILE_CREATE, SYNCHRONOUS).write(None, b"end"));
    link(r"\??\H:\way", "end", true);
    let way = open(r"\??\H:\way", FILE_OPEN, ITSELF);
    let id = succeeded(way.query_information(FileInternalInformation, 8)).data;
    let id = u64::from_le_bytes(id.try_into().unwrap());
    let by_id = CreateParameters::new(r"\??\H:\").by_id(id);
    assert_eq!(name_of(&create_file(&by_id).file.unwrap()), r"\end");
    let itself = by_id.options(by_id.open.options | FILE_OPEN_REPARSE_POINT);
    assert_eq!(name_of(&create_file(&itself).file.unwrap()), r"\way");
    drop(way);
    // A rename goes into the directory where a mount point leads, on the same volume.
    drop(open(
        r"\??\H:\d",
        FILE_CREATE,
        FILE_DIRECTORY_FILE | SYNCHRONOUS,
    ));
    mount(r"\??\H:\m", r"\??\H:\d");
    mount(r"\??\H:\n", r"\??\J:\");
    let end = open(r"\??\H:\end", FILE_OPEN, SYNCHRONOUS);
    let rename = |name: &str| {
        let name: Vec<u8> = wide(name).into_iter().flat_map(u16::to_le_bytes).collect();
        let mut information = vec![0; 16];
        information.extend((name.len() as u32).to_le_bytes());
        information.extend(name);
        end.set_information(FileRenameInformation, &information)
    };
    succeeded(rename(r"\??\H:\m\moved"));
    assert!(volumes.disk.0.join("d/moved").exists());
    assert_eq!(rename(r"\??\H:\n\moved").status, STATUS_NOT_SAME_DEVICE);
    drop(end);
    // On the network the share is in front of the name.
    drop(open(r"\??\N:\end", FILE_CREATE, SYNCHRONOUS));
    link(r"\??\N:\way", "end", true);
    let far = open(r"\??\N:\way", FILE_OPEN, SYNCHRONOUS);
    assert_eq!(name_of(&far), r"\box\share\end");
    drop(far);
    for name in ["end", "way"] {
        std::fs::remove_file(volumes.network.join(name)).unwrap();
    }
    for name in [r"\??\H:\m", r"\??\H:\n", r"\??\H:\way"] {
        remove(name);
    }
    std::fs::remove_dir_all(volumes.disk.0.join("d")).unwrap();
}
