/*
 * What a driver may do with structured exceptions, each tried as it is loaded: it fails to load, and
 * says at which, if one does not come out as on Windows. Requests pass through.
 *
 * An access under __try is made by a function: clang guards calls.
 *
 * TOUCHES_UNGUARDED: reads what a program passed without a handler.
 * TOUCHES_AT_DISPATCH: does so at DISPATCH_LEVEL, where a handler is of no use.
 * TOUCHES_SYSTEM: trusts a handler with an address that is no program's.
 * COPIES_UNGUARDED: has the system copy from there without a handler.
 * RAISES_UNGUARDED: raises a status that nothing handles.
 * HANDLES_OTHERS: has a handler that does not want what is raised.
 * PROBES_UNGUARDED: takes memory of its own for a program's, without a handler.
 * LOCKS_UNGUARDED: locks what a program passed without a handler.
 * BREAKS_UNGUARDED, BREAKS_BY_ROUTINE: runs into a breakpoint, of its own or of the system's, without a handler.
 * RESUMES_FOR_EVER: has a filter that puts nothing right, and lets the driver go on.
 * ALLOCATES_UNGUARDED: takes memory from a routine that raises when there is none, without a handler.
 */
#include "filter.h"

/* Where no program has memory. The compiler does not know: what is sure to fault, it leaves out. */
static PVOID volatile NotThere = (PVOID)0x10;
#define NOT_THERE NotThere

static volatile BOOLEAN Really = TRUE;

/* As the headers of the WDK have them. */
#define INFORMATION ((PEXCEPTION_POINTERS)GetExceptionInformation())
#define CODE ((NTSTATUS)GetExceptionCode())

/* What is tried, for the message. */
static const char *Trying;

/* What has happened, in its order, a digit each. */
static ULONG Trace;

static VOID Mark(ULONG Digit)
{
    Trace = Trace * 10 + Digit;
}

static DECLSPEC_NOINLINE ULONG Read(volatile ULONG *Address)
{
    return *Address;
}

static DECLSPEC_NOINLINE VOID Write(volatile ULONG *Address)
{
    *Address = 1;
}

/* What nobody looks at is not divided. */
static volatile ULONG Quotient;

static DECLSPEC_NOINLINE VOID Divide(volatile ULONG Dividend, volatile ULONG Divisor)
{
    Quotient = Dividend / Divisor;
}

/* mov eax, [rcx], and ret: a filter can step over the two bytes. */
ULONG ReadIntoRax(PVOID Address);
__asm__(
    ".text\n"
    ".globl ReadIntoRax\n"
    "ReadIntoRax:\n"
    ".byte 0x8B, 0x01\n"
    ".byte 0xC3\n");

static DECLSPEC_NOINLINE VOID Raise(NTSTATUS Status)
{
    /* Of what never returns, clang does not expect that what is around it goes on. */
    if (Really) {
        ExRaiseStatus(Status);
    }
}

/* A fault is caught, with its code and address. */
static BOOLEAN CatchesFaults(VOID)
{
    volatile NTSTATUS code = 0;
    volatile ULONG_PTR address = 0;
    volatile ULONG_PTR write = 7;

    __try {
        Read(NOT_THERE);
        return FALSE;
    } __except (address = INFORMATION->ExceptionRecord->ExceptionInformation[1],
                write = INFORMATION->ExceptionRecord->ExceptionInformation[0],
                EXCEPTION_EXECUTE_HANDLER) {
        code = CODE;
    }
    if (code != STATUS_ACCESS_VIOLATION || address != (ULONG_PTR)NOT_THERE || write != 0) {
        return FALSE;
    }
    __try {
        Write(NOT_THERE);
        return FALSE;
    } __except (write = INFORMATION->ExceptionRecord->ExceptionInformation[0],
                EXCEPTION_EXECUTE_HANDLER) {
        code = CODE;
    }
    if (code != STATUS_ACCESS_VIOLATION || write != 1) {
        return FALSE;
    }
    __try {
        Divide(1, 0);
        return FALSE;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = CODE;
    }
    return code == STATUS_INTEGER_DIVIDE_BY_ZERO;
}

static DECLSPEC_NOINLINE VOID Break(BOOLEAN ByRoutine)
{
    if (ByRoutine) {
        /* Of the other one the headers make an instruction. */
        DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
    } else if (Really) {
        __debugbreak();
    }
    Mark(2);
}

static LONG StepOverBreak(PEXCEPTION_POINTERS Pointers)
{
    if (*(PUCHAR)Pointers->ExceptionRecord->ExceptionAddress != 0xCC
        || Pointers->ContextRecord->Rip != (ULONG_PTR)Pointers->ExceptionRecord->ExceptionAddress) {
        return EXCEPTION_EXECUTE_HANDLER;
    }
    Mark(1);
    Pointers->ContextRecord->Rip++;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* Without a debugger, a breakpoint is an exception as any other. */
static BOOLEAN HandlesBreakpoints(VOID)
{
    volatile ULONG caught = 0;
    volatile ULONG time;

    Trace = 0;
    for (time = 0; time < 4; time++) {
        __try {
            Break(time % 2 == 1);
        } __except (CODE == STATUS_BREAKPOINT) {
            caught++;
        }
    }
    __try {
        Break(FALSE);
    } __except (StepOverBreak(INFORMATION)) {
        Mark(9);
    }
    return caught == 4 && Trace == 12;
}

/* A filter passes it on to the next one outwards. */
static BOOLEAN Searches(VOID)
{
    Trace = 0;
    __try {
        __try {
            Read(NOT_THERE);
            Mark(9);
        } __except (Mark(1), EXCEPTION_CONTINUE_SEARCH) {
            Mark(9);
        }
        Mark(9);
    } __except (Mark(2), EXCEPTION_EXECUTE_HANDLER) {
        Mark(3);
    }
    return Trace == 123;
}

static LONG StepOver(PEXCEPTION_POINTERS Pointers)
{
    Pointers->ContextRecord->Rip += 2;
    Pointers->ContextRecord->Rax = 42;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* A filter puts right what was wrong, and the code goes on with all its registers. */
static BOOLEAN Resumes(ULONG Seven)
{
    ULONG before = Seven * 3;
    ULONG value = 0;

    __try {
        value = ReadIntoRax(NOT_THERE);
    } __except (StepOver(GetExceptionInformation())) {
        return FALSE;
    }
    return value == 42 && before == Seven * 3;
}

static DECLSPEC_NOINLINE VOID RaiseUnder(ULONG Depth)
{
    __try {
        if (Depth == 0) {
            Raise(STATUS_DATA_ERROR);
        } else {
            RaiseUnder(Depth - 1);
        }
        Mark(9);
    } __finally {
        Mark(AbnormalTermination() ? Depth + 1 : 8);
    }
}

/* What is done finally is done from the inside outwards, through several functions; then the handler. */
static BOOLEAN Unwinds(ULONG Seven)
{
    ULONG local = Seven + 1;

    Trace = 0;
    __try {
        RaiseUnder(2);
        Mark(9);
    } __except (Mark(CODE == STATUS_DATA_ERROR ? 5 : 9), EXCEPTION_EXECUTE_HANDLER) {
        Mark(4);
    }
    /* The filter is asked before anything is left. */
    return Trace == 51234 && local == Seven + 1;
}

/* In the ordinary way. */
static BOOLEAN EndsNormally(VOID)
{
    Trace = 0;
    __try {
        __try {
            Mark(1);
        } __finally {
            Mark(AbnormalTermination() ? 9 : 2);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Mark(9);
    }
    return Trace == 12;
}

/* What is done finally raises itself: the other exception takes the place of the first. */
static BOOLEAN Collides(VOID)
{
    volatile NTSTATUS code = 0;

    Trace = 0;
    __try {
        __try {
            __try {
                Raise(STATUS_DATA_ERROR);
            } __finally {
                Mark(1);
                Raise(STATUS_CRC_ERROR);
                Mark(9);
            }
        } __finally {
            Mark(2);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = CODE;
        Mark(3);
    }
    return Trace == 123 && code == STATUS_CRC_ERROR;
}

static DECLSPEC_NOINLINE LONG FilterThatFaults(VOID)
{
    __try {
        Read(NOT_THERE);
        Mark(9);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Mark(2);
    }
    return EXCEPTION_EXECUTE_HANDLER;
}

/* An exception within a filter, handled there. */
static BOOLEAN Nests(VOID)
{
    Trace = 0;
    __try {
        Mark(1);
        Raise(STATUS_DATA_ERROR);
    } __except (FilterThatFaults()) {
        Mark(CODE == STATUS_DATA_ERROR ? 3 : 9);
    }
    return Trace == 123;
}

static DECLSPEC_NOINLINE LONG FilterThatIsLeft(VOID)
{
    __try {
        __try {
            Raise(STATUS_DATA_ERROR);
            Mark(9);
        } __finally {
            Mark(2);
            Raise(STATUS_CRC_ERROR);
            Mark(9);
        }
    } __except (CODE == STATUS_DATA_ERROR ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH) {
        Mark(9);
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

/* An exception of what is done finally leaves the filter that it is done in, and is handled around that. */
static BOOLEAN LeavesAFilter(VOID)
{
    volatile NTSTATUS code = 0;

    Trace = 0;
    __try {
        __try {
            Mark(1);
            Raise(STATUS_UNSUCCESSFUL);
        } __except (CODE == STATUS_UNSUCCESSFUL ? FilterThatIsLeft() : EXCEPTION_CONTINUE_SEARCH) {
            Mark(9);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Mark(3);
        code = CODE;
    }
    return Trace == 123 && code == STATUS_CRC_ERROR && Nests();
}

static DECLSPEC_NOINLINE NTSTATUS StatusOfProbe(PVOID Address, SIZE_T Length, ULONG Alignment, BOOLEAN Write)
{
    __try {
        if (Write) {
            ProbeForWrite(Address, Length, Alignment);
        } else {
            ProbeForRead(Address, Length, Alignment);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return CODE;
    }
    return STATUS_SUCCESS;
}

/* Routines that raise. */
static BOOLEAN Probes(VOID)
{
    PVOID top = (PVOID)(~(ULONG_PTR)0 - 4095);
    ULONG local = 0;

    return StatusOfProbe(NOT_THERE, 0, 1, FALSE) == STATUS_SUCCESS
        && StatusOfProbe(NOT_THERE, 4, 4, FALSE) == STATUS_SUCCESS
        && StatusOfProbe((PUCHAR)NOT_THERE + 2, 4, 4, FALSE) == STATUS_DATATYPE_MISALIGNMENT
        && StatusOfProbe(top, 64, 1, FALSE) == STATUS_ACCESS_VIOLATION
        && StatusOfProbe(top, 64, 1, TRUE) == STATUS_ACCESS_VIOLATION
        && StatusOfProbe(NOT_THERE, 4, 4, TRUE) == STATUS_ACCESS_VIOLATION
        /* What is the kernel's is no program's: on the stack, and in an image. */
        && StatusOfProbe(&local, 4, 4, FALSE) == STATUS_ACCESS_VIOLATION
        && StatusOfProbe(&Trace, 4, 4, TRUE) == STATUS_ACCESS_VIOLATION
        && StatusOfProbe((PUCHAR)&local + 1, 2, 4, FALSE) == STATUS_DATATYPE_MISALIGNMENT
        && StatusOfProbe((PUCHAR)&local + 1, 0, 4, TRUE) == STATUS_SUCCESS;
}

/* What is short and known is copied without a call of the system's routine. */
static DECLSPEC_NOINLINE VOID Copy(PUCHAR To, PVOID From, volatile SIZE_T Length)
{
    RtlMoveMemory(To, From, Length);
}

/* What locking 32 bytes raises; they are unlocked again. */
static DECLSPEC_NOINLINE NTSTATUS StatusOfLock(PVOID Address, KPROCESSOR_MODE Mode)
{
    volatile NTSTATUS code = STATUS_SUCCESS;
    PMDL list = IoAllocateMdl(Address, 32, FALSE, FALSE, NULL);

    if (list == NULL) {
        return Mode == UserMode ? STATUS_ACCESS_VIOLATION : STATUS_SUCCESS;
    }
    __try {
        MmProbeAndLockPages(list, Mode, IoReadAccess);
        MmUnlockPages(list);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = CODE;
    }
    IoFreeMdl(list);
    return code;
}

/* A routine of the system copies for the driver, or locks what is not there, or not a program's. */
static BOOLEAN CopiesAndLocks(VOID)
{
    UCHAR bytes[32] = {0};
    volatile NTSTATUS code = 0;

    __try {
        Copy(bytes, NOT_THERE, sizeof(bytes));
        Quotient = bytes[3];
        return FALSE;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = CODE;
    }
    if (code != STATUS_ACCESS_VIOLATION) {
        return FALSE;
    }
    return StatusOfLock(NOT_THERE, UserMode) == STATUS_ACCESS_VIOLATION
        && StatusOfLock(bytes, UserMode) == STATUS_ACCESS_VIOLATION
        && StatusOfLock(bytes, KernelMode) == STATUS_SUCCESS;
}

#define TAG 'tsET'

static DECLSPEC_NOINLINE PVOID Allocate(BOOLEAN Quota)
{
    if (Quota) {
        return ExAllocatePoolWithQuotaTag(NonPagedPoolNx, 64, TAG);
    }
    return FsRtlAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
}

/* A routine that raises when memory is short returns a block or not at all. */
static BOOLEAN Allocates(BOOLEAN Quota)
{
    volatile NTSTATUS code = STATUS_SUCCESS;
    PVOID volatile block = NULL;

    __try {
        block = Allocate(Quota);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = CODE;
    }
    if (block == NULL) {
        return code == STATUS_INSUFFICIENT_RESOURCES;
    }
    ExFreePoolWithTag(block, TAG);
    return code == STATUS_SUCCESS;
}

/*
 * A function with a handler of the driver's own, as a language has that is not C: raises, and returns what the handler
 * has the stack unwound to Landed with.
 */
ULONG GuardedByOwn(NTSTATUS Status);
extern UCHAR Landed[];
__asm__(
    ".text\n"
    ".globl GuardedByOwn\n"
    ".globl Landed\n"
    ".seh_proc GuardedByOwn\n"
    "GuardedByOwn:\n"
    "sub rsp, 40\n"
    ".seh_stackalloc 40\n"
    ".seh_endprologue\n"
    ".seh_handler OwnHandler, @except, @unwind\n"
    "call qword ptr [rip + __imp_ExRaiseStatus]\n"
    "nop\n"
    "Landed:\n"
    "add rsp, 40\n"
    "ret\n"
    ".seh_endproc\n");

/* How the handler unwinds. */
static BOOLEAN Extended;
static ULONG UnwoundThere;

/* The headers for drivers leave these to languages: as those for programs have them. */
#define EXCEPTION_IS_UNWINDING 0x2
#define EXCEPTION_IS_TARGET_UNWIND 0x20
typedef struct _WHERE {
    ULONG64 ControlPc;
    ULONG64 ImageBase;
    PVOID FunctionEntry;
} WHERE, *PWHERE;
NTSYSAPI PVOID NTAPI RtlLookupFunctionEntry(ULONG64 ControlPc, PULONG64 ImageBase, PVOID HistoryTable);
NTSYSAPI VOID NTAPI RtlUnwind(PVOID Frame, PVOID Target, PEXCEPTION_RECORD Record, PVOID Value);
NTSYSAPI VOID NTAPI RtlUnwindEx(PVOID Frame, PVOID Target, PEXCEPTION_RECORD Record, PVOID Value, PCONTEXT Context,
                                PVOID HistoryTable);

/* Its own frame is the target of the unwinding, of which it is told at last. */
EXCEPTION_DISPOSITION NTAPI OwnHandler(PEXCEPTION_RECORD Record, PVOID Frame, PCONTEXT Context, PWHERE Where)
{
    ULONG64 base = 0;
    PVOID entry = RtlLookupFunctionEntry(Where->ControlPc, &base, NULL);

    if (entry == NULL || entry != Where->FunctionEntry || base != Where->ImageBase) {
        return ExceptionContinueSearch;
    }
    if (Record->ExceptionFlags & EXCEPTION_IS_UNWINDING) {
        UnwoundThere += (Record->ExceptionFlags & EXCEPTION_IS_TARGET_UNWIND) ? 1 : 100;
        return ExceptionContinueSearch;
    }
    if (Extended) {
        RtlUnwindEx(Frame, Landed, Record, (PVOID)9, Context, NULL);
    }
    RtlUnwind(Frame, Landed, Record, (PVOID)7);
    return ExceptionContinueSearch;
}

/* A handler of the driver's own unwinds by itself, past those that are to be told between. */
static BOOLEAN UnwindsByItself(VOID)
{
    ULONG64 base = 0;
    ULONG first;
    ULONG second;

    Extended = FALSE;
    first = GuardedByOwn(STATUS_DATA_ERROR);
    Extended = TRUE;
    second = GuardedByOwn(STATUS_DATA_ERROR);
    /* What is no code has no entry. */
    return first == 7 && second == 9 && UnwoundThere == 2
        && RtlLookupFunctionEntry((ULONG64)&Trace, &base, NULL) == NULL;
}

/* Many times, from one frame: nothing is left behind. */
static BOOLEAN Repeats(VOID)
{
    volatile ULONG caught = 0;
    ULONG time;

    for (time = 0; time < 100; time++) {
        __try {
            RaiseUnder(1);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            caught++;
        }
    }
    return caught == 100;
}

/* Wrong in one way each. */
static VOID GoWrong(VOID)
{
#ifdef TOUCHES_UNGUARDED
    Read(NOT_THERE);
#endif
#ifdef TOUCHES_AT_DISPATCH
    KSPIN_LOCK lock;
    KIRQL level;
    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &level);
    __try {
        Read(NOT_THERE);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
    }
    KeReleaseSpinLock(&lock, level);
#endif
#ifdef TOUCHES_SYSTEM
    __try {
        Read((PULONG)0xFFFF900000000000);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
    }
#endif
#ifdef COPIES_UNGUARDED
    UCHAR bytes[32];
    Copy(bytes, NOT_THERE, sizeof(bytes));
#endif
#ifdef RAISES_UNGUARDED
    Raise(STATUS_DATA_ERROR);
#endif
#ifdef HANDLES_OTHERS
    __try {
        Raise(STATUS_DATA_ERROR);
    } __except (CODE == STATUS_CRC_ERROR) {
    }
#endif
#ifdef PROBES_UNGUARDED
    ProbeForWrite(&Trace, sizeof(Trace), 1);
#endif
#ifdef LOCKS_UNGUARDED
    PMDL list = IoAllocateMdl(NOT_THERE, 32, FALSE, FALSE, NULL);
    if (list != NULL) {
        MmProbeAndLockPages(list, UserMode, IoReadAccess);
    }
#endif
#ifdef ALLOCATES_UNGUARDED
    ExFreePoolWithTag(Allocate(FALSE), TAG);
#endif
#ifdef RESUMES_FOR_EVER
    __try {
        Read(NOT_THERE);
    } __except (EXCEPTION_CONTINUE_EXECUTION) {
    }
#endif
#ifdef BREAKS_UNGUARDED
    Break(FALSE);
#endif
#ifdef BREAKS_BY_ROUTINE
    Break(TRUE);
#endif
}

#define TRY(What) ((Trying = #What), (What))

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    if (TRY(CatchesFaults()) && TRY(HandlesBreakpoints()) && TRY(Searches()) && TRY(Resumes(7)) && TRY(Unwinds(7))
        && TRY(EndsNormally()) && TRY(Collides()) && TRY(Nests()) && TRY(LeavesAFilter()) && TRY(Probes())
        && TRY(CopiesAndLocks()) && TRY(Repeats()) && TRY(UnwindsByItself()) && TRY(Allocates(TRUE)) && TRY(Allocates(FALSE))) {
        GoWrong();
        DbgPrint("exceptions: all as it should be\n");
        return STATUS_SUCCESS;
    }
    DbgPrint("exceptions: %s went wrong, trace %lu\n", Trying, Trace);
    return STATUS_UNSUCCESSFUL;
}

VOID FilterStop(VOID)
{
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    return FilterSkip(Device, Irp);
}
