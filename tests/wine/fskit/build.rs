//! Link settings of the driver image: those of every WDM driver, and its exports.

/// What `src/exports` brings. Named one by one, because a driver exports nothing by itself: what
/// rustc would export is dropped by wdk-kit.
const EXPORTS: [&str; 32] = [
    "EtwRegister",
    "EtwSetInformation",
    "EtwUnregister",
    "EtwWriteTransfer",
    "ExAcquireRundownProtection",
    "ExAllocatePool2",
    "ExFreePoolWithTag",
    "ExInitializeRundownProtection",
    "ExReInitializeRundownProtection",
    "ExReleaseRundownProtection",
    "ExWaitForRundownProtectionRelease",
    "FsRtlRegisterFileSystemFilterCallbacks",
    "IoAcquireVpbSpinLock",
    "IoAllocateErrorLogEntry",
    "IoAttachDeviceToDeviceStackSafe",
    "IoEnumerateDeviceObjectList",
    "IoGetDeviceAttachmentBaseRef",
    "IoGetDeviceObjectPointer",
    "IoGetDiskDeviceObject",
    "IoGetLowerDeviceObject",
    "IoGetTopLevelIrp",
    "IoOpenDriverRegistryKey",
    "IoRegisterFsRegistrationChange",
    "IoRegisterFsRegistrationChangeMountAware",
    "IoReleaseVpbSpinLock",
    "IoSetCompletionRoutineEx",
    "IoUnregisterFsRegistrationChange",
    "IoWriteErrorLogEntry",
    "KeFlushQueuedDpcs",
    "KeGetCurrentIrql",
    "KeQuerySystemTimePrecise",
    // Under another name in the image, where Wine's routine is called by its own.
    "ObQueryNameString=fskit_query_name_string",
];

fn main() -> Result<(), wdk_build::ConfigError> {
    for name in EXPORTS {
        println!("cargo::rustc-link-arg-cdylib=/EXPORT:{name}");
    }
    wdk_build::configure_wdk_binary_build()
}
