/*
 * A filter that notes what passes: an entry of a lookaside list for each request, with the name of
 * its file, filled in when the request comes back, and a log that a thread of its own writes out.
 *
 * KEEPS_ITS_ENTRIES: does not give entries back.
 * NAMES_AT_DISPATCH: asks for a name under a spin lock.
 * LOCKS_TWICE: takes the lock of the log under itself.
 * DELETES_THE_LIST_TWICE: gives the lookaside list back once too often.
 */
#include "filter.h"

static IO_COMPLETION_ROUTINE Completed;
static KSTART_ROUTINE WriteOut;

#define NAME_UNITS 64

/* GCC takes an offset in the processor block for an address. */
#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Warray-bounds"
#endif

/* Of Windows 8; not in every set of headers. */
#ifndef POOL_NX_ALLOCATION
#define POOL_NX_ALLOCATION 512
#endif

/* What is noted of a request. */
typedef struct _ENTRY {
    LIST_ENTRY Link;
    UCHAR Major;
    NTSTATUS Status;
    ULONG_PTR Information;
    LARGE_INTEGER Begun;
    USHORT NameLength;
    WCHAR Name[NAME_UNITS];
} ENTRY, *PENTRY;

static NPAGED_LOOKASIDE_LIST Entries;
static LIST_ENTRY Log;
static KSPIN_LOCK LogLock;
/* How many are in the log, and how many were written out. */
static volatile LONG Waiting;
static LONG Written;
static KEVENT More;
static volatile BOOLEAN Ends;
static PVOID Writer;

/* Takes the oldest entry out of the log, if there is one. */
static PENTRY TakeOldest(VOID)
{
    PENTRY entry = NULL;
    KIRQL level;

    KeAcquireSpinLock(&LogLock, &level);
    if (!IsListEmpty(&Log)) {
        entry = CONTAINING_RECORD(RemoveHeadList(&Log), ENTRY, Link);
    }
    KeReleaseSpinLock(&LogLock, level);
    return entry;
}

/* The thread that writes the log: here, it counts. */
static VOID NTAPI WriteOut(PVOID Context)
{
    PENTRY entry;

    UNREFERENCED_PARAMETER(Context);
    do {
        KeWaitForSingleObject(&More, Executive, KernelMode, FALSE, NULL);
        while ((entry = TakeOldest()) != NULL) {
            Written++;
            InterlockedDecrement(&Waiting);
#ifndef KEEPS_ITS_ENTRIES
            ExFreeToNPagedLookasideList(&Entries, entry);
#endif
        }
    } while (!Ends);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

#define YEAR_2020 132223104000000000LL

/* What the headers read for themselves, of the processor block and of the page that programs share, is what the
 * routines say. */
static BOOLEAN HeadersAgree(VOID)
{
    LARGE_INTEGER ticks;
    LARGE_INTEGER system;
    ULONG64 interrupt = KeQueryInterruptTime();

    KeQueryTickCount(&ticks);
    KeQuerySystemTime(&system);
    return ticks.QuadPart > 0 && interrupt > 0 && interrupt <= KeQueryInterruptTime()
        && system.QuadPart > YEAR_2020
        && IoThreadToProcess((PETHREAD)KeGetCurrentThread()) == IoGetCurrentProcess();
}

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    HANDLE handle;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Driver);
    if (!HeadersAgree()) {
        DbgPrint("monitor: what the headers read is not what the routines say\n");
        return STATUS_UNSUCCESSFUL;
    }
    ExInitializeNPagedLookasideList(&Entries, NULL, NULL, POOL_NX_ALLOCATION, sizeof(ENTRY), FILTER_TAG, 0);
    InitializeListHead(&Log);
    KeInitializeSpinLock(&LogLock);
    KeInitializeEvent(&More, SynchronizationEvent, FALSE);
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, WriteOut, NULL);
    if (!NT_SUCCESS(status)) {
        ExDeleteNPagedLookasideList(&Entries);
        return status;
    }
    ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &Writer, NULL);
    ZwClose(handle);
    return STATUS_SUCCESS;
}

/* After the last request: the thread writes what there is, and ends. */
VOID FilterStop(VOID)
{
    Ends = TRUE;
    KeSetEvent(&More, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Writer, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Writer);
    ExDeleteNPagedLookasideList(&Entries);
#ifdef DELETES_THE_LIST_TWICE
    ExDeleteNPagedLookasideList(&Entries);
#endif
    DbgPrint("monitor: %ld entries written, %ld left\n", Written, Waiting);
}

/* Puts an entry into the log; the lock is held for two pointers. */
static DECLSPEC_NOINLINE VOID Append(PENTRY Entry)
{
    KIRQL level;

    KeAcquireSpinLock(&LogLock, &level);
#ifdef LOCKS_TWICE
    KeAcquireSpinLockAtDpcLevel(&LogLock);
#endif
    InsertTailList(&Log, &Entry->Link);
#ifdef LOCKS_TWICE
    KeReleaseSpinLockFromDpcLevel(&LogLock);
#endif
    KeReleaseSpinLock(&LogLock, level);
    InterlockedIncrement(&Waiting);
    KeSetEvent(&More, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS NTAPI Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    PENTRY entry = Context;

    UNREFERENCED_PARAMETER(Device);
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    entry->Status = Irp->IoStatus.Status;
    entry->Information = Irp->IoStatus.Information;
    Append(entry);
    FilterLeave();
    return STATUS_SUCCESS;
}

/* The name as the open gives it: later, it is the file system's alone. */
static DECLSPEC_NOINLINE VOID NoteName(PENTRY Entry, PFILE_OBJECT File)
{
#ifdef NAMES_AT_DISPATCH
    OBJECT_NAME_INFORMATION *information;
    KIRQL level;

    KeAcquireSpinLock(&LogLock, &level);
    if (NT_SUCCESS(IoQueryFileDosDeviceName(File, &information))) {
        ExFreePool(information);
    }
    KeReleaseSpinLock(&LogLock, level);
#endif
    Entry->NameLength = min(File->FileName.Length, sizeof(Entry->Name));
    RtlCopyMemory(Entry->Name, File->FileName.Buffer, Entry->NameLength);
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    PATTACHMENT attachment = Device->DeviceExtension;
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    PENTRY entry;

    if (!FilterEnter()) {
        return FilterSkip(Device, Irp);
    }
    /* What there is no memory for is not noted. */
    entry = ExAllocateFromNPagedLookasideList(&Entries);
    if (entry == NULL) {
        FilterLeave();
        return FilterSkip(Device, Irp);
    }
    RtlZeroMemory(entry, sizeof(*entry));
    entry->Major = location->MajorFunction;
    entry->Begun = KeQueryPerformanceCounter(NULL);
    if (location->MajorFunction == IRP_MJ_CREATE && location->FileObject->FileName.Length != 0) {
        NoteName(entry, location->FileObject);
    }
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, Completed, entry, TRUE, TRUE, TRUE);
    return IoCallDriver(attachment->Lower, Irp);
}
