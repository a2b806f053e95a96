//! Devices, file objects and names.

#![expect(unsafe_code, reason = "devices and contexts are looked at")]

use super::*;

#[test]
fn file_objects_are_set_up_as_file_systems_do() {
    let (_alone, volumes) = turn(Mix::quiet());
    let file = open(r"\??\H:\setup", FILE_CREATE, SYNCHRONOUS);
    let other = open(r"\??\H:\SETUP", FILE_OPEN, 0);
    let (one, two) = (file_object(&file), file_object(&other));
    assert!(!one.FsContext.is_null() && one.FsContext == two.FsContext);
    assert_ne!(one.FsContext2, two.FsContext2);
    assert!(!one.SectionObjectPointer.is_null() && one.PrivateCacheMap.is_null());
    assert!(one.ReadAccess && one.WriteAccess && one.SharedDelete);
    succeeded(file.write(None, &[7; 5000]));
    assert!(!one.PrivateCacheMap.is_null() && two.PrivateCacheMap.is_null());
    assert_eq!(one.CurrentByteOffset, 5000);
    // SAFETY: the context of an open file.
    let header = unsafe { &*one.FsContext.cast::<FSRTL_ADVANCED_FCB_HEADER>() };
    assert_eq!(
        (header.Base.FileSize, header.Base.AllocationSize),
        (5000, 8192)
    );
    assert_eq!(i32::from(header.Base.IsFastIoPossible), FastIoIsPossible);
    succeeded(file.lock(
        Range {
            offset: 0,
            length: 1,
            key: 0,
        },
        true,
        true,
    ));
    assert_eq!(
        i32::from(header.Base.IsFastIoPossible),
        FastIoIsQuestionable
    );
    assert_ne!(u32::from(header.Base.Flags) & FSRTL_FLAG_ADVANCED_HEADER, 0);
    let uncached = open(
        r"\??\H:\setup",
        FILE_OPEN,
        SYNCHRONOUS | FILE_NO_INTERMEDIATE_BUFFERING,
    );
    assert!(file_object(&uncached).PrivateCacheMap.is_null());
    let outcome = uncached.read(Some(0), 100);
    assert_eq!(outcome.status, STATUS_INVALID_PARAMETER);
    drop(uncached);
    drop((file, other));
    std::fs::remove_file(volumes.disk.0.join("setup")).unwrap();
}

#[test]
fn volumes_ask_for_the_buffers_they_should() {
    let (_alone, volumes) = turn(Mix::quiet());
    // SAFETY: a storage device of this test.
    let volume = unsafe { mount::volume_device(volumes.disk.1 as *mut DEVICE_OBJECT) }.unwrap();
    // SAFETY: a mounted volume's device.
    let flags = unsafe { (*volume).Flags };
    assert_eq!(
        flags & (DO_DIRECT_IO | DO_BUFFERED_IO | DO_DEVICE_INITIALIZING),
        DO_DIRECT_IO
    );
    let file = open(r"\??\N:\x", FILE_CREATE, SYNCHRONOUS | FILE_DELETE_ON_CLOSE);
    // SAFETY: an open file's device.
    let device = unsafe { &*file_object(&file).DeviceObject };
    assert_eq!(
        device.Flags & (DO_DIRECT_IO | DO_BUFFERED_IO | DO_DEVICE_INITIALIZING),
        0
    );
    assert_eq!(device.DeviceType, FILE_DEVICE_NETWORK_FILE_SYSTEM);
    let name = succeeded(file.query_information(FileNameInformation, 100));
    assert_eq!(
        &name.data[4..],
        "\\box\\share\\x"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>()
    );
}

/// `FILE_RENAME_INFORMATION` or `FILE_LINK_INFORMATION`.
fn name_information(flags: u32, name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut buffer = flags.to_le_bytes().to_vec();
    buffer.extend([0; 12]);
    buffer.extend((name.len() as u32).to_le_bytes());
    buffer.extend(name);
    buffer.resize(buffer.len().max(24), 0);
    buffer
}

#[test]
fn renames_go_through_a_target_directory() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        drop(open(
            r"\??\H:\to",
            FILE_CREATE,
            FILE_DIRECTORY_FILE | SYNCHRONOUS,
        ));
        let file = open(r"\??\H:\from", FILE_CREATE, SYNCHRONOUS);
        let rename =
            |name: &str| file.set_information(FileRenameInformation, &name_information(0, name));
        succeeded(rename("other"));
        assert!(volumes.disk.0.join("other").exists());
        succeeded(rename(r"\??\H:\TO\there"));
        assert!(volumes.disk.0.join("to/there").exists());
        assert_eq!(
            rename(r"\??\H:\none\there").status,
            STATUS_OBJECT_PATH_NOT_FOUND
        );
        assert_eq!(rename(r"\??\N:\there").status, STATUS_NOT_SAME_DEVICE);
        let name = succeeded(file.query_information(FileNameInformation, 100));
        let expected: Vec<u8> = r"\to\there"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(name.data[4..], expected);
        drop(file);
        std::fs::remove_dir_all(volumes.disk.0.join("to")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn links_go_through_a_target_directory() {
    let (_alone, volumes) = turn(Mix::quiet());
    drop(open(
        r"\??\H:\to",
        FILE_CREATE,
        FILE_DIRECTORY_FILE | SYNCHRONOUS,
    ));
    let file = open(r"\??\H:\from", FILE_CREATE, SYNCHRONOUS);
    for (class, flags) in [
        (FileLinkInformation, 0),
        (FileLinkInformationEx, 0),
        (FileLinkInformationEx, FILE_RENAME_REPLACE_IF_EXISTS),
    ] {
        let link = |name: &str| file.set_information(class, &name_information(flags, name));
        succeeded(link(r"\??\H:\TO\there"));
        assert_eq!(
            link(r"\??\H:\none\there").status,
            STATUS_OBJECT_PATH_NOT_FOUND
        );
        assert_eq!(link(r"\??\N:\there").status, STATUS_NOT_SAME_DEVICE);
        let links = succeeded(file.query_information(FileStandardLinkInformation, 12));
        assert_eq!(links.data[4], 2);
        if flags == 0 {
            std::fs::remove_file(volumes.disk.0.join("to/there")).unwrap();
        }
    }
    drop(file);
    std::fs::remove_dir_all(volumes.disk.0.join("to")).unwrap();
    std::fs::remove_file(volumes.disk.0.join("from")).unwrap();
}

#[test]
fn a_cd_rom_is_read_only() {
    let (_alone, volumes) = turn(Mix::default());
    std::fs::write(volumes.cd.join("f"), b"data").unwrap();
    assert_eq!(
        open_with(r"\??\K:\f", RIGHTS, FILE_OPEN, SYNCHRONOUS).err(),
        Some(STATUS_ACCESS_DENIED)
    );
    assert_eq!(
        open_with(r"\??\K:\n", READ, FILE_CREATE, SYNCHRONOUS).err(),
        Some(STATUS_MEDIA_WRITE_PROTECTED)
    );
    let file = open_with(r"\??\K:\f", READ, FILE_OPEN, SYNCHRONOUS).unwrap();
    assert_eq!(succeeded(file.read(Some(0), 10)).data, b"data");
    let device = succeeded(file.query_volume(FileFsDeviceInformation, 8));
    assert_eq!(device.data[0], 2);
}

#[test]
fn paths_of_the_redirector_are_checked() {
    let (_alone, _) = turn(Mix::quiet());
    for name in [
        r"\;N:\box\other\f",
        r"\;Q:\box\share\f",
        r"\;N:\box\shared",
        r"\x",
        r"\;",
        r"\;N",
    ] {
        let name = format!(r"\Device\HostRedirector{name}");
        assert_eq!(
            open_with(&name, READ, FILE_OPEN, SYNCHRONOUS).err(),
            Some(STATUS_BAD_NETWORK_NAME),
            "{name}"
        );
    }
    let itself = open_with(r"\Device\HostRedirector", READ, FILE_OPEN, SYNCHRONOUS).unwrap();
    assert_eq!(
        itself.read(Some(0), 1).status,
        STATUS_INVALID_DEVICE_REQUEST
    );
    let root = open_with(r"\??\N:\", READ, FILE_OPEN, SYNCHRONOUS).unwrap();
    let volume = root.fs_control(FSCTL_DISMOUNT_VOLUME, &[], 0);
    assert_eq!(volume.status, STATUS_INVALID_DEVICE_REQUEST);
}

#[test]
fn no_name_leads_out_of_a_volume() {
    let (_alone, volumes) = turn(Mix::quiet());
    std::fs::write(volumes.disk.0.parent().unwrap().join("ntbox-outside"), b"x").unwrap();
    for name in [
        r"..\ntbox-outside",
        r"a\..\..\ntbox-outside",
        r"../ntbox-outside",
        r"\..\ntbox-outside",
    ] {
        for root in [r"\??\H:\", r"\??\N:\"] {
            let status = open_with(&format!("{root}{name}"), READ, FILE_OPEN, SYNCHRONOUS)
                .err()
                .unwrap();
            assert!(
                status == STATUS_OBJECT_NAME_INVALID,
                "{name}: {}",
                Status(status)
            );
        }
    }
    std::fs::remove_file(volumes.disk.0.parent().unwrap().join("ntbox-outside")).unwrap();
}

#[test]
fn fast_query_open_agrees_with_an_open() {
    let (_alone, volumes) = turn(Mix::quiet());
    std::fs::write(volumes.disk.0.join("q"), b"12345").unwrap();
    let fast = succeeded(query_attributes(r"\??\H:\Q"));
    assert!(fast.fast);
    settle(Mix {
        decline_fast_io: 1000,
        ..Mix::quiet()
    });
    let slow = succeeded(query_attributes(r"\??\H:\q"));
    assert!(!slow.fast);
    assert_eq!(fast.data, slow.data);
    assert_eq!(
        query_attributes(r"\??\H:\none").status,
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    let file = open_with(
        r"\??\H:\q",
        FILE_READ_ATTRIBUTES | SYNCHRONIZE,
        FILE_OPEN,
        SYNCHRONOUS,
    )
    .unwrap();
    assert_eq!(
        succeeded(file.query_information(FileNetworkOpenInformation, 56)).data[..52],
        fast.data[..52]
    );
    drop(file);
    std::fs::remove_file(volumes.disk.0.join("q")).unwrap();
}

/// A process may have some thousands of files open, and a scenario mounts a volume for each order of its steps.
#[cfg(target_os = "linux")]
#[test]
fn a_volume_that_is_dismounted_keeps_no_file_open() {
    const MOUNTS: usize = 300;
    /// What tests of volumes without a driver, which run meanwhile, may have open.
    const OTHERS: usize = 100;
    let (_alone, volumes) = turn(Mix::quiet());
    let storage = volumes.lost.1 as *mut DEVICE_OBJECT;
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_files();
    for mount in 0..MOUNTS {
        let file = open(r"\??\L:\counted", FILE_OPEN_IF, SYNCHRONOUS);
        // An open file outlives its volume in every other one.
        let kept = (mount % 2 == 0).then_some(file);
        // SAFETY: a storage device of the box.
        let dismounted = unsafe { crate::dismount(storage) };
        assert_eq!(dismounted, STATUS_SUCCESS, "{mount}");
        drop(kept);
    }
    settle(Mix::quiet());
    let after = open_files();
    assert!(after < before + OTHERS, "{before} and then {after}");
}
