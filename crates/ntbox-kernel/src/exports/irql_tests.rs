//! Every routine has the maximum IRQL of its page, and asks for it.

#![expect(
    unsafe_code,
    reason = "routines are called as a driver calls them, and files are read"
)]

use super::*;
use crate::nt::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL, UNICODE_STRING};
use crate::processor::irql::{self, documented};
use crate::verifier::capture;
use std::collections::{HashMap, HashSet};
use std::fs;

/// Routines of which no page gives a level, of themselves or of what they stand behind; the C
/// runtime has no pages at all.
const WITHOUT_PAGE: &[&str] = &[
    "CcCanIWrite",
    "CcDeferWrite",
    "CcFastCopyWrite",
    "CcGetFileObjectFromSectionPtrs",
    "CcGetFileObjectFromSectionPtrsRef",
    "CcInitializeCacheMap",
    "CcIsThereDirtyData",
    "CcMdlRead",
    "CcSetDirtyPageThreshold",
    "CcSetFileSizes",
    "CcSetReadAheadGranularity",
    "CcUninitializeCacheMap",
    "CcWaitForCurrentLazyWriterActivity",
    "DbgBreakPoint",
    "DbgBreakPointWithStatus",
    "ExInitializePushLock",
    "IoGetBaseFileSystemDeviceObject",
    "KdRefreshDebuggerNotPresent",
    "KeReadStateQueue",
    "ObGetFilterVersion",
    "ObGetObjectType",
    "PsGetCurrentThreadProcess",
    "PsGetCurrentThreadProcessId",
    "PsGetProcessImageFileName",
    "PsGetProcessSessionId",
    "PsGetThreadProcess",
    "PsIsThreadImpersonating",
    "RtlAssert",
    "RtlLookupFunctionEntry",
    "RtlRaiseException",
    "RtlSubAuthorityCountSid",
    "RtlUnwind",
    "RtlUnwindEx",
    "RtlVirtualUnwind",
    "SeQuerySessionIdToken",
    "SeTokenType",
    "ZwQueryInformationProcess",
];

/// Routines that are held to their level by another rule, or in another way.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ExReleaseFastMutex", "IrqlExReleaseFastMutex"),
    ("ExReleaseSpinLockExclusive", "IrqlKeReleaseSpinLock"),
    ("ExReleaseSpinLockShared", "IrqlKeReleaseSpinLock"),
    ("IofCallDriver", "ForwardedAtBadIrql"),
    ("PoCallDriver", "ForwardedAtBadIrql"),
    ("IoCallDriver", "ForwardedAtBadIrql"),
    ("IofCompleteRequest", "CompletedAboveDispatch"),
    ("IoCompleteRequest", "CompletedAboveDispatch"),
    ("KeRaiseIrqlToDpcLevel", "KeRaiseIrqlInvalid"),
    (
        "KeReadStateEvent",
        "one routine with KeReadStateSemaphore, of any level",
    ),
    (
        "KeReadStateMutex",
        "one routine with KeReadStateSemaphore, of any level",
    ),
    (
        "KeReadStateTimer",
        "one routine with KeReadStateSemaphore, of any level",
    ),
    ("KeReleaseInStackQueuedSpinLock", "IrqlKeReleaseSpinLock"),
    ("KeReleaseSpinLock", "IrqlKeReleaseSpinLock"),
    ("KeWaitForMultipleObjects", "WaitAtDispatch"),
    ("KeWaitForMutexObject", "WaitAtDispatch"),
    ("KeWaitForSingleObject", "WaitAtDispatch"),
];

/// The routines of all tables but the C runtime's.
fn routines() -> impl Iterator<Item = &'static str> {
    let tables = FILES.iter().filter(|(prefix, _)| *prefix != "c");
    let exports = tables.flat_map(|(_, table)| table.iter());
    exports
        .filter(|export| export.kind == Kind::Routine)
        .map(|export| export.name)
}

#[test]
fn every_routine_has_a_row_with_its_page() {
    for name in routines() {
        let known = documented::of(name).is_some();
        assert_ne!(
            known,
            WITHOUT_PAGE.contains(&name),
            "{name}: its row in processor/irql/documented.rs is the IRQL line of its page"
        );
    }
    let exported: HashSet<&str> = routines().collect();
    for row in documented::ALL {
        assert!(exported.contains(row.name), "{} is not exported", row.name);
        assert!(row.page.contains("/nf-"), "{} is no page", row.page);
    }
    let in_order = documented::ALL
        .windows(2)
        .all(|two| two[0].name < two[1].name);
    assert!(in_order, "rows are found by name");
}

/// The text of every source file below `folder`, but for tests and the table itself.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            sources(&path, text);
        } else if !name.ends_with("tests") && name != "documented" && name != "irql_calls" {
            *text += &fs::read_to_string(&path).expect("a source");
        }
    }
}

/// A row that nobody asks for is a rule that is not checked: each name stands in a call of
/// `irql::require` or of what leads there, itself or another name of the same routine.
#[test]
fn every_maximum_is_asked_for() {
    let mut text = String::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut text,
    );
    // What stands in quotes: every name, apart from where a table binds it, and what it is bound to there.
    let (mut written, mut bound) = (HashSet::<&str>::new(), HashMap::<&str, &str>::new());
    let mut parts = text.split('"').peekable();
    while let Some(part) = parts.next() {
        match parts.peek().and_then(|behind| behind.strip_prefix(" => ")) {
            Some(target) => {
                let end = target.find([',', '\n']).unwrap_or(target.len());
                bound.entry(part).or_insert(&target[..end]);
            }
            None => {
                written.insert(part);
            }
        }
    }
    let asks = |name: &str| written.contains(name);
    let target = |name: &str| *bound.get(name).expect("it is in a table");
    let asking: HashSet<&str> = routines().filter(|name| asks(name)).map(target).collect();
    for row in documented::ALL {
        if row.maximum == irql::HIGH_LEVEL {
            continue;
        }
        let elsewhere = ELSEWHERE.iter().any(|(name, _)| *name == row.name);
        assert!(
            elsewhere || asking.contains(target(row.name)),
            "{} asks for no level",
            row.name
        );
    }
}

#[test]
fn maxima_are_those_of_the_pages() {
    let of = |name| documented::of(name).map(|row| row.maximum);
    for name in [
        "ExConvertExclusiveToSharedLite",
        "IoBuildAsynchronousFsdRequest",
        "IoBuildDeviceIoControlRequest",
        "IoBuildSynchronousFsdRequest",
        "IoCreateStreamFileObjectLite",
        "IoRegisterFileSystem",
        "IoRegisterFsRegistrationChange",
        "IoRegisterFsRegistrationChangeMountAware",
        "IoUnregisterFileSystem",
        "IoUnregisterFsRegistrationChange",
        "KeExpandKernelStackAndCallout",
        "ObOpenObjectByPointer",
        "ObQueryNameString",
        "PsLookupProcessByProcessId",
        "PsLookupThreadByThreadId",
        "RtlDowncaseUnicodeString",
        "RtlFreeUnicodeString",
        "RtlHashUnicodeString",
        "RtlUpcaseUnicodeString",
    ] {
        assert_eq!(of(name), Some(APC_LEVEL), "{name}");
    }
    assert_eq!(of("IoCreateStreamFileObject"), Some(DISPATCH_LEVEL));
    assert_eq!(of("KeFlushQueuedDpcs"), Some(PASSIVE_LEVEL));
    assert_eq!(of("memcpy"), None);
}

/// The rules that a call of `name` with `arguments` at `level` breaks.
fn called_at<R>(level: u8, name: &str, call: impl Fn(usize) -> R) -> Vec<&'static str> {
    crate::processor::thread::current();
    let address = resolve("ntoskrnl.exe", name).expect(name);
    let (_, found) = capture(|| {
        let _level = irql::raised_to(level);
        call(address)
    });
    found.iter().map(|found| found.rule.name).collect()
}

#[test]
fn a_call_is_reported_above_the_level_of_its_page_alone() {
    let hash = |address: usize| {
        let mut name = [u16::from(b'a')];
        let string = UNICODE_STRING {
            Length: 2,
            MaximumLength: 2,
            Buffer: name.as_mut_ptr(),
        };
        let mut value = 0_u32;
        type Hash = unsafe extern "win64" fn(*const UNICODE_STRING, u8, u32, *mut u32) -> i32;
        // SAFETY: the address is of RtlHashUnicodeString, which has this type.
        let hash = unsafe { std::mem::transmute::<usize, Hash>(address) };
        // SAFETY: both point to variables of this call.
        unsafe { hash(&raw const string, 1, 0, &raw mut value) }
    };
    assert!(called_at(APC_LEVEL, "RtlHashUnicodeString", hash).is_empty());
    assert_eq!(
        called_at(DISPATCH_LEVEL, "RtlHashUnicodeString", hash),
        ["IrqlTooHigh"]
    );
    let version = |address: usize| {
        type Version = unsafe extern "win64" fn(usize, usize, usize, usize) -> u8;
        // SAFETY: the address is of PsGetVersion, which has this type.
        let version = unsafe { std::mem::transmute::<usize, Version>(address) };
        // SAFETY: each pointer may be null.
        unsafe { version(0, 0, 0, 0) }
    };
    assert!(called_at(PASSIVE_LEVEL, "PsGetVersion", version).is_empty());
    assert_eq!(
        called_at(APC_LEVEL, "PsGetVersion", version),
        ["IrqlTooHigh"]
    );
}
