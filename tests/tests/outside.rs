//! `wdk-kit` on a driver that is not ours.
//!
//! `outside` is a workspace of its own, of a driver that uses none of our crates. It is copied out
//! of the repository and is everything that ours is not: its path has a space in it, its target
//! directory another name, the driver model is the workspace's, the driver is a member and not at
//! the root, uses a package beside the workspace, and has a build script that reads a hidden file
//! and says what is exported. What the kit makes of it is looked at and run under ntbox.

#![cfg(unix)]

use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{kit, repository};
use object::LittleEndian as LE;
use object::pe::{IMAGE_FILE_MACHINE_AMD64, IMAGE_SUBSYSTEM_NATIVE};
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64};
use object::{Import, NameOrOrdinal, Object as _};
use pdb2::FallibleIterator as _;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use wdk_kit::files;

/// A copy of `outside`.
struct Outside {
    directory: tempfile::TempDir,
}

/// The copy whose driver has been packaged, which builds its release profile.
static PACKAGED: LazyLock<(Outside, String)> = LazyLock::new(|| {
    let outside = Outside::copy();
    let printed = outside.expect("package", &[]);
    (outside, printed)
});

impl Outside {
    fn copy() -> Self {
        let original = repository().join("tests/outside");
        let directory = tempfile::Builder::new()
            .prefix("not ours ")
            .tempdir()
            .expect("a temporary directory");
        for file in files::below(&original).expect("tests/outside is part of the repository") {
            let relative = file.strip_prefix(&original).expect("a path below");
            files::copy_if_changed(&file, &directory.path().join(relative)).expect("a copy");
        }
        Self { directory }
    }

    /// Something in the drivers' workspace.
    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("drivers").join(path)
    }

    /// Runs a command of the kit for the driver, and returns whether it ended well and what it
    /// printed.
    fn run(&self, command: &str, arguments: &[&str]) -> (bool, String) {
        let mut kit = kit();
        kit.args([command, "--manifest-path"]);
        run(kit.arg(self.path("greeter/Cargo.toml")).args(arguments))
    }

    fn expect(&self, command: &str, arguments: &[&str]) -> String {
        let (ended_well, output) = self.run(command, arguments);
        assert!(ended_well, "wdk-kit {command}:\n{output}");
        output
    }

    fn driver(&self) -> PathBuf {
        self.path("out/x86_64-pc-windows-msvc/release/greeter.sys")
    }
}

/// Runs a command, for as long as it takes.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("a program that is there");
    let printed = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

/// The driver says everything that its sources, its configuration, its build script and the
/// package beside its workspace have put into it.
#[test]
fn it_runs_under_ntbox() {
    let (outside, _) = &*PACKAGED;
    let driver = outside.driver();
    let run = [
        "run".as_ref(),
        "--driver".as_ref(),
        driver.as_os_str(),
        "--ops".as_ref(),
        "50".as_ref(),
    ];
    ntbox(run)
        .expect_code(0)
        .expect_output("Hello, I am of the build script, as configured")
        .expect_output("Goodbye")
        .expect_output("unloaded, nothing left behind");
}

#[test]
fn its_image_is_a_drivers() {
    let (outside, _) = &*PACKAGED;
    let bytes = fs::read(outside.driver()).expect("it was built");
    let image = PeFile64::parse(&*bytes).expect("a PE32+ image");
    let headers = image.nt_headers();
    assert_eq!(
        headers.file_header().machine.get(LE),
        IMAGE_FILE_MACHINE_AMD64
    );
    let optional = headers.optional_header();
    assert_eq!(optional.subsystem(), IMAGE_SUBSYSTEM_NATIVE);

    let imports = image.imports().expect("an import table");
    let imports: Vec<_> = imports.collect::<Result<_, _>>().expect("imports");
    let modules: BTreeSet<_> = imports.iter().map(|import| import.library()).collect();
    assert_eq!(modules, BTreeSet::from([b"ntoskrnl.exe".as_slice()]));
    for name in [b"DbgPrint".as_slice(), b"ExAllocatePool2"] {
        let is_it = |import: &Import<'_>| import.name() == NameOrOrdinal::Name(name);
        assert!(imports.iter().any(is_it), "{imports:?}");
    }
    let exports = image.exports().expect("an export table");
    let exports: Vec<_> = exports.collect::<Result<_, _>>().expect("exports");
    let exported: Vec<_> = exports.iter().map(|export| export.name()).collect();
    assert_eq!(exported, [NameOrOrdinal::Name(b"Greet".as_slice())]);

    let entry = optional.address_of_entry_point();
    let symbols = fs::File::open(outside.driver().with_extension("pdb")).expect("its symbols");
    assert_eq!(address_of("DriverEntry", symbols), Some(entry));
}

/// The relative virtual address of a public symbol.
fn address_of(name: &str, symbols: fs::File) -> Option<u32> {
    let mut symbols = pdb2::PDB::open(symbols).expect("a PDB");
    let addresses = symbols.address_map().expect("its sections");
    let globals = symbols.global_symbols().expect("its symbols");
    let mut globals = globals.iter();
    while let Some(symbol) = globals.next().expect("a symbol") {
        if let Ok(pdb2::SymbolData::Public(symbol)) = symbol.parse()
            && symbol.name.to_string() == name
        {
            return symbol.offset.to_rva(&addresses).map(|address| address.0);
        }
    }
    None
}

/// A device's driver has no variant for old systems; DriverVer and the catalog come from the kit.
#[test]
fn its_package_is_whole() {
    let (outside, printed) = &*PACKAGED;
    let folder = outside.path("out/package");
    let made = files::below(&folder).expect("the package");
    let names: Vec<_> = made
        .iter()
        .filter_map(|file| file.file_name()?.to_str())
        .collect();
    assert_eq!(
        names,
        [
            "greeter.cat",
            "greeter.cer",
            "greeter.inf",
            "greeter.pdb",
            "greeter.sys"
        ]
    );
    for name in names {
        assert!(
            printed.contains(&format!("out/package/{name}")),
            "{printed}"
        );
    }
    let inf = files::read_text(&folder.join("greeter.inf")).expect("the INF");
    for part in [
        "CatalogFile = greeter.cat",
        ",1.2.3.0",
        "NTamd64.10.0...16299",
    ] {
        assert!(inf.contains(part), "{part:?} is not in:\n{inf}");
    }
    outside.expect("check-package", &[]);
    let image = folder.join("greeter.sys");
    fs::copy(outside.driver(), &image).expect("the driver, not signed");
    let (ended_well, output) = outside.run("check-package", &[]);
    assert!(
        !ended_well && output.contains("greeter.sys: not signed"),
        "{output}"
    );
}

/// Sources, paths and versions stay those of the workspace's owner.
#[test]
fn what_is_not_the_kits_is_left_alone() {
    let (outside, _) = &*PACKAGED;
    let original = repository().join("tests/outside");
    for file in files::below(outside.directory.path()).expect("the copy") {
        let relative = file
            .strip_prefix(outside.directory.path())
            .expect("a path below");
        if relative.starts_with("drivers/out") {
            continue;
        }
        assert_eq!(
            files::read(&file).expect("a file"),
            files::read(&original.join(relative)).expect("not made by the kit"),
            "{}",
            relative.display()
        );
    }
}

/// In the profile that has been built, so that little is left to compile.
#[test]
fn it_is_checked_linted_and_prepared() {
    let (outside, _) = &*PACKAGED;
    let printed = outside.expect("prepare", &[]);
    let line = printed.lines().find(|line| line.starts_with("cd "));
    let line = format!("{} --release", line.expect("a line for a shell"));
    let (ended_well, output) = run(Command::new("sh").args(["-c", &line]).current_dir("/"));
    assert!(ended_well, "{line}\n{output}");

    outside.expect("cargo", &["check", "--release", "--features", "polite"]);
    let (ended_well, output) = outside.run("cargo", &["check", "--features", "rude"]);
    assert!(!ended_well && output.contains("rude"), "{output}");

    outside.expect("clippy", &["--", "--release", "--features", "polite"]);
    let (ended_well, output) =
        outside.run("clippy", &["--", "--release", "--features", "careless"]);
    assert!(!ended_well, "{output}");
    assert!(
        output.contains("greeter/src/lib.rs") && output.contains("needless_return"),
        "{output}"
    );
}
