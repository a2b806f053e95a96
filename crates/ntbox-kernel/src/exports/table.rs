//! The table of one prefix, and the thunks that tell a routine its caller.

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
    ([$($done:tt)*] data $name:literal => $data:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Data, &raw const $data as *const ()),
        ] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::exports::table::entries!([$($done)*
            $crate::exports::Export::new($name, $crate::exports::Kind::Routine, $function as *const ()),
        ] $($($rest)*)?)
    };
}

/// The address of a thunk in front of `$function`, which has `$count` documented
/// arguments and one more for the caller's address.
macro_rules! thunk {
    (0, $f:path) => { $crate::exports::table::thunk!(@jump "rcx", $f, (usize)) };
    (1, $f:path) => { $crate::exports::table::thunk!(@jump "rdx", $f, (_, usize)) };
    (2, $f:path) => { $crate::exports::table::thunk!(@jump "r8", $f, (_, _, usize)) };
    (3, $f:path) => { $crate::exports::table::thunk!(@jump "r9", $f, (_, _, _, usize)) };
    (4, $f:path) => { $crate::exports::table::thunk!(@frame 4, [], $f, (_, _, _, _, usize)) };
    (5, $f:path) => { $crate::exports::table::thunk!(@frame 5, [4], $f, (_, _, _, _, _, usize)) };
    (6, $f:path) => { $crate::exports::table::thunk!(@frame 6, [4 5], $f, (_, _, _, _, _, _, usize)) };
    (7, $f:path) => { $crate::exports::table::thunk!(@frame 7, [4 5 6], $f, (_, _, _, _, _, _, _, usize)) };
    (8, $f:path) => {
        $crate::exports::table::thunk!(@frame 8, [4 5 6 7], $f, (_, _, _, _, _, _, _, _, usize))
    };
    (9, $f:path) => {
        $crate::exports::table::thunk!(@frame 9, [4 5 6 7 8], $f, (_, _, _, _, _, _, _, _, _, usize))
    };
    (10, $f:path) => {
        $crate::exports::table::thunk!(@frame 10, [4 5 6 7 8 9], $f, (_, _, _, _, _, _, _, _, _, _, usize))
    };
    (11, $f:path) => {
        $crate::exports::table::thunk!(@frame 11, [4 5 6 7 8 9 10], $f, (_, _, _, _, _, _, _, _, _, _, _, usize))
    };
    (@jump $register:literal, $f:path, ($($argument:tt),*)) => {{
        const _: () = {
            let _: unsafe extern "win64" fn($($argument),*) -> _ = $f;
        };
        #[expect(unsafe_code, reason = "the return address is only reachable in assembly")]
        const THUNK: *const () = {
            #[unsafe(naked)]
            unsafe extern "win64" fn thunk() {
                core::arch::naked_asm!(
                    concat!("mov ", $register, ", qword ptr [rsp]"),
                    "jmp {function}",
                    function = sym $f,
                )
            }
            thunk as *const ()
        };
        THUNK
    }};
    (@frame $count:literal, [$($stack:literal)*], $f:path, ($($argument:tt),*)) => {{
        const _: () = {
            let _: unsafe extern "win64" fn($($argument),*) -> _ = $f;
        };
        /// Bytes of the frame: a slot per argument (the first four are shadow
        /// space) and one for the caller, so that the stack is aligned at the call.
        const FRAME: usize = ($count as usize).div_ceil(2) * 16 + 8;
        #[expect(unsafe_code, reason = "the return address is only reachable in assembly")]
        const THUNK: *const () = {
            #[unsafe(naked)]
            unsafe extern "win64" fn thunk() {
                core::arch::naked_asm!(
                    "sub rsp, {frame}",
                    $(
                        concat!("mov rax, qword ptr [rsp + {frame} + 8 + 8 * ", $stack, "]"),
                        concat!("mov qword ptr [rsp + 8 * ", $stack, "], rax"),
                    )*
                    "mov rax, qword ptr [rsp + {frame}]",
                    concat!("mov qword ptr [rsp + 8 * ", $count, "], rax"),
                    "call {function}",
                    "add rsp, {frame}",
                    "ret",
                    frame = const FRAME,
                    function = sym $f,
                )
            }
            thunk as *const ()
        };
        THUNK
    }};
}

pub(crate) use {entries, table, thunk};
