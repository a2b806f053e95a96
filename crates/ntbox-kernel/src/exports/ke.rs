//! `Ke`: the kernel proper.
//!
//! Thin routines: each checks the IRQL that the DDI reference gives and calls the
//! part of [`crate::processor`] that models it.
//!
//! `KeQuerySystemTime` and `KeQueryTickCount` are no imports on x64 but reads of the page
//! that the kernel shares with programs, which [`crate::processor`] has; `KeTickCount` is not
//! exported there. Left out: affinity and target processors, as the host schedules threads.

mod attach;
pub(super) mod bug_check;
pub(super) mod objects;
mod processors;
mod queues;
mod spin_locks;
mod timers;

super::table! {
    caller(3) "KeInitializeEvent" => objects::initialize_event,
    caller(3) "KeSetEvent" => objects::set_event,
    caller(1) "KeResetEvent" => objects::reset_event,
    caller(1) "KeClearEvent" => objects::clear_event,
    caller(3) "KePulseEvent" => objects::pulse_event,
    "KeReadStateEvent" => objects::read_state,
    caller(5) "KeWaitForSingleObject" => objects::wait_for_single_object,
    caller(5) "KeWaitForMutexObject" => objects::wait_for_single_object,
    caller(8) "KeWaitForMultipleObjects" => objects::wait_for_multiple_objects,
    caller(3) "KeDelayExecutionThread" => objects::delay_execution_thread,
    caller(3) "KeInitializeSemaphore" => objects::initialize_semaphore,
    caller(4) "KeReleaseSemaphore" => objects::release_semaphore,
    "KeReadStateSemaphore" => objects::read_state,
    caller(2) "KeInitializeMutex" => objects::initialize_mutex,
    caller(2) "KeReleaseMutex" => objects::release_mutex,
    "KeReadStateMutex" => objects::read_state,

    "KeGetCurrentIrql" => spin_locks::get_current_irql,
    caller(1) "KfRaiseIrql" => spin_locks::raise_irql,
    caller(1) "KeLowerIrql" => spin_locks::lower_irql,
    caller(0) "KeRaiseIrqlToDpcLevel" => spin_locks::raise_irql_to_dpc_level,
    caller(1) "KeInitializeSpinLock" => spin_locks::initialize,
    caller(1) "KeAcquireSpinLockRaiseToDpc" => spin_locks::acquire_raise_to_dpc,
    caller(2) "KeReleaseSpinLock" => spin_locks::release,
    caller(1) "KeAcquireSpinLockAtDpcLevel" => spin_locks::acquire_at_dpc_level,
    caller(1) "KeReleaseSpinLockFromDpcLevel" => spin_locks::release_from_dpc_level,
    caller(1) "KeTryToAcquireSpinLockAtDpcLevel" => spin_locks::try_to_acquire_at_dpc_level,
    "KeTestSpinLock" => spin_locks::test,
    caller(2) "KeAcquireInStackQueuedSpinLock" => spin_locks::acquire_in_stack_queued,
    caller(1) "KeReleaseInStackQueuedSpinLock" => spin_locks::release_in_stack_queued,
    caller(2) "KeAcquireInStackQueuedSpinLockAtDpcLevel" => spin_locks::acquire_in_stack_queued_at_dpc_level,
    caller(1) "KeReleaseInStackQueuedSpinLockFromDpcLevel" => spin_locks::release_in_stack_queued_from_dpc_level,
    caller(0) "KeEnterCriticalRegion" => spin_locks::enter_critical_region,
    caller(0) "KeLeaveCriticalRegion" => spin_locks::leave_critical_region,
    caller(0) "KeEnterGuardedRegion" => spin_locks::enter_guarded_region,
    caller(0) "KeLeaveGuardedRegion" => spin_locks::leave_guarded_region,
    caller(2) "KeStackAttachProcess" => attach::stack_attach_process,
    caller(1) "KeUnstackDetachProcess" => attach::unstack_detach_process,
    "KeAreApcsDisabled" => spin_locks::are_apcs_disabled,
    "KeAreAllApcsDisabled" => spin_locks::are_all_apcs_disabled,

    "KeInitializeQueue" => queues::initialize,
    "KeReadStateQueue" => queues::read_state,
    caller(2) "KeInsertQueue" => queues::insert,
    caller(2) "KeInsertHeadQueue" => queues::insert_head,
    caller(3) "KeRemoveQueue" => queues::remove,
    caller(1) "KeRundownQueue" => queues::rundown,

    caller(3) "KeInitializeDpc" => timers::initialize_dpc,
    caller(3) "KeInsertQueueDpc" => timers::insert_queue_dpc,
    "KeRemoveQueueDpc" => timers::remove_queue_dpc,
    caller(0) "KeFlushQueuedDpcs" => timers::flush_queued_dpcs,
    caller(1) "KeInitializeTimer" => timers::initialize_timer,
    caller(2) "KeInitializeTimerEx" => timers::initialize_timer_ex,
    caller(3) "KeSetTimer" => timers::set_timer,
    caller(4) "KeSetTimerEx" => timers::set_timer_ex,
    caller(1) "KeCancelTimer" => timers::cancel_timer,
    "KeReadStateTimer" => objects::read_state,
    "KeQueryPerformanceCounter" => timers::query_performance_counter,
    "KeQuerySystemTimePrecise" => timers::query_system_time_precise,
    "KeQueryInterruptTime" => timers::query_interrupt_time,
    "KeQueryInterruptTimePrecise" => timers::query_interrupt_time_precise,
    "KeQueryUnbiasedInterruptTime" => timers::query_interrupt_time,
    "KeQueryTimeIncrement" => timers::query_time_increment,
    "KeStallExecutionProcessor" => timers::stall_execution_processor,

    "KeGetCurrentThread" => processors::get_current_thread,
    "KeGetCurrentProcessorNumberEx" => processors::get_current_processor_number_ex,
    "KeQueryActiveProcessorCount" => processors::query_active_processor_count,
    "KeQueryActiveProcessorCountEx" => processors::query_active_processor_count_ex,
    "KeQueryMaximumProcessorCount" => processors::query_maximum_processor_count,
    "KeQueryMaximumProcessorCountEx" => processors::query_active_processor_count_ex,
    "KeQueryActiveProcessors" => processors::query_active_processors,
    "KeQueryActiveGroupCount" => processors::query_group_count,
    "KeQueryMaximumGroupCount" => processors::query_group_count,
    data "KeNumberProcessors" => processors::NUMBER_PROCESSORS,
    "KeSetPriorityThread" => processors::set_priority_thread,
    "KeQueryPriorityThread" => processors::query_priority_thread,
    caller(3) "KeExpandKernelStackAndCallout" => processors::expand_kernel_stack_and_callout,

    caller(1) "KeBugCheck" => bug_check::bug_check,
    caller(5) "KeBugCheckEx" => bug_check::bug_check_ex,
}
