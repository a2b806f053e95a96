//! The expected layouts, computed from ntbox's definitions.

#![expect(
    unsafe_code,
    reason = "a closure that is never called names the type of a field"
)]

use super::Field;
use ntbox::nt;
use std::mem::offset_of;

/// Bytes of the field that `place` names in a structure.
const fn size_of_field<T, F>(_place: fn(*const T) -> *const F) -> usize {
    size_of::<F>()
}

/// A field of one of ntbox's structures, under its own path or the one in front of `=`.
macro_rules! field {
    ($structure:ident: $path:literal = $($part:ident).+) => {
        Field {
            structure: stringify!($structure),
            path: $path,
            offset: offset_of!(nt::$structure, $($part).+),
            // SAFETY: never called.
            size: size_of_field::<nt::$structure, _>(|it| unsafe { &raw const (*it).$($part).+ }),
        }
    };
}

macro_rules! structures {
    ($($structure:ident { $($($part:ident).+),* $(,)? })*) => { &[$(
        Field { structure: stringify!($structure), path: "", offset: 0, size: size_of::<nt::$structure>() },
        $(Field { path: stringify!($($part).+), ..field!($structure: "" = $($part).+) },)*
    )*] };
}

/// Structures whose members have the same names on both sides.
const SAME_NAMES: &[Field] = structures! {
    IRP {
        Type, Size, MdlAddress, Flags, AssociatedIrp, AssociatedIrp.MasterIrp, AssociatedIrp.IrpCount,
        AssociatedIrp.SystemBuffer, ThreadListEntry, IoStatus, RequestorMode, PendingReturned, StackCount,
        CurrentLocation, Cancel, CancelIrql, ApcEnvironment, AllocationFlags, Anonymous.UserIosb, UserEvent,
        Overlay, Overlay.AsynchronousParameters.Anonymous1.UserApcRoutine,
        Overlay.AsynchronousParameters.Anonymous2.UserApcContext, Overlay.AllocationSize, CancelRoutine,
        UserBuffer, Tail, Tail.Overlay, Tail.Overlay.Anonymous1.DeviceQueueEntry,
        Tail.Overlay.Anonymous1.Anonymous.DriverContext, Tail.Overlay.Thread, Tail.Overlay.AuxiliaryBuffer,
        Tail.Overlay.Anonymous2.ListEntry, Tail.Overlay.Anonymous2.Anonymous.CurrentStackLocation,
        Tail.Overlay.Anonymous2.Anonymous.PacketType, Tail.Overlay.OriginalFileObject, Tail.Apc,
        Tail.CompletionKey,
    }
    IO_STACK_LOCATION {
        MajorFunction, MinorFunction, Flags, Control, Parameters, DeviceObject, FileObject, CompletionRoutine,
        Context,
        Parameters.Create, Parameters.Create.SecurityContext, Parameters.Create.Options,
        Parameters.Create.FileAttributes, Parameters.Create.ShareAccess, Parameters.Create.EaLength,
        Parameters.Read, Parameters.Read.Length, Parameters.Read.Key, Parameters.Read.ByteOffset,
        Parameters.Write, Parameters.Write.Length, Parameters.Write.Key, Parameters.Write.ByteOffset,
        Parameters.QueryDirectory, Parameters.QueryDirectory.Length, Parameters.QueryDirectory.FileName,
        Parameters.QueryDirectory.FileInformationClass, Parameters.QueryDirectory.FileIndex,
        Parameters.NotifyDirectory, Parameters.NotifyDirectory.Length,
        Parameters.NotifyDirectory.CompletionFilter,
        Parameters.QueryFile, Parameters.QueryFile.Length, Parameters.QueryFile.FileInformationClass,
        Parameters.SetFile, Parameters.SetFile.Length, Parameters.SetFile.FileInformationClass,
        Parameters.SetFile.FileObject,
        Parameters.QueryEa, Parameters.QueryEa.Length, Parameters.QueryEa.EaList,
        Parameters.QueryEa.EaListLength, Parameters.QueryEa.EaIndex,
        Parameters.SetEa, Parameters.SetEa.Length,
        Parameters.QueryVolume, Parameters.QueryVolume.Length, Parameters.QueryVolume.FsInformationClass,
        Parameters.SetVolume, Parameters.SetVolume.Length, Parameters.SetVolume.FsInformationClass,
        Parameters.FileSystemControl, Parameters.FileSystemControl.OutputBufferLength,
        Parameters.FileSystemControl.InputBufferLength, Parameters.FileSystemControl.Type3InputBuffer,
        Parameters.DeviceIoControl, Parameters.DeviceIoControl.OutputBufferLength,
        Parameters.DeviceIoControl.InputBufferLength, Parameters.DeviceIoControl.Type3InputBuffer,
        Parameters.LockControl, Parameters.LockControl.Length, Parameters.LockControl.Key,
        Parameters.LockControl.ByteOffset,
        Parameters.QuerySecurity, Parameters.QuerySecurity.SecurityInformation,
        Parameters.QuerySecurity.Length,
        Parameters.SetSecurity, Parameters.SetSecurity.SecurityInformation,
        Parameters.SetSecurity.SecurityDescriptor,
        Parameters.MountVolume, Parameters.MountVolume.Vpb, Parameters.MountVolume.DeviceObject,
        Parameters.VerifyVolume, Parameters.VerifyVolume.Vpb, Parameters.VerifyVolume.DeviceObject,
        Parameters.Others, Parameters.Others.Argument1, Parameters.Others.Argument2,
        Parameters.Others.Argument3, Parameters.Others.Argument4,
    }
    DEVICE_OBJECT {
        Type, Size, ReferenceCount, DriverObject, NextDevice, AttachedDevice, CurrentIrp, Timer, Flags,
        Characteristics, Vpb, DeviceExtension, DeviceType, StackSize, Queue, Queue.ListEntry, Queue.Wcb,
        AlignmentRequirement, DeviceQueue, Dpc, ActiveThreadCount, SecurityDescriptor, DeviceLock, SectorSize,
        Spare1, DeviceObjectExtension, Reserved,
    }
    DRIVER_OBJECT {
        Type, Size, DeviceObject, Flags, DriverStart, DriverSize, DriverSection, DriverExtension, DriverName,
        HardwareDatabase, FastIoDispatch, DriverInit, DriverStartIo, DriverUnload, MajorFunction,
    }
    DRIVER_EXTENSION { DriverObject, AddDevice, Count, ServiceKeyName }
    FILE_OBJECT {
        Type, Size, DeviceObject, Vpb, FsContext, FsContext2, SectionObjectPointer, PrivateCacheMap,
        FinalStatus, RelatedFileObject, LockOperation, DeletePending, ReadAccess, WriteAccess, DeleteAccess,
        SharedRead, SharedWrite, SharedDelete, Flags, FileName, CurrentByteOffset, Waiters, Busy, LastLock,
        Lock, Event, CompletionContext, IrpListLock, IrpList, FileObjectExtension,
    }
    VPB {
        Type, Size, Flags, VolumeLabelLength, DeviceObject, RealDevice, SerialNumber, ReferenceCount,
        VolumeLabel,
    }
    MDL { Next, Size, MdlFlags, Process, MappedSystemVa, StartVa, ByteCount, ByteOffset }
    KEVENT { Header }
    UNICODE_STRING { Length, MaximumLength, Buffer }
    IO_STATUS_BLOCK { Anonymous.Status, Anonymous.Pointer, Information }
    IO_SECURITY_CONTEXT { SecurityQos, AccessState, DesiredAccess, FullCreateOptions }
    FAST_IO_DISPATCH {
        SizeOfFastIoDispatch, FastIoCheckIfPossible, FastIoRead, FastIoWrite, FastIoQueryBasicInfo,
        FastIoQueryStandardInfo, FastIoLock, FastIoUnlockSingle, FastIoUnlockAll, FastIoUnlockAllByKey,
        FastIoDeviceControl, AcquireFileForNtCreateSection, ReleaseFileForNtCreateSection, FastIoDetachDevice,
        FastIoQueryNetworkOpenInfo, AcquireForModWrite, MdlRead, MdlReadComplete, PrepareMdlWrite,
        MdlWriteComplete, FastIoReadCompressed, FastIoWriteCompressed, MdlReadCompleteCompressed,
        MdlWriteCompleteCompressed, FastIoQueryOpen, ReleaseForModWrite, AcquireForCcFlush, ReleaseForCcFlush,
    }
    FS_FILTER_CALLBACK_DATA {
        SizeOfFsFilterCallbackData, Operation, Reserved, DeviceObject, FileObject, Parameters,
    }
    FS_FILTER_CALLBACKS { SizeOfFsFilterCallbacks, Reserved }
};

macro_rules! callbacks {
    ($($pre:literal, $post:literal = $operation:ident;)*) => { &[$(
        field!(FS_FILTER_CALLBACKS: $pre = $operation.Pre),
        field!(FS_FILTER_CALLBACKS: $post = $operation.Post),
    )*] };
}

/// Members that ntbox names in its own way.
const OTHER_NAMES: &[&[Field]] = &[
    &[
        field!(IO_STACK_LOCATION: "Parameters.FileSystemControl.FsControlCode" = Parameters.FileSystemControl.ControlCode),
        field!(IO_STACK_LOCATION: "Parameters.DeviceIoControl.IoControlCode" = Parameters.DeviceIoControl.ControlCode),
        field!(IO_STACK_LOCATION: "Parameters.SetFile.ReplaceIfExists" = Parameters.SetFile.Tail.Rename.ReplaceIfExists),
        field!(IO_STACK_LOCATION: "Parameters.SetFile.AdvanceOnly" = Parameters.SetFile.Tail.Rename.AdvanceOnly),
        field!(IO_STACK_LOCATION: "Parameters.SetFile.ClusterCount" = Parameters.SetFile.Tail.ClusterCount),
        field!(IO_STACK_LOCATION: "Parameters.SetFile.DeleteHandle" = Parameters.SetFile.Tail.DeleteHandle),
    ],
    callbacks! {
        "PreAcquireForSectionSynchronization", "PostAcquireForSectionSynchronization" = AcquireForSectionSynchronization;
        "PreReleaseForSectionSynchronization", "PostReleaseForSectionSynchronization" = ReleaseForSectionSynchronization;
        "PreAcquireForCcFlush", "PostAcquireForCcFlush" = AcquireForCcFlush;
        "PreReleaseForCcFlush", "PostReleaseForCcFlush" = ReleaseForCcFlush;
        "PreAcquireForModifiedPageWriter", "PostAcquireForModifiedPageWriter" = AcquireForModifiedPageWriter;
        "PreReleaseForModifiedPageWriter", "PostReleaseForModifiedPageWriter" = ReleaseForModifiedPageWriter;
        "PreQueryOpen", "PostQueryOpen" = QueryOpen;
    },
];

/// Every field that is compared, those of one structure together.
#[must_use]
pub fn expected() -> Vec<Field> {
    let mut fields = SAME_NAMES.to_vec();
    fields.extend(OTHER_NAMES.iter().copied().flatten().cloned());
    fields.sort_by_key(|field| (field.structure, field.offset));
    fields
}
