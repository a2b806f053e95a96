//! A page in a real browser, without a window.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Windows has one.
const EDGE: &str = r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe";

/// The browser: the one that `FSGLASS_BROWSER` names, or the one that the system brings or the kit
/// installs.
fn browser() -> PathBuf {
    if let Some(named) = std::env::var_os("FSGLASS_BROWSER") {
        return named.into();
    }
    if cfg!(windows) {
        EDGE
    } else {
        wdk_kit::requirements::BROWSER
    }
    .into()
}

/// Opens a page, with these arguments: what the browser wrote to standard output.
fn open(page: &Path, arguments: &[OsString]) -> String {
    let profile = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory: {error}"));
    let mut command = Command::new(browser());
    command
        // As root there is no sandbox, and in a container little shared memory.
        .args(["--headless", "--no-sandbox", "--disable-dev-shm-usage"])
        .args(["--disable-gpu", "--hide-scrollbars", "--no-first-run"])
        .arg(argument("--user-data-dir=", profile.path()))
        .args(arguments)
        .arg(argument("file://", page));
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn argument(name: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(name);
    argument.push(path);
    argument
}

/// The page as the browser understood it.
///
/// # Panics
/// If the browser cannot be started.
#[must_use]
pub fn document(page: &Path) -> String {
    open(page, &["--dump-dom".into()])
}

/// A picture of the page: the size of its pixels and their bytes, red, green, blue and perhaps alpha.
pub struct Picture {
    /// Bytes of a pixel.
    pub pixel: usize,
    /// All of them, row by row.
    pub bytes: Vec<u8>,
}

/// What the reader prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// Has the browser draw the page, so wide and high, into `file`, as a reader with that preference sees it.
///
/// # Panics
/// If it does not.
#[must_use]
pub fn draw(page: &Path, file: &Path, (width, height): (u32, u32), scheme: Scheme) -> Picture {
    let size = format!("--window-size={width},{height}");
    let preferred = match scheme {
        Scheme::Light => "--blink-settings=preferredColorScheme=1",
        Scheme::Dark => "--blink-settings=preferredColorScheme=0",
    };
    let shot = argument("--screenshot=", file);
    open(page, &[shot, size.into(), preferred.into()]);
    let opened = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let decoded = png::Decoder::new(BufReader::new(opened)).read_info();
    let mut reader = decoded.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut bytes);
    let frame = frame.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!((frame.width, frame.height), (width, height));
    Picture {
        pixel: frame.color_type.samples(),
        bytes,
    }
}

impl Picture {
    /// The share of pixels that have another colour than the most frequent one.
    #[must_use]
    pub fn drawn(&self) -> f64 {
        let mut colours = std::collections::HashMap::new();
        for pixel in self.bytes.chunks_exact(self.pixel) {
            *colours.entry(pixel).or_insert(0_u64) += 1;
        }
        let all: u64 = colours.values().sum();
        let background = colours.values().max().copied().unwrap_or(all);
        (all - background) as f64 / all.max(1) as f64
    }

    /// The share of pixels of that colour.
    #[must_use]
    pub fn share_of(&self, colour: [u8; 3]) -> f64 {
        let pixels = self.bytes.chunks_exact(self.pixel);
        let all = pixels.len().max(1);
        pixels.filter(|pixel| pixel.starts_with(&colour)).count() as f64 / all as f64
    }
}
