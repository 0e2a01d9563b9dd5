/*
 * mingw-w64's ntddk.h, which refuses ARM64 where it says nothing of 32-bit ARM.
 */
#ifndef QWI_KM_NTDDK_H
#define QWI_KM_NTDDK_H

#include <wdm.h>

#if defined(_M_ARM64)
#define _M_ARM
#endif

#include_next <ntddk.h>

#if defined(_M_ARM64)
#undef _M_ARM
#endif

#endif
