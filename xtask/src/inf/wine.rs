//! The INF as Wine can use it.
//!
//! Wine reads no models decoration that states a build, and the driver's INF has no other: on Windows, one without would
//! let the driver onto any Windows 10. So Wine gets a copy in which the same models are listed without their build.

use super::text::Inf;

/// Adds, for each decoration with a build, one without: to the manufacturer's line and as a section.
pub(crate) fn for_wine(inf: &str) -> String {
    let parsed = Inf::parse(inf);
    let mut lines: Vec<String> = inf.lines().map(str::to_owned).collect();
    let mut sections = Vec::new();
    for line in parsed.lines("Manufacturer") {
        let base = line.value(0);
        for decoration in line.values.iter().skip(1) {
            let Some((platform, _)) = decoration.split_once('.') else {
                continue;
            };
            if line
                .values
                .iter()
                .any(|other| other.eq_ignore_ascii_case(platform))
            {
                continue;
            }
            lines[line.number - 1] =
                lines[line.number - 1].replacen(decoration.as_str(), &format!("{platform}, {decoration}"), 1);
            sections.push(String::new());
            sections.push(format!("[{base}.{platform}]"));
            for model in parsed.lines(&format!("{base}.{decoration}")) {
                let key = model.key.as_deref().unwrap_or_default();
                sections.push(format!("{key} = {}", model.values.join(", ")));
            }
        }
    }
    lines.extend(sections);
    lines.join("\r\n") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: &str = "[Manufacturer]\r\n%M% = S, NTamd64.10.0...19041 ; why\r\n\
                       [S.NTamd64.10.0...19041]\r\n%D% = Install, Root\\A, Root\\B\r\n[Strings]\r\nM=\"m\"\r\n";

    #[test]
    fn models_are_listed_without_their_build_too() {
        let inf = Inf::parse(&for_wine(INF));
        assert_eq!(inf.model_sections(), ["S.NTamd64", "S.NTamd64.10.0...19041"]);
        let plain: Vec<_> = inf
            .lines("S.NTamd64")
            .map(|line| (&line.key, &line.values))
            .collect();
        let full: Vec<_> = inf
            .lines("S.NTamd64.10.0...19041")
            .map(|line| (&line.key, &line.values))
            .collect();
        assert_eq!(plain, full);
        assert_eq!(plain.len(), 1);
    }

    #[test]
    fn what_wine_reads_already_stays_as_it_is() {
        let once = for_wine(INF);
        assert_eq!(for_wine(&once), once);
        let bare = "[Manufacturer]\r\n%M% = S, NTamd64\r\n[S.NTamd64]\r\n";
        assert_eq!(for_wine(bare), bare);
    }
}
