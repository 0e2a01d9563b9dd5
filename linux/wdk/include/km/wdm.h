/*
 * mingw-w64's wdm.h, with what it lacks: the IRQL routines as imports, a device object's true size, and the
 * pool interface of Windows 10 2004.
 */
#ifndef QWI_KM_WDM_H
#define QWI_KM_WDM_H

/* mingw-w64 declares a routine only from the Windows version that brought it: ask for Windows 10. */
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#ifndef NTDDI_VERSION
#define NTDDI_VERSION 0x0A000000
#endif

/*
 * The IRQL routines are inline code over CR8 there. In the WDK they are imports of ntoskrnl, which a stand-in
 * kernel can answer too. The names move out of the way while mingw-w64's header is read, and are declared
 * afterwards. KeQuerySystemTime and KeQueryInterruptTime stay the macros that they are in the WDK: x64
 * Windows exports neither.
 */
#define KeGetCurrentIrql QwiInlineKeGetCurrentIrql
#define KeLowerIrql QwiInlineKeLowerIrql
#define KfRaiseIrql QwiInlineKfRaiseIrql

/* mingw-w64 has these twice, as intrinsics and in wdm.h: together they are external symbols of every object. */
#ifndef __INTRINSIC_DEFINED_InterlockedBitTestAndSet
#define __INTRINSIC_DEFINED_InterlockedBitTestAndSet
#endif
#ifndef __INTRINSIC_DEFINED_InterlockedBitTestAndReset
#define __INTRINSIC_DEFINED_InterlockedBitTestAndReset
#endif

/* Windows aligns device objects like pool memory, which makes them 0x150 bytes; without, they are 0x148. */
#define _DEVICE_OBJECT __declspec(align(16)) _DEVICE_OBJECT

#if defined(_M_ARM64)
/*
 * mingw-w64 knows 64 bits as x64 or Itanium, and ARM as 32 bits. What it lays out differently for 64 bits is right
 * for Itanium's macro; where it goes by processor, ARM's leads to armddk.h, which it does not have and we do. The
 * headers that would take either at its word come before.
 */
#define NT_INCLUDED
#include <excpt.h>
#include <ntdef.h>
#include <ntstatus.h>
#include <ntiologc.h>
#include <guiddef.h>
#include <string.h>
#include <stdarg.h>
#include <dpfilter.h>
#include <intrin.h>
#include <devpropdef.h>
#define _IA64_
#define _M_ARM
/* Imports for every processor but x64 there, and for 64-bit Windows macros. */
#define KeQueryInterruptTime QwiImportedKeQueryInterruptTime
#define KeQuerySystemTime QwiImportedKeQuerySystemTime
#endif

#include_next <wdm.h>

#if defined(_M_ARM64)
#undef _IA64_
#undef _M_ARM
#undef KeQueryInterruptTime
#undef KeQuerySystemTime
#define KeQueryInterruptTime() (*(volatile ULONG64 *)SharedInterruptTime)
#define KeQuerySystemTime(CurrentTime) (*(ULONG64 *)(CurrentTime) = *(volatile ULONG64 *)SharedSystemTime)
/* Intrinsics of the compiler's, which the WDK names so on every processor. */
#define InterlockedIncrement _InterlockedIncrement
#define InterlockedDecrement _InterlockedDecrement
#endif
#undef _DEVICE_OBJECT
#undef KeGetCurrentIrql
#undef KeLowerIrql
#undef KfRaiseIrql

NTKERNELAPI KIRQL NTAPI KeGetCurrentIrql(VOID);
NTKERNELAPI VOID NTAPI KeLowerIrql(KIRQL NewIrql);
NTKERNELAPI KIRQL NTAPI KfRaiseIrql(KIRQL NewIrql);

typedef ULONG64 POOL_FLAGS;

#define POOL_FLAG_USE_QUOTA 0x0000000000000001ULL
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
#define POOL_FLAG_SESSION 0x0000000000000004ULL
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ULL
#define POOL_FLAG_RAISE_ON_FAILURE 0x0000000000000020ULL
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
#define POOL_FLAG_NON_PAGED_EXECUTE 0x0000000000000080ULL
#define POOL_FLAG_PAGED 0x0000000000000100ULL
#define POOL_FLAG_SPECIAL_POOL 0x0000000100000000ULL

NTKERNELAPI PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);

#endif
