/*
 * A file of the driver's own, which the cache manager keeps: written and read as the driver is loaded, through the
 * cache, and its pages are what paging requests move. Requests of others pass through.
 *
 * BEYOND: a read is not ended at the end of the file. TWICE, WRITTEN_TWICE: a list of
 * the cache is given back twice.
 */
#include "filter.h"

/* MdlMappingNoExecute, where a header has it. */
#define MDL_MAPPING_NO_EXECUTE 0x40000000
#define PAGES 4
#define BYTES (PAGES * PAGE_SIZE)

static UCHAR Store[BYTES];
static FSRTL_ADVANCED_FCB_HEADER Header;
static FAST_MUTEX HeaderLock;
static SECTION_OBJECT_POINTERS Pointers;
static CC_FILE_SIZES Sizes;
static ERESOURCE Resource;
static KEVENT Closed;
static PDEVICE_OBJECT Device;
static LONG Acquired, LazilyWritten;

static BOOLEAN NTAPI Acquire(PVOID Context, BOOLEAN Wait)
{
    KeEnterCriticalRegion();
    if (!ExAcquireResourceExclusiveLite(Context, Wait)) {
        KeLeaveCriticalRegion();
        return FALSE;
    }
    IoSetTopLevelIrp((PIRP)FSRTL_CACHE_TOP_LEVEL_IRP);
    InterlockedIncrement(&Acquired);
    return TRUE;
}

static VOID NTAPI Release(PVOID Context)
{
    IoSetTopLevelIrp(NULL);
    ExReleaseResourceLite(Context);
    KeLeaveCriticalRegion();
}

static CACHE_MANAGER_CALLBACKS Callbacks = {Acquire, Release, Acquire, Release};

/* What the file has behind its end is nobody's to read. */
static ULONG WithinFile(LONGLONG Offset, ULONG Length)
{
#ifdef BEYOND
    UNREFERENCED_PARAMETER(Offset);
    return Length;
#else
    LONGLONG left = Sizes.FileSize.QuadPart - Offset;

    return left <= 0 ? 0 : (ULONG)min(left, (LONGLONG)Length);
#endif
}

static VOID Cache(PFILE_OBJECT File)
{
    if (File->PrivateCacheMap == NULL) {
        CcInitializeCacheMap(File, &Sizes, FALSE, &Callbacks, &Resource);
        CcSetReadAheadGranularity(File, PAGE_SIZE);
    }
}

static NTSTATUS Read(PIRP Irp, PIO_STACK_LOCATION Location, PVOID Buffer)
{
    LARGE_INTEGER offset = Location->Parameters.Read.ByteOffset;
    ULONG length = WithinFile(offset.QuadPart, Location->Parameters.Read.Length);
    NTSTATUS status = STATUS_SUCCESS;

    if (Irp->Flags & (IRP_PAGING_IO | IRP_NOCACHE)) {
        if (length == 0) {
            return STATUS_END_OF_FILE;
        }
        RtlCopyMemory(Buffer, Store + offset.QuadPart, length);
        Irp->IoStatus.Information = length;
        return STATUS_SUCCESS;
    }
    __try {
        Cache(Location->FileObject);
        CcCopyRead(Location->FileObject, &offset, length, TRUE, Buffer, &Irp->IoStatus);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return status;
}

static NTSTATUS Write(PIRP Irp, PIO_STACK_LOCATION Location, PVOID Buffer)
{
    LARGE_INTEGER offset = Location->Parameters.Write.ByteOffset;
    ULONG length = Location->Parameters.Write.Length;
    NTSTATUS status = STATUS_SUCCESS;

    if (Irp->Flags & (IRP_PAGING_IO | IRP_NOCACHE)) {
        length = min(length, (ULONG)(BYTES - offset.QuadPart));
        RtlCopyMemory(Store + offset.QuadPart, Buffer, length);
        Irp->IoStatus.Information = length;
        InterlockedIncrement(&LazilyWritten);
        return STATUS_SUCCESS;
    }
    if (offset.QuadPart + length > BYTES) {
        return STATUS_DISK_FULL;
    }
    __try {
        Cache(Location->FileObject);
        if (offset.QuadPart + length > Sizes.FileSize.QuadPart) {
            Sizes.FileSize.QuadPart = offset.QuadPart + length;
            CcSetFileSizes(Location->FileObject, &Sizes);
        }
        if (CcCanIWrite(Location->FileObject, length, TRUE, FALSE)) {
            CcCopyWrite(Location->FileObject, &offset, length, TRUE, Buffer);
            Irp->IoStatus.Information = length;
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return status;
}

/* A request for the file. */
static NTSTATUS Own(PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    PFILE_OBJECT file = location->FileObject;
    PVOID buffer = NULL;
    NTSTATUS status = STATUS_SUCCESS;

    Irp->IoStatus.Information = 0;
    if (Irp->MdlAddress != NULL) {
        buffer = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
        if (buffer == NULL) {
            status = STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    switch (NT_SUCCESS(status) ? location->MajorFunction : IRP_MJ_MAXIMUM_FUNCTION) {
    case IRP_MJ_CREATE:
        file->FsContext = &Header;
        file->SectionObjectPointer = &Pointers;
        Irp->IoStatus.Information = FILE_OPENED;
        break;
    case IRP_MJ_READ:
        status = Read(Irp, location, buffer);
        break;
    case IRP_MJ_WRITE:
        status = Write(Irp, location, buffer);
        break;
    case IRP_MJ_SET_INFORMATION:
        /* How much of the file is written: there is nothing to keep of it. */
        break;
    case IRP_MJ_CLEANUP:
        CcUninitializeCacheMap(file, NULL, NULL);
        break;
    case IRP_MJ_CLOSE:
        KeSetEvent(&Closed, IO_NO_INCREMENT, FALSE);
        break;
    default:
        status = NT_SUCCESS(status) ? STATUS_INVALID_DEVICE_REQUEST : status;
        break;
    }
    Irp->IoStatus.Status = status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

static VOID Fill(PUCHAR Buffer, SIZE_T Count)
{
    SIZE_T index;

    for (index = 0; index < Count; index++) {
        Buffer[index] = (UCHAR)(index * 7 + index / PAGE_SIZE);
    }
}

static VOID NTAPI Elsewhere(PVOID Context, PKEVENT Event)
{
    *(PKTHREAD *)Context = KeGetCurrentThread();
    KeSetEvent(Event, IO_NO_INCREMENT, FALSE);
}

/* The pages of the cache themselves: what is written in one of them is read in another. */
static VOID ByLists(PFILE_OBJECT File)
{
    IO_STATUS_BLOCK block;
    LARGE_INTEGER offset;
    PMDL list = NULL;
    PUCHAR bytes;

    offset.QuadPart = PAGE_SIZE;
    __try {
        CcPrepareMdlWrite(File, &offset, PAGE_SIZE, &list, &block);
        bytes = MmGetSystemAddressForMdlSafe(list, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
        if (bytes != NULL) {
            RtlFillMemory(bytes, PAGE_SIZE, 0xA5);
            CcMdlWriteComplete(File, &offset, list);
#ifdef WRITTEN_TWICE
            CcMdlWriteComplete(File, &offset, list); /* MISTAKE */
#endif
        } else {
            CcMdlWriteAbort(File, list);
        }
        list = NULL;
        offset.QuadPart = PAGE_SIZE + 100;
        CcMdlRead(File, &offset, 1000, &list, &block);
        bytes = MmGetSystemAddressForMdlSafe(list, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
        DbgPrint("cached: %Iu bytes by a list, the last is %x\n", block.Information,
                 bytes != NULL ? bytes[block.Information - 1] : 0);
        CcMdlReadComplete(File, list);
#ifdef TWICE
        CcMdlReadComplete(File, list); /* MISTAKE */
#endif
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        DbgPrint("cached: no lists: %08lx\n", GetExceptionCode());
    }
}

/* Fast I/O by the routines that file systems put into their table. */
static VOID ByFastIo(PFILE_OBJECT File)
{
    UCHAR buffer[64];
    IO_STATUS_BLOCK block;
    LARGE_INTEGER offset;
    BOOLEAN written, read, behind, denied;

    RtlFillMemory(buffer, sizeof buffer, 0x5A);
    offset.QuadPart = PAGE_SIZE - 32;
    written = FsRtlCopyWrite(File, &offset, sizeof buffer, TRUE, 0, buffer, &block, Device);
    RtlZeroMemory(buffer, sizeof buffer);
    read = FsRtlCopyRead(File, &offset, sizeof buffer, TRUE, 0, buffer, &block, Device);
    DbgPrint("cached: fast I/O %d %d, %Iu bytes, the last is %x, then at %I64d\n", written, read, block.Information,
             buffer[sizeof buffer - 1], File->CurrentByteOffset.QuadPart);
    offset.QuadPart = BYTES;
    behind = FsRtlCopyRead(File, &offset, sizeof buffer, TRUE, 0, buffer, &block, Device);
    DbgPrint("cached: behind the end %d %08lx\n", behind, block.Status);
    written = FsRtlCopyWrite(File, &offset, sizeof buffer, TRUE, 0, buffer, &block, Device);
    /* There is no FastIoCheckIfPossible that could allow it. */
    offset.QuadPart = 0;
    Header.IsFastIoPossible = FastIoIsQuestionable;
    denied = !FsRtlCopyRead(File, &offset, sizeof buffer, TRUE, 0, buffer, &block, Device);
    Header.IsFastIoPossible = FastIoIsPossible;
    DbgPrint("cached: behind the allocation %d, in doubt %s\n", written, denied ? "denied" : "allowed");
}

/* What is known of the handle, and a thread whose stack is empty. */
static VOID Besides(HANDLE Handle)
{
    union {
        PUBLIC_OBJECT_BASIC_INFORMATION Basic;
        UCHAR Bytes[256];
    } information;
    PKTHREAD thread = NULL;
    KEVENT event;
    NTSTATUS status;

    status = ZwQueryObject(Handle, ObjectBasicInformation, &information, sizeof information, NULL);
    DbgPrint("cached: %08lx, %lu handle, access %08lx\n", status, information.Basic.HandleCount,
             information.Basic.GrantedAccess);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    FsRtlPostStackOverflow(&thread, &event, Elsewhere);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    DbgPrint("cached: %s thread\n", thread == KeGetCurrentThread() ? "the same" : "another");
}

static VOID TryMore(HANDLE Handle)
{
    PFILE_OBJECT file;
    NTSTATUS status;

    status = ObReferenceObjectByHandle(Handle, FILE_READ_DATA, NULL, KernelMode, (PVOID *)&file, NULL);
    if (!NT_SUCCESS(status)) {
        DbgPrint("cached: no file: %08lx\n", status);
    } else {
        Header.Resource = &Resource;
        Header.IsFastIoPossible = FastIoIsPossible;
        Header.AllocationSize = Sizes.AllocationSize;
        Header.FileSize = Sizes.FileSize;
        ByLists(file);
        ByFastIo(file);
        ObDereferenceObject(file);
    }
    Besides(Handle);
}

/* Writes the file by parts of pages, and reads it; what is not the same by then is a bug. */
static VOID Try(PUNICODE_STRING Name, PUCHAR Buffer)
{
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK block;
    LARGE_INTEGER offset;
    HANDLE handle;
    NTSTATUS status;
    ULONG part;

    InitializeObjectAttributes(&attributes, Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    status = ZwCreateFile(&handle, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, &attributes, &block, NULL, 0, 0,
                          FILE_OPEN, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    if (!NT_SUCCESS(status)) {
        DbgPrint("cached: the file is not opened: %08lx\n", status);
        return;
    }
    Fill(Buffer, BYTES);
    for (part = 0; part < 8; part++) {
        offset.QuadPart = part * (BYTES / 8);
        status = ZwWriteFile(handle, NULL, NULL, NULL, &block, Buffer + offset.QuadPart, BYTES / 8, &offset, NULL);
        if (!NT_SUCCESS(status)) {
            DbgPrint("cached: not written: %08lx\n", status);
        }
    }
    RtlZeroMemory(Buffer, BYTES);
    offset.QuadPart = BYTES / 2;
    status = ZwReadFile(handle, NULL, NULL, NULL, &block, Buffer, BYTES, &offset, NULL);
    DbgPrint("cached: %08lx, %Iu bytes of the second half\n", status, block.Information);
    TryMore(handle);
    ZwClose(handle);
    /* The lazy writer has it until then. */
    KeWaitForSingleObject(&Closed, Executive, KernelMode, FALSE, NULL);
    Fill(Buffer, BYTES);
    RtlFillMemory(Buffer + PAGE_SIZE, PAGE_SIZE, 0xA5);
    RtlFillMemory(Buffer + PAGE_SIZE - 32, 64, 0x5A);
    DbgPrint("cached: the file is %s, written by %s, with %s acquired\n",
             RtlCompareMemory(Store, Buffer, BYTES) == BYTES ? "as it was written" : "another one",
             LazilyWritten != 0 ? "paging requests" : "nobody", Acquired != 0 ? "the lock" : "nothing");
}

NTSTATUS FilterStart(PDRIVER_OBJECT Driver)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CachedFile");
    PUCHAR buffer = ExAllocatePoolWithTag(NonPagedPoolNx, BYTES, FILTER_TAG);
    NTSTATUS status;

    if (buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = IoCreateDevice(Driver, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
    if (NT_SUCCESS(status)) {
        Device->Flags |= DO_DIRECT_IO;
        Device->Flags &= ~DO_DEVICE_INITIALIZING;
        KeInitializeEvent(&Closed, NotificationEvent, FALSE);
        ExInitializeFastMutex(&HeaderLock);
        ExInitializeResourceLite(&Resource);
        FsRtlSetupAdvancedHeader(&Header, &HeaderLock);
        Sizes.AllocationSize.QuadPart = BYTES;
        Try(&name, buffer);
        ExDeleteResourceLite(&Resource);
        IoDeleteDevice(Device);
        Device = NULL;
    }
    ExFreePoolWithTag(buffer, FILTER_TAG);
    return status;
}

VOID FilterStop(VOID)
{
}

NTSTATUS NTAPI FilterDispatch(PDEVICE_OBJECT Target, PIRP Irp)
{
    return Target == Device ? Own(Irp) : FilterSkip(Target, Irp);
}
