//! The layer as a package that others take: `wdm-filter`.
//!
//! What cargo would publish is unpacked outside of the repository. Its documentation is made there by
//! the command that docs.rs runs, without a WDK and without the kit; what it is made of, and what its
//! manifest says, is looked at; and cargo compiles it from the package, for the kernel, with what `wdk-kit` has
//! in the place of a WDK.

#![cfg(unix)]

use fsglass_tests::drivers::{kit, repository};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use toml::Table;

const NAME: &str = "wdm-filter";

/// The package, unpacked.
static PACKAGE: LazyLock<Unpacked> = LazyLock::new(Unpacked::make);

struct Unpacked {
    directory: tempfile::TempDir,
    root: PathBuf,
}

impl Unpacked {
    fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let made = directory.path().join("made");
        let mut package = clean("cargo");
        package.current_dir(repository());
        package.args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
        package.args(["--package", NAME, "--target-dir"]).arg(&made);
        run(&mut package);
        let version = version();
        let archive = made.join(format!("package/{NAME}-{version}.crate"));
        let mut tar = clean("tar");
        tar.arg("-xzf").arg(archive).arg("-C").arg(directory.path());
        run(&mut tar);
        let root = directory.path().join(format!("{NAME}-{version}"));
        Self { directory, root }
    }

    fn read(&self, file: &str) -> String {
        read(&self.root.join(file))
    }

    fn manifest(&self) -> Table {
        self.read("Cargo.toml").parse().expect("a manifest")
    }
}

/// A command in the surroundings of a machine that has rustup and nothing else of ours.
fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program that is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{errors}");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> Table {
    let manifest: Table = read(&repository().join("Cargo.toml"))
        .parse()
        .expect("a manifest");
    manifest["workspace"]["package"]
        .as_table()
        .expect("what members share")
        .clone()
}

fn version() -> String {
    workspace()["version"].as_str().expect("one").to_owned()
}

/// Its pages are there, with what they are about, and no link leads nowhere.
#[test]
fn docs_rs_can_document_it() {
    let package = &*PACKAGE;
    let manifest = package.manifest();
    let settings = &manifest["package"]["metadata"]["docs"]["rs"];
    let target = settings["targets"][0].as_str().expect("a target");
    let target_directory = package.directory.path().join("docs");
    let mut rustdoc = clean("cargo");
    rustdoc.current_dir(&package.root);
    // docs.rs has a nightly compiler; this lets any do what that does.
    rustdoc.env("RUSTC_BOOTSTRAP", "1").env("DOCS_RS", "1");
    rustdoc.env("CARGO_TARGET_DIR", &target_directory);
    rustdoc.args(["rustdoc", "--quiet", "--locked", "--lib"]);
    rustdoc.args(["-Zrustdoc-map", "-Zunstable-options"]);
    let flags = &settings["rustc-args"];
    rustdoc
        .arg("--config")
        .arg(format!("build.rustflags={flags}"));
    rustdoc.args(["-Zhost-config", "-Ztarget-applies-to-host"]);
    rustdoc
        .arg("--config")
        .arg(format!("host.rustflags={flags}"));
    let rustdoc_flags = r#"build.rustdocflags=["--cfg","docsrs","-D","warnings"]"#;
    rustdoc.args(["--config", rustdoc_flags, "--target", target]);
    run(&mut rustdoc);
    let pages = target_directory.join(target).join("doc/wdm");
    for (page, word) in [
        ("irp/struct.Irp.html", "forward_and_wait"),
        ("irp/struct.Irp.html", "CountFailures"),
        ("status/struct.Status.html", "MORE_PROCESSING_REQUIRED"),
        ("struct.GUID.html", "Data4"),
    ] {
        let text = read(&pages.join(page));
        assert!(text.contains(word), "{word} is not in {page}");
    }
}

/// As `cargo publish` would before it uploads it, with the crates that are compiled for the drivers already.
#[test]
fn it_compiles_from_what_is_published() {
    let output = kit().arg("prepare").output().expect("the kit");
    let printed = String::from_utf8(output.stdout).expect("a line for a shell");
    let line = printed.lines().find_map(|line| line.strip_prefix("cd "));
    let (mirror, check) = line
        .and_then(|line| line.split_once(" && "))
        .expect(&printed);
    let configuration = Path::new(mirror).join(".cargo/config.toml");
    let check = format!("{check} --config {}", configuration.display());
    let mut shell = Command::new("sh");
    // Unpacked for itself: cargo notes the kit's crates in the lock file.
    let package = Unpacked::make();
    run(shell.args(["-c", &check]).current_dir(&package.root));
}

/// What its readers and its lawyers look for is in it, and the licences are the repository's.
#[test]
fn it_is_whole() {
    let package = &*PACKAGE;
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert_eq!(package.read(file), read(&repository().join(file)), "{file}");
    }
    assert!(
        package
            .read("CHANGELOG.md")
            .contains(&format!("## {}", version()))
    );
    assert!(
        package
            .read("README.md")
            .starts_with(&format!("# {NAME}\n"))
    );
    for pattern in ["pass_through", "wait", "post", "own"] {
        package.read(&format!("example/src/{pattern}.rs"));
    }
    let manifest = package.manifest();
    let package = manifest["package"].as_table().expect("a package");
    for key in [
        "description",
        "license",
        "readme",
        "categories",
        "keywords",
        "rust-version",
    ] {
        assert!(package.contains_key(key), "{key} is not in the manifest");
    }
}

/// Nobody can go there: nothing of ours is on the web.
#[test]
fn no_manifest_names_a_place_on_the_web() {
    let listed = Command::new("git")
        .args(["ls-files", "*Cargo.toml"])
        .current_dir(repository())
        .output()
        .expect("git");
    let files = String::from_utf8(listed.stdout).expect("names");
    assert!(files.lines().count() > 10, "{files}");
    for file in files.lines() {
        let text = read(&repository().join(file));
        let named: Vec<_> = text
            .lines()
            .filter(|line| {
                ["repository", "homepage", "documentation"]
                    .iter()
                    .any(|key| line.starts_with(key))
            })
            .collect();
        assert!(named.is_empty(), "{file}: {named:?}");
    }
}

/// The oldest compiler that the manifests accept is the one that the hosted CI uses.
#[test]
fn the_minimum_compiler_is_the_one_that_is_used() {
    let minimum = workspace()["rust-version"]
        .as_str()
        .expect("one")
        .to_owned();
    let workflow = read(&repository().join(".github/workflows/ci.yml"));
    let image = format!("image: rust:{minimum}.0-bookworm");
    assert!(workflow.contains(&image), "the workflow has not {image:?}");
    for readme in ["crates/wdm/README.md", "crates/wdk-kit/README.md"] {
        let text = read(&repository().join(readme));
        assert!(text.contains(&format!("Rust {minimum}")), "{readme}");
    }
}
