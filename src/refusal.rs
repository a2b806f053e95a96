//! Why the system refuses an attachment, found out when it has (A10).
//!
//! IoAttachDeviceToDeviceStackSafe knows one error, STATUS_NO_SUCH_DEVICE. What an
//! administrator can do about it depends on the reason. Everything else goes on.

use crate::report::{self, Message};
use wdm::device::DeviceObject;
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::registry::Key;
use wdm::status::Status;
use wdm::unicode;
use wdm::unicode::UnicodeStr;

use crate::glass::Glass;
use crate::unfiltered::Why;

/// Records that `target` stays unfiltered: for the event log, and for those who ask for the list
/// of volumes. `name` is that of `storage`, where it is a volume on one: volume devices have no
/// names.
pub fn record(
    driver: &Driver<Glass>,
    target: &DeviceObject,
    storage: Option<&DeviceObject>,
    name: Option<UnicodeStr<'_>>,
    status: Status,
    level: &mut Passive,
) {
    let (message, why) = reason(target, storage, status, level);
    if let (Some(name), Some(why)) = (name, why) {
        // What does not fit is counted there.
        let _without_memory = driver.filter().unfiltered.remember(name, why, level);
    }
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

/// What is reported, and what is remembered: nothing of a volume that is gone.
fn reason(
    target: &DeviceObject,
    storage: Option<&DeviceObject>,
    status: Status,
    level: &mut Passive,
) -> (&'static Message, Option<Why>) {
    if legacy_filters_are_blocked(level) {
        return (&report::ATTACH_BLOCKED, Some(Why::Blocked(status)));
    }
    if target.is_direct_access_volume() {
        let why = Why::DirectAccess(status);
        return (&report::ATTACH_REFUSED_DIRECT_ACCESS, Some(why));
    }
    let gone = storage.is_some_and(|storage| !storage.has_volume(target));
    if gone {
        (&report::VOLUME_GONE, None)
    } else {
        (&report::ATTACH_REFUSED, Some(Why::Refused(status)))
    }
}

/// Source: "Blocking legacy file system filter drivers".
fn legacy_filters_are_blocked(level: &mut Passive) -> bool {
    let path =
        unicode!(r"\Registry\Machine\System\CurrentControlSet\Control\Session Manager\I/O System");
    Key::open(path, level)
        .and_then(|key| key.dword(unicode!("IoBlockLegacyFsFilters")))
        .is_ok_and(|value| value != 0)
}
