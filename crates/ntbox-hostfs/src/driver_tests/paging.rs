//! Pages that are written, under every choice of the adversary.

use super::*;
use ntbox_kernel::user::{Mapping, PAGE, PageFile, View, Writer};

#[test]
fn a_page_is_written_up_to_the_end_of_the_file() {
    for mix in mixes() {
        let (_turn, _volumes) = turn(mix);
        for writer in Writer::OF_VIEWS {
            let file = open(r"\??\H:\pages", FILE_SUPERSEDE, SYNCHRONOUS);
            succeeded(file.write(Some(0), &[1; PAGE + 100]));
            let view = mapped(&file, Mapping::Writable);
            for (page, written) in [(0, PAGE), (1, 100), (2, 0)] {
                let outcome = succeeded(view.page_out(page, &[2; PAGE], writer));
                assert_eq!(outcome.information, written, "{writer:?}, page {page}");
            }
            let read = succeeded(file.read(Some(0), 3 * PAGE as u32));
            assert_eq!(read.data, [2; PAGE + 100], "{writer:?}");
        }
    }
}

fn mapped(file: &File, mapping: Mapping) -> View {
    let (outcome, view) = file.map(mapping);
    succeeded(outcome);
    view.expect("a view")
}

#[test]
fn a_page_that_was_written_is_what_a_view_shows() {
    let (_turn, _volumes) = turn(Mix::default());
    let file = open(r"\??\H:\view", FILE_SUPERSEDE, SYNCHRONOUS);
    succeeded(file.write(Some(0), &[1; 2 * PAGE]));
    let view = mapped(&file, Mapping::Writable);
    let mut page = view.page_in(1).data;
    page[17] = 9;
    succeeded(view.page_out(1, &page, Writer::MappedPageWriter));
    assert_eq!(succeeded(view.page_in(1)).data, page);
    let all = succeeded(file.read(Some(0), 3 * PAGE as u32)).data;
    assert_eq!((all.len(), &all[PAGE..]), (2 * PAGE, &page[..]));
}

#[test]
fn a_view_outlives_its_handle() {
    for mix in mixes() {
        let (_turn, _volumes) = turn(mix);
        let file = open(r"\??\H:\outlived", FILE_SUPERSEDE, SYNCHRONOUS);
        succeeded(file.write(Some(0), &[1; PAGE]));
        let view = mapped(&file, Mapping::Writable);
        drop(file);
        for (byte, writer) in (2..).zip(Writer::OF_VIEWS) {
            succeeded(view.page_out(0, &[byte; PAGE], writer));
            assert_eq!(succeeded(view.page_in(0)).data, [byte; PAGE]);
        }
        let again = open(r"\??\H:\outlived", FILE_OPEN, SYNCHRONOUS);
        let cut = |file: &File| {
            file.set_information(FileEndOfFileInformation, &[0; 8])
                .status
        };
        assert_eq!(cut(&again), STATUS_USER_MAPPED_FILE);
        succeeded(view.unmap());
        assert_eq!(cut(&again), STATUS_SUCCESS);
    }
}

#[test]
fn what_cannot_be_mapped_is_not() {
    let (_turn, _volumes) = turn(Mix::default());
    let empty = open(r"\??\H:\empty", FILE_SUPERSEDE, SYNCHRONOUS);
    let status = |file: &File, mapping| file.map(mapping).0.status;
    assert_eq!(
        status(&empty, Mapping::ReadOnly),
        STATUS_MAPPED_FILE_SIZE_ZERO
    );
    succeeded(empty.write(Some(0), &[1; 10]));
    let parameters = CreateParameters::new(r"\??\H:\empty").options(SYNCHRONOUS);
    let read_only = create_file(&parameters).file.expect("it is there");
    assert_eq!(status(&read_only, Mapping::ReadOnly), STATUS_SUCCESS);
    assert_eq!(status(&read_only, Mapping::Writable), STATUS_ACCESS_DENIED);
    let view = mapped(&read_only, Mapping::ReadOnly);
    let written = view.page_out(0, &[2; PAGE], Writer::Program);
    assert_eq!(written.status, STATUS_ACCESS_VIOLATION);
    let folder = open(r"\??\H:\", FILE_OPEN, SYNCHRONOUS | FILE_DIRECTORY_FILE);
    assert_eq!(
        status(&folder, Mapping::ReadOnly),
        STATUS_INVALID_FILE_FOR_SECTION
    );
}

/// Of a cached file, whose pages come by fast I/O unless the mix declines that, and of one that is not.
#[test]
fn pages_are_lent_to_a_file_server_and_taken_back() {
    for mix in mixes() {
        let (_turn, _volumes) = turn(mix);
        for options in [SYNCHRONOUS, 0, FILE_NO_INTERMEDIATE_BUFFERING] {
            let file = open(r"\??\H:\served", FILE_SUPERSEDE, options);
            let written = succeeded(file.mdl_write(4096, &[3; 8192]));
            assert_eq!(written.information, 8192);
            let read = succeeded(file.mdl_read(8192, 8192));
            assert_eq!(read.data, [3; 4096]);
            assert_eq!(succeeded(file.mdl_read(0, 4096)).data, [0; 4096]);
            assert_eq!(file.mdl_read(12288, 4096).status, STATUS_END_OF_FILE);
            let range = Range {
                offset: 0,
                length: 1,
                key: 0,
            };
            let other = open(r"\??\H:\served", FILE_OPEN, SYNCHRONOUS);
            succeeded(other.lock(range, true, true));
            assert_eq!(
                file.mdl_write(0, &[1; 512]).status,
                STATUS_FILE_LOCK_CONFLICT
            );
            assert_eq!(file.mdl_read(0, 512).status, STATUS_FILE_LOCK_CONFLICT);
        }
    }
}

/// It lies on a disk, is opened once, and a driver is told what it is.
#[test]
fn a_page_file_keeps_pages() {
    for mix in mixes() {
        let (_turn, volumes) = turn(mix);
        let name = r"\??\C:\pagefile.sys";
        let file = PageFile::create(name, 3).expect("a disk has room for it");
        for page in [2, 0] {
            let written = file.page_out(page, &[page as u8 + 1; PAGE]);
            assert_eq!(
                (written.status, written.information),
                (STATUS_SUCCESS, PAGE)
            );
        }
        for (page, byte) in [(0, 1), (1, 0), (2, 3)] {
            let read = file.page_in(page);
            assert_eq!((read.status, read.data), (STATUS_SUCCESS, vec![byte; PAGE]));
        }
        assert_eq!(
            open_with(name, READ, FILE_OPEN, SYNCHRONOUS).err(),
            Some(STATUS_SHARING_VIOLATION)
        );
        drop(file);
        assert!(!volumes.cached.join("pagefile.sys").exists());
    }
}

#[test]
fn a_page_file_lies_on_no_disk_that_may_go() {
    let (_turn, volumes) = turn(Mix::quiet());
    for (letter, folder) in [('N', &volumes.network), ('J', &volumes.late)] {
        let created = PageFile::create(&format!(r"\??\{letter}:\pagefile.sys"), 1);
        assert_eq!(created.err(), Some(STATUS_UNRECOGNIZED_VOLUME), "{letter}");
        assert!(!folder.join("pagefile.sys").exists());
    }
}
