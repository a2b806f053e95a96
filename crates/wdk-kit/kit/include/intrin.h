/*
 * The compiler intrinsics the kernel headers use.
 *
 * Found before mingw-w64's own intrin.h, which includes the vector intrinsics:
 * no kernel header needs them, and bindgen cannot lay out the AMX types among
 * them.
 */
#pragma once

/* ntifs.h says AMD64 where the layouts of ARM64 are the same; the instructions are not. */
#if defined(_ARM64_)
#pragma push_macro("_AMD64_")
#undef _AMD64_
#include <psdk_inc/intrin-impl.h>
#pragma pop_macro("_AMD64_")
#else
#include <psdk_inc/intrin-impl.h>
#endif

unsigned __int64 __umulh(unsigned __int64 multiplier, unsigned __int64 multiplicand);
