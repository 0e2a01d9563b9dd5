//! Rules for the INF of a universal, isolated driver: those of Microsoft's `InfVerif` that a reader of the text can
//! check, and this project's own. `InfVerif` itself needs Windows; docs/windows.md says which of its rules are not here.
//!
//! What is wrong with an INF shows late and on Windows alone: as a package that is refused a signature, or as a line
//! that is passed over in silence.

use std::{collections::BTreeMap, fmt};

use super::text::{Inf, Line, Section};

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Its name here.
    pub(crate) name: &'static str,
    /// The number of what `InfVerif` reports, if it is one of its documented rules.
    pub(crate) infverif: Option<u16>,
}

macro_rules! rules {
    ($($constant:ident = $name:literal, $number:expr;)*) => {
        $(const $constant: Rule = Rule { name: $name, infverif: $number };)*

        /// Every rule.
        #[cfg(test)]
        pub(super) const RULES: &[Rule] = &[$($constant),*];
    };
}

rules! {
    SIGNATURE = "the signature is $WINDOWS NT$", Some(1001);
    QUOTES = "quotes are closed", Some(1002);
    ENCODING = "the file is ASCII", Some(1003);
    VERSION_LINE = "[Version] has what a driver needs", None;
    PROVIDER = "the provider is not Microsoft", Some(1204);
    CATALOG = "a catalog is named", Some(1233);
    LOCKDOWN = "PnpLockdown is 1", None;
    DRIVER_VER = "DriverVer is a date and four numbers", None;
    RENAMED_FILE = "a file keeps its name and folder", Some(1100);
    OLD_WINDOWS = "models state the lowest Windows", Some(1199);
    SECTION = "a section that is named exists", Some(1203);
    SHARED_SECTION = "a section is named by one directive", Some(1205);
    DEFAULT_INSTALL = "there is no DefaultInstall beside devices", Some(1212);
    SERVICES_KEY = "the services' key is left alone", Some(1221);
    SOURCE_FILE = "a file that is copied has a source", Some(1230);
    STRING = "a string that is used is defined", Some(1235);
    CLASS_INSTALL = "a class of Microsoft's is not installed", Some(1285);
    SERVICE = "each device has its service", Some(1296);
    HARDWARE = "there is a hardware id", Some(1297);
    LEGACY = "no legacy directive or section", Some(1300);
    CO_INSTALLER = "no co-installer", Some(1303);
    ROOT = "registry keys are relative", Some(1304);
    APPEND = "no value is appended to", Some(1305);
    DESTINATION = "files stay in the driver store", Some(1306);
    SERVICE_LINE = "a service has its binary, type, start and error control", None;
    FRAMEWORK = "the KMDF version is stated", None;
    UNUSED = "every section is used", Some(2083);
}

/// The lowest Windows that the driver runs on.
pub(crate) const LOWEST_BUILD: u32 = 19041;

/// The folder of the driver package in the driver store, by its number.
const DRIVER_STORE: &str = "13";

/// Directives of install sections that a universal INF does not have.
const LEGACY_DIRECTIVES: &[&str] = &[
    "BitReg",
    "CopyINF",
    "DelFiles",
    "DelReg",
    "DelService",
    "Ini2Reg",
    "LogConfig",
    "ProfileItems",
    "RegisterDlls",
    "RenFiles",
    "UnregisterDlls",
    "UpdateIniFields",
    "UpdateInis",
];

/// Endings of sections that a universal INF does not have.
const LEGACY_SECTIONS: &[&str] = &[".CoInstallers", ".FactDef", ".LogConfigOverride"];

/// Endings of the sections that belong to an install section.
const PARTS: &[&str] = &[
    "",
    ".HW",
    ".Services",
    ".Interfaces",
    ".Wdf",
    ".Events",
    ".Filters",
    ".Components",
    ".Software",
];

/// Sections that no line names.
const WELL_KNOWN: &[&str] = &[
    "Version",
    "DestinationDirs",
    "SourceDisksNames",
    "SourceDisksFiles",
    "Manufacturer",
    "Strings",
    "ControlFlags",
    "SignatureAttributes",
];

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule that is broken.
    pub(crate) rule: Rule,
    line: Option<usize>,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.rule.name, self.what)?;
        match self.rule.infverif {
            Some(number) => write!(f, " (InfVerif {number})"),
            None => Ok(()),
        }
    }
}

/// Checks a stamped INF. All that is wrong is told.
pub(crate) fn check(text: &str) -> Vec<Finding> {
    let inf = Inf::parse(text);
    let mut lint = Lint {
        inf: &inf,
        findings: Vec::new(),
        named: BTreeMap::new(),
    };
    lint.text(text);
    lint.version();
    lint.strings();
    lint.models();
    lint.files();
    lint.registry();
    lint.legacy();
    lint.unused();
    lint.findings.sort_by_key(|finding| finding.line);
    lint.findings
}

struct Lint<'a> {
    inf: &'a Inf,
    findings: Vec<Finding>,
    /// Sections that are named, in lower case, and by which directive.
    named: BTreeMap<String, String>,
}

impl<'a> Lint<'a> {
    fn tell(&mut self, rule: Rule, line: impl Into<Option<usize>>, what: impl Into<String>) {
        self.findings.push(Finding {
            rule,
            line: line.into(),
            what: what.into(),
        });
    }

    /// A directive names a section: it must be there, and belong to that directive alone.
    fn name_section(&mut self, name: &str, directive: &str, line: usize) -> bool {
        let exists = self.inf.named(name).next().is_some();
        if !exists {
            self.tell(
                SECTION,
                line,
                format!("[{name}], which {directive} names, does not exist"),
            );
        }
        let previous = self.named.insert(name.to_lowercase(), directive.to_owned());
        if let Some(previous) = previous.filter(|previous| previous != directive) {
            let what = format!("[{name}] is named by {previous} and by {directive}");
            self.tell(SHARED_SECTION, line, what);
        }
        exists
    }

    fn text(&mut self, text: &str) {
        for (index, line) in text.lines().enumerate() {
            if !line.is_ascii() {
                self.tell(ENCODING, index + 1, "other characters need UTF-16");
            }
            let is_continued = line.trim_end().ends_with('\\');
            // In a comment anything goes.
            let before_comment = super::text::without_comment(line);
            if !is_continued && !before_comment.matches('"').count().is_multiple_of(2) {
                self.tell(QUOTES, index + 1, "a quote is left open");
            }
        }
    }

    fn version(&mut self) {
        let line = |key: &str| self.inf.lines("Version").find(|line| line.is(key));
        let value = |key: &str| line(key).map(|line| self.inf.expanded(line.value(0)));
        let number = |key: &str| line(key).map(|line| line.number);
        let mut found = Vec::new();
        if !value("Signature").is_some_and(|value| value.eq_ignore_ascii_case("$WINDOWS NT$")) {
            found.push((SIGNATURE, number("Signature"), "it is another".to_owned()));
        }
        for key in ["Class", "ClassGuid", "Provider", "DriverVer"] {
            if value(key).is_none_or(|value| value.is_empty()) {
                found.push((VERSION_LINE, number(key), format!("{key} is missing")));
            }
        }
        if value("Provider").is_some_and(|provider| provider.to_lowercase().contains("microsoft")) {
            found.push((PROVIDER, number("Provider"), "it says so".to_owned()));
        }
        if !value("CatalogFile").is_some_and(|name| name.to_lowercase().ends_with(".cat")) {
            found.push((
                CATALOG,
                number("CatalogFile"),
                "there is no CatalogFile".to_owned(),
            ));
        }
        if value("PnpLockdown").as_deref() != Some("1") {
            found.push((
                LOCKDOWN,
                number("PnpLockdown"),
                "files could be changed".to_owned(),
            ));
        }
        if let Some(line) = line("DriverVer")
            && !(is_date(line.value(0)) && is_version(line.value(1)))
        {
            let what = format!("{} is not MM/DD/YYYY,w.x.y.z", line.values.join(","));
            found.push((DRIVER_VER, Some(line.number), what));
        }
        for (rule, line, what) in found {
            self.tell(rule, line, what);
        }
    }

    fn strings(&mut self) {
        let inf = self.inf;
        for line in inf.sections().flat_map(|section| &section.lines) {
            for text in line.key.iter().chain(&line.values) {
                for token in tokens(&inf.expanded(text)) {
                    // A number is a folder's.
                    if !token.chars().all(|c| c.is_ascii_digit()) {
                        self.tell(STRING, line.number, format!("%{token}% is in no [Strings]"));
                    }
                }
            }
        }
    }

    fn models(&mut self) {
        let inf = self.inf;
        for section in inf.named("DefaultInstall") {
            self.tell(DEFAULT_INSTALL, section.number, "it would never be used");
        }
        let mut installs: BTreeMap<String, usize> = BTreeMap::new();
        for line in inf.lines("Manufacturer") {
            let base = line.value(0);
            if line.values.len() == 1 {
                self.tell(OLD_WINDOWS, line.number, format!("[{base}] is for any Windows"));
            }
            for decoration in &line.values[1.min(line.values.len())..] {
                if build(decoration).is_none_or(|build| build < LOWEST_BUILD) {
                    let what = format!("{decoration} does not state build {LOWEST_BUILD} or a later one");
                    self.tell(OLD_WINDOWS, line.number, what);
                }
            }
        }
        for name in inf.model_sections() {
            let line = inf.lines("Manufacturer").next().map_or(0, |line| line.number);
            if self.name_section(&name, "Manufacturer", line) {
                for model in inf.lines(&name) {
                    installs.insert(model.value(0).to_owned(), model.number);
                }
            }
        }
        if inf.hardware_ids().is_empty() {
            self.tell(HARDWARE, None, "it is for no device");
        }
        for (install, line) in installs {
            self.install(&install, line);
        }
    }

    /// An install section and the sections that belong to it, with the platform's ending or without.
    fn install(&mut self, name: &str, line: usize) {
        let inf = self.inf;
        let is_decorated = |ending: &str| inf.named(&format!("{name}{ending}")).next().is_some();
        let decorated = [".NTamd64", ".NTarm64", ".NT"]
            .into_iter()
            .find(|ending| is_decorated(ending))
            .map_or_else(|| name.to_owned(), |ending| format!("{name}{ending}"));
        if !self.name_section(&decorated, "a model", line) {
            return;
        }
        let mut has_service = false;
        let mut has_framework = false;
        for part in PARTS {
            let part_name = format!("{decorated}{part}");
            if inf.named(&part_name).next().is_some() {
                self.named
                    .entry(part_name.to_lowercase())
                    .or_insert_with(|| "a model".to_owned());
            }
            for line in inf.lines(&part_name) {
                match line.key.as_deref().unwrap_or_default().to_lowercase().as_str() {
                    "copyfiles" | "addreg" => {
                        for section in line.values.iter().filter(|value| !value.starts_with('@')) {
                            self.name_section(section, line.key.as_deref().unwrap_or_default(), line.number);
                        }
                    }
                    "addservice" => {
                        has_service |= flags(line.value(1)) & 2 != 0;
                        if !line.value(0).is_empty()
                            && self.name_section(line.value(2), "AddService", line.number)
                        {
                            self.service(line.value(2), line.number);
                        }
                    }
                    "addinterface" if !line.value(2).is_empty() => {
                        self.name_section(line.value(2), "AddInterface", line.number);
                    }
                    "kmdfservice" if self.name_section(line.value(1), "KmdfService", line.number) => {
                        has_framework |= inf
                            .lines(line.value(1))
                            .any(|line| line.is("KmdfLibraryVersion") && !line.value(0).is_empty());
                    }
                    _ => {}
                }
            }
        }
        if !has_service {
            self.tell(
                SERVICE,
                line,
                format!("[{decorated}.Services] has no service with the flag 2"),
            );
        }
        if !has_framework {
            self.tell(
                FRAMEWORK,
                line,
                format!("[{decorated}.Wdf] leads to no KmdfLibraryVersion"),
            );
        }
    }

    fn service(&mut self, section: &str, line: usize) {
        let inf = self.inf;
        for key in ["ServiceType", "StartType", "ErrorControl", "ServiceBinary"] {
            if !inf.lines(section).any(|line| line.is(key)) {
                self.tell(SERVICE_LINE, line, format!("[{section}] has no {key}"));
            }
        }
        for line in inf.lines(section).filter(|line| line.is("ServiceBinary")) {
            if !line.value(0).starts_with(&format!("%{DRIVER_STORE}%\\")) {
                let what = format!("{} is not under %{DRIVER_STORE}%", line.value(0));
                self.tell(DESTINATION, line.number, what);
            }
        }
    }

    fn files(&mut self) {
        let inf = self.inf;
        let sources: BTreeMap<String, &Line> = inf
            .sections()
            .filter(|section| is_named(section, "SourceDisksFiles"))
            .flat_map(|section| &section.lines)
            .filter_map(|line| Some((line.key.as_ref()?.to_lowercase(), line)))
            .collect();
        let has_disk = |id: &str| {
            inf.sections()
                .filter(|section| is_named(section, "SourceDisksNames"))
                .flat_map(|section| &section.lines)
                .any(|line| line.is(id))
        };
        for (file, line) in &sources {
            if !has_disk(line.value(0)) {
                self.tell(SOURCE_FILE, line.number, format!("{file} is on an unknown disk"));
            }
        }
        for line in inf.lines("DestinationDirs") {
            if line.value(0) != DRIVER_STORE {
                let what = format!("{} is not folder {DRIVER_STORE}", line.value(0));
                self.tell(DESTINATION, line.number, what);
            }
        }
        for (section, line) in self.copied() {
            let (target, source) = (line.value(0), line.value(1));
            let source = if source.is_empty() { target } else { source };
            match sources.get(&source.to_lowercase()) {
                None => self.tell(
                    SOURCE_FILE,
                    line.number,
                    format!("{source} is not in [SourceDisksFiles]"),
                ),
                Some(place) => {
                    let folder = inf
                        .lines("DestinationDirs")
                        .find(|line| line.is(&section))
                        .or_else(|| {
                            inf.lines("DestinationDirs")
                                .find(|line| line.is("DefaultDestDir"))
                        })
                        .map_or("", |line| line.value(1));
                    if !source.eq_ignore_ascii_case(target) || !folder.eq_ignore_ascii_case(place.value(1)) {
                        let what = format!("{source} becomes {target} in another place");
                        self.tell(RENAMED_FILE, line.number, what);
                    }
                }
            }
        }
    }

    /// The lines of the sections that `CopyFiles` names, and the files that it names directly.
    fn copied(&self) -> Vec<(String, Line)> {
        let directives = self
            .inf
            .sections()
            .flat_map(|section| &section.lines)
            .filter(|line| line.is("CopyFiles"));
        let mut copied = Vec::new();
        for directive in directives {
            for value in &directive.values {
                if let Some(file) = value.strip_prefix('@') {
                    let line = Line {
                        number: directive.number,
                        key: None,
                        values: vec![file.to_owned()],
                    };
                    copied.push(("DefaultDestDir".to_owned(), line));
                } else {
                    copied.extend(self.inf.lines(value).map(|line| (value.clone(), line.clone())));
                }
            }
        }
        copied
    }

    /// What `AddReg` writes.
    fn registry(&mut self) {
        const APPENDS: u32 = 8;
        let inf = self.inf;
        let directives = inf
            .sections()
            .flat_map(|section| &section.lines)
            .filter(|line| line.is("AddReg"));
        for line in directives
            .flat_map(|line| &line.values)
            .flat_map(|name| inf.lines(name))
        {
            let key = line.value(1).to_lowercase();
            if !line.value(0).eq_ignore_ascii_case("HKR") {
                self.tell(ROOT, line.number, format!("{} is not HKR", line.value(0)));
            }
            if key.starts_with("system\\currentcontrolset\\services") {
                self.tell(
                    SERVICES_KEY,
                    line.number,
                    "a service's values are set where it is made",
                );
            }
            if line.value(2).to_lowercase().starts_with("coinstallers") {
                self.tell(CO_INSTALLER, line.number, "they are not run any more");
            }
            if flags(line.value(3)) & APPENDS != 0 {
                self.tell(
                    APPEND,
                    line.number,
                    "others' parts of the value would stay for ever",
                );
            }
        }
    }

    fn legacy(&mut self) {
        let inf = self.inf;
        for section in inf.sections() {
            let name = section.name.to_lowercase();
            if name.starts_with("classinstall32") {
                self.tell(CLASS_INSTALL, section.number, format!("[{}]", section.name));
            }
            if LEGACY_SECTIONS
                .iter()
                .any(|ending| name.ends_with(&ending.to_lowercase()))
            {
                self.tell(LEGACY, section.number, format!("[{}]", section.name));
                self.named.insert(name, "a legacy".to_owned());
            }
            if is_named(section, "Strings") {
                continue;
            }
            for line in &section.lines {
                if let Some(key) = LEGACY_DIRECTIVES.iter().find(|key| line.is(key)) {
                    self.tell(LEGACY, line.number, *key);
                }
            }
        }
    }

    fn unused(&mut self) {
        let inf: &'a Inf = self.inf;
        for section in inf.sections() {
            let is_known = WELL_KNOWN.iter().any(|name| is_named(section, name))
                || section.name.to_lowercase().starts_with("classinstall32")
                || section.name.eq_ignore_ascii_case("DefaultInstall")
                || self.named.contains_key(&section.name.to_lowercase());
            if !is_known {
                self.tell(
                    UNUSED,
                    section.number,
                    format!("nothing names [{}]", section.name),
                );
            }
        }
    }
}

/// Whether a section has this name, or this name with a platform or a language after it.
fn is_named(section: &Section, name: &str) -> bool {
    let base = section.name.split('.').next().unwrap_or_default();
    base.eq_ignore_ascii_case(name)
}

/// The names between per cent signs that are left in a text.
fn tokens(text: &str) -> Vec<&str> {
    text.split('%')
        .skip(1)
        .step_by(2)
        .filter(|token| !token.is_empty())
        .collect()
}

/// A number with or without `0x`; nothing is 0.
fn flags(text: &str) -> u32 {
    text.strip_prefix("0x")
        .map_or_else(|| text.parse(), |hex| u32::from_str_radix(hex, 16))
        .unwrap_or(0)
}

/// The build that a models decoration states: `NTamd64.10.0...19041`.
fn build(decoration: &str) -> Option<u32> {
    decoration.split('.').nth(5)?.parse().ok()
}

fn is_date(text: &str) -> bool {
    let parts: Vec<Option<u16>> = text.split('/').map(|part| part.parse().ok()).collect();
    matches!(parts.as_slice(), [Some(1..=12), Some(1..=31), Some(1601..)]) && text.len() == "MM/DD/YYYY".len()
}

fn is_version(text: &str) -> bool {
    text.split('.').count() == 4 && text.split('.').all(|part| part.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests;
