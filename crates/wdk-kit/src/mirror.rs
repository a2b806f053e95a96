//! The workspace again, where cargo may patch it.
//!
//! `target/kit/workspace` holds a symbolic link to everything at the
//! workspace's root, a lock file of its own, and a `.cargo/config.toml` with the
//! patches, the linker and the environment of wdk-build's build scripts. Cargo
//! finds that file by itself, whoever calls it there, which is what wdk-build
//! does.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::files;
use crate::layout::{Layout, SDK_VERSION};
use crate::processor::Processor;
use crate::requirements::Llvm;

/// Makes or updates the mirror.
///
/// # Errors
/// When a file cannot be read or written.
pub fn prepare(layout: &Layout, llvm: &Llvm) -> Result<()> {
    let mirror = layout.mirror();
    files::create_directory(&mirror)?;
    link_entries(layout.root(), &mirror)?;
    let no_exports = layout.kit().join("no_exports.def");
    files::write_if_changed(&no_exports, "EXPORTS\n")?;
    let configuration = configuration(layout, llvm, &no_exports);
    files::write_if_changed(&mirror.join(".cargo/config.toml"), configuration)?;
    copy_lock_file(layout.root(), &mirror)
}

/// Links the entries of the workspace's root, and drops links to what is gone.
fn link_entries(root: &Path, mirror: &Path) -> Result<()> {
    for entry in directory(root)? {
        let entry = entry?;
        if is_mirrored(&entry.file_name().to_string_lossy()) {
            files::link(&entry.path(), &mirror.join(entry.file_name()))?;
        }
    }
    for entry in directory(mirror)? {
        let path = entry?.path();
        if path.is_symlink() && !path.exists() {
            fs::remove_file(&path)
                .with_context(|| format!("cannot remove the link {}", path.display()))?;
        }
    }
    Ok(())
}

fn directory(path: &Path) -> Result<fs::ReadDir> {
    fs::read_dir(path).with_context(|| format!("cannot read the directory {}", path.display()))
}

/// Whether an entry of the workspace's root belongs into the mirror.
///
/// Not what the mirror has of its own; and no hidden entry, such as `.git` or
/// `.cargo`, whose configuration cargo finds in the mirror's parents anyway.
fn is_mirrored(name: &str) -> bool {
    !name.starts_with('.') && name != "target" && name != "Cargo.lock"
}

/// Hands the workspace's lock file on when it has changed.
///
/// Cargo adapts the copy to the patches, so that the copy cannot be compared
/// with the original; what it was made of is kept beside it.
fn copy_lock_file(root: &Path, mirror: &Path) -> Result<()> {
    let lock = files::read(&root.join("Cargo.lock")).context(
        "there is no lock file yet; `cargo generate-lockfile` in the workspace makes one",
    )?;
    let copy = mirror.join("Cargo.lock");
    let changed = files::write_if_changed(&mirror.join(".Cargo.lock.original"), &lock)?;
    if changed || !copy.exists() {
        files::write_if_changed(&copy, &lock)?;
    }
    Ok(())
}

/// The cargo configuration of the mirror.
fn configuration(layout: &Layout, llvm: &Llvm, no_exports: &Path) -> String {
    let resources = llvm.resource_directory();
    // The triple gives types the layout they have with MSVC. The headers are
    // written for GCC and must not take clang for MSVC: they would ask for
    // MSVC's own headers, and without a version of GCC they would define
    // __attribute__ away.
    let clang = Processor::ALL.map(Processor::target).map(|target| {
        (
            format!("BINDGEN_EXTRA_CLANG_ARGS_{}", target.replace('-', "_")),
            format!(
                "--target={target} -fgnuc-version=4.2.1 -U_MSC_VER -resource-dir {0} -I{0}/include",
                resources.display()
            ),
        )
    });
    let environment = [
        ("WDKContentRoot", layout.wdk().display().to_string()),
        ("Version_Number", SDK_VERSION.to_owned()),
        (
            "LIBCLANG_PATH",
            llvm.library_directory().display().to_string(),
        ),
        // The resource compiler, for build scripts that link a resource; without
        // a C preprocessor, which would be another thing to install.
        ("RC", llvm.program("llvm-rc").display().to_string()),
        ("RCFLAGS", "/no-preprocess".to_owned()),
    ];
    let environment: String = environment
        .map(|(name, value)| (name.to_owned(), value))
        .iter()
        .chain(&clang)
        .map(|(name, value)| format!("{name} = {{ value = {value:?}, force = true }}\n"))
        .collect();
    let patches: String = ["wdk-build", "windows"]
        .map(|name| format!("{name} = {{ path = {:?} }}\n", layout.patched_crate(name)))
        .concat();
    // Sources are named by their real paths in debug information, and a driver
    // exports nothing: rustc would export each `no_mangle` function of the wdk
    // crates, and of two definition files lld-link goes by the last.
    let rustc = [
        format!(
            "--remap-path-prefix={}={}",
            layout.mirror().display(),
            layout.root().display()
        ),
        format!("-Clink-arg=/DEF:{}", no_exports.display()),
    ];
    let linker = llvm.program("lld-link");
    let targets: String = Processor::ALL
        .map(Processor::target)
        .map(|target| format!("[target.{target}]\nlinker = {linker:?}\nrustflags = {rustc:?}\n\n"))
        .concat();
    format!(
        "# Written by wdk-kit; changes are lost.\n\
         [patch.crates-io]\n{patches}\n\
         {targets}[env]\n{environment}"
    )
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn workspace() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "src/lib.rs",
            ".git/HEAD",
            "target/debris",
        ] {
            files::write_if_changed(&root.path().join(file), file).unwrap();
        }
        let layout = Layout::new(root.path());
        (root, layout)
    }

    fn llvm() -> Llvm {
        Llvm {
            directory: "/usr/lib/llvm-19".into(),
            version: 19,
        }
    }

    #[test]
    fn the_mirror_has_the_sources_and_neither_git_nor_target() {
        let (_root, layout) = workspace();
        prepare(&layout, &llvm()).unwrap();
        let mirror = layout.mirror();
        assert_eq!(
            fs::read_to_string(mirror.join("src/lib.rs")).unwrap(),
            "src/lib.rs"
        );
        assert!(!mirror.join(".git").exists());
        assert!(!mirror.join("target").exists());
        assert!(!mirror.join("Cargo.lock").is_symlink());
    }

    #[test]
    fn a_source_that_is_gone_leaves_no_link_behind() {
        let (root, layout) = workspace();
        prepare(&layout, &llvm()).unwrap();
        fs::remove_dir_all(root.path().join("src")).unwrap();
        prepare(&layout, &llvm()).unwrap();
        assert!(!layout.mirror().join("src").is_symlink());
    }

    #[test]
    fn the_lock_file_is_handed_on_when_it_changes_and_only_then() {
        let (root, layout) = workspace();
        prepare(&layout, &llvm()).unwrap();
        let copy = layout.mirror().join("Cargo.lock");
        fs::write(&copy, "adapted by cargo").unwrap();
        prepare(&layout, &llvm()).unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "adapted by cargo");
        fs::write(root.path().join("Cargo.lock"), "another").unwrap();
        prepare(&layout, &llvm()).unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "another");
        assert_eq!(
            fs::read_to_string(root.path().join("Cargo.lock")).unwrap(),
            "another"
        );
    }

    #[test]
    fn the_configuration_names_everything_by_its_path() {
        let layout = Layout::new("/w");
        let text = configuration(&layout, &llvm(), Path::new("/w/target/kit/no_exports.def"));
        for part in [
            "windows = { path = \"/w/target/kit/crates/windows\" }",
            "linker = \"/usr/lib/llvm-19/bin/lld-link\"",
            "--remap-path-prefix=/w/target/kit/workspace=/w",
            "WDKContentRoot = { value = \"/w/target/kit/wdk\", force = true }",
            "-resource-dir /usr/lib/llvm-19/lib/clang/19 ",
            "[target.aarch64-pc-windows-msvc]",
            "BINDGEN_EXTRA_CLANG_ARGS_x86_64_pc_windows_msvc = { value = \"--target=x86_64-pc-",
            "BINDGEN_EXTRA_CLANG_ARGS_aarch64_pc_windows_msvc = { value = \"--target=aarch64-pc-",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }
}
