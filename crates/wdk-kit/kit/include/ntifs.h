/*
 * The entry header: mingw-w64's ntifs.h, then what it lacks.
 *
 * Found before mingw-w64's own, and the first header wdk-sys includes. Where
 * today's WDK defines something differently, the older definition is renamed
 * while the original is read, and kit_ddi.h defines today's.
 */
#pragma once

/*
 * The kernel headers know no ARM64. As for ARM they include armddk.h in place of a processor's own
 * part, and everywhere else its layouts are those of AMD64.
 */
#if defined(_ARM64_)
#define _M_ARM
#define _AMD64_
#endif

/* An inline read of cr8 here, a function in the WDK. */
#define KeGetCurrentIrql KIT_INLINE_KeGetCurrentIrql

/* The file-system filter callbacks, without the members added in Windows 10. */
#define _FS_FILTER_PARAMETERS _KIT_OLD_FS_FILTER_PARAMETERS
#define FS_FILTER_PARAMETERS KIT_OLD_FS_FILTER_PARAMETERS
#define PFS_FILTER_PARAMETERS KIT_OLD_PFS_FILTER_PARAMETERS
#define _FS_FILTER_CALLBACK_DATA _KIT_OLD_FS_FILTER_CALLBACK_DATA
#define FS_FILTER_CALLBACK_DATA KIT_OLD_FS_FILTER_CALLBACK_DATA
#define PFS_FILTER_CALLBACK_DATA KIT_OLD_PFS_FILTER_CALLBACK_DATA
#define PFS_FILTER_CALLBACK KIT_OLD_PFS_FILTER_CALLBACK
#define PFS_FILTER_COMPLETION_CALLBACK KIT_OLD_PFS_FILTER_COMPLETION_CALLBACK
#define _FS_FILTER_CALLBACKS _KIT_OLD_FS_FILTER_CALLBACKS
#define FS_FILTER_CALLBACKS KIT_OLD_FS_FILTER_CALLBACKS
#define PFS_FILTER_CALLBACKS KIT_OLD_PFS_FILTER_CALLBACKS
#define FsRtlRegisterFileSystemFilterCallbacks KIT_OLD_FsRtlRegisterFileSystemFilterCallbacks

#include_next <ntifs.h>

#if defined(_ARM64_)
#undef _M_ARM
#undef _AMD64_
#endif

#undef KeGetCurrentIrql
#undef _FS_FILTER_PARAMETERS
#undef FS_FILTER_PARAMETERS
#undef PFS_FILTER_PARAMETERS
#undef _FS_FILTER_CALLBACK_DATA
#undef FS_FILTER_CALLBACK_DATA
#undef PFS_FILTER_CALLBACK_DATA
#undef PFS_FILTER_CALLBACK
#undef PFS_FILTER_COMPLETION_CALLBACK
#undef _FS_FILTER_CALLBACKS
#undef FS_FILTER_CALLBACKS
#undef PFS_FILTER_CALLBACKS
#undef FsRtlRegisterFileSystemFilterCallbacks

#include <kit_ddi.h>
