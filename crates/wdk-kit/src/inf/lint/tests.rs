//! For each rule, INFs that break it: a good one with one edit.

use super::*;

/// An INF that keeps every rule.
pub(crate) const GLASS: &str = r#"[Version]
Signature   = "$Windows NT$"
Class       = "ActivityMonitor"
ClassGuid   = {b86dff51-a31e-4bac-b3cf-e8cfe75c9fc2}
Provider    = %Provider%
CatalogFile = glass.cat
DriverVer   = 03/09/2026,0.1.0.0
PnpLockdown = 1

[DestinationDirs]
DefaultDestDir = 13

[SourceDisksNames]
1 = %Disk%

[SourceDisksFiles]
glass.sys = 1

[DefaultInstall.NTamd64.10.0...18362]
CopyFiles = Glass.Files

[DefaultInstall.NTamd64.10.0...18362.Services]
AddService = glass,,Glass.Service,Glass.EventLog

[Glass.Files]
glass.sys

[Glass.Service]
DisplayName    = %Display%
ServiceBinary  = %13%\glass.sys
ServiceType    = 2
StartType      = 3
ErrorControl   = 1
LoadOrderGroup = "FSFilter Activity Monitor"
AddReg         = Glass.Settings

[Glass.Settings]
HKR,Parameters,Level,0x00010001,1

[Glass.EventLog]
AddReg = Glass.EventLog.Values

[Glass.EventLog.Values]
HKR,,EventMessageFile,0x00020000,"%%SystemRoot%%\System32\IoLogMsg.dll;%13%\glass.sys"
HKR,,TypesSupported,0x00010001,7

[Strings]
Provider = "Glass"
Disk     = "Glass installation source"
Display  = "Glass"
"#;

/// What is replaced by what, and the rules that break.
type Edit = (&'static str, &'static str, &'static [u16]);

const UNINSTALL: &str = "[DefaultUninstall.NTamd64]\nLegacyUninstall = 1\nDelFiles = Glass.Old\n\n[Glass.Old]\nold.sys\n\n[Strings]";

/// For an isolated driver package.
const EDITS: &[Edit] = &[
    // The file and its sections.
    ("$Windows NT$", "$Windows 95$", &[1001]),
    ("Signature   = \"$Windows NT$\"\n", "", &[1001]),
    ("[Version]", "stray = 1\n[Version]", &[1002]),
    (
        "\"Glass installation source\"",
        "\"Glass installation source",
        &[1002, 1235],
    ),
    (
        "CopyFiles = Glass.Files",
        "CopyFiles =",
        &[1005, 2083, 2084],
    ),
    (
        "StartType      = 3",
        "StartType      = 3\nStartType = 0",
        &[1088],
    ),
    (
        "PnpLockdown = 1",
        "PnpLockdown = 1\nClass = ActivityMonitor",
        &[1088],
    ),
    (
        "[DefaultInstall.NTamd64.10.0...18362]",
        "[DefaultInstall.NTamd64]",
        &[1199, 1420, 2083],
    ),
    (
        "[DefaultInstall.NTamd64.10.0...18362]",
        "[DefaultInstall.NTamd64.10.0...15063]",
        &[1199, 1420, 2083],
    ),
    (
        "[DefaultInstall.NTamd64.10.0...18362]",
        "[DefaultInstall.NTamd64.10.0...17763]",
        &[1420, 2083],
    ),
    (
        "AddReg         = Glass.Settings",
        "AddReg         = Glass.Setting",
        &[1203, 2083],
    ),
    (
        "CopyFiles = Glass.Files",
        "CopyFiles = Glass.Files\nDelFiles = Glass.Files",
        &[1102, 1205, 1309],
    ),
    (
        "AddReg         = Glass.Settings",
        "AddReg         = Glass.Settings,Glass.Files",
        &[1206, 1224, 1320],
    ),
    (
        "[Strings]",
        "[Glass.Files]\nglass.dll\n[Strings]",
        &[1209, 1230],
    ),
    ("[Strings]", "[Manufacturer]\n[Strings]", &[1212, 1420]),
    ("%Display%", "%Dispaly%", &[1235]),
    ("%%SystemRoot%%", "%SystemRoot%", &[1235]),
    (
        "[DefaultInstall.NTamd64.10.0...18362]",
        "[DefaultInstall.NT$ARCH$.10.0...18362]",
        &[1274, 2083],
    ),
    (
        "NTamd64.10.0...18362]",
        "NTalpha.10.0...18362]",
        &[1287, 1421, 1423, 2083],
    ),
    (
        "NTamd64.10.0...18362]",
        "NTamd64.ten...18362]",
        &[1287, 1421, 1423, 2083],
    ),
    (
        "[DefaultInstall.NTamd64.10.0...18362]",
        "[DefaultInstall.NTamd64.10.0...10240]",
        &[1199, 1288, 1420, 2083],
    ),
    (
        "AddReg = Glass.EventLog.Values",
        "HKR,,TypesSupported,0x00010001,7",
        &[1290, 2083],
    ),
    (
        "ErrorControl   = 1",
        "ErrorControl   = 1\nStartupType = 3",
        &[1290],
    ),
    (
        "[Glass.Files]\nglass.sys",
        "[Glass.Files]\nglass.sys\nGLASS.SYS",
        &[1294],
    ),
    (
        "[Strings]",
        "[Strings.0407]\nProvider = \"Glas\"\n[Strings]",
        &[1295],
    ),
    (
        "CopyFiles = Glass.Files",
        "CopyFiles = Glass.Files\nRegisterDlls = Glass.Registered",
        &[1203, 1307],
    ),
    (
        "AddService = glass",
        "DelService = old\nAddService = glass",
        &[1308],
    ),
    (
        "[Glass.EventLog]",
        "[Glass.EventLog]\nDelReg = Glass.Old",
        &[1203, 1308],
    ),
    (
        "[Strings]",
        "[DefaultInstall]\nCopyFiles = Glass.Files\n[Strings]",
        &[1420, 1421],
    ),
    (
        "[Strings]",
        "[DefaultUninstall.NTamd64]\nDelFiles = Glass.Old\n[Strings]",
        &[1102, 1203, 1420, 1422],
    ),
    ("[Strings]", UNINSTALL, &[1102]),
    ("[Strings]", "[Glass.Unused]\n[Strings]", &[2083]),
    // [Version].
    ("{b86dff51", "{b86dff5", &[1010, 1281]),
    (
        "{b86dff51-a31e-4bac-b3cf-e8cfe75c9fc2}",
        "b86dff51-a31e-4bac-b3cf-e8cfe75c9fc2",
        &[1010, 1281],
    ),
    ("0.1.0.0", "0.1.0.0,beta", &[1201]),
    ("PnpLockdown = 1", "PnpLockdown = 1,0", &[1201]),
    (
        "Provider = \"Glass\"",
        "Provider = \"Microsoft Corporation\"",
        &[1204],
    ),
    ("glass.cat", "glass.ca", &[1214]),
    ("glass.cat", "catalogs\\glass.cat", &[1214]),
    (",0.1.0.0", ",0.1.0", &[1217]),
    (",0.1.0.0", ",0.1.0.65536", &[1217]),
    ("03/09/2026", "2026-03-09", &[1218]),
    ("03/09/2026", "13/09/2026", &[1218]),
    ("CatalogFile = glass.cat\n", "", &[1233]),
    ("DriverVer   = 03/09/2026,0.1.0.0", "DriverVer   =", &[1234]),
    ("Provider    = %Provider%\n", "", &[1234, 1420]),
    ("\"ActivityMonitor\"", "\"Monitor\"", &[1280]),
    ("\"ActivityMonitor\"", "\"AntiVirus\"", &[1280, 1281]),
    (
        "{b86dff51-a31e-4bac-b3cf-e8cfe75c9fc2}",
        "{00000000-a31e-4bac-b3cf-e8cfe75c9fc2}",
        &[1281],
    ),
    ("[Strings]", "[ClassInstall32]\n[Strings]", &[1285]),
    (
        "\"ActivityMonitor\"",
        "\"ActivityMonitorOfAllThatIsMounted\"",
        &[1280, 1286],
    ),
    ("PnpLockdown = 1", "PnpLockdown = 0", &[1324]),
    ("PnpLockdown = 1\n", "", &[1324]),
    // Files.
    ("glass.sys = 1", "glass.sys = one", &[1008]),
    ("glass.sys = 1", "glass.sys = 1,x64", &[1100]),
    (
        "[Glass.Files]\nglass.sys",
        "[Glass.Files]\nglass.sys,glass64.sys",
        &[1100, 1230],
    ),
    (
        "[Strings]",
        "[Glass.Files.Security]\n\"D:P(A;;GA;;;SY)\"\n[Strings]",
        &[1101],
    ),
    (
        "CopyFiles = Glass.Files",
        "CopyFiles = Glass.Files\nCopyINF = other.dll",
        &[1110],
    ),
    ("glass.sys = 1", "glass.sys = 1\nglass.cat = 1", &[1213]),
    (
        "[Glass.Files]\nglass.sys",
        "[Glass.Files]\nglass.sys\n,glass.sys",
        &[1100, 1229],
    ),
    ("glass.sys = 1\n", "", &[1230]),
    (
        "CopyFiles = Glass.Files",
        "CopyFiles = Glass.Files,@glass.dll",
        &[1230],
    ),
    ("glass.sys = 1", "glass.sy_ = 1", &[1230, 1231]),
    (
        "DefaultDestDir = 13",
        "DefaultDestDir = 13\nGlass.Other = 40000",
        &[1241, 1322],
    ),
    (
        "DefaultDestDir = 13",
        "DefaultDestDir = 13\nGlass.Other = 99",
        &[1242, 1322],
    ),
    (
        "DefaultDestDir = 13",
        "DefaultDestDir = 13\nGlass.Other = %13%",
        &[1243],
    ),
    ("1 = %Disk%", "2 = %Disk%", &[1273]),
    ("DefaultDestDir = 13", "Glass.Other = 13", &[1275, 2084]),
    ("DefaultDestDir = 13", "DefaultDestDir = 12", &[1322, 2084]),
    (
        "[Glass.Files]\nglass.sys",
        "[Glass.Files]\nglass.sys\nglass.sys,other.sys",
        &[1100, 1230, 1294, 1330],
    ),
    (
        "DefaultDestDir = 13",
        "DefaultDestDir = 13\nGlass.Other = 18",
        &[1322, 1340],
    ),
    (
        "DefaultDestDir = 13",
        "DefaultDestDir = 13\nGlass.Other = -1",
        &[1322, 1340],
    ),
    // The service.
    ("DisplayName    = %Display%", "DisplayName    =", &[1006]),
    ("ErrorControl   = 1\n", "", &[1013]),
    ("StartType      = 3", "StartType      = 7", &[1014]),
    ("ServiceType    = 2", "ServiceType    = filter", &[1014]),
    ("= glass,,", "= MiniSpy,,", &[1017]),
    (",,Glass.Service,Glass.EventLog", "", &[1080, 2083]),
    ("= glass,,", "= glass,none,", &[1081]),
    ("= glass,,", "= glass,0x00010000,", &[1083]),
    (
        "AddService = glass",
        "AddService = Glass,,Glass.Service\nAddService = glass",
        &[1086],
    ),
    (",Glass.EventLog", ",Glass.EventLog,Sytem", &[1250]),
    (
        "ServiceType    = 2\nStartType      = 3",
        "ServiceType    = 0x10\nStartType      = 1",
        &[1252],
    ),
    ("= glass,,", "= ,,", &[1253]),
    (r"= %13%\glass.sys", r"= %13%\*.sys", &[1254, 2084]),
    (",Glass.EventLog", ",Glass.Log", &[2006, 2083]),
    (r"= %13%\glass.sys", r"= %13%\glas.sys", &[2084]),
    (r"= %13%\glass.sys", r"= %12%\glass.sys", &[2084]),
    (
        r"= %13%\glass.sys",
        r"= System32\drivers\glass.sys",
        &[2085],
    ),
    // The registry.
    (
        "HKR,Parameters,Level",
        "Parameters,HKR,Level",
        &[1224, 1321],
    ),
    (r"%%SystemRoot%%\System32", r"C:\Windows\System32", &[1257]),
    (
        "[Strings]",
        "[Glass.EventLog.Values.Security]\n\"D:P(A;;GA;;;SY)\"\n[Strings]",
        &[1226],
    ),
    (r";%13%\glass.sys", r";%12%\glass.sys", &[1258]),
    ("0x00010001,1", "0x00380000,1", &[1264]),
    ("0x00010001,1", "0x00000008,one", &[1265]),
    ("0x00010001,1", "0x00000001,one", &[1267]),
    ("0x00010001,1", "0x00000001", &[1267]),
    ("0x00010001,1", "REG_DWORD,1", &[1268]),
    ("0x00010001,1", "0x00010001,one", &[1268]),
    ("0x00010001,1", "0x00010008,one", &[1305]),
    (r"HKR,Parameters,Level", r"HKLM,Software\Glass,", &[1320]),
    (
        r"HKR,Parameters,Level",
        r"HKLM,Software\Glass,Level",
        &[1321],
    ),
    ("HKR,Parameters,Level", "HKR,,Level", &[1323]),
    ("HKR,Parameters,Level", "HKR,Parametres,Level", &[1323]),
    (
        "TypesSupported,0x00010001",
        "TypesSupported,0x00000000",
        &[1431],
    ),
];

/// For systems before isolation, where these weigh otherwise.
const DECLARATIVE_EDITS: &[Edit] = &[
    (
        r"HKR,Parameters,Level",
        r"HKLM,Software\Glass,Level",
        &[1304],
    ),
    ("HKR,Parameters,Level", "HKR,,Level", &[]),
    (
        "DefaultDestDir = 13",
        "DefaultDestDir = 13\nGlass.Other = 18",
        &[],
    ),
];

fn codes(text: &str, mode: Mode) -> Vec<u16> {
    let findings = check(&Document::parse(text), mode);
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn try_edits(edits: &[Edit], mode: Mode) {
    let mut wrong = Vec::new();
    for (old, new, expected) in edits {
        assert!(GLASS.contains(old), "{old:?} is not in the INF");
        let found = codes(&GLASS.replacen(old, new, 1), mode);
        if found != *expected {
            wrong.push(format!(
                "{old:?} -> {new:?}: {found:?} instead of {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_good_inf_keeps_every_rule() {
    for mode in [Mode::Windows, Mode::Declarative] {
        assert_eq!(check(&Document::parse(GLASS), mode), []);
    }
}

#[test]
fn each_edit_breaks_the_rules_it_should_and_no_other() {
    try_edits(EDITS, Mode::Windows);
    try_edits(DECLARATIVE_EDITS, Mode::Declarative);
}

#[test]
fn a_file_in_an_unknown_encoding_is_refused() {
    let document = Document::read(GLASS.replace("Glass inst", "Gläss inst").as_bytes());
    assert!(
        check(&document, Mode::Windows)
            .iter()
            .any(|finding| finding.code == 1003)
    );
}

#[test]
fn each_rule_has_an_inf_that_breaks_it() {
    let edits = EDITS.iter().chain(DECLARATIVE_EDITS);
    let broken: Vec<u16> = edits.flat_map(|(_, _, codes)| *codes).copied().collect();
    // The encoding is not an edit of the text; it has a test of its own.
    let untried: Vec<_> = rules()
        .map(|rule| rule.code)
        .filter(|code| *code != 1003 && !broken.contains(code))
        .collect();
    assert!(untried.is_empty(), "no INF breaks {untried:?}");
}

#[test]
fn each_number_stands_for_one_rule() {
    let mut codes: Vec<_> = rules().map(|rule| rule.code).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
}

#[test]
fn a_finding_names_the_line_the_number_and_what_was_found() {
    let text = GLASS.replace("StartType      = 3", "StartType      = 7");
    let findings = check(&Document::parse(&text), Mode::Windows);
    let shown: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "32: error 1014: StartType is \"7\"; the rule: a service's type, start and error \
          control are values that exist"
        ]
    );
}
