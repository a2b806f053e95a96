/*
 * mingw-w64's ntdef.h, for a compiler that is not GNU's.
 *
 * There an offset is taken from a null pointer, which is a constant to Visual Studio's compiler and
 * none to clang in its place.
 */
#pragma once

#include_next <ntdef.h>

#undef FIELD_OFFSET
#define FIELD_OFFSET(Type, Field) ((LONG)__builtin_offsetof(Type, Field))
