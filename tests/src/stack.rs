//! How much of the kernel's stack a driver takes: from the unwind data and the calls of its image.
//!
//! A routine's frame is what its unwind data says, with the return address in it. What it needs is its frame
//! and the most that one of those takes which it calls in the image. What it calls outside, the next driver or
//! the kernel, is theirs; the return address of that call is ours.

use iced_x86::{Decoder, DecoderOptions, FlowControl, OpKind};
use object::pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION;
use object::read::pe::PeFile64;
use pdb2::{FallibleIterator as _, PDB, SymbolData};
use pe_unwind_info::x86_64::{
    FunctionTableEntries, UnwindInfo, UnwindInfoTrailer, UnwindOperation,
};
use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;

/// A return address.
const RETURN_ADDRESS: u32 = 8;

/// The routines of an image.
pub struct Routines(BTreeMap<u32, Routine>);

struct Routine {
    name: String,
    /// Bytes, with the return address.
    frame: u32,
    /// Where routines begin that it calls.
    calls: Vec<u32>,
    /// Where routines begin that it jumps to when its own frame is gone.
    jumps: Vec<u32>,
}

/// What a routine takes, and on which way: names from the outermost on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Bytes.
    pub bytes: u32,
    /// Each with its frame.
    pub names: Vec<String>,
}

impl Routines {
    /// Those of an image, by the names in its PDB.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn of(image: &[u8], pdb: &[u8]) -> Result<Self, String> {
        let file = PeFile64::parse(image).map_err(|error| error.to_string())?;
        let at = |rva: u32| {
            let found = file.section_table().pe_data_at(image, rva);
            found.ok_or_else(|| format!("nothing lies at 0x{rva:X}"))
        };
        let directory = file.data_directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION);
        let directory = directory.ok_or("there is no unwind data")?.address_range();
        let table = at(directory.0)?.get(..directory.1 as usize);
        let table = FunctionTableEntries::parse(table.ok_or("the unwind data is cut off")?);
        let functions = table.functions().ok_or("the unwind data is misaligned")?;
        let frame_of = |rva: u32| -> Result<(u32, Option<u32>), String> {
            let info = UnwindInfo::parse(at(rva)?).ok_or("unwind data of another version")?;
            let bytes = info
                .unwind_operations()
                .map(|(_, operation)| match operation {
                    UnwindOperation::PopNonVolatile(_) => 8,
                    UnwindOperation::UnStackAlloc(bytes) => bytes,
                    _ => 0,
                });
            let chained = match info.trailer() {
                Some(UnwindInfoTrailer::ChainedUnwindInfo { chained }) => {
                    Some(chained.unwind_info_address.get())
                }
                _ => None,
            };
            Ok((bytes.sum(), chained))
        };
        let names = names(pdb).map_err(|error| error.to_string())?;
        let mut routines = BTreeMap::new();
        let mut add = |begin: u32, end: u32, frame: u32| -> Result<(), String> {
            let code = at(begin)?.get(..(end - begin) as usize);
            let (calls, jumps) = leaves(code.ok_or("a routine is cut off")?, begin, end);
            let name = names.get(&begin).map(|(name, _)| name.clone());
            let routine = Routine {
                name: name.unwrap_or_else(|| format!("0x{begin:X}")),
                frame: frame + RETURN_ADDRESS,
                calls,
                jumps,
            };
            routines.insert(begin, routine);
            Ok(())
        };
        // One that has no frame needs no unwind data.
        for (begin, (_, length)) in &names {
            add(*begin, begin + length, 0)?;
        }
        for function in functions {
            let (begin, end) = (function.begin_address.get(), function.end_address.get());
            let (mut frame, mut chained) = frame_of(function.unwind_info_address.get())?;
            while let Some(outer) = chained {
                let (more, next) = frame_of(outer)?;
                frame += more;
                chained = next;
            }
            add(begin, end, frame)?;
        }
        Ok(Self(routines))
    }

    /// The routine that takes the most of those whose name begins with one of `roots`. What has one of
    /// `without` in its name does not count: it is on another way.
    ///
    /// # Errors
    /// No routine has such a name, or one calls itself.
    pub fn most(&self, roots: &[&str], without: &[&str]) -> Result<Way, String> {
        let begins = |name: &str| roots.iter().any(|one| name.starts_with(one));
        let elsewhere = |name: &str| without.iter().any(|one| name.contains(one));
        for part in roots.iter().chain(without) {
            if !self.0.values().any(|routine| routine.name.contains(part)) {
                return Err(format!("no routine is called {part}"));
            }
        }
        let is_root = |routine: &&Routine| begins(&routine.name) && !elsewhere(&routine.name);
        let mut known = HashMap::new();
        let mut most = Way::default();
        for (begin, _) in self.0.iter().filter(|(_, routine)| is_root(routine)) {
            let way = self.way(*begin, &elsewhere, &mut known)?;
            if way.bytes > most.bytes {
                most = way;
            }
        }
        Ok(most)
    }

    /// `None` in `known` stands for a routine that is being looked at.
    fn way(
        &self,
        begin: u32,
        elsewhere: &dyn Fn(&str) -> bool,
        known: &mut HashMap<u32, Option<Way>>,
    ) -> Result<Way, String> {
        let Some(routine) = self.0.get(&begin) else {
            // A jump to an import has no frame.
            return Ok(Way {
                bytes: RETURN_ADDRESS,
                names: Vec::new(),
            });
        };
        if elsewhere(&routine.name) {
            return Ok(Way::default());
        }
        match known.insert(begin, None) {
            Some(None) => return Err(format!("{} calls itself", routine.name)),
            Some(Some(way)) => {
                known.insert(begin, Some(way.clone()));
                return Ok(way);
            }
            None => {}
        }
        let mut below = Way {
            bytes: RETURN_ADDRESS,
            names: Vec::new(),
        };
        for call in &routine.calls {
            let way = self.way(*call, elsewhere, known)?;
            if way.bytes > below.bytes {
                below = way;
            }
        }
        let mut most = below;
        most.bytes += routine.frame;
        most.names
            .insert(0, format!("{} ({})", routine.name, routine.frame));
        for jump in &routine.jumps {
            let mut way = self.way(*jump, elsewhere, known)?;
            if way.bytes > most.bytes {
                way.names.insert(0, format!("{} (left)", routine.name));
                most = way;
            }
        }
        known.insert(begin, Some(most.clone()));
        Ok(most)
    }
}

/// Where the code from `begin` to `end` calls and jumps to that is outside of it.
fn leaves(code: &[u8], begin: u32, end: u32) -> (Vec<u32>, Vec<u32>) {
    let decoder = Decoder::with_ip(64, code, begin.into(), DecoderOptions::NONE);
    let (mut calls, mut jumps) = (Vec::new(), Vec::new());
    for instruction in decoder {
        let direct = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
        let target = u32::try_from(instruction.near_branch_target());
        let Some(target) = target.ok().filter(|_| direct) else {
            continue;
        };
        match instruction.flow_control() {
            FlowControl::Call => calls.push(target),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
                if !(begin..end).contains(&target) =>
            {
                jumps.push(target);
            }
            _ => {}
        }
    }
    (calls, jumps)
}

/// The names and lengths of routines, by where they begin.
fn names(pdb: &[u8]) -> pdb2::Result<HashMap<u32, (String, u32)>> {
    let mut pdb = PDB::open(Cursor::new(pdb))?;
    let (addresses, information) = (pdb.address_map()?, pdb.debug_information()?);
    let mut names = HashMap::new();
    let mut modules = information.modules()?;
    while let Some(module) = modules.next()? {
        let Some(module) = pdb.module_info(&module)? else {
            continue;
        };
        let mut symbols = module.symbols()?;
        while let Some(symbol) = symbols.next()? {
            if let Ok(SymbolData::Procedure(procedure)) = symbol.parse()
                && let Some(rva) = procedure.offset.to_rva(&addresses)
            {
                let name = procedure.name.to_string().into_owned();
                names.insert(rva.0, (name, procedure.len));
            }
        }
    }
    Ok(names)
}
