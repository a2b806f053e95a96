/*
 * A filter that asks the file system itself: for the size of a file that was opened, with a request
 * that it allocates and waits for; for a block of a file that is read without the cache, with one
 * that is built for a routine that frees it; and that has a volume flushed, with one that is built
 * with an event. An open that it does not like afterwards, it cancels. Requests pass through.
 *
 * FREES_A_THREADED_REQUEST: frees a request that the I/O manager frees.
 * LETS_COMPLETION_GO_ON: its routine does not stop the completion of a request of its own.
 * KEEPS_THE_PAGES: frees a request whose buffer is locked, and nothing else of it.
 * KEEPS_THE_LIST: unlocks the buffer then, and does not free its list.
 * LOCKED_TO_THE_END: frees the list of pages that are locked.
 * CANCELS_TOO_LATE: cancels an open that has a handle.
 */
#include "filter.h"

static IO_COMPLETION_ROUTINE Stopped;
static IO_COMPLETION_ROUTINE ReadAhead;

/* What nobody is to open. */
static const UNICODE_STRING Unwanted = RTL_CONSTANT_STRING(L"*\\UNWANTED");

static volatile LONG Sizes;
static volatile LONG Blocks;
static volatile LONG Flushes;

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    return STATUS_SUCCESS;
}

VOID FilterStop(VOID)
{
    DbgPrint("own_requests: %ld sizes, %ld blocks, %ld flushes\n", Sizes, Blocks, Flushes);
}

/* The request is this driver's again: who has sent it goes on. */
static NTSTATUS NTAPI Stopped(PDEVICE_OBJECT Device, PIRP Irp, PVOID Event)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Event, IO_NO_INCREMENT, FALSE);
#ifdef LETS_COMPLETION_GO_ON
    return STATUS_SUCCESS;
#else
    return STATUS_MORE_PROCESSING_REQUIRED;
#endif
}

/* How large a file is, asked below this filter. */
static NTSTATUS QuerySize(PDEVICE_OBJECT Lower, PFILE_OBJECT File, PLARGE_INTEGER Size)
{
    FILE_STANDARD_INFORMATION *information;
    PIO_STACK_LOCATION location;
    NTSTATUS status;
    KEVENT event;
    PIRP irp;

    information = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*information), FILTER_TAG);
    if (information == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    irp = IoAllocateIrp(Lower->StackSize, FALSE);
    if (irp == NULL) {
        ExFreePoolWithTag(information, FILTER_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp->AssociatedIrp.SystemBuffer = information;
    irp->Flags = IRP_SYNCHRONOUS_API;
    irp->RequestorMode = KernelMode;
    irp->Tail.Overlay.OriginalFileObject = File;
    location = IoGetNextIrpStackLocation(irp);
    location->MajorFunction = IRP_MJ_QUERY_INFORMATION;
    location->FileObject = File;
    location->Parameters.QueryFile.Length = sizeof(*information);
    location->Parameters.QueryFile.FileInformationClass = FileStandardInformation;
    IoSetCompletionRoutine(irp, Stopped, &event, TRUE, TRUE, TRUE);
    IoCallDriver(Lower, irp);
    /* Set by the routine, whether the request was pended or not. */
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    status = irp->IoStatus.Status;
    *Size = information->EndOfFile;
    IoFreeIrp(irp);
    ExFreePoolWithTag(information, FILTER_TAG);
    return status;
}

/* Goes on where the file system is done: with the request goes all that was made for it. */
static NTSTATUS NTAPI ReadAhead(PDEVICE_OBJECT Device, PIRP Irp, PVOID Buffer)
{
    PFILE_OBJECT file = Irp->Tail.Overlay.OriginalFileObject;
    PMDL list = Irp->MdlAddress;

    UNREFERENCED_PARAMETER(Device);
#ifdef KEEPS_THE_PAGES
    list = NULL;
#endif
    while (list != NULL) {
        PMDL next = list->Next;
#ifndef LOCKED_TO_THE_END
        MmUnlockPages(list);
#endif
#ifndef KEEPS_THE_LIST
        IoFreeMdl(list);
#endif
        list = next;
    }
    Irp->MdlAddress = NULL;
    if (NT_SUCCESS(Irp->IoStatus.Status)) {
        InterlockedIncrement(&Blocks);
    }
    IoFreeIrp(Irp);
    ExFreePoolWithTag(Buffer, FILTER_TAG);
    ObDereferenceObject(file);
    FilterLeave();
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* Reads the block that is asked for once more, and does not wait for it. */
static DECLSPEC_NOINLINE VOID ReadTwice(PDEVICE_OBJECT Lower, PFILE_OBJECT File, LARGE_INTEGER Offset, ULONG Length)
{
    PIO_STACK_LOCATION location;
    PVOID buffer;
    PIRP irp;

    if (!FilterEnter()) {
        return;
    }
    buffer = ExAllocatePoolWithTag(NonPagedPoolNx, Length, FILTER_TAG);
    irp = buffer == NULL ? NULL : IoBuildAsynchronousFsdRequest(IRP_MJ_READ, Lower, buffer, Length, &Offset, NULL);
    if (irp == NULL) {
        if (buffer != NULL) {
            ExFreePoolWithTag(buffer, FILTER_TAG);
        }
        FilterLeave();
        return;
    }
    ObReferenceObject(File);
    irp->Flags |= IRP_NOCACHE;
    irp->Tail.Overlay.OriginalFileObject = File;
    location = IoGetNextIrpStackLocation(irp);
    location->FileObject = File;
    IoSetCompletionRoutine(irp, ReadAhead, buffer, TRUE, TRUE, TRUE);
    IoCallDriver(Lower, irp);
}

/* Has what was written come to the disk, in the name of a file. */
static DECLSPEC_NOINLINE VOID Flush(PDEVICE_OBJECT Lower, PFILE_OBJECT File)
{
    IO_STATUS_BLOCK block;
    KEVENT event;
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(IRP_MJ_FLUSH_BUFFERS, Lower, NULL, 0, NULL, &event, &block);
    if (irp == NULL) {
        return;
    }
    IoGetNextIrpStackLocation(irp)->FileObject = File;
#ifdef FREES_A_THREADED_REQUEST
    IoFreeIrp(irp);
#else
    if (IoCallDriver(Lower, irp) == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    }
    InterlockedIncrement(&Flushes);
#endif
}

/* An open is looked at when the file system has done it. */
static NTSTATUS Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PDEVICE_OBJECT lower = ((PATTACHMENT)Device->DeviceExtension)->Lower;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    BOOLEAN unwanted;
    LARGE_INTEGER size;
    NTSTATUS status;

    /* The name is the file system's when the open has come back. */
    unwanted = file->FileName.Length != 0
        && FsRtlIsNameInExpression((PUNICODE_STRING)&Unwanted, &file->FileName, TRUE, NULL);
    if (!IoForwardIrpSynchronously(lower, Irp)) {
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(lower, Irp);
    }
    status = Irp->IoStatus.Status;
    if (NT_SUCCESS(status) && status != STATUS_REPARSE) {
        if (unwanted) {
            IoCancelFileOpen(lower, file);
            status = STATUS_ACCESS_DENIED;
            Irp->IoStatus.Status = status;
            Irp->IoStatus.Information = 0;
        } else if (file->FileName.Length != 0 && NT_SUCCESS(QuerySize(lower, file, &size))) {
            InterlockedIncrement(&Sizes);
        }
    }
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    PDEVICE_OBJECT lower = ((PATTACHMENT)Device->DeviceExtension)->Lower;

    switch (location->MajorFunction) {
    case IRP_MJ_CREATE:
        return Create(Device, Irp);
    case IRP_MJ_READ:
        if ((Irp->Flags & (IRP_NOCACHE | IRP_PAGING_IO)) == IRP_NOCACHE && location->Parameters.Read.Length != 0
            && KeGetCurrentIrql() == PASSIVE_LEVEL) {
            ReadTwice(lower, location->FileObject, location->Parameters.Read.ByteOffset,
                      location->Parameters.Read.Length);
        }
        break;
    case IRP_MJ_CLEANUP:
#ifdef CANCELS_TOO_LATE
        if (location->FileObject->FileName.Length != 0) {
            IoCancelFileOpen(lower, location->FileObject);
        }
#endif
        if (location->FileObject->WriteAccess) {
            Flush(lower, location->FileObject);
        }
        break;
    default:
        break;
    }
    return FilterSkip(Device, Irp);
}
