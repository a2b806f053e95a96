//! The requests of a trace, counted together by something that they have in common.

use super::event::Event;
use crate::report::Totals;
use crate::status;
use fsglass_protocol::trace::flags;
use std::collections::HashMap;

/// What requests are counted together by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Key {
    /// The process in whose context they were sent
    Process,
    /// The file, with its volume
    Path,
    /// The extension of the file's name
    Extension,
    /// What was asked
    Operation,
    /// How they completed
    Status,
    /// The volume
    Volume,
}

impl Key {
    /// What a column of it is called.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Process => "PROCESS",
            Self::Path => "PATH",
            Self::Extension => "EXTENSION",
            Self::Operation => "OPERATION",
            Self::Status => "STATUS",
            Self::Volume => "VOLUME",
        }
    }

    /// What that of an event is.
    #[must_use]
    pub fn of(self, event: &Event) -> String {
        match self {
            Self::Process => event.record.process.get().to_string(),
            Self::Path => match name(event) {
                Some(name) => format!("{} {name}", event.volume.short()),
                None => format!("{} (no name)", event.volume.short()),
            },
            Self::Extension => extension(event),
            Self::Operation => event.operation.name().to_owned(),
            Self::Status => status::name(event.status()),
            Self::Volume => event.volume.short().to_owned(),
        }
    }
}

/// The name of its file, if it is known.
fn name(event: &Event) -> Option<&str> {
    let is_known = !event.name.is_empty() && !event.has(flags::NAME_UNKNOWN);
    is_known.then_some(event.name.as_str())
}

/// What stands behind the last dot of the last part of its name, in lower case; a stream is part of its file.
fn extension(event: &Event) -> String {
    let Some(name) = name(event) else {
        return "(no name)".to_owned();
    };
    let last = name.rsplit('\\').next().unwrap_or(name);
    let file = last.split(':').next().unwrap_or(last);
    match file.rsplit_once('.') {
        Some((_, extension)) if !extension.is_empty() => format!(".{}", extension.to_lowercase()),
        _ => "(none)".to_owned(),
    }
}

/// Requests by a key.
#[derive(Clone, Debug)]
pub struct Groups {
    key: Key,
    totals: HashMap<String, Totals>,
}

impl Groups {
    /// None yet.
    #[must_use]
    pub fn by(key: Key) -> Self {
        Self {
            key,
            totals: HashMap::new(),
        }
    }

    /// Counts one.
    pub fn add(&mut self, event: &Event) {
        self.totals
            .entry(self.key.of(event))
            .or_default()
            .add(event);
    }

    /// What was counted of one group.
    #[must_use]
    pub fn of(&self, group: &str) -> Option<&Totals> {
        self.totals.get(group)
    }

    /// All groups, those that took most time first; by name where they are equal.
    #[must_use]
    pub fn in_order(&self) -> Vec<(&str, &Totals)> {
        let mut groups: Vec<_> = self
            .totals
            .iter()
            .map(|(group, totals)| (group.as_str(), totals))
            .collect();
        groups.sort_by_key(|(group, totals)| (std::cmp::Reverse(totals.nanoseconds), *group));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use fsglass_protocol::Operation;

    fn named(name: &str) -> Event {
        let mut event = event(1, 5, Operation::READ);
        event.name = name.to_owned();
        event
    }

    #[test]
    fn each_request_is_in_one_group() {
        let event = named(r"\dir\A.TXT");
        let of = |key: Key| key.of(&event);
        assert_eq!(of(Key::Process), "4096");
        assert_eq!(of(Key::Path), r"C: \dir\A.TXT");
        assert_eq!(of(Key::Extension), ".txt");
        assert_eq!(of(Key::Operation), "READ");
        assert_eq!(of(Key::Status), "SUCCESS");
        assert_eq!(of(Key::Volume), "C:");
    }

    #[test]
    fn extensions_are_those_of_files() {
        for (name, expected) in [
            (r"\a.tar.gz", ".gz"),
            (r"\dir.old\file", "(none)"),
            (r"\file.", "(none)"),
            (r"\page.htm:Zone.Identifier", ".htm"),
            (r"\plain:x.y", "(none)"),
            ("", "(no name)"),
        ] {
            assert_eq!(Key::Extension.of(&named(name)), expected, "{name}");
        }
        let mut unknown = named(r"\a.txt");
        unknown.record.flags = flags::NAME_UNKNOWN.into();
        assert_eq!(Key::Path.of(&unknown), "C: (no name)");
    }

    #[test]
    fn what_took_most_time_is_first() {
        let mut groups = Groups::by(Key::Path);
        for (name, times) in [(r"\b", 1), (r"\c", 3), (r"\a", 1)] {
            (0..times).for_each(|_| groups.add(&named(name)));
        }
        let order: Vec<&str> = groups.in_order().iter().map(|(group, _)| *group).collect();
        assert_eq!(order, [r"C: \c", r"C: \a", r"C: \b"]);
        let most = groups.of(r"C: \c").unwrap();
        assert_eq!((most.requests, most.nanoseconds), (3, 1500));
    }
}
