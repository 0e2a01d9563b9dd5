//! An INF as Windows reads it: sections of lines, each a key with values, strings put in, comments gone.

use std::collections::BTreeMap;

/// A whole file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inf {
    sections: Vec<Section>,
    strings: BTreeMap<String, String>,
}

/// One section. The same name may come again.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Its name as it is written.
    pub(crate) name: String,
    /// Which line of the file it begins at, counted from 1.
    pub(crate) number: usize,
    /// What is in it.
    pub(crate) lines: Vec<Line>,
}

/// One line: `key = value, value` or `value, value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which line of the file it is, counted from 1.
    pub(crate) number: usize,
    /// What is before the equals sign.
    pub(crate) key: Option<String>,
    /// The values as they are written, without quotes and white space around them.
    pub(crate) values: Vec<String>,
}

impl Line {
    /// Whether the line has this key; case does not matter.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.key
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(key))
    }

    /// A value, or nothing.
    pub(crate) fn value(&self, index: usize) -> &str {
        self.values.get(index).map_or("", String::as_str)
    }
}

impl Inf {
    /// Reads a file. Anything is an INF: what is wrong with it is not this function's to say.
    pub(crate) fn parse(text: &str) -> Self {
        let mut inf = Self::default();
        let mut continued = String::new();
        let mut begun = 0;
        for (index, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let content = without_comment(raw).trim();
            if continued.is_empty() {
                begun = index + 1;
            }
            if let Some(part) = content.strip_suffix('\\') {
                continued.push_str(part);
                continue;
            }
            let whole = std::mem::take(&mut continued) + content;
            inf.add(begun, whole.trim());
        }
        if !continued.is_empty() {
            inf.add(begun, continued.trim());
        }
        inf.strings = inf
            .named("Strings")
            .flat_map(|section| &section.lines)
            .filter_map(|line| Some((line.key.as_ref()?.to_lowercase(), line.value(0).to_owned())))
            .collect();
        inf
    }

    fn add(&mut self, number: usize, content: &str) {
        if content.is_empty() {
            return;
        }
        if let Some(rest) = content.strip_prefix('[') {
            self.sections.push(Section {
                name: rest.split(']').next().unwrap_or(rest).trim().to_owned(),
                number,
                lines: Vec::new(),
            });
            return;
        }
        let (key, values) = match split_outside_quotes(content, '=').as_slice() {
            [values] => (None, *values),
            [key, ..] => (Some(unquoted(key)), &content[key.len() + 1..]),
            [] => (None, ""),
        };
        let values = split_outside_quotes(values, ',')
            .iter()
            .map(|value| unquoted(value))
            .collect();
        if let Some(section) = self.sections.last_mut() {
            section.lines.push(Line { number, key, values });
        }
    }

    /// Every section in order.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    /// The sections of a name; case does not matter.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections
            .iter()
            .filter(move |section| section.name.eq_ignore_ascii_case(name))
    }

    /// The lines of all sections of a name.
    pub(crate) fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.named(name).flat_map(|section| &section.lines)
    }

    /// A text with its `%name%` replaced by the strings of those names. Those that are unknown (a folder's number is
    /// one) stay.
    pub(crate) fn expanded(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded.push_str(before);
            let Some((name, behind)) = after.split_once('%') else {
                expanded.push('%');
                expanded.push_str(after);
                return expanded;
            };
            match self.strings.get(&name.to_lowercase()) {
                Some(value) => expanded.push_str(value),
                None if name.is_empty() => expanded.push('%'),
                None => expanded.extend(["%", name, "%"]),
            }
            rest = behind;
        }
        expanded + rest
    }

    /// The names of the sections that list devices, as `[Manufacturer]` names them, with and without decorations.
    pub(crate) fn model_sections(&self) -> Vec<String> {
        let mut names = Vec::new();
        for line in self.lines("Manufacturer") {
            let base = line.value(0);
            if line.values.len() == 1 {
                names.push(base.to_owned());
            }
            names.extend(
                line.values
                    .iter()
                    .skip(1)
                    .filter(|decoration| !decoration.is_empty())
                    .map(|decoration| format!("{base}.{decoration}")),
            );
        }
        names
    }

    /// The hardware and compatible ids of all devices, each once.
    pub(crate) fn hardware_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for name in self.model_sections() {
            for id in self.lines(&name).flat_map(|line| line.values.iter().skip(1)) {
                let id = self.expanded(id);
                if !id.is_empty() && !ids.iter().any(|known| known.eq_ignore_ascii_case(&id)) {
                    ids.push(id);
                }
            }
        }
        ids
    }
}

/// A line up to its comment.
pub(super) fn without_comment(line: &str) -> &str {
    split_outside_quotes(line, ';')
        .first()
        .copied()
        .unwrap_or_default()
}

/// Splits at a character where no quotes are open.
fn split_outside_quotes(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        !quoted && c == at
    })
    .collect()
}

/// A value without white space and quotes around it; two quotes within are one.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .map_or_else(|| text.to_owned(), |inner| inner.replace("\"\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}; a comment\r\n[Version]\r\nSignature=\"$WINDOWS NT$\" ; here; too\r\n\
        [Manufacturer]\r\n%Maker%=Models,NTamd64, NTamd64.10.0...19041\r\n\
        [Models.NTamd64]\r\n%Name% = Install, Root\\One, \"Root\\Two\"\r\n\
        [Models.NTamd64.10.0...19041]\r\n%Name% = Install, ROOT\\ONE\r\n\
        [security]\r\nHKR,,Security,,\"D:P(A;;GA;;;SY)\"\r\n\
        [Strings]\r\nMaker=\"A \"\"maker\"\", really\"\r\nlong = one, \\\r\n  two\r\n";

    #[test]
    fn sections_lines_and_values_are_told_apart() {
        let inf = Inf::parse(TEXT);
        let names: Vec<&str> = inf.sections().map(|section| section.name.as_str()).collect();
        assert_eq!(names.len(), 6);
        let line = inf.lines("version").next().expect("a line");
        assert!(line.is("SIGNATURE"));
        assert_eq!(
            (line.value(0), line.value(1), line.number),
            ("$WINDOWS NT$", "", 3)
        );
        let line = inf.lines("Security").next().expect("a line");
        assert_eq!(line.key, None);
        assert_eq!(line.values, ["HKR", "", "Security", "", "D:P(A;;GA;;;SY)"]);
        let continued = inf.lines("Strings").nth(1).expect("a line");
        assert_eq!(continued.values, ["one", "two"]);
    }

    #[test]
    fn strings_are_put_in() {
        let inf = Inf::parse(TEXT);
        assert_eq!(inf.expanded("by %MAKER%."), "by A \"maker\", really.");
        assert_eq!(inf.expanded(r"%13%\x.sys"), r"%13%\x.sys");
        assert_eq!(inf.expanded("100%%, 5%"), "100%, 5%");
    }

    #[test]
    fn devices_are_found_through_their_manufacturer() {
        let inf = Inf::parse(TEXT);
        assert_eq!(
            inf.model_sections(),
            ["Models.NTamd64", "Models.NTamd64.10.0...19041"]
        );
        assert_eq!(inf.hardware_ids(), [r"Root\One", r"Root\Two"]);
    }
}
