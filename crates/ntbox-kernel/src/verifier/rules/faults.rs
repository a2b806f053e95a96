//! What stops the processor or the driver itself.

use super::rule::Proof::BadDriver;
use super::rule::rules;

rules! { Faults;
    DRIVER_BUG_CHECK = {
        name: "DriverBugCheck",
        code: "KeBugCheckEx",
        checks: "The driver calls KeBugCheck(Ex) or panics",
        source: "ddi/wdm/nf-wdm-kebugcheckex",
        detected_by: "KeBugCheckEx",
        should: "keep every path that a request can take free of panics and bug checks",
        proof: BadDriver("bug-check"),
    };
    EXCEPTION_NOT_HANDLED = {
        name: "ExceptionNotHandled",
        code: "0x1E KMODE_EXCEPTION_NOT_HANDLED",
        checks: "A routine raises an exception, as ProbeForRead does for memory of the kernel, and no handler of the driver takes it",
        source: "kernel/handling-exceptions",
        detected_by: "the routines that raise: the handlers around their call",
        should: "call what raises inside __try, and complete the request with GetExceptionCode() in the __except that takes it",
        proof: BadDriver("probe-without-handler"),
    };
    ASSERTION = {
        name: "AssertionFailed",
        code: "RtlAssert",
        checks: "An assertion of the driver fails",
        source: "ddi/ntddk/nf-ntddk-rtlassert",
        detected_by: "RtlAssert",
        should: "keep the conditions that the driver itself asserts",
        proof: BadDriver("assertion-failed"),
    };
    PAGE_FAULT = {
        name: "PageFault",
        code: "0x50 PAGE_FAULT_IN_NONPAGED_AREA",
        checks: "Memory that is not there is touched below DISPATCH_LEVEL",
        source: "debugger/bug-check-0x50--page-fault-in-nonpaged-area",
        detected_by: "the fault handler",
        should: "touch only memory that is allocated and mapped, and that of a program only inside __try",
        proof: BadDriver("page-fault"),
    };
    PAGE_FAULT_AT_DISPATCH = {
        name: "PageFault",
        code: "0xD1 DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        checks: "Memory that is not there is touched at DISPATCH_LEVEL or above",
        source: "debugger/bug-check-0xd1--driver-irql-not-less-or-equal",
        detected_by: "the fault handler",
        should: "touch only nonpaged memory that is allocated and mapped at DISPATCH_LEVEL",
        proof: BadDriver("page-fault-at-dispatch"),
    };
    WROTE_READ_ONLY = {
        name: "WroteReadOnly",
        code: "0xBE ATTEMPTED_WRITE_TO_READONLY_MEMORY",
        checks: "Code or constants are written",
        source: "debugger/bug-check-0xbe--attempted-write-to-readonly-memory",
        detected_by: "the protection of the image's sections",
        should: "write only to writable sections and pool",
        proof: BadDriver("read-only-written"),
    };
    EXECUTED_DATA = {
        name: "ExecutedData",
        code: "0xFC ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY",
        checks: "Data is executed",
        source: "debugger/bug-check-0xfc--attempted-execute-of-noexecute-memory",
        detected_by: "the protection of pool and the image's sections",
        should: "call only code",
        proof: BadDriver("data-executed"),
    };
    STACK_USED_UP = {
        name: "StackUsedUp",
        code: "0x7F UNEXPECTED_KERNEL_MODE_TRAP",
        checks: "The kernel stack is used up: by large frames, or by routines that enter each other without end",
        source: "debugger/bug-check-0x7f--unexpected-kernel-mode-trap",
        detected_by: "the guard page below the 24 KB of kernel stack, and each call of a routine",
        should: "keep large buffers in pool and recursion bounded: a kernel stack has 24 KB",
        proof: BadDriver("stack-used-up"),
    };
    BAD_INSTRUCTION = {
        name: "BadInstruction",
        code: "0x1E KMODE_EXCEPTION_NOT_HANDLED",
        checks: "An instruction that no driver executes, or a trap",
        source: "debugger/bug-check-0x1e--kmode-exception-not-handled",
        detected_by: "the fault handler",
        should: "keep every path free of traps and privileged instructions",
        proof: BadDriver("bad-instruction"),
    };
}
