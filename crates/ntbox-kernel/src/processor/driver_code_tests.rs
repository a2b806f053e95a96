//! Who runs, from where it called, and how much of the kernel stack is left, told of code of test images.

#![expect(unsafe_code, reason = "code of a test image is called")]

use super::*;
use crate::exports::{self, table::define_thunk};
use crate::host::test_process;
use crate::pe_image::Image;
use crate::pe_image::test_image::{SLOTS, TEXT, TestImage};
use crate::verifier::Configuration;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The routine that [`again`] enters.
static ROUTINE: AtomicUsize = AtomicUsize::new(0);

fn alone(name: &str, f: impl FnOnce()) -> String {
    let test = format!("processor::driver_code::tests::{name}");
    let output: Output = test_process::alone(&test, || {
        verifier::configure(Configuration::default());
        f();
    });
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// True in Wine, where the process of a thread that has used up its stack ends or stands still.
fn has_no_room_for_a_handler(test: &str) -> bool {
    let why = "Wine leaves no room to a handler (SetThreadStackGuarantee)";
    test_process::is_left_out_in_wine(test, why)
}

/// An image of `text`, of which the four bytes at `slot` lead to the slot of `import`.
fn load(mut text: Vec<u8>, slot: usize, import: &'static str) -> &'static Image {
    let distance = SLOTS - TEXT - slot as u32 - 4;
    text[slot..slot + 4].copy_from_slice(&distance.to_le_bytes());
    let image = TestImage {
        text,
        imports: vec![("ntoskrnl.exe", vec![import])],
        ..TestImage::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let resolve = |dll: &str, name: &str| match name {
        "Again" => Some(again_thunk as *const () as usize),
        "Where" => Some(where_thunk as *const () as usize),
        "Called" => Some(called_thunk as *const () as usize),
        _ => exports::resolve(dll, name),
    };
    let image = pe_image::load(&image.write(&folder, "tested.sys"), &resolve).unwrap();
    image.protect(false);
    image
}

fn enter(image: &Image, argument: usize) -> usize {
    // SAFETY: code of a test image that takes one argument.
    let routine: unsafe extern "win64" fn(usize) -> usize =
        unsafe { std::mem::transmute(image.entry()) };
    // SAFETY: as above.
    unsafe { entering(routine)(argument) }
}

define_thunk!(again_thunk, plain, again);

extern "win64" fn again(argument: usize) -> usize {
    let routine = ROUTINE.load(Ordering::Relaxed);
    // SAFETY: the entry of a test image, set by the test.
    let routine: unsafe extern "win64" fn(usize) -> usize = unsafe { std::mem::transmute(routine) };
    // SAFETY: as above.
    unsafe { entering(routine)(argument) }
}

define_thunk!(where_thunk, plain, whereabouts);

/// Where the box has its frames when a driver calls it.
extern "win64" fn whereabouts(_: usize) -> usize {
    let here = 0_u8;
    &raw const here as usize
}

define_thunk!(called_thunk, plain, called);

/// 1 if it is known that this is what the driver has called.
extern "win64" fn called(_: usize) -> usize {
    let name = pe_image::imported_routine(Origin::here().called());
    usize::from(name == Some("Called"))
}

#[test]
fn the_routine_that_is_called_is_known_however_it_was() {
    assert_eq!(Origin::here().called(), 0);
    let ways = [
        // jmp [Called]
        (vec![0xFF, 0x25, 0, 0, 0, 0], 2),
        // sub rsp, 40; call [Called]; add rsp, 40; ret
        (
            vec![
                0x48, 0x83, 0xEC, 0x28, 0xFF, 0x15, 0, 0, 0, 0, 0x48, 0x83, 0xC4, 0x28, 0xC3,
            ],
            6,
        ),
        // sub rsp, 40; mov rax, [Called]; call rax; add rsp, 40; ret
        (
            vec![
                0x48, 0x83, 0xEC, 0x28, 0x48, 0x8B, 0x05, 0, 0, 0, 0, 0xFF, 0xD0, 0x48, 0x83, 0xC4,
                0x28, 0xC3,
            ],
            7,
        ),
    ];
    for (code, slot) in ways {
        assert_eq!(enter(load(code.clone(), slot, "Called"), 0), 1, "{code:x?}");
    }
    assert_eq!(Origin::here().called(), 0);
}

#[test]
fn a_call_that_a_routine_ends_with_is_that_routines() {
    // jmp [KeLowerIrql]: the return address is the box's.
    let text = alone("a_call_that_a_routine_ends_with_is_that_routines", || {
        enter(load(vec![0xFF, 0x25, 0, 0, 0, 0], 2, "KeLowerIrql"), 1);
    });
    assert!(text.contains("violation of"), "{text}");
    assert!(text.contains("lowered at  tested+0x1001"), "{text}");
}

#[test]
fn a_call_within_a_routine_is_told_by_its_return_address() {
    // sub rsp, 40; call [KeLowerIrql]; add rsp, 40; ret
    let text = alone(
        "a_call_within_a_routine_is_told_by_its_return_address",
        || {
            let code = vec![
                0x48, 0x83, 0xEC, 0x28, 0xFF, 0x15, 0, 0, 0, 0, 0x48, 0x83, 0xC4, 0x28, 0xC3,
            ];
            enter(load(code, 6, "KeLowerIrql"), 1);
        },
    );
    assert!(text.contains("lowered at  tested+0x100a"), "{text}");
}

#[test]
fn routines_that_enter_each_other_without_end_use_up_the_kernel_stack() {
    let test = "routines_that_enter_each_other_without_end_use_up_the_kernel_stack";
    if has_no_room_for_a_handler(test) {
        return;
    }
    // sub rsp, 1000; call [Again]; add rsp, 1000; ret
    let text = alone(test, || {
        let code = vec![
            0x48, 0x81, 0xEC, 0xE8, 3, 0, 0, 0xFF, 0x15, 0, 0, 0, 0, 0x48, 0x81, 0xC4, 0xE8, 3, 0,
            0, 0xC3,
        ];
        let image = load(code, 9, "Again");
        ROUTINE.store(image.entry(), Ordering::Relaxed);
        enter(image, 0);
    });
    assert!(text.contains("violation of StackUsedUp"), "{text}");
    if crossing::HAS_KERNEL_STACKS {
        assert!(
            text.contains("routines of drivers are on it, of 24576 bytes"),
            "{text}"
        );
    }
    assert!(text.contains("of tested+0x"), "{text}");
}

#[test]
fn a_routine_whose_call_is_a_jump_to_itself_uses_up_the_kernel_stack() {
    let test = "a_routine_whose_call_is_a_jump_to_itself_uses_up_the_kernel_stack";
    if has_no_room_for_a_handler(test) {
        return;
    }
    let text = alone(test, || {
        let image = load(vec![0xFF, 0x25, 0, 0, 0, 0], 2, "Again");
        ROUTINE.store(image.entry(), Ordering::Relaxed);
        enter(image, 0);
    });
    assert!(text.contains("violation of StackUsedUp"), "{text}");
}

#[test]
fn more_arguments_than_registers_arrive_and_results_come_back() {
    extern "win64" fn sum(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
        // The box is on the host's stack.
        let here = &raw const a as usize;
        assert!(!crossing::HAS_KERNEL_STACKS || !in_kernel_stack(here));
        a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f
    }
    define_thunk!(sum_thunk, plain, sum);
    // jmp [rip + 0] to what its first argument says would change the arguments: a native one is called.
    let thunk = sum_thunk as *const ();
    thread::current();
    // SAFETY: the thunk of a routine of this type.
    let sum: unsafe extern "win64" fn(usize, usize, usize, usize, usize, usize) -> usize =
        unsafe { std::mem::transmute(thunk) };
    crossing::set_next(sum as usize, 0);
    // SAFETY: `enter` calls what was set, which is of this type.
    let entered: unsafe extern "win64" fn(usize, usize, usize, usize, usize, usize) -> usize =
        unsafe { std::mem::transmute(crossing::enter as *const ()) };
    // SAFETY: as above.
    let result = unsafe { entered(1, 2, 3, 4, 5, 6) };
    assert_eq!(result, 1 + 4 + 9 + 16 + 25 + 36);
    assert!(crossing::entered().is_none());
}

fn in_kernel_stack(address: usize) -> bool {
    let limit = crossing::stack().start;
    (limit..limit + crossing::STACK_BYTES).contains(&address)
}

/// As a driver calls the fast I/O routine of a file system: by a pointer, with no thunk in between.
#[test]
fn a_routine_of_the_box_that_a_driver_calls_by_a_pointer_may_enter_drivers() {
    type Routine = unsafe extern "win64" fn(usize, usize) -> usize;
    unsafe extern "win64" fn deeper(left: usize, _: usize) -> usize {
        let mut kept = [left; 64];
        std::hint::black_box(&mut kept);
        let routine = ROUTINE.load(Ordering::Relaxed);
        // SAFETY: the entry of a test image, set by the test.
        let routine: Routine = unsafe { std::mem::transmute(routine) };
        let below = if left == 0 {
            0
        } else {
            // SAFETY: the code calls its second argument with its first.
            unsafe { entering(routine)(left - 1, deeper as *const () as usize) }
        };
        assert_eq!(kept, [left; 64], "what was entered lies below");
        below + 1
    }
    let text = alone(
        "a_routine_of_the_box_that_a_driver_calls_by_a_pointer_may_enter_drivers",
        || {
            // sub rsp, 40; call rdx; add rsp, 40; ret
            let code = vec![
                0x48, 0x83, 0xEC, 0x28, 0xFF, 0xD2, 0x48, 0x83, 0xC4, 0x28, 0xC3, 0, 0, 0, 0,
            ];
            let image = load(code, 11, "Again");
            ROUTINE.store(image.entry(), Ordering::Relaxed);
            // SAFETY: as above.
            let routine: Routine = unsafe { std::mem::transmute(image.entry()) };
            // SAFETY: as above.
            let entered = unsafe { entering(routine)(3, deeper as *const () as usize) };
            eprintln!("entered {entered} times");
        },
    );
    assert!(text.contains("entered 4 times"), "{text}");
}

/// A driver that such a routine enters has frames below it on the kernel stack, which the box must not
/// run over when that driver calls it.
#[test]
fn the_box_has_its_frames_on_the_hosts_stack_there_too() {
    type Routine = unsafe extern "win64" fn(usize, usize) -> usize;
    unsafe extern "win64" fn enters(routine: usize, _: usize) -> usize {
        // SAFETY: the entry of a test image.
        let routine: Routine = unsafe { std::mem::transmute(routine) };
        // SAFETY: as above.
        unsafe { entering(routine)(0, 0) }
    }
    let text = alone(
        "the_box_has_its_frames_on_the_hosts_stack_there_too",
        || {
            // sub rsp, 40; call rdx; add rsp, 40; ret
            let by_pointer = vec![
                0x48, 0x83, 0xEC, 0x28, 0xFF, 0xD2, 0x48, 0x83, 0xC4, 0x28, 0xC3, 0, 0, 0, 0,
            ];
            // sub rsp, 40; call [Where]; add rsp, 40; ret
            let asks = vec![
                0x48, 0x83, 0xEC, 0x28, 0xFF, 0x15, 0, 0, 0, 0, 0x48, 0x83, 0xC4, 0x28, 0xC3,
            ];
            let (outer, inner) = (load(by_pointer, 11, "Again"), load(asks, 6, "Where"));
            // SAFETY: as above.
            let routine: Routine = unsafe { std::mem::transmute(outer.entry()) };
            // SAFETY: the code calls its second argument with its first.
            let at = unsafe { entering(routine)(inner.entry(), enters as *const () as usize) };
            assert!(!crossing::HAS_KERNEL_STACKS || !in_kernel_stack(at));
            eprintln!("as expected");
        },
    );
    assert!(text.contains("as expected"), "{text}");
}

#[test]
fn what_is_left_of_the_stack_is_told_to_the_routine_that_asks() {
    // sub rsp, BYTES; call [IoGetRemainingStackSize]; add rsp, BYTES; ret
    let left_below = |bytes: u32| {
        let [a, b, c, d] = bytes.to_le_bytes();
        let code = vec![
            0x48, 0x81, 0xEC, a, b, c, d, 0xFF, 0x15, 0, 0, 0, 0, 0x48, 0x81, 0xC4, a, b, c, d,
            0xC3,
        ];
        enter(load(code, 9, "IoGetRemainingStackSize"), 0)
    };
    let text = alone(
        "what_is_left_of_the_stack_is_told_to_the_routine_that_asks",
        || {
            let (little, much) = (left_below(0x28), left_below(0x2028));
            assert_eq!(little - much, 0x2000);
            let taken = crossing::STACK_BYTES - little;
            assert!((0x28..0x400).contains(&taken), "{taken} bytes");
            assert_eq!(crossing::limits().len(), crossing::STACK_BYTES);
            eprintln!("as expected");
        },
    );
    assert_eq!(
        text.contains("as expected"),
        crossing::HAS_KERNEL_STACKS,
        "{text}"
    );
}
