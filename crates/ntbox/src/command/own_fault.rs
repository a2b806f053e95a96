//! What is told when ntbox itself has failed: a fault in its own code that no driver took part in, a signal, or a
//! panic. That is ntbox's mistake, or a driver has written over what is ntbox's where no rule saw it.

use super::standstill::{self, Scene};
use ntbox::host;
use ntbox::pe_image::{describe_code, describe_own};
use ntbox::processor::fault::{self, OwnFault};
use ntbox::verifier::{self, collected};
use serde::Serialize;

/// All that is told.
#[derive(Serialize)]
struct Report {
    /// What has happened, in a sentence.
    failed: String,
    thread: String,
    /// The calls of ntbox that led there, innermost first.
    at: Vec<String>,
    /// Those of drivers on the same stack, innermost first.
    calls: Vec<String>,
    #[serde(flatten)]
    scene: Option<Scene>,
    collected: Vec<collected::Collected>,
    seed: u64,
    replay: String,
}

/// From here on the process ends with such a report.
pub fn tell() {
    fault::tell_own(end);
}

fn end(fault: &OwnFault) -> ! {
    let json = verifier::tells_json();
    let mut report = Report::new(fault);
    // Nothing was looked up yet, and nobody was asked.
    fault::keep_ready(json, report.render(json));
    report.at = own_calls(fault);
    report.calls = fault
        .calls
        .iter()
        .map(|call| describe_code(*call))
        .collect();
    report.scene = Some(standstill::scene().0);
    host::write_raw(json, &report.render(json));
    host::exit_now(fault::FAILED)
}

/// A panic is told of by what it has called.
fn own_calls(fault: &OwnFault) -> Vec<String> {
    let named = fault.at.iter().filter_map(|call| describe_own(*call));
    let of_report = |call: &String| call.starts_with("ntbox_kernel::processor::fault::");
    named.skip_while(of_report).collect()
}

impl Report {
    fn new(fault: &OwnFault) -> Self {
        let number = |address: &usize| format!("0x{address:x}");
        let (seed, replay) = verifier::replay();
        Self {
            failed: fault.what.clone(),
            thread: format!("{} ({})", fault.thread, fault.name),
            at: fault.at.iter().map(number).collect(),
            calls: fault.calls.iter().map(number).collect(),
            scene: None,
            collected: collected::so_far(),
            seed,
            // Before a command has said so, it is what was typed.
            replay: replay.unwrap_or_else(super::command_line),
        }
    }

    fn render(&self, json: bool) -> String {
        if !json {
            return self.text();
        }
        let object = serde_json::to_string(self);
        object.unwrap_or_else(|error| format!("{{\"failed\":\"{error}\"}}")) + "\n"
    }

    fn text(&self) -> String {
        let mut text = collected::text(&self.collected);
        text += &format!("ntbox: ntbox itself has failed: {}\n", self.failed);
        text += &format!("  on thread {}\n", self.thread);
        standstill::list(&mut text, "at, innermost first:", &self.at);
        standstill::list(
            &mut text,
            "calls of drivers on its stack, innermost first:",
            &self.calls,
        );
        text += &self.scene.as_ref().map_or_else(String::new, Scene::text);
        text += "  what to do: this is a mistake of ntbox, or of a driver that has written over what is ntbox's \
                 where no rule sees it; report it with these lines\n";
        text + &format!("  seed {}\n  the same again: {}\n", self.seed, self.replay)
    }
}
