//! What programs do with files, and what they see: the same on any file system.

use crate::mounted::run;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

type Done = std::io::Result<()>;

/// What any program may do with files, and what came of it, one line for each.
///
/// # Errors
/// What is to be there for it could not be made.
pub fn work_in(place: &Path) -> std::io::Result<Vec<String>> {
    let mut seen = Vec::new();
    let at = |name: &str| place.join(name);
    let mut tell = |what: &str, result: std::io::Result<String>| match result {
        Ok(said) => seen.push(format!("{what}: {said}")),
        Err(error) => seen.push(format!("{what}: {:?}", error.raw_os_error())),
    };
    let done = |result: Done| result.map(|()| "done".to_owned());
    tell("write", done(fs::write(at("a"), b"hello")));
    tell("make again", done(File::create_new(at("a")).map(drop)));
    tell("make below a file", done(fs::write(at("a/b"), b"")));
    tell("make nowhere", done(fs::write(at("no/b"), b"")));
    tell("directory", done(fs::create_dir(at("d"))));
    tell("directory again", done(fs::create_dir(at("d"))));
    tell("read a directory", fs::read_to_string(at("d")));
    tell("link", done(fs::hard_link(at("a"), at("d/l"))));
    tell(
        "links",
        fs::metadata(at("a")).map(|a| a.nlink().to_string()),
    );
    tell("remove what is full", done(fs::remove_dir(at("d"))));
    tell(
        "remove a directory as a file",
        done(fs::remove_file(at("d"))),
    );
    tell("symbolic link", done(symlink("../a", at("d/s"))));
    tell("through it", fs::read_to_string(at("d/s")));
    tell(
        "its length",
        fs::symlink_metadata(at("d/s")).map(|s| s.len().to_string()),
    );
    tell("to nowhere", done(symlink("nowhere", at("n"))));
    tell("through that", fs::read_to_string(at("n")));
    tell("rename over", {
        fs::write(at("b"), b"other")?;
        done(fs::rename(at("b"), at("d/l")))
    });
    tell("what is there", fs::read_to_string(at("d/l")));
    tell("what was there", fs::read_to_string(at("a")));
    tell("case", {
        fs::write(at("A"), b"upper")?;
        fs::read_to_string(at("a"))
    });
    tell("rename and link beside names in another case", {
        fs::create_dir(at("h"))?;
        for name in ["h/X", "x", "h/Y"] {
            fs::write(at(name), name)?;
        }
        fs::rename(at("x"), at("h/x"))?;
        fs::rename(at("h/x"), at("h/y"))?;
        fs::hard_link(at("h/y"), at("h/x"))?;
        let texts = ["h/X", "h/x", "h/Y", "h/y"].map(|name| fs::read_to_string(at(name)));
        Ok(format!("{texts:?}"))
    });
    tell("directory over an empty one", {
        fs::create_dir(at("e"))?;
        fs::create_dir(at("f"))?;
        fs::write(at("e/in"), b"in")?;
        done(fs::rename(at("e"), at("f")))
    });
    tell("what is in it", fs::read_to_string(at("f/in")));
    tell("directory over a full one", {
        fs::create_dir(at("g"))?;
        done(fs::rename(at("g"), at("f")))
    });
    tell(
        "directory into itself",
        done(fs::rename(at("f"), at("f/in/f"))),
    );
    tell("removed while open", {
        let mut open = OpenOptions::new().read(true).write(true).open(at("A"))?;
        fs::remove_file(at("A"))?;
        open.write_all(b"UPP")?;
        open.seek(SeekFrom::Start(0))?;
        let mut text = String::new();
        open.read_to_string(&mut text)?;
        let state = open.metadata()?;
        Ok(format!("{text} {} {}", state.len(), state.nlink()))
    });
    tell("replaced while open", {
        fs::write(at("old"), b"old")?;
        fs::write(at("new"), b"new")?;
        let mut open = File::open(at("old"))?;
        fs::rename(at("new"), at("old"))?;
        let mut text = String::new();
        open.read_to_string(&mut text)?;
        Ok(text + &fs::read_to_string(at("old"))?)
    });
    tell("sizes", {
        let file = File::create(at("sized"))?;
        file.set_len(10_000)?;
        file.write_all_at(b"end", 9_997)?;
        file.set_len(9_999)?;
        let text = fs::read(at("sized"))?;
        Ok(format!("{} {:?}", text.len(), &text[9_995..]))
    });
    tell("holes", {
        fs::write(at("holes"), vec![b'x'; 5 << 12])?;
        allocate(&at("holes"), &["--punch-hole"], 1 << 12, (2 << 12) + 5);
        allocate(&at("holes"), &["--punch-hole"], 6 << 12, 1 << 12);
        let text = fs::read(at("holes"))?;
        let zeroes = text.iter().filter(|byte| **byte == 0).count();
        Ok(format!("{} {zeroes} {}", text.len(), parts(&at("holes"))))
    });
    tell("zeroes", {
        fs::write(at("zeroed"), vec![b'x'; 1 << 14])?;
        allocate(
            &at("zeroed"),
            &["--zero-range", "--keep-size"],
            16_000,
            1000,
        );
        let kept = fs::metadata(at("zeroed"))?.len();
        allocate(&at("zeroed"), &["--zero-range"], 5000, 15_000);
        let text = fs::read(at("zeroed"))?;
        let before = text.iter().position(|byte| *byte == 0);
        let after = text.iter().rposition(|byte| *byte != 0);
        Ok(format!("{kept} {} {before:?} {after:?}", text.len()))
    });
    tell("appended", {
        fs::write(at("log"), b"1")?;
        let mut one = OpenOptions::new().append(true).open(at("log"))?;
        let mut two = OpenOptions::new().append(true).open(at("log"))?;
        one.write_all(b"2")?;
        two.write_all(b"3")?;
        fs::read_to_string(at("log"))
    });
    tell("mode and times", {
        let file = File::create(at("moded"))?;
        file.set_permissions(fs::Permissions::from_mode(0o4751))?;
        let time = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_700);
        file.set_modified(time)?;
        let state = fs::metadata(at("moded"))?;
        Ok(format!(
            "{:o} {} {}",
            state.mode(),
            state.mtime(),
            state.mtime_nsec()
        ))
    });
    tell("owner", {
        std::os::unix::fs::chown(at("moded"), Some(12), Some(34))?;
        let state = fs::metadata(at("moded"))?;
        Ok(format!(
            "{} {} {:o}",
            state.uid(),
            state.gid(),
            state.mode()
        ))
    });
    tell("pipe", {
        run(Command::new("mkfifo").arg(at("pipe")));
        fs::symlink_metadata(at("pipe")).map(|pipe| pipe.file_type().is_fifo().to_string())
    });
    tell("flushed", {
        File::open(at("d"))?.sync_all()?;
        done(File::open(at("a"))?.sync_all())
    });
    Ok(seen)
}

/// `fallocate` of a range.
fn allocate(file: &Path, options: &[&str], start: u32, length: u32) {
    let range = [("--offset", start), ("--length", length)];
    let mut command = Command::new("fallocate");
    command.args(options);
    for (option, bytes) in range {
        command.arg(option).arg(bytes.to_string());
    }
    let output = run(command.arg(file));
    assert!(output.status.success(), "{output:?}");
}

/// Where data and holes begin, as who reads finds them and as who writes alone; and what is behind the end.
fn parts(file: &Path) -> String {
    let program = r#"
import errno, os, sys
for how in os.O_RDONLY, os.O_WRONLY:
    f = os.open(sys.argv[1], how)
    print(*(os.lseek(f, at, whence) for at in (0, 4097, 12288, 20479) for whence in (os.SEEK_DATA, os.SEEK_HOLE)))
    for at in 20480, 99999:
        try: print(os.lseek(f, at, os.SEEK_HOLE))
        except OSError as e: print(errno.errorcode[e.errno])
"#;
    let output = run(Command::new("python3").args(["-c", program]).arg(file));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What lies below a directory: of each name what it is, its mode and its data.
fn tree(place: &Path, below: &str, found: &mut BTreeMap<String, String>) -> Done {
    for entry in fs::read_dir(place.join(below))? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        let state = fs::symlink_metadata(entry.path())?;
        let data = match state.file_type() {
            kind if kind.is_file() => format!("{:?}", fs::read(entry.path())?),
            kind if kind.is_symlink() => format!("{:?}", fs::read_link(entry.path())?),
            _ => String::new(),
        };
        found.insert(name.clone(), format!("{:o} {data}", state.mode()));
        if state.is_dir() {
            tree(place, &format!("{name}/"), found)?;
        }
    }
    Ok(())
}

/// All that lies below a directory.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn whole_tree(place: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    tree(place, "", &mut found).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    found
}
