//! The package that a test machine installs from, made here and looked at by other programs.
//!
//! Each check has a doctored file that it rejects. What Windows says to the package (InfVerif,
//! the driver store, code integrity) is not in here.
#![cfg(unix)]

use clap::Parser as _;
use fsglass_cli::arguments::CommandLine;
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::package::{Catalog, FILES, digest, is_accepted, signed_digest};
use fsglass_tests::trace_logging::id_of_name;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use wdk_kit::authenticode;
use wdk_kit::catalog::{self, Member};
use wdk_kit::files;
use wdk_kit::inf::document::Document;
use wdk_kit::layout::Layout;
use wdk_kit::package::{Ingredients, WINE};
use wdk_kit::package_check;
use wdk_kit::signing::Signer;
use wdk_kit::source_date::SourceDate;
use wdk_kit::workspace::Workspace;

/// A package and who signed it.
struct Made {
    root: PathBuf,
    signer: Signer,
}

const MOMENT: SourceDate = SourceDate(1_773_057_600);

static MADE: LazyLock<Made> = LazyLock::new(|| {
    // Nothing drops what is static, so that each run writes over the one before.
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    let signer = Signer::for_tests(&Layout::new(&root)).expect("openssl makes a certificate");
    let made = Made { root, signer };
    made.package("package");
    made
});

impl Made {
    /// Makes the package of the built driver.
    fn package(&self, name: &str) -> PathBuf {
        let workspace = Workspace::find(None).expect("the tests run in the workspace");
        let image = drivers::fsglass(Profile::Release);
        let built = image.parent().expect("a directory");
        let ingredients = Ingredients {
            driver: workspace.select(&[]).expect("the driver at the root")[0],
            built,
            programs: &[drivers::client()],
            moment: MOMENT,
            signer: Some(&self.signer),
        };
        let folder = self.root.join(name);
        ingredients
            .package(&folder)
            .unwrap_or_else(|error| panic!("{error:#}"));
        folder
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.join("package").join(name)
    }

    fn certificate(&self) -> &Path {
        self.signer.certificate()
    }

    /// A copy of a file that is wrong in one place.
    fn doctored(&self, name: &str, as_name: &str, doctor: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = read(&self.file(name));
        doctor(&mut bytes);
        let path = self.root.join(as_name);
        std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{error}"));
        path
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder with its contents, by its path there.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = files::below(folder).unwrap_or_else(|error| panic!("{error:#}"));
    let by_name = files.iter().map(|path| {
        let name = path.strip_prefix(folder).unwrap_or(path);
        (name.display().to_string(), read(path))
    });
    by_name.collect()
}

#[test]
fn the_folder_is_complete_and_the_same_when_made_again() {
    let made = &*MADE;
    let first = contents(&made.root.join("package"));
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, FILES);
    assert!(first == contents(&made.package("again")), "a file differs");
}

#[test]
fn the_images_are_signed_and_any_change_to_them_is_seen() {
    let made = &*MADE;
    let images = [
        ("fsglass.sys", drivers::fsglass(Profile::Release)),
        ("fsglass.exe", drivers::client()),
    ];
    for (name, built) in images {
        let signed = made.file(name);
        let digest = signed_digest(&signed, made.certificate()).expect("osslsigncode accepts it");
        // The kit's own digest; signing fills a file up to a multiple of 8 bytes.
        let mut unsigned = read(&built);
        unsigned.resize(unsigned.len().next_multiple_of(8), 0);
        for image in [read(&signed), unsigned] {
            let ours = authenticode::digest::<sha2::Sha256>(&image).expect("an image");
            assert_eq!(format!("{ours:X}"), digest, "{name}");
        }
        let changed = made.doctored(name, &format!("changed-{name}"), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        assert_eq!(signed_digest(&changed, made.certificate()), None);
    }
}

#[test]
fn only_the_certificate_of_the_package_is_trusted() {
    let made = &*MADE;
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let stranger = Signer::for_tests(&Layout::new(elsewhere.path())).expect("a certificate");
    for file in ["fsglass.sys", "fsglass.exe", "fsglass.cat"] {
        assert!(
            is_accepted(&made.file(file), made.certificate(), None),
            "{file}"
        );
        assert!(
            !is_accepted(&made.file(file), stranger.certificate(), None),
            "{file}"
        );
    }
}

#[test]
fn the_catalog_vouches_for_the_driver_and_the_inf() {
    let made = &*MADE;
    let catalog_file = made.file("fsglass.cat");
    let catalog = Catalog::read(&catalog_file);
    assert_eq!(catalog.files(), ["fsglass.inf", "fsglass.sys"]);

    let inf = made.file("fsglass.inf");
    let (long, short) = (digest("sha256", &inf), digest("sha1", &inf));
    assert!(
        catalog.vouches_for("fsglass.inf", &long, &short),
        "{catalog:#?}"
    );
    let sys = made.file("fsglass.sys");
    let long = signed_digest(&sys, made.certificate()).expect("osslsigncode accepts it");
    let ours = authenticode::digest::<sha1::Sha1>(&read(&sys)).expect("an image");
    assert!(
        catalog.vouches_for("fsglass.sys", &long, &format!("{ours:X}")),
        "{catalog:#?}"
    );
    assert!(is_accepted(&sys, made.certificate(), Some(&catalog_file)));
}

#[test]
fn a_changed_file_is_in_no_catalog() {
    let made = &*MADE;
    let catalog_file = made.file("fsglass.cat");
    let catalog = Catalog::read(&catalog_file);
    let inf = made.doctored("fsglass.inf", "changed.inf", |bytes| bytes.extend(b";\r\n"));
    let (long, short) = (digest("sha256", &inf), digest("sha1", &inf));
    assert!(!catalog.vouches_for("fsglass.inf", &long, &short));
    // That for Wine is another, and no catalog is beside it.
    let inf = made.file(WINE).join("fsglass.inf");
    let (long, short) = (digest("sha256", &inf), digest("sha1", &inf));
    assert!(!catalog.vouches_for("fsglass.inf", &long, &short));

    let changed = made.doctored("fsglass.sys", "uncatalogued.sys", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    assert!(!is_accepted(
        &changed,
        made.certificate(),
        Some(&catalog_file)
    ));
}

#[test]
fn a_changed_catalog_is_not_accepted() {
    let made = &*MADE;
    let digest = digest("sha256", &made.file("fsglass.inf"));
    let bytes: Vec<u8> = (0..digest.len() / 2)
        .filter_map(|place| u8::from_str_radix(&digest[2 * place..2 * place + 2], 16).ok())
        .collect();
    let changed = made.doctored("fsglass.cat", "changed.cat", |catalog| {
        let place = catalog
            .windows(bytes.len())
            .position(|window| window == bytes);
        catalog[place.expect("the INF's digest is in the catalog")] ^= 1;
    });
    assert!(!is_accepted(&changed, made.certificate(), None));
}

/// A wrong digest under a right signature.
#[test]
fn a_catalog_of_another_driver_does_not_vouch_for_ours() {
    let made = &*MADE;
    let other = read(&drivers::fsglass(Profile::Debug));
    let members = [Member::new("fsglass.sys", &other).expect("an image")];
    let unsigned = made.root.join("other.unsigned");
    let bytes = catalog::unsigned(&members, MOMENT).expect("a catalog");
    std::fs::write(&unsigned, bytes).unwrap_or_else(|error| panic!("{error}"));
    let catalog = made.root.join("other.cat");
    made.signer
        .sign(&unsigned, &catalog, MOMENT)
        .unwrap_or_else(|error| panic!("{error:#}"));
    assert!(is_accepted(&catalog, made.certificate(), None));
    assert!(!is_accepted(
        &made.file("fsglass.sys"),
        made.certificate(),
        Some(&catalog)
    ));
}

#[test]
fn the_readme_names_every_file_and_only_commands_that_exist() {
    let made = &*MADE;
    let readme = String::from_utf8(read(&made.file("README.txt"))).expect("it is ASCII");
    for (name, _) in contents(&made.root.join("package")) {
        let name = name.split('/').next().unwrap_or_default();
        assert!(
            name == "README.txt" || readme.contains(name),
            "{name} is not in the README"
        );
    }
    let commands: Vec<_> = readme
        .lines()
        .filter(|line| line.starts_with("  fsglass "))
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let parsed = CommandLine::try_parse_from(command.split_whitespace());
        assert!(parsed.is_ok(), "{command}: {parsed:?}");
    }
    assert!(CommandLine::try_parse_from(["fsglass", "instal"]).is_err());
}

/// Both INFs install the same service; only where it lies differs.
#[test]
fn both_infs_install_the_same_service() {
    let made = &*MADE;
    let [isolated, for_wine] =
        ["", WINE].map(|folder| Document::read(&read(&made.file(folder).join("fsglass.inf"))));
    let values = |inf: &Document, section: &str| -> Vec<_> {
        let entries = inf
            .entries(section)
            .filter(|entry| !entry.is("ServiceBinary"));
        entries
            .map(|entry| (entry.key.clone(), entry.values.clone()))
            .collect()
    };
    for section in ["Version", "Fsglass.Service", "Fsglass.Settings"] {
        assert_eq!(values(&isolated, section), values(&for_wine, section));
        assert!(!values(&isolated, section).is_empty(), "[{section}]");
    }
    let binary = |inf: &Document| {
        let entry = inf.directive("Fsglass.Service", "ServiceBinary");
        entry.map(|entry| entry.value(0).to_owned())
    };
    assert_eq!(binary(&isolated).as_deref(), Some(r"%13%\fsglass.sys"));
    assert_eq!(binary(&for_wine).as_deref(), Some(r"%12%\fsglass.sys"));
    let stamp = values(&isolated, "Version")
        .into_iter()
        .find_map(|(key, values)| (key.as_deref() == Some("DriverVer")).then_some(values));
    assert_eq!(
        stamp,
        Some(vec![
            "03/09/2026".to_owned(),
            concat!(env!("CARGO_PKG_VERSION"), ".0").to_owned()
        ])
    );
}

/// The INF accepts no Windows that cannot load the driver: none before primitive drivers, and none that
/// lacks what the image imports.
#[test]
fn an_inf_for_a_windows_that_cannot_load_the_driver_is_refused() {
    let made = &*MADE;
    let workspace = Workspace::find(None).expect("the tests run in the workspace");
    let driver = workspace.select(&[]).expect("the driver at the root")[0];
    let programs = ["fsglass.exe".to_owned()];
    let folder = made.package("checked");
    let complaints = || match package_check::check(driver, &programs, &folder) {
        Ok(()) => String::new(),
        Err(error) => format!("{error:#}"),
    };
    assert_eq!(complaints(), "");
    let inf = folder.join("fsglass.inf");
    let text = String::from_utf8(read(&inf)).expect("an INF in ASCII");
    for (build, refused) in [
        ("...19041", None),
        ("...22000", None),
        (
            "...19040",
            Some("ExAllocatePool2, which is from Windows 10 version 2004 on"),
        ),
        ("...18362", Some("decorate its sections as in 10.0...19041")),
        ("...16299", Some("error 1420")),
        ("", Some("it is for Windows 10.0, build 0,")),
    ] {
        let text = text.replace("...19041", build);
        files::write_if_changed(&inf, text).unwrap_or_else(|error| panic!("{error:#}"));
        let found = complaints();
        match refused {
            Some(part) => assert!(found.contains(part), "{build}: {found}"),
            None => assert!(!found.contains("it is for Windows"), "{build}: {found}"),
        }
    }
}

/// FLG_ADDREG_NOCLOBBER.
const NO_CLOBBER: u32 = 2;

/// Installing again leaves the settings as somebody has set them, and brings the event log up to date.
#[test]
fn settings_survive_another_installation() {
    let made = &*MADE;
    for folder in ["", WINE] {
        let inf = Document::read(&read(&made.file(folder).join("fsglass.inf")));
        for (section, stays) in [
            ("Fsglass.Settings", true),
            ("Fsglass.EventLog.Values", false),
        ] {
            let flags: Vec<_> = inf
                .entries(section)
                .map(|entry| u32::from_str_radix(entry.value(3).trim_start_matches("0x"), 16))
                .collect();
            assert!(!flags.is_empty(), "[{section}]");
            for flags in flags {
                let kept = flags.map(|flags| flags & NO_CLOBBER != 0);
                assert_eq!(kept, Ok(stays), "[{section}] of {folder:?}");
            }
        }
    }
}

/// The values of an attribute of the elements with that name.
fn values<'t>(profile: &'t str, element: &str, attribute: &str) -> Vec<&'t str> {
    let begin = format!("<{element} ");
    let elements = profile
        .split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split('>').next());
    let wanted = format!("{attribute}=\"");
    elements
        .filter_map(|text| text.split_once(&wanted)?.1.split('"').next())
        .collect()
}

/// What WPR asks of a profile: a name for each level and mode, in files and in memory, and no reference to what is not
/// there; and of the provider that it is ours.
#[test]
fn the_recorder_s_profile_is_of_our_provider() {
    let made = &*MADE;
    let profile = String::from_utf8(read(&made.file("fsglass.wprp"))).expect("it is UTF-8");
    let parse = "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])";
    let parsed = Command::new("python3")
        .args(["-c", parse])
        .arg(made.file("fsglass.wprp"))
        .status();
    assert!(parsed.expect("there is Python").success(), "it is no XML");
    let of = |element, attribute| values(&profile, element, attribute);
    let id = id_of_name("fsglass");
    let hexadecimal = |bytes: &mut dyn Iterator<Item = &u8>| {
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    // The first three are numbers, in the order of memory.
    let numbers = [&id[..4], &id[4..6], &id[6..8]].map(|part| hexadecimal(&mut part.iter().rev()));
    let bytes = [&id[8..10], &id[10..]].map(|part| hexadecimal(&mut part.iter()));
    let provider = [&numbers[..], &bytes[..]].concat().join("-");
    assert_eq!(of("EventProvider", "Name"), [provider.as_str(); 2]);
    assert_eq!(of("EventProvider", "NonPagedMemory"), ["true"; 2]);
    assert_eq!(of("Keyword", "Value"), ["0x1", "0x3"]);
    let profiles = of("Profile", "Id");
    let expected = [
        "fsglass.Verbose.File",
        "fsglass.Verbose.Memory",
        "fsglass.Light.File",
        "fsglass.Light.Memory",
    ];
    assert_eq!(profiles, expected);
    let said = of("Profile", "Name")
        .into_iter()
        .zip(of("Profile", "DetailLevel"));
    let said = said.zip(of("Profile", "LoggingMode"));
    let said: Vec<String> = said
        .map(|((name, level), mode)| format!("{name}.{level}.{mode}"))
        .collect();
    assert_eq!(said, expected, "an identification says what the profile is");
    for (reference, attribute, element) in [
        ("EventCollectorId", "Value", "EventCollector"),
        ("EventProviderId", "Value", "EventProvider"),
        ("Profile", "Base", "Profile"),
    ] {
        let known = of(element, "Id");
        for name in of(reference, attribute) {
            assert!(known.contains(&name), "{name} is no {element}");
        }
    }
}
