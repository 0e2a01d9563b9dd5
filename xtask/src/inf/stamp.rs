//! What Microsoft's stampinf does to an `.inx`: architecture, framework version and driver version become facts.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::{kits::KMDF_VERSION, paths::Paths, process::Tool, toolchain::Arch};

/// The variable by which reproducible builds agree on the time.
pub(crate) const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// What is put into an INF.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    /// `MM/DD/YYYY`, as INF files have it.
    date: String,
    /// Four numbers.
    version: String,
    kmdf: String,
    architecture: String,
}

/// The version that the workspace's manifest states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    text: String,
    numbers: String,
}

impl Version {
    /// Reads the manifest of a checkout.
    pub(crate) fn read(paths: &Paths) -> Result<Self> {
        let manifest = paths.root().join("Cargo.toml");
        let manifest =
            fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        Self::parse(&manifest)
    }

    fn parse(manifest: &str) -> Result<Self> {
        let manifest: toml_edit::DocumentMut = manifest.parse().context("Cargo.toml is not TOML")?;
        let version = manifest["workspace"]["package"]["version"]
            .as_str()
            .context("Cargo.toml has no workspace.package.version")?;
        // A pre-release name has no place in an INF.
        let numbers = version.split(['-', '+']).next().unwrap_or(version);
        let valid =
            numbers.split('.').count() == 3 && numbers.split('.').all(|part| part.parse::<u16>().is_ok());
        ensure!(
            valid,
            "the version {version} has parts that an INF cannot hold (three numbers up to 65535)"
        );
        Ok(Self {
            text: version.to_owned(),
            numbers: format!("{numbers}.0"),
        })
    }

    /// As the manifest has it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// As INF files and version resources have it: four numbers, the last of them 0.
    pub(crate) fn numbers(&self) -> &str {
        &self.numbers
    }
}

/// Makes an INF from an `.inx`. The date is the commit's, so that the same sources give the same file.
pub(crate) fn stamp(paths: &Paths, inx: &Path, arch: Arch) -> Result<String> {
    let facts = Facts {
        date: date_of(epoch(paths)?),
        version: Version::read(paths)?.numbers,
        kmdf: KMDF_VERSION.to_owned(),
        architecture: arch.in_inf().to_owned(),
    };
    let text = fs::read_to_string(inx).with_context(|| format!("cannot read {}", inx.display()))?;
    stamped(&text, &facts).with_context(|| format!("in {}", paths.shown(inx)))
}

/// Seconds since 1970: `SOURCE_DATE_EPOCH`, else the time of the commit, else (no git here) the epoch itself.
pub(crate) fn epoch(paths: &Paths) -> Result<i64> {
    if let Ok(text) = std::env::var(EPOCH_VARIABLE) {
        return text
            .trim()
            .parse()
            .with_context(|| format!("{EPOCH_VARIABLE}={text} is not a number"));
    }
    let commit = Tool::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(paths.root())
        .output();
    Ok(commit.ok().and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn stamped(inx: &str, facts: &Facts) -> Result<String> {
    let mut inf = String::with_capacity(inx.len() + 64);
    let mut in_version = false;
    let mut stamps = 0;
    for line in inx.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        let ending = &line[content.len()..];
        let trimmed = content.trim();
        if trimmed.starts_with('[') {
            in_version = trimmed.to_ascii_lowercase().starts_with("[version]");
        }
        let is_driver_ver = in_version
            && content
                .split('=')
                .next()
                .is_some_and(|name| name.trim().eq_ignore_ascii_case("DriverVer"));
        if is_driver_ver {
            stamps += 1;
            inf.push_str("DriverVer = ");
            inf.push_str(&facts.date);
            inf.push(',');
            inf.push_str(&facts.version);
        } else {
            let content = content
                .replace("$ARCH$", &facts.architecture)
                .replace("$KMDFVERSION$", &facts.kmdf)
                .replace("$KMDFCOINSTALLERVERSION$", &facts.kmdf);
            inf.push_str(&content);
        }
        inf.push_str(ending);
    }
    ensure!(
        stamps == 1,
        "its [Version] section has {stamps} DriverVer lines, not one"
    );
    if let Some(left) = inf
        .lines()
        .find(|line| has_placeholder(line.split(';').next().unwrap_or_default()))
    {
        anyhow::bail!("nothing is known to put into the line `{}`", left.trim());
    }
    Ok(inf)
}

/// Whether a line still has a `$NAME$`. (`$` alone is a part of model names.)
fn has_placeholder(line: &str) -> bool {
    line.split('$').skip(1).step_by(2).any(|word| {
        !word.is_empty()
            && word.chars().all(|c| c.is_ascii_uppercase())
            && line.contains(&format!("${word}$"))
    })
}

/// The day of a time in seconds since 1970, UTC, as `MM/DD/YYYY`.
fn date_of(epoch: i64) -> String {
    let (year, month, day) = civil(epoch.div_euclid(86_400));
    format!("{month:02}/{day:02}/{year:04}")
}

/// Year, month and day of a number of days since 1970. (Howard Hinnant's algorithm, in eras of 400 years that begin in
/// March.)
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// A stamp of known facts, for tests of what is made from it.
#[cfg(test)]
pub(super) fn stamped_for_tests(inx: &str) -> String {
    stamped(inx, &tests::facts()).expect("the .inx is proper")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn facts() -> Facts {
        Facts {
            date: "02/29/2024".to_owned(),
            version: "0.1.0.0".to_owned(),
            kmdf: "1.15".to_owned(),
            architecture: "amd64".to_owned(),
        }
    }

    #[test]
    fn placeholders_become_facts_and_line_ends_stay() {
        let inx = "[Version]\r\nDriverVer = ; by stampinf\r\n[Manufacturer]\r\n%M%=S,NT$ARCH$\r\n\
                   [W]\r\nKmdfLibraryVersion = $KMDFVERSION$\r\n";
        let inf = stamped(inx, &facts()).expect("it is proper");
        assert_eq!(
            inf,
            "[Version]\r\nDriverVer = 02/29/2024,0.1.0.0\r\n[Manufacturer]\r\n%M%=S,NTamd64\r\n\
             [W]\r\nKmdfLibraryVersion = 1.15\r\n"
        );
    }

    #[test]
    fn an_unknown_placeholder_is_refused_but_not_in_a_comment() {
        let with = |line: &str| stamped(&format!("[Version]\nDriverVer=\n[X]\n{line}\n"), &facts());
        let error = with("a = $UMDFVERSION$").expect_err("nobody knows it");
        assert!(error.to_string().contains("$UMDFVERSION$"));
        assert!(with("; $UMDFVERSION$").is_ok());
        assert!(with("a = $WINDOWS NT$").is_ok(), "a signature is no placeholder");
        assert!(with("Signature = \"$WINDOWS NT$\" ; $x").is_ok());
    }

    #[test]
    fn the_version_line_must_be_there_once() {
        assert!(stamped("[Version]\nClass=System\n", &facts()).is_err());
        assert!(stamped("[Other]\nDriverVer=1\n", &facts()).is_err());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (epoch, date) in [
            (0, "01/01/1970"),
            (951_782_399, "02/28/2000"),
            (951_782_400, "02/29/2000"),
            (1_709_164_800, "02/29/2024"),
            (1_735_689_599, "12/31/2024"),
            (1_735_689_600, "01/01/2025"),
            (-1, "12/31/1969"),
        ] {
            assert_eq!(date_of(epoch), date, "{epoch}");
        }
    }

    #[test]
    fn a_version_gets_its_fourth_number() {
        let of = |version: &str| Version::parse(&format!("[workspace.package]\nversion = \"{version}\"\n"));
        assert_eq!(of("1.20.3").expect("fits").numbers(), "1.20.3.0");
        let candidate = of("1.0.0-rc.1").expect("fits");
        assert_eq!((candidate.text(), candidate.numbers()), ("1.0.0-rc.1", "1.0.0.0"));
        assert!(of("1.0.70000").is_err());
        assert!(of("1.0").is_err());
    }
}
