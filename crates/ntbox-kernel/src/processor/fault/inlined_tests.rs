//! What Microsoft's headers inline: reads of the processor block and of the shared page, and `mov cr8`.

#![expect(unsafe_code, reason = "code of a test image is called")]

use super::process_tests::{READ, WRITE, alone_in, call, expect_violation, load};
use crate::nt::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::processor::{irql, spin_lock, thread, time};
use crate::verifier::{self, Configuration};
use std::process::Output;

const SHARED: usize = 0xFFFF_F780_0000_0000;

fn alone(name: &str, f: impl FnOnce()) -> Output {
    alone_in("inlined_tests", name, f)
}

fn expect_done(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("all was right"));
}

#[test]
#[cfg(target_os = "linux")]
fn the_processor_block_is_read() {
    expect_done(&alone("the_processor_block_is_read", || {
        let look = || {
            let this = thread::current();
            // mov rax, gs:[0x188]; ret
            let current = load(&[0x65, 0x48, 0x8B, 0x04, 0x25, 0x88, 1, 0, 0, 0xC3]);
            assert_eq!(call(current.entry(), 0), this.object() as usize);
            // movzx eax, byte ptr gs:[0x184]; ret — and mov eax, gs:[0x1a4]; ret
            let number = load(&[0x65, 0x0F, 0xB6, 0x04, 0x25, 0x84, 1, 0, 0, 0xC3]);
            assert_eq!(call(number.entry(), 0), this.processor() as usize);
            let number = load(&[0x65, 0x8B, 0x04, 0x25, 0xA4, 1, 0, 0, 0xC3]);
            assert_eq!(call(number.entry(), 0), this.processor() as usize);
            // mov rax, gs:[0x18]; mov rax, [rax + 0x188]; ret
            let by_self = load(&[
                0x65, 0x48, 0x8B, 0x04, 0x25, 0x18, 0, 0, 0, 0x48, 0x8B, 0x80, 0x88, 1, 0, 0, 0xC3,
            ]);
            assert_eq!(call(by_self.entry(), 0), this.object() as usize);
        };
        look();
        // Another thread is another processor.
        thread::spawn("other", look).join().unwrap();
        println!("all was right");
    }));
}

#[test]
#[cfg(target_os = "linux")]
fn fields_of_the_processor_block_that_are_not_modelled_are_told() {
    let output = alone(
        "fields_of_the_processor_block_that_are_not_modelled_are_told",
        || {
            thread::current();
            // mov rax, gs:[0x190]; mov rax, [rax]; ret
            let next = load(&[
                0x65, 0x48, 0x8B, 0x04, 0x25, 0x90, 1, 0, 0, 0x48, 0x8B, 0x00, 0xC3,
            ]);
            call(next.entry(), 0);
        },
    );
    expect_violation(
        &output,
        &["faulty uses what it has read at gs:[0x190] (KPCR), which ntbox does not model"],
    );
}

#[test]
#[cfg(target_os = "linux")]
fn what_lies_far_in_the_processor_block_is_told() {
    let output = alone("what_lies_far_in_the_processor_block_is_told", || {
        thread::current();
        // mov rax, gs:[0x2e20]; ret
        let far = load(&[0x65, 0x48, 0x8B, 0x04, 0x25, 0x20, 0x2E, 0, 0, 0xC3]);
        call(far.entry(), 0);
    });
    expect_violation(
        &output,
        &["faulty reads gs:[0x2e20] (KPCR), which ntbox does not model"],
    );
}

/// What the instructions of compilers do with the shared page.
#[test]
fn the_shared_page_is_read() {
    expect_done(&alone("the_shared_page_is_read", || {
        thread::current();
        let ticks = || (time::interrupt_time() / time::UNITS_PER_TICK) as usize;
        let is_tick =
            |read: usize, since: usize| assert!((since..=ticks()).contains(&read), "{read}");
        let since = ticks();
        is_tick(call(load(READ).entry(), SHARED + 0x320), since);
        // mov rax, [0xFFFFF78000000320]; ret
        let absolute = load(&[0x48, 0xA1, 0x20, 0x03, 0, 0, 0x80, 0xF7, 0xFF, 0xFF, 0xC3]);
        is_tick(call(absolute.entry(), 0), since);
        // mov rdx, rcx; xor eax, eax; xor rax, [rdx + 0x320]; sub rcx, rdx; add rax, rcx; ret: the
        // register that pointed there is what it was.
        let kept = load(&[
            0x48, 0x89, 0xCA, 0x31, 0xC0, 0x48, 0x33, 0x82, 0x20, 0x03, 0, 0, 0x48, 0x29, 0xD1,
            0x48, 0x01, 0xC8, 0xC3,
        ]);
        is_tick(call(kept.entry(), SHARED), since);
        // mov eax, [rcx + 0x260]; ret
        let build = load(&[0x8B, 0x81, 0x60, 0x02, 0, 0, 0xC3]);
        assert_eq!(call(build.entry(), SHARED), 19_045);
        let time = call(load(READ).entry(), SHARED + 0x14) as i64;
        assert!(time.abs_diff(time::system_time()) < 600_000_000, "{time}");
        // push rsi; push rdi; mov rdi, rcx; mov rsi, SHARED + 0x320; mov ecx, 12; rep movsb;
        // mov rax, rsi; pop rdi; pop rsi; ret
        let copy = load(&[
            0x56, 0x57, 0x48, 0x89, 0xCF, 0x48, 0xBE, 0x20, 0x03, 0, 0, 0x80, 0xF7, 0xFF, 0xFF,
            0xB9, 12, 0, 0, 0, 0xF3, 0xA4, 0x48, 0x89, 0xF0, 0x5F, 0x5E, 0xC3,
        ]);
        let mut copied = [0_u32; 3];
        assert_eq!(
            call(copy.entry(), copied.as_mut_ptr() as usize),
            SHARED + 0x32C
        );
        is_tick(copied[0] as usize, since);
        assert_eq!(copied[1], copied[2]);
        println!("all was right");
    }));
}

#[test]
fn what_is_not_in_the_shared_page_is_told() {
    let output = alone("what_is_not_in_the_shared_page_is_told", || {
        thread::current();
        call(load(READ).entry(), SHARED + 0x308);
    });
    expect_violation(
        &output,
        &[
            "faulty reads offset 0x308 of the page",
            "(KUSER_SHARED_DATA), which ntbox does not model",
        ],
    );
}

#[test]
fn writing_the_shared_page_is_reported() {
    let output = alone("writing_the_shared_page_is_reported", || {
        thread::current();
        call(load(WRITE).entry(), SHARED + 0x320);
    });
    expect_violation(
        &output,
        &["WroteReadOnly", "faulty writes offset 0x320 of the page"],
    );
}

/// mov cr8, rcx; mov rax, cr8; ret
const SET_LEVEL: &[u8] = &[0x44, 0x0F, 0x22, 0xC1, 0x44, 0x0F, 0x20, 0xC0, 0xC3];

#[test]
fn writing_cr8_sets_the_level_and_keeps_the_registers() {
    expect_done(&alone(
        "writing_cr8_sets_the_level_and_keeps_the_registers",
        || {
            thread::current();
            let set = load(SET_LEVEL);
            for level in [DISPATCH_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL] {
                assert_eq!(call(set.entry(), level.into()), usize::from(level));
                assert_eq!(irql::current(), level);
            }
            // mov eax, 1; mov edx, 2; mov r8d, 3 … r11d, 6; stc; mov cr8, rcx; adc rax, rdx;
            // add rax, r8 … r11; ret
            let registers = load(&[
                0xB8, 1, 0, 0, 0, 0xBA, 2, 0, 0, 0, 0x41, 0xB8, 3, 0, 0, 0, 0x41, 0xB9, 4, 0, 0, 0,
                0x41, 0xBA, 5, 0, 0, 0, 0x41, 0xBB, 6, 0, 0, 0, 0xF9, 0x44, 0x0F, 0x22, 0xC1, 0x48,
                0x11, 0xD0, 0x4C, 0x01, 0xC0, 0x4C, 0x01, 0xC8, 0x4C, 0x01, 0xD0, 0x4C, 0x01, 0xD8,
                0xC3,
            ]);
            assert_eq!(call(registers.entry(), 1), 1 + 2 + 3 + 4 + 5 + 6 + 1);
            assert_eq!(call(set.entry(), 0), 0);
            println!("all was right");
        },
    ));
}

fn with_ddi_rules() {
    thread::current();
    verifier::configure(Configuration::default());
}

#[test]
fn lowering_by_cr8_under_a_spin_lock_is_reported() {
    let output = alone("lowering_by_cr8_under_a_spin_lock_is_reported", || {
        with_ddi_rules();
        let mut lock = 0_usize;
        irql::raise(DISPATCH_LEVEL);
        // SAFETY: the lock outlives its use.
        unsafe { spin_lock::acquire(&raw mut lock) };
        call(load(SET_LEVEL).entry(), 0);
    });
    expect_violation(
        &output,
        &["1 spin lock(s) are held", "lowered at  faulty+0x1001"],
    );
}

#[test]
fn a_level_that_there_is_not_is_reported() {
    let output = alone("a_level_that_there_is_not_is_reported", || {
        with_ddi_rules();
        call(load(SET_LEVEL).entry(), 16);
    });
    expect_violation(&output, &["0xC4/30", "IRQL 16 requested", "faulty+0x1001"]);
}
