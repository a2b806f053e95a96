//! `Rtl`: the run-time library.
//!
//! Left out: heaps, splay links without a table, compression, atoms, ranges, hash tables.

mod bitmap;
mod code_page;
mod exception;
mod generic_table;
mod guid;
mod memory;
mod numbers;
mod random;
mod registry;
mod registry_key;
mod security;
mod sid;
mod strings;
mod time;
mod translate;
mod utf8;
mod version;

pub(super) use strings::terminated;
pub(super) use translate::{ansi_of_unit, unit_of_ansi};

use crate::nt::{RTL_AVL_TABLE, RTL_GENERIC_TABLE};

super::table! {
    touches "RtlInitUnicodeString" => strings::init_unicode,
    touches "RtlInitUnicodeStringEx" => strings::init_unicode_ex,
    touches "RtlInitAnsiString" => strings::init_ansi,
    touches "RtlInitString" => strings::init_ansi,
    touches "RtlCopyUnicodeString" => strings::copy_unicode,
    touches(5) "RtlUnicodeToUTF8N" => utf8::from_unicode,
    touches(5) "RtlUTF8ToUnicodeN" => utf8::to_unicode,
    touches "RtlCopyString" => strings::copy_ansi,
    touches(3) "RtlCompareUnicodeString" => strings::compare_unicode,
    touches(3) "RtlEqualUnicodeString" => strings::equal_unicode,
    touches(3) "RtlPrefixUnicodeString" => strings::prefix_unicode,
    touches(4) "RtlHashUnicodeString" => strings::hash_unicode,
    touches(3) "RtlCompareString" => strings::compare_ansi,
    touches(3) "RtlEqualString" => strings::equal_ansi,
    touches "RtlAppendUnicodeToString" => strings::append_terminated,
    touches "RtlAppendUnicodeStringToString" => strings::append_unicode,
    "RtlUpcaseUnicodeChar" => strings::upcase_char,
    "RtlDowncaseUnicodeChar" => strings::downcase_char,
    "RtlUpperChar" => strings::upper_ansi_char,
    touches(3) "RtlUpcaseUnicodeString" => translate::upcase,
    touches(3) "RtlDowncaseUnicodeString" => translate::downcase,
    touches(3) "RtlAnsiStringToUnicodeString" => translate::ansi_to_unicode,
    touches(3) "RtlUnicodeStringToAnsiString" => translate::unicode_to_ansi,
    touches "RtlxAnsiStringToUnicodeSize" => translate::ansi_to_unicode_size,
    touches "RtlxUnicodeStringToAnsiSize" => translate::unicode_to_ansi_size,
    data "NlsMbCodePageTag" => translate::MULTI_BYTE_CODE_PAGE,
    data "NlsMbOemCodePageTag" => translate::MULTI_BYTE_OEM_CODE_PAGE,
    caller(1) "RtlFreeUnicodeString" => translate::free_unicode,
    caller(1) "RtlFreeAnsiString" => translate::free_unicode,
    touches(5) "RtlUnicodeToMultiByteN" => code_page::to_ansi,
    touches(5) "RtlUpcaseUnicodeToMultiByteN" => code_page::to_upper_ansi,
    touches(5) "RtlMultiByteToUnicodeN" => code_page::from_ansi,
    touches(5) "RtlUnicodeToOemN" => code_page::to_oem,
    touches(5) "RtlUpcaseUnicodeToOemN" => code_page::to_upper_oem,
    touches(5) "RtlOemToUnicodeN" => code_page::from_oem,
    touches(3) "RtlUnicodeToMultiByteSize" => code_page::ansi_size,
    touches(3) "RtlMultiByteToUnicodeSize" => code_page::unicode_size,
    touches(3) "RtlUnicodeStringToOemString" => code_page::string_to_oem,
    touches(3) "RtlUpcaseUnicodeStringToOemString" => code_page::string_to_upper_oem,
    touches(3) "RtlUnicodeStringToCountedOemString" => code_page::string_to_counted_oem,
    touches(3) "RtlUpcaseUnicodeStringToCountedOemString" => code_page::string_to_upper_counted_oem,
    touches(3) "RtlOemStringToUnicodeString" => code_page::oem_to_string,
    touches(3) "RtlOemStringToCountedUnicodeString" => code_page::oem_to_counted_string,
    touches "RtlxUnicodeStringToOemSize" => code_page::string_to_oem_size,
    touches "RtlUnicodeStringToOemSize" => code_page::string_to_oem_size,
    touches "RtlxOemStringToUnicodeSize" => code_page::oem_to_string_size,
    touches "RtlOemStringToUnicodeSize" => code_page::oem_to_string_size,
    touches "RtlUnicodeStringToAnsiSize" => translate::unicode_to_ansi_size,
    touches "RtlAnsiStringToUnicodeSize" => translate::ansi_to_unicode_size,
    caller(1) "RtlFreeOemString" => translate::free_unicode,

    touches(3) "RtlIntegerToUnicodeString" => numbers::integer_to_unicode,
    touches(3) "RtlInt64ToUnicodeString" => numbers::int64_to_unicode,
    touches(3) "RtlUnicodeStringToInteger" => numbers::unicode_to_integer,
    touches(1) "RtlRandom" => random::random,
    touches(1) "RtlRandomEx" => random::random_ex,
    touches(2) "RtlStringFromGUID" => guid::string_from_guid,
    touches(2) "RtlGUIDFromString" => guid::guid_from_string,

    caller(5) "RtlInitializeGenericTable" => generic_table::initialize::<RTL_GENERIC_TABLE>,
    caller(4) "RtlInsertElementGenericTable" => generic_table::insert::<RTL_GENERIC_TABLE>,
    caller(2) "RtlDeleteElementGenericTable" => generic_table::delete::<RTL_GENERIC_TABLE>,
    caller(2) "RtlLookupElementGenericTable" => generic_table::lookup::<RTL_GENERIC_TABLE>,
    caller(6) "RtlInsertElementGenericTableFull" => generic_table::insert_full::<RTL_GENERIC_TABLE>,
    caller(4) "RtlLookupElementGenericTableFull" => generic_table::lookup_full::<RTL_GENERIC_TABLE>,
    caller(2) "RtlEnumerateGenericTable" => generic_table::enumerate::<RTL_GENERIC_TABLE>,
    caller(2) "RtlEnumerateGenericTableWithoutSplaying" => generic_table::enumerate_without_splaying::<RTL_GENERIC_TABLE>,
    "RtlGetElementGenericTable" => generic_table::get_element::<RTL_GENERIC_TABLE>,
    "RtlNumberGenericTableElements" => generic_table::number::<RTL_GENERIC_TABLE>,
    "RtlIsGenericTableEmpty" => generic_table::is_empty::<RTL_GENERIC_TABLE>,
    caller(5) "RtlInitializeGenericTableAvl" => generic_table::initialize::<RTL_AVL_TABLE>,
    caller(4) "RtlInsertElementGenericTableAvl" => generic_table::insert::<RTL_AVL_TABLE>,
    caller(6) "RtlInsertElementGenericTableFullAvl" => generic_table::insert_full::<RTL_AVL_TABLE>,
    caller(2) "RtlDeleteElementGenericTableAvl" => generic_table::delete::<RTL_AVL_TABLE>,
    caller(2) "RtlLookupElementGenericTableAvl" => generic_table::lookup::<RTL_AVL_TABLE>,
    caller(4) "RtlLookupElementGenericTableFullAvl" => generic_table::lookup_full::<RTL_AVL_TABLE>,
    caller(3) "RtlLookupFirstMatchingElementGenericTableAvl" => generic_table::lookup_first,
    caller(2) "RtlEnumerateGenericTableAvl" => generic_table::enumerate::<RTL_AVL_TABLE>,
    caller(2) "RtlEnumerateGenericTableWithoutSplayingAvl" => generic_table::enumerate_without_splaying::<RTL_AVL_TABLE>,
    caller(7) "RtlEnumerateGenericTableLikeADirectory" => generic_table::enumerate_like_a_directory,
    "RtlGetElementGenericTableAvl" => generic_table::get_element::<RTL_AVL_TABLE>,
    "RtlNumberGenericTableElementsAvl" => generic_table::number::<RTL_AVL_TABLE>,
    "RtlIsGenericTableEmptyAvl" => generic_table::is_empty::<RTL_AVL_TABLE>,

    "RtlInitializeBitMap" => bitmap::initialize,
    "RtlSetAllBits" => bitmap::set_all,
    "RtlClearAllBits" => bitmap::clear_all,
    "RtlSetBit" => bitmap::set,
    "RtlClearBit" => bitmap::clear,
    "RtlTestBit" => bitmap::test,
    "RtlSetBits" => bitmap::set_range,
    "RtlClearBits" => bitmap::clear_range,
    "RtlAreBitsSet" => bitmap::are_set,
    "RtlAreBitsClear" => bitmap::are_clear,
    "RtlNumberOfSetBits" => bitmap::number_set,
    "RtlNumberOfClearBits" => bitmap::number_clear,
    "RtlFindSetBits" => bitmap::find_set,
    "RtlFindClearBits" => bitmap::find_clear,
    "RtlFindClearBitsAndSet" => bitmap::find_clear_and_set,
    "RtlFindSetBitsAndClear" => bitmap::find_set_and_clear,
    "RtlFindNextForwardRunClear" => bitmap::next_clear_run,
    "RtlFindFirstRunClear" => bitmap::first_clear_run,
    "RtlFindLongestRunClear" => bitmap::longest_clear_run,

    raises(1) "RtlRaiseException" => exception::raise,
    caller(4) "RtlUnwind" => exception::unwind,
    caller(6) "RtlUnwindEx" => exception::unwind_ex,
    "RtlLookupFunctionEntry" => exception::lookup_function_entry,
    "RtlVirtualUnwind" => exception::virtual_unwind,

    touches(3) "RtlCompareMemory" => memory::compare,
    touches(2) "RtlZeroMemory" => memory::zero,
    touches(3) "RtlFillMemory" => memory::fill,
    touches(3) "RtlCopyMemory" => memory::copy,
    touches(3) "RtlMoveMemory" => memory::copy,
    "RtlUshortByteSwap" => memory::swap_16,
    "RtlUlongByteSwap" => memory::swap_32,
    "RtlUlonglongByteSwap" => memory::swap_64,

    caller(1) "RtlGetVersion" => version::get_version,
    "PsGetVersion" => version::ps_get_version,
    caller(4) "RtlAssert" => version::assert,

    touches "RtlTimeToTimeFields" => time::to_fields,
    touches "RtlTimeFieldsToTime" => time::from_fields,
    touches "RtlTimeToSecondsSince1970" => time::to_seconds_since_1970,
    touches "RtlSecondsSince1970ToTime" => time::from_seconds_since_1970,

    caller(5) "RtlQueryRegistryValues" => registry::query_values,
    caller(2) "RtlCheckRegistryKey" => registry::check_key,
    caller(2) "RtlCreateRegistryKey" => registry::create_key,
    caller(6) "RtlWriteRegistryValue" => registry::write_value,

    touches "RtlLengthSid" => sid::length_sid,
    "RtlLengthRequiredSid" => sid::length_required_sid,
    touches "RtlValidSid" => sid::valid_sid,
    touches "RtlEqualSid" => sid::equal_sid,
    touches "RtlCopySid" => sid::copy_sid,
    touches "RtlInitializeSid" => sid::initialize_sid,
    touches(3) "RtlConvertSidToUnicodeString" => sid::to_string,
    touches "RtlSubAuthoritySid" => sid::sub_authority_sid,
    touches "RtlSubAuthorityCountSid" => sid::sub_authority_count_sid,
    touches "RtlCreateAcl" => sid::create_acl,
    touches "RtlAddAccessAllowedAce" => sid::add_access_allowed_ace,
    touches "RtlAddAccessAllowedAceEx" => sid::add_access_allowed_ace_ex,
    touches "RtlCreateSecurityDescriptor" => security::create_descriptor,
    touches "RtlSetDaclSecurityDescriptor" => security::set_dacl,
    touches "RtlGetDaclSecurityDescriptor" => security::get_dacl,
    touches "RtlSetOwnerSecurityDescriptor" => security::set_owner,
    touches "RtlGetOwnerSecurityDescriptor" => security::get_owner,
    touches "RtlSetGroupSecurityDescriptor" => security::set_group,
    touches "RtlGetGroupSecurityDescriptor" => security::get_group,
    touches "RtlLengthSecurityDescriptor" => security::length_descriptor,
    touches "RtlValidSecurityDescriptor" => security::valid_descriptor,
    touches "RtlAbsoluteToSelfRelativeSD" => security::absolute_to_self_relative,
}
