//! Which requests are wanted. The driver is asked for these alone; of a file, they are picked here, by
//! the same rules.

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
    }
}
