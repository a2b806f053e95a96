//! Why the system refuses an attachment, found out when it has (A10).
//!
//! IoAttachDeviceToDeviceStackSafe knows one error, STATUS_NO_SUCH_DEVICE. What an
//! administrator can do about it depends on the reason. Everything else goes on.

use crate::report::{self, Message};
use wdm::device::{DeviceObject, NameBuffer};
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::registry::Key;
use wdm::status::Status;
use wdm::unicode;

use crate::glass::Glass;

/// Records that `target` stays unfiltered. It is named by `storage`, where it is a volume on one:
/// volume devices have no names.
pub fn record(
    driver: &Driver<Glass>,
    target: &DeviceObject,
    storage: Option<&DeviceObject>,
    status: Status,
    level: &mut Passive,
) {
    let message = reason(target, storage, level);
    let mut buffer = NameBuffer::new();
    let name = storage.unwrap_or(target).name(&mut buffer, level);
    let unnamed = unicode!("A device without a name");
    report::record(
        driver.event_log(),
        message,
        status,
        &[
            format_args!("{}", name.unwrap_or(unnamed)),
            format_args!("{status}"),
        ],
    );
}

fn reason(
    target: &DeviceObject,
    storage: Option<&DeviceObject>,
    level: &mut Passive,
) -> &'static Message {
    if legacy_filters_are_blocked(level) {
        return &report::ATTACH_BLOCKED;
    }
    if target.is_direct_access_volume() {
        return &report::ATTACH_REFUSED_DIRECT_ACCESS;
    }
    let gone = storage.is_some_and(|storage| {
        let mounted = storage.mounted_volume();
        !mounted.is_some_and(|volume| volume.is(target))
    });
    if gone {
        &report::VOLUME_GONE
    } else {
        &report::ATTACH_REFUSED
    }
}

/// Source: "Blocking legacy file system filter drivers".
fn legacy_filters_are_blocked(level: &mut Passive) -> bool {
    let path =
        unicode!(r"\Registry\Machine\System\CurrentControlSet\Control\Session Manager\I/O System");
    Key::open(None, path, level)
        .and_then(|key| key.dword(unicode!("IoBlockLegacyFsFilters"), level))
        .is_ok_and(|value| value != 0)
}
