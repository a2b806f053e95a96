/*
 * What routines for strings and memory do with a pointer of a program to nowhere, tried as the driver is loaded: each
 * raises STATUS_ACCESS_VIOLATION, which the handler around it takes. Requests pass through.
 *
 * UNGUARDED: no handler is around one of them. FREED: the string is in the system's memory, and freed, which no
 * handler helps.
 */
#include "filter.h"
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

unsigned long __cdecl wcstoul(const WCHAR *Text, WCHAR **End, int Base);
void __cdecl qsort(void *Base, size_t Count, size_t Width, int(__cdecl *Compare)(const void *, const void *));
void *__cdecl bsearch(
    const void *Key, const void *Base, size_t Count, size_t Width, int(__cdecl *Compare)(const void *, const void *));
#define TRUNCATE ((size_t)-1)

static const volatile ULONG_PTR Nowhere = 0x10000;
/* A number that the compiler does not know, so that it calls the routine. */
static const volatile SIZE_T Some = 8;
static ULONG Raised, Quiet;

/* Of routines that it knows, clang does not expect exceptions. */
#define BY_POINTER(routine) static __typeof__(&routine) volatile By_##routine = routine
BY_POINTER(memcpy);
BY_POINTER(memset);
BY_POINTER(memchr);
BY_POINTER(wcslen);
BY_POINTER(wcscmp);
BY_POINTER(wcscpy);
BY_POINTER(wcsncpy);
BY_POINTER(wcschr);
BY_POINTER(wcsstr);
BY_POINTER(strlen);
BY_POINTER(strcmp);
BY_POINTER(strncpy);

#define AT(type) ((type)Nowhere)

/* Goes on behind what raises nothing, which there is not to be. */
#define TRY(what) \
    __try { \
        (VOID)(what); \
        Quiet++; \
        DbgPrint("strings: nothing was raised by %s\n", #what); \
    } __except (GetExceptionCode() == STATUS_ACCESS_VIOLATION ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH) { \
        Raised++; \
    }

static int Print(WCHAR *Target, const WCHAR *Format, ...)
{
    va_list arguments;
    int count;

    va_start(arguments, Format);
    count = _vsnwprintf(Target, 16, Format, arguments);
    va_end(arguments);
    return count;
}

static VOID Counted(VOID)
{
    WCHAR units[16] = L"a";
    UNICODE_STRING good, bad, made;
    ULONG hash;

    RtlInitUnicodeString(&good, units);
    good.MaximumLength = sizeof(units);
    bad.Length = 4;
    bad.MaximumLength = 8;
    bad.Buffer = AT(PWCH);
    TRY(RtlInitUnicodeString(&made, AT(PCWSTR)));
    TRY(RtlInitUnicodeString(AT(PUNICODE_STRING), units));
    TRY(RtlCompareUnicodeString(&good, &bad, TRUE));
    TRY(RtlCompareUnicodeString(&bad, &good, FALSE));
    TRY(RtlCompareUnicodeString(AT(PUNICODE_STRING), &good, FALSE));
    made = good;
    made.Length = bad.Length;
    TRY(RtlEqualUnicodeString(&made, &bad, TRUE));
    TRY(RtlPrefixUnicodeString(&bad, &made, TRUE));
    TRY(RtlCopyUnicodeString(&good, &bad));
    TRY(RtlCopyUnicodeString(&bad, &good));
    good.Length = 2;
    TRY(RtlAppendUnicodeStringToString(&good, &bad));
    TRY(RtlAppendUnicodeToString(&good, AT(PCWSTR)));
    TRY(RtlHashUnicodeString(&bad, TRUE, HASH_STRING_ALGORITHM_DEFAULT, &hash));
    TRY(RtlUpcaseUnicodeString(&good, &bad, FALSE));
    TRY(FsRtlIsNameInExpression(&bad, &good, FALSE, NULL));
    TRY(FsRtlDoesNameContainWildCards(&bad));
}

static VOID Others(VOID)
{
    ULONG offset;
    UCHAR sid[64];

    TRY(RtlLengthSid(AT(PSID)));
    TRY(RtlCopySid(sizeof(sid), sid, AT(PSID)));
    TRY(IoCheckEaBufferValidity(AT(PFILE_FULL_EA_INFORMATION), 64, &offset));
    TRY(By_memcpy(sid, AT(PVOID), Some));
    TRY(By_memset(AT(PVOID), 0, Some));
    TRY(By_memchr(AT(PVOID), 1, Some));
    TRY(RtlCompareMemory(sid, AT(PVOID), Some));
}

static VOID Terminated(VOID)
{
    WCHAR units[16] = L"a";
    CHAR bytes[16] = "a";
    char *rest;

    TRY(By_wcslen(AT(PCWSTR)));
    TRY(By_wcscmp(units, AT(PCWSTR)));
    TRY(_wcsicmp(units, AT(PCWSTR)));
    TRY(_wcsnicmp(AT(PCWSTR), units, 4));
    TRY(By_wcscpy(units, AT(PCWSTR)));
    TRY(By_wcsncpy(AT(PWSTR), units, 4));
    TRY(By_wcschr(AT(PCWSTR), L'a'));
    TRY(By_wcsstr(units, AT(PCWSTR)));
    TRY(By_strlen(AT(PCSTR)));
    TRY(By_strcmp(AT(PCSTR), bytes));
    TRY(By_strncpy(bytes, AT(PCSTR), 4));
    TRY(Print(units, L"%ws", AT(PCWSTR)));
    TRY(Print(AT(PWSTR), L"a"));
    TRY(_snwprintf_s(units, 16, TRUNCATE, L"%ws", AT(PCWSTR)));
    TRY(_itow_s(7, AT(PWSTR), 4, 10));
    TRY(wcstoul(AT(PCWSTR), NULL, 0));
    TRY(strtok_s(AT(PSTR), bytes, &rest));
}

static int __cdecl ByValue(const void *First, const void *Second)
{
    return *(const LONG *)First - *(const LONG *)Second;
}

/* What is printed is read as well: a handler makes do with it. */
static VOID Printed(VOID)
{
    ULONG count;

    for (count = 0; count < 2; count++) {
        __try {
            if (count == 0) {
                DbgPrint("strings: %s and %d\n", AT(PCSTR), 1);
            } else {
                DbgPrintEx(DPFLTR_DEFAULT_ID, DPFLTR_ERROR_LEVEL, "strings: %d %d %d %ws\n", 1, 2, 3, AT(PCWSTR));
            }
        } __except (GetExceptionCode() == STATUS_ACCESS_VIOLATION ? EXCEPTION_EXECUTE_HANDLER
                                                                  : EXCEPTION_CONTINUE_SEARCH) {
        }
    }
    DbgPrint("strings: printing goes on with %s and %d, %d, %d, %d\n", "all", 1, 2, 3, 4);
}

/* In the order of their values, by a routine of the driver's. */
static VOID Sorted(VOID)
{
    LONG values[] = {5, -1, 3};
    LONG key = 3;

    qsort(values, 3, sizeof(LONG), ByValue);
    if (values[0] != -1 || values[2] != 5 || bsearch(&key, values, 3, sizeof(LONG), ByValue) != &values[1]) {
        KeBugCheck(FILTER_TAG);
    }
}

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    Counted();
    Others();
    Terminated();
    Sorted();
    Printed();
#ifdef UNGUARDED
    Quiet += (ULONG)By_wcslen(AT(PCWSTR));
#endif
#ifdef FREED
    {
        PWSTR freed = ExAllocatePoolWithTag(NonPagedPoolNx, 64, FILTER_TAG);

        if (freed != NULL) {
            ExFreePoolWithTag(freed, FILTER_TAG);
            TRY(By_wcslen(freed));
        }
    }
#endif
    DbgPrint("strings: %lu raised, %lu did not\n", Raised, Quiet);
    return STATUS_SUCCESS;
}

VOID FilterStop(VOID)
{
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    return FilterSkip(Device, Irp);
}
