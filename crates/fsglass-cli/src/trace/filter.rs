//! Which requests are wanted. The driver is asked for them as far as it can tell; the rest, and those of a file, are
//! picked here, by the same rules.

use super::event::Event;
use fsglass_protocol::Operation;

/// What is wanted: all that is said of it must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// The device of the volume.
    pub volume: Option<String>,
    /// The process.
    pub process: Option<u32>,
    /// The operations: bit [`Operation::number`].
    pub operations: u64,
    /// The name of the file: `*` stands for any text, `?` for one code unit, and case does not count.
    pub name: Option<String>,
    /// At least as long, in units of 100 ns.
    pub slower_than: u64,
    /// Errors and warnings alone.
    pub failures: bool,
    /// What the driver cannot tell.
    pub here: Here,
}

/// Wishes that are looked at here alone. An empty list lets everything through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Here {
    /// The file is one of these, or below one.
    pub paths: Vec<String>,
    /// Its name matches none of these patterns.
    pub exclude_names: Vec<String>,
    /// It was sent in none of these processes.
    pub exclude_processes: Vec<u32>,
    /// It has one of these statuses.
    pub statuses: Vec<u32>,
    /// It has none of these.
    pub exclude_statuses: Vec<u32>,
    /// It has one of these minor functions.
    pub minors: Vec<u8>,
}

impl Here {
    /// Whether it is one of those.
    #[must_use]
    pub fn has(&self, event: &Event) -> bool {
        let status = event.status();
        let minor = event.record.minor;
        let one_of = |list: &[u32]| list.is_empty() || list.contains(&status);
        (self.paths.is_empty() || self.paths.iter().any(|path| is_below(path, &event.name)))
            && !self
                .exclude_names
                .iter()
                .any(|pattern| matches(pattern, &event.name))
            && !self.exclude_processes.contains(&event.record.process.get())
            && one_of(&self.statuses)
            && !self.exclude_statuses.contains(&status)
            && (self.minors.is_empty() || self.minors.contains(&minor))
    }

    /// Whether it asks for names.
    #[must_use]
    pub fn needs_names(&self) -> bool {
        !self.paths.is_empty() || !self.exclude_names.is_empty()
    }
}

/// Whether a file is that path, or lies below it; a stream is part of its file.
fn is_below(path: &str, name: &str) -> bool {
    let path = path.trim_end_matches('\\');
    let upper = |text: &str| text.chars().map(upcase).collect::<String>();
    let (path, name) = (upper(path), upper(name));
    let rest = name.strip_prefix(&path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['\\', ':']))
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            volume: None,
            process: None,
            operations: operations(&[]),
            name: None,
            slower_than: 0,
            failures: false,
            here: Here::default(),
        }
    }
}

/// These operations as a mask; all of them, if there is none.
#[must_use]
pub fn operations(wanted: &[Operation]) -> u64 {
    let bits = |operation: Operation| 1 << operation.number();
    if wanted.is_empty() {
        return Operation::all().map(bits).fold(0, |all, bit| all | bit);
    }
    let wanted = wanted.iter().copied();
    wanted.map(bits).fold(0, |all, bit| all | bit)
}

impl Filter {
    /// The pattern that the driver compares names with: the one that is wanted, or all names that begin as the only path
    /// does.
    #[must_use]
    pub fn driver_pattern(&self) -> Option<String> {
        match (&self.name, self.here.paths.as_slice()) {
            (Some(name), _) => Some(name.clone()),
            (None, [path]) => Some(format!("{}*", path.trim_end_matches('\\'))),
            (None, _) => None,
        }
    }

    /// Whether it is wanted.
    #[must_use]
    pub fn has(&self, event: &Event) -> bool {
        let volume = self.volume.as_deref();
        let name = self.name.as_deref();
        self.operations & 1 << event.operation.number() != 0
            && volume.is_none_or(|volume| volume.eq_ignore_ascii_case(&event.volume.name))
            && self
                .process
                .is_none_or(|process| process == event.record.process.get())
            && event.nanoseconds >= self.slower_than.saturating_mul(100)
            && (event.failed() || !self.failures)
            && name.is_none_or(|pattern| matches(pattern, &event.name))
            && self.here.has(event)
    }
}

/// Whether a name is one of those that a pattern stands for.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let units = |text: &str| -> Vec<u16> {
        let upper = text.chars().map(upcase);
        upper.collect::<String>().encode_utf16().collect()
    };
    let (pattern, name) = (units(pattern), units(name));
    // Where the last star was, and how much of the name it stands for so far.
    let mut star = None;
    let (mut at, mut in_name) = (0, 0);
    while in_name < name.len() {
        let wanted = pattern.get(at).copied();
        if wanted == Some(u16::from(b'*')) {
            star = Some((at + 1, in_name));
            at += 1;
        } else if wanted == Some(u16::from(b'?')) || wanted == Some(name[in_name]) {
            at += 1;
            in_name += 1;
        } else if let Some((after, stands_for)) = star {
            star = Some((after, stands_for + 1));
            (at, in_name) = (after, stands_for + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|unit| *unit == u16::from(b'*'))
}

/// As the kernel does it: one code unit to one.
fn upcase(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if upper.len_utf16() == character.len_utf16() => upper,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    #[test]
    fn patterns_stand_for_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*.txt", r"\dir\A.TXT", true),
            ("*.txt", r"\dir\a.txt.old", false),
            (r"\dir\*", r"\Dir\sub\a", true),
            ("?", "ab", false),
            ("*a?c*", "xxabc", true),
            ("*a*b", "aab", true),
            ("*a*b", "aba", false),
            ("**", "x", true),
            ("é", "É", true),
            ("straße", "STRASSE", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn each_wish_must_hold() {
        let event = event(10, 50, Operation::READ);
        let all = Filter::default();
        assert!(all.has(&event));
        let filter = |change: fn(&mut Filter)| {
            let mut filter = all.clone();
            change(&mut filter);
            filter.has(&event)
        };
        assert!(filter(
            |filter| filter.volume = Some(r"\device\harddiskvolume1".to_owned())
        ));
        assert!(!filter(|filter| filter.volume = Some("other".to_owned())));
        assert!(filter(|filter| filter.process = Some(4096)));
        assert!(!filter(|filter| filter.process = Some(4)));
        assert!(filter(
            |filter| filter.operations = operations(&[Operation::READ])
        ));
        assert!(!filter(
            |filter| filter.operations = operations(&[Operation::WRITE])
        ));
        assert!(filter(|filter| filter.slower_than = 50));
        assert!(!filter(|filter| filter.slower_than = 51));
        assert!(!filter(|filter| filter.failures = true));
        assert!(filter(|filter| filter.name = Some("*file".to_owned())));
        assert!(!filter(|filter| filter.name = Some("file".to_owned())));
        assert!(filter(
            |filter| filter.here.paths = vec![r"\x".to_owned(), r"\A FILE".to_owned()]
        ));
        assert!(!filter(|filter| filter.here.paths = vec![r"\a".to_owned()]));
        assert!(!filter(
            |filter| filter.here.exclude_names = vec!["*FILE".to_owned()]
        ));
        assert!(filter(
            |filter| filter.here.exclude_names = vec!["*.txt".to_owned()]
        ));
        assert!(!filter(
            |filter| filter.here.exclude_processes = vec![4, 4096]
        ));
        assert!(filter(|filter| filter.here.statuses = vec![0xC000_0034, 0]));
        assert!(!filter(|filter| filter.here.statuses = vec![0xC000_0034]));
        assert!(!filter(|filter| filter.here.exclude_statuses = vec![0]));
        assert!(filter(|filter| filter.here.minors = vec![2, 0]));
        assert!(!filter(|filter| filter.here.minors = vec![2]));
    }

    #[test]
    fn paths_end_at_a_part() {
        for (path, name, expected) in [
            (r"\dir", r"\DIR\sub\a", true),
            (r"\dir\", r"\dir", true),
            (r"\dir", r"\directory\a", false),
            (r"\dir\a", r"\dir\a:stream", true),
            (r"\", r"\anything", true),
            (r"\dir", "", false),
        ] {
            assert_eq!(is_below(path, name), expected, "{path} {name}");
        }
    }

    #[test]
    fn the_driver_gets_what_it_can_tell() {
        let with = |name: Option<&str>, paths: &[&str]| {
            let mut filter = Filter {
                name: name.map(str::to_owned),
                ..Filter::default()
            };
            filter.here.paths = paths.iter().map(ToString::to_string).collect();
            filter.driver_pattern()
        };
        assert_eq!(with(None, &[]), None);
        assert_eq!(with(None, &[r"\dir\"]).as_deref(), Some(r"\dir*"));
        assert_eq!(with(None, &[r"\dir", r"\other"]), None);
        assert_eq!(with(Some("*.txt"), &[r"\dir"]).as_deref(), Some("*.txt"));
    }
}
