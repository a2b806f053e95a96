//! Programs that work with files and notice when those are wrong.

use super::{Length, Place, Verdicts, holds, program, verdict};
use crate::drivers::repository;
use std::fs;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// As many of something as a run has time for.
fn as_many(place: &Place<'_>, bounded: u32, long: u32) -> String {
    match place.length {
        Length::Bounded => bounded,
        Length::Long => long,
    }
    .to_string()
}

fn new_directory(place: &Place<'_>, name: &str) -> std::path::PathBuf {
    let path = place.directory.join(name);
    fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// The operations that fsx draws.
const FSX: &str = "
[weights]
close_open = 2
read = 10
write = 10
mapread = 10
mapwrite = 10
invalidate = 1
truncate = 5
fsync = 1
fdatasync = 1
posix_fallocate = 2
punch_hole = 5
sendfile = 2
posix_fadvise = 1
copy_file_range = 2
";

fn seeds(place: &Place<'_>) -> &'static [&'static str] {
    match place.length {
        Length::Bounded => &["1"],
        Length::Long => &["1", "2", "3", "4"],
    }
}

/// Reads, writes, maps, cuts and copies at random, and compares each time with what it knows.
pub(super) fn fsx(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let settings = place.directory.join("fsx.toml");
    fs::write(&settings, FSX).unwrap_or_else(|error| panic!("{error}"));
    for seed in seeds(place) {
        let mut command = program("fsx");
        command.args(["-N", &as_many(place, 600, 100_000), "-S", seed]);
        command.args(["-P".as_ref(), place.directory.as_os_str()]);
        command.args(["-f".as_ref(), settings.as_os_str()]);
        command.arg(place.directory.join(format!("fsx.{seed}")));
        verdict(&mut verdicts, &format!("seed {seed}"), &mut command);
    }
    verdicts
}

/// Writes blocks with checksums in random order, past the cache and through it, and reads them back.
pub(super) fn fio(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let size = as_many(place, 512, 65_536) + "k";
    for (case, more) in [
        ("uncached", &["--direct=1", "--ioengine=psync"][..]),
        ("cached", &["--ioengine=psync", "--fsync=32"]),
        ("mapped", &["--ioengine=mmap"]),
    ] {
        let mut command = program("fio");
        command.args([
            "--name=verified",
            "--rw=randwrite",
            "--bs=4k",
            "--numjobs=2",
        ]);
        command.args([
            "--verify=crc32c",
            "--verify_fatal=1",
            "--do_verify=1",
            "--verify_state_save=0",
        ]);
        command.args(["--randrepeat=1", "--thread", &format!("--size={size}")]);
        command.arg("--directory").arg(new_directory(place, case));
        verdict(&mut verdicts, case, command.args(more));
    }
    verdicts
}

/// Transactions by two programs at a time, one of which is killed in the middle, in both kinds of journal.
pub(super) fn sqlite(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for journal in ["delete", "wal"] {
        let file = place.directory.join(format!("{journal}.db"));
        let ask = |sql: &str| {
            let mut command = program("sqlite3");
            command.args(["-bail", "-cmd", ".timeout 60000"]).arg(&file);
            if !sql.is_empty() {
                command.arg(sql);
            }
            command
        };
        let made = format!("pragma journal_mode={journal}; create table t(a integer, b text);");
        verdict(&mut verdicts, &format!("{journal}: made"), &mut ask(&made));
        let mut killed = ask("");
        killed.stdin(endless()).stdout(Stdio::null());
        let mut killed = killed
            .spawn()
            .unwrap_or_else(|error| panic!("sqlite3: {error}"));
        let adds = "insert into t select value, hex(randomblob(50)) from generate_series(1, 200);";
        for turn in 0..3 {
            verdict(
                &mut verdicts,
                &format!("{journal}: beside another, {turn}"),
                &mut ask(adds),
            );
        }
        std::thread::sleep(Duration::from_millis(100));
        let _ends_by_itself = killed.kill();
        let _status = killed.wait();
        let checked = verdict(
            &mut verdicts,
            &format!("{journal}: checked"),
            &mut ask("pragma integrity_check; select count(*) % 200 from t where b is not null;"),
        );
        let said = checked.map_or_else(Vec::new, |output| output.stdout);
        let said = String::from_utf8_lossy(&said).into_owned();
        // Transactions are of 200 rows each: one that is half done is not there.
        holds(
            &mut verdicts,
            &format!("{journal}: whole"),
            said == "ok\n0\n",
            &said,
        );
    }
    verdicts
}

/// More transactions than there is time for, to be read.
fn endless() -> fs::File {
    let one = "begin immediate; insert into t select value, hex(randomblob(50)) from generate_series(1, 200); commit;\n";
    let file = tempfile::tempfile().and_then(|mut file| {
        file.write_all(one.repeat(10_000).as_bytes())?;
        file.rewind()?;
        Ok(file)
    });
    file.unwrap_or_else(|error| panic!("a file: {error}"))
}

/// This repository: cloned, changed, packed, checked.
pub(super) fn git(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let clone = place.directory.join("clone");
    let source = source_repository(place);
    let git = |directory: &Path| {
        let mut command = program("git");
        let user = [
            "-c",
            "user.name=judge",
            "-c",
            "user.email=judge@example.org",
        ];
        command
            .args(["-c", "safe.directory=*", "-c", "gc.auto=0"])
            .args(user);
        command.arg("-C").arg(directory);
        command
    };
    let mut command = git(place.directory);
    command
        .args(["clone", "--quiet", "--no-local"])
        .arg(&source)
        .arg(&clone);
    if verdict(&mut verdicts, "clone", &mut command).is_none() {
        return verdicts;
    }
    let mut clean = |case: &str| {
        let status = verdict(
            &mut verdicts,
            case,
            git(&clone).args(["status", "--porcelain"]),
        );
        let said = status.map_or_else(Vec::new, |output| output.stdout);
        let said = String::from_utf8_lossy(&said).into_owned();
        holds(
            &mut verdicts,
            &format!("{case} is clean"),
            said.is_empty(),
            &said,
        );
    };
    clean("status");
    for (case, arguments) in [
        ("branch", &["checkout", "--quiet", "-b", "other"][..]),
        ("move", &["mv", "README.md", "READ.md"]),
        ("commit", &["commit", "--quiet", "-am", "moved"]),
        ("back", &["checkout", "--quiet", "-"]),
        ("merge", &["merge", "--quiet", "other"]),
        ("gc", &["gc", "--quiet"]),
        ("fsck", &["fsck", "--strict"]),
    ] {
        verdict(&mut verdicts, case, git(&clone).args(arguments));
    }
    let mut again = git(&clone);
    verdict(
        &mut verdicts,
        "status at the end",
        again.args(["diff", "--quiet", "HEAD"]),
    );
    verdicts
}

/// The repository, or as much of it as there is time for: its last state, with a history of one.
fn source_repository(place: &Place<'_>) -> std::path::PathBuf {
    if place.length == Length::Long {
        return repository().to_owned();
    }
    // One for each process: made in a moment, of the documents alone.
    let base = std::env::temp_dir().join(format!("fsglass-judge-{}", std::process::id()));
    static MADE: std::sync::Once = std::sync::Once::new();
    MADE.call_once(|| {
        let _old = fs::remove_dir_all(&base);
        let line = "mkdir -p \"$0\" && cp -r README.md src \"$0\" && cd \"$0\" && git init --quiet && git add . && \
                    git -c user.name=judge -c user.email=judge@example.org commit --quiet -m first";
        let made = Command::new("sh")
            .args(["-c", line])
            .arg(&base)
            .current_dir(repository())
            .output();
        assert!(
            made.as_ref().is_ok_and(|made| made.status.success()),
            "{made:?}"
        );
    });
    base
}

/// The tree that the demo carries, as far as it goes.
fn tree(place: &Place<'_>) -> std::path::PathBuf {
    let documents = Path::new("/usr/share/doc");
    match place.length {
        Length::Long if documents.is_dir() => documents.to_owned(),
        _ => repository().join("docs"),
    }
}

/// A tree into an archive and out of it, compared.
pub(super) fn tar(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let (archive, out) = (place.directory.join("a.tar"), new_directory(place, "out"));
    let tree = tree(place);
    let mut command = program("tar");
    command
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(&tree)
        .arg(".");
    verdict(&mut verdicts, "packed", &mut command);
    let mut command = program("tar");
    command.arg("-xpf").arg(&archive).arg("-C").arg(&out);
    verdict(&mut verdicts, "unpacked", &mut command);
    // Names, kinds, modes, owners, times and data.
    let mut command = program("tar");
    command.arg("-df").arg(&archive).arg("-C").arg(&out);
    verdict(&mut verdicts, "compared", &mut command);
    let mut command = program("diff");
    command
        .arg("-r")
        .arg("--no-dereference")
        .arg(&tree)
        .arg(&out);
    verdict(&mut verdicts, "equal", &mut command);
    verdicts
}

/// A tree copied with all that belongs to its files; a second copy finds nothing to do.
pub(super) fn rsync(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let (mut from, to) = (tree(place).into_os_string(), new_directory(place, "to"));
    from.push("/");
    let rsync = |more: &[&str]| {
        let mut command = program("rsync");
        command
            .args(["--archive", "--hard-links", "--checksum"])
            .args(more);
        command.arg(&from).arg(&to);
        command
    };
    verdict(&mut verdicts, "copied", &mut rsync(&[]));
    let again = verdict(
        &mut verdicts,
        "again",
        &mut rsync(&["--dry-run", "--itemize-changes", "--delete"]),
    );
    let said = again.map_or_else(Vec::new, |output| output.stdout);
    let said = String::from_utf8_lossy(&said).into_owned();
    holds(&mut verdicts, "nothing to do", said.is_empty(), &said);
    verdicts
}

/// Stressors of file systems, with how much of each is done in a short and in a long run. Each checks its results.
const STRESSORS: &[(&str, u32, u32)] = &[
    ("chmod", 2, 2000),
    ("dentry", 8, 20_000),
    ("dir", 8, 20_000),
    ("fallocate", 1, 50),
    ("fcntl", 2, 2000),
    ("flock", 10, 5000),
    ("fpunch", 1, 200),
    ("fstat", 20, 50_000),
    ("getdent", 10, 5000),
    ("hdd", 8, 4096),
    ("lockf", 10, 5000),
    ("rename", 10, 10_000),
    ("seek", 20, 10_000),
    ("utime", 4, 5000),
];

pub(super) fn stress(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for (stressor, bounded, long) in STRESSORS {
        let mut command = program("stress-ng");
        command.args([&format!("--{stressor}"), "1", &format!("--{stressor}-ops")]);
        command.arg(as_many(place, *bounded, *long));
        command.args(["--verify", "--timeout", &as_many(place, 30, 600)]);
        command.args([
            "--hdd-bytes",
            "1m",
            "--fallocate-bytes",
            "4m",
            "--readahead-bytes",
            "1m",
        ]);
        command.args([
            "--seek-size",
            "1m",
            "--sendfile-size",
            "256k",
            "--sync-file-bytes",
            "1m",
        ]);
        command.arg("--temp-path").arg(place.directory);
        verdict(&mut verdicts, stressor, &mut command);
    }
    verdicts
}

/// A crate built, run and built again, which is fresh.
pub(super) fn cargo(place: &Place<'_>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let package = place.directory.join("small");
    let cargo = |directory: &Path| {
        let mut command = Command::new(crate::drivers::cargo());
        command
            .current_dir(directory)
            .env_remove("CARGO_TARGET_DIR");
        command
    };
    let mut command = cargo(place.directory);
    command.args(["new", "--quiet", "--vcs", "none", "small"]);
    if verdict(&mut verdicts, "made", &mut command).is_none() {
        return verdicts;
    }
    let run = verdict(
        &mut verdicts,
        "built and run",
        cargo(&package).args(["run", "--quiet", "--offline"]),
    );
    let said = run.map_or_else(Vec::new, |output| output.stdout);
    holds(
        &mut verdicts,
        "says what it should",
        said == b"Hello, world!\n",
        "something else",
    );
    let again = verdict(
        &mut verdicts,
        "built again",
        cargo(&package).args(["build", "--offline", "--verbose"]),
    );
    let said = again.map_or_else(Vec::new, |output| output.stderr);
    let said = String::from_utf8_lossy(&said).into_owned();
    holds(
        &mut verdicts,
        "which was fresh",
        said.contains("Fresh small"),
        &said,
    );
    verdicts
}
