//! `ntbox run --every-failure`: each place of the drivers that allocates fails
//! once, in a run of its own.
//!
//! The first run fails nothing and finds the places. Each of them then gets a run
//! in which its first allocation fails. Code that a failure leads to (the error
//! path, the entry in the error log) may allocate at places that no run has seen:
//! those get runs as well, with the failure that leads to them. Each run is a
//! process, because a violation ends one.

use super::arguments::RunOptions;
use super::children;
use super::failure::Failure;
use ntbox::pool::failure::call_sites::{CallSite, Record};
use ntbox::processor::fault::FAILED;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
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
    let mut known = HashSet::new();
    let mut rows = Vec::new();
    let mut tasks = vec![Task::default()];
    while !tasks.is_empty() {
        let mut next = Vec::new();
        all(&arguments, &tasks, threads, |task, made| {
            let (outcome, reached) = made?;
            for site in reached {
                // What is reached without a failure needs none to lead there.
                if known.insert(site.key.clone()) {
                    let lead = task.0.iter().cloned();
                    next.push(Task(lead.chain([site]).collect()));
                }
            }
            let row = row(task, outcome);
            if !options.json {
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
    if options.json {
        let answer = Answer {
            command: "every-failure",
            seed: options.seed,
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

type Made = Result<(Outcome, Vec<CallSite>), Failure>;

/// Makes the runs of a wave, several at a time, and hands each to `take` as soon as those before it are made.
fn all(
    arguments: &[OsString],
    tasks: &[Task],
    threads: usize,
    mut take: impl FnMut(&Task, Made) -> Result<(), Failure>,
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
                    && send.send((place, make(arguments, task))).is_ok()
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

/// Makes one run: how it ended, and the places that allocated in it.
fn make(arguments: &[OsString], task: &Task) -> Made {
    let file = tempfile::NamedTempFile::new()
        .map_err(|error| Failure::Failed(format!("cannot make a temporary file: {error}")))?;
    let mut arguments = arguments.to_vec();
    arguments.extend(["--json".into(), "--call-sites".into(), file.path().into()]);
    for site in &task.0 {
        arguments.extend(["--fail-at".into(), (&site.key).into()]);
    }
    let output = children::run(&arguments)?;
    let text = std::fs::read_to_string(file.path()).unwrap_or_default();
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
    Ok((outcome(&output, all_failed)?, reached))
}

/// What the output of a run says.
fn outcome(output: &Output, failed: bool) -> Result<Outcome, Failure> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let found: Option<Value> = serde_json::from_slice(&output.stdout).ok();
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
        (Some(_), Some(mut found)) if found["violations"].as_u64().unwrap_or(0) > 0 => {
            Outcome::Violation(found["violations_by_rule"][0]["places"][0]["report"].take())
        }
        (Some(0), Some(_)) if !failed => Outcome::NotReached,
        (Some(0), Some(found)) => Outcome::WentOn {
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

    fn judged(code: i32, stdout: &str, stderr: &str) -> Outcome {
        outcome(&ended(code, stdout, stderr), true).expect("an outcome")
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
        let killed = outcome(&killed, true).expect("an outcome");
        assert!(matches!(killed, Outcome::Wrong(_)));
    }

    #[test]
    fn a_run_that_did_not_get_there_says_so() {
        let found = outcome(&ended(0, "{}", ""), false).expect("an outcome");
        assert_eq!(found, Outcome::NotReached);
        assert!(outcome(&ended(1, "", "error: no such file"), false).is_err());
    }
}
