/*
 * How much of the kernel stack a driver has where exceptions are handled, tried as it is loaded: most of it, but never
 * more than there is. Requests pass through.
 *
 * BEHIND_A_HANDLER, IN_A_HANDLER, IN_A_FILTER, FINALLY: calls itself deeper there than the stack is.
 * ENDLESS_FILTERS, ENDLESS_HANDLERS: raises in each filter, or handler, what the next one takes.
 */
#include "filter.h"

/* Calls with 2 KB each that fit on a kernel stack, and that do not. */
#define SOME 8
#define TOO_MANY 20
/* Exceptions that are handled within each other. */
#define A_FEW 4
#define ENDLESS 100000

#ifdef IN_A_FILTER
#define IN_FILTER TOO_MANY
#else
#define IN_FILTER SOME
#endif
#ifdef FINALLY
#define IN_FINALLY TOO_MANY
#else
#define IN_FINALLY SOME
#endif
#ifdef IN_A_HANDLER
#define IN_HANDLER TOO_MANY
#else
#define IN_HANDLER SOME
#endif
#ifdef BEHIND_A_HANDLER
#define BEHIND TOO_MANY
#else
#define BEHIND SOME
#endif
#ifdef ENDLESS_FILTERS
#define FILTERS ENDLESS
#else
#define FILTERS A_FEW
#endif
#ifdef ENDLESS_HANDLERS
#define HANDLERS ENDLESS
#else
#define HANDLERS A_FEW
#endif

static volatile BOOLEAN Really = TRUE;
static volatile ULONG Sum;

static DECLSPEC_NOINLINE VOID Raise(VOID)
{
    /* Of what never returns, clang does not expect that what is around it goes on. */
    if (Really) {
        ExRaiseStatus(STATUS_DATA_ERROR);
    }
}

static DECLSPEC_NOINLINE ULONG Deep(ULONG Times)
{
    volatile UCHAR bytes[2048];

    bytes[Times] = 1;
    return Times == 0 ? 0 : Deep(Times - 1) + bytes[Times];
}

static DECLSPEC_NOINLINE LONG DeepFilter(VOID)
{
    Sum += Deep(IN_FILTER);
    return EXCEPTION_EXECUTE_HANDLER;
}

static DECLSPEC_NOINLINE VOID DeepFinally(VOID)
{
    __try {
        Raise();
    } __finally {
        Sum += Deep(IN_FINALLY);
    }
}

static DECLSPEC_NOINLINE LONG FilterWithin(ULONG Times)
{
    if (Times == 0) {
        return EXCEPTION_EXECUTE_HANDLER;
    }
    __try {
        Raise();
    } __except (FilterWithin(Times - 1)) {
        Sum++;
    }
    return EXCEPTION_EXECUTE_HANDLER;
}

static DECLSPEC_NOINLINE VOID HandlerWithin(ULONG Times)
{
    if (Times == 0) {
        return;
    }
    __try {
        Raise();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        HandlerWithin(Times - 1);
    }
    Sum++;
}

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    Sum = 0;
    __try {
        DeepFinally();
    } __except (DeepFilter()) {
        Sum += Deep(IN_HANDLER);
    }
    Sum += Deep(BEHIND);
    FilterWithin(FILTERS);
    HandlerWithin(HANDLERS);
    DbgPrint("deep: %lu calls\n", Sum);
    return STATUS_SUCCESS;
}

VOID FilterStop(VOID)
{
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    return FilterSkip(Device, Irp);
}
