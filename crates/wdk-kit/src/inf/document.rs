//! The sections and entries of an INF.
//!
//! Reading never fails: what cannot be understood is left out and reported in
//! [`Document::problems`] under InfVerif's number, so that one look at an INF shows
//! everything that is wrong with it.

use std::collections::BTreeMap;

/// An INF, read.
#[derive(Debug, Default)]
pub struct Document {
    /// The sections as they stand, also those of one name.
    pub sections: Vec<Section>,
    /// What could not be understood.
    pub problems: Vec<Problem>,
}

/// A section as it stands.
#[derive(Debug)]
pub struct Section {
    /// Its name as written.
    pub name: String,
    /// The line of its name.
    pub line: usize,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// An entry of a section, which may stand on several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its first line.
    pub line: usize,
    /// What stands in front of the equals sign, if there is one.
    pub key: Option<String>,
    /// The values, in order, without quotation marks and with strings substituted.
    /// `%13%` and the like stay as they are.
    pub values: Vec<String>,
}

/// Something that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// InfVerif's number for it.
    pub code: u16,
    /// Where.
    pub line: usize,
    /// What.
    pub detail: String,
}

impl Entry {
    /// The value at a place, empty if there is none.
    #[must_use]
    pub fn value(&self, index: usize) -> &str {
        self.values.get(index).map_or("", String::as_str)
    }

    /// Whether the entry is the directive of that name.
    #[must_use]
    pub fn is(&self, directive: &str) -> bool {
        self.key
            .as_deref()
            .is_some_and(|key| key.eq_ignore_ascii_case(directive))
    }
}

impl Document {
    /// Reads the bytes of an INF file: ASCII, or UTF-16 in little-endian order with a mark.
    ///
    /// The ANSI of other code pages means different characters on different machines and
    /// counts as an unknown encoding.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        match decode(bytes) {
            Some(text) => Self::parse(&text),
            None => Self {
                sections: Vec::new(),
                problems: vec![Problem {
                    code: 1003,
                    line: 1,
                    detail: "neither ASCII nor UTF-16 with a byte order mark".to_owned(),
                }],
            },
        }
    }

    /// Reads the text of an INF.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut document = Self::default();
        for (line, text) in logical_lines(text) {
            document.line(line, &text);
        }
        let strings = document.strings();
        let mut problems = std::mem::take(&mut document.problems);
        for section in &mut document.sections {
            if is_strings(&section.name) {
                continue;
            }
            for entry in &mut section.entries {
                let values = entry.key.iter_mut().chain(&mut entry.values);
                for value in values {
                    match substitute(value, &strings) {
                        Ok(text) => *value = text,
                        Err(token) => problems.push(Problem {
                            code: 1235,
                            line: entry.line,
                            detail: format!("%{token}% is not defined in [Strings]"),
                        }),
                    }
                }
            }
        }
        document.problems = problems;
        document
    }

    /// The entries of all sections of that name, as the system merges them.
    pub fn entries<'d>(&'d self, section: &str) -> impl Iterator<Item = &'d Entry> + use<'d> {
        let section = section.to_owned();
        self.sections
            .iter()
            .filter(move |candidate| candidate.name.eq_ignore_ascii_case(&section))
            .flat_map(|section| &section.entries)
    }

    /// Whether there is a section of that name.
    #[must_use]
    pub fn has(&self, section: &str) -> bool {
        self.sections
            .iter()
            .any(|candidate| candidate.name.eq_ignore_ascii_case(section))
    }

    /// A directive of a section.
    #[must_use]
    pub fn directive(&self, section: &str, name: &str) -> Option<&Entry> {
        self.entries(section).find(|entry| entry.is(name))
    }

    fn line(&mut self, line: usize, text: &str) {
        if let Some(rest) = text.strip_prefix('[') {
            match rest.split_once(']') {
                Some((name, after)) if !name.trim().is_empty() && after.trim().is_empty() => {
                    self.sections.push(Section {
                        name: name.trim().to_owned(),
                        line,
                        entries: Vec::new(),
                    });
                }
                _ => self.syntax(line, "a section's name is [in brackets], alone on its line"),
            }
            return;
        }
        let Some((key, values)) = fields(text) else {
            return self.syntax(line, "a quotation mark is not closed");
        };
        let Some(section) = self.sections.last_mut() else {
            return self.syntax(line, "an entry stands in front of the first section");
        };
        section.entries.push(Entry { line, key, values });
    }

    fn syntax(&mut self, line: usize, detail: &str) {
        self.problems.push(Problem {
            code: 1002,
            line,
            detail: detail.to_owned(),
        });
    }

    fn strings(&self) -> BTreeMap<String, String> {
        let entries = self.entries("Strings");
        entries
            .filter_map(|entry| {
                let key = entry.key.as_ref()?.to_ascii_lowercase();
                Some((key, entry.value(0).to_owned()))
            })
            .collect()
    }
}

/// Whether a section holds strings, for all languages or one.
pub(super) fn is_strings(section: &str) -> bool {
    let first = section.split('.').next().unwrap_or_default();
    first.eq_ignore_ascii_case("Strings")
}

/// The text of an INF file: ASCII, or UTF-16 in little-endian order with a mark; nothing if it is
/// neither.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<String> {
    if let Some(units) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        let (pairs, odd) = units.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(u16::from_le_bytes).collect();
        return String::from_utf16(&units).ok().filter(|_| odd.is_empty());
    }
    let text = std::str::from_utf8(bytes).ok()?;
    text.is_ascii().then(|| text.to_owned())
}

/// An INF file of that text, in one of the two.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    if text.is_ascii() {
        return text.as_bytes().to_vec();
    }
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

/// Lines without comments, those that end in a backslash joined to the next, the empty
/// ones left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, whole)) if continues => whole.push_str(line),
            _ if line.is_empty() && !goes_on => {}
            _ => lines.push((index + 1, line.to_owned())),
        }
        continues = goes_on;
    }
    lines
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (place, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => return &line[..place],
            _ => {}
        }
    }
    line
}

/// The key and the values of an entry; `None` if a quotation mark is not closed.
fn fields(text: &str) -> Option<(Option<String>, Vec<String>)> {
    let mut key = None;
    let mut values = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut field).trim().to_owned()),
            '=' if !quoted && key.is_none() && values.is_empty() => {
                key = Some(std::mem::take(&mut field).trim().to_owned());
            }
            character => field.push(character),
        }
    }
    if quoted {
        return None;
    }
    values.push(field.trim().to_owned());
    // An omitted last value needs no comma, and an empty entry has no value.
    while values.last().is_some_and(String::is_empty) {
        values.pop();
    }
    Some((key, values))
}

/// A value with its tokens replaced.
///
/// # Errors
/// The token that is not defined.
fn substitute(value: &str, strings: &BTreeMap<String, String>) -> Result<String, String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(escaped) = after.strip_prefix('%') {
            text.push('%');
            rest = escaped;
            continue;
        }
        let Some((token, after)) = after.split_once('%') else {
            return Err(after.to_owned());
        };
        if is_directory_identifier(token) {
            text.push_str(&format!("%{token}%"));
        } else {
            let string = strings.get(&token.to_ascii_lowercase());
            text.push_str(string.ok_or_else(|| token.to_owned())?);
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// Whether a token names a directory by its number, such as 13, instead of a string.
fn is_directory_identifier(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Vec<String> {
        let text = format!("[S]\n{line}\n[Strings]\nName = \"glass; half\"\n");
        let document = Document::parse(&text);
        assert_eq!(document.problems, []);
        document.sections[0].entries[0].values.clone()
    }

    #[test]
    fn values_lose_their_quotation_marks_and_keep_what_is_inside() {
        assert_eq!(
            values("a = one , \"two, 2\" ,,4"),
            ["one", "two, 2", "", "4"]
        );
        assert_eq!(values("a = \"say \"\"no\"\"\" ; more"), ["say \"no\""]);
        assert_eq!(
            values("HKR,Parameters,Level"),
            ["HKR", "Parameters", "Level"]
        );
        assert_eq!(values("a = one,,"), ["one"]);
        assert_eq!(
            values("a = \"dir\\\"\\ ; goes on\n,file"),
            ["dir\\", "file"]
        );
    }

    #[test]
    fn strings_are_put_in_and_directories_and_percent_signs_kept() {
        assert_eq!(
            values("a = %name%, %13%\\x.sys"),
            ["glass; half", "%13%\\x.sys"]
        );
        assert_eq!(values("a = \"%%SystemRoot%%\\x\""), ["%SystemRoot%\\x"]);
    }

    #[test]
    fn sections_of_one_name_are_one() {
        let document = Document::parse("[A]\nx = 1\n[B]\nx = 2\n[a]\ny = 3\n");
        let keys: Vec<_> = document
            .entries("A")
            .filter_map(|entry| entry.key.as_deref())
            .collect();
        assert_eq!(keys, ["x", "y"]);
        assert_eq!(
            document.directive("b", "X").map(|entry| entry.value(0)),
            Some("2")
        );
        assert_eq!(document.sections[2].line, 5);
    }

    #[test]
    fn what_cannot_be_read_is_reported_where_it_stands() {
        let problems = |text: &str| -> Vec<_> {
            let problems = Document::parse(text).problems.into_iter();
            problems
                .map(|problem| (problem.code, problem.line))
                .collect()
        };
        assert_eq!(problems("a = 1\n[A]\n"), [(1002, 1)]);
        assert_eq!(problems("[A]\n\nb = \"open\n"), [(1002, 3)]);
        assert_eq!(problems("[A\nb = 1\n"), [(1002, 1), (1002, 2)]);
        assert_eq!(problems("[A]\nb = %nothing%\n"), [(1235, 2)]);
        assert_eq!(problems("[A]\nb = 100%\n"), [(1235, 2)]);
    }

    #[test]
    fn only_encodings_without_a_code_page_are_read() {
        let wide: Vec<u8> = "\u{FEFF}[Größe]"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(Document::read(&wide).sections[0].name, "Größe");
        assert_eq!(Document::read(b"[A]").problems, []);
        for bytes in ["[Größe]".as_bytes(), b"[Gr\xF6\xDFe]", b"\xFF\xFEa"] {
            assert_eq!(Document::read(bytes).problems[0].code, 1003);
        }
    }
}
