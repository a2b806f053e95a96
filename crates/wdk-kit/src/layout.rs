//! Where everything lies.
//!
//! One place for paths, so that the modules that write a directory and the ones
//! that read it cannot disagree.

use std::path::{Path, PathBuf};

use crate::processor::Processor;
use crate::workspace::Workspace;

/// The target triple programs are built for: the one that has a linker on Linux.
pub const PROGRAM_TARGET: &str = "x86_64-pc-windows-gnu";

/// The SDK version in the folder's name.
///
/// wdk-build looks for a directory of such a name; its value is the version of
/// the WDK whose structures the kit's own headers follow.
pub const SDK_VERSION: &str = "10.0.26100.0";

/// The paths of one workspace.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    target: PathBuf,
    top: PathBuf,
}

impl Layout {
    /// The layout of the workspace at `root` with nothing outside of it, also no target directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            target: root.join("target"),
            top: root.clone(),
            root,
        }
    }

    /// The layout of a workspace.
    #[must_use]
    pub fn of(workspace: &Workspace) -> Self {
        Self {
            root: workspace.root.clone(),
            target: workspace.target_directory.clone(),
            top: workspace.top.clone(),
        }
    }

    /// The workspace's root: the directory of its Cargo.toml.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The innermost directory that has everything that belongs to the workspace below it.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// Everything the kit generates.
    ///
    /// Always inside the workspace, whatever the target directory: there, cargo finds the
    /// configuration of the workspace and of the directories around it.
    #[must_use]
    pub fn kit(&self) -> PathBuf {
        let target = match self.target.starts_with(&self.root) {
            true => self.target.clone(),
            false => self.root.join("target"),
        };
        target.join("kit")
    }

    /// The WDK-shaped folder, WDKContentRoot.
    #[must_use]
    pub fn wdk(&self) -> PathBuf {
        self.kit().join("wdk")
    }

    /// The headers of one kind: `km`, `km/crt` or `shared`.
    #[must_use]
    pub fn include(&self, kind: &str) -> PathBuf {
        self.wdk().join("Include").join(SDK_VERSION).join(kind)
    }

    /// The import libraries of the kernel.
    #[must_use]
    pub fn libraries(&self, processor: Processor) -> PathBuf {
        let kernel = self.wdk().join("Lib").join(SDK_VERSION).join("km");
        kernel.join(processor.library_directory())
    }

    /// A crate that replaces the registry's.
    #[must_use]
    pub fn patched_crate(&self, name: &str) -> PathBuf {
        self.kit().join("crates").join(name)
    }

    /// The image of [`Self::top`], in which the mirrored workspace lies.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.kit().join("workspace")
    }

    /// The mirrored workspace.
    #[must_use]
    pub fn mirror(&self) -> PathBuf {
        let mut mirror = self.image();
        mirror.extend(self.root.strip_prefix(&self.top));
        mirror
    }

    /// Cargo's target directory for builds in the mirror.
    ///
    /// One for each compiler set: cargo gives a cdylib no name of its own for
    /// each compiler, so that one set could take the other's file for its own.
    /// It lies below the mirror because wdk-build looks for Cargo.lock in the
    /// parents of its output directory.
    #[must_use]
    pub fn cargo_target(&self, compiler: &str) -> PathBuf {
        self.mirror().join("target").join(compiler)
    }

    /// Cargo's target directory for what is built in the workspace itself.
    #[must_use]
    pub fn own_target(&self) -> PathBuf {
        self.target.clone()
    }

    /// Where finished drivers lie, whichever compiler built them.
    #[must_use]
    pub fn artefacts(&self, processor: Processor, profile: &str) -> PathBuf {
        let target = self.target.join(processor.target());
        target.join(profile)
    }

    /// Cargo's target directory for programs; one for each compiler set, as for drivers.
    #[must_use]
    pub fn program_target(&self, compiler: &str) -> PathBuf {
        self.kit().join("programs").join(compiler)
    }

    /// Where finished programs lie that were not built on Windows.
    #[must_use]
    pub fn programs(&self, profile: &str) -> PathBuf {
        self.target.join(PROGRAM_TARGET).join(profile)
    }

    /// The key and the certificate of test signatures.
    #[must_use]
    pub fn test_signing(&self) -> PathBuf {
        self.target.join("test-signing")
    }

    /// Where `package` puts its files.
    #[must_use]
    pub fn package(&self) -> PathBuf {
        self.target.join("package")
    }
}
