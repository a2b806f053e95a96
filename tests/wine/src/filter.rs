//! What is expected of a filter in Wine.

use crate::files;
use crate::rebind;
use crate::wine::{DRIVERS, Wine};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;

/// All drivers are in this group: Wine gives each group one process, and so one kernel.
pub const GROUP: &str = "FSFilter Activity Monitor";

/// A driver with imports that Wine lacks bound to `fskit.sys`.
///
/// # Errors
/// When one of the two has not been built.
pub fn for_wine(name: &str) -> Result<Vec<u8>> {
    let exports = rebind::exports(&files::driver("fskit")?)?;
    let image = files::driver(name)?;
    rebind::rebind(&image, "fskit.sys", |import| {
        exports.iter().any(|export| export == import)
    })
}

/// Installs `image` as the driver `name`, started on demand, without an INF.
///
/// # Errors
/// When Wine fails.
pub fn install(wine: &Wine, name: &str, image: &[u8]) -> Result<()> {
    let file = wine.file(&format!("{DRIVERS}/{name}.sys"));
    fs::write(&file, image).with_context(|| file.display().to_string())?;
    let path = format!(r"C:\windows\system32\drivers\{name}.sys");
    let words = [
        "sc", "create", name, "type=", "filesys", "group=", GROUP, "binPath=", &path,
    ];
    wine.run(&words).map(drop)
}

/// Writes a value of a driver's `Parameters` key.
///
/// # Errors
/// When Wine fails.
pub fn set(wine: &Wine, name: &str, value: &str, kind: &str, data: &str) -> Result<()> {
    let key = format!(r"{}\Parameters", key(name));
    wine.run(&[
        "reg", "add", &key, "/v", value, "/t", kind, "/d", data, "/f",
    ])
    .map(drop)
}

/// The registry key of a service.
#[must_use]
pub fn key(name: &str) -> String {
    format!(r"HKLM\System\CurrentControlSet\Services\{name}")
}

/// The state of a service, such as `RUNNING`; `None` if there is no such service.
///
/// # Errors
/// When Wine fails.
pub fn state(wine: &Wine, name: &str) -> Result<Option<String>> {
    let answer = wine.try_run(&["sc", "query", name])?;
    let line = answer.output.lines().find(|line| line.contains("STATE"));
    Ok(line
        .and_then(|line| line.split_whitespace().last())
        .map(str::to_owned))
}

/// Starts a driver.
///
/// # Errors
/// When it does not run afterwards.
pub fn start(wine: &Wine, name: &str) -> Result<()> {
    let answer = wine.try_run(&["sc", "start", name])?;
    let state = state(wine, name)?;
    ensure!(
        state.as_deref() == Some("RUNNING"),
        "{name} was to be started and is {state:?}; {}",
        answer.output
    );
    Ok(())
}

/// Stops a driver.
///
/// # Errors
/// When it is not stopped afterwards.
pub fn stop(wine: &Wine, name: &str) -> Result<()> {
    let answer = wine.try_run(&["sc", "stop", name])?;
    let state = state(wine, name)?;
    ensure!(
        state.as_deref() == Some("STOPPED"),
        "{name} was to be stopped and is {state:?}; {}",
        answer.output
    );
    Ok(())
}

/// Runs the test program, which must find all as it should be.
///
/// # Errors
/// With what it found.
pub fn exercise(wine: &Wine, words: &[&str]) -> Result<String> {
    let program = files::program("exercise.exe")?;
    let program = program.to_string_lossy();
    let words: Vec<_> = std::iter::once(&*program)
        .chain(words.iter().copied())
        .collect();
    wine.run(&words)
}

/// What `fskit.sys` has seen, by name.
///
/// # Errors
/// When it does not run.
pub fn report(wine: &Wine) -> Result<BTreeMap<String, String>> {
    let text = exercise(wine, &["report"])?;
    let lines = text.lines().filter_map(|line| line.split_once('='));
    Ok(lines
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}

/// Fails unless the report says all this.
///
/// # Errors
/// With what it says instead.
pub fn expect(wine: &Wine, expected: &[(&str, &str)]) -> Result<()> {
    let report = report(wine)?;
    for (name, value) in expected {
        let found = report.get(*name).map(String::as_str);
        ensure!(
            found == Some(value),
            "fskit.sys reports {name}={}, and not {value}",
            found.unwrap_or("nothing")
        );
    }
    Ok(())
}

/// A filter that is not there.
pub const ABSENT: [(&str, &str); 6] = [
    ("above_file_system", "0"),
    ("above_volume0", "0"),
    ("registrations", "0"),
    ("providers", "0"),
    ("pool_blocks", "0"),
    ("held", "0"),
];

/// The life of a filter between its start and its stop. Volume 0 is mounted when it starts,
/// volume 1 later, and volume 0 comes back. The filter is to be installed and stopped, and can be
/// unloaded.
///
/// # Errors
/// With the first thing that is not as it should be.
pub fn life(wine: &Wine, name: &str) -> Result<()> {
    expect(wine, &ABSENT)?;
    exercise(wine, &["volume", "0", "--unfiltered"])?;
    start(wine, name)?;
    expect(
        wine,
        &[
            ("above_file_system", "1"),
            ("above_volume0", "1"),
            ("above_volume1", "not mounted"),
            ("registrations", "1"),
        ],
    )?;
    exercise(wine, &["volume", "0"])?;
    exercise(wine, &["mount", "1"])?;
    expect(wine, &[("above_volume1", "1")])?;
    exercise(wine, &["volume", "1"])?;
    exercise(wine, &["dismount", "0"])?;
    expect(wine, &[("above_volume0", "not mounted")])?;
    exercise(wine, &["mount", "0"])?;
    expect(wine, &[("above_volume0", "1")])?;
    exercise(wine, &["volume", "0"])?;
    stop(wine, name)?;
    expect(wine, &ABSENT)?;
    expect(wine, &[("above_volume1", "0")])?;
    exercise(wine, &["volume", "0", "--unfiltered"])?;
    exercise(wine, &["dismount", "1"]).map(drop)
}

/// The start of a filter while a volume is being mounted. The filter is to be installed and
/// stopped, and can be unloaded.
///
/// # Errors
/// With the first thing that is not as it should be.
pub fn start_during_mount(wine: &Wine, name: &str) -> Result<()> {
    exercise(wine, &["start", name, "1"])?;
    expect(
        wine,
        &[
            ("registrations", "1"),
            ("above_volume0", "1"),
            ("above_volume1", "1"),
        ],
    )?;
    exercise(wine, &["volume", "1"])?;
    exercise(wine, &["dismount", "1"])?;
    stop(wine, name)?;
    expect(wine, &ABSENT)
}
