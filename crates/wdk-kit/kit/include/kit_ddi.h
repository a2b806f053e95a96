/*
 * What today's WDK declares and mingw-w64's kernel headers do not.
 *
 * Written from the public reference of the device driver interface; each part
 * names its page below https://learn.microsoft.com/windows-hardware/drivers/ddi,
 * or below /windows/win32/api where it says so.
 */
#pragma once

/* wdm/nf-wdm-exallocatepool2 */
typedef ULONG64 POOL_FLAGS;

NTKERNELAPI
PVOID
NTAPI
ExAllocatePool2(
    POOL_FLAGS Flags,
    SIZE_T NumberOfBytes,
    ULONG Tag);

/* wdm/nf-wdm-kegetcurrentirql */
NTKERNELAPI
KIRQL
NTAPI
KeGetCurrentIrql(VOID);

/* wdm/nf-wdm-kequerysystemtimeprecise */
NTKERNELAPI
VOID
NTAPI
KeQuerySystemTimePrecise(PLARGE_INTEGER CurrentTime);

/* win32: evntprov/ne-evntprov-event_info_class */
typedef enum _EVENT_INFO_CLASS {
    EventProviderBinaryTrackInfo,
    EventProviderSetReserved1,
    EventProviderSetTraits,
    EventProviderUseDescriptorType,
    MaxEventInfo
} EVENT_INFO_CLASS;

/* wdm/nf-wdm-etwsetinformation */
NTKERNELAPI
NTSTATUS
NTAPI
EtwSetInformation(
    REGHANDLE RegHandle,
    EVENT_INFO_CLASS InformationClass,
    PVOID EventInformation,
    ULONG InformationLength);

/* ntifs/ns-ntifs-_fs_filter_section_sync_output */
typedef struct _FS_FILTER_SECTION_SYNC_OUTPUT {
    ULONG StructureSize;
    ULONG SizeReturned;
    ULONG Flags;
    ULONG DesiredReadAlignment;
} FS_FILTER_SECTION_SYNC_OUTPUT, *PFS_FILTER_SECTION_SYNC_OUTPUT;

/* ntifs/ns-ntifs-_fs_filter_parameters */
typedef union _FS_FILTER_PARAMETERS {
    struct {
        PLARGE_INTEGER EndingOffset;
        PERESOURCE *ResourceToRelease;
    } AcquireForModifiedPageWriter;
    struct {
        PERESOURCE ResourceToRelease;
    } ReleaseForModifiedPageWriter;
    struct {
        FS_FILTER_SECTION_SYNC_TYPE SyncType;
        ULONG PageProtection;
        PFS_FILTER_SECTION_SYNC_OUTPUT OutputInformation;
        ULONG Flags;
        ULONG AllocationAttributes;
    } AcquireForSectionSynchronization;
    struct {
        PIRP Irp;
        PVOID FileInformation;
        PULONG Length;
        FILE_INFORMATION_CLASS FileInformationClass;
        NTSTATUS CompletionStatus;
    } QueryOpen;
    struct {
        PVOID Argument1;
        PVOID Argument2;
        PVOID Argument3;
        PVOID Argument4;
        PVOID Argument5;
    } Others;
} FS_FILTER_PARAMETERS, *PFS_FILTER_PARAMETERS;

/* ntifs/ns-ntifs-_fs_filter_callback_data */
typedef struct _FS_FILTER_CALLBACK_DATA {
    ULONG SizeOfFsFilterCallbackData;
    UCHAR Operation;
    UCHAR Reserved;
    struct _DEVICE_OBJECT *DeviceObject;
    struct _FILE_OBJECT *FileObject;
    FS_FILTER_PARAMETERS Parameters;
} FS_FILTER_CALLBACK_DATA, *PFS_FILTER_CALLBACK_DATA;

typedef NTSTATUS
(NTAPI *PFS_FILTER_CALLBACK)(
    PFS_FILTER_CALLBACK_DATA Data,
    PVOID *CompletionContext);

typedef VOID
(NTAPI *PFS_FILTER_COMPLETION_CALLBACK)(
    PFS_FILTER_CALLBACK_DATA Data,
    NTSTATUS OperationStatus,
    PVOID CompletionContext);

/* ntifs/ns-ntifs-_fs_filter_callbacks */
typedef struct _FS_FILTER_CALLBACKS {
    ULONG SizeOfFsFilterCallbacks;
    ULONG Reserved;
    PFS_FILTER_CALLBACK PreAcquireForSectionSynchronization;
    PFS_FILTER_COMPLETION_CALLBACK PostAcquireForSectionSynchronization;
    PFS_FILTER_CALLBACK PreReleaseForSectionSynchronization;
    PFS_FILTER_COMPLETION_CALLBACK PostReleaseForSectionSynchronization;
    PFS_FILTER_CALLBACK PreAcquireForCcFlush;
    PFS_FILTER_COMPLETION_CALLBACK PostAcquireForCcFlush;
    PFS_FILTER_CALLBACK PreReleaseForCcFlush;
    PFS_FILTER_COMPLETION_CALLBACK PostReleaseForCcFlush;
    PFS_FILTER_CALLBACK PreAcquireForModifiedPageWriter;
    PFS_FILTER_COMPLETION_CALLBACK PostAcquireForModifiedPageWriter;
    PFS_FILTER_CALLBACK PreReleaseForModifiedPageWriter;
    PFS_FILTER_COMPLETION_CALLBACK PostReleaseForModifiedPageWriter;
    PFS_FILTER_CALLBACK PreQueryOpen;
    PFS_FILTER_COMPLETION_CALLBACK PostQueryOpen;
} FS_FILTER_CALLBACKS, *PFS_FILTER_CALLBACKS;

/* ntifs/nf-ntifs-fsrtlregisterfilesystemfiltercallbacks */
NTKERNELAPI
NTSTATUS
NTAPI
FsRtlRegisterFileSystemFilterCallbacks(
    struct _DRIVER_OBJECT *FilterDriverObject,
    PFS_FILTER_CALLBACKS Callbacks);

/* wdm/ne-wdm-driver_regkey_type */
typedef enum _DRIVER_REGKEY_TYPE {
    DriverRegKeyParameters,
    DriverRegKeyPersistentState,
    DriverRegKeySharedPersistentState
} DRIVER_REGKEY_TYPE, *PDRIVER_REGKEY_TYPE;

/* wdm/nf-wdm-ioopendriverregistrykey */
NTKERNELAPI
NTSTATUS
NTAPI
IoOpenDriverRegistryKey(
    struct _DRIVER_OBJECT *DriverObject,
    DRIVER_REGKEY_TYPE RegKeyType,
    ACCESS_MASK DesiredAccess,
    ULONG Flags,
    PHANDLE DriverRegKey);
