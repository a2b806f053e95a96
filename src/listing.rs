//! The file systems and volumes that there are, and what is known of each.

use crate::glass::Glass;
use crate::policy::Class;
use crate::unfiltered::Why;
use crate::volumes;
use fsglass_protocol::{Kind, Reason, RecordWriter, VolumeRecord, VolumesWriter};
use wdm::device::{DeviceObject, NameBuffer};
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::status::Status;
use wdm::unicode::UnicodeStr;

/// A file system or a volume.
pub struct Found<'l> {
    /// Where the filter's device attaches.
    pub device: &'l DeviceObject,
    /// Of a volume: what it is mounted on.
    pub storage: Option<&'l DeviceObject>,
}

impl Found<'_> {
    /// The device by whose name people know it.
    fn known(&self) -> &DeviceObject {
        self.storage.unwrap_or(self.device)
    }

    /// Whether it has that name.
    pub fn is_named(&self, name: UnicodeStr<'_>, level: &mut Passive) -> bool {
        let mut buffer = NameBuffer::new();
        let own = self.known().name(&mut buffer, level);
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Calls `visit` with each file system and then with its volumes. A file system whose devices
/// cannot be listed for want of memory has none.
pub fn each(
    driver: &Driver<Glass>,
    level: &mut Passive,
    mut visit: impl FnMut(&Found<'_>, &mut Passive),
) {
    let file_systems = &driver.filter().file_systems;
    file_systems.each(level, |control_device, level| {
        visit(
            &Found {
                device: control_device,
                storage: None,
            },
            level,
        );
        let Ok(devices) = control_device.devices_of_driver(level) else {
            return;
        };
        for device in devices.iter() {
            if let Some(storage) = volumes::storage_of(device, control_device, level) {
                let storage = Some(&*storage);
                visit(&Found { device, storage }, level);
            }
        }
    });
}

/// Writes the list into `output`.
pub fn write(driver: &Driver<Glass>, output: &mut [u8], level: &mut Passive) -> (Status, usize) {
    let Some(mut list) = VolumesWriter::new(output) else {
        return (Status::BUFFER_TOO_SMALL, 0);
    };
    each(driver, level, |found, level| {
        let mut buffer = NameBuffer::new();
        let name = found.known().name(&mut buffer, level);
        let mut record = list.record(name.map_or(&[], |name| name.units()));
        let standing = Standing::of(driver, found, name, level);
        let attached = standing.reason == Reason::Attached;
        write_stack(driver, found.device, attached, &mut record, level);
        record.finish(|fixed| standing.write(found, fixed));
    });
    let (written, complete) = list.finish();
    let status = if complete {
        Status::SUCCESS
    } else {
        Status::BUFFER_OVERFLOW
    };
    (status, written)
}

fn write_stack(
    driver: &Driver<Glass>,
    device: &DeviceObject,
    attached: bool,
    record: &mut RecordWriter<'_, '_>,
    level: &mut Passive,
) {
    let mut buffer = NameBuffer::new();
    let mut next = Some(device.top_of_stack(level));
    while let Some(current) = next {
        let name = current.driver_name(&mut buffer, level);
        let own = attached && driver.owns(&current);
        record.device(name.map_or(&[], |name| name.units()), own);
        next = current.lower(level);
    }
}

/// Whether something is filtered, or why not.
struct Standing {
    reason: Reason,
    class: Class,
    status: Option<Status>,
    since: u64,
}

impl Standing {
    fn of(
        driver: &Driver<Glass>,
        found: &Found<'_>,
        name: Option<UnicodeStr<'_>>,
        level: &mut Passive,
    ) -> Self {
        let class = match found.storage {
            None => Class::of_file_system(found.device, level),
            Some(storage) => Class::of_volume(driver, found.device, storage, level),
        };
        let since = |device: &wdm::device::FilterDevice<Glass>| device.attachment().since;
        let attached = driver.with_filter_device(found.device, level, since);
        let unfiltered = &driver.filter().unfiltered;
        let known = name.and_then(|name| unfiltered.find(name, level));
        let (reason, status, since) = match (attached, known) {
            (Some(since), _) => (Reason::Attached, None, since),
            (None, Some((Why::Detached, since))) => (Reason::Detached, None, since),
            (None, Some((Why::Blocked(status), since))) => (Reason::Blocked, Some(status), since),
            (None, Some((Why::DirectAccess(status), since))) => {
                (Reason::DirectAccess, Some(status), since)
            }
            (None, Some((Why::Refused(status), since))) => (Reason::Refused, Some(status), since),
            (None, None) if !driver.filter().policy().filters(class) => (Reason::Policy, None, 0),
            (None, None) => (Reason::Unknown, None, 0),
        };
        Self {
            reason,
            class,
            status,
            since,
        }
    }

    fn write(&self, found: &Found<'_>, fixed: &mut VolumeRecord) {
        let kind = match found.storage {
            None => Kind::FileSystem,
            Some(_) => Kind::Volume,
        };
        fixed.kind = kind as u8;
        fixed.reason = self.reason as u8;
        fixed.class = self.class.number();
        fixed.device_type = found.device.device_type().into();
        fixed.status = self.status.map_or(0, Status::bits).into();
        fixed.since = self.since.into();
    }
}
