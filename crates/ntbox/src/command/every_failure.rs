//! `ntbox run --every-failure`: each place of the drivers that allocates fails
//! once, in a run of its own.
//!
//! The first run fails nothing and finds the places. Each of them then gets a run
//! in which its first allocation fails. Code that a failure leads to (the error
//! path, the entry in the error log) may allocate at places that no run has seen:
//! those get runs as well, with the failure that leads to them. Each run is a
//! process, because a violation ends one.
//!
//! With `--keep-going` a run tells of all that it has found: what the first run has found as well, without a
//! failure, is not what the failure has led to, and counts once.

use super::arguments::RunOptions;
use super::children;
use super::failure::Failure;
use super::run::temporary_directory;
use ntbox::pool::failure::call_sites::{CallSite, Record};
use ntbox::processor::fault::FAILED;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// What one run did when its allocation failed.
#[derive(Debug, Serialize)]
struct Row {
    /// Fails here; `None` for the run without a failure.
    #[serde(flatten)]
    site: Option<CallSite>,
    /// Failed before it, because only then it is reached.
    after: Vec<CallSite>,
    #[serde(flatten)]
    outcome: Outcome,
    /// Makes this run again.
    replay: String,
}

/// How a run ended.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "detail")]
enum Outcome {
    /// The run went to its end: its requests, and what the drivers wrote into the error log.
    WentOn {
        requests: u64,
        error_log: Vec<String>,
    },
    /// The driver refused to load, or a volume could not be opened.
    Refused(String),
    /// The place was not reached in this run, which threads decide.
    NotReached,
    /// A rule was broken.
    Violation(Value),
    /// It ended in another way that is a mistake: differences, a standstill, a signal.
    Wrong(String),
}

impl Outcome {
    fn requests(&self) -> u64 {
        match self {
            Self::WentOn { requests, .. } => *requests,
            _ => 0,
        }
    }

    fn is_clean(&self) -> bool {
        matches!(
            self,
            Self::WentOn { .. } | Self::Refused(_) | Self::NotReached
        )
    }
}

/// A run to be made: the last place fails, the ones in front of it lead there.
#[derive(Clone, Debug, Default)]
struct Task(Vec<CallSite>);

/// The whole answer.
#[derive(Serialize)]
struct Answer {
    command: &'static str,
    seed: u64,
    runs: Vec<Row>,
    /// Of all runs that went to their end.
    requests: u64,
    /// Runs that were not clean.
    violations: usize,
}

/// Makes all runs; true if each was clean.
pub fn run(options: &RunOptions) -> Result<bool, Failure> {
    let arguments: Vec<OsString> = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--every-failure" && argument != "--json")
        .collect();
    // Runs on the user's directories would be in each other's way.
    let threads = if options.volumes.is_empty() {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        1
    };
    let directory = temporary_directory()?;
    let mut known = HashSet::new();
    let mut without_failure = HashSet::new();
    let mut rows = Vec::new();
    let mut tasks = vec![Task::default()];
    while !tasks.is_empty() {
        let mut next = Vec::new();
        let runs = Runs {
            arguments: &arguments,
            directory: directory.path(),
            made_before: rows.len(),
            known: &without_failure.clone(),
        };
        runs.all(&tasks, threads, |task, made| {
            let Made {
                outcome,
                reached,
                found,
            } = made?;
            if task.0.is_empty() {
                without_failure.extend(found);
            }
            for site in reached {
                // What is reached without a failure needs none to lead there.
                if known.insert(site.key.clone()) {
                    let lead = task.0.iter().cloned();
                    next.push(Task(lead.chain([site]).collect()));
                }
            }
            let row = row(task, outcome);
            if !options.shared.json {
                show(&row);
            }
            rows.push(row);
            Ok(())
        })?;
        tasks = next;
    }
    let violations = rows.iter().filter(|row| !row.outcome.is_clean()).count();
    let runs = rows.len();
    let requests = rows.iter().map(|row| row.outcome.requests()).sum();
    if options.shared.json {
        let answer = Answer {
            command: "every-failure",
            seed: options.shared.seed,
            runs: rows,
            requests,
            violations,
        };
        let json = serde_json::to_string_pretty(&answer).map_err(anyhow::Error::from)?;
        line!("{json}");
    } else {
        line!(
            "\n{} places can fail, {runs} runs made, {requests} requests, {violations} with a violation",
            known.len()
        );
    }
    Ok(violations == 0)
}

/// A run that was made.
struct Made {
    outcome: Outcome,
    /// The places that allocated in it.
    reached: Vec<CallSite>,
    /// What it has collected.
    found: Vec<Finding>,
}

/// A rule that was broken, and the place where: what is the same in two runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Finding {
    rule: String,
    place: String,
}

/// How the runs of a wave are made.
struct Runs<'r> {
    arguments: &'r [OsString],
    /// For what a run tells.
    directory: &'r Path,
    /// Runs of the waves before.
    made_before: usize,
    /// What is found without a failure.
    known: &'r HashSet<Finding>,
}

impl Runs<'_> {
    /// Makes them, several at a time, and hands each to `take` as soon as those before it are made.
    fn all(
        &self,
        tasks: &[Task],
        threads: usize,
        mut take: impl FnMut(&Task, Result<Made, Failure>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let next = AtomicUsize::new(0);
        let (send, made) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads.min(tasks.len()) {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    while let place = next.fetch_add(1, Ordering::Relaxed)
                        && let Some(task) = tasks.get(place)
                        // Nobody takes them any more after a failure.
                        && send.send((place, self.make(place, task))).is_ok()
                    {}
                });
            }
            drop(send);
            let mut early = BTreeMap::new();
            let mut due = tasks.iter().enumerate();
            let mut waited = due.next();
            for (place, result) in made {
                early.insert(place, result);
                while let Some((place, task)) = waited
                    && let Some(result) = early.remove(&place)
                {
                    take(task, result)?;
                    waited = due.next();
                }
            }
            match waited {
                None => Ok(()),
                Some(_) => Err(Failure::Failed("a run was not made".to_owned())),
            }
        })
    }

    /// Makes one run.
    fn make(&self, place: usize, task: &Task) -> Result<Made, Failure> {
        let file = self.directory.join((self.made_before + place).to_string());
        let mut arguments = self.arguments.to_vec();
        arguments.extend([
            "--json".into(),
            "--call-sites".into(),
            file.clone().into_os_string(),
        ]);
        for site in &task.0 {
            arguments.extend(["--fail-at".into(), (&site.key).into()]);
        }
        let output = children::run(&arguments)?;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut reached = Vec::new();
        let mut failed = HashSet::new();
        for record in text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
        {
            match record {
                Record::Reached(site) => reached.push(site),
                Record::Failed(key) => {
                    failed.insert(key);
                }
            }
        }
        let all_failed = task.0.iter().all(|site| failed.contains(&site.key));
        let told: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        let collected = told.as_ref().map_or_else(Vec::new, collected);
        let new = collected
            .iter()
            .find(|(finding, _)| !self.known.contains(finding))
            .map(|(_, report)| report.clone());
        Ok(Made {
            outcome: outcome(&output, told, all_failed, new)?,
            reached,
            found: collected.into_iter().map(|(finding, _)| finding).collect(),
        })
    }
}

/// The violations that a run which kept going has collected, each with its report.
fn collected(told: &Value) -> Vec<(Finding, Value)> {
    let rules = told["violations_by_rule"].as_array().into_iter().flatten();
    let mut found = Vec::new();
    for broken in rules.filter(|broken| broken["severity"] != "warning") {
        for place in broken["places"].as_array().into_iter().flatten() {
            let report = &place["report"];
            let at = [&report["sites"][0]["place"], &report["calls"][0]];
            let at = at.iter().find_map(|at| at.as_str()).unwrap_or_default();
            let finding = Finding {
                rule: broken["rule"].as_str().unwrap_or_default().to_owned(),
                place: at.to_owned(),
            };
            found.push((finding, report.clone()));
        }
    }
    found
}

/// What the output of a run says, which has told `found`, and collected `new`, which is not found without a failure.
fn outcome(
    output: &Output,
    found: Option<Value>,
    failed: bool,
    new: Option<Value>,
) -> Result<Outcome, Failure> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let list = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    // Windows gives a process that an exception has ended the code of that, which is negative.
    let code = output.status.code().filter(|code| *code >= 0);
    Ok(match (code, found) {
        (Some(FAILED), found) => {
            let told = found.map_or_else(|| stderr.into_owned(), |found| format!("{found:#}\n"));
            return Err(Failure::Itself(told));
        }
        (Some(_), Some(mut found)) if !found["violation"].is_null() => {
            Outcome::Violation(found["violation"].take())
        }
        // With --keep-going.
        (Some(_), Some(_)) if new.is_some() => Outcome::Violation(new.unwrap_or_default()),
        (Some(code), Some(found)) if !failed && goes_well(code, &found) => Outcome::NotReached,
        (Some(code), Some(found)) if goes_well(code, &found) => Outcome::WentOn {
            requests: found["requests"].as_u64().unwrap_or(0),
            error_log: list(&found["error_log"]),
        },
        (Some(_), Some(found)) => {
            let stalled = found["stalled"].as_str().map(str::to_owned);
            let wrong = list(&found["wrong"]).join("; ");
            let stalled = stalled
                .map(|stalled| format!("{stalled}: {}", list(&found["outstanding"]).join("; ")));
            Outcome::Wrong(stalled.unwrap_or(wrong))
        }
        (Some(1), None) if failed => {
            let reason = stderr.lines().find_map(|line| line.strip_prefix("error: "));
            Outcome::Refused(reason.unwrap_or(&stderr).to_owned())
        }
        // The run without a failure must go well for the others to say anything.
        (Some(_), None) => return Err(Failure::Failed(stderr.into_owned())),
        (None, _) => Outcome::Wrong(format!("the process was ended: {}", output.status)),
    })
}

/// True for a run that went to its end, and has broken rules at most.
fn goes_well(code: i32, found: &Value) -> bool {
    let nothing = |name: &str| found[name].as_array().is_none_or(Vec::is_empty);
    let has_ended = found["violations"].as_u64().is_some();
    code == 0 || has_ended && nothing("wrong") && nothing("differences")
}

fn row(task: &Task, outcome: Outcome) -> Row {
    let keys = task.0.iter().map(|site| format!(" --fail-at {}", site.key));
    let replay = super::command_line().replace(" --every-failure", "");
    let (site, after) = match task.0.split_last() {
        Some((site, after)) => (Some(site.clone()), after.to_vec()),
        None => (None, vec![]),
    };
    let replay = replay + &keys.collect::<String>();
    Row {
        site,
        after,
        outcome,
        replay,
    }
}

fn show(row: &Row) {
    match &row.site {
        None => line!("without a failure"),
        Some(site) => line!("{}", place(site)),
    }
    for site in &row.after {
        line!("    after the failure of {}", place(site));
    }
    match &row.outcome {
        Outcome::WentOn {
            requests,
            error_log,
        } => {
            line!("    went on, {requests} requests");
            for entry in error_log {
                line!("      error log: {entry}");
            }
        }
        Outcome::Refused(why) => line!("    refused: {why}"),
        Outcome::NotReached => line!("    not reached this time"),
        Outcome::Violation(violation) => {
            let text = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
            line!("    VIOLATION of {} ({})", text("rule"), text("code"));
            line!("      {}", text("message"));
            for site in violation["sites"].as_array().into_iter().flatten() {
                let part = |name: &str| site[name].as_str().unwrap_or_default().to_owned();
                line!("      {}  {}", part("what"), part("place"));
            }
            line!("      what to do: {}", text("should"));
            line!("      the same again: {}", row.replay);
        }
        Outcome::Wrong(how) => {
            line!("    WRONG: {how}");
            line!("      the same again: {}", row.replay);
        }
    }
}

/// `ExAllocatePool2 from a (file:1), called by b (file:2)`.
fn place(site: &CallSite) -> String {
    let routine = site.routine.as_deref().unwrap_or("pool");
    format!("{routine} from {}", site.calls.join(", called by "))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(unix)]
    use std::os::unix::process::ExitStatusExt;
    #[cfg(windows)]
    use std::os::windows::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(code: i32, stdout: &str, stderr: &str) -> Output {
        #[cfg(unix)]
        let code = code << 8;
        #[cfg(windows)]
        let code = code.cast_unsigned();
        Output {
            status: ExitStatus::from_raw(code),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    fn told(output: &Output, failed: bool) -> Result<Outcome, Failure> {
        let found = serde_json::from_slice(&output.stdout).ok();
        outcome(output, found, failed, None)
    }

    fn judged(code: i32, stdout: &str, stderr: &str) -> Outcome {
        told(&ended(code, stdout, stderr), true).expect("an outcome")
    }

    #[test]
    fn each_way_to_end_is_told_apart() {
        let log = vec!["out of memory".to_owned()];
        assert_eq!(
            judged(0, r#"{"requests":7,"error_log":["out of memory"]}"#, ""),
            Outcome::WentOn {
                requests: 7,
                error_log: log
            }
        );
        let refused = "a.sys: DriverEntry returned STATUS_INSUFFICIENT_RESOURCES";
        assert_eq!(
            judged(1, "", &format!("error: {refused}\n")),
            Outcome::Refused(refused.to_owned())
        );
        let found = judged(1, r#"{"violation":{"rule":"BadFree"}}"#, "");
        assert!(matches!(&found, Outcome::Violation(found) if found["rule"] == "BadFree"));
        assert!(!found.is_clean());
        let stalled = judged(
            1,
            r#"{"stalled":"no request","outstanding":["IRP_MJ_READ"]}"#,
            "",
        );
        assert_eq!(
            stalled,
            Outcome::Wrong("no request: IRP_MJ_READ".to_owned())
        );
        assert!(!judged(1, r#"{"wrong":["differs"]}"#, "").is_clean());
        // By a signal, or with the code of an exception.
        #[cfg(windows)]
        let how = 0xC000_0005;
        #[cfg(unix)]
        let how = 11;
        let killed = Output {
            status: ExitStatus::from_raw(how),
            ..ended(0, "", "")
        };
        let killed = told(&killed, true).expect("an outcome");
        assert!(matches!(killed, Outcome::Wrong(_)));
    }

    #[test]
    fn a_run_that_did_not_get_there_says_so() {
        let found = told(&ended(0, "{}", ""), false).expect("an outcome");
        assert_eq!(found, Outcome::NotReached);
        assert!(told(&ended(1, "", "error: no such file"), false).is_err());
    }

    /// What a run with --keep-going tells that has broken a rule at each of these places.
    fn kept_going(places: &[&str]) -> String {
        let places = places.iter().map(|place| {
            serde_json::json!({ "count": 1, "report": { "rule": "ZeroTag", "sites": [{ "what": "called at", "place": place }] } })
        });
        let warning = serde_json::json!({ "rule": "Copied", "severity": "warning", "places": [{ "report": {} }] });
        let broken = serde_json::json!({ "rule": "ZeroTag", "severity": null, "places": Vec::from_iter(places) });
        let all = [warning, broken];
        serde_json::json!({ "requests": 7, "violations": 1, "violations_by_rule": all }).to_string()
    }

    #[test]
    fn warnings_are_no_findings_and_places_are_told_apart() {
        let told = kept_going(&["a.c:1", "a.c:2"]);
        let found = collected(&serde_json::from_str(&told).expect("JSON"));
        let places: Vec<_> = found.iter().map(|(finding, _)| &*finding.place).collect();
        assert_eq!(places, ["a.c:1", "a.c:2"]);
    }

    #[test]
    fn a_run_that_finds_nothing_new_goes_on() {
        let output = ended(1, &kept_going(&["a.c:1"]), "");
        let found = || serde_json::from_slice(&output.stdout).ok();
        let known = outcome(&output, found(), true, None).expect("an outcome");
        assert!(
            matches!(known, Outcome::WentOn { requests: 7, .. }),
            "{known:?}"
        );
        let report = serde_json::json!({ "rule": "ZeroTag" });
        let new = outcome(&output, found(), true, Some(report.clone())).expect("an outcome");
        assert_eq!(new, Outcome::Violation(report));
        // It is found, and something else goes wrong.
        let differs = r#"{"violations":1,"violations_by_rule":[],"wrong":["differs"]}"#;
        assert!(!judged(1, differs, "").is_clean());
    }
}
