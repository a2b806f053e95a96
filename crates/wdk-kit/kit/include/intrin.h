/*
 * The compiler intrinsics the kernel headers use.
 *
 * Found before mingw-w64's own intrin.h, which includes the vector intrinsics:
 * no kernel header needs them, and bindgen cannot lay out the AMX types among
 * them.
 */
#pragma once

#include <psdk_inc/intrin-impl.h>

unsigned __int64 __umulh(unsigned __int64 multiplier, unsigned __int64 multiplicand);
