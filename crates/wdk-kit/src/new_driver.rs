//! `wdk-kit new`: a driver of one's own, from nothing.
//!
//! What it makes is the example of the layer, so that the template is the code that the layer's tests
//! run, with a manifest, an INF source, and a package of the host that runs the driver in ntbox.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::files;

/// The files, by their paths in the new folder. `@FILE@` in a path or a text is the name of the image.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../template/Cargo.toml.in")),
    ("build.rs", include_str!("../template/build.rs.in")),
    (
        ".cargo/config.toml",
        include_str!("../template/config.toml.in"),
    ),
    (".gitignore", include_str!("../template/gitignore.in")),
    ("@FILE@.inx", include_str!("../template/driver.inx.in")),
    ("README.md", include_str!("../template/README.md.in")),
    (
        "check/Cargo.toml",
        include_str!("../template/check/Cargo.toml.in"),
    ),
    (
        "check/src/lib.rs",
        include_str!("../template/check/lib.rs.in"),
    ),
    (
        "check/tests/ntbox.rs",
        include_str!("../template/check/tests/ntbox.rs.in"),
    ),
    ("src/lib.rs", include_str!("../../wdm/example/src/lib.rs")),
    (
        "src/pass_through.rs",
        include_str!("../../wdm/example/src/pass_through.rs"),
    ),
    ("src/wait.rs", include_str!("../../wdm/example/src/wait.rs")),
    ("src/post.rs", include_str!("../../wdm/example/src/post.rs")),
    ("src/own.rs", include_str!("../../wdm/example/src/own.rs")),
];

/// The version of the layer that goes with this kit.
const LAYER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Longer names do not fit everywhere that Windows shows a service.
const LONGEST_NAME: usize = 64;

/// Makes a driver called `name` in a new folder: what was made, in the order of [`FILES`].
///
/// `layer` is the folder of the package `wdm-filter`; without it the one that lies beside the source of this
/// kit is used, and the registry's where there is none.
///
/// # Errors
/// When the name is no name of a package, the folder is there already, or something cannot be written.
pub fn make(name: &str, folder: &Path, layer: Option<&Path>) -> Result<Vec<PathBuf>> {
    check_name(name)?;
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let layer = layer_dependency(layer)?;
    let file = name.replace('-', "_");
    let fill = |text: &str| {
        let text = text.replace("@NAME@", name).replace("@FILE@", &file);
        text.replace("@LAYER@", &layer)
    };
    let mut made = Vec::new();
    for (path, text) in FILES {
        let path = folder.join(fill(path));
        if let Some(directory) = path.parent() {
            files::create_directory(directory)?;
        }
        files::write_if_changed(&path, fill(text))?;
        made.push(path);
    }
    Ok(made)
}

/// A name of a package that is one of a driver's file as well.
fn check_name(name: &str) -> Result<()> {
    let mut letters = name.chars();
    let starts_well = letters
        .next()
        .is_some_and(|letter| letter.is_ascii_lowercase());
    let goes_on_well = letters.all(|letter| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_')
    });
    if !starts_well || !goes_on_well || name.len() > LONGEST_NAME {
        bail!(
            "{name:?} is no name for a driver: up to {LONGEST_NAME} letters a to z, digits, - and _, \
             a letter first"
        );
    }
    Ok(())
}

/// What the new manifest says of the layer.
fn layer_dependency(named: Option<&Path>) -> Result<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wdm");
    let folder = match named {
        Some(folder) if !folder.join("Cargo.toml").is_file() => {
            bail!("there is no Cargo.toml in {}", folder.display())
        }
        Some(folder) => folder,
        None if beside.join("Cargo.toml").is_file() => &beside,
        None => return Ok(format!("{LAYER_VERSION:?}")),
    };
    let folder = folder.canonicalize()?;
    Ok(format!("{{ path = {:?} }}", folder.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    #[test]
    fn a_name_is_one_of_a_package_and_of_a_file() {
        for name in ["glass", "my-filter", "f2_x"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "2f", "My", "a b", "../a", "a.b", "é", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_made_has_its_name_and_no_placeholder() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("my-filter");
        let made = make("my-filter", &folder, None).unwrap();
        assert_eq!(made.len(), FILES.len());
        assert!(folder.join("my_filter.inx").is_file());
        for file in &made {
            let text = files::read_text(file).unwrap();
            assert!(
                !text.contains("@NAME@") && !text.contains("@FILE@") && !text.contains("@LAYER@")
            );
        }
        let manifest: toml::Table = files::read_text(&folder.join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("my-filter"));
        assert!(manifest["dependencies"]["wdm-filter"].get("path").is_some());
        let error = make("my-filter", &folder, None).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
    }

    #[test]
    fn its_inf_keeps_the_rules() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("my-filter");
        make("my-filter", &folder, None).unwrap();
        commands::inf_lint(false, &[folder.join("my_filter.inx")]).unwrap();
    }

    #[test]
    fn a_layer_that_is_not_there_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let layer = Some(directory.path());
        let folder = directory.path().join("x");
        assert!(make("x", &folder, layer).is_err());
        assert!(!folder.exists());
    }
}
