//! `verify`: Driver Verifier, with the options that check a class of rules.
//!
//! Source: "Verifier command line" and "Driver Verifier options" in the driver documentation.

use super::context::{Context, administrator};
use crate::arguments::{RuleClass, Verify};
use crate::error::{Error, Exit, Result};

const SPECIAL_POOL: u32 = 0x1;
const FORCE_IRQL: u32 = 0x2;
const LOW_RESOURCES: u32 = 0x4;
const POOL_TRACKING: u32 = 0x8;
const IO: u32 = 0x10;
const DEADLOCK: u32 = 0x20;
const DMA: u32 = 0x80;
const SECURITY: u32 = 0x100;
const FORCE_PENDING: u32 = 0x200;
const IRP_LOGGING: u32 = 0x400;
const MISCELLANEOUS: u32 = 0x800;
const DDI_COMPLIANCE: u32 = 0x2_0000;
const SYSTEMATIC_LOW_RESOURCES: u32 = 0x4_0000;

impl RuleClass {
    /// The options that check it.
    const fn flags(self) -> u32 {
        match self {
            Self::Standard => {
                SPECIAL_POOL
                    | FORCE_IRQL
                    | POOL_TRACKING
                    | IO
                    | DEADLOCK
                    | DMA
                    | SECURITY
                    | MISCELLANEOUS
                    | DDI_COMPLIANCE
            }
            Self::IrpLife => IO | IRP_LOGGING | DDI_COMPLIANCE,
            Self::Pending => IO | FORCE_PENDING | DDI_COMPLIANCE,
            Self::Irql => FORCE_IRQL | DDI_COMPLIANCE,
            Self::Devices => IO | MISCELLANEOUS | DDI_COMPLIANCE,
            Self::Pool => SPECIAL_POOL | POOL_TRACKING,
            Self::Locks => DEADLOCK | DDI_COMPLIANCE,
            Self::LowResources => LOW_RESOURCES,
            Self::SystematicLowResources => SYSTEMATIC_LOW_RESOURCES,
        }
    }
}

const RESTART: &str = "takes effect after a restart of Windows: shutdown /r /t 0\n";

/// Sets, resets or shows the options.
pub fn run(context: &mut Context<'_>, what: &Verify) -> Result<Exit> {
    administrator(
        context.system,
        "to change or show Driver Verifier's settings",
    )?;
    match what {
        Verify::On { class } => {
            let flags = class.iter().fold(0, |flags, class| flags | class.flags());
            let flags = format!("0x{flags:X}");
            let driver = format!("{}.sys", context.service);
            verifier(context, &["/flags", &flags, "/driver", &driver])?;
            writeln!(
                context.out,
                "Driver Verifier will check {driver} with options {flags}; it {RESTART}\
                 A violation stops Windows with bug check 0xC4 or 0xC9: see docs/windows-vm.md. \
                 If Windows then does not start, start it in safe mode and run \
                 `fsglass verify off`."
            )?;
            Ok(Exit::Restart)
        }
        Verify::Off => {
            verifier(context, &["/reset"])?;
            writeln!(
                context.out,
                "Driver Verifier will check no driver; it {RESTART}"
            )?;
            Ok(Exit::Restart)
        }
        Verify::Query => {
            for (title, argument) in [
                ("Since the last start", "/query"),
                ("From the next start on", "/querysettings"),
            ] {
                let printed = verifier(context, &[argument])?;
                writeln!(context.out, "{title}:\n{}\n", printed.trim())?;
            }
            Ok(Exit::Done)
        }
    }
}

/// Runs verifier.exe. It ends with 2 where a restart is needed, which is no error.
fn verifier(context: &Context<'_>, arguments: &[&str]) -> Result<String> {
    let ran = context.system.run("verifier.exe", arguments)?;
    match ran.code {
        0 | 2 => Ok(ran.printed),
        code => {
            let line = arguments.join(" ");
            let printed = ran.printed.trim();
            let what = format!("verifier.exe {line} ended with {code}: {printed}");
            Err(Error::new(what).remedy("run the same line by hand, to see it in its own window"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::ran;
    use crate::system::pretended::Pretended;

    #[test]
    fn each_class_has_the_options_of_the_documentation() {
        // "Standard" is the documented sum.
        assert_eq!(RuleClass::Standard.flags(), 0x2_09BB);
        assert_eq!(RuleClass::Pending.flags(), 0x2_0210);
    }

    /// The table in the documentation has the options that each of its commands sets.
    #[test]
    fn the_documentation_has_the_same_options() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/windows-vm.md");
        let text = std::fs::read_to_string(file).unwrap();
        let rows = text
            .lines()
            .filter(|line| line.starts_with("| `fsglass verify on"));
        let mut classes = 0;
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let line: Vec<&str> = cells[1].trim_matches('`').split(' ').skip(1).collect();
            let system = Pretended {
                administrator: true,
                ..Pretended::default()
            };
            assert_eq!(ran(&system, &line).0, Ok(Exit::Restart), "{row}");
            let set = system.done.borrow()[0].clone();
            let flags = cells[3].split([':', ' ']).next().unwrap();
            assert!(set.contains(&format!("/flags {flags} ")), "{row}: {set}");
            classes += 1;
        }
        assert_eq!(classes, 9);
    }

    #[test]
    fn verifier_is_given_the_sum_of_the_classes() {
        let system = Pretended {
            administrator: true,
            code: 2,
            ..Pretended::default()
        };
        let line = ["verify", "on", "--class", "pool", "--class", "locks"];
        let (exit, text) = ran(&system, &line);
        assert_eq!(exit, Ok(Exit::Restart));
        assert!(text.contains("restart"), "{text}");
        let done = system.done.borrow();
        assert_eq!(*done, ["verifier.exe /flags 0x20029 /driver fsglass.sys"]);
    }

    #[test]
    fn a_user_is_told_what_is_missing_and_nothing_is_run() {
        let system = Pretended::default();
        assert_eq!(
            ran(&system, &["verify", "off"]).0,
            Err(Exit::NotAdministrator)
        );
        assert!(system.done.borrow().is_empty());
    }

    #[test]
    fn a_verifier_that_fails_is_an_error() {
        let system = Pretended {
            administrator: true,
            code: 1,
            ..Pretended::default()
        };
        assert_eq!(ran(&system, &["verify", "query"]).0, Err(Exit::Failed));
    }
}
