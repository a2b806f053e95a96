//! The highest IRQL at which a routine may be called: the compliance rules that
//! name the routines one by one. Routines that none of them names are reported
//! under [`IRQL_TOO_HIGH`](super::IRQL_TOO_HIGH).

use super::rule::Proof::BadDriver;
use super::rule::{Rule, rules};

/// How all of them are detected.
const DETECTED_BY: &str = "the IRQL at the call of the routine";

rules! { Irql;
    IO_PASSIVE_1 = {
        name: "IrqlIoPassive1",
        code: "0xC4/2000A",
        checks: "IoAttachDevice above PASSIVE_LEVEL, IoBuildDeviceIoControlRequest or IoCreateDevice above APC_LEVEL, as their pages have it",
        source: "devtest/wdm-irqliopassive1",
        detected_by: DETECTED_BY,
        should: "call the routine at or below the IRQL that its page gives",
        proof: BadDriver("irql-io-passive-1"),
    };
    IO_PASSIVE_3 = {
        name: "IrqlIoPassive3",
        code: "0xC4/2000C",
        checks: "IoCreateSymbolicLink or IoDetachDevice above PASSIVE_LEVEL",
        source: "devtest/wdm-irqliopassive3",
        detected_by: DETECTED_BY,
        should: "call the routine at or below PASSIVE_LEVEL",
        proof: BadDriver("irql-io-passive-3"),
    };
    IO_PASSIVE_4 = {
        name: "IrqlIoPassive4",
        code: "0xC4/2000D",
        checks: "IoCreateFile or IoDeleteSymbolicLink above PASSIVE_LEVEL",
        source: "devtest/wdm-irqliopassive4",
        detected_by: DETECTED_BY,
        should: "call the routine at or below PASSIVE_LEVEL",
        proof: BadDriver("irql-io-passive-4"),
    };
    IO_PASSIVE_5 = {
        name: "IrqlIoPassive5",
        code: "0xC4/2000E",
        checks: "IoGetDeviceObjectPointer or a registration for shutdown or reinitialization above PASSIVE_LEVEL",
        source: "devtest/wdm-irqliopassive5",
        detected_by: DETECTED_BY,
        should: "call the routine at or below PASSIVE_LEVEL",
        proof: BadDriver("irql-io-passive-5"),
    };
    IO_APC_LTE = {
        name: "IrqlIoApcLte",
        code: "0xC4/20009",
        checks: "IoDeleteDevice above APC_LEVEL",
        source: "devtest/wdm-irqlioapclte",
        detected_by: DETECTED_BY,
        should: "call the routine at or below APC_LEVEL",
        proof: BadDriver("irql-io-apc-lte"),
    };
    KE_DISPATCH_LTE = {
        name: "IrqlKeDispatchLte",
        code: "0xC4/20011",
        checks: "A spin lock, timer, mutex or event routine above DISPATCH_LEVEL",
        source: "devtest/wdm-irqlkedispatchlte",
        detected_by: DETECTED_BY,
        should: "call the routine at or below DISPATCH_LEVEL",
        proof: BadDriver("irql-ke-dispatch-lte"),
    };
    KE_SET_EVENT = {
        name: "IrqlKeSetEvent",
        code: "0xC4/20016",
        checks: "KeSetEvent above DISPATCH_LEVEL, or above APC_LEVEL when a wait is to follow",
        source: "devtest/wdm-irqlkesetevent",
        detected_by: DETECTED_BY,
        should: "call the routine at or below DISPATCH_LEVEL",
        proof: BadDriver("irql-ke-set-event"),
    };
    EX_APC_LTE_1 = {
        name: "IrqlExApcLte1",
        code: "0xC4/20005",
        checks: "ExAcquireFastMutex or ExTryToAcquireFastMutex above APC_LEVEL",
        source: "devtest/wdm-irqlexapclte1",
        detected_by: DETECTED_BY,
        should: "call the routine at or below APC_LEVEL",
        proof: BadDriver("irql-ex-apc-lte-1"),
    };
    EX_APC_LTE_2 = {
        name: "IrqlExApcLte2",
        code: "0xC4/20006",
        checks: "ProbeForRead, ProbeForWrite or a routine of paged lookaside lists above APC_LEVEL",
        source: "devtest/wdm-irqlexapclte2",
        detected_by: DETECTED_BY,
        should: "call the routine at or below APC_LEVEL",
        proof: BadDriver("irql-ex-apc-lte-2"),
    };
    EX_APC_LTE_3 = {
        name: "IrqlExApcLte3",
        code: "0xC4/20007",
        checks: "A resource is acquired, converted or deleted above APC_LEVEL",
        source: "devtest/wdm-irqlexapclte3",
        detected_by: DETECTED_BY,
        should: "call the routine at or below APC_LEVEL",
        proof: BadDriver("irql-ex-apc-lte-3"),
    };
    ZW_PASSIVE = {
        name: "IrqlZwPassive",
        code: "0xC4/2001F",
        checks: "ZwClose or a registry routine above PASSIVE_LEVEL",
        source: "devtest/wdm-irqlzwpassive",
        detected_by: DETECTED_BY,
        should: "call the routine at or below PASSIVE_LEVEL",
        proof: BadDriver("irql-zw-passive"),
    };
    OB_PASSIVE = {
        name: "IrqlObPassive",
        code: "0xC4/2001B",
        checks: "ObReferenceObjectByHandle above PASSIVE_LEVEL",
        source: "devtest/wdm-irqlobpassive",
        detected_by: DETECTED_BY,
        should: "call the routine at or below PASSIVE_LEVEL",
        proof: BadDriver("irql-ob-passive"),
    };
    IO_PASSIVE_2 = {
        name: "IrqlIoPassive2",
        code: "0xC4/2000B",
        checks: "IoCheckShareAccess, IoConnectInterrupt or IoCreateController above PASSIVE_LEVEL",
        source: "devtest/wdm-irqliopassive2",
        detected_by: DETECTED_BY,
        should: "call the routine at PASSIVE_LEVEL",
        proof: BadDriver("irql-io-passive-2"),
    };
}

/// The routines of each rule, as far as the box exports them.
static CALLS: &[(&Rule, &[&str])] = &[
    (
        &IO_PASSIVE_1,
        &[
            "IoAttachDevice",
            "IoBuildDeviceIoControlRequest",
            "IoCreateDevice",
        ],
    ),
    (&IO_PASSIVE_2, &["IoCheckShareAccess"]),
    (&IO_PASSIVE_3, &["IoCreateSymbolicLink", "IoDetachDevice"]),
    (&IO_PASSIVE_4, &["IoCreateFile", "IoDeleteSymbolicLink"]),
    (
        &IO_PASSIVE_5,
        &[
            "IoGetDeviceObjectPointer",
            "IoInitializeTimer",
            "IoRegisterDriverReinitialization",
            "IoRegisterShutdownNotification",
            "IoUnregisterShutdownNotification",
        ],
    ),
    (&IO_APC_LTE, &["IoDeleteDevice"]),
    (
        &KE_DISPATCH_LTE,
        &[
            "KeAcquireSpinLockRaiseToDpc",
            "KeCancelTimer",
            "KeClearEvent",
            "KePulseEvent",
            "KeReleaseMutex",
            "KeResetEvent",
            "KeSetTimer",
            "KeSetTimerEx",
        ],
    ),
    (&KE_SET_EVENT, &["KeSetEvent"]),
    (
        &EX_APC_LTE_1,
        &["ExAcquireFastMutex", "ExTryToAcquireFastMutex"],
    ),
    (
        &EX_APC_LTE_2,
        &[
            "ExDeletePagedLookasideList",
            "ExInitializePagedLookasideList",
            "ProbeForRead",
            "ProbeForWrite",
        ],
    ),
    (
        &EX_APC_LTE_3,
        &[
            "ExAcquireResourceExclusiveLite",
            "ExAcquireResourceSharedLite",
            "ExAcquireSharedStarveExclusive",
            "ExAcquireSharedWaitForExclusive",
            "ExConvertExclusiveToSharedLite",
            "ExDeleteResourceLite",
        ],
    ),
    (
        &ZW_PASSIVE,
        &[
            "IoOpenDriverRegistryKey",
            "ZwClose",
            "ZwCreateKey",
            "ZwDeleteKey",
            "ZwEnumerateKey",
            "ZwEnumerateValueKey",
            "ZwFlushKey",
            "ZwOpenKey",
            "ZwQueryKey",
            "ZwQueryValueKey",
            "ZwSetValueKey",
        ],
    ),
    (&OB_PASSIVE, &["ObReferenceObjectByHandle"]),
];

/// The rule that gives the highest IRQL of the routine `ddi`.
pub fn of_call(ddi: &str) -> &'static Rule {
    let named = CALLS.iter().find(|(_, names)| names.contains(&ddi));
    named.map_or(&super::IRQL_TOO_HIGH, |(rule, _)| rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports;
    use crate::nt::DISPATCH_LEVEL;
    use crate::processor::irql;
    use crate::verifier::capture;
    use std::collections::HashSet;

    #[test]
    fn each_routine_has_one_rule_and_is_exported() {
        let mut seen = HashSet::new();
        for name in CALLS.iter().flat_map(|(_, names)| *names) {
            assert!(seen.insert(name), "{name}");
            // KeAcquireSpinLock is a macro for another routine on x64.
            let bound = exports::resolve("ntoskrnl.exe", name).is_some();
            assert!(
                bound || *name == "KeAcquireSpinLockRaiseToDpc",
                "{name} is not exported"
            );
        }
        assert_eq!(of_call("IoDeleteDevice").name, "IrqlIoApcLte");
        assert_eq!(of_call("RtlGetVersion").name, "IrqlTooHigh");
    }

    #[test]
    fn a_call_above_dispatch_level_is_reported_by_its_rule() {
        let (fine, found) = capture(|| {
            let _level = irql::raised_to(DISPATCH_LEVEL + 1);
            irql::require("KeResetEvent", 0)
        });
        assert!(!fine);
        assert_eq!(found[0].rule.name, "IrqlKeDispatchLte");
    }
}
