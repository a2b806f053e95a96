//! The checks themselves: every mistake of `bad_drivers.sys` is caught under the name of its rule,
//! at the place where it is made, and the driver without a mistake is found correct.

use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::mistakes::{ALL, Mistake};
use tempfile::TempDir;

/// Runs `bad_drivers.sys` with a mistake (or none) over random work, which pends, completes at
/// DISPATCH_LEVEL and on other threads, and unloads it.
fn run(profile: Profile, mistake: Option<&str>, seed: u64) -> Ended {
    let driver = drivers::bad_drivers(profile);
    let mut arguments = vec![
        "run".to_owned(),
        "--driver".to_owned(),
        driver.display().to_string(),
    ];
    // One volume is there before the driver, the other one comes after it.
    let directories = [(), ()]
        .map(|()| TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}")));
    for (volume, timing) in directories
        .iter()
        .zip(["C={},mount=before", "D={},mount=after"])
    {
        let host = volume.path().display().to_string();
        arguments.extend(["--volume".to_owned(), timing.replace("{}", &host)]);
    }
    if let Some(mistake) = mistake {
        arguments.extend(["--setting".to_owned(), format!("Mistake={mistake}")]);
    }
    arguments.extend(["--ops", "3000", "--threads", "2", "--seed"].map(str::to_owned));
    arguments.push(seed.to_string());
    ntbox(arguments)
}

/// The mistake is reported, and nothing else: rule, routine, file and line.
fn expect_caught(mistake: &Mistake, profile: Profile) {
    let ended = run(profile, Some(mistake.name), 1);
    ended
        .expect_code(1)
        .expect_output(&format!("violation of {} ", mistake.rule));
    let placed = mistake.is_placed_by(&ended.output);
    assert!(
        placed,
        "the report does not name the place of {mistake:?}\n{}\n{}",
        ended.line, ended.output
    );
}

/// Without a mistake the driver breaks no rule, in either build, also with other seeds.
#[test]
fn without_a_mistake_it_is_correct() {
    for profile in Profile::ALL {
        for seed in 1..=3 {
            run(profile, None, seed).expect_code(0);
        }
    }
}

/// A setting that names no mistake refuses the start, so that a misspelt test does not pass.
#[test]
fn an_unknown_mistake_does_not_start() {
    run(Profile::Release, Some("no-such-mistake"), 1)
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
    a_wrong_completion_status_is_caught = "wrong-completion-status";
    /// V (pool): written beyond the end, into the guard page.
    a_pool_overrun_is_caught = "pool-overrun";
    /// V (pool): written into the slack, found when the block is freed.
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
}
