//! `ntbox rules`.

use super::arguments::RulesOptions;
use super::failure::Failure;
use ntbox::verifier::rules::{self, Proof, Rule};
use serde_json::{Value, json};

/// Lists the rules that are checked.
pub fn run(options: &RulesOptions) -> Result<bool, Failure> {
    if options.json {
        let list: Vec<Value> = rules::all().map(object).collect();
        line!("{}", Value::from(list));
        return Ok(true);
    }
    let mut family = None;
    for rule in rules::all() {
        if family.replace(rule.family) != Some(rule.family) {
            line!("{}", rule.family.to_string().to_uppercase());
        }
        let severity = rule.severity().map(|severity| format!(", {severity}"));
        let default = if rule.is_reported_by_default() {
            ""
        } else {
            ", reported when it is named"
        };
        let severity = severity.unwrap_or_default();
        line!("  {}  ({}{severity}{default})", rule.name, rule.code);
        for (title, text) in [
            ("checks", rule.checks),
            ("detected by", rule.detected_by),
            ("should", rule.should),
            ("source", rule.source),
            shown_by(rule),
        ] {
            line!("    {title:<14}  {text}");
        }
    }
    let bad_drivers = rules::all().filter_map(|rule| rule.proof.bad_driver());
    let left_out = rules::all().filter_map(|rule| rule.proof.not_applicable());
    line!(
        "{} rules, {} broken by bad_drivers.sys, {} not applicable",
        rules::all().count(),
        bad_drivers.count(),
        left_out.count()
    );
    Ok(true)
}

/// The proof, with the name of its field.
fn shown_by(rule: &Rule) -> (&'static str, &'static str) {
    match rule.proof {
        Proof::BadDriver(mistake) => ("bad driver", mistake),
        Proof::NotApplicable(reason) => ("not applicable", reason),
    }
}

fn object(rule: &'static Rule) -> Value {
    let mut object = json!({
        "name": rule.name,
        "code": rule.code,
        "severity": rule.severity(),
        "reported_by_default": rule.is_reported_by_default(),
        "family": rule.family.to_string(),
        "checks": rule.checks,
        "source": rule.source,
        "detected_by": rule.detected_by,
        "should": rule.should,
    });
    let (field, text) = shown_by(rule);
    object[field.replace(' ', "_")] = text.into();
    object
}
