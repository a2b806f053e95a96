//! What `bad_drivers.sys` does wrong, and where in its source.

mod table;

pub use table::{ALL, REFUSED, WITHOUT_MEMORY};

use crate::drivers::repository;
use std::fs;

/// Where a report must point to.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// The line that ends in the comment `MISTAKE: name`.
    Line,
    /// The routine of that name, from its first line on.
    Routine(&'static str),
}

/// A mistake and how it must be reported.
#[derive(Clone, Copy, Debug)]
pub struct Mistake {
    /// Value of the setting `Mistake`.
    pub name: &'static str,
    /// The rule, under its published name.
    pub rule: &'static str,
    /// The family: its source file in `tests/bad_drivers/src`.
    pub file: &'static str,
    /// The place that the report names, `None` where the rule is about an object, not about code.
    pub site: Option<Site>,
    /// What is run over the driver.
    pub work: Work,
    /// Its number among the known mistakes of the reference filters.
    pub reference: Option<u8>,
}

/// What is run over a driver that makes a mistake.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Random operations.
    Random,
    /// A tree is copied, with watches, oplocks and cancelled requests.
    Copy,
    /// Random operations under a second driver, which makes no mistake.
    Stacked,
    /// Random operations while a share of the driver's allocations fails.
    LowResources,
    /// Random operations; the driver is unloaded while requests are outstanding.
    Outstanding,
    /// Random operations, with a fence around each request that was given away.
    Fenced,
    /// The same with what [`Work::Copy`] does.
    FencedCopy,
    /// Random operations, on a removable disk too, whose medium is exchanged in the end.
    Media,
    /// Random operations on a driver that lies above another one of its kind, which makes no mistake.
    Above,
    /// Random operations with this list for `--verify`.
    Verified(&'static str),
    /// Random operations on a copy of the image with more bits in a section's characteristics, which is
    /// judged by a rule that is reported when it is named.
    Doctored {
        /// That rule.
        rule: &'static str,
        /// The section.
        section: &'static str,
        /// The bits.
        bits: u32,
    },
    /// Random operations that go on after a violation: the mistake breaks another rule first.
    KeepGoing,
}

impl Mistake {
    /// Whether a report names the routine and the line of the mistake.
    ///
    /// # Panics
    /// If the source does not have that place.
    #[must_use]
    pub fn is_placed_by(&self, report: &str) -> bool {
        let Some((lines, routine)) = self.place() else {
            return true;
        };
        let file = format!("tests/bad_drivers/src/{}", self.file);
        let module = match self.file {
            "lib.rs" => String::new(),
            file => file.trim_end_matches(".rs").replace('/', "::") + "::",
        };
        lines
            .into_iter()
            .any(|line| report.contains(&format!("bad_drivers::{module}{routine} ({file}:{line})")))
    }

    /// The routine that makes the mistake, or that is reported for it.
    ///
    /// # Panics
    /// As [`Mistake::is_placed_by`].
    #[must_use]
    pub fn routine(&self) -> Option<String> {
        self.place().map(|(_, routine)| routine)
    }

    /// The lines that a report may name, counted from 1, and their routine.
    fn place(&self) -> Option<(std::ops::RangeInclusive<usize>, String)> {
        let site = self.site?;
        let file = format!("tests/bad_drivers/src/{}", self.file);
        let text = fs::read_to_string(repository().join(&file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let lines: Vec<&str> = text.lines().collect();
        let find = |wanted: &str| {
            let found = lines.iter().position(|line| line.contains(wanted));
            found.unwrap_or_else(|| panic!("{file} has no line with {wanted:?}"))
        };
        let (start, last) = match site {
            Site::Line => (find(&format!("// MISTAKE: {}", self.name)), 0),
            Site::Routine(routine) => (find(&format!("fn {routine}(")), usize::MAX),
        };
        let routine = lines
            .iter()
            .take(start + 1)
            .rev()
            .find_map(|line| name_of_routine(line));
        let routine = routine.unwrap_or_else(|| panic!("{file}:{} is in no routine", start + 1));
        // A routine is reported by the line of its first instruction.
        let end = lines
            .iter()
            .skip(start)
            .position(|line| *line == "}")
            .unwrap_or(0)
            .min(last);
        Some((start + 1..=start + 1 + end, routine.to_owned()))
    }
}

/// The name in `… fn name(…`.
fn name_of_routine(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fn ")?;
    rest.split_once('(').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::table::IRP_LIFE;
    use super::*;
    use ntbox::verifier::rules;
    use std::collections::HashSet;

    /// What the registry of rules says of its proofs, and what is made here, are the same.
    #[test]
    fn rules_and_mistakes_name_each_other() {
        for rule in rules::all() {
            let Some(name) = rule.proof.bad_driver() else {
                continue;
            };
            let mistake = ALL.iter().find(|mistake| mistake.name == name);
            let broken = mistake.map(|mistake| mistake.rule);
            assert_eq!(broken, Some(rule.name), "the mistake {name}");
        }
        for mistake in ALL {
            let found = rules::all()
                .any(|rule| rule.name == mistake.rule && rule.proof.bad_driver().is_some());
            assert!(found, "{mistake:?} breaks no rule that names a mistake");
        }
    }

    #[test]
    fn a_mistake_is_listed_once() {
        let names: HashSet<_> = ALL.iter().map(|mistake| mistake.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_place_is_recognized_and_others_are_not() {
        let line = ALL.iter().find(|mistake| mistake.name == "complete-twice");
        let line = line.expect("a mistake at a line");
        let text = fs::read_to_string(repository().join("tests/bad_drivers/src").join(IRP_LIFE));
        let text = text.expect("the source");
        let place = text
            .lines()
            .position(|line| line.ends_with("// MISTAKE: complete-twice"));
        let number = place.expect("the line") + 1;
        let report = |routine: &str, number: usize| {
            format!(
                "by bad_drivers!bad_drivers::mistakes::irp_life::{routine} (tests/bad_drivers/src/{IRP_LIFE}:{number})"
            )
        };
        assert!(line.is_placed_by(&report("complete_twice", number)));
        assert!(!line.is_placed_by(&report("complete_twice", number + 1)));
        assert!(!line.is_placed_by(&report("complete_twice", number * 10)));
        assert!(!line.is_placed_by(&report("forget", number)));
        assert!(!line.is_placed_by("complete_twice"));
    }

    #[test]
    fn every_mistake_has_its_place_in_the_source() {
        let refused = REFUSED.iter().map(|(_, mistake)| mistake);
        for mistake in ALL.iter().chain(WITHOUT_MEMORY).chain(refused) {
            assert_eq!(mistake.is_placed_by("nothing"), mistake.site.is_none());
            let known = mistake.name.starts_with("reference-");
            assert_eq!(mistake.reference.is_some(), known, "{mistake:?}");
        }
        for number in 1..=8 {
            let made = ALL.iter().any(|mistake| mistake.reference == Some(number));
            assert!(
                made,
                "nothing makes mistake {number} of the reference filters"
            );
        }
    }
}
