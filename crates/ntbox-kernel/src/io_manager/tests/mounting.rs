//! Volumes: mounting at once, later and by several threads, loading a file
//! system, dismounting, files on them.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native file system works on requests by pointer"
)]

use crate::io_manager::storage::{self, MountTiming, VolumeDescription, VolumeKind};
use crate::io_manager::{
    complete, device, driver, file, lookup, mount, raw, recognizer, registration, stack,
};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FAST_IO_DISPATCH, FILE_DEVICE_DISK_FILE_SYSTEM, FILE_OBJECT, IRP,
    IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME,
    IRP_MN_VERIFY_VOLUME, IrpExt, NTSTATUS, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS, STATUS_UNRECOGNIZED_VOLUME,
    STATUS_VOLUME_DISMOUNTED, STATUS_WRONG_VOLUME, VPB_MOUNTED, VPB_RAW_MOUNT,
};
use crate::processor::work;
use crate::processor::{handle, lifetime, object};
use crate::verifier::capture;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// Host directory that marks the volumes of these tests; nothing is read there.
const MARK: &str = "/nonexistent/mounting-tests";
static CONTROL: AtomicUsize = AtomicUsize::new(0);
/// Another volume is in the drive.
static WAS_CHANGED: AtomicBool = AtomicBool::new(false);
static OFFERS: AtomicU32 = AtomicU32::new(0);
/// Major functions that reached the file system: device and code.
static SEEN: Mutex<Vec<(usize, u8)>> = Mutex::new(Vec::new());
/// Devices that were told to detach.
static DETACHED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The tests share one file system.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn file_system() -> *mut DEVICE_OBJECT {
    static DRIVER: OnceLock<usize> = OnceLock::new();
    DRIVER.get_or_init(|| {
        raw::start();
        let driver = driver::create_native(r"\FileSystem\MountingTests", |driver| {
            for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
                driver.set_dispatch(major as u8, note);
            }
            driver.set_dispatch(IRP_MJ_FILE_SYSTEM_CONTROL as u8, control);
        });
        // SAFETY: the driver lives as long as the process.
        unsafe {
            let created = device::create(driver, 0, None, FILE_DEVICE_DISK_FILE_SYSTEM, 0, false);
            let device = created.expect("no name");
            CONTROL.store(device as usize, Ordering::Release);
            registration::register_file_system(device);
        }
        driver as usize
    });
    CONTROL.load(Ordering::Acquire) as *mut DEVICE_OBJECT
}

fn volume(letter: char, mount: MountTiming, recognized: bool) -> *mut DEVICE_OBJECT {
    file_system();
    let host_directory = PathBuf::from(MARK);
    storage::create(VolumeDescription {
        letter,
        host_directory,
        kind: VolumeKind::Disk,
        mount,
        recognized,
    })
}

unsafe extern "win64" fn note(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe {
        let major = (*irp.current_location()).MajorFunction;
        SEEN.lock()
            .expect("no panic")
            .push((device as usize, major));
        complete::finish(irp, STATUS_SUCCESS, 0)
    }
}

unsafe extern "win64" fn control(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request; the control device is this file system's.
    unsafe {
        let location = irp.current_location();
        let vpb = (*location).Parameters.MountVolume.Vpb;
        match u32::from((*location).MinorFunction) {
            IRP_MN_MOUNT_VOLUME => {}
            IRP_MN_VERIFY_VOLUME if WAS_CHANGED.load(Ordering::Acquire) => {
                mount::dismount_wrong_volume((*vpb).RealDevice);
                return complete::finish(irp, STATUS_WRONG_VOLUME, 0);
            }
            IRP_MN_VERIFY_VOLUME => return complete::finish(irp, STATUS_SUCCESS, 0),
            _ => return complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0),
        }
        let description = storage::description_of((*vpb).RealDevice);
        let Some(description) =
            description.filter(|found| found.host_directory.as_os_str() == MARK)
        else {
            return complete::finish(irp, STATUS_UNRECOGNIZED_VOLUME, 0);
        };
        if description.recognized && !recognizer::is_loaded() {
            return complete::finish(irp, STATUS_UNRECOGNIZED_VOLUME, 0);
        }
        OFFERS.fetch_add(1, Ordering::AcqRel);
        let driver: *mut DRIVER_OBJECT = (*device).DriverObject;
        let created = device::create(driver, 0, None, FILE_DEVICE_DISK_FILE_SYSTEM, 0, false);
        (*vpb).DeviceObject = created.expect("no name");
        device::finish_initializing((*vpb).DeviceObject);
        if description.mount == MountTiming::Async {
            stack::mark_pending(irp);
            let irp = irp as usize;
            work::after(
                Duration::from_millis(5),
                Box::new(move || {
                    complete::finish(irp as *mut IRP, STATUS_SUCCESS, 0);
                }),
            );
            return STATUS_PENDING;
        }
        complete::finish(irp, STATUS_SUCCESS, 0)
    }
}

#[test]
fn the_first_open_mounts_once_and_the_next_finds_it() {
    let _alone = alone();
    for (letter, timing) in [('Α', MountTiming::After), ('Β', MountTiming::Async)] {
        let storage = volume(letter, timing, false);
        // SAFETY: the storage device lives as long as the process.
        unsafe {
            assert!(!mount::is_mounted(storage));
            let offers = OFFERS.load(Ordering::Acquire);
            let (mounted, violations) = capture(|| mount::volume_device(storage));
            assert!(violations.is_empty(), "{violations:?}");
            let mounted = mounted.expect("the file system takes it");
            assert_eq!(mount::volume_device(storage), Ok(mounted));
            assert_eq!(OFFERS.load(Ordering::Acquire), offers + 1);
            let vpb = &*(*storage).Vpb;
            assert_eq!((vpb.DeviceObject, vpb.RealDevice), (mounted, storage));
            assert_eq!(u32::from(vpb.Flags) & VPB_MOUNTED, VPB_MOUNTED);
            assert_eq!(vpb.ReferenceCount, 0);
            let disk = lookup::disk_device(mounted).expect("mounted");
            assert_eq!(disk, storage);
            lifetime::dereference(disk.cast());
            assert_eq!(lookup::disk_device(storage), Err(STATUS_INVALID_PARAMETER));
            assert_eq!(lookup::dos_name(storage), Ok(format!("{letter}:")));
        }
    }
}

/// `IoVerifyVolume` finds the volume that was there, or mounts another.
#[test]
fn a_volume_is_verified_or_mounted_anew() {
    let _alone = alone();
    let storage = volume('Ω', MountTiming::After, false);
    // SAFETY: the storage device lives as long as the process.
    unsafe {
        assert_eq!(mount::verify(storage, false), STATUS_SUCCESS);
        let first = (*(*storage).Vpb).DeviceObject;
        let offers = OFFERS.load(Ordering::Acquire);
        assert_eq!(mount::verify(storage, false), STATUS_SUCCESS);
        assert_eq!(OFFERS.load(Ordering::Acquire), offers);
        assert_eq!((*(*storage).Vpb).DeviceObject, first);
        WAS_CHANGED.store(true, Ordering::Release);
        assert_eq!(mount::verify(storage, false), STATUS_WRONG_VOLUME);
        WAS_CHANGED.store(false, Ordering::Release);
        assert_eq!(OFFERS.load(Ordering::Acquire), offers + 1);
        assert!(mount::is_mounted(storage));
        assert_eq!((*(*storage).Vpb).ReferenceCount, 0);
        assert_eq!(mount::verify(file_system(), false), STATUS_SUCCESS);
    }
}

#[test]
fn racing_opens_mount_once() {
    let _alone = alone();
    for (letter, timing) in [('Γ', MountTiming::After), ('Δ', MountTiming::Async)] {
        let storage = volume(letter, timing, false) as usize;
        let offers = OFFERS.load(Ordering::Acquire);
        let threads: Vec<_> = (0..6)
            .map(|_| {
                std::thread::spawn(move || {
                    // SAFETY: the storage device lives as long as the process.
                    let mounted = unsafe { mount::volume_device(storage as *mut DEVICE_OBJECT) };
                    mounted.expect("the file system takes it") as usize
                })
            })
            .collect();
        let mounted: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect();
        assert!(mounted.iter().all(|device| *device == mounted[0]));
        assert_eq!(OFFERS.load(Ordering::Acquire), offers + 1);
    }
}

#[test]
fn what_nobody_knows_is_raw_for_the_volume_itself_only() {
    let _alone = alone();
    file_system();
    let host_directory = PathBuf::from("/nonexistent/unknown-to-every-file-system");
    let description = VolumeDescription {
        letter: 'Ε',
        host_directory,
        kind: VolumeKind::CdRom,
        mount: MountTiming::After,
        recognized: false,
    };
    let storage = storage::create(description);
    // SAFETY: the storage device lives as long as the process.
    unsafe {
        if registration::file_systems((*storage).DeviceType).len() == 1 {
            assert_eq!(
                mount::volume_device(storage),
                Err(STATUS_UNRECOGNIZED_VOLUME)
            );
            let vpb = mount::open_volume(storage, true).expect("RAW takes it");
            assert_eq!(u32::from((*vpb).Flags) & VPB_RAW_MOUNT, VPB_RAW_MOUNT);
            mount::dereference_vpb(vpb);
        }
        let raw = lookup::device_pointer(r"\Device\RawDisk", 0x80).expect("RAW is there");
        assert_eq!(
            object::name_of((*raw.1).DriverObject.cast()).as_deref(),
            Some(r"\FileSystem\RAW")
        );
        lifetime::dereference(raw.0.cast());
    }
}

#[test]
fn a_recognizer_loads_the_file_system_first() {
    static LOADED: AtomicU32 = AtomicU32::new(0);
    let _alone = alone();
    let storage = volume('Ζ', MountTiming::After, true);
    recognizer::start(|| {
        LOADED.fetch_add(1, Ordering::AcqRel);
    });
    // SAFETY: the storage device lives as long as the process.
    let mounted = unsafe { mount::volume_device(storage) };
    assert!(mounted.is_ok(), "{mounted:?}");
    assert!(recognizer::is_loaded());
    assert_eq!(LOADED.load(Ordering::Acquire), 1);
    // The recognizers have left the queues.
    for control in registration::file_systems(crate::nt::FILE_DEVICE_DISK) {
        // SAFETY: registered control devices are alive.
        let driver = unsafe { object::name_of((*control).DriverObject.cast()) };
        assert_ne!(driver.as_deref(), Some(recognizer::DRIVER_NAME));
    }
}

unsafe extern "win64" fn detach_device(source: *mut DEVICE_OBJECT, target: *mut DEVICE_OBJECT) {
    DETACHED.lock().expect("no panic").push(source as usize);
    // SAFETY: what FastIoDetachDevice of a filter does.
    unsafe {
        device::detach(target, 0);
        device::delete(source, 0);
    }
}

static FAST_IO: FAST_IO_DISPATCH = {
    // SAFETY: null entries are None.
    let mut table: FAST_IO_DISPATCH = unsafe { std::mem::zeroed() };
    table.SizeOfFastIoDispatch = size_of::<FAST_IO_DISPATCH>() as u32;
    table.FastIoDetachDevice = Some(detach_device);
    table
};

unsafe extern "win64" fn pass(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request; the device is attached while requests arrive.
    unsafe {
        stack::skip(irp);
        crate::io_manager::call::call_driver(device::lower(device), irp, 0)
    }
}

fn filter_on(volume: *mut DEVICE_OBJECT, name: &str) -> (*mut DRIVER_OBJECT, *mut DEVICE_OBJECT) {
    let filter = driver::create_native(name, |driver| {
        for major in 0..28 {
            driver.set_dispatch(major, pass);
        }
        driver.set_fast_io(&raw const FAST_IO);
    });
    // SAFETY: the volume is alive.
    unsafe {
        let created = device::create(filter, 0, None, FILE_DEVICE_DISK_FILE_SYSTEM, 0, false)
            .expect("no name");
        let mut below = std::ptr::null_mut();
        assert_eq!(
            device::attach_to_stack_safe(created, volume, &raw mut below),
            STATUS_SUCCESS
        );
        device::finish_initializing(created);
        (filter, created)
    }
}

fn open(storage: *mut DEVICE_OBJECT) -> *mut FILE_OBJECT {
    let name: Vec<u16> = r"\file".encode_utf16().collect();
    // SAFETY: the storage device lives as long as the process.
    unsafe {
        let opened = file::create(storage, &name, 0);
        file::join_volume(opened).expect("mounted");
        file::send_create(opened, 0x80).expect("the file system opens everything");
        opened
    }
}

#[test]
fn a_dismounted_volume_stays_for_its_open_files() {
    let _alone = alone();
    let storage = volume('Η', MountTiming::After, false);
    // SAFETY: the storage device lives as long as the process; others are looked at while they live.
    unsafe {
        let mounted = mount::volume_device(storage).expect("mounts");
        let (first_driver, first) = filter_on(mounted, r"\FileSystem\MountingFilterA");
        let (second_driver, second) = filter_on(mounted, r"\FileSystem\MountingFilterB");
        let opened = open(storage);
        let handle = handle::open_handle(opened.cast(), 0x80, false);
        lifetime::dereference(opened.cast());
        assert_eq!(file::related_device(opened), second);
        assert_eq!(file::base_file_system_device(opened), mounted);
        let old = (*storage).Vpb;
        assert_eq!((*old).ReferenceCount, 1);

        SEEN.lock().expect("no panic").clear();
        let (status, violations) = capture(|| mount::dismount(storage));
        assert!(violations.is_empty(), "{violations:?}");
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(mount::dismount(storage), STATUS_VOLUME_DISMOUNTED);
        assert_eq!(lookup::disk_device(mounted), Err(STATUS_VOLUME_DISMOUNTED));
        assert_ne!((*storage).Vpb, old);
        assert_eq!(
            file::related_device(opened),
            second,
            "the open file stays on the old volume"
        );
        assert!(DETACHED.lock().expect("no panic").is_empty());

        let again = mount::volume_device(storage).expect("mounts again");
        assert_ne!(again, mounted);

        let (_, violations) = capture(|| handle::close_handle(handle));
        assert!(violations.is_empty(), "{violations:?}");
        let seen = std::mem::take(&mut *SEEN.lock().expect("no panic"));
        let at = mounted as usize;
        assert_eq!(seen, [(at, IRP_MJ_CLEANUP as u8), (at, IRP_MJ_CLOSE as u8)]);
        let detached = std::mem::take(&mut *DETACHED.lock().expect("no panic"));
        assert_eq!(
            detached,
            [first as usize, second as usize],
            "from the bottom up"
        );
        assert_eq!(mount::volume_device(storage), Ok(again));
        for filter in [first_driver, second_driver] {
            assert!(device::devices_of(filter).is_empty());
            driver::delete_native(filter);
        }
    }
}

#[test]
fn an_unused_volume_goes_at_once() {
    let _alone = alone();
    let storage = volume('Θ', MountTiming::After, false);
    // SAFETY: as above.
    unsafe {
        assert_eq!(mount::dismount(storage), STATUS_VOLUME_DISMOUNTED);
        let mounted = mount::volume_device(storage).expect("mounts");
        let (filter, attached) = filter_on(mounted, r"\FileSystem\MountingFilterC");
        assert_eq!(mount::dismount(storage), STATUS_SUCCESS);
        assert_eq!(
            std::mem::take(&mut *DETACHED.lock().expect("no panic")),
            [attached as usize]
        );
        assert!(!mount::is_mounted(storage));
        driver::delete_native(filter);
        assert_eq!(mount::dismount(file_system()), STATUS_INVALID_PARAMETER);
    }
}

#[test]
fn cleanup_comes_with_the_last_handle_and_close_with_the_last_reference() {
    let _alone = alone();
    let storage = volume('Ι', MountTiming::After, false);
    // SAFETY: as above.
    unsafe {
        let mounted = mount::volume_device(storage).expect("mounts") as usize;
        let opened = open(storage);
        let one = handle::open_handle(opened.cast(), 0x80, false);
        let two = handle::open_handle(opened.cast(), 0x80, false);
        SEEN.lock().expect("no panic").clear();
        handle::close_handle(one);
        assert!(SEEN.lock().expect("no panic").is_empty());
        handle::close_handle(two);
        assert_eq!(
            *SEEN.lock().expect("no panic"),
            [(mounted, IRP_MJ_CLEANUP as u8)]
        );
        lifetime::dereference(opened.cast());
        assert_eq!(
            *SEEN.lock().expect("no panic"),
            [
                (mounted, IRP_MJ_CLEANUP as u8),
                (mounted, IRP_MJ_CLOSE as u8)
            ]
        );
        // A file object that was never opened owes nothing.
        SEEN.lock().expect("no panic").clear();
        let unopened = file::create(storage, &[], 0);
        lifetime::dereference(unopened.cast());
        assert!(SEEN.lock().expect("no panic").is_empty());
        assert_eq!((*storage).ReferenceCount, 0);
    }
}

#[test]
fn a_synchronous_file_serves_one_request_at_a_time() {
    let _alone = alone();
    let storage = volume('Κ', MountTiming::After, false);
    // SAFETY: as above; the file outlives the threads.
    unsafe {
        let locked = file::create(storage, &[], crate::nt::FO_SYNCHRONOUS_IO);
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (address, inside) = (locked as usize, &inside);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let file = address as *mut FILE_OBJECT;
                        assert_eq!(file::acquire_lock(file), STATUS_SUCCESS);
                        assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0);
                        std::hint::spin_loop();
                        inside.fetch_sub(1, Ordering::AcqRel);
                        file::release_lock(file);
                    }
                });
            }
        });
        assert_eq!(((*locked).Busy, (*locked).Waiters), (0, 0));
        lifetime::dereference(locked.cast());
    }
}
