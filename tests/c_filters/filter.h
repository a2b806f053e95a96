/*
 * What the filters here have in common: a device above each file system and each volume, the way
 * down, and the way out. Each of them is one file beside this, which decides what becomes of a
 * request, and is linked with filter.c.
 *
 * A filter that is compiled with one of the names at its head makes that mistake.
 *
 * Written as drivers for Windows are, with nothing that only ntbox has.
 */
#pragma once

#include <ntifs.h>

#define FILTER_TAG 'tliF'

/* The extension of a filter device. */
typedef struct _ATTACHMENT {
    /* The device below, where requests go. */
    PDEVICE_OBJECT Lower;
} ATTACHMENT, *PATTACHMENT;

/* The dispatch routine of every major function but the mount of a volume. */
DRIVER_DISPATCH FilterDispatch;

/* Once, before the first request, and after the last. */
NTSTATUS FilterStart(PDRIVER_OBJECT Driver);
VOID FilterStop(VOID);

/* Sends a request to the device below, and does not look at it again. */
NTSTATUS FilterSkip(PDEVICE_OBJECT Device, PIRP Irp);

/* The same, and waits until it has come back; the caller completes it. */
NTSTATUS FilterForwardAndWait(PDEVICE_OBJECT Device, PIRP Irp);

/* A request is under way, of which something is to run in this driver: it is not unloaded before
 * the count has been given back. */
BOOLEAN FilterEnter(VOID);
VOID FilterLeave(VOID);
