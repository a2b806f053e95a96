//! What is to be seen when nothing moves any more: each thread that a driver has to do with, what it waits
//! for, the requests that are below, and who keeps the others waiting as far as that can be told.

#![expect(unsafe_code, reason = "outstanding requests are described by pointer")]

use ntbox::io_manager::identity::Choice;
use ntbox::io_manager::{device, driver, file_name, irp};
use ntbox::nt::{IRP, IrpExt};
use ntbox::pe_image::{self, describe_code, image_at, imported_routine};
use ntbox::processor::dispatcher::{self, UnderWay};
use ntbox::processor::thread::{self, MAIN, Sample, Thread};
use ntbox::processor::{irql, lock_order, parking};
use ntbox::verifier::{self, collected, major_name};
use serde::Serialize;

/// Requests listed.
const SHOWN: usize = 16;
/// Requests told with all that happened to them.
const IN_FULL: usize = 2;

/// All that is told.
#[derive(Serialize)]
pub struct Standstill {
    /// What has not come to its end, in a sentence.
    stalled: String,
    at_fault: Vec<String>,
    #[serde(flatten)]
    scene: Scene,
    collected: Vec<collected::Collected>,
}

/// Who is where, and what is under way.
#[derive(Serialize)]
pub struct Scene {
    threads: Vec<ThreadSeen>,
    outstanding: Vec<String>,
    #[serde(skip)]
    in_full: Vec<String>,
}

/// A thread that a driver has to do with, or that a program waits in.
#[derive(Serialize)]
struct ThreadSeen {
    id: u32,
    name: String,
    irql: Option<u8>,
    /// What it does.
    does: String,
    /// Calls of drivers, innermost first.
    calls: Vec<String>,
    /// Locks that drivers have taken in it, with where that was.
    holds: Vec<String>,
}

/// Looks at the process, in which nothing has moved for so many seconds while it was `doing` this.
pub fn look(doing: &str, seconds: u64) -> Standstill {
    let (scene, at_fault) = scene();
    Standstill {
        stalled: format!("{doing}: no request has finished for {seconds} seconds"),
        at_fault,
        scene,
        collected: collected::so_far(),
    }
}

/// Looks at the process, and says who is at fault if nothing moves any more.
pub fn scene() -> (Scene, Vec<String>) {
    let waits = dispatcher::under_way(&parking::parked());
    let held = lock_order::held_by_all();
    let mut running: Vec<_> = thread::running();
    running.sort_by_key(|thread| thread.id());
    let own = verifier::current_thread();
    let (mut threads, mut at_fault) = (Vec::new(), Vec::new());
    for thread in running.into_iter().filter(|thread| thread.id() != own) {
        let wait = waits.iter().find(|wait| wait.thread == thread.id());
        let sample = thread.look();
        if let Some(sample) = &sample
            && wait.is_none()
            && let Some(image) = image_at(sample.instruction)
        {
            at_fault.push(format!(
                "{} runs and does not come to an end: {}",
                image.name(),
                describe_code(sample.instruction)
            ));
        }
        let of_thread = held.iter().filter(|(owner, ..)| *owner == thread.id());
        let holds = of_thread
            .map(|(_, lock, site)| format!("{lock}, acquired at {}", describe_code(*site)));
        threads.extend(seen(thread, sample.as_ref(), wait, holds.collect()));
    }
    let mut requests = Outstanding::default();
    irp::for_each_live(|irp, site| requests.add(irp, site));
    at_fault.extend(requests.kept);
    if at_fault.is_empty() {
        let waits = threads.iter().filter(|thread| !thread.calls.is_empty());
        at_fault.extend(waits.map(|thread| {
            let held = requests.held.iter().find(|(owner, _)| *owner == thread.id);
            let until = held.map_or(String::new(), |(_, function)| {
                format!(
                    ", while {function} is held below until the same thread cancels it; with --may-pend none is"
                )
            });
            format!("perhaps: thread {} {}{until}", thread.id, thread.does)
        }));
    }
    let scene = Scene {
        threads,
        outstanding: requests.listed,
        in_full: requests.in_full,
    };
    (scene, at_fault)
}

/// What a thread does. `None` for one of the box's own that has nothing to do.
fn seen(
    thread: &Thread,
    sample: Option<&Sample>,
    wait: Option<&UnderWay>,
    holds: Vec<String>,
) -> Option<ThreadSeen> {
    let calls = sample.map_or(&[][..], |sample| &sample.calls);
    let in_driver = sample.is_some_and(|sample| image_at(sample.instruction).is_some());
    let serves = thread.is_system() && thread.name() != MAIN;
    if serves && calls.is_empty() && !in_driver && holds.is_empty() {
        return None;
    }
    let does = match (wait, sample) {
        (Some(wait), _) => waits_for(wait),
        (None, Some(sample)) if in_driver => format!("runs {}", describe_code(sample.instruction)),
        (None, Some(sample)) => match imported_routine(sample.called) {
            Some(routine) => format!("is in {routine}"),
            // An exception is handled there, or a thunk was not reached yet.
            None => match calls.first() {
                Some(call) => format!("is in a routine of the kernel for {}", describe_code(*call)),
                None => "is outside of drivers".to_owned(),
            },
        },
        (None, None) => "does not answer".to_owned(),
    };
    Some(ThreadSeen {
        id: thread.id(),
        name: thread.name().to_owned(),
        irql: sample.and_then(|sample| sample.irql),
        does,
        calls: calls.iter().map(|call| describe_code(*call)).collect(),
        holds,
    })
}

fn waits_for(wait: &UnderWay) -> String {
    let objects = wait.objects.join(if wait.all { " and " } else { " or " });
    let what = match objects.is_empty() {
        true => "waits for a time".to_owned(),
        false => format!("waits for {objects}"),
    };
    match wait.caller {
        0 => what,
        caller => format!("{what} at {}", describe_code(caller)),
    }
}

/// The requests that are somewhere in a stack.
#[derive(Default)]
struct Outstanding {
    listed: Vec<String>,
    in_full: Vec<String>,
    /// Who keeps them, of the drivers with an image.
    kept: Vec<String>,
    /// Those that a file system holds until the thread that has sent them cancels them: that, and the function.
    held: Vec<(u32, &'static str)>,
}

impl Outstanding {
    fn add(&mut self, irp: *mut IRP, site: usize) {
        // SAFETY: alive during the visit.
        let header = unsafe { &*irp };
        if self.listed.len() >= SHOWN || !(1..=header.StackCount).contains(&header.CurrentLocation)
        {
            return;
        }
        // SAFETY: as above; the location is within the stack.
        let location = unsafe { irp.current_location() };
        // SAFETY: as above.
        let location = unsafe { &*location };
        let mut text = major_name(location.MajorFunction).to_owned();
        if !location.FileObject.is_null() {
            // SAFETY: a request keeps its file object.
            text += &format!(" {}", unsafe { file_name::of(location.FileObject) });
        }
        let mut keeper = None;
        if !location.DeviceObject.is_null() {
            // SAFETY: a request keeps the device it is at.
            let device = unsafe { device::describe(location.DeviceObject) };
            // SAFETY: as above.
            let driver = unsafe { (*location.DeviceObject).DriverObject };
            text += &format!(" at {device}");
            keeper = driver::image_of(driver).map(|_| device);
        }
        // SAFETY: alive during the visit.
        let wanted = unsafe { irp::identity(irp) }.wanted;
        // SAFETY: as above.
        if let Some(owner) = thread::from_object(unsafe { irp.thread() }) {
            text += &format!(", of {}", owner.name());
            if wanted.hold_until_cancelled || wanted.script == Some(Choice::HeldUntilCancelled) {
                text += ", held until it is cancelled";
                let function = major_name(location.MajorFunction);
                self.held.push((owner.id(), function));
            }
        }
        if site != 0 {
            text += &format!(", allocated by {}", pe_image::describe_code(site));
        }
        if let Some(device) = keeper {
            self.kept.push(format!(
                "{device} has {} and has neither completed nor passed it on",
                major_name(location.MajorFunction)
            ));
            if self.in_full.len() < IN_FULL {
                self.in_full.extend(verifier::describe_request(irp));
            }
        }
        self.listed.push(text);
    }
}

impl Standstill {
    /// One object, with a line end behind it.
    pub fn json(&self) -> String {
        let object = serde_json::to_string(self);
        object.unwrap_or_else(|error| format!("{{\"stalled\":\"{error}\"}}")) + "\n"
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = collected::text(&self.collected);
        text += &format!("ntbox: {}\n", self.stalled);
        list(&mut text, "at fault:", &self.at_fault);
        text += &self.scene.text();
        text += "  what to do: see where it waits or runs; --patience SECONDS gives it longer\n";
        text + &verifier::same_again()
    }
}

impl Scene {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = "  threads:\n".to_owned();
        for thread in &self.threads {
            let level = thread
                .irql
                .map_or(String::new(), |level| format!(" at {}", irql::name(level)));
            text += &format!(
                "    thread {} ({}){level} {}\n",
                thread.id, thread.name, thread.does
            );
            for call in &thread.calls {
                text += &format!("      called at {call}\n");
            }
            for lock in &thread.holds {
                text += &format!("      holds {lock}\n");
            }
        }
        list(&mut text, "outstanding requests:", &self.outstanding);
        self.in_full.iter().for_each(|request| text += request);
        text
    }
}

/// Adds a title and what stands below it, if anything does.
pub fn list(text: &mut String, title: &str, entries: &[String]) {
    if entries.is_empty() {
        return;
    }
    *text += &format!("  {title}\n");
    for entry in entries {
        *text += &format!("    {entry}\n");
    }
}
