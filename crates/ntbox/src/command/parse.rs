//! Volumes and settings, as they are written on the command line.

use ntbox::io_manager::driver::SettingValue;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::nt::Status;
use std::path::{PathBuf, is_separator};

/// `NAME=VALUE`: a DWORD if the value is a number that fits, else a string.
pub fn parse_setting(text: &str) -> Result<(String, SettingValue), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("a setting is NAME=VALUE, as in AllowUnload=1")?;
    if name.is_empty() {
        return Err("the setting has no name".to_owned());
    }
    let number = match value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
    {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => value.parse(),
    };
    let value = number.map_or_else(
        |_| SettingValue::Text(value.to_owned()),
        SettingValue::Dword,
    );
    Ok((name.to_owned(), value))
}

/// `NAME=STATUS`: a routine and what it is to return.
pub fn parse_stub(text: &str) -> Result<(String, Status), String> {
    let (name, status) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("a stub is NAME=STATUS, as in FltGetRequestorProcess=STATUS_NOT_SUPPORTED")?;
    let status = Status::parse(status)
        .ok_or_else(|| format!("'{status}' is no status: write it as a number, 0xC00000BB"))?;
    Ok((name.to_owned(), status))
}

/// `LETTER=HOSTDIR[,kind=…][,mount=…][,recognized=yes|no]`. Options are taken from the end,
/// so that a directory may have commas in its name.
pub fn parse_volume(text: &str) -> Result<VolumeDescription, String> {
    let (letter, rest) = text
        .split_once('=')
        .ok_or("a volume is LETTER=HOSTDIR[,kind=…][,mount=…]")?;
    let letter = letter.strip_suffix(':').unwrap_or(letter);
    let mut letters = letter.chars();
    let letter = match (letters.next(), letters.next()) {
        (Some(only), None) if only.is_ascii_alphabetic() => only.to_ascii_uppercase(),
        _ => return Err(format!("'{letter}' is not a drive letter (A to Z)")),
    };
    let mut volume = VolumeDescription {
        letter,
        host_directory: PathBuf::new(),
        kind: VolumeKind::Disk,
        mount: MountTiming::Before,
        recognized: false,
    };
    let mut directory = rest;
    while let Some((before, option)) = directory.rsplit_once(',') {
        match option.split_once('=') {
            Some(("kind", kind)) => volume.kind = parse_kind(kind)?,
            Some(("mount", mount)) => volume.mount = parse_mount(mount)?,
            Some(("recognized", "yes")) => volume.recognized = true,
            Some(("recognized", "no")) => volume.recognized = false,
            Some(("recognized", other)) => {
                return Err(format!("recognized is yes or no, not '{other}'"));
            }
            Some((key, _))
                if !directory.contains(is_separator)
                    || !key.contains(is_separator) && std::fs::metadata(directory).is_err() =>
            {
                return Err(format!(
                    "unknown option '{key}' (there are kind, mount and recognized)"
                ));
            }
            _ => break,
        }
        directory = before;
    }
    if directory.is_empty() {
        return Err("the volume has no host directory".to_owned());
    }
    volume.host_directory = directory.into();
    Ok(volume)
}

fn parse_kind(text: &str) -> Result<VolumeKind, String> {
    match text {
        "disk" => Ok(VolumeKind::Disk),
        "cdrom" => Ok(VolumeKind::CdRom),
        "network" => Ok(VolumeKind::Network),
        "removable" => Ok(VolumeKind::Removable),
        "shadow" => Ok(VolumeKind::ShadowCopy),
        _ => Err(format!(
            "kind is disk, cdrom, network, removable or shadow, not '{text}'"
        )),
    }
}

fn parse_mount(text: &str) -> Result<MountTiming, String> {
    match text {
        "before" => Ok(MountTiming::Before),
        "after" => Ok(MountTiming::After),
        "async" => Ok(MountTiming::Async),
        _ => Err(format!("mount is before, after or async, not '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_is_a_name_and_a_status() {
        let stub = parse_stub("FltX=STATUS_NOT_SUPPORTED").expect("a stub");
        assert_eq!(
            stub,
            ("FltX".to_owned(), Status(ntbox::nt::STATUS_NOT_SUPPORTED))
        );
        assert_eq!(parse_stub("FltX=0").expect("a stub").1, Status(0));
        for wrong in ["FltX", "=0", "FltX=STATUS_NO_SUCH_THING"] {
            assert!(parse_stub(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn volumes_are_taken_apart() {
        let plain = parse_volume("C=/tmp").expect("a volume");
        assert_eq!(
            (plain.letter, plain.kind, plain.mount),
            ('C', VolumeKind::Disk, MountTiming::Before)
        );
        assert_eq!(plain.host_directory, PathBuf::from("/tmp"));
        let full = parse_volume("n:=/srv/a,b,mount=async,kind=network").expect("a volume");
        assert_eq!(
            (full.letter, full.kind, full.mount),
            ('N', VolumeKind::Network, MountTiming::Async)
        );
        assert_eq!(full.host_directory, PathBuf::from("/srv/a,b"));
        assert!(
            parse_volume("E=/tmp,recognized=yes")
                .expect("a volume")
                .recognized
        );
    }

    #[test]
    fn wrong_volumes_say_what_is_wrong() {
        for (text, part) in [
            ("C", "LETTER=HOSTDIR"),
            ("CD=/tmp", "drive letter"),
            ("1=/tmp", "drive letter"),
            ("C=", "no host directory"),
            ("C=/tmp,kind=tape", "kind is disk"),
            ("C=/tmp,mount=never", "mount is before"),
            ("C=/tmp,flavour=sweet", "unknown option 'flavour'"),
        ] {
            let error = parse_volume(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn settings_are_numbers_or_text() {
        assert_eq!(
            parse_setting("A=1"),
            Ok(("A".to_owned(), SettingValue::Dword(1)))
        );
        assert_eq!(
            parse_setting("A=0x10"),
            Ok(("A".to_owned(), SettingValue::Dword(16)))
        );
        assert_eq!(
            parse_setting("A=x=y"),
            Ok(("A".to_owned(), SettingValue::Text("x=y".to_owned())))
        );
        assert_eq!(
            parse_setting("A=4294967296"),
            Ok(("A".to_owned(), SettingValue::Text("4294967296".to_owned())))
        );
        assert!(parse_setting("A").is_err());
        assert!(parse_setting("=1").is_err());
    }
}
