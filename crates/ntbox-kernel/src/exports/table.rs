//! The table of one prefix, and the thunks through which drivers call the box.

#![expect(unsafe_code, reason = "addresses are shared between threads")]

/// What a name is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A routine in the Windows x64 calling convention.
    Routine,
    /// A variable; the import slot holds its address.
    Data,
}

/// One name of a table.
pub struct Export {
    /// The NT name.
    pub name: &'static str,
    /// Routine or variable.
    pub kind: Kind,
    address: *const (),
}

// SAFETY: the address is of a function or of a static, both of which live as
// long as the process; it is never dereferenced through this type.
unsafe impl Sync for Export {}

impl Export {
    /// For the `table!` macro alone.
    pub const fn new(name: &'static str, kind: Kind, address: *const ()) -> Self {
        Self {
            name,
            kind,
            address,
        }
    }
    /// The address that the import slot receives.
    pub fn address(&self) -> usize {
        self.address as usize
    }
}

/// Declares `TABLE` of a prefix; see the documentation of `exports`.
///
/// Entries, separated by commas:
/// - `"NtName" => function`
/// - `caller(N) "NtName" => function`: N documented arguments, and the function
///   takes the caller's address behind them (`usize`)
/// - `raises(N) "NtName" => function`: as `caller(N)`, and the function may raise an exception
/// - `touches "NtName" => function`, `touches(N) …` as `caller(N)`: where memory of a program that the function reads or
///   writes is not there, it is abandoned, and the driver gets the exception. It locks nothing, and calls no driver
/// - `bare "NtName" => function`: no thunk; assembly that works on the driver's stack
/// - `data "NtName" => STATIC`
macro_rules! table {
    ($($entries:tt)*) => {
        pub(super) static TABLE: &[$crate::exports::Export] =
            $crate::exports::table::entries!([] $($entries)*);
    };
}

macro_rules! entries {
    ([$($done:tt)*]) => { &[$($done)*] };
    ([$($done:tt)*] caller($count:tt) $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine,
                $crate::exports::table::thunk!($count, $function)),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] raises($count:tt) $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine,
                $crate::exports::table::raising!($count, $function)),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] touches($count:tt) $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine,
                $crate::exports::table::thunk!((touches $count), $function)),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] touches $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine,
                $crate::exports::table::thunk!(touches, $function)),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] wide $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine,
                $crate::exports::table::thunk!(wide, $function)),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] bare $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine, $function as *const ()),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] data $name:literal => $data:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Data, &raw const $data as *const ()),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine,
                $crate::exports::table::thunk!(plain, $function)),
        ] $($($rest)*)?)
    };
}

/// The address of a thunk in front of `$function`, which has `$count` documented
/// arguments and one more for the caller's address; or `plain`, those that it has, up to twelve; or `wide`, up to fifteen.
macro_rules! thunk {
    ($count:tt, $f:path) => {{
        #[expect(unsafe_code, reason = "stacks are changed in assembly")]
        const THUNK: *const () = {
            $crate::exports::table::define_thunk!(thunk, $count, $f);
            thunk as *const ()
        };
        THUNK
    }};
}

/// Defines the function `$name` as [`thunk`].
macro_rules! define_thunk {
    ($name:ident, plain, $f:path) => {
        $crate::exports::table::define_thunk!(@define $name, $f, 12, [4 5 6 7 8 9 10 11], "", 0, [], [], []);
    };
    ($name:ident, wide, $f:path) => {
        $crate::exports::table::define_thunk!(@define $name, $f, 16, [4 5 6 7 8 9 10 11 12 13 14], "", 0, [], [], []);
    };
    ($name:ident, touches, $f:path) => {
        $crate::exports::table::define_thunk!(@touches $name, $f, 12, [4 5 6 7 8 9 10 11], "");
    };
    ($name:ident, (touches 1), $f:path) => {
        $crate::exports::table::define_thunk!(@signature $f, (_, usize));
        $crate::exports::table::define_thunk!(@touches $name, $f, 0, [], "mov rdx, r10");
    };
    ($name:ident, (touches 2), $f:path) => {
        $crate::exports::table::define_thunk!(@signature $f, (_, _, usize));
        $crate::exports::table::define_thunk!(@touches $name, $f, 0, [], "mov r8, r10");
    };
    ($name:ident, (touches 3), $f:path) => {
        $crate::exports::table::define_thunk!(@signature $f, (_, _, _, usize));
        $crate::exports::table::define_thunk!(@touches $name, $f, 0, [], "mov r9, r10");
    };
    ($name:ident, (touches 4), $f:path) => {
        $crate::exports::table::define_thunk!(@signature $f, (_, _, _, _, usize));
        $crate::exports::table::define_thunk!(@touches $name, $f, 5, [], "mov [rsp + 32], r10");
    };
    ($name:ident, (touches 5), $f:path) => {
        $crate::exports::table::define_thunk!(@signature $f, (_, _, _, _, _, usize));
        $crate::exports::table::define_thunk!(@touches $name, $f, 6, [4], "mov [rsp + 40], r10");
    };
    ($name:ident, 0, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (usize), 0, [], "mov rcx, r10");
    };
    ($name:ident, 1, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, usize), 0, [], "mov rdx, r10");
    };
    ($name:ident, 2, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, usize), 0, [], "mov r8, r10");
    };
    ($name:ident, 3, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, usize), 0, [], "mov r9, r10");
    };
    ($name:ident, 4, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, usize), 5, [], "mov [rsp + 32], r10");
    };
    ($name:ident, 5, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, _, usize), 6, [4],
            "mov [rsp + 40], r10");
    };
    ($name:ident, 6, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, _, _, usize), 7, [4 5],
            "mov [rsp + 48], r10");
    };
    ($name:ident, 7, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, _, _, _, usize), 8, [4 5 6],
            "mov [rsp + 56], r10");
    };
    ($name:ident, 8, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, _, _, _, _, usize), 9, [4 5 6 7],
            "mov [rsp + 64], r10");
    };
    ($name:ident, 9, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, _, _, _, _, _, usize), 10,
            [4 5 6 7 8], "mov [rsp + 72], r10");
    };
    ($name:ident, 10, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, _, _, _, _, _, _, usize), 11,
            [4 5 6 7 8 9], "mov [rsp + 80], r10");
    };
    ($name:ident, 11, $f:path) => {
        $crate::exports::table::define_thunk!(@caller $name, $f, (_, _, _, _, _, _, _, _, _, _, _, usize), 12,
            [4 5 6 7 8 9 10], "mov [rsp + 88], r10");
    };
    (@caller $name:ident, $f:path, ($($argument:tt),*), $slots:literal, [$($stack:literal)*], $caller:literal) => {
        $crate::exports::table::define_thunk!(@signature $f, ($($argument),*));
        $crate::exports::table::define_thunk!(@define $name, $f, $slots, [$($stack)*], $caller, 0, [], [], []);
    };
    (@signature $f:path, ($($argument:tt),*)) => {
        const _: () = {
            let _: unsafe extern "win64" fn($($argument),*) -> _ = $f;
        };
    };
    // The registers that the compiler's code would give back are kept for `exception::abandon`.
    (@touches $name:ident, $f:path, $slots:literal, [$($stack:literal)*], $caller:literal) => {
        $crate::exports::table::define_thunk!(@define $name, $f, $slots, [$($stack)*], $caller, 160,
            [
                "movaps [rsp + {frame} - 160], xmm6"
                "movaps [rsp + {frame} - 144], xmm7"
                "movaps [rsp + {frame} - 128], xmm8"
                "movaps [rsp + {frame} - 112], xmm9"
                "movaps [rsp + {frame} - 96], xmm10"
                "movaps [rsp + {frame} - 80], xmm11"
                "movaps [rsp + {frame} - 64], xmm12"
                "movaps [rsp + {frame} - 48], xmm13"
                "movaps [rsp + {frame} - 32], xmm14"
                "movaps [rsp + {frame} - 16], xmm15"
                "mov rax, gs:[0x28]"
                "mov qword ptr [rax + {touches}], 1"
            ],
            [],
            ["mov qword ptr [r11 + {touches}], 0"]
            touches = const $crate::pe_image::crossing::TOUCHES,
        );
    };
    // What a `Call` of `pe_image::crossing` holds is pushed; arguments from the fifth on are copied.
    (@define $name:ident, $f:path, $slots:literal, [$($stack:literal)*], $caller:literal,
        $room:literal, [$($before:literal)*], [$($behind:literal)*], [$($end:literal)*] $($operands:tt)*) => {
        #[unsafe(naked)]
        unsafe extern "win64" fn $name() {
            core::arch::naked_asm!(
                "mov rax, gs:[0x28]",
                "mov r10, [rsp]",
                "cmp rsp, [rax + {return_slot}]",
                "cmove r10, [rax + {routine}]",
                "mov r11, rsp",
                // A routine that was not entered as a driver's has no kernel stack that goes on here.
                "cmp qword ptr [rax + {host}], 0",
                "je 2f",
                "mov [rax + {stack}], rsp",
                "2:",
                $crate::pe_image::crossing::to_host_stack!(),
                "and rsp, -16",
                "push rbx",
                "push rbp",
                "push rsi",
                "push rdi",
                "push r12",
                "push r13",
                "push r14",
                "push r15",
                "lea rax, [rip + {thunk}]",
                "push rax",
                "push r11",
                "mov rax, gs:[0x28]",
                "mov [rax + {call}], rsp",
                "sub rsp, {frame}",
                $(
                    concat!("mov rax, [r11 + 8 + 8 * ", $stack, "]"),
                    concat!("mov [rsp + 8 * ", $stack, "], rax"),
                )*
                $($before,)*
                $caller,
                "call {function}",
                $($behind,)*
                "mov r11, gs:[0x28]",
                "mov qword ptr [r11 + {call}], 0",
                "mov rsp, [rsp + {frame}]",
                $($end,)*
                "cmp qword ptr [r11 + {traps_behind}], 0",
                "jne {return_trapping}",
                "ret",
                routine = const $crate::pe_image::crossing::ROUTINE,
                return_slot = const $crate::pe_image::crossing::RETURN_SLOT,
                stack = const $crate::pe_image::crossing::STACK,
                call = const $crate::pe_image::crossing::CALL,
                host = const $crate::pe_image::crossing::HOST,
                // A slot for each argument, of which the first four are shadow space.
                frame = const $room + if $slots > 4 { ($slots as usize).next_multiple_of(2) * 8 } else { 32 },
                function = sym $f,
                thunk = sym $name,
                traps_behind = const $crate::pe_image::crossing::TRAPS_BEHIND,
                return_trapping = sym $crate::pe_image::crossing::return_trapping,
                $($operands)*
            )
        }
    };
}

/// The address of a thunk in front of `$function`, which is as those of [`thunk`] and may raise an
/// exception in the driver: what [`crate::processor::exception::raise`] left is raised behind the call.
macro_rules! raising {
    (0, $f:path) => { $crate::exports::table::raising!(@define "mov rcx, r10", [], $f, (usize)) };
    (1, $f:path) => { $crate::exports::table::raising!(@define "mov rdx, r10", [], $f, (_, usize)) };
    (2, $f:path) => { $crate::exports::table::raising!(@define "mov r8, r10", [], $f, (_, _, usize)) };
    (3, $f:path) => { $crate::exports::table::raising!(@define "mov r9, r10", [], $f, (_, _, _, usize)) };
    (4, $f:path) => {
        $crate::exports::table::raising!(@define "mov [rsp + 32], r10", [], $f, (_, _, _, _, usize))
    };
    (5, $f:path) => {
        $crate::exports::table::raising!(@define "mov [rsp + 40], r10", [4], $f, (_, _, _, _, _, usize))
    };
    (6, $f:path) => {
        $crate::exports::table::raising!(@define "mov [rsp + 48], r10", [4 5], $f, (_, _, _, _, _, _, usize))
    };
    (@define $caller:literal, [$($stack:literal)*], $f:path, ($($argument:tt),*)) => {{
        const _: () = {
            let _: unsafe extern "win64" fn($($argument),*) -> _ = $f;
        };
        #[expect(unsafe_code, reason = "stacks are changed in assembly")]
        const THUNK: *const () = {
            $crate::exports::table::define_thunk!(@define thunk, $f, 7, [$($stack)*], $caller, 0, [],
                ["mov [rsp + 32], rax" "call {has_raised}" "mov r10, rax" "mov rax, [rsp + 32]"],
                ["test r10b, r10b" "jnz {raise}"]
                has_raised = sym $crate::processor::exception::has_raised,
                raise = sym $crate::processor::exception::raise_at_caller,
            );
            thunk as *const ()
        };
        THUNK
    }};
}

pub(crate) use {define_thunk, entries, raising, table, thunk};
