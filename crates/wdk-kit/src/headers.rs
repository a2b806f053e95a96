//! The header folder: mingw-w64's kernel headers, with ours in front.
//!
//! wdk-build gives bindgen three directories, in this order:
//!
//! | directory | contents |
//! |---|---|
//! | `km/crt` | the kit's headers, from `kit/include` |
//! | `km` | links to mingw-w64's kernel headers |
//! | `shared` | a link to the rest of mingw-w64's headers |
//!
//! A header of the kit can therefore take the place of one of mingw-w64's, or
//! wrap it with `#include_next`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::files;
use crate::layout::Layout;

/// The kit's own headers.
const OWN: [(&str, &str); 5] = [
    ("armddk.h", include_str!("../kit/include/armddk.h")),
    ("intrin.h", include_str!("../kit/include/intrin.h")),
    ("kit_ddi.h", include_str!("../kit/include/kit_ddi.h")),
    ("ntdef.h", include_str!("../kit/include/ntdef.h")),
    ("ntifs.h", include_str!("../kit/include/ntifs.h")),
];

/// Makes the header folder from the headers below `mingw`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn prepare(layout: &Layout, mingw: &Path) -> Result<()> {
    let own = layout.include("km/crt");
    for (name, contents) in OWN {
        files::write_if_changed(&own.join(name), contents)?;
    }

    let kernel = layout.include("km");
    let source = mingw.join("include").join("ddk");
    let entries = fs::read_dir(&source)
        .with_context(|| format!("cannot read the directory {}", source.display()))?;
    for entry in entries {
        let entry = entry?;
        files::link(&entry.path(), &kernel.join(entry.file_name()))?;
    }

    files::link(&mingw.join("include"), &layout.include("shared"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn our_headers_come_before_the_kernel_headers_and_those_before_the_rest() {
        let mingw = tempfile::tempdir().unwrap();
        for name in [
            "include/ddk/ntifs.h",
            "include/ddk/wdm.h",
            "include/windef.h",
        ] {
            files::write_if_changed(&mingw.path().join(name), name).unwrap();
        }
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        prepare(&layout, mingw.path()).unwrap();

        let found = |name: &str| {
            let mut directories = ["km/crt", "km", "shared"]
                .map(|kind| layout.include(kind))
                .into_iter();
            let path = directories.find_map(|directory| {
                let path = directory.join(name);
                path.exists().then_some(path)
            });
            fs::read_to_string(path.unwrap()).unwrap()
        };
        assert!(found("ntifs.h").contains("#include_next <ntifs.h>"));
        assert_eq!(found("wdm.h"), "include/ddk/wdm.h");
        assert_eq!(found("windef.h"), "include/windef.h");
        // A second run finds everything in place.
        prepare(&layout, mingw.path()).unwrap();
    }

    #[test]
    fn every_renamed_definition_gets_its_name_back() {
        let wrapper = include_str!("../kit/include/ntifs.h");
        let names = |directive: &str| -> Vec<&str> {
            let lines = wrapper
                .lines()
                .filter_map(|line| line.strip_prefix(directive));
            lines.filter_map(|rest| rest.split(' ').next()).collect()
        };
        assert!(!names("#define ").is_empty());
        assert_eq!(names("#define "), names("#undef "));
    }
}
