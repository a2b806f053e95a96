//! What a fault means: which rule it breaks, and in whose words.

use super::wild::Wild;
pub(super) use crate::host::pageable::Access;
use crate::nt::{DISPATCH_LEVEL, Kirql};
use crate::pe_image::{self, Image, Origin, crossing};
use crate::pool;
use crate::processor::driver_code::stack_text;
use crate::processor::given;
use crate::processor::processor_block::GUARD;
use crate::processor::step;
use crate::processor::top_level::Told;
use crate::processor::{instruction, irql};
use crate::verifier::{Circumstances, Context, Rule, Violation, bug_check_name, rules, slot_of};
use iced_x86::OpKind;

/// What the processor complained about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trap {
    /// Memory that may not be accessed like this.
    Memory { address: usize, access: Access },
    /// A privileged instruction, or an address that is none (not canonical), or not aligned.
    Protection,
    /// No instruction.
    Instruction,
    /// A breakpoint or a single step.
    Breakpoint,
    /// A division by zero or out of range.
    Division,
    /// Nothing: memory that is there but somebody else's is about to be accessed.
    GivenAway(step::Access),
}

/// What a fault is about that a program has no memory for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing of that kind.
    Elsewhere,
    /// An offset in the page that the kernel shares with programs.
    SharedPage(usize),
    /// An offset in the processor block, behind what can be read of it.
    ProcessorBlock(usize),
    /// What was read at an offset of the processor block that is not modelled.
    ReadInProcessorBlock(usize),
}

/// A fault, as the handler found it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) trap: Trap,
    /// Address of the instruction.
    pub(super) instruction: usize,
    pub(super) stack_pointer: usize,
    /// The lowest address of the thread's kernel stack.
    pub(super) stack_limit: usize,
    pub(super) irql: Kirql,
    /// The byte codes at the instruction, as far as they are readable.
    pub(super) code: [u8; 4],
    /// What of a processor it is about.
    pub(super) place: Place,
    /// The memory is there for threads below `DISPATCH_LEVEL`.
    pub(super) pageable: bool,
    /// An address that is not a multiple of what its instruction needs.
    pub(super) misaligned: Option<(u64, u64)>,
    /// What the thread was told as its top-level IRP.
    pub(super) told: Told,
    /// The routine that the box has called, if it leads nowhere.
    pub(super) wild: Option<Wild>,
}

/// Farther from the stack pointer than this, an address is not about the stack.
const NEAR_STACK: usize = 64 << 10;

/// Says which rule a fault breaks. `calls` are where the drivers' routines on the stack go on, innermost first;
/// `called` is the routine of the box that the innermost has called.
fn judge(fault: &Fault, calls: &[usize], called: Option<&str>) -> (Violation, Option<usize>) {
    let slot = fault.wild.and_then(|wild| slot_of(wild.routine));
    let given = fault.wild.and_then(|wild| given::by(wild.routine));
    let who = match (&slot, &given) {
        (Some(slot), _) => format!("the system, at {},", slot.name),
        (None, Some(given)) => {
            let image = pe_image::image_at(given.site).map_or("a driver", Image::name);
            format!(
                "the system, at a routine that {image} has given to {},",
                given.to
            )
        }
        (None, None) => who(fault, calls, called),
    };
    let (rule, what, more, touched) = match fault.trap {
        Trap::Memory { address, access } => {
            let (rule, what, sites) = judge_memory(fault, address, access);
            (rule, what, sites, Some(address))
        }
        Trap::Protection => {
            let (rule, what) = match fault.wild {
                Some(Wild { routine, .. }) => (
                    &rules::BAD_INSTRUCTION,
                    format!("executes 0x{routine:x}, which is no address (not canonical)"),
                ),
                None => judge_protection(fault),
            };
            (rule, what, vec![], None)
        }
        Trap::Instruction => (
            &rules::BAD_INSTRUCTION,
            "executes what is no instruction".to_owned(),
            vec![],
            None,
        ),
        Trap::Breakpoint => (
            &rules::BAD_INSTRUCTION,
            "runs into a breakpoint".to_owned(),
            vec![],
            None,
        ),
        Trap::GivenAway(access) => {
            let does = if access.writes { "writes" } else { "reads" };
            let what = format!(
                "{does} offset 0x{:x} of the request 0x{:x}, which it has given away",
                access.offset,
                access.address - access.offset
            );
            let sites = vec![("given away", access.given_by)];
            (access.rule, what, sites, Some(access.address))
        }
        Trap::Division => (
            &rules::BAD_INSTRUCTION,
            "divides by zero or out of range".to_owned(),
            vec![],
            None,
        ),
    };
    let mut sites = Vec::new();
    if pe_image::image_at(fault.instruction).is_some() {
        sites.push(("at", site_of(fault.instruction)));
        if pe_image::is_library_code(fault.instruction + 1) {
            let own = calls.iter().find(|call| !pe_image::is_library_code(**call));
            sites.extend(own.map(|call| ("for", *call)));
        }
    } else if let Some(call) = calls.first() {
        sites.push(("called", *call));
    }
    sites.extend(more);
    match slot {
        Some(slot) => sites.push(("DriverEntry", slot.driver_entry)),
        None => sites.extend(given.map(|given| ("given by", given.site))),
    }
    let request = fault.wild.map_or(0, |wild| wild.request);
    (
        Violation {
            rule,
            message: format!("{who} {what}"),
            irp: (request != 0).then(|| std::ptr::with_exposed_provenance_mut(request)),
            sites,
        },
        touched,
    )
}

/// Behind the first byte of an instruction, as a return address would be; of one that has no other, where it begins.
fn site_of(instruction: usize) -> usize {
    let is_whole = instruction::at(instruction).len() == 1;
    instruction + usize::from(!is_whole || pe_image::is_return_address(instruction))
}

fn who(fault: &Fault, calls: &[usize], called: Option<&str>) -> String {
    if let Some(image) = pe_image::image_at(fault.instruction) {
        return image.name().to_owned();
    }
    if fault.wild.is_some() {
        return "the system, at a routine that a driver has given to it,".to_owned();
    }
    let executes =
        matches!(fault.trap, Trap::Memory { address, .. } if address == fault.instruction);
    let caller = calls.first().and_then(|call| pe_image::image_at(*call));
    match (caller.map(Image::name), called) {
        (Some(image), _) if executes => format!("a call of {image}"),
        (Some(image), Some(routine)) => format!("{routine}, called by {image},"),
        (Some(image), None) => format!("the system, called by {image},"),
        (None, _) => "the system".to_owned(),
    }
}

type Judged = (&'static Rule, String, Vec<(&'static str, usize)>);

fn judge_memory(fault: &Fault, address: usize, access: Access) -> Judged {
    let does = match access {
        Access::Read => "reads",
        Access::Write => "writes",
        Access::Execute => "executes",
    };
    if fault.pageable {
        return judge_pageable(fault, address, access, does);
    }
    if let Some((rule, what)) = judge_place(fault.place, access, does) {
        return (rule, what, vec![]);
    }
    if let Some(finding) = pool::diagnose(address) {
        let rule = match (finding.closed, finding.freed, access) {
            (Some(rule), _, _) => rule,
            (None, true, _) => &rules::USE_AFTER_FREE,
            (None, false, Access::Execute) => &rules::EXECUTED_DATA,
            (None, false, _) => &rules::POOL_OVERRUN,
        };
        return (rule, format!("{does} {}", finding.text), finding.sites);
    }
    if let Some(image) = pe_image::image_at(address) {
        let (rule, what) = judge_image(image, address, access);
        return (rule, format!("{does} {what}"), vec![]);
    }
    let below_stack = crossing::HAS_KERNEL_STACKS
        && fault.stack_limit.wrapping_sub(address).wrapping_sub(1) < GUARD;
    let near_stack = address.abs_diff(fault.stack_pointer) < NEAR_STACK;
    let base = fault.stack_limit + crossing::STACK_BYTES;
    if crossing::HAS_KERNEL_STACKS && near_stack && address >= base && fault.stack_limit != 0 {
        let what = format!(
            "{does} 0x{address:x}, above the base of its kernel stack: a local variable is overrun"
        );
        return (&rules::PAGE_FAULT, what, vec![]);
    }
    if (below_stack || near_stack) && access != Access::Execute {
        return (
            &rules::STACK_USED_UP,
            format!("{does} 0x{address:x}, beyond the end of its kernel stack"),
            vec![],
        );
    }
    if let Some((what, asked_at)) = fault.told.followed(address) {
        let sites = vec![("IoGetTopLevelIrp called at", asked_at)];
        return (&rules::TOP_LEVEL_FOLLOWED, format!("{does} {what}"), sites);
    }
    let rule = if fault.irql >= DISPATCH_LEVEL {
        &rules::PAGE_FAULT_AT_DISPATCH
    } else {
        &rules::PAGE_FAULT
    };
    let what = if address < 0x1_0000 {
        " (a null pointer, or an offset from one)"
    } else {
        ", where nothing is"
    };
    (rule, format!("{does} 0x{address:x}{what}"), vec![])
}

/// Fields of the processor and of the shared page that nobody has told, which is the box's fault, not the
/// driver's; or that are not the driver's to write.
fn judge_place(place: Place, access: Access, does: &str) -> Option<(&'static Rule, String)> {
    match place {
        Place::Elsewhere => None,
        Place::SharedPage(offset) if access == Access::Write => Some((
            &rules::WROTE_READ_ONLY,
            format!("writes offset 0x{offset:x} of the page that the kernel shares with programs"),
        )),
        Place::SharedPage(offset) => Some((
            &rules::BAD_INSTRUCTION,
            format!(
                "{does} offset 0x{offset:x} of the page that the kernel shares with programs \
                 (KUSER_SHARED_DATA), which ntbox does not model"
            ),
        )),
        Place::ProcessorBlock(offset) => Some((
            &rules::BAD_INSTRUCTION,
            format!("{does} gs:[0x{offset:x}] (KPCR), which ntbox does not model"),
        )),
        Place::ReadInProcessorBlock(offset) => Some((
            &rules::BAD_INSTRUCTION,
            format!(
                "uses what it has read at gs:[0x{offset:x}] (KPCR), which ntbox does not model"
            ),
        )),
    }
}

/// Memory that is there, but not for a thread at `DISPATCH_LEVEL`.
fn judge_pageable(fault: &Fault, address: usize, access: Access, does: &str) -> Judged {
    let rule = if access == Access::Execute {
        &rules::PAGEABLE_CODE
    } else {
        &rules::PAGEABLE_MEMORY
    };
    let (place, sites) = match (pool::diagnose(address), pe_image::image_at(address)) {
        (Some(finding), _) => (finding.text, finding.sites),
        (None, Some(image)) => (image.describe_place(address), vec![]),
        (None, None) => (format!("0x{address:x}"), vec![]),
    };
    let level = irql::name(fault.irql);
    let what = format!("{does} {place}, which is pageable, at {level}");
    (rule, what, sites)
}

fn judge_image(image: &Image, address: usize, access: Access) -> (&'static Rule, String) {
    let place = || image.describe_place(address);
    if !image.is_loaded() {
        return (
            &rules::UNLOADED_WITH_REQUESTS,
            format!("{}, which has been unloaded", place()),
        );
    }
    if image.is_discarded(address) {
        return (
            &rules::PAGE_FAULT,
            format!("{}, which was discarded after DriverEntry", place()),
        );
    }
    match access {
        Access::Write => (
            &rules::WROTE_READ_ONLY,
            format!("{}, which is read-only", place()),
        ),
        Access::Execute => (
            &rules::EXECUTED_DATA,
            format!("{}, which is not executable", place()),
        ),
        Access::Read => (&rules::PAGE_FAULT, place()),
    }
}

fn judge_protection(fault: &Fault) -> (&'static Rule, String) {
    // int 29h: __fastfail.
    if fault.code[..2] == [0xCD, 0x29] {
        let name = bug_check_name(0x139).unwrap_or_default();
        return (
            &rules::DRIVER_BUG_CHECK,
            format!("stops with __fastfail: bug check 0x139 {name}"),
        );
    }
    if let Some(found) = judge_place(fault.place, Access::Read, "reads") {
        return found;
    }
    let instruction = instruction::at(fault.instruction);
    if let Some((address, multiple)) = fault.misaligned {
        let what = format!(
            "uses 0x{address:x} by an instruction that takes multiples of {multiple} only ({:?})",
            instruction.mnemonic()
        );
        return (&rules::BAD_INSTRUCTION, what);
    }
    let uses_memory =
        (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
    let what = if uses_memory || instruction.is_string_instruction() || instruction.is_invalid() {
        "uses an address that is none (not canonical)".to_owned()
    } else {
        format!(
            "executes a privileged instruction ({:?})",
            instruction.mnemonic()
        )
    };
    (&rules::BAD_INSTRUCTION, what)
}

/// True if a driver has to do with the fault.
pub(super) fn concerns_driver(fault: &Fault, origin: &Origin) -> bool {
    let address = match fault.trap {
        Trap::Memory { address, .. } => address,
        _ => fault.instruction,
    };
    origin.is_in_driver()
        || fault.wild.is_some()
        || pe_image::image_at(fault.instruction).is_some()
        || pe_image::image_at(address).is_some()
        || pool::contains(address)
}

/// Makes the report of a fault and ends the process.
pub(super) fn report(fault: &Fault, origin: &Origin, context: Context) -> ! {
    let calls: Vec<usize> = origin.frames().iter().map(|frame| frame.at).collect();
    let called = pe_image::imported_routine(origin.called());
    let (mut violation, touched) = judge(fault, &calls, called);
    if violation.rule == &rules::STACK_USED_UP {
        violation.message = format!("{}: {}", violation.message, stack_text(origin));
        let request = origin.request();
        violation.irp = (request != 0).then(|| std::ptr::with_exposed_provenance_mut(request));
    }
    // The innermost is named as a site already.
    let calls = calls.get(1..).unwrap_or_default();
    crate::verifier::end(
        violation,
        &Circumstances {
            context,
            calls: calls.to_vec(),
            touched,
        },
    )
}

/// The destination of `mov register, cr8`. Registers are numbered as the processor does (0 is rax).
pub(super) fn reads_cr8(code: &[u8; 4]) -> Option<usize> {
    control_register_8(code, 0x20)
}

/// The general register of a `mov` from or to `cr8`, whose second byte code is `operation`.
pub(super) fn control_register_8(code: &[u8; 4], operation: u8) -> Option<usize> {
    let [prefix, 0x0F, second, operand] = *code else {
        return None;
    };
    // REX with R set makes cr0 cr8; B extends the register; W means nothing here.
    let extended = matches!(prefix, 0x45 | 0x4D);
    let rex = extended || matches!(prefix, 0x44 | 0x4C);
    (rex && second == operation && operand & 0x38 == 0)
        .then_some(usize::from(operand & 7) + if extended { 8 } else { 0 })
}

/// Bytes of an instruction that [`reads_cr8`] knows.
pub(super) const CR8_READ_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(trap: Trap) -> Fault {
        Fault {
            trap,
            instruction: 0x5000_0000,
            stack_pointer: 0x7000_0000,
            stack_limit: 0,
            irql: 0,
            code: [0x90; 4],
            place: Place::Elsewhere,
            pageable: false,
            misaligned: None,
            told: Told::default(),
            wild: None,
        }
    }

    fn judged(fault: &Fault) -> (&'static str, &'static str, String) {
        let (violation, _) = judge(fault, &[], None);
        (violation.rule.name, violation.rule.code, violation.message)
    }

    #[test]
    fn cr8_reads_are_decoded() {
        assert_eq!(reads_cr8(&[0x44, 0x0F, 0x20, 0xC0]), Some(0));
        assert_eq!(reads_cr8(&[0x44, 0x0F, 0x20, 0xC1]), Some(1));
        assert_eq!(reads_cr8(&[0x45, 0x0F, 0x20, 0xC7]), Some(15));
        assert_eq!(reads_cr8(&[0x44, 0x0F, 0x20, 0xD8]), None, "cr11");
        assert_eq!(reads_cr8(&[0x40, 0x0F, 0x20, 0xC0]), None, "cr0");
        assert_eq!(reads_cr8(&[0x44, 0x0F, 0x22, 0xC0]), None, "a write");
    }

    #[test]
    fn pool_faults_are_told_apart() {
        let block = pool::allocate(pool::Kind::NonPaged, 48, 0x3131_3131, 0) as usize;
        let over = fault(Trap::Memory {
            address: block + 48,
            access: Access::Write,
        });
        let (name, code, message) = judged(&over);
        assert_eq!((name, &code[..4]), ("PoolOverrun", "0xD6"));
        assert!(
            message
                .starts_with("the system writes 1 byte behind the end of the 48-byte block '1111'"),
            "{message}"
        );
        let execute = fault(Trap::Memory {
            address: block,
            access: Access::Execute,
        });
        assert_eq!(judged(&execute).0, "ExecutedData");
        // SAFETY: allocated above.
        #[expect(unsafe_code, reason = "the block is freed as a driver does")]
        unsafe {
            pool::free(block as *mut _, None, 0)
        };
        let after = fault(Trap::Memory {
            address: block + 8,
            access: Access::Read,
        });
        let (name, _, message) = judged(&after);
        assert_eq!(name, "UseAfterFree");
        assert!(
            message.contains("reads offset 8 of the 48-byte block '1111'"),
            "{message}"
        );
    }

    #[test]
    fn other_memory_depends_on_the_level() {
        let null = Fault {
            irql: 0,
            ..fault(Trap::Memory {
                address: 0x18,
                access: Access::Read,
            })
        };
        let (_, code, message) = judged(&null);
        assert!(
            code.starts_with("0x50") && message.contains("null pointer"),
            "{code} {message}"
        );
        let high = Fault { irql: 2, ..null };
        assert!(judged(&high).1.starts_with("0xD1"));
        let stack = fault(Trap::Memory {
            address: 0x7000_0000 - 64,
            access: Access::Write,
        });
        assert_eq!(judged(&stack).0, "StackUsedUp");
        let above = Fault {
            stack_limit: 0x7000_0008 - crossing::STACK_BYTES,
            ..fault(Trap::Memory {
                address: 0x7000_0008,
                access: Access::Write,
            })
        };
        let (name, _, message) = judged(&above);
        assert_eq!(
            name == "PageFault",
            crossing::HAS_KERNEL_STACKS,
            "{message}"
        );
    }

    #[test]
    fn special_instructions_are_named() {
        let fast = Fault {
            code: [0xCD, 0x29, 0, 0],
            ..fault(Trap::Protection)
        };
        let (name, _, message) = judged(&fast);
        assert!(
            name == "DriverBugCheck" && message.contains("0x139"),
            "{message}"
        );
        // wrmsr; mov rax, [rcx]
        for (code, part) in [
            (&[0x0F_u8, 0x30, 0x90][..], "privileged instruction (Wrmsr)"),
            (&[0x48, 0x8B, 0x01], "not canonical"),
        ] {
            let executes = Fault {
                instruction: code.as_ptr().addr(),
                ..fault(Trap::Protection)
            };
            let (name, _, message) = judged(&executes);
            assert_eq!(name, "BadInstruction");
            assert!(message.contains(part), "{message}");
        }
        // movaps xmm0, [rcx]
        static ALIGNED: [u8; 3] = [0x0F, 0x28, 0x01];
        let misaligned = Fault {
            instruction: ALIGNED.as_ptr().addr(),
            misaligned: Some((0x5008, 16)),
            ..fault(Trap::Protection)
        };
        let (name, _, message) = judged(&misaligned);
        assert_eq!(name, "BadInstruction");
        let part = "uses 0x5008 by an instruction that takes multiples of 16 only (Movaps)";
        assert!(message.ends_with(part), "{message}");
        assert_eq!(judged(&fault(Trap::Instruction)).0, "BadInstruction");
    }
}
