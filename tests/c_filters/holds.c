/*
 * Holds some requests for a moment, in a queue of its own with a cancel routine, and has a worker send them down:
 * whoever takes the cancel routine out of a request has it, the worker or who cancels.
 *
 * LEAVES_IT_QUEUED: the cancel routine completes a request and leaves it in the queue.
 * FORGETS_TO_LOOK: a request that was cancelled before it had a cancel routine is queued.
 */
#include "filter.h"

static DRIVER_CANCEL Cancelled;
static IO_WORKITEM_ROUTINE SendOne;

static LIST_ENTRY Queue;
static KSPIN_LOCK QueueLock;

/* How many were queued, how many of these were cancelled there, and how many before. */
static volatile LONG Held;
static volatile LONG CancelledThere;
static volatile LONG CancelledBefore;

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    InitializeListHead(&Queue);
    KeInitializeSpinLock(&QueueLock);
    return STATUS_SUCCESS;
}

VOID FilterStop(VOID)
{
    DbgPrint("holds: %ld requests were held, %ld cancelled there, %ld before\n", Held, CancelledThere,
             CancelledBefore);
}

static VOID CompleteCancelled(PIRP Irp)
{
    Irp->IoStatus.Status = STATUS_CANCELLED;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    FilterLeave();
}

/* The request lies in the queue: it is put there under the lock under which the routine is set. */
static VOID NTAPI Cancelled(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL level;

    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&QueueLock, &level);
#ifndef LEAVES_IT_QUEUED
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
#endif
    KeReleaseSpinLock(&QueueLock, level);
    InterlockedIncrement(&CancelledThere);
    CompleteCancelled(Irp);
}

/* The first request whose cancel routine nobody has called, or NULL. */
static PIRP TakeFirst(VOID)
{
    PIRP found = NULL;
    PLIST_ENTRY entry;
    KIRQL level;

    KeAcquireSpinLock(&QueueLock, &level);
    for (entry = Queue.Flink; entry != &Queue && found == NULL; entry = entry->Flink) {
        PIRP irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);
        if (IoSetCancelRoutine(irp, NULL) != NULL) {
            found = irp;
        }
    }
    if (found != NULL) {
        RemoveEntryList(&found->Tail.Overlay.ListEntry);
    }
    KeReleaseSpinLock(&QueueLock, level);
    return found;
}

/* One is queued for each request: those that were cancelled leave it nothing to do. */
static VOID NTAPI SendOne(PDEVICE_OBJECT Device, PVOID Item)
{
    LARGE_INTEGER moment;
    PIRP irp;

    UNREFERENCED_PARAMETER(Device);
    moment.QuadPart = -10000;
    KeDelayExecutionThread(KernelMode, FALSE, &moment);
    IoFreeWorkItem(Item);
    irp = TakeFirst();
    if (irp != NULL) {
        (VOID)FilterSkip(IoGetCurrentIrpStackLocation(irp)->DeviceObject, irp);
        FilterLeave();
    }
    FilterLeave();
}

/* Not what the memory manager sends, nor what has its data in a program's memory, which a worker does not see. */
static BOOLEAN MayWait(PIRP Irp)
{
    UCHAR major = IoGetCurrentIrpStackLocation(Irp)->MajorFunction;

    if (KeGetCurrentIrql() != PASSIVE_LEVEL || (Irp->Flags & IRP_PAGING_IO)) {
        return FALSE;
    }
    return major == IRP_MJ_CREATE || major == IRP_MJ_QUERY_INFORMATION || major == IRP_MJ_SET_INFORMATION ||
           major == IRP_MJ_FLUSH_BUFFERS;
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_WORKITEM item = NULL;
    KIRQL level;

    if (!MayWait(Irp) || !FilterEnter()) {
        return FilterSkip(Device, Irp);
    }
    /* Once for the request, and once for the worker, which may find it gone. */
    if (FilterEnter()) {
        item = IoAllocateWorkItem(Device);
        if (item == NULL) {
            FilterLeave();
        }
    }
    if (item == NULL) {
        FilterLeave();
        return FilterSkip(Device, Irp);
    }
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&QueueLock, &level);
    IoSetCancelRoutine(Irp, Cancelled);
#ifndef FORGETS_TO_LOOK
    if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
        KeReleaseSpinLock(&QueueLock, level);
        InterlockedIncrement(&CancelledBefore);
        IoFreeWorkItem(item);
        CompleteCancelled(Irp);
        FilterLeave();
        return STATUS_PENDING;
    }
#endif
    InsertTailList(&Queue, &Irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&QueueLock, level);
    InterlockedIncrement(&Held);
    IoQueueWorkItem(item, SendOne, DelayedWorkQueue, item);
    return STATUS_PENDING;
}
