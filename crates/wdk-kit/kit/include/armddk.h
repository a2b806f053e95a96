/*
 * What wdm.h includes for a processor of ARM's, and mingw-w64 does not have.
 *
 * Only what the rest of the headers refers to; a driver for ARM64 that uses more of the
 * processor's own part of the interface finds it missing, not wrong.
 */
#pragma once

/* "Managing Hardware Priorities"; the same on x64. */
#define PASSIVE_LEVEL 0
#define LOW_LEVEL 0
#define APC_LEVEL 1
#define DISPATCH_LEVEL 2

/* wdm/nf-wdm-kegetcurrentthread */
NTKERNELAPI
struct _KTHREAD *
NTAPI
KeGetCurrentThread(VOID);

/* Spin locks, which the headers have for every other processor: wdm/nf-wdm-keacquirespinlockraisetodpc,
   -keacquirespinlockatdpclevel, -kereleasespinlock, -kereleasespinlockfromdpclevel. */
NTKERNELAPI
KIRQL
NTAPI
KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock);

NTKERNELAPI
VOID
NTAPI
KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock);

NTKERNELAPI
VOID
NTAPI
KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql);

NTKERNELAPI
VOID
NTAPI
KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock);
