//! Stands in for the `windows` crate where wdk-build runs on Linux.
//!
//! wdk-build asks the registry where the Windows Driver Kit is, unless the
//! environment says so. The kit sets WDKContentRoot, so the question is not
//! asked; should it be, every call here answers that there is no such key.

/// String pointers.
pub mod core {
    /// A pointer to a NUL-terminated string.
    #[derive(Clone, Copy)]
    pub struct PCSTR(pub *const u8);

    #[doc(hidden)]
    #[macro_export]
    macro_rules! string_literal {
        ($text:literal) => {
            $crate::core::PCSTR(concat!($text, "\0").as_ptr())
        };
    }
    pub use crate::string_literal as s;
}

/// The Win32 API, as far as wdk-build uses it.
#[allow(non_snake_case)]
pub mod Win32 {
    /// System services.
    pub mod System {
        /// The registry, which is empty.
        pub mod Registry {
            use core::ffi::c_void;

            use crate::core::PCSTR;

            /// An open key.
            #[derive(Clone, Copy, Default)]
            pub struct HKEY(pub isize);

            /// The root of the machine's settings.
            pub const HKEY_LOCAL_MACHINE: HKEY = HKEY(0);

            /// An access right or a restriction of types.
            #[derive(Clone, Copy)]
            pub struct Flags;

            /// Read access.
            pub const KEY_READ: Flags = Flags;

            /// Strings only.
            pub const RRF_RT_REG_SZ: Flags = Flags;

            /// ERROR_FILE_NOT_FOUND, the answer of every call.
            #[derive(Clone, Copy, Debug)]
            pub struct NotFound;

            impl NotFound {
                /// Never.
                pub fn is_ok(self) -> bool {
                    false
                }

                /// Always the error.
                pub fn ok(self) -> Result<(), NotFound> {
                    Err(self)
                }
            }

            /// Opens a key.
            ///
            /// # Safety
            /// None needed; unsafe as the original is.
            pub unsafe fn RegOpenKeyExA(
                _: HKEY,
                _: PCSTR,
                _: Option<u32>,
                _: Flags,
                _: *mut HKEY,
            ) -> NotFound {
                NotFound
            }

            /// Reads a value.
            ///
            /// # Safety
            /// None needed; unsafe as the original is.
            pub unsafe fn RegGetValueA(
                _: HKEY,
                _: Option<PCSTR>,
                _: PCSTR,
                _: Flags,
                _: Option<*mut u32>,
                _: Option<*mut c_void>,
                _: Option<*mut u32>,
            ) -> NotFound {
                NotFound
            }

            /// Closes a key.
            ///
            /// # Safety
            /// None needed; unsafe as the original is.
            pub unsafe fn RegCloseKey(_: HKEY) -> NotFound {
                NotFound
            }
        }
    }
}
