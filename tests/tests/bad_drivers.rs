//! The checks themselves: every mistake of `bad_drivers.sys` is caught under the name of its rule,
//! at the place where it is made, and the driver without a mistake is found correct.

use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::image_audit::Doctored;
use fsglass_tests::mistakes::{ALL, Mistake, Work};
use fsglass_tests::verifier_table::{report_line, rule_of};
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// Runs `bad_drivers.sys` with a mistake (or none) over random work, which pends, completes at
/// DISPATCH_LEVEL and on other threads, and unloads it.
fn run(profile: Profile, mistake: Option<&str>, work: Work, seed: u64) -> Ended {
    let folder = TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}"));
    let driver = match work {
        Work::Doctored { section, bits, .. } => doctored(profile, section, bits, &folder),
        _ => drivers::bad_drivers(profile).display().to_string(),
    };
    let mut arguments = vec!["run".to_owned(), "--driver".to_owned(), driver.clone()];
    if let Work::Doctored { rule, .. } = work {
        arguments.extend(["--verify".to_owned(), format!("standard,{rule}")]);
    }
    let more: &[&str] = match work {
        Work::Random | Work::Media | Work::Doctored { .. } => &[],
        Work::Verified(list) => &["--verify", list],
        Work::Copy => &["--workload", "copy:tests/bad_drivers/src"],
        Work::Stacked | Work::Above => &["--driver", &driver],
        Work::LowResources => &["--verify", "standard,low-resources"],
        Work::Outstanding => &["--outstanding"],
        Work::KeepGoing => &["--keep-going"],
        Work::Fenced => &["--verify", "standard,fence"],
        Work::FencedCopy => &[
            "--verify",
            "standard,fence",
            "--workload",
            "copy:tests/bad_drivers/src",
        ],
    };
    arguments.extend(more.iter().map(|&argument| argument.to_owned()));
    // One volume is there before the driver, the other one comes after it.
    let directories = [(), ()]
        .map(|()| TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}")));
    let second = match work {
        Work::Media => "D={},kind=removable,mount=after",
        _ => "D={},mount=after",
    };
    for (volume, timing) in directories.iter().zip(["C={},mount=before", second]) {
        let host = volume.path().display().to_string();
        arguments.extend(["--volume".to_owned(), timing.replace("{}", &host)]);
    }
    if let Some(mistake) = mistake {
        let service = match work {
            Work::Above => "bad_drivers2",
            _ => "bad_drivers",
        };
        arguments.extend([
            "--setting".to_owned(),
            format!("{service}:Mistake={mistake}"),
        ]);
    }
    arguments.extend(["--ops", "3000", "--threads", "2", "--seed"].map(str::to_owned));
    arguments.push(seed.to_string());
    ntbox(arguments)
}

/// The path of a copy of the driver with more bits in the characteristics of a section.
fn doctored(profile: Profile, section: &str, bits: u32, folder: &TempDir) -> String {
    let image = std::fs::read(drivers::bad_drivers(profile)).expect("the driver");
    let mut copy = Doctored::new(&image);
    copy.set_section_characteristics(section, bits);
    let path = folder.path().join("bad_drivers.sys");
    std::fs::write(&path, copy.finish()).expect("the copy");
    path.display().to_string()
}

/// The rule whose mistakes are not seen in Wine, and why.
const NOT_IN_WINE: [&str; 2] = [
    "StackUsedUp",
    "Wine leaves no room to a handler (SetThreadStackGuarantee)",
];

/// True for those in Wine, which has this program and Windows has not. Says so.
fn is_left_out(mistake: &Mistake) -> bool {
    let [rule, why] = NOT_IN_WINE;
    let is_left_out =
        mistake.rule == rule && Path::new(r"C:\windows\system32\winecfg.exe").exists();
    if is_left_out {
        let name = mistake.name;
        // Past what the test harness keeps to itself: nobody reads that of a test that passes.
        let line = format!("skipped: the mistake {name}: {why}\n");
        let written = std::io::stderr().write_all(line.as_bytes());
        written.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    is_left_out
}

/// The mistake is reported, and nothing else: rule, routine, file and line.
fn expect_caught(mistake: &Mistake, profile: Profile) {
    let ended = run(profile, Some(mistake.name), mistake.work, 1);
    ended
        .expect_code(if rule_of(mistake).is_warning() { 0 } else { 1 })
        .expect_output(&format!("{}\n", report_line(mistake)));
    let placed = mistake.is_placed_by(&ended.output);
    assert!(
        placed,
        "the report does not name the place of {mistake:?}\n{}\n{}",
        ended.line, ended.output
    );
}

/// Without a mistake the driver breaks no rule, also with other seeds.
fn is_correct(profile: Profile) {
    for seed in 1..=3 {
        run(profile, None, Work::Random, seed).expect_code(0);
    }
    // Under a shortage requests fail, as they should.
    let short = run(profile, None, Work::LowResources, 1);
    assert!(!short.output.contains("violation of"), "{short:?}");
    let others = [
        Work::Copy,
        Work::Stacked,
        Work::Outstanding,
        Work::Fenced,
        Work::FencedCopy,
    ];
    for work in others {
        run(profile, None, work, 1).expect_code(0);
    }
}

#[test]
fn without_a_mistake_it_is_correct() {
    is_correct(Profile::Release);
}

#[test]
fn without_a_mistake_its_debug_build_is_correct() {
    is_correct(Profile::Debug);
}

#[test]
fn what_is_right_is_not_reported() {
    right_is_not_reported(Profile::Release);
}

#[test]
fn what_is_right_in_a_debug_build_is_not_reported() {
    right_is_not_reported(Profile::Debug);
}

/// What looks like a mistake and is none is not reported.
fn right_is_not_reported(profile: Profile) {
    let driver = drivers::bad_drivers(profile).display().to_string();
    let all = [
        "stack-event",
        "named-device",
        "create-waits",
        "own-read",
        "active-objects",
        "lists",
        "handles",
        "manners",
        "addresses",
        "file-objects",
        "cancel-safe-queue",
        "notify-routines",
        "remove-locks",
        "own-requests",
        "cancelling",
        "writes",
        "plug-and-play",
        "associated",
        "open-target-directory",
    ];
    for right in all {
        let right = format!("Right={right}");
        for verify in [
            "standard",
            "standard,force-pending",
            "standard,CodeIntegrityPool,CodeIntegrityMapping,CodeIntegritySection,CodeIntegrityImports",
        ] {
            ntbox([
                "run",
                "--driver",
                &driver,
                "--setting",
                &right,
                "--verify",
                verify,
                "--ops",
                "2000",
            ])
            .expect_code(0);
        }
    }
}

/// An image that is linked without /INTEGRITYCHECK gets no routine that may refuse processes.
#[test]
fn an_image_that_is_not_checked_may_not_refuse_processes() {
    let folder = TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}"));
    let image = std::fs::read(drivers::bad_drivers(Profile::Release)).expect("the driver");
    let mut copy = Doctored::new(&image);
    // IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY
    copy.clear_dll_characteristics(0x0080);
    let path = folder.path().join("bad_drivers.sys");
    std::fs::write(&path, copy.finish()).expect("the copy");
    let driver = path.display().to_string();
    let run = ["run", "--driver", &driver, "--ops", "100"];
    ntbox(run).expect_code(0);
    ntbox([&run[..], &["--setting", "Right=notify-routines"]].concat())
        .expect_code(1)
        .expect_output("STATUS_ACCESS_DENIED");
}

/// A mount that is refused for want of memory is tried again: the run goes on.
#[test]
fn a_mount_without_memory_ends_no_run() {
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    for seed in ["1", "2", "3", "4", "5"] {
        let volume =
            TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        let volume = format!("D={},mount=after", volume.path().display());
        let ended = ntbox([
            "run",
            "--driver",
            &driver,
            "--setting",
            "Right=mount-needs-memory",
            "--verify",
            "standard,low-resources",
            "--volume",
            &volume,
            "--ops",
            "200",
            "--seed",
            seed,
        ]);
        ended.expect_output("Results\n  requests ");
        assert!(!ended.output.contains("violation of"), "{ended:?}");
    }
}

/// What a report says is what has happened, and not what is more usual.
#[test]
fn what_is_told_is_what_has_happened() {
    for (mistake, told) in [
        (
            "misaligned-access",
            "by an instruction that takes multiples of 16 only (Movaps)",
        ),
        (
            "stopped-and-left",
            "for a request that has come back to it, stopped by its completion routine, and neither completed it",
        ),
        (
            "forget-request",
            "returned STATUS_ACCESS_DENIED and neither completed the request nor passed it on",
        ),
        (
            "unicode-printed-at-dispatch",
            "its maximum is PASSIVE_LEVEL (0), by ddi/wdm/nf-wdm-dbgprint",
        ),
        (
            "mounted-nothing",
            "and no file system has mounted the volume: Vpb->DeviceObject is null",
        ),
        (
            "entry-fails-attached",
            "DriverEntry of bad_drivers has failed, so that it goes, while its file-system registration callback is still registered",
        ),
        (
            "subject-context-left",
            "bad_drivers left a reference to a token object",
        ),
        (
            "process-kept",
            "reads offset 0 of a process object of 16384 bytes",
        ),
    ] {
        run(Profile::Release, Some(mistake), Work::Random, 1).expect_output(told);
    }
}

/// Depth, frames by size, and the request that the routines were entered for.
#[test]
#[cfg_attr(windows, ignore = "drivers have no stack of their own there")]
fn a_used_up_stack_is_told_with_its_frames_and_its_request() {
    run(Profile::Release, Some("sent-to-itself"), Work::Random, 1)
        .expect_output(" routines of drivers are on it, of 24576 bytes; ")
        .expect_output(" of bad_drivers!bad_drivers::mistakes::ends::send_to_itself (")
        .expect_output(": IRP_MJ_QUERY_INFORMATION of ");
}

/// Where a block was allocated and freed is told with the calls that led there. Without a debug build they are inlined.
#[test]
fn both_ends_of_a_block_are_told_with_who_called() {
    let ended = run(Profile::Debug, Some("free-twice"), Work::Random, 1);
    let caller = "    called by    bad_drivers!bad_drivers::mistakes::memory::free_twice (";
    let told = ended.output.lines().filter(|line| line.starts_with(caller));
    assert_eq!(told.count(), 2, "{}", ended.output);
}

/// What ended ntbox itself once does not do so in other work either.
#[test]
fn requests_that_write_over_what_is_not_theirs_are_caught_in_other_work() {
    run(
        Profile::Release,
        Some("information-too-large"),
        Work::Copy,
        1,
    )
    .expect_code(1)
    .expect_output("violation of InformationTooLarge");
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    let overwritten = ["--setting", "Mistake=master-irp-overwritten"];
    let short = ["--once", "--ops", "3000", "--rounds", "1"];
    ntbox([&["diff", "--driver", &driver][..], &overwritten, &short].concat())
        .expect_code(1)
        .expect_output("violation of MasterIrpOverwritten");
}

/// A setting that names no mistake refuses the start, so that a misspelt test does not pass.
#[test]
fn an_unknown_mistake_does_not_start() {
    run(Profile::Release, Some("no-such-mistake"), Work::Random, 1)
        .expect_code(1)
        .expect_output("STATUS_INVALID_PARAMETER");
}

macro_rules! caught {
    ($($(#[$rule:meta])* $test:ident = $name:literal;)*) => {
        $(
            $(#[$rule])*
            #[test]
            fn $test() {
                let Some(mistake) = ALL.iter().find(|mistake| mistake.name == $name) else {
                    panic!("there is no mistake {}", $name)
                };
                if is_left_out(mistake) {
                    return;
                }
                for profile in Profile::ALL {
                    expect_caught(mistake, profile);
                }
            }
        )*

        /// There is no mistake that no test makes.
        #[test]
        fn every_mistake_is_made() {
            let made = [$($name),*];
            for mistake in ALL {
                assert!(made.contains(&mistake.name), "no test makes the mistake {}", mistake.name);
            }
            assert_eq!(made.len(), ALL.len());
        }
    };
}

caught! {
    /// D5: completed a second time by the dispatch routine.
    completing_twice_is_caught = "complete-twice";
    /// C1: passed on without a stack location left.
    a_missing_stack_location_is_caught = "no-stack-location";
    /// C12: touched after IoCallDriver.
    touching_a_request_after_the_call_is_caught = "touch-irp-after-call";
    /// C12: touched after IoCallDriver, while the lower driver has it.
    touching_a_request_that_is_below_is_caught = "touch-irp-while-below";
    /// D5: touched after IoCompleteRequest, while its originator has it.
    touching_a_completed_request_is_caught = "touch-irp-after-completion";
    /// C11: touched after it was given to a worker.
    touching_a_queued_request_is_caught = "touch-irp-after-queueing";
    /// D5: completed with STATUS_PENDING.
    completing_as_pending_is_caught = "complete-as-pending";
    /// D4: neither completed nor passed on.
    forgetting_a_request_is_caught = "forget-request";
    /// C5: PendingReturned not propagated.
    a_lost_pending_mark_is_caught = "pending-not-propagated";
    /// C11: STATUS_PENDING returned without a mark.
    pending_without_a_mark_is_caught = "pending-not-marked";
    /// D4: marked, and another status returned.
    a_mark_without_pending_is_caught = "marked-not-pending";
    /// D6: the dispatch routine returns at another IRQL.
    a_raised_dispatch_routine_is_caught = "irql-raised-by-dispatch";
    /// D6: the completion routine returns at another IRQL.
    a_raised_completion_routine_is_caught = "irql-raised-by-completion";
    /// D6: IoCallDriver at DISPATCH_LEVEL.
    forwarding_at_dispatch_level_is_caught = "forward-at-dispatch";
    /// D9: completed while a spin lock is held.
    completing_under_a_spin_lock_is_caught = "complete-under-spin-lock";
    /// C3: a wait in a completion routine at DISPATCH_LEVEL.
    waiting_in_a_completion_routine_is_caught = "wait-in-completion";
    /// C7: a completion routine returns another status.
    an_overwritten_master_is_caught = "master-irp-overwritten";
    a_master_that_is_completed_with_parts_left_is_caught = "master-irp-completed";
    a_master_that_counts_no_parts_is_caught = "master-irp-count";
    a_part_of_a_part_is_caught = "associated-of-associated";
    more_information_than_the_buffer_holds_is_caught = "information-too-large";
    a_wrong_completion_status_is_caught = "wrong-completion-status";
    /// V (IRQL): IrqlIoPassive1.
    irql_io_passive_1_is_caught = "irql-io-passive-1";
    /// V (IRQL): IrqlIoPassive2.
    irql_io_passive_2_is_caught = "irql-io-passive-2";
    /// A12: DriverEntry fails and undoes nothing.
    an_entry_that_fails_attached_is_caught = "entry-fails-attached";
    /// V (power): RequestedPowerIrp.
    power_request_asked_is_caught = "power-request-asked";
    /// V (IRQL): IrqlIoPassive3.
    irql_io_passive_3_is_caught = "irql-io-passive-3";
    /// V (IRQL): IrqlIoPassive4.
    irql_io_passive_4_is_caught = "irql-io-passive-4";
    /// V (IRQL): IrqlIoPassive5.
    irql_io_passive_5_is_caught = "irql-io-passive-5";
    /// V (IRQL): IrqlIoApcLte.
    irql_io_apc_lte_is_caught = "irql-io-apc-lte";
    /// V (IRQL): IrqlKeSetEvent.
    irql_ke_set_event_is_caught = "irql-ke-set-event";
    /// V (IRQL): IrqlExApcLte1.
    irql_ex_apc_lte_1_is_caught = "irql-ex-apc-lte-1";
    /// V (IRQL): IrqlExApcLte2.
    irql_ex_apc_lte_2_is_caught = "irql-ex-apc-lte-2";
    /// V (IRQL): IrqlExApcLte3.
    irql_ex_apc_lte_3_is_caught = "irql-ex-apc-lte-3";
    /// V (IRQL): IrqlZwPassive.
    irql_zw_passive_is_caught = "irql-zw-passive";
    /// V (IRQL): IrqlObPassive.
    irql_ob_passive_is_caught = "irql-ob-passive";
    /// V (locks): two locks in both orders.
    a_lock_order_that_can_deadlock_is_caught = "lock-order";
    /// V (locks): a thread that waits for itself.
    a_thread_that_waits_for_itself_is_caught = "lock-upgrade";
    /// V (pool): written beyond the end, into the guard page.
    a_pool_overrun_is_caught = "pool-overrun";
    /// V (pool): written into the slack, found when the block is freed.
    a_copy_within_itself_is_caught = "overlapping-copy";
    a_small_pool_overrun_is_caught = "pool-overrun-in-slack";
    /// V (pool): read after it was freed.
    a_use_after_free_is_caught = "use-after-free";
    /// V (pool): freed twice.
    freeing_twice_is_caught = "free-twice";
    /// A12: memory left at unload.
    a_leak_is_caught = "leak-at-unload";
    /// A12: devices left at unload.
    a_device_left_behind_is_caught = "device-left-at-unload";
    /// A9: deleted without having been detached.
    deleting_an_attached_device_is_caught = "deleted-while-attached";
    /// A2: DO_DEVICE_INITIALIZING left set.
    a_device_that_stays_initializing_is_caught = "initializing-flag-left";
    /// V (IRP life): sent to a stack it has too few locations for.
    too_few_stack_locations_are_caught = "stack-size-of-the-wrong-device";
    /// C1: a completion routine set without a copy.
    a_location_that_was_not_copied_is_caught = "location-not-copied";
    /// V (IRP life): the control field copied along.
    a_copied_control_field_is_caught = "control-field-copied";
    /// V (IRP life): the upper driver's completion routine copied.
    a_copied_completion_routine_is_caught = "completion-routine-copied";
    /// C1: a completion routine set in a location that was skipped.
    a_routine_in_a_skipped_location_is_caught = "skipped-and-routine-set";
    /// C8 c: an own request with a thread in it, not stopped.
    an_own_request_of_a_thread_is_caught = "own-request-with-thread";
    /// C8 a: a context on a stack that is gone.
    a_context_on_a_stack_that_is_gone_is_caught = "context-on-stack";
    /// V (files): a cleanup that the file system never hears of.
    a_cleanup_that_is_not_passed_on_is_caught = "close-not-passed-on";
    /// P2: a close is completed with success, and not passed on.
    a_close_that_is_answered_is_caught = "close-answered";
    /// V (files): a cleanup that fails when it has been done.
    a_cleanup_that_is_failed_afterwards_is_caught = "close-failed-afterwards";
    /// V (files): a reference that is left.
    a_file_reference_that_is_left_is_caught = "file-reference-left";
    /// V (files): a reference that is somebody else's.
    a_file_reference_of_somebody_else_is_caught = "file-dereferenced-twice";
    /// V (devices): a kernel handle that is left.
    a_handle_that_is_left_is_caught = "handle-left";
    a_symbolic_link_that_is_left_is_caught = "symbolic-link-left";
    /// Objects other than files, too, live as long as they are referenced.
    a_process_that_is_given_back_twice_is_caught = "process-dereferenced-twice";
    a_process_that_is_not_given_back_is_caught = "process-reference-left";
    a_thread_that_is_not_given_back_is_caught = "thread-reference-left";
    a_token_that_is_not_given_back_is_caught = "token-reference-left";
    a_context_that_is_not_released_is_caught = "subject-context-left";
    an_event_that_is_not_given_back_is_caught = "event-reference-left";
    /// V (files): the top-level IRP not set back.
    a_top_level_irp_that_is_left_is_caught = "top-level-irp-left";
    /// V (IRP life): cancelled by another thread before the driver has set its cancel routine.
    a_request_that_was_cancelled_before_is_caught = "cancelled-request-queued";
    /// V (pool and locks): what a process notify routine does wrong.
    a_process_that_is_kept_is_caught = "process-kept";
    a_notify_routine_that_returns_in_a_critical_region_is_caught = "process-notify-returns-in-critical-region";
    /// V (files): the top-level IRP taken for a request.
    a_top_level_irp_that_is_followed_is_caught = "top-level-irp-followed";
    a_flag_that_is_taken_for_a_request_is_caught = "top-level-flag-followed";
    /// V (files): what is valid in IRP_MJ_CREATE, used later.
    a_file_name_that_is_used_later_is_caught = "file-name-used";
    a_cached_read_beyond_the_file_is_caught = "cached-read-beyond";
    a_file_name_in_the_completion_of_its_create_is_caught = "file-name-in-completion";
    a_file_name_that_is_kept_is_caught = "file-name-kept";
    a_related_file_that_is_used_later_is_caught = "related-file-used";
    /// V (files): the file object of a query-open referenced.
    a_referenced_query_open_is_caught = "stack-file-referenced";
    /// V (IRP life): copied for nothing.
    a_copy_for_nothing_is_caught = "copied-without-routine";
    /// C12: passed on while the lower driver has it.
    forwarding_what_is_below_is_caught = "forward-while-below";
    /// C12: completed by a worker while the lower driver has it.
    completing_what_is_below_is_caught = "complete-while-below";
    /// C12: passed on while the lower driver has it, by a jump.
    forwarding_what_is_below_by_a_jump_is_caught = "forward-while-below-at-the-end";
    /// C12: completed by a worker while the lower driver has it, by a jump.
    completing_what_is_below_by_a_jump_is_caught = "complete-while-below-at-the-end";
    /// C12: completed after STATUS_PENDING, without a wait.
    completing_without_waiting_is_caught = "complete-without-waiting";
    /// V (IRP life): completed with a cancel routine.
    a_cancel_routine_that_is_left_is_caught = "cancel-routine-left";
    /// V (IRP life): a cancel routine keeps the lock.
    a_kept_cancel_lock_is_caught = "cancel-lock-kept";
    /// C8: a request of its own runs past its top.
    an_own_request_that_is_not_stopped_is_caught = "own-request-not-stopped";
    /// V (IRP life): invoke flags without a routine.
    invoke_flags_without_a_routine_are_caught = "invoke-flags-without-routine";
    /// C11: marked after it was posted.
    a_mark_after_queueing_is_caught = "mark-after-queueing";
    /// D4: completed, and STATUS_PENDING returned.
    completing_and_returning_pending_is_caught = "complete-and-return-pending";
    /// D4: marked, completed, and another status returned.
    marking_and_completing_is_caught = "mark-and-complete";
    /// D4: success for a request that nobody completed.
    success_without_completion_is_caught = "success-without-completion";
    /// D4: another status than that of the request.
    another_status_is_caught = "another-status-returned";
    /// D4: not what the lower driver returned.
    a_lost_status_is_caught = "lower-status-lost";
    /// C8: a dispatch routine waits for ever.
    an_event_that_is_not_signalled_is_caught = "event-not-signalled";
    /// V (IRQL): memory that is not there.
    a_page_fault_is_caught = "page-fault";
    /// V (IRQL): the same at DISPATCH_LEVEL.
    a_page_fault_at_dispatch_level_is_caught = "page-fault-at-dispatch";
    /// P1: constants written.
    a_written_constant_is_caught = "read-only-written";
    /// P1: data executed.
    executed_data_is_caught = "data-executed";
    /// P3: a bug check of the driver's own.
    a_bug_check_is_caught = "bug-check";
    /// V (addresses): memory of the kernel is probed as a program's.
    a_probe_of_kernel_memory_is_caught = "probe-without-handler";
    /// C4: a completion routine in pageable code.
    a_pageable_completion_routine_is_caught = "completion-routine-pageable";
    /// C4: paged pool at DISPATCH_LEVEL.
    paged_pool_at_dispatch_level_is_caught = "paged-pool-at-dispatch";
    /// P1: pageable code at DISPATCH_LEVEL.
    pageable_code_at_dispatch_level_is_caught = "pageable-code-at-dispatch";
    /// V (IRQL): the request is completed above DISPATCH_LEVEL.
    completing_above_dispatch_level_is_caught = "complete-above-dispatch";
    /// C3: ObQueryNameString is called while a spin lock is held (C3).
    a_name_query_at_dispatch_level_is_caught = "name-queried-at-dispatch";
    /// V (IRQL): KeRaiseIrql is called with a lower level.
    raising_to_a_lower_level_is_caught = "irql-raised-to-lower";
    /// V (IRQL): KeLowerIrql is called with a higher level.
    lowering_to_a_higher_level_is_caught = "irql-lowered-to-higher";
    /// V (IRQL): a spin lock is released to another level than it was acquired at.
    releasing_to_a_wrong_level_is_caught = "spin-lock-released-to-wrong-level";
    /// V (IRQL): KeAcquireSpinLockAtDpcLevel is called at PASSIVE_LEVEL.
    an_at_dpc_level_routine_below_dispatch_level_is_caught = "at-dpc-level-below-dispatch";
    /// V (IRQL): a fast mutex is released at DISPATCH_LEVEL.
    releasing_a_fast_mutex_at_dispatch_level_is_caught = "fast-mutex-released-at-dispatch";
    /// V (IRQL): a worker routine returns at DISPATCH_LEVEL.
    a_raised_worker_is_caught = "worker-returns-raised";
    /// V (IRQL): a DPC routine returns at PASSIVE_LEVEL.
    a_lowered_dpc_is_caught = "dpc-returns-lowered";
    /// V (IRQL): IrqlKeDispatchLte.
    irql_ke_dispatch_lte_is_caught = "irql-ke-dispatch-lte";
    /// V (pool): a block of no bytes is allocated.
    an_allocation_of_no_bytes_is_caught = "zero-byte-allocation";
    /// V (pool): a block is allocated with a tag of zero.
    an_allocation_without_a_tag_is_caught = "zero-tag";
    /// V (pool): the pages of an MDL are unlocked twice.
    an_mdl_unlocked_twice_is_caught = "mdl-unlocked-twice";
    /// V (memory): mmMapLockedPages maps an MDL, or stops the system.
    mdl_mapped_by_obsolete_routine_is_caught = "mdl-mapped-by-obsolete-routine";
    /// V (memory): mmMapLockedPagesSpecifyCache is to stop the system where it fails.
    mdl_mapping_may_not_fail_is_caught = "mdl-mapping-may-not-fail";
    /// V (memory): an MDL is mapped that is mapped.
    mdl_mapped_twice_is_caught = "mdl-mapped-twice";
    /// V (memory): an MDL is unmapped that is not mapped.
    mdl_unmapped_unmapped_is_caught = "mdl-unmapped-unmapped";
    /// V (memory): the mapping of a whole MDL is taken back for a part of it.
    mdl_unmapped_partial_is_caught = "mdl-unmapped-partial";
    /// V (memory): a mapping into a program is taken back at another address.
    user_mapping_unmapped_elsewhere_is_caught = "user-mapping-unmapped-elsewhere";
    /// V (memory): a mapping into a program is taken back at DISPATCH_LEVEL.
    user_mapping_unmapped_at_dispatch_is_caught = "user-mapping-unmapped-at-dispatch";
    /// V (memory): an MDL is freed that is mapped.
    mdl_freed_mapped_is_caught = "mdl-freed-mapped";
    /// V (memory): mmBuildMdlForNonPagedPool is called for paged pool.
    mdl_built_of_paged_pool_is_caught = "mdl-built-of-paged-pool";
    /// V (memory): the target of IoBuildPartialMdl is allocated for another length.
    partial_mdl_too_small_is_caught = "partial-mdl-too-small";
    /// V (memory): the part of an MDL ends behind the whole.
    partial_mdl_out_of_range_is_caught = "partial-mdl-out-of-range";
    /// V (memory): the pages of an MDL are locked, and forgotten.
    locked_pages_left_is_caught = "locked-pages-left";
    /// V (code integrity): a block of executable pool is allocated.
    executable_pool_is_caught = "executable-pool";
    /// V (code integrity): pages are mapped without MdlMappingNoExecute.
    executable_mapping_is_caught = "executable-mapping";
    /// V (code integrity): nothing: it is the section .text that is writable.
    writable_code_section_is_caught = "writable-code-section";
    /// V (code integrity): nothing: it is the section of the import address table that is executable.
    imports_in_code_section_is_caught = "imports-in-code-section";
    /// V (locks): a spin lock is released twice.
    a_spin_lock_released_twice_is_caught = "spin-lock-released-twice";
    /// V (locks): a spin lock is acquired as a queued one, and elsewhere as a plain one.
    spin_lock_acquired_as_queued_is_caught = "spin-lock-acquired-as-queued";
    /// V (locks): a queued spin lock is released as a plain one.
    queued_lock_released_as_plain_is_caught = "queued-lock-released-as-plain";
    /// V (locks): the first of two spin locks is released first, and the level lowered.
    spin_lock_released_out_of_order_is_caught = "spin-lock-released-out-of-order";
    /// V (locks): a push lock is acquired with flags that there are not.
    push_lock_flags_is_caught = "push-lock-flags";
    /// V (IRQL): KeSetEvent is told that a wait follows, and none does.
    a_wait_that_does_not_follow_is_caught = "wait-not-following";
    /// V (locks): a fast mutex is acquired twice by one thread.
    a_fast_mutex_acquired_twice_is_caught = "fast-mutex-acquired-twice";
    /// V (locks): ExAcquireFastMutexUnsafe is called with APCs enabled.
    an_unsafe_fast_mutex_is_caught = "fast-mutex-unsafe";
    /// V (locks): a resource is acquired with normal kernel APCs enabled.
    a_resource_with_apcs_enabled_is_caught = "resource-with-apcs-enabled";
    /// V (locks): a resource is released twice.
    a_resource_released_twice_is_caught = "resource-released-twice";
    /// V (locks): a resource is deleted while it is owned.
    a_resource_deleted_while_owned_is_caught = "resource-deleted-owned";
    /// V (locks): a dispatch routine returns inside a critical region (D6).
    a_dispatch_routine_in_a_critical_region_is_caught = "dispatch-returns-in-critical-region";
    /// V (locks): DriverEntry returns inside a critical region (D6).
    a_driver_entry_in_a_critical_region_is_caught = "entry-returns-in-critical-region";
    /// V (locks): DriverUnload returns inside a guarded region (D6).
    an_unload_in_a_guarded_region_is_caught = "unload-returns-in-guarded-region";
    /// V (locks): a critical region is left twice.
    a_critical_region_left_twice_is_caught = "critical-region-left-twice";
    /// V (locks): a guarded region is left twice.
    a_guarded_region_left_twice_is_caught = "guarded-region-left-twice";
    /// V (locks): an event is waited for that was not initialized.
    an_uninitialized_event_is_caught = "event-not-initialized";
    /// V (locks): Four objects are waited for without wait blocks.
    waiting_for_too_many_objects_is_caught = "too-many-wait-objects";
    /// V (locks): a mutex is released that the thread does not own.
    a_mutex_that_is_not_owned_is_caught = "mutex-not-owned";
    /// V (locks): a semaphore is released above its limit.
    a_semaphore_above_its_limit_is_caught = "semaphore-over-limit";
    /// V (locks): a worker routine returns inside a critical region.
    a_worker_in_a_critical_region_is_caught = "worker-returns-in-critical-region";
    /// V (locks): a worker routine returns as its client.
    a_worker_that_impersonates_is_caught = "worker-impersonates";
    /// V (locks): a work item is queued that is in the queue.
    a_work_item_queued_twice_is_caught = "work-item-queued-twice";
    /// V (locks): a DPC routine returns inside a critical region.
    a_dpc_in_a_critical_region_is_caught = "dpc-returns-in-critical-region";
    /// V (locks): a system thread ends with a mutex.
    a_thread_that_ends_with_a_mutex_is_caught = "thread-ends-with-mutex";
    /// V (pool and locks): a thread object that nothing keeps is used.
    a_thread_that_is_used_without_a_reference_is_caught = "thread-used-without-reference";
    /// V (locks): a system thread ends with a push lock.
    a_thread_that_ends_with_a_push_lock_is_caught = "thread-ends-with-push-lock";
    /// V (locks): a system thread ends with a resource.
    a_thread_that_ends_with_a_resource_is_caught = "thread-ends-with-resource";
    /// V (locks): Rundown protection is released twice.
    rundown_protection_released_twice_is_caught = "rundown-released-twice";
    /// V (objects): a block is freed with a timer in it that is set.
    timer_in_freed_block_is_caught = "timer-in-freed-block";
    /// V (objects): a routine returns with a timer on its stack that is set.
    timer_on_left_stack_is_caught = "timer-on-left-stack";
    /// V (objects): a timer is initialized while it is set.
    timer_initialized_while_set_is_caught = "timer-initialized-while-set";
    /// V (objects): a timer is set that was never initialized.
    timer_not_initialized_is_caught = "timer-not-initialized";
    /// V (objects): a block is freed with a DPC in it that is queued.
    dpc_in_freed_block_is_caught = "dpc-in-freed-block";
    /// V (objects): the DPC of a timer that is set is freed.
    dpc_of_timer_freed_is_caught = "dpc-of-timer-freed";
    /// V (objects): a routine returns with a DPC on its stack that is queued.
    dpc_on_left_stack_is_caught = "dpc-on-left-stack";
    /// V (objects): a DPC is queued that was never initialized.
    dpc_not_initialized_is_caught = "dpc-not-initialized";
    /// V (objects): a routine returns with a resource on its stack that was not deleted.
    resource_on_left_stack_is_caught = "resource-on-left-stack";
    /// V (objects): a block is freed with a resource in it that was not deleted.
    resource_in_freed_block_is_caught = "resource-in-freed-block";
    /// V (objects): a resource is initialized twice.
    resource_initialized_twice_is_caught = "resource-initialized-twice";
    /// V (objects): a resource is deleted that was not initialized.
    resource_deleted_uninitialized_is_caught = "resource-deleted-uninitialized";
    /// V (objects): a resource is acquired that was not initialized.
    resource_acquired_uninitialized_is_caught = "resource-acquired-uninitialized";
    /// V (objects): a resource lies where no pointer may lie.
    resource_misaligned_is_caught = "resource-misaligned";
    /// V (objects): a critical region is left before the resource is released.
    resource_released_with_apcs_is_caught = "resource-released-with-apcs";
    /// V (objects): a mutex is initialized twice.
    mutex_initialized_twice_is_caught = "mutex-initialized-twice";
    /// V (locks): a fast mutex is freed by the thread that holds it.
    lock_freed_held_is_caught = "lock-freed-held";
    /// V (objects): an entry is given to another lookaside list than it came from.
    entry_of_another_lookaside_list_is_caught = "entry-of-another-lookaside-list";
    /// V (objects): a block is freed with a lookaside list in it that was not deleted.
    lookaside_in_freed_block_is_caught = "lookaside-in-freed-block";
    /// V (objects): a lookaside list is initialized twice.
    lookaside_initialized_twice_is_caught = "lookaside-initialized-twice";
    /// V (objects): the blocks of a lookaside list have no room for a pointer.
    lookaside_blocks_too_small_is_caught = "lookaside-blocks-too-small";
    /// V (objects): an event lies in paged pool.
    event_in_paged_pool_is_caught = "event-in-paged-pool";
    /// V (objects): a work item lies in paged pool.
    work_item_in_paged_pool_is_caught = "work-item-in-paged-pool";
    /// P3: an assertion fails.
    a_failed_assertion_is_caught = "assertion-failed";
    /// V (IRQL): a recursion uses the stack up.
    a_stack_that_is_used_up_is_caught = "stack-used-up";
    /// V (faults): a request that is sent to its own device without end.
    a_request_that_is_sent_to_its_own_device_is_caught = "sent-to-itself";
    /// V (faults): a create that opens a file on its own stack.
    a_create_that_opens_itself_is_caught = "create-opens-itself";
    /// P3: an instruction is executed that is none.
    a_bad_instruction_is_caught = "bad-instruction";
    /// V (devices): detached twice.
    detaching_twice_is_caught = "detached-twice";
    /// V (devices): deleted twice.
    deleting_twice_is_caught = "deleted-twice";
    /// A2: DO_DIRECT_IO not copied.
    missing_flags_are_caught = "flags-not-copied";
    /// A2: another device type.
    another_device_type_is_caught = "device-type-not-copied";
    /// A12: a reference to a device left.
    a_device_reference_that_is_left_is_caught = "device-reference-left";
    /// C15: nobody looks whether the completion routine was refused.
    an_unchecked_completion_routine_is_caught = "completion-routine-unchecked";
    /// V (requests): IoCallDriver with something else than a request.
    something_else_than_a_request_is_caught = "wrong-request-type";
    /// V (requests): IoCallDriver with something else than a device.
    something_else_than_a_device_is_caught = "wrong-device-type";
    /// V (requests): IoCallDriver with no device.
    no_device_is_caught = "null-device";
    /// V (requests): passed on past another filter.
    skipping_a_device_is_caught = "device-skipped";
    /// V (requests): passed on with a cancel routine.
    a_cancel_routine_at_the_call_is_caught = "cancel-routine-at-call";
    /// V (requests): an event on a stack that is gone.
    an_event_on_a_stack_that_is_gone_is_caught = "stack-event-left";
    /// V (requests): a status block on a stack that is gone.
    a_status_block_on_a_stack_that_is_gone_is_caught = "stack-status-block-left";
    /// V (requests): sent with a signalled event.
    a_signalled_event_is_caught = "event-signalled-before";
    /// V (requests): -1 returned.
    an_illegal_status_is_caught = "illegal-status-returned";
    /// V (requests): a cleanup failed.
    failing_a_cleanup_is_caught = "close-failed";
    /// V (requests): completed and never sent.
    completing_what_was_not_sent_is_caught = "complete-unsent";
    /// V (requests): freed while in the list of its thread.
    freeing_a_threaded_request_is_caught = "threaded-request-freed";
    /// V (requests): freed while below.
    freeing_a_request_in_use_is_caught = "request-freed-in-use";
    /// V (requests): used again while below.
    reusing_a_request_in_use_is_caught = "request-reused-in-use";
    /// V (requests): a built request used again.
    reusing_a_built_request_is_caught = "built-request-reused";
    /// V (IRP life): a request that the driver was given is freed.
    freeing_a_foreign_request_is_caught = "foreign-request-freed";
    /// V (IRP life): a request that the driver was given is used again.
    reusing_a_foreign_request_is_caught = "foreign-request-reused";
    /// V (IRP life): a built request without a completion routine.
    a_built_request_without_a_routine_is_caught = "built-without-routine";
    /// V (pending): an own request whose sender nobody wakes.
    an_own_request_that_wakes_nobody_is_caught = "own-event-not-signalled";
    /// V (pending): the same with a built one.
    a_built_request_that_wakes_nobody_is_caught = "built-event-not-signalled";
    /// V (IRP life): the event of a request is the I/O manager's.
    setting_the_event_of_a_request_is_caught = "event-of-request-set";
    /// V (IRP life): a request that cannot end.
    sending_at_apc_level_is_caught = "sent-at-apc-level";
    /// V (IRP life): a request built with a freed buffer.
    building_with_a_freed_buffer_is_caught = "built-with-freed-buffer";
    /// V (IRP life): the same with a control code.
    a_control_with_a_freed_buffer_is_caught = "control-with-freed-buffer";
    /// V (IRP life): a create for a file that is closed.
    a_create_for_a_closed_file_is_caught = "create-for-closed-file";
    /// V (IRP life): a cancelled request that is kept.
    a_cancelled_request_that_is_kept_is_caught = "cancel-not-looked-at";
    /// V (IRP life): a cancel routine in a request that is below.
    a_cancel_routine_set_below_is_caught = "cancel-routine-set-below";
    /// V (IRP life): what a program writes, changed.
    a_changed_write_buffer_is_caught = "write-buffer-changed";
    /// V (IRP life): the buffer of a write, exchanged and not put back.
    a_buffer_that_is_not_restored_is_caught = "buffer-not-restored";
    /// V (IRP life): what tells a program of the end of its request, changed.
    a_changed_context_of_an_apc_is_caught = "apc-context-changed";
    /// V (files): a volume that is reparsed.
    a_reparsed_volume_is_caught = "volume-reparsed";
    /// V (files): an extra create parameter in a list.
    a_parameter_freed_in_its_list_is_caught = "parameter-freed-in-list";
    /// V (locks): a worker that ends its thread.
    a_worker_that_ends_its_thread_is_caught = "worker-terminates";
    /// V (faults): routines that lead nowhere, by whom they were given.
    a_wild_completion_routine_is_caught = "completion-routine-wild";
    a_wild_work_item_is_caught = "work-item-wild";
    a_wild_notify_routine_is_caught = "process-notify-wild";
    an_entry_that_ends_its_thread_is_caught = "entry-terminates";
    /// V (devices): a handle of the system that is no kernel handle.
    a_handle_that_an_entry_leaves_is_caught = "entry-handle-left";
    /// C1: a request that was completed is passed on.
    passing_on_after_completion_is_caught = "passed-on-after-completion";
    /// V (pool): a request that is built and forgotten.
    a_built_request_that_is_forgotten_is_caught = "built-request-forgotten";
    /// V (locks): a thread that is not attached.
    detaching_from_nothing_is_caught = "detached-from-nothing";
    returning_attached_is_caught = "returns-attached";
    an_attached_worker_is_caught = "worker-returns-attached";
    sending_while_attached_is_caught = "sent-while-attached";
    /// V (devices): a timer initialized twice.
    a_timer_initialized_twice_is_caught = "device-timer-initialized-twice";
    /// V (requests): initialized after IoAllocateIrp with quota.
    initializing_a_charged_request_is_caught = "charged-request-initialized";
    /// V (requests): initialized after IoAllocateIrp.
    initializing_an_allocated_request_is_caught = "allocated-request-initialized";
    /// V (IRQL): IoCallDriver above DISPATCH_LEVEL.
    forwarding_above_dispatch_level_is_caught = "forward-above-dispatch";
    /// F1: fast I/O returns at another IRQL.
    raised_fast_io_is_caught = "fast-io-returns-raised";
    /// F1: fast I/O returns inside a critical region.
    fast_io_in_a_critical_region_is_caught = "fast-io-returns-in-critical-region";
    /// F1: MdlReadComplete answered, and not passed on.
    pages_whose_return_is_answered_by_fast_io_are_caught = "mdl-not-completed";
    /// V (files): the same with requests.
    pages_whose_return_is_answered_are_caught = "mdl-request-answered";
    /// V (files): a wait where nobody may wait.
    a_wait_for_a_page_file_is_caught = "page-file-waits";
    /// F1: no FastIoRead above a file system that has it.
    missing_fast_io_is_caught = "fast-io-missing";
    /// V (memory): the registry path used after DriverEntry.
    a_registry_path_that_is_kept_is_caught = "registry-path-kept";
    /// A2: DO_BUFFERED_IO and DO_DIRECT_IO.
    both_buffering_flags_are_caught = "buffered-and-direct";
    /// D1: no routine for IRP_MJ_PNP.
    a_missing_dispatch_routine_is_caught = "dispatch-routine-missing";
    /// D1: a routine for IRP_MJ_READ that leads nowhere.
    a_wild_dispatch_routine_is_caught = "dispatch-routine-wild";
    /// F1: the same in the table of fast I/O.
    a_wild_fast_io_routine_is_caught = "fast-io-routine-wild";
    /// V (files): a name of a file that is no block of the pool.
    a_file_name_of_no_pool_is_caught = "file-name-of-no-pool";
    /// V (memory): an MDL freed with its pages locked.
    freeing_a_locked_mdl_is_caught = "locked-mdl-freed";
    /// V (objects): a handle of null.
    a_handle_of_null_is_caught = "null-handle";
    /// V (objects): a program's handle in kernel mode.
    a_programs_handle_in_kernel_mode_is_caught = "user-handle-in-kernel-mode";
    /// V (objects): obReferenceObjectByHandle is given a handle that is closed.
    reference_by_closed_handle_is_caught = "closed-handle-referenced";
    /// V (objects): a handle is closed twice.
    handle_closed_twice_is_caught = "handle-closed-twice";
    /// V (objects): a worker refers to a kernel handle with UserMode.
    kernel_handle_as_user_is_caught = "kernel-handle-as-user";
    /// V (objects): the length of a name is that of its characters, not of their bytes.
    malformed_string_is_caught = "malformed-string";
    /// V (objects): a value of a registry key is asked for after the key was closed.
    key_used_after_close_is_caught = "key-used-after-close";
    /// V (objects): the handle of a registry key is closed twice.
    key_closed_twice_is_caught = "key-closed-twice";
    /// V (objects): a value of a registry key is asked for after the key was deleted.
    created_key_used_after_delete_is_caught = "created-key-used-after-delete";
    /// V (objects): a reference is given back to an object that is deleted.
    object_dereferenced_after_last_is_caught = "object-dereferenced-after-last";
    /// V (objects): obReferenceObject is called for a block of the pool.
    block_referenced_as_object_is_caught = "block-referenced-as-object";
    /// V (addresses): an event is made in the buffer of a program.
    event_in_program_memory_is_caught = "event-in-program-memory";
    /// V (addresses): a request of its own in kernel mode has the buffer of a program.
    kernel_request_with_program_memory_is_caught = "kernel-request-with-program-memory";
    /// V (addresses): a Zw routine is to write into the buffer of a program.
    program_memory_given_to_zw_is_caught = "program-memory-given-to-zw";
    /// V (objects): a wait in user mode on the stack.
    a_user_mode_wait_on_the_stack_is_caught = "user-mode-wait-on-stack";
    /// A12: a process notify routine left.
    a_process_notify_routine_is_caught = "process-notify-left";
    /// A12: a thread notify routine left.
    a_thread_notify_routine_is_caught = "thread-notify-left";
    /// A12: an image notify routine left.
    an_image_notify_routine_is_caught = "image-notify-left";
    /// A completion routine that does not keep the driver, where --verify asks for it.
    a_plain_completion_routine_is_caught = "completion-routine-plain";
    /// C15: passed on without the routine that was refused.
    a_refused_completion_routine_is_caught = "completion-routine-refused";
    /// C15: a completion routine for the device below.
    a_completion_routine_for_another_device_is_caught = "completion-routine-for-lower-device";
    /// A12, C15: unloaded with a thread in a completion routine.
    a_completion_routine_that_outlives_the_driver_is_caught = "completion-routine-outlives-unload";
    /// A12: a sleep in the place of waiting for what is out.
    sleeping_in_the_place_of_waiting_is_caught = "unload-sleeps";
    /// A12: a timer left at unload.
    a_timer_that_is_left_is_caught = "timer-left-at-unload";
    /// V (devices): a remove lock released too often.
    a_remove_lock_released_twice_is_caught = "remove-lock-released-twice";
    /// V (devices): released with another tag.
    a_wrong_tag_of_a_remove_lock_is_caught = "remove-lock-tag";
    /// V (devices): released with another tag, and waited for.
    a_wrong_tag_of_a_remove_lock_that_is_waited_for_is_caught = "remove-lock-wait-tag";
    a_remove_lock_that_is_waited_for_unacquired_is_caught = "remove-lock-wait-unacquired";
    /// V (devices): a remove lock initialized again.
    a_remove_lock_initialized_again_is_caught = "remove-lock-initialized-twice";
    /// V (devices): a remove lock kept by a dispatch routine that hears no more of its request.
    a_remove_lock_that_is_kept_is_caught = "remove-lock-kept";
    /// V (devices): a remove lock kept past the completion routine.
    a_remove_lock_kept_by_a_completion_routine_is_caught = "remove-lock-kept-by-completion";
    /// V (devices): a remove lock released before the request is passed on.
    a_remove_lock_released_early_is_caught = "remove-lock-released-early";
    /// V (plug and play): a request of its own, with the status that IRPs are made with.
    a_pnp_status_that_is_not_initialized_is_caught = "pnp-status-not-initialized";
    /// V (plug and play): capabilities asked for with an UINumber of 0.
    pnp_capabilities_that_are_not_initialized_are_caught = "pnp-capabilities-not-initialized";
    /// V (plug and play): a request that only the PnP manager sends.
    a_request_that_only_the_pnp_manager_sends_is_caught = "pnp-request-reserved";
    /// V (plug and play): a query failed and passed on.
    a_failed_pnp_request_that_is_passed_on_is_caught = "pnp-failed-passed-on";
    /// V (plug and play): an answer made STATUS_NOT_SUPPORTED.
    a_pnp_status_that_is_converted_is_caught = "pnp-status-converted";
    /// V (plug and play): what nobody knows, passed on with success.
    a_status_of_what_nobody_knows_is_caught = "pnp-unknown-status";
    /// V (plug and play): what nobody knows, passed on with another Information.
    information_of_what_nobody_knows_is_caught = "pnp-unknown-information";
    /// V (plug and play): what nobody knows, completed.
    completing_what_nobody_knows_is_caught = "pnp-unknown-completed";
    /// V (plug and play): a cancelled removal that the file system never hears of.
    a_pnp_success_that_is_kept_is_caught = "pnp-success-kept";
    /// V (plug and play): a query completed as it came.
    a_pnp_request_that_is_not_passed_on_is_caught = "pnp-not-passed-on";
    /// V (plug and play): no device, with success.
    a_target_without_a_device_is_caught = "pnp-relation-empty";
    /// V (plug and play): a removal failed.
    a_failed_removal_is_caught = "pnp-remove-failed";
    /// V (plug and play): a surprise removal failed when it has come back.
    a_failed_surprise_removal_is_caught = "pnp-surprise-failed";
    /// A9: detached when the storage device is gone.
    detaching_in_a_surprise_removal_is_caught = "detached-in-surprise-removal";
    /// A9: deleted when the storage device is gone.
    deleting_in_a_surprise_removal_is_caught = "deleted-in-surprise-removal";
    /// L1: an entry of the event log that is longer than any.
    a_log_entry_that_is_too_long_is_caught = "log-entry-too-long";
    /// L1: strings counted that do not end in the entry.
    log_strings_that_are_cut_off_are_caught = "log-strings-cut-off";
    /// L2: a provider of ETW events left at unload.
    a_provider_that_is_left_is_caught = "provider-left-at-unload";
    /// L2: a provider of ETW events unregistered twice.
    a_provider_unregistered_twice_is_caught = "provider-unregistered-twice";
    /// A12, reference 1: unloaded with a notification out.
    unloading_with_a_request_out_is_caught = "reference-unload-with-request-out";
    /// A11, reference 2: a list freed twice.
    a_list_freed_twice_is_caught = "reference-list-freed-twice";
    /// A11, reference 3: a lookaside list deleted twice.
    a_lookaside_list_deleted_twice_is_caught = "reference-lookaside-deleted-twice";
    /// A11, reference 4: a pre-created device left.
    a_leaked_device_is_caught = "reference-device-leaked";
    /// V (faults): an address that is not aligned.
    a_misaligned_access_is_caught = "misaligned-access";
    /// D4: stopped on its way back, and left.
    a_request_that_is_stopped_and_left_is_caught = "stopped-and-left";
    /// V (IRQL): a Unicode format at DISPATCH_LEVEL, before the string is read.
    a_unicode_format_at_dispatch_level_is_caught = "unicode-printed-at-dispatch";
    /// A6: a mount claimed that no file system has seen.
    a_mount_of_nothing_is_caught = "mounted-nothing";
    a_vpb_that_is_looked_at_after_the_mount_is_caught = "mount-vpb-kept";
    /// A6, reference 5: a mount posted, neither marked nor pending.
    a_mount_posted_unmarked_is_caught = "reference-mount-posted-unmarked";
    /// A9, reference 6: a name freed before the detach.
    a_name_freed_too_early_is_caught = "reference-name-freed-before-detach";
    /// C6, reference 7: marked by a routine that wakes the dispatch routine.
    a_synchronising_completion_that_marks_is_caught = "reference-synchronising-completion-marks";
    /// C9, reference 8: a notification waited for.
    a_notification_that_is_waited_for_is_caught = "reference-notify-made-synchronous";
    /// C9, reference 8: an oplock request pended.
    a_pended_oplock_request_is_caught = "reference-oplock-request-pended";
}
