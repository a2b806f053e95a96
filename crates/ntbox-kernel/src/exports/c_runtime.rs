//! The C run-time routines that the kernel exports.
//!
//! The variadic routines get a `va_list` from a thunk, as in [`super::debug`].

mod memory;
mod print;
mod strings;

super::table! {
    raises(3) "memcpy" => memory::copy,
    raises(3) "memmove" => memory::copy,
    raises(3) "memset" => memory::set,
    raises(3) "memcmp" => memory::compare,
    "memchr" => memory::find,
    bare "__chkstk" => memory::check_stack,
    bare "__C_specific_handler" => crate::processor::exception::c_specific_handler,

    "strlen" => strings::length::<u8>,
    "strcmp" => strings::compare::<u8>,
    "strncmp" => strings::compare_at_most::<u8>,
    "_stricmp" => strings::compare_folded::<u8>,
    "_strnicmp" => strings::compare_folded_at_most::<u8>,
    "strcpy" => strings::copy::<u8>,
    "strncpy" => strings::copy_at_most::<u8>,
    "strcat" => strings::append::<u8>,
    "strncat" => strings::append_at_most::<u8>,
    "strchr" => strings::find::<u8>,
    "strrchr" => strings::find_last::<u8>,
    "strstr" => strings::find_string::<u8>,
    "toupper" => strings::to_upper,
    "tolower" => strings::to_lower,

    "wcslen" => strings::length::<u16>,
    "wcscmp" => strings::compare::<u16>,
    "wcsncmp" => strings::compare_at_most::<u16>,
    "_wcsicmp" => strings::compare_folded::<u16>,
    "_wcsnicmp" => strings::compare_folded_at_most::<u16>,
    "wcscpy" => strings::copy::<u16>,
    "wcsncpy" => strings::copy_at_most::<u16>,
    "wcscat" => strings::append::<u16>,
    "wcsncat" => strings::append_at_most::<u16>,
    "wcschr" => strings::find::<u16>,
    "wcsrchr" => strings::find_last::<u16>,
    "wcsstr" => strings::find_string::<u16>,
    "_wcsupr" => strings::to_upper_string::<u16>,
    "_wcslwr" => strings::to_lower_string::<u16>,
    "towupper" => strings::to_upper_wide,
    "towlower" => strings::to_lower_wide,

    bare "sprintf" => print::sprintf,
    bare "swprintf" => print::swprintf,
    bare "_snprintf" => print::snprintf,
    bare "_snwprintf" => print::snwprintf,
    "_vsnprintf" => print::vsnprintf,
    "_vsnwprintf" => print::vsnwprintf,
}
