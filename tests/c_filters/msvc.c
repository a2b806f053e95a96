/*
 * What Microsoft's BufferOverflowFastFailK library brings into a driver that is built with /GS and
 * /guard:cf, for one that is linked without that library.
 *
 * The loader finds the cookie and the pointers by the load configuration: it gives the cookie
 * another value, and may put a routine that checks the target of a call into the pointers.
 */
#include <ntifs.h>

#define DEFAULT_COOKIE 0x00002B992DDFA232ULL

ULONG_PTR __security_cookie = DEFAULT_COOKIE;

static VOID NTAPI CheckNothing(PVOID Target)
{
    UNREFERENCED_PARAMETER(Target);
}

/* The target is in rax, and no argument's register may change: a jump is all there is. */
__attribute__((naked)) static VOID NTAPI DispatchNothing(VOID)
{
    __asm__("jmp *%rax");
}

PVOID __guard_check_icall_fptr = (PVOID)CheckNothing;
PVOID __guard_dispatch_icall_fptr = (PVOID)DispatchNothing;

/*
 * winnt/ns-winnt-image_load_config_directory64. In assembly: to C, an address that the linker puts
 * into 32 bits, which the flags are, is no constant.
 */
__asm__(
    ".section .rdata,\"dr\"\n"
    ".balign 8\n"
    ".globl _load_config_used\n"
    "_load_config_used:\n"
    ".long 320\n"
    ".zero 84\n"
    ".quad __security_cookie\n"
    ".quad 0, 0\n"
    ".quad __guard_check_icall_fptr\n"
    ".quad __guard_dispatch_icall_fptr\n"
    ".quad __guard_fids_table\n"
    ".quad __guard_fids_count\n"
    ".long __guard_flags\n"
    ".zero 12\n"
    ".quad __guard_iat_table\n"
    ".quad __guard_iat_count\n"
    ".quad __guard_longjmp_table\n"
    ".quad __guard_longjmp_count\n"
    ".zero 320 - (. - _load_config_used)\n"
    ".text\n");

VOID __security_check_cookie(ULONG_PTR Cookie)
{
    if (Cookie != __security_cookie) {
        /* FAST_FAIL_STACK_COOKIE_CHECK_FAILURE */
        __fastfail(2);
    }
}

/* The entry point: an image whose cookie is the linker's own has no protection. */
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath);
NTSTATUS NTAPI GsDriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    if (__security_cookie == 0 || __security_cookie == DEFAULT_COOKIE) {
        __fastfail(6);
    }
    return DriverEntry(Driver, RegistryPath);
}
