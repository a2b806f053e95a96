/*
 * Attaching, mounting and unloading.
 *
 * The rules are those of docs/rules.md, kept by hand: A3 and A5 by `Attach`, A6 by `Mount`, A12 by
 * the rundown protection, which unloading waits for.
 */
#include "filter.h"

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;
DRIVER_DISPATCH Dispatch;
static VOID NTAPI FileSystemChanged(PDEVICE_OBJECT FileSystem, BOOLEAN Active);
static VOID NTAPI LowerDeviceGoes(PDEVICE_OBJECT Device, PDEVICE_OBJECT Lower);
static IO_COMPLETION_ROUTINE CameBack;
static BOOLEAN NTAPI Decline(PFILE_OBJECT File, PLARGE_INTEGER Offset, ULONG Length, BOOLEAN Wait,
                             ULONG Key, PVOID Buffer, PIO_STATUS_BLOCK Result, PDEVICE_OBJECT Device);

static PDRIVER_OBJECT OurDriver;
static FAST_MUTEX AttachLock;
static EX_RUNDOWN_REF UnderWay;

/*
 * What would be fast I/O comes as a request. Reads and writes are declined by a routine: the I/O manager calls
 * that for a cached file without looking whether there is one.
 */
static FAST_IO_DISPATCH FastIo = {
    .SizeOfFastIoDispatch = sizeof(FAST_IO_DISPATCH),
    .FastIoRead = Decline,
    .FastIoWrite = Decline,
    .FastIoDetachDevice = LowerDeviceGoes,
};

static BOOLEAN NTAPI Decline(PFILE_OBJECT File, PLARGE_INTEGER Offset, ULONG Length, BOOLEAN Wait,
                             ULONG Key, PVOID Buffer, PIO_STATUS_BLOCK Result, PDEVICE_OBJECT Device)
{
    UNREFERENCED_PARAMETER(File);
    UNREFERENCED_PARAMETER(Offset);
    UNREFERENCED_PARAMETER(Length);
    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(Key);
    UNREFERENCED_PARAMETER(Buffer);
    UNREFERENCED_PARAMETER(Result);
    UNREFERENCED_PARAMETER(Device);
    return FALSE;
}

BOOLEAN FilterEnter(VOID)
{
    return ExAcquireRundownProtection(&UnderWay);
}

VOID FilterLeave(VOID)
{
    ExReleaseRundownProtection(&UnderWay);
}

NTSTATUS FilterSkip(PDEVICE_OBJECT Device, PIRP Irp)
{
    PATTACHMENT attachment = Device->DeviceExtension;

    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(attachment->Lower, Irp);
}

static NTSTATUS NTAPI CameBack(PDEVICE_OBJECT Device, PIRP Irp, PVOID Event)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Event, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

NTSTATUS FilterForwardAndWait(PDEVICE_OBJECT Device, PIRP Irp)
{
    PATTACHMENT attachment = Device->DeviceExtension;
    KEVENT event;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, CameBack, &event, TRUE, TRUE, TRUE);
    if (IoCallDriver(attachment->Lower, Irp) == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    }
    return Irp->IoStatus.Status;
}

/* Whether a device of ours lies in the stack. */
static BOOLEAN IsAttached(PDEVICE_OBJECT Device)
{
    PDEVICE_OBJECT current = IoGetAttachedDeviceReference(Device);

    while (current != NULL && current->DriverObject != OurDriver) {
        PDEVICE_OBJECT lower = IoGetLowerDeviceObject(current);
        ObDereferenceObject(current);
        current = lower;
    }
    if (current == NULL) {
        return FALSE;
    }
    ObDereferenceObject(current);
    return TRUE;
}

/* Puts a device above another one, unless there is one already. */
static VOID Attach(PDEVICE_OBJECT Target)
{
    PDEVICE_OBJECT device = NULL;
    PATTACHMENT attachment;
    NTSTATUS status = STATUS_OBJECT_NAME_COLLISION;

    ExAcquireFastMutex(&AttachLock);
    if (!IsAttached(Target)) {
        status = IoCreateDevice(OurDriver, sizeof(ATTACHMENT), NULL, Target->DeviceType, 0, FALSE, &device);
    }
    if (NT_SUCCESS(status)) {
        attachment = device->DeviceExtension;
        device->Flags |= Target->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO | DO_SUPPORTS_TRANSACTIONS);
        device->Characteristics |= Target->Characteristics & FILE_DEVICE_SECURE_OPEN;
        status = IoAttachDeviceToDeviceStackSafe(device, Target, &attachment->Lower);
        if (NT_SUCCESS(status)) {
            device->Flags &= ~DO_DEVICE_INITIALIZING;
        } else {
            IoDeleteDevice(device);
        }
    }
    ExReleaseFastMutex(&AttachLock);
}

/* Above each volume that a file system has mounted. */
static VOID AttachToVolumes(PDEVICE_OBJECT FileSystem)
{
    PDRIVER_OBJECT driver = FileSystem->DriverObject;
    PDEVICE_OBJECT *devices;
    ULONG count = 0;
    ULONG room;
    ULONG index;

    IoEnumerateDeviceObjectList(driver, NULL, 0, &count);
    room = count + 8;
    devices = ExAllocatePoolWithTag(NonPagedPoolNx, room * sizeof(PDEVICE_OBJECT), FILTER_TAG);
    if (devices == NULL) {
        return;
    }
    if (NT_SUCCESS(IoEnumerateDeviceObjectList(driver, devices, room * sizeof(PDEVICE_OBJECT), &count))) {
        for (index = 0; index < count; index++) {
            PDEVICE_OBJECT disk = NULL;
            /* Only a mounted volume lies above a storage device. */
            if (devices[index] != FileSystem && NT_SUCCESS(IoGetDiskDeviceObject(devices[index], &disk))) {
                Attach(devices[index]);
                ObDereferenceObject(disk);
            }
            ObDereferenceObject(devices[index]);
        }
    }
    ExFreePoolWithTag(devices, FILTER_TAG);
}

/* The device below is deleted when this returns. */
static VOID NTAPI LowerDeviceGoes(PDEVICE_OBJECT Device, PDEVICE_OBJECT Lower)
{
    IoDetachDevice(Lower);
    IoDeleteDevice(Device);
}

static VOID NTAPI FileSystemChanged(PDEVICE_OBJECT FileSystem, BOOLEAN Active)
{
    UNICODE_STRING recognizer = RTL_CONSTANT_STRING(L"\\FileSystem\\Fs_Rec");
    PDEVICE_OBJECT device;

    if (RtlEqualUnicodeString(&FileSystem->DriverObject->DriverName, &recognizer, TRUE)) {
        return;
    }
    if (Active) {
        Attach(FileSystem);
        AttachToVolumes(FileSystem);
        return;
    }
    for (device = FileSystem->AttachedDevice; device != NULL; device = device->AttachedDevice) {
        if (device->DriverObject == OurDriver) {
            LowerDeviceGoes(device, FileSystem);
            return;
        }
    }
}

/* A volume is filtered from its first request on: the mount is waited for. */
static NTSTATUS Mount(PDEVICE_OBJECT Device, PIRP Irp)
{
    /* The file system may put another parameter block in the place of this one. */
    PDEVICE_OBJECT storage = IoGetCurrentIrpStackLocation(Irp)->Parameters.MountVolume.Vpb->RealDevice;
    NTSTATUS status = FilterForwardAndWait(Device, Irp);

    if (NT_SUCCESS(status) && storage->Vpb->DeviceObject != NULL) {
        Attach(storage->Vpb->DeviceObject);
    }
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);

    if (location->MajorFunction == IRP_MJ_FILE_SYSTEM_CONTROL && location->MinorFunction == IRP_MN_MOUNT_VOLUME) {
        return Mount(Device, Irp);
    }
    return FilterDispatch(Device, Irp);
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    PDEVICE_OBJECT device;
    LARGE_INTEGER moment;

    IoUnregisterFsRegistrationChange(Driver, FileSystemChanged);
    for (device = Driver->DeviceObject; device != NULL; device = device->NextDevice) {
        IoDetachDevice(((PATTACHMENT)device->DeviceExtension)->Lower);
    }
    ExWaitForRundownProtectionRelease(&UnderWay);
    /* A routine returns after it has given its count back, or has woken who gives it: what it runs until then is
     * here. IoSetCompletionRoutineEx would be waited for without a time. */
    moment.QuadPart = -100 * 10000;
    KeDelayExecutionThread(KernelMode, FALSE, &moment);
    while (Driver->DeviceObject != NULL) {
        IoDeleteDevice(Driver->DeviceObject);
    }
    FilterStop();
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;
    ULONG major;

    UNREFERENCED_PARAMETER(RegistryPath);
    OurDriver = Driver;
    ExInitializeFastMutex(&AttachLock);
    ExInitializeRundownProtection(&UnderWay);
    for (major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++) {
        Driver->MajorFunction[major] = Dispatch;
    }
    Driver->FastIoDispatch = &FastIo;
    Driver->DriverUnload = Unload;

    status = FilterStart(Driver);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoRegisterFsRegistrationChange(Driver, FileSystemChanged);
    if (!NT_SUCCESS(status)) {
        FilterStop();
    }
    return status;
}
