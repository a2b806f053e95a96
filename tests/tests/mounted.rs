//! `ntbox mount`: programs find on a filtered volume what they find elsewhere, and it ends well whatever happens.
#![cfg(target_os = "linux")]

use fsglass_cli::error::Exit;
use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::file_work::{whole_tree, work_in};
use fsglass_tests::mounted::{Mounted, is_left_out, is_mounted, run, wait_until};
use fsglass_tests::served::Served;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The first read is kept, and never completed.
const KEPT: &str = "Stuck=read-kept";

fn fsglass(profile: Profile) -> String {
    drivers::fsglass(profile).display().to_string()
}

fn filtered(driver: &str) -> Mounted {
    Mounted::start(&["--driver", driver, "--setting", "AllowUnload=1", "--json"])
}

/// What programs do, and what they see of it, is the same as in any directory: under the shipped and the debug build,
/// which report no mistake, and at which arrives what was sent.
#[test]
fn programs_see_what_they_see_elsewhere() {
    if is_left_out() {
        return;
    }
    let plain = tempfile::tempdir().unwrap();
    let expected = work_in(plain.path()).unwrap();
    for profile in Profile::ALL {
        let mounted = filtered(&fsglass(profile));
        assert_eq!(work_in(&mounted.place()).unwrap(), expected);
        assert_eq!(whole_tree(&mounted.place()), whole_tree(plain.path()));
        let (ended, base) = mounted.unmounted();
        let copied = fs::read(base.path().join("directory/a")).unwrap();
        assert_eq!(copied, b"hello");
        let report = ended.expect_code(0).json();
        assert_eq!(report["command"], "mount");
        assert_eq!(report["violations"], 0);
        assert_eq!(report["drivers"][0]["unload"], "gone", "{report:#}");
        let counted = |end: &str, major: &str| {
            let rows = report[end]["by_major"].as_array().unwrap().iter();
            let mut rows = rows.filter(|row| row[0] == major);
            rows.next().and_then(|row| row[1].as_u64()).unwrap_or(0)
        };
        for (major, least) in [
            ("IRP_MJ_CREATE", 60),
            ("IRP_MJ_SET_INFORMATION", 12),
            ("IRP_MJ_SET_EA", 2),
            ("IRP_MJ_FILE_SYSTEM_CONTROL", 3),
            ("IRP_MJ_FLUSH_BUFFERS", 2),
        ] {
            let sent = counted("sent", major);
            assert!(sent >= least, "{major}: {sent}\n{report:#}");
        }
        assert_eq!(
            counted("sent", "IRP_MJ_SET_INFORMATION"),
            counted("arrived", "IRP_MJ_SET_INFORMATION")
        );
    }
}

/// What the table "What NT does not express" of docs/mounting.md says of a program's calls, with the errors that it gets;
/// how long a file can be is for the host to say.
const NOT_EXPRESSED: &str = r#"
import ctypes, errno, os, stat
libc = ctypes.CDLL(None, use_errno=True)
def failed(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), '')
def tell(what, act):
    try:
        print(what, act())
    except OSError as error:
        print(what, errno.errorcode[error.errno])
def made(name):
    return os.open(name, os.O_CREAT | os.O_RDWR)
made('a'), made('b'), os.mkdir('d'), os.mkdir('d/e')
long = ctypes.c_long
tell('exchange', lambda: failed(libc.renameat2(-100, b'a', -100, b'b', 2)))
tell('collapse', lambda: failed(libc.fallocate(made('a'), 8, long(0), long(4096))))
tell('attribute', lambda: os.setxattr('a', 'user.x', b'1'))
tell('nameless', lambda: os.open('.', os.O_TMPFILE | os.O_RDWR))
tell('early', lambda: os.utime('a', (-11644473601, -11644473601)))
tell('links', lambda: os.stat('d').st_nlink)
tell('files', lambda: os.statvfs('.').f_files)
tell('gap', lambda: (os.pwrite(made('b'), b'x', 1 << 20), os.lseek(made('b'), 0, os.SEEK_HOLE))[1])
os.mknod('null', stat.S_IFCHR | 0o600, os.makedev(1, 3))
tell('device', lambda: os.open('null', os.O_RDWR))
"#;

#[test]
fn what_nt_does_not_express_is_told() {
    if is_left_out() {
        return;
    }
    let mounted = filtered(&fsglass(Profile::Release));
    let told = run(Command::new("python3")
        .args(["-c", NOT_EXPRESSED])
        .current_dir(mounted.place()));
    let expected = [
        "exchange EINVAL",
        "collapse EOPNOTSUPP",
        "attribute EOPNOTSUPP",
        "nameless EOPNOTSUPP",
        "early EINVAL",
        "links 1",
        "files 0",
        "gap 1048577",
        "device EACCES",
    ];
    let told = String::from_utf8_lossy(&told.stdout).replace("ENOTSUP", "EOPNOTSUPP");
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told, expected);
    mounted.unmount().expect_code(0);
}

/// What one mount has made the next one shows, owner and mode included, and the host has the data.
#[test]
fn what_was_made_is_there_in_the_next_mount() {
    if is_left_out() {
        return;
    }
    let mounted = Mounted::start(&["--bare"]);
    work_in(&mounted.place()).unwrap();
    let before = whole_tree(&mounted.place());
    mounted.signal("-TERM");
    let (ended, base) = mounted.ended_and_left();
    ended.expect_code(0);
    let again = Mounted::of(base, &["--bare"]);
    assert_eq!(whole_tree(&again.place()), before);
    let owner = fs::metadata(again.place().join("moded")).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (12, 34));
    again.unmount().expect_code(0);
}

/// Names of every byte, of 255 bytes, of characters that stand for others, and two that differ in case.
#[test]
fn every_name_of_posix_is_one() {
    if is_left_out() {
        return;
    }
    let mounted = Mounted::start(&["--bare"]);
    let mut names: Vec<Vec<u8>> = (1..=255_u8)
        .filter(|byte| *byte != b'/')
        .map(|byte| vec![b'x', byte, b'y'])
        .collect();
    names.extend([b'a', b':', 0xFF, 0xED].map(|byte| vec![byte; 255]));
    names.extend(
        [
            "\u{F03A}",
            "\u{F0FF}b",
            "CON",
            "trailing. ",
            "Case",
            "case",
            "...",
            "😀",
        ]
        .map(|name| name.into()),
    );
    names.push(b"\xED\xA0\x80".to_vec());
    for name in &names {
        let path = mounted.place().join(OsStr::from_bytes(name));
        let made = File::create_new(&path).and_then(|mut file| file.write_all(name));
        made.unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
    let mut listed: Vec<Vec<u8>> = fs::read_dir(mounted.place())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
        .collect();
    listed.sort();
    names.sort();
    assert_eq!(listed, names);
    for name in &names {
        let there = mounted.place().join(OsStr::from_bytes(name));
        assert_eq!(&fs::read(&there).unwrap(), name);
        // The host has the same names, whatever NT thinks of them.
        let below = mounted.directory().join(OsStr::from_bytes(name));
        assert!(below.is_file(), "{name:?}");
        fs::remove_file(there).unwrap();
    }
    let error = |name: &str| fs::write(mounted.place().join(name), b"").unwrap_err();
    assert_eq!(error(&"a".repeat(256)).kind(), ErrorKind::InvalidFilename);
    // What hostfs keeps beside the files is nobody's.
    assert_eq!(error(".ntbox").raw_os_error(), Some(22));
    assert_eq!(fs::read_dir(mounted.place()).unwrap().count(), 0);
    mounted.unmount().expect_code(0);
}

/// A thousand files open at a time, a directory of many entries that is emptied while it is read, and one of a hundred
/// thousand.
#[test]
fn there_may_be_many_of_everything() {
    if is_left_out() {
        return;
    }
    let mounted = filtered(&fsglass(Profile::Release));
    let names: Vec<String> = (0..1000).map(|number| format!("file {number}")).collect();
    let mut open: Vec<File> = names
        .iter()
        .map(|name| File::create_new(mounted.place().join(name)).unwrap())
        .collect();
    for (file, name) in open.iter_mut().zip(&names) {
        file.write_all(name.as_bytes()).unwrap();
    }
    drop(open);
    let directory = mounted.place().join("many");
    fs::create_dir(&directory).unwrap();
    for number in 0..1000 {
        fs::hard_link(
            mounted.place().join("file 7"),
            directory.join(number.to_string()),
        )
        .unwrap();
    }
    assert_eq!(
        fs::metadata(mounted.place().join("file 7"))
            .unwrap()
            .nlink(),
        1001
    );
    let mut removed = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
        removed += 1;
    }
    assert_eq!(removed, 1000);
    fs::remove_dir(&directory).unwrap();
    for name in &names {
        assert_eq!(
            fs::read_to_string(mounted.place().join(name)).unwrap(),
            *name
        );
    }
    // Made below: a hundred thousand creates through the mount would show nothing that a thousand do not.
    let below = mounted.directory().join("vast");
    fs::create_dir(&below).unwrap();
    for number in 0..100_000 {
        File::create_new(below.join(number.to_string())).unwrap();
    }
    let vast = mounted.place().join("vast");
    let mut listed: Vec<u32> = fs::read_dir(&vast)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    listed.sort_unstable();
    assert!(listed.into_iter().eq(0..100_000));
    fs::remove_file(vast.join("99999")).unwrap();
    fs::rename(vast.join("0"), vast.join("99999")).unwrap();
    assert_eq!(fs::read_dir(&vast).unwrap().count(), 99_999);
    mounted.unmount().expect_code(0);
}

/// Locks of ranges keep other processes out, and no data: parts are given back, what waits is granted or interrupted,
/// and an owner that ends gives everything back.
#[test]
fn locks_are_between_processes() {
    if is_left_out() {
        return;
    }
    let mounted = filtered(&fsglass(Profile::Debug));
    let program = r#"
import fcntl, os, signal, sys
f = open(sys.argv[1], "w+"); f.write("x" * 100); f.flush()
def child(work):
    if (pid := os.fork()) == 0:
        try: work(open(sys.argv[1], "r+"))
        except BaseException as e: print(repr(e)); os._exit(1)
        os._exit(0)
    return pid
def end(pid): assert os.waitpid(pid, 0)[1] == 0
def taken(g, length, start, how=fcntl.LOCK_EX):
    try: fcntl.lockf(g, how | fcntl.LOCK_NB, length, start)
    except BlockingIOError: return False
    return True
fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
def others(g):
    assert not taken(g, 5, 5) and not taken(g, 1, 0, fcntl.LOCK_SH) and taken(g, 5, 10)
    assert g.read(5) == "x" * 5
end(child(others))
fcntl.lockf(f, fcntl.LOCK_UN, 3, 4)
def parts(g): assert taken(g, 3, 4) and not taken(g, 1, 3) and not taken(g, 1, 7)
end(child(parts))
fcntl.lockf(f, fcntl.LOCK_SH, 4, 0)
def shared(g): assert taken(g, 4, 0, fcntl.LOCK_SH) and not taken(g, 4, 0)
end(child(shared))
def interrupted(g):
    def stop(*_): raise InterruptedError
    signal.signal(signal.SIGALRM, stop); signal.setitimer(signal.ITIMER_REAL, 0.2)
    try: fcntl.lockf(g, fcntl.LOCK_EX, 1, 0); assert False
    except InterruptedError: pass
end(child(interrupted))
waits = child(lambda g: fcntl.lockf(g, fcntl.LOCK_EX, 0, 0))
fcntl.lockf(f, fcntl.LOCK_UN, 0, 0)
end(waits)
killed = child(lambda g: (fcntl.lockf(g, fcntl.LOCK_EX, 0, 0), signal.pause()))
g = open(sys.argv[1], "r+")
while taken(g, 0, 0): fcntl.lockf(g, fcntl.LOCK_UN, 0, 0)
os.kill(killed, signal.SIGKILL); os.waitpid(killed, 0)
fcntl.lockf(g, fcntl.LOCK_EX, 0, 0)
def whole(g):
    try: fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB); assert False
    except BlockingIOError: pass
g.close(); f.close()
f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX)
end(child(whole))
print("good")
"#;
    let file = mounted.place().join("locked");
    let output = run(Command::new("python3").args(["-c", program]).arg(file));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "good\n",
        "{output:?}"
    );
    let report = mounted.unmount().expect_code(0).json();
    let locks = report["sent"]["fast_io"].to_string() + &report["sent"]["by_major"].to_string();
    assert!(locks.contains("IRP_MJ_LOCK_CONTROL"), "{report:#}");
}

/// What cannot be mounted is said before anything is begun.
#[test]
fn what_cannot_be_mounted_is_refused() {
    if is_left_out() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name).display().to_string();
    for name in ["served/inside", "place", "full/entry"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(at("file"), "").unwrap();
    let mounted = Mounted::start(&["--bare"]);
    let taken = mounted.place().display().to_string();
    for (directory, place, part) in [
        (at("missing"), at("place"), "DIR"),
        (at("file"), at("place"), "not a directory"),
        (at("served"), at("missing"), "MOUNTPOINT"),
        (at("served"), at("file"), "not a directory"),
        (at("served"), at("full"), "not empty"),
        (at("served"), at("served/inside"), "lies in"),
        (at("served/inside"), at("served"), "lies in"),
        (at("served"), taken.clone(), "mounted there already"),
    ] {
        let ended = ntbox(["mount", "--bare", &directory, &place]);
        ended.expect_code(2).expect_output(part);
    }
    ntbox(["mount", &at("served"), &at("place")])
        .expect_code(2)
        .expect_output("--driver");
    assert!(!is_mounted(Path::new(&at("place"))));
    // Who has no rights is told so, not left with an error of the system.
    let refused = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(std::env::var_os("FSGLASS_NTBOX").unwrap_or_else(|| program().into()))
        .args(["mount", "--bare", "/", &at("place")])
        .output();
    if let Ok(refused) = refused {
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
    mounted.unmount().expect_code(0);
}

/// The command that `ntbox` has built.
fn program() -> std::path::PathBuf {
    fsglass_tests::command::program("FSGLASS_NTBOX", "ntbox", "ntbox")
}

/// A driver that breaks a rule ends the run: the program whose request it was gets EIO, and nothing stays mounted.
#[test]
fn a_violation_ends_the_mount_and_no_program_waits() {
    if is_left_out() {
        return;
    }
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    let mistake = ["--setting", "Mistake=information-too-large"];
    let mounted = Mounted::start(&[&["--driver", &driver], &mistake[..]].concat());
    let place = mounted.place();
    let error = fs::metadata(place.join("any")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5), "{error}");
    let ended = mounted.ended();
    ended.expect_code(1);
    assert!(ended.messages.contains("InformationTooLarge"), "{ended:?}");
    assert!(!is_mounted(&place));
    // Collected, it ends nothing.
    let keep = ["--keep-going"];
    let mounted = Mounted::start(&[&["--driver", &driver], &mistake[..], &keep].concat());
    fs::metadata(mounted.place()).unwrap();
    let ended = mounted.unmount();
    ended.expect_code(1);
    assert!(ended.report.contains("InformationTooLarge"), "{ended:?}");
}

/// A driver that keeps a request is named, and who waits for it gets EIO; a mount that nobody uses stands still for
/// as long as it likes.
#[test]
fn a_request_that_is_kept_ends_the_mount() {
    if is_left_out() {
        return;
    }
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    let idle = Mounted::start(&["--bare", "--patience", "1"]);
    let kept = ["--driver", &driver, "--setting", KEPT, "--patience", "2"];
    let mounted = Mounted::start(&kept);
    let place = mounted.place();
    let error = fs::write(place.join("kept"), b"data").and_then(|()| fs::read(place.join("kept")));
    assert_eq!(error.unwrap_err().raw_os_error(), Some(5));
    mounted.ended().expect_code(1);
    assert!(!is_mounted(&place));
    assert!(idle.messages().lines().count() == 1, "{}", idle.messages());
    idle.unmount().expect_code(0);
}

/// Nothing of it is dead when the process that serves it is killed, and what was written is there. A program that is
/// killed while it writes harms nobody.
#[test]
fn a_kill_leaves_nothing_dead() {
    if is_left_out() {
        return;
    }
    let mounted = filtered(&fsglass(Profile::Release));
    let place = mounted.place();
    let writes = |name: &str| {
        let line = "while :; do echo a line of text; done >> \"$0\"";
        let file = place.join(name);
        // What it says of a mount that is gone would stand in the middle of the lines of the tests.
        let mut shell = Command::new("sh");
        let child = shell
            .args(["-c", line])
            .arg(&file)
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap();
        wait_until(|| fs::metadata(&file).is_ok_and(|file| file.len() > 1000));
        child
    };
    let mut killed = writes("first");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let whole = fs::read_to_string(place.join("first")).unwrap();
    assert!(whole.ends_with('\n') && whole.lines().all(|line| line == "a line of text"));
    fs::remove_file(place.join("first")).unwrap();

    let mut writer = writes("second");
    let mut open = File::create(place.join("open")).unwrap();
    open.write_all(b"flushed").unwrap();
    open.sync_all().unwrap();
    mounted.signal("-KILL");
    wait_until(|| !is_mounted(&place));
    // Who has files open hears of it at once, and for as long as they are.
    for _ in 0..2 {
        assert_eq!(open.sync_all().unwrap_err().raw_os_error(), Some(5));
    }
    drop(open);
    writer.kill().unwrap();
    writer.wait().unwrap();
    let (ended, base) = mounted.ended_and_left();
    assert_eq!(ended.code, None, "{ended:?}");
    // The place can be used, and so can the directory; what was flushed is there, as when a machine loses its power.
    let below = fs::read(base.path().join("directory/open")).unwrap();
    assert_eq!(below, b"flushed");
    let again = Mounted::of(base, &["--bare"]);
    assert_eq!(fs::read(again.place().join("open")).unwrap(), b"flushed");
    fs::metadata(again.place().join("second")).unwrap();
    again.unmount().expect_code(0);
}

/// A signal ends it when nobody uses it; while somebody does, it goes from its place, and ends with the last file, or
/// with a second signal.
#[test]
fn a_signal_ends_it_and_a_second_one_at_once() {
    if is_left_out() {
        return;
    }
    let idle = Mounted::start(&["--bare"]);
    idle.signal("-INT");
    idle.ended().expect_code(0);
    for second in [false, true] {
        let mut mounted = Mounted::start(&["--bare"]);
        let place = mounted.place();
        let mut open = File::create(place.join("open")).unwrap();
        mounted.signal("-INT");
        mounted.await_message("programs use it still");
        assert!(!is_mounted(&place));
        open.write_all(b"goes on").unwrap();
        open.sync_all().unwrap();
        let below = mounted.directory().join("open");
        assert_eq!(fs::read(below).unwrap(), b"goes on");
        if second {
            mounted.signal("-INT");
        } else {
            drop(open);
        }
        mounted.ended().expect_code(0);
    }
}

/// `fsglass --connect` sees what programs do, while they do it.
#[test]
fn it_is_observed_while_programs_work() {
    if is_left_out() {
        return;
    }
    let driver = fsglass(Profile::Release);
    let client = ["--client", "127.0.0.1:0"];
    let mut mounted = Mounted::start(
        &[
            &[
                "--driver",
                &driver,
                "--setting",
                "AllowUnload=1",
                "--setting",
                "Statistics=1",
            ],
            &client[..],
        ]
        .concat(),
    );
    let served = mounted.await_message("clients are served at ");
    let address = served.rsplit(' ').next().unwrap_or_default();
    let creates = || {
        let (exit, text) = Served::fsglass_at(address, &["stats", "--json"]);
        assert_eq!(exit, Exit::Done, "{text}");
        let stats: Value = serde_json::from_str(&text).unwrap();
        let rows = stats["operations"].as_array().unwrap().iter();
        let of_creates = rows.filter(|row| row["operation"] == "CREATE");
        of_creates
            .filter_map(|row| row["requests"].as_u64())
            .sum::<u64>()
    };
    let before = creates();
    for number in 0..20 {
        let file = mounted.place().join(number.to_string());
        fs::write(&file, b"data").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"data");
    }
    let after = creates();
    assert!(after >= before + 40, "{before} and then {after}");
    mounted.unmount().expect_code(0);
}
