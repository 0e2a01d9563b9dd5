//! Each rule refuses the one thing that it is for: the driver's own INF with one change.

use super::*;
use crate::inf::stamp::stamped_for_tests;

const INX: &str = include_str!("../../../../inf/queued_work_item_driver.inx");

/// A rule's name, what is replaced in the INF, and by what.
const EXAMPLES: &[(&Rule, &str, &str)] = &[
    (&SIGNATURE, "$WINDOWS NT$", "$CHICAGO$"),
    (&QUOTES, "\"QueuedWorkItem project\"", "\"QueuedWorkItem project"),
    (
        &ENCODING,
        "\"QueuedWorkItem exerciser\"",
        "\"QueuedWorkItem \u{fc}ber\"",
    ),
    (&VERSION_LINE, "ClassGuid ", "Klass "),
    (&PROVIDER, "\"QueuedWorkItem project\"", "\"Microsoft\""),
    (&CATALOG, "CatalogFile = ", "Catalog = "),
    (&LOCKDOWN, "PnpLockdown = 1", "PnpLockdown = 0"),
    (&DRIVER_VER, "02/29/2024", "2024-02-29"),
    (&DRIVER_VER, "0.1.0.0", "0.1.0"),
    (&RENAMED_FILE, "[Driver_Files]\n", "[Driver_Files]\nother.sys, "),
    (&RENAMED_FILE, "DefaultDestDir = 13", "DefaultDestDir = 13, x64"),
    (&OLD_WINDOWS, "10.0...19041", "10.0...17763"),
    (&OLD_WINDOWS, "NTamd64.10.0...19041", "NTamd64"),
    (&SECTION, "[Driver_Files]", "[Driver_File]"),
    (&SECTION, "= Device_Install, Root", "= Devices_Install, Root"),
    (
        &SHARED_SECTION,
        "AddReg = Device_Security",
        "AddReg = Interface_Install",
    ),
    (
        &DEFAULT_INSTALL,
        "[Driver_Files]",
        "[DefaultInstall]\n[Driver_Files]",
    ),
    (
        &SERVICES_KEY,
        "HKR,,Security",
        "HKR,SYSTEM\\CurrentControlSet\\Services\\x,Security",
    ),
    (&SOURCE_FILE, "queued_work_item_driver.sys = 1", "other.sys = 1"),
    (
        &SOURCE_FILE,
        "queued_work_item_driver.sys = 1",
        "queued_work_item_driver.sys = 2",
    ),
    (&STRING, "%DeviceDesc% = ", "%DeviceName% = "),
    (
        &CLASS_INSTALL,
        "[Driver_Files]",
        "[ClassInstall32]\n[Driver_Files]",
    ),
    (&SERVICE, "0x00000002", "0x00000000"),
    (
        &HARDWARE,
        "= Device_Install, Root\\QueuedWorkItem",
        "= Device_Install",
    ),
    (
        &LEGACY,
        "CopyFiles = Driver_Files",
        "CopyFiles = Driver_Files\nDelFiles = Driver_Files",
    ),
    (
        &LEGACY,
        "[Driver_Files]",
        "[Device_Install.NT.CoInstallers]\n[Driver_Files]",
    ),
    (&CO_INSTALLER, "HKR,,Security", "HKR,,CoInstallers32"),
    (&ROOT, "HKR,,Security", "HKLM,,Security"),
    (&APPEND, "HKR,,Security,,", "HKR,,Security,0x00010008,"),
    (&DESTINATION, "DefaultDestDir = 13", "DefaultDestDir = 12"),
    (&DESTINATION, "%13%\\", "%12%\\"),
    (&SERVICE_LINE, "ErrorControl ", "ErrorKontrol "),
    (&FRAMEWORK, "KmdfLibraryVersion", "UmdfLibraryVersion"),
    (&UNUSED, "[Driver_Files]", "[Spare]\na = b\n[Driver_Files]"),
];

fn sound() -> String {
    stamped_for_tests(INX).replace("\r\n", "\n")
}

#[test]
fn the_drivers_inf_keeps_every_rule() {
    let findings: Vec<String> = check(&sound()).iter().map(Finding::to_string).collect();
    assert_eq!(findings, [""; 0]);
}

#[test]
fn each_rule_refuses_its_example() {
    let sound = sound();
    for (rule, from, to) in EXAMPLES {
        assert!(sound.contains(from), "{from:?} is not in the INF: {sound}");
        let findings = check(&sound.replace(from, to));
        assert!(
            findings.iter().any(|finding| finding.rule == **rule),
            "{} does not refuse {to:?}: {findings:?}",
            rule.name
        );
    }
}

#[test]
fn every_rule_has_an_example() {
    for rule in RULES {
        assert!(
            EXAMPLES.iter().any(|(example, ..)| *example == rule),
            "{}",
            rule.name
        );
    }
}

#[test]
fn the_documentation_lists_every_rule() {
    let page = include_str!("../../../../docs/windows.md");
    for rule in RULES {
        let number = rule.infverif.map_or("-".to_owned(), |number| number.to_string());
        let row = format!("| {} | {number} |", rule.name);
        assert!(page.contains(&row), "docs/windows.md has no row `{row}`");
    }
}

#[test]
fn a_finding_says_where_and_which() {
    let changed = sound().replace("PnpLockdown = 1", "PnpLockdown = 0");
    let findings = check(&changed);
    let line = changed
        .lines()
        .position(|line| line.starts_with("PnpLockdown"))
        .expect("it is there");
    let expected = format!("line {}: PnpLockdown is 1: files could be changed", line + 1);
    assert_eq!(
        findings.iter().map(Finding::to_string).collect::<Vec<_>>(),
        [expected]
    );
    let renamed = sound().replace("%DeviceDesc% = ", "%DeviceName% = ");
    let said = check(&renamed)[0].to_string();
    assert!(
        said.ends_with("%DeviceName% is in no [Strings] (InfVerif 1235)"),
        "{said}"
    );
}
