//! Every usual class of file and volume information, security, controls.

use super::super::layout::{Mask, basic_information, i64_at};
use super::super::worker::{Worker, synchronous};
use super::{BUFFER, finish, make};
use crate::nt::*;
use crate::user::File;
use crate::user::access::{FILE_LIST_DIRECTORY, SYNCHRONIZE};

/// `FSCTL_GET_COMPRESSION`.
const GET_COMPRESSION: u32 = 0x0009_003C;

/// `FSCTL_IS_VOLUME_MOUNTED`.
const IS_VOLUME_MOUNTED: u32 = 0x0009_0028;

/// `FSCTL_IS_PATHNAME_VALID`.
const IS_PATHNAME_VALID: u32 = 0x0009_002C;

/// A file-system control nobody knows (METHOD_BUFFERED).
const UNKNOWN_BUFFERED: u32 = 0x0009_3FFC;

/// The same with METHOD_OUT_DIRECT.
const UNKNOWN_DIRECT: u32 = 0x0009_3FFE;

/// The same with METHOD_NEITHER.
const UNKNOWN_NEITHER: u32 = 0x0009_3FFF;

/// `IOCTL_DISK_GET_DRIVE_GEOMETRY`.
const GET_DRIVE_GEOMETRY: u32 = 0x0007_0000;

/// `IOCTL_STORAGE_GET_DEVICE_NUMBER`.
const GET_DEVICE_NUMBER: u32 = 0x002D_1080;

/// `OWNER_ | GROUP_ | DACL_SECURITY_INFORMATION`.
const OWNER_GROUP_DACL: u32 = 7;

/// Every usual class of file, volume and security information, on a file and a directory.
pub(super) fn classes(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\classes");
    let options = if worker.one_in(2) { synchronous(0) } else { 0 };
    let Some(file) = make(worker, &path, options, &[7; 5000]) else {
        return;
    };
    const FILE_CLASSES: [i32; 17] = [
        FileBasicInformation,
        FileStandardInformation,
        FileInternalInformation,
        FileEaInformation,
        FileAccessInformation,
        FileNameInformation,
        FilePositionInformation,
        FileModeInformation,
        FileAlignmentInformation,
        FileAllInformation,
        FileStreamInformation,
        FileNetworkOpenInformation,
        FileAttributeTagInformation,
        FileCompressionInformation,
        FileAlternateNameInformation,
        FileNormalizedNameInformation,
        FileMaximumInformation,
    ];
    for class in FILE_CLASSES {
        for length in [512, 8, 0, 100] {
            let mask = if [512, 100].contains(&length) {
                Mask::File(class)
            } else {
                Mask::All
            };
            worker.retried("query information", &path, mask, || {
                file.query_information(class, length)
            });
        }
    }
    set_classes(worker, &path, &file);
    volume_information(worker, &path, &file);
    security(worker, &path, &file);
    controls(worker, &path, &file);
    finish(worker, &path, file);
    let access = FILE_LIST_DIRECTORY | SYNCHRONIZE | 0x2_0080;
    let Some(directory) = worker.must_open(root, |open| {
        open.access(access)
            .options(synchronous(FILE_DIRECTORY_FILE))
    }) else {
        return;
    };
    for class in [
        FileBasicInformation,
        FileNameInformation,
        FileAttributeTagInformation,
    ] {
        worker.retried("query information", root, Mask::File(class), || {
            directory.query_information(class, 512)
        });
    }
    let end = worker.retried("set end", root, Mask::None, || {
        directory.set_information(FileEndOfFileInformation, &[0; 8])
    });
    if end.is_success() {
        worker.complain(root, "a directory's end of file was set");
    }
    worker.close(root, directory);
}

fn set_classes(worker: &mut Worker, path: &str, file: &File) {
    for size in [100_i64, 9000, 0, 4096] {
        let bytes = size.to_le_bytes();
        let outcome = worker.retried("set end", path, Mask::None, || {
            file.set_information(FileEndOfFileInformation, &bytes)
        });
        worker.expect(path, "set end of file", &outcome);
        let standard = worker.retried("query standard", path, Mask::None, || {
            file.query_information(FileStandardInformation, 24)
        });
        if i64_at(&standard.data, 8) != size {
            worker.complain(
                path,
                &format!(
                    "end of file is {} after it was set to {size}",
                    i64_at(&standard.data, 8)
                ),
            );
        }
        let outcome = worker.retried("set allocation", path, Mask::None, || {
            file.set_information(FileAllocationInformation, &bytes)
        });
        worker.expect(path, "set allocation", &outcome);
    }
    for attributes in [0x01, 0x02, 0x80, 0x20] {
        let basic = basic_information(0, 0, 0, 0, attributes);
        let outcome = worker.retried("set basic", path, Mask::None, || {
            file.set_information(FileBasicInformation, &basic)
        });
        worker.expect(path, "set attributes", &outcome);
        worker.retried("query tag", path, Mask::None, || {
            file.query_information(FileAttributeTagInformation, 8)
        });
    }
    let position = 1234_i64.to_le_bytes();
    worker.retried("set position", path, Mask::None, || {
        file.set_information(FilePositionInformation, &position)
    });
    worker.retried("query position", path, Mask::None, || {
        file.query_information(FilePositionInformation, 8)
    });
    worker.retried("read", path, Mask::None, || file.read(Some(100), 100));
    // Wrong lengths and classes are refused before any driver sees them, or by the file system.
    worker.retried("set basic", path, Mask::None, || {
        file.set_information(FileBasicInformation, &[0; 8])
    });
    worker.retried("set unknown", path, Mask::None, || {
        file.set_information(FileMaximumInformation, &[0; 8])
    });
    worker.retried("set stream", path, Mask::None, || {
        file.set_information(FileStreamInformation, &[0; 32])
    });
}

fn volume_information(worker: &mut Worker, path: &str, file: &File) {
    for class in FileFsVolumeInformation..=FileFsSectorSizeInformation {
        worker.retried("query volume", path, Mask::Volume(class), || {
            file.query_volume(class, 256)
        });
        worker.retried("query volume", path, Mask::All, || {
            file.query_volume(class, 16)
        });
    }
    worker.retried("set volume", path, Mask::None, || {
        file.set_volume(FileFsSizeInformation, &[0; 32])
    });
}

fn security(worker: &mut Worker, path: &str, file: &File) {
    let outcome = worker.retried("query security", path, Mask::None, || {
        file.query_security(OWNER_GROUP_DACL, BUFFER)
    });
    if worker.expect(path, "query security", &outcome) && outcome.data.first() != Some(&1) {
        worker.complain(path, "its security descriptor has no revision 1");
    }
    let short = worker.retried("query security", path, Mask::None, || {
        file.query_security(OWNER_GROUP_DACL, 4)
    });
    if short.is_success() {
        worker.complain(path, "a security descriptor fitted into four bytes");
    }
}

fn controls(worker: &mut Worker, path: &str, file: &File) {
    for code in [
        GET_COMPRESSION,
        IS_VOLUME_MOUNTED,
        IS_PATHNAME_VALID,
        UNKNOWN_BUFFERED,
        UNKNOWN_DIRECT,
        UNKNOWN_NEITHER,
    ] {
        worker.retried("fs control", path, Mask::None, || {
            file.fs_control(code, &[1, 2, 3, 4], 64)
        });
        worker.retried("fs control", path, Mask::None, || {
            file.fs_control(code, &[], 0)
        });
    }
    for code in [
        GET_DRIVE_GEOMETRY,
        GET_DEVICE_NUMBER,
        UNKNOWN_BUFFERED,
        UNKNOWN_NEITHER,
    ] {
        worker.retried("device control", path, Mask::All, || {
            file.device_control(code, &[5; 8], 64)
        });
    }
}
