//! The C run-time routines that the kernel exports.
//!
//! `__C_specific_handler` is bound so that images with exception tables load;
//! structured exceptions are not modelled, and calling it ends the run. The
//! variadic routines get a `va_list` from a thunk, as in [`super::debug`].

mod memory;
mod narrow;
mod print;
mod wide;

super::table! {
    "memcpy" => memory::copy,
    "memmove" => memory::copy,
    "memset" => memory::set,
    "memcmp" => memory::compare,
    "memchr" => memory::find,
    "__chkstk" => memory::check_stack,
    caller(4) "__C_specific_handler" => memory::c_specific_handler,

    "strlen" => narrow::length,
    "strcmp" => narrow::compare,
    "strncmp" => narrow::compare_at_most,
    "_stricmp" => narrow::compare_folded,
    "_strnicmp" => narrow::compare_folded_at_most,
    "strcpy" => narrow::copy,
    "strncpy" => narrow::copy_at_most,
    "strcat" => narrow::append,
    "strncat" => narrow::append_at_most,
    "strchr" => narrow::find,
    "strrchr" => narrow::find_last,
    "strstr" => narrow::find_string,
    "toupper" => narrow::to_upper,
    "tolower" => narrow::to_lower,

    "wcslen" => wide::length,
    "wcscmp" => wide::compare,
    "wcsncmp" => wide::compare_at_most,
    "_wcsicmp" => wide::compare_folded,
    "_wcsnicmp" => wide::compare_folded_at_most,
    "wcscpy" => wide::copy,
    "wcsncpy" => wide::copy_at_most,
    "wcscat" => wide::append,
    "wcsncat" => wide::append_at_most,
    "wcschr" => wide::find,
    "wcsrchr" => wide::find_last,
    "wcsstr" => wide::find_string,
    "_wcsupr" => wide::to_upper_string,
    "_wcslwr" => wide::to_lower_string,
    "towupper" => wide::to_upper,
    "towlower" => wide::to_lower,

    "sprintf" => print::sprintf,
    "swprintf" => print::swprintf,
    "_snprintf" => print::snprintf,
    "_snwprintf" => print::snwprintf,
    "_vsnprintf" => print::vsnprintf,
    "_vsnwprintf" => print::vsnwprintf,
}
