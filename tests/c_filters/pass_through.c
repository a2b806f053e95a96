/*
 * The least that a filter with a completion routine does: each request goes down unchanged, and is
 * seen once more on its way up.
 *
 * FORGETS_TO_MARK: its completion routine does not hand on that the request was pended.
 * NEEDS_WHAT_IS_MISSING: calls a routine that only drivers of hardware need, and ntbox lacks.
 */
#include "filter.h"

static IO_COMPLETION_ROUTINE Completed;

/* How many have come back, and how many of these had failed. */
static volatile LONG Returned;
static volatile LONG Failed;

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
#ifdef NEEDS_WHAT_IS_MISSING
    if (IoGetConfigurationInformation() != NULL) {
        DbgPrint("pass_through: there are disks\n");
    }
#endif
    return STATUS_SUCCESS;
}

VOID FilterStop(VOID)
{
    DbgPrint("pass_through: %ld requests came back, %ld had failed\n", Returned, Failed);
}

static NTSTATUS NTAPI Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Context);

#ifndef FORGETS_TO_MARK
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
#endif
    InterlockedIncrement(&Returned);
    if (!NT_SUCCESS(Irp->IoStatus.Status)) {
        InterlockedIncrement(&Failed);
    }
    FilterLeave();
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    PATTACHMENT attachment = Device->DeviceExtension;

    if (!FilterEnter()) {
        return FilterSkip(Device, Irp);
    }
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, Completed, NULL, TRUE, TRUE, TRUE);
    return IoCallDriver(attachment->Lower, Irp);
}
