//! The workspace again, where cargo may patch it.
//!
//! `target/kit/workspace` holds a symbolic link to everything at the
//! workspace's root, a lock file of its own, and a `.cargo/config.toml` with the
//! patches, the linker and the environment of wdk-build's build scripts. Cargo
//! finds that file by itself, whoever calls it there, which is what wdk-build
//! does.
//!
//! Where packages outside of the workspace belong to it, by a path such as `../shared`, the
//! workspace lies as deep in `target/kit/workspace` as in the directory that has all of them below
//! it, and each directory on the way has links beside the next: the same path leads to the same
//! package.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::Value;

use crate::files;
use crate::layout::{Layout, SDK_VERSION};
use crate::processor::Processor;
use crate::requirements::{Llvm, Requirements};
use crate::rust_flags;

/// The file that says what an image is of.
const STAMP: &str = ".image-of";

/// Makes or updates the mirror.
///
/// # Errors
/// When a file cannot be read or written.
pub fn prepare(layout: &Layout, requirements: &Requirements) -> Result<()> {
    link_image(layout)?;
    let mirror = layout.mirror();
    let no_exports = layout.kit().join("no_exports.def");
    files::write_if_changed(&no_exports, "EXPORTS\n")?;
    let flags = Processor::ALL.map(|processor| {
        let rustc = requirements.compiler.rustc();
        rust_flags::for_every_target(layout.root(), processor.target(), rustc)
    });
    let [x64, arm64] = flags;
    let configuration = configuration(layout, &requirements.llvm, &no_exports, [x64?, arm64?]);
    files::write_if_changed(&mirror.join(".cargo/config.toml"), configuration)?;
    copy_lock_file(layout.root(), &mirror)
}

/// Makes the directories from the top to the workspace's root, with the links in each.
fn link_image(layout: &Layout) -> Result<()> {
    let image = layout.image();
    let stamp = format!("{}\n", layout.top().display());
    let stamp_path = image.join(STAMP);
    let present = fs::read_to_string(&stamp_path);
    if present.is_ok_and(|present| present != stamp) {
        // What was a link may have become a directory: nothing must be written through it.
        files::empty_directory(&image)?;
    }
    files::write_if_changed(&stamp_path, stamp)?;
    let below = layout.root().strip_prefix(layout.top())?;
    let (mut original, mut copy) = (layout.top().to_path_buf(), image);
    for part in below {
        link_entries(&original, &copy, &|entry| {
            entry != original.join(part) && is_mirrored(entry)
        })?;
        original.push(part);
        copy.push(part);
        files::create_directory(&copy)?;
    }
    let (kit, target) = (layout.kit(), layout.own_target());
    link_entries(layout.root(), &copy, &|entry| {
        let own = entry.ends_with("target") || entry.ends_with("Cargo.lock");
        !own && !kit.starts_with(entry) && !target.starts_with(entry) && is_mirrored(entry)
    })
}

/// Links the entries of a directory that are wanted, and drops links to what is gone.
fn link_entries(original: &Path, copy: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
    for entry in directory(original)? {
        let entry = entry?;
        if is_wanted(&entry.path()) {
            files::link(&entry.path(), &copy.join(entry.file_name()))?;
        }
    }
    for entry in directory(copy)? {
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

/// Whether an entry of a directory belongs into the image: neither `.git`, which makes a
/// repository of it, nor `.cargo`, whose configuration cargo finds in the parents anyway.
fn is_mirrored(entry: &Path) -> bool {
    !entry.ends_with(".git") && !entry.ends_with(".cargo")
}

/// Hands the workspace's lock file on when it has changed.
///
/// Cargo adapts the copy to the patches, so that the copy cannot be compared
/// with the original; what it was made of is kept beside it.
fn copy_lock_file(root: &Path, mirror: &Path) -> Result<()> {
    let lock = files::read(&root.join("Cargo.lock"))?;
    let copy = mirror.join("Cargo.lock");
    let changed = files::write_if_changed(&mirror.join(".Cargo.lock.original"), &lock)?;
    if changed || !copy.exists() {
        files::write_if_changed(&copy, &lock)?;
    }
    Ok(())
}

/// What clang has to be told about the kit's headers; `resources` is its own directory.
///
/// The triple gives types the layout they have with MSVC. The headers are
/// written for GCC and must not take clang for MSVC: they would ask for
/// MSVC's own headers, and without a version of GCC they would define
/// __attribute__ away.
#[must_use]
pub fn clang_arguments(processor: Processor, resources: &str) -> String {
    format!(
        "--target={} -fgnuc-version=4.2.1 -U_MSC_VER -resource-dir {resources} \
         -I{resources}/include",
        processor.target()
    )
}

/// The cargo configuration of the mirror, with the flags that the workspace gives rustc for each
/// processor.
fn configuration(
    layout: &Layout,
    llvm: &Llvm,
    no_exports: &Path,
    flags: [Vec<String>; 2],
) -> String {
    let resources = llvm.resource_directory().display().to_string();
    let clang = Processor::ALL.map(|processor| {
        let target = processor.target().replace('-', "_");
        (
            format!("BINDGEN_EXTRA_CLANG_ARGS_{target}"),
            clang_arguments(processor, &resources),
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
        .into_iter()
        .chain(clang)
        .map(|(name, value)| format!("{name} = {{ value = {}, force = true }}\n", quoted(value)))
        .collect();
    let wdk_build = quoted(layout.patched_crate("wdk-build").display());
    // A kernel driver links no C runtime, and wdk-build insists on its being static. Sources are
    // named by their real paths in debug information. And a driver exports nothing, unless its
    // build script says what: rustc would export each `no_mangle` function of the wdk crates,
    // and of two definition files lld-link goes by the last.
    let own = [
        "-Ctarget-feature=+crt-static".to_owned(),
        format!(
            "--remap-path-prefix={}={}",
            layout.image().display(),
            layout.top().display()
        ),
        format!("-Clink-arg=/DEF:{}", no_exports.display()),
    ];
    let linker = quoted(llvm.program("lld-link").display());
    let targets: String = Processor::ALL
        .into_iter()
        .zip(flags)
        .map(|(processor, flags)| {
            let all = flags.iter().chain(&own).map(|flag| quoted(flag) + ", ");
            format!(
                "[target.{}]\nlinker = {linker}\nrustflags = [{}]\n\n",
                processor.target(),
                all.collect::<String>()
            )
        })
        .collect();
    format!(
        "# Written by wdk-kit; changes are lost.\n\
         [patch.crates-io]\nwdk-build = {{ path = {wdk_build} }}\n\n\
         {targets}[env]\n{environment}"
    )
}

/// A text as TOML writes it.
fn quoted(text: impl ToString) -> String {
    Value::String(text.to_string()).to_string()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::metadata::Metadata;
    use crate::workspace::Workspace;

    fn workspace() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "src/lib.rs",
            ".git/HEAD",
            ".cargo/config.toml",
            ".version",
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

    /// A layout of what is not there, with everything where a target directory may be.
    fn layout_of(root: &Path, target: &Path, top: &Path) -> Layout {
        let metadata = format!(
            "{{\"workspace_root\": {root:?}, \"target_directory\": {target:?}, \"packages\": []}}"
        );
        let metadata = Metadata::parse(&metadata).unwrap();
        Layout::of(&Workspace::from_metadata(&metadata, top.into(), None))
    }

    #[test]
    fn the_mirror_has_the_sources_and_neither_git_nor_target() {
        let (_root, layout) = workspace();
        link_image(&layout).unwrap();
        let mirror = layout.mirror();
        for file in ["src/lib.rs", ".version"] {
            assert_eq!(fs::read_to_string(mirror.join(file)).unwrap(), file);
        }
        for absent in [".git", ".cargo", "target", "Cargo.lock"] {
            assert!(!mirror.join(absent).exists(), "{absent}");
        }
    }

    #[test]
    fn a_target_directory_of_another_name_is_not_mirrored_either() {
        let (root, _) = workspace();
        for (target, entry) in [("out", "out"), ("build/out", "build")] {
            let target = root.path().join(target);
            let layout = layout_of(root.path(), &target, root.path());
            files::write_if_changed(&target.join("debris"), "").unwrap();
            link_image(&layout).unwrap();
            assert!(layout.kit().starts_with(&target), "{layout:?}");
            assert!(!layout.mirror().join(entry).exists(), "{target:?}");
        }
        let outside = tempfile::tempdir().unwrap();
        let layout = layout_of(root.path(), outside.path(), root.path());
        link_image(&layout).unwrap();
        assert!(layout.kit().starts_with(root.path()));
        assert!(layout.mirror().join("src").exists());
    }

    #[test]
    fn a_source_that_is_gone_leaves_no_link_behind() {
        let (root, layout) = workspace();
        link_image(&layout).unwrap();
        fs::remove_dir_all(root.path().join("src")).unwrap();
        link_image(&layout).unwrap();
        assert!(!layout.mirror().join("src").is_symlink());
    }

    #[test]
    fn what_lies_around_the_workspace_lies_around_the_mirror() {
        let outer = tempfile::tempdir().unwrap();
        let top = outer.path();
        for file in [
            "shared/lib.rs",
            "drivers/other/lib.rs",
            "drivers/glass/lib.rs",
        ] {
            files::write_if_changed(&top.join(file), file).unwrap();
        }
        let root = top.join("drivers/glass");
        let layout = layout_of(&root, &root.join("target"), top);
        link_image(&layout).unwrap();
        let mirror = layout.mirror();
        for (path, file) in [
            ("lib.rs", "drivers/glass/lib.rs"),
            ("../other/lib.rs", "drivers/other/lib.rs"),
            ("../../shared/lib.rs", "shared/lib.rs"),
        ] {
            assert_eq!(fs::read_to_string(mirror.join(path)).unwrap(), file);
        }

        // Nothing is written into the real directory that was linked until then.
        link_image(&Layout::new(&root)).unwrap();
        let nothing_outside = layout_of(&top.join("drivers"), &root.join("target"), top);
        link_image(&nothing_outside).unwrap();
        link_image(&layout).unwrap();
        assert_eq!(
            files::below(&top.join("shared")).unwrap(),
            [top.join("shared/lib.rs")]
        );
        assert_eq!(files::below(&top.join("drivers/other")).unwrap().len(), 1);
    }

    #[test]
    fn the_lock_file_is_handed_on_when_it_changes_and_only_then() {
        let (root, layout) = workspace();
        link_image(&layout).unwrap();
        let mirror = layout.mirror();
        copy_lock_file(root.path(), &mirror).unwrap();
        let copy = mirror.join("Cargo.lock");
        fs::write(&copy, "adapted by cargo").unwrap();
        copy_lock_file(root.path(), &mirror).unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "adapted by cargo");
        fs::write(root.path().join("Cargo.lock"), "another").unwrap();
        copy_lock_file(root.path(), &mirror).unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "another");
        assert_eq!(
            fs::read_to_string(root.path().join("Cargo.lock")).unwrap(),
            "another"
        );
    }

    #[test]
    fn the_configuration_names_everything_by_its_path() {
        let layout = Layout::new("/my \"work\"");
        let no_exports = layout.kit().join("no_exports.def");
        let flags = [vec!["--cfg=loud".to_owned()], Vec::new()];
        let text = configuration(&layout, &llvm(), &no_exports, flags);
        let table: toml::Table = toml::from_str(&text).unwrap();
        let kit = "/my \"work\"/target/kit";
        let value = |path: &str| {
            let mut keys = path.split('/');
            let first = &table[keys.next().unwrap()];
            keys.fold(first, |value, key| &value[key]).clone()
        };
        for (path, expected) in [
            (
                "patch/crates-io/wdk-build/path",
                format!("{kit}/crates/wdk-build"),
            ),
            (
                "target/x86_64-pc-windows-msvc/linker",
                "/usr/lib/llvm-19/bin/lld-link".to_owned(),
            ),
            ("env/WDKContentRoot/value", format!("{kit}/wdk")),
        ] {
            assert_eq!(value(path).as_str(), Some(&*expected), "{path}");
        }
        let flags = |target: &str| {
            let flags = value(&format!("target/{target}/rustflags"));
            let flags = flags.as_array().unwrap().iter();
            flags
                .map(|flag| flag.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let own = [
            "-Ctarget-feature=+crt-static".to_owned(),
            format!("--remap-path-prefix={kit}/workspace=/my \"work\""),
            format!("-Clink-arg=/DEF:{kit}/no_exports.def"),
        ];
        assert_eq!(flags("aarch64-pc-windows-msvc"), own);
        assert_eq!(flags("x86_64-pc-windows-msvc")[0], "--cfg=loud");
        assert_eq!(flags("x86_64-pc-windows-msvc")[1..], own);
        for target in ["x86_64-pc-windows-msvc", "aarch64-pc-windows-msvc"] {
            let name = format!(
                "env/BINDGEN_EXTRA_CLANG_ARGS_{}/value",
                target.replace('-', "_")
            );
            let arguments = value(&name);
            for part in ["-resource-dir /usr/lib/llvm-19/lib/clang/19 ", target] {
                assert!(arguments.as_str().unwrap().contains(part), "{arguments}");
            }
        }
    }
}
