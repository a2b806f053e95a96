//! `ntbox check`: whether the box has what a driver needs.

use super::arguments::RunOptions;
use super::failure::Failure;
use super::image::ImageFacts;
use super::run;
use ntbox::coverage::{self, Kind, Row, State};
use ntbox::exports;
use ntbox::file_system::asked::{self, Asked};
use ntbox::verifier::options;
use std::collections::BTreeSet;

/// Holds the imports of the drivers, and what they ask of the file systems in a run, against what the box has. True if the run
/// was clean, and nothing is missing.
pub fn run(options: &RunOptions) -> Result<bool, Failure> {
    if options.shared.drivers.is_empty() {
        return Err(Failure::Usage(
            "name the driver to check with --driver PATH".to_owned(),
        ));
    }
    if options.shared.json || options.every_failure {
        return Err(Failure::Usage(
            "check tells people of one run: it takes neither --json nor --every-failure".to_owned(),
        ));
    }
    let mut complete = true;
    for path in &options.shared.drivers {
        let facts = ImageFacts::read(path).map_err(|error| Failure::Usage(format!("{error:#}")))?;
        let missing: Vec<&str> = facts
            .imports
            .iter()
            .map(String::as_str)
            .filter(|import| !is_bound(import, options))
            .collect();
        line!(
            "Imports of {}: {}, covered {}",
            path.display(),
            facts.imports.len(),
            facts.imports.len() - missing.len()
        );
        for import in &missing {
            line!("  not covered: {import}{}", nearest(import));
        }
        complete &= missing.is_empty();
    }
    if !complete {
        line!("A routine that is beside the point is bound with --stub NAME=STATUS.");
        return Ok(false);
    }
    asked::begin();
    let clean = run::run(options)?;
    report(&asked::end());
    Ok(clean)
}

fn is_bound(import: &str, options: &RunOptions) -> bool {
    import.split_once('!').is_some_and(|(dll, name)| {
        let stubbed = options
            .shared
            .stubs
            .stubs
            .iter()
            .any(|(stub, _)| stub == name);
        stubbed || exports::resolve(dll, name).is_some()
    })
}

fn nearest(import: &str) -> String {
    let name = import.rsplit_once('!').map_or(import, |(_, name)| name);
    let names = exports::list();
    let near = options::nearest(names.iter().map(|listed| listed.name), name);
    near.first().map_or(String::new(), |near| {
        format!(" (the nearest there is: {near})")
    })
}

/// Says of each thing that was asked for, how far the box has it: of what drivers have asked for by requests of their own,
/// and of what programs have.
fn report(asked: &BTreeSet<Asked>) {
    for (own, who) in [(true, "the drivers"), (false, "programs and the system")] {
        let rows: Vec<_> = asked
            .iter()
            .filter(|asked| asked.own == own)
            .flat_map(coverage::of_request)
            .collect();
        let mut known: Vec<&Row> = rows.iter().filter_map(|row| row.ok()).collect();
        known.sort_by_key(|row| (row.kind, row.number));
        known.dedup();
        let unknown: BTreeSet<(Kind, u32)> = rows.into_iter().filter_map(Result::err).collect();
        let (covered, others): (Vec<&Row>, Vec<&Row>) = known
            .into_iter()
            .partition(|row| row.state == State::Modelled);
        line!(
            "\nAsked of the file systems by {who}: {}, covered {}",
            covered.len() + others.len() + unknown.len(),
            covered.len()
        );
        for row in covered.iter().filter(|_| own) {
            line!("  covered: {}", row.name);
        }
        for row in others {
            line!(
                "  not covered: {} ({}; {})",
                row.name,
                row.state,
                row.source
            );
        }
        for (kind, number) in unknown {
            line!("  not covered: {number:#x} ({kind:?}; not known)");
        }
    }
}
