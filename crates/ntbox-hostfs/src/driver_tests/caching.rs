//! What is cached of a file, beside what is read and written around the cache and in views.

use super::*;
use ntbox_kernel::user::{Mapping, PAGE, View, Writer};
use windows_sys::Win32::System::Ioctl::{
    FSCTL_LOCK_VOLUME, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA,
};

const UNCACHED: u32 = SYNCHRONOUS | FILE_NO_INTERMEDIATE_BUFFERING;

fn view(file: &File) -> View {
    let (outcome, view) = file.map(Mapping::Writable);
    succeeded(outcome);
    view.expect("a view")
}

fn read(file: &File, offset: usize, length: usize) -> Vec<u8> {
    succeeded(file.read(Some(offset as i64), length as u32)).data
}

fn host(volumes: &Volumes, name: &str) -> Vec<u8> {
    std::fs::read(volumes.cached.join(name)).expect("it is there")
}

/// Waits for the lazy writer.
fn idle() {
    work::drain();
    adversary::drain();
    work::drain();
}

fn set_end(file: &File, end: u64) -> Outcome {
    file.set_information(FileEndOfFileInformation, &end.to_le_bytes())
}

#[test]
fn all_ways_to_a_file_show_the_same() {
    for mix in mixes() {
        let (_turn, volumes) = turn(mix);
        let cached = open(r"\??\C:\coherent", FILE_SUPERSEDE, SYNCHRONOUS);
        let uncached = open(r"\??\C:\coherent", FILE_OPEN, UNCACHED);
        succeeded(cached.write(Some(0), &[1; 3 * PAGE + 100]));
        assert_eq!(read(&uncached, PAGE, PAGE), [1; PAGE]);
        succeeded(cached.write(Some(PAGE as i64 + 10), &[2; 10]));
        let view = view(&cached);
        let mut page = succeeded(view.page_in(1)).data;
        assert_eq!(page[9..21], [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]);
        for (byte, writer) in (3..).zip(Writer::OF_VIEWS) {
            page[10] = byte;
            succeeded(view.page_out(1, &page, writer));
            assert_eq!(read(&cached, PAGE + 9, 3), [1, byte, 2]);
        }
        succeeded(uncached.write(Some(512), &[5; 512]));
        assert_eq!(read(&cached, 511, 2), [1, 5]);
        assert_eq!(read(&cached, 1023, 2), [5, 1]);
        succeeded(uncached.write(Some(4 * PAGE as i64), &[6; 512]));
        assert_eq!(read(&cached, 4 * PAGE, 600), [6; 512]);
        assert_eq!(read(&cached, 3 * PAGE + 99, 2), [1, 0]);
        drop((cached, uncached, view));
        idle();
        let found = host(volumes, "coherent");
        assert_eq!(found.len(), 4 * PAGE + 512);
        assert_eq!(found[PAGE + 9..PAGE + 12], [1, 4, 2]);
        assert_eq!((found[511], found[512], found[3 * PAGE + 99]), (1, 5, 1));
    }
}

#[test]
fn zeroes_and_room_are_the_same_by_all_ways() {
    let range = |from: usize, to: usize| -> Vec<u8> {
        let bounds = [from as u64, to as u64];
        bounds.into_iter().flat_map(u64::to_le_bytes).collect()
    };
    for mix in mixes() {
        let (_turn, volumes) = turn(mix);
        let cached = open(r"\??\C:\sparse", FILE_SUPERSEDE, SYNCHRONOUS);
        let uncached = open(r"\??\C:\sparse", FILE_OPEN, UNCACHED);
        // What is in the cache alone has room, whenever it was written.
        succeeded(cached.write(Some(0), &[1; PAGE]));
        succeeded(cached.fs_control(FSCTL_SET_SPARSE, &[], 0));
        succeeded(cached.write(Some(8 * PAGE as i64), &[1; 4 * PAGE]));
        let ranges = |file: &File| {
            let asked = range(0, 20 * PAGE);
            succeeded(file.fs_control(FSCTL_QUERY_ALLOCATED_RANGES, &asked, 64)).data
        };
        let first = range(0, PAGE);
        assert_eq!(
            ranges(&cached),
            [&first[..], &range(8 * PAGE, 4 * PAGE)].concat()
        );
        let view = view(&uncached);
        let zeroed = range(8 * PAGE + 10, 11 * PAGE);
        succeeded(uncached.fs_control(FSCTL_SET_ZERO_DATA, &zeroed, 0));
        for file in [&cached, &uncached] {
            let seen = read(file, 8 * PAGE, 4 * PAGE);
            assert_eq!((seen[9], seen[10], seen[3 * PAGE]), (1, 0, 1));
            assert!(seen[10..3 * PAGE].iter().all(|byte| *byte == 0));
            assert_eq!(
                ranges(file),
                [&first[..], &range(8 * PAGE, PAGE), &range(11 * PAGE, PAGE)].concat()
            );
        }
        // What is cached stays for no program.
        let keeping = [range(0, 5), 1_u32.to_le_bytes().to_vec()].concat();
        let kept = cached.fs_control(FSCTL_SET_ZERO_DATA, &keeping, 0);
        assert_eq!(kept.status, STATUS_ACCESS_DENIED);
        assert_eq!(succeeded(view.page_in(9)).data, [0; PAGE]);
        succeeded(view.page_out(9, &[2; PAGE], Writer::OF_VIEWS[0]));
        assert_eq!(ranges(&cached).len(), 48);
        assert_eq!(read(&cached, 9 * PAGE, 1), [2]);
        drop((cached, uncached, view));
        idle();
        let found = host(volumes, "sparse");
        assert_eq!(
            (found.len(), found[9 * PAGE], found[10 * PAGE]),
            (12 * PAGE, 2, 0)
        );
    }
}

#[test]
fn what_is_cut_off_is_cut_off_in_the_cache() {
    for mix in mixes() {
        let (_turn, volumes) = turn(mix);
        let file = open(r"\??\C:\cut", FILE_SUPERSEDE, SYNCHRONOUS);
        for length in [100_u64, 0] {
            succeeded(file.write(Some(0), &[1; 2 * PAGE]));
            succeeded(set_end(&file, length));
            succeeded(set_end(&file, 2 * PAGE as u64));
            let found = read(&file, 0, 2 * PAGE);
            assert!(found[..length as usize].iter().all(|byte| *byte == 1));
            assert_eq!(
                found[length as usize..],
                vec![0; 2 * PAGE - length as usize]
            );
        }
        succeeded(file.write(Some(0), &[1; 2 * PAGE]));
        drop(open(r"\??\C:\cut", FILE_OVERWRITE, SYNCHRONOUS));
        assert_eq!(file.read(Some(0), 10).status, STATUS_END_OF_FILE);
        succeeded(file.write(Some(10), &[2; 10]));
        assert_eq!(read(&file, 0, 100)[9..11], [0, 2]);
        drop(file);
        idle();
        assert_eq!(host(volumes, "cut")[9..], [0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
    }
}

#[test]
fn what_is_cached_is_written_when_it_is_asked_for_or_nobody_needs_it() {
    let (_turn, volumes) = turn(Mix::quiet());
    let file = open(r"\??\C:\when", FILE_SUPERSEDE, SYNCHRONOUS);
    let root = open(r"\??\C:\", FILE_OPEN, SYNCHRONOUS | FILE_DIRECTORY_FILE);
    let first = |expected: u8| assert_eq!(host(volumes, "when"), vec![expected; 100]);
    succeeded(file.write(Some(0), &[1; 100]));
    first(0);
    succeeded(file.flush());
    first(1);
    succeeded(file.write(Some(0), &[2; 100]));
    first(1);
    succeeded(root.flush());
    first(2);
    let through = open(r"\??\C:\when", FILE_OPEN, SYNCHRONOUS | FILE_WRITE_THROUGH);
    succeeded(through.write(Some(0), &[3; 100]));
    first(3);
    succeeded(file.write(Some(0), &[4; 100]));
    drop((file, through));
    idle();
    first(4);
}

/// The lazy writer writes later than the program, and as nobody's write.
#[test]
fn a_file_was_written_when_the_program_wrote_it() {
    let (_turn, _volumes) = turn(Mix::quiet());
    let file = open(r"\??\C:\time", FILE_SUPERSEDE, SYNCHRONOUS);
    let written = || {
        let basic = succeeded(file.query_information(FileBasicInformation, 40)).data;
        i64::from_le_bytes(basic[16..24].try_into().expect("eight bytes"))
    };
    let before = written();
    succeeded(file.write(Some(0), &[1; 100]));
    let then = written();
    assert!(then > before);
    succeeded(file.flush());
    assert_eq!(written(), then);
    let mut keep = [0; 40];
    keep[16..24].copy_from_slice(&(-1_i64).to_le_bytes());
    succeeded(file.set_information(FileBasicInformation, &keep));
    succeeded(file.write(Some(0), &[2; 5000]));
    succeeded(file.flush());
    assert_eq!(written(), then);
}

#[test]
fn what_is_cached_keeps_no_volume() {
    let (_turn, volumes) = turn(Mix::default());
    let file = open(r"\??\C:\kept", FILE_SUPERSEDE, SYNCHRONOUS);
    succeeded(file.write(Some(0), &[1; 100]));
    let held = work::hold();
    drop(file);
    assert_eq!(host(volumes, "kept"), [0; 100]);
    let volume = open(r"\??\C:", FILE_OPEN, SYNCHRONOUS);
    succeeded(volume.fs_control(FSCTL_LOCK_VOLUME, &[], 0));
    assert_eq!(host(volumes, "kept"), [1; 100]);
    drop((volume, held));
}

/// A view keeps what its file had when that was deleted.
#[test]
fn what_is_mapped_of_a_deleted_file_is_still_there() {
    let (_turn, _volumes) = turn(Mix::quiet());
    let options = SYNCHRONOUS | FILE_DELETE_ON_CLOSE;
    let file = open(r"\??\C:\mapped", FILE_SUPERSEDE, options);
    succeeded(file.write(Some(0), &[1; PAGE]));
    let view = view(&file);
    drop(file);
    idle();
    assert_eq!(succeeded(view.page_in(0)).data, [1; PAGE]);
}

/// What is dirty when its volume goes is written before, and nothing after: a new mount has the files then.
#[test]
fn a_volume_that_is_dismounted_has_what_was_written() {
    let (_turn, volumes) = turn(Mix::quiet());
    let file = open(r"\??\L:\last", FILE_SUPERSEDE, SYNCHRONOUS);
    succeeded(file.write(Some(0), &[1; 100]));
    let volume = open(r"\??\L:", FILE_OPEN, SYNCHRONOUS);
    succeeded(volume.fs_control(FSCTL_DISMOUNT_VOLUME, &[], 0));
    assert_eq!(
        std::fs::read(volumes.lost.0.join("last")).expect("it is there"),
        [1; 100]
    );
    assert_eq!(
        file.write(Some(0), &[2; 100]).status,
        STATUS_VOLUME_DISMOUNTED
    );
    drop((file, volume));
}

/// The change time is set, and holds when the lazy writer has written.
#[test]
fn a_change_time_that_was_set_outlasts_the_lazy_writer() {
    let (_turn, _volumes) = turn(Mix::quiet());
    let file = open(r"\??\C:\changed", FILE_SUPERSEDE, SYNCHRONOUS);
    succeeded(file.write(Some(0), &[1; 100]));
    let mut times = [0; 40];
    times[24..32].copy_from_slice(&0x1D0_0000_0000_0000_i64.to_le_bytes());
    succeeded(file.set_information(FileBasicInformation, &times));
    let changed =
        || succeeded(file.query_information(FileBasicInformation, 40)).data[24..32].to_vec();
    let set = changed();
    assert_eq!(set, times[24..32]);
    succeeded(file.flush());
    assert_eq!(changed(), set);
}

#[test]
fn a_deleted_file_is_not_cached_any_more() {
    for mix in mixes() {
        let (_turn, volumes) = turn(mix);
        let file = open(r"\??\C:\gone", FILE_SUPERSEDE, SYNCHRONOUS);
        let other = open(r"\??\C:\gone", FILE_OPEN, UNCACHED);
        succeeded(file.write(Some(0), &[1; PAGE]));
        let posix = 3_u32.to_le_bytes();
        succeeded(file.set_information(FileDispositionInformationEx, &posix));
        drop(file);
        assert!(!volumes.cached.join("gone").exists());
        assert_eq!(read(&other, 0, PAGE), [1; PAGE], "this handle still has it");
        drop(other);
        let again = open(r"\??\C:\gone", FILE_CREATE, SYNCHRONOUS);
        assert_eq!(again.read(Some(0), 1).status, STATUS_END_OF_FILE);
        succeeded(again.set_information(FileDispositionInformation, &[1]));
    }
}

/// Each read is put off to a worker, which waits for a page, whose read is put off too.
#[test]
fn workers_that_wait_for_pages_do_not_wait_for_each_other() {
    let (_turn, _volumes) = turn(Mix {
        pend: 1000,
        decline_fast_io: 1000,
        ..Mix::quiet()
    });
    let program = |number: u8| {
        thread::spawn("reader", move || {
            identity::begin_thread(2 + u32::from(number));
            let name = format!(r"\??\C:\many{number}");
            let file = open(&name, FILE_SUPERSEDE, UNCACHED);
            succeeded(file.write(Some(0), &[number; 2 * PAGE]));
            drop(file);
            let file = open(&name, FILE_OPEN, SYNCHRONOUS);
            assert_eq!(read(&file, PAGE - 96, 200), [number; 200]);
        })
    };
    let programs: Vec<_> = (0..16).map(program).collect();
    for program in programs {
        program.join().expect("it reads what it has written");
    }
}
