//! Stages a driver's package.
//!
//! `target/package` gets the driver, its symbols and its stamped INF. A catalog
//! and signatures are not made: without them Windows refuses the package, except
//! where it has been told to accept unsigned drivers.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::driver_build::Profile;
use crate::files;
use crate::inf::{self, Date};
use crate::layout::Layout;
use crate::workspace::Driver;

/// Stages the release build of a driver and returns the files.
///
/// The INF source is `inf/NAME.inx` or `NAME.inx` in the driver's directory.
///
/// # Errors
/// When the driver has no INF source, or it cannot be stamped.
pub fn stage(layout: &Layout, driver: &Driver) -> Result<Vec<PathBuf>> {
    let name = format!("{}.inx", driver.image);
    let candidates = [
        driver.directory.join("inf").join(&name),
        driver.directory.join(&name),
    ];
    let source = candidates.iter().find(|path| path.is_file());
    let source = source.with_context(|| {
        format!(
            "{} has no INF source; it belongs at {}",
            driver.package,
            candidates[0].display()
        )
    })?;
    let version = inf::driver_version(&driver.version);
    let stamped = inf::stamp(&files::read_text(source)?, Date::today(), &version)
        .with_context(|| format!("cannot make an INF of {}", source.display()))?;

    let built = layout.artefacts(Profile::Release.directory());
    let package = layout.package();
    let mut staged = Vec::new();
    for extension in ["sys", "pdb"] {
        let file = format!("{}.{extension}", driver.image);
        files::copy_if_changed(&built.join(&file), &package.join(&file))?;
        staged.push(package.join(file));
    }
    let inf = package.join(format!("{}.inf", driver.image));
    files::write_if_changed(&inf, stamped)?;
    staged.push(inf);
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver_in(root: &tempfile::TempDir) -> Driver {
        Driver {
            package: "glass".to_owned(),
            version: "0.2.0".to_owned(),
            image: "glass".to_owned(),
            directory: root.path().to_path_buf(),
        }
    }

    #[test]
    fn the_release_build_is_staged_with_a_stamped_inf() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        for file in ["glass.sys", "glass.pdb"] {
            files::write_if_changed(&layout.artefacts("release").join(file), file).unwrap();
        }
        let source = "[Version]\nDriverVer =\n[DefaultInstall.NT$ARCH$]\n";
        files::write_if_changed(&root.path().join("inf/glass.inx"), source).unwrap();
        let staged = stage(&layout, &driver_in(&root)).unwrap();
        assert_eq!(staged.len(), 3);
        assert!(staged.iter().all(|path| path.is_file()), "{staged:?}");
        let inf = files::read_text(&staged[2]).unwrap();
        assert!(
            inf.contains(",0.2.0.0\r\n[DefaultInstall.NTamd64]"),
            "{inf}"
        );
    }

    #[test]
    fn a_driver_without_an_inf_source_is_told_where_it_belongs() {
        let root = tempfile::tempdir().unwrap();
        let error = stage(&Layout::new(root.path()), &driver_in(&root)).unwrap_err();
        assert!(error.to_string().contains("inf/glass.inx"), "{error}");
    }
}
