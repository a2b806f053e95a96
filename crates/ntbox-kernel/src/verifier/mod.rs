//! What a driver must not do, and telling it well.
//!
//! The checks themselves lie where things happen (the I/O manager, the
//! dispatcher, the pool, the fault handler); each ends here, in [`report`],
//! with a [`Rule`] of [`rules`] under its published name. A report names the rule and its
//! bug check, every place of the driver that took part as function and line,
//! the request with its stack locations and what happened to it so far, and
//! how to run the same again. Then the process ends with exit code 1: as on
//! the real system nothing after a bug check can be trusted.
//!
//! Unit tests use [`capture`] instead, in which a violation is recorded and
//! the call returns.

pub mod collected;
pub mod options;
pub mod request;
pub mod rules;

mod facts;
mod names;
mod render;
mod request_text;

#[cfg(test)]
mod tests;

pub use options::Options;

pub use facts::{Slot, current_thread, slot_of, tell_requests, tell_slots, tell_threads};
pub use names::{bug_check_name, major_name, minor_name};
pub use rules::Rule;

use crate::nt::{IRP, Kirql, NTSTATUS, Status};
use crate::{host, pe_image};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

/// A rule that was broken, where, and by which request.
pub struct Violation {
    /// The rule.
    pub rule: &'static Rule,
    /// What happened, in a sentence without a full stop.
    pub message: String,
    /// The request it happened to; it must be alive.
    pub irp: Option<*mut IRP>,
    /// Places that took part, with what they did: `("completed", address)`.
    pub sites: Vec<(&'static str, usize)>,
}

/// What a site is called that led to the one in front of it, in a call stack that is not the reporting thread's.
pub const CALLED_BY: &str = "called by";

/// What [`capture`] kept of a violation.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The rule.
    pub rule: &'static Rule,
    /// What happened.
    pub message: String,
    /// Places that took part.
    pub sites: Vec<(&'static str, usize)>,
}

/// How violations are told.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// One JSON object on standard output instead of text on standard error.
    pub json: bool,
    /// Seed of the run.
    pub seed: u64,
    /// Command that runs the same again; empty if there is none.
    pub replay: String,
    /// What is looked for and what is injected.
    pub options: Options,
    /// A violation does not end the run where that can go on: it is [`collected`].
    pub keep_going: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            json: false,
            seed: 0,
            replay: String::new(),
            options: Options::STANDARD,
            keep_going: false,
        }
    }
}

static CONFIGURATION: Mutex<Option<Configuration>> = Mutex::new(None);

thread_local! {
    static REPORTS_HERE: Cell<bool> = const { Cell::new(false) };
    static CAPTURED: RefCell<Option<Vec<Recorded>>> = const { RefCell::new(None) };
}

/// Sets how violations are told, and whether they are looked for.
pub fn configure(configuration: Configuration) {
    options::set(configuration.options);
    collected::set(configuration.keep_going);
    *CONFIGURATION
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(configuration);
}

/// True if the rules of requests, devices and completion are checked: [`Options::IO`].
#[inline]
pub fn checks() -> bool {
    options::on(Options::IO)
}

/// Runs `f` and returns the violations that this thread caused in it, instead
/// of ending the process. For unit tests.
pub fn capture<R>(f: impl FnOnce() -> R) -> (R, Vec<Recorded>) {
    let outer = CAPTURED.replace(Some(Vec::new()));
    let result = f();
    let recorded = CAPTURED.replace(outer).unwrap_or_default();
    (result, recorded)
}

/// Tells of a violation and ends the process with exit code 1. Inside [`capture`] it is
/// recorded and the call returns; a warning, or any when the run keeps going, is [`collected`].
/// What is switched off is not told at all, and the call returns too.
pub fn report(violation: Violation) {
    let captured = CAPTURED.with_borrow_mut(|captured| match captured {
        Some(recorded) => {
            recorded.push(Recorded {
                rule: violation.rule,
                message: violation.message.clone(),
                sites: violation.sites.clone(),
            });
            true
        }
        None => false,
    });
    if captured || !options::reports(violation.rule) {
        return;
    }
    let goes_on = collected::keeps() || violation.rule.is_warning();
    // A check that a report leads to is none of the driver's.
    if goes_on && !REPORTS_HERE.get() {
        collect(&violation, &Circumstances::here());
    } else {
        end(violation, &Circumstances::here());
    }
}

/// Tells of a rule about a call of a driver, if [`Options::DDI`] is on; `sites` are
/// the addresses that explain it. Inside [`capture`] this returns, and the caller
/// goes on as NT would.
#[cold]
pub fn violation(rule: &'static Rule, message: String, sites: &[(&'static str, usize)]) {
    if options::on(Options::DDI) {
        report(Violation {
            rule,
            message,
            irp: None,
            sites: sites.to_vec(),
        });
    }
}

/// Keeps a violation and goes on.
fn collect(violation: &Violation, circumstances: &Circumstances) {
    let configuration = configuration();
    let json = configuration.json;
    let mut sites = violation.sites.iter().map(|(_, address)| *address);
    let site = sites.find(|address| *address != 0);
    let at = site.or_else(|| circumstances.calls.first().copied());
    let at = at.unwrap_or_default();
    REPORTS_HERE.set(true);
    if collected::add(violation.rule, at, || {
        brief(violation, circumstances, &configuration).render(json)
    }) {
        let mut report = with_calls(violation, circumstances, &configuration);
        report.set_request(request_of(violation, circumstances));
        collected::complete(violation.rule, at, report.render(json));
    }
    REPORTS_HERE.set(false);
}

/// A report in which nothing was looked up.
fn brief(
    violation: &Violation,
    circumstances: &Circumstances,
    configuration: &Configuration,
) -> render::Report {
    let address = |site| format!("0x{site:x}");
    render::Report::new(violation, &circumstances.context, configuration, address)
}

/// A report in which the request was not looked at.
fn with_calls(
    violation: &Violation,
    circumstances: &Circumstances,
    configuration: &Configuration,
) -> render::Report {
    let describe = pe_image::describe_code;
    let mut report =
        render::Report::new(violation, &circumstances.context, configuration, describe);
    report.set_calls(&circumstances.calls, describe);
    report
}

fn request_of(violation: &Violation, circumstances: &Circumstances) -> Option<request::Request> {
    match (violation.irp, circumstances.touched) {
        (Some(irp), _) => facts::live_request(irp).or_else(|| facts::freed_request(irp as usize)),
        (None, Some(address)) => facts::freed_request(address),
        (None, None) => None,
    }
}

/// A request that should be alive, as a report tells it: its stack locations, and what happened to it.
pub fn describe_request(irp: *mut IRP) -> Option<String> {
    facts::live_request(irp).map(|request| render::request(&request))
}

/// The seed of the run, and the command that runs the same again, as reports end.
pub fn same_again() -> String {
    render::same_again(&configuration())
}

/// The seed of the run, and the command that runs the same again, if one is set.
pub fn replay() -> (u64, Option<String>) {
    let Configuration { seed, replay, .. } = configuration();
    (seed, Some(replay).filter(|replay| !replay.is_empty()))
}

/// True if reports are objects on standard output.
pub fn tells_json() -> bool {
    configuration().json
}

/// `KeBugCheckEx` of a driver, whose call returns to `site`.
pub fn bug_check(code: u32, parameters: [u64; 4], site: usize) -> ! {
    let [p1, p2, p3, p4] = parameters;
    let name = bug_check_name(code)
        .map(|name| format!(" {name}"))
        .unwrap_or_default();
    let violation = Violation {
        rule: &rules::DRIVER_BUG_CHECK,
        message: format!("bug check 0x{code:X}{name} (0x{p1:X}, 0x{p2:X}, 0x{p3:X}, 0x{p4:X})"),
        irp: None,
        sites: vec![("called", site)],
    };
    end(violation, &Circumstances::here())
}

/// No handler of the driver takes the exception that `routine` raises in its call that returns to `site`.
pub fn not_handled(routine: &str, status: NTSTATUS, site: usize) -> ! {
    let (name, code) = (Status(status), status.cast_unsigned());
    let violation = Violation {
        rule: &rules::EXCEPTION_NOT_HANDLED,
        message: format!(
            "{routine} raises {name}, and no handler of the driver takes that: bug check 0x1E KMODE_EXCEPTION_NOT_HANDLED (0x{code:X}, 0x{site:X}, 0x0, 0x0)"
        ),
        irp: None,
        sites: vec![("called", site)],
    };
    end(violation, &Circumstances::here())
}

/// The circumstances of the thread that broke a rule.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its id in the box.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// The level it ran at.
    pub irql: Kirql,
}

impl Context {
    /// Of the current thread.
    pub fn here() -> Self {
        facts::context()
    }
}

/// What is known around a violation.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Who broke the rule.
    pub context: Context,
    /// Return addresses of the driver's calls that led there, innermost first.
    pub calls: Vec<usize>,
    /// Memory that was touched: if a request lay there, it is told.
    pub touched: Option<usize>,
}

impl Circumstances {
    /// Of the current thread.
    pub fn here() -> Self {
        Self {
            context: Context::here(),
            calls: pe_image::driver_calls(),
            touched: None,
        }
    }
}

/// The report of the process before anything was looked up, and before the
/// request was looked at. If that faults, what there is of it is printed.
static BARE: OnceLock<String> = OnceLock::new();
static BRIEF: OnceLock<String> = OnceLock::new();
static REPORTING: AtomicBool = AtomicBool::new(false);
static ANNOUNCED: AtomicBool = AtomicBool::new(false);

/// Says that a report is coming, which is from now on how the process ends.
pub fn announce() {
    ANNOUNCED.store(true, Ordering::Release);
}

/// True if a report is coming or being made.
pub fn is_announced() -> bool {
    ANNOUNCED.load(Ordering::Acquire)
}

/// Tells of a violation in given circumstances and ends the process.
pub fn end(violation: Violation, circumstances: &Circumstances) -> ! {
    announce();
    if REPORTS_HERE.replace(true) {
        give_up();
    }
    if REPORTING.swap(true, Ordering::AcqRel) {
        // Another thread was first; its report ends the process.
        std::thread::sleep(std::time::Duration::from_secs(60));
        give_up();
    }
    let configuration = configuration();
    let json = configuration.json;
    let _ = BARE.set(brief(&violation, circumstances, &configuration).render(json));
    let mut report = with_calls(&violation, circumstances, &configuration);
    let _ = BRIEF.set(report.render(json));
    report.set_request(request_of(&violation, circumstances));
    host::write_raw(json, &collected::with_last(&report.render(json), json));
    host::exit_now(EXIT_CODE)
}

/// Exit code of a run that found a violation.
const EXIT_CODE: i32 = 1;

/// True if this thread is making a report.
pub fn is_reporting_here() -> bool {
    REPORTS_HERE.get()
}

/// Prints what is ready of the report and ends the process; for a fault or a
/// dead end while it is made.
pub fn give_up() -> ! {
    let json = configuration().json;
    let ready = BRIEF.get().or(BARE.get()).map_or("", String::as_str);
    host::write_raw(json, &collected::with_last(ready, json));
    host::exit_now(EXIT_CODE)
}

fn configuration() -> Configuration {
    // Never waits: the thread that holds the lock may be the one that faulted.
    CONFIGURATION
        .try_lock()
        .ok()
        .and_then(|configuration| configuration.clone())
        .unwrap_or_default()
}
