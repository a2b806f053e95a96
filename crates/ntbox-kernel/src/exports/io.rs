//! `Io`: the I/O manager's routines.
//!
//! Thin: each routine checks the IRQL that the DDI reference gives and hands on
//! to [`crate::io_manager`]. Left out: `IoStartPacket` and its like, which only
//! drivers of hardware use, and interrupts, DMA and plug and play.

mod csq;
mod devices;
mod drivers;
mod extended_attributes;
mod files;
mod log;
pub(super) mod names;
mod remove_lock;
pub(crate) mod requests;
mod share_access;
mod stack_limits;
mod synchronous;
mod timers;
mod verification;
mod work_items;

pub use requests::set_top_level_irp;

super::table! {
    caller(7) "IoCreateDevice" => devices::create_device,
    caller(1) "IoDeleteDevice" => devices::delete_device,
    caller(3) "IoAttachDevice" => devices::attach_device,
    caller(2) "IoAttachDeviceByPointer" => devices::attach_device_by_pointer,
    caller(2) "IoAttachDeviceToDeviceStack" => devices::attach_device_to_device_stack,
    caller(3) "IoAttachDeviceToDeviceStackSafe" => devices::attach_device_to_device_stack_safe,
    caller(1) "IoDetachDevice" => devices::detach_device,
    "IoGetAttachedDevice" => devices::get_attached_device,
    caller(1) "IoGetAttachedDeviceReference" => devices::get_attached_device_reference,
    caller(1) "IoGetLowerDeviceObject" => devices::get_lower_device_object,
    caller(1) "IoGetDeviceAttachmentBaseRef" => devices::get_device_attachment_base_ref,
    caller(4) "IoEnumerateDeviceObjectList" => devices::enumerate_device_object_list,
    caller(2) "IoGetDiskDeviceObject" => devices::get_disk_device_object,
    caller(4) "IoGetDeviceObjectPointer" => devices::get_device_object_pointer,
    caller(1) "IoRegisterShutdownNotification" => devices::register_shutdown_notification,
    caller(1) "IoRegisterLastChanceShutdownNotification" => devices::register_shutdown_notification,
    caller(1) "IoUnregisterShutdownNotification" => devices::unregister_shutdown_notification,

    caller(2) "IofCallDriver" => requests::call_driver,
    caller(2) "IoCallDriver" => requests::call_driver,
    caller(2) "IoForwardIrpSynchronously" => synchronous::forward_irp_synchronously,
    caller(2) "IofCompleteRequest" => requests::complete_request,
    caller(2) "IoCompleteRequest" => requests::complete_request,
    caller(2) "IoAllocateIrp" => requests::allocate_irp,
    caller(3) "IoAllocateIrpEx" => requests::allocate_irp_ex,
    caller(1) "IoFreeIrp" => requests::free_irp,
    caller(3) "IoInitializeIrp" => requests::initialize_irp,
    caller(2) "IoReuseIrp" => requests::reuse_irp,
    caller(1) "IoCancelIrp" => requests::cancel_irp,
    caller(1) "IoAcquireCancelSpinLock" => requests::acquire_cancel_spin_lock,
    caller(1) "IoReleaseCancelSpinLock" => requests::release_cancel_spin_lock,
    caller(1) "IoAcquireVpbSpinLock" => devices::acquire_vpb_spin_lock,
    caller(1) "IoReleaseVpbSpinLock" => devices::release_vpb_spin_lock,
    caller(7) "IoSetCompletionRoutineEx" => requests::set_completion_routine_ex,
    caller(7) "IoBuildSynchronousFsdRequest" => requests::build_synchronous_fsd_request,
    caller(6) "IoBuildAsynchronousFsdRequest" => requests::build_asynchronous_fsd_request,
    caller(9) "IoBuildDeviceIoControlRequest" => requests::build_device_io_control_request,
    caller(2) "IoMakeAssociatedIrp" => requests::make_associated_irp,
    caller(2) "IoSetMasterIrpStatus" => requests::set_master_irp_status,
    caller(0) "IoGetTopLevelIrp" => requests::get_top_level_irp,
    caller(1) "IoSetTopLevelIrp" => requests::set_top_level_irp,
    "IoIsOperationSynchronous" => requests::is_operation_synchronous,
    "IoGetRequestorProcess" => requests::get_requestor_process,
    "IoGetRequestorProcessId" => requests::get_requestor_process_id,
    "IoGetRequestorSessionId" => requests::get_requestor_session_id,
    "IoIs32bitProcess" => requests::is_32_bit_process,
    "IoThreadToProcess" => requests::thread_to_process,
    "IoIsSystemThread" => requests::is_system_thread,
    caller(5) "IoAllocateMdl" => requests::allocate_mdl,
    caller(1) "IoFreeMdl" => requests::free_mdl,
    caller(4) "IoBuildPartialMdl" => requests::build_partial_mdl,

    caller(2) "IoRegisterFsRegistrationChange" => drivers::register_fs_registration_change,
    caller(3) "IoRegisterFsRegistrationChangeMountAware" => drivers::register_fs_registration_change_mount_aware,
    caller(2) "IoUnregisterFsRegistrationChange" => drivers::unregister_fs_registration_change,
    caller(1) "IoRegisterFileSystem" => drivers::register_file_system,
    caller(1) "IoUnregisterFileSystem" => drivers::unregister_file_system,
    caller(3) "IoRegisterDriverReinitialization" => drivers::register_driver_reinitialization,
    caller(3) "IoRegisterBootDriverReinitialization" => drivers::register_driver_reinitialization,
    caller(5) "IoOpenDriverRegistryKey" => super::zw::open_driver_registry_key,
    caller(4) "IoAllocateDriverObjectExtension" => drivers::allocate_driver_object_extension,
    "IoGetDriverObjectExtension" => drivers::get_driver_object_extension,

    "IoGetRelatedDeviceObject" => files::get_related_device_object,
    "IoGetBaseFileSystemDeviceObject" => files::get_base_file_system_device_object,
    wide "IoCreateFile" => files::create_file,
    wide "IoCreateFileEx" => files::create_file_ex,
    wide "IoCreateFileSpecifyDeviceObjectHint" => files::create_file_specify_device_object_hint,
    caller(2) "IoCreateStreamFileObject" => files::create_stream_file_object,
    caller(2) "IoCreateStreamFileObjectLite" => files::create_stream_file_object_lite,
    caller(5) "IoQueryFileInformation" => files::query_file_information,
    caller(5) "IoQueryVolumeInformation" => files::query_volume_information,
    "IoGetFileObjectGenericMapping" => files::get_file_object_generic_mapping,
    caller(2) "IoCancelFileOpen" => synchronous::cancel_file_open,
    caller(3) "IoReplaceFileObjectName" => files::replace_file_object_name,
    caller(2) "IoQueryFileDosDeviceName" => names::query_file_dos_device_name,
    caller(5) "IoCheckShareAccess" => share_access::check,
    caller(4) "IoSetShareAccess" => share_access::set,
    caller(2) "IoUpdateShareAccess" => share_access::update,
    caller(2) "IoRemoveShareAccess" => share_access::remove,
    data "IoFileObjectType" => files::FILE_OBJECT_TYPE,
    data "IoDriverObjectType" => files::DRIVER_OBJECT_TYPE,
    data "IoDeviceObjectType" => files::DEVICE_OBJECT_TYPE,

    caller(2) "IoCreateSymbolicLink" => names::create_symbolic_link,
    caller(2) "IoCreateUnprotectedSymbolicLink" => names::create_symbolic_link,
    caller(1) "IoDeleteSymbolicLink" => names::delete_symbolic_link,
    caller(2) "IoVolumeDeviceToDosName" => names::volume_device_to_dos_name,
    caller(2) "RtlVolumeDeviceToDosName" => names::volume_device_to_dos_name,

    caller(1) "IoAllocateWorkItem" => work_items::allocate_work_item,
    caller(1) "IoFreeWorkItem" => work_items::free_work_item,
    "IoInitializeWorkItem" => work_items::initialize_work_item,
    "IoUninitializeWorkItem" => work_items::uninitialize_work_item,
    "IoSizeofWorkItem" => work_items::sizeof_work_item,
    caller(4) "IoQueueWorkItem" => work_items::queue_work_item,
    caller(4) "IoQueueWorkItemEx" => work_items::queue_work_item_ex,

    caller(2) "IoAllocateErrorLogEntry" => log::allocate_error_log_entry,
    caller(1) "IoFreeErrorLogEntry" => log::free_error_log_entry,
    caller(1) "IoWriteErrorLogEntry" => log::write_error_log_entry,

    caller(2) "IoCreateNotificationEvent" => super::zw::event::create_notification,
    caller(2) "IoCreateSynchronizationEvent" => super::zw::event::create_synchronization,

    caller(2) "IoVerifyVolume" => verification::verify_volume,
    caller(2) "IoSetDeviceToVerify" => verification::set_device_to_verify,
    caller(1) "IoGetDeviceToVerify" => verification::get_device_to_verify,
    caller(2) "IoSetHardErrorOrVerifyDevice" => verification::set_hard_error_or_verify_device,
    caller(1) "IoSetThreadHardErrorMode" => verification::set_thread_hard_error_mode,
    caller(3) "IoRaiseHardError" => verification::raise_hard_error,
    caller(3) "IoRaiseInformationalHardError" => verification::raise_informational_hard_error,
    touches(3) "IoCheckEaBufferValidity" => extended_attributes::check_buffer,

    "IoGetStackLimits" => stack_limits::get_stack_limits,
    "IoGetRemainingStackSize" => stack_limits::get_remaining_stack_size,
    "IoGetInitialStack" => stack_limits::get_initial_stack,

    caller(3) "IoInitializeTimer" => timers::initialize_timer,
    caller(1) "IoStartTimer" => timers::start_timer,
    caller(1) "IoStopTimer" => timers::stop_timer,

    "IoCsqInitialize" => csq::initialize,
    "IoCsqInitializeEx" => csq::initialize_ex,
    "IoCsqInsertIrp" => csq::insert_irp,
    "IoCsqInsertIrpEx" => csq::insert_irp_ex,
    "IoCsqRemoveIrp" => csq::remove_irp,
    "IoCsqRemoveNextIrp" => csq::remove_next_irp,

    caller(5) "IoInitializeRemoveLockEx" => remove_lock::initialize,
    caller(5) "IoAcquireRemoveLockEx" => remove_lock::acquire,
    caller(3) "IoReleaseRemoveLockEx" => remove_lock::release,
    caller(3) "IoReleaseRemoveLockAndWaitEx" => remove_lock::release_and_wait,
}

#[cfg(test)]
mod tests;
