//! Names are unique and thunks hand on every argument and the caller.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "thunks are called as a driver calls them"
)]

use super::*;

#[test]
fn every_name_is_bound_once() {
    let mut seen = std::collections::HashSet::new();
    for (prefix, table) in FILES {
        for export in *table {
            assert!(
                seen.insert(export.name),
                "{} is bound twice (in {prefix})",
                export.name
            );
            assert_ne!(export.address(), 0);
        }
    }
    assert_eq!(list().len(), seen.len());
}

#[test]
fn only_the_kernel_and_the_hal_export() {
    for listed in list() {
        assert!(resolve("ntoskrnl.exe", listed.name).is_some());
        assert_eq!(
            resolve("NTOSKRNL.EXE", listed.name),
            resolve("ntoskrnl.exe", listed.name)
        );
        assert_eq!(
            resolve("hal.dll", listed.name).is_some(),
            listed.dll == "hal.dll"
        );
        assert_eq!(resolve("fltmgr.sys", listed.name), None);
    }
    assert_eq!(resolve("ntoskrnl.exe", "NtNoSuchRoutine"), None);
}

#[test]
fn code_pages_have_a_byte_for_each_character() {
    for name in ["NlsMbCodePageTag", "NlsMbOemCodePageTag"] {
        let at = resolve("ntoskrnl.exe", name).expect(name);
        // SAFETY: a variable of a byte.
        let tag = unsafe { std::ptr::with_exposed_provenance::<u8>(at).read() };
        assert_eq!(tag, 0, "{name}");
    }
}

#[test]
fn an_import_that_is_missing_is_told_with_the_nearest() {
    let image = crate::pe_image::test_image::TestImage {
        imports: vec![("ntoskrnl.exe", vec!["IoDeleteDevise", "IofCallDriver"])],
        ..Default::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = image.write(&folder, "missing.sys");
    let error = load(&path, "missing", &[])
        .expect_err("an import is missing")
        .to_string();
    let expected = "ntoskrnl.exe!IoDeleteDevise (the nearest there is: IoDeleteDevice)";
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("IofCallDriver"), "{error}");
}

mod thunks {
    unsafe extern "win64" fn none(caller: usize) -> usize {
        caller
    }
    unsafe extern "win64" fn two(a: usize, b: *const u8, caller: usize) -> usize {
        assert_eq!((a, b as usize), (1, 2));
        caller
    }
    unsafe extern "win64" fn three(a: usize, b: u8, c: usize, caller: usize) -> usize {
        assert_eq!((a, b, c), (1, 2, 3));
        caller
    }
    unsafe extern "win64" fn four(a: usize, b: usize, c: usize, d: usize, caller: usize) -> usize {
        assert_eq!([a, b, c, d], [1, 2, 3, 4]);
        caller
    }
    unsafe extern "win64" fn five(
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: i64,
        caller: usize,
    ) -> usize {
        assert_eq!([a, b, c, d, e as usize], [1, 2, 3, 4, 5]);
        // The stack is aligned as the convention demands, or SSE spills would fault.
        let aligned = std::hint::black_box([0_u128; 2]);
        assert_eq!(aligned.as_ptr() as usize % 16, 0);
        caller
    }
    unsafe extern "win64" fn nine(
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
        g: usize,
        h: u8,
        i: usize,
        caller: usize,
    ) -> usize {
        assert_eq!(
            [a, b, c, d, e, f, g, usize::from(h), i],
            [1, 2, 3, 4, 5, 6, 7, 8, 9]
        );
        caller
    }
    super::super::table! {
        caller(0) "None" => none,
        caller(2) "Two" => two,
        caller(3) "Three" => three,
        caller(4) "Four" => four,
        caller(5) "Five" => five,
        caller(9) "Nine" => nine,
        data "Data" => DATA,
    }
    static DATA: u32 = 7;

    /// The caller lies in the calling function, a little behind its start.
    fn check(caller: usize, function: usize) {
        assert!(
            caller > function && caller < function + 0x4000,
            "{caller:#x} is not in {function:#x}"
        );
    }

    #[inline(never)]
    fn call_all() {
        crate::processor::thread::current();
        let at = |index: usize| TABLE[index].address();
        let here = call_all as *const () as usize;
        // SAFETY: each thunk has the arguments of its function without the last.
        unsafe {
            let none: unsafe extern "win64" fn() -> usize = std::mem::transmute(at(0));
            check(none(), here);
            let two: unsafe extern "win64" fn(usize, usize) -> usize = std::mem::transmute(at(1));
            check(two(1, 2), here);
            let three: unsafe extern "win64" fn(usize, u8, usize) -> usize =
                std::mem::transmute(at(2));
            check(three(1, 2, 3), here);
            let four: unsafe extern "win64" fn(usize, usize, usize, usize) -> usize =
                std::mem::transmute(at(3));
            check(four(1, 2, 3, 4), here);
            let five: unsafe extern "win64" fn(usize, usize, usize, usize, i64) -> usize =
                std::mem::transmute(at(4));
            check(five(1, 2, 3, 4, 5), here);
            type Nine = unsafe extern "win64" fn(
                usize,
                usize,
                usize,
                usize,
                usize,
                usize,
                usize,
                u8,
                usize,
            ) -> usize;
            let nine: Nine = std::mem::transmute(at(5));
            check(nine(1, 2, 3, 4, 5, 6, 7, 8, 9), here);
        }
        assert_eq!(TABLE[6].kind, super::Kind::Data);
        assert_eq!(at(6), &raw const DATA as usize);
    }

    #[test]
    fn hand_on_the_arguments_and_the_caller() {
        call_all();
    }
}
