//! Faults of driver code, each in a process of its own.

#![expect(unsafe_code, reason = "code of a test image is called")]

use crate::exports::table::define_thunk;
use crate::host::memory::try_read_usize;
use crate::host::test_process;
use crate::pe_image::test_image::{DATA, INIT, TEXT, TestImage};
use crate::pe_image::{self, Image};
use crate::processor::driver_code::entering;
use crate::{nt, pool, processor};
use std::process::Output;

fn alone(name: &str, f: impl FnOnce()) -> Output {
    alone_in("process_tests", name, f)
}

/// Runs `f` in a process of its own, for the test `name` of the file `tests`.
pub(super) fn alone_in(tests: &str, name: &str, f: impl FnOnce()) -> Output {
    let prepared = || {
        crate::processor::fault::prepare_thread();
        f();
    };
    test_process::alone(&format!("processor::fault::{tests}::{name}"), prepared)
}

pub(super) fn load(text: &[u8]) -> &'static Image {
    let folder = tempfile::tempdir().unwrap();
    let image = TestImage {
        text: text.to_vec(),
        ..TestImage::default()
    };
    let image = pe_image::load(&image.write(&folder, "faulty.sys"), &|_, _| None).unwrap();
    image.protect(false);
    image
}

/// Calls code of an image with one argument.
pub(super) fn call(address: usize, argument: usize) -> usize {
    // SAFETY: code of a test image that takes one argument.
    let routine: unsafe extern "win64" fn(usize) -> usize = unsafe { std::mem::transmute(address) };
    // SAFETY: as above.
    unsafe { routine(argument) }
}

/// mov rax, [rcx]; ret
pub(super) const READ: &[u8] = &[0x48, 0x8B, 0x01, 0xC3];
/// mov [rcx], rax; ret
pub(super) const WRITE: &[u8] = &[0x48, 0x89, 0x01, 0xC3];

pub(super) fn expect_violation(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn reading_freed_pool_is_reported() {
    let output = alone("reading_freed_pool_is_reported", || {
        let image = load(READ);
        let block = pool::allocate(
            pool::Kind::NonPaged,
            24,
            u32::from_le_bytes(*b"Once"),
            image.entry() + 1,
        );
        // SAFETY: freed once.
        unsafe { pool::free(block, None, image.entry() + 2) };
        call(image.entry(), block as usize + 8);
    });
    expect_violation(
        &output,
        &[
            "violation of UseAfterFree (0xD5",
            "faulty reads offset 8 of the 24-byte block 'Once' allocated at faulty+0x1001, freed at faulty+0x1002",
            "at         faulty+0x1001",
            "PASSIVE_LEVEL",
        ],
    );
}

#[test]
fn writing_behind_a_block_is_reported() {
    let output = alone("writing_behind_a_block_is_reported", || {
        let image = load(WRITE);
        let block = pool::allocate(
            pool::Kind::NonPaged,
            32,
            u32::from_le_bytes(*b"Over"),
            image.entry(),
        );
        call(image.entry(), block as usize + 32);
    });
    expect_violation(
        &output,
        &[
            "violation of PoolOverrun (0xD6",
            "faulty writes 1 byte behind the end of the 32-byte",
        ],
    );
}

#[test]
fn a_null_pointer_at_dispatch_level_is_reported() {
    let output = alone("a_null_pointer_at_dispatch_level_is_reported", || {
        let image = load(READ);
        processor::irql::restore(nt::DISPATCH_LEVEL);
        call(image.entry(), 0x18);
    });
    expect_violation(
        &output,
        &[
            "PageFault (0xD1",
            "faulty reads 0x18 (a null pointer",
            "DISPATCH_LEVEL",
        ],
    );
}

#[test]
fn writing_code_is_reported() {
    let output = alone("writing_code_is_reported", || {
        let image = load(WRITE);
        call(image.entry(), image.entry());
    });
    expect_violation(
        &output,
        &[
            "WroteReadOnly (0xBE",
            "faulty writes 0x1000 of faulty (.text), which is read-only",
        ],
    );
}

#[test]
fn executing_data_is_reported() {
    let output = alone("executing_data_is_reported", || {
        let image = load(READ);
        call(image.base() + DATA as usize, 0);
    });
    expect_violation(
        &output,
        &[
            "ExecutedData (0xFC",
            "executes 0x3000 of faulty (.data), which is not executable",
        ],
    );
}

#[test]
fn running_discarded_init_code_is_reported() {
    let output = alone("running_discarded_init_code_is_reported", || {
        let image = load(READ);
        image.discard_init();
        call(image.base() + INIT as usize, 0);
    });
    expect_violation(
        &output,
        &[
            "PageFault (0x50",
            "0x4000 of faulty (INIT), which was discarded after DriverEntry",
        ],
    );
}

#[test]
fn running_unloaded_code_is_reported() {
    let output = alone("running_unloaded_code_is_reported", || {
        let image = load(READ);
        image.unload();
        call(image.entry(), 0);
    });
    expect_violation(
        &output,
        &[
            "(0xCE",
            "executes 0x1000 of faulty (.text), which has been unloaded",
            "unloaded faulty+",
        ],
    );
}

#[test]
fn a_fault_of_the_box_names_the_driver_that_called_it() {
    extern "win64" fn reads(address: usize) -> usize {
        // SAFETY: it is the purpose of this routine to fault.
        unsafe { std::ptr::read_volatile(address as *const usize) }
    }
    define_thunk!(reads_thunk, plain, reads);
    let output = alone("a_fault_of_the_box_names_the_driver_that_called_it", || {
        // sub rsp, 40; call rdx; add rsp, 40; ret
        let image = load(&[
            0x48, 0x83, 0xEC, 0x28, 0xFF, 0xD2, 0x48, 0x83, 0xC4, 0x28, 0xC3,
        ]);
        // SAFETY: the code calls its second argument with its first.
        let routine: unsafe extern "win64" fn(usize, usize) -> usize =
            unsafe { std::mem::transmute(image.entry()) };
        // SAFETY: as above.
        unsafe { entering(routine)(0x8, reads_thunk as *const () as usize) };
    });
    expect_violation(
        &output,
        &[
            "PageFault (0x50",
            "the system, called by faulty, reads 0x8",
            "called  faulty+0x1006",
        ],
    );
}

#[test]
fn a_process_that_ends_meanwhile_waits_for_the_report() {
    let output = alone("a_process_that_ends_meanwhile_waits_for_the_report", || {
        std::thread::spawn(|| {
            crate::processor::fault::prepare_thread();
            call(load(READ).entry(), 0x10);
        });
        while !crate::verifier::is_announced() {
            std::thread::yield_now();
        }
    });
    expect_violation(&output, &["PageFault (0x50", "faulty reads 0x10"]);
}

#[test]
fn traps_are_reported() {
    let output = alone("traps_are_reported", || {
        call(load(&[0x0F, 0x0B]).entry(), 0);
    });
    expect_violation(
        &output,
        &[
            "BadInstruction (0x1E",
            "faulty executes what is no instruction",
        ],
    );
}

#[test]
fn fast_fail_is_a_bug_check() {
    let output = alone("fast_fail_is_a_bug_check", || {
        call(load(&[0xCD, 0x29]).entry(), 0);
    });
    // Windows calls no handler for it.
    #[cfg(windows)]
    return assert_eq!(
        output.status.code(),
        Some(windows_sys::Win32::Foundation::STATUS_STACK_BUFFER_OVERRUN)
    );
    #[cfg(not(windows))]
    expect_violation(
        &output,
        &[
            "DriverBugCheck",
            "__fastfail: bug check 0x139 KERNEL_SECURITY_CHECK_FAILURE",
        ],
    );
}

#[test]
fn a_breakpoint_is_reported() {
    let output = alone("a_breakpoint_is_reported", || {
        call(load(&[0xCC, 0xC3]).entry(), 0);
    });
    expect_violation(
        &output,
        &["BadInstruction", "faulty runs into a breakpoint"],
    );
}

/// As in the kernel, where the flag is of no effect: neither in the driver, nor in the box.
#[cfg(unix)]
#[test]
fn a_driver_may_set_the_flag_of_alignment_checks() {
    let output = alone("a_driver_may_set_the_flag_of_alignment_checks", || {
        // pushfq; or qword ptr [rsp], 0x40000; popfq, and with the flag: mov rax, [rcx + 1]; ret
        const SET: [u8; 10] = [0x9C, 0x48, 0x81, 0x0C, 0x24, 0, 0, 4, 0, 0x9D];
        let reads = load(&[&SET[..], &[0x48, 0x8B, 0x41, 1, 0xC3]].concat());
        let words = [0x0706_0504_0302_0100_usize, 8];
        assert_eq!(
            call(reads.entry(), (&raw const words).addr()),
            words[0] >> 8 | 8 << 56
        );
        call(load(&[&SET[..], &[0xC3]].concat()).entry(), 0);
        println!("went on: {}", "as ever ".repeat(3));
        // Nor in the handler: a fault while it is set.
        call(load(&[&SET[..], READ].concat()).entry(), 0x10);
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("went on: as ever"));
    expect_violation(&output, &["PageFault (0x50", "reads 0x10"]);
}

#[test]
fn reading_cr8_gives_the_level() {
    let output = alone("reading_cr8_gives_the_level", || {
        // mov rax, cr8; ret — and the same with r9
        let image = load(&[0x44, 0x0F, 0x20, 0xC0, 0xC3]);
        let other = load(&[0x45, 0x0F, 0x20, 0xC1, 0x4C, 0x89, 0xC8, 0xC3]);
        assert_eq!(call(image.entry(), 0), 0);
        processor::irql::restore(nt::DISPATCH_LEVEL);
        assert_eq!((call(image.entry(), 0), call(other.entry(), 0)), (2, 2));
        processor::irql::restore(nt::PASSIVE_LEVEL);
        println!("levels were right");
    });
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("levels were right"));
}

#[test]
fn a_fault_without_a_driver_is_left_to_the_system() {
    let output = alone("a_fault_without_a_driver_is_left_to_the_system", || {
        // SAFETY: it is the purpose of this test to fault.
        unsafe { std::ptr::read_volatile(0x10 as *const usize) };
    });
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&output.status),
        Some(libc::SIGSEGV)
    );
    // The exception's code; Wine puts one of its own there.
    #[cfg(windows)]
    assert!(
        output.status.code().is_some_and(|code| code < 0),
        "{output:?}"
    );
}

#[test]
fn the_handler_runs_where_the_stack_is_used_up() {
    if test_process::is_left_out_in_wine(
        "the_handler_runs_where_the_stack_is_used_up",
        "Wine leaves no room to a handler (SetThreadStackGuarantee)",
    ) {
        return;
    }
    let output = alone("the_handler_runs_where_the_stack_is_used_up", || {
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
            super::prepare_thread();
            // call itself, for ever
            call(load(&[0xE8, 0xFB, 0xFF, 0xFF, 0xFF]).entry(), 0);
        });
        let _ = thread.unwrap().join();
    });
    expect_violation(
        &output,
        &["StackUsedUp", "beyond the end of its kernel stack"],
    );
}

#[test]
fn test_images_have_their_text_where_these_tests_expect_it() {
    let image = load(READ);
    assert_eq!(image.entry() - image.base(), TEXT as usize);
    assert!(try_read_usize(image.base() + DATA as usize).is_some());
}
